/*-------------------------------------------------------------------------
 *
 * buffers.c
 *	  Buffers of reads, most in huge pages, used again and again.
 *
 * No memory context has them, for none may take one away while a read into it is
 * in flight.  When they are given back is io.c's business.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/mman.h>

#include "io/io_internal.h"

/* The usual size of a huge page; where it is another, there will be none. */
#define HUGE_PAGE_SIZE (2 * 1024 * 1024)

/* Size of the smallest buffers */
#define SMALL_BUFFER_SIZE 4096

/* Memory for buffers that need no huge page is got in pieces of this size. */
#define SMALL_PIECE_SIZE (512 * 1024)

/*
 * Buffers of one size, kept for reuse: the kernel zeroes memory on first touch,
 * which costs about as much as reading into it.
 */
typedef struct BufferPool
{
	uint32 size; /* of a buffer */
	bool huge;	 /* in huge pages */
	int most;	 /* that are kept: 4 to 8 MB */
	int count;
	char *buffers[1024]; /* LIFO: hot ones first */
} BufferPool;

/*
 * To a disk's driver, a direct read into memory that is in one piece is one
 * segment, rather than one for each page.  Measured on a virtual disk, reads of
 * 128 kB come back in half the time into huge pages, and such of 8 and 16 kB 13 %
 * sooner.  Reads of a page gain nothing, and the first touch of a huge page takes
 * milliseconds.
 */
static BufferPool pools[] = {
	{ .size = SMALL_BUFFER_SIZE, .huge = false, .most = 1024 },
	{ .size = 32 * 1024, .huge = true, .most = 192 },
	{ .size = VECSEG_IO_BUFFER_SIZE, .huge = true, .most = 64 },
};

static char *
map_memory(Size size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
				 errdetail("Could not allocate read buffers of %zu bytes: %m",
						   size)));
	return memory;
}

/* Memory for a huge page, which is one if the kernel has one to give */
static char *
map_huge_page(void)
{
	Size size = 2 * HUGE_PAGE_SIZE; /* of which a part is aligned */
	char *memory = map_memory(size);
	char *page = (char *) TYPEALIGN(HUGE_PAGE_SIZE, memory);
	char *end = page + HUGE_PAGE_SIZE;

	if (page > memory)
		(void) munmap(memory, page - memory);
	(void) munmap(end, memory + size - end);
#ifdef MADV_HUGEPAGE
	(void) madvise(page, HUGE_PAGE_SIZE, MADV_HUGEPAGE);
#endif
	return page;
}

static void
fill_pool(BufferPool *pool)
{
	Size size = pool->huge ? HUGE_PAGE_SIZE : SMALL_PIECE_SIZE;
	char *memory = pool->huge ? map_huge_page() : map_memory(size);
	char *buffer = memory + size;

	StaticAssertStmt(HUGE_PAGE_SIZE / SMALL_BUFFER_SIZE <=
						 lengthof(pool->buffers),
					 "the buffers of a piece of memory must fit into a pool");
	/* A fork() (COPY ... PROGRAM) must not divert direct reads in flight. */
	(void) madvise(memory, size, MADV_DONTFORK);
	while (buffer > memory)
	{
		buffer -= pool->size;
		pool->buffers[pool->count++] = buffer;
	}
}

static BufferPool *
pool_for(uint32 length)
{
	BufferPool *pool = pools;

	while (length > pool->size)
		pool++;
	return pool;
}

/*
 * A buffer for a read of this length, page aligned, which is all that direct
 * reads ask for.
 */
char *
vecseg_io_buffer_get(uint32 length)
{
	BufferPool *pool = pool_for(length);

	if (pool->count == 0)
		fill_pool(pool);
	return pool->buffers[--pool->count];
}

/* Give back a buffer for a read of this length. */
void
vecseg_io_buffer_put(char *buffer, uint32 length)
{
	BufferPool *pool = pool_for(length);

#ifdef CLOBBER_FREED_MEMORY
	/* as the server's allocator does: show who still looks at it */
	memset(buffer, 0x7F, pool->size);
#endif
	if (pool->count < pool->most)
		pool->buffers[pool->count++] = buffer;
	else
		(void) munmap(buffer, pool->size);
}
