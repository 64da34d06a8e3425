--
-- Vecseg Scans over the server's own scans: those of a table by conditions, of
-- bitmaps, of samples, of other indexes
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA filtered_scan;
SET search_path = filtered_scan, public;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE items (dropped text, id bigint PRIMARY KEY, version int, embedding real[], grp int, place point, body text)
	USING vecseg;
ALTER TABLE items DROP COLUMN dropped;
INSERT INTO items SELECT i, 1, vec(i, 1, 64), i % 100, point(i % 70, i % 90), CASE WHEN i % 9 = 0 THEN repeat(md5(i::text), 100) END
	FROM generate_series(1, 6000) i;
DELETE FROM items WHERE id % 13 = 0;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 17 = 0;
UPDATE items SET embedding = NULL WHERE id % 101 = 0;
UPDATE items SET embedding = vec(id, version, 5) WHERE id % 103 = 0;
BEGIN;
UPDATE items SET version = 3, grp = -1;
ROLLBACK;
CREATE INDEX items_place_idx ON items USING gist (place);
CREATE INDEX items_grp_idx ON items USING hash (grp);
CREATE INDEX items_version_idx ON items (version);
CREATE TABLE plain AS SELECT * FROM items ORDER BY ctid;
CREATE TABLE asked AS SELECT i * 100 AS a FROM generate_series(1, 20) i;
VACUUM ANALYZE items, plain, asked;

-- same(query): its rows, if they are the same in the same order as with these
-- scans turned off, and as those of the heap table
CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	results text[];
	result text;
	source text;
	setting text;
BEGIN
	FOREACH setting IN ARRAY '{on,off}'::text[] LOOP
		PERFORM set_config('vecseg.enable_custom_scan', setting, false);
		FOREACH source IN ARRAY '{items,plain}'::text[] LOOP
			EXECUTE format('SELECT count(*) || '' '' || md5(coalesce(string_agg(n || s::text, chr(10) ORDER BY n), %L))'
						   ' FROM (SELECT row_number() OVER () AS n, s FROM (%s OFFSET 0) s) t', '',
						   replace(query, '{t}', source))
				INTO result;
			results := results || result;
		END LOOP;
	END LOOP;
	PERFORM set_config('vecseg.enable_custom_scan', 'on', false);
	RETURN CASE WHEN results[1] = ALL (results) THEN split_part(results[1], ' ', 1)
		ELSE format('DIFFERENT: %s', results) END;
END
$$;

