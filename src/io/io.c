/*-------------------------------------------------------------------------
 *
 * io.c
 *	  Queues of reads: choice of method, cancellation, cleanup.  Their buffers
 *	  are buffers.c's.
 *
 * The hard part is the end of a queue.  The kernel may write to the buffer of
 * a read in flight at any time, and a query ends at any time too: by an ERROR
 * that unwinds through the reader, by a satisfied LIMIT, by a closed cursor.
 *
 *	  caller's memory		TopMemoryContext		  mmap'd, for ever
 *	 +----------------+    +------------------+    +-------------------+
 *	 | reader's state |--->| queue, requests  |--->| buffer pool		   |
 *	 +----------------+    +------------------+    +-------------------+
 *	  gone at abort,		 freed when the last	 a buffer returns when
 *	  before we run			 read has come back		 its read has come back
 *
 * Invariants
 *
 * - Nothing that the kernel or a completion may touch lives in a context that
 *	 an ERROR deletes: neither buffers nor requests.  At abort, portals'
 *	 contexts are already gone when resource owners are released.
 * - A buffer goes back to the pool, and a queue is freed, only when no read
 *	 into it is in flight.
 * - A closed queue submits nothing: not what was started, not the remainder of
 *	 a short read.  Its callers' descriptors may be closed already and their
 *	 numbers used for other files.
 *
 * Closing cancels what is in flight and waits for it, but only for a moment
 * (CLOSE_WAIT_MS).  On a healthy disk all comes back within that.  On a
 * hanging one the queue is abandoned: the transaction ends, and whoever next
 * collects completions frees the rest.  Waiting until all is back would be
 * simpler, but then a query on a hanging disk could not be cancelled.  The
 * number of abandoned reads is bounded: new queues wait, interruptibly, for
 * those of earlier ones.
 *
 * Queues are tied to resource owners, not to transactions: the portal of a
 * cursor has its own owner and outlives the subtransactions around its
 * fetches, and when a failing subtransaction takes a portal with it, core
 * releases the portal's owner along with its own.  We run before locks are
 * released, so that but for abandoned reads no relation is read without one.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "access/parallel.h"
#include "guc.h"
#include "io/io_internal.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"

/* How long to sleep before looking for interrupts; see method_uring.c. */
#define WAIT_SLICE_MS 50

/* How long closing waits for reads in flight before it abandons them. */
#define CLOSE_WAIT_MS 100

/* With more abandoned reads than this (32 MB), new queues wait for them. */
#define MAX_ABANDONED_READS 256

/* Fruitless attempts after which a read is done with pread(). */
#define MAX_RETRIES 3

/* Direct reads stop at multiples of this, but for the end of the file. */
#define SECTOR_SIZE 512

static dlist_head open_queues = DLIST_STATIC_INIT(open_queues);
static int n_abandoned_reads = 0;


/* ----------------------------------------------------------------
 *		Choice of method
 * ----------------------------------------------------------------
 */

static const char *
refusal_hint(int err)
{
	switch (err)
	{
		case EPERM:
		case EACCES:
			return "Check the sysctl kernel.io_uring_disabled and the seccomp profile of the container or service.";
		case ENOSYS:
		case EINVAL:
			return "io_uring needs Linux 5.11 or later and a seccomp profile that allows it.";
		case EMFILE:
		case ENFILE:
			return "Raise the limit on open files, or lower max_files_per_process.";
		case ENOMEM:
			return "Raise the limit on locked memory or on the memory of the container or service.";
		default:
			return "Set vecseg.io_method to sync to not try io_uring.";
	}
}

/*
 * Parallel workers are born by the thousand and need not repeat what their
 * leader has said.
 */
static void
log_refusal(int err)
{
	static bool logged = false;

	if (!logged)
	{
		logged = true;
		errno = err;
		ereport(IsParallelWorker() ? DEBUG1 : LOG,
				(errmsg("io_uring is not available, reading synchronously: %m"),
				 errhint("%s", refusal_hint(err))));
	}
}

