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

static PlannedRead *
new_read(VecsegReader *reader, uint64 first, BlockNumber block)
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
	read->nblocks = 0;
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

/* Have a read take what it can of a value.  Returns the first block beyond. */
static BlockNumber
extend_read(PlannedRead *read, ReaderValue *value)
{
	BlockNumber end = Min(value->block + value->nblocks, read_limit(read));

	read->nblocks = Max(read->nblocks, end - read->block);
	value->reads_left++;
	return end;
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
	if (read != NULL && block <= read->block + read->nblocks + MAX_GAP_BLOCKS &&
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
		read = new_read(reader, number, block);
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
	value->image = (struct varlena *) (read->request->buffer +
									   (value->block - read->block) * BLCKSZ +
									   value->offset);
	value->read = read;
	read->users++;
}

/* Copy what a read has of a value; `good` tells for each page if it can be used. */
static void
copy_from_read(VecsegReader *reader, ReaderValue *value,
			   const PlannedRead *read, const bool *good)
{
	BlockNumber end = read->block + read->nblocks;
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
			memcpy(image, read->request->buffer + index * BLCKSZ + offset,
				   length);
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

/* Deliver the values of a read that has ended, or could not be started. */
static void
deliver(VecsegReader *reader, PlannedRead *read)
{
	int got = read->request != NULL ? read->request->result : 0;
	bool keep = keep_buffer(reader, read);
	bool good[MAX_READ_BLOCKS];
	uint64 number = read->first;
	uint32 i;

	dlist_delete(&read->node);
	read->users = 1; /* we */
	for (i = 0; i < read->nblocks; i++)
		good[i] = got >= (int) ((i + 1) * BLCKSZ) &&
				  vecseg_read_page_ok(read->request->buffer + i * BLCKSZ,
									  read->block + i);
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

/* Is a read to bypass the page cache? */
static bool
is_direct(VecsegReader *reader, const PlannedRead *read)
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
			return !vecseg_stats_read_lately(reader->rel, read->block);
	}
	return true;
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
		VecsegIoRequest *request =
			vecseg_io_get_request(reader->queue, read->nblocks * BLCKSZ);

		if (request == NULL)
			break;
		request->cached = !is_direct(reader, read);
		read->pin = vecseg_map_pin(store->map, read->block, !request->cached,
								   &request->fd, &request->offset);
		if (read->pin < 0)
		{
			vecseg_io_release(reader->queue, request);
			deliver(reader, read);
			continue;
		}
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

/*
 * Deliver what has come back meanwhile, and start more reads: the disk shall
 * not idle while rows are being looked for or consumed.
 */
void
vecseg_reader_poll(VecsegReader *reader)
{
	VecsegIoRequest *request;

	while ((request = vecseg_io_poll(reader->queue)) != NULL)
		take_request(reader, request);
	count_waiting(reader);
	if (reader->in_flight <= vecseg_io_depth / 2)
		vecseg_reader_start(reader);
}

/* Wait for some read and deliver it; start more before the queue runs dry. */
void
vecseg_reader_wait(VecsegReader *reader)
{
	VecsegIoRequest *request;

	if (reader->in_flight <= vecseg_io_depth / 2)
		vecseg_reader_start(reader);
	request = vecseg_io_wait(reader->queue);
	if (request == NULL)
	{
		if (dlist_is_empty(&reader->planned))
			elog(ERROR, "vecseg reader lost a read");
		vecseg_reader_start(reader);
		return;
	}
	count_waiting(reader);
	take_request(reader, request);
}
