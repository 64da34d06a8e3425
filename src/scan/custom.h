/*-------------------------------------------------------------------------
 *
 * custom.h
 *	  The custom scan "Vecseg Scan": a scan that reads ahead.
 *
 * A plain index scan asks for one row at a time, and so waits for one index
 * page, one heap page and one vector after another.  A Vecseg Scan takes row
 * addresses from the index in batches that grow as rows are consumed, asks
 * the kernel for their pages at once, checks what can be checked without the
 * vectors, and has the vectors of the surviving rows read in batches.  It does
 * the last for rows that another of the server's scans finds, too.
 *
 *		keys.c		the keys of "key = ANY (array)"
 *		watch.c		whether pages are worth prefetching
 *		prefetch.c	the leaf pages of a btree that will be needed
 *		touch.c		what the processor will need next
 *		tids.c		row addresses from the index, ahead of need
 *		order.c		the order of an array
 *		over.c		Vecseg Scans over the server's other scans
 *		columns.c	whose values are to be read
 *		exec.c		rows, conditions, vectors: the executor node
 *		explain.c	what EXPLAIN shows
 *		paths.c		when the planner may choose it
 *		plan.c		from path to plan
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_CUSTOM_H
#define VECSEG_CUSTOM_H

#include "postgres.h"

#include "access/genam.h"
#include "access/sdir.h"
#include "access/skey.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

#include "am/window.h"
#include "stats.h"

#define VECSEG_SCAN_NAME "Vecseg Scan"

/* So much of a table's rows is most of it, for how their vectors are read. */
#define VECSEG_MOST_OF_TABLE 0.25

/* ---- keys.c ---- */

/* The distinct elements of an array that are not null, ascending */
typedef struct VecsegKeySet
{
	int nkeys;
	Datum *values;
	int *positions; /* where in the array each comes first, from 1 */
} VecsegKeySet;

extern VecsegKeySet *vecseg_keys_make(ArrayType *array, FmgrInfo *compare,
									  Oid collation);
extern int *vecseg_keys_in_order_of_position(const VecsegKeySet *keys);

/* ---- watch.c ---- */

/* What has been found about a kind of pages; zero at first */
typedef struct VecsegPageWatch
{
	uint32 seen;	/* pages decided on */
	int quick;		/* pages in a row that came quickly without prefetch */
	uint32 untimed; /* pages since that was enough */
} VecsegPageWatch;

extern bool vecseg_watch_wants_prefetch(VecsegPageWatch *watch, bool *timed);
extern void vecseg_watch_note(VecsegPageWatch *watch, instr_time start);

/* ---- pages.c ---- */

typedef struct VecsegPages VecsegPages;

extern VecsegPages *vecseg_pages_create(Relation rel);
extern void vecseg_pages_want(VecsegPages *pages, BlockNumber block,
							  Buffer *buffer);
extern void vecseg_pages_prefetch(VecsegPages *pages);

/* ---- prefetch.c ---- */

typedef struct VecsegLeafWalk VecsegLeafWalk;

extern VecsegLeafWalk *vecseg_leaf_walk_begin(Relation index, ScanKey keys,
											  int nkeys,
											  ScanDirection direction);
extern void vecseg_leaf_walk_advance(VecsegLeafWalk *walk, BlockNumber current);

/* ---- tids.c ---- */

typedef struct VecsegTids VecsegTids;

extern VecsegTids *vecseg_tids_create(Relation heap, Relation index,
									  Snapshot snapshot,
									  ScanDirection direction,
									  VecsegWindow *window, uint32 flags);
extern void vecseg_tids_start(VecsegTids *tids, ScanKey keys, int nkeys,
							  bool asked_order, bool eager);
extern void vecseg_tids_start_search(VecsegTids *tids, ScanKey orderbys,
									 int norderbys, int expected);
extern bool vecseg_tids_fetch(VecsegTids *tids, TupleTableSlot *slot,
							  bool *visible, int *position);
extern void vecseg_tids_end(VecsegTids *tids);

/* ---- columns.c ---- */

extern void vecseg_pull_columns(Node *node, Index varno, Bitmapset **columns);
extern bool vecseg_reads_column(const Bitmapset *columns, int attno);
extern bool vecseg_column_may_be_large(const FormData_pg_attribute *att);
extern Bitmapset *vecseg_plan_columns(const Plan *plan, Index scanrelid,
									  TupleDesc desc, bool by_reference,
									  bool is_target);

/* ---- planner.c ---- */

extern bool vecseg_query_is_volatile(void);

/* ---- plan.c ---- */

