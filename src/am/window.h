/*-------------------------------------------------------------------------
 *
 * window.h
 *	  Rows on their way to the executor, with the reads of their vectors in
 *	  flight.
 *
 * A window is a queue of rows.  Rows are pushed in the order in which they
 * will be returned; the reads of their large values start in batches while
 * earlier rows are being consumed.  A popped row is in the slot as a buffer
 * heap tuple whose wanted columns hold plain, detoasted-from-segment datums
 * instead of TOAST pointers.
 *
 *		w = vecseg_window_create(rel, columns);
 *		for (;;)
 *		{
 *			while (!vecseg_window_full(w) && more rows)
 *				vecseg_window_push(w, slot);
 *			if (!vecseg_window_pop(w, slot))
 *				break;
 *			... use slot; valid until the next pop, reset or close ...
 *		}
 *		vecseg_window_close(w);
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_WINDOW_H
#define VECSEG_WINDOW_H

#include "access/htup.h"
#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "storage/buf.h"
#include "utils/rel.h"

#include "segment/reader.h"
#include "stats.h"

/* Rows that a window holds at most, unless they come in the order of storage */
#define VECSEG_WINDOW_ROWS 1024

typedef struct VecsegWindow VecsegWindow;

/*
 * Open a window on rows of a vecseg table.  columns: attribute numbers (from
 * 1) whose values are to be read, the first 64 of them; NULL for none.  part: which
 * rows of the table are expected.  Belongs to the current memory context and
 * resource owner.  Counters of what was read are added to *counters (which must
 * live as long; may be NULL), and to the backend's statistics.
 */
extern VecsegWindow *vecseg_window_create(Relation rel,
										  const Bitmapset *columns,
										  VecsegReadPart part,
										  VecsegIoCounters *counters);

/*
 * Should the caller take rows before pushing more?  Becomes true when the
 * window holds vecseg.read_ahead bytes or its most rows, and stays so until
 * a part of that was taken, so that reads are started in batches.
 */
extern bool vecseg_window_full(const VecsegWindow *window);

/* So many rows will be wanted: start with as many. */
extern void vecseg_window_expect(VecsegWindow *window, int rows);

/* What is expected now to be read of the table */
extern void vecseg_window_expect_part(VecsegWindow *window,
									  VecsegReadPart part);

/* Rows that the window holds at most for the time being */
extern int vecseg_window_limit(const VecsegWindow *window);

/*
 * Add a row, from a buffer heap tuple slot, with a buffer or without.  The
 * window keeps hold of it by itself.  The slot's descriptor is that of rows in
 * the file; while ALTER TABLE rewrites a table it is not the relation's.
 */
extern void vecseg_window_push(VecsegWindow *window, TupleTableSlot *slot);

/*
 * To be called before each row that may have been stored since the one before it
 * was pushed: in a scan without a snapshot.
 */
extern void vecseg_window_expect_writes(VecsegWindow *window);

/* A mark of the caller's for the row that was pushed last */
extern void vecseg_window_mark(VecsegWindow *window);

/* Take the oldest row into a buffer heap tuple slot; false if there is none. */
extern bool vecseg_window_pop(VecsegWindow *window, TupleTableSlot *slot);

/* Was the row that was popped last marked? */
extern bool vecseg_window_marked(const VecsegWindow *window);

/*
 * Have reads go on in the background; to be called now and then while rows
 * are being looked for.
 */
extern void vecseg_window_keep_reading(VecsegWindow *window);

/* Number of rows pushed but not yet popped */
extern int vecseg_window_rows(const VecsegWindow *window);

/* Drop all rows, cancel their reads. */
extern void vecseg_window_reset(VecsegWindow *window);

extern void vecseg_window_close(VecsegWindow *window);

#endif /* VECSEG_WINDOW_H */
