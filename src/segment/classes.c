/*-------------------------------------------------------------------------
 *
 * classes.c
 *	  A store's segments by the kind and size of their slots.
 *
 * Each row that is stored asks which segments have room for it, and how large
 * they are altogether.  To look through the whole directory for that would be
 * slow in a large table, so the segments are sorted into classes once, when
 * first asked for after the directory was read.
 *
 * Which segments are full is what the directory said then and what this
 * backend has found out since.  Others may have filled more of them meanwhile.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "segment/space.h"

/* To be called when the cached directory changes. */
void
vecseg_classes_forget(VecsegStore *store)
{
	if (store->classes_context != NULL)
		MemoryContextDelete(store->classes_context);
	store->classes_context = NULL;
	store->classes = NIL;
}

static VecsegSlotClass *
search(List *classes, VecsegSegmentKind kind, uint32 slot_size)
{
	ListCell *cell;

	foreach(cell, classes)
	{
		VecsegSlotClass *class = lfirst(cell);

		if (class->slot_size == slot_size && class->kind == kind)
			return class;
	}
	return NULL;
}

static void
add_to_class(VecsegStore *store, uint32 number)
{
	const VecsegSegmentEntry *entry = &store->entries[number];
	VecsegSlotClass *class =
		search(store->classes, entry->kind, entry->slot_size);

	if (class == NULL)
	{
		class = palloc0(sizeof(VecsegSlotClass));
		class->kind = entry->kind;
		class->slot_size = entry->slot_size;
		store->classes = lappend(store->classes, class);
	}
	class->data_blocks += entry->nblocks - 1;
	if ((entry->flags & VECSEG_SEGMENT_FULL) == 0)
		class->open = lappend_int(class->open, number);
}

static List *
get_classes(VecsegStore *store)
{
	if (store->classes_context == NULL)
	{
		MemoryContext old;
		uint32 i;

		store->classes_context = AllocSetContextCreate(
			CacheMemoryContext, "vecseg slot classes", ALLOCSET_SMALL_SIZES);
		old = MemoryContextSwitchTo(store->classes_context);
		for (i = 0; i < store->nsegments; i++)
			add_to_class(store, i);
		MemoryContextSwitchTo(old);
	}
	return store->classes;
}

/*
 * The segments with slots of a kind and size; NULL if there are none.  Good
 * until the directory is read again or a segment has room again.
 */
VecsegSlotClass *
vecseg_class_find(VecsegStore *store, VecsegSegmentKind kind, uint32 slot_size)
{
	return search(get_classes(store), kind, slot_size);
}

/* Number of different slot sizes of a kind */
int
vecseg_classes_count(VecsegStore *store, VecsegSegmentKind kind)
{
	int count = 0;
	ListCell *cell;

	foreach(cell, get_classes(store))
		count += ((VecsegSlotClass *) lfirst(cell))->kind == kind;
	return count;
}

/* Let the i-th of the open segments be the one that is tried first. */
void
vecseg_class_prefer(VecsegSlotClass *class, int i)
{
	int number = list_nth_int(class->open, i);

	if (i > 0)
		class->open = lcons_int(number, list_delete_nth_cell(class->open, i));
}

/* The i-th of the open segments is full. */
void
vecseg_class_close(VecsegSlotClass *class, int i)
{
	class->open = list_delete_nth_cell(class->open, i);
}
