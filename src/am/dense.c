/*-------------------------------------------------------------------------
 *
 * dense.c
 *	  Which columns of a table hold dense vectors.
 *
 * A dense column is found by its type (domains count as their base type):
 * real[], double precision[], bit, and pgvector's vector and halfvec, which
 * are recognised by name so that pgvector need not be installed.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "am/am.h"

/* A base type of variable length named like pgvector's dense types? */
static bool
is_pgvector_type(Oid typid)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));
	bool result = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_type type = (Form_pg_type) GETSTRUCT(tuple);

		result = type->typtype == TYPTYPE_BASE && type->typlen == -1 &&
				 type->typelem == InvalidOid &&
				 (strcmp(NameStr(type->typname), "vector") == 0 ||
				  strcmp(NameStr(type->typname), "halfvec") == 0);
		ReleaseSysCache(tuple);
	}
	return result;
}

static bool
is_dense_type(Oid typid)
{
	typid = getBaseType(typid);
	switch (typid)
	{
		case FLOAT4ARRAYOID:
		case FLOAT8ARRAYOID:
		case BITOID:
			return true;
		default:
			/* types of the system catalogs are known at compile time */
			return typid >= FirstNormalObjectId && is_pgvector_type(typid);
	}
}

/*
 * One flag per column: is it of a dense type, with values kept out of line?
 * PLAIN and MAIN storage ask for values in the row.  The answer is kept in the
 * relation cache; returned is a copy, or NULL if there is no such column.
 */
const bool *
vecseg_dense_columns(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);
	bool *cache = rel->rd_amcache;
	int i;

	/* cache[0] tells whether there are any; the flags follow */
	if (cache == NULL)
	{
		bool *flags = palloc0((desc->natts + 1) * sizeof(bool));

		for (i = 0; i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			flags[i + 1] = !att->attisdropped && att->attlen == -1 &&
						   (att->attstorage == TYPSTORAGE_EXTENDED ||
							att->attstorage == TYPSTORAGE_EXTERNAL) &&
						   is_dense_type(att->atttypid);
			flags[0] |= flags[i + 1];
		}
		/* catalog lookups may have rebuilt the relation's cache entry */
		if (rel->rd_amcache == NULL)
			rel->rd_amcache = MemoryContextAlloc(
				CacheMemoryContext, (desc->natts + 1) * sizeof(bool));
		cache = rel->rd_amcache;
		memcpy(cache, flags, (desc->natts + 1) * sizeof(bool));
		pfree(flags);
	}
	if (!cache[0])
		return NULL;
	/* what looks into catalogs next may rebuild the cache's entry again */
	return memcpy(palloc(desc->natts * sizeof(bool)), cache + 1,
				  desc->natts * sizeof(bool));
}

/* May values of dense columns be so large that they leave the row? */
bool
vecseg_may_have_vectors(Relation rel)
{
	const bool *dense = vecseg_dense_columns(rel);
	TupleDesc desc = RelationGetDescr(rel);
	int i;

	for (i = 0; dense != NULL && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		int32 size;

		if (!dense[i])
			continue;
		size = type_maximum_size(att->atttypid, att->atttypmod);
		if (size < 0 || size >= VECSEG_MIN_DENSE_SIZE)
			return true;
	}
	return false;
}
