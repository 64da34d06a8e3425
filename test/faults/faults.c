/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  A disk that hangs, fails or returns less, for tests: preloaded
 *	  (LD_PRELOAD) into a server, it stands between that and one file.
 *
 * A test tells what to do by a control file, which it shares with all
 * server processes (struct Control), named by VECSEG_FAULTS.  Reads that hang
 * wait for the FIFO of that name and ".gate": a synchronous read takes a byte
 * from it, an asynchronous one ends when there is something in it.  The test
 * has to hold the FIFO open for writing before the server starts.
 *
 * liburing makes its system calls itself, but the calls into it can be
 * intercepted: requests are changed before they are submitted, and results
 * when they are collected.  What comes from the page cache by the mapping
 * cannot be; so neither prefetching nor the kernel's read-ahead is let through
 * to the file.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum
{
	FAULT_NONE,
	FAULT_HANG,
	FAULT_SHORT, /* half of what was asked for */
	FAULT_ERROR	 /* fail with an errno */
};

/* Written by the test, but for the last two; 64-bit integers all */
struct Control
{
	int64_t kind;
	int64_t inode; /* of the file concerned */
	int64_t start; /* the bytes of it that are concerned */
	int64_t end;
	int64_t error;		 /* for FAULT_ERROR */
	int64_t period;		 /* one in so many reads */
	int64_t only_vecseg; /* not the server's own reads */
	int64_t no_cancel;	 /* reads in flight cannot be cancelled */
	int64_t hanging;	 /* reads that hang now */
	int64_t faults;		 /* reads not as they should be, so far */
};

/* Asynchronous reads whose result is to be changed */
struct Changed
{
	uint64_t user_data;
	int result;
	bool hangs;
};

#define MAX_CHANGED 4096

static struct Control none;
static struct Control *control = &none;
static int gate = -1;
static struct Changed changed[MAX_CHANGED];
static int n_changed = 0;

__attribute__((constructor)) static void
open_control(void)
{
	const char *path = getenv("VECSEG_FAULTS");
	char name[4096];
	void *memory;
	int fd;

	if (path == NULL)
		return;
	snprintf(name, sizeof(name), "%s.gate", path);
	fd = open(path, O_RDWR);
	gate = open(name, O_RDONLY);
	memory = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE,
				  MAP_SHARED, fd, 0);
	if (fd < 0 || gate < 0 || memory == MAP_FAILED)
	{
		perror(path);
		_exit(1);
	}
	close(fd);
	control = memory;
}

static void *
next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
	{
		fprintf(stderr, "faults: %s\n", dlerror());
		abort();
	}
	return function;
}

static void
count(int64_t *counter, int64_t n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_SEQ_CST);
}

static bool
is_vecseg(void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) != 0 && info.dli_fname != NULL &&
		   strstr(info.dli_fname, "vecseg.so") != NULL;
}

static bool
is_concerned(int fd)
{
	struct stat st;

	return control->kind != FAULT_NONE && fstat(fd, &st) == 0 &&
		   (int64_t) st.st_ino == control->inode;
}

/* Is a read to be meddled with?  Counts it, if so. */
static bool
is_meant(int fd, off_t offset, size_t length, bool by_vecseg)
{
	static int64_t calls = 0;

	if (!is_concerned(fd) || offset >= control->end ||
		offset + (off_t) length <= control->start ||
		(control->only_vecseg != 0 && !by_vecseg) ||
		++calls % control->period != 0)
		return false;
	count(&control->faults, 1);
	return true;
}

/* Half of a length, such that direct reads can go on from there */
static size_t
shorter(size_t length)
{
	return length > 512 ? length / 2 & ~(size_t) 511 : length;
}

ssize_t
pread(int fd, void *buffer, size_t length, off_t offset)
{
	static ssize_t (*real)(int, void *, size_t, off_t) = NULL;
	char byte;

	if (real == NULL)
		real = next("pread");
	if (!is_meant(fd, offset, length, is_vecseg(__builtin_return_address(0))))
		return real(fd, buffer, length, offset);
	switch (control->kind)
	{
		case FAULT_HANG:
			count(&control->hanging, 1);
			while (read(gate, &byte, 1) < 0 && errno == EINTR)
				;
			count(&control->hanging, -1);
			break;
		case FAULT_SHORT:
			length = shorter(length);
			break;
		case FAULT_ERROR:
			errno = (int) control->error;
			return -1;
	}
	return real(fd, buffer, length, offset);
}

ssize_t pread64(int fd, void *buffer, size_t length, off_t offset)
	__attribute__((alias("pread")));

