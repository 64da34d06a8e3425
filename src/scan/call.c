/*-------------------------------------------------------------------------
 *
 * call.c
 *	  The query that a call of vecseg_scroll or vecseg_retrieve stands for.
 *
 *		vecseg_scroll(NULL::tbl, after, upto)
 *			SELECT columns FROM tbl t
 *			WHERE t.key > after AND t.key <= upto ORDER BY t.key
 *
 *		vecseg_retrieve(NULL::tbl, ids)
 *			SELECT columns FROM tbl t
 *			WHERE t.key = ANY (ids) ORDER BY vecseg_position(t.key, ids)
 *
 * It is made as SQL text, with parameters $1 and $2 for the arguments'
 * expressions, which inline.c puts in their place.
 *
 * A bound that is null does not bound.  Where that is not known when
 * planning, the condition is "(t.key > after) IS NOT FALSE", for which there
 * is an index path in paths.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "scan/inline.h"

PG_FUNCTION_INFO_V1(vecseg_row_security);

/*
 * The call's arguments with defaults filled in and constants folded, also
 * those parameters of the statement whose values the plan is made for.
 */
static List *
simplify_arguments(FuncExpr *func, Query *query, VecsegInlined *inlined)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(func->funcid));
	List *args;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", func->funcid);
	args = expand_function_arguments(copyObject(func->args), false,
									 func->funcresulttype, tuple);
	ReleaseSysCache(tuple);
	root->parse = query;
	root->glob = inlined->glob;
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	return (List *) eval_const_expressions(root, (Node *) args);
}

static bool
is_null_constant(Node *node)
{
	return IsA(node, Const) && ((Const *) node)->constisnull;
}

/* Note an argument as the value of $n; returns its text with a cast. */
static char *
add_parameter(VecsegCall *call, Node *value, const char *cast)
{
	call->params[list_length(call->values)] = exprType(value);
	call->values = lappend(call->values, value);
	return psprintf("$%d::%s", list_length(call->values), cast);
}

/* Append a bound of vecseg_scroll; false if it cannot be compared. */
static bool
add_bound(VecsegCall *call, Node *bound, int strategy)
{
	Oid type;
	char *operand;
	char *condition;

	if (is_null_constant(bound))
		return true;
	type = vecseg_request_comparable_type(&call->request, exprType(bound));
	if (!OidIsValid(type))
		return false;
	operand = add_parameter(call, bound, vecseg_request_cast_type(type));
	condition =
		vecseg_request_condition(&call->request, operand, type, strategy);
	appendStringInfo(&call->sql, " AND (%s)%s", condition,
					 IsA(bound, Const) ? "" : " IS NOT FALSE");
	return true;
}

/*
 * Have one of the extension's internal functions called by the query: its
 * name.  NULL if it may not be called.
 */
static char *
helper_function(VecsegCall *call, const char *name, int nargs,
				const Oid *argtypes)
{
	char *schema = get_namespace_name(get_func_namespace(call->func->funcid));
	Oid function = LookupFuncName(
		list_make2(makeString(schema), makeString(pstrdup(name))), nargs,
		argtypes, true);

	if (!OidIsValid(function) ||
		object_aclcheck(ProcedureRelationId, function, GetUserId(),
						ACL_EXECUTE) != ACLCHECK_OK)
		return NULL;
	return quote_qualified_identifier(schema, name);
}

/*
 * Begin the query's WHERE clause.  Under row security, it checks that the
 * plan is not run with row_security turned off after planning: the server
 * looks after this for tables that are in the statement before planning.
 */
static bool
begin_conditions(VecsegCall *call)
{
	const Oid argtypes[] = { REGCLASSOID };
	char *function;

	appendStringInfo(&call->sql, "SELECT %s FROM %s t WHERE ",
					 call->request.columns, call->request.relname);
	if (check_enable_rls(call->request.relid, InvalidOid, true) != RLS_ENABLED)
	{
		appendStringInfoString(&call->sql, "true");
		return true;
	}
	function = helper_function(call, "vecseg_row_security", 1, argtypes);
	if (function == NULL)
		return false;
	appendStringInfo(&call->sql, "%s(%u::pg_catalog.oid::pg_catalog.regclass)",
					 function, call->request.relid);
	return true;
}

