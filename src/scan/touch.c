/*-------------------------------------------------------------------------
 *
 * touch.c
 *	  Having the processor fetch pages in shared buffers ahead of their use.
 *
 * The pages that keys at random lead to are not in the processor's cache, though
 * they may be in shared buffers.  A key looked up, or a row fetched, waits for
 * memory several times, each time for what the last answer led to: buffer, line
 * pointer, item.  Done in steps, each some keys ahead of the next, that waiting
 * overlaps with the work on other keys.
 *
 * The buffers are not pinned or locked, so what is seen there may be about
 * another page, or change: it must not matter for more than what is fetched.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"

#include "scan/btree.h"
#include "segment/read.h"
#include "segment/touch.h"

/* Line pointers of a leaf: about what it has of keys like uuid */
#define LEAF_POINTER_BYTES 1024

/* Items of a leaf that a binary search compares with first */
#define FIRST_ITEMS 15

/* Bytes of a row that are likely to be used: its header, a key, a pointer */
#define ROW_BYTES 64

/* The address of an item; if the page is another by now, some place in it */
static const char *
item_address(Page page, OffsetNumber offset)
{
	ItemId pointer = PageGetItemId(page, Min(offset, MaxIndexTuplesPerPage));

	return (const char *) page + ItemIdGetOffset(pointer) % BLCKSZ;
}

/*
 * First step for a leaf page of a btree, in this buffer if in any: fetch what
 * tells where its items are.
 */
void
vecseg_touch_leaf(Buffer buffer)
{
	const char *page;

	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	vecseg_touch_bytes(page, LEAF_POINTER_BYTES);
	vecseg_touch_bytes(page + BLCKSZ - MAXALIGN(sizeof(BTPageOpaqueData)), 1);
}

/* Second step: fetch the items that a search will compare with first. */
void
vecseg_touch_leaf_items(Buffer buffer)
{
	Page page;
	int nitems;
	int i;

	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	nitems = PageGetMaxOffsetNumber(page);
	for (i = 1; i <= FIRST_ITEMS; i++)
		__builtin_prefetch(
			item_address(page, 1 + nitems * i / (FIRST_ITEMS + 1)));
}

/*
 * First step for a row: fetch its line pointer, and what else of its page is
 * looked at.
 */
void
vecseg_touch_heap_page(Buffer buffer, ItemPointer tid)
{
	Page page;

	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	vecseg_touch_bytes(page, SizeOfPageHeaderData);
	__builtin_prefetch(PageGetItemId(page, ItemPointerGetOffsetNumber(tid)));
}

/* Second step: fetch the row. */
void
vecseg_touch_row(Buffer buffer, ItemPointer tid)
{
	if (BufferIsValid(buffer))
		vecseg_touch_bytes(item_address(BufferGetPage(buffer),
										ItemPointerGetOffsetNumber(tid)),
						   ROW_BYTES);
}
