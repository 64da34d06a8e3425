/*-------------------------------------------------------------------------
 *
 * inspect.c
 *	  SQL functions that show and verify the store: vecseg_segments(),
 *	  vecseg_check().
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/objectaddress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "am/am.h"
#include "am/check.h"
#include "segment/store.h"
#include "vecseg.h"

PG_FUNCTION_INFO_V1(vecseg_segments);
PG_FUNCTION_INFO_V1(vecseg_check);

#define SEGMENTS_COLUMNS 7
#define CHECK_COLUMNS 6

static void
check_privilege(Relation rel)
{
	AclResult result =
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
}

static void
require_vecseg_table(Relation rel)
{
	if (!vecseg_is_vecseg_table(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table with access method \"%s\"",
						RelationGetRelationName(rel), VECSEG_AM_NAME),
				 errhint("Segments are kept by tables created with USING %s.",
						 VECSEG_AM_NAME)));
}

static void
put_segment(ReturnSetInfo *rsinfo, uint32 number,
			const VecsegSegmentEntry *entry, uint32 used)
{
	Datum values[SEGMENTS_COLUMNS];
	bool nulls[SEGMENTS_COLUMNS] = { 0 };

	values[0] = Int32GetDatum((int32) number);
	values[1] = Int32GetDatum((int32) entry->slot_size);
	values[2] = Int64GetDatum(entry->nslots);
	values[3] = Int64GetDatum(used);
	values[4] = Int64GetDatum((int64) entry->nslots - used);
	values[5] = Int64GetDatum(entry->first_block);
	values[6] = Int64GetDatum(entry->nblocks);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * vecseg_segments(regclass) returns a row for each segment of a table's
 * store: number, bytes of a slot, slots, slots in use and free, first block
 * and number of blocks in the TOAST relation's file.
 *
 * Needs the privilege SELECT on the table.
 */
Datum
vecseg_segments(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Relation rel;
	Relation toastrel;
	VecsegStore *store;
	uint32 i;

	InitMaterializedSRF(fcinfo, 0);

	rel = relation_open(relid, AccessShareLock);
	check_privilege(rel);
	require_vecseg_table(rel);
	if (OidIsValid(rel->rd_rel->reltoastrelid))
	{
		toastrel = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
		store = vecseg_store_open(toastrel);
		vecseg_store_refresh(toastrel, store);
		for (i = 0; i < store->nsegments; i++)
		{
			VecsegSegmentEntry entry = store->entries[i];

			CHECK_FOR_INTERRUPTS();
			put_segment((ReturnSetInfo *) fcinfo->resultinfo, i, &entry,
						vecseg_store_slots_used(toastrel, &entry));
		}
		table_close(toastrel, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return (Datum) 0;
}

/* Put a number, or null when it is negative. */
static void
put_number(Datum *value, bool *null, int64 number)
{
	*value = Int64GetDatum(number);
	*null = number < 0;
}

static void
put_problem(void *arg, const VecsegPlace *place, const char *message)
{
	ReturnSetInfo *rsinfo = arg;
	Datum values[CHECK_COLUMNS];
	bool nulls[CHECK_COLUMNS] = { 0 };

	values[0] = Int32GetDatum((int32) place->segment);
	nulls[0] = place->segment < 0;
	put_number(&values[1], &nulls[1], place->value);
	put_number(&values[2], &nulls[2], place->block);
	values[3] = PointerGetDatum(place->tid);
	nulls[3] = place->tid == NULL;
	values[4] = Int32GetDatum(place->attnum);
	nulls[4] = place->attnum == 0;
	values[5] = CStringGetTextDatum(message);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	pfree(DatumGetPointer(values[5]));
}

/*
 * vecseg_check(regclass) verifies a table's store and the references to it,
 * and returns a row for each problem found: segment, value, block in the
 * TOAST relation's file, row version and column that refer to the value, and
 * what is wrong.
 *
 * Not for everyone: see the installation script.
 */
Datum
vecseg_check(PG_FUNCTION_ARGS)
{
	Relation rel;

	/* no row would read as no problem */
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("table must not be null")));
	InitMaterializedSRF(fcinfo, 0);

	rel = relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("cannot check partitioned table \"%s\"",
							   RelationGetRelationName(rel)),
						errdetail("Its rows are in its partitions."),
						errhint("Check each partition by itself.")));
	require_vecseg_table(rel);
	vecseg_check_table(rel, put_problem, fcinfo->resultinfo);
	relation_close(rel, AccessShareLock);
	return (Datum) 0;
}
