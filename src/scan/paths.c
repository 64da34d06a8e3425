/*-------------------------------------------------------------------------
 *
 * paths.c
 *	  When the planner may choose a Vecseg Scan.
 *
 * For index paths that the server has found, of btrees and of pgvector's
 * indexes, a path is added that reads the same rows in the same order, but
 * ahead.  Two more, of btrees, are found here, which the queries that
 * vecseg_scroll and vecseg_retrieve stand for need:
 *
 * - "(key > bound) IS NOT FALSE" limits the scan like "key > bound", unless
 *	 the bound turns out to be null when the query runs.  (key: a column that
 *	 is not null.)
 *
 * - "key = ANY (array)" delivers rows in the order of vecseg_position(key,
 *	 array).
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/spccache.h"

#include "am/am.h"
#include "compat.h"
#include "scan/custom.h"
#include "scan/functions.h"
#include "scan/inline.h"

/*
 * A random page costs this much less when many are asked for at once, but
 * never less than a page read in sequence.
 */
#define READ_AHEAD_GAIN 4.0

/* A vector that is detoasted by itself costs so many random pages. */
#define SINGLE_READ_PAGES 0.75

static const CustomPathMethods path_methods = {
	.CustomName = VECSEG_SCAN_NAME,
	.PlanCustomPath = vecseg_plan_path,
};

/*
 * Let the server plan index scans once more, with their rivals turned off;
 * returns the paths.  Where an index alone could answer, the path is an
 * index-only scan unless those are off as well.
 */
static List *
plan_index_paths(PlannerInfo *root, RelOptInfo *rel, bool index_only)
{
	List *pathlist = rel->pathlist;
	List *partial_pathlist = rel->partial_pathlist;
	bool consider_parallel = rel->consider_parallel;
	VecsegStrategies before = vecseg_rule_out_rivals(rel, index_only);
	List *volatile result = NIL;

	PG_TRY();
	{
		rel->consider_parallel = false;
		rel->pathlist = NIL;
		rel->partial_pathlist = NIL;
		create_index_paths(root, rel);
		result = rel->pathlist;
	}
	PG_FINALLY();
	{
		vecseg_restore_strategies(rel, before);
		rel->consider_parallel = consider_parallel;
		rel->pathlist = pathlist;
		rel->partial_pathlist = partial_pathlist;
	}
	PG_END_TRY();
	return result;
}

/* An index of pgvector's?  Known by name, like its types. */
static bool
is_vector_index(const IndexOptInfo *index)
{
	const char *name = get_am_name(index->relam);

	return name != NULL &&
		   (strcmp(name, "hnsw") == 0 || strcmp(name, "ivfflat") == 0);
}

/*
 * A search by distance?  Other indexes that order by distance may do so
 * roughly, and have the executor sort again.
 */
static bool
is_search(const IndexPath *path)
{
	return path->indexorderbys != NIL && path->indexclauses == NIL &&
		   is_vector_index(path->indexinfo);
}

/* Does a Vecseg Scan use a path's index by itself? */
bool
vecseg_scans_by_itself(const IndexPath *path)
{
	return is_search(path) || (path->indexorderbys == NIL &&
							   path->indexinfo->relam == BTREE_AM_OID);
}

/*
 * The plain btree scans and the searches that the server knows, even those not
 * worth keeping.
 *
 * An index-only scan has all values from the index, which never refers to
 * large ones elsewhere, so there is nothing to read ahead; a query that is
 * ours to serve has its scans all the same.
 */
static List *
plain_index_paths(PlannerInfo *root, RelOptInfo *rel, bool inlined)
{
	List *result = NIL;
	ListCell *cell;

	foreach(cell, plan_index_paths(root, rel, !inlined))
	{
		IndexPath *path = (IndexPath *) lfirst(cell);

		if (!IsA(path, IndexPath) || path->path.pathtype != T_IndexScan ||
			path->path.param_info != NULL)
			continue;
		if (vecseg_scans_by_itself(path))
			result = lappend(result, path);
	}
	return result;
}

/*
 * A plain "column operator operand" that the condition
 * "(column operator operand) IS NOT FALSE" means for an index; NULL if the
 * condition is not of this kind.
 */
