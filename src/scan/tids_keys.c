/*-------------------------------------------------------------------------
 *
 * tids_keys.c
 *	  Row addresses for the keys of "key = ANY (array)".  See tids.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "scan/tids.h"
#include "segment/read.h"

/* Does the index have its first column's values in descending order? */
static bool
index_descends(const VecsegTids *tids)
{
	return (tids->index->rd_indoption[0] & INDOPTION_DESC) != 0;
}

/* Whether to process the set's keys in ascending order */
static bool
ascending(const VecsegTids *tids)
{
	return ScanDirectionIsForward(tids->direction) != index_descends(tids);
}

/* Replace the condition "= ANY (array)" by "= key", for one key at a time. */
static void
use_array(VecsegTids *tids, ScanKey array_key, bool asked_order)
{
	ArrayType *array = DatumGetArrayTypeP(array_key->sk_argument);
	Oid opfamily = tids->index->rd_opfamily[0];
	Oid type = OidIsValid(array_key->sk_subtype) ? array_key->sk_subtype
												 : tids->index->rd_opcintype[0];
	Oid function = get_opfamily_proc(opfamily, type, type, BTORDER_PROC);
	FmgrInfo compare;
	int i;

	if (!OidIsValid(function))
		elog(ERROR, "missing support function %d(%u,%u) in opfamily %u",
			 BTORDER_PROC, type, type, opfamily);
	fmgr_info(function, &compare);
	tids->set = vecseg_keys_make(array, &compare, array_key->sk_collation);
	if (asked_order)
		tids->asked = vecseg_keys_in_order_of_position(tids->set);
	array_key->sk_flags &= ~SK_SEARCHARRAY;
	tids->array_key = array_key;
	tids->lookup = vecseg_lookup_create(tids->index, array_key, tids->snapshot,
										tids->scan->ignore_killed_tuples);
	tids->unique = tids->nkeys == 1 && tids->index->rd_index->indisunique &&
				   tids->index->rd_index->indnkeyatts == 1;
	tids->states = MemoryContextAllocHuge(
		tids->context, Max(tids->set->nkeys, 1) * sizeof(VecsegKeyState));
	for (i = 0; i < tids->set->nkeys; i++)
		tids->states[i] = (VecsegKeyState){
			.leaf = { InvalidBlockNumber, InvalidBuffer },
		};
}

/*
 * The condition whose array's keys are to be looked up one by one; NULL if
 * there is none, or if the index has to combine several arrays.  Conditions
 * like "key > ANY (array)" are ranges.
 */
static ScanKey
find_array_key(VecsegTids *tids)
{
	ScanKey result = NULL;
	int narrays = 0;
	int i;

	for (i = 0; i < tids->nkeys; i++)
	{
		if ((tids->keys[i].sk_flags & SK_SEARCHARRAY) == 0)
			continue;
		narrays++;
		if (tids->keys[i].sk_attno == 1 &&
			tids->keys[i].sk_strategy == BTEqualStrategyNumber &&
			(tids->keys[i].sk_flags & SK_ISNULL) == 0)
			result = &tids->keys[i];
	}
	return narrays == 1 ? result : NULL;
}

/* Is a condition's array null, so that there are no rows? */
static bool
array_is_null(const VecsegTids *tids)
{
	int i;

	for (i = 0; i < tids->nkeys; i++)
	{
		if ((tids->keys[i].sk_flags & (SK_SEARCHARRAY | SK_ISNULL)) ==
			(SK_SEARCHARRAY | SK_ISNULL))
			return true;
	}
	return false;
}

/*
 * Start with the keys of the array that a condition has, if it is one to be
 * processed so; else returns false.
 */
bool
vecseg_tids_start_array(VecsegTids *tids, bool asked_order)
{
	ScanKey array_key = find_array_key(tids);

	if (array_key != NULL)
		use_array(tids, array_key, asked_order);
	else if (asked_order && !array_is_null(tids))
		elog(ERROR, "no array gives the order of the scan");
	return array_key != NULL;
}

/* Where a key of the set comes in the index, among the others */
static int
rank_of_key(const VecsegTids *tids, int key)
{
	return index_descends(tids) ? tids->set->nkeys - 1 - key : key;
}

