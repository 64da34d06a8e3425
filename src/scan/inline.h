/*-------------------------------------------------------------------------
 *
 * inline.h
 *	  Replacing calls of vecseg_scroll and vecseg_retrieve by queries.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_INLINE_H
#define VECSEG_INLINE_H

#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"

#include "scan/functions.h"
#include "scan/scan.h"

/*
 * Query id of the queries that are put in the place of calls.  The id of a
 * subquery has no other use.
 */
#define VECSEG_QUERY_ID UINT64CONST(0x7665637365670000)

/* What became of a query's calls */
typedef struct VecsegInlined
{
	PlannerGlobal *glob;  /* collects what the plan depends on */
	List *functions;	  /* OIDs of the functions replaced */
	bool depends_on_role; /* for row security */
	int depth;			  /* of calls within queries of calls */
} VecsegInlined;

/* A call in FROM that may be replaced */
typedef struct VecsegCall
{
	FuncExpr *func;
	VecsegFunctionKind kind;
	List *args; /* all of them, simplified */
	VecsegRequest request;
	StringInfoData sql;
	Oid params[2]; /* types of $1 and $2 */
	List *values;  /* their expressions */
} VecsegCall;

/* call.c */
extern bool vecseg_call_analyze(VecsegCall *call, Query *query,
								VecsegInlined *inlined);

/* inline.c */
extern void vecseg_inline_calls(Query *query, VecsegInlined *inlined);

#endif /* VECSEG_INLINE_H */
