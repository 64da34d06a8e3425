/*-------------------------------------------------------------------------
 *
 * toast.c
 *	  Moving a row's large values to the segment store.
 *
 * This is the counterpart of the server's heap_toast_insert_or_update().  It
 * takes the same decisions, with the same limits, through the same helper
 * functions, and differs in two things: vectors of dense columns always
 * move out of line, uncompressed; and what moves goes to segments.  Because
 * the decisions are the same, the server's toaster, when it looks at the
 * resulting row, finds nothing left to do (see passthrough.c).
 *
 * All values of a batch of rows are stored together, before the first row.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/toast_helper.h"
#include "access/toast_internals.h"
#include "catalog/catalog.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "am/am.h"
#include "segment/store.h"
#include "stop.h"
#include "wal/record.h"

/* One row on its way into the table */
typedef struct RowPlan
{
	HeapTuple tuple; /* as given */
	ToastTupleContext ttc;
} RowPlan;

/* Values that go to segments, of all rows of a batch */
typedef struct ValueList
{
	Oid toastrelid; /* to be put into pointers */
	int nvalues;
	int max_values;
	VecsegValue *values;
	struct varlena **pointers; /* lacking their va_valueid yet */
} ValueList;

static MemoryContext toast_context = NULL;

/*
 * Enter the memory context in which rows are prepared; it is emptied by
 * vecseg_toast_end(), or by the next call after an error.  Returns the
 * context to go back to.
 */
MemoryContext
vecseg_toast_begin(void)
{
	if (toast_context == NULL)
		toast_context = AllocSetContextCreate(TopMemoryContext, "vecseg rows",
											  ALLOCSET_DEFAULT_SIZES);
	else
		MemoryContextReset(toast_context);
	return MemoryContextSwitchTo(toast_context);
}

void
vecseg_toast_end(MemoryContext oldcontext)
{
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(toast_context);
}

static void
init_values(ValueList *list, Relation rel)
{
	list->toastrelid = OidIsValid(rel->rd_toastoid)
						   ? rel->rd_toastoid
						   : rel->rd_rel->reltoastrelid;
	list->nvalues = 0;
	list->max_values = 16;
	list->values = palloc(list->max_values * sizeof(VecsegValue));
	list->pointers = palloc(list->max_values * sizeof(struct varlena *));
}

/* Add a value; returns the pointer that will stand for it in the row. */
static struct varlena *
add_value(ValueList *list, const struct varlena *image, bool exact)
{
	struct varlena *result = palloc0(TOAST_POINTER_SIZE);
	struct varatt_external pointer;
	int32 size = VARSIZE(image) - VARHDRSZ;

	pointer.va_toastrelid = list->toastrelid;
	pointer.va_valueid = InvalidOid;
	if (VARATT_IS_COMPRESSED(image))
	{
		pointer.va_rawsize = VARDATA_COMPRESSED_GET_EXTSIZE(image) + VARHDRSZ;
		VARATT_EXTERNAL_SET_SIZE_AND_COMPRESS_METHOD(
			pointer, size, VARDATA_COMPRESSED_GET_COMPRESS_METHOD(image));
	}
	else
	{
		pointer.va_rawsize = VARSIZE(image);
		pointer.va_extinfo = size;
	}
	SET_VARTAG_EXTERNAL(result, VARTAG_ONDISK);
	memcpy(VARDATA_EXTERNAL(result), &pointer, sizeof(pointer));

	if (list->nvalues == list->max_values)
	{
		list->max_values *= 2;
		list->values =
			repalloc(list->values, list->max_values * sizeof(VecsegValue));
		list->pointers = repalloc(list->pointers,
								  list->max_values * sizeof(struct varlena *));
	}
	list->values[list->nvalues].image = image;
	list->values[list->nvalues].exact = exact;
	list->pointers[list->nvalues] = result;
	list->nvalues++;
	return result;
}

/* Replace an attribute of the row by a pointer to a stored value. */
static void
externalize(RowPlan *row, ValueList *list, int attribute, bool exact)
{
	ToastAttrInfo *attr = &row->ttc.ttc_attr[attribute];
	struct varlena *value =
		(struct varlena *) DatumGetPointer(row->ttc.ttc_values[attribute]);

	if (VARATT_IS_SHORT(value) || (exact && VARATT_IS_COMPRESSED(value)))
		value = detoast_attr(value);
	row->ttc.ttc_values[attribute] =
		PointerGetDatum(add_value(list, value, exact));
	attr->tai_colflags |= TOASTCOL_IGNORE;
	row->ttc.ttc_flags |= TOAST_NEEDS_CHANGE;
}

/* Size of a vector's whole image once it is neither short nor compressed */
static Size
plain_size(struct varlena *value)
{
	return toast_raw_datum_size(PointerGetDatum(value));
}

