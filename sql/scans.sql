--
-- Scans: sequential, parallel, by tid, sampled, bitmap; jit; ANALYZE
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[], other real[], t text) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64), vec(i, 2, 200), repeat(md5(i::text), i % 200) FROM generate_series(1, 3000) i;
UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id % 3 = 0;
DELETE FROM items WHERE id % 10 = 0;
CREATE FUNCTION is_right(i items) RETURNS boolean LANGUAGE sql PARALLEL SAFE AS $$
	SELECT (i).embedding IS NOT DISTINCT FROM vec((i).id, (i).version, 64) AND (i).other IS NOT DISTINCT FROM vec((i).id, 2, 200)
		AND (i).t = repeat(md5((i).id::text), (i).id % 200)
$$;
SELECT count(*), sum(id), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i;
-- columns read: none, some, in another order, in the WHERE clause only
SELECT count(*), sum(id) FROM items;
SELECT count(*), array_agg(id) FILTER (WHERE other IS DISTINCT FROM vec(id, 2, 200)) AS wrong FROM items;
SELECT count(*) FROM items WHERE embedding[1] < 100;
SELECT count(*) FROM items WHERE other[5] > 0 AND embedding[6] > 0 AND t LIKE '%0%';
SELECT id FROM items WHERE embedding = vec(1234, 1, 64) OR other = vec(77, 2, 200) OR version = 3 AND embedding = vec(99, 1, 64) ORDER BY id;
SELECT count(*) FROM (SELECT t, other, version, embedding, id FROM items OFFSET 0) s
	WHERE other IS DISTINCT FROM vec(id, 2, 200) OR embedding IS DISTINCT FROM vec(id, version, 64);
-- stopped early, run again, run in a nested loop
SELECT id, embedding = vec(id, version, 64) AS same FROM items WHERE id % 2 = 0 LIMIT 0;
SELECT count(*), count(*) FILTER (WHERE NOT same) AS wrong FROM (SELECT embedding = vec(id, version, 64) AS same FROM items LIMIT 700) s;
SELECT EXISTS (SELECT FROM items WHERE embedding = vec(1, 1, 64)), NOT EXISTS (SELECT FROM items WHERE embedding = vec(10, 1, 64)) AS not;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_memoize = off;
SELECT count(*), count(*) FILTER (WHERE a.embedding IS DISTINCT FROM vec(a.id, a.version, 64)) AS wrong
	FROM generate_series(1, 8) n JOIN LATERAL (SELECT * FROM items WHERE id % 8 = n - 1 AND embedding[2] = 0 OFFSET 0) a ON true;
SELECT n, s.id, s.same FROM generate_series(1, 3) n, LATERAL (SELECT id, embedding = vec(id, version, 64) AS same FROM items WHERE embedding[1] >= n * 100 ORDER BY id LIMIT 2) s;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material; RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_memoize;
-- changed by the statement that reads it
WITH changed AS (UPDATE items SET version = 4, embedding = vec(id, 4, 64) WHERE id < 100 RETURNING id)
	SELECT count(*), sum(version) AS old_versions, count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE id IN (SELECT id FROM changed);
SELECT count(*), sum(version) AS new_versions, count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE id < 100;

-- bitmap scans, exact and lossy
CREATE INDEX items_version ON items (version);
CREATE INDEX items_brin ON items USING brin (id) WITH (pages_per_range = 4);
SET enable_seqscan = off; SET enable_indexscan = off;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE version = 3;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE id BETWEEN 500 AND 600;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE id BETWEEN 500 AND 600 AND version = 1 OR version = 4;
SET work_mem = '64kB';
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE version > 0;
RESET work_mem; RESET enable_seqscan; RESET enable_indexscan;

