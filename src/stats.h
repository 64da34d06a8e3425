/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  Counters of how vectors were read, and what was read lately.
 *
 * A reader counts in a VecsegIoCounters of its own and reports it from time
 * to time.  The server's totals are in shared memory; the view
 * vecseg_stat_io shows them.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_STATS_H
#define VECSEG_STATS_H

#include "storage/block.h"
#include "utils/relcache.h"

/*
 * Counters of one reader, one query node, or one server.  values is the sum
 * of shared_hits, mapped_hits and read_values.
 *
 * stats.c treats this as an array: uint64 only, max_in_flight last, in the
 * order of the columns of vecseg_stat_get_io().
 */
typedef struct VecsegIoCounters
{
	uint64 values;		  /* values delivered */
	uint64 shared_hits;	  /* of these, from shared buffers */
	uint64 mapped_hits;	  /* of these, by the mapping (the page cache) */
	uint64 read_values;	  /* of these, read asynchronously */
	uint64 single_values; /* of values, one by one (detoasting) */
	uint64 batches;		  /* submissions */
	uint64 reads;		  /* read requests */
	uint64 merged;		  /* values that shared a request with another */
	uint64 read_bytes;	  /* bytes of those requests */
	uint64 retries;		  /* pages read again through shared buffers */
	uint64 wait_usec;	  /* time spent waiting for requests */
	uint64 max_in_flight; /* most requests in flight at a time */
} VecsegIoCounters;

/*
 * Add to the server's statistics what was counted since *reported, and set
 * that to what the counters are now.  Costs an atomic operation for each
 * counter that has changed: call it once for many values.
 */
extern void vecseg_stats_report(const VecsegIoCounters *counters,
								VecsegIoCounters *reported);

/*
 * Count one value that was read by itself, from shared buffers or else by the
 * mapping.  Cheap: reported in batches, the last one when the transaction
 * ends.
 */
extern void vecseg_stats_count_single(bool from_shared_buffers);

/*
 * Note that a store is about to be scanned.  Was it scanned before, within the
 * last hour?  False also if many others were scanned since, or the server was
 * restarted; true without shared memory.
 */
extern bool vecseg_stats_scanned_lately(Relation rel);

/*
 * Note that a block of a store is about to be read.  Was it before, within the
 * last 130,000 blocks or so that were noted?  False also if the server was
 * restarted since; true without shared memory.
 */
extern bool vecseg_stats_read_lately(Relation rel, BlockNumber block);

/* To be called from _PG_init() while preloading. */
extern void vecseg_stats_init(void);

#endif /* VECSEG_STATS_H */
