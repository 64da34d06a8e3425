/*-------------------------------------------------------------------------
 *
 * size.c
 *	  How large slots and segments are made.
 *
 * Nothing on disk depends on these rules: the directory records what was
 * chosen, so they may change without a new format version.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "format/page.h"

/* Slot size for a value that has a segment of its own size. */
uint32
vecseg_exact_slot_size(uint32 size)
{
	return MAXALIGN(size);
}

/*
 * Slot size for a value of any other kind: eight classes between a power of
 * two and the next, so that a slot is at most 1/8 larger than its value (and
 * on average 1/16).
 */
uint32
vecseg_class_slot_size(uint32 size)
{
	uint32 step;

	if (size <= 64)
		return MAXALIGN(size);
	step = ((uint32) 1 << pg_leftmost_one_pos32(size - 1)) / 8;
	return (uint32) TYPEALIGN64(step, (uint64) size);
}

/*
 * Data blocks for a new segment, given the data blocks that segments with
 * the same slots have already.  They grow by a quarter while the table is small
 * (4 MB at a time at most), by an eighth later, at most by
 * VECSEG_MAX_DATA_BLOCKS; but no more than its slot map can describe, and
 * room for one slot at least.
 */
uint32
vecseg_segment_data_blocks(uint32 slot_size, uint64 class_blocks)
{
	uint64 blocks = Max(class_blocks / 8, Min(class_blocks / 4, 512));
	uint64 most = ((uint64) VECSEG_MAX_SLOTS * slot_size) / VECSEG_CONTENT_SIZE;
	uint64 least =
		((uint64) slot_size + VECSEG_CONTENT_SIZE - 1) / VECSEG_CONTENT_SIZE;

	blocks = Min(blocks, VECSEG_MAX_DATA_BLOCKS);
	blocks = Max(blocks, VECSEG_MIN_DATA_BLOCKS);
	blocks = Min(blocks, Max(most, 1));
	return (uint32) Max(blocks, least);
}

/* Slots that fit so many data blocks. */
uint32
vecseg_segment_slots(uint32 slot_size, uint32 data_blocks)
{
	uint64 slots = (uint64) data_blocks * VECSEG_CONTENT_SIZE / slot_size;

	return (uint32) Min(slots, VECSEG_MAX_SLOTS);
}
