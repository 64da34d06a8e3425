/*-------------------------------------------------------------------------
 *
 * map_internal.h
 *	  What map.c and map_cache.c share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_MAP_INTERNAL_H
#define VECSEG_MAP_INTERNAL_H

#include "segment/map.h"

struct VecsegMap
{
	char *path; /* of the first file */
	int nfiles;
	int *windows;	  /* of each file: index into windows[] */
	uint32 alignment; /* of direct reads; 0 before it is asked for */
};

/* One open file */
typedef struct Window
{
	char *base; /* NULL when this element is free */
	int fd;
	int direct_fd; /* bypasses the page cache; -1 when not open */
	int pins;	   /* reads in flight */
	VecsegMap *map;
	int number;	 /* of the file in its map */
	uint64 used; /* time of last use */

	/* see vecseg_map_lies_large() */
	bool large;
	uint32 visits;	   /* since the last look */
	uint32 look_after; /* so many */
} Window;

/* Visits to a file before the first look at how it lies in memory */
#define FIRST_LOOK 256

extern Window *vecseg_map_window(VecsegMap *map, BlockNumber block);

static inline char *
vecseg_map_address(const Window *window, BlockNumber block)
{
	return window->base + (size_t) (block % RELSEG_SIZE) * BLCKSZ;
}

#endif /* VECSEG_MAP_INTERNAL_H */
