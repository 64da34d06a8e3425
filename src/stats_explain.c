/*-------------------------------------------------------------------------
 *
 * stats_explain.c
 *	  Showing a node's counters in EXPLAIN ANALYZE.
 *
 * As text, like the server's "Buffers", only what is not zero:
 *
 *		Vectors: values=1000 shared hits=12 mapped=40 read=948
 *		I/O: batches=4 reads=310 merged=702 bytes=3145728 depth=64 wait=8.512ms
 *
 * In the other formats, all of it as properties of a group "Vectors".
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "lib/stringinfo.h"

#include "compat.h"
#include "stats_explain.h"

static void
append_nonzero(StringInfo line, const char *name, uint64 value)
{
	if (value == 0)
		return;
	if (line->len > 0)
		appendStringInfoChar(line, ' ');
	appendStringInfo(line, "%s=" UINT64_FORMAT, name, value);
}

static void
explain_line(const char *label, StringInfo line, ExplainState *es)
{
	if (line->len > 0)
		ExplainPropertyText(label, line->data, es);
}

static void
explain_text(const VecsegIoCounters *counters, ExplainState *es)
{
	StringInfoData line;

	initStringInfo(&line);
	append_nonzero(&line, "values", counters->values);
	append_nonzero(&line, "shared hits", counters->shared_hits);
	append_nonzero(&line, "mapped", counters->mapped_hits);
	append_nonzero(&line, "read", counters->read_values);
	append_nonzero(&line, "single", counters->single_values);
	explain_line("Vectors", &line, es);

	resetStringInfo(&line);
	append_nonzero(&line, "batches", counters->batches);
	append_nonzero(&line, "reads", counters->reads);
	append_nonzero(&line, "merged", counters->merged);
	append_nonzero(&line, "bytes", counters->read_bytes);
	append_nonzero(&line, "retries", counters->retries);
	append_nonzero(&line, "depth", counters->max_in_flight);
	if (es->timing && counters->reads > 0)
		appendStringInfo(&line, " wait=%.3fms", counters->wait_usec / 1000.0);
	explain_line("I/O", &line, es);
	pfree(line.data);
}

static void
explain_properties(const VecsegIoCounters *counters, ExplainState *es)
{
	const struct
	{
		const char *label;
		uint64 value;
	} properties[] = {
		{ "Values", counters->values },
		{ "Shared Hits", counters->shared_hits },
		{ "Mapped Hits", counters->mapped_hits },
		{ "Read Values", counters->read_values },
		{ "Single Values", counters->single_values },
		{ "Batches", counters->batches },
		{ "Reads", counters->reads },
		{ "Merged Values", counters->merged },
		{ "Read Bytes", counters->read_bytes },
		{ "Retries", counters->retries },
		{ "Maximum In Flight", counters->max_in_flight },
	};
	int i;

	ExplainOpenGroup("Vectors", "Vectors", true, es);
	for (i = 0; i < lengthof(properties); i++)
		ExplainPropertyUInteger(properties[i].label, NULL, properties[i].value,
								es);
	if (es->timing)
		ExplainPropertyFloat("Wait Time", "ms", counters->wait_usec / 1000.0, 3,
							 es);
	ExplainCloseGroup("Vectors", "Vectors", true, es);
}

/*
 * Show how a node's vectors were read.  For EXPLAIN (ANALYZE) only: without
 * execution there is nothing to show.
 */
void
vecseg_explain_counters(const VecsegIoCounters *counters, ExplainState *es)
{
	if (!es->analyze)
		return;
	if (es->format == EXPLAIN_FORMAT_TEXT)
		explain_text(counters, es);
	else
		explain_properties(counters, es);
}
