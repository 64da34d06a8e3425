/*-------------------------------------------------------------------------
 *
 * read.h
 *	  Pieces of the read path that single and batched reading share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_READ_H
#define VECSEG_READ_H

#include "storage/buf.h"

#include "segment/store.h"

extern bool vecseg_read_is_buffered(Relation rel, BlockNumber block);
extern Buffer vecseg_read_recent(Relation rel, BlockNumber block);
extern void vecseg_read_recent_many(Relation rel, const BlockNumber *blocks,
									int n, Buffer *buffers);
extern Buffer vecseg_read_pin_recent(Relation rel, BlockNumber block,
									 Buffer recent);
extern Buffer vecseg_read_pin(Relation rel, BlockNumber block);
extern void vecseg_read_pinned(Relation rel, Buffer buffer, BlockNumber block,
							   uint32 offset, uint32 length, char *result);
extern void vecseg_read_buffered(Relation rel, BlockNumber block, uint32 offset,
								 uint32 length, char *result);
extern bool vecseg_read_checksum_ok(const char *page, BlockNumber block);
extern bool vecseg_read_page_ok(const char *page, BlockNumber block);
extern bool vecseg_read_piece(Relation rel, VecsegStore *store,
							  BlockNumber block, uint32 offset, uint32 length,
							  char *result);
extern uint64 vecseg_read_position(Relation rel,
								   const VecsegSegmentEntry *entry,
								   uint32 value, uint32 size);
pg_noreturn extern void vecseg_read_damaged(Relation rel, uint32 value,
											uint32 expected, uint32 found);

#endif /* VECSEG_READ_H */
