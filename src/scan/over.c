/*-------------------------------------------------------------------------
 *
 * over.c
 *	  Vecseg Scans over the server's other scans.
 *
 * A table scan reads vectors ahead by itself if the query uses those of all
 * rows (am/scan.c), but does not know which rows pass the query's conditions.
 * Nor does a bitmap or sample scan know more than a page.  So a Vecseg Scan is put
 * over such a scan: it takes the rows that the scan finds, and reads their
 * vectors ahead like those of rows that it finds by itself.
 *
 * The scan checks those conditions that need no vectors.  It looks for the next
 * row that passes for as long as it takes, though; so where the query may
 * end before all rows were returned, as by a LIMIT, the Vecseg Scan
 * checks them, which gives up such a search when there is a row to return.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

#include "compat.h"
#include "scan/custom.h"

/* --- paths --- */

/* What the conditions of a table's rows need */
typedef struct Conditions
{
	bool early;	  /* some can be checked before vectors are read */
	bool vectors; /* some need them */
} Conditions;

static Conditions
find_conditions(RelOptInfo *rel, Relation relation)
{
	Conditions result = { false, false };
	ListCell *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		Node *clause = (Node *) rinfo->clause;

		if (rinfo->pseudoconstant)
			continue;
		result.early |= vecseg_is_early(clause, rel->relid, relation);
		result.vectors |= vecseg_needs_vector(clause, rel->relid, relation);
	}
	return result;
}

/* A scan that is run for each row of another table finds so many rows at least. */
#define LEAST_ROWS 8

/* Can a Vecseg Scan use the index by itself?  Not in parallel, nor for each row. */
static bool
scans_by_itself(const Path *path)
{
	return path->pathtype == T_IndexScan && !path->parallel_aware &&
		   path->param_info == NULL &&
		   vecseg_scans_by_itself((const IndexPath *) path);
}

/*
 * Is this a scan that a Vecseg Scan should be put over?  Not a table scan without
 * conditions to be checked before vectors are read, which reads ahead by itself.
 */
static bool
is_worth_it(const Path *path, const Conditions *conditions)
{
	if (path->param_info != NULL && path->rows < LEAST_ROWS)
		return false;
	switch (path->pathtype)
	{
		case T_SampleScan:
		case T_BitmapHeapScan:
			return true;
		case T_SeqScan:
		case T_TidRangeScan:
			return conditions->early;
		case T_IndexScan:
			return path->rows > 1 && !scans_by_itself(path);
		default:
			return false;
	}
}

/* Does a scan return the rows of the table, or a part of it, in its order? */
static bool
scans_in_order(const Path *path)
{
	return path->pathtype == T_SeqScan || path->pathtype == T_TidRangeScan ||
		   path->pathtype == T_BitmapHeapScan || path->pathtype == T_SampleScan;
}

/* A copy of a path: add_path() frees those that others beat. */
static Path *
copy_path(const Path *path)
{
	Size size;
	Path *result;

	switch (nodeTag(path))
	{
		case T_BitmapHeapPath:
			size = sizeof(BitmapHeapPath);
			break;
		case T_TidRangePath:
			size = sizeof(TidRangePath);
			break;
		case T_IndexPath:
			size = sizeof(IndexPath);
			break;
		default:
			Assert(IsA(path, Path));
			size = sizeof(Path);
			break;
	}
	result = palloc(size);
	memcpy(result, path, size);
	return result;
}

/* A path over a scan's: a bit cheaper, as Vecseg Scans of an index are. */
static Path *
path_over(PlannerInfo *root, RelOptInfo *rel, const Path *scan)
{
	VecsegScanInfo info = { 0 };
	CustomPath *path;

	info.direction = ForwardScanDirection;
	info.runs_to_end = vecseg_runs_to_end(root, scan->pathkeys);
	info.in_order = info.runs_to_end && scans_in_order(scan);
	info.eager = info.runs_to_end && bms_equal(rel->relids, root->all_baserels);
	path = vecseg_make_path(rel, copy_path(scan), &info);
	path->path.pathkeys = scan->pathkeys;
	path->path.param_info = scan->param_info;
	path->path.parallel_safe = scan->parallel_safe;
	path->path.parallel_workers = scan->parallel_workers;
	path->path.rows = scan->rows;
	VECSEG_COPY_DISABLED_NODES(&path->path, scan);
	path->path.startup_cost = scan->startup_cost * VECSEG_READ_AHEAD_FACTOR;
	path->path.total_cost = scan->total_cost * VECSEG_READ_AHEAD_FACTOR;
	return &path->path;
}

