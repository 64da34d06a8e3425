/*-------------------------------------------------------------------------
 *
 * srf.c
 *	  vecseg_scroll and vecseg_retrieve as set-returning functions.
 *
 * The rows are found by a query on the table, run through SPI with the
 * caller's snapshot, so privileges, row security and visibility are those of
 * a SELECT.  The query's rows carry TOAST pointers where vectors are; rows.c
 * reads those in batches.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "scan/scan.h"

PG_FUNCTION_INFO_V1(vecseg_scroll);
PG_FUNCTION_INFO_V1(vecseg_retrieve);

/* Rows taken from the query at a time */
#define FETCH_ROWS 1024

/* Prepare the result set; its rows have the table's row type. */
static Tuplestorestate *
begin_result(FunctionCallInfo fcinfo, const VecsegRequest *request)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext oldcontext;
	bool random_access;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(
				 "set-valued function called in context that cannot accept a set")));

	random_access = (rsinfo->allowedModes & SFRM_Materialize_Random) != 0;
	oldcontext = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap(random_access, false, work_mem);
	rsinfo->setDesc = CreateTupleDescCopy(request->desc);
	MemoryContextSwitchTo(oldcontext);
	return rsinfo->setResult;
}

/* Run a query and put its rows, with their vectors, into the result. */
static void
run_query(const VecsegRequest *request, const char *query, ParamListInfo params,
		  Tuplestorestate *result)
{
	SPIParseOpenOptions options;
	Portal portal;

	memset(&options, 0, sizeof(options));
	options.params = params;
	options.cursorOptions = CURSOR_OPT_NO_SCROLL;
	options.read_only = true;

	SPI_connect();
	portal = SPI_cursor_parse_open(NULL, query, &options);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		vecseg_rows_store(request->desc, SPI_tuptable->vals, SPI_processed,
						  result);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

/* A parameter list of which no parameter is set yet */
static ParamListInfo
make_params(int nparams)
{
	ParamListInfo params = makeParamList(nparams);

	memset(params->params, 0, nparams * sizeof(ParamExternData));
	return params;
}

static void
set_param(ParamListInfo params, int index, Oid type, Datum value)
{
	params->params[index].value = value;
	params->params[index].isnull = false;
	params->params[index].pflags = PARAM_FLAG_CONST;
	params->params[index].ptype = type;
}

/* Append a bound on the key to a query, for argument argno if not null. */
static void
add_bound(FunctionCallInfo fcinfo, const VecsegRequest *request, int argno,
		  int strategy, StringInfo query, ParamListInfo params)
{
	Oid type;
	Oid operand_type;
	char *operand;

	if (PG_ARGISNULL(argno))
		return;
	type = get_fn_expr_argtype(fcinfo->flinfo, argno);
	operand_type = vecseg_request_operand_type(request, type, false);
	operand =
		psprintf("$%d::%s", argno, vecseg_request_cast_type(operand_type));
	set_param(params, argno - 1, type, PG_GETARG_DATUM(argno));
	appendStringInfo(
		query, " AND %s",
		vecseg_request_condition(request, operand, operand_type, strategy));
}

/*
 * vecseg_scroll(tbl anyelement, after anycompatible, upto anycompatible,
 *				 backward boolean) returns setof anyelement
 *
 * The table's rows in the order of its primary key: those after `after` and
 * up to and including `upto`, where given; descending if backward.
 */
Datum
vecseg_scroll(PG_FUNCTION_ARGS)
{
	VecsegRequest request;
	Tuplestorestate *result;
	ParamListInfo params;
	StringInfoData query;
	bool backward = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);

	vecseg_request_init(fcinfo, "vecseg_scroll", &request);
	result = begin_result(fcinfo, &request);

	params = make_params(2);
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s FROM %s t WHERE true", request.columns,
					 request.relname);
	add_bound(fcinfo, &request, 1,
			  backward ? BTLessStrategyNumber : BTGreaterStrategyNumber, &query,
			  params);
	add_bound(fcinfo, &request, 2,
			  backward ? BTGreaterEqualStrategyNumber
					   : BTLessEqualStrategyNumber,
			  &query, params);
	appendStringInfo(&query, " ORDER BY t.%s%s", request.keyname,
					 backward ? " DESC" : "");
	run_query(&request, query.data, params, result);
	return (Datum) 0;
}

/*
 * vecseg_retrieve(tbl anyelement, ids anycompatiblearray)
 *		returns setof anyelement
 *
 * The rows whose primary key is in ids: one for each distinct id found, in
 * the order in which the ids were first given.
 */
Datum
vecseg_retrieve(PG_FUNCTION_ARGS)
{
	VecsegRequest request;
	Tuplestorestate *result;
	ParamListInfo params;
	Oid type;
	Oid element_type;
	Oid operand_type;
	char *query;

	vecseg_request_init(fcinfo, "vecseg_retrieve", &request);
	result = begin_result(fcinfo, &request);

	type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	element_type = get_base_element_type(type);
	if (!OidIsValid(element_type))
		elog(ERROR, "argument of vecseg_retrieve is not an array");
	operand_type = vecseg_request_operand_type(&request, element_type, true);

	params = make_params(1);
	set_param(params, 0, type, PG_GETARG_DATUM(1));
	params->params[0].isnull = PG_ARGISNULL(1);
	query = psprintf(
		"SELECT %s FROM (SELECT u.id, pg_catalog.min(u.n) AS n"
		/* in FROM, unnest() would make columns of a composite type's fields */
		" FROM (SELECT pg_catalog.unnest(a.ids) AS id,"
		" pg_catalog.generate_series(1, pg_catalog.cardinality(a.ids)) AS n"
		" FROM (SELECT $1::%s[] AS ids) AS a) AS u"
		" GROUP BY u.id) AS q"
		" JOIN %s t ON %s ORDER BY q.n",
		request.columns, vecseg_request_cast_type(operand_type),
		request.relname,
		vecseg_request_condition(&request, "q.id", operand_type,
								 BTEqualStrategyNumber));
	run_query(&request, query, params, result);
	return (Datum) 0;
}
