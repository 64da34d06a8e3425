/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  What EXPLAIN shows of a Vecseg Scan.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "scan/custom.h"
#include "stats_explain.h"

static void
show_conditions(const char *label, List *quals, CustomScanState *node,
				List *ancestors, ExplainState *es)
{
	List *context;

	if (quals == NIL)
		return;
	context =
		set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	ExplainPropertyText(label,
						deparse_expression((Node *) make_ands_explicit(quals),
										   context, es->verbose, false),
						es);
}

static void
show_columns(VecsegScanState *state, ExplainState *es)
{
	TupleDesc desc = RelationGetDescr(state->css.ss.ss_currentRelation);
	List *names = NIL;
	int attno = -1;

	while ((attno = bms_next_member(state->columns, attno)) >= 0)
		names =
			lappend(names, NameStr(TupleDescAttr(desc, attno - 1)->attname));
	if (names != NIL)
		ExplainPropertyList("Read Ahead", names, es);
}

/* What decides the order where that is not the index's own */
static void
show_order(const VecsegScanInfo *info, ExplainState *es)
{
	if (info->asked_order)
		ExplainPropertyText("Order", "Array", es);
	else if (ScanDirectionIsBackward(info->direction))
		ExplainPropertyText("Order", "Backward", es);
}

static void
show_removed(VecsegScanState *state, ExplainState *es)
{
	NodeInstrumentation *instrument = state->css.ss.ps.instrument;
	double removed;

	if (!es->analyze || instrument == NULL)
		return;
	removed = instrument->nloops > 0
				  ? instrument->nfiltered2 / instrument->nloops
				  : 0.0;
	if (removed > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyFloat("Rows Removed by Filter Before Read", NULL,
							 removed, 0, es);
}

/* ExplainCustomScan */
void
vecseg_explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	VecsegScanState *state = (VecsegScanState *) node;
	CustomScan *cscan = (CustomScan *) node->ss.ps.plan;

	if (OidIsValid(state->info.indexid))
	{
		ExplainPropertyText("Index", get_rel_name(state->info.indexid), es);
		show_conditions("Index Cond", VECSEG_INDEX_QUAL_ORIG(cscan), node,
						ancestors, es);
		show_conditions("Order By", VECSEG_ORDER_BY_ORIG(cscan), node,
						ancestors, es);
		show_order(&state->info, es);
	}
	show_conditions("Filter Before Read", VECSEG_EARLY_QUAL(cscan), node,
					ancestors, es);
	if (VECSEG_EARLY_QUAL(cscan) != NIL)
		show_removed(state, es);
	show_columns(state, es);
	if (state->columns != NULL)
		vecseg_explain_counters(&state->counters, es);
}
