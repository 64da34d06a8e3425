/*-------------------------------------------------------------------------
 *
 * map.c
 *	  A store's files: mapped read-only, and as descriptors for io_uring.
 *	  map_cache.c is about what the kernel has of them.
 *
 * Each 1 GB file of the relation is mapped as one window over its full
 * possible length, so a mapping stays good while the file grows; access is
 * bounded by the relation's size, which the caller knows.  The mapping is
 * read-only: a stray pointer cannot damage a vector.
 *
 * A page of a mapping that the kernel cannot supply (file truncated by
 * another program, disk error) raises SIGBUS.  vecseg_map_check() and
 * vecseg_map_copy() catch it and return false; the caller then reads the page
 * through shared buffers, which reports the error with the file's name.
 * Anywhere else, that is in code that was given a pointer by
 * vecseg_map_hold(), it becomes an error then and there, as the server makes
 * one of SIGFPE (FloatExceptionHandler() in tcop/postgres.c).  The handler is
 * installed with the first mapping, and passes on a SIGBUS that is not ours.
 *
 * A backend keeps at most MAX_WINDOWS files open and mapped; the least
 * recently used one makes room.  The descriptors are not fd.c's virtual ones,
 * as those may be closed, and their numbers reused, at any call into fd.c,
 * while reads that name them are still in flight.  They are accounted there,
 * and closed only here: never while pinned by vecseg_map_pin().  An error may
 * leave pins behind; the end of the transaction, when no reader is left,
 * drops them all.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/relpath.h"
#include "storage/fd.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "segment/map_internal.h"
#include "segment/touch.h"

#define MAX_WINDOWS 256
#define WINDOW_BYTES ((size_t) RELSEG_SIZE * BLCKSZ)
#define NO_WINDOW (-1)

/*
 * fd.c lets a third of a process's files be others' than its own.  A quarter of
 * those is left to others than us: dblink, foreign tables.
 */
#define MAX_DESCRIPTORS Max(max_safe_fds / 4, 4)

static Window windows[MAX_WINDOWS];
static int n_descriptors = 0;
static uint64 clock_tick = 0;

/* Address range that may fault now, and where to go then */
static char *volatile guard_start = NULL;
static char *volatile guard_end = NULL;
static sigjmp_buf guard_jump;
static bool handler_installed = false;
static struct sigaction previous_action;

/* Raise the error for a page that the kernel cannot supply. */
static void
report_unreadable(const Window *window, size_t place)
{
	BlockNumber block =
		(BlockNumber) window->number * RELSEG_SIZE + place / BLCKSZ;
	char byte;

	errno = 0;
	if (pread(window->fd, &byte, 1, (off_t) place) == 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("could not read block %u in file \"%s\"", block,
							   window->map->path),
						errdetail("The file ends before it.")));
	if (errno == 0)
		errno = EIO;
	ereport(ERROR, (errcode_for_file_access(),
					errmsg("could not read block %u in file \"%s\": %m", block,
						   window->map->path)));
}

static void
handle_sigbus(int signo, siginfo_t *info, void *context)
{
	char *address = (char *) info->si_addr;
	int i;

	if (address >= guard_start && address < guard_end)
		siglongjmp(guard_jump, 1);
	for (i = 0; i < MAX_WINDOWS; i++)
	{
		if (windows[i].base != NULL && address >= windows[i].base &&
			address < windows[i].base + WINDOW_BYTES)
			report_unreadable(&windows[i], address - windows[i].base);
	}

	/* Not ours: let it happen again with the previous disposition. */
	sigaction(SIGBUS, &previous_action, NULL);
}

static bool
install_handler(void)
{
	struct sigaction action;

	if (handler_installed)
		return true;
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle_sigbus;
	sigemptyset(&action.sa_mask);
	/* SA_NODEFER: the handler is left by a jump, with SIGBUS unblocked */
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	handler_installed = sigaction(SIGBUS, &action, &previous_action) == 0;
	return handler_installed;
}

/* Prepare to map a relation's files; none is opened yet. */
VecsegMap *
vecseg_map_open(Relation rel)
{
	VecsegMap *map =
		MemoryContextAllocZero(CacheMemoryContext, sizeof(VecsegMap));
	char *path =
		VECSEG_RELPATH(RelationGetSmgr(rel)->smgr_rlocator, MAIN_FORKNUM);

	map->path = MemoryContextStrdup(CacheMemoryContext, path);
	pfree(path);
	return map;
}

static void
close_file(int fd)
{
	close(fd);
	ReleaseExternalFD();
	n_descriptors--;
}

