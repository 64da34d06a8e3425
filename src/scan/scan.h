/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  vecseg_scroll and vecseg_retrieve.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_SCAN_H
#define VECSEG_SCAN_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/tuplestore.h"

/* The table that a call names, and its key */
typedef struct VecsegRequest
{
	Oid relid;
	char *relname;	/* quoted and qualified */
	char *function; /* name of the SQL function, for messages */
	TupleDesc desc; /* of the rows */
	char *columns;	/* select list: one item per column of desc */
	Oid keytype;
	char *keyname; /* quoted */
	Oid opfamily;  /* of the primary key's index */
	Oid opcintype; /* what its operator class is declared for */
} VecsegRequest;

/* request.c */
extern void vecseg_request_init(FunctionCallInfo fcinfo, const char *function,
								VecsegRequest *request);
extern char *vecseg_request_condition(const VecsegRequest *request,
									  const char *operand, Oid type,
									  int strategy);
extern Oid vecseg_request_operand_type(const VecsegRequest *request, Oid type,
										bool in_array);
extern bool vecseg_request_try(Oid type, const char *function,
							   VecsegRequest *request);
extern Oid vecseg_request_comparable_type(const VecsegRequest *request,
										  Oid type);
extern char *vecseg_request_cast_type(Oid type);

/* planner.c */
extern void vecseg_planner_init(void);

/* rows.c */
extern void vecseg_rows_store(TupleDesc desc, HeapTuple *rows, uint64 nrows,
							  Tuplestorestate *store);

#endif /* VECSEG_SCAN_H */
