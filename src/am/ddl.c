/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  Index builds, and CLUSTER / VACUUM FULL / REPACK.
 *
 * Index builds.  heapam's callbacks read the table by heap_getnext(), which
 * insists on rd_tableam being heap's.  The relation's rd_tableam is swapped
 * for the call.  A relation-cache invalidation in the midst of it would
 * restore the field, so a callback swaps it again.  Functions in the index's
 * expressions and predicate may run queries on the table, which must not take
 * it for a heap: they would have the server's toaster store values, or leave a
 * cursor with a scan that is not ours.  So the swap is undone while a function
 * runs, by the function manager's hooks.  Vectors are read ahead (build.c).
 *
 * CLUSTER and VACUUM FULL.  The loop is heapam's (see
 * heapam_relation_copy_for_cluster), except that each row's values are
 * stored anew, in the order of the rows, in the new TOAST relation, before
 * the row goes to the rewrite module; so the store is compacted too.  REPACK
 * (CONCURRENTLY) copies what a snapshot shows, without that module, and applies
 * changes made meanwhile by the callbacks for inserts, updates and deletes.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/rewriteheap.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_progress.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/tuplesort.h"

#include "am/am.h"
#include "am/build.h"
#include "compat.h"
#include "segment/store.h"

/* Relation whose rd_tableam is heap's for now; calls can nest */
typedef struct HeapGuise
{
	Relation rel;
	const TableAmRoutine *routine; /* the right one */
	struct HeapGuise *outer;
} HeapGuise;

static HeapGuise *guises = NULL; /* those worn */

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;
static fmgr_hook_type prev_fmgr_hook = NULL;

static void
wear_guises(Datum arg, Oid relid)
{
	HeapGuise *guise;

	for (guise = guises; guise != NULL; guise = guise->outer)
		guise->rel->rd_tableam = vecseg_heap_routine();
}

static bool
needs_fmgr_hook_for_guises(Oid function)
{
	return guises != NULL ||
		   (prev_needs_fmgr_hook != NULL && prev_needs_fmgr_hook(function));
}

/* What a function's call keeps for us: calls of one FmgrInfo may nest */
typedef struct TakenOff
{
	HeapGuise *guises;
	struct TakenOff *outer;
} TakenOff;

/* What is kept for a function, for us and for the hook before ours */
typedef struct FunctionCall
{
	TakenOff *taken_off;
	Datum prev_private;
} FunctionCall;

/* Take guises off while a function runs. */
static void
take_guises_off(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	FunctionCall *call = (FunctionCall *) DatumGetPointer(*private);
	TakenOff *taken_off;
	HeapGuise *guise;

	if (call == NULL)
	{
		call = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(FunctionCall));
		*private = PointerGetDatum(call);
	}
	if (event == FHET_START)
	{
		taken_off = MemoryContextAlloc(flinfo->fn_mcxt, sizeof(TakenOff));
		taken_off->guises = guises;
		taken_off->outer = call->taken_off;
		call->taken_off = taken_off;
		for (guise = guises; guise != NULL; guise = guise->outer)
			guise->rel->rd_tableam = guise->routine;
		guises = NULL;
	}
	else
	{
		taken_off = call->taken_off;
		call->taken_off = taken_off->outer;
		guises = taken_off->guises;
		pfree(taken_off);
		wear_guises((Datum) 0, InvalidOid);
	}
	if (prev_fmgr_hook != NULL)
		prev_fmgr_hook(event, flinfo, &call->prev_private);
}

static void
begin_guise(HeapGuise *guise, Relation rel)
{
	guise->rel = rel;
	guise->routine = rel->rd_tableam;
	guise->outer = guises;
	guises = guise;
	rel->rd_tableam = vecseg_heap_routine();
}

static void
end_guise(HeapGuise *guise)
{
	guises = guise->outer;
	guise->rel->rd_tableam = guise->routine;
}

/* To be called once per backend. */
void
vecseg_ddl_init(void)
{
	CacheRegisterRelcacheCallback(wear_guises, (Datum) 0);
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = needs_fmgr_hook_for_guises;
	prev_fmgr_hook = fmgr_hook;
	fmgr_hook = take_guises_off;
}

