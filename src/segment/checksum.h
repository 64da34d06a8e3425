/*-------------------------------------------------------------------------
 *
 * checksum.h
 *	  The checksum of a page that is not to be written to.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_CHECKSUM_H
#define VECSEG_CHECKSUM_H

#include "storage/block.h"

extern uint16 vecseg_page_checksum(const char *page, BlockNumber block);

#endif /* VECSEG_CHECKSUM_H */
