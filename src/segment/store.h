/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The segment store: appending, finding and reading values.
 *
 * A store is one segment relation, the TOAST relation of a vecseg table.
 * All functions need the relation open and locked: AccessShareLock to read,
 * RowExclusiveLock to append.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_STORE_H
#define VECSEG_STORE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/block.h"
#include "utils/rel.h"

#include "compat.h"
#include "format/page.h"
#include "segment/map.h"

/*
 * What this backend knows of one store.  The entries are valid until the
 * next call of vecseg_store_open(): keep no pointer to them across code that
 * may detoast.
 */
typedef struct VecsegStore
{
	Oid relid;			   /* hash key */
	bool stale;			   /* an invalidation message came */
	bool read_in_recovery; /* the entries were, see vecseg_space_allocate() */
	RelFileLocator locator;
	uint32 nsegments;			   /* entries cached */
	VecsegSegmentEntry *entries;   /* in order of segment number */
	List *classes;				   /* of VecsegSlotClass, see classes.c */
	MemoryContext classes_context; /* NULL: not made yet */
	uint32 last_found;			   /* segment of the last lookup */
	BlockNumber nblocks;		   /* the file is at least so long */
	int readers;				   /* open VecsegReaders, see reader.c */
	VecsegResidency residency;	   /* of values read one by one */
	struct VecsegMap *map;		   /* mapped files, NULL before first use */
} VecsegStore;

/* For errors about a value that is not what its reference says */
#define VECSEG_DAMAGED_VALUE_HINT                                       \
	"Restore the table from a backup or a standby server, unless this " \
	"transaction truncated, rewrote or dropped it after the value was read."

/* One value to append */
typedef struct VecsegValue
{
	const struct varlena *image; /* whole varlena, 4-byte header, possibly
									 * compressed */
	bool exact;					 /* keep among values of the same size */
	uint32 id;					 /* set by vecseg_append() */
} VecsegValue;

/* The first four bytes of the image of a value of that size */
static inline uint32
vecseg_image_header(uint32 size, bool compressed)
{
	varattrib_4b image;
	uint32 header;

	if (compressed)
		SET_VARSIZE_COMPRESSED(&image, size);
	else
		SET_VARSIZE(&image, size);
	memcpy(&header, &image, sizeof(header));
	return header;
}

/* grow.c */
extern void vecseg_space_retire(Relation rel);

/* store.c */
extern VecsegStore *vecseg_store_open(Relation rel);
extern void vecseg_store_refresh(Relation rel, VecsegStore *store);
extern void vecseg_store_forget(Relation rel);
extern const VecsegSegmentEntry *vecseg_store_lookup(Relation rel,
													 VecsegStore *store,
													 uint32 value);
extern const VecsegSegmentEntry *vecseg_store_find(Relation rel,
												   VecsegStore *store,
												   uint32 value);
extern void vecseg_store_check_page(Relation rel, Page page, BlockNumber block,
									VecsegPageKind kind);
extern Buffer vecseg_store_read_page(Relation rel, BlockNumber block,
									 int lock_mode, VecsegPageKind kind);
extern uint32 vecseg_store_slots_used(Relation rel,
									  const VecsegSegmentEntry *entry);

/* classes.c */
extern void vecseg_classes_forget(VecsegStore *store);

/* space.c */
extern Buffer vecseg_space_allocate(Relation rel, VecsegSegmentKind kind,
									uint32 slot_size, uint32 want,
									VecsegSegmentEntry *entry, uint32 *first,
									uint32 *count);

extern void vecseg_space_set_flags(Relation rel, VecsegStore *store,
								   uint32 segment, uint8 flags);

/* write.c */
extern void vecseg_append(Relation rel, VecsegValue *values, int nvalues,
						  bool no_logical);

/* read.c */
extern void vecseg_read_slice(Relation rel, uint32 value, uint32 header,
							  uint32 size, uint32 offset, uint32 length,
							  char *result);
extern bool vecseg_read_compressed_info(Relation rel, uint32 value,
										uint32 *tcinfo);

#endif /* VECSEG_STORE_H */
