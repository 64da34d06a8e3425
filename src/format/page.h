/*-------------------------------------------------------------------------
 *
 * page.h
 *	  The bytes of a segment relation: pages, slots, segments, directory.
 *
 * format/README.md is the specification of the on-disk format; this header
 * is its translation.  Nothing here takes locks, does I/O or writes WAL: the
 * functions change a page image, and are shared by the code that first makes
 * a change and by the code that replays it.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_PAGE_H
#define VECSEG_PAGE_H

#include "access/transam.h"
#include "storage/block.h"
#include "storage/bufpage.h"

/*
 * Raise VECSEG_FORMAT_VERSION when a page written by the new code could be
 * misread by the old code; a reader refuses a version that it does not know.
 */
#define VECSEG_FORMAT_MAGIC 0x5653 /* "VS" */
#define VECSEG_FORMAT_VERSION 1

typedef enum VecsegPageKind
{
	VECSEG_PAGE_META = 1,	   /* block 0 */
	VECSEG_PAGE_DIRECTORY = 2, /* array of VecsegSegmentEntry */
	VECSEG_PAGE_SEGMENT = 3,   /* first block of a segment: its slot map */
	VECSEG_PAGE_DATA = 4	   /* slots */
} VecsegPageKind;

/* Special space of every page */
typedef struct VecsegPageOpaque
{
	uint16 magic;	 /* VECSEG_FORMAT_MAGIC */
	uint8 version;	 /* VECSEG_FORMAT_VERSION */
	uint8 kind;		 /* VecsegPageKind */
	uint32 reserved; /* zero */
} VecsegPageOpaque;

StaticAssertDecl(sizeof(VecsegPageOpaque) == 8, "on-disk struct");

#define VecsegPageGetOpaque(page) \
	((VecsegPageOpaque *) ((char *) (page) + BLCKSZ - sizeof(VecsegPageOpaque)))

/* Of a page whose end is not at hand: is there a page, rather than zeros? */
static inline bool
vecseg_page_header_ok(const PageHeaderData *header)
{
	return header->pd_special == BLCKSZ - sizeof(VecsegPageOpaque);
}

/* The part of a page between its header and its special space */
#define VECSEG_CONTENT_START MAXALIGN(SizeOfPageHeaderData)
#define VECSEG_CONTENT_SIZE \
	(BLCKSZ - VECSEG_CONTENT_START - sizeof(VecsegPageOpaque))

#define VecsegPageContent(page) ((char *) (page) + VECSEG_CONTENT_START)

/* Block 0 */
typedef struct VecsegMeta
{
	uint32 nsegments;		/* entries in the directory */
	uint32 next_value;		/* first value id no segment owns */
	BlockNumber next_block; /* first block no segment or page owns */
	uint32 ndirectory;		/* used elements of directory[] */
	BlockNumber directory[FLEXIBLE_ARRAY_MEMBER]; /* directory pages */
} VecsegMeta;

StaticAssertDecl(offsetof(VecsegMeta, directory) == 16, "on-disk struct");

#define VECSEG_META_BLOCK 0
#define VECSEG_FIRST_VALUE 1 /* zero is InvalidOid */
#define VECSEG_MAX_DIRECTORY_PAGES                             \
	((VECSEG_CONTENT_SIZE - offsetof(VecsegMeta, directory)) / \
	 sizeof(BlockNumber))

/* Directory entry of one segment */
typedef struct VecsegSegmentEntry
{
	uint32 first_value; /* value id of slot 0 */
	uint32 nslots;
	uint32 slot_size;		 /* bytes, a multiple of MAXALIGN */
	BlockNumber first_block; /* the segment page; data blocks follow it */
	uint32 nblocks;			 /* the segment page included */
	uint8 kind;				 /* VecsegSegmentKind */
	uint8 flags;			 /* VECSEG_SEGMENT_* */
	uint16 reserved;		 /* zero */
} VecsegSegmentEntry;

StaticAssertDecl(sizeof(VecsegSegmentEntry) == 24, "on-disk struct");

typedef enum VecsegSegmentKind
{
	VECSEG_KIND_EXACT = 1, /* values of one size: vectors */
	VECSEG_KIND_CLASS = 2  /* values of one size class: anything else */
} VecsegSegmentKind;

/* No free slot was left when last looked at */
#define VECSEG_SEGMENT_FULL 0x01

#define VECSEG_ENTRIES_PER_PAGE \
	((uint32) (VECSEG_CONTENT_SIZE / sizeof(VecsegSegmentEntry)))

