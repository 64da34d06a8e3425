/*-------------------------------------------------------------------------
 *
 * tids.c
 *	  Row addresses from an index, ahead of need.
 *
 * Addresses are taken from the index in batches: of one at first, so that a
 * LIMIT 1 costs no more than one, then of twice as many each time.  If all will
 * be wanted they are large sooner: the larger a batch, the closer together are
 * the pages that it needs, and the fewer requests it takes to read them.  The next
 * batch is taken when half of the last one was consumed.  The heap pages of the
 * addresses to come are prefetched.
 *
 * There are three ways to get a batch:
 *
 * - A range: the index scan goes on where it was.  The leaf pages to come
 *	 are prefetched.
 *
 * - The keys of "key = ANY (array)".  One by one they are looked up in index
 *	 order, the leaf pages of the keys to come being prefetched.  If a key has
 *	 one row, lookup.c does that; else it is an index scan for just that key,
 *	 as there may be other conditions, and more rows than to be held at once.  The order asked for may be that of the array
 *	 (vecseg_retrieve).  Then the batches are taken in the array's order, and
 *	 within a batch, keys are looked up in index order and their addresses put
 *	 back into the array's.  The larger the batch, the more keys are found on
 *	 a page that is still at hand.
 *
 * - A search, by an index that orders by distance.  What it costs to get
 *	 further addresses is not known, and may be much: batches stay small, the
 *	 next is taken when the last was consumed, and none goes beyond the rows
 *	 that a LIMIT is known to take, until these are consumed.
 *
 * Holding addresses without a pin is safe with an MVCC snapshot only: what
 * VACUUM puts in the place of a row that was dead is not visible to it.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/spccache.h"

#include "compat.h"
#include "scan/btree.h"
#include "scan/custom.h"

/* Addresses in a batch at most: from a range, for the keys of an array, ... */
#define MAX_RANGE_BATCH 1024
#define MAX_KEY_BATCH 16384
#define MAX_SEARCH_BATCH 64

/* The first batch when all rows will be wanted; each is four times the last */
#define EAGER_BATCH 256

/* Pages prefetched ahead at most */
#define PAGES_AHEAD 8192

/* Batches smaller than this are not worth a look at the index's inner pages */
#define MIN_WALK_BATCH 64

typedef struct Address
{
	ItemPointerData tid;
	bool timed;	  /* the watch wants to know how long it takes */
	int position; /* of its key in the array, if in the array's order */
} Address;

struct VecsegTids
{
	Relation heap;
	Relation index;
	Snapshot snapshot;
	VecsegWindow *window; /* its reads are kept going; may be NULL */
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
	bool unique;	 /* the key determines the row: lookup finds all of it */
	int *asked;		 /* the set's numbers in the order asked for */
	bool *timed;	 /* of the set's keys: the same of the leaf page */
	int *batch_keys; /* the next ones of those, sorted, or NULL */
	int nbatch_keys;
	int next_key;	/* in order of processing */
	int prefetched; /* leaf pages of keys before this were asked for */
	bool in_key;	/* the index scan may have more for the last key */

	/* addresses not yet consumed */
	Address *queue;
	int first;
	int count;
	int max;
	int heap_prefetched;	/* heap pages of so many were asked for */
	BlockNumber heap_block; /* the last of them */
	int low_water;
	int batch; /* size of the next batch */
	bool eager;
};

/* window: for what the addresses are wanted; may be NULL. */
VecsegTids *
vecseg_tids_create(Relation heap, Relation index, Snapshot snapshot,
				   ScanDirection direction, VecsegWindow *window)
{
	VecsegTids *tids = palloc0(sizeof(VecsegTids));

	Assert(IsMVCCSnapshot(snapshot));
	tids->heap = heap;
	tids->index = index;
	tids->snapshot = snapshot;
	tids->direction = direction;
	tids->window = window;
	tids->prefetch =
		get_tablespace_io_concurrency(heap->rd_rel->reltablespace) > 0;
	tids->heap_pages = vecseg_pages_create(heap);
	tids->leaf_pages = vecseg_pages_create(index);
	tids->max = MAX_RANGE_BATCH;
	tids->queue = palloc(tids->max * sizeof(Address));
	tids->context = AllocSetContextCreate(CurrentMemoryContext, "vecseg tids",
										  ALLOCSET_DEFAULT_SIZES);
	return tids;
}

