/*-------------------------------------------------------------------------
 *
 * build.c
 *	  Index builds that read vectors ahead.
 *
 * heapam's callback does the scan.  It is told that the index is one on the
 * plain columns which the real index uses, and to call us: so we are given
 * rows with their TOAST pointers.  They pass a window, and come out of it with
 * their vectors, from which the real index's values are formed for its access
 * method.
 *
 *	  heapam -- columns --> push | window | pop -- values --> access method
 *
 * The first rows go straight on, until one is seen to be detoasted: an index
 * on a condition like "embedding IS NOT NULL" reads no vectors.  So do rows
 * without large values when the window is empty, and dead ones, after the
 * window's: heapam has the row's page pinned for as long as our callback runs,
 * which keeps a dead row, and so its vectors, from being removed.  A row that
 * is alive stays so, because the table is locked, or else (CONCURRENTLY)
 * because the scan has a snapshot.  If it has neither, as IVFFlat's taking of
 * samples, its only page is kept pinned.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "am/build.h"
#include "am/offer.h"
#include "am/window.h"

struct VecsegBuild
{
	MemoryContext context; /* of all of this */
	Relation rel;
	IndexInfo *info;			 /* of the real index */
	IndexBuildCallback callback; /* of its access method */
	void *callback_state;
	IndexInfo columns; /* what heapam is told */
	Buffer pin;		   /* InvalidBuffer: none is needed */
	EState *estate;
	TupleTableSlot *plain;	/* a row that does not pass the window */
	TupleTableSlot *pushed; /* rows on their way into the window, out of it */
	TupleTableSlot *popped;
	VecsegOffer *offer;
	VecsegWindow *window; /* NULL before a row was seen to be detoasted */
};

/*
 * Set the columns that the index uses, whole rows and system columns aside;
 * false if it uses those, too many, or none that could be large.
 */
static bool
set_columns(VecsegBuild *build)
{
	TupleDesc desc = RelationGetDescr(build->rel);
	IndexInfo *columns = &build->columns;
	Bitmapset *used = NULL;
	bool large = false;
	int member = -1;
	int i;

	pull_varattnos((Node *) build->info->ii_Expressions, 1, &used);
	for (i = 0; i < build->info->ii_NumIndexAttrs; i++)
	{
		AttrNumber attno = build->info->ii_IndexAttrNumbers[i];

		if (attno != 0)
			used = bms_add_member(used,
								  attno - FirstLowInvalidHeapAttributeNumber);
	}

	*columns = *build->info;
	columns->ii_Expressions = NIL;
	columns->ii_ExpressionsState = NIL;
	columns->ii_NumIndexAttrs = 0;
	while ((member = bms_next_member(used, member)) >= 0)
	{
		int attno = member + FirstLowInvalidHeapAttributeNumber;

		if (attno <= 0 || columns->ii_NumIndexAttrs == INDEX_MAX_KEYS)
			return false;
		columns->ii_IndexAttrNumbers[columns->ii_NumIndexAttrs++] = attno;
		large |= TupleDescAttr(desc, attno - 1)->attlen == -1;
	}
	return large;
}

static void
prepare(VecsegBuild *build, BlockNumber block)
{
	/* our rows have nulls also where there must be none */
	TupleDesc desc = CreateTupleDescCopy(RelationGetDescr(build->rel));

	build->estate = CreateExecutorState();
	build->plain = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	build->pushed = MakeSingleTupleTableSlot(desc, &TTSOpsBufferHeapTuple);
	build->popped = MakeSingleTupleTableSlot(desc, &TTSOpsBufferHeapTuple);
	build->offer = vecseg_offer_create(desc, build->rel->rd_rel->reltoastrelid);
	if (BlockNumberIsValid(block))
		build->pin = ReadBuffer(build->rel, block);
}

VecsegBuild *
vecseg_build_begin(Relation rel, IndexInfo *info, IndexBuildCallback callback,
				   void *callback_state, BlockNumber block)
{
	MemoryContext context;
	MemoryContext old;
	VecsegBuild *build;
	bool wanted;

	if (!OidIsValid(rel->rd_rel->reltoastrelid))
		return NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "vecseg index build",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	build = palloc0(sizeof(VecsegBuild));
	build->context = context;
	build->rel = rel;
	build->info = info;
	build->callback = callback;
	build->callback_state = callback_state;
	wanted = set_columns(build);
	if (wanted)
		prepare(build, block);
	MemoryContextSwitchTo(old);
	if (wanted)
		return build;
	MemoryContextDelete(context);
	return NULL;
}