/* Put the address of a key's row: of its versions, at most one is visible. */
static void
put_row(VecsegTids *tids, int key, int position)
{
	ItemPointerData *found;
	int nfound;
	int i;

	CHECK_FOR_INTERRUPTS();
	if (tids->window != NULL)
		vecseg_window_keep_reading(tids->window);
	nfound = vecseg_lookup_find(tids->lookup, rank_of_key(tids, key),
								tids->set->values[key], &tids->states[key].leaf,
								&found);
	for (i = 0; i < nfound; i++)
		vecseg_tids_put(tids, &found[i], position);
}

/* Put the next address of the key that the index scan is on, if there is one. */
static void
put_next(VecsegTids *tids, int position)
{
	ItemPointer tid = vecseg_tids_next(tids);

	tids->in_key = tid != NULL;
	if (tid != NULL)
		vecseg_tids_put(tids, tid, position);
}

/*
 * Look up a key of the set and put its addresses; of those for which an index
 * scan is needed, just the first.
 */
static void
put_key(VecsegTids *tids, int key, int position)
{
	instr_time start;

	if (tids->states[key].timed)
		INSTR_TIME_SET_CURRENT(start);
	if (tids->unique)
		put_row(tids, key, position);
	else
	{
		tids->array_key->sk_argument = tids->set->values[key];
		index_rescan(tids->scan, tids->keys, tids->nkeys, NULL, 0);
		put_next(tids, position);
	}
	if (tids->states[key].timed)
		vecseg_watch_note(&tids->leaf_watch, start);
}

/* Number in the set of the key to be processed as the i-th, in index order */
static int
key_in_index_order(const VecsegTids *tids, int i)
{
	return ascending(tids) ? i : tids->set->nkeys - 1 - i;
}

/* Find the leaf page where a key of the set belongs, if not done already. */
static VecsegLeaf *
find_leaf(VecsegTids *tids, int key)
{
	VecsegLeaf *leaf = &tids->states[key].leaf;

	if (!BlockNumberIsValid(leaf->block))
		leaf->block = vecseg_lookup_leaf(tids->lookup, rank_of_key(tids, key),
										 tids->set->values[key]);
	return leaf;
}

/* Have the leaf page of a key of the set read, unless it seems in memory. */
static void
want_leaf(VecsegTids *tids, int key)
{
	VecsegLeaf *leaf;

	CHECK_FOR_INTERRUPTS();
	if (!vecseg_watch_wants_prefetch(&tids->leaf_watch,
									 &tids->states[key].timed))
		return;
	if (tids->window != NULL)
		vecseg_window_keep_reading(tids->window);
	leaf = find_leaf(tids, key);
	if (BlockNumberIsValid(leaf->block))
		vecseg_pages_want(tids->leaf_pages, leaf->block, &leaf->buffer);
}

/* The key to be processed as the i-th: of these, or in index order if NULL */
static int
key_number(const VecsegTids *tids, const int *keys, int i)
{
	return keys != NULL ? keys[i] : key_in_index_order(tids, i);
}

/*
 * Have the processor fetch the leaf pages of the keys to come, with keys, next
 * and end as below.
 */
static void
touch_leaves(VecsegTids *tids, const int *keys, int next, int end)
{
	int until = Min(next + TOUCH_FIRST, end);

	if (!tids->unique || end < 2)
		return;
	for (; tids->keys_touched < until; tids->keys_touched++)
	{
		int i = tids->keys_touched;
		VecsegLeaf *leaf = find_leaf(tids, key_number(tids, keys, i));
		VecsegLeaf *previous =
			i == 0 ? NULL : &tids->states[key_number(tids, keys, i - 1)].leaf;

		if (previous != NULL && previous->block == leaf->block)
		{
			leaf->buffer = previous->buffer;
			continue;
		}
		if (!BufferIsValid(leaf->buffer) && BlockNumberIsValid(leaf->block))
			leaf->buffer = vecseg_read_recent(tids->index, leaf->block);
		vecseg_touch_leaf(leaf->buffer);
	}
	if (next + TOUCH_SECOND < tids->keys_touched)
	{
		int key = key_number(tids, keys, next + TOUCH_SECOND);

		vecseg_touch_leaf_items(tids->states[key].leaf.buffer);
	}
}

/*
 * Prefetch the leaf pages of the keys to come.  keys: their numbers in the
 * order of processing, NULL for the index order; next: the one to be looked up
 * next; end: of the batch.
 */
