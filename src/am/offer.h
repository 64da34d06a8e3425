/*-------------------------------------------------------------------------
 *
 * offer.h
 *	  Noticing which columns of a row a query detoasts.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_OFFER_H
#define VECSEG_OFFER_H

#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "nodes/bitmapset.h"

/* The large values of the row that a scan returned last */
typedef struct VecsegOffer
{
	dlist_node node;
	uint64 epoch; /* of the registry that node is in; 0: none */
	Oid toastrelid;
	int max_values;
	int nvalues;
	struct VecsegOfferedValue *values;
} VecsegOffer;

extern VecsegOffer *vecseg_offer_create(TupleDesc desc, Oid toastrelid);
extern void vecseg_offer_row(VecsegOffer *offer, TupleTableSlot *slot);
extern Bitmapset *vecseg_offer_taken(VecsegOffer *offer);
extern bool vecseg_offer_is_open(const VecsegOffer *offer);
extern void vecseg_offer_withdraw(VecsegOffer *offer);
extern void vecseg_offer_note(Oid toastrelid, uint32 value);

#endif /* VECSEG_OFFER_H */
