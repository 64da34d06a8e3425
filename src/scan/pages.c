/*-------------------------------------------------------------------------
 *
 * pages.c
 *	  Prefetching many pages of a relation, in few requests.
 *
 * The server asks the kernel for one page at a time.  Pages that many keys
 * lead to, of an index or of a heap, lie close together: neighbours, and those
 * with a page or two between them, are asked for at once.  A disk that is asked
 * at random for pages close together is limited by the number of requests, and
 * reads a few more pages for nothing.
 *
 * All of this is a hint, like the server's own prefetching.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>

#include "common/relpath.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "storage/smgr.h"
#include "utils/rel.h"

#include "compat.h"
#include "scan/custom.h"
#include "segment/read.h"

/* Fewer pages are asked for one by one. */
#define MIN_PAGES 16

/* Pages between two of which one request is made, and in a request, at most */
#define MAX_GAP 2
#define MAX_RUN ((256 * 1024) / BLCKSZ)

struct VecsegPages
{
	Relation rel;
	BlockNumber last; /* wanted */
	int nblocks;
	int max_blocks;
	BlockNumber *blocks; /* wanted, then those to be asked for */
	Buffer **buffers;	 /* where to put what buffers they are in */
};

VecsegPages *
vecseg_pages_create(Relation rel)
{
	VecsegPages *pages = palloc(sizeof(VecsegPages));

	pages->rel = rel;
	pages->last = InvalidBlockNumber;
	pages->nblocks = 0;
	pages->max_blocks = 64;
	pages->blocks = palloc(pages->max_blocks * sizeof(BlockNumber));
	pages->buffers = palloc(pages->max_blocks * sizeof(Buffer *));
	return pages;
}

/*
 * A page will be needed: have vecseg_pages_prefetch() set *buffer as
 * vecseg_read_recent() does, and ask for the page if it is in none.  If it was
 * wanted last, that was enough.
 */
void
vecseg_pages_want(VecsegPages *pages, BlockNumber block, Buffer *buffer)
{
	if (block == pages->last)
		return;
	pages->last = block;
	if (pages->nblocks == pages->max_blocks)
	{
		pages->max_blocks *= 2;
		pages->blocks =
			repalloc(pages->blocks, pages->max_blocks * sizeof(BlockNumber));
		pages->buffers =
			repalloc(pages->buffers, pages->max_blocks * sizeof(Buffer *));
	}
	pages->blocks[pages->nblocks] = block;
	pages->buffers[pages->nblocks++] = buffer;
}

/* Leave those that are in no shared buffer. */
static void
find_buffers(VecsegPages *pages)
{
	Buffer *found = palloc(pages->nblocks * sizeof(Buffer));
	int nabsent = 0;
	int i;

	vecseg_read_recent_many(pages->rel, pages->blocks, pages->nblocks, found);
	for (i = 0; i < pages->nblocks; i++)
	{
		*pages->buffers[i] = found[i];
		if (!BufferIsValid(found[i]))
			pages->blocks[nabsent++] = pages->blocks[i];
	}
	pages->nblocks = nabsent;
	pfree(found);
}

static void
prefetch_one_by_one(VecsegPages *pages)
{
	int i;

	for (i = 0; i < pages->nblocks; i++)
		PrefetchBuffer(pages->rel, MAIN_FORKNUM, pages->blocks[i]);
}

static int
compare_blocks(const void *a, const void *b)
{
	BlockNumber left = *(const BlockNumber *) a;
	BlockNumber right = *(const BlockNumber *) b;

	return left < right ? -1 : left > right;
}

/* Leave each of them once, ascending. */
static void
reduce(VecsegPages *pages)
{
	BlockNumber last = InvalidBlockNumber;
	int n = 0;
	int i;

	qsort(pages->blocks, pages->nblocks, sizeof(BlockNumber), compare_blocks);
	for (i = 0; i < pages->nblocks; i++)
	{
		BlockNumber block = pages->blocks[i];

		if (block != last)
			pages->blocks[n++] = last = block;
	}
	pages->nblocks = n;
}

/* Open the file of the relation that a block is in; -1 if that fails. */
static int
open_file(Relation rel, BlockNumber block)
{
	RelFileLocatorBackend locator = RelationGetSmgr(rel)->smgr_rlocator;
	char *first = VECSEG_RELPATH(locator, MAIN_FORKNUM);
	int number = block / RELSEG_SIZE;
	char *path =
		number == 0 ? pstrdup(first) : psprintf("%s.%d", first, number);
	int fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);

	pfree(path);
	pfree(first);
	return fd;
}

/* How many of the blocks from the i-th on belong into one request */
static int
run_length(const VecsegPages *pages, int i)
{
	BlockNumber start = pages->blocks[i];
	int n = 1;

	while (i + n < pages->nblocks &&
		   pages->blocks[i + n] - pages->blocks[i + n - 1] <= MAX_GAP + 1 &&
		   pages->blocks[i + n] - start < MAX_RUN &&
		   pages->blocks[i + n] / RELSEG_SIZE == start / RELSEG_SIZE)
		n++;
	return n;
}

static void
prefetch_runs(VecsegPages *pages)
{
	int fd = -1;
	BlockNumber number = InvalidBlockNumber; /* of the file that fd is of */
	int i = 0;

	while (i < pages->nblocks)
	{
		BlockNumber start = pages->blocks[i];
		int n = run_length(pages, i);
		BlockNumber end = pages->blocks[i + n - 1] + 1;

		if (start / RELSEG_SIZE != number)
		{
			if (fd >= 0)
				CloseTransientFile(fd);
			fd = open_file(pages->rel, start);
			number = start / RELSEG_SIZE;
		}
		if (fd >= 0)
			(void) posix_fadvise(fd, (off_t) (start % RELSEG_SIZE) * BLCKSZ,
								 (off_t) (end - start) * BLCKSZ,
								 POSIX_FADV_WILLNEED);
		i += n;
	}
	if (fd >= 0)
		CloseTransientFile(fd);
}

/* Ask for the pages that are wanted. */
void
vecseg_pages_prefetch(VecsegPages *pages)
{
	if (pages->nblocks > 0 && !RelationUsesLocalBuffers(pages->rel))
		find_buffers(pages);
	if (pages->nblocks < MIN_PAGES || RelationUsesLocalBuffers(pages->rel) ||
		VECSEG_SERVER_READS_DIRECTLY())
		prefetch_one_by_one(pages);
	else
	{
		reduce(pages);
		prefetch_runs(pages);
	}
	pages->nblocks = 0;
}