IndexInfo *
vecseg_build_columns(VecsegBuild *build)
{
	return &build->columns;
}

/* Give a row to the access method. */
static void
deliver(VecsegBuild *build, Relation index, TupleTableSlot *slot,
		ItemPointer tid, bool alive)
{
	ExprContext *econtext = GetPerTupleExprContext(build->estate);
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];

	econtext->ecxt_scantuple = slot;
	FormIndexDatum(build->info, slot, build->estate, values, isnull);
	build->callback(index, tid, values, isnull, alive, build->callback_state);
	ResetExprContext(econtext);
}

static bool
deliver_next(VecsegBuild *build, Relation index)
{
	if (build->window == NULL ||
		!vecseg_window_pop(build->window, build->popped))
		return false;
	deliver(build, index, build->popped, &build->popped->tts_tid, true);
	return true;
}

/* Put a row, of which the index's columns are given, into a virtual slot. */
static void
store_plain(VecsegBuild *build, Datum *values, bool *isnull)
{
	TupleTableSlot *slot = build->plain;
	int i;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts);
	for (i = 0; i < build->columns.ii_NumIndexAttrs; i++)
	{
		int column = build->columns.ii_IndexAttrNumbers[i] - 1;

		slot->tts_values[column] = values[i];
		slot->tts_isnull[column] = isnull[i];
	}
	ExecStoreVirtualTuple(slot);
}

/* Has a row values to be read? */
static bool
has_pointers(VecsegBuild *build)
{
	bool result;

	vecseg_offer_row(build->offer, build->plain);
	result = vecseg_offer_is_open(build->offer);
	vecseg_offer_withdraw(build->offer);
	return result;
}

static void
push(VecsegBuild *build, ItemPointer tid)
{
	TupleTableSlot *plain = build->plain;
	HeapTuple tuple = heap_form_tuple(plain->tts_tupleDescriptor,
									  plain->tts_values, plain->tts_isnull);

	tuple->t_self = *tid;
	tuple->t_tableOid = RelationGetRelid(build->rel);
	ExecForceStoreHeapTuple(tuple, build->pushed, true);
	vecseg_window_expect_writes(build->window);
	vecseg_window_push(build->window, build->pushed);
	ExecClearTuple(build->pushed);
}

static void
open_window(VecsegBuild *build)
{
	MemoryContext old = MemoryContextSwitchTo(build->context);
	Bitmapset *columns = NULL;
	int i;

	for (i = 0; i < build->columns.ii_NumIndexAttrs; i++)
		columns =
			bms_add_member(columns, build->columns.ii_IndexAttrNumbers[i]);
	build->window =
		vecseg_window_create(build->rel, columns, VECSEG_READ_IN_ORDER, NULL);
	MemoryContextSwitchTo(old);
}

/* Deliver a row at once, and open a window if its values are detoasted. */
static void
watch(VecsegBuild *build, Relation index, ItemPointer tid, bool alive)
{
	vecseg_offer_row(build->offer, build->plain);
	deliver(build, index, build->plain, tid, alive);
	if (vecseg_offer_taken(build->offer) != NULL)
		open_window(build);
	vecseg_offer_withdraw(build->offer);
}

void
vecseg_build_add(Relation index, ItemPointer tid, Datum *values, bool *isnull,
				 bool alive, void *state)
{
	VecsegBuild *build = state;

	store_plain(build, values, isnull);
	if (build->window == NULL)
		watch(build, index, tid, alive);
	else if (alive &&
			 (vecseg_window_rows(build->window) > 0 || has_pointers(build)))
	{
		push(build, tid);
		while (vecseg_window_full(build->window))
			deliver_next(build, index);
	}
	else
	{
		while (deliver_next(build, index))
			;
		deliver(build, index, build->plain, tid, alive);
	}
}

void
vecseg_build_end(VecsegBuild *build, Relation index)
{
	while (deliver_next(build, index))
		;
	build->info->ii_BrokenHotChain |= build->columns.ii_BrokenHotChain;
	build->info->ii_ExpressionsState = NIL; /* it is the executor state's */
	if (build->window != NULL)
		vecseg_window_close(build->window);
	ExecDropSingleTupleTableSlot(build->plain);
	ExecDropSingleTupleTableSlot(build->pushed);
	ExecDropSingleTupleTableSlot(build->popped);
	FreeExecutorState(build->estate);
	if (BufferIsValid(build->pin))
		ReleaseBuffer(build->pin);
	MemoryContextDelete(build->context);
}
