/*-------------------------------------------------------------------------
 *
 * check_directory.c
 *	  Verifying the meta page and the directory of a segment store.
 *
 * Others may add segments meanwhile: the meta page is copied first, what it
 * counts is there and does not change, but for flags.  Segments are not
 * dropped, as that needs a lock that conflicts with ours.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "segment/check_internal.h"

static void
report_directory(VecsegCheck *check, int64 segment, BlockNumber block,
				 const char *problem)
{
	check->complete = false;
	vecseg_check_block_problem(check, segment, block, problem);
}

/* Copy the meta page.  Returns false when it tells of nothing. */
static bool
copy_meta(VecsegCheck *check, char *page)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(check->rel);
	const char *problem;

	if (nblocks == 0)
		return false;
	if (!vecseg_check_copy(check, VECSEG_META_BLOCK, -1, page))
	{
		check->complete = false;
		return false;
	}
	/* the first block, just added: now, or before a crash */
	if (PageIsNew((Page) page) && nblocks == 1)
		return false;
	problem = vecseg_verify_meta((Page) page);
	if (problem != NULL)
	{
		report_directory(check, -1, VECSEG_META_BLOCK, problem);
		return false;
	}
	return true;
}

/* Verify the entries of one directory page, and keep the sound ones. */
static void
check_entries(VecsegCheck *check, const VecsegMeta *meta, BlockNumber block,
			  uint32 first, Page page)
{
	uint32 count = Min(meta->nsegments - first, VECSEG_ENTRIES_PER_PAGE);
	VecsegSegmentEntry *entries = VecsegPageGetEntries(page);
	const char *problem = vecseg_verify_page(
		page, VECSEG_PAGE_DIRECTORY, count * sizeof(VecsegSegmentEntry));
	uint32 i;

	if (problem != NULL)
	{
		report_directory(check, -1, block, problem);
		return;
	}
	for (i = 0; i < count; i++)
	{
		CheckedSegment *next = &check->segments[check->nsegments];

		problem = vecseg_verify_entry(
			&entries[i], check->nsegments > 0 ? &next[-1].entry : NULL, meta);
		if (problem != NULL)
		{
			report_directory(check, first + i, block, problem);
			continue;
		}
		memset(next, 0, sizeof(*next));
		next->entry = entries[i];
		next->number = first + i;
		check->nsegments++;
	}
}

/* Blocks that are no segment's */
typedef struct OtherBlocks
{
	VecsegCheck *check;
	const VecsegMeta *meta;
} OtherBlocks;

static void
touch_block(void *arg, BlockNumber block)
{
	OtherBlocks *others = arg;
	uint32 i;

	for (i = 0; i < others->meta->ndirectory; i++)
	{
		if (block == others->meta->directory[i])
			return;
	}
	UnlockReleaseBuffer(vecseg_check_read(others->check, block));
}

static void
report_block(void *arg, BlockNumber block, const char *message)
{
	OtherBlocks *others = arg;

	vecseg_check_block_problem(others->check, -1, block, message);
}

/*
 * Read the blocks that are neither a segment's nor the directory's: what is
 * left of dropped segments, or was added before a crash.  Their content does
 * not matter.
 */
static void
read_other_blocks(VecsegCheck *check, const VecsegMeta *meta)
{
	OtherBlocks others = { check, meta };
	VecsegBlockVisit visit = { touch_block, report_block, &others };
	BlockNumber block = VECSEG_META_BLOCK + 1;
	uint32 i;

	for (i = 0; i < check->nsegments && block < check->nblocks; i++)
	{
		VecsegSegmentEntry *entry = &check->segments[i].entry;

		vecseg_check_blocks(check->rel, &visit, block,
							Min(entry->first_block, check->nblocks));
		block = entry->first_block + entry->nblocks;
	}
	if (block < check->nblocks)
		vecseg_check_blocks(check->rel, &visit, block, check->nblocks);
}

/* Verify the directory, and set check->segments and check->nblocks. */
void
vecseg_check_directory(VecsegCheck *check)
{
	PGAlignedBlock meta_page;
	PGAlignedBlock page;
	VecsegMeta *meta = VecsegPageGetMeta((Page) meta_page.data);
	uint32 first;

	check->complete = true;
	if (!copy_meta(check, meta_page.data))
		return;
	check->nblocks = RelationGetNumberOfBlocks(check->rel);
	if (check->nblocks < meta->next_block)
		vecseg_check_block_problem(
			check, -1, check->nblocks,
			psprintf("file ends here, not at block %u", meta->next_block));

	check->segments = MemoryContextAllocHuge(
		CurrentMemoryContext, Max(meta->nsegments, 1) * sizeof(CheckedSegment));
	for (first = 0; first < meta->nsegments; first += VECSEG_ENTRIES_PER_PAGE)
	{
		BlockNumber block = meta->directory[first / VECSEG_ENTRIES_PER_PAGE];

		if (vecseg_check_copy(check, block, -1, page.data))
			check_entries(check, meta, block, first, (Page) page.data);
		else
			check->complete = false;
	}
	read_other_blocks(check, meta);

	/* the cached one, where segments added later are looked for */
	if (check->complete)
		vecseg_store_refresh(check->rel, vecseg_store_open(check->rel));
}
