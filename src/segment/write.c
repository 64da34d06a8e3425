/*-------------------------------------------------------------------------
 *
 * write.c
 *	  Appending values to a segment store.
 *
 * A value is written, and logged, before the row that refers to it; until
 * that row is visible nobody reads the slot, and afterwards it never
 * changes.  That is what lets readers copy a slot from the file when its page
 * is not in shared buffers.
 *
 * Values of one size are written many to a WAL record.  One that needs more
 * pages than a record can name is continued in further records; a crash
 * between them leaves a slot that no row refers to.
 *
 * Locking: the segment page is held from allocation until the record that
 * allocates is written, so pages of slots beyond high_slot can be taken as
 * empty without reading them.  Data pages are locked in ascending order.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "segment/store.h"
#include "stop.h"
#include "vecseg.h"
#include "wal/record.h"

/* Slots being written: values[0..count-1] at consecutive slots */
typedef struct SlotWrite
{
	Relation rel;
	VecsegSegmentEntry entry;
	VecsegValue **values;
	uint32 slot; /* of values[0] */
	uint32 count;
	uint32 value_size;		/* all have the same */
	uint32 part;			/* number of the record, for a large value */
	BlockNumber fresh_from; /* data blocks from here on are unused */
} SlotWrite;

/* Pages that a record may have in any server */
#define LEAST_PAGES 4

/*
 * The most bytes to write in one record, wherever they start in a page: all
 * of a record's pages are pinned, which must leave others their buffers.
 */
static uint32
record_bytes(void)
{
	int pages = Max(LEAST_PAGES, Min(VECSEG_WRITE_MAX_PAGES, NBuffers / 64));

	return (uint32) ((pages - 1) * VECSEG_CONTENT_SIZE);
}

static uint32
image_size(const VecsegValue *value)
{
	return VARSIZE(value->image);
}

/*
 * Must a block hold other slots' bytes already?  Those of a large value may be
 * missing, and a class's slots may end with a page that none was written to.
 */
static bool
was_written(const SlotWrite *write, BlockNumber block)
{
	return block < write->fresh_from &&
		   write->entry.kind == VECSEG_KIND_EXACT &&
		   write->entry.slot_size <= (LEAST_PAGES - 1) * VECSEG_CONTENT_SIZE;
}

/*
 * Lock the data page at a block for writing, and make it a data page in the
 * caller's critical section if *is_new is returned.
 */
static Buffer
lock_data_page(const SlotWrite *write, BlockNumber block, bool fresh,
			   bool *is_new)
{
	Buffer buffer;

	buffer = ReadBufferExtended(write->rel, MAIN_FORKNUM, block,
								fresh ? RBM_ZERO_AND_LOCK : RBM_NORMAL, NULL);
	if (!fresh)
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);

	*is_new = PageIsNew(BufferGetPage(buffer));
	/* a lost write must not become a page that looks sound */
	if (!*is_new || was_written(write, block))
		vecseg_store_check_page(write->rel, BufferGetPage(buffer), block,
								VECSEG_PAGE_DATA);
	return buffer;
}

/*
 * Lock the pages that bytes [from, from + length) of the segment's data lie
 * on, and describe the range on each.  Returns their number.
 */
static int
lock_data_pages(const SlotWrite *write, uint64 from, uint32 length,
				bool allocating, VecsegPageRange *ranges)
{
	uint64 end = from + length;
	uint64 slot_end =
		((uint64) write->slot + Max(write->count, 1)) * write->entry.slot_size;
	int nranges = 0;

	while (from < end)
	{
		VecsegPageRange *range = &ranges[nranges++];
		BlockNumber block;
		uint32 offset;
		uint32 room;
		bool fresh;

		vecseg_locate(&write->entry, from, &block, &offset);
		room = BLCKSZ - sizeof(VecsegPageOpaque) - offset;

		/*
		 * Once the segment page is unlocked, others may write to a page that
		 * this value shares with the next slot; and the record before may have
		 * ended on the page that this one begins on.
		 */
		fresh = block >= write->fresh_from &&
				(allocating ||
				 (offset == VECSEG_CONTENT_START && from + room <= slot_end));
		range->buffer = lock_data_page(write, block, fresh, &range->init);
		range->offset = offset;
		range->length = (uint16) Min(room, end - from);
		from += range->length;
	}
	return nranges;
}

/* Copy a piece of one value's image to the pages locked for the range. */
static void
copy_to_pages(const VecsegPageRange *ranges, uint32 at, const char *data,
			  uint32 length)
{
	while (length > 0)
	{
		uint32 piece;

		if (at >= ranges->length)
		{
			at -= ranges->length;
			ranges++;
			continue;
		}
		piece = Min(length, ranges->length - at);
		vecseg_data_write(BufferGetPage(ranges->buffer), ranges->offset + at,
						  data, piece);
		data += piece;
		length -= piece;
		at = 0;
		ranges++;
	}
}

/*
 * Write `length` bytes of the slots, starting at `position` of the first,
 * in one record.  segment is the locked segment page when the record
 * allocates the slots, else InvalidBuffer.
 */
