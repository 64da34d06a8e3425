/*-------------------------------------------------------------------------
 *
 * offer.c
 *	  Noticing which columns of a row a query detoasts.
 *
 * A scan cannot know whether the query will use a row's vectors.  It offers
 * the values of a row that it returns, and when it is called for the next
 * row asks which of them were detoasted in between; vecseg_segment's
 * relation_fetch_toast_slice notes them.
 *
 * The offers of all scans under way are in a list.  An error may leave some
 * behind whose memory is gone, so at the end of each (sub)transaction that
 * fails the list starts anew, under a new epoch; offers of an older epoch
 * are not in it.  A scan that survives that merely learns nothing until it
 * offers its next row.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"

#include "am/offer.h"
#include "compat.h"

typedef struct VecsegOfferedValue
{
	AttrNumber attno;
	bool taken;
	uint32 value;
} VecsegOfferedValue;

static dlist_head offers = DLIST_STATIC_INIT(offers);
static uint64 current_epoch = 1;
static bool callbacks_registered = false;

static void
start_anew(void)
{
	dlist_init(&offers);
	current_epoch++;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		start_anew();
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		start_anew();
}

/* Make an offer, of nothing yet, in the current memory context. */
VecsegOffer *
vecseg_offer_create(TupleDesc desc, Oid toastrelid)
{
	VecsegOffer *offer = palloc0(sizeof(VecsegOffer));

	if (!callbacks_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		callbacks_registered = true;
	}
	offer->toastrelid = toastrelid;
	offer->max_values = desc->natts;
	offer->values = palloc(Max(desc->natts, 1) * sizeof(VecsegOfferedValue));
	return offer;
}

/* Offer the large values of a row. */
void
vecseg_offer_row(VecsegOffer *offer, TupleTableSlot *slot)
{
	int i;

	vecseg_offer_withdraw(offer);
	slot_getallattrs(slot);
	for (i = 0; i < offer->max_values; i++)
	{
		struct varlena *value =
			(struct varlena *) DatumGetPointer(slot->tts_values[i]);
		struct varatt_external pointer;

		if (slot->tts_isnull[i] ||
			TupleDescAttr(slot->tts_tupleDescriptor, i)->attlen != -1 ||
			!VARATT_IS_EXTERNAL_ONDISK(value))
			continue;
		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		if (pointer.va_toastrelid != offer->toastrelid)
			continue;
		offer->values[offer->nvalues].attno = i + 1;
		offer->values[offer->nvalues].value = pointer.va_valueid;
		offer->values[offer->nvalues].taken = false;
		offer->nvalues++;
	}
	if (offer->nvalues > 0)
	{
		dlist_push_head(&offers, &offer->node);
		offer->epoch = current_epoch;
	}
}

/* The columns of the offered row that were detoasted; NULL for none. */
Bitmapset *
vecseg_offer_taken(VecsegOffer *offer)
{
	Bitmapset *result = NULL;
	int i;

	for (i = 0; i < offer->nvalues; i++)
	{
		if (offer->values[i].taken)
			result = bms_add_member(result, offer->values[i].attno);
	}
	return result;
}

/* Is there something on offer, so that "nothing taken" means something? */
bool
vecseg_offer_is_open(const VecsegOffer *offer)
{
	return offer->nvalues > 0 && offer->epoch == current_epoch;
}

void
vecseg_offer_withdraw(VecsegOffer *offer)
{
	if (offer->epoch == current_epoch)
		dlist_delete(&offer->node);
	offer->epoch = 0;
	offer->nvalues = 0;
}

/* Note that a value is being detoasted. */
void
vecseg_offer_note(Oid toastrelid, uint32 value)
{
	dlist_iter iter;

	dlist_foreach(iter, &offers)
	{
		VecsegOffer *offer = dlist_container(VecsegOffer, node, iter.cur);
		int i;

		if (offer->toastrelid != toastrelid)
			continue;
		for (i = 0; i < offer->nvalues; i++)
		{
			if (offer->values[i].value == value)
				offer->values[i].taken = true;
		}
	}
}
