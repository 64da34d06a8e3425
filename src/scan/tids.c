/*-------------------------------------------------------------------------
 *
 * tids.c
 *	  Row addresses from an index, ahead of need.
 *
 * Addresses are taken from the index in batches: of one at first, so that a
 * LIMIT 1 costs no more than one, then of twice as many each time.  If all will
 * be wanted they are large at once: the larger a batch, the closer together are
 * the pages that it needs, and the fewer requests it takes to read them.  The
 * next batch is taken when half of the last one was consumed.  The heap pages of
 * the addresses to come are prefetched.
 *
 * There are three ways to get a batch:
 *
 * - A range: the index scan goes on where it was.  The leaf pages to come
 *	 are prefetched.
 *
 * - The keys of "key = ANY (array)" (tids_keys.c).  One by one they are looked
 *	 up in index order, the leaf pages of the keys to come being prefetched.  If
 *	 a key has one row, lookup.c does that; else it is an index scan for just
 *	 that key, as there may be other conditions, and more rows than to be held
 *	 at once.  The order asked for may be that of the array (vecseg_retrieve).
 *	 Then the batches are taken in the array's order, and within a batch, keys
 *	 are looked up in index order and their addresses put back into the array's.
 *	 The larger the batch, the more keys are found on a page that is still at
 *	 hand.
 *
 * - A search, by an index that orders by distance.  What it costs to get
 *	 further addresses is not known, and may be much: batches stay small, the
 *	 next is taken when the last was consumed, and none goes beyond the rows
 *	 that a LIMIT is known to take, until these are consumed.
 *
 * Holding addresses without a pin is safe with an MVCC snapshot only: what
 * VACUUM puts in the place of a row that was dead is not visible to it.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/spccache.h"

#include "compat.h"
#include "scan/tids.h"
#include "segment/read.h"

/* Addresses in a batch at most: from a range, for the keys of an array, ... */
#define MAX_RANGE_BATCH 1024
#define MAX_KEY_BATCH 16384
#define MAX_SEARCH_BATCH 64

/*
 * window: for what the addresses are wanted; may be NULL.
 * flags: of index_beginscan(), SO_HINT_...
 */
VecsegTids *
vecseg_tids_create(Relation heap, Relation index, Snapshot snapshot,
				   ScanDirection direction, VecsegWindow *window, uint32 flags)
{
	VecsegTids *tids = palloc0(sizeof(VecsegTids));

	Assert(IsMVCCSnapshot(snapshot));
	tids->heap = heap;
	tids->index = index;
	tids->snapshot = snapshot;
	tids->direction = direction;
	tids->window = window;
	tids->flags = flags;
	tids->prefetch =
		get_tablespace_io_concurrency(heap->rd_rel->reltablespace) > 0;
	tids->heap_pages = vecseg_pages_create(heap);
	tids->leaf_pages = vecseg_pages_create(index);
	tids->max = MAX_RANGE_BATCH;
	tids->queue = palloc(tids->max * sizeof(VecsegAddress));
	tids->context = AllocSetContextCreate(CurrentMemoryContext, "vecseg tids",
										  ALLOCSET_DEFAULT_SIZES);
	return tids;
}

/* Have an index scan for so many conditions and distances. */
static void
begin_index_scan(VecsegTids *tids, int nkeys, int norderbys)
{
	if (tids->scan != NULL && tids->scan->numberOfKeys == nkeys)
		return;
	if (tids->scan != NULL)
		index_endscan(tids->scan);
	tids->scan = index_beginscan(tids->heap, tids->index, tids->snapshot, NULL,
								 nkeys, norderbys, tids->flags);
}

static int
max_batch(const VecsegTids *tids)
{
	return tids->set == NULL ? MAX_RANGE_BATCH : MAX_KEY_BATCH;
}

static void
empty_queue(VecsegTids *tids)
{
	tids->exhausted = false;
	tids->first = tids->count = tids->low_water = 0;
	tids->heap_prefetched = tids->rows_touched = 0;
	tids->heap_block = InvalidBlockNumber;
	tids->batch = 1;
}

/*
 * Start from the beginning, in the order of these distances.  expected: as
 * many addresses are needed; 0 if that is not known.
 */
void
vecseg_tids_start_search(VecsegTids *tids, ScanKey orderbys, int norderbys,
						 int expected)
{
	begin_index_scan(tids, 0, norderbys);
	empty_queue(tids);
	tids->norderbys = norderbys;
	tids->expected = expected;
	index_rescan(tids->scan, NULL, 0, orderbys, norderbys);
}

