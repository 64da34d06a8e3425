/*-------------------------------------------------------------------------
 *
 * reader_io.c
 *	  A reader's values that are on disk: planning, starting and finishing
 *	  reads.  See reader.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "guc.h"
#include "segment/read.h"
#include "segment/reader_internal.h"
#include "stats.h"

/* Blocks between two values merged into one read at most */
#define MAX_GAP_BLOCKS 1

/* One direct read in so many goes through the page cache, with ADMITS_SOME. */
#define ADMIT_EVERY 8

/* Is a read from this block on to bypass the page cache? */
static bool
is_direct(VecsegReader *reader, BlockNumber block)
{
	if (!reader->direct || !vecseg_io_is_async(reader->queue))
		return false;
	switch (reader->admits)
	{
		case ADMITS_NONE:
			break;
		case ADMITS_SOME:
			return ++reader->direct_calls % ADMIT_EVERY != 0;
		case ADMITS_AGAIN:
			return !vecseg_stats_read_lately(reader->rel, block);
	}
	return true;
}

/* A read of the value `first`, and maybe others, from a place on */
static PlannedRead *
new_read(VecsegReader *reader, uint64 first, BlockNumber block, uint32 start)
{
	PlannedRead *read;

	if (dlist_is_empty(&reader->unused))
		read = MemoryContextAlloc(reader->context, sizeof(PlannedRead));
	else
		read = dlist_container(PlannedRead, node,
							   dlist_pop_head_node(&reader->unused));
	read->first = first;
	read->count = 1;
	read->block = block;
	read->start = start;
	read->end = 0;
	read->direct = is_direct(reader, block);
	read->request = NULL;
	dlist_push_tail(&reader->planned, &read->node);
	return read;
}

/* The block before which a read must end: for its length, or the file's end */
static BlockNumber
read_limit(const PlannedRead *read)
{
	BlockNumber file_end = (read->block / RELSEG_SIZE + 1) * RELSEG_SIZE;

	return Min(read->block + MAX_READ_BLOCKS, file_end);
}

/* Blocks that a read has bytes of */
static uint32
nblocks_of(const PlannedRead *read)
{
	return (read->end + BLCKSZ - 1) / BLCKSZ;
}

/* Where a value ends in its last block */
static uint32
end_in_last_block(const ReaderValue *value)
{
	uint32 offset;
	uint32 start;
	uint32 length =
		vecseg_reader_piece(value, value->nblocks - 1, &offset, &start);

	return offset + length;
}

/* Have a read take what it can of a value.  Returns the first block beyond. */
static BlockNumber
extend_read(PlannedRead *read, ReaderValue *value)
{
	BlockNumber beyond = value->block + value->nblocks;
	BlockNumber limit = read_limit(read);
	uint32 end;

	if (beyond > limit)
	{
		beyond = limit;
		end = (beyond - read->block) * BLCKSZ;
	}
	else
		end = (beyond - 1 - read->block) * BLCKSZ + end_in_last_block(value);
	read->end = Max(read->end, end);
	value->reads_left++;
	return beyond;
}

/*
 * Widen what is wanted of a read's blocks to what is read of them: whole pages,
 * unless there are neither checksums to verify nor others who look for the rest
 * in the page cache.
 */
static void
align_read(const VecsegReader *reader, VecsegStore *store, PlannedRead *read)
{
	uint32 alignment = read->direct && !reader->checksums
						   ? vecseg_map_alignment(store->map, read->block)
						   : BLCKSZ;

	read->start = TYPEALIGN_DOWN(alignment, read->start);
	read->end = TYPEALIGN(alignment, read->end);
}

/* Where a read that has come back has a byte of one of its blocks */
static char *
address_in_read(const PlannedRead *read, BlockNumber block, uint32 offset)
{
	return read->request->buffer + (block - read->block) * BLCKSZ + offset -
		   read->start;
}

/* Count a value that shares a read with another, once. */
static void
count_merged(VecsegReader *reader, ReaderValue *value)
{
	if (!value->merged)
		reader->counters->merged++;
	value->merged = true;
}

/*
 * Plan the reads of a value.  If the last read of the value before it is near,
 * that takes what it can of this one, too, and others the rest.  So reads of
 * neighbours follow each other, without a page read twice, and the kernel makes a
 * few large requests of them.
 */
