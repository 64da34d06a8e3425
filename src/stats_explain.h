/*-------------------------------------------------------------------------
 *
 * stats_explain.h
 *	  Showing a node's counters in EXPLAIN ANALYZE.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_STATS_EXPLAIN_H
#define VECSEG_STATS_EXPLAIN_H

#include "stats.h"

struct ExplainState;

extern void vecseg_explain_counters(const VecsegIoCounters *counters,
									struct ExplainState *es);

#endif /* VECSEG_STATS_EXPLAIN_H */
