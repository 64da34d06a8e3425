/*-------------------------------------------------------------------------
 *
 * check.h
 *	  Verifying a segment store, and references to its values.
 *
 * The caller goes through all references several times:
 *
 *		check = vecseg_check_begin(toastrel, report, arg);
 *		while (vecseg_check_next(check))
 *			for each reference in the table
 *				vecseg_check_reference(check, ...);
 *		vecseg_check_end(check);
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_CHECK_H
#define VECSEG_CHECK_H

#include "storage/itemptr.h"

#include "compat.h" /* varatt.h */
#include "segment/store.h"

typedef struct VecsegCheck VecsegCheck;

/* Where a problem is; -1, NULL and 0 for what is not known or not concerned */
typedef struct VecsegPlace
{
	int64 segment;
	int64 value;
	int64 block; /* of the segment relation */
	const ItemPointerData *tid;
	int attnum;
} VecsegPlace;

#define VECSEG_NOWHERE ((VecsegPlace){ -1, -1, -1, NULL, 0 })

typedef void (*VecsegCheckReport)(void *arg, const VecsegPlace *place,
								  const char *message);

/*
 * What to do with each of a range of blocks; and, when a damaged page makes
 * that raise an error, what to do with the error's message.
 */
typedef struct VecsegBlockVisit
{
	void (*visit)(void *arg, BlockNumber block);
	void (*damaged)(void *arg, BlockNumber block, const char *message);
	void *arg;
} VecsegBlockVisit;

/* check_blocks.c */
extern void vecseg_check_blocks(Relation rel, const VecsegBlockVisit *visit,
								BlockNumber from, BlockNumber end);

/*
 * check.c
 *
 * rel: the segment relation, NULL if the table has none.  An MVCC snapshot
 * must have been taken before and be held until the end.
 */
extern VecsegCheck *vecseg_check_begin(Relation rel, VecsegCheckReport report,
									   void *arg);
extern bool vecseg_check_next(VecsegCheck *check);

/*
 * visible: that snapshot sees the row version.  In any case its page must be
 * pinned, so that it is not removed meanwhile.
 */
extern void vecseg_check_reference(VecsegCheck *check, ItemPointer tid,
								   int attnum,
								   const struct varatt_external *pointer,
								   bool visible);
extern void vecseg_check_end(VecsegCheck *check);

#endif /* VECSEG_CHECK_H */
