/*-------------------------------------------------------------------------
 *
 * record.h
 *	  WAL records of vecseg: formats, and functions that write and print them.
 *
 * Every change carries block references, so that pg_rewind and other readers
 * of WAL see which blocks changed.  Records are written inside a critical
 * section by the function that changed the pages; all buffers named are
 * exclusively locked.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_RECORD_H
#define VECSEG_RECORD_H

#include "access/xlogreader.h"
#include "lib/stringinfo.h"
#include "storage/buf.h"
#include "utils/rel.h"

#include "format/page.h"

/* Opcodes: the high four bits of xl_info are the resource manager's */
#define XLOG_VECSEG_INIT 0x00
#define XLOG_VECSEG_NEW_SEGMENT 0x10
#define XLOG_VECSEG_SEGMENT_FLAGS 0x20
#define XLOG_VECSEG_WRITE 0x30
#define XLOG_VECSEG_FREE 0x40
#define XLOG_VECSEG_DROP_SEGMENTS 0x50
#define XLOG_VECSEG_BLOCKS 0x60
#define XLOG_VECSEG_ABANDON 0x70
#define XLOG_VECSEG_OPMASK 0xF0

/*
 * XLOG_VECSEG_INIT: the meta page of an empty store.
 *
 * Backup block 0: meta page (initialised by redo; no payload)
 */

/*
 * XLOG_VECSEG_NEW_SEGMENT: a segment enters the directory, all slots free.
 * Redo also extends the file to the segment's end.
 *
 * Backup block 0: meta page (no payload)
 * Backup block 1: directory page (no payload; initialised by redo when
 *				   new_directory)
 * Backup block 2: segment page (no payload; initialised by redo)
 */
typedef struct xl_vecseg_new_segment
{
	VecsegSegmentEntry entry;
	uint32 segment; /* its number */
	bool new_directory;
} xl_vecseg_new_segment;

#define SizeOfVecsegNewSegment \
	(offsetof(xl_vecseg_new_segment, new_directory) + sizeof(bool))

/*
 * XLOG_VECSEG_SEGMENT_FLAGS: a segment was found full, or has room again.
 *
 * Backup block 0: directory page (no payload)
 */
typedef struct xl_vecseg_segment_flags
{
	uint32 segment;
	uint8 flags;
} xl_vecseg_segment_flags;

#define SizeOfVecsegSegmentFlags \
	(offsetof(xl_vecseg_segment_flags, flags) + sizeof(uint8))

/*
 * XLOG_VECSEG_WRITE: slots are allocated and filled.
 *
 * `count` consecutive slots, `slot_size` bytes apart, each holding the whole
 * varlena image of one value.  A value too large for one record is
 * continued: the first record allocates its slot and has position 0, the
 * following ones have count 0 and say where in the value their bytes belong.
 * The payloads of the data blocks, joined in order, are the bytes from
 * `position` of the first slot on.
 *
 * Backup block 0: segment page (no payload; only when count > 0)
 * The other backup blocks: data pages (initialised by redo when new).
 *		Payload: uint16 offset in the page, then the bytes.  It is kept beside
 *		a full-page image when the relation is logically logged.
 */
typedef struct xl_vecseg_write
{
	FullTransactionId xid; /* top-level transaction */
	uint32 value;		   /* id of the first value */
	uint32 slot;		   /* its slot in the segment */
	uint32 slot_size;
	uint32 count;	   /* slots allocated by this record */
	uint32 position;   /* in the value, of the first byte here */
	uint32 value_size; /* of each value (whole image); values of one
								 * record are of one size */
	uint32 part;	   /* which of the value's records, from 0 on */
	uint8 flags;	   /* VECSEG_WRITE_* */
} xl_vecseg_write;

#define SizeOfVecsegWrite (offsetof(xl_vecseg_write, flags) + sizeof(uint8))

#define VECSEG_WRITE_NO_LOGICAL \
	0x01 /* not for logical decoding: a
											 * rewrite of existing rows */

/*
 * The first data block of a write record.  Block 0 exists always, and tells
 * which relation it is about (see change_useless_for_repack() of PostgreSQL 19).
 */
