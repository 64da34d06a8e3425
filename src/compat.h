/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL major versions.  Every test of
 *	  PG_VERSION_NUM lives here; the rest of the code is written to the
 *	  newest spelling.
 *
 * Where a name or its arguments changed, the old version is given the new
 * one.  What cannot be covered so has a macro VECSEG_..., explained where it is
 * defined.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_COMPAT_H
#define VECSEG_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "vecseg needs PostgreSQL 15 or later"
#endif

/* what is declared here must not meet the macros below */
#include "access/genam.h"
#include "access/heapam.h"
#include "access/nbtree.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "optimizer/cost.h"
#include "pgstat.h"
#include "storage/bufpage.h"

#if PG_VERSION_NUM >= 160000
#include "storage/relfilelocator.h"
#include "varatt.h"
#else
#include "storage/relfilenode.h"
#endif

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "optimizer/paths.h"
#endif

/* --- functions whose arguments changed more than once --- */

#if PG_VERSION_NUM < 160000

/* Which indexes an update needs new entries in: all or none */
typedef bool TU_UpdateIndexes;

#define TU_None false
#define TU_All true

#endif

#if PG_VERSION_NUM < 190000

static inline TM_Result
vecseg_heap_update(Relation rel, ItemPointer otid, HeapTuple tuple,
				   CommandId cid, Snapshot crosscheck, bool wait,
				   TM_FailureData *tmfd, LockTupleMode *lockmode,
				   TU_UpdateIndexes *update_indexes)
{
#if PG_VERSION_NUM >= 160000
	return heap_update(rel, otid, tuple, cid, crosscheck, wait, tmfd, lockmode,
					   update_indexes);
#else
	TM_Result result =
		heap_update(rel, otid, tuple, cid, crosscheck, wait, tmfd, lockmode);

	*update_indexes = HeapTupleIsHeapOnly(tuple) ? TU_None : TU_All;
	return result;
#endif
}

#endif

#if PG_VERSION_NUM < 180000
#define index_beginscan(heap, index, snapshot, instrument, nkeys, norderbys, \
						flags)                                               \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#define pgstat_report_vacuum(rel, live, dead, starttime)                     \
	((void) (starttime),                                                     \
	 pgstat_report_vacuum(RelationGetRelid(rel), (rel)->rd_rel->relisshared, \
						  live, dead))
#elif PG_VERSION_NUM < 190000
#define index_beginscan(heap, index, snapshot, instrument, nkeys, norderbys, \
						flags)                                               \
	index_beginscan(heap, index, snapshot, instrument, nkeys, norderbys)
#define pgstat_report_vacuum(rel, live, dead, starttime)                    \
	pgstat_report_vacuum(RelationGetRelid(rel), (rel)->rd_rel->relisshared, \
						 live, dead, starttime)
#endif

/* --- 19 --- */

#if PG_VERSION_NUM >= 190000

/*
 * Arguments of callbacks and hooks that have got more of them, and what the new
 * ones tell where they exist.
 */
#define VECSEG_CID_AND_OPTIONS CommandId cid, uint32 options
#define VECSEG_DELETE_PARAMETERS                                               \
	VECSEG_CID_AND_OPTIONS, Snapshot snapshot, Snapshot crosscheck, bool wait, \
		TM_FailureData *tmfd
#define VECSEG_UPDATE_NO_LOGICAL(options) \
	(((options) & (TABLE_UPDATE_NO_LOGICAL)) != 0)
#define VECSEG_XMIN_AND_SNAPSHOT TransactionId OldestXmin, Snapshot snapshot
#define VECSEG_CLUSTER_SNAPSHOT(snapshot) (snapshot)
#define VECSEG_INDEX_FETCH_PARAMETERS Relation rel, uint32 flags
#define VECSEG_INDEX_FETCH_ARGUMENTS rel, flags
#define VECSEG_PLANNER_PARAMETERS                               \
	Query *parse, const char *query_string, int cursor_options, \
		ParamListInfo bound_params, ExplainState *es
