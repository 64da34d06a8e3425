/*-------------------------------------------------------------------------
 *
 * lookup.c
 *	  Looking up many keys in a btree.
 *
 * An index scan descends from the root for every key.  Here keys come mostly in
 * the index's order, so a copy of the page above the leaves serves for hundreds
 * of them, without looking for buffers or locking any; and a leaf that is wanted
 * again is still pinned.
 *
 *		copy of a page above the leaves --> leaf, locked --> to the right, if it
 *		was split since --> the items equal to the key
 *
 * Using the copy is right for the reason that makes it right for the server to
 * give up the lock on a page before it locks the child: a leaf that was split
 * meanwhile has the rest of its items to its right, one that was deleted leads
 * to the right, and it is not used for something else as long as there is a
 * snapshot from before its deletion (see "Page deletion and backwards scans" and
 * "recycling" in the server's nbtree/README).  The copy must not outlive the
 * snapshot.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "scan/btree.h"
#include "segment/read.h"

struct VecsegLookup
{
	Relation index;
	Snapshot snapshot;
	bool skip_dead; /* items marked dead */
	BTScanInsertData key;

	/* The page above the leaves used last, for keys of rank first and above */
	bool has_parent;
	int first;
	PGAlignedBlock parent;
	int last;			/* rank of the key last looked for in it, ... */
	OffsetNumber child; /* ... and where that belongs */

	Buffer leaf; /* pinned, or invalid */
	int nfound;
	int max_found;
	ItemPointerData *found;
};

/*
 * Prepare to look up keys.  key: an equality condition on the index's first
 * column, without the value.  skip_dead: as IndexScanDesc's
 * ignore_killed_tuples.
 */
VecsegLookup *
vecseg_lookup_create(Relation index, const ScanKeyData *key, Snapshot snapshot,
					 bool skip_dead)
{
	VecsegLookup *lookup = palloc(sizeof(VecsegLookup));

	lookup->index = index;
	lookup->snapshot = snapshot;
	lookup->skip_dead = skip_dead;
	lookup->has_parent = false;
	lookup->leaf = InvalidBuffer;
	lookup->max_found = 16;
	lookup->found = palloc(lookup->max_found * sizeof(ItemPointerData));
	vecseg_btree_make_key(index, key, &lookup->key);
	return lookup;
}

/* Does the present key belong below the page that there is a copy of? */
static bool
parent_serves(VecsegLookup *lookup, int rank)
{
	Page page = lookup->parent.data;

	return lookup->has_parent && rank >= lookup->first &&
		   (P_RIGHTMOST(BTPageGetOpaque(page)) ||
			_bt_compare(lookup->index, &lookup->key, page, P_HIKEY) <= 0);
}

/* The page below the copy where the present key belongs */
static BlockNumber
child_of_parent(VecsegLookup *lookup, int rank)
{
	Page page = lookup->parent.data;

	lookup->child =
		rank >= lookup->last
			? vecseg_btree_search_from(lookup->index, &lookup->key, page,
									   lookup->child)
			: vecseg_btree_search_inner(lookup->index, &lookup->key, page);
	lookup->last = rank;
	return vecseg_btree_downlink(page, lookup->child);
}

/* The leaf where the present key belongs, or did; invalid if there is none */
static BlockNumber
find_leaf(VecsegLookup *lookup, int rank)
{
	if (!parent_serves(lookup, rank))
	{
		Buffer buffer = vecseg_btree_descend(lookup->index, &lookup->key);
		BlockNumber block;

		if (!BufferIsValid(buffer))
			return InvalidBlockNumber;
		block = BufferGetBlockNumber(buffer);
		memcpy(lookup->parent.data, BufferGetPage(buffer), BLCKSZ);
		_bt_relbuf(lookup->index, buffer);
		lookup->has_parent = vecseg_btree_is_parent(lookup->parent.data);
		lookup->first = lookup->last = rank;
		lookup->child = P_FIRSTDATAKEY(BTPageGetOpaque(lookup->parent.data));
		if (!lookup->has_parent)
			return block; /* the root is a leaf */
	}
	return child_of_parent(lookup, rank);
}

static void
set_key(VecsegLookup *lookup, Datum key)
{
	lookup->key.scankeys[0].sk_argument = key;
}

/*
 * The leaf page where a key belongs; invalid if the index is empty.  rank: a
 * number that is the greater the later the key comes in the index.
 */
BlockNumber
vecseg_lookup_leaf(VecsegLookup *lookup, int rank, Datum key)
{
	set_key(lookup, key);
	return find_leaf(lookup, rank);
}

