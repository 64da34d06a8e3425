/*-------------------------------------------------------------------------
 *
 * redo.c
 *	  Replays vecseg's WAL records.
 *
 * Page images are changed by the same functions of format/page.c that made
 * the change in the first place.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/bufmask.h"
#include "access/xlogutils.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"

#include "compat.h"
#include "recovery/rmgr.h"
#include "wal/record.h"

static bool
block_is_initialised(XLogReaderState *record, uint8 block_id)
{
	return (XLogRecGetBlock(record, block_id)->flags & BKPBLOCK_WILL_INIT) != 0;
}

static void
finish_page(XLogReaderState *record, Buffer buffer)
{
	PageSetLSN(BufferGetPage(buffer), record->EndRecPtr);
	MarkBufferDirty(buffer);
}

static void
redo_init(XLogReaderState *record)
{
	Buffer buffer = XLogInitBufferForRedo(record, 0);

	vecseg_meta_init(BufferGetPage(buffer));
	finish_page(record, buffer);
	UnlockReleaseBuffer(buffer);
}

/*
 * Fill the file with zeros up to a segment's end, as the primary did, so
 * that no block that the directory names is beyond the end of file.
 */
static void
extend_to_segment_end(XLogReaderState *record, const VecsegSegmentEntry *entry)
{
	RelFileLocator locator;
	SMgrRelation smgr;
	BlockNumber end = entry->first_block + entry->nblocks;
	BlockNumber block;
	PGIOAlignedBlock zero;

	XLogRecGetBlockTag(record, 2, &locator, NULL, NULL);
	smgr = smgropen(locator, INVALID_PROC_NUMBER);
	memset(zero.data, 0, BLCKSZ);
	for (block = smgrnblocks(smgr, MAIN_FORKNUM); block < end; block++)
		smgrextend(smgr, MAIN_FORKNUM, block, zero.data, false);
}

static void
redo_new_segment(XLogReaderState *record)
{
	xl_vecseg_new_segment *rec =
		(xl_vecseg_new_segment *) XLogRecGetData(record);
	BlockNumber directory_block;
	Buffer segment;
	Buffer directory = InvalidBuffer;
	Buffer meta;

	XLogRecGetBlockTag(record, 1, NULL, NULL, &directory_block);

	segment = XLogInitBufferForRedo(record, 2);
	vecseg_slotmap_init(BufferGetPage(segment), rec->segment,
						rec->entry.nslots);
	finish_page(record, segment);
	UnlockReleaseBuffer(segment);
	extend_to_segment_end(record, &rec->entry);

	/* The entry must be there before the meta page counts it. */
	if (rec->new_directory)
	{
		directory = XLogInitBufferForRedo(record, 1);
		vecseg_page_init(BufferGetPage(directory), VECSEG_PAGE_DIRECTORY);
	}
	if (rec->new_directory ||
		XLogReadBufferForRedo(record, 1, &directory) == BLK_NEEDS_REDO)
	{
		vecseg_directory_set(BufferGetPage(directory),
							 rec->segment % VECSEG_ENTRIES_PER_PAGE,
							 &rec->entry);
		finish_page(record, directory);
	}
	if (BufferIsValid(directory))
		UnlockReleaseBuffer(directory);

	if (XLogReadBufferForRedo(record, 0, &meta) == BLK_NEEDS_REDO)
	{
		vecseg_meta_add_segment(BufferGetPage(meta), directory_block,
								rec->new_directory, &rec->entry);
		finish_page(record, meta);
	}
	if (BufferIsValid(meta))
		UnlockReleaseBuffer(meta);
}

