/*-------------------------------------------------------------------------
 *
 * decode.c
 *	  Logical decoding of values.
 *
 * heapam's records carry rows with TOAST pointers; the server's own decoding
 * handles them.  What it needs besides is each value, as inserts of TOAST
 * chunks that come before the row.  A write record becomes just that: one
 * chunk for each value, or for each part of a value that was written in
 * several records.
 *
 * An update has to store its row's values before it can know whether the row
 * is still there to be updated.  If it is not, a record says that no row is
 * to be expected for them.
 *
 * A chunk is a tuple (chunk_id oid, chunk_seq int4, chunk_data bytea).  It is
 * put together by hand, as catalogs cannot be read here.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlogreader.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/reorderbuffer.h"
#include "replication/snapbuild.h"

#include "compat.h"
#include "recovery/rmgr.h"
#include "wal/record.h"

/* A chunk's columns before chunk_data */
typedef struct ChunkHead
{
	Oid chunk_id;
	int32 chunk_seq;
} ChunkHead;

#define CHUNK_ATTRIBUTES 3
#define CHUNK_HOFF MAXALIGN(SizeofHeapTupleHeader)

/*
 * Copy bytes [from, from + length) of those that the record wrote; its
 * blocks' payloads, joined, are the whole.
 */
static void
copy_record_bytes(XLogReaderState *record, Size from, Size length, char *to)
{
	int block_id =
		VecsegWriteFirstDataBlock((xl_vecseg_write *) XLogRecGetData(record));

	for (; length > 0 && block_id <= XLogRecMaxBlockId(record); block_id++)
	{
		Size size;
		char *data = XLogRecGetBlockData(record, block_id, &size);
		Size piece;

		if (data == NULL)
			elog(ERROR, "vecseg WAL record at %X/%X lacks the data of a block",
				 LSN_FORMAT_ARGS(record->ReadRecPtr));
		data += sizeof(uint16);
		size -= sizeof(uint16);
		if (from >= size)
		{
			from -= size;
			continue;
		}
		piece = Min(length, size - from);
		memcpy(to, data + from, piece);
		to += piece;
		length -= piece;
		from = 0;
	}
	if (length > 0)
		elog(ERROR, "vecseg WAL record at %X/%X is too short",
			 LSN_FORMAT_ARGS(record->ReadRecPtr));
}

/* Bytes of slots in the payload of a data block */
static Size
block_length(XLogReaderState *record, uint8 block_id)
{
	Size size = 0;

	(void) XLogRecGetBlockData(record, block_id, &size);
	return size < sizeof(uint16) ? 0 : size - sizeof(uint16);
}

/*
 * Queue one chunk: bytes [from, from + length) of the record are chunk
 * number seq of a value, without the value's varlena header.
 */
static void
queue_chunk(LogicalDecodingContext *ctx, XLogRecordBuffer *buf,
			const RelFileLocator *locator, uint32 value, int32 seq, Size from,
			Size length)
{
	XLogReaderState *record = buf->record;
	ReorderBufferChange *change = ReorderBufferAllocChange(ctx->reorder);
	ChunkHead head = { value, seq };
	Size data_length = sizeof(head) + VARHDRSZ + length;
	HeapTuple tuple;
	HeapTupleHeader header;
	char *data;

	change->action = REORDER_BUFFER_CHANGE_INSERT;
	change->origin_id = XLogRecGetOrigin(record);
	change->data.tp.rlocator = *locator;
	change->data.tp.clear_toast_afterwards = false;
	change->data.tp.newtuple =
		ReorderBufferAllocTupleBuf(ctx->reorder, CHUNK_HOFF + data_length);

	tuple = VECSEG_TUPLE_OF_BUF(change->data.tp.newtuple);
	tuple->t_len = CHUNK_HOFF + data_length;
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = InvalidOid;
	header = tuple->t_data;
	memset(header, 0, CHUNK_HOFF);
	HeapTupleHeaderSetNatts(header, CHUNK_ATTRIBUTES);
	header->t_infomask = HEAP_HASVARWIDTH;
	header->t_hoff = CHUNK_HOFF;

	data = (char *) header + CHUNK_HOFF;
	memcpy(data, &head, sizeof(head));
	data += sizeof(head);
	SET_VARSIZE(data, VARHDRSZ + length);
	copy_record_bytes(record, from, length, VARDATA(data));

	ReorderBufferQueueChange(ctx->reorder, XLogRecGetXid(record), buf->origptr,
							 change, true);
}

