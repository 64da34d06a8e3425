/*-------------------------------------------------------------------------
 *
 * grow.c
 *	  Adding segments to a store.
 *
 * The file is extended by zeros to the segment's end before the directory
 * names it, so that running out of disk space is an error here, with nothing
 * changed, and not later when a page is evicted.
 *
 * Segments are added under the relation's extension lock; see space.c for the
 * order of locks.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"

#include "compat.h"
#include "segment/map.h"
#include "segment/read.h"
#include "segment/space.h"
#include "wal/record.h"

/* Was vecseg_space_retire() called in this transaction?  No ids below this. */
static bool retiring = false;
static uint32 first_unretired = VECSEG_FIRST_VALUE;

/*
 * When a subtransaction is rolled back, others may store values in the old file
 * before this transaction is over: ids that they are unlikely to come to.
 */
#define ROLLBACK_DISTANCE (1 << 24)

static void
retire_below(uint64 value)
{
	/* leave room for values: better the same ids again than too few */
	if (value > PG_UINT32_MAX / 2)
		first_unretired = VECSEG_FIRST_VALUE;
	else
		first_unretired = Max(first_unretired, (uint32) value);
}

/*
 * Copy the meta page; false if it is damaged.  It is read past shared buffers if
 * it is not there: a damaged one must neither be in the way, nor leave zeros
 * in a buffer.
 */
static bool
copy_meta_page(Relation rel, VecsegStore *store, char *page)
{
	Buffer buffer = vecseg_read_pin(rel, VECSEG_META_BLOCK);

	if (BufferIsValid(buffer))
	{
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		memcpy(page, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);
	}
	else
	{
		if (store->map == NULL)
			store->map = vecseg_map_open(rel);
		if (!vecseg_map_copy(store->map, VECSEG_META_BLOCK, 0, BLCKSZ, page) ||
			!vecseg_read_checksum_ok(page, VECSEG_META_BLOCK))
			return false;
	}
	return vecseg_page_problem(page, VECSEG_PAGE_META) == NULL;
}

/*
 * To be called when a transaction gives a table's values another file (CLUSTER,
 * TRUNCATE).  Its variables may still hold pointers to the values as they were,
 * which must not find others: a new file has no ids of old ones.  (Others have
 * no such pointers, for want of a lock on the table.)
 */
void
vecseg_space_retire(Relation rel)
{
	/* also for vecseg_space_forget_retired() */
	VecsegStore *store = vecseg_store_open(rel);
	uint64 next = VECSEG_FIRST_VALUE;
	PGAlignedBlock page;

	retiring = true;
	if (smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM) &&
		RelationGetNumberOfBlocks(rel) > 0 &&
		copy_meta_page(rel, store, page.data))
		next = VecsegPageGetMeta(page.data)->next_value;
	if (GetCurrentTransactionNestLevel() > 1)
		next += ROLLBACK_DISTANCE;
	retire_below(next);
}

/* The transaction is over. */
void
vecseg_space_forget_retired(void)
{
	retiring = false;
	first_unretired = VECSEG_FIRST_VALUE;
}

/*
 * Make sure the file reaches the given block.  Zeros are written, not a hole
 * left, so that the space is really there.
 */
static void
extend_file(Relation rel, BlockNumber end)
{
	PGIOAlignedBlock zero;
	BlockNumber block;

	memset(zero.data, 0, BLCKSZ);
	for (block = RelationGetNumberOfBlocks(rel); block < end; block++)
	{
		CHECK_FOR_INTERRUPTS();
		smgrextend(RelationGetSmgr(rel), MAIN_FORKNUM, block, zero.data, false);
	}
}

/*
 * A new page in an exclusively locked buffer.  The file must reach it, but
 * its content there is not read.
 */
static Buffer
new_page(Relation rel, BlockNumber block)
{
	return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK,
							  NULL);
}

/*
 * The record is flushed before the file grows further: a longer file without a
 * meta page, after a crash, would be a damaged one.
 */
static void
create_meta_page(Relation rel)
{
	Buffer buffer;
	XLogRecPtr lsn;

	extend_file(rel, VECSEG_META_BLOCK + 1);
	buffer = new_page(rel, VECSEG_META_BLOCK);

	START_CRIT_SECTION();
	vecseg_meta_init(BufferGetPage(buffer));
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(rel))
		vecseg_log_init(buffer);
	END_CRIT_SECTION();

	lsn = PageGetLSN(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	if (RelationNeedsWAL(rel))
		XLogFlush(lsn);
}

/*
 * The meta page, pinned and locked.  It is made when missing: the file is
 * empty, or was extended but the record was not written before a crash; not if
 * more follows, which is damage.  Caller holds the extension lock.
 */
static Buffer
lock_meta_page(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	Buffer buffer;

	if (nblocks == 0)
		create_meta_page(rel);
	else if (nblocks == 1)
	{
		bool is_new;

		buffer = ReadBuffer(rel, VECSEG_META_BLOCK);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		is_new = PageIsNew(BufferGetPage(buffer));
		UnlockReleaseBuffer(buffer);
		if (is_new)
			create_meta_page(rel);
	}
	return vecseg_store_read_page(rel, VECSEG_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
								  VECSEG_PAGE_META);
}

static void
error_store_full(Relation rel)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		 errmsg("cannot store more values in segment relation \"%s\"",
				RelationGetRelationName(rel)),
		 errdetail("One table can hold at most 2^32 values and 2^32 blocks."),
		 errhint("Partition the table.")));
}

