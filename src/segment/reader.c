/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  Reading a stream of values of one store, in order, with many reads in
 *	  flight.
 *
 * Here are the values and their order; reader_memory.c and reader_cached.c
 * copy what is in memory, reader_io.c reads what is not.
 *
 * Where a value is looked for, when it is added (see read.c for why this is
 * right):
 *
 *	 1. in shared buffers, every page of it;
 *	 2. if the kernel has its pages, in the mapping.  When it is got, what is
 *	    on one page is used there; the rest is copied, into memory that the
 *	    processor still has at hand;
 *	 3. else it waits for the next submission.
 *
 * A submission copies what the kernel has of values here and there, which do
 * not go through 2. unless it has their file in large pages (reader_cached.c).
 * It sorts the others by place and merges neighbours into reads.  Reads queue up
 * here and go to the io queue, which keeps vecseg.io_depth of them in flight;
 * several submissions may be under way while values of an earlier one are being
 * consumed.
 *
 *	   added    |  waiting  |   planned reads   |   in flight   |  done
 *	  ----------+-----------+-------------------+---------------+--------
 *	   add()  --> values[]  --submit()--> list  --> io queue  --> image
 *
 * Whatever a read cannot deliver (an error, a short file, a page that fails
 * its checksum) is read once more through shared buffers, which raise the
 * server's own errors with the file's name.
 *
 * Two things are assumed of the values of one reader: they belong to rows
 * visible to a snapshot taken before it was opened, or else
 * vecseg_reader_expect_writes() is called before they are added; and no page is
 * asked for in the buffer table twice in a row: a page once found absent had been
 * written out, with every such value on it.
 *
 * Is a page in the kernel's cache?  mincore() tells, for the price of a
 * system call.  A bulk reader asks for whole regions: where the kernel has
 * only read ahead a little, our own reads are better.  Any other asks for
 * each value at first, and more and more seldom while the answer stays the
 * same.
 *
 * A value on one page is used in the read's buffer, too, if values make up most
 * of that: a scan's then are not copied.
 *
 * The reader's state is safe against errors: the io queue is closed, and its
 * descriptors are unpinned, at the end of the (sub)transaction.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "compat.h"
#include "guc.h"
#include "io/memory.h"
#include "segment/read.h"
#include "segment/reader_internal.h"

/* Calls between two looks at the reads in flight */
#define POLL_EVERY 8

/*
 * Choose how to read what is not in memory.
 *
 * Reads bypass the page cache in one pass over more than it is good to keep
 * there.  In the order of storage, so does the first pass over anything but
 * little: filling the cache takes several times the processor time of such
 * reads, and drives other data out, for pages that may not be wanted again, as
 * after an export.  A second pass soon after fills it for those to come.
 *
 * One pass over what the page cache can hold, but in another order than that of
 * storage, reads wide: the first value of each piece of 64 kB has the kernel
 * read the piece in the background, and the others find it in the mapping.  A
 * disk reads 64 kB nearly as fast as 8.  If pieces get lost and so twice as
 * many are read as there are, the cache does not hold them after all, and reads
 * become narrow.
 *
 * In another order each page is come to several times, so it is read past the page
 * cache only if that could not hold most of the pages until then.
 *
 * Values here and there are read past the page cache, too, when they are come to
 * for the first time, and into it when they are wanted again.  Out of more than
 * twice what the page cache can hold, they would hardly be found there even so;
 * but some may be wanted often: one read in so many goes through the cache.
 */
static void
choose_way(VecsegReader *reader)
{
	uint64 size = (uint64) RelationGetNumberOfBlocks(reader->rel) * BLCKSZ;
	uint64 memory = vecseg_memory_limit();

	reader->admits = ADMITS_NONE;
	if (vecseg_direct_io != VECSEG_DIRECT_AUTO)
		reader->direct = vecseg_direct_io == VECSEG_DIRECT_ON;
	else if (reader->part == VECSEG_READ_IN_ORDER)
		reader->direct =
			size > memory / 4 ||
			(size > memory / 64 && !vecseg_stats_scanned_lately(reader->rel));
	else if (reader->part == VECSEG_READ_MOST)
		reader->direct = size > memory;
	else
	{
		reader->direct = size > memory / 64;
		reader->admits = size > memory * 2 ? ADMITS_SOME : ADMITS_AGAIN;
	}
}

