/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  The table access method "vecseg": heap, with large values in segments.
 *
 * Rows are heap tuples in shared buffers, so everything about them is
 * heapam's: visibility, locking, HOT, vacuum, indexes, scans.  The routine
 * is a copy of heapam's in which the callbacks that store rows first move
 * large values to the segment store (toast.c), and those that heapam only
 * runs on tables called heap are wrapped (ddl.c).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "am/am.h"
#include "compat.h"
#include "vecseg.h"

PG_FUNCTION_INFO_V1(vecseg_handler);

static TableAmRoutine vecseg_methods;

/* heapam's own callbacks */
const TableAmRoutine *
vecseg_heap_routine(void)
{
	return GetHeapamTableAmRoutine();
}

/* Is an open relation's access method ours? */
bool
vecseg_is_vecseg_table(Relation rel)
{
	return rel->rd_tableam == &vecseg_methods;
}

static bool
options_no_logical(VecsegInsertOptions options)
{
	return (options & HEAP_INSERT_NO_LOGICAL) != 0;
}

/*
 * The slot's row, as it was given, must show what insertion wrote to the
 * header of the row stored in its place.
 */
static void
copy_header(HeapTuple to, HeapTuple from)
{
	to->t_self = from->t_self;
	if (to == from)
		return;
	to->t_data->t_choice = from->t_data->t_choice;
	to->t_data->t_ctid = from->t_data->t_ctid;
	to->t_data->t_infomask = (to->t_data->t_infomask & ~HEAP_XACT_MASK) |
							 (from->t_data->t_infomask & HEAP_XACT_MASK);
	to->t_data->t_infomask2 = (to->t_data->t_infomask2 & ~HEAP2_XACT_MASK) |
							  (from->t_data->t_infomask2 & HEAP2_XACT_MASK);
}

/* A slot's row, on its way into the table */
static HeapTuple
take_row(Relation rel, TupleTableSlot *slot, bool *should_free)
{
	HeapTuple tuple = ExecFetchSlotHeapTuple(slot, true, should_free);

	slot->tts_tableOid = RelationGetRelid(rel);
	tuple->t_tableOid = slot->tts_tableOid;
	return tuple;
}

/* Let the slot know where its row is now. */
static void
put_back_row(TupleTableSlot *slot, HeapTuple tuple, bool should_free)
{
	ItemPointerCopy(&tuple->t_self, &slot->tts_tid);
	if (should_free)
		pfree(tuple);
}

/* Insert one row; specToken is used with HEAP_INSERT_SPECULATIVE only. */
static void
insert_row(Relation rel, TupleTableSlot *slot, CommandId cid,
		   VecsegInsertOptions options, BulkInsertState bistate,
		   uint32 specToken)
{
	bool should_free = true;
	HeapTuple tuple = take_row(rel, slot, &should_free);
	MemoryContext oldcontext = vecseg_toast_begin();

	PG_TRY();
	{
		HeapTuple stored =
			vecseg_toast_tuple(rel, tuple, NULL, options_no_logical(options));

		if ((options & HEAP_INSERT_SPECULATIVE) != 0)
			HeapTupleHeaderSetSpeculativeToken(stored->t_data, specToken);
		heap_insert(rel, stored, cid, options, bistate);
		copy_header(tuple, stored);
	}
	PG_FINALLY();
	{
		vecseg_passthrough_clear();
	}
	PG_END_TRY();
	vecseg_toast_end(oldcontext);
	put_back_row(slot, tuple, should_free);
}

static void
vecseg_tuple_insert(Relation rel, TupleTableSlot *slot, CommandId cid,
					VecsegInsertOptions options, BulkInsertState bistate)
{
	insert_row(rel, slot, cid, options, bistate, 0);
}

static void
vecseg_tuple_insert_speculative(Relation rel, TupleTableSlot *slot,
								CommandId cid, VecsegInsertOptions options,
								BulkInsertState bistate, uint32 specToken)
{
	insert_row(rel, slot, cid, options | HEAP_INSERT_SPECULATIVE, bistate,
			   specToken);
}

/*
 * Insert many rows.  heap_multi_insert() takes slots, so the rows to be
 * stored are put into slots of their own.
 */
