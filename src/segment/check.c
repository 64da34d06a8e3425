/*-------------------------------------------------------------------------
 *
 * check.c
 *	  Verifying a segment store, and references to its values.
 *
 * Segments take turns, as many at a time as maintenance_work_mem has room
 * for: their pages are read once, in order, and what must be known of each
 * slot and block is noted; then the caller goes through the table's
 * references.  So memory is bounded and no page is read at random, at the
 * price of reading the table, which is small beside its vectors, once per
 * turn.
 *
 * Why there are no false alarms.  The caller's snapshot is older than
 * anything noted here.
 *
 *	- A row version that the snapshot sees is not removed while it is held,
 *	  so VACUUM keeps its slots (am/vacuum.c), whose content has not changed
 *	  since before the snapshot, and does not.  It had to be in the slot map
 *	  that was copied, and on the pages that were read.  Of two versions of a
 *	  row, which may share a value, a snapshot sees one.
 *
 *	- Any other row version (not committed, dead, newer) may go at any time,
 *	  and its slots with it.  But as long as it is there, VACUUM keeps them;
 *	  and its page being pinned, it is there.  So its slots are allocated: in
 *	  the copy, or if they were allocated since, in the slot map itself, which
 *	  is then looked at again.  Nothing is said of their content.
 *
 *	- Slots that no row version refers to are of no interest: their rows are
 *	  on their way, or they wait for VACUUM.  Neither are pages without
 *	  values of visible rows, as long as they can be read; they may be empty.
 *
 * On a standby it is the same, by the order of WAL records: values, row;
 * removal of the row version, removal of the value.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/toast_internals.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "segment/check_internal.h"

/* A value that a row refers to, and where */
typedef struct CheckedValue
{
	VecsegCheck *check;
	VecsegPlace place;
	struct varatt_external pointer;
	uint32 size; /* of the whole image */
	bool compressed;
} CheckedValue;

static void
report_value(const CheckedValue *value, const char *message)
{
	value->check->report(value->check->report_arg, &value->place, message);
}

static bool
bit_is_set(const uint8 *map, uint32 slot)
{
	return (map[slot / 8] & (1 << (slot % 8))) != 0;
}

static void
set_bit(uint8 *map, uint32 slot)
{
	map[slot / 8] |= 1 << (slot % 8);
}

static bool
entry_contains(const VecsegSegmentEntry *entry, uint32 value)
{
	return value >= entry->first_value &&
		   value - entry->first_value < entry->nslots;
}

