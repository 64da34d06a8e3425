/*-------------------------------------------------------------------------
 *
 * segment_am.c
 *	  The access method "vecseg_segment" of the TOAST relations of vecseg
 *	  tables.
 *
 * Such a relation holds segments, not tuples.  Its values are read by
 * relation_fetch_toast_slice, which is how the whole server reaches a value
 * behind a TOAST pointer; they are written by the access method of the
 * table.  To anything that looks for tuples the relation is empty, and its
 * chunk index stays so.
 *
 * Whatever works on a relation's file (creation, truncation, copying to
 * another tablespace) is heapam's.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/multixact.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/vacuum.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "storage/smgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "am/am.h"
#include "am/offer.h"
#include "compat.h"
#include "segment/store.h"
#include "vecseg.h"

PG_FUNCTION_INFO_V1(vecseg_segment_handler);

static TableAmRoutine segment_methods;

/* OID of the access method */
Oid
vecseg_segment_am_oid(bool missing_ok)
{
	return get_table_am_oid(VECSEG_SEGMENT_AM_NAME, missing_ok);
}

/* --- reading values --- */

/*
 * Read part of a value.  Arguments as for heap_fetch_toast_slice(): sizes
 * and offsets do not count the varlena header, result has one.
 */
static void
segment_fetch_toast_slice(Relation toastrel, Oid valueid, int32 attrsize,
						  int32 sliceoffset, int32 slicelength,
						  struct varlena *result)
{
	uint32 size = (uint32) attrsize + VARHDRSZ;
	uint32 header; /* of the whole value */
	uint32 result_header;

	if (sliceoffset == 0 && slicelength == attrsize &&
		vecseg_passthrough(RelationGetRelid(toastrel), valueid, attrsize,
						   result))
		return;

	/* nothing else would keep the slot from being used again */
	if (!HaveRegisteredOrActiveSnapshot())
		elog(ERROR, "cannot fetch toast data without an active snapshot");

	vecseg_offer_note(RelationGetRelid(toastrel), valueid);
	memcpy(&result_header, result, VARHDRSZ);
	header = vecseg_image_header(size, VARATT_IS_COMPRESSED(result));

	if (sliceoffset == 0)
		vecseg_read_slice(toastrel, valueid, header, size, 0,
						  slicelength + VARHDRSZ, (char *) result);
	else
		vecseg_read_slice(toastrel, valueid, header, size,
						  sliceoffset + VARHDRSZ, slicelength, VARDATA(result));
	memcpy(result, &result_header, VARHDRSZ);
}

/* --- statistics --- */

/*
 * The server deletes a value that a row version no longer refers to by
 * searching the chunk index for its chunks.  It finds none, but its search is
 * how the statistics, and so autovacuum, come to know of the garbage.  Nothing
 * else searches that index, except for the curious, who change nothing.
 */
static struct IndexFetchTableData *
segment_index_fetch_begin(VECSEG_INDEX_FETCH_PARAMETERS)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		pgstat_count_heap_delete(rel);
	return vecseg_heap_routine()->index_fetch_begin(
		VECSEG_INDEX_FETCH_ARGUMENTS);
}

/* --- no tuples --- */

static void
error_not_a_table(Relation rel)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("cannot change segment relation \"%s\" directly",
				RelationGetRelationName(rel)),
		 errdetail("It holds the vectors of a table with access method \"%s\".",
				   VECSEG_AM_NAME),
		 errhint("Change the table instead.")));
}

static void
segment_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid,
					 VecsegInsertOptions options, BulkInsertState bistate)
{
	error_not_a_table(rel);
}

static void
segment_tuple_insert_speculative(Relation rel, TupleTableSlot *slot,
								 CommandId cid, VecsegInsertOptions options,
								 BulkInsertState bistate, uint32 specToken)
{
	error_not_a_table(rel);
}

static void
segment_multi_insert(Relation rel, TupleTableSlot **slots, int nslots,
					 CommandId cid, VecsegInsertOptions options,
					 BulkInsertState bistate)
{
	error_not_a_table(rel);
}

static TM_Result
segment_tuple_delete(Relation rel, ItemPointer tid, VECSEG_DELETE_PARAMETERS)
{
	error_not_a_table(rel);
	return TM_Invisible; /* keep compiler quiet */
}

static TM_Result
segment_tuple_update(Relation rel, ItemPointer otid, TupleTableSlot *slot,
					 VECSEG_CID_AND_OPTIONS, Snapshot snapshot,
					 Snapshot crosscheck, bool wait, TM_FailureData *tmfd,
					 LockTupleMode *lockmode, TU_UpdateIndexes *update_indexes)
{
	error_not_a_table(rel);
	return TM_Invisible; /* keep compiler quiet */
}

static bool
segment_scan_getnextslot(TableScanDesc scan, ScanDirection direction,
						 TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	return false;
}

static bool
segment_scan_getnextslot_tidrange(TableScanDesc scan, ScanDirection direction,
								  TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	return false;
}

static bool
segment_tuple_fetch_row_version(Relation rel, ItemPointer tid,
								Snapshot snapshot, TupleTableSlot *slot)
{
	return false;
}

static bool
segment_tuple_tid_valid(TableScanDesc scan, ItemPointer tid)
{
	return false;
}

static bool
segment_scan_analyze_next_block(TableScanDesc scan,
								VECSEG_ANALYZE_BLOCK_ARGUMENTS)
{
	return false;
}

#if VECSEG_BITMAP_SCAN_BY_PAGE
static bool
segment_scan_bitmap_next_block(TableScanDesc scan,
							   struct TBMIterateResult *tbmres)
{
	return false;
}
#else
static bool
segment_scan_bitmap_next_tuple(TableScanDesc scan, TupleTableSlot *slot,
							   bool *recheck, uint64 *lossy_pages,
							   uint64 *exact_pages)
{
	return false;
}
#endif