#define VECSEG_PLANNER_ARGUMENTS \
	parse, query_string, cursor_options, bound_params, es
typedef uint32 VecsegInsertOptions;
typedef const VacuumParams VecsegVacuumParams;

/* Is a record of no use for REPACK (CONCURRENTLY), if it is that we decode for? */
#define VECSEG_USELESS_FOR_REPACK(buf) change_useless_for_repack(buf)

#define VECSEG_BUFFER_STATE(desc) pg_atomic_read_u64(&(desc)->state)

/* What a scan may tell the table's access method when it begins */
#define VECSEG_SCAN_FLAGS(scan_state) \
	(ScanRelIsReadOnly(scan_state) ? SO_HINT_REL_READ_ONLY : SO_NONE)

/* What heapam does with the page that xs_cbuf of an IndexFetchHeapData pins */
#define VECSEG_SET_FETCHED_BLOCK(fetch, block) ((fetch)->xs_blk = (block))
#define VECSEG_PRUNE_FETCHED(fetch)                             \
	heap_page_prune_opt((fetch)->xs_base.rel, (fetch)->xs_cbuf, \
						&(fetch)->xs_vmbuffer,                  \
						(fetch)->xs_base.flags &SO_HINT_REL_READ_ONLY)

#else

#define VECSEG_CID_AND_OPTIONS CommandId cid
#define VECSEG_DELETE_PARAMETERS                                               \
	VECSEG_CID_AND_OPTIONS, Snapshot snapshot, Snapshot crosscheck, bool wait, \
		TM_FailureData *tmfd, bool changing_part
#define VECSEG_UPDATE_NO_LOGICAL(options) false
#define VECSEG_XMIN_AND_SNAPSHOT TransactionId OldestXmin
#define VECSEG_CLUSTER_SNAPSHOT(snapshot) NULL
#define VECSEG_INDEX_FETCH_PARAMETERS Relation rel
#define VECSEG_INDEX_FETCH_ARGUMENTS rel
#define VECSEG_PLANNER_PARAMETERS                               \
	Query *parse, const char *query_string, int cursor_options, \
		ParamListInfo bound_params
#define VECSEG_PLANNER_ARGUMENTS \
	parse, query_string, cursor_options, bound_params
typedef int VecsegInsertOptions;
typedef VacuumParams VecsegVacuumParams;

#define VECSEG_USELESS_FOR_REPACK(buf) false
#define VECSEG_BUFFER_STATE(desc) pg_atomic_read_u32(&(desc)->state)

#define VECSEG_SCAN_FLAGS(scan_state) SO_NONE

#define VECSEG_SET_FETCHED_BLOCK(fetch, block) ((void) (block))
#define VECSEG_PRUNE_FETCHED(fetch) \
	heap_page_prune_opt((fetch)->xs_base.rel, (fetch)->xs_cbuf)

typedef Instrumentation NodeInstrumentation;

#define SO_NONE 0
#define TTS_FLAG_OBEYS_NOT_NULL_CONSTRAINTS 0

#define DataChecksumsNeedVerify() DataChecksumsEnabled()

#define PROGRESS_REPACK_PHASE PROGRESS_CLUSTER_PHASE
#define PROGRESS_REPACK_PHASE_SEQ_SCAN_HEAP PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP
#define PROGRESS_REPACK_PHASE_INDEX_SCAN_HEAP \
	PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP
#define PROGRESS_REPACK_PHASE_SORT_TUPLES PROGRESS_CLUSTER_PHASE_SORT_TUPLES
#define PROGRESS_REPACK_PHASE_WRITE_NEW_HEAP \
	PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP
#define PROGRESS_REPACK_INDEX_RELID PROGRESS_CLUSTER_INDEX_RELID
#define PROGRESS_REPACK_TOTAL_HEAP_BLKS PROGRESS_CLUSTER_TOTAL_HEAP_BLKS
#define PROGRESS_REPACK_HEAP_BLKS_SCANNED PROGRESS_CLUSTER_HEAP_BLKS_SCANNED
#define PROGRESS_REPACK_HEAP_TUPLES_SCANNED PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED
#define PROGRESS_REPACK_HEAP_TUPLES_INSERTED \
	PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN

