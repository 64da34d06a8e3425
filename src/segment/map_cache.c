/*-------------------------------------------------------------------------
 *
 * map_cache.c
 *	  What the kernel has of a store's files in its page cache.
 *
 * All answers are guesses: pages may be gone, or have come, the next moment.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/map_internal.h"

/* Pages of which cachestat() is asked rather than mincore() */
#define CACHESTAT_PAGES 16

/*
 * So many equal answers of vecseg_map_resident() in succession, and it is asked
 * more seldom: for one value in a quarter of their number, which is counted up
 * to this
 */
#define SAMPLE_SURE 64
#define SAMPLE_MOST 256

/* Blocks that the kernel maps at a fault, by default: 64 kB */
#define FAULT_AROUND_BLOCKS ((64 * 1024) / BLCKSZ)

/* A large page: 2 MB */
#define LARGE_BLOCKS ((2 * 1024 * 1024) / BLCKSZ)

/* Of a file that lies large, so many pieces are looked at, ... */
#define LARGE_PROBES 8

/* ... at so many places each */
#define LARGE_PLACES 4

/*
 * Visits to a file after which it is looked at again, at least if it lies large and
 * at most; twice as many each time.  If its pages are small but mapped already,
 * which is as good, a look takes some 10 ms.
 */
#define NEXT_LOOK 4096
#define LAST_LOOK (64 * 1024)

#ifndef SYS_cachestat /* Linux 6.5; the same number on all processors */
#define SYS_cachestat 451
#endif

/*
 * How many pages of a range of a file does the kernel have?  -1 if it does not
 * tell: it is older than 6.5.
 */
static int64
count_cached_pages(const Window *window, BlockNumber block, uint32 nblocks)
{
	static bool refused = false;
	uint64 range[2];  /* struct cachestat_range: offset, length */
	uint64 result[5]; /* struct cachestat: first the pages in the cache */

	if (refused)
		return -1;
	range[0] = (uint64) (block % RELSEG_SIZE) * BLCKSZ;
	range[1] = (uint64) nblocks * BLCKSZ;
	refused = syscall(SYS_cachestat, window->fd, range, result, 0) != 0;
	return refused ? -1 : (int64) result[0];
}

/* Does mincore() find all these pages? */
static bool
all_in_core(char *address, size_t pages, size_t os_page)
{
	unsigned char vector[256];
	size_t i;

	while (pages > 0)
	{
		size_t n = Min(pages, lengthof(vector));

		if (mincore(address, n * os_page, vector) != 0)
			return false;
		for (i = 0; i < n; i++)
		{
			if ((vector[i] & 1) == 0)
				return false;
		}
		address += n * os_page;
		pages -= n;
	}
	return true;
}

/*
 * Are the blocks in the kernel's page cache?  They must lie in one file.
 *
 * Of many pages cachestat() asks in a fraction of the time of mincore(), which
 * looks up each.
 */
bool
vecseg_map_resident(VecsegMap *map, BlockNumber block, uint32 nblocks)
{
	size_t os_page = (size_t) sysconf(_SC_PAGESIZE);
	Window *window = vecseg_map_window(map, block);
	size_t pages;

	if (window == NULL)
		return false;
	pages = ((size_t) nblocks * BLCKSZ + os_page - 1) / os_page;
	if (pages >= CACHESTAT_PAGES)
	{
		int64 cached =
			count_cached_pages(window, block, pages * os_page / BLCKSZ);

		if (cached >= 0)
			return cached >= (int64) pages;
	}
	return all_in_core(vecseg_map_address(window, block), pages, os_page);
}

/*
 * Have resident blocks of one file mapped, by touching a byte here and there:
 * at a fault the kernel maps what lies around.
 */
void
vecseg_map_populate(VecsegMap *map, BlockNumber block, uint32 nblocks)
{
	uint32 i;
	char byte;

	for (i = 0; i < nblocks; i += FAULT_AROUND_BLOCKS)
	{
		if (!vecseg_map_copy(map, block + i, 0, 1, &byte))
			return;
	}
}

/* Note whether the kernel had what was asked for, or read without waiting. */
void
vecseg_map_note(VecsegResidency *sample, bool resident)
{
	sample->skipped = 0;
	sample->same =
		resident == sample->resident ? Min(sample->same + 1, SAMPLE_MOST) : 0;
	sample->resident = resident;
}

/* Is it a value for which the last answer will do? */
static bool
is_skipped(VecsegResidency *sample)
{
	return sample->same >= SAMPLE_SURE && ++sample->skipped < sample->same / 4;
}

