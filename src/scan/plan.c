/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  From path to plan: conditions and columns of a Vecseg Scan.
 *
 * The path wraps one of the server's.  The server's own plan for it tells the
 * index conditions and what is left to be checked; unless the path is an index's,
 * that plan finds the rows (over.c).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "am/am.h"
#include "scan/custom.h"

/* custom_private: the index's OID, then the rest as integers */
List *
vecseg_scan_info_store(const VecsegScanInfo *info)
{
	List *numbers =
		list_make5_int(info->direction, info->nbounds, info->asked_order,
					   info->by_reference, info->expected);

	numbers = lappend_int(numbers, info->eager);
	numbers = lappend_int(numbers, info->runs_to_end);
	numbers = lappend_int(numbers, info->in_order);
	return list_make2(list_make1_oid(info->indexid), numbers);
}

void
vecseg_scan_info_read(const CustomScan *cscan, VecsegScanInfo *info)
{
	List *numbers = (List *) lsecond(cscan->custom_private);

	info->indexid = linitial_oid((List *) linitial(cscan->custom_private));
	info->direction = (ScanDirection) linitial_int(numbers);
	info->nbounds = lsecond_int(numbers);
	info->asked_order = lthird_int(numbers) != 0;
	info->by_reference = lfourth_int(numbers) != 0;
	info->expected = list_nth_int(numbers, 4);
	info->eager = list_nth_int(numbers, 5) != 0;
	info->runs_to_end = list_nth_int(numbers, 6) != 0;
	info->in_order = list_nth_int(numbers, 7) != 0;
}

/* Does a condition need a vector? */
bool
vecseg_needs_vector(Node *clause, Index relid, Relation rel)
{
	const bool *dense = vecseg_dense_columns(rel);
	Bitmapset *columns = NULL;
	int i;

	vecseg_pull_columns(clause, relid, &columns);
	for (i = 0; dense != NULL && i < RelationGetNumberOfAttributes(rel); i++)
	{
		if (dense[i] && vecseg_reads_column(columns, i + 1))
			return true;
	}
	return false;
}

/*
 * May a condition be volatile?  The plan of a sub-select in it is not looked into, but
 * the whole query was, before it was planned.
 */
static bool
may_be_volatile(Node *clause)
{
	return contain_volatile_functions(clause) ||
		   (vecseg_query_is_volatile() && contain_subplans(clause));
}

/*
 * Can a condition be checked before a row's vectors are read?  Volatile ones are
 * checked after, when the row is being asked for.
 */
bool
vecseg_is_early(Node *clause, Index relid, Relation rel)
{
	return !vecseg_needs_vector(clause, relid, rel) && !may_be_volatile(clause);
}

/*
 * Split conditions into those to be checked before a row's vectors are read
 * and those after.  Where there are conditions of row security, or of security
 * barrier views, the order of conditions must not change, so that leaky
 * functions see only rows that may be seen.
 */
static void
split_quals(PlannerInfo *root, RelOptInfo *rel, List *quals, List **early,
			List **late)
{
	Relation relation =
		table_open(planner_rt_fetch(rel->relid, root)->relid, NoLock);
	ListCell *cell;

	*early = *late = NIL;
	foreach(cell, quals)
	{
		Node *clause = (Node *) lfirst(cell);

		if (!vecseg_is_early(clause, rel->relid, relation) ||
			(*late != NIL && root->qual_security_level > 0))
			*late = lappend(*late, clause);
		else
			*early = lappend(*early, clause);
	}
	table_close(relation, NoLock);
}

/* Index conditions as they are to be understood: a null bound does not bound */
static List *
conditions_with_bounds(List *quals, int nbounds)
{
	List *result = NIL;
	ListCell *cell;

	foreach(cell, quals)
	{
		Node *clause = (Node *) lfirst(cell);

		if (foreach_current_index(cell) < nbounds)
		{
			BooleanTest *test = makeNode(BooleanTest);

			test->arg = (Expr *) clause;
			test->booltesttype = IS_NOT_FALSE;
			test->location = -1;
			clause = (Node *) test;
		}
		result = lappend(result, clause);
	}
	return result;
}

static void
plan_index_scan(CustomScan *cscan, const IndexScan *iscan, List *early,
				int nbounds)
{
	cscan->custom_exprs = list_make5(
		iscan->indexqual, conditions_with_bounds(iscan->indexqualorig, nbounds),
		early, iscan->indexorderby, iscan->indexorderbyorig);
}

/* PlanCustomPath */
Plan *
vecseg_plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path,
				 List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *cscan = makeNode(CustomScan);
	Plan *plan = (Plan *) linitial(custom_plans);
	VecsegScanInfo info;
	List *early;
	List *late;

	/* conditions without columns are checked above us as well */
	while (IsA(plan, Result))
		plan = outerPlan(plan);

	cscan->custom_private = best_path->custom_private;
	vecseg_scan_info_read(cscan, &info);
	split_quals(root, rel, plan->qual, &early, &late);
	cscan->scan.plan.targetlist = tlist;
	cscan->scan.plan.qual = late;
	cscan->scan.scanrelid = rel->relid;
	cscan->flags = best_path->flags;
	if (OidIsValid(info.indexid))
		plan_index_scan(cscan, castNode(IndexScan, plan), early, info.nbounds);
	else
		vecseg_plan_over(cscan, plan, early, info.runs_to_end);
	cscan->methods = &vecseg_scan_methods;
	return (Plan *) cscan;
}