/*
 * A refusal holds until the setting is changed, else every query would ask
 * the kernel again.  The setting io_uring falls back as auto does: slower is
 * better than no rows.
 */
static const VecsegIoMethodOps *
choose_method(int depth)
{
	static int refused_setting = -1;
	int err;

	if (vecseg_io_method == VECSEG_IO_SYNC)
	{
		refused_setting = -1;
		return &vecseg_io_sync_ops;
	}
	if (vecseg_io_method == refused_setting)
		return &vecseg_io_sync_ops;

	err = vecseg_io_uring_ops.startup(depth);
	if (err == 0)
		return &vecseg_io_uring_ops;

	refused_setting = vecseg_io_method;
	log_refusal(err);
	return &vecseg_io_sync_ops;
}


/* ----------------------------------------------------------------
 *		Reads, as the methods see them
 * ----------------------------------------------------------------
 */

static void
read_drop_buffer(VecsegIoRead *read)
{
	if (read->request.buffer != NULL)
		vecseg_io_buffer_put(read->request.buffer, read->request.length);
	read->request.buffer = NULL;
}

static void
queue_free(VecsegIoQueue *queue)
{
	for (int i = 0; i < queue->depth + VECSEG_IO_MAX_FINISHED; i++)
		read_drop_buffer(&queue->reads[i]);
	pfree(queue);
}

static void
count_in_flight(VecsegIoQueue *queue)
{
	queue->stats.max_in_flight =
		Max(queue->stats.max_in_flight, queue->in_flight + queue->n_hinted);
}

/* The kernel has taken a staged read. */
void
vecseg_io_taken(VecsegIoRead *read)
{
	VecsegIoQueue *queue = read->queue;

	Assert(read->state == VECSEG_IO_STAGED);
	dlist_delete(&read->node);
	dlist_push_tail(&queue->flying, &read->node);
	read->state = VECSEG_IO_FLYING;
	queue->in_flight++;
	count_in_flight(queue);
}

static void
read_finish(VecsegIoRead *read, int result)
{
	VecsegIoQueue *queue = read->queue;

	queue->pending--;
	queue->pending_bytes -= read->request.length;
	read->request.result = result;
	read->state = VECSEG_IO_DONE;
	dlist_push_tail(&queue->done, &read->node);

	if (queue->abandoned)
	{
		n_abandoned_reads--;
		read_drop_buffer(read);
		if (queue->in_flight == 0)
			queue_free(queue);
	}
}

/* Stage the rest of a read, or all of it, again. */
static void
read_restart(VecsegIoRead *read)
{
	read->state = VECSEG_IO_STAGED;
	dlist_push_head(&read->queue->staged, &read->node);
}

/*
 * A direct read comes back with part of a sector only at the end of the file.
 * Asking for the rest would be refused, for its alignment.
 */
static bool
is_direct_tail(VecsegIoRead *read)
{
	if (read->reached % SECTOR_SIZE == 0)
		return false;
	return (fcntl(read->request.fd, F_GETFL) & O_DIRECT) != 0;
}

/* The kernel has returned this much more of a read, 0 at the end of file. */
static void
read_advance(VecsegIoRead *read, uint32 nbytes)
{
	read->reached += nbytes;
	read->retries = 0;

	if (nbytes == 0 || read->reached == read->request.length ||
		is_direct_tail(read))
		read_finish(read, read->reached);
	else
		read_restart(read);
}

/*
 * The kernel has returned a read with this many bytes or -errno.  Note that
 * the last one of an abandoned queue frees the queue.
 */