/* Does the index have its first column's values in descending order? */
static bool
index_descends(const VecsegTids *tids)
{
	return (tids->index->rd_indoption[0] & INDOPTION_DESC) != 0;
}

/* Whether to process the set's keys in ascending order */
static bool
ascending(const VecsegTids *tids)
{
	return ScanDirectionIsForward(tids->direction) != index_descends(tids);
}

/* Replace the condition "= ANY (array)" by "= key", for one key at a time. */
static void
start_array(VecsegTids *tids, ScanKey array_key, bool asked_order)
{
	ArrayType *array = DatumGetArrayTypeP(array_key->sk_argument);
	Oid opfamily = tids->index->rd_opfamily[0];
	Oid type = OidIsValid(array_key->sk_subtype) ? array_key->sk_subtype
												 : tids->index->rd_opcintype[0];
	Oid function = get_opfamily_proc(opfamily, type, type, BTORDER_PROC);
	FmgrInfo compare;

	if (!OidIsValid(function))
		elog(ERROR, "missing support function %d(%u,%u) in opfamily %u",
			 BTORDER_PROC, type, type, opfamily);
	fmgr_info(function, &compare);
	tids->set = vecseg_keys_make(array, &compare, array_key->sk_collation);
	if (asked_order)
		tids->asked = vecseg_keys_in_order_of_position(tids->set);
	array_key->sk_flags &= ~SK_SEARCHARRAY;
	tids->array_key = array_key;
	tids->lookup = vecseg_lookup_create(tids->index, array_key, tids->snapshot,
										tids->scan->ignore_killed_tuples);
	tids->unique = tids->nkeys == 1 && tids->index->rd_index->indisunique &&
				   tids->index->rd_index->indnkeyatts == 1;
	tids->timed = palloc0(Max(tids->set->nkeys, 1) * sizeof(bool));
}

/*
 * The condition whose array's keys are to be looked up one by one; NULL if
 * there is none, or if the index has to combine several arrays.  Conditions
 * like "key > ANY (array)" are ranges.
 */
static ScanKey
find_array_key(VecsegTids *tids)
{
	ScanKey result = NULL;
	int narrays = 0;
	int i;

	for (i = 0; i < tids->nkeys; i++)
	{
		if ((tids->keys[i].sk_flags & SK_SEARCHARRAY) == 0)
			continue;
		narrays++;
		if (tids->keys[i].sk_attno == 1 &&
			tids->keys[i].sk_strategy == BTEqualStrategyNumber &&
			(tids->keys[i].sk_flags & SK_ISNULL) == 0)
			result = &tids->keys[i];
	}
	return narrays == 1 ? result : NULL;
}

/* Is a condition's array null, so that there are no rows? */
static bool
array_is_null(const VecsegTids *tids)
{
	int i;

	for (i = 0; i < tids->nkeys; i++)
	{
		if ((tids->keys[i].sk_flags & (SK_SEARCHARRAY | SK_ISNULL)) ==
			(SK_SEARCHARRAY | SK_ISNULL))
			return true;
	}
	return false;
}

/* Have an index scan for so many conditions and distances. */
static void
begin_index_scan(VecsegTids *tids, int nkeys, int norderbys)
{
	if (tids->scan != NULL && tids->scan->numberOfKeys == nkeys)
		return;
	if (tids->scan != NULL)
		index_endscan(tids->scan);
	tids->scan = index_beginscan(tids->heap, tids->index, tids->snapshot, NULL,
								 nkeys, norderbys);
}

static void
empty_queue(VecsegTids *tids)
{
	tids->exhausted = false;
	tids->first = tids->count = tids->low_water = 0;
	tids->heap_prefetched = 0;
	tids->heap_block = InvalidBlockNumber;
	tids->batch = 1;
}

/*
 * Start from the beginning, in the order of these distances.  expected: as
 * many addresses are needed; 0 if that is not known.
 */
void
vecseg_tids_start_search(VecsegTids *tids, ScanKey orderbys, int norderbys,
						 int expected)
{
	begin_index_scan(tids, 0, norderbys);
	empty_queue(tids);
	tids->norderbys = norderbys;
	tids->expected = expected;
	index_rescan(tids->scan, NULL, 0, orderbys, norderbys);
}

/*
 * Start from the beginning with these conditions, which must stay as they
 * are.  asked_order: in the order of the array in a condition = ANY (array)
 * on the first column, of which the index must be unique.  eager: all rows will
 * be wanted.
 */
