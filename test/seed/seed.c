/*-------------------------------------------------------------------------
 *
 * seed.c
 *	  For tests: make what a session draws from the server's random numbers
 *	  repeatable, so that two approximate indexes can be built alike.
 *
 *		CREATE FUNCTION seed(bigint) RETURNS void
 *			AS '.../seed', 'seed' LANGUAGE c;
 *		CREATE FUNCTION next_number() RETURNS bigint
 *			AS '.../seed', 'next_number' LANGUAGE c;
 *
 * (setseed() concerns only random() in SQL.)  next_number() tells, without
 * drawing it, the number that comes next: after two builds it is the same if
 * they drew as many.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(seed);
PG_FUNCTION_INFO_V1(next_number);

Datum
seed(PG_FUNCTION_ARGS)
{
	pg_prng_seed(&pg_global_prng_state, (uint64) PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

Datum
next_number(PG_FUNCTION_ARGS)
{
	pg_prng_state state = pg_global_prng_state;

	PG_RETURN_INT64((int64) pg_prng_uint64(&state));
}
