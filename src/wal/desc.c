/*-------------------------------------------------------------------------
 *
 * desc.c
 *	  Prints vecseg's WAL records, for pg_walinspect and error contexts.
 *
 * Output follows the server's convention: "key: value" pairs in the order of
 * the record's fields.  Block references are printed by the caller.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wal/record.h"

void
vecseg_rm_desc(StringInfo buf, XLogReaderState *record)
{
	char *data = XLogRecGetData(record);

	switch (XLogRecGetInfo(record) & XLOG_VECSEG_OPMASK)
	{
		case XLOG_VECSEG_INIT:
		case XLOG_VECSEG_BLOCKS:
			break;
		case XLOG_VECSEG_NEW_SEGMENT:
		{
			xl_vecseg_new_segment *rec = (xl_vecseg_new_segment *) data;

			appendStringInfo(
				buf,
				"first_value: %u, nslots: %u, slot_size: %u, first_block: %u, nblocks: %u, kind: %u, segment: %u, new_directory: %c",
				rec->entry.first_value, rec->entry.nslots, rec->entry.slot_size,
				rec->entry.first_block, rec->entry.nblocks, rec->entry.kind,
				rec->segment, rec->new_directory ? 'T' : 'F');
			break;
		}
		case XLOG_VECSEG_SEGMENT_FLAGS:
		{
			xl_vecseg_segment_flags *rec = (xl_vecseg_segment_flags *) data;

			appendStringInfo(buf, "segment: %u, flags: 0x%02X", rec->segment,
							 rec->flags);
			break;
		}
		case XLOG_VECSEG_FREE:
		{
			xl_vecseg_free *rec = (xl_vecseg_free *) data;

			appendStringInfo(buf, "segment: %u, first_byte: %u, count: %u",
							 rec->segment, rec->first_byte, rec->count);
			break;
		}
		case XLOG_VECSEG_DROP_SEGMENTS:
		{
			xl_vecseg_drop_segments *rec = (xl_vecseg_drop_segments *) data;

			appendStringInfo(buf, "nsegments: %u, next_block: %u",
							 rec->nsegments, rec->next_block);
			break;
		}
		case XLOG_VECSEG_ABANDON:
			appendStringInfo(buf, "database: %u",
							 ((xl_vecseg_abandon *) data)->database);
			break;
		case XLOG_VECSEG_WRITE:
		{
			xl_vecseg_write *rec = (xl_vecseg_write *) data;

			appendStringInfo(
				buf,
				"xid: " UINT64_FORMAT
				", value: %u, slot: %u, slot_size: %u, count: %u, position: %u, value_size: %u, part: %u, flags: 0x%02X",
				U64FromFullTransactionId(rec->xid), rec->value, rec->slot,
				rec->slot_size, rec->count, rec->position, rec->value_size,
				rec->part, rec->flags);
			break;
		}
	}
}

const char *
vecseg_rm_identify(uint8 info)
{
	switch (info & XLOG_VECSEG_OPMASK)
	{
		case XLOG_VECSEG_INIT:
			return "INIT";
		case XLOG_VECSEG_NEW_SEGMENT:
			return "NEW_SEGMENT";
		case XLOG_VECSEG_SEGMENT_FLAGS:
			return "SEGMENT_FLAGS";
		case XLOG_VECSEG_WRITE:
			return "WRITE";
		case XLOG_VECSEG_FREE:
			return "FREE";
		case XLOG_VECSEG_DROP_SEGMENTS:
			return "DROP_SEGMENTS";
		case XLOG_VECSEG_BLOCKS:
			return "BLOCKS";
		case XLOG_VECSEG_ABANDON:
			return "ABANDON";
	}
	return NULL;
}
