/*-------------------------------------------------------------------------
 *
 * exec.c
 *	  Execution of a Vecseg Scan.
 *
 *		addresses		rows				rows with vectors
 *		(tids.c) ---->	early conditions ---> (am/window.c) ---> late
 *		another scan's rows ----^						   conditions,
 *		(over.c)										   projection
 *
 * The window holds rows ahead of the one being returned: one at first, unless
 * all will be wanted, then more and more, but not many more than were returned, so that a query that
 * stops early has not read much in vain.  Conditions are checked in the same sequence as
 * in an index scan, but earlier: those that need no vectors when the row
 * enters the window.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "executor/nodeIndexscan.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/rel.h"

#include "compat.h"
#include "scan/custom.h"

/* Rows to begin with when all will be wanted; else it is one */
#define EAGER_ROWS 32

static Node *create_scan_state(CustomScan *cscan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);

const CustomScanMethods vecseg_scan_methods = {
	.CustomName = VECSEG_SCAN_NAME,
	.CreateCustomScanState = create_scan_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = VECSEG_SCAN_NAME,
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = vecseg_explain_scan,
};

static Node *
create_scan_state(CustomScan *cscan)
{
	VecsegScanState *state =
		(VecsegScanState *) newNode(sizeof(VecsegScanState), T_CustomScanState);

	state->css.methods = &exec_methods;
	vecseg_scan_info_read(cscan, &state->info);
	return (Node *) state;
}

/*
 * The executor has set up the node for virtual tuples.  Ours are heap tuples
 * in buffers: they have system columns.
 */
static void
use_buffer_slot(CustomScanState *node, EState *estate)
{
	CustomScan *cscan = (CustomScan *) node->ss.ps.plan;

	ExecInitScanTupleSlot(
		estate, &node->ss, RelationGetDescr(node->ss.ss_currentRelation),
		&TTSOpsBufferHeapTuple, TTS_FLAG_OBEYS_NOT_NULL_CONSTRAINTS);
	ExecAssignScanProjectionInfoWithVarno(&node->ss, cscan->scan.scanrelid);
	node->ss.ps.subPlan = NIL;
	node->ss.ps.qual = ExecInitQual(cscan->scan.plan.qual, (PlanState *) node);
}

/*
 * Have rows projected by this target list, even if it is the table's row
 * type: nodes above that keep a heap tuple would keep its pointers, not the
 * vectors read.
 */
static void
set_projection(CustomScanState *node, List *targetlist)
{
	PlanState *ps = &node->ss.ps;

	ps->ps_ProjInfo = ExecBuildProjectionInfo(
		targetlist, ps->ps_ExprContext, ps->ps_ResultTupleSlot, ps,
		node->ss.ss_ScanTupleSlot->tts_tupleDescriptor);
	ps->resultops = &TTSOpsVirtual;
	ps->resultopsfixed = true;
	ps->resultopsset = true;
}

static Bitmapset *
columns_to_read(VecsegScanState *state, EState *estate)
{
	Scan *scan = (Scan *) state->css.ss.ps.plan;
	bool is_target =
		vecseg_is_result_relation(estate->es_plannedstmt, scan->scanrelid);

	return vecseg_plan_columns(
		&scan->plan, scan->scanrelid,
		RelationGetDescr(state->css.ss.ss_currentRelation),
		state->info.by_reference, is_target);
}

static void
open_index(VecsegScanState *state, EState *estate)
{
	CustomScan *cscan = (CustomScan *) state->css.ss.ps.plan;
	LOCKMODE lockmode =
		exec_rt_fetch(cscan->scan.scanrelid, estate)->rellockmode;

	state->index = index_open(state->info.indexid, lockmode);
	ExecIndexBuildScanKeys(&state->css.ss.ps, state->index,
						   VECSEG_INDEX_QUAL(cscan), false, &state->keys,
						   &state->nkeys, &state->runtime_keys,
						   &state->nruntime_keys, NULL, NULL);
	ExecIndexBuildScanKeys(&state->css.ss.ps, state->index,
						   VECSEG_ORDER_BY(cscan), true, &state->orderbys,
						   &state->norderbys, &state->runtime_keys,
						   &state->nruntime_keys, NULL, NULL);
	if (state->nruntime_keys > 0)
		state->runtime_context = CreateExprContext(estate);
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	VecsegScanState *state = (VecsegScanState *) node;
	CustomScan *cscan = (CustomScan *) node->ss.ps.plan;

	use_buffer_slot(node, estate);
	state->columns = columns_to_read(state, estate);
	/* EvalPlanQual projects rows that the scan has not found */
	if (state->info.asked_order && estate->es_epq_active == NULL)
	{
		state->positions =
			vecseg_positions_create(estate, node->ss.ps.ps_ExprContext);
		set_projection(node, vecseg_positions_targetlist(cscan));
	}
	else if (state->columns != NULL)
		set_projection(node, cscan->scan.plan.targetlist);
	state->recheck = ExecInitQual(VECSEG_INDEX_QUAL_ORIG(cscan), &node->ss.ps);
	state->early = ExecInitQual(VECSEG_EARLY_QUAL(cscan), &node->ss.ps);
	if (!OidIsValid(state->info.indexid))
		vecseg_begin_over(state, estate, eflags);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->early_context = CreateExprContext(estate);
	if (state->scan != NULL)
		return;
	state->row = ExecInitExtraTupleSlot(
		estate, RelationGetDescr(node->ss.ss_currentRelation),
		&TTSOpsBufferHeapTuple);
	open_index(state, estate);
}

