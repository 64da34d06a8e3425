/*-------------------------------------------------------------------------
 *
 * io.h
 *	  Batched asynchronous file reads of one backend.
 *
 * A queue is the stream of read requests of one reader.  The reader takes
 * requests, fills them in, starts any number, submits them with one system
 * call and then waits for them in the order in which the kernel finishes:
 *
 *		q = vecseg_io_open(0);
 *		while (more to read or requests in flight)
 *		{
 *			while (more to read &&
 *				   (r = vecseg_io_get_request(q, length)) != NULL)
 *			{
 *				r->fd = fd; r->offset = offset; r->cached = true;
 *				r->caller = my_pointer;
 *				vecseg_io_start(q, r);
 *			}
 *			vecseg_io_submit(q);
 *			r = vecseg_io_wait(q);
 *			... look at r->result, use r->buffer ...
 *			vecseg_io_release(q, r);
 *		}
 *		vecseg_io_close(q);
 *
 * Two methods stand behind the same calls, io_uring and a synchronous one
 * that prefetches; they differ in speed only.  Errors of a read are reported
 * in the request, because only the caller can name the relation.
 *
 * What the caller has to keep:
 *
 * - A request's fd stays open, and the same file, until vecseg_io_wait() has
 *	 returned the request or the queue is closed: the remainder of a short
 *	 read is asked for again, and the synchronous method reads at wait time.
 *	 So don't take it from fd.c's virtual files, which may be closed and
 *	 reused at any time.  A queue that is closed reads no more, hence after an
 *	 ERROR fds may be closed in any order.
 *
 * - A queue belongs to the CurrentResourceOwner at open.  When that is
 *	 released, by (sub)transaction abort or by dropping a portal, the queue is
 *	 closed and the pointers to it and to its requests are dead.  Close it
 *	 before the owner commits; a queue left open then is warned about.
 *
 * vecseg_io_open(), _get_request() and _wait() can raise an ERROR, the others
 * cannot.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_IO_H
#define VECSEG_IO_H

#include <sys/uio.h>

/*
 * Size of a request's buffer, the longest single read.  Long enough that a
 * disk's cost per request no longer matters, and the kernel's usual readahead
 * window (read_ahead_kb = 128): a longer buffered read would be fetched in
 * several steps, one after the other.
 */
#define VECSEG_IO_BUFFER_SIZE (128 * 1024)

/* Upper bounds of a queue's depth: requests, and what they ask for */
#define VECSEG_IO_MAX_DEPTH 1024
#define VECSEG_IO_MAX_PENDING_BYTES (8 * 1024 * 1024)

/*
 * Requests that may have finished and not been released yet before a queue gives
 * out fewer, with up to 8 MB
 */
#define VECSEG_IO_MAX_FINISHED 64

typedef struct VecsegIoQueue VecsegIoQueue;

/* One read.  Belongs to the queue from start until returned by wait. */
typedef struct VecsegIoRequest
{
	int fd;		   /* kernel file descriptor */
	off_t offset;  /* byte offset in file */
	uint32 length; /* bytes wanted, and */
	char *buffer;  /* room for them: as vecseg_io_get_request() set both */
	bool cached;   /* through the page cache: fd is not O_DIRECT */
	int result;	   /* length if all was read, fewer when EOF came
								 * first, -errno on failure */
	void *caller;  /* caller's own, untouched */
} VecsegIoRequest;

typedef struct VecsegIoStats
{
	uint64 wait_usec; /* time blocked waiting for the disk */
	int max_in_flight;
} VecsegIoStats;

/* depth: most requests pending at a time; 0 means vecseg.io_depth */
extern VecsegIoQueue *vecseg_io_open(int depth);

/*
 * A request for so many bytes, 1..VECSEG_IO_BUFFER_SIZE.  NULL when as many as
 * the queue is deep are pending, or too many have not been released.  A request is
 * pending from its start until it has finished.
 */
extern VecsegIoRequest *vecseg_io_get_request(VecsegIoQueue *queue,
											  uint32 length);

/* Put the request aside for the next submission. */
extern void vecseg_io_start(VecsegIoQueue *queue, VecsegIoRequest *request);

/* Hand all started requests to the kernel; does not wait for them. */
extern void vecseg_io_submit(VecsegIoQueue *queue);

/*
 * Next finished request, in any order; NULL when none is started or in
 * flight.  Blocks interruptibly; submits first if it has to block.
 */
extern VecsegIoRequest *vecseg_io_wait(VecsegIoQueue *queue);

/*
 * The same without blocking: NULL when none has finished.
 */
extern VecsegIoRequest *vecseg_io_poll(VecsegIoQueue *queue);

/*
 * Keep a returned request and what its buffer holds until it is released or the
 * queue is closed, whatever else is read meanwhile.  False if too many are kept
 * already.
 */
extern bool vecseg_io_keep(VecsegIoQueue *queue, VecsegIoRequest *request);

/* Give back a request that is not in flight, with its buffer. */
extern void vecseg_io_release(VecsegIoQueue *queue, VecsegIoRequest *request);

/* Cancel what is in flight and free the queue. */
extern void vecseg_io_close(VecsegIoQueue *queue);

/*
 * Is it time for more requests?  Not for each that finishes, as a submission is a
 * system call, but before there are none.
 */
extern bool vecseg_io_wants_more(const VecsegIoQueue *queue);

/*
 * Do reads overlap without the page cache's help?  If not, O_DIRECT must not
 * be used: prefetching would read everything twice.
 */
extern bool vecseg_io_is_async(const VecsegIoQueue *queue);

/* Valid until the queue is closed */
extern const VecsegIoStats *vecseg_io_stats(const VecsegIoQueue *queue);

/* A read of what the page cache has, to places in a row */
typedef struct VecsegIoCachedRead
{
	int fd;		  /* not O_DIRECT */
	off_t offset; /* byte offset in file */
	const struct iovec *places;
	int nplaces;
	ssize_t result; /* bytes read, or -errno */
} VecsegIoCachedRead;

/*
 * Read without waiting for the disk, and without a queue: all have ended on
 * return.  What the page cache lacks ends with -EAGAIN, or comes in part, and
 * the kernel may have started to read it; -EOPNOTSUPP, -EINVAL or -ENOSYS: the
 * kernel or the file system cannot read so.  Raises no ERROR.
 */
extern void vecseg_io_read_cached(VecsegIoCachedRead *reads, int nreads);

#endif /* VECSEG_IO_H */