void
vecseg_tids_start(VecsegTids *tids, ScanKey keys, int nkeys, bool asked_order,
				  bool eager)
{
	MemoryContext oldcontext;
	ScanKey array_key;

	begin_index_scan(tids, nkeys, 0);
	empty_queue(tids);
	tids->eager = eager;
	if (eager)
		tids->batch = EAGER_BATCH;
	MemoryContextReset(tids->context);
	oldcontext = MemoryContextSwitchTo(tids->context);
	tids->keys = palloc(Max(nkeys, 1) * sizeof(ScanKeyData));
	memcpy(tids->keys, keys, nkeys * sizeof(ScanKeyData));
	tids->nkeys = nkeys;
	tids->walk = NULL;
	tids->walk_begun = false;
	tids->set = NULL;
	tids->asked = NULL;
	tids->batch_keys = NULL;
	tids->next_key = 0;
	tids->prefetched = 0;
	tids->in_key = false;

	array_key = find_array_key(tids);
	if (array_key != NULL)
		start_array(tids, array_key, asked_order);
	else if (asked_order && !array_is_null(tids))
		elog(ERROR, "no array gives the order of the scan");
	else
		index_rescan(tids->scan, tids->keys, tids->nkeys, NULL, 0);
	MemoryContextSwitchTo(oldcontext);
}

static void
put(VecsegTids *tids, ItemPointer tid, int position)
{
	Address *address;

	if (tids->first + tids->count == tids->max)
	{
		tids->max *= 2;
		tids->queue = repalloc_huge(tids->queue, tids->max * sizeof(Address));
	}
	address = &tids->queue[tids->first + tids->count++];
	address->tid = *tid;
	address->timed = false;
	address->position = position;
}

static ItemPointer
next_from_index(VecsegTids *tids)
{
	CHECK_FOR_INTERRUPTS();
	if (tids->window != NULL)
		vecseg_window_keep_reading(tids->window);
	return index_getnext_tid(tids->scan, tids->direction);
}

/* Where a key of the set comes in the index, among the others */
static int
rank_of_key(const VecsegTids *tids, int key)
{
	return index_descends(tids) ? tids->set->nkeys - 1 - key : key;
}

/* Put the address of a key's row: of its versions, at most one is visible. */
static void
put_row(VecsegTids *tids, int key, int position)
{
	ItemPointerData *found;
	int nfound;
	int i;

	CHECK_FOR_INTERRUPTS();
	if (tids->window != NULL)
		vecseg_window_keep_reading(tids->window);
	nfound = vecseg_lookup_find(tids->lookup, rank_of_key(tids, key),
								tids->set->values[key], &found);
	for (i = 0; i < nfound; i++)
		put(tids, &found[i], position);
}

/* Put the next address of the key that the index scan is on, if there is one. */
static void
put_next(VecsegTids *tids, int position)
{
	ItemPointer tid = next_from_index(tids);

	tids->in_key = tid != NULL;
	if (tid != NULL)
		put(tids, tid, position);
}

/*
 * Look up a key of the set and put its addresses; of those for which an index
 * scan is needed, just the first.
 */
static void
put_key(VecsegTids *tids, int key, int position)
{
	instr_time start;

	if (tids->timed[key])
		INSTR_TIME_SET_CURRENT(start);
	if (tids->unique)
		put_row(tids, key, position);
	else
	{
		tids->array_key->sk_argument = tids->set->values[key];
		index_rescan(tids->scan, tids->keys, tids->nkeys, NULL, 0);
		put_next(tids, position);
	}
	if (tids->timed[key])
		vecseg_watch_note(&tids->leaf_watch, start);
}

/* Prefetch leaf pages ahead of a range scan. */
static void
walk_leaves(VecsegTids *tids)
{
	BTScanOpaque so = (BTScanOpaque) tids->scan->opaque;

	if (!tids->prefetch || tids->batch < MIN_WALK_BATCH ||
		!BTScanPosIsValid(so->currPos))
		return;
	if (!tids->walk_begun)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(tids->context);

		tids->walk = vecseg_leaf_walk_begin(tids->index, tids->keys,
											tids->nkeys, tids->direction);
		tids->walk_begun = true;
		MemoryContextSwitchTo(oldcontext);
	}
	if (tids->walk != NULL)
		vecseg_leaf_walk_advance(tids->walk, so->currPos.currPage);
}