static double
build_range_in_guise(Relation table_rel, Relation index_rel,
					 IndexInfo *index_info, bool allow_sync, bool anyvisible,
					 bool progress, BlockNumber start_blockno,
					 BlockNumber numblocks, IndexBuildCallback callback,
					 void *callback_state, TableScanDesc scan)
{
	HeapGuise guise;
	double result;

	begin_guise(&guise, table_rel);
	PG_TRY();
	{
		result = vecseg_heap_routine()->index_build_range_scan(
			table_rel, index_rel, index_info, allow_sync, anyvisible, progress,
			start_blockno, numblocks, callback, callback_state, scan);
	}
	PG_FINALLY();
	{
		end_guise(&guise);
	}
	PG_END_TRY();
	return result;
}

double
vecseg_index_build_range_scan(Relation table_rel, Relation index_rel,
							  IndexInfo *index_info, bool allow_sync,
							  bool anyvisible, bool progress,
							  BlockNumber start_blockno, BlockNumber numblocks,
							  IndexBuildCallback callback, void *callback_state,
							  TableScanDesc scan)
{
	VecsegBuild *build = NULL;
	double result;

	/*
	 * Where all rows count that are visible to anybody, they may be removed
	 * meanwhile, unless their page is pinned.
	 */
	if (!anyvisible || numblocks == 1)
		build =
			vecseg_build_begin(table_rel, index_info, callback, callback_state,
							   anyvisible ? start_blockno : InvalidBlockNumber);
	if (build == NULL)
		return build_range_in_guise(
			table_rel, index_rel, index_info, allow_sync, anyvisible, progress,
			start_blockno, numblocks, callback, callback_state, scan);

	result =
		build_range_in_guise(table_rel, index_rel, vecseg_build_columns(build),
							 allow_sync, anyvisible, progress, start_blockno,
							 numblocks, vecseg_build_add, build, scan);
	vecseg_build_end(build, index_rel);
	return result;
}

void
vecseg_index_validate_scan(Relation table_rel, Relation index_rel,
						   IndexInfo *index_info, Snapshot snapshot,
						   ValidateIndexState *state)
{
	HeapGuise guise;

	begin_guise(&guise, table_rel);
	PG_TRY();
	{
		vecseg_heap_routine()->index_validate_scan(table_rel, index_rel,
												   index_info, snapshot, state);
	}
	PG_FINALLY();
	{
		end_guise(&guise);
	}
	PG_END_TRY();
}

/* What CLUSTER carries from row to row */
typedef struct ClusterState
{
	Relation oldtable;
	Relation newtable;
	Relation newtoast;		 /* NULL when there is none */
	Snapshot snapshot;		 /* to copy what is visible to it, or NULL */
	RewriteState rewrite;	 /* NULL with a snapshot, and */
	BulkInsertState bistate; /* NULL without */
	Datum *values;
	bool *isnull;
} ClusterState;

/*
 * Call into the rewrite module: pointers to the new TOAST relation pass its
 * toaster.
 */
static void
begin_rewriting(ClusterState *state)
{
	if (state->newtoast != NULL)
		vecseg_passthrough_rewrite(OidIsValid(state->newtable->rd_toastoid)
									   ? state->newtable->rd_toastoid
									   : RelationGetRelid(state->newtoast),
								   state->newtoast);
}

/* Copy one row, and its values, to the new table. */
static void
rewrite_row(ClusterState *state, HeapTuple tuple)
{
	TupleDesc newdesc = RelationGetDescr(state->newtable);
	MemoryContext oldcontext = vecseg_toast_begin();
	HeapTuple copy;
	int i;

	heap_deform_tuple(tuple, RelationGetDescr(state->oldtable), state->values,
					  state->isnull);
	for (i = 0; i < newdesc->natts; i++)
	{
		if (TupleDescAttr(newdesc, i)->attisdropped)
			state->isnull[i] = true;
	}
	copy = heap_form_tuple(newdesc, state->values, state->isnull);
	copy = vecseg_toast_tuple(state->newtable, copy, NULL, true);

	if (state->rewrite != NULL)
	{
		vecseg_passthrough_clear();
		begin_rewriting(state);
		MemoryContextSwitchTo(oldcontext);
		rewrite_heap_tuple(state->rewrite, tuple, copy);
	}
	else
		heap_insert(state->newtable, copy, GetCurrentCommandId(true),
					HEAP_INSERT_NO_LOGICAL, state->bistate);
	vecseg_passthrough_clear();
	vecseg_toast_end(oldcontext);
}

