/*-------------------------------------------------------------------------
 *
 * request.c
 *	  What table and key a call of vecseg_scroll or vecseg_retrieve is about.
 *
 * The table is the one whose row type the first argument has; the key is its
 * primary key, of one column.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/primnodes.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "am/am.h"
#include "scan/scan.h"
#include "vecseg.h"

/* OID of the table whose row type the first argument has */
static Oid
argument_table(FunctionCallInfo fcinfo, const char *function)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid relid = InvalidOid;

	if (OidIsValid(type))
		relid = get_typ_typrelid(getBaseType(type));
	if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg(
				 "first argument of function %s must have the row type of a table",
				 function),
			 errhint(
				 "Name the table by a null of its row type: %s(NULL::table_name, ...).",
				 function)));
	return relid;
}

static bool
has_access_method(Relation rel)
{
	return vecseg_is_vecseg_table(rel) ||
		   rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

/* OID of a table's primary key index; invalid if there is none */
static Oid
primary_key_index(Relation rel)
{
	List *indexes = RelationGetIndexList(rel);
	Oid result = InvalidOid;
	ListCell *cell;

	foreach(cell, indexes)
	{
		HeapTuple tuple =
			SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", lfirst_oid(cell));
		if (((Form_pg_index) GETSTRUCT(tuple))->indisprimary)
			result = lfirst_oid(cell);
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return result;
}

/* Fill in the key; false if the primary key has more than one column. */
static bool
find_key(Relation rel, Oid indexid, VecsegRequest *request)
{
	Relation index = index_open(indexid, AccessShareLock);
	AttrNumber attno = index->rd_index->indkey.values[0];
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
	bool result = index->rd_index->indnkeyatts == 1;

	request->keytype = att->atttypid;
	request->keyname = pstrdup(quote_identifier(NameStr(att->attname)));
	request->opfamily = index->rd_opfamily[0];
	request->opcintype = index->rd_opcintype[0];
	index_close(index, NoLock);
	return result;
}

/* Every column of the row, by name; a dropped one is NULL. */
static char *
select_list(TupleDesc desc)
{
	StringInfoData buf;
	int i;

	initStringInfo(&buf);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(
			&buf, "%s%s%s", i > 0 ? ", " : "", att->attisdropped ? "" : "t.",
			att->attisdropped ? "NULL"
							  : quote_identifier(NameStr(att->attname)));
	}
	return buf.data;
}

/* Fill in what is about the table; false if its rows have no key for us. */
static bool
describe_table(Relation rel, const char *function, VecsegRequest *request)
{
	Oid indexid = has_access_method(rel) ? primary_key_index(rel) : InvalidOid;

	if (!OidIsValid(indexid) || !find_key(rel, indexid, request))
		return false;
	request->relid = RelationGetRelid(rel);
	request->function = pstrdup(function);
	request->relname = quote_qualified_identifier(
		get_namespace_name(RelationGetNamespace(rel)),
		RelationGetRelationName(rel));
	request->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	request->columns = select_list(request->desc);
	return true;
}

/* Raise the error for a table that cannot be described. */
static void
report_unsuitable(Relation rel, const char *function)
{
	if (!has_access_method(rel))
		ereport(
			ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is not a table with access method \"%s\"",
					RelationGetRelationName(rel), VECSEG_AM_NAME),
			 errdetail(
				 "Function %s reads tables created with USING %s, and partitioned tables.",
				 function, VECSEG_AM_NAME),
			 rel->rd_rel->relkind == RELKIND_RELATION
				 ? errhint(
					   "Use ALTER TABLE ... SET ACCESS METHOD %s to convert a table.",
					   VECSEG_AM_NAME)
				 : 0));
	if (!OidIsValid(primary_key_index(rel)))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" has no primary key",
					RelationGetRelationName(rel)),
			 errdetail("Function %s finds rows by primary key.", function),
			 rel->rd_rel->relkind == RELKIND_MATVIEW
				 ? errhint("A materialized view cannot have one; use a SELECT.")
				 : errhint(
					   "Use ALTER TABLE ... ADD PRIMARY KEY to create one.")));
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("primary key of table \"%s\" has more than one column",
				RelationGetRelationName(rel)),
		 errdetail("Function %s needs a primary key of one column.", function),
		 errhint("Use a SELECT with a condition on the key's columns.")));
}

