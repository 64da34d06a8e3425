/*-------------------------------------------------------------------------
 *
 * reader_cached.c
 *	  A reader's values here and there that the page cache has: copied by reads
 *	  that do not wait, many at a time.  See reader.c.
 *
 * For values at random places this is cheaper than the mapping: each leads to
 * pages that the process has not come to before, and a page fault costs more
 * than a read, above all in virtual machines, and where a file lies in the page
 * cache in small pieces.  Not so in large ones: see vecseg_map_lies_large().
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "segment/read.h"
#include "segment/reader_internal.h"

/* Blocks of a value that is read so, at most */
#define MAX_BLOCKS 4

/* Values in a batch at most */
#define MAX_VALUES 64

/* Between two pieces of a value: the end of a page and the next one's header */
#define BETWEEN_PIECES (sizeof(VecsegPageOpaque) + VECSEG_CONTENT_START)

/* Bytes that a batch reads beside the values' own, at most */
#define ASIDE_BYTES (256 * 1024)

/* Values that are read together */
typedef struct CachedBatch
{
	int count;
	uint64 numbers[MAX_VALUES];
	int pins[MAX_VALUES]; /* of the files' descriptors */
	VecsegIoCachedRead reads[MAX_VALUES];
	struct iovec places[MAX_VALUES][2 * MAX_BLOCKS];
	Size aside_used;
	char aside[ASIDE_BYTES];
} CachedBatch;

/* The kernel or the file system does not know reads that do not wait. */
static bool refused = false;

/* Does a value lie in one file? */
static bool
in_one_file(const ReaderValue *value)
{
	return value->block / RELSEG_SIZE ==
		   (value->block + value->nblocks - 1) / RELSEG_SIZE;
}

/* Are a value's pages to be read from the page cache, rather than mapped? */
bool
vecseg_reader_prefers_reading(const VecsegReader *reader,
							  const ReaderValue *value)
{
	return reader->part == VECSEG_READ_SOME && value->nblocks <= MAX_BLOCKS &&
		   !refused;
}

static void
empty(CachedBatch *batch)
{
	batch->count = 0;
	batch->aside_used = 0;
}

/* The batch, empty: one serves all readers of a backend. */
static CachedBatch *
take_batch(void)
{
	static CachedBatch *batch = NULL;

	if (batch == NULL)
		batch = MemoryContextAlloc(TopMemoryContext, sizeof(CachedBatch));
	empty(batch); /* an error may have left something in it */
	return batch;
}

/* Add a place for bytes of a batch's last value, in its image or aside. */
static void
add_place(CachedBatch *batch, char *address, Size length)
{
	VecsegIoCachedRead *read = &batch->reads[batch->count];

	batch->places[batch->count][read->nplaces++] =
		(struct iovec){ address, length };
	if (address == batch->aside + batch->aside_used)
		batch->aside_used += length;
}

/*
 * Where to read a value's bytes: to their places, and aside what lies between
 * them, which ends with the header of the next page.  With checksums, whole pages
 * are read aside.
 */
static void
add_places(VecsegReader *reader, CachedBatch *batch, const ReaderValue *value)
{
	uint32 k;

	if (reader->checksums)
	{
		add_place(batch, batch->aside + batch->aside_used,
				  value->nblocks * BLCKSZ);
		return;
	}
	for (k = 0; k < value->nblocks; k++)
	{
		uint32 offset;
		uint32 start;
		uint32 length = vecseg_reader_piece(value, k, &offset, &start);

		if (k > 0)
			add_place(batch, batch->aside + batch->aside_used, BETWEEN_PIECES);
		add_place(batch, (char *) value->image + start, length);
	}
}

/* Is there room for a value's reading? */
static bool
has_room(const CachedBatch *batch, const ReaderValue *value)
{
	return batch->count < MAX_VALUES &&
		   batch->aside_used + value->nblocks * BLCKSZ <= ASIDE_BYTES;
}