--
-- Plans
--
-- all rows are wanted: the scan checks the conditions that need no vectors
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE grp <> 5 AND embedding[1] > 0 AND body IS NULL;
EXPLAIN (COSTS OFF) SELECT count(*), sum(embedding[1]) FROM items WHERE id % 10 = 0;
-- perhaps not all: it gives up looking for more
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE id % 10 = 0 AND embedding[1] > 0 LIMIT 5;
-- all, to be sorted
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE id % 10 = 0 ORDER BY embedding[3] LIMIT 5;
-- nothing to check before vectors are read, and table scans read ahead by themselves
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE embedding[1] > 0;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE random() > 2;
-- no vectors
EXPLAIN (COSTS OFF) SELECT id, body FROM items WHERE id % 10 = 0;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE id % 10 = 0 AND embedding IS NOT NULL;
-- vectors are counted, or stored as pointers, not read
SELECT explain('SELECT count(embedding), grp FROM items WHERE id % 1000 = 0 GROUP BY grp HAVING count(embedding) > 2');
SELECT explain('SELECT count(embedding), max(embedding) FROM items WHERE id % 1000 = 0', 'ANALYZE OFF');
SELECT explain('SELECT count(embedding), max(version) FROM items WHERE id > 5990', 'ANALYZE OFF');
SELECT explain('SELECT embedding, count(*) FROM items WHERE id > 5990 GROUP BY embedding', 'ANALYZE OFF');
SELECT explain('SELECT id, embedding FROM items WHERE id % 1000 = 0 ORDER BY grp');
SELECT explain('SELECT id, embedding, lag(id) OVER () FROM items WHERE id % 1000 = 0');
SELECT explain('WITH w AS MATERIALIZED (SELECT id, embedding FROM items WHERE grp > 50) SELECT count(*) FROM w', 'ANALYZE OFF');
SELECT explain('SELECT a, id, embedding FROM asked LEFT JOIN items ON id = a AND id % 1000 = 0 WHERE a > 1500', 'ANALYZE OFF');
-- the target of UPDATE and DELETE: for conditions only
EXPLAIN (COSTS OFF) UPDATE items SET embedding = embedding WHERE id % 10 = 0;
EXPLAIN (COSTS OFF) DELETE FROM items WHERE id % 10 = 0;
EXPLAIN (COSTS OFF) DELETE FROM items WHERE id % 10 = 0 AND embedding[1] > 0;
EXPLAIN (COSTS OFF) UPDATE items SET embedding = embedding || 1::real WHERE id % 10 = 0 AND random() >= 0;
-- other scans
SET enable_seqscan = off;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE version = 2 AND grp > 50;
SET enable_bitmapscan = off;
SET enable_indexscan = on;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE place <@ box '(10,10),(20,20)' AND grp > 50;
EXPLAIN (COSTS OFF) SELECT id, embedding FROM items WHERE grp > 50 ORDER BY place <-> point '(3,3)' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE grp = 7;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE version = 2 AND grp > 50;
RESET enable_seqscan;
RESET enable_bitmapscan;
EXPLAIN (COSTS OFF) SELECT * FROM items TABLESAMPLE system (50);
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE ctid < '(9,0)' AND grp > 50;
-- off
SET vecseg.enable_custom_scan = off;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE grp <> 5;
RESET vecseg.enable_custom_scan;
-- what the scan did
SELECT explain($$SELECT * FROM items WHERE grp < 2 AND id % 2 = 1 AND embedding[1] > 100$$);
SELECT explain($$SELECT * FROM items WHERE grp > 5 AND embedding IS NOT NULL LIMIT 3$$);
SET enable_seqscan = off;
SELECT explain($$SELECT a, s.* FROM asked, LATERAL (SELECT id, embedding FROM items WHERE grp = a / 100 AND version > 0 LIMIT 1) s WHERE a < 400$$);
RESET enable_seqscan;
SELECT explain($$SELECT * FROM items TABLESAMPLE bernoulli (100) WHERE id % 1000 = 0$$);