void
vecseg_io_completed(VecsegIoRead *read, ssize_t result)
{
	VecsegIoQueue *queue = read->queue;

	Assert(read->state == VECSEG_IO_FLYING || read->state == VECSEG_IO_HINTED);
	dlist_delete(&read->node);
	if (read->state == VECSEG_IO_FLYING)
		queue->in_flight--;
	else
		queue->n_hinted--;

	/* Results are of no interest any more, -ECANCELED is to be expected. */
	if (queue->closing)
	{
		read_finish(read, result);
		return;
	}

	/* Interrupted, short of resources, or no kernel worker could be made */
	if (result == -EINTR || result == -EAGAIN || result == -ECANCELED)
	{
		if (read->retries++ < MAX_RETRIES)
		{
			read_restart(read);
			return;
		}
		result = vecseg_io_pread(read);
	}

	if (result < 0)
		read_finish(read, result);
	else
		read_advance(read, result);
}

/* Read synchronously; result as the kernel's */
ssize_t
vecseg_io_pread(VecsegIoRead *read)
{
	ssize_t result;

	do
	{
		result = pread(read->request.fd, VecsegIoReadAddress(read),
					   VecsegIoReadLength(read), VecsegIoReadOffset(read));
	} while (result < 0 && errno == EINTR);

	return result < 0 ? -errno : result;
}

/*
 * Have the kernel bring the pages of a staged read into its cache.  It returns
 * at once, having started the disk.  If there can be but one read at a time,
 * it is waited for next, and gains nothing from a hint.
 */
void
vecseg_io_hint(VecsegIoRead *read)
{
	VecsegIoQueue *queue = read->queue;

	Assert(read->state == VECSEG_IO_STAGED);
	/* Only a hint: an error would come back from reading too. */
	if (queue->depth > 1)
		(void) posix_fadvise(read->request.fd, VecsegIoReadOffset(read),
							 VecsegIoReadLength(read), POSIX_FADV_WILLNEED);
	dlist_delete(&read->node);
	dlist_push_tail(&queue->hinted, &read->node);
	read->state = VECSEG_IO_HINTED;
	read->hinted = true;
	queue->n_hinted++;
	count_in_flight(queue);
}

/* Stage a hinted read again: it is to be waited for. */
void
vecseg_io_stage_hinted(VecsegIoRead *read)
{
	Assert(read->state == VECSEG_IO_HINTED);
	dlist_delete(&read->node);
	read->queue->n_hinted--;
	read_restart(read);
}

/*
 * Finish the hinted reads whose pages have come, up to the first whose have
 * not.  Returns their number.
 */
int
vecseg_io_take_hinted(VecsegIoQueue *queue)
{
	int taken = 0;

	while (!dlist_is_empty(&queue->hinted) && !queue->cannot_take)
	{
		VecsegIoRead *read =
			dlist_head_element(VecsegIoRead, node, &queue->hinted);
		struct iovec place = { VecsegIoReadAddress(read),
							   VecsegIoReadLength(read) };
		VecsegIoCachedRead cached = { read->request.fd,
									  VecsegIoReadOffset(read), &place, 1, 0 };

		vecseg_io_read_cached(&cached, 1);
		if (cached.result <= 0)
		{
			queue->cannot_take = cached.result < 0 && cached.result != -EAGAIN;
			break;
		}
		vecseg_io_completed(read, cached.result);
		taken++;
	}
	return taken;
}


/* ----------------------------------------------------------------
 *		Cleanup with the resource owner
 * ----------------------------------------------------------------
 */

static void
release_owner(ResourceReleasePhase phase, bool is_commit, bool is_top_level,
			  void *arg)
{
	dlist_mutable_iter iter;

	if (phase != RESOURCE_RELEASE_BEFORE_LOCKS)
		return;

	dlist_foreach_modify(iter, &open_queues)
	{
		VecsegIoQueue *queue = dlist_container(VecsegIoQueue, node, iter.cur);

		if (queue->owner != CurrentResourceOwner)
			continue;
		if (is_commit)
			elog(WARNING, "vecseg read queue leak: %d reads in flight",
				 queue->in_flight);
		vecseg_io_close(queue);
	}
}

static void
register_cleanup(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterResourceReleaseCallback(release_owner, NULL);
		registered = true;
	}
}