int
open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...) = NULL;
	struct stat st;
	va_list args;
	mode_t mode;
	int fd;

	if (real == NULL)
		real = next("open");
	va_start(args, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	fd = real(path, flags, mode);
	if (fd >= 0 && fstat(fd, &st) == 0 && (int64_t) st.st_ino == control->inode)
		(void) posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return fd;
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

/* Used for reads that must not wait: they would, or they come back in part. */
ssize_t
preadv2(int fd, const struct iovec *iov, int iovcnt, off_t offset, int flags)
{
	static ssize_t (*real)(int, const struct iovec *, int, off_t, int) = NULL;

	if (real == NULL)
		real = next("preadv2");
	if (!is_concerned(fd))
		return real(fd, iov, iovcnt, offset, flags);
	if (control->kind == FAULT_SHORT && iovcnt == 1 &&
		is_meant(fd, offset, iov->iov_len, true))
	{
		struct iovec part = { iov->iov_base, shorter(iov->iov_len) };

		return real(fd, &part, 1, offset, flags);
	}
	errno = EAGAIN;
	return -1;
}

int
posix_fadvise(int fd, off_t offset, off_t length, int advice)
{
	static int (*real)(int, off_t, off_t, int) = NULL;

	if (real == NULL)
		real = next("posix_fadvise");
	if (advice == POSIX_FADV_WILLNEED && is_concerned(fd))
		return 0;
	return real(fd, offset, length, advice);
}

/* A request that does nothing to the file, whose result will be changed */
static void
change(struct io_uring_sqe *sqe, int opcode, int result)
{
	struct Changed *entry = &changed[n_changed++];

	if (n_changed == MAX_CHANGED)
		abort();
	entry->user_data = sqe->user_data;
	entry->result = result;
	entry->hangs = opcode == IORING_OP_POLL_ADD;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = gate;
	sqe->user_data = entry->user_data;
	if (entry->hangs)
	{
		sqe->poll32_events = POLLIN;
		count(&control->hanging, 1);
	}
}

/* A read that must not wait; as preadv2() above */
static void
meddle_with_cached(struct io_uring_sqe *sqe)
{
	const struct iovec *places = (const struct iovec *) sqe->addr;

	if (control->kind == FAULT_SHORT && sqe->len == 1 &&
		is_meant(sqe->fd, (off_t) sqe->off, places->iov_len, true))
	{
		sqe->opcode = IORING_OP_READ;
		sqe->addr = (uintptr_t) places->iov_base;
		sqe->len = (unsigned int) shorter(places->iov_len);
	}
	else
		change(sqe, IORING_OP_NOP, -EAGAIN);
}

static void
meddle_with(struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_ASYNC_CANCEL && control->no_cancel != 0)
	{
		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = IORING_OP_NOP;
	}
	else if (sqe->opcode == IORING_OP_READV && is_concerned(sqe->fd))
		meddle_with_cached(sqe);
	else if (sqe->opcode == IORING_OP_READ &&
			 is_meant(sqe->fd, (off_t) sqe->off, sqe->len, true))
	{
		switch (control->kind)
		{
			case FAULT_HANG:
				change(sqe, IORING_OP_POLL_ADD, -EAGAIN);
				break;
			case FAULT_SHORT:
				sqe->len = (unsigned int) shorter(sqe->len);
				break;
			case FAULT_ERROR:
				change(sqe, IORING_OP_NOP, -(int) control->error);
				break;
		}
	}
}

int
io_uring_submit(struct io_uring *ring)
{
	static int (*real)(struct io_uring *) = NULL;
	unsigned int i;

	if (real == NULL)
		real = next("io_uring_submit");
	for (i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
		meddle_with(&ring->sq.sqes[i & *ring->sq.kring_mask]);
	return real(ring);
}

unsigned int
io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
						unsigned int most)
{
	static unsigned int (*real)(struct io_uring *, struct io_uring_cqe **,
								unsigned int) = NULL;
	unsigned int n;
	unsigned int i;
	int k;

	if (real == NULL)
		real = next("io_uring_peek_batch_cqe");
	n = real(ring, cqes, most);
	for (i = 0; i < n; i++)
	{
		for (k = 0; k < n_changed; k++)
		{
			if (cqes[i]->user_data == 0 ||
				changed[k].user_data != cqes[i]->user_data)
				continue;
			if (cqes[i]->res >= 0)
				cqes[i]->res = changed[k].result;
			if (changed[k].hangs)
				count(&control->hanging, -1);
			changed[k] = changed[--n_changed];
			break;
		}
	}
	return n;
}
