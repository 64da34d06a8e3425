/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The backend's cache of segment directories.
 *
 * A directory entry, once written, keeps describing the same value ids, so a
 * cached copy answers lookups without touching a page.  An id beyond the
 * cached entries means that segments were added: the directory is read
 * again.  Relation-cache invalidation marks the entry stale; its directory is
 * then read anew, at the next vecseg_store_open().
 *
 * The mapping belongs to a file, by its locator.  It is closed when the
 * relation got another one (truncate, rewrite), and when a stale entry may be
 * that of a dropped relation, so that the space of deleted files is not held;
 * not while readers have reads in flight on it.
 *
 * Locking: the meta page and directory pages are read under a share lock.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "segment/map.h"
#include "segment/space.h"
#include "segment/store.h"

static HTAB *stores = NULL;
static MemoryContext stores_context = NULL;
static bool any_stale = false;
static VecsegStore *last_opened = NULL; /* entries are never removed */

/* Relation-cache invalidation: relid is InvalidOid for all relations. */
static void
mark_stale(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	VecsegStore *store;

	any_stale = true;
	if (OidIsValid(relid))
	{
		store = hash_search(stores, &relid, HASH_FIND, NULL);
		if (store != NULL)
			store->stale = true;
		return;
	}
	hash_seq_init(&scan, stores);
	while ((store = hash_seq_search(&scan)) != NULL)
		store->stale = true;
}

/* At the end of a transaction no reader is left, even if an error lost it. */
static void
forget_readers(XactEvent event, void *arg)
{
	HASH_SEQ_STATUS scan;
	VecsegStore *store;

	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE ||
		event == XACT_EVENT_PARALLEL_PRE_COMMIT)
		return;
	hash_seq_init(&scan, stores);
	while ((store = hash_seq_search(&scan)) != NULL)
		store->readers = 0;
	vecseg_map_unpin_all();
	vecseg_space_forget_retired();
}

static void
create_cache(void)
{
	HASHCTL ctl;

	stores_context = AllocSetContextCreate(CacheMemoryContext, "vecseg stores",
										   ALLOCSET_DEFAULT_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(VecsegStore);
	ctl.hcxt = stores_context;
	stores = hash_create("vecseg stores", 16, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(mark_stale, (Datum) 0);
	RegisterXactCallback(forget_readers, NULL);
}

static void
forget_directory(VecsegStore *store)
{
	vecseg_classes_forget(store);
	if (store->entries != NULL)
		pfree(store->entries);
	store->entries = NULL;
	store->nsegments = 0;
	store->last_found = 0;
	store->nblocks = 0;
	store->stale = false;
}

static void
reset_store(VecsegStore *store)
{
	forget_directory(store);
	if (store->map != NULL)
		vecseg_map_close(store->map);
	store->map = NULL;
}

/* Close the mappings of stale stores, but for one, and those being read. */
static void
release_stale_maps(const VecsegStore *except)
{
	HASH_SEQ_STATUS scan;
	VecsegStore *store;

	any_stale = false;
	hash_seq_init(&scan, stores);
	while ((store = hash_seq_search(&scan)) != NULL)
	{
		if (store == except || !store->stale)
			continue;
		if (store->readers > 0)
			any_stale = true;
		else
			reset_store(store);
	}
}

/* The cache entry of a segment relation, valid for its current file. */
VecsegStore *
vecseg_store_open(Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	VecsegStore *store;
	bool found;

	if (last_opened != NULL && last_opened->relid == relid && !any_stale &&
		!last_opened->stale &&
		RelFileLocatorEquals(last_opened->locator, rel->rd_locator))
		return last_opened;

	if (stores == NULL)
		create_cache();
	store = hash_search(stores, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) store + sizeof(Oid), 0,
			   sizeof(VecsegStore) - sizeof(Oid));
		store->locator = rel->rd_locator;
	}
	if (any_stale)
		release_stale_maps(store);
	if (!RelFileLocatorEquals(store->locator, rel->rd_locator))
	{
		reset_store(store);
		store->locator = rel->rd_locator;
	}
	else if (store->stale)
		forget_directory(store);
	last_opened = store;
	return store;
}

/* Forget what is known of a relation whose file was truncated in place. */
void
vecseg_store_forget(Relation rel)
{
	reset_store(vecseg_store_open(rel));
}

/* Refuse what another version of vecseg wrote in another format. */
static void
refuse_other_version(Relation rel, Page page)
{
	int version = vecseg_page_other_version(page);

	if (version != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version mismatch in segment relation \"%s\": file "
						"version %d, this library's version %d",
						RelationGetRelationName(rel), version,
						VECSEG_FORMAT_VERSION),
				 errhint("Install the version of vecseg that wrote it, or a "
						 "later one.")));
}

/* Raise ERRCODE_DATA_CORRUPTED unless a page is of the expected kind. */
void
vecseg_store_check_page(Relation rel, Page page, BlockNumber block,
						VecsegPageKind kind)
{
	const char *problem = vecseg_page_problem(page, kind);

	if (problem == NULL)
		return;
	refuse_other_version(rel, page);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid page in block %u of segment relation \"%s\"",
					block, RelationGetRelationName(rel)),
			 errdetail("The %s.", problem),
			 errhint("Restore the table from a backup or a standby server.")));
}

