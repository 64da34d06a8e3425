/*-------------------------------------------------------------------------
 *
 * page.c
 *	  Reading and changing page images of a segment relation.
 *
 * Each change exists once, here; the normal path and redo both call it.
 * Callers hold the locks (an exclusive content lock to change a page).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "format/page.h"

/* Data between content start and pd_lower is in use; keep pd_lower there. */
static void
extend_lower(Page page, Size content_end)
{
	PageHeader header = (PageHeader) page;
	LocationIndex end = VECSEG_CONTENT_START + content_end;

	Assert(end <= header->pd_upper);
	if (header->pd_lower < end)
		header->pd_lower = end;
}

/* Make an empty page of the given kind. */
void
vecseg_page_init(Page page, VecsegPageKind kind)
{
	VecsegPageOpaque *opaque;

	PageInit(page, BLCKSZ, sizeof(VecsegPageOpaque));
	opaque = VecsegPageGetOpaque(page);
	opaque->magic = VECSEG_FORMAT_MAGIC;
	opaque->version = VECSEG_FORMAT_VERSION;
	opaque->kind = kind;
}

static bool
is_vecseg_page(Page page)
{
	return PageGetSpecialSize(page) == sizeof(VecsegPageOpaque) &&
		   VecsegPageGetOpaque(page)->magic == VECSEG_FORMAT_MAGIC;
}

/* The version of the format that a page has, if it is another one; or 0 */
int
vecseg_page_other_version(Page page)
{
	int version;

	if (PageIsNew(page) || !is_vecseg_page(page))
		return 0;
	version = VecsegPageGetOpaque(page)->version;
	return version == VECSEG_FORMAT_VERSION ? 0 : version;
}

/*
 * Say what is wrong with a page that should be of the given kind, or return
 * NULL when it is sound.
 */
const char *
vecseg_page_problem(Page page, VecsegPageKind kind)
{
	VecsegPageOpaque *opaque = VecsegPageGetOpaque(page);

	if (PageIsNew(page))
		return "page is empty";
	if (!is_vecseg_page(page))
		return "page is not a vecseg page";
	if (opaque->version != VECSEG_FORMAT_VERSION)
		return "page was written by another version of vecseg";
	if (opaque->kind != kind)
		return "page is of another kind than expected";
	return NULL;
}

/* Is this the special space of a data page?  It is the last thing on it. */
bool
vecseg_page_is_data(const VecsegPageOpaque *opaque)
{
	return opaque->magic == VECSEG_FORMAT_MAGIC &&
		   opaque->version == VECSEG_FORMAT_VERSION &&
		   opaque->kind == VECSEG_PAGE_DATA;
}

/* Make the meta page of an empty store. */
void
vecseg_meta_init(Page page)
{
	VecsegMeta *meta = VecsegPageGetMeta(page);

	vecseg_page_init(page, VECSEG_PAGE_META);
	meta->next_value = VECSEG_FIRST_VALUE;
	meta->next_block = VECSEG_META_BLOCK + 1;
	extend_lower(page, offsetof(VecsegMeta, directory));
}

/* Write the entry at an index within its directory page. */
void
vecseg_directory_set(Page directory, uint32 index,
					 const VecsegSegmentEntry *entry)
{
	Assert(index < VECSEG_ENTRIES_PER_PAGE);
	VecsegPageGetEntries(directory)[index] = *entry;
	extend_lower(directory, (index + 1) * sizeof(VecsegSegmentEntry));
}

/* Replace the flags of the entry at an index within its directory page. */
void
vecseg_directory_set_flags(Page directory, uint32 index, uint8 flags)
{
	VecsegPageGetEntries(directory)[index].flags = flags;
}

static inline bool
entry_contains(const VecsegSegmentEntry *entry, uint32 value)
{
	return value >= entry->first_value &&
		   value - entry->first_value < entry->nslots;
}

/*
 * The segment of a value in a copy of the whole directory; NULL if none has
 * it.  *last_found, the number of the one found last, is looked at first and
 * set.
 */
