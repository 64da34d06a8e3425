--
-- Sizes, statistics views and progress views: as a heap table's, or as they should be
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
CREATE TABLE items_heap (id int PRIMARY KEY, version int, embedding real[]) USING heap;
ALTER TABLE items SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE items_heap SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);

-- Sizes
SELECT pg_relation_size('items') AS rows, pg_table_size('items') AS "table", pg_indexes_size('items') AS indexes;
INSERT INTO items SELECT i, 1, vec(i, 1, 600) FROM generate_series(1, 1000) i;
INSERT INTO items_heap SELECT i, 1, vec(i, 1, 600) FROM generate_series(1, 1000) i;
SELECT * FROM check_vectors('items', 600);
CREATE FUNCTION sizes() RETURNS TABLE (store_holds_vectors boolean, store_is_dense boolean, segments_fit boolean,
	table_is_sum boolean, total_is_sum boolean, rows_are_small boolean)
LANGUAGE sql AS $$
	SELECT toast.size >= n.rows * 2400, toast.size < n.rows * 2400 * 1.6, toast.size >= s.blocks * 8192,
		pg_table_size(c.oid) = rows.size + toast.size + pg_relation_size(i.indexrelid),
		pg_total_relation_size(c.oid) = pg_table_size(c.oid) + pg_indexes_size(c.oid), pg_relation_size(c.oid) < n.rows * 150
	FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid,
		(SELECT count(*) AS rows FROM items) n, (SELECT sum(blocks) AS blocks FROM vecseg_segments('items')) s,
		LATERAL (SELECT sum(pg_relation_size(c.oid, fork)) AS size FROM unnest('{main,fsm,vm}'::text[]) fork) rows,
		LATERAL (SELECT sum(pg_relation_size(c.reltoastrelid, fork)) AS size FROM unnest('{main,fsm,vm}'::text[]) fork) toast
	WHERE c.oid = 'items'::regclass
$$;
SELECT * FROM sizes();
SELECT pg_table_size('items') AS before \gset
VACUUM items;
SELECT * FROM sizes();
VACUUM FULL items;
SELECT * FROM sizes();
SELECT pg_filenode_relation(c.reltablespace, pg_relation_filenode(c.oid)) = c.oid AS by_filenode,
		(pg_stat_file(pg_relation_filepath(c.oid))).size = pg_relation_size(c.oid) AS size_of_file
	FROM pg_class c WHERE c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass);
SELECT relpages = pg_relation_size(oid) / 8192 AS pages FROM pg_class WHERE oid = 'items'::regclass;
BEGIN;
TRUNCATE items;
SELECT pg_relation_size('items') AS rows, pg_table_size('items') < :before / 10 AS small;
ROLLBACK;
SELECT * FROM sizes();

-- Statistics views: the rows' figures are a heap table's
CREATE FUNCTION counted(tbl name) RETURNS TABLE (n_tup_ins bigint, n_tup_upd bigint, n_tup_del bigint, n_live_tup bigint,
	n_dead_tup bigint, n_mod_since_analyze bigint, seq_scan bigint, seq_tup_read bigint, idx_scan bigint, idx_tup_fetch bigint,
	vacuums bigint, analyzes bigint)
LANGUAGE sql AS $$
	SELECT n_tup_ins, n_tup_upd, n_tup_del, n_live_tup, n_dead_tup, n_mod_since_analyze, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch,
		vacuum_count, analyze_count
	FROM pg_stat_user_tables WHERE relname = tbl
$$;
SELECT pg_stat_force_next_flush();
SELECT count(pg_stat_reset_single_table_counters(t)) FROM unnest('{items,items_pkey,items_heap,items_heap_pkey}'::regclass[]) t;
SET vecseg.enable_custom_scan = off;
CREATE PROCEDURE work(tbl regclass) LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	EXECUTE format('UPDATE %s SET version = 2, embedding = vec(id, 2, 600) WHERE id %% 3 = 0', tbl);
	EXECUTE format('DELETE FROM %s WHERE id %% 10 = 0', tbl);
	EXECUTE format('INSERT INTO %s SELECT i, 1, vec(i, 1, 600) FROM generate_series(1001, 1100) i', tbl);
	COMMIT;
	EXECUTE format('UPDATE %s SET version = 3 WHERE id < 50', tbl);
	EXECUTE format('INSERT INTO %s SELECT i, 1, vec(i, 1, 600) FROM generate_series(2001, 2100) i', tbl);
	ROLLBACK;
	EXECUTE format('SELECT sum(embedding[1]) FROM %s', tbl) INTO r;
	EXECUTE format('SELECT sum(embedding[1]) FROM (SELECT embedding FROM %s WHERE id BETWEEN 5 AND 8 OFFSET 0) s', tbl) INTO r;