static void
externalize_dense(RowPlan *row, ValueList *list, const bool *dense)
{
	int natts = row->ttc.ttc_rel->rd_att->natts;
	int i;

	for (i = 0; i < natts; i++)
	{
		if (dense[i] && !row->ttc.ttc_isnull[i] &&
			(row->ttc.ttc_attr[i].tai_colflags & TOASTCOL_IGNORE) == 0 &&
			plain_size((struct varlena *) DatumGetPointer(
				row->ttc.ttc_values[i])) >= VECSEG_MIN_DENSE_SIZE)
			externalize(row, list, i, true);
	}
}

static Size
header_size(const RowPlan *row)
{
	Size size = SizeofHeapTupleHeader;

	if ((row->ttc.ttc_flags & TOAST_HAS_NULLS) != 0)
		size += BITMAPLEN(row->ttc.ttc_rel->rd_att->natts);
	return MAXALIGN(size);
}

static Size
data_size(const RowPlan *row)
{
	return heap_compute_data_size(row->ttc.ttc_rel->rd_att, row->ttc.ttc_values,
								  row->ttc.ttc_isnull);
}

/*
 * Compress and move values until the row has its target size: the four
 * rounds of heap_toast_insert_or_update(), see there.
 */
static void
shrink_row(RowPlan *row, ValueList *list)
{
	Relation rel = row->ttc.ttc_rel;
	Size limit =
		RelationGetToastTupleTarget(rel, TOAST_TUPLE_TARGET) - header_size(row);
	bool can_store = OidIsValid(rel->rd_rel->reltoastrelid);
	int att;

	/* 1: compress EXTENDED ones, move those larger than a row at once */
	while (data_size(row) > limit && (att = toast_tuple_find_biggest_attribute(
										  &row->ttc, true, false)) >= 0)
	{
		if (TupleDescAttr(rel->rd_att, att)->attstorage == TYPSTORAGE_EXTENDED)
			toast_tuple_try_compression(&row->ttc, att);
		else
			row->ttc.ttc_attr[att].tai_colflags |= TOASTCOL_INCOMPRESSIBLE;
		if (row->ttc.ttc_attr[att].tai_size > limit && can_store)
			externalize(row, list, att, false);
	}
	/* 2: move EXTENDED and EXTERNAL ones */
	while (can_store && data_size(row) > limit &&
		   (att = toast_tuple_find_biggest_attribute(&row->ttc, false,
													 false)) >= 0)
		externalize(row, list, att, false);
	/* 3: compress MAIN ones */
	while (data_size(row) > limit && (att = toast_tuple_find_biggest_attribute(
										  &row->ttc, true, true)) >= 0)
		toast_tuple_try_compression(&row->ttc, att);
	/* 4: move MAIN ones, if the row would not fit a page */
	limit = TOAST_TUPLE_TARGET_MAIN - header_size(row);
	while (can_store && data_size(row) > limit &&
		   (att = toast_tuple_find_biggest_attribute(&row->ttc, false, true)) >=
			   0)
		externalize(row, list, att, false);
}

/* Is there a value that has to stay in the row only by its column's storage? */
static bool
has_plain_value(const RowPlan *row)
{
	TupleDesc desc = RelationGetDescr(row->ttc.ttc_rel);
	int i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attlen == -1 && att->attstorage == TYPSTORAGE_PLAIN &&
			!row->ttc.ttc_isnull[i])
			return true;
	}
	return false;
}

/* Raise the error for a row that no page can hold. */
static void
check_row_size(const RowPlan *row)
{
	Size size = MAXALIGN(header_size(row) + data_size(row));

	if (size > MaxHeapTupleSize)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("row is too big: size %zu, maximum size %zu", size,
					MaxHeapTupleSize),
			 errdetail(
				 "That is its size with all large values of columns that allow it stored out of line."),
			 has_plain_value(row)
				 ? errhint(
					   "Columns with STORAGE PLAIN stay in the row; ALTER TABLE ... ALTER COLUMN ... SET STORAGE EXTERNAL lets their values move out.")
				 : 0));
}

/*
 * Decide what happens to a row's values; adds those to be stored to the
 * list.  Returns false when the row can go into the table as it is.
 */