static void
prefetch_leaves(VecsegTids *tids, const int *keys, int next, int end)
{
	int until = Min(next + PAGES_AHEAD, end);

	tids->prefetched = Max(tids->prefetched, next);
	if (!tids->prefetch || end < 2 ||
		tids->prefetched >= Min(next + PAGES_AHEAD / 2, end))
		return;
	for (; tids->prefetched < until; tids->prefetched++)
		want_leaf(tids, key_number(tids, keys, tids->prefetched));
	vecseg_pages_prefetch(tids->leaf_pages);
}

static void
load_keys_in_index_order(VecsegTids *tids)
{
	int end = Min(tids->next_key + tids->batch, tids->set->nkeys);
	int until = tids->count + tids->batch;

	while (tids->count < until)
	{
		if (tids->in_key)
			put_next(tids, 0);
		else if (tids->next_key == tids->set->nkeys)
		{
			tids->exhausted = true;
			return;
		}
		else
		{
			if (tids->next_key < end)
			{
				prefetch_leaves(tids, NULL, tids->next_key, end);
				touch_leaves(tids, NULL, tids->next_key, end);
			}
			put_key(tids, key_in_index_order(tids, tids->next_key++), 0);
		}
	}
}

/* Take the next keys in the order asked for, sorted in index order. */
static void
take_batch_of_keys(VecsegTids *tids)
{
	int n = Min(tids->batch, tids->set->nkeys - tids->next_key);
	const int *asked = tids->asked + tids->next_key;
	Bitmapset *batch = NULL;
	int key = -1;
	int i;

	for (i = 0; i < n; i++)
		batch = bms_add_member(batch, asked[i]);
	tids->batch_keys =
		MemoryContextAlloc(tids->context, Max(n, 1) * sizeof(int));
	for (i = 0; i < n; i++)
		tids->batch_keys[i] = key = bms_next_member(batch, key);
	bms_free(batch);
	tids->nbatch_keys = n;
	tids->next_key += n;
	tids->prefetched = tids->keys_touched = 0;
}

/*
 * Bring the batch's addresses, in the queue from `start` on, into the order
 * asked for.
 */
static void
restore_order(VecsegTids *tids, int start)
{
	const int *asked = tids->asked + tids->next_key - tids->nbatch_keys;
	int count = tids->count - start;
	VecsegAddress *addresses = MemoryContextAllocHuge(
		tids->context, Max(count, 1) * sizeof(VecsegAddress));
	VecsegAddress *to = tids->queue + start;
	int i;

	memcpy(addresses, to, count * sizeof(VecsegAddress));
	for (i = 0; i < tids->nbatch_keys; i++)
	{
		const VecsegKeyState *state = &tids->states[asked[i]];

		memcpy(to, addresses + state->first - start,
			   state->count * sizeof(VecsegAddress));
		to += state->count;
	}
	pfree(addresses);
}

static void
load_keys_in_asked_order(VecsegTids *tids)
{
	int start = tids->count;
	int i;

	if (tids->batch_keys == NULL)
		take_batch_of_keys(tids);
	for (i = 0; i < tids->nbatch_keys; i++)
	{
		int key = tids->batch_keys[i];
		VecsegKeyState *state = &tids->states[key];
		int position = tids->set->positions[key];

		prefetch_leaves(tids, tids->batch_keys, i, tids->nbatch_keys);
		touch_leaves(tids, tids->batch_keys, i, tids->nbatch_keys);
		state->first = tids->count;
		put_key(tids, key, position);
		while (tids->in_key)
			put_next(tids, position);
		state->count = tids->count - state->first;
	}
	restore_order(tids, start);
	tids->exhausted = tids->next_key == tids->set->nkeys;
	pfree(tids->batch_keys);
	tids->batch_keys = NULL;
}

/* Take a batch of addresses from the index. */
void
vecseg_tids_load_keys(VecsegTids *tids)
{
	if (tids->asked != NULL && tids->set->nkeys > 0)
		load_keys_in_asked_order(tids);
	else
		load_keys_in_index_order(tids);
	vecseg_lookup_unpin(tids->lookup);
}

/* Prefetch the leaf pages of the next batch while rows of this one are read. */
void
vecseg_tids_prefetch_keys(VecsegTids *tids)
{
	if (tids->exhausted || tids->batch < MIN_WALK_BATCH)
		return;
	if (tids->asked != NULL)
	{
		take_batch_of_keys(tids);
		prefetch_leaves(tids, tids->batch_keys, 0, tids->nbatch_keys);
	}
	else
		prefetch_leaves(tids, NULL, tids->next_key,
						Min(tids->next_key + tids->batch, tids->set->nkeys));
}