static void
close_window(int index)
{
	Window *window = &windows[index];

	munmap(window->base, WINDOW_BYTES);
	close_file(window->fd);
	if (window->direct_fd >= 0)
		close_file(window->direct_fd);
	window->map->windows[window->number] = NO_WINDOW;
	window->base = NULL;
}

/* Unmap and close everything. */
void
vecseg_map_close(VecsegMap *map)
{
	int i;

	for (i = 0; i < map->nfiles; i++)
	{
		if (map->windows[i] != NO_WINDOW)
			close_window(map->windows[i]);
	}
	if (map->windows != NULL)
		pfree(map->windows);
	pfree(map->path);
	pfree(map);
}

/* Close the least recently used file that is not pinned; false if none is. */
static bool
make_room(void)
{
	int oldest = -1;
	int i;

	for (i = 0; i < MAX_WINDOWS; i++)
	{
		if (windows[i].base != NULL && windows[i].pins == 0 &&
			(oldest < 0 || windows[i].used < windows[oldest].used))
			oldest = i;
	}
	if (oldest < 0)
		return false;
	close_window(oldest);
	return true;
}

/* Index of a free window, or -1 when all are pinned. */
static int
free_window(void)
{
	int i;

	for (;;)
	{
		for (i = 0; i < MAX_WINDOWS; i++)
		{
			if (windows[i].base == NULL)
				return i;
		}
		if (!make_room())
			return -1;
	}
}

static int
open_file(VecsegMap *map, int number, int flags)
{
	char path[MAXPGPATH];
	int fd;

	if (number == 0)
		strlcpy(path, map->path, sizeof(path));
	else
		snprintf(path, sizeof(path), "%s.%d", map->path, number);

	while (n_descriptors >= MAX_DESCRIPTORS || !AcquireExternalFD())
	{
		if (!make_room())
			return -1;
	}
	fd = BasicOpenFile(path, O_RDONLY | PG_BINARY | flags);
	if (fd < 0)
		ReleaseExternalFD();
	else
		n_descriptors++;
	return fd;
}

/* Open and map a file; returns its window, or NULL when that fails. */
static Window *
open_window(VecsegMap *map, int number)
{
	int index = free_window();
	int fd;
	void *base;

	if (index < 0 || !install_handler())
		return NULL;
	fd = open_file(map, number, 0);
	if (fd < 0)
		return NULL;

	/* reads ask for all they want: no read-ahead beyond that */
	(void) posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	base = mmap(NULL, WINDOW_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
	{
		close_file(fd);
		return NULL;
	}
	/* faults that happen all the same bring in a page, not the readahead */
	(void) madvise(base, WINDOW_BYTES, MADV_RANDOM);
	windows[index].base = base;
	windows[index].fd = fd;
	windows[index].direct_fd = -1;
	windows[index].pins = 0;
	windows[index].map = map;
	windows[index].number = number;
	windows[index].large = false;
	windows[index].visits = 0;
	windows[index].look_after = FIRST_LOOK;
	map->windows[number] = index;
	return &windows[index];
}

/* The window of the file that a block is in, or NULL when not to be had. */
Window *
vecseg_map_window(VecsegMap *map, BlockNumber block)
{
	int number = block / RELSEG_SIZE;
	Window *window;

	if (number >= map->nfiles)
	{
		Size bytes = (number + 1) * sizeof(int);
		int i;

		map->windows = map->windows == NULL
						   ? MemoryContextAlloc(CacheMemoryContext, bytes)
						   : repalloc(map->windows, bytes);
		for (i = map->nfiles; i <= number; i++)
			map->windows[i] = NO_WINDOW;
		map->nfiles = number + 1;
	}
	window = map->windows[number] != NO_WINDOW ? &windows[map->windows[number]]
											   : open_window(map, number);
	if (window != NULL)
		window->used = ++clock_tick;
	return window;
}

/*
 * What a direct read's place and length in a file must be multiples of: sectors
 * of the disk, if the kernel tells (Linux 6.1); else 4096, which serves for all
 * disks, as the server assumes, too (PG_IO_ALIGN_SIZE).
 */
static uint32
direct_alignment(int fd)
{
	uint32 alignment = 4096;
#ifdef STATX_DIOALIGN
	struct statx info;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
		(info.stx_mask & STATX_DIOALIGN) != 0 && info.stx_dio_offset_align > 0)
		alignment = Max(info.stx_dio_offset_align, 512);
#endif
	/* TYPEALIGN wants a power of two */
	return (alignment & (alignment - 1)) == 0 ? Min(alignment, BLCKSZ) : BLCKSZ;
}

