/*-------------------------------------------------------------------------
 *
 * stop.c
 *	  Places where a test can hold a backend.
 *
 * Some races happen between two steps of a backend that nothing else
 * separates.  A backend whose setting vecseg.stop_at names a place takes an
 * advisory lock there, in share mode, and gives it back; so it waits if
 * another session holds that lock, the one of
 *
 *		SELECT pg_advisory_lock(151, number)
 *
 * number being 0, or the block or part at places that are passed once for each.
 * The wait can be cancelled.  No LWLock is held at such a place.
 *
 *		part		the next record of a large value is not written yet
 *		row			the values of rows are stored, the rows are not
 *		scan		VACUUM has looked through a block of the table
 *		free		VACUUM has looked through all, and freed nothing yet
 *		truncate	VACUUM has freed slots, and not looked for free segments
 *		file		free segments are dropped, the file is not truncated yet
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "stop.h"
#include "vecseg.h"

void
vecseg_stop_if_named(const char *place, uint32 number)
{
	LOCKTAG tag;

	if (strcmp(place, vecseg_stop_at) != 0)
		return;
	/* as of pg_advisory_lock() with two keys */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, VECSEG_RMGR_ID, number, 2);
	(void) LockAcquire(&tag, ShareLock, false, false);
	(void) LockRelease(&tag, ShareLock, false);
}
