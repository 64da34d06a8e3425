/*-------------------------------------------------------------------------
 *
 * window.c
 *	  Rows on their way to the executor, with the reads of their vectors in
 *	  flight.
 *
 * See window.h.  The rows are in a circular array; neighbours on one page
 * share a pin, which the last of them gives up.  A window pins few pages, to
 * leave others their buffers; rows on further pages are copied.  The values
 * are a VecsegReader's.  Of a row whose values are wanted, the first value's
 * number in the reader and the set of columns are kept; the values' numbers are
 * consecutive.
 *
 * The window starts small, so that a LIMIT does not read far ahead, and
 * doubles each time so many rows as half of it were taken, up to its most rows
 * or vecseg.read_ahead bytes of values.  But while all values are in memory it
 * stays so small that the processor has its rows at hand.  A large window is
 * refilled, and its reads are submitted, an eighth at a time: the reads of a
 * submission finish in the order of their places, so until the first row of it
 * is there most of the others are, and it is the submissions behind it that
 * keep the disk busy.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "am/window.h"
#include "guc.h"
#include "segment/reader.h"

/* Rows held at first and at most, in a scan of the table and otherwise */
#define BULK_FIRST_ROWS 8
#define BULK_MAX_ROWS 4096
#define FIRST_ROWS 1

/*
 * A window that holds this many rows is refilled by halves, and is large
 * enough while nothing has to be read.
 */
#define SMALL_WINDOW 64

/*
 * Pages pinned at most, by all windows of a backend: a query may have hundreds, of
 * partitions.  Fewer if there are few buffers for each backend.
 */
#define MAX_PINS 64

typedef struct WindowRow
{
	HeapTupleData tuple;
	Buffer buffer;		/* InvalidBuffer: the tuple is a copy */
	bool last_on_page;	/* the next row is on another page: unpin after it */
	bool marked;		/* by the caller */
	uint64 first_value; /* number in the reader */
	uint64 columns;		/* bit i: column i of the window's list is read */
} WindowRow;

struct VecsegWindow
{
	Relation rel;
	Relation toastrel;	  /* NULL: the table has no large values */
	VecsegReader *reader; /* NULL before the first value */
	VecsegIoCounters *counters;
	MemoryContext context;
	MemoryContext content; /* of rows and reader; NULL: there are none */
	VecsegReadPart part;

	AttrNumber *columns; /* wanted, ascending */
	int ncolumns;

	WindowRow *rows; /* a circular array */
	int max_rows;	 /* its length, a power of two */
	uint64 first;
	uint64 next;
	int limit;		 /* rows to hold */
	int taken;		 /* rows popped since the limit was raised */
	uint64 reads;	 /* of the reader when the limit was raised last */
	int unsubmitted; /* rows pushed since the last submission */
	Size bytes;		 /* of copied tuples */
	bool marked;	 /* the row popped last was */
	bool filling;	 /* until full; then, until there is room for a step, not */
	uint64 consumed; /* values below this number may be released */
};

/* A row keeps one bit per wanted column. */
#define MAX_COLUMNS 64

/*
 * Windows share what a backend may hold beyond so many of them: so many times
 * vecseg.read_ahead, or a little more if there are so many that each has the least.
 */
#define WINDOWS_WITHOUT_SHARING 4
#define LEAST_BYTES (256 * 1024)

/*
 * Of all windows: pages pinned, and how many have rows.  An error may leave too many
 * until the end of the transaction.
 */
static int pins = 0;
static int windows_with_rows = 0;

static void
forget_windows(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT &&
		event != XACT_EVENT_PARALLEL_PRE_COMMIT &&
		event != XACT_EVENT_PRE_PREPARE)
		pins = windows_with_rows = 0;
}

/* May a window pin one more page? */
static bool
may_pin(void)
{
	return pins < Min(MAX_PINS, NBuffers / (MaxBackends + NUM_AUXILIARY_PROCS));
}