static void
redo_segment_flags(XLogReaderState *record)
{
	xl_vecseg_segment_flags *rec =
		(xl_vecseg_segment_flags *) XLogRecGetData(record);
	Buffer buffer;

	if (XLogReadBufferForRedo(record, 0, &buffer) == BLK_NEEDS_REDO)
	{
		vecseg_directory_set_flags(BufferGetPage(buffer),
								   rec->segment % VECSEG_ENTRIES_PER_PAGE,
								   rec->flags);
		finish_page(record, buffer);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

static void
redo_write_page(XLogReaderState *record, uint8 block_id)
{
	XLogRedoAction action;
	Buffer buffer;

	if (block_is_initialised(record, block_id))
	{
		buffer = XLogInitBufferForRedo(record, block_id);
		vecseg_page_init(BufferGetPage(buffer), VECSEG_PAGE_DATA);
		action = BLK_NEEDS_REDO;
	}
	else
		action = XLogReadBufferForRedo(record, block_id, &buffer);

	if (action == BLK_NEEDS_REDO)
	{
		Size length;
		char *data = XLogRecGetBlockData(record, block_id, &length);
		uint16 offset;

		memcpy(&offset, data, sizeof(uint16));
		vecseg_data_write(BufferGetPage(buffer), offset, data + sizeof(uint16),
						  length - sizeof(uint16));
		finish_page(record, buffer);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

static void
redo_write(XLogReaderState *record)
{
	xl_vecseg_write *rec = (xl_vecseg_write *) XLogRecGetData(record);
	int block_id = VecsegWriteFirstDataBlock(rec);

	if (rec->count > 0)
	{
		Buffer buffer;

		if (XLogReadBufferForRedo(record, 0, &buffer) == BLK_NEEDS_REDO)
		{
			vecseg_slotmap_allocate(BufferGetPage(buffer), rec->slot,
									rec->count, rec->xid);
			finish_page(record, buffer);
		}
		if (BufferIsValid(buffer))
			UnlockReleaseBuffer(buffer);
	}
	for (; block_id <= XLogRecMaxBlockId(record); block_id++)
		redo_write_page(record, block_id);
}

static void
redo_free(XLogReaderState *record)
{
	xl_vecseg_free *rec = (xl_vecseg_free *) XLogRecGetData(record);
	Buffer buffer;

	if (XLogReadBufferForRedo(record, 0, &buffer) == BLK_NEEDS_REDO)
	{
		Size length;
		char *freed = XLogRecGetBlockData(record, 0, &length);

		vecseg_slotmap_free(BufferGetPage(buffer), rec->first_byte,
							(uint8 *) freed, length);
		finish_page(record, buffer);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

static void
redo_drop_segments(XLogReaderState *record)
{
	xl_vecseg_drop_segments *rec =
		(xl_vecseg_drop_segments *) XLogRecGetData(record);
	Buffer buffer;

	if (XLogReadBufferForRedo(record, 0, &buffer) == BLK_NEEDS_REDO)
	{
		vecseg_meta_drop_segments(BufferGetPage(buffer), rec->nsegments,
								  rec->next_block);
		finish_page(record, buffer);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

/*
 * The blocks are merely named: there is nothing to do, except that
 * wal_consistency_checking expects to see what the record promised.
 */
static void
redo_blocks(XLogReaderState *record)
{
	int block_id;

	if ((XLogRecGetInfo(record) & XLR_CHECK_CONSISTENCY) == 0)
		return;
	for (block_id = 0; block_id <= XLogRecMaxBlockId(record); block_id++)
	{
		Buffer buffer = XLogInitBufferForRedo(record, block_id);

		vecseg_page_init(BufferGetPage(buffer), VECSEG_PAGE_DATA);
		finish_page(record, buffer);
		UnlockReleaseBuffer(buffer);
	}
}

/* Replay one record. */
void
vecseg_rm_redo(XLogReaderState *record)
{
	uint8 info = XLogRecGetInfo(record) & XLOG_VECSEG_OPMASK;

	switch (info)
	{
		case XLOG_VECSEG_INIT:
			redo_init(record);
			break;
		case XLOG_VECSEG_NEW_SEGMENT:
			redo_new_segment(record);
			break;
		case XLOG_VECSEG_SEGMENT_FLAGS:
			redo_segment_flags(record);
			break;
		case XLOG_VECSEG_WRITE:
			redo_write(record);
			break;
		case XLOG_VECSEG_FREE:
			redo_free(record);
			break;
		case XLOG_VECSEG_DROP_SEGMENTS:
			redo_drop_segments(record);
			break;
		case XLOG_VECSEG_BLOCKS:
			redo_blocks(record);
			break;
		case XLOG_VECSEG_ABANDON:
			break;
		default:
			elog(PANIC, "vecseg_rm_redo: unknown op code %u", info);
	}
}

/* Hide from wal_consistency_checking what may differ after replay. */
void
vecseg_rm_mask(char *page, BlockNumber block)
{
	mask_page_lsn_and_checksum(page);
	mask_unused_space(page);
}