/* Pin and lock a page, and check that it is of the expected kind. */
Buffer
vecseg_store_read_page(Relation rel, BlockNumber block, int lock_mode,
					   VecsegPageKind kind)
{
	Buffer buffer = ReadBuffer(rel, block);

	LockBuffer(buffer, lock_mode);
	vecseg_store_check_page(rel, BufferGetPage(buffer), block, kind);
	return buffer;
}

/* Number of slots allocated in a segment, from its segment page */
uint32
vecseg_store_slots_used(Relation rel, const VecsegSegmentEntry *entry)
{
	Buffer buffer = vecseg_store_read_page(
		rel, entry->first_block, BUFFER_LOCK_SHARE, VECSEG_PAGE_SEGMENT);
	uint32 result = VecsegPageGetSlotMap(BufferGetPage(buffer))->nused;

	UnlockReleaseBuffer(buffer);
	return result;
}

static void
copy_directory_page(Relation rel, BlockNumber block,
					VecsegSegmentEntry *entries, uint32 count)
{
	Buffer buffer = vecseg_store_read_page(rel, block, BUFFER_LOCK_SHARE,
										   VECSEG_PAGE_DIRECTORY);

	memcpy(entries, VecsegPageGetEntries(BufferGetPage(buffer)),
		   count * sizeof(VecsegSegmentEntry));
	UnlockReleaseBuffer(buffer);
}

/*
 * The directory's pages, and the number of its entries, from the meta page.
 * NULL if that is only being added by another backend, or a crash came before
 * it was.
 */
static BlockNumber *
copy_directory_pages(Relation rel, const VecsegStore *store, uint32 *nsegments)
{
	Buffer buffer = ReadBuffer(rel, VECSEG_META_BLOCK);
	VecsegMeta *meta = VecsegPageGetMeta(BufferGetPage(buffer));
	Size bytes;
	BlockNumber *pages;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (store->nblocks == 1 && PageIsNew(BufferGetPage(buffer)))
	{
		UnlockReleaseBuffer(buffer);
		return NULL;
	}
	vecseg_store_check_page(rel, BufferGetPage(buffer), VECSEG_META_BLOCK,
							VECSEG_PAGE_META);
	bytes = meta->ndirectory * sizeof(BlockNumber);
	pages = palloc(Max(bytes, 1));
	*nsegments = meta->nsegments;
	memcpy(pages, meta->directory, bytes);
	UnlockReleaseBuffer(buffer);
	return pages;
}

/* Read the whole directory into the cache. */
void
vecseg_store_refresh(Relation rel, VecsegStore *store)
{
	VecsegSegmentEntry *entries;
	BlockNumber *pages;
	bool in_recovery = RecoveryInProgress();
	uint32 nsegments;
	uint32 i;

	vecseg_classes_forget(store);
	store->nblocks = RelationGetNumberOfBlocks(rel);
	pages = store->nblocks == 0 ? NULL
								: copy_directory_pages(rel, store, &nsegments);
	if (pages == NULL)
	{
		store->nsegments = 0;
		store->read_in_recovery = in_recovery;
		return;
	}
	entries = MemoryContextAlloc(
		stores_context, Max(nsegments, 1) * sizeof(VecsegSegmentEntry));
	for (i = 0; i * VECSEG_ENTRIES_PER_PAGE < nsegments; i++)
	{
		uint32 done = i * VECSEG_ENTRIES_PER_PAGE;

		copy_directory_page(rel, pages[i], entries + done,
							Min(nsegments - done, VECSEG_ENTRIES_PER_PAGE));
	}
	pfree(pages);

	if (store->entries != NULL)
		pfree(store->entries);
	store->entries = entries;
	store->nsegments = nsegments;
	store->read_in_recovery = in_recovery;
	store->last_found = 0;
}

static const VecsegSegmentEntry *
search_directory(VecsegStore *store, uint32 value)
{
	return vecseg_directory_search(store->entries, store->nsegments,
								   &store->last_found, value);
}

/* The segment that holds a value; NULL if there is none. */
const VecsegSegmentEntry *
vecseg_store_lookup(Relation rel, VecsegStore *store, uint32 value)
{
	const VecsegSegmentEntry *entry = search_directory(store, value);

	if (entry == NULL)
	{
		vecseg_store_refresh(rel, store);
		entry = search_directory(store, value);
	}
	return entry;
}

/*
 * The segment that holds a value.  Raises ERRCODE_DATA_CORRUPTED when there
 * is none: a reference to a value that was never stored.
 */
const VecsegSegmentEntry *
vecseg_store_find(Relation rel, VecsegStore *store, uint32 value)
{
	const VecsegSegmentEntry *entry = vecseg_store_lookup(rel, store, value);

	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("value %u does not exist in segment relation \"%s\"",
						value, RelationGetRelationName(rel)),
				 errdetail("No segment of the relation holds that value."),
				 errhint(VECSEG_DAMAGED_VALUE_HINT)));
	if (entry->first_block + entry->nblocks > store->nblocks)
		store->nblocks = RelationGetNumberOfBlocks(rel);
	return entry;
}
