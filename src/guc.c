/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Settings (vecseg.*).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "guc.h"

int vecseg_io_method = VECSEG_IO_AUTO;
int vecseg_io_depth = 128;
int vecseg_read_ahead = 8 * 1024;
int vecseg_direct_io = VECSEG_DIRECT_AUTO;
bool vecseg_enable_custom_scan = true;
char *vecseg_stop_at = NULL;

static const struct config_enum_entry method_options[] = {
	{ "auto", VECSEG_IO_AUTO, false },
	{ "io_uring", VECSEG_IO_URING, false },
	{ "sync", VECSEG_IO_SYNC, false },
	{ NULL, 0, false }
};

static const struct config_enum_entry direct_io_options[] = {
	{ "auto", VECSEG_DIRECT_AUTO, false },
	{ "on", VECSEG_DIRECT_ON, false },
	{ "off", VECSEG_DIRECT_OFF, false },
	{ NULL, 0, false }
};

void
vecseg_define_settings(void)
{
	/*
	 * auto and io_uring both use io_uring and fall back to sync where the
	 * kernel refuses it; sync reads one request at a time, with kernel
	 * prefetch.  All give the same rows.
	 */
	DefineCustomEnumVariable(
		"vecseg.io_method",
		"Selects how vectors that are not in memory are read.",
		"auto uses io_uring, or sync where the kernel does not allow it.",
		&vecseg_io_method, VECSEG_IO_AUTO, method_options, PGC_USERSET, 0, NULL,
		NULL, NULL);

	/*
	 * Range 1 to 1024 requests, default 64: local NVMe and cloud disks reach
	 * their rate at 32 to 128.  A larger depth costs memory (one buffer per
	 * request) and makes other users of the disk wait longer.
	 */
	DefineCustomIntVariable(
		"vecseg.io_depth",
		"Sets the number of reads one reader keeps in flight.",
		"They ask for 8 MB together at most. More makes other users of the disk wait.",
		&vecseg_io_depth, 128, 1, 1024, PGC_USERSET, 0, NULL, NULL, NULL);

	/*
	 * Range 256 kB to 1 GB, default 8 MB: some 2600 vectors of 768 dimensions,
	 * enough to keep 64 reads in flight while earlier ones are consumed and to
	 * merge neighbours.  A larger one finds more neighbours among random ids;
	 * a smaller one keeps the first row and a LIMIT quick and the backend
	 * small.  A reader holds at least the value it is returning.
	 */
	DefineCustomIntVariable(
		"vecseg.read_ahead",
		"Sets the memory that one reader may use for vectors read ahead.",
		"More finds more neighbours to read together, less keeps the first rows quick.",
		&vecseg_read_ahead, 8 * 1024, 256, 1024 * 1024, PGC_USERSET,
		GUC_UNIT_KB, NULL, NULL, NULL);

	/*
	 * Default auto: direct for reads of much more than the cache should hold,
	 * and for a first scan; see choose_way() in segment/reader.c.
	 * on saves the copy through the page cache and does not push other data
	 * out of it, but leaves nothing there for the next query; it has no
	 * effect on vectors that are in memory already, nor with io_method sync.
	 */
	DefineCustomEnumVariable(
		"vecseg.direct_io",
		"Selects whether reads of vectors bypass the kernel's page cache.",
		"auto bypasses it for a table's first scan, for one-pass reads of more than it should hold, and for most single reads out of more than twice the memory.",
		&vecseg_direct_io, VECSEG_DIRECT_AUTO, direct_io_options, PGC_USERSET,
		0, NULL, NULL, NULL);

	/*
	 * Default on.  off is for tests: it shows what is gained, and that the
	 * rows are the same.
	 */
	DefineCustomBoolVariable(
		"vecseg.enable_custom_scan",
		"Enables the planner's use of scans that read vectors ahead.",
		"Also enables vecseg_scroll and vecseg_retrieve to be planned as part of the query.",
		&vecseg_enable_custom_scan, true, PGC_USERSET,
		GUC_EXPLAIN | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);

	/*
	 * Default none.  For tests, see stop.c: a backend waits at the place
	 * named, if a session holds the lock for it.
	 */
	DefineCustomStringVariable(
		"vecseg.stop_at",
		"Names a place where a backend can be made to wait, for tests.", NULL,
		&vecseg_stop_at, "", PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
		NULL, NULL, NULL);

	MarkGUCPrefixReserved("vecseg");
}