static PlannedRead *
plan_value(VecsegReader *reader, PlannedRead *read, uint64 last, uint64 number)
{
	ReaderValue *value = vecseg_reader_value(reader, number);
	BlockNumber block = value->block;
	BlockNumber end = block + value->nblocks;

	value->reads_left = 0;
	value->merged = false;
	if (read != NULL &&
		block <= read->block + nblocks_of(read) + MAX_GAP_BLOCKS &&
		block < read_limit(read))
	{
		count_merged(reader, vecseg_reader_value(reader, last));
		count_merged(reader, value);
		vecseg_reader_value(reader, last)->next = number;
		read->count++;
		block = extend_read(read, value);
	}
	while (block < end)
	{
		read = new_read(reader, number, block,
						block == value->block ? value->offset : 0);
		block = extend_read(read, value);
	}
	return read;
}

static int
compare_place(const void *a, const void *b, void *arg)
{
	VecsegReader *reader = arg;
	const ReaderValue *left = vecseg_reader_value(reader, *(const uint64 *) a);
	const ReaderValue *right = vecseg_reader_value(reader, *(const uint64 *) b);

	if (left->block != right->block)
		return left->block < right->block ? -1 : 1;
	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* Sort waiting values by place, and plan their reads. */
void
vecseg_reader_plan(VecsegReader *reader, uint64 *numbers, int count)
{
	PlannedRead *read = NULL;
	int i;

	qsort_arg(numbers, count, sizeof(uint64), compare_place, reader);
	for (i = 0; i < count; i++)
	{
		vecseg_reader_value(reader, numbers[i])->state = VALUE_READING;
		read = plan_value(reader, read, i > 0 ? numbers[i - 1] : 0, numbers[i]);
	}
}

/*
 * May values stay in a read's buffer?  Not if that would hold much memory for
 * few values, nor if too many buffers are kept already.
 */
static bool
keep_buffer(VecsegReader *reader, PlannedRead *read)
{
	Size size = vecseg_reader_value(reader, read->first)->size;

	return read->request != NULL &&
		   read->count * size >= VECSEG_IO_BUFFER_SIZE / 2 &&
		   vecseg_io_keep(reader->queue, read->request);
}

/* Point to a value in the read's buffer. */
static void
hold_in_buffer(ReaderValue *value, PlannedRead *read)
{
	value->image =
		(struct varlena *) address_in_read(read, value->block, value->offset);
	value->read = read;
	read->users++;
}

/* Copy what a read has of a value; `good` tells for each page if it can be used. */
static void
copy_from_read(VecsegReader *reader, ReaderValue *value,
			   const PlannedRead *read, const bool *good)
{
	BlockNumber end = read->block + nblocks_of(read);
	uint32 k;

	if (value->image == NULL)
		vecseg_reader_take_image(reader, value);
	/* a large value has many blocks, most of them in other reads */
	for (k = Max(value->block, read->block) - value->block;
		 k < value->nblocks && value->block + k < end; k++)
	{
		BlockNumber block = value->block + k;
		uint32 index = block - read->block;
		uint32 offset;
		uint32 start;
		uint32 length = vecseg_reader_piece(value, k, &offset, &start);
		char *image = (char *) value->image + start;

		if (good[index])
			memcpy(image, address_in_read(read, block, offset), length);
		else
		{
			reader->counters->retries++;
			vecseg_read_buffered(reader->rel, block, offset, length, image);
		}
	}
}

/*
 * One user less of a read's buffer.  After the last one the read is done with,
 * and so is its request, if there was one.
 */
void
vecseg_reader_leave_read(VecsegReader *reader, PlannedRead *read)
{
	if (--read->users > 0)
		return;
	if (read->request != NULL)
		vecseg_io_release(reader->queue, read->request);
	dlist_push_head(&reader->unused, &read->node);
}

/*
 * Can the k-th page of a read be used?  Of a page in part there is its end or its
 * beginning to tell that it is not zeros; or else it has the beginnings of all
 * values that are wanted of it, and those are not zero.
 */
static bool
page_is_good(const PlannedRead *read, uint32 k, int got)
{
	BlockNumber block = read->block + k;
	bool has_start = read->start <= k * BLCKSZ;
	bool has_end = read->end >= (k + 1) * BLCKSZ;

	if (read->start + got < Min(read->end, (k + 1) * BLCKSZ))
		return false;
	if (has_start && has_end)
		return vecseg_read_page_ok(address_in_read(read, block, 0), block);
	if (has_end)
		return vecseg_page_is_data((VecsegPageOpaque *) address_in_read(
			read, block, BLCKSZ - sizeof(VecsegPageOpaque)));
	if (has_start)
		return vecseg_page_header_ok(
			(PageHeader) address_in_read(read, block, 0));
	return true;
}

/* Deliver the values of a read that has ended, or could not be started. */
static void
deliver(VecsegReader *reader, PlannedRead *read)
{
	int got = read->request != NULL ? Max(read->request->result, 0) : 0;
	bool keep = keep_buffer(reader, read);
	bool good[MAX_READ_BLOCKS];
	uint64 number = read->first;
	uint32 i;

	dlist_delete(&read->node);
	read->users = 1; /* we */
	for (i = 0; i < nblocks_of(read); i++)
		good[i] = got > 0 && page_is_good(read, i, got);
	for (i = 0; i < read->count; i++)
	{
		ReaderValue *value = vecseg_reader_value(reader, number);

		number = value->next;
		if (keep && value->nblocks == 1 && good[value->block - read->block])
			hold_in_buffer(value, read);
		else
			copy_from_read(reader, value, read, good);
		if (--value->reads_left == 0)
		{
			reader->counters->read_values++;
			vecseg_reader_finish(reader, value);
		}
	}
	vecseg_reader_leave_read(reader, read);
}

/* Start planned reads while the queue takes them. */
void
vecseg_reader_start(VecsegReader *reader)
{
	VecsegStore *store = vecseg_store_open(reader->rel);
	bool started = false;

	while (!dlist_is_empty(&reader->planned))
	{
		PlannedRead *read =
			dlist_head_element(PlannedRead, node, &reader->planned);
		VecsegIoRequest *request;

		align_read(reader, store, read);
		request = vecseg_io_get_request(reader->queue, read->end - read->start);
		if (request == NULL)
			break;
		request->cached = !read->direct;
		read->pin = vecseg_map_pin(store->map, read->block, read->direct,
								   &request->fd, &request->offset);
		if (read->pin < 0)
		{
			vecseg_io_release(reader->queue, request);
			deliver(reader, read);
			continue;
		}
		request->offset += read->start;
		dlist_delete(&read->node);
		dlist_push_tail(&reader->active, &read->node);
		request->caller = read;
		vecseg_io_start(reader->queue, request);
		started = true;
		reader->in_flight++;
		reader->counters->reads++;
		reader->counters->read_bytes += request->length;
	}
	if (started)
		vecseg_io_submit(reader->queue);
}

static void
count_waiting(VecsegReader *reader)
{
	const VecsegIoStats *stats = vecseg_io_stats(reader->queue);

	reader->counters->wait_usec += stats->wait_usec - reader->waited_usec;
	reader->waited_usec = stats->wait_usec;
	reader->counters->max_in_flight =
		Max(reader->counters->max_in_flight, stats->max_in_flight);
}

/* A read has come back. */
static void
take_request(VecsegReader *reader, VecsegIoRequest *request)
{
	PlannedRead *read = request->caller;

	reader->in_flight--;
	vecseg_map_unpin(read->pin);
	read->request = request;
	deliver(reader, read);
}

/* Start more reads before the queue runs dry. */
static void
keep_busy(VecsegReader *reader)
{
	if (vecseg_io_wants_more(reader->queue))
		vecseg_reader_start(reader);
}

/*
 * Deliver what has come back meanwhile, but start more reads before: the disk
 * shall not idle while values are copied, or rows looked for or consumed.
 */
void
vecseg_reader_poll(VecsegReader *reader)
{
	VecsegIoRequest *request;

	while ((request = vecseg_io_poll(reader->queue)) != NULL)
	{
		keep_busy(reader);
		take_request(reader, request);
	}
	count_waiting(reader);
	keep_busy(reader);
}

/* Wait for some read and deliver it. */
void
vecseg_reader_wait(VecsegReader *reader)
{
	VecsegIoRequest *request;

	keep_busy(reader);
	request = vecseg_io_wait(reader->queue);
	if (request == NULL)
	{
		if (dlist_is_empty(&reader->planned))
			elog(ERROR, "vecseg reader lost a read");
		vecseg_reader_start(reader);
		return;
	}
	count_waiting(reader);
	keep_busy(reader);
	take_request(reader, request);
}