/*
 * Start from the beginning with these conditions, which must stay as they
 * are.  asked_order: in the order of the array in a condition = ANY (array)
 * on the first column, of which the index must be unique.  eager: all rows will
 * be wanted.
 */
void
vecseg_tids_start(VecsegTids *tids, ScanKey keys, int nkeys, bool asked_order,
				  bool eager)
{
	MemoryContext oldcontext;

	begin_index_scan(tids, nkeys, 0);
	empty_queue(tids);
	MemoryContextReset(tids->context);
	oldcontext = MemoryContextSwitchTo(tids->context);
	tids->keys = palloc(Max(nkeys, 1) * sizeof(ScanKeyData));
	memcpy(tids->keys, keys, nkeys * sizeof(ScanKeyData));
	tids->nkeys = nkeys;
	tids->walk = NULL;
	tids->walk_begun = false;
	tids->set = NULL;
	tids->asked = NULL;
	tids->batch_keys = NULL;
	tids->next_key = 0;
	tids->prefetched = tids->keys_touched = 0;
	tids->in_key = false;

	if (!vecseg_tids_start_array(tids, asked_order))
		index_rescan(tids->scan, tids->keys, tids->nkeys, NULL, 0);
	if (eager)
		tids->batch = max_batch(tids);
	MemoryContextSwitchTo(oldcontext);
}

/* Add an address to the queue. */
void
vecseg_tids_put(VecsegTids *tids, ItemPointer tid, int position)
{
	VecsegAddress *address;

	if (tids->first + tids->count == tids->max)
	{
		tids->max *= 2;
		tids->queue =
			repalloc_huge(tids->queue, tids->max * sizeof(VecsegAddress));
	}
	address = &tids->queue[tids->first + tids->count++];
	address->tid = *tid;
	address->timed = false;
	address->position = position;
	address->buffer = InvalidBuffer;
}

/* The next address from the index scan, or NULL */
ItemPointer
vecseg_tids_next(VecsegTids *tids)
{
	CHECK_FOR_INTERRUPTS();
	if (tids->window != NULL)
		vecseg_window_keep_reading(tids->window);
	return index_getnext_tid(tids->scan, tids->direction);
}

/* Prefetch leaf pages ahead of a range scan. */
static void
walk_leaves(VecsegTids *tids)
{
	BTScanOpaque so = (BTScanOpaque) tids->scan->opaque;

	if (!tids->prefetch || tids->batch < MIN_WALK_BATCH ||
		!BTScanPosIsValid(so->currPos))
		return;
	if (!tids->walk_begun)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(tids->context);

		tids->walk = vecseg_leaf_walk_begin(tids->index, tids->keys,
											tids->nkeys, tids->direction);
		tids->walk_begun = true;
		MemoryContextSwitchTo(oldcontext);
	}
	if (tids->walk != NULL)
		vecseg_leaf_walk_advance(tids->walk, so->currPos.currPage);
}

static void
load_search(VecsegTids *tids)
{
	int wanted = tids->batch;
	int n;

	if (tids->expected > 0)
	{
		wanted = Min(tids->expected, MAX_SEARCH_BATCH);
		tids->expected -= wanted;
	}
	else
		tids->batch = Min(tids->batch * 2, MAX_SEARCH_BATCH);
	for (n = 0; n < wanted && !tids->exhausted; n++)
	{
		ItemPointer tid = vecseg_tids_next(tids);

		if (tid == NULL)
			tids->exhausted = true;
		else if (tids->scan->xs_recheck || tids->scan->xs_recheckorderby)
			elog(ERROR, "index \"%s\" orders by distance only roughly",
				 RelationGetRelationName(tids->index));
		else
			vecseg_tids_put(tids, tid, 0);
	}
}

static void
load_range(VecsegTids *tids)
{
	int n;

	walk_leaves(tids);
	for (n = 0; n < tids->batch; n++)
	{
		ItemPointer tid = vecseg_tids_next(tids);

		if (tid == NULL)
		{
			tids->exhausted = true;
			return;
		}
		vecseg_tids_put(tids, tid, 0);
	}
}

/* Prefetch the heap pages of addresses in the queue, if they seem not cached. */
static void
prefetch_heap(VecsegTids *tids)
{
	int until = Min(tids->count, PAGES_AHEAD);

	if (!tids->prefetch || tids->count < 2 ||
		tids->heap_prefetched >= Min(tids->count, PAGES_AHEAD / 2))
		return;
	for (; tids->heap_prefetched < until; tids->heap_prefetched++)
	{
		VecsegAddress *address =
			&tids->queue[tids->first + tids->heap_prefetched];
		BlockNumber block = ItemPointerGetBlockNumber(&address->tid);

		if (block == tids->heap_block)
			continue;
		tids->heap_block = block;
		if (vecseg_watch_wants_prefetch(&tids->heap_watch, &address->timed))
			vecseg_pages_want(tids->heap_pages, block, &address->buffer);
	}
	vecseg_pages_prefetch(tids->heap_pages);
}