static OpExpr *
match_bound(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo,
			TupleDesc desc)
{
	BooleanTest *test = (BooleanTest *) rinfo->clause;
	OpExpr *op;
	Node *column;
	int attno = index->indexkeys[0];
	int strategy;

	if (!IsA(test, BooleanTest) || test->booltesttype != IS_NOT_FALSE ||
		!IsA(test->arg, OpExpr) || rinfo->pseudoconstant)
		return NULL;
	op = (OpExpr *) test->arg;
	if (list_length(op->args) != 2 || attno <= 0 ||
		!VECSEG_HAS_NO_NULLS(desc, attno - 1) || !op_strict(op->opno) ||
		(OidIsValid(index->indexcollations[0]) &&
		 index->indexcollations[0] != op->inputcollid))
		return NULL;
	column = strip_implicit_coercions(linitial(op->args));
	if (!match_index_to_operand(linitial(op->args), 0, index) ||
		!IsA(column, Var) || ((Var *) column)->varattno != attno ||
		!is_pseudo_constant_for_index(root, lsecond(op->args), index))
		return NULL;
	strategy = get_op_opfamily_strategy(op->opno, index->opfamily[0]);
	if (strategy == 0 || strategy == BTEqualStrategyNumber)
		return NULL;
	return restriction_is_securely_promotable(rinfo, index->rel) ? op : NULL;
}

/* Index clauses for all conditions of that kind */
static List *
match_bounds(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index,
			 TupleDesc desc)
{
	List *result = NIL;
	ListCell *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		OpExpr *op = match_bound(root, index, rinfo, desc);
		IndexClause *clause;

		if (op == NULL)
			continue;
		clause = makeNode(IndexClause);
		clause->rinfo = rinfo;
		clause->indexquals =
			list_make1(make_simple_restrictinfo(root, (Expr *) op));
		clause->lossy = false;
		clause->indexcol = 0;
		clause->indexcols = NIL;
		result = lappend(result, clause);
	}
	return result;
}

/* The same path with more index clauses, put first */
static IndexPath *
add_index_clauses(PlannerInfo *root, const IndexPath *path, List *clauses)
{
	if (clauses == NIL)
		return unconstify(IndexPath *, path);
	return create_index_path(
		root, path->indexinfo, list_concat(clauses, path->indexclauses), NIL,
		NIL, path->path.pathkeys, path->indexscandir, false, NULL, 1.0, false);
}

/* Number of rows that an index path fetches */
static double
rows_fetched(const IndexPath *path)
{
	return clamp_row_est(path->indexselectivity * path->indexinfo->rel->tuples);
}

/*
 * Cost of a path that reads ahead: that of the index path, with heap pages
 * read at random made cheaper.  Vectors count neither here nor in the
 * server's other paths.
 */
static void
set_cost(PlannerInfo *root, Path *path, const IndexPath *index_path)
{
	RelOptInfo *rel = path->parent;
	double tuples = rows_fetched(index_path);
	double random_page;
	double seq_page;
	Cost cpu;
	Cost io;
	Cost least_io;
	Cost saved;

	get_tablespace_page_costs(rel->reltablespace, &random_page, &seq_page);
	cpu = tuples * (cpu_tuple_cost + rel->baserestrictcost.per_tuple) +
		  index_path->path.rows * path->pathtarget->cost.per_tuple;
	io = Max(index_path->path.total_cost - index_path->indextotalcost - cpu, 0);
	least_io = ceil(index_path->indexselectivity * rel->pages) * seq_page;
	saved = io - Max(io * Max(seq_page, random_page / READ_AHEAD_GAIN) /
						 Max(random_page, 1e-6),
					 Min(io, least_io));

	path->rows = index_path->path.rows;
	VECSEG_COPY_DISABLED_NODES(path, &index_path->path);
	path->startup_cost = index_path->path.startup_cost;
	path->total_cost = Max((index_path->path.total_cost - Max(saved, 0)) *
							   VECSEG_READ_AHEAD_FACTOR,
						   path->startup_cost);
}

/*
 * The rows of a search that a LIMIT takes, all that the index finds; 0 if that
 * is not known.
 */
static int
rows_of_limit(PlannerInfo *root, RelOptInfo *rel)
{
	if (root->limit_tuples < 1 || root->limit_tuples > VECSEG_WINDOW_ROWS ||
		rel->baserestrictinfo != NIL ||
		!bms_equal(rel->relids, root->all_baserels))
		return 0;
	return (int) root->limit_tuples;
}

/*
 * Will a scan whose rows come in this order run to its end, as far as is known?
 * Neither a LIMIT, nor a cursor, nor EXISTS says otherwise, or its rows are
 * sorted before.
 */
