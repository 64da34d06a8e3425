/*-------------------------------------------------------------------------
 *
 * emit.c
 *	  Writes vecseg's WAL records.
 *
 * Each function runs in the caller's critical section, after the pages were
 * changed and marked dirty, and sets their LSN; except where its comment says
 * otherwise.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/catalog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "compat.h"
#include "vecseg.h"
#include "wal/record.h"

/* Insert the registered record and stamp the pages that it names. */
static void
insert_record(uint8 info, Buffer *buffers, int nbuffers)
{
	XLogRecPtr lsn;
	int i;

	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	lsn = XLogInsert(VECSEG_RMGR_ID, info);
	for (i = 0; i < nbuffers; i++)
		PageSetLSN(BufferGetPage(buffers[i]), lsn);
}

/* Log the creation of the meta page. */
void
vecseg_log_init(Buffer meta)
{
	XLogBeginInsert();
	XLogRegisterBuffer(0, meta, REGBUF_WILL_INIT | REGBUF_STANDARD);
	insert_record(XLOG_VECSEG_INIT, &meta, 1);
}

/* Log the creation of a segment. */
void
vecseg_log_new_segment(Buffer meta, Buffer directory, Buffer segment,
					   const xl_vecseg_new_segment *record)
{
	Buffer buffers[3] = { meta, directory, segment };

	XLogBeginInsert();
	XLogRegisterData((char *) record, SizeOfVecsegNewSegment);
	XLogRegisterBuffer(0, meta, REGBUF_STANDARD);
	XLogRegisterBuffer(1, directory,
					   REGBUF_STANDARD |
						   (record->new_directory ? REGBUF_WILL_INIT : 0));
	XLogRegisterBuffer(2, segment, REGBUF_WILL_INIT | REGBUF_STANDARD);
	insert_record(XLOG_VECSEG_NEW_SEGMENT, buffers, 3);
}

/* Log a change of a segment's flags in the directory. */
void
vecseg_log_segment_flags(Buffer directory,
						 const xl_vecseg_segment_flags *record)
{
	XLogBeginInsert();
	XLogRegisterData((char *) record, SizeOfVecsegSegmentFlags);
	XLogRegisterBuffer(0, directory, REGBUF_STANDARD);
	insert_record(XLOG_VECSEG_SEGMENT_FLAGS, &directory, 1);
}

/* Log that slots were freed; freed[] are nbytes bytes of a map. */
void
vecseg_log_free(Buffer segment, const xl_vecseg_free *record,
				const uint8 *freed, uint32 nbytes)
{
	XLogBeginInsert();
	XLogRegisterData((char *) record, SizeOfVecsegFree);
	XLogRegisterBuffer(0, segment, REGBUF_STANDARD);
	XLogRegisterBufData(0, (char *) freed, nbytes);
	insert_record(XLOG_VECSEG_FREE, &segment, 1);
}

/* Log that the last segments are gone. */
void
vecseg_log_drop_segments(Buffer meta, const xl_vecseg_drop_segments *record)
{
	XLogBeginInsert();
	XLogRegisterData((char *) record, SizeOfVecsegDropSegments);
	XLogRegisterBuffer(0, meta, REGBUF_STANDARD);
	insert_record(XLOG_VECSEG_DROP_SEGMENTS, &meta, 1);
}

/*
 * Log that no row will refer to the values that this transaction wrote last.
 * (Without a critical section: no page changes.)
 */
void
vecseg_log_abandon(void)
{
	xl_vecseg_abandon record = { MyDatabaseId };

	XLogBeginInsert();
	XLogRegisterData((char *) &record, SizeOfVecsegAbandon);
	insert_record(XLOG_VECSEG_ABANDON, NULL, 0);
}

/*
 * Name the blocks [from, end), which are about to be added to the file or cut
 * off.  Not in a critical section.  Returns the end of the last record.
 */
XLogRecPtr
vecseg_log_blocks(Relation rel, BlockNumber from, BlockNumber end)
{
	PGAlignedBlock empty;
	XLogRecPtr lsn = InvalidXLogRecPtr;

	vecseg_page_init(empty.data, VECSEG_PAGE_DATA);
	XLogEnsureRecordSpace(VECSEG_MAX_NAMED_BLOCKS - 1, 0);
	while (from < end)
	{
		int i;

		CHECK_FOR_INTERRUPTS();
		XLogBeginInsert();
		for (i = 0; i < VECSEG_MAX_NAMED_BLOCKS && from < end; i++)
			XLogRegisterBlock(i, &rel->rd_locator, MAIN_FORKNUM, from++,
							  empty.data, REGBUF_WILL_INIT | REGBUF_STANDARD);
		lsn = XLogInsert(VECSEG_RMGR_ID, XLOG_VECSEG_BLOCKS);
	}
	return lsn;
}

/*
 * Make room for a write record over so many pages.  To be called before the
 * critical section, as it allocates memory.
 */
void
vecseg_log_write_prepare(int nranges)
{
	XLogEnsureRecordSpace(nranges + 1, 2 * nranges + 4);
}

/*
 * Log the bytes written to slots.  segment is the segment page when slots
 * were allocated, else InvalidBuffer.
 */
void
vecseg_log_write(Relation rel, Buffer segment, const xl_vecseg_write *record,
				 VecsegPageRange *ranges, int nranges)
{
	Buffer buffers[VECSEG_WRITE_MAX_PAGES + 1];
	int nbuffers = 0;
	uint8 keep = RelationIsLogicallyLogged(rel) ? REGBUF_KEEP_DATA : 0;
	uint8 block_id = VecsegWriteFirstDataBlock(record);
	int i;

	Assert(BufferIsValid(segment) == (record->count > 0));

	XLogBeginInsert();
	XLogRegisterData((char *) record, SizeOfVecsegWrite);
	if (BufferIsValid(segment))
	{
		XLogRegisterBuffer(0, segment, REGBUF_STANDARD);
		buffers[nbuffers++] = segment;
	}
	for (i = 0; i < nranges; i++, block_id++)
	{
		VecsegPageRange *range = &ranges[i];

		XLogRegisterBuffer(block_id, range->buffer,
						   REGBUF_STANDARD | keep |
							   (range->init ? REGBUF_WILL_INIT : 0));
		XLogRegisterBufData(block_id, (char *) &range->offset, sizeof(uint16));
		XLogRegisterBufData(
			block_id, (char *) BufferGetPage(range->buffer) + range->offset,
			range->length);
		buffers[nbuffers++] = range->buffer;
	}
	insert_record(XLOG_VECSEG_WRITE, buffers, nbuffers);
}
