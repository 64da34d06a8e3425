/*-------------------------------------------------------------------------
 *
 * check_segments.c
 *	  Reading the pages of segments for the store's check.
 *
 * What is noted of slots and blocks is compared with references in check.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "segment/check_internal.h"

static uint32
map_bytes(const CheckedSegment *segment)
{
	return (segment->entry.nslots + 7) / 8;
}

/* Number of a segment's data blocks */
static uint32
data_blocks(const CheckedSegment *segment)
{
	return segment->entry.nblocks - 1;
}

static Size
memory_needed(const CheckedSegment *segment)
{
	bool exact = segment->entry.kind == VECSEG_KIND_EXACT;

	return (Size) segment->entry.nslots * sizeof(uint32) * (exact ? 1 : 2) +
		   (Size) data_blocks(segment) * sizeof(uint16) +
		   (Size) map_bytes(segment) * 3;
}

static void
allocate_notes(CheckedSegment *segment)
{
	Size heads = segment->entry.nslots * sizeof(uint32);

	segment->used = NULL;
	segment->seen = palloc0(map_bytes(segment));
	segment->shared = palloc0(map_bytes(segment));
	segment->blocks = palloc0(data_blocks(segment) * sizeof(uint16));
	segment->headers = palloc0(heads);
	segment->tcinfos =
		segment->entry.kind == VECSEG_KIND_EXACT ? NULL : palloc0(heads);
}

static void
read_segment_page(VecsegCheck *check, CheckedSegment *segment)
{
	PGAlignedBlock page;
	VecsegSlotMap *map = VecsegPageGetSlotMap((Page) page.data);
	BlockNumber block = segment->entry.first_block;
	const char *problem;

	if (block >= check->nblocks ||
		!vecseg_check_copy(check, block, segment->number, page.data))
		return;
	problem = vecseg_verify_slotmap((Page) page.data, &segment->entry,
									segment->number);
	if (problem != NULL)
	{
		vecseg_check_block_problem(check, segment->number, block, problem);
		return;
	}
	/* VACUUM would never free anything here */
	if (!FullTransactionIdPrecedes(map->last_xid, ReadNextFullTransactionId()))
		vecseg_check_block_problem(
			check, segment->number, block,
			psprintf(
				"newest transaction %llu is in the future",
				(unsigned long long) U64FromFullTransactionId(map->last_xid)));
	segment->used = palloc(map_bytes(segment));
	memcpy(segment->used, map->used, map_bytes(segment));
}

/* Note the first bytes of the slots that begin on a data page. */
static void
note_slots(CheckedSegment *segment, uint32 index, Page page)
{
	uint64 start = (uint64) index * VECSEG_CONTENT_SIZE;
	uint64 slot_size = segment->entry.slot_size;
	uint64 slot = (start + slot_size - 1) / slot_size;

	StaticAssertStmt(VECSEG_CONTENT_SIZE % (2 * sizeof(uint32)) == 0,
					 "a slot's head does not straddle pages");
	for (; slot < segment->entry.nslots; slot++)
	{
		uint64 offset = slot * slot_size - start;
		char *head = VecsegPageContent(page) + offset;

		if (offset >= VECSEG_CONTENT_SIZE)
			break;
		memcpy(&segment->headers[slot], head, sizeof(uint32));
		if (segment->tcinfos != NULL)
			memcpy(&segment->tcinfos[slot], head + sizeof(uint32),
				   sizeof(uint32));
	}
}

static void
visit_data_block(void *arg, BlockNumber block)
{
	VecsegCheck *check = arg;
	CheckedSegment *segment = check->current;
	uint32 index = block - segment->entry.first_block - 1;
	Buffer buffer = vecseg_check_read(check, block);
	Page page = BufferGetPage(buffer);

	if (PageIsNew(page))
		segment->blocks[index] = BLOCK_EMPTY;
	else
	{
		const char *problem = vecseg_verify_page(page, VECSEG_PAGE_DATA, 0);

		if (problem != NULL)
			vecseg_check_block_problem(check, segment->number, block, problem);
		else
		{
			segment->blocks[index] = ((PageHeader) page)->pd_lower;
			note_slots(segment, index, page);
		}
	}
	UnlockReleaseBuffer(buffer);
}

static void
report_data_block(void *arg, BlockNumber block, const char *message)
{
	VecsegCheck *check = arg;

	vecseg_check_block_problem(check, check->current->number, block, message);
}

static void
read_segment(VecsegCheck *check, CheckedSegment *segment)
{
	VecsegBlockVisit visit = { visit_data_block, report_data_block, check };
	BlockNumber first = segment->entry.first_block;
	BlockNumber end = Min(first + segment->entry.nblocks, check->nblocks);

	allocate_notes(segment);
	check->current = segment;
	read_segment_page(check, segment);
	vecseg_check_blocks(check->rel, &visit, first + 1, end);
}

/* Let the next segments have their turn: read their pages. */
void
vecseg_check_segments(VecsegCheck *check)
{
	Size room = (Size) maintenance_work_mem * 1024;
	MemoryContext old;
	uint32 i;

	for (i = check->first; i < check->end; i++)
		check->segments[i].headers = NULL;
	MemoryContextReset(check->context);
	check->first = check->end;
	old = MemoryContextSwitchTo(check->context);
	while (check->end < check->nsegments)
	{
		CheckedSegment *segment = &check->segments[check->end];
		Size needed = memory_needed(segment);

		if (needed > room && check->end > check->first)
			break;
		room -= Min(needed, room);
		read_segment(check, segment);
		check->end++;
	}
	MemoryContextSwitchTo(old);
}
