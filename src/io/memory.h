/*-------------------------------------------------------------------------
 *
 * memory.h
 *	  How much the page cache can hold.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_MEMORY_H
#define VECSEG_MEMORY_H

/*
 * Bytes of memory that this process may use, page cache included: the
 * machine's, or less if a control group (of a container or service) limits it.
 */
extern uint64 vecseg_memory_limit(void);

#endif /* VECSEG_MEMORY_H */