/* Have the processor fetch the rows to come. */
static void
touch_rows(VecsegTids *tids)
{
	VecsegAddress *next = &tids->queue[tids->first];
	int until = Min(tids->count, TOUCH_FIRST);

	if (tids->count < 2)
		return;
	for (; tids->rows_touched < until; tids->rows_touched++)
	{
		VecsegAddress *address = &next[tids->rows_touched];
		BlockNumber block = ItemPointerGetBlockNumber(&address->tid);

		if (tids->rows_touched > 0 &&
			ItemPointerGetBlockNumber(&address[-1].tid) == block)
			address->buffer = address[-1].buffer;
		else if (!BufferIsValid(address->buffer))
			address->buffer = vecseg_read_recent(tids->heap, block);
		vecseg_touch_heap_page(address->buffer, &address->tid);
	}
	if (tids->rows_touched > TOUCH_SECOND)
		vecseg_touch_row(next[TOUCH_SECOND].buffer, &next[TOUCH_SECOND].tid);
}

/*
 * Pin the page of a row, which was in this buffer of late, so that heapam need
 * not look for it in the buffer table: as it does itself, by pruning the page
 * when it is new.
 */
static void
pin_row_page(VecsegTids *tids, BlockNumber block, Buffer recent)
{
	IndexFetchHeapData *fetch = (IndexFetchHeapData *) tids->scan->xs_heapfetch;

	if (BufferIsValid(fetch->xs_cbuf))
	{
		if (BufferGetBlockNumber(fetch->xs_cbuf) == block)
			return;
		ReleaseBuffer(fetch->xs_cbuf);
		fetch->xs_cbuf = InvalidBuffer;
	}
	VECSEG_SET_FETCHED_BLOCK(fetch, InvalidBlockNumber);
	fetch->xs_cbuf = vecseg_read_pin_recent(tids->heap, block, recent);
	VECSEG_SET_FETCHED_BLOCK(fetch, block);
	VECSEG_PRUNE_FETCHED(fetch);
}

/* Take the next batch from the index. */
static void
load(VecsegTids *tids)
{
	if (tids->first > 0)
		memmove(tids->queue, tids->queue + tids->first,
				tids->count * sizeof(VecsegAddress));
	tids->first = 0;
	if (tids->norderbys > 0)
	{
		load_search(tids);
		return;
	}
	if (tids->set == NULL)
		load_range(tids);
	else
		vecseg_tids_load_keys(tids);
	tids->low_water = tids->count / 2;
	tids->batch = Min(tids->batch * 2, max_batch(tids));
	if (tids->set != NULL)
		vecseg_tids_prefetch_keys(tids);
}

/*
 * Take the next address and fetch its row into the slot.  visible: whether
 * there is one that the snapshot sees.  position: where its key comes in the
 * array, when addresses come in the array's order.  False if there are no more
 * addresses.
 */
bool
vecseg_tids_fetch(VecsegTids *tids, TupleTableSlot *slot, bool *visible,
				  int *position)
{
	VecsegAddress address;
	instr_time start;
	bool call_again = false;

	while (!tids->exhausted && tids->count <= tids->low_water)
	{
		load(tids);
		if (tids->count > 0)
			break;
	}
	if (tids->count == 0)
		return false;
	prefetch_heap(tids);
	touch_rows(tids);
	address = tids->queue[tids->first++];
	tids->count--;
	tids->heap_prefetched = Max(tids->heap_prefetched - 1, 0);
	tids->rows_touched = Max(tids->rows_touched - 1, 0);

	*position = address.position;
	if (address.timed)
		INSTR_TIME_SET_CURRENT(start);
	if (BufferIsValid(address.buffer))
		pin_row_page(tids, ItemPointerGetBlockNumber(&address.tid),
					 address.buffer);
	*visible = table_index_fetch_tuple(tids->scan->xs_heapfetch, &address.tid,
									   tids->snapshot, slot, &call_again, NULL);
	if (address.timed)
		vecseg_watch_note(&tids->heap_watch, start);
	return true;
}

void
vecseg_tids_end(VecsegTids *tids)
{
	if (tids->scan != NULL)
		index_endscan(tids->scan);
	MemoryContextDelete(tids->context);
	pfree(tids->queue);
	pfree(tids);
}
