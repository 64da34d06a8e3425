/*-------------------------------------------------------------------------
 *
 * space.c
 *	  Finding free slots.
 *
 * Concurrent writers.  A slot is allocated under the exclusive lock of its
 * segment page, so writers to different segments do not meet.  A writer that
 * finds a segment locked tries the other segments with slots of the same
 * size, and when all are busy, and the table is large enough for that to be
 * worth the space, it adds one (grow.c).  There is no lock on the whole store
 * but for adding a segment.
 *
 * Lock order: relation extension lock, meta page, directory page, segment
 * page, data pages in ascending order.  A segment page is never held while
 * an earlier kind is taken.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "segment/space.h"
#include "wal/record.h"

/* At most so many segments of one slot size take new values at a time. */
#define MAX_OPEN_SEGMENTS 8

/* A further open segment for each so many data blocks (1 MB) of its kind. */
#define BLOCKS_PER_OPEN_SEGMENT 128

/* Set a segment's flags in the directory. */
void
vecseg_space_set_flags(Relation rel, VecsegStore *store, uint32 segment,
					   uint8 flags)
{
	xl_vecseg_segment_flags record = { segment, flags };
	BlockNumber block;
	Buffer buffer;

	store->entries[segment].flags = flags;
	if ((flags & VECSEG_SEGMENT_FULL) == 0)
		vecseg_classes_forget(store);

	buffer = vecseg_store_read_page(rel, VECSEG_META_BLOCK, BUFFER_LOCK_SHARE,
									VECSEG_PAGE_META);
	block = VecsegPageGetMeta(BufferGetPage(buffer))
				->directory[segment / VECSEG_ENTRIES_PER_PAGE];
	UnlockReleaseBuffer(buffer);

	buffer = vecseg_store_read_page(rel, block, BUFFER_LOCK_EXCLUSIVE,
									VECSEG_PAGE_DIRECTORY);
	START_CRIT_SECTION();
	vecseg_directory_set_flags(BufferGetPage(buffer),
							   segment % VECSEG_ENTRIES_PER_PAGE, record.flags);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
		vecseg_log_segment_flags(buffer, &record);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

typedef enum TryResult
{
	TRY_OK,
	TRY_BUSY,
	TRY_FULL
} TryResult;

/* Try to get slots from one segment; on TRY_OK its page stays locked. */
static TryResult
try_segment(Relation rel, const VecsegSegmentEntry *entry, bool wait,
			uint32 want, Buffer *buffer, uint32 *first, uint32 *count)
{
	*buffer = ReadBuffer(rel, entry->first_block);
	if (wait)
		LockBuffer(*buffer, BUFFER_LOCK_EXCLUSIVE);
	else if (!ConditionalLockBuffer(*buffer))
	{
		ReleaseBuffer(*buffer);
		return TRY_BUSY;
	}
	if (vecseg_page_problem(BufferGetPage(*buffer), VECSEG_PAGE_SEGMENT) !=
		NULL)
	{
		/* let the checked read report it */
		UnlockReleaseBuffer(*buffer);
		*buffer =
			vecseg_store_read_page(rel, entry->first_block,
								   BUFFER_LOCK_EXCLUSIVE, VECSEG_PAGE_SEGMENT);
	}
	*first = vecseg_slotmap_find_free(BufferGetPage(*buffer), want, count);
	if (*count > 0)
		return TRY_OK;
	UnlockReleaseBuffer(*buffer);
	return TRY_FULL;
}

/*
 * Look for slots in a class's open segments.  Returns TRY_BUSY when there are
 * some but others hold them all.
 */
static TryResult
try_open_segments(Relation rel, VecsegStore *store, VecsegSlotClass *class,
				  uint32 want, Buffer *buffer, uint32 *segment, uint32 *first,
				  uint32 *count)
{
	int i = 0;

	while (i < list_length(class->open))
	{
		*segment = list_nth_int(class->open, i);
		switch (try_segment(rel, &store->entries[*segment], false, want, buffer,
							first, count))
		{
			case TRY_OK:
				vecseg_class_prefer(class, i);
				return TRY_OK;
			case TRY_FULL:
				vecseg_space_set_flags(rel, store, *segment,
									   VECSEG_SEGMENT_FULL);
				vecseg_class_close(class, i);
				break;
			case TRY_BUSY:
				i++;
				break;
		}
	}
	return class->open != NIL ? TRY_BUSY : TRY_FULL;
}

/* How many segments of a class may take new values at the same time. */
static int
open_segments_allowed(const VecsegSlotClass *class)
{
	uint64 allowed = 1 + class->data_blocks / BLOCKS_PER_OPEN_SEGMENT;

	return (int) Min(allowed, MAX_OPEN_SEGMENTS);
}

/*
 * Look for slots in a class's segments; wait for one that others hold if no
 * segment is to be added.
 */
static TryResult
try_class(Relation rel, VecsegStore *store, VecsegSlotClass *class, uint32 want,
		  Buffer *buffer, uint32 *segment, uint32 *first, uint32 *count)
{
	TryResult result;

	do
	{
		result = try_open_segments(rel, store, class, want, buffer, segment,
								   first, count);
		if (result != TRY_BUSY ||
			list_length(class->open) < open_segments_allowed(class))
			break;
		*segment = linitial_int(class->open);
		result = try_segment(rel, &store->entries[*segment], true, want, buffer,
							 first, count);
	} while (result != TRY_OK);
	return result;
}

/* Replace an exact size by its size class when there are too many. */
static void
limit_exact_sizes(VecsegStore *store, VecsegSegmentKind *kind,
				  uint32 *slot_size)
{
	if (*kind == VECSEG_KIND_EXACT &&
		vecseg_class_find(store, *kind, *slot_size) == NULL &&
		vecseg_classes_count(store, VECSEG_KIND_EXACT) >=
			VECSEG_MAX_EXACT_SIZES)
	{
		*kind = VECSEG_KIND_CLASS;
		*slot_size = vecseg_class_slot_size(*slot_size);
	}
}

/*
 * Find up to `want` consecutive free slots.
 *
 * kind, slot_size: where values of this size belong; a relation with too
 * many exact sizes answers with slots of a size class instead.
 * Returns the segment page, pinned and exclusively locked: the caller marks
 * the slots as allocated before it releases the page.  *entry describes the
 * segment; *first is the first slot and *count the number found (at least
 * one).
 */
Buffer
vecseg_space_allocate(Relation rel, VecsegSegmentKind kind, uint32 slot_size,
					  uint32 want, VecsegSegmentEntry *entry, uint32 *first,
					  uint32 *count)
{
	VecsegStore *store = vecseg_store_open(rel);

	/*
	 * A session may have started on a standby.  There it is not always told
	 * that segments are dropped: the VACUUM may not have come to its end.  (Up
	 * to 17, all caches are reset when recovery ends.)
	 */
	if (store->nsegments == 0 || store->read_in_recovery)
		vecseg_store_refresh(rel, store);
	limit_exact_sizes(store, &kind, &slot_size);

	for (;;)
	{
		VecsegSlotClass *class = vecseg_class_find(store, kind, slot_size);
		Buffer buffer;
		uint32 segment;

		if (class != NULL && try_class(rel, store, class, want, &buffer,
									   &segment, first, count) == TRY_OK)
		{
			*entry = store->entries[segment];
			return buffer;
		}
		vecseg_space_add_segment(rel, store, kind, slot_size);
	}
}