/* Segment page: which slots of the segment are allocated */
typedef struct VecsegSlotMap
{
	uint32 segment; /* the segment's number in the directory */
	uint32 nslots;
	uint32 nused;				/* bits set in used[] */
	uint32 high_slot;			/* no slot from here on was ever allocated */
	FullTransactionId last_xid; /* newest top-level transaction that
								 * allocated a slot here */
	uint8 used[FLEXIBLE_ARRAY_MEMBER]; /* a bit per slot */
} VecsegSlotMap;

StaticAssertDecl(offsetof(VecsegSlotMap, used) == 24, "on-disk struct");

/* A segment's slot map fits its one segment page */
#define VECSEG_MAX_SLOTS \
	((uint32) ((VECSEG_CONTENT_SIZE - offsetof(VecsegSlotMap, used)) * 8))

/* Segments grow with the table up to this many data blocks (128 MB) */
#define VECSEG_MAX_DATA_BLOCKS 16384
#define VECSEG_MIN_DATA_BLOCKS 4

/*
 * At most so many exact slot sizes live in one relation.  A column with more
 * lengths than that keeps the rest in size classes, so that ragged vectors do
 * not cost a segment for every length.
 */
#define VECSEG_MAX_EXACT_SIZES 64

/* page.c */
extern void vecseg_page_init(Page page, VecsegPageKind kind);
extern const char *vecseg_page_problem(Page page, VecsegPageKind kind);
extern int vecseg_page_other_version(Page page);
extern bool vecseg_page_is_data(const VecsegPageOpaque *opaque);
extern void vecseg_meta_init(Page page);
extern void vecseg_directory_set(Page directory, uint32 index,
								 const VecsegSegmentEntry *entry);
extern void vecseg_directory_set_flags(Page directory, uint32 index,
									   uint8 flags);
extern const VecsegSegmentEntry *vecseg_directory_search(
	const VecsegSegmentEntry *entries, uint32 nsegments, uint32 *last_found,
	uint32 value);
extern void vecseg_meta_add_segment(Page meta, BlockNumber directory_block,
									bool new_directory,
									const VecsegSegmentEntry *entry);
extern void vecseg_slotmap_init(Page page, uint32 segment, uint32 nslots);
extern void vecseg_slotmap_allocate(Page page, uint32 first, uint32 count,
									FullTransactionId xid);
extern void vecseg_slotmap_free(Page page, uint32 first_byte,
								const uint8 *freed, uint32 nbytes);
extern void vecseg_meta_drop_segments(Page page, uint32 nsegments,
									  BlockNumber next_block);
extern uint32 vecseg_slotmap_find_free(Page page, uint32 want, uint32 *count);
extern void vecseg_data_use(Page page, uint16 offset, uint16 length);
extern void vecseg_data_write(Page page, uint16 offset, const char *data,
							  uint16 length);

/* verify.c */
extern const char *vecseg_verify_page(Page page, VecsegPageKind kind,
									  Size content);
extern const char *vecseg_verify_meta(Page page);
extern const char *vecseg_verify_entry(const VecsegSegmentEntry *entry,
									   const VecsegSegmentEntry *previous,
									   const VecsegMeta *meta);
extern const char *vecseg_verify_slotmap(Page page,
										 const VecsegSegmentEntry *entry,
										 uint32 number);

/* size.c */
extern uint32 vecseg_class_slot_size(uint32 size);
extern uint32 vecseg_exact_slot_size(uint32 size);
extern uint32 vecseg_segment_data_blocks(uint32 slot_size, uint64 class_blocks);
extern uint32 vecseg_segment_slots(uint32 slot_size, uint32 data_blocks);

static inline VecsegMeta *
VecsegPageGetMeta(Page page)
{
	return (VecsegMeta *) VecsegPageContent(page);
}

static inline VecsegSegmentEntry *
VecsegPageGetEntries(Page page)
{
	return (VecsegSegmentEntry *) VecsegPageContent(page);
}

static inline VecsegSlotMap *
VecsegPageGetSlotMap(Page page)
{
	return (VecsegSlotMap *) VecsegPageContent(page);
}

/* Position of a byte of a segment's data: block, and offset in that page */
static inline void
vecseg_locate(const VecsegSegmentEntry *entry, uint64 position,
			  BlockNumber *block, uint32 *offset)
{
	*block =
		entry->first_block + 1 + (BlockNumber) (position / VECSEG_CONTENT_SIZE);
	*offset = VECSEG_CONTENT_START + (uint32) (position % VECSEG_CONTENT_SIZE);
}

#endif /* VECSEG_PAGE_H */