/*
 * Add paths over those that a table with vectors has.  Of the target of an
 * UPDATE or DELETE only conditions read vectors.
 */
void
vecseg_add_paths_over(PlannerInfo *root, RelOptInfo *rel, Relation relation)
{
	Conditions conditions = find_conditions(rel, relation);
	List *paths = list_copy(rel->pathlist);
	List *partial_paths = list_copy(rel->partial_pathlist);
	List *over = NIL;
	List *partial_over = NIL;
	ListCell *cell;

	if (bms_is_member(rel->relid, root->all_result_relids) &&
		!conditions.vectors)
		return;
	/* make all of them before any is added, which may free others */
	foreach(cell, paths)
	{
		if (is_worth_it(lfirst(cell), &conditions))
			over = lappend(over, path_over(root, rel, lfirst(cell)));
	}
	foreach(cell, partial_paths)
	{
		if (is_worth_it(lfirst(cell), &conditions))
			partial_over =
				lappend(partial_over, path_over(root, rel, lfirst(cell)));
	}
	foreach(cell, over)
		add_path(rel, lfirst(cell));
	foreach(cell, partial_over)
		add_partial_path(rel, lfirst(cell));
}

/* --- plans --- */

/* What a scan's rows satisfy besides its filter */
static List *
conditions_of_scan(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_BitmapHeapScan:
			return ((const BitmapHeapScan *) plan)->bitmapqualorig;
		case T_TidRangeScan:
			return ((const TidRangeScan *) plan)->tidrangequals;
		case T_IndexScan:
			return ((const IndexScan *) plan)->indexqualorig;
		default:
			return NIL;
	}
}

/*
 * Put a Vecseg Scan over a scan.  early: its conditions that need no vectors.
 * The scan need not return anything: rows are taken from the slot where it has
 * them.
 */
void
vecseg_plan_over(CustomScan *cscan, Plan *scan, List *early, bool runs_to_end)
{
	List *recheck = copyObject(conditions_of_scan(scan));

	scan->targetlist = NIL;
	scan->qual = runs_to_end ? early : NIL;
	if (runs_to_end)
		recheck = list_concat(recheck, copyObject(early));
	cscan->custom_plans = list_make1(scan);
	cscan->custom_exprs =
		list_make5(NIL, recheck, runs_to_end ? NIL : early, NIL, NIL);
}

/* --- execution --- */

#define REVIEW_ROWS 256

void
vecseg_begin_over(VecsegScanState *state, EState *estate, int eflags)
{
	CustomScan *cscan = (CustomScan *) state->css.ss.ps.plan;

	state->scan = (ScanState *) ExecInitNode(linitial(cscan->custom_plans),
											 estate, eflags);
	state->css.custom_ps = list_make1(state->scan);
}

/*
 * Of so many rows, look how close together they are in the table: most of it is
 * read in another way than some of it, and the planner knows too little of that.
 */
static void
review_part(VecsegScanState *state, BlockNumber block)
{
	Form_pg_class form = state->css.ss.ss_currentRelation->rd_rel;

	if (state->found == 0)
		state->first_block = block;
	if (++state->found < REVIEW_ROWS)
		return;
	if (block >= state->first_block && form->reltuples > 0)
	{
		double pages = block - state->first_block + 1.0;
		double tuples = pages * form->reltuples / Max(form->relpages, 1);

		vecseg_window_expect_part(state->window,
								  state->found >= tuples * VECSEG_MOST_OF_TABLE
									  ? VECSEG_READ_IN_ORDER
									  : VECSEG_READ_SOME);
	}
	state->found = 0;
}

/* The slot with the next row that the scan finds, or NULL */
TupleTableSlot *
vecseg_fetch_over(VecsegScanState *state)
{
	TupleTableSlot *slot;

	if (state->window != NULL)
		vecseg_window_keep_reading(state->window);
	slot = ExecProcNode(&state->scan->ps);
	if (TupIsNull(slot))
		return NULL;
	slot = state->scan->ss_ScanTupleSlot;
	if (state->window != NULL && state->info.in_order)
		review_part(state, ItemPointerGetBlockNumber(&slot->tts_tid));
	return slot;
}

void
vecseg_rescan_over(VecsegScanState *state)
{
	PlanState *scan = &state->scan->ps;

	state->found = 0;
	if (state->css.ss.ps.chgParam != NULL)
		UpdateChangedParamSet(scan, state->css.ss.ps.chgParam);
	/* else ExecProcNode() does it */
	if (scan->chgParam == NULL)
		ExecReScan(scan);
}
