/*-------------------------------------------------------------------------
 *
 * vacuum.c
 *	  VACUUM of a segment relation: freeing the slots of removed rows.
 *
 * VACUUM of a table is heapam's, and is followed by that of its TOAST
 * relation, which frees slots.
 *
 * Mark and sweep.  Nothing is noted when a row goes away; instead VACUUM
 * looks which slots are still referred to:
 *
 *	 1. copy the slot maps (sweep.c);
 *	 2. take a snapshot;
 *	 3. scan the table and keep the slots of every row version that is
 *		physically present, visible or not;
 *	 4. free the slots that were allocated in the copy and not kept, in
 *		segments where nobody allocated that could still be running.
 *
 * Why no slot in use is freed.  Let a slot be allocated in the copy, by a
 * transaction that was finished before the snapshot (the segment is not
 * young).  If it committed, its row was there before the snapshot.  From then
 * on the reference can only move: an UPDATE that leaves the vector alone puts
 * it into a new row version, perhaps on a page scanned already.  If that
 * UPDATE committed before the snapshot, its row version was there before the
 * scan as well.  If not, the old row version is one that the snapshot may
 * see, and as long as other backends respect the snapshot they do not prune
 * it: the scan finds it.
 *
 * That others respect it is not a matter of course: VACUUM sets
 * PROC_IN_VACUUM, which says that its snapshot may be ignored.  The flag is
 * cleared before the snapshot is taken.
 *
 * With old_snapshot_threshold others would prune in spite of our snapshot,
 * and readers would lose rows' references; no slots are freed then.
 *
 * On a standby, the records that removed the row versions come before the
 * one that frees the slots, and had their conflicts with its queries.  That
 * is so because slots of dead row versions are kept until these are gone.
 *
 * Autovacuum comes by statistics.  Those of the TOAST relation count values:
 * what is stored as rows inserted (toast.c), what a row has lost as rows
 * deleted (segment_am.c).  So its live rows are the values in use, and its dead
 * ones the garbage.  A sweep that comes before the dead row versions of the
 * table are removed cannot free it, and does not count it any more, lest
 * autovacuum come in vain again and again; once VACUUM of the table has removed
 * them, it counts as dead what a sweep can free (report_garbage).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/pgstat_internal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "am/am.h"
#include "am/references.h"
#include "compat.h"
#include "segment/sweep.h"
#include "stop.h"
#include "vecseg.h"

/* OID of the table that a TOAST relation belongs to; InvalidOid if none */
static Oid
find_table(Oid toastrelid)
{
	Relation pg_class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_class_reltoastrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(toastrelid));
	scan = systable_beginscan(pg_class, InvalidOid, false, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_class) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	return result;
}

/*
 * Take a snapshot that other backends' pruning respects.  Replaces the active
 * one that VACUUM has set.
 */
static void
take_respected_snapshot(void)
{
	Assert(!TransactionIdIsValid(MyProc->xid));

	PopActiveSnapshot();
	InvalidateCatalogSnapshot();
	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	MyProc->statusFlags &= ~PROC_IN_VACUUM;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
	LWLockRelease(ProcArrayLock);
	PushActiveSnapshot(GetLatestSnapshot());
}

/* The active snapshot's xmin, with its epoch */
static FullTransactionId
snapshot_horizon(void)
{
	FullTransactionId next = ReadNextFullTransactionId();
	TransactionId xmin = GetActiveSnapshot()->xmin;
	uint32 epoch = EpochFromFullTransactionId(next);

	if (xmin > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xmin);
}

/* What row versions are looked through for */
typedef struct Marking
{
	VecsegSweep *sweep;
	Oid toastrelid;

	/*
	 * Will the statistics count the row version's values as in use?  They do once
	 * its transaction has committed, and until that of its deletion has.
	 */
	bool live;
} Marking;

/* Keep a value that a row version refers to. */
static void
keep_value(void *arg, HeapTuple tuple, int attnum,
		   const struct varatt_external *pointer)
{
	Marking *marking = arg;

	if (pointer->va_toastrelid == marking->toastrelid)
		vecseg_sweep_keep(marking->sweep, pointer->va_valueid, marking->live);
}

/*
 * Keep the values that a row version refers to.  Returns what is wrong with it, or
 * NULL.
 */
