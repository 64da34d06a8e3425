/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Reading one value: what detoasting calls.
 *
 * A slot that a visible row refers to never changes, so its bytes are the
 * same in the shared buffer of its page and, once that has been written and
 * evicted, in the file.  The buffer table is asked first:
 *
 *   page in shared buffers      -> copy from the buffer (it may be newer than
 *                                  the file)
 *   not there                   -> the file is right: copy from the mapping
 *   mapping fails, or checksum  -> read through shared buffers, which retries
 *   does not match                 and raises the server's own errors
 *
 * The probe must come first: a page found absent was written out before its
 * buffer was given up, so what the file shows afterwards includes the slot.
 *
 * Every page that a value is copied from must be a data page: one of zeros,
 * as a lost write leaves behind, would be a piece of some vector otherwise.  Where
 * a reader has only part of a page, its header, or that of the value, must show
 * that it is not of zeros.
 *
 * A buffer is copied from under a share lock of its content.  What is written
 * beside our bytes would not need that, but replay, on a standby, does: it
 * restores a page that it logged as a whole in a buffer of zeros.  A file is
 * copied from as it is, while others may write the page to it: our bytes are
 * the same before and after, and a checksum that does not match is retried.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"

#include "compat.h"
#include "segment/checksum.h"
#include "segment/map.h"
#include "segment/read.h"
#include "segment/store.h"
#include "stats.h"

/*
 * A large value is prefetched in stretches: the kernel takes no more at a time
 * than the disk does, and tells of no more what it has.
 */
#define STRETCH_BYTES (512 * 1024)

/*
 * The shared buffer that the buffer table has for a block, or InvalidBuffer.
 * valid: if not NULL, set to whether the block has been read into it.
 */
static Buffer
find_buffer(Relation rel, BlockNumber block, bool *valid)
{
	BufferTag tag;
	uint32 hash;
	LWLock *partition;
	int id;

	InitBufferTag(&tag, &rel->rd_locator, MAIN_FORKNUM, block);
	hash = BufTableHashCode(&tag);
	partition = BufMappingPartitionLock(hash);
	LWLockAcquire(partition, LW_SHARED);
	id = BufTableLookup(&tag, hash);
	/* the lock keeps the buffer from being given to another block */
	if (valid != NULL)
		*valid = id >= 0 &&
				 (VECSEG_BUFFER_STATE(GetBufferDescriptor(id)) & BM_VALID) != 0;
	LWLockRelease(partition);
	return id + 1;
}

/* Does a valid shared buffer hold a block now? */
bool
vecseg_read_is_buffered(Relation rel, BlockNumber block)
{
	bool valid;

	(void) find_buffer(rel, block, &valid);
	return valid;
}

/*
 * The shared buffer for a block, or InvalidBuffer.  It is not pinned: it may
 * be another block's the next moment, or that block may still be being read.
 */
Buffer
vecseg_read_recent(Relation rel, BlockNumber block)
{
	return RelationUsesLocalBuffers(rel) ? InvalidBuffer
										 : find_buffer(rel, block, NULL);
}

/*
 * The same for many blocks: sets buffers[i] for blocks[i].  Those in one
 * partition of the buffer table are looked for under one lock, one after the
 * other.  Lookups wait for memory most of the time, and the processor has several
 * wait together if no lock is taken or released in between.
 */
void
vecseg_read_recent_many(Relation rel, const BlockNumber *blocks, int n,
						Buffer *buffers)
{
	uint32 *hashes = palloc(n * sizeof(uint32));
	int *order = palloc(n * sizeof(int)); /* by partition */
	int ends[NUM_BUFFER_PARTITIONS] = { 0 };
	BufferTag tag;
	int partition;
	int next = 0;
	int i;

	Assert(!RelationUsesLocalBuffers(rel));
	for (i = 0; i < n; i++)
	{
		InitBufferTag(&tag, &rel->rd_locator, MAIN_FORKNUM, blocks[i]);
		hashes[i] = BufTableHashCode(&tag);
		ends[BufTableHashPartition(hashes[i])]++;
	}
	for (partition = 1; partition < NUM_BUFFER_PARTITIONS; partition++)
		ends[partition] += ends[partition - 1];
	for (i = n - 1; i >= 0; i--)
		order[--ends[BufTableHashPartition(hashes[i])]] = i;
	while (next < n)
	{
		LWLock *lock = BufMappingPartitionLock(hashes[order[next]]);

		LWLockAcquire(lock, LW_SHARED);
		do
		{
			i = order[next++];
			InitBufferTag(&tag, &rel->rd_locator, MAIN_FORKNUM, blocks[i]);
			buffers[i] = BufTableLookup(&tag, hashes[i]) + 1;
		} while (next < n &&
				 BufMappingPartitionLock(hashes[order[next]]) == lock);
		LWLockRelease(lock);
	}
	pfree(order);
	pfree(hashes);
}

