/*-------------------------------------------------------------------------
 *
 * inline.c
 *	  Replacing calls of vecseg_scroll and vecseg_retrieve by queries.
 *
 * A set-returning function in FROM is run to its end before the first of its
 * rows is used.  So before a statement is planned, calls of the two functions
 * are replaced by the queries that they stand for (call.c), and the server's
 * planner and executor do what is to be done: conditions and LIMIT reach the
 * scan, columns not used are not read, and privileges, row security and locks
 * are those of a query on the table.
 *
 * What cannot be replaced is left alone: the function does the same when it
 * is run, and raises the errors.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"

#include "scan/functions.h"
#include "scan/inline.h"

/* Calls in row security policies of tables that calls are about, and so on */
#define MAX_DEPTH 4

/* The function expression, if that is all there is to a FROM item */
static FuncExpr *
plain_call(const RangeTblEntry *rte)
{
	RangeTblFunction *rtfunc;

	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality ||
		list_length(rte->functions) != 1)
		return NULL;
	rtfunc = linitial_node(RangeTblFunction, rte->functions);
	if (rtfunc->funccolnames != NIL || !IsA(rtfunc->funcexpr, FuncExpr))
		return NULL;
	return (FuncExpr *) rtfunc->funcexpr;
}

/*
 * Parse and rewrite a query.  Hooks on statements, such as
 * pg_stat_statements', are not called: it is part of one.
 */
static Query *
parse_query(const char *sql, const Oid *params, int nparams)
{
	ParseState *pstate = make_parsestate(NULL);
	List *raw = raw_parser(sql, RAW_PARSE_DEFAULT);
	Query *query;

	pstate->p_sourcetext = sql;
	setup_parse_fixed_parameters(pstate, params, nparams);
	query = transformTopLevelStmt(pstate, linitial_node(RawStmt, raw));
	free_parsestate(pstate);
	return linitial_node(Query, QueryRewrite(query));
}

typedef struct ReplaceContext
{
	List *values;
	bool has_sublinks; /* the values have */
	int sublevels_up;
} ReplaceContext;

/* Replace $n by expressions of the query around. */
static Node *
replace_parameters(Node *node, ReplaceContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query *result;

		context->sublevels_up++;
		result =
			query_tree_mutator((Query *) node, replace_parameters, context, 0);
		context->sublevels_up--;
		result->hasSubLinks |= context->has_sublinks;
		return (Node *) result;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
	{
		Node *value = copyObject(
			list_nth(context->values, ((Param *) node)->paramid - 1));

		IncrementVarSublevelsUp(value, context->sublevels_up, 0);
		return value;
	}
	return expression_tree_mutator(node, replace_parameters, context);
}

/* Let the planner know what query it is planning; see paths.c. */
static void
mark_query(Query *query)
{
	ListCell *cell;

	query->queryId = VECSEG_QUERY_ID;
	foreach(cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind == RTE_SUBQUERY)
			rte->subquery->queryId = VECSEG_QUERY_ID;
	}
}

/* The query that a call stands for, to be put in its place */
static Query *
make_query(VecsegCall *call)
{
	ReplaceContext context = {
		.values = call->values,
		.has_sublinks = checkExprHasSubLink((Node *) call->values),
	};
	Query *query =
		parse_query(call->sql.data, call->params, list_length(call->values));

	mark_query(query);
	return (Query *) replace_parameters((Node *) query, &context);
}

/* Which columns of which FROM item are to be compared with a row type */
typedef struct ColumnsContext
{
	Index rtindex;
	int sublevels_up;
	TupleDesc desc;
} ColumnsContext;

/* Does an expression use a column that the table no longer has like that? */
static bool
uses_other_column(Node *node, ColumnsContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		bool result;

		context->sublevels_up++;
		result =
			query_tree_walker((Query *) node, uses_other_column, context, 0);
		context->sublevels_up--;
		return result;
	}
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;
		Form_pg_attribute att;

		if (var->varno != context->rtindex ||
			var->varlevelsup != context->sublevels_up || var->varattno == 0)
			return false;
		if (var->varattno < 0 || var->varattno > context->desc->natts)
			return true;
		att = TupleDescAttr(context->desc, var->varattno - 1);
		return att->attisdropped || att->atttypid != var->vartype;
	}
	return expression_tree_walker(node, uses_other_column, context);
}

/*
 * Was the statement analyzed for columns that the table no longer has, or
 * has with another type?  A statement that calls a function is not analyzed
 * anew when the type of the function's result changes.
 */
static bool
columns_changed(Query *query, Index rtindex, TupleDesc desc)
{
	ColumnsContext context = { rtindex, 0, desc };

	return query_tree_walker(query, uses_other_column, &context, 0);
}

/* A subquery needs a name for each of its columns. */
static void
complete_column_names(RangeTblEntry *rte, TupleDesc desc)
{
	int i;

	for (i = list_length(rte->eref->colnames); i < desc->natts; i++)
		rte->eref->colnames = lappend(
			rte->eref->colnames,
			makeString(pstrdup(NameStr(TupleDescAttr(desc, i)->attname))));
}

/* Replace a FROM item that is a call, if possible. */
static void
inline_call(Query *query, Index rtindex, VecsegInlined *inlined)
{
	RangeTblEntry *rte =
		list_nth_node(RangeTblEntry, query->rtable, rtindex - 1);
	VecsegCall call = { 0 };
	Query *subquery;

	call.func = plain_call(rte);
	if (call.func == NULL)
		return;
	call.kind = vecseg_function_kind(call.func->funcid);
	if ((call.kind != VECSEG_FUNCTION_SCROLL &&
		 call.kind != VECSEG_FUNCTION_RETRIEVE) ||
		!vecseg_call_analyze(&call, query, inlined) ||
		columns_changed(query, rtindex, call.request.desc))
		return;

	subquery = make_query(&call);
	inlined->functions =
		list_append_unique_oid(inlined->functions, call.func->funcid);
	inlined->depends_on_role |= subquery->hasRowSecurity;
	query->hasRowSecurity |= subquery->hasRowSecurity;
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = subquery;
	rte->security_barrier = false;
	/* rte->functions stays: the server takes a whole row's type from it */
	complete_column_names(rte, call.request.desc);

	inlined->depth++;
	vecseg_inline_calls(subquery, inlined);
	inlined->depth--;
}

static bool
inline_walker(Node *node, VecsegInlined *inlined)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		vecseg_inline_calls((Query *) node, inlined);
		return false;
	}
	return expression_tree_walker(node, inline_walker, inlined);
}

/* Replace all calls in a query, at all levels, where possible. */
void
vecseg_inline_calls(Query *query, VecsegInlined *inlined)
{
	Index rtindex;

	check_stack_depth();
	query_tree_walker(query, inline_walker, inlined, 0);
	if (inlined->depth >= MAX_DEPTH)
		return;
	for (rtindex = 1; rtindex <= list_length(query->rtable); rtindex++)
		inline_call(query, rtindex, inlined);
}
