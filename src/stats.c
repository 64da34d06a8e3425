/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  Counters of how vectors were read, of the whole server, and what was read
 *	  lately: stores that were scanned, and blocks.
 *
 * The totals are atomic counters in shared memory, so adding to them takes
 * no lock.  They start from zero with the server, also after a crash.  Where
 * the library is not preloaded there is no shared memory: nothing is counted
 * and the view shows zeros.
 *
 * Of the stores and blocks, as many as there is room for are known, by hashes
 * that may collide.  What is told of them serves to choose how to read, no more.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "stats.h"

PG_FUNCTION_INFO_V1(vecseg_stat_get_io);
PG_FUNCTION_INFO_V1(vecseg_stat_reset_io);

#define NCOUNTERS (sizeof(VecsegIoCounters) / sizeof(uint64))
#define MAX_IN_FLIGHT (NCOUNTERS - 1)

StaticAssertDecl(offsetof(VecsegIoCounters, max_in_flight) ==
					 MAX_IN_FLIGHT * sizeof(uint64),
				 "max_in_flight must be the last counter");

/* Values read one by one before they are added to the totals */
#define SINGLES_REPORTED_AT 1000

/* Stores known to have been scanned, and how soon a scan counts as another */
#define NSCANNED 1024
#define SCANNED_LATELY (USECS_PER_HOUR)

/*
 * Blocks known to have been read: a bit for each, by its hash.  A word is cleared
 * for every FORGET_EVERY new ones, in turn, so that a quarter of the bits are
 * set at most.
 */
#define NREAD_WORDS 16384
#define FORGET_EVERY 16

typedef struct ScannedStore
{
	pg_atomic_uint64 store; /* hash of its name; 0: none */
	pg_atomic_uint64 scan;	/* its last one: statement's start * 2 + answer */
} ScannedStore;

typedef struct SharedStats
{
	ScannedStore scanned[NSCANNED];
	pg_atomic_uint64 read[NREAD_WORDS];
	pg_atomic_uint64 nread;		 /* bits set so far */
	pg_atomic_uint64 reset_time; /* a TimestampTz */
	pg_atomic_uint64 counters[NCOUNTERS];
} SharedStats;

/* NULL unless preloaded */
static SharedStats *shared_stats = NULL;

/* Values read one by one by this backend, and how many the totals include */
static VecsegIoCounters singles = { 0 };
static VecsegIoCounters singles_reported = { 0 };

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/* Raise a shared counter to a value. */
static void
raise_counter(pg_atomic_uint64 *counter, uint64 value)
{
	uint64 current = pg_atomic_read_u64(counter);

	while (current < value &&
		   !pg_atomic_compare_exchange_u64(counter, &current, value))
		;
}

void
vecseg_stats_report(const VecsegIoCounters *counters,
					VecsegIoCounters *reported)
{
	const uint64 *now = (const uint64 *) counters;
	const uint64 *before = (const uint64 *) reported;
	int i;

	if (shared_stats != NULL)
	{
		for (i = 0; i < MAX_IN_FLIGHT; i++)
		{
			if (now[i] > before[i])
				pg_atomic_fetch_add_u64(&shared_stats->counters[i],
										now[i] - before[i]);
		}
		raise_counter(&shared_stats->counters[MAX_IN_FLIGHT],
					  counters->max_in_flight);
	}
	*reported = *counters;
}

/* --- values read one by one --- */

static void
report_at_transaction_end(XactEvent event, void *arg)
{
	if (singles.values > singles_reported.values)
		vecseg_stats_report(&singles, &singles_reported);
}

void
vecseg_stats_count_single(bool from_shared_buffers)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(report_at_transaction_end, NULL);
		registered = true;
	}
	singles.values++;
	singles.single_values++;
	if (from_shared_buffers)
		singles.shared_hits++;
	else
		singles.mapped_hits++;
	if (singles.values - singles_reported.values >= SINGLES_REPORTED_AT)
		vecseg_stats_report(&singles, &singles_reported);
}

/* --- what was read lately --- */

static uint64
hash_store(Relation rel)
{
	return hash_bytes_extended((unsigned char *) &rel->rd_locator,
							   sizeof(rel->rd_locator), 0);
}

/*
 * Workers of one parallel scan have their statement's start in common, and
 * are told the same.  A process that comes again within a statement is at
 * another scan.
 */