--
-- The same rows as without, and as those of heap
--
SELECT same('SELECT * FROM {t} WHERE grp <> 5');
SELECT same('SELECT embedding, id FROM {t} WHERE grp < 3 AND embedding[5] > 20000');
SELECT same('SELECT {t} FROM {t} WHERE grp = 7');
SELECT same('SELECT id, embedding[5], {t}::text FROM {t} WHERE grp IN (3, 4) OR embedding[1] < 10');
SELECT same('SELECT id, embedding FROM {t} WHERE id % 1000 = 999 LIMIT 3');
SELECT same('SELECT * FROM (SELECT id, embedding FROM {t} WHERE grp = 3 OFFSET 20 LIMIT 30) s');
SELECT same('SELECT id, embedding FROM {t} WHERE grp < 50 ORDER BY embedding[5], id LIMIT 50');
SELECT same('SELECT id, embedding FROM {t} WHERE grp < 50 ORDER BY version DESC, id');
SELECT same('SELECT DISTINCT ON (grp) grp, id, embedding FROM {t} WHERE grp < 50 ORDER BY grp, id');
SELECT same('SELECT grp, count(*), sum(embedding[1]), max(embedding) FROM {t} WHERE id % 3 = 0 GROUP BY grp ORDER BY grp');
SELECT same('SELECT count(embedding), count(DISTINCT embedding), count(*) FROM {t} WHERE grp < 5');
SELECT same('SELECT grp, count(embedding) FILTER (WHERE embedding[5] > 0), count(body) FROM {t} WHERE id % 3 = 0 GROUP BY grp ORDER BY grp');
SELECT same('SELECT a, embedding FROM asked LEFT JOIN {t} ON a = id AND grp = 0 ORDER BY a');
SELECT same('SELECT a, s.* FROM asked, LATERAL (SELECT id, embedding FROM {t} WHERE id % 100 = a / 100 LIMIT 2) s');
SELECT same('SELECT a, s.embedding FROM asked, LATERAL (SELECT id, embedding FROM {t} WHERE id % 100 = a / 100 OFFSET 0) s');
SELECT same('SELECT a, (SELECT embedding FROM {t} WHERE grp = 3 AND id > a LIMIT 1) FROM asked');
SELECT same('SELECT a FROM asked WHERE EXISTS (SELECT FROM {t} WHERE grp = 3 AND id > a AND embedding[1] > 0)');
SELECT same('SELECT id, embedding FROM {t} WHERE grp = (SELECT min(a) / 100 FROM asked)');
SELECT same('SELECT id, embedding FROM {t} WHERE id IN (SELECT a + 1 FROM asked) OR grp = 1');
SELECT same('SELECT l.id, r.embedding FROM {t} l JOIN {t} r ON r.id = l.id + 1 WHERE l.grp = 3 AND r.grp <> 3 AND l.embedding[5] > r.embedding[5] ORDER BY 1');
SELECT same('SELECT id, embedding FROM {t} WHERE grp = 3 UNION ALL SELECT id, embedding FROM {t} WHERE grp = 4 AND version = 2');
SELECT same('SELECT id, embedding, lag(embedding) OVER (ORDER BY id) FROM {t} WHERE grp = 3');
SELECT same('WITH w AS MATERIALIZED (SELECT * FROM {t} WHERE grp = 3) SELECT l.embedding, r.id FROM w l, w r WHERE l.id < r.id');
SET enable_seqscan = off;
SET enable_indexscan = off;
SELECT same('SELECT * FROM {t} WHERE version = 2 AND id % 2 = 0 ORDER BY id');
SET work_mem = '64kB'; -- pages without their rows
SELECT same('SELECT * FROM {t} WHERE (version = 1 AND grp = 7) OR version = 2 ORDER BY id');
RESET work_mem;
RESET enable_indexscan;
SET enable_bitmapscan = off;
SELECT same('SELECT * FROM {t} WHERE place <@ box ''(10,10),(20,20)'' AND grp > 50 ORDER BY id');
SELECT same('SELECT id, embedding FROM {t} WHERE grp > 50 ORDER BY place <-> point ''(3,3)'', id LIMIT 50');
SELECT same('SELECT * FROM {t} WHERE grp = 7 ORDER BY id');
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(*) > 1000 AS some, count(*) = count(*) FILTER (WHERE i *= p) AS same FROM items i TABLESAMPLE bernoulli (30) REPEATABLE (1) JOIN plain p USING (id);
SELECT count(*) > 0 AS some, count(*) = count(*) FILTER (WHERE i *= p) AS same
	FROM items i TABLESAMPLE bernoulli (10) JOIN plain p USING (id);
SELECT count(*) > 0 AS some, count(*) = count(*) FILTER (WHERE i *= p) AS same
	FROM items i TABLESAMPLE system (30) JOIN plain p USING (id) WHERE i.grp > 30;
SELECT count(*) > 0 AS some, count(*) = count(*) FILTER (WHERE i *= p) AS same
	FROM items i JOIN plain p USING (id) WHERE i.ctid BETWEEN '(3,0)' AND '(20,7)' AND i.grp > 30;
-- system columns
SELECT count(*), bool_and(s.tableoid = 'items'::regclass AND s.ctid = i.ctid AND s.xmin = i.xmin) AS same FROM
	(SELECT ctid, tableoid, xmin, id, embedding FROM items WHERE grp < 10 OFFSET 0) s JOIN items i USING (id);
