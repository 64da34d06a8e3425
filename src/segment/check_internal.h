/*-------------------------------------------------------------------------
 *
 * check_internal.h
 *	  What the files of the store's check share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_CHECK_INTERNAL_H
#define VECSEG_CHECK_INTERNAL_H

#include "segment/check.h"

/* What is known of a data block: its pd_lower, or one of these */
#define BLOCK_DAMAGED 0
#define BLOCK_EMPTY 1

/* A segment with a sound entry; arrays are there while its turn lasts */
typedef struct CheckedSegment
{
	VecsegSegmentEntry entry;
	uint32 number;
	uint8 *used;	 /* its slot map; NULL if that is damaged */
	uint8 *seen;	 /* slots that a visible row refers to */
	uint8 *shared;	 /* slots that several refer to */
	uint16 *blocks;	 /* of each data block: pd_lower or BLOCK_* */
	uint32 *headers; /* of each slot: the first four bytes */
	uint32 *tcinfos; /* the next four; NULL if nothing is compressed here */
} CheckedSegment;

struct VecsegCheck
{
	Relation rel;
	VecsegCheckReport report;
	void *report_arg;
	BufferAccessStrategy strategy;

	/* check_directory.c */
	BlockNumber nblocks; /* of the file */
	bool complete;		 /* all of the directory is sound */
	uint32 nsegments;
	CheckedSegment *segments; /* those with sound entries, in order */

	/* segments whose turn it is */
	MemoryContext context;
	uint32 first;
	uint32 end;
	CheckedSegment *current; /* while its pages are read */
	bool started;
	bool listing_shared; /* go through references to shared slots again */
	uint64 nshared;
};

/* check_blocks.c */
extern Buffer vecseg_check_read(VecsegCheck *check, BlockNumber block);
extern bool vecseg_check_copy(VecsegCheck *check, BlockNumber block,
							  int64 segment, char *page);
extern void vecseg_check_block_problem(VecsegCheck *check, int64 segment,
									   BlockNumber block, const char *problem);

/* check_directory.c */
extern void vecseg_check_directory(VecsegCheck *check);

/* check_segments.c */
extern void vecseg_check_segments(VecsegCheck *check);

#endif /* VECSEG_CHECK_INTERNAL_H */