/* Pin the buffer of a block, which was in this one of late. */
Buffer
vecseg_read_pin_recent(Relation rel, BlockNumber block, Buffer recent)
{
	if (!ReadRecentBuffer(rel->rd_locator, MAIN_FORKNUM, block, recent))
		return ReadBuffer(rel, block);
	pgstat_count_buffer_read(rel);
	pgstat_count_buffer_hit(rel);
	return recent;
}

/*
 * Pin the buffer that holds a block, if there is one now; else, when the file
 * holds it, return InvalidBuffer.
 */
Buffer
vecseg_read_pin(Relation rel, BlockNumber block)
{
	Buffer buffer;

	if (RelationUsesLocalBuffers(rel))
		return ReadBuffer(rel, block);
	buffer = vecseg_read_recent(rel, block);
	return BufferIsValid(buffer) ? vecseg_read_pin_recent(rel, block, buffer)
								 : InvalidBuffer;
}

/* Copy bytes of a block from its buffer, and unpin that. */
void
vecseg_read_pinned(Relation rel, Buffer buffer, BlockNumber block,
				   uint32 offset, uint32 length, char *result)
{
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	vecseg_store_check_page(rel, BufferGetPage(buffer), block,
							VECSEG_PAGE_DATA);
	memcpy(result, (char *) BufferGetPage(buffer) + offset, length);
	UnlockReleaseBuffer(buffer);
}

/* Copy bytes of a block through shared buffers; raises the usual errors. */
void
vecseg_read_buffered(Relation rel, BlockNumber block, uint32 offset,
					 uint32 length, char *result)
{
	vecseg_read_pinned(rel, ReadBuffer(rel, block), block, offset, length,
					   result);
}

/* Is the checksum of a page of the file right, in a cluster that has them? */
bool
vecseg_read_checksum_ok(const char *page, BlockNumber block)
{
	return !DataChecksumsNeedVerify() ||
		   vecseg_page_checksum(page, block) ==
			   ((const PageHeaderData *) page)->pd_checksum;
}

/*
 * Is a page of the file a sound data page?  The checksum is verified in a
 * cluster that has them.
 */
bool
vecseg_read_page_ok(const char *page, BlockNumber block)
{
	return vecseg_page_is_data(VecsegPageGetOpaque(page)) &&
		   vecseg_read_checksum_ok(page, block);
}

/*
 * Copy bytes of a block; true if they were in shared buffers.  A large value has
 * many blocks: a cancel is noticed between them.
 */
bool
vecseg_read_piece(Relation rel, VecsegStore *store, BlockNumber block,
				  uint32 offset, uint32 length, char *result)
{
	Buffer buffer;

	CHECK_FOR_INTERRUPTS();
	buffer = vecseg_read_pin(rel, block);
	if (BufferIsValid(buffer))
	{
		vecseg_read_pinned(rel, buffer, block, offset, length, result);
		return true;
	}
	if (store->map == NULL)
		store->map = vecseg_map_open(rel);
	if (block < store->nblocks &&
		vecseg_map_check(store->map, block, vecseg_read_page_ok) &&
		vecseg_map_copy(store->map, block, offset, length, result))
		return false;
	vecseg_read_buffered(rel, block, offset, length, result);
	return false;
}

/*
 * Copy bytes of a segment's data, from a position on.  Returns true if all of
 * them were in shared buffers.
 */
