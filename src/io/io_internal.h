/*-------------------------------------------------------------------------
 *
 * io_internal.h
 *	  What the queue (io.c), its buffers (buffers.c) and the I/O methods
 *	  (method_*.c) share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_IO_INTERNAL_H
#define VECSEG_IO_INTERNAL_H

#include "io/io.h"
#include "lib/ilist.h"
#include "utils/resowner.h"

/*
 * The life of a request.  Every state but HELD corresponds to one of the
 * queue's lists.
 *
 *			get			 start			submit		   completed
 *	 FREE ------> HELD ---------> STAGED --------> FLYING --------> DONE
 *	   ^		   | ^			   |  ^	 remainder	  |			   ^   |
 *	   +-----------+ |			   |  +---------------+	 completed |   |
 *	   ^	release	 | ^		   +-----------> HINTED -----------+   |
 *	   |		keep | |			  submit						   |
 *	   +--- KEPT <---+ +-----------------------------------------------+
 *											wait
 *
 * A hinted read may be staged again, to go the upper way.
 */
typedef enum VecsegIoState
{
	VECSEG_IO_FREE,	  /* has no buffer */
	VECSEG_IO_HELD,	  /* the caller's */
	VECSEG_IO_KEPT,	  /* the caller's for its buffer, for longer */
	VECSEG_IO_STAGED, /* started, not yet in the kernel */
	VECSEG_IO_HINTED, /* the kernel was asked to get the pages */
	VECSEG_IO_FLYING, /* the kernel may write to the buffer */
	VECSEG_IO_DONE	  /* finished, not yet returned */
} VecsegIoState;

/* A request and its private part */
typedef struct VecsegIoRead
{
	VecsegIoRequest request; /* must be first */
	VecsegIoQueue *queue;
	VecsegIoState state;
	uint32 reached; /* bytes read so far */
	int retries;	/* attempts in a row that failed */
	bool hinted;	/* was hinted once */
	dlist_node node;
} VecsegIoRead;

/*
 * An I/O method.  Callbacks never raise an ERROR and never run
 * CHECK_FOR_INTERRUPTS(): they are also called during abort.
 */
typedef struct VecsegIoMethodOps
{

	/* Do reads proceed by themselves, and outlive a closed queue? */
	bool async;

	/*
	 * Get ready for a queue of this depth.  Returns 0, or the errno with
	 * which the system refused; then the method is not used.  NULL if there is
	 * nothing to do and the method always works.
	 */
	int (*startup)(int depth);

	/*
	 * Take staged reads, in order, reporting each with vecseg_io_taken(), or
	 * hint them.  What the kernel does not accept now is left staged.  Must
	 * not wait for completions.
	 */
	void (*submit)(VecsegIoQueue *queue);

	/*
	 * Report finished reads with vecseg_io_completed(), of this queue or
	 * others; if there is none, block until there is one, a signal arrives or
	 * the time is up.  If nothing of the queue is flying but reads are staged
	 * that submit() could not get rid of, must make progress with one.
	 * Returns 0, or an errno when waiting makes no sense any more.
	 */
	int (*wait)(VecsegIoQueue *queue, int timeout_ms);

	/* Report reads that have finished already, if any, without blocking. */
	void (*poll)(VecsegIoQueue *queue);

	/*
	 * Ask the kernel to give back the queue's flying reads soon.  They are
	 * flying until wait() reports them all the same.
	 * NULL if reads never fly.
	 */
	void (*cancel)(VecsegIoQueue *queue);

	/*
	 * vecseg_io_read_cached() for several reads; NULL if that is not better
	 * than one after the other.
	 */
	void (*read_cached)(VecsegIoCachedRead *reads, int nreads);
} VecsegIoMethodOps;

struct VecsegIoQueue
{
	const VecsegIoMethodOps *ops;
	ResourceOwner owner;
	dlist_node node;	/* in io.c's list of open queues */
	int depth;			/* requests pending at a time */
	int pending;		/* requests started that have not finished, */
	Size pending_bytes; /* and what they ask for */
	int kept;
	int in_flight;	   /* length of flying */
	int n_hinted;	   /* length of hinted */
	bool cannot_take;  /* hinted reads without waiting: it was refused */
	bool closing;	   /* start no more, forget results */
	bool abandoned;	   /* freed when the last read comes back */
	dlist_head free;   /* LIFO */
	dlist_head staged; /* FIFO, remainders in front */
	dlist_head hinted; /* FIFO */
	dlist_head flying; /* FIFO */
	dlist_head done;   /* FIFO */
	VecsegIoStats stats;
	VecsegIoRead reads[FLEXIBLE_ARRAY_MEMBER]; /* depth + MAX_FINISHED */
};

/* What is still to be read */
#define VecsegIoReadAddress(read) ((read)->request.buffer + (read)->reached)
#define VecsegIoReadOffset(read) \
	((read)->request.offset + (off_t) (read)->reached)
#define VecsegIoReadLength(read) ((read)->request.length - (read)->reached)

/* io.c, for the methods */
extern void vecseg_io_taken(VecsegIoRead *read);
extern void vecseg_io_completed(VecsegIoRead *read, ssize_t result);
extern ssize_t vecseg_io_pread(VecsegIoRead *read);
extern void vecseg_io_hint(VecsegIoRead *read);
extern void vecseg_io_stage_hinted(VecsegIoRead *read);
extern int vecseg_io_take_hinted(VecsegIoQueue *queue);

/* buffers.c */
extern char *vecseg_io_buffer_get(uint32 length);
extern void vecseg_io_buffer_put(char *buffer, uint32 length);

/* method_uring.c */
extern const VecsegIoMethodOps vecseg_io_uring_ops;

/* method_sync.c */
extern const VecsegIoMethodOps vecseg_io_sync_ops;

#endif /* VECSEG_IO_INTERNAL_H */
