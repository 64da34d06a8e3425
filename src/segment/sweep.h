/*-------------------------------------------------------------------------
 *
 * sweep.h
 *	  Freeing the slots that no row refers to.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_SWEEP_H
#define VECSEG_SWEEP_H

#include "segment/store.h"

typedef struct VecsegSweep VecsegSweep;

/* Note the slots allocated now, in the current memory context. */
extern VecsegSweep *vecseg_sweep_begin(Relation rel);

/*
 * Leave segments alone in which a transaction allocated that may have been
 * running at or after horizon.
 */
extern void vecseg_sweep_exclude_young(VecsegSweep *sweep,
									   FullTransactionId horizon);

/* A row version, live or not, refers to the value: keep it. */
extern void vecseg_sweep_keep(VecsegSweep *sweep, uint32 value, bool live);

/* What became of the slots that were allocated when the sweep began */
typedef struct VecsegSweepResult
{
	uint64 freed;
	uint64 postponed; /* not kept, but in segments to be left alone */
	uint64 live;	  /* kept for a live row version; the rest for others */
} VecsegSweepResult;

/* Free what was not kept. */
extern VecsegSweepResult vecseg_sweep_free(VecsegSweep *sweep);

/*
 * Give the free segments at the end back to the file system, if the relation
 * can be locked for that without waiting.
 */
extern void vecseg_sweep_truncate(Relation rel);

#endif /* VECSEG_SWEEP_H */