/* The index conditions, without bounds that are null */
static ScanKey
effective_keys(VecsegScanState *state, int *nkeys)
{
	ScanKey keys = palloc(Max(state->nkeys, 1) * sizeof(ScanKeyData));
	int i;

	*nkeys = 0;
	for (i = 0; i < state->nkeys; i++)
	{
		if (i >= state->info.nbounds ||
			(state->keys[i].sk_flags & SK_ISNULL) == 0)
			keys[(*nkeys)++] = state->keys[i];
	}
	return keys;
}

/* Which of the table's vectors will be read, as far as is known at first? */
static VecsegReadPart
part_to_read(const VecsegScanState *state)
{
	const Plan *plan = state->css.ss.ps.plan;
	float4 reltuples = state->css.ss.ss_currentRelation->rd_rel->reltuples;

	return state->scan == NULL && reltuples > 0 &&
				   plan->plan_rows >= reltuples * VECSEG_MOST_OF_TABLE
			   ? VECSEG_READ_MOST
			   : VECSEG_READ_SOME;
}

static void
start_tids(VecsegScanState *state)
{
	EState *estate = state->css.ss.ps.state;
	ScanKey keys;
	int nkeys;

	if (state->nruntime_keys > 0)
	{
		ResetExprContext(state->runtime_context);
		ExecIndexEvalRuntimeKeys(state->runtime_context, state->runtime_keys,
								 state->nruntime_keys);
	}
	if (state->tids == NULL)
		state->tids = vecseg_tids_create(state->css.ss.ss_currentRelation,
										 state->index, estate->es_snapshot,
										 state->info.direction, state->window,
										 VECSEG_SCAN_FLAGS(&state->css.ss));
	if (state->norderbys > 0)
	{
		vecseg_tids_start_search(state->tids, state->orderbys, state->norderbys,
								 state->info.expected);
		return;
	}
	keys = effective_keys(state, &nkeys);
	vecseg_tids_start(state->tids, keys, nkeys, state->info.asked_order,
					  state->info.eager);
	pfree(keys);
}

/* Start from the beginning, with the present values of parameters. */
static void
start_scan(VecsegScanState *state)
{
	if (state->columns != NULL && state->window == NULL)
		state->window = vecseg_window_create(
			state->css.ss.ss_currentRelation, state->columns,
			part_to_read(state), &state->counters);
	if (state->scan == NULL)
		start_tids(state);
	if (state->window != NULL && state->info.expected > 0)
		vecseg_window_expect(state->window, state->info.expected);
	else if (state->window != NULL && state->info.eager)
		vecseg_window_expect(state->window, EAGER_ROWS);
	state->pushed = 0;
	state->exhausted = false;
	state->started = true;
}

/* Check the conditions that need no vectors. */
static bool
passes_early(VecsegScanState *state, TupleTableSlot *slot)
{
	ExprContext *econtext = state->early_context;

	if (state->early == NULL)
		return true;
	econtext->ecxt_scantuple = slot;
	if (ExecQualAndReset(state->early, econtext))
		return true;
	InstrCountFiltered2(&state->css, 1);
	return false;
}

/* The row of the next address, if it is visible */
static TupleTableSlot *
fetch_by_address(VecsegScanState *state, int *position)
{
	bool visible;

	state->exhausted =
		!vecseg_tids_fetch(state->tids, state->row, &visible, position);
	if (state->exhausted || !visible)
		return NULL;
	pgstat_count_heap_fetch(state->index);
	return state->row;
}