static const char *
visit_row(Relation rel, HeapTuple tuple, Buffer buffer, Marking *marking)
{
	TransactionId dead_after;
	HTSV_Result status =
		HeapTupleSatisfiesVacuumHorizon(tuple, buffer, &dead_after);
	const char *problem;

	marking->live =
		status == HEAPTUPLE_LIVE || status == HEAPTUPLE_DELETE_IN_PROGRESS;
	problem = vecseg_references_visit(RelationGetDescr(rel), tuple, keep_value,
									  marking);
	/* rolled back, perhaps with columns that it has: nobody will see it */
	return status == HEAPTUPLE_DEAD ? NULL : problem;
}

/* Keep the values that the row versions on a page refer to. */
static void
scan_page(Relation rel, BlockNumber block, Buffer buffer, Marking *marking)
{
	Page page = BufferGetPage(buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	OffsetNumber offset;

	for (offset = FirstOffsetNumber; offset <= last; offset++)
	{
		HeapTupleData tuple;
		const char *problem;

		if (!ItemIdIsNormal(PageGetItemId(page, offset)))
			continue;
		tuple.t_tableOid = RelationGetRelid(rel);
		ItemPointerSet(&tuple.t_self, block, offset);
		problem = vecseg_references_tuple(page, offset, &tuple);
		if (problem == NULL && HeapTupleHasExternal(&tuple))
			problem = visit_row(rel, &tuple, buffer, marking);
		/* who knows what it referred to */
		if (problem != NULL)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("row (%u,%u) of table \"%s\" is damaged",
								   block, offset, RelationGetRelationName(rel)),
							errdetail("The %s.", problem)));
	}
}

/* Keep the values that any row version of the table refers to. */
static void
scan_table(Relation rel, VecsegSweep *sweep, Oid toastrelid,
		   BufferAccessStrategy strategy)
{
	Marking marking = { sweep, toastrelid, false };
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	BlockNumber block;

	pgstat_progress_update_param(PROGRESS_VACUUM_TOTAL_HEAP_BLKS, nblocks);
	for (block = 0; block < nblocks; block++)
	{
		Buffer buffer;

		vacuum_delay_point(false);
		buffer =
			ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		scan_page(rel, block, buffer, &marking);
		UnlockReleaseBuffer(buffer);
		vecseg_stop("scan", block);
		pgstat_progress_update_param(PROGRESS_VACUUM_HEAP_BLKS_SCANNED,
									 block + 1);
	}
}

/* Free the slots that the table does not refer to. */
static VecsegSweepResult
sweep_segments(Relation table, Relation toastrel, BufferAccessStrategy strategy)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecseg sweep", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VecsegSweep *sweep = vecseg_sweep_begin(toastrel);
	VecsegSweepResult result;

	take_respected_snapshot();
	vecseg_sweep_exclude_young(sweep, snapshot_horizon());
	pgstat_progress_update_param(PROGRESS_VACUUM_PHASE,
								 PROGRESS_VACUUM_PHASE_SCAN_HEAP);
	scan_table(table, sweep, RelationGetRelid(toastrel), strategy);
	pgstat_progress_update_param(PROGRESS_VACUUM_PHASE,
								 PROGRESS_VACUUM_PHASE_VACUUM_HEAP);
	vecseg_stop("free", 0);
	result = vecseg_sweep_free(sweep);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

/* Number of slots allocated */
static uint64
count_used(Relation rel)
{
	VecsegStore *store = vecseg_store_open(rel);
	uint64 used = 0;
	uint32 i;

	vecseg_store_refresh(rel, store);
	for (i = 0; i < store->nsegments; i++)
	{
		CHECK_FOR_INTERRUPTS();
		used += vecseg_store_slots_used(rel, &store->entries[i]);
	}
	return used;
}

/*
 * Should slots be freed?  Not if it is not safe, nor if freezing is urgent, nor
 * by a server that could not recover from it.
 */
static bool
can_sweep(Relation rel, VecsegVacuumParams *params)
{
	return vecseg_preloaded && RelationGetNumberOfBlocks(rel) > 0 &&
		   !params->is_wraparound && !OldSnapshotThresholdActive() &&
		   !TransactionIdIsValid(MyProc->xid);
}

/*
 * Free slots, if that is safe and the table can be locked.  Returns whether
 * they were looked through.
 */