bool
vecseg_stats_scanned_lately(Relation rel)
{
	static uint64 last_store = 0;
	static uint64 last_statement = 0;
	uint64 store = hash_store(rel);
	uint64 statement = (uint64) GetCurrentStatementStartTimestamp();
	ScannedStore *entry;
	uint64 scan;
	bool again;

	if (shared_stats == NULL)
		return true;
	entry = &shared_stats->scanned[store % NSCANNED];
	scan = pg_atomic_read_u64(&entry->scan);
	if (pg_atomic_read_u64(&entry->store) != store)
		again = false;
	else if (scan / 2 == statement)
		again = scan % 2 == 1 ||
				(store == last_store && statement == last_statement);
	else
		again = (int64) (statement - scan / 2) < SCANNED_LATELY;
	pg_atomic_write_u64(&entry->store, store);
	pg_atomic_write_u64(&entry->scan, statement * 2 + again);
	last_store = store;
	last_statement = statement;
	return again;
}

bool
vecseg_stats_read_lately(Relation rel, BlockNumber block)
{
	uint64 hash;
	uint64 bit;
	uint64 before;
	pg_atomic_uint64 *word;

	if (shared_stats == NULL)
		return true;
	hash = hash_bytes_uint32_extended(block, hash_store(rel));
	bit = UINT64CONST(1) << hash % 64;
	word = &shared_stats->read[hash / 64 % NREAD_WORDS];
	if (pg_atomic_fetch_or_u64(word, bit) & bit)
		return true;
	before = pg_atomic_fetch_add_u64(&shared_stats->nread, 1);
	if (before % FORGET_EVERY == 0)
		pg_atomic_write_u64(
			&shared_stats->read[before / FORGET_EVERY % NREAD_WORDS], 0);
	return false;
}

/* --- shared memory --- */

static void
reset_counters(void)
{
	int i;

	for (i = 0; i < NCOUNTERS; i++)
		pg_atomic_write_u64(&shared_stats->counters[i], 0);
	pg_atomic_write_u64(&shared_stats->reset_time,
						(uint64) GetCurrentTimestamp());
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedStats)));
}

static void
startup_shmem(void)
{
	bool found;
	int i;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared_stats =
		ShmemInitStruct("vecseg statistics", sizeof(SharedStats), &found);
	if (!found)
	{
		for (i = 0; i < NCOUNTERS; i++)
			pg_atomic_init_u64(&shared_stats->counters[i], 0);
		for (i = 0; i < NSCANNED; i++)
		{
			pg_atomic_init_u64(&shared_stats->scanned[i].store, 0);
			pg_atomic_init_u64(&shared_stats->scanned[i].scan, 0);
		}
		for (i = 0; i < NREAD_WORDS; i++)
			pg_atomic_init_u64(&shared_stats->read[i], 0);
		pg_atomic_init_u64(&shared_stats->nread, 0);
		pg_atomic_init_u64(&shared_stats->reset_time, 0);
		reset_counters();
	}
	LWLockRelease(AddinShmemInitLock);
}

void
vecseg_stats_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

/* --- SQL functions --- */

/*
 * vecseg_stat_get_io() returns the server's counters, in the order of
 * VecsegIoCounters, and when they were last reset: null, with counters of
 * zero, when the library is not preloaded.
 */
Datum
vecseg_stat_get_io(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[NCOUNTERS + 1];
	bool nulls[NCOUNTERS + 1] = { 0 };
	int i;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (desc->natts != lengthof(values))
		elog(ERROR, "unexpected number of columns: %d", desc->natts);

	for (i = 0; i < NCOUNTERS; i++)
	{
		uint64 value = 0;

		if (shared_stats != NULL)
			value = pg_atomic_read_u64(&shared_stats->counters[i]);
		values[i] = Int64GetDatum((int64) value);
	}
	if (shared_stats != NULL)
		values[NCOUNTERS] = TimestampTzGetDatum(
			(TimestampTz) pg_atomic_read_u64(&shared_stats->reset_time));
	else
		nulls[NCOUNTERS] = true;

	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * vecseg_stat_reset_io() sets the server's counters to zero.  What others
 * report at that moment may be lost, or counted in some counters only.
 */
Datum
vecseg_stat_reset_io(PG_FUNCTION_ARGS)
{
	if (shared_stats != NULL)
		reset_counters();
	PG_RETURN_VOID();
}