/*
 * What the place and length of reads must be multiples of, in all of a store's
 * files, which are on one disk; not more than a block.
 */
uint32
vecseg_map_alignment(VecsegMap *map, BlockNumber block)
{
	if (map->alignment == 0)
	{
		Window *window = vecseg_map_window(map, block);

		if (window == NULL)
			return BLCKSZ;
		map->alignment = direct_alignment(window->fd);
	}
	return map->alignment;
}

/*
 * Get a descriptor of the file that a block is in, for a read in flight.
 *
 * direct: one that bypasses the page cache, if the file system has that.
 * Sets *fd, and *offset to the block's place in the file.  Returns a number
 * for vecseg_map_unpin(), to be called when the read is finished; -1 when the
 * file cannot be opened.
 */
int
vecseg_map_pin(VecsegMap *map, BlockNumber block, bool direct, int *fd,
			   off_t *offset)
{
	Window *window = vecseg_map_window(map, block);

	if (window == NULL)
		return -1;
	window->pins++;
	if (direct && window->direct_fd < 0)
		window->direct_fd = open_file(map, window->number, O_DIRECT);
	*fd = direct && window->direct_fd >= 0 ? window->direct_fd : window->fd;
	*offset = (off_t) (block % RELSEG_SIZE) * BLCKSZ;
	return window - windows;
}

void
vecseg_map_unpin(int pin)
{
	if (windows[pin].pins > 0)
		windows[pin].pins--;
}

/* Drop all pins: no read is in flight any more. */
void
vecseg_map_unpin_all(void)
{
	int i;

	for (i = 0; i < MAX_WINDOWS; i++)
		windows[i].pins = 0;
}

/* What to do with bytes in the mapping; returns its caller's answer */
typedef bool (*MappedUse)(const char *bytes, void *arg);

/*
 * Use bytes of one block in the mapping.  Returns false also when the file
 * cannot be mapped, or the kernel could not read the page.
 */
static bool
use_guarded(VecsegMap *map, BlockNumber block, uint32 offset, uint32 length,
			MappedUse use, void *arg)
{
	Window *window = vecseg_map_window(map, block);
	char *bytes;
	bool result;

	if (window == NULL)
		return false;
	bytes = vecseg_map_address(window, block) + offset;
	if (sigsetjmp(guard_jump, 0) != 0)
	{
		guard_start = guard_end = NULL;
		return false;
	}
	guard_end = bytes + length;
	guard_start = bytes;
	result = use(bytes, arg);
	guard_start = guard_end = NULL;
	return result;
}

typedef struct PageCheck
{
	bool (*is_good)(const char *page, BlockNumber block);
	BlockNumber block;
} PageCheck;

static bool
check_page(const char *page, void *arg)
{
	const PageCheck *check = arg;

	return check->is_good(page, check->block);
}

/* Apply a check to a page in the mapping; false as well if it cannot be read */
bool
vecseg_map_check(VecsegMap *map, BlockNumber block,
				 bool (*is_good)(const char *page, BlockNumber block))
{
	PageCheck check = { is_good, block };

	return use_guarded(map, block, 0, BLCKSZ, check_page, &check);
}

typedef struct Copy
{
	char *target;
	uint32 length;
} Copy;

static bool
copy_bytes(const char *bytes, void *arg)
{
	const Copy *copy = arg;

	memcpy(copy->target, bytes, copy->length);
	return true;
}

/* Copy bytes of one block from the mapping; false if they cannot be read */
bool
vecseg_map_copy(VecsegMap *map, BlockNumber block, uint32 offset, uint32 length,
				char *result)
{
	Copy copy = { result, length };

	return use_guarded(map, block, offset, length, copy_bytes, &copy);
}

/*
 * Have the processor fetch these bytes of one block into its cache, those that
 * are mapped and in memory: no page fault comes of it.
 */
void
vecseg_map_touch(VecsegMap *map, BlockNumber block, uint32 offset,
				 uint32 length)
{
	Window *window = vecseg_map_window(map, block);

	if (window != NULL)
		vecseg_touch_bytes(vecseg_map_address(window, block) + offset, length);
}

/*
 * The address of bytes of one block in the mapping, good until given back by
 * vecseg_map_unpin(*pin).  Returns NULL when the file cannot be mapped.
 *
 * Whoever reads there may get an error, see above.
 */
const char *
vecseg_map_hold(VecsegMap *map, BlockNumber block, uint32 offset, int *pin)
{
	Window *window = vecseg_map_window(map, block);

	if (window == NULL)
		return NULL;
	window->pins++;
	*pin = window - windows;
	return vecseg_map_address(window, block) + offset;
}
