/*-------------------------------------------------------------------------
 *
 * functions.h
 *	  Recognizing the extension's functions in a query.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECSEG_FUNCTIONS_H
#define VECSEG_FUNCTIONS_H

#include "postgres.h"

typedef enum VecsegFunctionKind
{
	VECSEG_FUNCTION_OTHER,
	VECSEG_FUNCTION_SCROLL,
	VECSEG_FUNCTION_RETRIEVE,
	VECSEG_FUNCTION_POSITION
} VecsegFunctionKind;

extern VecsegFunctionKind vecseg_function_kind(Oid funcid);

#endif /* VECSEG_FUNCTIONS_H */