-- by tid
SELECT ctid AS tid FROM items WHERE id = 501 \gset
SELECT id, is_right(i) FROM items i WHERE ctid = :'tid';
SELECT count(*), bool_and(is_right(i)) FROM items i WHERE ctid IN (SELECT ctid FROM items WHERE id % 7 = 0);
SELECT count(*) > 0 AS some, bool_and(is_right(i)) FROM items i WHERE ctid >= '(1,0)' AND ctid < '(3,0)';
SELECT count(*), bool_and(is_right(i)) FROM items i WHERE ctid >= '(0,0)';
UPDATE items SET version = 5, embedding = vec(id, 5, 64) WHERE ctid = :'tid';
SELECT id, version, is_right(i) FROM items i WHERE id = 501;

-- samples
SELECT count(*) = (SELECT count(*) FROM items), bool_and(is_right(i)) FROM items i TABLESAMPLE system (100);
SELECT count(*) BETWEEN 1 AND 2699 AS some, bool_and(is_right(i)) FROM items i TABLESAMPLE system (50) REPEATABLE (1);
SELECT count(*) BETWEEN 1 AND 2699 AS some, bool_and(is_right(i)) FROM items i TABLESAMPLE bernoulli (30) REPEATABLE (2);

-- parallel
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) FROM items;
SELECT count(*), count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM items;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i;
-- the leader checks what the workers read, and the other way round
SELECT count(*), count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64) OR other IS DISTINCT FROM vec(id, 2, 200)) AS wrong
	FROM (SELECT * FROM items WHERE embedding[64] < 2 OFFSET 0) s;
SET parallel_leader_participation = off;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i;
RESET parallel_leader_participation;
SELECT count(*), count(*) FILTER (WHERE a.embedding IS DISTINCT FROM b.embedding) AS wrong FROM items a JOIN items b USING (id);
SET enable_seqscan = off;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE id BETWEEN 100 AND 2900;
SET enable_indexscan = off;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i WHERE id BETWEEN 100 AND 2900 AND version = 3;
RESET enable_seqscan; RESET enable_indexscan;
CREATE TABLE made USING vecseg AS SELECT * FROM items WHERE embedding[64] < 2;
SELECT * FROM differences('made', 'items');
BEGIN;
UPDATE made SET version = 6, embedding = vec(id, 6, 64) WHERE id % 2 = 0;
SELECT count(*), count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM made;
ROLLBACK;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET min_parallel_index_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE made;

-- compiled expressions
SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;
SELECT count(*), count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM items;
SELECT count(*) FROM items WHERE other[5] > 0 AND embedding[6] > 0 AND t LIKE '%0%';
SET jit = off; RESET jit_above_cost; RESET jit_inline_above_cost; RESET jit_optimize_above_cost;

-- synchronized scans start where others are
SET synchronize_seqscans = on;
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM items WHERE embedding[1] > 0;
MOVE 1000 FROM a;
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i;
MOVE ALL FROM a;
COMMIT;

