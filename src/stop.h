/*-------------------------------------------------------------------------
 *
 * stop.h
 *	  Places where a test can hold a backend: see stop.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_STOP_H
#define VECSEG_STOP_H

#include "guc.h"

extern void vecseg_stop_if_named(const char *place, uint32 number);

/* The backend comes to a place; number: which of several times */
static inline void
vecseg_stop(const char *place, uint32 number)
{
	if (unlikely(vecseg_stop_at != NULL && vecseg_stop_at[0] != '\0'))
		vecseg_stop_if_named(place, number);
}

#endif /* VECSEG_STOP_H */
