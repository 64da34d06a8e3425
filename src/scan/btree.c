/*-------------------------------------------------------------------------
 *
 * btree.c
 *	  Ways down a btree.
 *
 * The pages above the leaves name them, and are a hundred times fewer: so the
 * leaf where a key belongs can be found without reading it.  One page is locked
 * at a time, shared.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "scan/btree.h"

/* Fill in an insertion scan key for the index's first column. */
void
vecseg_btree_make_key(Relation index, const ScanKeyData *key,
					  BTScanInsert insertion)
{
	int flags = index->rd_indoption[0] << SK_BT_INDOPTION_SHIFT;

	memset(insertion, 0, offsetof(BTScanInsertData, scankeys));
	_bt_metaversion(index, &insertion->heapkeyspace, &insertion->allequalimage);
	insertion->keysz = 1;
	if (key->sk_subtype == index->rd_opcintype[0] ||
		!OidIsValid(key->sk_subtype))
		ScanKeyEntryInitializeWithInfo(
			&insertion->scankeys[0], flags, 1, InvalidStrategy, key->sk_subtype,
			key->sk_collation, index_getprocinfo(index, 1, BTORDER_PROC),
			key->sk_argument);
	else
		ScanKeyEntryInitialize(
			&insertion->scankeys[0], flags, 1, InvalidStrategy, key->sk_subtype,
			key->sk_collation,
			get_opfamily_proc(index->rd_opfamily[0], index->rd_opcintype[0],
							  key->sk_subtype, BTORDER_PROC),
			key->sk_argument);
}

/* The last item less than the key: `low` is, `high` is not */
static OffsetNumber
search_between(Relation index, BTScanInsert key, Page page, OffsetNumber low,
			   OffsetNumber high)
{
	while (high > low + 1)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (_bt_compare(index, key, page, middle) > 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/*
 * The last item of an inner page that is less than the key, from `low` on; the
 * one there is known to be, as is the page's first with regard to any key.
 */
OffsetNumber
vecseg_btree_search_from(Relation index, BTScanInsert key, Page page,
						 OffsetNumber low)
{
	OffsetNumber end = PageGetMaxOffsetNumber(page) + 1;
	OffsetNumber high = low + 1;
	int step = 1;

	/* it is likely to be near: go in larger and larger steps */
	while (high < end && _bt_compare(index, key, page, high) > 0)
	{
		low = high;
		high += step;
		step *= 2;
	}
	return search_between(index, key, page, low, Min(high, end));
}

/* The last item of an inner page that is less than the key */
OffsetNumber
vecseg_btree_search_inner(Relation index, BTScanInsert key, Page page)
{
	/* the first item counts as less than any key */
	return search_between(index, key, page,
						  P_FIRSTDATAKEY(BTPageGetOpaque(page)),
						  PageGetMaxOffsetNumber(page) + 1);
}

/* The page that an item of an inner page leads to */
BlockNumber
vecseg_btree_downlink(Page page, OffsetNumber offset)
{
	return BTreeTupleGetDownLink(
		(IndexTuple) PageGetItem(page, PageGetItemId(page, offset)));
}

/* The page below an inner page where the key belongs */
BlockNumber
vecseg_btree_child(Relation index, BTScanInsert key, Page page)
{
	return vecseg_btree_downlink(page,
								 vecseg_btree_search_inner(index, key, page));
}

/* Is it just above the leaves? */
bool
vecseg_btree_is_parent(Page page)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);

	return !P_IGNORE(opaque) && opaque->btpo_level == 1 &&
		   PageGetMaxOffsetNumber(page) >= P_FIRSTDATAKEY(opaque);
}

/*
 * The page of its level where the key belongs, from a page that was that or
 * to the left of that before splits.  Takes and returns a locked buffer.
 */
Buffer
vecseg_btree_move_right(Relation index, BTScanInsert key, Buffer buffer)
{
	for (;;)
	{
		Page page = BufferGetPage(buffer);
		BTPageOpaque opaque = BTPageGetOpaque(page);

		if (!P_IGNORE(opaque) && (P_RIGHTMOST(opaque) ||
								  _bt_compare(index, key, page, P_HIKEY) <= 0))
			return buffer;
		if (P_RIGHTMOST(opaque))
			elog(ERROR, "fell off the end of index \"%s\"",
				 RelationGetRelationName(index));
		buffer = _bt_relandgetbuf(index, buffer, opaque->btpo_next, BT_READ);
	}
}

/*
 * Descend to the page just above the leaf where the key belongs; to the root if
 * that is a leaf.  Returns the buffer, locked; invalid if the index is empty.
 */
Buffer
vecseg_btree_descend(Relation index, BTScanInsert key)
{
	Buffer buffer = _bt_getroot(index, NULL, BT_READ);

	while (BufferIsValid(buffer))
	{
		Page page = BufferGetPage(buffer);

		if (P_ISLEAF(BTPageGetOpaque(page)))
			break;
		buffer = vecseg_btree_move_right(index, key, buffer);
		page = BufferGetPage(buffer);
		if (vecseg_btree_is_parent(page))
			break;
		buffer = _bt_relandgetbuf(
			index, buffer, vecseg_btree_child(index, key, page), BT_READ);
	}
	return buffer;
}