static bool
segment_scan_sample_next_block(TableScanDesc scan,
							   struct SampleScanState *scanstate)
{
	return false;
}

static double
segment_index_build_range_scan(Relation table_rel, Relation index_rel,
							   struct IndexInfo *index_info, bool allow_sync,
							   bool anyvisible, bool progress,
							   BlockNumber start_blockno, BlockNumber numblocks,
							   IndexBuildCallback callback,
							   void *callback_state, TableScanDesc scan)
{
	if (scan != NULL)
		table_endscan(scan); /* a parallel build's, ours to end */
	return 0;
}

static void
segment_index_validate_scan(Relation table_rel, Relation index_rel,
							struct IndexInfo *index_info, Snapshot snapshot,
							struct ValidateIndexState *state)
{
}

/* --- the relation as a whole --- */

/*
 * Is this the relation into which VACUUM FULL copies a TOAST relation?  It is
 * made as a plain table, beside the TOAST relation, or as a temporary table
 * with a name of the server's choice.
 */
static bool
is_transient_copy(Relation rel)
{
	return IsToastNamespace(RelationGetNamespace(rel)) ||
		   (isTempNamespace(RelationGetNamespace(rel)) &&
			strncmp(RelationGetRelationName(rel), "pg_temp_", 8) == 0);
}

static void
segment_relation_set_new_filelocator(Relation rel,
									 const RelFileLocator *newrlocator,
									 char persistence, TransactionId *freezeXid,
									 MultiXactId *minmulti)
{
	if (rel->rd_rel->relkind != RELKIND_TOASTVALUE && !is_transient_copy(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" cannot be used for tables",
						VECSEG_SEGMENT_AM_NAME),
				 errdetail("It is the access method of the TOAST relations of "
						   "vecseg tables."),
				 errhint("Use the access method \"%s\".", VECSEG_AM_NAME)));
	if (!RelFileLocatorEquals(*newrlocator, rel->rd_locator))
		vecseg_space_retire(rel);
	vecseg_heap_routine()->relation_set_new_filelocator(
		rel, newrlocator, persistence, freezeXid, minmulti);
}

static void
segment_relation_nontransactional_truncate(Relation rel)
{
	vecseg_space_retire(rel);
	vecseg_store_forget(rel);
	vecseg_heap_routine()->relation_nontransactional_truncate(rel);
}

/*
 * VACUUM FULL of the TOAST relation by itself: copy it page by page, as
 * references to its values stay what they are.
 */
static void
segment_copy_for_cluster(Relation OldTable, Relation NewTable,
						 Relation OldIndex, bool use_sort,
						 VECSEG_XMIN_AND_SNAPSHOT, TransactionId *xid_cutoff,
						 MultiXactId *multi_cutoff, double *num_tuples,
						 double *tups_vacuumed, double *tups_recently_dead)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(OldTable);
	BlockNumber block;

	for (block = 0; block < nblocks; block++)
	{
		Buffer from;
		Buffer to;

		CHECK_FOR_INTERRUPTS();
		from = ReadBuffer(OldTable, block);
		to = ReadBufferExtended(NewTable, MAIN_FORKNUM, P_NEW,
								RBM_ZERO_AND_LOCK, NULL);
		Assert(BufferGetBlockNumber(to) == block);
		START_CRIT_SECTION();
		memcpy(BufferGetPage(to), BufferGetPage(from), BLCKSZ);
		MarkBufferDirty(to);
		/* also a page not written yet, or a standby's file would be shorter */
		if (RelationNeedsWAL(NewTable))
			log_newpage_buffer(to, true);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(to);
		ReleaseBuffer(from);
	}
}

static bool
segment_relation_needs_toast_table(Relation rel)
{
	return false;
}

Datum
vecseg_segment_handler(PG_FUNCTION_ARGS)
{
	TableAmRoutine *am = &segment_methods;

	if (am->type != T_TableAmRoutine)
	{
		*am = *vecseg_heap_routine();
		am->index_fetch_begin = segment_index_fetch_begin;
		am->tuple_insert = segment_tuple_insert;
		am->tuple_insert_speculative = segment_tuple_insert_speculative;
		am->multi_insert = segment_multi_insert;
		am->tuple_delete = segment_tuple_delete;
		am->tuple_update = segment_tuple_update;
		am->scan_getnextslot = segment_scan_getnextslot;
		am->scan_getnextslot_tidrange = segment_scan_getnextslot_tidrange;
		am->tuple_fetch_row_version = segment_tuple_fetch_row_version;
		am->tuple_tid_valid = segment_tuple_tid_valid;
		am->scan_analyze_next_block = segment_scan_analyze_next_block;
#if VECSEG_BITMAP_SCAN_BY_PAGE
		am->scan_bitmap_next_block = segment_scan_bitmap_next_block;
#else
		am->scan_bitmap_next_tuple = segment_scan_bitmap_next_tuple;
#endif
		am->scan_sample_next_block = segment_scan_sample_next_block;
		am->index_build_range_scan = segment_index_build_range_scan;
		am->index_validate_scan = segment_index_validate_scan;
		am->relation_set_new_filelocator = segment_relation_set_new_filelocator;
		am->relation_nontransactional_truncate =
			segment_relation_nontransactional_truncate;
		am->relation_copy_for_cluster = segment_copy_for_cluster;
		am->relation_vacuum = vecseg_segment_vacuum;
		am->relation_needs_toast_table = segment_relation_needs_toast_table;
		am->relation_fetch_toast_slice = segment_fetch_toast_slice;
	}
	PG_RETURN_POINTER(am);
}