static void
set_columns(VecsegWindow *window, const Bitmapset *columns)
{
	int attno = -1;

	window->columns = palloc(MAX_COLUMNS * sizeof(AttrNumber));
	while (columns != NULL && window->ncolumns < MAX_COLUMNS &&
		   (attno = bms_next_member(columns, attno)) >= 0)
		window->columns[window->ncolumns++] = attno;
}

/* Is this a scan of most of the table, in its own order? */
static bool
in_order(const VecsegWindow *window)
{
	return window->part == VECSEG_READ_IN_ORDER;
}

static void
start_small(VecsegWindow *window)
{
	window->limit = in_order(window) ? BULK_FIRST_ROWS : FIRST_ROWS;
	window->taken = 0;
	window->reads = 0;
	window->unsubmitted = 0;
	window->filling = true;
}

VecsegWindow *
vecseg_window_create(Relation rel, const Bitmapset *columns,
					 VecsegReadPart part, VecsegIoCounters *counters)
{
	static bool registered = false;
	VecsegWindow *window = palloc0(sizeof(VecsegWindow));

	if (!registered)
		RegisterXactCallback(forget_windows, NULL);
	registered = true;
	window->rel = rel;
	window->counters = counters;
	window->context = CurrentMemoryContext;
	window->part = part;
	window->max_rows = in_order(window) ? BULK_MAX_ROWS : VECSEG_WINDOW_ROWS;
	start_small(window);
	set_columns(window, columns);
	if (OidIsValid(rel->rd_rel->reltoastrelid) && window->ncolumns > 0)
		window->toastrel =
			table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	return window;
}

int
vecseg_window_rows(const VecsegWindow *window)
{
	return (int) (window->next - window->first);
}

/* Bytes that rows and values in the window take */
static Size
bytes_held(const VecsegWindow *window)
{
	return window->bytes +
		   (window->reader == NULL ? 0 : vecseg_reader_bytes(window->reader));
}

/* Bytes that a window may hold now */
static Size
limit_in_bytes(void)
{
	Size bytes = (Size) vecseg_read_ahead * 1024;

	if (windows_with_rows <= WINDOWS_WITHOUT_SHARING)
		return bytes;
	return Max(bytes * WINDOWS_WITHOUT_SHARING / windows_with_rows,
			   LEAST_BYTES);
}

static bool
at_limit(const VecsegWindow *window)
{
	return vecseg_window_rows(window) >= window->limit ||
		   bytes_held(window) >= limit_in_bytes();
}

/* The fraction of a full window that is refilled at a time: one in so many */
static int
steps(const VecsegWindow *window)
{
	return window->limit <= SMALL_WINDOW ? 2 : 8;
}

/*
 * Is it time to add rows?  Always if there are none, even if the value of the
 * row popped last, which is still in use, takes all of the memory.
 */
static bool
has_room(const VecsegWindow *window)
{
	int rows = vecseg_window_rows(window);
	Size bytes = limit_in_bytes();

	return rows == 0 ||
		   (rows <= window->limit - window->limit / steps(window) &&
			bytes_held(window) <= bytes - bytes / steps(window));
}

bool
vecseg_window_full(const VecsegWindow *window)
{
	return !window->filling;
}

void
vecseg_window_expect(VecsegWindow *window, int rows)
{
	window->limit = Min(rows, window->max_rows);
}

void
vecseg_window_expect_part(VecsegWindow *window, VecsegReadPart part)
{
	if (part == window->part)
		return;
	window->part = part;
	if (window->reader != NULL)
		vecseg_reader_expect_part(window->reader, part);
}

int
vecseg_window_limit(const VecsegWindow *window)
{
	return window->limit;
}

