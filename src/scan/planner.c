/*-------------------------------------------------------------------------
 *
 * planner.c
 *	  Hooks into the planner.
 *
 * Before planning, calls of vecseg_scroll and vecseg_retrieve are replaced by
 * queries (inline.c); while planning, Vecseg Scans are offered (paths.c).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "utils/syscache.h"

#include "compat.h"
#include "guc.h"
#include "scan/custom.h"
#include "scan/inline.h"
#include "scan/scan.h"

/* Has the query that is being planned volatile functions? */
static bool query_is_volatile = true;

static planner_hook_type previous_planner = NULL;
static set_rel_pathlist_hook_type previous_set_rel_pathlist = NULL;

/* What the replaced calls depended on, the plan depends on. */
static void
add_dependencies(PlannedStmt *plan, const VecsegInlined *inlined)
{
	ListCell *cell;

	plan->dependsOnRole |= inlined->depends_on_role;
	plan->invalItems = list_concat(plan->invalItems, inlined->glob->invalItems);
	foreach(cell, inlined->functions)
	{
		PlanInvalItem *item = makeNode(PlanInvalItem);

		item->cacheId = PROCOID;
		item->hashValue =
			GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(lfirst_oid(cell)));
		plan->invalItems = lappend(plan->invalItems, item);
	}
}

static PlannedStmt *
vecseg_planner(VECSEG_PLANNER_PARAMETERS)
{
	VecsegInlined inlined = { 0 };
	bool outer_is_volatile = query_is_volatile;
	PlannedStmt *volatile plan = NULL;

	inlined.glob = makeNode(PlannerGlobal);
	inlined.glob->boundParams = bound_params;
	if (vecseg_enable_custom_scan)
		vecseg_inline_calls(parse, &inlined);

	/* planning may call functions, that plan, fail, and catch the error */
	PG_TRY();
	{
		query_is_volatile = contain_volatile_functions((Node *) parse);
		if (previous_planner != NULL)
			plan = previous_planner(VECSEG_PLANNER_ARGUMENTS);
		else
			plan = standard_planner(VECSEG_PLANNER_ARGUMENTS);
	}
	PG_FINALLY();
	{
		query_is_volatile = outer_is_volatile;
	}
	PG_END_TRY();
	add_dependencies(plan, &inlined);
	vecseg_mark_plan(plan);
	return plan;
}

bool
vecseg_query_is_volatile(void)
{
	return query_is_volatile;
}

static void
vecseg_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti,
						RangeTblEntry *rte)
{
	if (previous_set_rel_pathlist != NULL)
		previous_set_rel_pathlist(root, rel, rti, rte);
	if (vecseg_enable_custom_scan && rte->rtekind == RTE_RELATION &&
		!rte->inh &&
		(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW) &&
		!IS_DUMMY_REL(rel))
		vecseg_add_paths(root, rel, rte);
}

/* To be called from _PG_init(). */
void
vecseg_planner_init(void)
{
	RegisterCustomScanMethods(&vecseg_scan_methods);
	previous_planner = planner_hook;
	planner_hook = vecseg_planner;
	previous_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = vecseg_set_rel_pathlist;
}