/* The segment of a value; NULL if it is not among those known. */
static CheckedSegment *
find_segment(VecsegCheck *check, uint32 value)
{
	uint32 low = 0;
	uint32 high = check->nsegments;

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;
		CheckedSegment *segment = &check->segments[middle];

		if (entry_contains(&segment->entry, value))
			return segment;
		if (value < segment->entry.first_value)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Is a slot allocated now? */
static bool
is_allocated_now(VecsegCheck *check, const VecsegSegmentEntry *entry,
				 uint32 slot)
{
	Buffer buffer = vecseg_store_read_page(
		check->rel, entry->first_block, BUFFER_LOCK_SHARE, VECSEG_PAGE_SEGMENT);
	bool result =
		bit_is_set(VecsegPageGetSlotMap(BufferGetPage(buffer))->used, slot);

	UnlockReleaseBuffer(buffer);
	return result;
}

/* Can the segment hold a value of that size and kind? */
static const char *
verify_size(const CheckedValue *value, const CheckedSegment *segment)
{
	const struct varatt_external *pointer = &value->pointer;
	bool exact = segment->entry.kind == VECSEG_KIND_EXACT;

	if (pointer->va_rawsize < VARHDRSZ ||
		pointer->va_rawsize - VARHDRSZ < value->size - VARHDRSZ ||
		!AllocSizeIsValid((Size) pointer->va_rawsize))
		return psprintf(
			"reference says that %u bytes are the image of %d bytes",
			value->size, pointer->va_rawsize);
	if (value->size > segment->entry.slot_size ||
		(exact &&
		 vecseg_exact_slot_size(value->size) != segment->entry.slot_size))
		return psprintf("value of %u bytes does not fit a slot of %u bytes",
						value->size, segment->entry.slot_size);
	if (exact && value->compressed)
		return "value is compressed, in a segment for vectors";
	return NULL;
}

/* Are all blocks of the value there? */
static const char *
verify_blocks(CheckedValue *value, const CheckedSegment *segment, uint32 slot)
{
	uint64 start = (uint64) slot * segment->entry.slot_size;
	uint64 end = start + value->size;
	uint32 i;

	for (i = start / VECSEG_CONTENT_SIZE;
		 (uint64) i * VECSEG_CONTENT_SIZE < end; i++)
	{
		uint64 content =
			Min(end - (uint64) i * VECSEG_CONTENT_SIZE, VECSEG_CONTENT_SIZE);
		const char *problem = NULL;

		if (segment->blocks[i] == BLOCK_DAMAGED)
			problem = "value lies on a damaged page";
		else if (segment->blocks[i] == BLOCK_EMPTY)
			problem = "value lies on an empty page";
		else if (segment->blocks[i] < VECSEG_CONTENT_START + content)
			problem = "page header says that the page ends before the value";
		if (problem != NULL)
		{
			value->place.block = (int64) segment->entry.first_block + 1 + i;
			return problem;
		}
	}
	return NULL;
}

/* Does the slot hold the value that the reference describes? */
static const char *
verify_header(const CheckedValue *value, const CheckedSegment *segment,
			  uint32 slot)
{
	const struct varatt_external *pointer = &value->pointer;
	uint32 header = vecseg_image_header(value->size, value->compressed);
	toast_compress_header expected;

	if (segment->headers[slot] != header)
		return psprintf("slot starts with %08X where %08X was expected",
						segment->headers[slot], header);
	if (!value->compressed)
		return NULL;
	TOAST_COMPRESS_SET_SIZE_AND_COMPRESS_METHOD(
		&expected, pointer->va_rawsize - VARHDRSZ,
		VARATT_EXTERNAL_GET_COMPRESS_METHOD(*pointer));
	if (segment->tcinfos[slot] != expected.tcinfo)
		return psprintf("value is compressed as %08X where %08X was expected",
						segment->tcinfos[slot], expected.tcinfo);
	return NULL;
}

/* Verify the value of a visible row. */
static void
check_visible_value(CheckedValue *value, CheckedSegment *segment, uint32 slot)
{
	const char *problem;

	/* these are listed when all are known */
	if (bit_is_set(segment->seen, slot) && !bit_is_set(segment->shared, slot))
	{
		set_bit(segment->shared, slot);
		value->check->nshared++;
	}
	set_bit(segment->seen, slot);

	problem = verify_size(value, segment);
	if (problem == NULL)
		problem = verify_blocks(value, segment, slot);
	if (problem == NULL)
		problem = verify_header(value, segment, slot);
	if (problem != NULL)
		report_value(value, problem);
}

/* Verify a reference to a value of a segment whose turn it is. */
static void
check_known_value(CheckedValue *value, CheckedSegment *segment, bool visible)
{
	VecsegCheck *check = value->check;
	uint32 slot = value->pointer.va_valueid - segment->entry.first_value;
	BlockNumber block;
	uint32 offset;

	vecseg_locate(&segment->entry, (uint64) slot * segment->entry.slot_size,
				  &block, &offset);
	value->place.segment = segment->number;
	value->place.block = block;
	if (check->listing_shared)
	{
		if (visible && bit_is_set(segment->shared, slot))
			report_value(value, "value is referred to more than once");
	}
	else if (segment->used != NULL && !bit_is_set(segment->used, slot) &&
			 !is_allocated_now(check, &segment->entry, slot))
		report_value(value, "slot of the value is free");
	else if (visible)
		check_visible_value(value, segment, slot);
}

/*
 * Verify a reference to no segment that is known: it may have been added since
 * the directory was read.
 */
static void
check_unknown_value(const CheckedValue *value)
{
	VecsegCheck *check = value->check;
	const struct varatt_external *pointer = &value->pointer;
	const VecsegSegmentEntry *found;
	VecsegSegmentEntry entry;

	if (check->rel == NULL ||
		pointer->va_toastrelid != RelationGetRelid(check->rel))
	{
		report_value(
			value,
			psprintf(
				"reference is to relation %u, not to the TOAST relation of the table",
				pointer->va_toastrelid));
		return;
	}
	if (!check->complete)
		return;
	found = vecseg_store_lookup(check->rel, vecseg_store_open(check->rel),
								pointer->va_valueid);
	if (found == NULL)
	{
		report_value(value, "value does not exist");
		return;
	}
	entry = *found;
	if (!is_allocated_now(check, &entry,
						  pointer->va_valueid - entry.first_value))
		report_value(value, "slot of the value is free");
}

void
vecseg_check_reference(VecsegCheck *check, ItemPointer tid, int attnum,
					   const struct varatt_external *pointer, bool visible)
{
	CheckedSegment *segment = NULL;
	CheckedValue value;

	value.check = check;
	value.pointer = *pointer;
	value.size = VARATT_EXTERNAL_GET_EXTSIZE(*pointer) + VARHDRSZ;
	value.compressed = VARATT_EXTERNAL_IS_COMPRESSED(*pointer);
	value.place = VECSEG_NOWHERE;
	value.place.value = pointer->va_valueid;
	value.place.tid = tid;
	value.place.attnum = attnum;

	if (check->rel != NULL &&
		pointer->va_toastrelid == RelationGetRelid(check->rel))
		segment = find_segment(check, pointer->va_valueid);
	if (segment == NULL)
	{
		/* with the first segments */
		if (check->first == 0 && !check->listing_shared)
			check_unknown_value(&value);
	}
	else if (segment->headers != NULL)
		check_known_value(&value, segment, visible);
}

VecsegCheck *
vecseg_check_begin(Relation rel, VecsegCheckReport report, void *arg)
{
	VecsegCheck *check = palloc0(sizeof(VecsegCheck));

	check->rel = rel;
	check->report = report;
	check->report_arg = arg;
	check->strategy = GetAccessStrategy(BAS_BULKREAD);
	check->context = AllocSetContextCreate(CurrentMemoryContext, "vecseg check",
										   ALLOCSET_DEFAULT_SIZES);
	if (rel != NULL)
		vecseg_check_directory(check);
	return check;
}

/*
 * Prepare for going through all references.  Returns false when that need not
 * be done (again).
 */
bool
vecseg_check_next(VecsegCheck *check)
{
	if (check->nshared > 0)
	{
		check->listing_shared = true;
		check->nshared = 0;
		return true;
	}
	check->listing_shared = false;
	if (check->started && check->end == check->nsegments)
		return false;
	check->started = true;
	vecseg_check_segments(check);
	return true;
}

void
vecseg_check_end(VecsegCheck *check)
{
	FreeAccessStrategy(check->strategy);
	MemoryContextDelete(check->context);
	if (check->segments != NULL)
		pfree(check->segments);
	pfree(check);
}