static void
vecseg_multi_insert(Relation rel, TupleTableSlot **slots, int nslots,
					CommandId cid, VecsegInsertOptions options,
					BulkInsertState bistate)
{
	MemoryContext oldcontext = vecseg_toast_begin();

	PG_TRY();
	{
		TupleDesc desc = CreateTupleDescCopy(RelationGetDescr(rel));
		HeapTuple *given = palloc(nslots * sizeof(HeapTuple));
		HeapTuple *tuples = palloc(nslots * sizeof(HeapTuple));
		TupleTableSlot **stored = palloc(nslots * sizeof(TupleTableSlot *));
		int i;

		for (i = 0; i < nslots; i++)
			given[i] = tuples[i] = take_row(rel, slots[i], NULL);
		vecseg_toast_tuples(rel, tuples, nslots, options_no_logical(options));

		for (i = 0; i < nslots; i++)
		{
			stored[i] = MakeTupleTableSlot(desc, &TTSOpsHeapTuple, 0);
			/* "true" only saves a copy: the slots are never cleared */
			ExecStoreHeapTuple(tuples[i], stored[i], true);
		}
		heap_multi_insert(rel, stored, nslots, cid, options, bistate);
		for (i = 0; i < nslots; i++)
		{
			slots[i]->tts_tid = tuples[i]->t_self = stored[i]->tts_tid;
			copy_header(given[i], tuples[i]);
		}
	}
	PG_FINALLY();
	{
		vecseg_passthrough_clear();
	}
	PG_END_TRY();
	vecseg_toast_end(oldcontext);
}

/*
 * The version of a row that an update replaces, copied, if it has values out
 * of line, which the update may keep; else NULL.  (If it is gone, heap_update()
 * will notice.)
 */
static HeapTuple
fetch_old_row(Relation rel, ItemPointer tid)
{
	HeapTupleData tuple;
	HeapTuple result = NULL;
	Buffer buffer;

	tuple.t_self = *tid;
	if (!heap_fetch(rel, SnapshotAny, &tuple, &buffer, false))
		return NULL;
	if (HeapTupleHasExternal(&tuple))
		result = heap_copytuple(&tuple);
	ReleaseBuffer(buffer);
	return result;
}

/* Does an update change the key by which subscribers know the row? */
static bool
changes_identity(Relation rel, HeapTuple old, HeapTuple new)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *key;
	int i = -1;

	if (!RelationIsLogicallyLogged(rel) ||
		rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
		return false;
	key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	while ((i = bms_next_member(key, i)) >= 0)
	{
		AttrNumber attnum = i + FirstLowInvalidHeapAttributeNumber;
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		bool old_null;
		bool new_null;
		Datum old_value = heap_getattr(old, attnum, desc, &old_null);
		Datum new_value = heap_getattr(new, attnum, desc, &new_null);

		if (old_null != new_null ||
			(!old_null &&
			 !datumIsEqual(old_value, new_value, att->attbyval, att->attlen)))
			return true;
	}
	return false;
}

/*
 * A row version without the values that a heap table would have in the row, so that
 * an update stores, and logs, them anew.
 *
 * When an update of the key brings a row into a publication's row filter,
 * subscribers get it as a new row, of which they have what the update's records
 * have: values that it left alone are missing, but for those in the row.
 */
static HeapTuple
forget_small_values(Relation rel, HeapTuple tuple)
{
	TupleDesc desc = RelationGetDescr(rel);
	Datum *values = palloc(desc->natts * sizeof(Datum));
	bool *isnull = palloc(desc->natts * sizeof(bool));
	int i;

	heap_deform_tuple(tuple, desc, values, isnull);
	for (i = 0; i < desc->natts; i++)
	{
		if (!isnull[i] && TupleDescAttr(desc, i)->attlen == -1 &&
			VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(values[i])) &&
			toast_raw_datum_size(values[i]) <=
				RelationGetToastTupleTarget(rel, TOAST_TUPLE_TARGET))
			isnull[i] = true;
	}
	return heap_form_tuple(desc, values, isnull);
}

static TM_Result
vecseg_tuple_update(Relation rel, ItemPointer otid, TupleTableSlot *slot,
					VECSEG_CID_AND_OPTIONS, Snapshot snapshot,
					Snapshot crosscheck, bool wait, TM_FailureData *tmfd,
					LockTupleMode *lockmode, TU_UpdateIndexes *update_indexes)
{
	bool should_free = true;
	HeapTuple tuple = take_row(rel, slot, &should_free);
	MemoryContext oldcontext = vecseg_toast_begin();
	volatile TM_Result result = TM_Ok;

	PG_TRY();
	{
		HeapTuple old = fetch_old_row(rel, otid);
		HeapTuple stored;

		if (old != NULL && changes_identity(rel, old, tuple))
			old = forget_small_values(rel, old);
		stored = vecseg_toast_tuple(rel, tuple, old,
									VECSEG_UPDATE_NO_LOGICAL(options));
		result = heap_update(rel, otid, stored, cid, options, crosscheck, wait,
							 tmfd, lockmode, update_indexes);
		if (result != TM_Ok)
		{
			*update_indexes = TU_None;
			vecseg_toast_abandon(rel);
		}
		copy_header(tuple, stored);
	}
	PG_FINALLY();
	{
		vecseg_passthrough_clear();
	}
	PG_END_TRY();
	vecseg_toast_end(oldcontext);
	put_back_row(slot, tuple, should_free);
	return result;
}

