/*-------------------------------------------------------------------------
 *
 * references.c
 *	  The references to values in row versions as they lie on a page.
 *
 * For those who look at row versions whether anyone can see them or not, and
 * may meet damaged ones: nothing beyond a row version is read, and no
 * reference in it is passed over without a word.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/tupmacs.h"

#include "am/references.h"

/*
 * Set *tuple to the row version of a line pointer in use.  Returns what is
 * wrong with it, or NULL.
 */
const char *
vecseg_references_tuple(Page page, OffsetNumber offset, HeapTuple tuple)
{
	ItemId item = PageGetItemId(page, offset);

	if (ItemIdGetOffset(item) != MAXALIGN(ItemIdGetOffset(item)) ||
		ItemIdGetOffset(item) < ((PageHeader) page)->pd_upper ||
		ItemIdGetOffset(item) + ItemIdGetLength(item) >
			((PageHeader) page)->pd_special)
		return "line pointer does not point to a row";
	if (ItemIdGetLength(item) < SizeofHeapTupleHeader)
		return "row is shorter than its header";
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, item);
	tuple->t_len = ItemIdGetLength(item);
	return NULL;
}

static const char *
verify_header(TupleDesc desc, HeapTuple tuple)
{
	HeapTupleHeader header = tuple->t_data;
	int natts = HeapTupleHeaderGetNatts(header);
	Size size = SizeofHeapTupleHeader;

	if (HeapTupleHasNulls(tuple))
		size += BITMAPLEN(natts);
	if (natts > desc->natts)
		return "row has more columns than the table";
	if (header->t_hoff != MAXALIGN(size) || header->t_hoff > tuple->t_len)
		return "row header has a wrong size";
	return NULL;
}

/*
 * Size of a value of variable length of which so many bytes may be read; more
 * than that when it is cut off.
 */
static Size
variable_size(const char *value, Size room)
{
	if (room == 0)
		return 1;
	if (VARATT_IS_1B_E(value))
		return room >= VARHDRSZ_EXTERNAL && !VARATT_IS_EXTERNAL_ONDISK(value)
				   ? VARHDRSZ_EXTERNAL /* to be refused by the caller */
				   : TOAST_POINTER_SIZE;
	if (VARATT_IS_1B(value))
		return VARSIZE_1B(value);
	if (room < VARHDRSZ)
		return VARHDRSZ;
	return Max(VARSIZE_4B(value), VARHDRSZ);
}

/* The same, for any type */
static Size
value_size(Form_pg_attribute att, const char *value, Size room)
{
	if (att->attlen > 0)
		return att->attlen;
	if (att->attlen == -2)
		return strnlen(value, room) + 1;
	return variable_size(value, room);
}

/* Offset of the next value of that type, from the end of the one before it */
static Size
value_offset(Form_pg_attribute att, const char *data, Size offset, Size length)
{
	if (att->attlen == -1 && offset < length &&
		VARATT_NOT_PAD_BYTE(data + offset))
		return offset;
	return att_align_nominal(offset, att->attalign);
}

/*
 * Call visit for each reference to an out-of-line value.  Returns what is
 * wrong with the row version, or NULL; when it is damaged, some of its
 * references may have been visited.
 */
const char *
vecseg_references_visit(TupleDesc desc, HeapTuple tuple,
						VecsegReferenceVisit visit, void *arg)
{
	const char *problem = verify_header(desc, tuple);
	bool has_nulls = HeapTupleHasNulls(tuple);
	const char *data;
	Size length;
	Size offset = 0;
	int natts;
	int i;

	if (problem != NULL)
		return problem;
	natts = HeapTupleHeaderGetNatts(tuple->t_data);
	data = (const char *) tuple->t_data + tuple->t_data->t_hoff;
	length = tuple->t_len - tuple->t_data->t_hoff;

	for (i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *value;
		Size size;

		if (has_nulls && att_isnull(i, tuple->t_data->t_bits))
			continue;
		offset = value_offset(att, data, offset, length);
		if (offset > length)
			return "row ends before its last column";
		value = data + offset;
		size = value_size(att, value, length - offset);
		if (size > length - offset)
			return "row ends before its last column";
		offset += size;

		if (att->attlen != -1 || !VARATT_IS_EXTERNAL(value))
			continue;
		if (!VARATT_IS_EXTERNAL_ONDISK(value))
			return "row has a reference of a kind that is not for disk";
		if (!HeapTupleHasExternal(tuple))
			return "row has a reference, but its header says that it has none";
		{
			struct varatt_external pointer;

			VARATT_EXTERNAL_GET_POINTER(pointer, value);
			visit(arg, tuple, i + 1, &pointer);
		}
	}
	return NULL;
}
