/*-------------------------------------------------------------------------
 *
 * reader_memory.c
 *	  A reader's values that are in memory: in shared buffers, or in the page
 *	  cache, by the mapping.  See reader.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "segment/read.h"
#include "segment/reader_internal.h"

/* Blocks for which a bulk reader asks mincore() at once: 1 MB */
#define REGION_BLOCKS ((1024 * 1024) / BLCKSZ)

/* Pages of a store for which it is noted that they are good, at most: 4 MB */
#define MAX_NOTED (4 * 1024 * 1024 * 8)

/* Of values in pieces that were read, one in so many is checked to be there. */
#define WIDE_CHECK_EVERY 16

/* Bytes of a value before its k-th block */
static uint32
bytes_before(const ReaderValue *value, uint32 k)
{
	uint32 in_first = BLCKSZ - sizeof(VecsegPageOpaque) - value->offset;

	return k == 0 ? 0 : in_first + (k - 1) * VECSEG_CONTENT_SIZE;
}

/* The piece of a value on its k-th block: place there, and in the image */
uint32
vecseg_reader_piece(const ReaderValue *value, uint32 k, uint32 *offset,
					uint32 *start)
{
	*start = bytes_before(value, k);
	*offset = k == 0 ? value->offset : VECSEG_CONTENT_START;
	return Min(value->size - *start,
			   BLCKSZ - sizeof(VecsegPageOpaque) - *offset);
}

/* Copy a value from memory if some page of it is in shared buffers. */
bool
vecseg_reader_copy_buffered(VecsegReader *reader, VecsegStore *store,
							ReaderValue *value)
{
	Buffer buffer = InvalidBuffer;
	uint32 buffered;
	uint32 k;

	for (buffered = 0; buffered < value->nblocks; buffered++)
	{
		BlockNumber block = value->block + buffered;

		if (block == reader->absent)
			continue;
		buffer = vecseg_read_pin(reader->rel, block);
		if (BufferIsValid(buffer))
			break;
		reader->absent = block;
	}
	if (!BufferIsValid(buffer))
		return false;

	vecseg_reader_take_image(reader, value);
	for (k = 0; k < value->nblocks; k++)
	{
		BlockNumber block = value->block + k;
		uint32 offset;
		uint32 start;
		uint32 length = vecseg_reader_piece(value, k, &offset, &start);
		char *image = (char *) value->image + start;

		if (k == buffered)
			vecseg_read_pinned(reader->rel, buffer, block, offset, length,
							   image);
		else
			vecseg_read_piece(reader->rel, store, block, offset, length, image);
	}
	return true;
}

/* Does the kernel have all of the region that a value starts in? */
static bool
region_is_resident(VecsegReader *reader, VecsegStore *store,
				   const ReaderValue *value)
{
	BlockNumber region = value->block / REGION_BLOCKS;
	BlockNumber start = region * REGION_BLOCKS;

	if (region != reader->region)
	{
		uint32 nblocks = start < store->nblocks
							 ? Min(REGION_BLOCKS, store->nblocks - start)
							 : 1;

		reader->region = region;
		reader->resident = vecseg_map_resident(store->map, start, nblocks);
		if (reader->resident)
			vecseg_map_populate(store->map, start, nblocks);
	}
	return reader->resident;
}

static uint32
piece_length(const VecsegReader *reader, uint32 piece)
{
	BlockNumber start = piece * WIDE_BLOCKS;

	return Min(WIDE_BLOCKS, reader->wide_end - start);
}

/* Was a piece read, and is it still there?  That is asked for some only. */
static bool
piece_was_read(VecsegReader *reader, VecsegStore *store, uint32 piece)
{
	if ((reader->wide_read[piece / 8] & (1 << (piece % 8))) == 0)
		return false;
	return ++reader->wide_calls % WIDE_CHECK_EVERY != 0 ||
		   vecseg_map_resident(store->map, piece * WIDE_BLOCKS,
							   piece_length(reader, piece));
}

/*
 * Have the kernel read the pieces that a value is in.  They will be in the
 * mapping by the time the value is copied, or that waits for them.
 */
