/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL major versions.  Every test of
 *	  PG_VERSION_NUM lives here; the rest of the code is written to the
 *	  newest spelling.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_COMPAT_H
#define VECSEG_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "vecseg needs PostgreSQL 15 or later"
#endif

#include "storage/relfilenode.h"

/* 16 renamed RelFileNode to RelFileLocator */
#if PG_VERSION_NUM < 160000
typedef RelFileNode RelFileLocator;

#define rd_locator rd_node
#define RelFileLocatorEquals(a, b) RelFileNodeEquals(a, b)
#define smgr_rlocator smgr_rnode
#endif

/* 16 renamed the counters of PgStat_StatTabEntry */
#if PG_VERSION_NUM < 160000
#define dead_tuples n_dead_tuples
#endif

#endif /* VECSEG_COMPAT_H */