/* ----------------------------------------------------------------
 *		Public functions
 * ----------------------------------------------------------------
 */

/*
 * Sleep until something has come back, but notice interrupts.
 */
static void
wait_once(VecsegIoQueue *queue)
{
	int err;

	CHECK_FOR_INTERRUPTS();
	if (IsUnderPostmaster && !PostmasterIsAlive())
		proc_exit(1);

	err = queue->ops->wait(queue, WAIT_SLICE_MS);
	if (err != 0)
	{
		errno = err;
		ereport(ERROR,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not wait for asynchronous reads: %m"),
				 errhint("Retry; this session now reads synchronously.")));
	}
}

VecsegIoQueue *
vecseg_io_open(int depth)
{
	const VecsegIoMethodOps *ops;
	VecsegIoQueue *queue;

	Assert(CurrentResourceOwner != NULL);

	if (depth <= 0)
		depth = vecseg_io_depth;
	depth = Min(depth, VECSEG_IO_MAX_DEPTH);

	register_cleanup();
	ops = choose_method(depth);
	queue = MemoryContextAllocZero(TopMemoryContext,
								   offsetof(VecsegIoQueue, reads) +
									   (depth + VECSEG_IO_MAX_FINISHED) *
										   sizeof(VecsegIoRead));
	queue->ops = ops;
	queue->owner = CurrentResourceOwner;
	queue->depth = depth;
	dlist_init(&queue->free);
	dlist_init(&queue->staged);
	dlist_init(&queue->hinted);
	dlist_init(&queue->flying);
	dlist_init(&queue->done);
	for (int i = 0; i < depth + VECSEG_IO_MAX_FINISHED; i++)
	{
		queue->reads[i].queue = queue;
		dlist_push_tail(&queue->free, &queue->reads[i].node);
	}
	dlist_push_head(&open_queues, &queue->node);

	while (queue->ops->async && n_abandoned_reads > MAX_ABANDONED_READS)
		wait_once(queue);
	return queue;
}

VecsegIoRequest *
vecseg_io_get_request(VecsegIoQueue *queue, uint32 length)
{
	VecsegIoRead *read;

	Assert(length > 0 && length <= VECSEG_IO_BUFFER_SIZE);
	if (queue->pending == queue->depth ||
		queue->pending_bytes + length > VECSEG_IO_MAX_PENDING_BYTES ||
		dlist_is_empty(&queue->free))
		return NULL;

	read = dlist_head_element(VecsegIoRead, node, &queue->free);
	read->request.buffer = vecseg_io_buffer_get(length);
	read->request.length = length;
	dlist_delete(&read->node);
	read->state = VECSEG_IO_HELD;
	return &read->request;
}

void
vecseg_io_start(VecsegIoQueue *queue, VecsegIoRequest *request)
{
	VecsegIoRead *read = (VecsegIoRead *) request;

	Assert(read->queue == queue && read->state == VECSEG_IO_HELD);
	Assert(queue->pending < queue->depth);

	queue->pending++;
	queue->pending_bytes += request->length;
	read->reached = 0;
	read->retries = 0;
	read->hinted = false;
	read->state = VECSEG_IO_STAGED;
	dlist_push_tail(&queue->staged, &read->node);
}

void
vecseg_io_submit(VecsegIoQueue *queue)
{
	if (!dlist_is_empty(&queue->staged))
		queue->ops->submit(queue);
}

/* Hand out the request that finished first. */
static VecsegIoRequest *
take_finished(VecsegIoQueue *queue)
{
	VecsegIoRead *read = dlist_head_element(VecsegIoRead, node, &queue->done);

	dlist_delete(&read->node);
	read->state = VECSEG_IO_HELD;
	return &read->request;
}

VecsegIoRequest *
vecseg_io_wait(VecsegIoQueue *queue)
{
	while (dlist_is_empty(&queue->done))
	{
		vecseg_io_submit(queue);
		if (queue->in_flight == 0 && queue->n_hinted == 0 &&
			dlist_is_empty(&queue->staged))
			return NULL;
		wait_once(queue);
	}
	return take_finished(queue);
}