/*
 * Are values that come in any order to be read wide, unless that turns out to
 * be the order of storage?
 */
static bool
may_be_wide(const VecsegReader *reader)
{
	return reader->part == VECSEG_READ_MOST && !reader->direct &&
		   (uint64) reader->wide_end * BLCKSZ <= vecseg_memory_limit();
}

/*
 * Values that were to come in any order do come in that of storage if most of
 * them have joined others in reads.  Then they are read as a scan's, until they
 * do so no more.
 */
void
vecseg_reader_review_order(VecsegReader *reader)
{
	uint64 values = reader->counters->read_values - reader->reviewed_values;
	uint64 merged = reader->counters->merged - reader->reviewed_merged;
	VecsegReadPart part =
		merged > values / 2 ? VECSEG_READ_IN_ORDER : VECSEG_READ_MOST;

	if (values < REVIEW_AFTER / 4)
		return; /* nearly all was in memory */
	if (part != reader->part)
	{
		reader->part = part;
		choose_way(reader);
	}
	reader->reviewed_values += values;
	reader->reviewed_merged += merged;
	reader->wide = may_be_wide(reader);
	reader->review_at =
		part == VECSEG_READ_MOST ? PG_UINT64_MAX : reader->first + REVIEW_AFTER;
}

void
vecseg_reader_expect_part(VecsegReader *reader, VecsegReadPart part)
{
	reader->part = part;
	choose_way(reader);
	reader->wide = false;
	reader->review_at =
		may_be_wide(reader) ? reader->first + REVIEW_AFTER : PG_UINT64_MAX;
}

VecsegReader *
vecseg_reader_open(Relation rel, VecsegReadPart part,
				   VecsegIoCounters *counters)
{
	VecsegReader *reader = palloc0(sizeof(VecsegReader));

	reader->rel = rel;
	reader->counters = counters != NULL ? counters : &reader->own_counters;
	reader->reported = *reader->counters;
	reader->context = CurrentMemoryContext;
	reader->capacity = 64;
	reader->values = palloc(reader->capacity * sizeof(ReaderValue));
	dlist_init(&reader->planned);
	dlist_init(&reader->active);
	dlist_init(&reader->unused);
	reader->wide_end = RelationGetNumberOfBlocks(rel);
	reader->wide_left = reader->wide_end / WIDE_BLOCKS * 2;
	vecseg_reader_expect_part(reader, part);
	reader->reviewed_values = reader->counters->read_values;
	reader->reviewed_merged = reader->counters->merged;
	reader->absent = InvalidBlockNumber;
	reader->region = InvalidBlockNumber;
	reader->checksums = DataChecksumsNeedVerify();
	reader->good_block = InvalidBlockNumber;
	vecseg_store_open(rel)->readers++;
	return reader;
}

/* --- memory for images --- */

void
vecseg_reader_take_image(VecsegReader *reader, ReaderValue *value)
{
	FreeImage *image = reader->free_images;

	if (image != NULL && image->room >= value->size &&
		image->room <= (Size) value->size * 2)
	{
		reader->free_images = image->next;
		value->room = image->room;
		value->image = (struct varlena *) image;
	}
	else
	{
		value->room = Max(MAXALIGN(value->size), sizeof(FreeImage));
		value->image = MemoryContextAllocHuge(reader->context, value->room);
	}
}

void
vecseg_reader_give_image(VecsegReader *reader, ReaderValue *value)
{
	FreeImage *image = (FreeImage *) value->image;

	value->image = NULL;
	if (value->pin >= 0)
	{
		vecseg_map_unpin(value->pin);
		return;
	}
	if (value->read != NULL)
	{
		vecseg_reader_leave_read(reader, value->read);
		return;
	}
	if (value->room > VECSEG_IO_BUFFER_SIZE ||
		(reader->free_images != NULL &&
		 reader->free_images->room != value->room))
	{
		pfree(image);
		return;
	}
	image->room = value->room;
	image->next = reader->free_images;
	reader->free_images = image;
}

/* Count the memory that a value takes, or will: 0 if it is mapped. */
static void
count_bytes(VecsegReader *reader, ReaderValue *value, Size bytes)
{
	reader->bytes += bytes - value->counted;
	value->counted = bytes;
}

/* Drop a value, with its image if there is one. */
static void
drop_value(VecsegReader *reader, ReaderValue *value)
{
	if (value->image != NULL)
		vecseg_reader_give_image(reader, value);
	count_bytes(reader, value, 0);
}

