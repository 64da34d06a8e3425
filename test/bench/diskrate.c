/*
 * diskrate.c
 *	  What the disk can do: O_DIRECT reads of files through io_uring, with
 *	  nothing else in the way.
 *
 *		diskrate sequential BLOCK DEPTH SECONDS FILE...
 *			reads the files one after the other in blocks of BLOCK bytes;
 *			prints bytes per second
 *
 *		diskrate huge BLOCK DEPTH SECONDS FILE...
 *			the same into huge pages, if the kernel has some
 *
 *		diskrate random SIZE DEPTH SECONDS FILE...
 *			reads values of SIZE bytes at random places, each with the sectors
 *			that it lies on; prints values per second
 *
 *		diskrate pages SIZE DEPTH SECONDS FILE...
 *			the same with the whole 8 kB pages, as who verifies checksums must
 *
 * All stop after SECONDS at the latest, the first two also at the files' end.
 */
#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 8192
#define SECTOR 4096 /* if the kernel does not tell */
#define HUGE_PAGE (2 << 20)

typedef struct File
{
	int fd;
	uint64_t size; /* whole pages */
} File;

typedef struct Read
{
	int file;
	uint64_t offset;
	uint64_t length;
} Read;

static File *files;
static int nfiles;
static uint64_t total; /* bytes of all files */
static uint64_t unit;  /* BLOCK or SIZE */
static uint64_t grain; /* of random reads: sectors or pages */
static uint64_t position;
static uint64_t seed;

static void
fail(const char *what, int error)
{
	fprintf(stderr, "diskrate: %s: %s\n", what, strerror(error));
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void
open_files(char **names, int count)
{
	files = calloc(count, sizeof(File));
	for (int i = 0; i < count; i++)
	{
		struct stat st;
		File *file = &files[nfiles];

		file->fd = open(names[i], O_RDONLY | O_DIRECT);
		if (file->fd < 0 || fstat(file->fd, &st) != 0)
			fail(names[i], errno);
		file->size = st.st_size / PAGE * PAGE;
		total += file->size;
		if (file->size > 0)
			nfiles++;
	}
	if (total < 2 * unit + 2 * PAGE)
		fail("the files are too small", EINVAL);
}

/* Turn a place in the concatenated files into one in a file. */
static Read
locate(uint64_t place, uint64_t length)
{
	Read read = { 0, place, length };

	while (read.offset >= files[read.file].size)
		read.offset -= files[read.file++].size;
	if (read.length > files[read.file].size - read.offset)
		read.length = files[read.file].size - read.offset;
	return read;
}

static int
next_sequential(Read *read)
{
	if (position >= total)
		return 0;
	*read = locate(position, unit);
	position += read->length;
	return 1;
}

static int
next_random(Read *read)
{
	uint64_t place;
	uint64_t first;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	place = seed % (total - unit);
	first = place / grain * grain;
	*read = locate(first, (place + unit + grain - 1) / grain * grain - first);
	return 1;
}

/* What reads of a file must be multiples of */
static uint64_t
sector_of(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx info;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
		(info.stx_mask & STATX_DIOALIGN) != 0 && info.stx_dio_offset_align > 0)
		return info.stx_dio_offset_align;
#endif
	return SECTOR;
}

static void
start(struct io_uring *ring, char *buffer, int slot, const Read *read)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, files[read->file].fd, buffer, read->length,
					   read->offset);
	sqe->user_data = slot;
}

int
main(int argc, char **argv)
{
	struct io_uring ring;
	int (*next)(Read *);
	int sectors;
	uint64_t bytes = 0;
	uint64_t done = 0;
	uint64_t room;
	int depth;
	int in_flight = 0;
	char *buffers;
	double seconds;
	double begin;
	double elapsed;
	Read read;
	int error;

	if (argc < 6)
	{
		fprintf(stderr, "usage: diskrate sequential|huge|random|pages BYTES "
						"DEPTH SECONDS FILE...\n");
		return 2;
	}
	sectors = strcmp(argv[1], "random") == 0;
	next = sectors || strcmp(argv[1], "pages") == 0 ? next_random
													: next_sequential;
	unit = strtoull(argv[2], NULL, 10);
	depth = atoi(argv[3]);
	seconds = atof(argv[4]);
	open_files(argv + 5, argc - 5);
	grain = sectors ? sector_of(files[0].fd) : PAGE;
	seed = (uint64_t) (now() * 1e9) | 1;
	room = (unit + 2 * PAGE - 1) / PAGE * PAGE;
	if (posix_memalign((void **) &buffers, HUGE_PAGE, room * depth) != 0)
		fail("buffers", ENOMEM);
	if (strcmp(argv[1], "huge") == 0)
		(void) madvise(buffers, room * depth, MADV_HUGEPAGE);
	memset(buffers, 1, room * depth); /* touch them now, not while timing */
	error = io_uring_queue_init(depth, &ring, 0);
	if (error < 0)
		fail("io_uring", -error);

	begin = now();
	for (int slot = 0; slot < depth && next(&read); slot++, in_flight++)
		start(&ring, buffers + slot * room, slot, &read);
	while (in_flight > 0)
	{
		struct io_uring_cqe *cqe;

		error = io_uring_submit_and_wait(&ring, 1);
		if (error < 0 && error != -EINTR)
			fail("io_uring_enter", -error);
		while (io_uring_peek_cqe(&ring, &cqe) == 0)
		{
			int slot = cqe->user_data;

			if (cqe->res <= 0)
				fail("read", -cqe->res);
			bytes += cqe->res;
			done++;
			io_uring_cqe_seen(&ring, cqe);
			in_flight--;
			if (now() - begin < seconds && next(&read))
			{
				start(&ring, buffers + slot * room, slot, &read);
				in_flight++;
			}
		}
	}
	elapsed = now() - begin;
	printf("%.0f\n", (next == next_random ? done : bytes) / elapsed);
	return 0;
}