#define heap_update(rel, otid, tuple, cid, options, crosscheck, wait, tmfd, \
					lockmode, update_indexes)                               \
	vecseg_heap_update(rel, otid, tuple, cid, crosscheck, wait, tmfd,       \
					   lockmode, update_indexes)
#define table_beginscan(rel, snapshot, nkeys, key, flags) \
	table_beginscan(rel, snapshot, nkeys, key)
#define MakeTupleTableSlot(desc, ops, flags) MakeTupleTableSlot(desc, ops)
#define ExecInitScanTupleSlot(estate, scanstate, desc, ops, flags) \
	ExecInitScanTupleSlot(estate, scanstate, desc, ops)

#endif

/* Is a relation, by its number in the range table, changed by the plan? */
static inline bool
vecseg_is_result_relation(const PlannedStmt *plan, Index relid)
{
#if PG_VERSION_NUM >= 190000
	return bms_is_member(relid, plan->resultRelationRelids);
#else
	return list_member_int(plan->resultRelations, relid);
#endif
}

/* Which ways of scanning a relation the planner may use */
#if PG_VERSION_NUM >= 190000
typedef uint64 VecsegStrategies;
#else
typedef struct VecsegStrategies
{
	bool bitmapscan;
	bool indexonlyscan;
} VecsegStrategies;
#endif

/* Rule out bitmap scans, and, unless wanted, index-only scans. */
static inline VecsegStrategies
vecseg_rule_out_rivals(RelOptInfo *rel, bool index_only)
{
#if PG_VERSION_NUM >= 190000
	VecsegStrategies before = rel->pgs_mask;

	rel->pgs_mask &= ~(uint64) PGS_BITMAPSCAN;
	if (!index_only)
		rel->pgs_mask &= ~(uint64) PGS_CONSIDER_INDEXONLY;
#else
	VecsegStrategies before = { enable_bitmapscan, enable_indexonlyscan };

	enable_bitmapscan = false;
	enable_indexonlyscan = enable_indexonlyscan && index_only;
#endif
	return before;
}

static inline void
vecseg_restore_strategies(RelOptInfo *rel, VecsegStrategies before)
{
#if PG_VERSION_NUM >= 190000
	rel->pgs_mask = before;
#else
	enable_bitmapscan = before.bitmapscan;
	enable_indexonlyscan = before.indexonlyscan;
#endif
}

/* --- 18 --- */

#if PG_VERSION_NUM >= 180000

/*
 * Bitmap scans are told row by row where the server's iterator is, whether
 * the row must be rechecked, and count pages; before, the executor went from
 * page to page, and knew all this by itself.
 */
#define VECSEG_BITMAP_SCAN_BY_PAGE 0

/* A path of a relation's file, allocated */
#define VECSEG_RELPATH(locator, fork) pstrdup(relpath(locator, fork).str)

/* Number of the nodes of a path that settings like enable_seqscan disable */
#define VECSEG_COPY_DISABLED_NODES(to, from) \
	((to)->disabled_nodes = (from)->disabled_nodes)

/* Is a column, by its index, without nulls?  A constraint may be NOT VALID. */
#define VECSEG_HAS_NO_NULLS(desc, i) \
	(TupleDescCompactAttr(desc, i)->attnullability == ATTNULLABLE_VALID)

#else

#define VECSEG_BITMAP_SCAN_BY_PAGE 1
#define VECSEG_RELPATH(locator, fork) relpath(locator, fork)
#define VECSEG_COPY_DISABLED_NODES(to, from) ((void) 0)
#define VECSEG_HAS_NO_NULLS(desc, i) (TupleDescAttr(desc, i)->attnotnull)

#define pg_noreturn pg_attribute_noreturn()

#define pk_cmptype pk_strategy
#define COMPARE_LT BTLessStrategyNumber

#define ReorderBufferAllocChange ReorderBufferGetChange
#define ReorderBufferAllocTupleBuf ReorderBufferGetTupleBuf

