/*-------------------------------------------------------------------------
 *
 * rmgr.c
 *	  Registers the WAL resource manager.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog_internal.h"

#include "recovery/rmgr.h"
#include "vecseg.h"
#include "wal/record.h"

static RmgrData vecseg_rmgr = { .rm_name = VECSEG_RMGR_NAME,
								.rm_redo = vecseg_rm_redo,
								.rm_desc = vecseg_rm_desc,
								.rm_identify = vecseg_rm_identify,
								.rm_mask = vecseg_rm_mask,
								.rm_decode = vecseg_rm_decode };

/* To be called while shared_preload_libraries is being processed. */
void
vecseg_rmgr_register(void)
{
	RegisterCustomRmgr(VECSEG_RMGR_ID, &vecseg_rmgr);
}