static void
load_search(VecsegTids *tids)
{
	int wanted = tids->batch;
	int n;

	if (tids->expected > 0)
	{
		wanted = Min(tids->expected, MAX_SEARCH_BATCH);
		tids->expected -= wanted;
	}
	else
		tids->batch = Min(tids->batch * 2, MAX_SEARCH_BATCH);
	for (n = 0; n < wanted && !tids->exhausted; n++)
	{
		ItemPointer tid = next_from_index(tids);

		if (tid == NULL)
			tids->exhausted = true;
		else if (tids->scan->xs_recheck || tids->scan->xs_recheckorderby)
			elog(ERROR, "index \"%s\" orders by distance only roughly",
				 RelationGetRelationName(tids->index));
		else
			put(tids, tid, 0);
	}
}

static void
load_range(VecsegTids *tids)
{
	int n;

	walk_leaves(tids);
	for (n = 0; n < tids->batch; n++)
	{
		ItemPointer tid = next_from_index(tids);

		if (tid == NULL)
		{
			tids->exhausted = true;
			return;
		}
		put(tids, tid, 0);
	}
}

/* Number in the set of the key to be processed as the i-th, in index order */
static int
key_in_index_order(const VecsegTids *tids, int i)
{
	return ascending(tids) ? i : tids->set->nkeys - 1 - i;
}

/* Have the leaf page of a key of the set read, unless it seems in memory. */
static void
want_leaf(VecsegTids *tids, int key)
{
	BlockNumber leaf;

	CHECK_FOR_INTERRUPTS();
	if (!vecseg_watch_wants_prefetch(&tids->leaf_watch, &tids->timed[key]))
		return;
	if (tids->window != NULL)
		vecseg_window_keep_reading(tids->window);
	leaf = vecseg_lookup_leaf(tids->lookup, rank_of_key(tids, key),
							  tids->set->values[key]);
	if (BlockNumberIsValid(leaf))
		vecseg_pages_add(tids->leaf_pages, leaf);
}

/*
 * Prefetch the leaf pages of the keys to come.  keys: their numbers in the
 * order of processing, NULL for the index order; next: the one to be looked up
 * next; end: of the batch.
 */
static void
prefetch_leaves(VecsegTids *tids, const int *keys, int next, int end)
{
	int until = Min(next + PAGES_AHEAD, end);

	tids->prefetched = Max(tids->prefetched, next);
	if (!tids->prefetch || end < 2 ||
		tids->prefetched >= Min(next + PAGES_AHEAD / 2, end))
		return;
	for (; tids->prefetched < until; tids->prefetched++)
		want_leaf(tids, keys != NULL
							? keys[tids->prefetched]
							: key_in_index_order(tids, tids->prefetched));
	vecseg_pages_prefetch(tids->leaf_pages);
}

static void
load_keys_in_index_order(VecsegTids *tids)
{
	int end = Min(tids->next_key + tids->batch, tids->set->nkeys);
	int until = tids->count + tids->batch;

	while (tids->count < until)
	{
		if (tids->in_key)
			put_next(tids, 0);
		else if (tids->next_key == tids->set->nkeys)
		{
			tids->exhausted = true;
			return;
		}
		else
		{
			if (tids->next_key < end)
				prefetch_leaves(tids, NULL, tids->next_key, end);
			put_key(tids, key_in_index_order(tids, tids->next_key++), 0);
		}
	}
}

