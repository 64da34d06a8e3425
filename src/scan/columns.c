/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  Which columns' values a Vecseg Scan is to read ahead.
 *
 * Sets of columns hold attribute numbers from 1, and 0 for the whole row.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"

#include "scan/custom.h"

typedef struct PullContext
{
	Index varno;
	Bitmapset *columns;
} PullContext;

/* Functions that look at a stored value's pointer only */
static bool
needs_no_value(Oid funcid)
{
	return funcid == F_PG_COLUMN_SIZE || funcid == F_PG_COLUMN_COMPRESSION ||
		   funcid == F_OCTET_LENGTH_BYTEA || funcid == F_LENGTH_BYTEA;
}

static bool
pull_walker(Node *node, PullContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, NullTest) && !((NullTest *) node)->argisrow &&
		IsA(((NullTest *) node)->arg, Var))
		return false;
	if (IsA(node, FuncExpr) && needs_no_value(((FuncExpr *) node)->funcid) &&
		IsA(linitial(((FuncExpr *) node)->args), Var))
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		if (var->varno == context->varno && var->varlevelsup == 0 &&
			var->varattno >= 0)
			context->columns = bms_add_member(context->columns, var->varattno);
		return false;
	}
	return expression_tree_walker(node, pull_walker, context);
}

/* Add the columns whose values an expression needs. */
void
vecseg_pull_columns(Node *node, Index varno, Bitmapset **columns)
{
	PullContext context = { varno, *columns };

	(void) pull_walker(node, &context);
	*columns = context.columns;
}

/* Is a column in the set, or the whole row? */
bool
vecseg_reads_column(const Bitmapset *columns, int attno)
{
	return bms_is_member(attno, columns) || bms_is_member(0, columns);
}

/* May a column's values be stored out of line? */
bool
vecseg_column_may_be_large(const FormData_pg_attribute *att)
{
	return !att->attisdropped && att->attlen == -1 &&
		   att->attstorage != TYPSTORAGE_PLAIN;
}

/* Columns that target list entries use, by themselves or in expressions */
static void
pull_target_columns(List *tlist, Index scanrelid, Bitmapset **plain,
					Bitmapset **computed)
{
	ListCell *cell;

	foreach(cell, tlist)
	{
		Node *expr = (Node *) lfirst_node(TargetEntry, cell)->expr;

		vecseg_pull_columns(expr, scanrelid, IsA(expr, Var) ? plain : computed);
	}
}

/*
 * The columns whose values are to be read ahead: those that may be stored out
 * of line and that the conditions checked late or the target list use.
 *
 * by_reference: columns that are merely returned are left out.  is_target:
 * the table is the target of an UPDATE or DELETE, and the target list is left
 * out altogether: an UPDATE must see the stored pointer of a value that it
 * keeps.
 */
Bitmapset *
vecseg_plan_columns(const Plan *plan, Index scanrelid, TupleDesc desc,
					bool by_reference, bool is_target)
{
	Bitmapset *plain = NULL;
	Bitmapset *computed = NULL;
	Bitmapset *used = NULL;
	Bitmapset *kept = NULL;
	Bitmapset *result = NULL;
	int i;

	pull_target_columns(plan->targetlist, scanrelid, &plain, &computed);
	vecseg_pull_columns((Node *) plan->qual, scanrelid, &used);
	if (is_target)
		kept = bms_union(plain, computed);
	else
		used = bms_add_members(used, computed);
	if (!is_target && !by_reference)
		used = bms_add_members(used, plain);
	for (i = 0; i < desc->natts; i++)
	{
		if (vecseg_column_may_be_large(TupleDescAttr(desc, i)) &&
			vecseg_reads_column(used, i + 1) &&
			!vecseg_reads_column(kept, i + 1))
			result = bms_add_member(result, i + 1);
	}
	return result;
}
