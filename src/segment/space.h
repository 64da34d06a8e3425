/*-------------------------------------------------------------------------
 *
 * space.h
 *	  Allocating slots: what classes.c, grow.c and space.c share.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_SPACE_H
#define VECSEG_SPACE_H

#include "nodes/pg_list.h"

#include "segment/store.h"

/* The segments of a store whose slots are of one kind and size */
typedef struct VecsegSlotClass
{
	VecsegSegmentKind kind;
	uint32 slot_size;
	uint64 data_blocks; /* of all of them */
	List *open;			/* numbers of those not known to be full; the one to
						 * be tried first comes first */
} VecsegSlotClass;

/* classes.c */
extern VecsegSlotClass *vecseg_class_find(VecsegStore *store,
										  VecsegSegmentKind kind,
										  uint32 slot_size);
extern int vecseg_classes_count(VecsegStore *store, VecsegSegmentKind kind);
extern void vecseg_class_prefer(VecsegSlotClass *class, int i);
extern void vecseg_class_close(VecsegSlotClass *class, int i);

/* grow.c */
extern void vecseg_space_add_segment(Relation rel, VecsegStore *store,
									 VecsegSegmentKind kind, uint32 slot_size);
extern void vecseg_space_forget_retired(void);

#endif /* VECSEG_SPACE_H */
