/*-------------------------------------------------------------------------
 *
 * map.h
 *	  A store's files: mapped read-only, and as descriptors for io_uring.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_MAP_H
#define VECSEG_MAP_H

#include "storage/block.h"
#include "utils/rel.h"

typedef struct VecsegMap VecsegMap;

/* What a stream of single reads has found about the page cache; zero first */
typedef struct VecsegResidency
{
	bool resident; /* the last answer */
	int same;	   /* how often in a row it was that */
	int skipped;   /* reads since */
} VecsegResidency;

extern VecsegMap *vecseg_map_open(Relation rel);
extern void vecseg_map_close(VecsegMap *map);
extern bool vecseg_map_check(VecsegMap *map, BlockNumber block,
							 bool (*is_good)(const char *page,
											 BlockNumber block));
extern bool vecseg_map_copy(VecsegMap *map, BlockNumber block, uint32 offset,
							uint32 length, char *result);
extern void vecseg_map_touch(VecsegMap *map, BlockNumber block, uint32 offset,
							 uint32 length);
extern const char *vecseg_map_hold(VecsegMap *map, BlockNumber block,
								   uint32 offset, int *pin);
extern bool vecseg_map_resident(VecsegMap *map, BlockNumber block,
								uint32 nblocks);
extern void vecseg_map_populate(VecsegMap *map, BlockNumber block,
								uint32 nblocks);
extern bool vecseg_map_sample(VecsegResidency *sample, VecsegMap *map,
							  BlockNumber block, uint32 nblocks);
extern bool vecseg_map_may_be_cached(VecsegResidency *sample, VecsegMap *map,
									 BlockNumber block, uint32 nblocks);
extern bool vecseg_map_lies_large(VecsegMap *map, BlockNumber block);
extern void vecseg_map_note(VecsegResidency *sample, bool resident);
extern void vecseg_map_prefetch(VecsegMap *map, BlockNumber block,
								uint32 nblocks);
extern uint32 vecseg_map_alignment(VecsegMap *map, BlockNumber block);
extern int vecseg_map_pin(VecsegMap *map, BlockNumber block, bool direct,
						  int *fd, off_t *offset);
extern void vecseg_map_unpin(int pin);
extern void vecseg_map_unpin_all(void);

#endif /* VECSEG_MAP_H */
