/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  Reading a stream of values of one store, in order, with many reads in
 *	  flight.
 *
 *		r = vecseg_reader_open(rel, part, counters);
 *		first = vecseg_reader_add(r, id, size, compressed);	... more ...
 *		vecseg_reader_submit(r);
 *		image = vecseg_reader_get(r, first);
 *		... meanwhile add and submit more, get the next ...
 *		vecseg_reader_release(r, first);
 *		vecseg_reader_close(r);
 *
 * Values are numbered in the order in which they are added; they may be got
 * in any order, and are released in that of their numbers.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_READER_H
#define VECSEG_READER_H

#include "segment/store.h"
#include "stats.h"

typedef struct VecsegReader VecsegReader;

/* What will be read of the relation */
typedef enum VecsegReadPart
{
	VECSEG_READ_SOME,	 /* values here and there */
	VECSEG_READ_MOST,	 /* most of it, once, in any order */
	VECSEG_READ_IN_ORDER /* most of it, once, in the order of storage */
} VecsegReadPart;

/*
 * Open a reader.  rel: the segment relation, which stays open and locked.
 * part: what will be read of it, by the caller's best knowledge.  counters:
 * what is read is added there (may be NULL).  The reader belongs to the
 * current memory context and resource owner.
 */
extern VecsegReader *vecseg_reader_open(Relation rel, VecsegReadPart part,
										VecsegIoCounters *counters);

/*
 * Values that are added from here on may have been written since the last one was
 * added.
 */
extern void vecseg_reader_expect_writes(VecsegReader *reader);

/*
 * Add a value: its id, the size of its whole image, and whether the image is
 * compressed.  Returns its number.
 */
extern uint64 vecseg_reader_add(VecsegReader *reader, uint32 id, uint32 size,
								bool compressed);

/* Start reading what was added. */
extern void vecseg_reader_submit(VecsegReader *reader);

/*
 * Let reads go on in the background: for callers that add or get no value for
 * a while.  Cheap, does something only every so many calls.
 */
extern void vecseg_reader_keep_reading(VecsegReader *reader);

/*
 * The value's image, when it has arrived; it is the reader's, until released.
 * Raises ERRCODE_DATA_CORRUPTED if its slot holds something else, and the
 * server's own errors if it cannot be read.
 */
extern struct varlena *vecseg_reader_get(VecsegReader *reader, uint64 number);

/* What is expected now to be read of the relation */
extern void vecseg_reader_expect_part(VecsegReader *reader,
									  VecsegReadPart part);

/* Give back all values numbered below the given one. */
extern void vecseg_reader_release(VecsegReader *reader, uint64 number);

/* Reads started so far, by all readers with the same counters */
extern uint64 vecseg_reader_reads(const VecsegReader *reader);

/* Bytes of memory for values added and not released */
extern Size vecseg_reader_bytes(const VecsegReader *reader);

/* Stop all reads and drop all values. */
extern void vecseg_reader_reset(VecsegReader *reader);

extern void vecseg_reader_close(VecsegReader *reader);

#endif /* VECSEG_READER_H */