/* Add a value to the batch; false if it cannot be read so. */
static bool
add_value(VecsegReader *reader, VecsegStore *store, CachedBatch *batch,
		  uint64 number)
{
	ReaderValue *value = vecseg_reader_value(reader, number);
	VecsegIoCachedRead *read = &batch->reads[batch->count];
	int pin = vecseg_map_pin(store->map, value->block, false, &read->fd,
							 &read->offset);

	if (pin < 0)
		return false;
	vecseg_reader_take_image(reader, value);
	if (!reader->checksums)
		read->offset += value->offset;
	read->places = batch->places[batch->count];
	read->nplaces = 0;
	add_places(reader, batch, value);
	batch->pins[batch->count] = pin;
	batch->numbers[batch->count++] = number;
	return true;
}

static Size
length_of(const VecsegIoCachedRead *read)
{
	Size length = 0;
	int i;

	for (i = 0; i < read->nplaces; i++)
		length += read->places[i].iov_len;
	return length;
}

/* Copy a value from pages that were read, if their checksums are right. */
static bool
copy_from_pages(ReaderValue *value, const char *pages)
{
	uint32 k;

	for (k = 0; k < value->nblocks; k++)
	{
		const char *page = pages + k * BLCKSZ;
		uint32 offset;
		uint32 start;
		uint32 length = vecseg_reader_piece(value, k, &offset, &start);

		if (!vecseg_read_page_ok(page, value->block + k))
			return false;
		memcpy((char *) value->image + start, page + offset, length);
	}
	return true;
}

/*
 * Are the pages that a value goes on to pages, not zeros?  The first one needs
 * no proof: the value's header, which is not zero, is on it.
 */
static bool
pages_are_used(const VecsegIoCachedRead *read)
{
	int i;

	for (i = 1; i < read->nplaces; i += 2)
	{
		PageHeaderData header;

		memcpy(&header,
			   (char *) read->places[i].iov_base + sizeof(VecsegPageOpaque),
			   SizeOfPageHeaderData);
		if (!vecseg_page_header_ok(&header))
			return false;
	}
	return true;
}

/* Take a value that was read, if all of it was there and in good order. */
static bool
take_value(VecsegReader *reader, VecsegStore *store, ReaderValue *value,
		   const VecsegIoCachedRead *read)
{
	bool cached = read->result == (ssize_t) length_of(read);

	if (read->result == -EOPNOTSUPP || read->result == -EINVAL ||
		read->result == -ENOSYS)
		refused = true;
	vecseg_map_note(&store->residency, cached);
	if (!cached ||
		!(reader->checksums ? copy_from_pages(value, read->places[0].iov_base)
							: pages_are_used(read)))
	{
		vecseg_reader_give_image(reader, value);
		return false;
	}
	reader->counters->mapped_hits++;
	vecseg_reader_finish(reader, value);
	return true;
}

/*
 * Read the batch's values, and empty it.  Writes the numbers of those that the
 * page cache does not have to *missing, and returns how many they are.
 */
static int
read_batch(VecsegReader *reader, VecsegStore *store, CachedBatch *batch,
		   uint64 *missing)
{
	int nmissing = 0;
	int i;

	vecseg_io_read_cached(batch->reads, batch->count);
	for (i = 0; i < batch->count; i++)
		vecseg_map_unpin(batch->pins[i]);
	for (i = 0; i < batch->count; i++)
	{
		uint64 number = batch->numbers[i];

		if (!take_value(reader, store, vecseg_reader_value(reader, number),
						&batch->reads[i]))
			missing[nmissing++] = number;
	}
	empty(batch);
	return nmissing;
}

/*
 * Copy those of the waiting values that the page cache has.  Leaves the
 * numbers of the others, and returns how many they are.
 */
int
vecseg_reader_copy_cached(VecsegReader *reader, uint64 *numbers, int count)
{
	VecsegStore *store = vecseg_store_open(reader->rel);
	CachedBatch *batch = take_batch();
	int left = 0;
	int i;

	for (i = 0; i < count; i++)
	{
		const ReaderValue *value = vecseg_reader_value(reader, numbers[i]);

		if (!has_room(batch, value))
			left += read_batch(reader, store, batch, numbers + left);
		if (!vecseg_reader_prefers_reading(reader, value) ||
			!in_one_file(value) ||
			!vecseg_map_may_be_cached(&store->residency, store->map,
									  value->block, value->nblocks) ||
			!add_value(reader, store, batch, numbers[i]))
			numbers[left++] = numbers[i];
	}
	return left + read_batch(reader, store, batch, numbers + left);
}
