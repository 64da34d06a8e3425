/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings (vecseg.*).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_GUC_H
#define VECSEG_GUC_H

/* vecseg.io_method: how vectors that are not in memory are read */
typedef enum VecsegIoMethodSetting
{
	VECSEG_IO_AUTO, /* io_uring, or sync where refused */
	VECSEG_IO_URING,
	VECSEG_IO_SYNC
} VecsegIoMethodSetting;

/* vecseg.direct_io: whether reads bypass the kernel's page cache */
typedef enum VecsegDirectIoSetting
{
	VECSEG_DIRECT_AUTO, /* where the reader thinks it is better */
	VECSEG_DIRECT_ON,
	VECSEG_DIRECT_OFF
} VecsegDirectIoSetting;

extern int vecseg_io_method;
extern int vecseg_io_depth;
extern int vecseg_read_ahead; /* kB */
extern int vecseg_direct_io;
extern bool vecseg_enable_custom_scan;
extern char *vecseg_stop_at;

extern void vecseg_define_settings(void);

#endif /* VECSEG_GUC_H */