/* Does a node do more with the rows below than pass columns on? */
static bool
computes(const Plan *plan)
{
	ListCell *cell;

	foreach(cell, plan->targetlist)
	{
		if (!IsA(lfirst_node(TargetEntry, cell)->expr, Var))
			return true;
	}
	return plan->qual != NIL;
}

static bool
takes_value_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		Aggref *aggref = (Aggref *) node;

		if (aggref->aggfnoid == F_COUNT_ANY && aggref->aggdistinct == NIL)
			return takes_value_walker((Node *) aggref->aggfilter, context);
	}
	if (IsA(node, Var))
		return get_typlen(((Var *) node)->vartype) == -1;
	return expression_tree_walker(node, takes_value_walker, context);
}

/* Are the values of the rows below that may be large at most counted? */
static bool
only_counts(const Agg *agg)
{
	int i;

	if (agg->chain != NIL ||
		takes_value_walker((Node *) agg->plan.qual, NULL) ||
		takes_value_walker((Node *) agg->plan.targetlist, NULL))
		return false;
	for (i = 0; i < agg->numCols; i++)
	{
		TargetEntry *entry =
			get_tle_by_resno(outerPlan(agg)->targetlist, agg->grpColIdx[i]);

		if (get_typlen(exprType((Node *) entry->expr)) == -1)
			return false;
	}
	return true;
}

/* What becomes of a node's rows, as far as they are merely passed on */
typedef struct Fate
{
	bool limited; /* a LIMIT applies to them */
	bool stored;  /* they are stored */
	bool ignored; /* no values are looked at, or those of some rows only */
} Fate;

static const Fate nothing_known = { 0 };
static const Fate of_subplan = { .stored = true }; /* if it is WITH's */

static void mark_plan(Plan *plan, Fate fate);

static void
mark_plans(List *plans, Fate fate)
{
	ListCell *cell;

	foreach(cell, plans)
		mark_plan((Plan *) lfirst(cell), fate);
}

/*
 * Mark a scan if its vectors are not to be read early.  Those of the server's
 * scans have never been read before they were sorted, which takes less memory.
 */
static void
mark_scan(CustomScan *cscan, Fate fate)
{
	VecsegScanInfo info;

	if (cscan->methods != &vecseg_scan_methods)
		return;
	vecseg_scan_info_read(cscan, &info);
	if (fate.ignored || (fate.stored && !OidIsValid(info.indexid)))
	{
		info.by_reference = true;
		cscan->custom_private = vecseg_scan_info_store(&info);
	}
}

static void
mark_plan(Plan *plan, Fate fate)
{
	if (plan == NULL)
		return;
	switch (nodeTag(plan))
	{
		case T_CustomScan:
			mark_scan((CustomScan *) plan, fate);
			mark_plans(((CustomScan *) plan)->custom_plans, nothing_known);
			break;
		case T_SubqueryScan:
			if (computes(plan))
				fate = nothing_known;
			mark_plan(((SubqueryScan *) plan)->subplan, fate);
			break;
		case T_Append:
			mark_plans(((Append *) plan)->appendplans, fate);
			break;
		case T_MergeAppend:
			mark_plans(((MergeAppend *) plan)->mergeplans, fate);
			break;
		case T_Limit:
			fate.limited = true;
			break;
		case T_Sort:
		case T_IncrementalSort:
			fate.ignored |= fate.limited;
			fate.stored = true;
			fate.limited = false;
			break;
		case T_Hash:
			fate.ignored = fate.stored = true;
			fate.limited = false;
			break;
		case T_Agg:
			fate = nothing_known;
			fate.ignored = only_counts((Agg *) plan);
			break;
		case T_Material:
		case T_Memoize:
		case T_WindowAgg:
			fate = nothing_known;
			fate.stored = true;
			break;
		case T_Result:
		case T_LockRows:
		case T_Gather:
		case T_GatherMerge:
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			fate.limited = false;
			break;
		default:
			fate = nothing_known;
			break;
	}
	mark_plan(outerPlan(plan), fate);
	mark_plan(innerPlan(plan), fate);
}

/*
 * Find the Vecseg Scans of a finished plan whose rows are counted, hashed, or sorted
 * for a LIMIT.  Vectors that nothing but the query's result needs are not
 * read for them: most rows are never returned, and all take memory.
 */
void
vecseg_mark_plan(PlannedStmt *plan)
{
	mark_plan(plan->planTree, nothing_known);
	mark_plans(plan->subplans, of_subplan);
}
