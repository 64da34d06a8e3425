/*-------------------------------------------------------------------------
 *
 * sweep.c
 *	  Freeing the slots that no row refers to.
 *
 * The caller (am/vacuum.c) finds out what rows refer to; here are the slots.
 * A slot is freed when it was allocated at the beginning of the sweep, no row
 * version present in the table refers to it, and its segment is not young:
 * whoever allocated the slot must have been finished before the caller's
 * snapshot, so that the row that refers to it, if there is one, was there to
 * be seen.  See am/vacuum.c for why that is enough.
 *
 * Only one sweep of a relation runs at a time (VACUUM's lock); nothing else
 * frees slots.  The segment page's exclusive lock orders freeing a slot and
 * allocating it again.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/storage.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "segment/sweep.h"
#include "stop.h"
#include "wal/record.h"

/* What the sweep knows of a segment: the slots that may be freed */
typedef struct SweptSegment
{
	FullTransactionId last_xid;
	uint32 nused; /* slots allocated when the sweep began; if there are any: */
	uint8 *garbage; /* a bit for each that no row version refers to */
	uint8 *dead;	/* a bit for each that no live row version refers to */
	bool has_room;	/* it had a free slot when the sweep began */
	bool young;		/* free none */
} SweptSegment;

struct VecsegSweep
{
	Relation rel;
	uint32 nsegments;
	uint32 last_found;
	VecsegSegmentEntry *entries;
	SweptSegment *segments;
};

static uint32
map_bytes(const VecsegSegmentEntry *entry)
{
	return (entry->nslots + 7) / 8;
}

static uint8 *
copy_bits(const uint8 *bits, uint32 nbytes)
{
	return memcpy(palloc(nbytes), bits, nbytes);
}

static void
copy_slot_map(Relation rel, const VecsegSegmentEntry *entry,
			  SweptSegment *segment)
{
	Buffer buffer = vecseg_store_read_page(
		rel, entry->first_block, BUFFER_LOCK_SHARE, VECSEG_PAGE_SEGMENT);
	VecsegSlotMap *map = VecsegPageGetSlotMap(BufferGetPage(buffer));

	segment->last_xid = map->last_xid;
	segment->has_room = map->nused < map->nslots;
	segment->young = false;
	segment->nused = map->nused;
	if (map->nused > 0)
	{
		segment->garbage = copy_bits(map->used, map_bytes(entry));
		segment->dead = copy_bits(map->used, map_bytes(entry));
	}
	UnlockReleaseBuffer(buffer);
}

VecsegSweep *
vecseg_sweep_begin(Relation rel)
{
	VecsegStore *store = vecseg_store_open(rel);
	VecsegSweep *sweep = palloc0(sizeof(VecsegSweep));
	uint32 i;

	vecseg_store_refresh(rel, store);
	sweep->rel = rel;
	sweep->nsegments = store->nsegments;
	sweep->entries =
		palloc(Max(sweep->nsegments, 1) * sizeof(VecsegSegmentEntry));
	if (sweep->nsegments > 0)
		memcpy(sweep->entries, store->entries,
			   sweep->nsegments * sizeof(VecsegSegmentEntry));
	sweep->segments = palloc0(Max(sweep->nsegments, 1) * sizeof(SweptSegment));
	for (i = 0; i < sweep->nsegments; i++)
	{
		CHECK_FOR_INTERRUPTS();
		copy_slot_map(rel, &sweep->entries[i], &sweep->segments[i]);
	}
	return sweep;
}

void
vecseg_sweep_exclude_young(VecsegSweep *sweep, FullTransactionId horizon)
{
	uint32 i;

	for (i = 0; i < sweep->nsegments; i++)
	{
		SweptSegment *segment = &sweep->segments[i];

		segment->young = !FullTransactionIdPrecedes(segment->last_xid, horizon);
	}
}