-- values larger than what may be read ahead
CREATE TABLE large (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO large SELECT i, 1, vec(i, 1, 16387) || vec(i, 2, 16387) || vec(i, 3, 16387 + i * 300 - 15000) || vec(i, 4, 16000) FROM generate_series(1, 20) i;
CREATE FUNCTION is_right(l large) RETURNS boolean LANGUAGE sql AS $$
	SELECT l.embedding IS NOT DISTINCT FROM vec(l.id, 1, 16387) || vec(l.id, 2, 16387) || vec(l.id, 3, 16387 + l.id * 300 - 15000) || vec(l.id, 4, 16000)
$$;
SET vecseg.read_ahead = '256kB';
SELECT count(*), sum(id), bool_and(is_right(l)) FROM large l;
SELECT count(*), sum(id), bool_and(is_right(l)) FROM large l WHERE ctid >= '(0,0)';
SELECT count(*), sum(id), bool_and(is_right(l)) FROM large l TABLESAMPLE system (100);
SELECT count(*), sum(id), bool_and(is_right(l)) FROM vecseg_scroll(NULL::large) l;
SELECT count(*), sum(id), bool_and(is_right(l)) FROM vecseg_retrieve(NULL::large, ARRAY(SELECT generate_series(20, 1, -1))) l;
SET enable_seqscan = off; SET enable_indexscan = off;
SELECT count(*), sum(id), bool_and(is_right(l)) FROM large l WHERE id > 0;
RESET enable_seqscan; RESET enable_indexscan;
RESET vecseg.read_ahead;
DROP FUNCTION is_right(large);
DROP TABLE large;

-- pages whose rows must be rechecked beside others, in one window; nulls in a
-- column that may have them in spite of a constraint
CREATE TABLE lossy (id int, k int, pad text, embedding real[]) USING vecseg;
INSERT INTO lossy SELECT i, i % 10, repeat('x', 200), vec(i, 1, 10) FROM generate_series(1, 60000) i;
CREATE INDEX ON lossy (k);
VACUUM ANALYZE lossy;
SET enable_seqscan = off; SET enable_indexscan = off; SET vecseg.enable_custom_scan = off; SET work_mem = '64kB';
SELECT count(*), sum(id), count(*) FILTER (WHERE k > 8 OR embedding IS DISTINCT FROM vec(id, 1, 10)) AS wrong FROM lossy WHERE k <= 8;
SELECT count(*), sum(id), count(*) FILTER (WHERE k > 4 OR embedding IS DISTINCT FROM vec(id, 1, 10)) AS wrong FROM lossy WHERE k <= 4;
RESET enable_seqscan; RESET enable_indexscan; RESET vecseg.enable_custom_scan; RESET work_mem;
TRUNCATE lossy;
INSERT INTO lossy SELECT i, CASE WHEN i % 10 > 0 THEN i END, NULL, vec(i, 1, 64) FROM generate_series(1, 5000) i;
DO $$
BEGIN
	IF current_setting('server_version_num')::int >= 180000 THEN
		EXECUTE 'ALTER TABLE lossy ADD CONSTRAINT not_yet NOT NULL k NOT VALID';
	END IF;
END $$;
VACUUM ANALYZE lossy;
SET enable_seqscan = off;
SELECT count(*), count(k), count(embedding[1]) FROM (SELECT * FROM lossy WHERE (k > 4990) IS NOT FALSE ORDER BY k) s;
SELECT id, k, embedding = vec(id, 1, 64) AS same FROM lossy WHERE (k > 4990) IS NOT FALSE ORDER BY k LIMIT 1;
RESET enable_seqscan;
-- sampling methods that count rows
CREATE EXTENSION tsm_system_rows;
SELECT count(*), count(embedding[1]) FROM lossy TABLESAMPLE system_rows(10);
SELECT count(*), count(embedding[1]) FROM lossy TABLESAMPLE system_rows(100);
SELECT count(*), count(embedding[1]) FROM lossy TABLESAMPLE system_rows(10000);
DROP EXTENSION tsm_system_rows;
DROP TABLE lossy;

-- cursors that turn round before the scan reads ahead, again and again
CREATE PROCEDURE turn_round() LANGUAGE plpgsql AS $$
DECLARE
	c SCROLL CURSOR FOR SELECT id, embedding FROM items;
	r record;
BEGIN
	FOR i IN 1..20 LOOP
		OPEN c;
		FETCH c INTO r;
		FETCH PRIOR FROM c INTO r;
		CLOSE c;
		PERFORM repeat('x', 10000 * i);
	END LOOP;
END $$;
CALL turn_round();
CALL turn_round();
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i;
DROP PROCEDURE turn_round();

-- statistics
ANALYZE items;
SELECT attname, null_frac, n_distinct, avg_width > 0 AS has_width FROM pg_stats WHERE tablename = 'items' AND attname IN ('id', 'version') ORDER BY attname;
SELECT reltuples FROM pg_class WHERE relname = 'items';
CREATE STATISTICS items_statistics (ndistinct) ON version, (embedding[2]) FROM items;
ANALYZE items (version);
ANALYZE items;
SELECT n_distinct::text ~ '\m4\M' AS four FROM pg_stats_ext WHERE statistics_name = 'items_statistics';
SELECT count(*), count(*) FILTER (WHERE NOT is_right(i)) AS wrong FROM items i;
DROP FUNCTION is_right(items);
DROP TABLE items;
