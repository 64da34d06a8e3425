/*-------------------------------------------------------------------------
 *
 * vecseg.c
 *	  Library entry point: registers settings and the WAL resource manager.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "guc.h"
#include "recovery/rmgr.h"
#include "scan/scan.h"
#include "stats.h"
#include "vecseg.h"

PG_MODULE_MAGIC;

bool vecseg_preloaded = false;

void _PG_init(void);

/*
 * Called once per process that loads the library.  A resource manager can
 * only be registered while shared_preload_libraries is being processed; in
 * any other process the functions work but tables cannot be written (see
 * vecseg_require_preload).
 */
void
_PG_init(void)
{
	vecseg_define_settings();
	vecseg_planner_init();

	if (process_shared_preload_libraries_in_progress)
	{
		vecseg_rmgr_register();
		vecseg_stats_init();
		vecseg_preloaded = true;
	}
}

/*
 * Raise an error unless the resource manager is there: a record written
 * without it could not be replayed after a crash.
 */
void
vecseg_require_preload(void)
{
	if (!vecseg_preloaded)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("access method \"%s\" must be loaded at server start",
					VECSEG_AM_NAME),
			 errdetail(
				 "Its tables are recovered after a crash by a WAL resource manager that only a preloaded library can register."),
			 errhint(
				 "Set shared_preload_libraries = 'vecseg' in postgresql.conf (keep any library already named there) and restart the server.")));
}
