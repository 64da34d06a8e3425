/*-------------------------------------------------------------------------
 *
 * method_uring.c
 *	  Reads through io_uring.
 *
 * One ring serves all queues of a backend: nested scans are common, rings are
 * not free (a descriptor, tens of kilobytes, tens of microseconds to set up),
 * and a completion finds its queue through its user data.  The ring is made
 * when first needed, by the process that uses it, and lives until the backend
 * exits.
 *
 * Invariants
 *
 * - Outside this file's functions the submission ring is empty.  What the
 *	 kernel did not accept is taken out again and stays staged in its queue, so
 *	 nothing can be submitted after its queue is closed.
 * - in_kernel counts the completions still to come, cancellations included.
 *	 Only while it is 0 may the ring be replaced by a larger one.  Until then
 *	 the smaller one serves: a full submission ring is submitted and refilled,
 *	 completions that exceed the completion ring are kept by the kernel
 *	 (IORING_FEAT_NODROP) and fetched by the next wait.
 *
 * Waiting
 *
 * Completions are first collected from shared memory, all at once, without a
 * system call.  Only then does wait() block, in io_uring_enter() with a
 * timeout.  A signal ends that call with EINTR whatever SA_RESTART says, so a
 * cancel or the postmaster's death is noticed at once; the timeout is there for
 * the signal that arrives just before the call.  Rejected: WaitLatchOrSocket()
 * on the ring's descriptor, which builds and destroys an epoll set for every
 * wait, several system calls each; and closing the race with io_uring_enter()'s
 * signal mask, which takes two more system calls for every wait.
 *
 * Reads through the page cache
 *
 * For such a read the ring costs more than it is worth: the kernel goes through
 * its read path when it is submitted, when the page is there, and once more to
 * copy it.  So they are hinted, as by the synchronous method, and taken without
 * waiting once their pages have come.  What must be waited for goes to the ring
 * all the same, where waiting can be interrupted.
 *
 * Setup flags
 *
 * COOP_TASKRUN spares the interrupt with which the kernel would otherwise
 * hurry us to finish a read; it is done on the next entry to the kernel.
 * TASKRUN_FLAG tells liburing when such an entry is all that is missing.
 * Rejected: DEFER_TASKRUN, under which reads are finished only while we wait on
 * this ring.  It was not measurably faster, and reads that outlive their queue
 * (see io.c) would keep their files open for as long as the backend is idle.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <liburing.h>

#include "io/io_internal.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/wait_event.h"

/* A ring is made for at least this many requests. */
#define URING_MIN_ENTRIES 64

/* Completions fetched at a time */
#define URING_REAP_BATCH 64

/* Reads are finished when we enter the kernel; and we are told if to do so. */
#define COOPERATIVE (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* Timed waits (5.11) and no lost completions (5.5) are relied upon. */
#define URING_NEEDED_FEATURES (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)

/* Sleep until one in so many of a queue's reads has come back. */
#define WAIT_FRACTION 8

/* In user data, beside the address of a VecsegIoCachedRead */
#define CACHED_READ_TAG 1

static struct io_uring uring;
static unsigned int uring_entries = 0; /* 0: there is no ring */
static unsigned int in_kernel = 0;
static unsigned int cached_left = 0; /* of uring_read_cached() */
static int broken_errno = 0; /* set when the ring cannot be used any more */


/*
 * Set up a ring with the best flags this kernel knows.  Returns 0 or errno.
 */
static int
uring_create(struct io_uring *ring, unsigned int entries)
{
	static const unsigned int flags[] = {
		COOPERATIVE | IORING_SETUP_SINGLE_ISSUER, /* 6.0 */
		COOPERATIVE,							  /* 5.19 */
		0
	};
	int ret = -EINVAL;

	if (!AcquireExternalFD())
		return EMFILE;

	for (int i = 0; i < lengthof(flags) && ret == -EINVAL; i++)
	{
		struct io_uring_params params;

		memset(&params, 0, sizeof(params));
		params.flags = flags[i];
		ret = io_uring_queue_init_params(entries, ring, &params);
	}

	if (ret == 0 &&
		(ring->features & URING_NEEDED_FEATURES) != URING_NEEDED_FEATURES)
	{
		io_uring_queue_exit(ring);
		ret = -ENOSYS;
	}
	if (ret < 0)
		ReleaseExternalFD();
	return -ret;
}

static void
uring_destroy(void)
{
	io_uring_queue_exit(&uring);
	ReleaseExternalFD();
	uring_entries = 0;
}

/*
 * Runs after transactions have been aborted.  Reads that are still in the
 * kernel end before the process's memory goes away, that is the kernel's duty.
 */
static void
uring_at_exit(int code, Datum arg)
{
	if (uring_entries > 0)
		uring_destroy();
}