/*
 * heapam's wants the row's page pinned by the slot; of a row that a window has
 * copied, look at the version in the table.
 */
static bool
vecseg_tuple_satisfies_snapshot(Relation rel, TupleTableSlot *slot,
								Snapshot snapshot)
{
	HeapTupleData tuple;
	Buffer buffer;

	if (BufferIsValid(((BufferHeapTupleTableSlot *) slot)->buffer))
		return vecseg_heap_routine()->tuple_satisfies_snapshot(rel, slot,
															   snapshot);
	tuple.t_self = slot->tts_tid;
	if (!heap_fetch(rel, snapshot, &tuple, &buffer, false))
		return false;
	ReleaseBuffer(buffer);
	return true;
}

/*
 * Refuse a new table early when its changes could not be recovered after a
 * crash, then let heapam make the file.
 */
static void
vecseg_relation_set_new_filelocator(Relation rel,
									const RelFileLocator *newrlocator,
									char persistence, TransactionId *freezeXid,
									MultiXactId *minmulti)
{
	vecseg_require_preload();
	vecseg_heap_routine()->relation_set_new_filelocator(
		rel, newrlocator, persistence, freezeXid, minmulti);
}

/* For heapam, only rows that may be too large for a page do. */
static bool
vecseg_relation_needs_toast_table(Relation rel)
{
	return vecseg_heap_routine()->relation_needs_toast_table(rel) ||
		   vecseg_may_have_vectors(rel);
}

static Oid
vecseg_relation_toast_am(Relation rel)
{
	return vecseg_segment_am_oid(false);
}

Datum
vecseg_handler(PG_FUNCTION_ARGS)
{
	if (vecseg_methods.type != T_TableAmRoutine)
	{
		vecseg_methods = *vecseg_heap_routine();
		vecseg_methods.scan_begin = vecseg_scan_begin;
		vecseg_methods.scan_end = vecseg_scan_end;
		vecseg_methods.scan_rescan = vecseg_scan_rescan;
		vecseg_methods.scan_getnextslot = vecseg_scan_getnextslot;
		vecseg_methods.scan_getnextslot_tidrange =
			vecseg_scan_getnextslot_tidrange;
#if VECSEG_BITMAP_SCAN_BY_PAGE
		vecseg_methods.scan_bitmap_next_block = vecseg_scan_bitmap_next_block;
#endif
		vecseg_methods.scan_bitmap_next_tuple = vecseg_scan_bitmap_next_tuple;
		vecseg_methods.scan_sample_next_block = vecseg_scan_sample_next_block;
		vecseg_methods.scan_sample_next_tuple = vecseg_scan_sample_next_tuple;
		vecseg_methods.tuple_insert = vecseg_tuple_insert;
		vecseg_methods.tuple_insert_speculative =
			vecseg_tuple_insert_speculative;
		vecseg_methods.multi_insert = vecseg_multi_insert;
		vecseg_methods.tuple_update = vecseg_tuple_update;
		vecseg_methods.tuple_satisfies_snapshot =
			vecseg_tuple_satisfies_snapshot;
		vecseg_methods.relation_set_new_filelocator =
			vecseg_relation_set_new_filelocator;
		vecseg_methods.relation_vacuum = vecseg_table_vacuum;
		vecseg_methods.relation_copy_for_cluster = vecseg_copy_for_cluster;
		vecseg_methods.index_build_range_scan = vecseg_index_build_range_scan;
		vecseg_methods.index_validate_scan = vecseg_index_validate_scan;
		vecseg_methods.relation_needs_toast_table =
			vecseg_relation_needs_toast_table;
		vecseg_methods.relation_toast_am = vecseg_relation_toast_am;
		vecseg_ddl_init();
	}
	PG_RETURN_POINTER(&vecseg_methods);
}
