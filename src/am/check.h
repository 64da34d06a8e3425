/*-------------------------------------------------------------------------
 *
 * check.h
 *	  Verifying a vecseg table.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_AM_CHECK_H
#define VECSEG_AM_CHECK_H

#include "segment/check.h"
#include "utils/rel.h"

extern void vecseg_check_table(Relation rel, VecsegCheckReport report,
							   void *report_arg);

#endif /* VECSEG_AM_CHECK_H */