static void
read_wide(VecsegReader *reader, VecsegStore *store, const ReaderValue *value)
{
	uint32 last = (value->block + value->nblocks - 1) / WIDE_BLOCKS;
	uint32 piece;

	if (reader->wide_read == NULL)
		reader->wide_read = MemoryContextAllocZero(
			reader->context, reader->wide_end / WIDE_BLOCKS / 8 + 1);
	for (piece = value->block / WIDE_BLOCKS; piece <= last; piece++)
	{
		CHECK_FOR_INTERRUPTS();
		if (piece_was_read(reader, store, piece))
			continue;
		vecseg_map_prefetch(store->map, piece * WIDE_BLOCKS,
							piece_length(reader, piece));
		reader->wide_read[piece / 8] |= 1 << (piece % 8);
		reader->wide_left -= Min(reader->wide_left, 1);
		reader->counters->reads++;
		reader->counters->read_bytes +=
			(uint64) piece_length(reader, piece) * BLCKSZ;
	}
}

/*
 * Does the kernel have a value's pages, or will it soon?  Asked for some
 * values only.
 */
bool
vecseg_reader_is_resident(VecsegReader *reader, VecsegStore *store,
						  const ReaderValue *value)
{
	VecsegResidency *sample;

	if (reader->first >= reader->review_at)
		vecseg_reader_review_order(reader);
	if (reader->part == VECSEG_READ_IN_ORDER)
		return region_is_resident(reader, store, value);
	if (reader->wide && reader->wide_left > 0 &&
		value->block + value->nblocks <= reader->wide_end)
	{
		read_wide(reader, store, value);
		return true;
	}
	/* a value that turns out not to be there is read page by page: a few may */
	sample = vecseg_reader_prefers_reading(reader, value) ? &store->residency
														  : &reader->residency;
	return vecseg_map_sample(sample, store->map, value->block, value->nblocks);
}

/*
 * Where it is noted, by the block's bit, that a page was found good; NULL if
 * nowhere.  Most of a table's values, if they come in another order than that of
 * storage, lead to each page several times.
 */
static uint8 *
good_note(VecsegReader *reader, BlockNumber block)
{
	if (reader->part != VECSEG_READ_MOST || block >= reader->wide_end ||
		reader->wide_end > MAX_NOTED)
		return NULL;
	if (reader->good_blocks == NULL)
		reader->good_blocks =
			MemoryContextAllocZero(reader->context, reader->wide_end / 8 + 1);
	return &reader->good_blocks[block / 8];
}

/* Check a page in the mapping, unless it was found good before. */
static bool
check_mapped_page(VecsegReader *reader, VecsegStore *store, BlockNumber block)
{
	uint8 bit = 1 << (block % 8);
	uint8 *note;

	if (block == reader->good_block)
		return true;
	note = good_note(reader, block);
	if (note == NULL || (*note & bit) == 0)
	{
		if (!vecseg_map_check(store->map, block, vecseg_read_page_ok))
			return false;
		if (note != NULL)
			*note |= bit;
	}
	reader->good_block = block;
	return true;
}

/*
 * Point to a value that is not in shared buffers in the mapping.  False if it
 * must be copied: it is in pieces, or something is wrong with the page.
 */
bool
vecseg_reader_hold_mapped(VecsegReader *reader, VecsegStore *store,
						  ReaderValue *value)
{
	if (value->nblocks > 1 || !check_mapped_page(reader, store, value->block))
		return false;
	value->image = (struct varlena *) vecseg_map_hold(
		store->map, value->block, value->offset, &value->pin);
	return value->image != NULL;
}

/* Copy a value that is not in shared buffers from the mapping. */
void
vecseg_reader_copy_mapped(VecsegReader *reader, VecsegStore *store,
						  ReaderValue *value)
{
	uint32 k;

	for (k = 0; k < value->nblocks; k++)
	{
		BlockNumber block = value->block + k;
		uint32 offset;
		uint32 start;
		uint32 length = vecseg_reader_piece(value, k, &offset, &start);
		char *image = (char *) value->image + start;

		CHECK_FOR_INTERRUPTS();
		if (!check_mapped_page(reader, store, block) ||
			!vecseg_map_copy(store->map, block, offset, length, image))
		{
			reader->counters->retries++;
			vecseg_read_buffered(reader->rel, block, offset, length, image);
		}
	}
}

/* A value has arrived: check that it is the one expected. */
void
vecseg_reader_finish(VecsegReader *reader, ReaderValue *value)
{
	uint32 found;

	memcpy(&found, value->image, sizeof(found));
	if (found != value->header)
		vecseg_read_damaged(reader->rel, value->id, value->header, found);
	value->state = VALUE_DONE;
	reader->counters->values++;
}
