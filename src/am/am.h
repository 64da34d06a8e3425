/*-------------------------------------------------------------------------
 *
 * am.h
 *	  The table access methods: vecseg (rows) and vecseg_segment (values).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_AM_H
#define VECSEG_AM_H

#include "access/htup.h"
#include "access/tableam.h"
#include "utils/rel.h"

#include "compat.h"

/* handler.c */
extern const TableAmRoutine *vecseg_heap_routine(void);
extern bool vecseg_is_vecseg_table(Relation rel);

/* scan.c */
extern TableScanDesc vecseg_scan_begin(Relation rel, Snapshot snapshot,
									   int nkeys, struct ScanKeyData *key,
									   ParallelTableScanDesc pscan,
									   uint32 flags);
extern void vecseg_scan_end(TableScanDesc scan);
extern void vecseg_scan_rescan(TableScanDesc scan, struct ScanKeyData *key,
							   bool set_params, bool allow_strat,
							   bool allow_sync, bool allow_pagemode);
extern bool vecseg_scan_getnextslot(TableScanDesc scan, ScanDirection direction,
									TupleTableSlot *slot);
extern bool vecseg_scan_getnextslot_tidrange(TableScanDesc scan,
											 ScanDirection direction,
											 TupleTableSlot *slot);

#if VECSEG_BITMAP_SCAN_BY_PAGE
extern bool vecseg_scan_bitmap_next_block(TableScanDesc scan,
										  struct TBMIterateResult *tbmres);
extern bool vecseg_scan_bitmap_next_tuple(TableScanDesc scan,
										  struct TBMIterateResult *tbmres,
										  TupleTableSlot *slot);
#else
extern bool vecseg_scan_bitmap_next_tuple(TableScanDesc scan,
										  TupleTableSlot *slot, bool *recheck,
										  uint64 *lossy_pages,
										  uint64 *exact_pages);
#endif
extern bool vecseg_scan_sample_next_block(TableScanDesc scan,
										  struct SampleScanState *scanstate);
extern bool vecseg_scan_sample_next_tuple(TableScanDesc scan,
										  struct SampleScanState *scanstate,
										  TupleTableSlot *slot);

/* segment_am.c */
extern Oid vecseg_segment_am_oid(bool missing_ok);

/* dense.c */
extern const bool *vecseg_dense_columns(Relation rel);
extern bool vecseg_may_have_vectors(Relation rel);

/*
 * Vectors smaller than this stay in the row: a pointer takes 18 bytes there,
 * and must fit the value's place (see passthrough.c).
 */
#define VECSEG_MIN_DENSE_SIZE 32

/* toast.c */
extern HeapTuple vecseg_toast_tuple(Relation rel, HeapTuple tuple,
									HeapTuple oldtuple, bool no_logical);
extern void vecseg_toast_tuples(Relation rel, HeapTuple *tuples, int ntuples,
								bool no_logical);
extern void vecseg_toast_abandon(Relation rel);
extern MemoryContext vecseg_toast_begin(void);
extern void vecseg_toast_end(MemoryContext oldcontext);

/* passthrough.c */
extern void vecseg_passthrough_add(const struct varatt_external *pointer);
extern bool vecseg_passthrough_has_fresh(void);
extern void vecseg_passthrough_clear(void);
extern void vecseg_passthrough_rewrite(Oid toastrelid, Relation newtoast);
extern bool vecseg_passthrough(Oid toastrelid, Oid value, int32 size,
							   struct varlena *result);

/* vacuum.c */
extern void vecseg_table_vacuum(Relation rel, VecsegVacuumParams *params,
								BufferAccessStrategy strategy);
extern void vecseg_segment_vacuum(Relation rel, VecsegVacuumParams *params,
								  BufferAccessStrategy strategy);

/* ddl.c */
extern void vecseg_ddl_init(void);
extern void vecseg_copy_for_cluster(Relation OldTable, Relation NewTable,
									Relation OldIndex, bool use_sort,
									VECSEG_XMIN_AND_SNAPSHOT,
									TransactionId *xid_cutoff,
									MultiXactId *multi_cutoff,
									double *num_tuples, double *tups_vacuumed,
									double *tups_recently_dead);
extern double vecseg_index_build_range_scan(
	Relation table_rel, Relation index_rel, struct IndexInfo *index_info,
	bool allow_sync, bool anyvisible, bool progress, BlockNumber start_blockno,
	BlockNumber numblocks, IndexBuildCallback callback, void *callback_state,
	TableScanDesc scan);
extern void vecseg_index_validate_scan(Relation table_rel, Relation index_rel,
									   struct IndexInfo *index_info,
									   Snapshot snapshot,
									   struct ValidateIndexState *state);

#endif /* VECSEG_AM_H */
