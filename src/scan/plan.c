/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  From path to plan: conditions and columns of a Vecseg Scan.
 *
 * The path wraps an index path of the server's; the server's own index scan
 * plan for it tells the index conditions and what is left to be checked.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
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

	return list_make2(list_make1_oid(info->indexid),
					  lappend_int(numbers, info->eager));
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
}

/* Does a condition need a vector? */
static bool
needs_vector(Node *clause, Index relid, Relation rel)
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
 * Split conditions into those to be checked before a row's vectors are read
 * and those after.  Volatile ones are checked after, when the row is being
 * asked for.  Where there are conditions of row security, or of security
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

		if (needs_vector(clause, rel->relid, relation) ||
			contain_volatile_functions(clause) ||
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

/* PlanCustomPath */
Plan *
vecseg_plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path,
				 List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *cscan = makeNode(CustomScan);
	Plan *plan = (Plan *) linitial(custom_plans);
	IndexScan *iscan;
	VecsegScanInfo info;
	List *early;
	List *late;

	/* conditions without columns are checked above us as well */
	while (IsA(plan, Result))
		plan = outerPlan(plan);
	iscan = castNode(IndexScan, plan);

	cscan->custom_private = best_path->custom_private;
	vecseg_scan_info_read(cscan, &info);
	split_quals(root, rel, iscan->scan.plan.qual, &early, &late);
	cscan->scan.plan.targetlist = tlist;
	cscan->scan.plan.qual = late;
	cscan->scan.scanrelid = rel->relid;
	cscan->flags = best_path->flags;
	cscan->custom_exprs =
		list_make5(iscan->indexqual,
				   conditions_with_bounds(iscan->indexqualorig, info.nbounds),
				   early, iscan->indexorderby, iscan->indexorderbyorig);
	cscan->methods = &vecseg_scan_methods;
	return (Plan *) cscan;
}

/* Let a scan's rows keep pointers, where values are merely returned. */
static void
return_by_reference(CustomScan *cscan)
{
	VecsegScanInfo info;

	vecseg_scan_info_read(cscan, &info);
	info.by_reference = true;
	cscan->custom_private = vecseg_scan_info_store(&info);
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

static void mark_plan(Plan *plan, bool limited, bool by_reference);

static void
mark_plans(List *plans, bool limited, bool by_reference)
{
	ListCell *cell;

	foreach(cell, plans)
		mark_plan((Plan *) lfirst(cell), limited, by_reference);
}

/*
 * Mark the scans whose vectors are not to be read early.  limited: a LIMIT
 * applies to the rows; by_reference: they are stored, and most may be dropped.
 */
static void
mark_plan(Plan *plan, bool limited, bool by_reference)
{
	if (plan == NULL)
		return;
	switch (nodeTag(plan))
	{
		case T_CustomScan:
			if (by_reference &&
				((CustomScan *) plan)->methods == &vecseg_scan_methods)
				return_by_reference((CustomScan *) plan);
			mark_plans(((CustomScan *) plan)->custom_plans, false, false);
			break;
		case T_SubqueryScan:
			if (computes(plan))
				limited = by_reference = false;
			mark_plan(((SubqueryScan *) plan)->subplan, limited, by_reference);
			break;
		case T_Append:
			mark_plans(((Append *) plan)->appendplans, limited, by_reference);
			break;
		case T_MergeAppend:
			mark_plans(((MergeAppend *) plan)->mergeplans, limited,
					   by_reference);
			break;
		case T_Limit:
			limited = true;
			break;
		case T_Sort:
		case T_IncrementalSort:
			by_reference |= limited;
			limited = false;
			break;
		case T_Hash:
			by_reference = true;
			limited = false;
			break;
		case T_Result:
		case T_LockRows:
		case T_Gather:
		case T_GatherMerge:
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			limited = false;
			break;
		default:
			limited = by_reference = false;
			break;
	}
	mark_plan(outerPlan(plan), limited, by_reference);
	mark_plan(innerPlan(plan), limited, by_reference);
}

/*
 * Find the Vecseg Scans of a finished plan whose rows are hashed, or sorted
 * for a LIMIT.  Vectors that nothing but the query's result needs are not
 * read for them: most rows are never returned, and all take memory.
 */
void
vecseg_mark_plan(PlannedStmt *plan)
{
	mark_plan(plan->planTree, false, false);
	mark_plans(plan->subplans, false, false);
}