#define vacuum_delay_point(is_analyze) vacuum_delay_point()
#define vac_update_relstats(rel, pages, tuples, visible, frozen, hasindex, \
							frozenxid, minmulti, frozenxid_updated,        \
							minmulti_updated, in_outer_xact)               \
	vac_update_relstats(rel, pages, tuples, visible, hasindex, frozenxid,  \
						minmulti, frozenxid_updated, minmulti_updated,     \
						in_outer_xact)

/* The members of an equivalence class, those of child relations too */
typedef struct EquivalenceMemberIterator
{
	List *members;
	int next;
} EquivalenceMemberIterator;

#define setup_eclass_member_iterator(it, ec, child_relids) \
	((it)->members = (ec)->ec_members, (it)->next = 0)
#define eclass_member_iterator_next(it)                                \
	((it)->next < list_length((it)->members)                           \
		 ? (EquivalenceMember *) list_nth((it)->members, (it)->next++) \
		 : NULL)

#endif

/* Is a page's header sane and its checksum right, if there are checksums? */
static inline bool
vecseg_page_is_verified(Page page, BlockNumber block)
{
#if PG_VERSION_NUM >= 180000
	bool checksum_failure;

	return PageIsVerified(page, block, 0, &checksum_failure);
#else
	return PageIsVerifiedExtended(page, block, 0);
#endif
}

/* --- 17 --- */

/* Arguments of scan_analyze_next_block after the scan */
#if PG_VERSION_NUM >= 170000
#define VECSEG_ANALYZE_BLOCK_ARGUMENTS ReadStream *stream
#else
#define VECSEG_ANALYZE_BLOCK_ARGUMENTS \
	BlockNumber blockno, BufferAccessStrategy bstrategy

#define INVALID_PROC_NUMBER InvalidBackendId

#define _bt_get_endpoint(rel, level, rightmost) \
	_bt_get_endpoint(rel, level, rightmost, NULL)
#endif

/* The tuple in what ReorderBufferAllocTupleBuf() returns */
#if PG_VERSION_NUM >= 170000
#define VECSEG_TUPLE_OF_BUF(buf) (buf)
#else
#define VECSEG_TUPLE_OF_BUF(buf) (&(buf)->tuple)
#endif

/* 17 removed old_snapshot_threshold */
#if PG_VERSION_NUM >= 170000
#define OldSnapshotThresholdActive() false
#define TestForOldSnapshot(snapshot, rel, page) ((void) 0)
#endif

/* --- 16 --- */

/* Do the server's own reads bypass the page cache (debug_io_direct)? */
#if PG_VERSION_NUM >= 160000
#define VECSEG_SERVER_READS_DIRECTLY() ((io_direct_flags & IO_DIRECT_DATA) != 0)
#else
#define VECSEG_SERVER_READS_DIRECTLY() false
#endif

#if PG_VERSION_NUM < 160000

typedef RelFileNode RelFileLocator;
typedef RelFileNodeBackend RelFileLocatorBackend;

#define rd_locator rd_node
#define dbOid dbNode
#define RelFileLocatorEquals(a, b) RelFileNodeEquals(a, b)
#define smgr_rlocator smgr_rnode
#define relation_set_new_filelocator relation_set_new_filenode
/* the member of ReorderBufferChange.data.tp */
#define rlocator relnode

#define InitBufferTag(tag, locator, fork, block) \
	INIT_BUFFERTAG(*(tag), *(locator), fork, block)

typedef PGAlignedBlock PGIOAlignedBlock;

#define object_aclcheck(classid, objectid, roleid, mode) \
	pg_proc_aclcheck(objectid, roleid, mode)

#define _bt_getroot(rel, heaprel, access) _bt_getroot(rel, access)

#endif

/* 16 renamed the counters of PgStat_StatTabEntry */
#if PG_VERSION_NUM < 160000
#define live_tuples n_live_tuples
#define dead_tuples n_dead_tuples
#endif

#endif /* VECSEG_COMPAT_H */
