/*-------------------------------------------------------------------------
 *
 * passthrough.c
 *	  Keeping the server's own toaster away from segments.
 *
 * vecseg stores large values itself and hands heapam a row with TOAST
 * pointers.  heapam then runs its toaster over the row, which fetches every
 * pointer it does not know from the old row version ("someone else's that we
 * cannot reuse"), meaning to store the value again, as heap tuples in the
 * TOAST relation.
 *
 * That fetch comes to vecseg_segment's relation_fetch_toast_slice.  For a
 * pointer that this backend has just made, it does not deliver the value but
 * writes the pointer itself over the result.  The toaster sees an 18-byte
 * external datum, too small to move out of line, and stores it as it is.
 * The result buffer is always large enough: nothing smaller than a pointer
 * is moved out of line.
 *
 * The list of fresh pointers is filled before, and cleared after, each call
 * into heapam (also on error), and no other code fetches values meanwhile.
 * CLUSTER's rewrite inserts rows late, so there every pointer to the table's
 * TOAST relation passes, for the duration of each call into the rewriter.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/toast_internals.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "segment/store.h"

static struct varatt_external *fresh = NULL;
static int nfresh = 0;
static int max_fresh = 0;
static int next_fresh = 0; /* fetches come in the order of the list */

static Oid rewrite_toastrelid = InvalidOid;
static Relation rewrite_newtoast = NULL;

/* Let a pointer just made pass until vecseg_passthrough_clear(). */
void
vecseg_passthrough_add(const struct varatt_external *pointer)
{
	if (nfresh == max_fresh)
	{
		int size = Max(64, max_fresh * 2);

		if (fresh == NULL)
			fresh = MemoryContextAlloc(TopMemoryContext, size * sizeof(*fresh));
		else
			fresh = repalloc_huge(fresh, size * sizeof(*fresh));
		max_fresh = size;
	}
	fresh[nfresh++] = *pointer;
}

/* Have values been stored since vecseg_passthrough_clear()? */
bool
vecseg_passthrough_has_fresh(void)
{
	return nfresh > 0;
}

/* Let nothing pass any more. */
void
vecseg_passthrough_clear(void)
{
	nfresh = 0;
	next_fresh = 0;
	rewrite_toastrelid = InvalidOid;
	rewrite_newtoast = NULL;
}

/*
 * Let every pointer to toastrelid pass until vecseg_passthrough_clear().
 * The values are in newtoast, whose content will be swapped with
 * toastrelid's.
 */
void
vecseg_passthrough_rewrite(Oid toastrelid, Relation newtoast)
{
	rewrite_toastrelid = toastrelid;
	rewrite_newtoast = newtoast;
}

static const struct varatt_external *
find_fresh(Oid toastrelid, Oid value)
{
	int i;

	for (i = 0; i < nfresh; i++)
	{
		int at = (next_fresh + i) % nfresh;

		if (fresh[at].va_valueid == value &&
			fresh[at].va_toastrelid == toastrelid)
		{
			next_fresh = at + 1;
			return &fresh[at];
		}
	}
	return NULL;
}

static void
put_pointer(struct varlena *result, const struct varatt_external *pointer)
{
	SET_VARTAG_EXTERNAL(result, VARTAG_ONDISK);
	memcpy(VARDATA_EXTERNAL(result), pointer, sizeof(*pointer));
}

/* The pointer to a value of the relation being rewritten */
static void
make_rewrite_pointer(Oid value, int32 size, struct varatt_external *pointer)
{
	uint32 tcinfo;

	pointer->va_toastrelid = rewrite_toastrelid;
	pointer->va_valueid = value;
	if (vecseg_read_compressed_info(rewrite_newtoast, value, &tcinfo))
	{
		pointer->va_rawsize = (tcinfo & VARLENA_EXTSIZE_MASK) + VARHDRSZ;
		VARATT_EXTERNAL_SET_SIZE_AND_COMPRESS_METHOD(
			*pointer, size, tcinfo >> VARLENA_EXTSIZE_BITS);
	}
	else
	{
		pointer->va_rawsize = size + VARHDRSZ;
		pointer->va_extinfo = size;
	}
}

/*
 * If the value's pointer is to pass, write it over result and return true.
 *
 * size: of the value as stored, without its header; result has that much
 * room, and a header.
 */
bool
vecseg_passthrough(Oid toastrelid, Oid value, int32 size,
				   struct varlena *result)
{
	const struct varatt_external *pointer;
	struct varatt_external rewritten;

	if (OidIsValid(rewrite_toastrelid) && toastrelid == rewrite_toastrelid)
	{
		make_rewrite_pointer(value, size, &rewritten);
		pointer = &rewritten;
	}
	else if (nfresh == 0 || (pointer = find_fresh(toastrelid, value)) == NULL)
		return false;

	Assert(size + VARHDRSZ >= TOAST_POINTER_SIZE);
	put_pointer(result, pointer);
	return true;
}
