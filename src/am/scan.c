/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  Table scans that read vectors ahead.
 *
 * Sequential and TID-range scans (and so COPY TO, CREATE TABLE AS, the
 * initial copy of a subscription, each worker of a parallel scan) are
 * heapam's, with a window of rows between heapam and the executor: rows are
 * taken from heapam ahead of the executor, and the vectors of those rows are
 * read in batches.
 *
 * Whether the query uses the vectors is found out while it runs.  A scan
 * starts without reading ahead, and watches a few rows (offer.c).  When their
 * vectors are detoasted it opens a window for the columns concerned.  From
 * then on it watches a row now and then, less and less often: such a row is
 * returned with its pointers in place, and if it is not detoasted the scan
 * goes back to returning pointers, once the rows it holds are used up.
 *
 *				 detoasted twice in a row
 *	  WATCHING ----------------------------> AHEAD
 *			   <----------------------------
 *				 not detoasted twice in a row
 *
 * Sample scans, and bitmap scans before PostgreSQL 18, go page by page, as the
 * executor tells them; they read ahead the rows of one page, if memory allows.
 *
 * Only scans with an MVCC snapshot read ahead: for them, a row returned
 * later is the same row.  A change of direction returns to heapam's
 * position: the rows taken ahead are stepped back over.
 *
 * The rows' descriptor is that of the caller's slot: while ALTER TABLE rewrites
 * a table, the relation has the new one already.
 *
 * A scan descriptor is heapam's with our state behind it, so that heapam's
 * functions work on it.  It is made longer where it is, for since PostgreSQL 17
 * the scan's read stream has its address: it has a memory context of its own,
 * and such a context rounds sizes up to powers of two.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "am/am.h"
#include "am/offer.h"
#include "am/window.h"
#include "compat.h"

/* Watch the first rows, then one in so many, then ever fewer */
#define WATCH_FIRST 4
#define FIRST_INTERVAL 16
#define LAST_INTERVAL 4096

/* What a scan that may read ahead knows */
typedef struct ScanAhead
{
	MemoryContext context;
	VecsegOffer *offer;
	Bitmapset *columns;	  /* seen detoasted */
	int agreed;			  /* watched rows in a row with the same finding */
	uint64 returned;	  /* rows */
	uint64 watch_next;	  /* watch this one */
	uint64 interval;	  /* between watched rows */
	bool watched;		  /* was the row returned last offered? */
	VecsegWindow *window; /* while reading ahead */
	TupleTableSlot *slot; /* for rows from heapam */
	bool draining;		  /* use up the window's rows, then close it */
	bool exhausted;		  /* heapam has returned its last row */
	bool ended;			  /* and the executor was told */
	bool refused;		  /* this scan does not read ahead */
	bool recheck;		  /* heapam's page: see heap_next_row_bitmap() */
} ScanAhead;

typedef struct VecsegScanDescData
{
	HeapScanDescData heap; /* must be first */
	ScanAhead *ahead;	   /* NULL before the first row */
} VecsegScanDescData;

typedef VecsegScanDescData *VecsegScanDesc;

/*
 * Where rows come from: a callback of heapam; arg is its further argument.
 * recheck: where it says whether a row must be rechecked, if it does; what the
 * executor is to be told for a row from a window.
 */
typedef struct RowSource
{
	bool (*next)(TableScanDesc scan, ScanDirection direction,
				 TupleTableSlot *slot, void *arg);
	void *arg;
	bool by_page; /* it ends with each page */
	bool *recheck;
} RowSource;

TableScanDesc
vecseg_scan_begin(Relation rel, Snapshot snapshot, int nkeys, ScanKey key,
				  ParallelTableScanDesc pscan, uint32 flags)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecseg table scan", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TableScanDesc heap = vecseg_heap_routine()->scan_begin(rel, snapshot, nkeys,
														   key, pscan, flags);
	VecsegScanDesc scan = repalloc(heap, sizeof(VecsegScanDescData));

	if ((TableScanDesc) scan != heap)
		elog(ERROR, "scan descriptor has moved");
	scan->ahead = NULL;
	MemoryContextSwitchTo(old);
	return (TableScanDesc) scan;
}