const VecsegSegmentEntry *
vecseg_directory_search(const VecsegSegmentEntry *entries, uint32 nsegments,
						uint32 *last_found, uint32 value)
{
	uint32 low = 0;
	uint32 high = nsegments;

	if (*last_found < nsegments && entry_contains(&entries[*last_found], value))
		return &entries[*last_found];

	while (low < high)
	{
		uint32 middle = low + (high - low) / 2;

		if (entry_contains(&entries[middle], value))
		{
			*last_found = middle;
			return &entries[middle];
		}
		if (value < entries[middle].first_value)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/*
 * Count a segment just entered in the directory, and the directory page when
 * that is new too.
 */
void
vecseg_meta_add_segment(Page page, BlockNumber directory_block,
						bool new_directory, const VecsegSegmentEntry *entry)
{
	VecsegMeta *meta = VecsegPageGetMeta(page);

	if (new_directory)
	{
		meta->directory[meta->ndirectory++] = directory_block;
		extend_lower(page, offsetof(VecsegMeta, directory) +
							   meta->ndirectory * sizeof(BlockNumber));
	}
	meta->nsegments++;
	meta->next_value = entry->first_value + entry->nslots;
	meta->next_block = entry->first_block + entry->nblocks;
}

/*
 * Forget the segments from number nsegments on.  Their value ids are not used
 * again: a cached directory may still say what they were.
 */
void
vecseg_meta_drop_segments(Page page, uint32 nsegments, BlockNumber next_block)
{
	VecsegMeta *meta = VecsegPageGetMeta(page);

	meta->nsegments = nsegments;
	meta->next_block = next_block;
}

/* Make the segment page of a new segment: all slots free. */
void
vecseg_slotmap_init(Page page, uint32 segment, uint32 nslots)
{
	VecsegSlotMap *map = VecsegPageGetSlotMap(page);

	Assert(nslots <= VECSEG_MAX_SLOTS);
	vecseg_page_init(page, VECSEG_PAGE_SEGMENT);
	map->segment = segment;
	map->nslots = nslots;
	extend_lower(page, offsetof(VecsegSlotMap, used) + (nslots + 7) / 8);
}

static inline bool
slot_is_used(const VecsegSlotMap *map, uint32 slot)
{
	return (map->used[slot / 8] & (1 << (slot % 8))) != 0;
}

/* Mark count slots from first on as allocated by transaction xid. */
void
vecseg_slotmap_allocate(Page page, uint32 first, uint32 count,
						FullTransactionId xid)
{
	VecsegSlotMap *map = VecsegPageGetSlotMap(page);
	uint32 slot;

	Assert(first + count <= map->nslots);
	for (slot = first; slot < first + count; slot++)
	{
		Assert(!slot_is_used(map, slot));
		map->used[slot / 8] |= 1 << (slot % 8);
	}
	map->nused += count;
	map->high_slot = Max(map->high_slot, first + count);
	if (FullTransactionIdPrecedes(map->last_xid, xid))
		map->last_xid = xid;
}

/*
 * Mark slots as free: those whose bits are set in freed[], which stands for
 * bytes [first_byte, first_byte + nbytes) of the map.
 */
void
vecseg_slotmap_free(Page page, uint32 first_byte, const uint8 *freed,
					uint32 nbytes)
{
	VecsegSlotMap *map = VecsegPageGetSlotMap(page);
	uint32 i;

	Assert((first_byte + nbytes - 1) * 8 < map->nslots);
	for (i = 0; i < nbytes; i++)
	{
		Assert((map->used[first_byte + i] & freed[i]) == freed[i]);
		map->used[first_byte + i] &= ~freed[i];
		map->nused -= pg_number_of_ones[freed[i]];
	}
}

/* First free slot at or after a slot, or nslots. */
static uint32
next_free_slot(const VecsegSlotMap *map, uint32 slot)
{
	while (slot < map->nslots)
	{
		if (slot % 8 == 0 && map->used[slot / 8] == 0xFF)
			slot += 8;
		else if (slot_is_used(map, slot))
			slot++;
		else
			return slot;
	}
	return map->nslots;
}

/*
 * Find the lowest free slot, and how many free ones follow it, up to want.
 * Sets *count to 0 when the segment is full.
 */
uint32
vecseg_slotmap_find_free(Page page, uint32 want, uint32 *count)
{
	VecsegSlotMap *map = VecsegPageGetSlotMap(page);
	uint32 first;
	uint32 end;

	*count = 0;
	if (map->nused == map->nslots)
		return 0;

	/* While nothing was freed the slots below high_slot are all taken. */
	first =
		map->nused == map->high_slot ? map->high_slot : next_free_slot(map, 0);
	end = first;
	while (end < map->nslots && end - first < want && !slot_is_used(map, end))
		end++;
	*count = end - first;
	return first;
}

/* Let a range of a data page count as in use. */
void
vecseg_data_use(Page page, uint16 offset, uint16 length)
{
	Assert(offset >= VECSEG_CONTENT_START);
	Assert(offset + length <= BLCKSZ - sizeof(VecsegPageOpaque));
	extend_lower(page, offset + length - VECSEG_CONTENT_START);
}

/* Put bytes of one or more slots at an offset of a data page. */
void
vecseg_data_write(Page page, uint16 offset, const char *data, uint16 length)
{
	vecseg_data_use(page, offset, length);
	memcpy((char *) page + offset, data, length);
}