END
$$;
SET enable_bitmapscan = off;
SET random_page_cost = 1;
ANALYZE items, items_heap;
CALL work('items');
CALL work('items_heap');
SELECT pg_stat_force_next_flush();
SELECT * FROM counted('items') EXCEPT SELECT * FROM counted('items_heap');
SELECT n_tup_ins, n_tup_upd, n_tup_del FROM counted('items');
VACUUM ANALYZE items, items_heap;
SELECT pg_stat_force_next_flush();
SELECT n_live_tup, n_dead_tup, n_mod_since_analyze, vacuums, analyzes FROM counted('items');
SELECT n_live_tup, n_dead_tup, n_mod_since_analyze, vacuums, analyzes FROM counted('items_heap');
SELECT reltuples FROM pg_class WHERE relname IN ('items', 'items_heap');
SELECT heap_blks_hit > 0 AS rows, toast_blks_hit + toast_blks_read > 0 AS store, idx_blks_hit > 0 AS indexes FROM pg_statio_user_tables WHERE relname = 'items';
BEGIN;
UPDATE items SET version = 4, embedding = vec(id, 4, 600) WHERE id <= 9;
SELECT n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'items';
COMMIT;
RESET vecseg.enable_custom_scan; RESET enable_bitmapscan; RESET random_page_cost;
SELECT * FROM check_vectors('items', 600);

-- Progress views, looked at from within: by what is called for each row
CREATE FUNCTION look(id int, at int, query text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	r record;
BEGIN
	IF id = at THEN
		PERFORM pg_stat_clear_snapshot();
		FOR r IN EXECUTE query LOOP
			RAISE NOTICE '%', r;
		END LOOP;
	END IF;
	RETURN id;
END
$$;
SET max_parallel_maintenance_workers = 0;
VACUUM FULL items;
CREATE INDEX items_look ON items (look(id, 501,
	'SELECT command, phase, blocks_total = pg_relation_size(relid) / 8192 AS total, blocks_done BETWEEN 1 AND blocks_total AS done FROM pg_stat_progress_create_index WHERE pid = pg_backend_pid()'));
DROP INDEX items_look;
CREATE INDEX CONCURRENTLY items_look ON items (look(id, 501,
	'SELECT command, phase, blocks_total = pg_relation_size(relid) / 8192 AS total, blocks_done BETWEEN 1 AND blocks_total AS done FROM pg_stat_progress_create_index WHERE pid = pg_backend_pid()'));
DROP INDEX items_look;
RESET max_parallel_maintenance_workers;
-- VACUUM FULL and CLUSTER: what was written when the index is built
SELECT count(*) FROM items;
\set VERBOSITY terse
CREATE INDEX items_look ON items (look(id, 501,
	'SELECT command, phase, heap_tuples_scanned, heap_tuples_written, heap_blks_total > 0 AND heap_blks_scanned = heap_blks_total AS blocks FROM pg_stat_progress_cluster WHERE pid = pg_backend_pid()'));
VACUUM FULL items;
CLUSTER items USING items_pkey;
SET enable_indexscan = off;
CLUSTER items USING items_pkey;
RESET enable_indexscan;
DROP INDEX items_look;
-- the same of the heap table
CREATE INDEX items_look ON items_heap (look(id, 501,
	'SELECT command, phase, heap_tuples_scanned, heap_tuples_written, heap_blks_total > 0 AND heap_blks_scanned = heap_blks_total AS blocks FROM pg_stat_progress_cluster WHERE pid = pg_backend_pid()'));
VACUUM FULL items_heap;
CLUSTER items_heap USING items_heap_pkey;
SET enable_indexscan = off;
CLUSTER items_heap USING items_heap_pkey;
RESET enable_indexscan;
DROP INDEX items_look;
-- ANALYZE, whose expressions are computed once the sample is there
CREATE INDEX items_look ON items (look(id, 501,
	'SELECT phase, sample_blks_total = pg_relation_size(relid) / 8192 AS total, sample_blks_scanned = sample_blks_total AS done FROM pg_stat_progress_analyze WHERE pid = pg_backend_pid()'));
ANALYZE items;
DROP INDEX items_look;
-- COPY, in and out
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/progress.data'
CREATE TABLE copied (id int, version int, embedding real[], CHECK (look(id, 801,
	'SELECT relid::regclass AS relation, command, type, bytes_processed > 0 AND bytes_processed <= bytes_total AS bytes, tuples_processed BETWEEN 0 AND 800 AS tuples FROM pg_stat_progress_copy WHERE pid = pg_backend_pid()') > 0)) USING vecseg;
COPY (SELECT * FROM items WHERE id <= 900 ORDER BY id) TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
SELECT * FROM check_vectors('copied', 600);
ALTER FUNCTION look VOLATILE; -- so that it is called when its row is asked for, not ahead
COPY (SELECT * FROM copied WHERE look(id, 801,
	'SELECT command, type, bytes_processed > 720 * 2400 AS bytes, bytes_total, tuples_processed FROM pg_stat_progress_copy WHERE pid = pg_backend_pid()') > 0)
	TO :'file' (FORMAT binary);
CREATE TABLE copied_heap USING heap AS SELECT * FROM copied;
COPY (SELECT * FROM copied_heap WHERE look(id, 801,
	'SELECT command, type, bytes_processed > 720 * 2400 AS bytes, bytes_total, tuples_processed FROM pg_stat_progress_copy WHERE pid = pg_backend_pid()') > 0)
	TO :'file' (FORMAT binary);
DROP TABLE copied_heap;
\set VERBOSITY default
SELECT count(*) FROM vecseg_check('items');
SELECT count(*) FROM vecseg_check('copied');
DROP PROCEDURE work(regclass);
DROP FUNCTION sizes(), counted(name);
DROP TABLE items, items_heap, copied;
DROP FUNCTION look(int, int, text);