/* What a plan says besides its expressions; custom_private */
typedef struct VecsegScanInfo
{
	Oid indexid; /* invalid: it is put over a scan that finds the rows */
	ScanDirection direction;
	int nbounds;	   /* so many index conditions, the first ones, do not
					   * apply when their operand is null */
	bool asked_order;  /* rows in the order of the array's elements */
	bool by_reference; /* do not read what is merely returned */
	int expected;	   /* rows of a search that a LIMIT takes; 0: unknown */
	bool eager;		   /* nothing is known that ends the scan early, and it is
						* not joined */

	/* Of a scan over another: */
	bool runs_to_end; /* nothing is known that ends it early */
	bool in_order;	  /* and it returns rows in the table's order */
} VecsegScanInfo;

/* A plan's custom_exprs */
#define VECSEG_INDEX_QUAL(cscan) ((List *) linitial((cscan)->custom_exprs))
#define VECSEG_INDEX_QUAL_ORIG(cscan) ((List *) lsecond((cscan)->custom_exprs))
#define VECSEG_EARLY_QUAL(cscan) ((List *) lthird((cscan)->custom_exprs))
#define VECSEG_ORDER_BY(cscan) ((List *) lfourth((cscan)->custom_exprs))
#define VECSEG_ORDER_BY_ORIG(cscan) \
	((List *) list_nth((cscan)->custom_exprs, 4))

extern List *vecseg_scan_info_store(const VecsegScanInfo *info);
extern void vecseg_scan_info_read(const CustomScan *cscan,
								  VecsegScanInfo *info);
extern bool vecseg_needs_vector(Node *clause, Index relid, Relation rel);
extern bool vecseg_is_early(Node *clause, Index relid, Relation rel);
extern Plan *vecseg_plan_path(PlannerInfo *root, RelOptInfo *rel,
							  CustomPath *best_path, List *tlist, List *clauses,
							  List *custom_plans);
extern void vecseg_mark_plan(PlannedStmt *plan);

/* ---- order.c ---- */

typedef struct VecsegPositions VecsegPositions;

extern VecsegPositions *vecseg_positions_create(EState *estate,
												ExprContext *econtext);
extern void vecseg_positions_reset(VecsegPositions *positions);
extern void vecseg_positions_push(VecsegPositions *positions, int position);
extern void vecseg_positions_pop(VecsegPositions *positions);
extern void vecseg_positions_set(VecsegPositions *positions, int position);
extern List *vecseg_positions_targetlist(const CustomScan *cscan);
extern Node *vecseg_strip_relabel(Node *node);

/* ---- paths.c ---- */

/* A path that reads ahead is a bit cheaper than one that does not. */
#define VECSEG_READ_AHEAD_FACTOR 0.95

extern bool vecseg_scans_by_itself(const IndexPath *path);
extern bool vecseg_runs_to_end(PlannerInfo *root, List *pathkeys);
extern CustomPath *vecseg_make_path(RelOptInfo *rel, Path *other,
									const VecsegScanInfo *info);
extern void vecseg_add_paths(PlannerInfo *root, RelOptInfo *rel,
							 RangeTblEntry *rte);

/* ---- exec.c ---- */

typedef struct VecsegScanState
{
	CustomScanState css; /* must be first */
	VecsegScanInfo info;
	ExprState *recheck; /* what the index or the scan below has checked */
	ExprState *early;	/* other conditions that need no vectors */
	ExprContext *early_context;
	Bitmapset *columns; /* to be read in batches */

	ScanState *scan; /* that finds the rows; NULL: we do, with the index */
	int found;		 /* rows of it since they were reviewed, in_order */
	BlockNumber first_block; /* of the first of them */
	Relation index;
	ScanKey keys;
	int nkeys;
	ScanKey orderbys; /* of a search by distance */
	int norderbys;
	IndexRuntimeKeyInfo *runtime_keys;
	int nruntime_keys;
	ExprContext *runtime_context;

	bool started;
	bool exhausted; /* there are no more rows to be found */
	int pushed;		/* rows so far, of a search */
	VecsegTids *tids;
	TupleTableSlot *row;		/* on its way to the window */
	VecsegWindow *window;		/* NULL: no columns to be read */
	VecsegPositions *positions; /* NULL: not wanted */
	VecsegIoCounters counters;
} VecsegScanState;

extern const CustomScanMethods vecseg_scan_methods;

/* ---- over.c ---- */

extern void vecseg_add_paths_over(PlannerInfo *root, RelOptInfo *rel,
								  Relation relation);
extern void vecseg_plan_over(CustomScan *cscan, Plan *scan, List *early,
							 bool runs_to_end);
extern void vecseg_begin_over(VecsegScanState *state, EState *estate,
							  int eflags);
extern TupleTableSlot *vecseg_fetch_over(VecsegScanState *state);
extern void vecseg_rescan_over(VecsegScanState *state);

/* ---- explain.c ---- */

extern void vecseg_explain_scan(CustomScanState *node, List *ancestors,
								ExplainState *es);

#endif /* VECSEG_CUSTOM_H */
