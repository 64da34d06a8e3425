/*-------------------------------------------------------------------------
 *
 * references.h
 *	  The references to values in row versions as they lie on a page.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_REFERENCES_H
#define VECSEG_REFERENCES_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "storage/bufpage.h"

struct varatt_external;

typedef void (*VecsegReferenceVisit)(void *arg, HeapTuple tuple, int attnum,
									 const struct varatt_external *pointer);

extern const char *vecseg_references_tuple(Page page, OffsetNumber offset,
										   HeapTuple tuple);
extern const char *vecseg_references_visit(TupleDesc desc, HeapTuple tuple,
										   VecsegReferenceVisit visit,
										   void *arg);

#endif /* VECSEG_REFERENCES_H */
