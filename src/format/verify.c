/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Is a page of a segment relation what format/README.md says?
 *
 * Readers check what they need to be safe (vecseg_page_problem); this is the
 * rest, for vecseg_check().  Each function says what is wrong, or returns
 * NULL.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "format/page.h"

/* A page's kind and header; its content fills at least so many bytes. */
const char *
vecseg_verify_page(Page page, VecsegPageKind kind, Size content)
{
	const char *problem = vecseg_page_problem(page, kind);
	PageHeader header = (PageHeader) page;

	if (problem != NULL)
		return problem;
	if (VecsegPageGetOpaque(page)->reserved != 0 ||
		header->pd_upper != header->pd_special ||
		header->pd_lower < VECSEG_CONTENT_START ||
		header->pd_lower > header->pd_upper)
		return "page header is wrong";
	/* a full-page image would leave the rest out */
	if (header->pd_lower < VECSEG_CONTENT_START + content)
		return "page header says that the page ends before its data";
	return NULL;
}

/* The meta page, but for what it says of blocks: see vecseg_verify_entry() */
const char *
vecseg_verify_meta(Page page)
{
	const char *problem = vecseg_verify_page(page, VECSEG_PAGE_META,
											 offsetof(VecsegMeta, directory));
	VecsegMeta *meta = VecsegPageGetMeta(page);
	uint32 i;

	if (problem != NULL)
		return problem;
	if (meta->ndirectory > VECSEG_MAX_DIRECTORY_PAGES ||
		meta->nsegments > (uint64) meta->ndirectory * VECSEG_ENTRIES_PER_PAGE)
		return "number of segments does not match that of directory pages";
	if (meta->next_value < VECSEG_FIRST_VALUE ||
		meta->next_block <= VECSEG_META_BLOCK)
		return "next value or block is one that is never free";
	for (i = 0; i < meta->ndirectory; i++)
	{
		if (meta->directory[i] <= VECSEG_META_BLOCK ||
			meta->directory[i] >= meta->next_block)
			return "a directory page is not where one can be";
	}
	return vecseg_verify_page(page, VECSEG_PAGE_META,
							  offsetof(VecsegMeta, directory) +
								  meta->ndirectory * sizeof(BlockNumber));
}

/*
 * A directory entry.  previous: the entry before it, NULL for the first one;
 * meta: the meta page, which must have been sound.
 */
const char *
vecseg_verify_entry(const VecsegSegmentEntry *entry,
					const VecsegSegmentEntry *previous, const VecsegMeta *meta)
{
	uint64 value = VECSEG_FIRST_VALUE;
	uint64 block = VECSEG_META_BLOCK + 1;
	uint32 i;

	if (previous != NULL)
	{
		value = (uint64) previous->first_value + previous->nslots;
		block = (uint64) previous->first_block + previous->nblocks;
	}
	if ((entry->kind != VECSEG_KIND_EXACT &&
		 entry->kind != VECSEG_KIND_CLASS) ||
		(entry->flags & ~VECSEG_SEGMENT_FULL) != 0 || entry->reserved != 0)
		return "kind or the flags of the segment are unknown";
	if (entry->nslots == 0 || entry->nslots > VECSEG_MAX_SLOTS ||
		entry->slot_size == 0 || entry->slot_size % MAXIMUM_ALIGNOF != 0 ||
		entry->nblocks < 2 ||
		(uint64) entry->nslots * entry->slot_size >
			(uint64) (entry->nblocks - 1) * VECSEG_CONTENT_SIZE)
		return "slots of the segment do not fit its blocks";
	if (entry->first_value < value ||
		(uint64) entry->first_value + entry->nslots > meta->next_value)
		return "segment's values are those of others";
	if (entry->first_block < block ||
		(uint64) entry->first_block + entry->nblocks > meta->next_block)
		return "segment's blocks are those of others";
	for (i = 0; i < meta->ndirectory; i++)
	{
		if (meta->directory[i] >= entry->first_block &&
			meta->directory[i] - entry->first_block < entry->nblocks)
			return "a directory page lies among the segment's blocks";
	}
	return NULL;
}

/* The segment page of a sound entry; number: the segment's */
const char *
vecseg_verify_slotmap(Page page, const VecsegSegmentEntry *entry, uint32 number)
{
	uint32 bytes = (entry->nslots + 7) / 8;
	const char *problem = vecseg_verify_page(
		page, VECSEG_PAGE_SEGMENT, offsetof(VecsegSlotMap, used) + bytes);
	VecsegSlotMap *map = VecsegPageGetSlotMap(page);
	uint32 slot;

	if (problem != NULL)
		return problem;
	if (map->segment != number || map->nslots != entry->nslots)
		return "segment page belongs to another segment";
	if (map->high_slot > map->nslots)
		return "highest slot is beyond the segment's end";
	for (slot = map->high_slot; slot < bytes * 8; slot++)
	{
		if ((map->used[slot / 8] & (1 << (slot % 8))) != 0)
			return "a slot beyond the highest one is allocated";
	}
	if (pg_popcount((const char *) map->used, bytes) != map->nused)
		return "number of allocated slots does not match the slot map";
	return NULL;
}
