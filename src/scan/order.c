/*-------------------------------------------------------------------------
 *
 * order.c
 *	  The position of a row's key in an array, as a column of the scan.
 *
 * A query ordered by vecseg_position(key, array) has that expression in its
 * target list, though the scan delivers the order: the planner does not drop
 * it.  To search the array once more for each row would be a waste.  So the
 * scan hands the position from the index to the projection: there, the call
 * is replaced by a column of a row of its own, which takes the place of an
 * outer row (a scan has none).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "scan/custom.h"
#include "scan/functions.h"

/* Positions of rows that are on their way, and of the one returned last */
struct VecsegPositions
{
	TupleTableSlot *slot;
	uint64 first;
	uint64 next;
	int queue[VECSEG_WINDOW_ROWS];
};

VecsegPositions *
vecseg_positions_create(EState *estate, ExprContext *econtext)
{
	VecsegPositions *positions = palloc0(sizeof(VecsegPositions));
	TupleDesc desc = CreateTemplateTupleDesc(1);

	TupleDescInitEntry(desc, 1, "position", INT4OID, -1, 0);
	positions->slot = ExecInitExtraTupleSlot(estate, desc, &TTSOpsVirtual);
	econtext->ecxt_outertuple = positions->slot;
	return positions;
}

void
vecseg_positions_reset(VecsegPositions *positions)
{
	positions->first = positions->next = 0;
}

/* Note the position of a row that entered the window. */
void
vecseg_positions_push(VecsegPositions *positions, int position)
{
	Assert(positions->next - positions->first < VECSEG_WINDOW_ROWS);
	positions->queue[positions->next++ % VECSEG_WINDOW_ROWS] = position;
}

/* Make a position that of the row about to be returned. */
void
vecseg_positions_set(VecsegPositions *positions, int position)
{
	ExecClearTuple(positions->slot);
	positions->slot->tts_values[0] = Int32GetDatum(position);
	positions->slot->tts_isnull[0] = false;
	ExecStoreVirtualTuple(positions->slot);
}

/* The same for the row that entered the window first. */
void
vecseg_positions_pop(VecsegPositions *positions)
{
	Assert(positions->first < positions->next);
	vecseg_positions_set(
		positions, positions->queue[positions->first++ % VECSEG_WINDOW_ROWS]);
}

Node *
vecseg_strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

static bool
same_operand(Node *a, Node *b)
{
	return equal(vecseg_strip_relabel(a), vecseg_strip_relabel(b));
}

static Node *
replace_calls(Node *node, ScalarArrayOpExpr *condition)
{
	FuncExpr *func = (FuncExpr *) node;

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr) && list_length(func->args) == 2 &&
		same_operand(linitial(func->args), linitial(condition->args)) &&
		same_operand(lsecond(func->args), lsecond(condition->args)) &&
		vecseg_function_kind(func->funcid) == VECSEG_FUNCTION_POSITION)
		return (Node *) makeVar(OUTER_VAR, 1, INT4OID, -1, InvalidOid, 0);
	return expression_tree_mutator(node, replace_calls, condition);
}

/* The plan's target list, with the column in place of calls */
List *
vecseg_positions_targetlist(const CustomScan *cscan)
{
	ListCell *cell;

	foreach(cell, VECSEG_INDEX_QUAL_ORIG(cscan))
	{
		Node *condition = (Node *) lfirst(cell);

		if (IsA(condition, ScalarArrayOpExpr))
			return (List *) replace_calls((Node *) cscan->scan.plan.targetlist,
										  (ScalarArrayOpExpr *) condition);
	}
	return cscan->scan.plan.targetlist;
}
