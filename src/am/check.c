/*-------------------------------------------------------------------------
 *
 * check.c
 *	  Verifying a vecseg table: its rows' references, and its store.
 *
 * What must hold of references, and why that can be said while others write,
 * is explained in segment/check.c.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "am/am.h"
#include "am/check.h"
#include "am/references.h"

/* A reference met on a page */
typedef struct Reference
{
	ItemPointerData tid;
	AttrNumber attnum;
	bool visible;
	struct varatt_external pointer;
} Reference;

/* The state of one check */
typedef struct TableCheck
{
	Relation rel;
	Snapshot snapshot;
	BufferAccessStrategy strategy;
	VecsegCheck *store;
	bool first_turn; /* problems of rows as such are reported once */
	VecsegCheckReport report;
	void *report_arg;

	/* the references of the page that is being visited */
	MemoryContext context;
	Reference *references;
	int nreferences;
	int max_references;
	bool visible; /* of the row version at hand */
} TableCheck;

static void
report_row(TableCheck *check, BlockNumber block, OffsetNumber offset,
		   const char *problem)
{
	VecsegPlace place = VECSEG_NOWHERE;
	ItemPointerData tid;

	if (!check->first_turn)
		return;
	ItemPointerSet(&tid, block, offset);
	place.tid = &tid;
	check->report(check->report_arg, &place, problem);
}

static void
collect_reference(void *arg, HeapTuple tuple, int attnum,
				  const struct varatt_external *pointer)
{
	TableCheck *check = arg;
	Reference *reference;

	if (check->nreferences == check->max_references)
	{
		check->max_references *= 2;
		check->references = repalloc(check->references,
									 check->max_references * sizeof(Reference));
	}
	reference = &check->references[check->nreferences++];
	reference->tid = tuple->t_self;
	reference->attnum = attnum;
	reference->visible = check->visible;
	reference->pointer = *pointer;
}

/* Can a transaction's status be looked up? */
static bool
is_known_xid(const TableCheck *check, TransactionId xid, TransactionId next)
{
	return !TransactionIdIsNormal(xid) ||
		   (!TransactionIdPrecedes(xid, check->rel->rd_rel->relfrozenxid) &&
			TransactionIdPrecedes(xid, next));
}

static bool
is_known_multixact(const TableCheck *check, MultiXactId multi)
{
	return !MultiXactIdPrecedes(multi, check->rel->rd_rel->relminmxid) &&
		   MultiXactIdPrecedes(multi, ReadNextMultiXactId());
}

/* Looking up a transaction that is not in the commit log raises an error. */
static const char *
verify_transactions(const TableCheck *check, HeapTupleHeader header)
{
	TransactionId next = ReadNextTransactionId();
	TransactionId xmin = HeapTupleHeaderGetRawXmin(header);
	TransactionId xmax = HeapTupleHeaderGetRawXmax(header);

	if (!HeapTupleHeaderXminFrozen(header) && !is_known_xid(check, xmin, next))
		return psprintf("row was inserted by an unknown transaction, %u", xmin);
	if ((header->t_infomask & HEAP_XMAX_INVALID) == 0 &&
		!((header->t_infomask & HEAP_XMAX_IS_MULTI) != 0
			  ? is_known_multixact(check, xmax)
			  : is_known_xid(check, xmax, next)))
		return psprintf(
			"row was deleted or locked by an unknown transaction, %u", xmax);
	return NULL;
}

/* Collect the references of the row versions on a share-locked page. */
static void
collect_references(TableCheck *check, Buffer buffer, BlockNumber block)
{
	Page page = BufferGetPage(buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	OffsetNumber offset;

	check->nreferences = 0;
	for (offset = FirstOffsetNumber; offset <= last; offset++)
	{
		HeapTupleData tuple;
		TransactionId dead_after;
		const char *problem;

		if (!ItemIdIsNormal(PageGetItemId(page, offset)))
			continue;
		problem = vecseg_references_tuple(page, offset, &tuple);
		if (problem == NULL)
			problem = verify_transactions(check, tuple.t_data);
		if (problem == NULL)
		{
			tuple.t_tableOid = RelationGetRelid(check->rel);
			ItemPointerSet(&tuple.t_self, block, offset);
			/* rolled back, perhaps with the columns that it has */
			if (HeapTupleSatisfiesVacuumHorizon(&tuple, buffer, &dead_after) ==
				HEAPTUPLE_DEAD)
				continue;
			check->visible =
				HeapTupleSatisfiesVisibility(&tuple, check->snapshot, buffer);
			problem = vecseg_references_visit(RelationGetDescr(check->rel),
											  &tuple, collect_reference, check);
		}
		if (problem != NULL)
			report_row(check, block, offset, problem);
	}
}

static void
visit_block(void *arg, BlockNumber block)
{
	TableCheck *check = arg;
	MemoryContext old = MemoryContextSwitchTo(check->context);
	Buffer buffer = ReadBufferExtended(check->rel, MAIN_FORKNUM, block,
									   RBM_NORMAL, check->strategy);
	int i;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	collect_references(check, buffer, block);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	/* being pinned, the page keeps its row versions */
	for (i = 0; i < check->nreferences; i++)
	{
		Reference *reference = &check->references[i];

		vecseg_check_reference(check->store, &reference->tid, reference->attnum,
							   &reference->pointer, reference->visible);
	}
	ReleaseBuffer(buffer);
	MemoryContextSwitchTo(old);
	MemoryContextReset(check->context);
}

/* A page that cannot be read has offset zero. */
static void
report_block(void *arg, BlockNumber block, const char *message)
{
	report_row(arg, block, InvalidOffsetNumber, message);
}

static void
check_store_and_rows(TableCheck *check, Relation toastrel)
{
	VecsegBlockVisit visit = { visit_block, report_block, check };

	check->store =
		vecseg_check_begin(toastrel, check->report, check->report_arg);
	check->first_turn = true;
	while (vecseg_check_next(check->store))
	{
		vecseg_check_blocks(check->rel, &visit, 0,
							RelationGetNumberOfBlocks(check->rel));
		check->first_turn = false;
	}
	vecseg_check_end(check->store);
}

/*
 * Verify a vecseg table, locked AccessShareLock, and report what is wrong
 * with it.
 */
void
vecseg_check_table(Relation rel, VecsegCheckReport report, void *report_arg)
{
	TableCheck check = { 0 };
	Relation toastrel = NULL;

	/* has no file, as in amcheck */
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED &&
		RecoveryInProgress())
		return;

	check.rel = rel;
	check.report = report;
	check.report_arg = report_arg;
	check.strategy = GetAccessStrategy(BAS_BULKREAD);
	check.context = AllocSetContextCreate(
		CurrentMemoryContext, "vecseg check of a page", ALLOCSET_DEFAULT_SIZES);
	check.max_references = MaxHeapTuplesPerPage;
	check.references = palloc(check.max_references * sizeof(Reference));
	if (OidIsValid(rel->rd_rel->reltoastrelid))
		toastrel = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	check.snapshot = RegisterSnapshot(GetLatestSnapshot());

	check_store_and_rows(&check, toastrel);

	UnregisterSnapshot(check.snapshot);
	if (toastrel != NULL)
		table_close(toastrel, AccessShareLock);
	pfree(check.references);
	MemoryContextDelete(check.context);
	FreeAccessStrategy(check.strategy);
}