-- rows that a table scan has read ahead itself, for what the condition needs, and that
-- have no page, as other windows pin as many as may be
CREATE TABLE wide (id int, version int, embedding real[], body text, fill text) USING vecseg;
ALTER TABLE wide ALTER fill SET STORAGE PLAIN, ALTER body SET STORAGE EXTERNAL;
INSERT INTO wide SELECT i, 1, vec(i, 1, 64), repeat(md5(i::text), 100), repeat('x', 5000) FROM generate_series(1, 400) i;
ANALYZE wide;
BEGIN;
DECLARE holder_1 CURSOR FOR SELECT embedding[1] FROM wide;
DECLARE holder_2 CURSOR FOR SELECT embedding[1] FROM wide;
DECLARE holder_3 CURSOR FOR SELECT embedding[1] FROM wide;
MOVE 200 FROM holder_1;
MOVE 200 FROM holder_2;
MOVE 200 FROM holder_3;
SELECT count(*), bool_and(s.tid = w.ctid AND s.tableoid = w.tableoid AND s.embedding = vec(w.id, 1, 64)) AS same
	FROM (SELECT ctid AS tid, tableoid, id, embedding FROM wide WHERE body LIKE '%a%' ORDER BY version, id OFFSET 0) s
	JOIN wide w USING (id);
SELECT count(*), bool_and(s.tid = w.ctid AND s.tableoid = w.tableoid AND s.embedding = vec(w.id, 1, 64)) AS same
	FROM (SELECT ctid AS tid, tableoid, id, embedding FROM wide WHERE body LIKE '%a%' OFFSET 0) s JOIN wide w USING (id);
SELECT count(embedding) FROM (SELECT embedding FROM wide WHERE body LIKE '%a%' ORDER BY version, id FOR UPDATE) s;
DELETE FROM wide USING asked WHERE embedding[1] = a AND body LIKE '%a%' AND random() >= 0;
UPDATE wide SET version = 2, embedding = vec(id, 2, 64) WHERE body LIKE '%a%' AND embedding[1] > 200 AND random() >= 0;
SELECT count(*), sum(version), bool_and(embedding = vec(id, version, 64)) AS same FROM wide;
COMMIT;
-- once for each row of another table
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT explain('SELECT a, embedding FROM asked JOIN items ON grp = a / 100', 'ANALYZE OFF');
SELECT same('SELECT a, embedding FROM asked JOIN {t} ON grp = a / 100 ORDER BY a, id');
SELECT same('SELECT a, id FROM asked JOIN {t} ON grp = a / 100 AND id > a AND embedding[5] > 0 ORDER BY a, id');
SELECT same('SELECT a FROM asked WHERE EXISTS (SELECT FROM {t} WHERE grp = a / 100 AND id > a AND embedding[5] > 0.5 OFFSET 0)');
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SELECT explain('SELECT a, embedding FROM asked JOIN items ON grp = a / 100', 'ANALYZE OFF');
SELECT same('SELECT a, embedding FROM asked JOIN {t} ON grp = a / 100 ORDER BY a, id');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_memoize;
RESET enable_seqscan;
RESET enable_indexscan;
-- in parallel
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*), sum(embedding[1]) FROM items WHERE id % 3 = 0;
SELECT same('SELECT * FROM {t} WHERE grp <> 5 ORDER BY id');
SELECT same('SELECT grp, count(*), max(embedding) FROM {t} WHERE id % 3 = 0 GROUP BY grp ORDER BY grp');
SELECT same('SELECT * FROM {t} WHERE id % 3 = 0 AND version = 2 ORDER BY id');
SELECT count(*), bool_and(i *= p) AS same FROM (SELECT * FROM items WHERE id % 3 = 0 LIMIT 100) i JOIN plain p USING (id);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET min_parallel_index_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*), sum(embedding[1]) FROM items WHERE id > 100;
SELECT same('SELECT count(*), sum(hash_array_extended(embedding, id)) FROM {t} WHERE id > 100');
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET min_parallel_index_scan_size;
SET max_parallel_workers_per_gather = 0;
-- partitions, and heap among them
CREATE TABLE parts (id bigint, version int, embedding real[], grp int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (2000) USING vecseg;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2000) TO (4000) USING heap;
CREATE TABLE parts_3 (grp int, embedding real[], id bigint, version int) USING vecseg;
ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM (4000) TO (10000);
INSERT INTO parts SELECT id, version, embedding, grp FROM items;
EXPLAIN (COSTS OFF) SELECT * FROM parts WHERE grp < 5;
SELECT count(*), bool_and(s *= p) AS same FROM (SELECT * FROM parts WHERE grp < 5 AND embedding[1] > 0 OFFSET 0) s
	JOIN (SELECT id, version, embedding, grp FROM plain) p USING (id);