static ScanAhead *
begin_ahead(TableScanDesc scan, TupleDesc desc)
{
	Relation rel = scan->rs_rd;
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(scan));
	ScanAhead *ahead = palloc0(sizeof(ScanAhead));

	ahead->context = CurrentMemoryContext;
	ahead->interval = FIRST_INTERVAL;
	ahead->refused = !OidIsValid(rel->rd_rel->reltoastrelid) ||
					 RelationUsesLocalBuffers(rel) ||
					 scan->rs_snapshot == NULL ||
					 !IsMVCCSnapshot(scan->rs_snapshot);
	if (!ahead->refused)
		ahead->offer = vecseg_offer_create(desc, rel->rd_rel->reltoastrelid);
	MemoryContextSwitchTo(old);
	return ahead;
}

static void
close_window(ScanAhead *ahead)
{
	if (ahead->window != NULL)
		vecseg_window_close(ahead->window);
	ahead->window = NULL;
	ahead->draining = false;
	if (ahead->slot != NULL)
		ExecClearTuple(ahead->slot);
}

/* Start over, before a rescan or the end. */
static void
reset_ahead(ScanAhead *ahead)
{
	if (ahead->refused)
		return;
	close_window(ahead);
	vecseg_offer_withdraw(ahead->offer);
	ahead->agreed = 0;
	ahead->returned = 0;
	ahead->watch_next = 0;
	ahead->interval = FIRST_INTERVAL;
	ahead->watched = false;
	ahead->exhausted = false;
	ahead->ended = false;
}

void
vecseg_scan_end(TableScanDesc scan)
{
	ScanAhead *ahead = ((VecsegScanDesc) scan)->ahead;
	MemoryContext context = GetMemoryChunkContext(scan);

	if (ahead != NULL)
	{
		reset_ahead(ahead);
		if (ahead->slot != NULL)
			ExecDropSingleTupleTableSlot(ahead->slot);
	}
	vecseg_heap_routine()->scan_end(scan);
	MemoryContextDelete(context);
}

void
vecseg_scan_rescan(TableScanDesc scan, ScanKey key, bool set_params,
				   bool allow_strat, bool allow_sync, bool allow_pagemode)
{
	ScanAhead *ahead = ((VecsegScanDesc) scan)->ahead;

	if (ahead != NULL)
		reset_ahead(ahead);
	vecseg_heap_routine()->scan_rescan(scan, key, set_params, allow_strat,
									   allow_sync, allow_pagemode);
}

/*
 * Learn from the row returned last, if it was watched, whether vectors are
 * being used, and of which columns.
 */
static void
learn(ScanAhead *ahead)
{
	MemoryContext old;
	Bitmapset *taken;
	bool news;

	if (!ahead->watched)
		return;
	ahead->watched = false;

	old = MemoryContextSwitchTo(ahead->context);
	taken = vecseg_offer_taken(ahead->offer);
	if (ahead->window == NULL)
		news = taken != NULL;
	else if (taken == NULL)
		news = vecseg_offer_is_open(ahead->offer);
	else
	{
		news = false;
		ahead->draining |= !bms_is_subset(taken, ahead->columns);
	}
	ahead->columns = bms_add_members(ahead->columns, taken);
	ahead->agreed = news ? ahead->agreed + 1 : 0;
	if (news)
		ahead->watch_next = ahead->returned;
	bms_free(taken);
	vecseg_offer_withdraw(ahead->offer);
	MemoryContextSwitchTo(old);
}

/* Is the next row to be watched?  Rows with news are watched in succession. */
static bool
to_be_watched(ScanAhead *ahead)
{
	uint64 row = ahead->returned++;

	if (row < WATCH_FIRST)
		return true;
	if (row < ahead->watch_next)
		return false;
	ahead->watch_next = row + ahead->interval;
	ahead->interval = Min(ahead->interval * 2, LAST_INTERVAL);
	return true;
}

/* Watch a row that is about to be returned. */
static void
watch(ScanAhead *ahead, TupleTableSlot *slot)
{
	vecseg_offer_row(ahead->offer, slot);
	ahead->watched = true;
}

static void
open_window(TableScanDesc scan, ScanAhead *ahead, TupleDesc desc, bool by_page)
{
	MemoryContext old = MemoryContextSwitchTo(ahead->context);

	if (ahead->slot == NULL)
		ahead->slot = MakeSingleTupleTableSlot(desc, &TTSOpsBufferHeapTuple);
	ahead->window = vecseg_window_create(scan->rs_rd, ahead->columns,
										 VECSEG_READ_IN_ORDER, NULL);
	if (by_page)
		vecseg_window_expect(ahead->window, MaxHeapTuplesPerPage);
	ahead->agreed = 0;
	ahead->interval = FIRST_INTERVAL;
	ahead->watch_next = ahead->returned + ahead->interval;
	MemoryContextSwitchTo(old);
}

