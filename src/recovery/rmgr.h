/*-------------------------------------------------------------------------
 *
 * rmgr.h
 *	  The WAL resource manager.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_RMGR_H
#define VECSEG_RMGR_H

#include "access/xlogreader.h"

struct LogicalDecodingContext;
struct XLogRecordBuffer;

/* rmgr.c */
extern void vecseg_rmgr_register(void);

/* redo.c */
extern void vecseg_rm_redo(XLogReaderState *record);
extern void vecseg_rm_mask(char *page, BlockNumber block);

/* decode.c */
extern void vecseg_rm_decode(struct LogicalDecodingContext *ctx,
							 struct XLogRecordBuffer *buf);

#endif /* VECSEG_RMGR_H */