-- a scan that has ended has given its memory back
BEGIN;
DECLARE filtered CURSOR FOR SELECT id, embedding FROM parts WHERE grp < 5;
DECLARE whole CURSOR FOR SELECT id, embedding = vec(id, version, 64) FROM parts;
MOVE ALL FROM filtered;
MOVE ALL FROM whole;
SELECT count(*) AS windows FROM pg_backend_memory_contexts WHERE name = 'vecseg window';
ROLLBACK;

--
-- Conditions
--
-- A search for more is given up: no condition is checked for more than twice as
-- many rows as were needed.
CREATE SEQUENCE checked;
CREATE FUNCTION counted(condition boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS
	'BEGIN PERFORM nextval(''checked''); RETURN condition; END';
SELECT id, embedding = vec(id, version, 64) AS same FROM items WHERE counted(grp = 7) LIMIT 2;
SELECT currval('checked') <= 220 AS few;
SELECT setval('checked', 1);
SELECT id, embedding = vec(id, version, 64) AS same FROM items WHERE counted(id BETWEEN 10 AND 12) LIMIT 3;
SELECT currval('checked') <= 30 AS few;
-- one that is volatile is checked when its row is asked for
ALTER FUNCTION counted VOLATILE;
SELECT setval('checked', 1);
SELECT count(*) FROM (SELECT id, embedding FROM items WHERE grp < 50 AND counted(true) LIMIT 10) s WHERE embedding IS NOT NULL;
SELECT currval('checked') AS one_and_ten;
-- in a sub-select, too
SELECT setval('checked', 1);
SELECT count(*) FROM (SELECT id, embedding FROM items i WHERE grp < 50 AND (SELECT counted(i.id > 0)) LIMIT 10) s WHERE embedding IS NOT NULL;
SELECT currval('checked') AS one_and_ten;
SELECT setval('checked', 1);
SELECT count(*) FROM (SELECT id, embedding FROM items i WHERE id > 100 AND (SELECT counted(i.id > 0)) ORDER BY id LIMIT 10) s
	WHERE embedding IS NOT NULL;
SELECT currval('checked') AS one_and_ten;
-- while others are not
SELECT line FROM explain('SELECT id, embedding FROM items WHERE grp NOT IN (SELECT a FROM asked)', 'ANALYZE OFF') line WHERE line ~ 'Scan|Before';
-- errors
SELECT count(embedding[1]) FROM items WHERE 1 / (id - 5) >= 0 AND embedding[1] > 0;
SELECT count(embedding[1]) FROM items WHERE id % 7 = 1 AND 1 / (id - 4999) >= 0;
SELECT count(*), sum(id) FROM items WHERE id % 7 = 1 AND embedding[1] IS NOT NULL;
-- parameters
PREPARE by_group(int, real) AS SELECT count(*), sum(embedding[5]::numeric) FROM items WHERE grp % 10 = $1 AND embedding[1] > $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_group(3, 0);
EXECUTE by_group(3, 0);
SELECT count(*), sum(embedding[5]::numeric) FROM plain WHERE grp % 10 = 3 AND embedding[1] > 0;
EXECUTE by_group(4, 0);
SELECT count(*), sum(embedding[5]::numeric) FROM plain WHERE grp % 10 = 4 AND embedding[1] > 0;
EXECUTE by_group(NULL, 0);
RESET plan_cache_mode;
-- row security: a function that tells what it sees does not see other rows
CREATE FUNCTION tells(key bigint, embedding real[]) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
	'BEGIN IF key % 100 <> 1 OR embedding[5] <= 0 THEN RAISE NOTICE ''sees %'', key; END IF; RETURN true; END';
CREATE FUNCTION tells(key bigint) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001 AS
	'BEGIN IF key % 100 <> 1 OR key IN (SELECT id FROM hidden) THEN RAISE NOTICE ''sees %'', key; END IF; RETURN true; END';
CREATE TABLE hidden AS SELECT id FROM items WHERE grp = 1 AND (embedding[5] > 0) IS NOT TRUE;
SELECT count(*) > 1 AS some_hidden FROM hidden;
CREATE ROLE filtered_scan_reader;
GRANT USAGE ON SCHEMA filtered_scan TO filtered_scan_reader;
GRANT SELECT ON hidden TO filtered_scan_reader;
GRANT SELECT (id, embedding, grp) ON items TO filtered_scan_reader;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON items USING (grp = 1 AND embedding[5] > 0);
SET ROLE filtered_scan_reader;
EXPLAIN (COSTS OFF) SELECT id, embedding FROM items WHERE tells(id, embedding) AND tells(id);
SELECT count(*), bool_and(embedding IS NOT NULL) AS read FROM items WHERE tells(id, embedding) AND tells(id);
EXPLAIN (COSTS OFF) SELECT count(embedding) FROM items WHERE tells(id);
SELECT count(*), bool_and(embedding IS NOT NULL) AS read FROM items WHERE tells(id);
SELECT id, version, embedding FROM items WHERE grp = 3;
RESET ROLE;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
DROP POLICY visible ON items;
DROP OWNED BY filtered_scan_reader;
DROP ROLE filtered_scan_reader;

--
-- Cursors, and changes by them
--
BEGIN;
DECLARE c CURSOR FOR SELECT id, embedding FROM items WHERE grp = 3;
DECLARE s SCROLL CURSOR FOR SELECT id, embedding = vec(id, version, 64) AS same FROM items WHERE grp = 3;
FETCH 2 FROM s;
MOVE 10 FROM s;
FETCH BACKWARD 2 FROM s;
FETCH FIRST FROM s;
MOVE 5 FROM c;
DELETE FROM items WHERE CURRENT OF c RETURNING id;
MOVE 1 FROM c;
UPDATE items SET version = 9, embedding = vec(id, 9, 64) WHERE CURRENT OF c RETURNING id;
SELECT id, version FROM items WHERE grp = 3 AND embedding = vec(id, 9, 64);
MOVE ALL FROM c;
CLOSE c;
SELECT count(*) FROM items WHERE grp = 3 AND embedding IS NOT NULL;
DECLARE held CURSOR WITH HOLD FOR SELECT id, embedding = vec(id, version, 64) AS same FROM items WHERE grp = 3;
FETCH 1 FROM held;
COMMIT;
FETCH 1 FROM held;
CLOSE held;
-- DELETE and UPDATE with conditions of both kinds
DELETE FROM items WHERE grp = 4 AND embedding[1] > 3000;
DELETE FROM plain WHERE grp = 4 AND embedding[1] > 3000;
UPDATE items SET version = 5, embedding = vec(id, 5, 64) WHERE id % 3 = 0 AND embedding[5] > 30000 AND grp <> 3;
UPDATE plain SET version = 5, embedding = vec(id, 5, 64) WHERE id % 3 = 0 AND embedding[5] > 30000 AND grp <> 3;
SELECT same('SELECT * FROM {t} WHERE grp <> 3 ORDER BY id');
INSERT INTO items (id, version, embedding, grp) SELECT id + 10000, version, embedding, grp FROM items WHERE grp = 8;
SELECT count(*), bool_and(a.embedding IS NOT DISTINCT FROM b.embedding) AS same FROM items a JOIN items b ON a.id = b.id + 10000;
CREATE TABLE copy USING vecseg AS SELECT * FROM items WHERE grp = 8;
SELECT count(*), bool_and(a *= b) AS same FROM items a JOIN copy b USING (id);
SELECT count(*) FROM vecseg_check('items');

SET client_min_messages = warning;
DROP SCHEMA filtered_scan CASCADE;