void
vecseg_sweep_keep(VecsegSweep *sweep, uint32 value, bool live)
{
	const VecsegSegmentEntry *entry = vecseg_directory_search(
		sweep->entries, sweep->nsegments, &sweep->last_found, value);
	const SweptSegment *segment;
	uint32 slot;
	uint8 others;

	/* no segment: it came after the sweep began */
	if (entry == NULL)
		return;
	segment = &sweep->segments[entry - sweep->entries];
	if (segment->nused == 0)
		return;
	slot = value - entry->first_value;
	others = ~(1 << (slot % 8));
	segment->garbage[slot / 8] &= others;
	if (live)
		segment->dead[slot / 8] &= others;
}

static uint32
count_bits(const uint8 *bits, uint32 nbytes)
{
	return pg_popcount((const char *) bits, nbytes);
}

/* Free a segment's garbage; returns the number of slots. */
static uint32
free_garbage(VecsegSweep *sweep, uint32 number)
{
	const VecsegSegmentEntry *entry = &sweep->entries[number];
	uint8 *garbage = sweep->segments[number].garbage;
	uint32 end = map_bytes(entry);
	xl_vecseg_free record = { number, 0, 0 };
	Buffer buffer;

	/* only the bytes with something to free */
	while (record.first_byte < end && garbage[record.first_byte] == 0)
		record.first_byte++;
	while (end > record.first_byte && garbage[end - 1] == 0)
		end--;
	if (record.first_byte == end)
		return 0;
	record.count =
		count_bits(garbage + record.first_byte, end - record.first_byte);

	buffer = vecseg_store_read_page(sweep->rel, entry->first_block,
									BUFFER_LOCK_EXCLUSIVE, VECSEG_PAGE_SEGMENT);
	START_CRIT_SECTION();
	vecseg_slotmap_free(BufferGetPage(buffer), record.first_byte,
						garbage + record.first_byte, end - record.first_byte);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(sweep->rel))
		vecseg_log_free(buffer, &record, garbage + record.first_byte,
						end - record.first_byte);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	return record.count;
}

/* Let others know, unless they do, that a segment has free slots. */
static void
open_segment(Relation rel, uint32 number)
{
	VecsegStore *store = vecseg_store_open(rel);

	if (store->nsegments <= number)
		vecseg_store_refresh(rel, store);
	if ((store->entries[number].flags & VECSEG_SEGMENT_FULL) != 0)
		vecseg_space_set_flags(rel, store, number, 0);
}

/*
 * A segment that others find full just before we free slots in it stays marked
 * as full; the next sweep sees that it has room.
 */
VecsegSweepResult
vecseg_sweep_free(VecsegSweep *sweep)
{
	VecsegSweepResult result = { 0 };
	uint32 i;

	/* segments may have been marked as full since the sweep began */
	vecseg_store_refresh(sweep->rel, vecseg_store_open(sweep->rel));
	for (i = 0; i < sweep->nsegments; i++)
	{
		const SweptSegment *segment = &sweep->segments[i];
		uint32 nbytes = map_bytes(&sweep->entries[i]);
		uint32 freed = 0;

		CHECK_FOR_INTERRUPTS();
		if (segment->nused > 0)
		{
			if (segment->young)
				result.postponed += count_bits(segment->garbage, nbytes);
			else
				freed = free_garbage(sweep, i);
			result.live += segment->nused - count_bits(segment->dead, nbytes);
		}
		if (freed > 0 || segment->has_room)
			open_segment(sweep->rel, i);
		result.freed += freed;
	}
	return result;
}

/* Number of segments that are left without the free ones at the end */
static uint32
segments_to_keep(Relation rel)
{
	VecsegStore *store = vecseg_store_open(rel);
	uint32 keep;

	vecseg_store_refresh(rel, store);
	keep = store->nsegments;
	while (keep > 0 &&
		   vecseg_store_slots_used(rel, &store->entries[keep - 1]) == 0)
		keep--;
	return keep;
}

