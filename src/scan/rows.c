/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Completing rows with their vectors, many rows at a time.
 *
 * Rows come with TOAST pointers.  Those that lead to segment relations are
 * replaced by the values, which are read in batches of bounded size.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "am/am.h"
#include "scan/scan.h"
#include "segment/reader.h"

/* Values read at a time: so many bytes, or one value that is larger */
#define BATCH_BYTES (8 * 1024 * 1024)

/* A column of a row whose value is to be read */
typedef struct Wanted
{
	struct varatt_external pointer;
	Datum *datum; /* replaced by the value */
	bool taken;	  /* by a reader */
} Wanted;

/* The reader of one segment relation's values */
typedef struct BatchReader
{
	Relation rel;
	VecsegReader *reader;
} BatchReader;

typedef struct Batch
{
	TupleDesc desc;
	Oid segment_am;
	Oid last_relid; /* relation asked about last, and the answer */
	bool last_is_segment;
	int nrows;
	Datum **values; /* of each row */
	bool **isnull;
	int nwanted;
	int max_wanted;
	Wanted *wanted;
	Size bytes;
} Batch;

/* Do pointers to a relation lead to segments? */
static bool
is_segment_relation(Batch *batch, Oid relid)
{
	if (relid != batch->last_relid)
	{
		Relation rel = table_open(relid, AccessShareLock);

		batch->last_relid = relid;
		batch->last_is_segment = rel->rd_rel->relam == batch->segment_am;
		table_close(rel, AccessShareLock);
	}
	return batch->last_is_segment;
}

/* Note a TOAST pointer as one to be read in the batch. */
static void
want_value(Batch *batch, Datum *datum, const struct varatt_external *pointer)
{
	Wanted *wanted;

	if (batch->nwanted == batch->max_wanted)
	{
		batch->max_wanted = Max(64, batch->max_wanted * 2);
		batch->wanted =
			batch->wanted == NULL
				? palloc(batch->max_wanted * sizeof(Wanted))
				: repalloc(batch->wanted, batch->max_wanted * sizeof(Wanted));
	}
	wanted = &batch->wanted[batch->nwanted++];
	wanted->pointer = *pointer;
	wanted->datum = datum;
	wanted->taken = false;
	batch->bytes += VARATT_EXTERNAL_GET_EXTSIZE(*pointer);
}

/* Take a row into the batch. */
static void
add_row(Batch *batch, HeapTuple row)
{
	int natts = batch->desc->natts;
	Datum *values = palloc(natts * sizeof(Datum));
	bool *isnull = palloc(natts * sizeof(bool));
	int i;

	heap_deform_tuple(row, batch->desc, values, isnull);
	for (i = 0; i < natts; i++)
	{
		struct varlena *value = (struct varlena *) DatumGetPointer(values[i]);
		struct varatt_external pointer;

		if (isnull[i] || TupleDescAttr(batch->desc, i)->attlen != -1 ||
			!VARATT_IS_EXTERNAL_ONDISK(value))
			continue;
		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		if (is_segment_relation(batch, pointer.va_toastrelid))
			want_value(batch, &values[i], &pointer);
	}
	batch->values[batch->nrows] = values;
	batch->isnull[batch->nrows] = isnull;
	batch->nrows++;
}

/* Read the wanted values of one segment relation; returns their reader. */
static BatchReader *
read_relation(Batch *batch, Oid toastrelid)
{
	BatchReader *result = palloc(sizeof(BatchReader));
	uint64 *numbers = palloc(batch->nwanted * sizeof(uint64));
	int count = 0;
	int i;

	result->rel = table_open(toastrelid, AccessShareLock);
	result->reader = vecseg_reader_open(result->rel, false, NULL);
	for (i = 0; i < batch->nwanted; i++)
	{
		struct varatt_external *pointer = &batch->wanted[i].pointer;

		if (pointer->va_toastrelid == toastrelid)
			numbers[count++] = vecseg_reader_add(
				result->reader, pointer->va_valueid,
				VARATT_EXTERNAL_GET_EXTSIZE(*pointer) + VARHDRSZ,
				VARATT_EXTERNAL_IS_COMPRESSED(*pointer));
	}
	count = 0;
	for (i = 0; i < batch->nwanted; i++)
	{
		Wanted *wanted = &batch->wanted[i];

		if (wanted->pointer.va_toastrelid != toastrelid)
			continue;
		wanted->taken = true;
		*wanted->datum = PointerGetDatum(
			vecseg_reader_get(result->reader, numbers[count++]));
	}
	pfree(numbers);
	return result;
}

/* Read the wanted values: those of one segment relation after another. */
static void
finish_batch(Batch *batch, Tuplestorestate *store)
{
	List *readers = NIL;
	ListCell *cell;
	int i;

	for (i = 0; i < batch->nwanted; i++)
	{
		if (!batch->wanted[i].taken)
			readers = lappend(
				readers,
				read_relation(batch, batch->wanted[i].pointer.va_toastrelid));
	}
	for (i = 0; i < batch->nrows; i++)
		tuplestore_putvalues(store, batch->desc, batch->values[i],
							 batch->isnull[i]);
	foreach(cell, readers)
	{
		BatchReader *reader = lfirst(cell);

		vecseg_reader_close(reader->reader);
		table_close(reader->rel, AccessShareLock);
	}
}

/* Put rows into a tuplestore, in their order, with their vectors. */
void
vecseg_rows_store(TupleDesc desc, HeapTuple *rows, uint64 nrows,
				  Tuplestorestate *store)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecseg batch", ALLOCSET_DEFAULT_SIZES);
	Oid segment_am = vecseg_segment_am_oid(false);
	uint64 next = 0;

	while (next < nrows)
	{
		MemoryContext oldcontext;
		Batch batch = { .desc = desc, .segment_am = segment_am };

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		oldcontext = MemoryContextSwitchTo(context);
		batch.values = palloc((nrows - next) * sizeof(Datum *));
		batch.isnull = palloc((nrows - next) * sizeof(bool *));
		do
			add_row(&batch, rows[next++]);
		while (next < nrows && batch.bytes < BATCH_BYTES);
		finish_batch(&batch, store);
		MemoryContextSwitchTo(oldcontext);
	}
	MemoryContextDelete(context);
}
