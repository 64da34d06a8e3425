/*-------------------------------------------------------------------------
 *
 * prefetch.c
 *	  Which leaf pages of a btree will be needed.
 *
 * When an index is not in memory, each leaf page costs a wait for the disk.
 * The pages above name the leaf pages that a scan is about to visit, so they
 * can be asked for together.
 *
 * All of this is a hint.  A page that was split or deleted meanwhile leads
 * to a prefetch too few or too many, never to another result: the rows come
 * from the index access method alone.  One page is locked at a time, shared.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "compat.h"
#include "scan/btree.h"
#include "scan/custom.h"

/* Leaf pages that a walk is ahead of its scan, at first and at most */
#define FIRST_DISTANCE 2
#define MAX_DISTANCE 16

/* A walk that has lost its scan so often in succession gives up. */
#define MAX_MISSES 8

/*
 * A walk over the leaf pages that a scan will visit: a window of leaf
 * numbers in the order of the scan, read from the pages above.
 */
struct VecsegLeafWalk
{
	Relation index;
	ScanDirection direction;
	bool ended;		  /* nothing more to prefetch */
	BlockNumber next; /* the next page above the leaves */
	BlockNumber stop; /* the last leaf of the scan, or invalid */
	int distance;
	int misses;
	int current;	/* the leaf that the scan is on */
	int prefetched; /* so many leaves were asked for */
	int nleaves;
	int max_leaves;
	BlockNumber *leaves;
};

/* Add to a walk the leaves below a page, from the given item on. */
static void
add_leaves(VecsegLeafWalk *walk, Page page, OffsetNumber from)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber first = P_FIRSTDATAKEY(opaque);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	bool forward = ScanDirectionIsForward(walk->direction);
	OffsetNumber offset;

	if (walk->nleaves + last > walk->max_leaves)
	{
		walk->max_leaves = walk->nleaves + last;
		walk->leaves =
			repalloc(walk->leaves, walk->max_leaves * sizeof(BlockNumber));
	}
	for (offset = from; offset >= first && offset <= last;
		 offset = forward ? OffsetNumberNext(offset) : offset - 1)
		walk->leaves[walk->nleaves++] = vecseg_btree_downlink(page, offset);
	walk->next = forward ? opaque->btpo_next : opaque->btpo_prev;
	if (walk->next == P_NONE)
		walk->next = InvalidBlockNumber;
	else
		PrefetchBuffer(walk->index, MAIN_FORKNUM, walk->next);
}

/* Drop the leaves that the scan has passed, add those below the next page. */
static void
extend_walk(VecsegLeafWalk *walk)
{
	Buffer buffer = _bt_getbuf(walk->index, walk->next, BT_READ);
	Page page = BufferGetPage(buffer);

	memmove(walk->leaves, walk->leaves + walk->current,
			(walk->nleaves - walk->current) * sizeof(BlockNumber));
	walk->nleaves -= walk->current;
	walk->prefetched -= walk->current;
	walk->current = 0;
	if (vecseg_btree_is_parent(page))
		add_leaves(walk, page,
				   ScanDirectionIsForward(walk->direction)
					   ? P_FIRSTDATAKEY(BTPageGetOpaque(page))
					   : PageGetMaxOffsetNumber(page));
	else
		walk->next = InvalidBlockNumber;
	_bt_relbuf(walk->index, buffer);
}

/* A condition that limits the first column from one side; NULL if none */
static const ScanKeyData *
find_limit(ScanKey keys, int nkeys, bool lower)
{
	int i;

	for (i = 0; i < nkeys; i++)
	{
		StrategyNumber strategy = keys[i].sk_strategy;

		if (keys[i].sk_attno != 1 ||
			(keys[i].sk_flags & (SK_ISNULL | SK_SEARCHARRAY | SK_ROW_HEADER |
								 SK_SEARCHNULL | SK_SEARCHNOTNULL)) != 0)
			continue;
		if (strategy == BTEqualStrategyNumber ||
			(lower ? strategy == BTGreaterStrategyNumber ||
						 strategy == BTGreaterEqualStrategyNumber
				   : strategy == BTLessStrategyNumber ||
						 strategy == BTLessEqualStrategyNumber))
			return &keys[i];
	}
	return NULL;
}