static void
locate_value(VecsegReader *reader, VecsegStore *store, ReaderValue *value)
{
	const VecsegSegmentEntry *entry =
		vecseg_store_find(reader->rel, store, value->id);
	uint64 position =
		vecseg_read_position(reader->rel, entry, value->id, value->size);
	BlockNumber last;
	uint32 unused;

	vecseg_locate(entry, position, &value->block, &value->offset);
	vecseg_locate(entry, position + value->size - 1, &last, &unused);
	value->nblocks = last - value->block + 1;
}

static void
grow_values(VecsegReader *reader)
{
	uint64 capacity = reader->capacity * 2;
	ReaderValue *values =
		MemoryContextAllocHuge(reader->context, capacity * sizeof(ReaderValue));
	uint64 i;

	for (i = reader->first; i < reader->next; i++)
		values[i & (capacity - 1)] = *vecseg_reader_value(reader, i);
	pfree(reader->values);
	reader->values = values;
	reader->capacity = capacity;
}

void
vecseg_reader_keep_reading(VecsegReader *reader)
{
	if (reader->in_flight > 0 && ++reader->calls >= POLL_EVERY)
	{
		reader->calls = 0;
		vecseg_reader_poll(reader);
	}
}

/*
 * Fetch into the processor's cache what will be used of a mapped value: of one
 * on a single page its header, as the rest may not be used, and the end of the
 * page, which is checked.
 */
static void
touch_mapped(VecsegStore *store, const ReaderValue *value)
{
	uint32 offset;
	uint32 start;
	uint32 length = vecseg_reader_piece(value, 0, &offset, &start);

	if (value->nblocks == 1)
	{
		vecseg_map_touch(store->map, value->block, offset, 1);
		vecseg_map_touch(store->map, value->block,
						 BLCKSZ - sizeof(VecsegPageOpaque), 1);
		return;
	}
	vecseg_map_touch(store->map, value->block, offset, length);
	if (value->nblocks == 2)
	{
		length = vecseg_reader_piece(value, 1, &offset, &start);
		vecseg_map_touch(store->map, value->block + 1, offset, length);
	}
}

/*
 * Will mapped pages be read from end to end, one after the other?  Then the
 * processor fetches them by itself, and better.
 */
static bool
reads_whole_pages(const VecsegReader *reader)
{
	return reader->checksums && reader->part == VECSEG_READ_IN_ORDER;
}

void
vecseg_reader_expect_writes(VecsegReader *reader)
{
	reader->absent = InvalidBlockNumber;
}

uint64
vecseg_reader_add(VecsegReader *reader, uint32 id, uint32 size, bool compressed)
{
	VecsegStore *store = vecseg_store_open(reader->rel);
	ReaderValue *value;
	uint64 number = reader->next;

	if (store->map == NULL)
		store->map = vecseg_map_open(reader->rel);
	if (number - reader->first == reader->capacity)
		grow_values(reader);

	vecseg_reader_keep_reading(reader);

	value = vecseg_reader_value(reader, number);
	value->id = id;
	value->size = size;
	value->header = vecseg_image_header(size, compressed);
	value->state = VALUE_WAITING;
	value->pin = -1;
	value->image = NULL;
	value->read = NULL;
	value->counted = 0;
	locate_value(reader, store, value);
	count_bytes(reader, value, size);
	reader->next++;

	if (vecseg_reader_copy_buffered(reader, store, value))
	{
		reader->counters->shared_hits++;
		vecseg_reader_finish(reader, value);
		return number;
	}
	if ((!vecseg_reader_prefers_reading(reader, value) ||
		 vecseg_map_lies_large(store->map, value->block)) &&
		vecseg_reader_is_resident(reader, store, value))
	{
		count_bytes(reader, value, 0);
		value->state = VALUE_MAPPED;
		if (!reads_whole_pages(reader))
			touch_mapped(store, value);
	}
	return number;
}

/* Take a value from the mapping, which may have to wait for the disk. */
static void
take_mapped(VecsegReader *reader, ReaderValue *value)
{
	VecsegStore *store = vecseg_store_open(reader->rel);

	if (vecseg_reader_hold_mapped(reader, store, value))
		count_bytes(reader, value, 0);
	else
	{
		count_bytes(reader, value, value->size);
		vecseg_reader_take_image(reader, value);
		vecseg_reader_copy_mapped(reader, store, value);
	}
	reader->counters->mapped_hits++;
	vecseg_reader_finish(reader, value);
}