/* Fill the window, and take the next row from it. */
static bool
next_from_window(TableScanDesc scan, ScanAhead *ahead, const RowSource *source,
				 TupleTableSlot *slot)
{
	while (!ahead->exhausted && !ahead->draining &&
		   !vecseg_window_full(ahead->window))
	{
		if (!source->next(scan, ForwardScanDirection, ahead->slot, source->arg))
		{
			ahead->exhausted = true;
			break;
		}
		vecseg_window_push(ahead->window, ahead->slot);
		if (source->recheck != NULL && *source->recheck)
			vecseg_window_mark(ahead->window);
	}
	if (!vecseg_window_pop(ahead->window, slot))
	{
		/* of many partitions' scans none is closed before all have ended */
		if (!source->by_page)
			vecseg_window_reset(ahead->window);
		ahead->ended = true;
		return false;
	}
	if (source->recheck != NULL)
		*source->recheck = vecseg_window_marked(ahead->window);
	if (to_be_watched(ahead))
	{
		/* the pointers again: what is deformed anew is the tuple itself */
		slot->tts_nvalid = 0;
		((HeapTupleTableSlot *) slot)->off = 0;
		watch(ahead, slot);
	}
	return true;
}

/*
 * Give up reading ahead because the executor turns round: step back over the
 * rows taken ahead, so that heapam is where the executor believes it to be.
 */
static void
turn_round(TableScanDesc scan, ScanAhead *ahead, const RowSource *source)
{
	int steps = vecseg_window_rows(ahead->window);

	if (ahead->exhausted)
		steps = ahead->ended ? 0 : steps + 1;
	close_window(ahead);
	while (steps-- > 0)
		(void) source->next(scan, BackwardScanDirection, ahead->slot,
							source->arg);
	ExecClearTuple(ahead->slot);
}

static bool
next_row(TableScanDesc scan, ScanDirection direction, TupleTableSlot *slot,
		 const RowSource *source)
{
	VecsegScanDesc vscan = (VecsegScanDesc) scan;
	ScanAhead *ahead;

	if (vscan->ahead == NULL)
		vscan->ahead = begin_ahead(scan, slot->tts_tupleDescriptor);
	ahead = vscan->ahead;

	if (!ahead->refused && !ScanDirectionIsForward(direction))
	{
		if (ahead->window != NULL)
			turn_round(scan, ahead, source);
		vecseg_offer_withdraw(ahead->offer);
		ahead->refused = true;
	}
	if (ahead->refused)
		return source->next(scan, direction, slot, source->arg);

	learn(ahead);
	if (ahead->window != NULL)
	{
		ahead->draining |= ahead->agreed >= 2;
		if (ahead->draining && vecseg_window_rows(ahead->window) == 0 &&
			!ahead->exhausted)
			close_window(ahead);
	}
	else if (ahead->agreed >= 2)
		open_window(scan, ahead, slot->tts_tupleDescriptor, source->by_page);
	if (ahead->window != NULL)
		return next_from_window(scan, ahead, source, slot);

	if (!source->next(scan, direction, slot, source->arg))
		return false;
	if (to_be_watched(ahead))
		watch(ahead, slot);
	return true;
}

static bool
heap_next_row(TableScanDesc scan, ScanDirection direction, TupleTableSlot *slot,
			  void *arg)
{
	return heap_getnextslot(scan, direction, slot);
}

/* Is the next row nothing but heapam's?  Most are, if no vectors are used. */
static inline bool
is_plain(const ScanAhead *ahead, ScanDirection direction)
{
	return ahead->window == NULL && !ahead->watched &&
		   ahead->returned >= WATCH_FIRST &&
		   ahead->returned < ahead->watch_next &&
		   ScanDirectionIsForward(direction);
}

/* On its own, so that plain rows need no stack for the source. */
static pg_noinline bool
next_row_of_scan(TableScanDesc scan, ScanDirection direction,
				 TupleTableSlot *slot)
{
	RowSource source = { heap_next_row, NULL, false, NULL };

	return next_row(scan, direction, slot, &source);
}

