/*-------------------------------------------------------------------------
 *
 * keys.c
 *	  The keys of "key = ANY (array)", and the order of vecseg_retrieve.
 *
 * vecseg_retrieve returns rows in the order in which their keys come in an
 * array.  Function vecseg_position is that order as an expression: the query
 * that vecseg_retrieve stands for is ordered by it.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "scan/custom.h"

PG_FUNCTION_INFO_V1(vecseg_position);

typedef struct Element
{
	Datum value;
	int position;
} Element;

typedef struct CompareContext
{
	FmgrInfo *compare;
	Oid collation;
} CompareContext;

static int
compare_values(const CompareContext *context, Datum a, Datum b)
{
	return DatumGetInt32(
		FunctionCall2Coll(context->compare, context->collation, a, b));
}

static int
compare_elements(const void *a, const void *b, void *arg)
{
	const Element *left = (const Element *) a;
	const Element *right = (const Element *) b;
	int result =
		compare_values((CompareContext *) arg, left->value, right->value);

	if (result != 0)
		return result;
	return left->position < right->position ? -1 : 1;
}

/* The elements of an array that are not null, ascending */
static Element *
sorted_elements(ArrayType *array, CompareContext *context, int *nelements)
{
	Element *elements;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *values;
	bool *nulls;
	int n;
	int i;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign,
					  &values, &nulls, &n);
	elements = MemoryContextAllocHuge(CurrentMemoryContext,
									  Max(n, 1) * sizeof(Element));
	*nelements = 0;
	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			continue;
		elements[*nelements].value = values[i];
		elements[*nelements].position = i + 1;
		(*nelements)++;
	}
	pfree(values);
	pfree(nulls);
	qsort_arg(elements, *nelements, sizeof(Element), compare_elements, context);
	return elements;
}

/*
 * Make the set of an array's elements.  compare: a btree's comparison of two
 * elements.  The set points into the array.
 */
VecsegKeySet *
vecseg_keys_make(ArrayType *array, FmgrInfo *compare, Oid collation)
{
	CompareContext context = { compare, collation };
	VecsegKeySet *keys = palloc(sizeof(VecsegKeySet));
	int n;
	Element *elements = sorted_elements(array, &context, &n);
	int i;

	keys->nkeys = 0;
	keys->values = palloc(Max(n, 1) * sizeof(Datum));
	keys->positions = palloc(Max(n, 1) * sizeof(int));
	for (i = 0; i < n; i++)
	{
		if (keys->nkeys > 0 &&
			compare_values(&context, keys->values[keys->nkeys - 1],
						   elements[i].value) == 0)
			continue;
		keys->values[keys->nkeys] = elements[i].value;
		keys->positions[keys->nkeys] = elements[i].position;
		keys->nkeys++;
	}
	pfree(elements);
	return keys;
}

/* Numbers of the set's values, in the order in which the array has them */
int *
vecseg_keys_in_order_of_position(const VecsegKeySet *keys)
{
	int *order = palloc(Max(keys->nkeys, 1) * sizeof(int));
	int last = 0;
	int *at; /* number of the value at each position, plus one; or zero */
	int n = 0;
	int i;

	for (i = 0; i < keys->nkeys; i++)
		last = Max(last, keys->positions[i]);
	at = palloc0((last + 1) * sizeof(int));
	for (i = 0; i < keys->nkeys; i++)
		at[keys->positions[i]] = i + 1;
	for (i = 1; i <= last; i++)
	{
		if (at[i] > 0)
			order[n++] = at[i] - 1;
	}
	pfree(at);
	return order;
}

/* What a call site of vecseg_position keeps from call to call */
typedef struct PositionState
{
	FmgrInfo compare_elements;
	FmgrInfo compare_key;  /* with an element */
	bool stable;		   /* the array is the same in each call */
	ArrayType *array;	   /* copy of the array of the last call */
	VecsegKeySet *keys;	   /* of that array */
	MemoryContext context; /* holds the two */
} PositionState;

/* A type's btree operator family, and what the family knows the type as */
static void
btree_family(Oid type, Oid *opfamily, Oid *opcintype)
{
	Oid opclass = GetDefaultOpClass(getBaseType(type), BTREE_AM_OID);

	if (!OidIsValid(opclass))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a comparison function for type %s",
						format_type_be(type))));
	*opfamily = get_opclass_family(opclass);
	*opcintype = get_opclass_input_type(opclass);
}