/* The page above the leaf where the scan begins, locked, and the item */
static Buffer
first_parent(VecsegLeafWalk *walk, const ScanKeyData *limit, OffsetNumber *item)
{
	BTScanInsertData key;
	Buffer buffer;
	Page page;

	if (limit == NULL)
		buffer = _bt_get_endpoint(walk->index, 1,
								  ScanDirectionIsBackward(walk->direction));
	else
	{
		vecseg_btree_make_key(walk->index, limit, &key);
		buffer = vecseg_btree_descend(walk->index, &key);
	}
	if (!BufferIsValid(buffer))
		return InvalidBuffer;
	page = BufferGetPage(buffer);
	if (!vecseg_btree_is_parent(page))
	{
		_bt_relbuf(walk->index, buffer);
		return InvalidBuffer;
	}
	if (limit != NULL)
		*item = vecseg_btree_search_inner(walk->index, &key, page);
	else if (ScanDirectionIsForward(walk->direction))
		*item = P_FIRSTDATAKEY(BTPageGetOpaque(page));
	else
		*item = PageGetMaxOffsetNumber(page);
	return buffer;
}

/* The leaf where a key belongs; invalid if the root is a leaf */
static BlockNumber
find_leaf(Relation index, BTScanInsert key)
{
	Buffer buffer = vecseg_btree_descend(index, key);
	BlockNumber result = InvalidBlockNumber;

	if (!BufferIsValid(buffer))
		return InvalidBlockNumber;
	if (vecseg_btree_is_parent(BufferGetPage(buffer)))
		result = vecseg_btree_child(index, key, BufferGetPage(buffer));
	_bt_relbuf(index, buffer);
	return result;
}

/*
 * Begin a walk for a scan with these conditions.  NULL if there is nothing
 * to gain.
 */
VecsegLeafWalk *
vecseg_leaf_walk_begin(Relation index, ScanKey keys, int nkeys,
					   ScanDirection direction)
{
	bool descending = (index->rd_indoption[0] & INDOPTION_DESC) != 0;
	bool ascending = ScanDirectionIsForward(direction) != descending;
	const ScanKeyData *from = find_limit(keys, nkeys, ascending);
	const ScanKeyData *to = find_limit(keys, nkeys, !ascending);
	VecsegLeafWalk *walk;
	OffsetNumber item = InvalidOffsetNumber;
	Buffer buffer;

	if (_bt_getrootheight(index) == 0)
		return NULL;
	walk = palloc0(sizeof(VecsegLeafWalk));
	walk->index = index;
	walk->direction = direction;
	walk->distance = FIRST_DISTANCE;
	walk->stop = InvalidBlockNumber;
	walk->max_leaves = 512;
	walk->leaves = palloc(walk->max_leaves * sizeof(BlockNumber));
	if (to != NULL)
	{
		BTScanInsertData key;

		vecseg_btree_make_key(index, to, &key);
		walk->stop = find_leaf(index, &key);
	}
	buffer = first_parent(walk, from, &item);
	if (!BufferIsValid(buffer))
		return NULL;
	add_leaves(walk, BufferGetPage(buffer), item);
	_bt_relbuf(index, buffer);
	return walk;
}

/* Find the leaf that the scan is on; false if it is none that we know. */
static bool
find_current(VecsegLeafWalk *walk, BlockNumber current)
{
	int i;

	for (i = walk->current; i < walk->nleaves; i++)
	{
		if (walk->leaves[i] != current)
			continue;
		walk->current = i;
		walk->prefetched = Max(walk->prefetched, i + 1);
		walk->misses = 0;
		walk->ended |= current == walk->stop;
		return true;
	}
	if (++walk->misses >= MAX_MISSES)
		walk->ended = true;
	return false;
}

/* Ask for the leaves that follow the one which the scan is on. */
void
vecseg_leaf_walk_advance(VecsegLeafWalk *walk, BlockNumber current)
{
	int before = walk->current;

	if (walk->ended || !find_current(walk, current))
		return;
	if (walk->current > before)
		walk->distance = Min(walk->distance * 2, MAX_DISTANCE);
	if (walk->current + walk->distance >= walk->nleaves &&
		BlockNumberIsValid(walk->next))
		extend_walk(walk);
	while (!walk->ended && walk->prefetched < walk->nleaves &&
		   walk->prefetched <= walk->current + walk->distance)
	{
		BlockNumber leaf = walk->leaves[walk->prefetched++];

		PrefetchBuffer(walk->index, MAIN_FORKNUM, leaf);
		if (leaf == walk->stop)
			walk->ended = true;
	}
}
