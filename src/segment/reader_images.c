/*-------------------------------------------------------------------------
 *
 * reader_images.c
 *	  Memory for the values that a reader copies, used again and again.
 *
 * Images are allocated one by one at first.  A reader that needs many, as when
 * a thousand values are on their way, gets the others, those of one size, out of
 * huge pages: each page of memory that is used for the first time costs a page
 * fault, which takes longer than copying a vector there.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/mman.h>

#include "segment/reader_internal.h"

/* Bytes of images that are allocated one by one */
#define FEW_BYTES (256 * 1024)

/* The usual size of a huge page; where it is another, there will be none. */
#define CHUNK_SIZE (2 * 1024 * 1024)

/* Images are larger than this only one by one. */
#define MAX_CHUNK_ROOM (CHUNK_SIZE / 32)

/* An image to be used again */
struct VecsegFreeImage
{
	struct VecsegFreeImage *next;
	Size room;
};

/* Memory that a huge page lies in, of which images are cut off */
struct VecsegImageChunk
{
	struct VecsegImageChunk *next;
	char *page;
	Size used;
};

static bool
is_in_chunk(const VecsegReader *reader, const char *image)
{
	const VecsegImageChunk *chunk;

	for (chunk = reader->chunks; chunk != NULL; chunk = chunk->next)
	{
		if (image >= chunk->page && image < chunk->page + CHUNK_SIZE)
			return true;
	}
	return false;
}

/* Free the images that are not in use. */
static void
free_unused(VecsegReader *reader)
{
	while (reader->free_images != NULL)
	{
		VecsegFreeImage *image = reader->free_images;

		reader->free_images = image->next;
		if (!is_in_chunk(reader, (char *) image))
			pfree(image);
	}
}

static void
add_chunk(VecsegReader *reader, Size room)
{
	VecsegImageChunk *chunk = MemoryContextAllocHuge(
		reader->context, sizeof(VecsegImageChunk) + 2 * CHUNK_SIZE);

	if (reader->chunks == NULL)
	{
		/* from now on, only images of this size are used again */
		free_unused(reader);
		reader->chunk_room = room;
	}
	chunk->page = (char *) TYPEALIGN(CHUNK_SIZE, chunk + 1);
	chunk->used = 0;
	chunk->next = reader->chunks;
	reader->chunks = chunk;
#ifdef MADV_HUGEPAGE
	(void) madvise(chunk->page, CHUNK_SIZE, MADV_HUGEPAGE);
#endif
}

/* Memory for an image out of a chunk, or NULL */
static void *
cut_off(VecsegReader *reader, Size room)
{
	char *image;

	if (reader->single_bytes < FEW_BYTES || room > MAX_CHUNK_ROOM ||
		(reader->chunks != NULL && room != reader->chunk_room))
		return NULL;
	if (reader->chunks == NULL || reader->chunks->used + room > CHUNK_SIZE)
		add_chunk(reader, room);
	image = reader->chunks->page + reader->chunks->used;
	reader->chunks->used += room;
	return image;
}

void
vecseg_reader_take_image(VecsegReader *reader, ReaderValue *value)
{
	VecsegFreeImage *image = reader->free_images;

	if (image != NULL && image->room >= value->size &&
		image->room <= (Size) value->size * 2)
	{
		reader->free_images = image->next;
		value->room = image->room;
		value->image = (struct varlena *) image;
		return;
	}
	value->room = Max(MAXALIGN(value->size), sizeof(VecsegFreeImage));
	value->image = cut_off(reader, value->room);
	if (value->image == NULL)
	{
		value->image = MemoryContextAllocHuge(reader->context, value->room);
		reader->single_bytes += value->room;
	}
}

/* Are images of this size kept to be used again? */
static bool
is_kept(const VecsegReader *reader, Size room)
{
	if (reader->chunks != NULL)
		return room == reader->chunk_room;
	return room <= VECSEG_IO_BUFFER_SIZE &&
		   (reader->free_images == NULL || reader->free_images->room == room);
}

void
vecseg_reader_give_image(VecsegReader *reader, ReaderValue *value)
{
	VecsegFreeImage *image = (VecsegFreeImage *) value->image;

	value->image = NULL;
	if (value->pin >= 0)
		vecseg_map_unpin(value->pin);
	else if (value->read != NULL)
		vecseg_reader_leave_read(reader, value->read);
	else if (is_kept(reader, value->room))
	{
		image->room = value->room;
		image->next = reader->free_images;
		reader->free_images = image;
	}
	else
	{
		pfree(image);
		reader->single_bytes -= value->room;
	}
}

/* Free all, when no image is in use. */
void
vecseg_reader_free_images(VecsegReader *reader)
{
	free_unused(reader);
	while (reader->chunks != NULL)
	{
		VecsegImageChunk *chunk = reader->chunks;

		reader->chunks = chunk->next;
		pfree(chunk);
	}
}