/*
 * The next row, if it is visible and passes; sets exhausted when there are no
 * more.
 */
static TupleTableSlot *
fetch_next(VecsegScanState *state, int *position)
{
	TupleTableSlot *slot;

	if (state->scan == NULL)
		slot = fetch_by_address(state, position);
	else
	{
		slot = vecseg_fetch_over(state);
		state->exhausted = slot == NULL;
	}
	return slot != NULL && passes_early(state, slot) ? slot : NULL;
}

/* Will no more rows than those in the window be wanted, by all that is known? */
static bool
has_expected(const VecsegScanState *state)
{
	return state->info.expected > 0 && state->pushed >= state->info.expected &&
		   vecseg_window_rows(state->window) > 0;
}

/*
 * Put rows into the window.  Once there is one to return, a search for more
 * among rows that do not pass is not carried on for long.
 */
static void
fill_window(VecsegScanState *state)
{
	int limit = vecseg_window_limit(state->window);
	int tried = 0;

	while (!state->exhausted && !vecseg_window_full(state->window) &&
		   !has_expected(state) &&
		   (tried < limit || vecseg_window_rows(state->window) == 0))
	{
		TupleTableSlot *slot;
		int position;

		CHECK_FOR_INTERRUPTS();
		tried++;
		slot = fetch_next(state, &position);
		if (slot == NULL)
			continue;
		vecseg_window_push(state->window, slot);
		if (state->info.expected > 0)
			state->pushed++;
		if (state->positions != NULL)
			vecseg_positions_push(state->positions, position);
	}
	if (tried > 0 && state->row != NULL)
		ExecClearTuple(state->row);
}

/* The next row from the window; false at the end */
static bool
next_from_window(VecsegScanState *state, TupleTableSlot *slot)
{
	fill_window(state);
	if (!vecseg_window_pop(state->window, slot))
	{
		/* of many partitions' scans none is closed before all have ended */
		vecseg_window_reset(state->window);
		return false;
	}
	if (state->positions != NULL)
		vecseg_positions_pop(state->positions);
	return true;
}

/* The next row when no vectors are to be read; false at the end */
static bool
next_without_window(VecsegScanState *state, TupleTableSlot *slot)
{
	while (!state->exhausted)
	{
		TupleTableSlot *row;
		int position;

		CHECK_FOR_INTERRUPTS();
		row = fetch_next(state, &position);
		if (row == NULL)
			continue;
		ExecCopySlot(slot, row);
		slot->tts_tid = ((HeapTupleTableSlot *) row)->tuple->t_self;
		slot->tts_tableOid = row->tts_tableOid;
		if (state->positions != NULL)
			vecseg_positions_set(state->positions, position);
		return true;
	}
	if (state->row != NULL)
		ExecClearTuple(state->row);
	return false;
}

/* The next row that passes the early conditions, for ExecScan */
static TupleTableSlot *
next_row(ScanState *node)
{
	VecsegScanState *state = (VecsegScanState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;

	if (!state->started)
		start_scan(state);
	if (state->window != NULL ? next_from_window(state, slot)
							  : next_without_window(state, slot))
		return slot;
	return ExecClearTuple(slot);
}

/* Does another version of a row (EvalPlanQual) still belong to the result? */
static bool
recheck_row(ScanState *node, TupleTableSlot *slot)
{
	VecsegScanState *state = (VecsegScanState *) node;
	ExprContext *econtext = node->ps.ps_ExprContext;

	econtext->ecxt_scantuple = slot;
	return ExecQualAndReset(state->recheck, econtext) &&
		   ExecQualAndReset(state->early, econtext);
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck_row);
}

static void
rescan(CustomScanState *node)
{
	VecsegScanState *state = (VecsegScanState *) node;

	if (state->window != NULL)
		vecseg_window_reset(state->window);
	if (state->positions != NULL)
		vecseg_positions_reset(state->positions);
	if (state->row != NULL)
		ExecClearTuple(state->row);
	state->started = false;
	if (state->scan != NULL)
		vecseg_rescan_over(state);
	ExecScanReScan(&node->ss);
}

static void
end_scan(CustomScanState *node)
{
	VecsegScanState *state = (VecsegScanState *) node;

	if (state->window != NULL)
		vecseg_window_close(state->window);
	if (state->scan != NULL)
		ExecEndNode(&state->scan->ps);
	if (state->tids != NULL)
		vecseg_tids_end(state->tids);
	if (state->index != NULL)
		index_close(state->index, NoLock);
}