/* Is a row version dead to everyone?  Counts those that soon will be. */
static bool
row_is_dead(Relation rel, HeapTuple tuple, Buffer buffer,
			TransactionId OldestXmin, double *tups_recently_dead)
{
	bool dead = false;

	/*
	 * The rewrite module goes by the row's hint bits.  From PostgreSQL 19 on, a
	 * shared lock does not suffice to have them set.
	 */
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	switch (HeapTupleSatisfiesVacuum(tuple, OldestXmin, buffer))
	{
		case HEAPTUPLE_DEAD:
			dead = true;
			break;
		case HEAPTUPLE_RECENTLY_DEAD:
			*tups_recently_dead += 1;
			break;
		case HEAPTUPLE_LIVE:
			break;
		case HEAPTUPLE_INSERT_IN_PROGRESS:
			if (!TransactionIdIsCurrentTransactionId(
					HeapTupleHeaderGetXmin(tuple->t_data)))
				elog(WARNING,
					 "concurrent insert in progress within table \"%s\"",
					 RelationGetRelationName(rel));
			break;
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			if (!TransactionIdIsCurrentTransactionId(
					HeapTupleHeaderGetUpdateXid(tuple->t_data)))
				elog(WARNING,
					 "concurrent delete in progress within table \"%s\"",
					 RelationGetRelationName(rel));
			*tups_recently_dead += 1;
			break;
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return dead;
}

static void
report_scan_progress(HeapScanDesc scan, BlockNumber *previous)
{
	if (*previous == scan->rs_cblock)
		return;
	*previous = scan->rs_cblock;
	pgstat_progress_update_param(
		PROGRESS_REPACK_HEAP_BLKS_SCANNED,
		(scan->rs_cblock + scan->rs_nblocks - scan->rs_startblock) %
				scan->rs_nblocks +
			1);
}

/* Read the sorted rows and copy them. */
static void
rewrite_sorted(ClusterState *state, Tuplesortstate *sort)
{
	double written = 0;
	HeapTuple tuple;

	pgstat_progress_update_param(PROGRESS_REPACK_PHASE,
								 PROGRESS_REPACK_PHASE_SORT_TUPLES);
	tuplesort_performsort(sort);
	pgstat_progress_update_param(PROGRESS_REPACK_PHASE,
								 PROGRESS_REPACK_PHASE_WRITE_NEW_HEAP);
	while ((tuple = tuplesort_getheaptuple(sort, true)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		rewrite_row(state, tuple);
		written += 1;
		pgstat_progress_update_param(PROGRESS_REPACK_HEAP_TUPLES_INSERTED,
									 written);
	}
}

static void
report_copied(double copied, bool written)
{
	const int index[] = { PROGRESS_REPACK_HEAP_TUPLES_SCANNED,
						  PROGRESS_REPACK_HEAP_TUPLES_INSERTED };
	int64 values[] = { copied, copied };

	pgstat_progress_update_multi_param(written ? 2 : 1, index, values);
}

/*
 * Scan the old table, in index order when an index is given and the rows are
 * not to be sorted, and copy its rows or put them into the sort.
 */
static void
copy_rows(ClusterState *state, Relation index, Tuplesortstate *sort,
		  TransactionId OldestXmin, double *num_tuples, double *tups_vacuumed,
		  double *tups_recently_dead)
{
	TupleTableSlot *slot = table_slot_create(state->oldtable, NULL);
	Snapshot snapshot = state->snapshot != NULL ? state->snapshot : SnapshotAny;
	IndexScanDesc index_scan = NULL;
	TableScanDesc table_scan = NULL;
	BlockNumber previous = InvalidBlockNumber;

	if (index != NULL)
	{
		pgstat_progress_update_param(PROGRESS_REPACK_PHASE,
									 PROGRESS_REPACK_PHASE_INDEX_SCAN_HEAP);
		pgstat_progress_update_param(PROGRESS_REPACK_INDEX_RELID,
									 RelationGetRelid(index));
		index_scan = index_beginscan(state->oldtable, index, snapshot, NULL, 0,
									 0, SO_NONE);
		index_rescan(index_scan, NULL, 0, NULL, 0);
	}
	else
	{
		pgstat_progress_update_param(PROGRESS_REPACK_PHASE,
									 PROGRESS_REPACK_PHASE_SEQ_SCAN_HEAP);
		table_scan =
			table_beginscan(state->oldtable, snapshot, 0, NULL, SO_NONE);
		pgstat_progress_update_param(PROGRESS_REPACK_TOTAL_HEAP_BLKS,
									 ((HeapScanDesc) table_scan)->rs_nblocks);
	}

	while (index_scan != NULL
			   ? index_getnext_slot(index_scan, ForwardScanDirection, slot)
			   : table_scan_getnextslot(table_scan, ForwardScanDirection, slot))
	{
		HeapTuple tuple = ExecFetchSlotHeapTuple(slot, false, NULL);

		CHECK_FOR_INTERRUPTS();
		if (table_scan != NULL)
			report_scan_progress((HeapScanDesc) table_scan, &previous);
		else if (index_scan->xs_recheck)
			elog(ERROR, "CLUSTER does not support lossy index conditions");

		if (state->snapshot == NULL &&
			row_is_dead(state->oldtable, tuple,
						((BufferHeapTupleTableSlot *) slot)->buffer, OldestXmin,
						tups_recently_dead))
		{
			*tups_vacuumed += 1;
			/* the rewrite module needs to see it all the same */
			if (rewrite_heap_dead_tuple(state->rewrite, tuple))
			{
				*tups_vacuumed += 1;
				*tups_recently_dead -= 1;
			}
			continue;
		}
		*num_tuples += 1;
		if (sort != NULL)
			tuplesort_putheaptuple(sort, tuple);
		else
			rewrite_row(state, tuple);
		report_copied(*num_tuples, sort == NULL);
	}

	if (table_scan != NULL)
	{
		pgstat_progress_update_param(PROGRESS_REPACK_HEAP_BLKS_SCANNED,
									 ((HeapScanDesc) table_scan)->rs_nblocks);
		table_endscan(table_scan);
	}
	else
		index_endscan(index_scan);
	ExecDropSingleTupleTableSlot(slot);
}

static void
copy_table(ClusterState *state, Relation index, bool use_sort,
		   TransactionId OldestXmin, double *num_tuples, double *tups_vacuumed,
		   double *tups_recently_dead)
{
	Tuplesortstate *sort = NULL;

	if (use_sort)
		sort =
			tuplesort_begin_cluster(RelationGetDescr(state->oldtable), index,
									maintenance_work_mem, NULL, TUPLESORT_NONE);
	copy_rows(state, use_sort ? NULL : index, sort, OldestXmin, num_tuples,
			  tups_vacuumed, tups_recently_dead);
	if (sort != NULL)
	{
		rewrite_sorted(state, sort);
		tuplesort_end(sort);
	}

	if (state->rewrite != NULL)
	{
		/* rows that waited for others of their update chain go in here */
		begin_rewriting(state);
		end_heap_rewrite(state->rewrite);
	}
	else
		FreeBulkInsertState(state->bistate);
}

/*
 * Copy a table for CLUSTER, VACUUM FULL or REPACK.  Arguments as for heapam's
 * callback: rows in order of OldIndex if given, by sorting if use_sort; with a
 * snapshot, for REPACK (CONCURRENTLY), those visible to it.
 */
void
vecseg_copy_for_cluster(Relation OldTable, Relation NewTable, Relation OldIndex,
						bool use_sort, VECSEG_XMIN_AND_SNAPSHOT,
						TransactionId *xid_cutoff, MultiXactId *multi_cutoff,
						double *num_tuples, double *tups_vacuumed,
						double *tups_recently_dead)
{
	int natts = RelationGetDescr(NewTable)->natts;
	ClusterState state = { 0 };

	state.oldtable = OldTable;
	state.newtable = NewTable;
	state.newtoast =
		OidIsValid(NewTable->rd_rel->reltoastrelid)
			? table_open(NewTable->rd_rel->reltoastrelid, RowExclusiveLock)
			: NULL;
	if (OidIsValid(OldTable->rd_rel->reltoastrelid))
	{
		Relation toastrel =
			table_open(OldTable->rd_rel->reltoastrelid, AccessShareLock);

		vecseg_space_retire(toastrel);
		table_close(toastrel, NoLock);
	}
	state.values = palloc(natts * sizeof(Datum));
	state.isnull = palloc(natts * sizeof(bool));
	state.snapshot = VECSEG_CLUSTER_SNAPSHOT(snapshot);
	if (state.snapshot == NULL)
		state.rewrite = begin_heap_rewrite(OldTable, NewTable, OldestXmin,
										   *xid_cutoff, *multi_cutoff);
	else
		state.bistate = GetBulkInsertState();
	PG_TRY();
	{
		copy_table(&state, OldIndex, use_sort, OldestXmin, num_tuples,
				   tups_vacuumed, tups_recently_dead);
	}
	PG_FINALLY();
	{
		vecseg_passthrough_clear();
	}
	PG_END_TRY();
	if (state.newtoast != NULL)
		table_close(state.newtoast, NoLock);
}
