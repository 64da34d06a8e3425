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
#include "commands/vacuum.h"
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

#else

#define VECSEG_BITMAP_SCAN_BY_PAGE 1
#define VECSEG_RELPATH(locator, fork) relpath(locator, fork)
#define VECSEG_COPY_DISABLED_NODES(to, from) ((void) 0)

#define pg_noreturn pg_attribute_noreturn()

#define pk_cmptype pk_strategy
#define COMPARE_LT BTLessStrategyNumber

#define ReorderBufferAllocChange ReorderBufferGetChange
#define ReorderBufferAllocTupleBuf ReorderBufferGetTupleBuf

#define index_beginscan(heap, index, snapshot, instrument, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#define vacuum_delay_point(is_analyze) vacuum_delay_point()
#define vac_update_relstats(rel, pages, tuples, visible, frozen, hasindex, \
							frozenxid, minmulti, frozenxid_updated,        \
							minmulti_updated, in_outer_xact)               \
	vac_update_relstats(rel, pages, tuples, visible, hasindex, frozenxid,  \
						minmulti, frozenxid_updated, minmulti_updated,     \
						in_outer_xact)
#define pgstat_report_vacuum(oid, shared, live, dead, starttime) \
	((void) (starttime), pgstat_report_vacuum(oid, shared, live, dead))

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

/* Which indexes an update needs new entries in: all or none */
typedef bool TU_UpdateIndexes;

#define TU_None false
#define TU_All true

static inline TM_Result
vecseg_heap_update(Relation rel, ItemPointer otid, HeapTuple tuple,
				   CommandId cid, Snapshot crosscheck, bool wait,
				   TM_FailureData *tmfd, LockTupleMode *lockmode,
				   TU_UpdateIndexes *update_indexes)
{
	TM_Result result =
		heap_update(rel, otid, tuple, cid, crosscheck, wait, tmfd, lockmode);

	*update_indexes = HeapTupleIsHeapOnly(tuple) ? TU_None : TU_All;
	return result;
}

#define heap_update vecseg_heap_update

#endif

/* 16 renamed the counters of PgStat_StatTabEntry */
#if PG_VERSION_NUM < 160000
#define live_tuples n_live_tuples
#define dead_tuples n_dead_tuples
#endif

#endif /* VECSEG_COMPAT_H */