/* Start reading a row's wanted values. */
static void
want_values(VecsegWindow *window, WindowRow *row, TupleTableSlot *slot)
{
	int i;

	slot_getsomeattrs(slot, window->columns[window->ncolumns - 1]);
	for (i = 0; i < window->ncolumns; i++)
	{
		int attno = window->columns[i];
		struct varatt_external pointer;
		uint64 number;

		if (slot->tts_isnull[attno - 1] ||
			TupleDescAttr(slot->tts_tupleDescriptor, attno - 1)->attlen != -1 ||
			!VARATT_IS_EXTERNAL_ONDISK(
				DatumGetPointer(slot->tts_values[attno - 1])))
			continue;
		VARATT_EXTERNAL_GET_POINTER(
			pointer, DatumGetPointer(slot->tts_values[attno - 1]));
		if (pointer.va_toastrelid != RelationGetRelid(window->toastrel))
			continue;
		if (window->reader == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(window->content);

			window->reader = vecseg_reader_open(window->toastrel, window->part,
												window->counters);
			MemoryContextSwitchTo(old);
		}
		number =
			vecseg_reader_add(window->reader, pointer.va_valueid,
							  VARATT_EXTERNAL_GET_EXTSIZE(pointer) + VARHDRSZ,
							  VARATT_EXTERNAL_IS_COMPRESSED(pointer));
		if (row->columns == 0)
			row->first_value = number;
		row->columns |= UINT64CONST(1) << i;
	}
}

/* Hold a row in the window: by a pin on its page, or as a copy. */
static void
hold_row(VecsegWindow *window, WindowRow *row, HeapTuple tuple, Buffer buffer)
{
	WindowRow *previous = &window->rows[(window->next - 1) % window->max_rows];

	row->tuple = *tuple;
	row->buffer = buffer;
	row->last_on_page = true;
	if (BufferIsValid(buffer) && vecseg_window_rows(window) > 0 &&
		previous->buffer == buffer)
		previous->last_on_page = false;
	else if (BufferIsValid(buffer) && may_pin())
	{
		IncrBufferRefCount(buffer);
		pins++;
	}
	else
	{
		row->tuple.t_data = MemoryContextAlloc(window->content, tuple->t_len);
		memcpy(row->tuple.t_data, tuple->t_data, tuple->t_len);
		row->buffer = InvalidBuffer;
		window->bytes += tuple->t_len;
	}
}

/* The row has been returned, or is not wanted. */
static void
let_go(VecsegWindow *window, WindowRow *row)
{
	if (!BufferIsValid(row->buffer))
	{
		pfree(row->tuple.t_data);
		window->bytes -= row->tuple.t_len;
	}
	else if (row->last_on_page)
	{
		ReleaseBuffer(row->buffer);
		Assert(pins > 0);
		pins--;
	}
}

static void
submit(VecsegWindow *window)
{
	if (window->reader != NULL)
		vecseg_reader_submit(window->reader);
	window->unsubmitted = 0;
}

/* Not before there are rows: a query may have windows by the hundred. */
static void
make_room(VecsegWindow *window)
{
	window->content = AllocSetContextCreate(window->context, "vecseg window",
											ALLOCSET_DEFAULT_SIZES);
	window->rows = MemoryContextAlloc(window->content,
									  window->max_rows * sizeof(WindowRow));
}

void
vecseg_window_push(VecsegWindow *window, TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) slot;
	WindowRow *row;

	Assert(vecseg_window_rows(window) < window->max_rows);
	if (window->content == NULL)
		make_room(window);
	row = &window->rows[window->next % window->max_rows];
	row->marked = false;
	row->columns = 0;
	row->first_value = 0;
	hold_row(window, row, bslot->base.tuple, bslot->buffer);
	if (vecseg_window_rows(window) == 0)
		windows_with_rows++;
	window->next++;
	if (window->toastrel != NULL)
		want_values(window, row, slot);

	window->unsubmitted++;
	if (at_limit(window))
		window->filling = false;
	if (!window->filling ||
		window->unsubmitted >= Max(SMALL_WINDOW, window->limit / steps(window)))
		submit(window);
}