static int
uring_startup(int depth)
{
	static bool exit_registered = false;
	struct io_uring larger;
	unsigned int entries = Max(depth, URING_MIN_ENTRIES);
	int err;

	if (broken_errno != 0)
		return broken_errno;
	if (uring_entries >= entries || (uring_entries > 0 && in_kernel > 0))
		return 0;

	err = uring_create(&larger, entries);
	if (uring_entries > 0)
	{
		if (err != 0)
			return 0; /* the smaller one will do */
		uring_destroy();
	}
	if (err != 0)
		return err;

	uring = larger;
	uring_entries = entries;
	if (!exit_registered)
	{
		on_proc_exit(uring_at_exit, 0);
		exit_registered = true;
	}
	return 0;
}

/*
 * Submit what is in the submission ring and take out what the kernel leaves
 * there, which is allowed because only a system call makes the kernel look at
 * the ring.  Returns the number accepted, or -errno if none was.
 */
static int
uring_enter(void)
{
	struct io_uring_sq *sq = &uring.sq;
	int accepted;
	unsigned int left;

	accepted = io_uring_submit(&uring);
	if (accepted > 0)
		in_kernel += accepted;

	left = io_uring_sq_ready(&uring);
	if (left > 0)
	{
		sq->sqe_tail -= left;
		sq->sqe_head = sq->sqe_tail;
		io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	}
	return accepted;
}

/* Hint the reads through the page cache; leave the others staged. */
static void
hint_cached(VecsegIoQueue *queue)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &queue->staged)
	{
		VecsegIoRead *read = dlist_container(VecsegIoRead, node, iter.cur);

		if (read->request.cached && !read->hinted)
			vecseg_io_hint(read);
	}
}

/*
 * The kernel's refusals need no distinction: EAGAIN, EBUSY and ENOMEM mean
 * that others of our reads have to come back first, which wait() sees to, and
 * if nothing is in flight or the error is a lasting one, wait() falls back to
 * pread().
 */
static void
uring_submit(VecsegIoQueue *queue)
{
	if (queue->depth > 1 && !queue->cannot_take)
		hint_cached(queue);
	while (!dlist_is_empty(&queue->staged))
	{
		dlist_iter iter;
		int accepted;

		dlist_foreach(iter, &queue->staged)
		{
			VecsegIoRead *read = dlist_container(VecsegIoRead, node, iter.cur);
			struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);

			if (sqe == NULL)
				break;
			io_uring_prep_read(sqe, read->request.fd, VecsegIoReadAddress(read),
							   VecsegIoReadLength(read),
							   VecsegIoReadOffset(read));
			io_uring_sqe_set_data(sqe, read);
		}

		accepted = uring_enter();
		if (accepted <= 0 && accepted != -EINTR)
			return;
		for (int i = 0; i < accepted; i++)
			vecseg_io_taken(
				dlist_head_element(VecsegIoRead, node, &queue->staged));
	}
}

/*
 * Report all completions that have arrived, of whatever queue.  Costs no
 * system call unless the completion ring has overflowed.
 */
static int
uring_reap(void)
{
	struct io_uring_cqe *cqes[URING_REAP_BATCH];
	unsigned int count;
	int total = 0;

	while ((count = io_uring_peek_batch_cqe(&uring, cqes, lengthof(cqes))) > 0)
	{
		for (unsigned int i = 0; i < count; i++)
		{
			uintptr_t data = (uintptr_t) io_uring_cqe_get_data(cqes[i]);

			/* Cancellations have no data. */
			if ((data & CACHED_READ_TAG) != 0)
			{
				((VecsegIoCachedRead *) (data & ~CACHED_READ_TAG))->result =
					cqes[i]->res;
				cached_left--;
			}
			else if (data != 0)
				vecseg_io_completed((VecsegIoRead *) data, cqes[i]->res);
		}
		io_uring_cq_advance(&uring, count);
		in_kernel -= count;
		total += count;
	}
	return total;
}

static void
uring_poll(VecsegIoQueue *queue)
{
	(void) uring_reap();
	(void) vecseg_io_take_hinted(queue);
}

static int
uring_block(VecsegIoQueue *queue, int timeout_ms)
{
	struct io_uring_cqe *cqe;
	struct __kernel_timespec timeout;
	instr_time start;
	instr_time duration;
	unsigned int wait_for;
	int ret;

	/*
	 * Of many reads in flight, a few together: each sleep costs a switch.  One
	 * also if none is this queue's: those of abandoned ones are waited for.
	 */
	wait_for =
		Max(1, Min(queue->in_flight,
				   (queue->in_flight + queue->n_hinted) / WAIT_FRACTION));
	timeout.tv_sec = timeout_ms / 1000;
	timeout.tv_nsec = (timeout_ms % 1000) * INT64CONST(1000000);

	INSTR_TIME_SET_CURRENT(start);
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_READ);
	ret = io_uring_wait_cqes(&uring, &cqe, wait_for, &timeout, NULL);
	pgstat_report_wait_end();
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	queue->stats.wait_usec += INSTR_TIME_GET_MICROSEC(duration);
	return ret;
}

