/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  Recognizing the extension's functions in a query.
 *
 * A function is one of ours if it belongs to the extension and is
 * implemented by the C function of that name, whatever it is called in SQL
 * and wherever it is.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "scan/functions.h"

/* The extension, as CREATE EXTENSION knows it */
#define VECSEG_EXTENSION_NAME "vecseg"

static const char *const symbols[] = {
	[VECSEG_FUNCTION_SCROLL] = "vecseg_scroll",
	[VECSEG_FUNCTION_RETRIEVE] = "vecseg_retrieve",
	[VECSEG_FUNCTION_POSITION] = "vecseg_position",
};

/* OID of each kind's function, as found last; forgotten when pg_proc changes */
static Oid known[lengthof(symbols)];
static bool callback_registered = false;

static void
forget_functions(Datum arg, int cacheid, uint32 hashvalue)
{
	memset(known, 0, sizeof(known));
}

/* The kind that a function's C symbol says */
static VecsegFunctionKind
kind_by_symbol(Oid funcid)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	VecsegFunctionKind result = VECSEG_FUNCTION_OTHER;
	int kind;

	if (!HeapTupleIsValid(tuple))
		return result;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		bool isnull;
		Datum symbol =
			SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
		char *name = isnull ? NULL : TextDatumGetCString(symbol);

		for (kind = 1; name != NULL && kind < lengthof(symbols); kind++)
		{
			if (strcmp(name, symbols[kind]) == 0)
				result = (VecsegFunctionKind) kind;
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

static bool
belongs_to_extension(Oid funcid)
{
	Oid extension = getExtensionOfObject(ProcedureRelationId, funcid);
	char *name = OidIsValid(extension) ? get_extension_name(extension) : NULL;

	return name != NULL && strcmp(name, VECSEG_EXTENSION_NAME) == 0;
}

VecsegFunctionKind
vecseg_function_kind(Oid funcid)
{
	VecsegFunctionKind kind;
	int i;

	if (funcid < FirstNormalObjectId)
		return VECSEG_FUNCTION_OTHER;
	for (i = 1; i < lengthof(known); i++)
	{
		if (known[i] == funcid)
			return (VecsegFunctionKind) i;
	}
	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, forget_functions, (Datum) 0);
		callback_registered = true;
	}
	kind = kind_by_symbol(funcid);
	if (kind == VECSEG_FUNCTION_OTHER || !belongs_to_extension(funcid))
		return VECSEG_FUNCTION_OTHER;
	known[kind] = funcid;
	return kind;
}