/* The guards of heap_decode()'s functions */
static bool
is_wanted(LogicalDecodingContext *ctx, XLogRecordBuffer *buf, Oid database)
{
	return database == ctx->slot->data.database &&
		   (ctx->callbacks.filter_by_origin_cb == NULL ||
			!filter_by_origin_cb_wrapper(ctx, XLogRecGetOrigin(buf->record)));
}

static void
decode_write(LogicalDecodingContext *ctx, XLogRecordBuffer *buf)
{
	XLogReaderState *record = buf->record;
	xl_vecseg_write *rec = (xl_vecseg_write *) XLogRecGetData(record);
	RelFileLocator locator;
	uint32 values = Max(rec->count, 1);
	uint32 skip = rec->position == 0 ? VARHDRSZ : 0;
	Size length = 0;
	uint32 i;
	int block_id = VecsegWriteFirstDataBlock(rec);

	if ((rec->flags & VECSEG_WRITE_NO_LOGICAL) != 0)
		return;
	XLogRecGetBlockTag(record, 0, &locator, NULL, NULL);
	if (!is_wanted(ctx, buf, locator.dbOid) || VECSEG_USELESS_FOR_REPACK(buf))
		return;

	for (; block_id <= XLogRecMaxBlockId(record); block_id++)
		length += block_length(record, block_id);
	length = Min(length, rec->value_size - rec->position);
	for (i = 0; i < values; i++)
		queue_chunk(ctx, buf, &locator, rec->value + i, rec->part,
					(Size) i * rec->slot_size + skip, length - skip);
}

static void
queue_mark(LogicalDecodingContext *ctx, XLogRecordBuffer *buf,
		   enum ReorderBufferChangeType action)
{
	ReorderBufferChange *change = ReorderBufferAllocChange(ctx->reorder);

	change->action = action;
	change->origin_id = XLogRecGetOrigin(buf->record);
	change->data.tp.clear_toast_afterwards = true;
	ReorderBufferQueueChange(ctx->reorder, XLogRecGetXid(buf->record),
							 buf->origptr, change, false);
}

/*
 * Have the reorder buffer drop the chunks that no row came for.  It keeps
 * them until the next row of the transaction otherwise, be that a row of
 * another table, where they would be taken for values of the same ids, or a
 * deletion, for which it expects none.  It does so at the end of a
 * speculative insertion that failed; there need not be a row in one.
 */
static void
decode_abandon(LogicalDecodingContext *ctx, XLogRecordBuffer *buf)
{
	xl_vecseg_abandon *rec = (xl_vecseg_abandon *) XLogRecGetData(buf->record);

	if (!is_wanted(ctx, buf, rec->database))
		return;
	queue_mark(ctx, buf, REORDER_BUFFER_CHANGE_INTERNAL_SPEC_INSERT);
	queue_mark(ctx, buf, REORDER_BUFFER_CHANGE_INTERNAL_SPEC_ABORT);
}

/* Decode one record; the guards are those of heap_decode(). */
void
vecseg_rm_decode(struct LogicalDecodingContext *ctx,
				 struct XLogRecordBuffer *buf)
{
	uint8 info = XLogRecGetInfo(buf->record) & XLOG_VECSEG_OPMASK;
	TransactionId xid = XLogRecGetXid(buf->record);

	ReorderBufferProcessXid(ctx->reorder, xid, buf->origptr);
	if (SnapBuildCurrentState(ctx->snapshot_builder) < SNAPBUILD_FULL_SNAPSHOT)
		return;
	if ((info != XLOG_VECSEG_WRITE && info != XLOG_VECSEG_ABANDON) ||
		!SnapBuildProcessChange(ctx->snapshot_builder, xid, buf->origptr) ||
		ctx->fast_forward)
		return;
	if (info == XLOG_VECSEG_WRITE)
		decode_write(ctx, buf);
	else
		decode_abandon(ctx, buf);
}
