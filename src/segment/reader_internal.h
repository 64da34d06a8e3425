/*-------------------------------------------------------------------------
 *
 * reader_internal.h
 *	  What the parts of a VecsegReader share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_READER_INTERNAL_H
#define VECSEG_READER_INTERNAL_H

#include "lib/ilist.h"

#include "io/io.h"
#include "segment/map.h"
#include "segment/reader.h"

/* Blocks in a piece of a wide reading: 64 kB */
#define WIDE_BLOCKS ((64 * 1024) / BLCKSZ)

/* Blocks in one read at most */
#define MAX_READ_BLOCKS (VECSEG_IO_BUFFER_SIZE / BLCKSZ)

/*
 * Values read and released before it is seen in what order they come, and
 * reads become wide: a LIMIT may end it all.
 */
#define REVIEW_AFTER 1024

typedef enum ValueState
{
	VALUE_MAPPED,  /* to be taken from the mapping when it is got */
	VALUE_WAITING, /* for submission */
	VALUE_READING,
	VALUE_DONE
} ValueState;

typedef struct ReaderValue
{
	uint32 id;
	uint32 size;   /* of the image */
	uint32 header; /* what the image must start with */
	ValueState state;
	BlockNumber block; /* of its first byte */
	uint32 offset;	   /* of its first byte in that block */
	uint32 nblocks;
	int reads_left;
	bool merged;		   /* counted as one that shares a read with others */
	uint64 next;		   /* the one after it in the last of its reads; in
							* the others, it is the last one */
	Size counted;		   /* in the reader's bytes */
	struct varlena *image; /* NULL before there is one */

	/* Where image points: into the mapping, a read's buffer, or own memory */
	int pin;				  /* of the mapping, or -1 */
	struct PlannedRead *read; /* whose buffer it is in, or NULL */
	Size room;				  /* allocated size */
} ReaderValue;

/* One read, of one value or several neighbours */
typedef struct PlannedRead
{
	dlist_node node; /* in one of the reader's lists, unless it is kept */
	uint64 first;	 /* its values are chained by their `next` */
	int count;
	BlockNumber block;
	uint32 start;			  /* bytes wanted, from the block's beginning */
	uint32 end;				  /* to here */
	bool direct;			  /* past the page cache */
	int pin;				  /* of the file's descriptor */
	VecsegIoRequest *request; /* when it has come back */
	int users;				  /* of its buffer: values that point there */
} PlannedRead;

/* An image to be used again */
typedef struct FreeImage
{
	struct FreeImage *next;
	Size room;
} FreeImage;

/* Which reads go through the page cache, though others bypass it */
typedef enum ReaderAdmits
{
	ADMITS_NONE,
	ADMITS_SOME, /* one in so many */
	ADMITS_AGAIN /* of what was read lately */
} ReaderAdmits;

struct VecsegReader
{
	Relation rel;
	VecsegReadPart part;
	VecsegIoCounters *counters; /* never NULL */
	VecsegIoCounters own_counters;
	VecsegIoCounters reported; /* to the server's statistics so far */
	MemoryContext context;

	/* Values first..next-1, in a circular array; waiting ones from `waiting` */
	ReaderValue *values;
	uint64 capacity; /* a power of two */
	uint64 first;
	uint64 waiting;
	uint64 next;
	Size bytes;

	dlist_head planned; /* reads not started yet */
	dlist_head active;	/* reads in flight */
	dlist_head unused;	/* reads to be used again */
	FreeImage *free_images;
	VecsegIoQueue *queue; /* NULL before the first read */
	int in_flight;
	int calls;			/* since the last look at the queue */
	uint64 waited_usec; /* of the queue, counted already */
	bool direct;		/* reads bypass the page cache, but for: */
	ReaderAdmits admits;
	uint32 direct_calls;

	/* see vecseg_reader_review_order() */
	uint64 review_at; /* when so many values were released */
	uint64 reviewed_values;
	uint64 reviewed_merged;

	/* reading wide, see choose_way() */
	bool wide;			  /* since the order was reviewed */
	uint64 wide_left;	  /* pieces to be read at most */
	BlockNumber wide_end; /* blocks that there were at the start */
	uint8 *wide_read;  /* bit for each piece that was; NULL before the first */
	uint32 wide_calls; /* values of pieces that were read before */

	BlockNumber absent; /* block last found absent from shared buffers */
	bool resident;		/* last answer of mincore() */
	BlockNumber region; /* the region it was about */
	VecsegResidency residency;
	bool checksums;			/* verify them */
	BlockNumber good_block; /* mapped block found good last */
	uint8 *good_blocks;		/* a bit for each that was, or NULL */
};

static inline ReaderValue *
vecseg_reader_value(VecsegReader *reader, uint64 number)
{
	return &reader->values[number & (reader->capacity - 1)];
}

/* reader.c */
extern void vecseg_reader_take_image(VecsegReader *reader, ReaderValue *value);
extern void vecseg_reader_give_image(VecsegReader *reader, ReaderValue *value);
extern void vecseg_reader_review_order(VecsegReader *reader);

/* reader_memory.c */
extern uint32 vecseg_reader_piece(const ReaderValue *value, uint32 k,
								  uint32 *offset, uint32 *start);
extern bool vecseg_reader_copy_buffered(VecsegReader *reader,
										VecsegStore *store, ReaderValue *value);
extern bool vecseg_reader_is_resident(VecsegReader *reader, VecsegStore *store,
									  const ReaderValue *value);
extern bool vecseg_reader_hold_mapped(VecsegReader *reader, VecsegStore *store,
									  ReaderValue *value);
extern void vecseg_reader_copy_mapped(VecsegReader *reader, VecsegStore *store,
									  ReaderValue *value);
extern void vecseg_reader_finish(VecsegReader *reader, ReaderValue *value);

/* reader_cached.c */
extern bool vecseg_reader_prefers_reading(const VecsegReader *reader,
										  const ReaderValue *value);
extern int vecseg_reader_copy_cached(VecsegReader *reader, uint64 *numbers,
									 int count);

/* reader_io.c */
extern void vecseg_reader_plan(VecsegReader *reader, uint64 *numbers,
							   int count);
extern void vecseg_reader_start(VecsegReader *reader);
extern void vecseg_reader_poll(VecsegReader *reader);
extern void vecseg_reader_wait(VecsegReader *reader);
extern void vecseg_reader_leave_read(VecsegReader *reader, PlannedRead *read);

#endif /* VECSEG_READER_INTERNAL_H */