/*
 * Open the table of a call's first argument.  The parser looks up the argument's type
 * without a lock: within a transaction it may find the type of a table that another
 * session has dropped, or put another in the place of.
 */
static Relation
open_table(Oid relid, const char *function)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table that function %s is to read does not exist",
						function),
				 errdetail("It was dropped, or replaced by another, since this "
						   "transaction began."),
				 errhint("Run the transaction again.")));
	return rel;
}

/*
 * Find out what table and key a call is about, and lock the table for
 * reading until the end of the transaction.  Raises an error when the first
 * argument is not a row of a suitable table.
 */
void
vecseg_request_init(FunctionCallInfo fcinfo, const char *function,
					VecsegRequest *request)
{
	Relation rel = open_table(argument_table(fcinfo, function), function);

	if (!describe_table(rel, function, request))
		report_unsuitable(rel, function);
	relation_close(rel, NoLock);
}

/*
 * The same for a call whose first argument has the given type.  Where
 * vecseg_request_init() would raise an error, returns false; but not if the table is
 * gone, as the executor's error would tell nothing.
 */
bool
vecseg_request_try(Oid type, const char *function, VecsegRequest *request)
{
	Oid relid = get_typ_typrelid(type);
	Relation rel;
	bool result;

	if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		return false;
	rel = open_table(relid, function);
	result = describe_table(rel, function, request);
	relation_close(rel, NoLock);
	return result;
}

/* The operator of the key's family that compares the key with a type */
static Oid
key_operator(const VecsegRequest *request, Oid type, int strategy)
{
	return get_opfamily_member(request->opfamily, request->opcintype,
							   getBaseType(type), strategy);
}

/*
 * The type that an operand of the given type is to be compared as: its own
 * when the key's operator family has operators for that, or what takes values
 * of the type by default is the key's operator class (varchar for text); the
 * class's when it takes them, but is not their own (text for char(n), integer
 * for oid): the server would compare those as what they are; else the key's,
 * for text (as for a literal in a query) and for what casts implicitly.
 * Invalid for any other type.
 */
Oid
vecseg_request_comparable_type(const VecsegRequest *request, Oid type)
{
	if (OidIsValid(key_operator(request, type, BTEqualStrategyNumber)))
		return type;
	if (IsBinaryCoercible(type, request->opcintype))
	{
		Oid opclass = GetDefaultOpClass(getBaseType(type), BTREE_AM_OID);

		if (OidIsValid(opclass) &&
			get_opclass_input_type(opclass) != request->opcintype)
			return request->opcintype;
		return type;
	}
	if (type == TEXTOID ||
		can_coerce_type(1, &type, &request->keytype, COERCION_IMPLICIT))
		return request->keytype;
	return InvalidOid;
}

/*
 * The same, but raises an error for any other type.  in_array: the operand is
 * an element of an array.
 */
Oid
vecseg_request_operand_type(const VecsegRequest *request, Oid type,
							bool in_array)
{
	Oid result = vecseg_request_comparable_type(request, type);
	Oid wanted = in_array ? get_array_type(request->keytype) : request->keytype;

	if (!OidIsValid(result) || !OidIsValid(wanted))
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg(
				 "key of type %s cannot be compared with primary key column %s of type %s",
				 format_type_be(type), request->keyname,
				 format_type_be(request->keytype)),
			 OidIsValid(wanted)
				 ? errhint("Cast the argument of function %s to type %s.",
						   request->function, format_type_be(wanted))
				 : errhint("There are no arrays of arrays; use a SELECT.")));
	return result;
}

/*
 * A type's name for a cast.  Without a length: "character" would be
 * character(1).
 */
char *
vecseg_request_cast_type(Oid type)
{
	return format_type_extended(
		type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/*
 * SQL text of a condition on the key: "t.key OPERATOR(schema.op) operand".
 * type is what vecseg_request_operand_type() answered.
 */
char *
vecseg_request_condition(const VecsegRequest *request, const char *operand,
						 Oid type, int strategy)
{
	Oid oprid = key_operator(request, type, strategy);
	HeapTuple tuple;
	Form_pg_operator oper;
	char *result;

	if (!OidIsValid(oprid))
		oprid = key_operator(request, request->opcintype, strategy);
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oprid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oprid);
	oper = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("t.%s OPERATOR(%s.%s) %s", request->keyname,
					  quote_identifier(get_namespace_name(oper->oprnamespace)),
					  NameStr(oper->oprname), operand);
	ReleaseSysCache(tuple);
	return result;
}
