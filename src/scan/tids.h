/*-------------------------------------------------------------------------
 *
 * tids.h
 *	  What the parts of a VecsegTids share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_TIDS_H
#define VECSEG_TIDS_H

#include "access/relscan.h"

#include "scan/btree.h"
#include "scan/custom.h"

/* Pages prefetched ahead at most */
#define PAGES_AHEAD 16384

/* Batches smaller than this are not worth a look at the index's inner pages */
#define MIN_WALK_BATCH 64

/* Keys, or rows, by which the two steps of touch.c are ahead of their use */
#define TOUCH_FIRST 12
#define TOUCH_SECOND 6

/* A row's address */
typedef struct VecsegAddress
{
	ItemPointerData tid;
	bool timed;	   /* the watch wants to know how long it takes */
	int position;  /* of its key in the array, if in the array's order */
	Buffer buffer; /* that the page seems to be in, once looked for */
} VecsegAddress;

/* What is known of one of an array's keys */
typedef struct VecsegKeyState
{
	VecsegLeaf leaf;
	bool timed; /* the watch wants to know how long the leaf page takes */
	int first;	/* the key's addresses in the batch, and their number */
	int count;
} VecsegKeyState;

struct VecsegTids
{
	Relation heap;
	Relation index;
	Snapshot snapshot;
	VecsegWindow *window; /* its reads are kept going; may be NULL */
	uint32 flags;		  /* of index_beginscan() */
	IndexScanDesc scan;	  /* NULL before the first start */
	ScanDirection direction;
	bool prefetch;
	VecsegPageWatch heap_watch;
	VecsegPageWatch leaf_watch;
	VecsegPages *heap_pages; /* to be prefetched */
	VecsegPages *leaf_pages;
	MemoryContext context; /* of what belongs to one run of the scan */

	ScanKey keys; /* conditions */
	int nkeys;
	bool exhausted; /* the index has no more */
	int norderbys;	/* of a search; 0: it is none */
	int expected;	/* addresses that a search will need; 0: unknown */
	VecsegLeafWalk *walk;
	bool walk_begun;

	/* the keys of an array; set is NULL for a range */
	VecsegKeySet *set;
	ScanKey array_key; /* its condition among keys */
	VecsegLookup *lookup;
	bool unique; /* the key determines the row: lookup finds all of it */
	int *asked;	 /* the set's numbers in the order asked for */
	VecsegKeyState *states; /* of the set's keys */
	int *batch_keys;		/* the next ones of those asked, sorted, or NULL */
	int nbatch_keys;
	int next_key;	  /* in order of processing */
	int prefetched;	  /* leaf pages of keys before this were asked for */
	int keys_touched; /* leaf pages of keys before this were touched */
	bool in_key;	  /* the index scan may have more for the last key */

	/* addresses not yet consumed */
	VecsegAddress *queue;
	int first;
	int count;
	int max;
	int heap_prefetched;	/* heap pages of so many were asked for */
	BlockNumber heap_block; /* the last of them */
	int rows_touched;		/* heap pages of so many were touched */
	int low_water;
	int batch; /* size of the next batch */
};

/* ---- tids.c ---- */

extern void vecseg_tids_put(VecsegTids *tids, ItemPointer tid, int position);
extern ItemPointer vecseg_tids_next(VecsegTids *tids);

/* ---- tids_keys.c ---- */

extern bool vecseg_tids_start_array(VecsegTids *tids, bool asked_order);
extern void vecseg_tids_load_keys(VecsegTids *tids);
extern void vecseg_tids_prefetch_keys(VecsegTids *tids);

#endif /* VECSEG_TIDS_H */