#define VecsegWriteFirstDataBlock(record) ((record)->count > 0 ? 1 : 0)

/*
 * Data pages in one record: the limit for block references is
 * XLR_MAX_BLOCK_ID + 1; one is the segment page.
 */
#define VECSEG_WRITE_MAX_PAGES 28

/*
 * XLOG_VECSEG_FREE: slots are free again: no row refers to them any more.
 *
 * No recovery conflict is needed on a standby: the row versions that referred
 * to the slots were removed before, by records that had theirs.
 *
 * Backup block 0: segment page.  Payload: bytes of a map with the bits of the
 *		freed slots set, for bytes of the slot map from first_byte on.
 */
typedef struct xl_vecseg_free
{
	uint32 segment;
	uint32 first_byte;
	uint32 count; /* slots */
} xl_vecseg_free;

#define SizeOfVecsegFree (offsetof(xl_vecseg_free, count) + sizeof(uint32))

/*
 * XLOG_VECSEG_DROP_SEGMENTS: the last segments, all free, are gone.  A
 * truncation of the file follows.
 *
 * Backup block 0: meta page (no payload)
 */
typedef struct xl_vecseg_drop_segments
{
	uint32 nsegments; /* that are left */
	BlockNumber next_block;
} xl_vecseg_drop_segments;

#define SizeOfVecsegDropSegments \
	(offsetof(xl_vecseg_drop_segments, next_block) + sizeof(BlockNumber))

/*
 * XLOG_VECSEG_ABANDON: an update that wrote values found its row changed or
 * gone; no row will refer to them.  For logical decoding, which would keep
 * them for the transaction's next row; nothing to redo, no blocks.
 */
typedef struct xl_vecseg_abandon
{
	Oid database;
} xl_vecseg_abandon;

#define SizeOfVecsegAbandon \
	(offsetof(xl_vecseg_abandon, database) + sizeof(Oid))

/*
 * XLOG_VECSEG_BLOCKS: names blocks that are about to be cut off the file, or
 * added to it as zeros.
 *
 * Replay does nothing with them; other records truncate the file, or extend it.
 * But who copies only what records refer to takes a file that is as long as
 * before, or longer, to have changed in these blocks only: pg_rewind, which
 * passes over truncations, and incremental backups, which restore from the
 * backup before what no record named since then.  A file that was truncated and
 * grew again would have old blocks where it has zeros.
 *
 * Backup block 0...: the blocks (marked as initialised by redo, so that replay
 *		does not prefetch them; no payload)
 */
#define VECSEG_MAX_NAMED_BLOCKS (XLR_MAX_BLOCK_ID + 1)

/* A range of bytes of a data page that was written */
typedef struct VecsegPageRange
{
	Buffer buffer;
	uint16 offset;
	uint16 length;
	bool init; /* the page was new */
} VecsegPageRange;

/* emit.c */
extern void vecseg_log_init(Buffer meta);
extern void vecseg_log_new_segment(Buffer meta, Buffer directory,
								   Buffer segment,
								   const xl_vecseg_new_segment *record);
extern void vecseg_log_segment_flags(Buffer directory,
									 const xl_vecseg_segment_flags *record);
extern void vecseg_log_free(Buffer segment, const xl_vecseg_free *record,
							const uint8 *freed, uint32 nbytes);
extern void vecseg_log_drop_segments(Buffer meta,
									 const xl_vecseg_drop_segments *record);
extern void vecseg_log_abandon(void);
extern XLogRecPtr vecseg_log_blocks(Relation rel, BlockNumber from,
									BlockNumber end);
extern void vecseg_log_write_prepare(int nranges);
extern void vecseg_log_write(Relation rel, Buffer segment,
							 const xl_vecseg_write *record,
							 VecsegPageRange *ranges, int nranges);

/* desc.c */
extern void vecseg_rm_desc(StringInfo buf, XLogReaderState *record);
extern const char *vecseg_rm_identify(uint8 info);

#endif /* VECSEG_RECORD_H */
