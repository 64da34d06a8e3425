/*-------------------------------------------------------------------------
 *
 * btree.h
 *	  Reading a btree's pages, for what the index access method does not offer.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_BTREE_H
#define VECSEG_BTREE_H

#include "access/nbtree.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* ---- btree.c ---- */

extern void vecseg_btree_make_key(Relation index, const ScanKeyData *key,
								  BTScanInsert insertion);
extern OffsetNumber vecseg_btree_search_from(Relation index, BTScanInsert key,
											 Page page, OffsetNumber low);
extern OffsetNumber vecseg_btree_search_inner(Relation index, BTScanInsert key,
											  Page page);
extern BlockNumber vecseg_btree_downlink(Page page, OffsetNumber offset);
extern BlockNumber vecseg_btree_child(Relation index, BTScanInsert key,
									  Page page);
extern bool vecseg_btree_is_parent(Page page);
extern Buffer vecseg_btree_move_right(Relation index, BTScanInsert key,
									  Buffer buffer);
extern Buffer vecseg_btree_descend(Relation index, BTScanInsert key);

/* ---- lookup.c ---- */

typedef struct VecsegLookup VecsegLookup;

/* The leaf page where a key belongs */
typedef struct VecsegLeaf
{
	BlockNumber block; /* InvalidBlockNumber: to be found */
	Buffer buffer;	   /* which had it of late, or InvalidBuffer */
} VecsegLeaf;

extern VecsegLookup *vecseg_lookup_create(Relation index,
										  const ScanKeyData *key,
										  Snapshot snapshot, bool skip_dead);
extern BlockNumber vecseg_lookup_leaf(VecsegLookup *lookup, int rank,
									  Datum key);
extern int vecseg_lookup_find(VecsegLookup *lookup, int rank, Datum key,
							  const VecsegLeaf *leaf, ItemPointerData **found);
extern void vecseg_lookup_unpin(VecsegLookup *lookup);

/* ---- touch.c ---- */

extern void vecseg_touch_leaf(Buffer buffer);
extern void vecseg_touch_leaf_items(Buffer buffer);
extern void vecseg_touch_heap_page(Buffer buffer, ItemPointer tid);
extern void vecseg_touch_row(Buffer buffer, ItemPointer tid);

#endif /* VECSEG_BTREE_H */