bool
vecseg_scan_getnextslot(TableScanDesc scan, ScanDirection direction,
						TupleTableSlot *slot)
{
	ScanAhead *ahead = ((VecsegScanDesc) scan)->ahead;

	if (ahead != NULL && is_plain(ahead, direction))
	{
		ahead->returned++;
		return heap_getnextslot(scan, direction, slot);
	}
	return next_row_of_scan(scan, direction, slot);
}

static bool
heap_next_row_tidrange(TableScanDesc scan, ScanDirection direction,
					   TupleTableSlot *slot, void *arg)
{
	return vecseg_heap_routine()->scan_getnextslot_tidrange(scan, direction,
															slot);
}

bool
vecseg_scan_getnextslot_tidrange(TableScanDesc scan, ScanDirection direction,
								 TupleTableSlot *slot)
{
	RowSource source = { heap_next_row_tidrange, NULL, false, NULL };

	return next_row(scan, direction, slot, &source);
}

/* The scan goes on to another page, whose rows can be taken again. */
static void
begin_page(TableScanDesc scan)
{
	ScanAhead *ahead = ((VecsegScanDesc) scan)->ahead;

	if (ahead != NULL)
		ahead->exhausted = ahead->ended = false;
}

#if VECSEG_BITMAP_SCAN_BY_PAGE

bool
vecseg_scan_bitmap_next_block(TableScanDesc scan,
							  struct TBMIterateResult *tbmres)
{
	begin_page(scan);
	return vecseg_heap_routine()->scan_bitmap_next_block(scan, tbmres);
}

static bool
heap_next_row_bitmap(TableScanDesc scan, ScanDirection direction,
					 TupleTableSlot *slot, void *arg)
{
	return vecseg_heap_routine()->scan_bitmap_next_tuple(scan, arg, slot);
}

bool
vecseg_scan_bitmap_next_tuple(TableScanDesc scan,
							  struct TBMIterateResult *tbmres,
							  TupleTableSlot *slot)
{
	RowSource source = { heap_next_row_bitmap, tbmres, true, NULL };

	return next_row(scan, ForwardScanDirection, slot, &source);
}

#else

/* What heapam's callback returns besides the row */
typedef struct BitmapResult
{
	bool *recheck;
	uint64 *lossy_pages;
	uint64 *exact_pages;
} BitmapResult;

/*
 * heapam tells whether to recheck once for each page, and relies on the answer
 * being left alone; the executor's is that of the row popped last.
 */
static bool
heap_next_row_bitmap(TableScanDesc scan, ScanDirection direction,
					 TupleTableSlot *slot, void *arg)
{
	BitmapResult *result = arg;
	ScanAhead *ahead = ((VecsegScanDesc) scan)->ahead;
	bool found = vecseg_heap_routine()->scan_bitmap_next_tuple(
		scan, slot, &ahead->recheck, result->lossy_pages, result->exact_pages);

	*result->recheck = ahead->recheck;
	return found;
}

bool
vecseg_scan_bitmap_next_tuple(TableScanDesc scan, TupleTableSlot *slot,
							  bool *recheck, uint64 *lossy_pages,
							  uint64 *exact_pages)
{
	BitmapResult result = { recheck, lossy_pages, exact_pages };
	RowSource source = { heap_next_row_bitmap, &result, false, recheck };

	return next_row(scan, ForwardScanDirection, slot, &source);
}

#endif

bool
vecseg_scan_sample_next_block(TableScanDesc scan,
							  struct SampleScanState *scanstate)
{
	begin_page(scan);
	return vecseg_heap_routine()->scan_sample_next_block(scan, scanstate);
}

static bool
heap_next_row_sample(TableScanDesc scan, ScanDirection direction,
					 TupleTableSlot *slot, void *arg)
{
	SampleScanState *state = arg;
	ScanAhead *ahead = ((VecsegScanDesc) scan)->ahead;
	int64 returned = state->donetuples;
	bool found;

	/* a sampling method may count rows: those in the window are as good as returned */
	if (ahead->window != NULL)
		state->donetuples += vecseg_window_rows(ahead->window);
	found = vecseg_heap_routine()->scan_sample_next_tuple(scan, state, slot);
	state->donetuples = returned;
	return found;
}

bool
vecseg_scan_sample_next_tuple(TableScanDesc scan,
							  struct SampleScanState *scanstate,
							  TupleTableSlot *slot)
{
	RowSource source = { heap_next_row_sample, scanstate, true, NULL };

	return next_row(scan, ForwardScanDirection, slot, &source);
}