static int
compare_ints(const void *a, const void *b)
{
	int left = *(const int *) a;
	int right = *(const int *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

static int
compare_addresses(const void *a, const void *b)
{
	const Address *left = (const Address *) a;
	const Address *right = (const Address *) b;

	if (left->position != right->position)
		return left->position < right->position ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &left->tid,
							  (ItemPointer) &right->tid);
}

/* Take the next keys in the order asked for, sorted in index order. */
static void
take_batch_of_keys(VecsegTids *tids)
{
	int n = Min(tids->batch, tids->set->nkeys - tids->next_key);

	tids->batch_keys =
		MemoryContextAlloc(tids->context, Max(n, 1) * sizeof(int));
	memcpy(tids->batch_keys, tids->asked + tids->next_key, n * sizeof(int));
	qsort(tids->batch_keys, n, sizeof(int), compare_ints);
	tids->nbatch_keys = n;
	tids->next_key += n;
	tids->prefetched = 0;
}

static void
load_keys_in_asked_order(VecsegTids *tids)
{
	int before = tids->count;
	int i;

	if (tids->batch_keys == NULL)
		take_batch_of_keys(tids);
	for (i = 0; i < tids->nbatch_keys; i++)
	{
		int key = tids->batch_keys[i];
		int position = tids->set->positions[key];

		prefetch_leaves(tids, tids->batch_keys, i, tids->nbatch_keys);
		put_key(tids, key, position);
		while (tids->in_key)
			put_next(tids, position);
	}
	qsort(tids->queue + before, tids->count - before, sizeof(Address),
		  compare_addresses);
	tids->exhausted = tids->next_key == tids->set->nkeys;
	pfree(tids->batch_keys);
	tids->batch_keys = NULL;
}

/* Prefetch the leaf pages of the next batch while rows of this one are read. */
static void
prefetch_next_batch(VecsegTids *tids)
{
	if (tids->exhausted || tids->batch < MIN_WALK_BATCH)
		return;
	if (tids->asked != NULL)
	{
		take_batch_of_keys(tids);
		prefetch_leaves(tids, tids->batch_keys, 0, tids->nbatch_keys);
	}
	else
		prefetch_leaves(tids, NULL, tids->next_key,
						Min(tids->next_key + tids->batch, tids->set->nkeys));
}

/* Prefetch the heap pages of addresses in the queue, if they seem not cached. */
static void
prefetch_heap(VecsegTids *tids)
{
	int until = Min(tids->count, PAGES_AHEAD);

	if (!tids->prefetch || tids->count < 2 ||
		tids->heap_prefetched >= Min(tids->count, PAGES_AHEAD / 2))
		return;
	for (; tids->heap_prefetched < until; tids->heap_prefetched++)
	{
		Address *address = &tids->queue[tids->first + tids->heap_prefetched];
		BlockNumber block = ItemPointerGetBlockNumber(&address->tid);

		if (block == tids->heap_block)
			continue;
		tids->heap_block = block;
		if (vecseg_watch_wants_prefetch(&tids->heap_watch, &address->timed))
			vecseg_pages_add(tids->heap_pages, block);
	}
	vecseg_pages_prefetch(tids->heap_pages);
}

/* Take the next batch from the index. */
static void
load(VecsegTids *tids)
{
	if (tids->first > 0)
		memmove(tids->queue, tids->queue + tids->first,
				tids->count * sizeof(Address));
	tids->first = 0;
	if (tids->norderbys > 0)
	{
		load_search(tids);
		return;
	}
	if (tids->set == NULL)
		load_range(tids);
	else if (tids->asked != NULL && tids->set->nkeys > 0)
		load_keys_in_asked_order(tids);
	else
		load_keys_in_index_order(tids);
	tids->low_water = tids->count / 2;
	tids->batch = Min(tids->batch * (tids->eager ? 4 : 2),
					  tids->set == NULL ? MAX_RANGE_BATCH : MAX_KEY_BATCH);
	if (tids->set != NULL)
	{
		vecseg_lookup_unpin(tids->lookup);
		prefetch_next_batch(tids);
	}
}

/*
 * Take the next address and fetch its row into the slot.  visible: whether
 * there is one that the snapshot sees.  position: where its key comes in the
 * array, when addresses come in the array's order.  False if there are no more
 * addresses.
 */
bool
vecseg_tids_fetch(VecsegTids *tids, TupleTableSlot *slot, bool *visible,
				  int *position)
{
	Address address;
	instr_time start;
	bool call_again = false;

	while (!tids->exhausted && tids->count <= tids->low_water)
	{
		load(tids);
		if (tids->count > 0)
			break;
	}
	if (tids->count == 0)
		return false;
	prefetch_heap(tids);
	address = tids->queue[tids->first++];
	tids->count--;
	tids->heap_prefetched = Max(tids->heap_prefetched - 1, 0);

	*position = address.position;
	if (address.timed)
		INSTR_TIME_SET_CURRENT(start);
	*visible = table_index_fetch_tuple(tids->scan->xs_heapfetch, &address.tid,
									   tids->snapshot, slot, &call_again, NULL);
	if (address.timed)
		vecseg_watch_note(&tids->heap_watch, start);
	return true;
}

void
vecseg_tids_end(VecsegTids *tids)
{
	if (tids->scan != NULL)
		index_endscan(tids->scan);
	MemoryContextDelete(tids->context);
	pfree(tids->queue);
	pfree(tids);
}
