--
-- What the scripts in sql/ and the isolation specs share. A script starts with
--
--   \getenv abs_srcdir PG_ABS_SRCDIR
--   \set file :abs_srcdir '/test/regress_helpers.sql'
--   \set ECHO none
--   \i :file
--   \set ECHO all
--
SET client_min_messages = warning;
SET jit = off;
\ir vec.sql

-- check_vectors(table, dims): are the vectors of a table (id, version, embedding)
-- those of vec()? Every one is compared; the ids of wrong ones are listed.
CREATE OR REPLACE FUNCTION check_vectors(tbl regclass, dims int DEFAULT 64,
								   OUT rows bigint, OUT ids bigint,
								   OUT versions bigint, OUT wrong bigint[])
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*), sum(id), sum(version),'
				   ' array_agg(id ORDER BY id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, $1))'
				   ' FROM %s', tbl) INTO rows, ids, versions, wrong USING dims;
END
$$;

-- differences(a, b): rows of two tables with the same columns, `id` among
-- them, that are not the same byte for byte.
CREATE OR REPLACE FUNCTION differences(a regclass, b regclass)
RETURNS TABLE (id text, difference text)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE
		format('SELECT coalesce(left_row.id, right_row.id)::text,'
			   ' CASE WHEN left_row.id IS NULL THEN ''missing in %1$s'''
			   ' WHEN right_row.id IS NULL THEN ''missing in %2$s'''
			   ' ELSE ''not the same'' END'
			   ' FROM %1$s left_row FULL JOIN %2$s right_row ON left_row.id = right_row.id'
			   ' WHERE left_row.id IS NULL OR right_row.id IS NULL OR left_row *<> right_row'
			   ' ORDER BY coalesce(left_row.id, right_row.id)', a, b);
END
$$;

-- explain(query, options): EXPLAIN, without what changes from run to run or with the
-- server's version.
CREATE OR REPLACE FUNCTION explain(query text, options text DEFAULT 'ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF')
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, %s) %s', options, query) LOOP
		CONTINUE WHEN line ~ ('I/O:|Replaces:|Disabled: |Heap Blocks:|Storage:|Rows Removed by Join|'
			'Index Searches:|Window:|Buckets:|Sort Method:');
		line := regexp_replace(line, 'InitPlan \S+', 'InitPlan');
		line := regexp_replace(line, '(Vectors: values=\d+).*', '\1 ...');
		line := regexp_replace(line, '(rows=|"Actual Rows": )(\d+)\.00', '\1\2', 'g');
		line := regexp_replace(line, '\n *"Disabled": false,', '', 'g');
		line := regexp_replace(line, ' \(returns \$\d+\)', '');
		line := regexp_replace(line, '(Cache Key: (\S+)), \2$', '\1');
		RETURN NEXT line;
	END LOOP;
END
$$;

-- slots_used(table): values in the table's store, live or not.
CREATE OR REPLACE FUNCTION slots_used(tbl regclass) RETURNS bigint
LANGUAGE sql AS 'SELECT coalesce(sum(used), 0)::bigint FROM vecseg_segments(tbl)';
RESET client_min_messages;