/*
 * The same, for one of many blocks at random places: a system call is spent
 * on some of them only, once the answer has been the same for a while.
 */
bool
vecseg_map_sample(VecsegResidency *sample, VecsegMap *map, BlockNumber block,
				  uint32 nblocks)
{
	bool resident;

	if (is_skipped(sample))
		return sample->resident;
	resident = block / RELSEG_SIZE == (block + nblocks - 1) / RELSEG_SIZE &&
			   vecseg_map_resident(map, block, nblocks);
	vecseg_map_note(sample, resident);
	return resident;
}

/*
 * Are blocks worth a read that does not wait?  Such a read starts reading what
 * is not there, so mincore() is asked first until the answer has been "yes" for
 * a while: else values would be read twice.  Once it has been "no" for a while,
 * some values only are tried, as by vecseg_map_sample().
 */
bool
vecseg_map_may_be_cached(VecsegResidency *sample, VecsegMap *map,
						 BlockNumber block, uint32 nblocks)
{
	if (sample->resident && sample->same >= SAMPLE_SURE)
		return true;
	if (!sample->resident && is_skipped(sample))
		return false;
	if (vecseg_map_resident(map, block, nblocks))
		return true;
	vecseg_map_note(sample, false);
	return false;
}

/* Page faults of this process */
static int64
count_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (int64) usage.ru_minflt + usage.ru_majflt;
}

/* Does the kernel map a large page, which it has in its cache, at one fault? */
static bool
is_mapped_whole(const Window *window, BlockNumber block)
{
	int64 pages = LARGE_BLOCKS * (int64) BLCKSZ / sysconf(_SC_PAGESIZE);
	int64 faults;
	char byte;
	int i;

	if (count_cached_pages(window, block, LARGE_BLOCKS) < pages)
		return false;
	faults = count_faults();
	for (i = 0; i < LARGE_PLACES; i++)
	{
		if (!vecseg_map_copy(window->map,
							 block + i * (LARGE_BLOCKS / LARGE_PLACES), 0, 1,
							 &byte))
			return false;
	}
	return count_faults() - faults <= 1;
}

/*
 * Does the kernel have all of a file, and in large pages?  That it did before
 * need not be looked for again.
 */
static bool
look_at_file(const Window *window)
{
	BlockNumber start = window->number * (BlockNumber) RELSEG_SIZE;
	struct stat info;
	uint32 nlarge;
	uint32 i;

	if (fstat(window->fd, &info) != 0)
		return false;
	nlarge = info.st_size / BLCKSZ / LARGE_BLOCKS;
	if (nlarge < LARGE_PROBES)
		return false;
	for (i = 0; i < LARGE_PROBES && !window->large; i++)
	{
		uint32 probe = nlarge * (2 * i + 1) / (2 * LARGE_PROBES);

		if (!is_mapped_whole(window, start + probe * LARGE_BLOCKS))
			return false;
	}
	return count_cached_pages(window, start, info.st_size / BLCKSZ) >=
		   info.st_size / sysconf(_SC_PAGESIZE);
}

/*
 * Are values here and there of the file that a block is in better taken from
 * the mapping than read?  Counts the call as a visit.
 *
 * They are if the kernel has all of the file, in large pages: then a page fault
 * maps 2 MB, and soon there are none.  It depends on how the file came into the page
 * cache: by reading with a large readahead it does, by writing not.  In small
 * pages, most values would cost a page fault, and that more than a read.
 */
bool
vecseg_map_lies_large(VecsegMap *map, BlockNumber block)
{
	Window *window = vecseg_map_window(map, block);

	if (window == NULL)
		return false;
	if (++window->visits >= window->look_after)
	{
		window->large = look_at_file(window);
		window->visits = 0;
		window->look_after = Min(window->look_after * 2, LAST_LOOK);
		if (window->large)
			window->look_after = Max(window->look_after, NEXT_LOOK);
	}
	return window->large;
}

/* Let the kernel read blocks of one file, just these, in the background. */
void
vecseg_map_prefetch(VecsegMap *map, BlockNumber block, uint32 nblocks)
{
	Window *window = vecseg_map_window(map, block);

	if (window != NULL)
		(void) posix_fadvise(window->fd, (off_t) (block % RELSEG_SIZE) * BLCKSZ,
							 (off_t) nblocks * BLCKSZ, POSIX_FADV_WILLNEED);
}