static bool
read_bytes(Relation rel, VecsegStore *store, const VecsegSegmentEntry *entry,
		   uint64 position, uint32 length, char *result)
{
	bool shared = true;

	while (length > 0)
	{
		BlockNumber block;
		uint32 offset;
		uint32 piece;

		vecseg_locate(entry, position, &block, &offset);
		piece = Min(length, BLCKSZ - sizeof(VecsegPageOpaque) - offset);
		shared &= vecseg_read_piece(rel, store, block, offset, piece, result);
		position += piece;
		result += piece;
		length -= piece;
	}
	return shared;
}

/* Raise the error for a slot that does not hold the value expected there. */
void
vecseg_read_damaged(Relation rel, uint32 value, uint32 expected, uint32 found)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("value %u in segment relation \"%s\" is damaged", value,
					RelationGetRelationName(rel)),
			 errdetail("Its slot starts with %08X where %08X was expected.",
					   found, expected),
			 errhint(VECSEG_DAMAGED_VALUE_HINT)));
}

/*
 * Position of a value in its segment's data.  Raises an error when a value
 * of that size cannot be there.
 */
uint64
vecseg_read_position(Relation rel, const VecsegSegmentEntry *entry,
					 uint32 value, uint32 size)
{
	if (size > entry->slot_size)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("value %u in segment relation \"%s\" is damaged", value,
					RelationGetRelationName(rel)),
			 errdetail("A value of %u bytes does not fit its slot of %u bytes.",
					   size, entry->slot_size),
			 errhint(VECSEG_DAMAGED_VALUE_HINT)));
	return (uint64) (value - entry->first_value) * entry->slot_size;
}

/*
 * Have the kernel read the pages of a value that it does not have; otherwise
 * copying from the mapping would make it read much more around them.
 */
static void
prefetch_absent(Relation rel, VecsegStore *store,
				const VecsegSegmentEntry *entry, uint64 position, uint32 length)
{
	BlockNumber first;
	BlockNumber last;
	uint32 unused;

	if (RelationUsesLocalBuffers(rel))
		return;
	if (store->map == NULL)
		store->map = vecseg_map_open(rel);
	vecseg_locate(entry, position, &first, &unused);
	vecseg_locate(entry, position + length - 1, &last, &unused);
	if (last < store->nblocks &&
		!vecseg_map_sample(&store->residency, store->map, first,
						   last - first + 1))
		vecseg_map_prefetch(store->map, first, last - first + 1);
}

/*
 * Read part of a value's image.
 *
 * header: the first four bytes that the image must have (the varlena
 * header); size: of the whole image; offset, length: the bytes wanted.
 * Raises ERRCODE_DATA_CORRUPTED when the slot holds something else.
 */
void
vecseg_read_slice(Relation rel, uint32 value, uint32 header, uint32 size,
				  uint32 offset, uint32 length, char *result)
{
	VecsegStore *store = vecseg_store_open(rel);
	const VecsegSegmentEntry *entry = vecseg_store_find(rel, store, value);
	uint64 position = vecseg_read_position(rel, entry, value, size);
	bool shared = true;
	uint32 done;
	uint32 found;

	for (done = 0; done < length; done += Min(length - done, STRETCH_BYTES))
	{
		uint64 from = position + offset + done;
		uint32 stretch = Min(length - done, STRETCH_BYTES);

		prefetch_absent(rel, store, entry, from, stretch);
		shared &= read_bytes(rel, store, entry, from, stretch, result + done);
	}
	vecseg_stats_count_single(shared);
	if (offset == 0 && length >= sizeof(found))
		memcpy(&found, result, sizeof(found));
	else
		read_bytes(rel, store, entry, position, sizeof(found), (char *) &found);
	if (found != header)
		vecseg_read_damaged(rel, value, header, found);
}

/*
 * The compression header (raw size and method, va_tcinfo) of a value's
 * image.  Returns false when the value is not compressed.
 */
bool
vecseg_read_compressed_info(Relation rel, uint32 value, uint32 *tcinfo)
{
	VecsegStore *store = vecseg_store_open(rel);
	const VecsegSegmentEntry *entry = vecseg_store_find(rel, store, value);
	uint64 position = vecseg_read_position(rel, entry, value, 0);
	uint32 head[2];

	read_bytes(rel, store, entry, position, sizeof(head), (char *) head);
	*tcinfo = head[1];
	return VARATT_IS_4B_C(head);
}
