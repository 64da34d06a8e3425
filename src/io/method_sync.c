/*-------------------------------------------------------------------------
 *
 * method_sync.c
 *	  Reads with pread(), for kernels that refuse io_uring.
 *
 * Submission asks the kernel to prefetch (POSIX_FADV_WILLNEED starts the
 * disk and returns), waiting then reads the oldest request.  So a deep queue
 * overlaps disk reads here too; what is lost against io_uring is two system
 * calls per read instead of a fraction of one.
 *
 * "Flying" is only an order of service here: the kernel never writes to a
 * buffer behind our back.  A pread() on a hanging disk cannot be interrupted;
 * that is how PostgreSQL's own reads behave.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/uio.h>

#include "io/io_internal.h"
#include "portability/instr_time.h"
#include "utils/wait_event.h"

static void
sync_submit(VecsegIoQueue *queue)
{
	/* A single read gains nothing from a hint just before it. */
	bool prefetch = queue->depth > 1;

	while (!dlist_is_empty(&queue->staged))
	{
		VecsegIoRead *read =
			dlist_head_element(VecsegIoRead, node, &queue->staged);

		/* Only a hint: an error would come back from pread() too. */
		if (prefetch)
			(void) posix_fadvise(read->request.fd, VecsegIoReadOffset(read),
								 VecsegIoReadLength(read), POSIX_FADV_WILLNEED);
		vecseg_io_taken(read);
	}
}

static int
sync_wait(VecsegIoQueue *queue, int timeout_ms)
{
	VecsegIoRead *read;
	instr_time start;
	instr_time duration;
	ssize_t result;

	if (dlist_is_empty(&queue->flying))
		return 0;
	read = dlist_head_element(VecsegIoRead, node, &queue->flying);

	INSTR_TIME_SET_CURRENT(start);
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_READ);
	result = vecseg_io_pread(read);
	pgstat_report_wait_end();
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	queue->stats.wait_usec += INSTR_TIME_GET_MICROSEC(duration);

	vecseg_io_completed(read, result);
	return 0;
}

/* Take what the prefetch has brought: reads that need not wait. */
static void
sync_poll(VecsegIoQueue *queue)
{
	while (!dlist_is_empty(&queue->flying))
	{
		VecsegIoRead *read =
			dlist_head_element(VecsegIoRead, node, &queue->flying);
		struct iovec place = { VecsegIoReadAddress(read),
							   VecsegIoReadLength(read) };
		ssize_t result = preadv2(read->request.fd, &place, 1,
								 VecsegIoReadOffset(read), RWF_NOWAIT);

		if (result <= 0)
			return;
		vecseg_io_completed(read, result);
	}
}

static void
sync_cancel(VecsegIoQueue *queue)
{
	while (!dlist_is_empty(&queue->flying))
		vecseg_io_completed(
			dlist_head_element(VecsegIoRead, node, &queue->flying), -ECANCELED);
}

const VecsegIoMethodOps vecseg_io_sync_ops = {
	.async = false,
	.startup = NULL,
	.submit = sync_submit,
	.wait = sync_wait,
	.poll = sync_poll,
	.cancel = sync_cancel,
};