bool
vecseg_runs_to_end(PlannerInfo *root, List *pathkeys)
{
	int ncommon;

	if (!pathkeys_count_contained_in(root->query_pathkeys, pathkeys,
									 &ncommon) &&
		ncommon == 0)
		return true;
	/* a subquery is not told if it is one of several that are joined */
	for (; root != NULL; root = root->parent_root)
	{
		if (root->tuple_fraction > 0)
			return false;
	}
	return true;
}

/* Is all of the scan wanted, and is it not the inner side of a join? */
static bool
wants_all(PlannerInfo *root, RelOptInfo *rel, List *pathkeys)
{
	return bms_equal(rel->relids, root->all_baserels) &&
		   vecseg_runs_to_end(root, pathkeys);
}

/* A path that reads the rows of another, without costs and order */
CustomPath *
vecseg_make_path(RelOptInfo *rel, Path *other, const VecsegScanInfo *info)
{
	CustomPath *path = makeNode(CustomPath);

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(other);
	path->custom_private = vecseg_scan_info_store(info);
	path->methods = &path_methods;
	return path;
}

static void
add_scan_path(PlannerInfo *root, RelOptInfo *rel, IndexPath *index_path,
			  int nbounds, List *pathkeys, bool asked_order)
{
	CustomPath *path;
	VecsegScanInfo info = { 0 };

	info.indexid = index_path->indexinfo->indexoid;
	info.direction = ScanDirectionIsBackward(index_path->indexscandir)
						 ? BackwardScanDirection
						 : ForwardScanDirection;
	info.nbounds = nbounds;
	info.asked_order = asked_order;
	if (index_path->indexorderbys != NIL)
		info.expected = rows_of_limit(root, rel);
	else
		info.eager = wants_all(root, rel, pathkeys);

	path = vecseg_make_path(rel, &index_path->path, &info);
	path->path.parallel_safe = rel->consider_parallel;
	path->path.pathkeys = pathkeys;
	set_cost(root, &path->path, index_path);
	add_path(rel, &path->path);
}

/*
 * The array of "first column = ANY (array)" among a path's conditions; NULL
 * if there is none, or if there is another array.
 */
static Node *
array_of_first_column(const IndexPath *path)
{
	Node *result = NULL;
	int narrays = 0;
	ListCell *cell;
	ListCell *cell2;

	foreach(cell, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, cell);

		foreach(cell2, clause->indexquals)
		{
			ScalarArrayOpExpr *saop =
				(ScalarArrayOpExpr *) lfirst_node(RestrictInfo, cell2)->clause;

			if (!IsA(saop, ScalarArrayOpExpr))
				continue;
			narrays++;
			if (clause->indexcol == 0 &&
				get_op_opfamily_strategy(saop->opno,
										 path->indexinfo->opfamily[0]) ==
					BTEqualStrategyNumber)
				result = (Node *) lsecond(saop->args);
		}
	}
	return narrays == 1 ? result : NULL;
}

/* Is an expression vecseg_position(first column of the index, array)? */
static bool
is_position(Node *expr, IndexOptInfo *index, Node *array)
{
	FuncExpr *func = (FuncExpr *) expr;
	Oid opclass = GetDefaultOpClass(index->opcintype[0], BTREE_AM_OID);

	return IsA(func, FuncExpr) && list_length(func->args) == 2 &&
		   OidIsValid(opclass) &&
		   get_opclass_family(opclass) == index->opfamily[0] &&
		   match_index_to_operand(vecseg_strip_relabel(linitial(func->args)), 0,
								  index) &&
		   equal(vecseg_strip_relabel(lsecond(func->args)),
				 vecseg_strip_relabel(array)) &&
		   (!OidIsValid(index->indexcollations[0]) ||
			index->indexcollations[0] == func->inputcollid) &&
		   vecseg_function_kind(func->funcid) == VECSEG_FUNCTION_POSITION;
}

/*
 * Whether the query wants rows in the order of vecseg_position(key, array),
 * where this path's condition is key = ANY (array): the path key, or NULL.
 * The index must be unique, lest a key has many rows.
 */
static PathKey *
match_position(PlannerInfo *root, const IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	Node *array = array_of_first_column(path);
	PathKey *pathkey;
	EquivalenceMemberIterator members;
	EquivalenceMember *member;

	if (array == NULL || root->query_pathkeys == NIL || !index->unique ||
		index->nkeycolumns != 1)
		return NULL;
	pathkey = (PathKey *) linitial(root->query_pathkeys);
	if (pathkey->pk_cmptype != COMPARE_LT ||
		pathkey->pk_eclass->ec_has_volatile)
		return NULL;
	setup_eclass_member_iterator(&members, pathkey->pk_eclass,
								 index->rel->relids);
	while ((member = eclass_member_iterator_next(&members)) != NULL)
	{
		if (bms_equal(member->em_relids, index->rel->relids) &&
			is_position((Node *) member->em_expr, index, array))
			return pathkey;
	}
	return NULL;
}