static bool
plan_row(Relation rel, HeapTuple tuple, HeapTuple oldtuple, RowPlan *row,
		 ValueList *list)
{
	TupleDesc desc = RelationGetDescr(rel);
	int natts = desc->natts;
	const bool *dense = OidIsValid(rel->rd_rel->reltoastrelid)
							? vecseg_dense_columns(rel)
							: NULL;

	if (dense == NULL && !HeapTupleHasExternal(tuple) &&
		tuple->t_len <= TOAST_TUPLE_THRESHOLD && oldtuple == NULL)
		return false;

	row->tuple = tuple;
	row->ttc.ttc_rel = rel;
	row->ttc.ttc_values = palloc(natts * sizeof(Datum));
	row->ttc.ttc_isnull = palloc(natts * sizeof(bool));
	row->ttc.ttc_attr = palloc(natts * sizeof(ToastAttrInfo));
	row->ttc.ttc_oldvalues = NULL;
	row->ttc.ttc_oldisnull = NULL;
	heap_deform_tuple(tuple, desc, row->ttc.ttc_values, row->ttc.ttc_isnull);
	if (oldtuple != NULL)
	{
		row->ttc.ttc_oldvalues = palloc(natts * sizeof(Datum));
		row->ttc.ttc_oldisnull = palloc(natts * sizeof(bool));
		heap_deform_tuple(oldtuple, desc, row->ttc.ttc_oldvalues,
						  row->ttc.ttc_oldisnull);
	}
	toast_tuple_init(&row->ttc);

	if (dense != NULL)
		externalize_dense(row, list, dense);

	/* heapam's toaster will look at the row in just these cases */
	if ((row->ttc.ttc_flags & TOAST_NEEDS_CHANGE) != 0 ||
		HeapTupleHasExternal(tuple) || tuple->t_len > TOAST_TUPLE_THRESHOLD ||
		oldtuple != NULL)
		shrink_row(row, list);

	check_row_size(row);
	return (row->ttc.ttc_flags & TOAST_NEEDS_CHANGE) != 0;
}

/* Store the values of a batch and complete the pointers to them. */
static void
store_values(Relation rel, ValueList *list, bool no_logical)
{
	Relation toastrel;
	int i;

	if (list->nvalues == 0)
		return;
	toastrel = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);
	vecseg_append(toastrel, list->values, list->nvalues, no_logical);
	/* the statistics by which autovacuum knows when to free slots */
	pgstat_count_heap_insert(toastrel, list->nvalues);
	table_close(toastrel, NoLock);

	for (i = 0; i < list->nvalues; i++)
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, list->pointers[i]);
		pointer.va_valueid = list->values[i].id;
		memcpy(VARDATA_EXTERNAL(list->pointers[i]), &pointer, sizeof(pointer));
		vecseg_passthrough_add(&pointer);
	}
	vecseg_stop("row", 0);
}

/* Form the row with its changed values. */
static HeapTuple
build_row(const RowPlan *row)
{
	HeapTupleHeader old = row->tuple->t_data;
	bool has_nulls = (row->ttc.ttc_flags & TOAST_HAS_NULLS) != 0;
	Size hoff = header_size(row);
	Size length = data_size(row);
	HeapTuple result = palloc0(HEAPTUPLESIZE + hoff + length);
	HeapTupleHeader header =
		(HeapTupleHeader) ((char *) result + HEAPTUPLESIZE);

	result->t_len = hoff + length;
	result->t_self = row->tuple->t_self;
	result->t_tableOid = row->tuple->t_tableOid;
	result->t_data = header;
	memcpy(header, old, SizeofHeapTupleHeader);
	HeapTupleHeaderSetNatts(header, row->ttc.ttc_rel->rd_att->natts);
	header->t_hoff = hoff;
	heap_fill_tuple(row->ttc.ttc_rel->rd_att, row->ttc.ttc_values,
					row->ttc.ttc_isnull, (char *) header + hoff, length,
					&header->t_infomask, has_nulls ? header->t_bits : NULL);
	return result;
}

/*
 * Store a row's large values and return the row to be inserted: the given
 * one, or one with pointers in the current memory context.
 *
 * oldtuple: the version being updated, if it has values out of line, or NULL.
 * A value that the update leaves alone keeps its pointer.  Call between vecseg_toast_begin() and
 * vecseg_toast_end(), and vecseg_passthrough_clear() after insertion.
 */
HeapTuple
vecseg_toast_tuple(Relation rel, HeapTuple tuple, HeapTuple oldtuple,
				   bool no_logical)
{
	RowPlan row;
	ValueList list;

	init_values(&list, rel);
	if (!plan_row(rel, tuple, oldtuple, &row, &list))
		return tuple;
	store_values(rel, &list, no_logical);
	return build_row(&row);
}

/* The same for a batch of new rows; replaces the elements of tuples. */
void
vecseg_toast_tuples(Relation rel, HeapTuple *tuples, int ntuples,
					bool no_logical)
{
	RowPlan *rows = palloc(ntuples * sizeof(RowPlan));
	bool *changed = palloc(ntuples * sizeof(bool));
	ValueList list;
	int i;

	init_values(&list, rel);
	for (i = 0; i < ntuples; i++)
		changed[i] = plan_row(rel, tuples[i], NULL, &rows[i], &list);
	store_values(rel, &list, no_logical);
	for (i = 0; i < ntuples; i++)
	{
		if (changed[i])
			tuples[i] = build_row(&rows[i]);
	}
}

/*
 * To be called when the row for which vecseg_toast_tuple() has stored values
 * is not to be put into the table after all.
 */
void
vecseg_toast_abandon(Relation rel)
{
	if (vecseg_passthrough_has_fresh() && RelationIsLogicallyLogged(rel))
		vecseg_log_abandon();
}