static BlockNumber
drop_segments(Relation rel, uint32 keep)
{
	VecsegStore *store = vecseg_store_open(rel);
	xl_vecseg_drop_segments record;
	Buffer buffer;
	VecsegMeta *meta;
	uint32 i;

	buffer = vecseg_store_read_page(rel, VECSEG_META_BLOCK,
									BUFFER_LOCK_EXCLUSIVE, VECSEG_PAGE_META);
	meta = VecsegPageGetMeta(BufferGetPage(buffer));

	/* directory pages among the segments stay where they are */
	record.nsegments = keep;
	record.next_block = VECSEG_META_BLOCK + 1;
	if (keep > 0)
		record.next_block = store->entries[keep - 1].first_block +
							store->entries[keep - 1].nblocks;
	for (i = 0; i < meta->ndirectory; i++)
		record.next_block = Max(record.next_block, meta->directory[i] + 1);

	START_CRIT_SECTION();
	vecseg_meta_drop_segments(BufferGetPage(buffer), record.nsegments,
							  record.next_block);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
		vecseg_log_drop_segments(buffer, &record);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	return record.next_block;
}

/*
 * Have all backends read the directory anew before they append: a value in a
 * segment that is not there any more would be lost.  They must do so also if
 * this transaction fails, so the message does not wait for its end.  They
 * read it when they lock the relation, for which they must wait for us.
 */
static void
invalidate_directories(Relation rel)
{
	SharedInvalidationMessage message;

	memset(&message, 0, sizeof(message));
	message.rc.id = SHAREDINVALRELCACHE_ID;
	message.rc.dbId = MyDatabaseId;
	message.rc.relId = RelationGetRelid(rel);
	SendSharedInvalidMessages(&message, 1);
}

/* The block after the last one that belongs to the store */
static BlockNumber
store_end(Relation rel)
{
	Buffer buffer = vecseg_store_read_page(rel, VECSEG_META_BLOCK,
										   BUFFER_LOCK_SHARE, VECSEG_PAGE_META);
	BlockNumber result = VecsegPageGetMeta(BufferGetPage(buffer))->next_block;

	UnlockReleaseBuffer(buffer);
	return result;
}

/*
 * Are there free segments at the end; or blocks behind the end, left when a
 * segment was being added or dropped at the time of a crash?  Sets *keep to
 * the number of segments before the free ones.
 */
static bool
can_truncate(Relation rel, uint32 *keep)
{
	if (RelationGetNumberOfBlocks(rel) <= VECSEG_META_BLOCK + 1)
		return false;
	*keep = segments_to_keep(rel);
	return *keep < vecseg_store_open(rel)->nsegments ||
		   store_end(rel) < RelationGetNumberOfBlocks(rel);
}

void
vecseg_sweep_truncate(Relation rel)
{
	BlockNumber next_block;
	BlockNumber nblocks;
	uint32 keep;

	/* nobody uses the relation once we have the lock: look again then */
	if (!can_truncate(rel, &keep) ||
		!ConditionalLockRelation(rel, AccessExclusiveLock) ||
		!can_truncate(rel, &keep))
		return;

	next_block = store_end(rel);
	if (keep < vecseg_store_open(rel)->nsegments)
	{
		invalidate_directories(rel);
		next_block = drop_segments(rel, keep);
		vecseg_stop("file", 0);
	}
	nblocks = RelationGetNumberOfBlocks(rel);
	if (next_block < nblocks)
	{
		/*
		 * Flushed, as segments must not be missing in the file before WAL
		 * says that they were dropped.
		 */
		if (RelationNeedsWAL(rel))
			XLogFlush(vecseg_log_blocks(rel, next_block, nblocks));
		RelationTruncate(rel, next_block);
	}
	vecseg_store_refresh(rel, vecseg_store_open(rel));
	/* the lock is kept until the end of the transaction */
}