void
vecseg_window_expect_writes(VecsegWindow *window)
{
	if (window->reader != NULL)
		vecseg_reader_expect_writes(window->reader);
}

void
vecseg_window_mark(VecsegWindow *window)
{
	Assert(vecseg_window_rows(window) > 0);
	window->rows[(window->next - 1) % window->max_rows].marked = true;
}

bool
vecseg_window_marked(const VecsegWindow *window)
{
	return window->marked;
}

void
vecseg_window_keep_reading(VecsegWindow *window)
{
	if (window->reader != NULL)
		vecseg_reader_keep_reading(window->reader);
}

/* Put the values that were read into the slot, for the pointers to them. */
static void
replace_pointers(VecsegWindow *window, const WindowRow *row,
				 TupleTableSlot *slot)
{
	uint64 number = row->first_value;
	int i;

	slot_getsomeattrs(slot, window->columns[window->ncolumns - 1]);
	for (i = 0; i < window->ncolumns; i++)
	{
		if ((row->columns & (UINT64CONST(1) << i)) == 0)
			continue;
		slot->tts_values[window->columns[i] - 1] =
			PointerGetDatum(vecseg_reader_get(window->reader, number++));
	}
	window->consumed = number;
}

/* Put a row into a slot, which then holds it by itself. */
static void
store_row(WindowRow *row, TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *bslot = (BufferHeapTupleTableSlot *) slot;

	if (BufferIsValid(row->buffer))
	{
		/* pins the page for the slot, unless the slot has it already */
		bslot->base.tupdata = row->tuple;
		ExecStoreBufferHeapTuple(&bslot->base.tupdata, slot, row->buffer);
	}
	else
	{
		ExecForceStoreHeapTuple(&row->tuple, slot, false);
		slot->tts_tid = row->tuple.t_self;
	}
	slot->tts_tableOid = row->tuple.t_tableOid;
}

/* Let the window grow, if so many rows were taken and it is of use. */
static void
raise_limit(VecsegWindow *window)
{
	uint64 reads =
		window->reader == NULL ? 0 : vecseg_reader_reads(window->reader);

	if (window->taken < window->limit / 2 ||
		(window->limit >= SMALL_WINDOW && reads == window->reads))
		return;
	window->limit = Min(window->limit * 2, window->max_rows);
	window->taken = 0;
	window->reads = reads;
}

bool
vecseg_window_pop(VecsegWindow *window, TupleTableSlot *slot)
{
	WindowRow *row;

	Assert(TTS_IS_BUFFERTUPLE(slot));
	if (window->reader != NULL)
		vecseg_reader_release(window->reader, window->consumed);
	if (vecseg_window_rows(window) == 0)
	{
		ExecClearTuple(slot);
		return false;
	}

	row = &window->rows[window->first % window->max_rows];
	window->marked = row->marked;
	store_row(row, slot);
	let_go(window, row);
	window->first++;
	if (vecseg_window_rows(window) == 0)
		windows_with_rows--;
	if (row->columns != 0)
		replace_pointers(window, row, slot);

	window->taken++;
	if (!window->filling && has_room(window))
	{
		window->filling = true;
		raise_limit(window);
	}
	return true;
}

void
vecseg_window_reset(VecsegWindow *window)
{
	if (vecseg_window_rows(window) > 0)
		windows_with_rows--;
	for (; window->first < window->next; window->first++)
		let_go(window, &window->rows[window->first % window->max_rows]);
	if (window->reader != NULL)
		vecseg_reader_close(window->reader);
	if (window->content != NULL)
		MemoryContextDelete(window->content);
	window->reader = NULL;
	window->rows = NULL;
	window->content = NULL;
	window->consumed = 0;
	start_small(window);
}

void
vecseg_window_close(VecsegWindow *window)
{
	vecseg_window_reset(window);
	if (window->toastrel != NULL)
		table_close(window->toastrel, AccessShareLock);
	pfree(window->columns);
	pfree(window);
}