VecsegIoRequest *
vecseg_io_poll(VecsegIoQueue *queue)
{
	if (dlist_is_empty(&queue->done) && queue->in_flight + queue->n_hinted > 0)
		queue->ops->poll(queue);
	return dlist_is_empty(&queue->done) ? NULL : take_finished(queue);
}

bool
vecseg_io_keep(VecsegIoQueue *queue, VecsegIoRequest *request)
{
	VecsegIoRead *read = (VecsegIoRead *) request;

	Assert(read->queue == queue && read->state == VECSEG_IO_HELD);
	if (queue->kept == VECSEG_IO_MAX_FINISHED)
		return false;
	read->state = VECSEG_IO_KEPT;
	queue->kept++;
	return true;
}

void
vecseg_io_release(VecsegIoQueue *queue, VecsegIoRequest *request)
{
	VecsegIoRead *read = (VecsegIoRead *) request;

	Assert(read->queue == queue &&
		   (read->state == VECSEG_IO_HELD || read->state == VECSEG_IO_KEPT));
	if (read->state == VECSEG_IO_KEPT)
		queue->kept--;
	read_drop_buffer(read);
	read->state = VECSEG_IO_FREE;
	dlist_push_head(&queue->free, &read->node);
}

/*
 * Wait uninterruptibly, for CLOSE_WAIT_MS at most, until nothing is in flight.
 * A process that exits need not: the kernel ends its reads.
 */
static void
drain(VecsegIoQueue *queue)
{
	instr_time start;
	instr_time now;

	INSTR_TIME_SET_CURRENT(start);
	while (queue->in_flight > 0 && !proc_exit_inprogress)
	{
		int left;

		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		left = CLOSE_WAIT_MS - (int) INSTR_TIME_GET_MILLISEC(now);
		if (left <= 0 || queue->ops->wait(queue, left) != 0)
			break;
	}
}

void
vecseg_io_close(VecsegIoQueue *queue)
{
	dlist_delete(&queue->node);
	queue->closing = true;
	dlist_init(&queue->staged);
	dlist_init(&queue->hinted);
	queue->n_hinted = 0;

	if (queue->in_flight > 0)
	{
		queue->ops->cancel(queue);
		drain(queue);
	}

	if (queue->in_flight == 0)
		queue_free(queue);
	else
	{
		/* The last read to come back frees the queue. */
		n_abandoned_reads += queue->in_flight;
		queue->abandoned = true;
		for (int i = 0; i < queue->depth + VECSEG_IO_MAX_FINISHED; i++)
		{
			if (queue->reads[i].state != VECSEG_IO_FLYING)
				read_drop_buffer(&queue->reads[i]);
		}
	}
}

void
vecseg_io_read_cached(VecsegIoCachedRead *reads, int nreads)
{
	if (nreads > 1)
	{
		const VecsegIoMethodOps *ops = choose_method(1);

		if (ops->read_cached != NULL)
		{
			ops->read_cached(reads, nreads);
			return;
		}
	}
	for (int i = 0; i < nreads; i++)
	{
		reads[i].result =
			preadv2(reads[i].fd, reads[i].places, reads[i].nplaces,
					reads[i].offset, RWF_NOWAIT);
		if (reads[i].result < 0)
			reads[i].result = -errno;
	}
}

bool
vecseg_io_wants_more(const VecsegIoQueue *queue)
{
	return queue->pending <= queue->depth / 2 &&
		   queue->pending_bytes <= VECSEG_IO_MAX_PENDING_BYTES / 2;
}

bool
vecseg_io_is_async(const VecsegIoQueue *queue)
{
	return queue->ops->async;
}

const VecsegIoStats *
vecseg_io_stats(const VecsegIoQueue *queue)
{
	return &queue->stats;
}