void
vecseg_reader_submit(VecsegReader *reader)
{
	uint64 *numbers;
	int count = 0;
	uint64 i;

	if (reader->waiting == reader->next)
		return;
	numbers = palloc((reader->next - reader->waiting) * sizeof(uint64));
	for (i = reader->waiting; i < reader->next; i++)
	{
		if (vecseg_reader_value(reader, i)->state == VALUE_WAITING)
			numbers[count++] = i;
	}
	reader->waiting = reader->next;
	if (reader->part == VECSEG_READ_SOME && count > 0)
		count = vecseg_reader_copy_cached(reader, numbers, count);
	if (count == 1 && reader->queue == NULL &&
		vecseg_reader_value(reader, numbers[0])->nblocks <= MAX_READ_BLOCKS)
	{
		/* nothing to overlap with: read it through the mapping */
		ReaderValue *value = vecseg_reader_value(reader, numbers[0]);

		vecseg_map_prefetch(vecseg_store_open(reader->rel)->map, value->block,
							value->nblocks);
		take_mapped(reader, value);
	}
	else if (count > 0)
	{
		if (reader->queue == NULL)
			reader->queue = vecseg_io_open(0);
		reader->counters->batches++;
		vecseg_reader_plan(reader, numbers, count);
		vecseg_reader_start(reader);
	}
	pfree(numbers);
}

struct varlena *
vecseg_reader_get(VecsegReader *reader, uint64 number)
{
	Assert(number >= reader->first && number < reader->next);
	if (number >= reader->waiting)
		vecseg_reader_submit(reader);
	vecseg_reader_keep_reading(reader);
	if (vecseg_reader_value(reader, number)->state == VALUE_MAPPED)
		take_mapped(reader, vecseg_reader_value(reader, number));
	while (vecseg_reader_value(reader, number)->state != VALUE_DONE)
		vecseg_reader_wait(reader);
	return vecseg_reader_value(reader, number)->image;
}

void
vecseg_reader_release(VecsegReader *reader, uint64 number)
{
	while (reader->first < number)
	{
		ReaderValue *value = vecseg_reader_value(reader, reader->first);

		/* a read in flight delivers into it: let that finish */
		if (value->state == VALUE_READING)
			(void) vecseg_reader_get(reader, reader->first);
		drop_value(reader, value);
		reader->first++;
		reader->waiting = Max(reader->waiting, reader->first);
	}
}

uint64
vecseg_reader_reads(const VecsegReader *reader)
{
	return reader->counters->reads;
}

Size
vecseg_reader_bytes(const VecsegReader *reader)
{
	return reader->bytes;
}

/* --- ending --- */

static void
free_reads(dlist_head *list, bool unpin)
{
	while (!dlist_is_empty(list))
	{
		PlannedRead *read =
			dlist_container(PlannedRead, node, dlist_pop_head_node(list));

		if (unpin)
			vecseg_map_unpin(read->pin);
		pfree(read);
	}
}

void
vecseg_reader_reset(VecsegReader *reader)
{
	for (; reader->first < reader->next; reader->first++)
		drop_value(reader, vecseg_reader_value(reader, reader->first));
	reader->waiting = reader->next;
	if (reader->queue != NULL)
		vecseg_io_close(reader->queue);
	reader->queue = NULL;
	reader->in_flight = 0;
	reader->waited_usec = 0;
	free_reads(&reader->active, true);
	free_reads(&reader->planned, false);
	vecseg_stats_report(reader->counters, &reader->reported);
}

void
vecseg_reader_close(VecsegReader *reader)
{
	VecsegStore *store = vecseg_store_open(reader->rel);

	vecseg_reader_reset(reader);
	if (store->readers > 0)
		store->readers--;
	while (reader->free_images != NULL)
	{
		FreeImage *image = reader->free_images;

		reader->free_images = image->next;
		pfree(image);
	}
	free_reads(&reader->unused, false);
	if (reader->wide_read != NULL)
		pfree(reader->wide_read);
	if (reader->good_blocks != NULL)
		pfree(reader->good_blocks);
	pfree(reader->values);
	pfree(reader);
}
