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
 * No read is ever flying: the kernel does not write to a buffer behind our back.
 * A pread() on a hanging disk cannot be interrupted; that is how PostgreSQL's
 * own reads behave.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "io/io_internal.h"
#include "portability/instr_time.h"
#include "utils/wait_event.h"

static void
sync_submit(VecsegIoQueue *queue)
{
	while (!dlist_is_empty(&queue->staged))
		vecseg_io_hint(dlist_head_element(VecsegIoRead, node, &queue->staged));
}

static int
sync_wait(VecsegIoQueue *queue, int timeout_ms)
{
	VecsegIoRead *read;
	instr_time start;
	instr_time duration;
	ssize_t result;

	if (dlist_is_empty(&queue->hinted))
		return 0;
	read = dlist_head_element(VecsegIoRead, node, &queue->hinted);

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
	(void) vecseg_io_take_hinted(queue);
}

const VecsegIoMethodOps vecseg_io_sync_ops = {
	.async = false,
	.startup = NULL,
	.submit = sync_submit,
	.wait = sync_wait,
	.poll = sync_poll,
	.cancel = NULL,
	.read_cached = NULL,
};
