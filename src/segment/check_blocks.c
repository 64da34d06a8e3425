/*-------------------------------------------------------------------------
 *
 * check_blocks.c
 *	  Reading blocks that may be damaged, and going on.
 *
 * Pages are read through shared buffers, with a ring of buffers, so that
 * others keep theirs.  That raises an error when a page is damaged, which can
 * be caught only by a subtransaction; but on a standby a query that is in a
 * subtransaction when it is to be cancelled loses its session.  So first the
 * file is read, unless the page is in shared buffers: only if something is
 * wrong with it there, or seems so because it is just being written, a
 * subtransaction is started for this page.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xact.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "storage/smgr.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "segment/check_internal.h"
#include "segment/read.h"

/* The file of a relation that is open now; it is closed after an error */
typedef struct OpenFile
{
	Relation rel;
	int fd;
	int number; /* of the relation's files */
} OpenFile;

static void
close_file(OpenFile *file)
{
	if (file->fd >= 0)
		CloseTransientFile(file->fd);
	file->fd = -1;
}

static bool
open_file(OpenFile *file, int number)
{
	char *path;

	if (file->fd >= 0 && file->number == number)
		return true;
	close_file(file);
	path =
		VECSEG_RELPATH(RelationGetSmgr(file->rel)->smgr_rlocator, MAIN_FORKNUM);
	if (number > 0)
	{
		char *base = path;

		path = psprintf("%s.%d", base, number);
		pfree(base);
	}
	file->fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	file->number = number;
	pfree(path);
	return file->fd >= 0;
}

/* Can a page be read without an error? */
static bool
is_readable(OpenFile *file, BlockNumber block)
{
	PGAlignedBlock page;
	off_t offset = (off_t) (block % RELSEG_SIZE) * BLCKSZ;

	if (RelationUsesLocalBuffers(file->rel))
		return false; /* who knows */
	if (vecseg_read_is_buffered(file->rel, block))
		return true;
	return open_file(file, block / RELSEG_SIZE) &&
		   pread(file->fd, page.data, BLCKSZ, offset) == BLCKSZ &&
		   vecseg_page_is_verified((Page) page.data, block);
}

/* Does an error mean that something is damaged, and not, say, a cancel? */
static bool
means_damage(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_INTERNAL_ERROR ||
		   category == ERRCODE_SYSTEM_ERROR;
}

static ErrorData *
end_failed_visit(MemoryContext context, ResourceOwner owner)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

static void
visit_unreadable(const VecsegBlockVisit *visit, BlockNumber block)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		visit->visit(visit->arg, block);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData *error = end_failed_visit(context, owner);

		if (!means_damage(error))
			ReThrowError(error);
		visit->damaged(visit->arg, block, error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
}

/*
 * Visit blocks [from, end) of a relation.  A visit ends with all buffers
 * released that it pinned, or with an error.
 */
void
vecseg_check_blocks(Relation rel, const VecsegBlockVisit *visit,
					BlockNumber from, BlockNumber end)
{
	OpenFile file = { rel, -1, 0 };
	BlockNumber block;

	for (block = from; block < end; block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_readable(&file, block))
			visit->visit(visit->arg, block);
		else
			visit_unreadable(visit, block);
	}
	close_file(&file);
}

/* Pin and share-lock a block of the segment relation. */
Buffer
vecseg_check_read(VecsegCheck *check, BlockNumber block)
{
	Buffer buffer = ReadBufferExtended(check->rel, MAIN_FORKNUM, block,
									   RBM_NORMAL, check->strategy);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	return buffer;
}

void
vecseg_check_block_problem(VecsegCheck *check, int64 segment, BlockNumber block,
						   const char *problem)
{
	VecsegPlace place = VECSEG_NOWHERE;

	place.segment = segment;
	place.block = block;
	check->report(check->report_arg, &place, problem);
}

/* A block to be copied */
typedef struct CopyVisit
{
	VecsegCheck *check;
	int64 segment;
	char *page;
	bool done;
} CopyVisit;

static void
copy_block(void *arg, BlockNumber block)
{
	CopyVisit *copy = arg;
	Buffer buffer = vecseg_check_read(copy->check, block);

	memcpy(copy->page, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	copy->done = true;
}

static void
report_uncopied(void *arg, BlockNumber block, const char *message)
{
	CopyVisit *copy = arg;

	vecseg_check_block_problem(copy->check, copy->segment, block, message);
}

/* Copy a page; when that is not possible, report it and return false. */
bool
vecseg_check_copy(VecsegCheck *check, BlockNumber block, int64 segment,
				  char *page)
{
	CopyVisit copy = { check, segment, page, false };
	VecsegBlockVisit visit = { copy_block, report_uncopied, &copy };

	vecseg_check_blocks(check->rel, &visit, block, block + 1);
	return copy.done;
}