/*
 * Give those of the hinted reads to the ring that are to be waited for: the
 * oldest, and one further on.  When that is there, most before it will be.  If
 * hinted reads cannot be taken, all.
 */
static void
submit_hinted(VecsegIoQueue *queue)
{
	int further = queue->n_hinted / WAIT_FRACTION;
	dlist_mutable_iter iter;
	int i = 0;

	dlist_foreach_modify(iter, &queue->hinted)
	{
		if (i == 0 || i == further || queue->cannot_take)
			vecseg_io_stage_hinted(
				dlist_container(VecsegIoRead, node, iter.cur));
		i++;
	}
	uring_submit(queue);
}

static int
uring_wait(VecsegIoQueue *queue, int timeout_ms)
{
	int ret;

	if (uring_reap() + vecseg_io_take_hinted(queue) > 0)
		return 0;

	if (dlist_is_empty(&queue->flying) && !dlist_is_empty(&queue->hinted))
		submit_hinted(queue);
	if (dlist_is_empty(&queue->flying) && !dlist_is_empty(&queue->staged))
	{
		VecsegIoRead *read =
			dlist_head_element(VecsegIoRead, node, &queue->staged);

		vecseg_io_taken(read);
		vecseg_io_completed(read, vecseg_io_pread(read));
		return 0;
	}

	ret = uring_block(queue, timeout_ms);
	switch (ret)
	{
		case 0:
			uring_poll(queue);
			return 0;
		case -EINTR:
		case -ETIME:
		case -EAGAIN:
		case -EBUSY:
			return 0;
		default:

			/*
			 * Completions are lost or unreachable.  Reads in flight stay so
			 * for ever, and no new queue will use the ring.
			 */
			broken_errno = -ret;
			return broken_errno;
	}
}

/*
 * Cancelling is worth trying for reads that wait for a kernel worker; those
 * that have reached the disk take their time regardless.  One request for each
 * read, rather than one for all: other queues share the ring.
 */
static void
uring_cancel(VecsegIoQueue *queue)
{
	dlist_iter iter;

	dlist_foreach(iter, &queue->flying)
	{
		VecsegIoRead *read = dlist_container(VecsegIoRead, node, iter.cur);
		struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);

		if (sqe == NULL)
		{
			if (uring_enter() <= 0)
				return;
			sqe = io_uring_get_sqe(&uring);
		}
		io_uring_prep_cancel(sqe, read, 0);
		io_uring_sqe_set_data(sqe, NULL);
	}
	(void) uring_enter();
}

/* Submit reads that must not wait; result as uring_enter()'s */
static int
submit_cached(VecsegIoCachedRead *reads, int nreads)
{
	for (int i = 0; i < nreads; i++)
	{
		struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);

		if (sqe == NULL)
			break;
		io_uring_prep_readv(sqe, reads[i].fd, reads[i].places, reads[i].nplaces,
							reads[i].offset);
		sqe->rw_flags = RWF_NOWAIT;
		io_uring_sqe_set_data(
			sqe, (void *) ((uintptr_t) &reads[i] | CACHED_READ_TAG));
	}
	return uring_enter();
}

/*
 * Reads that must not wait end while they are submitted, so one system call
 * serves for all: in a virtual machine it may cost more than a read.  Their
 * places may be in any memory context, hence it is waited for the end of all,
 * should the kernel do it otherwise.
 */
static void
uring_read_cached(VecsegIoCachedRead *reads, int nreads)
{
	int taken = 0;

	for (int i = 0; i < nreads; i++)
		reads[i].result = -EAGAIN;
	while (taken < nreads)
	{
		int accepted = submit_cached(reads + taken, nreads - taken);

		if (accepted <= 0)
			break;
		cached_left += accepted;
		taken += accepted;
		(void) uring_reap();
	}
	while (cached_left > 0)
	{
		struct io_uring_cqe *cqe;
		int ret = io_uring_wait_cqe(&uring, &cqe);

		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		{
			errno = -ret;
			elog(FATAL, "could not wait for reads from the page cache: %m");
		}
		(void) uring_reap();
	}
}

const VecsegIoMethodOps vecseg_io_uring_ops = {
	.async = true,
	.startup = uring_startup,
	.submit = uring_submit,
	.wait = uring_wait,
	.poll = uring_poll,
	.cancel = uring_cancel,
	.read_cached = uring_read_cached,
};