/* Lock a leaf, and those to the right up to where the present key belongs. */
static void
lock_leaf(VecsegLookup *lookup, BlockNumber block, Buffer recent)
{
	if (BufferIsValid(lookup->leaf) &&
		BufferGetBlockNumber(lookup->leaf) == block)
		LockBuffer(lookup->leaf, BT_READ);
	else
	{
		vecseg_lookup_unpin(lookup);
		if (BufferIsValid(recent))
		{
			lookup->leaf = vecseg_read_pin_recent(lookup->index, block, recent);
			LockBuffer(lookup->leaf, BT_READ);
			_bt_checkpage(lookup->index, lookup->leaf);
		}
		else
			lookup->leaf = _bt_getbuf(lookup->index, block, BT_READ);
	}
	lookup->leaf =
		vecseg_btree_move_right(lookup->index, &lookup->key, lookup->leaf);
}

/* Give up the leaf that is still at hand: VACUUM may be waiting for it. */
void
vecseg_lookup_unpin(VecsegLookup *lookup)
{
	if (BufferIsValid(lookup->leaf))
		ReleaseBuffer(lookup->leaf);
	lookup->leaf = InvalidBuffer;
}

/* The first item of a leaf that is not less than the present key */
static OffsetNumber
search_leaf(VecsegLookup *lookup, Page page)
{
	OffsetNumber low = P_FIRSTDATAKEY(BTPageGetOpaque(page));
	OffsetNumber high = PageGetMaxOffsetNumber(page) + 1;

	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (_bt_compare(lookup->index, &lookup->key, page, middle) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
add_found(VecsegLookup *lookup, const ItemPointerData *tids, int ntids)
{
	while (lookup->nfound + ntids > lookup->max_found)
	{
		lookup->max_found *= 2;
		lookup->found = repalloc_huge(
			lookup->found, lookup->max_found * sizeof(ItemPointerData));
	}
	memcpy(lookup->found + lookup->nfound, tids,
		   ntids * sizeof(ItemPointerData));
	lookup->nfound += ntids;
}

/*
 * Add what an item refers to; several versions of a row may share one.
 */
static void
add_item(VecsegLookup *lookup, Page page, ItemId item)
{
	IndexTuple tuple = (IndexTuple) PageGetItem(page, item);

	if (lookup->skip_dead && ItemIdIsDead(item))
		return;
	if (BTreeTupleIsPosting(tuple))
		add_found(lookup, BTreeTupleGetPosting(tuple),
				  BTreeTupleGetNPosting(tuple));
	else
		add_found(lookup, &tuple->t_tid, 1);
}

/* Take the items equal to the present key; true if there may be more. */
static bool
take_from_leaf(VecsegLookup *lookup)
{
	Page page = BufferGetPage(lookup->leaf);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	OffsetNumber offset;

	TestForOldSnapshot(lookup->snapshot, lookup->index, page);
	PredicateLockPage(lookup->index, BufferGetBlockNumber(lookup->leaf),
					  lookup->snapshot);
	for (offset = search_leaf(lookup, page); offset <= last; offset++)
	{
		if (_bt_compare(lookup->index, &lookup->key, page, offset) != 0)
			return false;
		add_item(lookup, page, PageGetItemId(page, offset));
	}
	return !P_RIGHTMOST(BTPageGetOpaque(page)) &&
		   _bt_compare(lookup->index, &lookup->key, page, P_HIKEY) >= 0;
}

/*
 * Look up a key, with a rank as above.  leaf: where it belongs, if that was
 * looked for already.  Sets *found to the addresses of its rows, good until the
 * next call, and returns their number.
 */
int
vecseg_lookup_find(VecsegLookup *lookup, int rank, Datum key,
				   const VecsegLeaf *leaf, ItemPointerData **found)
{
	BlockNumber block = leaf->block;

	set_key(lookup, key);
	lookup->nfound = 0;
	pgstat_count_index_scan(lookup->index);
	if (!BlockNumberIsValid(block))
		block = find_leaf(lookup, rank);
	if (!BlockNumberIsValid(block) && IsolationIsSerializable())
	{
		/* it may have got its first item before our lock */
		PredicateLockRelation(lookup->index, lookup->snapshot);
		block = find_leaf(lookup, rank);
	}
	if (BlockNumberIsValid(block))
	{
		lock_leaf(lookup, block, leaf->buffer);
		while (take_from_leaf(lookup))
		{
			block = BTPageGetOpaque(BufferGetPage(lookup->leaf))->btpo_next;
			lookup->leaf =
				_bt_relandgetbuf(lookup->index, lookup->leaf, block, BT_READ);
			lookup->leaf = vecseg_btree_move_right(lookup->index, &lookup->key,
												   lookup->leaf);
		}
		_bt_unlockbuf(lookup->index, lookup->leaf);
	}
	pgstat_count_index_tuples(lookup->index, lookup->nfound);
	*found = lookup->found;
	return lookup->nfound;
}
