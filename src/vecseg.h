/*-------------------------------------------------------------------------
 *
 * vecseg.h
 *	  Names and limits shared by every layer of vecseg.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_H
#define VECSEG_H

/* Names of the two access methods, as CREATE EXTENSION creates them. */
#define VECSEG_AM_NAME "vecseg"
#define VECSEG_SEGMENT_AM_NAME "vecseg_segment"

/*
 * The resource manager's identity in WAL.  Custom ids are 128 to 255; the
 * server refuses to start when two libraries ask for the same one.
 */
#define VECSEG_RMGR_ID 151
#define VECSEG_RMGR_NAME "vecseg"

/*
 * Was the library loaded by shared_preload_libraries, and so its resource
 * manager registered?  Tables can only be created, and written, when it was.
 */
extern bool vecseg_preloaded;

extern void vecseg_require_preload(void);

#endif /* VECSEG_H */
