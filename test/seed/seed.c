/*-------------------------------------------------------------------------
 *
 * seed.c
 *	  For tests: make what a session draws from the server's random numbers
 *	  repeatable, so that two approximate indexes can be built alike.
 *
 *		CREATE FUNCTION seed(bigint) RETURNS void
 *			AS '.../seed', 'seed' LANGUAGE c;
 *
 * (setseed() concerns only random() in SQL.)
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

Datum
seed(PG_FUNCTION_ARGS)
{
	pg_prng_seed(&pg_global_prng_state, (uint64) PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}