static void
find_comparison(Oid opfamily, Oid left, Oid right, FmgrInfo *result,
				MemoryContext context)
{
	Oid function = get_opfamily_proc(opfamily, left, right, BTORDER_PROC);

	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a comparison of types %s and %s",
						format_type_be(left), format_type_be(right))));
	fmgr_info_cxt(function, result, context);
}

/*
 * Is the array the same in each call?  A constant and a parameter of the
 * query are, in a query plan.  Where there is no column there may be no
 * plan: PL/pgSQL evaluates simple expressions again and again with other
 * values of the same parameter.
 */
static bool
array_is_stable(FmgrInfo *flinfo)
{
	Node *expr = (Node *) flinfo->fn_expr;

	return get_fn_expr_arg_stable(flinfo, 1) && IsA(expr, FuncExpr) &&
		   contain_var_clause(linitial(((FuncExpr *) expr)->args));
}

static PositionState *
position_state(FmgrInfo *flinfo)
{
	PositionState *state = (PositionState *) flinfo->fn_extra;
	Oid key_family;
	Oid key_type;
	Oid element_family;
	Oid element_type;
	Oid array_type;

	if (state != NULL)
		return state;

	array_type = get_fn_expr_argtype(flinfo, 1);
	element_type = get_base_element_type(array_type);
	if (!OidIsValid(element_type))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("argument of type %s is not an array",
							   format_type_be(array_type))));
	btree_family(get_fn_expr_argtype(flinfo, 0), &key_family, &key_type);
	btree_family(element_type, &element_family, &element_type);

	state = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(PositionState));
	find_comparison(key_family, element_type, element_type,
					&state->compare_elements, flinfo->fn_mcxt);
	find_comparison(key_family, key_type, element_type, &state->compare_key,
					flinfo->fn_mcxt);
	state->stable = array_is_stable(flinfo);
	state->context = AllocSetContextCreate(flinfo->fn_mcxt, "vecseg_position",
										   ALLOCSET_DEFAULT_SIZES);
	flinfo->fn_extra = state;
	return state;
}

static void
remember_array(PositionState *state, Datum array, Oid collation)
{
	MemoryContext oldcontext;

	state->keys = NULL;
	MemoryContextReset(state->context);
	oldcontext = MemoryContextSwitchTo(state->context);
	state->array = DatumGetArrayTypePCopy(array);
	state->keys =
		vecseg_keys_make(state->array, &state->compare_elements, collation);
	MemoryContextSwitchTo(oldcontext);
}

/* See to it that the state's keys are those of this call's array. */
static void
prepare_keys(PositionState *state, Datum array, Oid collation)
{
	ArrayType *given;

	if (state->keys != NULL && state->stable)
		return;
	given = DatumGetArrayTypeP(array);
	if (state->keys == NULL || VARSIZE(given) != VARSIZE(state->array) ||
		memcmp(given, state->array, VARSIZE(given)) != 0)
		remember_array(state, PointerGetDatum(given), collation);
	if ((Pointer) given != DatumGetPointer(array))
		pfree(given);
}

/*
 * vecseg_position(key "any", ids "any") returns integer
 *
 * Where a key comes first in an array, from 1; null if it does not.  Equal is
 * what the key's default btree operator class says.
 */
Datum
vecseg_position(PG_FUNCTION_ARGS)
{
	PositionState *state = position_state(fcinfo->flinfo);
	CompareContext context = { &state->compare_key, PG_GET_COLLATION() };
	Datum key = PG_GETARG_DATUM(0);
	int low = 0;
	int high;

	prepare_keys(state, PG_GETARG_DATUM(1), PG_GET_COLLATION());
	high = state->keys->nkeys;
	while (low < high)
	{
		int middle = low + (high - low) / 2;
		int result = compare_values(&context, key, state->keys->values[middle]);

		if (result == 0)
			PG_RETURN_INT32(state->keys->positions[middle]);
		if (result > 0)
			low = middle + 1;
		else
			high = middle;
	}
	PG_RETURN_NULL();
}