/* The query of a call of vecseg_scroll; false if it cannot be expressed */
static bool
scroll_query(VecsegCall *call)
{
	Node *direction = lfourth(call->args);
	bool backward;

	if (!IsA(direction, Const))
		return false;
	backward = !is_null_constant(direction) &&
			   DatumGetBool(((Const *) direction)->constvalue);
	if (!begin_conditions(call) ||
		!add_bound(call, lsecond(call->args),
				   backward ? BTLessStrategyNumber : BTGreaterStrategyNumber) ||
		!add_bound(call, lthird(call->args),
				   backward ? BTGreaterEqualStrategyNumber
							: BTLessEqualStrategyNumber))
		return false;
	appendStringInfo(&call->sql, " ORDER BY t.%s%s", call->request.keyname,
					 backward ? " DESC" : "");
	return true;
}

/*
 * Is an argument's value at hand whenever it is asked for?  Its expression
 * will be in two places, and one of them may be evaluated for each row.
 */
static bool
is_simple(Node *value, Oid type)
{
	return IsA(value, Const) ||
		   ((IsA(value, Param) || IsA(value, Var)) && exprType(value) == type);
}

/* Append the query for an array of the given expression. */
static void
append_retrieval(VecsegCall *call, Oid type, const char *position,
				 const char *array)
{
	appendStringInfo(&call->sql, " AND %s ORDER BY %s(t.%s, %s)",
					 vecseg_request_condition(&call->request,
											  psprintf("ANY (%s)", array), type,
											  BTEqualStrategyNumber),
					 position, call->request.keyname, array);
}

/*
 * The query of a call of vecseg_retrieve; false if it cannot be expressed.
 * An array that must be computed is so by a subquery of its own, once:
 *
 *		SELECT s.* FROM (SELECT $1 AS ids OFFSET 0) v, LATERAL (...) s
 */
static bool
retrieve_query(VecsegCall *call)
{
	const Oid argtypes[] = { ANYOID, ANYOID };
	Node *ids = lsecond(call->args);
	Oid type = get_base_element_type(exprType(ids));
	char *position = helper_function(call, "vecseg_position", 2, argtypes);
	char *array;

	if (OidIsValid(type))
		type = vecseg_request_comparable_type(&call->request, type);
	if (!OidIsValid(type) || !OidIsValid(get_array_type(type)) ||
		position == NULL)
		return false;
	array = add_parameter(call, ids,
						  psprintf("%s[]", vecseg_request_cast_type(type)));
	if (is_simple(ids, get_array_type(type)))
	{
		if (!begin_conditions(call))
			return false;
		append_retrieval(call, type, position, array);
		return true;
	}
	appendStringInfo(&call->sql,
					 "SELECT s.* FROM (SELECT %s AS ids OFFSET 0) v, LATERAL (",
					 array);
	if (!begin_conditions(call))
		return false;
	append_retrieval(call, type, position, "v.ids");
	appendStringInfoString(&call->sql, ") s");
	return true;
}

/*
 * vecseg_row_security(tbl regclass) returns boolean
 *
 * Raises the server's error if the current user may only read the table
 * through row security and row_security is off; else returns true.
 */
Datum
vecseg_row_security(PG_FUNCTION_ARGS)
{
	(void) check_enable_rls(PG_GETARG_OID(0), InvalidOid, false);
	PG_RETURN_BOOL(true);
}

/* Find out about a call whether it can be replaced, and by what SQL. */
bool
vecseg_call_analyze(VecsegCall *call, Query *query, VecsegInlined *inlined)
{
	if (object_aclcheck(ProcedureRelationId, call->func->funcid, GetUserId(),
						ACL_EXECUTE) != ACLCHECK_OK)
		return false;
	call->args = simplify_arguments(call->func, query, inlined);
	if (contain_volatile_functions((Node *) call->args) ||
		!vecseg_request_try(call->func->funcresulttype,
							get_func_name(call->func->funcid), &call->request))
		return false;
	initStringInfo(&call->sql);
	return call->kind == VECSEG_FUNCTION_SCROLL ? scroll_query(call)
												: retrieve_query(call);
}