/* What the query needs of a table */
typedef struct Needs
{
	TupleDesc desc;
	bool large;	  /* columns that may be stored out of line */
	int nvectors; /* columns of vectors */
	bool inlined; /* it stands for vecseg_scroll or vecseg_retrieve */
} Needs;

static void
find_needs(PlannerInfo *root, RelOptInfo *rel, Relation relation, Needs *needs)
{
	const bool *dense = vecseg_dense_columns(relation);
	Bitmapset *columns = NULL;
	ListCell *cell;
	int i;

	vecseg_pull_columns((Node *) rel->reltarget->exprs, rel->relid, &columns);
	foreach(cell, rel->baserestrictinfo)
		vecseg_pull_columns((Node *) lfirst_node(RestrictInfo, cell)->clause,
							rel->relid, &columns);
	needs->desc = RelationGetDescr(relation);
	needs->inlined = root->parse->queryId == VECSEG_QUERY_ID;
	needs->large = false;
	needs->nvectors = 0;
	for (i = 0; i < needs->desc->natts; i++)
	{
		if (!vecseg_column_may_be_large(TupleDescAttr(needs->desc, i)) ||
			!vecseg_reads_column(columns, i + 1))
			continue;
		needs->large = true;
		if (dense != NULL && dense[i])
			needs->nvectors++;
	}
}

/*
 * Paths of one kind of index scan.  A scan for at most one row has nothing to
 * read ahead, and one, or a search, for columns that are never large is left to
 * the server unless it is ours to serve.
 */
static void
add_paths_like(PlannerInfo *root, RelOptInfo *rel, IndexPath *path,
			   const Needs *needs)
{
	List *bounds;
	int nbounds;
	PathKey *position;

	if (is_search(path))
	{
		if (needs->large)
			add_scan_path(root, rel, path, 0, path->path.pathkeys, false);
		return;
	}
	bounds = match_bounds(root, rel, path->indexinfo, needs->desc);
	nbounds = list_length(bounds);
	position = match_position(root, path);
	path = add_index_clauses(root, path, bounds);
	if (nbounds > 0 ||
		((needs->large || needs->inlined) && rows_fetched(path) > 1))
		add_scan_path(root, rel, path, nbounds, path->path.pathkeys, false);
	if (position != NULL)
		add_scan_path(root, rel, path, nbounds, list_make1(position), true);
}

/*
 * In a query that stands for a call, which is always ordered, the server's
 * paths come to detoasting one vector at a time: table scans read vectors
 * ahead as well, but not those of rows that are being sorted.
 */
static void
add_cost_of_single_reads(RelOptInfo *rel, List *paths, const Needs *needs)
{
	double random_page;
	ListCell *cell;

	get_tablespace_page_costs(rel->reltablespace, &random_page, NULL);
	foreach(cell, paths)
	{
		Path *path = (Path *) lfirst(cell);

		path->total_cost +=
			path->rows * needs->nvectors * random_page * SINGLE_READ_PAGES;
	}
}

static void
add_index_paths(PlannerInfo *root, RelOptInfo *rel, const Needs *needs)
{
	List *index_paths = plain_index_paths(root, rel, needs->inlined);
	ListCell *cell;

	if (needs->inlined)
	{
		add_cost_of_single_reads(rel, rel->pathlist, needs);
		add_cost_of_single_reads(rel, rel->partial_pathlist, needs);
	}
	foreach(cell, index_paths)
		add_paths_like(root, rel, (IndexPath *) lfirst(cell), needs);
}

/*
 * Add Vecseg Scans to the paths of a table, if its access method is ours.
 */
void
vecseg_add_paths(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	Relation relation;

	if (rel->lateral_relids != NULL)
		return;
	relation = table_open(rte->relid, NoLock);
	if (vecseg_is_vecseg_table(relation))
	{
		Needs needs;

		find_needs(root, rel, relation, &needs);
		if (!needs.inlined && needs.nvectors > 0)
			vecseg_add_paths_over(root, rel, relation);
		if (rel->indexlist != NIL && rte->tablesample == NULL)
			add_index_paths(root, rel, &needs);
	}
	table_close(relation, NoLock);
}
