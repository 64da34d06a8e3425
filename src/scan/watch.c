/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  Whether pages are worth prefetching.
 *
 * Asking the kernel for a page ahead of its use costs little beside a wait
 * for the disk, but about as much as reading the page from the kernel's
 * cache: where all is in memory it is better left out.  Whether a page of the
 * heap or an index is there cannot be asked, but noticed.  Now and then a
 * page is not prefetched, and its reading is timed.  After several quick ones
 * in a row no page is prefetched, and some are timed; a slow one brings
 * prefetching back.
 *
 * A wrong guess, as when the process was not running for a while, costs time,
 * nothing else.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "scan/custom.h"

/* So many quick pages in a row are proof enough. */
#define QUICK_ENOUGH 8

/* One page in so many is left out as a test, among the first and later. */
#define FIRST_PAGES 64
#define FIRST_TEST_EVERY 8
#define TEST_EVERY 64

/* Of pages that are not prefetched any more, one in so many is timed. */
#define TIME_EVERY 8

/* Microseconds: more than the copy of a page takes, less than any disk */
#define QUICK_USEC 30

/*
 * Is the next page to be prefetched?  If not, sets *timed to whether its reading
 * is to be timed.
 */
bool
vecseg_watch_wants_prefetch(VecsegPageWatch *watch, bool *timed)
{
	uint32 every = watch->seen < FIRST_PAGES ? FIRST_TEST_EVERY : TEST_EVERY;

	if (watch->quick < QUICK_ENOUGH)
	{
		*timed = watch->seen++ % every == 0;
		return !*timed;
	}
	*timed = watch->untimed++ % TIME_EVERY == 0;
	return false;
}

/* A page that was not prefetched has been read since `start`. */
void
vecseg_watch_note(VecsegPageWatch *watch, instr_time start)
{
	instr_time end;

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	watch->quick =
		INSTR_TIME_GET_MICROSEC(end) <= QUICK_USEC ? watch->quick + 1 : 0;
}
