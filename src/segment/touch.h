/*-------------------------------------------------------------------------
 *
 * touch.h
 *	  Having the processor fetch memory into its cache ahead of its use.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_TOUCH_H
#define VECSEG_TOUCH_H

/* Bytes that the processor fetches at a time */
#define VECSEG_LINE_BYTES 64

/* No page fault comes of it, nor an error, wherever start points to. */
static inline void
vecseg_touch_bytes(const char *start, uint32 nbytes)
{
	uint32 i;

	for (i = 0; i < nbytes; i += VECSEG_LINE_BYTES)
		__builtin_prefetch(start + i);
}

#endif /* VECSEG_TOUCH_H */