/*
 * Make empty data pages of what the file already has of a new segment: pages
 * of a segment that was dropped when a crash kept the file from being
 * truncated, or zeros from one that a crash kept from being added.  They
 * might be taken for pages of the new segment.
 */
static void
clear_blocks(Relation rel, BlockNumber from, BlockNumber end)
{
	BlockNumber block;

	for (block = from; block < end; block++)
	{
		Buffer buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = new_page(rel, block);
		START_CRIT_SECTION();
		vecseg_page_init(BufferGetPage(buffer), VECSEG_PAGE_DATA);
		MarkBufferDirty(buffer);
		if (RelationNeedsWAL(rel))
			log_newpage_buffer(buffer, true);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(buffer);
	}
}

/* Describe the next segment; blocks follow a new directory page if any. */
static void
plan_segment(Relation rel, const VecsegMeta *meta, VecsegSegmentKind kind,
			 uint32 slot_size, uint64 class_blocks, xl_vecseg_new_segment *plan)
{
	VecsegSegmentEntry *entry = &plan->entry;
	uint32 data_blocks = vecseg_segment_data_blocks(slot_size, class_blocks);

	memset(plan, 0, sizeof(*plan));
	plan->segment = meta->nsegments;
	plan->new_directory =
		meta->nsegments == meta->ndirectory * VECSEG_ENTRIES_PER_PAGE;
	/* any segment: a subtransaction's new file may have been rolled back */
	entry->first_value = Max(meta->next_value, first_unretired);
	entry->nslots = vecseg_segment_slots(slot_size, data_blocks);
	entry->slot_size = slot_size;
	entry->first_block = meta->next_block + (plan->new_directory ? 1 : 0);
	entry->nblocks = data_blocks + 1;
	entry->kind = kind;

	if (entry->first_value > PG_UINT32_MAX - entry->nslots ||
		entry->first_block > MaxBlockNumber - entry->nblocks ||
		(plan->new_directory && meta->ndirectory == VECSEG_MAX_DIRECTORY_PAGES))
		error_store_full(rel);
}

static void
write_segment(Relation rel, Buffer meta, BlockNumber directory_block,
			  const xl_vecseg_new_segment *plan)
{
	Buffer directory;
	Buffer segment;

	directory = plan->new_directory
					? new_page(rel, directory_block)
					: vecseg_store_read_page(rel, directory_block,
											 BUFFER_LOCK_EXCLUSIVE,
											 VECSEG_PAGE_DIRECTORY);
	segment = new_page(rel, plan->entry.first_block);

	START_CRIT_SECTION();
	if (plan->new_directory)
		vecseg_page_init(BufferGetPage(directory), VECSEG_PAGE_DIRECTORY);
	vecseg_directory_set(BufferGetPage(directory),
						 plan->segment % VECSEG_ENTRIES_PER_PAGE, &plan->entry);
	vecseg_slotmap_init(BufferGetPage(segment), plan->segment,
						plan->entry.nslots);
	vecseg_meta_add_segment(BufferGetPage(meta), directory_block,
							plan->new_directory, &plan->entry);
	MarkBufferDirty(meta);
	MarkBufferDirty(directory);
	MarkBufferDirty(segment);
	if (RelationNeedsWAL(rel))
		vecseg_log_new_segment(meta, directory, segment, plan);
	END_CRIT_SECTION();

	UnlockReleaseBuffer(segment);
	UnlockReleaseBuffer(directory);
}

/*
 * Add a segment with slots of a kind and size, unless others added one, of
 * whatever slots, since the caller looked.  The cached directory is up to date
 * afterwards.
 */
void
vecseg_space_add_segment(Relation rel, VecsegStore *store,
						 VecsegSegmentKind kind, uint32 slot_size)
{
	const VecsegSlotClass *class = vecseg_class_find(store, kind, slot_size);
	uint32 known = store->nsegments;
	xl_vecseg_new_segment plan;
	BlockNumber directory_block;
	BlockNumber end;
	Buffer buffer;
	VecsegMeta *meta;

	LockRelationForExtension(rel, ExclusiveLock);
	buffer = lock_meta_page(rel);
	meta = VecsegPageGetMeta(BufferGetPage(buffer));

	/*
	 * Nothing but the extension lock is needed to keep the meta page as it
	 * is; do not hold its content lock while extending, which may be
	 * cancelled or fail.
	 */
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (meta->nsegments == known)
	{
		plan_segment(rel, meta, kind, slot_size,
					 class == NULL ? 0 : class->data_blocks, &plan);
		directory_block =
			plan.new_directory
				? meta->next_block
				: meta->directory[meta->nsegments / VECSEG_ENTRIES_PER_PAGE];
		end = plan.entry.first_block + plan.entry.nblocks;
		if (RelationNeedsWAL(rel))
			(void) vecseg_log_blocks(rel, plan.entry.first_block, end);
		clear_blocks(rel, plan.entry.first_block + 1,
					 Min(end, RelationGetNumberOfBlocks(rel)));
		extend_file(rel, end);
		/*
		 * What is not logged now may be at commit, but without empty pages
		 * (see log_newpage_range): the last one must not be.
		 */
		if (rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT)
			clear_blocks(rel, end - 1, end);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		write_segment(rel, buffer, directory_block, &plan);
		if (retiring)
			retire_below((uint64) plan.entry.first_value + plan.entry.nslots);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	ReleaseBuffer(buffer);
	UnlockRelationForExtension(rel, ExclusiveLock);

	vecseg_store_refresh(rel, store);
}