static bool
try_to_sweep(Relation rel, VecsegVacuumParams *params,
			 BufferAccessStrategy strategy, VecsegSweepResult *result)
{
	Oid relid;
	Relation table;

	if (!can_sweep(rel, params))
		return false;

	/* waiting here, with our lock, could deadlock with a DDL command */
	relid = find_table(RelationGetRelid(rel));
	if (!OidIsValid(relid) ||
		!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	table = try_relation_open(relid, NoLock);
	if (table == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		return false;
	}
	*result = sweep_segments(table, rel, strategy);
	relation_close(table, AccessShareLock);
	return true;
}

/* A relation's statistics, as they are now; zeros if there are none */
static PgStat_StatTabEntry
fetch_statistics(Relation rel)
{
	PgStat_StatTabEntry none = { 0 };
	PgStat_StatTabEntry *found;

	pgstat_clear_snapshot();
	found = pgstat_fetch_stat_tabentry(RelationGetRelid(rel));
	return found != NULL ? *found : none;
}

/*
 * VACUUM of a segment relation, for vecseg_segment's relation_vacuum.
 *
 * No transaction id needs freezing here, so the relation's horizons always
 * advance to the oldest that anyone can still see.
 */
void
vecseg_segment_vacuum(Relation rel, VecsegVacuumParams *params,
					  BufferAccessStrategy strategy)
{
	TransactionId frozenxid = GetOldestNonRemovableTransactionId(rel);
	MultiXactId minmulti = GetOldestMultiXactId();
	bool frozenxid_updated;
	bool minmulti_updated;
	TimestampTz start = GetCurrentTimestamp();
	VecsegSweepResult result = { 0 };
	uint64 used;

	pgstat_progress_start_command(PROGRESS_COMMAND_VACUUM,
								  RelationGetRelid(rel));
	if (!try_to_sweep(rel, params, strategy, &result))
	{
		/* autovacuum must still know what there is to free */
		PgStat_StatTabEntry stats = fetch_statistics(rel);

		result.live = stats.live_tuples;
		result.postponed = stats.dead_tuples;
	}
	used = count_used(rel);
	if (used == 0)
		result.live = result.postponed = 0;
	vac_update_relstats(rel, RelationGetNumberOfBlocks(rel), result.live, 0, 0,
						rel->rd_rel->relhasindex, frozenxid, minmulti,
						&frozenxid_updated, &minmulti_updated, false);
	pgstat_report_vacuum(rel, result.live, result.postponed, start);
	vecseg_stop("truncate", 0);
	if (vecseg_preloaded && params->truncate != VACOPTVALUE_DISABLED &&
		RelationGetNumberOfBlocks(rel) > 0)
		vecseg_sweep_truncate(rel);
	ereport(
		(params->options & VACOPT_VERBOSE) != 0 ? INFO : DEBUG2,
		(errmsg("\"%s\": freed %llu values, %llu are left",
				RelationGetRelationName(rel), (unsigned long long) result.freed,
				(unsigned long long) used)));
	pgstat_progress_end_command();
}

/*
 * Let autovacuum know of the garbage that can be freed now that dead row
 * versions of the table were removed.  Garbage is what is in use but not live;
 * it can be freed to the same part as the dead row versions known before are
 * gone.  After a loss of statistics all seems garbage, until the next sweep.
 */
static void
report_garbage(Relation toastrel, int64 dead_before, int64 dead_after)
{
	uint64 used = count_used(toastrel);
	double kept = 0;
	PgStat_EntryRef *entry;
	PgStat_StatTabEntry *stats;
	double garbage;

	if (dead_after > 0)
		kept = (double) dead_after / Max(dead_before, dead_after);
	entry = pgstat_get_entry_ref_locked(PGSTAT_KIND_RELATION, MyDatabaseId,
										RelationGetRelid(toastrel), false);
	stats = &((PgStatShared_Relation *) entry->shared_stats)->stats;
	garbage = (double) used - stats->live_tuples;
	stats->dead_tuples = Max(stats->dead_tuples, (1 - kept) * garbage);
	pgstat_unlock_entry(entry);
}

/* VACUUM of a table, for vecseg's relation_vacuum */
void
vecseg_table_vacuum(Relation rel, VecsegVacuumParams *params,
					BufferAccessStrategy strategy)
{
	int64 dead_before = fetch_statistics(rel).dead_tuples;

	vecseg_heap_routine()->relation_vacuum(rel, params, strategy);
	if (OidIsValid(rel->rd_rel->reltoastrelid) && pgstat_track_counts)
	{
		Relation toastrel =
			table_open(rel->rd_rel->reltoastrelid, AccessShareLock);

		report_garbage(toastrel, dead_before,
					   fetch_statistics(rel).dead_tuples);
		table_close(toastrel, AccessShareLock);
	}
}
