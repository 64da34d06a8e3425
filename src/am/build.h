/*-------------------------------------------------------------------------
 *
 * build.h
 *	  Index builds that read vectors ahead.
 *
 *		build = vecseg_build_begin(rel, info, callback, callback_state, block);
 *		... scan the table as for an index with vecseg_build_columns(build),
 *			with vecseg_build_add and build for the callback and its state ...
 *		vecseg_build_end(build, index);
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_BUILD_H
#define VECSEG_BUILD_H

#include "access/tableam.h"
#include "nodes/execnodes.h"
#include "storage/block.h"
#include "utils/rel.h"

typedef struct VecsegBuild VecsegBuild;

/*
 * block: of the scan, which is to be pinned until the end; or
 * InvalidBlockNumber.  NULL: nothing is to be read ahead for this index.
 */
extern VecsegBuild *vecseg_build_begin(Relation rel, IndexInfo *info,
									   IndexBuildCallback callback,
									   void *callback_state, BlockNumber block);
extern IndexInfo *vecseg_build_columns(VecsegBuild *build);
extern void vecseg_build_add(Relation index, ItemPointer tid, Datum *values,
							 bool *isnull, bool alive, void *state);
extern void vecseg_build_end(VecsegBuild *build, Relation index);

#endif /* VECSEG_BUILD_H */