static void
write_record(const SlotWrite *write, Buffer segment, uint32 position,
			 uint32 length, FullTransactionId xid, bool no_logical)
{
	VecsegPageRange ranges[VECSEG_WRITE_MAX_PAGES];
	xl_vecseg_write record;
	uint64 from = (uint64) write->slot * write->entry.slot_size + position;
	int nranges;
	uint32 i;

	memset(&record, 0, sizeof(record));
	record.xid = xid;
	record.value = write->values[0]->id;
	record.slot = write->slot;
	record.slot_size = write->entry.slot_size;
	record.count = BufferIsValid(segment) ? write->count : 0;
	record.position = position;
	record.value_size = write->value_size;
	record.part = write->part;
	record.flags = no_logical ? VECSEG_WRITE_NO_LOGICAL : 0;

	nranges =
		lock_data_pages(write, from, length, BufferIsValid(segment), ranges);
	if (RelationNeedsWAL(write->rel))
		vecseg_log_write_prepare(nranges);

	START_CRIT_SECTION();
	for (i = 0; i < nranges; i++)
	{
		if (ranges[i].init)
			vecseg_page_init(BufferGetPage(ranges[i].buffer), VECSEG_PAGE_DATA);
		/* also what lies between values: it is logged with them */
		vecseg_data_use(BufferGetPage(ranges[i].buffer), ranges[i].offset,
						ranges[i].length);
	}
	if (write->count == 1)
		copy_to_pages(ranges, 0,
					  (const char *) write->values[0]->image + position,
					  length);
	else
	{
		for (i = 0; i < write->count; i++)
			copy_to_pages(ranges, i * write->entry.slot_size,
						  (const char *) write->values[i]->image,
						  write->value_size);
	}
	if (BufferIsValid(segment))
	{
		vecseg_slotmap_allocate(BufferGetPage(segment), write->slot,
								write->count, xid);
		MarkBufferDirty(segment);
	}
	for (i = 0; i < nranges; i++)
		MarkBufferDirty(ranges[i].buffer);
	if (RelationNeedsWAL(write->rel))
		vecseg_log_write(write->rel, segment, &record, ranges, nranges);
	END_CRIT_SECTION();

	for (i = 0; i < nranges; i++)
		UnlockReleaseBuffer(ranges[i].buffer);
}

/* First data block with no allocated slot on it, from the segment page. */
static BlockNumber
first_fresh_block(const SlotWrite *write, Buffer segment)
{
	VecsegSlotMap *map = VecsegPageGetSlotMap(BufferGetPage(segment));
	uint64 used = (uint64) map->high_slot * write->entry.slot_size;

	return write->entry.first_block + 1 +
		   (BlockNumber) ((used + VECSEG_CONTENT_SIZE - 1) /
						  VECSEG_CONTENT_SIZE);
}

/*
 * Write some of the values, which are of one size, to consecutive slots.
 * Returns how many were written: at least one.
 */
static uint32
append_run(Relation rel, VecsegValue **values, uint32 nvalues, bool no_logical)
{
	FullTransactionId xid = GetTopFullTransactionId();
	SlotWrite write;
	uint32 size = image_size(values[0]);
	uint32 max_bytes = record_bytes();
	uint32 slot_size;
	uint32 position;
	uint32 want;
	uint32 i;
	Buffer segment;

	slot_size = values[0]->exact ? vecseg_exact_slot_size(size)
								 : vecseg_class_slot_size(size);
	want = Max(Min(nvalues, max_bytes / slot_size), 1);
	segment = vecseg_space_allocate(
		rel, values[0]->exact ? VECSEG_KIND_EXACT : VECSEG_KIND_CLASS,
		slot_size, want, &write.entry, &write.slot, &write.count);
	write.rel = rel;
	write.values = values;
	write.value_size = size;
	write.part = 0;
	write.count = Min(write.count, Max(max_bytes / write.entry.slot_size, 1));
	write.fresh_from = first_fresh_block(&write, segment);
	for (i = 0; i < write.count; i++)
		values[i]->id = write.entry.first_value + write.slot + i;

	/* Whole values in the first record, or the first part of a large one */
	position = Min((write.count - 1) * write.entry.slot_size + size, max_bytes);
	write_record(&write, segment, 0, position, xid, no_logical);
	UnlockReleaseBuffer(segment);

	while (write.count == 1 && position < size)
	{
		uint32 length = Min(size - position, max_bytes);

		CHECK_FOR_INTERRUPTS();
		write.part++;
		vecseg_stop("part", write.part);
		write_record(&write, InvalidBuffer, position, length, xid, no_logical);
		position += length;
	}
	return write.count;
}

/*
 * Append values to a store.
 *
 * rel: the segment relation, locked RowExclusiveLock until end of
 * transaction.  Sets each value's id.  no_logical: the values rewrite
 * existing rows and are not for logical decoding.
 *
 * Values that are of the same size, and exact, become neighbours in the
 * order given.  Errors: ERRCODE_DISK_FULL when the file cannot grow,
 * ERRCODE_PROGRAM_LIMIT_EXCEEDED when ids or blocks run out,
 * ERRCODE_DATA_CORRUPTED when a page is damaged.
 */
void
vecseg_append(Relation rel, VecsegValue *values, int nvalues, bool no_logical)
{
	VecsegValue **run;
	bool *done;
	int i;

	if (nvalues == 0)
		return;
	vecseg_require_preload();

	/* The record carries the (sub)transaction's id. */
	(void) GetCurrentTransactionId();

	run = palloc(nvalues * sizeof(VecsegValue *));
	done = palloc0(nvalues * sizeof(bool));
	for (i = 0; i < nvalues; i++)
	{
		uint32 nrun = 0;
		uint32 written = 0;
		int j;

		if (done[i])
			continue;
		for (j = i; j < nvalues; j++)
		{
			if (done[j] || values[j].exact != values[i].exact ||
				image_size(&values[j]) != image_size(&values[i]))
				continue;
			done[j] = true;
			run[nrun++] = &values[j];
		}
		while (written < nrun)
			written +=
				append_run(rel, run + written, nrun - written, no_logical);
	}
	pfree(run);
	pfree(done);
}
