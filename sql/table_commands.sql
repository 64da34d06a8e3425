--
-- Forms of commands on tables: TRUNCATE, VACUUM, CLUSTER, REINDEX, ALTER; in prepared transactions
-- and in many subtransactions
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
SET client_min_messages = warning;
-- filled(table, from, to): puts in rows of version 1
CREATE FUNCTION filled(tbl regclass, low int, high int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (id, version, embedding) SELECT i, 1, vec(i, 1, 64) FROM generate_series($1, $2) i', tbl)
		USING low, high;
END
$$;
-- changed(table, n): every n-th row gets its next version
CREATE FUNCTION changed(tbl regclass, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %s SET version = version + 1, embedding = vec(id, version + 1, 64) WHERE id %% $1 = 0', tbl) USING n;
END
$$;
-- checked(tables): their vectors, and their stores
CREATE FUNCTION checked(VARIADIC tables regclass[]) RETURNS TABLE (tbl regclass, rows bigint, versions bigint, wrong bigint[], problems bigint)
LANGUAGE plpgsql AS $$
BEGIN
	FOREACH tbl IN ARRAY tables LOOP
		SELECT c.rows, c.versions, c.wrong INTO rows, versions, wrong FROM check_vectors(tbl) c;
		problems := (SELECT count(*) FROM pg_partition_tree(tbl) p, vecseg_check(p.relid) WHERE p.isleaf);
		RETURN NEXT;
	END LOOP;
END
$$;

-- TRUNCATE: several tables, by foreign key, ONLY, identity, of partitions
CREATE TABLE owners (id int PRIMARY KEY, version int, embedding real[], n serial) USING vecseg;
CREATE TABLE owned (id int PRIMARY KEY REFERENCES owners, version int, embedding real[]) USING vecseg;
CREATE TABLE heirs () INHERITS (owners) USING vecseg;
SELECT filled('owners', 1, 50), filled('owned', 1, 40), filled('heirs', 101, 120);
TRUNCATE owners;
TRUNCATE owners, owned;
SELECT * FROM checked('owners', 'owned', 'heirs');
SELECT filled('owners', 1, 50), filled('owned', 1, 40), filled('heirs', 101, 120);
SELECT min(n), max(n) FROM ONLY owners;
TRUNCATE ONLY owners RESTART IDENTITY CASCADE;
SELECT * FROM checked('owners', 'owned', 'heirs');
SELECT filled('owners', 1, 50), filled('owned', 1, 40);
SELECT min(n), max(n) FROM ONLY owners;
BEGIN;
TRUNCATE owners RESTART IDENTITY CASCADE;
SELECT filled('owners', 201, 210);
ROLLBACK;
SELECT changed('owners', 2), changed('owned', 3);
SELECT * FROM checked('owners', 'owned', 'heirs');
DROP TABLE owners, owned, heirs;

CREATE TABLE parts (id int PRIMARY KEY, version int, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (101) USING vecseg;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (101) TO (201) USING vecseg;
CREATE TABLE parts_3 PARTITION OF parts DEFAULT USING vecseg;
SELECT filled('parts', 1, 300);
TRUNCATE parts_2;
SELECT * FROM checked('parts', 'parts_1', 'parts_2', 'parts_3');
SELECT filled('parts', 101, 200);

-- partitions: detached concurrently, attached again, clustered, analyzed, reindexed together
DROP TABLE parts_3;
ALTER TABLE parts DETACH PARTITION parts_2 CONCURRENTLY;
SELECT changed('parts', 2), changed('parts_2', 3);
SELECT * FROM checked('parts', 'parts_2');
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (101) TO (201);
CREATE INDEX parts_version ON parts (version);
SELECT changed('parts', 5);
CLUSTER parts USING parts_version;
SELECT * FROM checked('parts', 'parts_1', 'parts_2');
REINDEX TABLE parts;
REINDEX TABLE CONCURRENTLY parts;
VACUUM (FREEZE, ANALYZE) parts;
SELECT * FROM checked('parts', 'parts_1', 'parts_2');
TRUNCATE parts;
SELECT * FROM checked('parts', 'parts_1', 'parts_2');
DROP TABLE parts;

-- VACUUM and its options
SET min_parallel_index_scan_size = 0;
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
ALTER TABLE items SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE INDEX items_version ON items (version);
CREATE INDEX items_part ON items ((embedding[4:5]));
SELECT filled('items', 1, 2000);
-- with each set of options the slots of dead rows come back, unless TOAST is left out
SELECT changed('items', 2);
VACUUM (INDEX_CLEANUP off) items;
SELECT slots_used('items') AS kept_by_dead_rows;
VACUUM (PARALLEL 2) items;
SELECT slots_used('items');
SELECT changed('items', 2);
VACUUM (TRUNCATE off, PARALLEL 0) items;
SELECT slots_used('items');
SELECT changed('items', 2);
VACUUM (PROCESS_TOAST off) items;
SELECT slots_used('items');
VACUUM (SKIP_LOCKED, INDEX_CLEANUP auto) items;
SELECT slots_used('items');
SELECT changed('items', 2);
VACUUM (DISABLE_PAGE_SKIPPING, FREEZE, ANALYZE) items (version, embedding);
SELECT slots_used('items');
SELECT * FROM checked('items');
-- the end of both files goes back to the system, or not
CLUSTER items USING items_pkey;
SELECT pg_table_size('items') AS before, pg_relation_size('items') AS rows_before \gset
DELETE FROM items WHERE id > 100;
VACUUM (TRUNCATE off) items;
SELECT pg_table_size('items') >= :before AS as_large, pg_relation_size('items') = :rows_before AS rows_as_large;
VACUUM (TRUNCATE on) items;
SELECT pg_table_size('items') < :before / 2 AS smaller, pg_relation_size('items') < :rows_before / 2 AS rows_smaller;
SELECT * FROM checked('items');
SELECT filled('items', 101, 500);
SELECT * FROM checked('items');
RESET min_parallel_index_scan_size;

-- CLUSTER, by the index marked for it; and no longer
ALTER TABLE items CLUSTER ON items_version;
CLUSTER items;
SELECT bool_and(version >= previous) FROM (SELECT version, lag(version) OVER (ORDER BY ctid) AS previous FROM items) s;
ALTER TABLE items SET WITHOUT CLUSTER;
CLUSTER items;
CLUSTER items USING items_part;
SELECT * FROM checked('items');
SELECT slots_used('items');

-- REINDEX
CREATE SCHEMA regress_commands;
ALTER TABLE items SET SCHEMA regress_commands;
REINDEX SCHEMA regress_commands;
REINDEX SCHEMA CONCURRENTLY regress_commands;
SET search_path = regress_commands, public;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_commands_space LOCATION '';
REINDEX (TABLESPACE regress_commands_space) TABLE items;
REINDEX (CONCURRENTLY, TABLESPACE pg_default) TABLE items;
REINDEX INDEX CONCURRENTLY items_part;
SET enable_seqscan = off;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM items WHERE version >= 1;
RESET enable_seqscan;
SELECT * FROM checked('items');

-- all tables of a tablespace; the store goes along
ALTER TABLE items SET TABLESPACE regress_commands_space;
SELECT changed('items', 3);
SELECT count(*) FROM pg_class WHERE reltablespace = (SELECT oid FROM pg_tablespace WHERE spcname = 'regress_commands_space')
	AND oid IN (SELECT unnest(ARRAY[oid, reltoastrelid]) FROM pg_class WHERE oid = 'items'::regclass);
ALTER TABLE ALL IN TABLESPACE regress_commands_space SET TABLESPACE pg_default;
SELECT count(*) FROM pg_class WHERE reltablespace = (SELECT oid FROM pg_tablespace WHERE spcname = 'regress_commands_space');
SELECT * FROM checked('items');
CREATE TABLE there (LIKE items INCLUDING ALL) USING vecseg TABLESPACE regress_commands_space;
INSERT INTO there SELECT * FROM items;
SELECT changed('there', 4);
SELECT * FROM checked('there');
DROP TABLE there;
DROP TABLESPACE regress_commands_space;

-- prepared transactions that make, fill, empty and change tables
BEGIN;
CREATE TABLE made (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
SELECT filled('made', 1, 100);
TRUNCATE items;
SELECT filled('items', 1, 30);
PREPARE TRANSACTION 'regress_commands';
COMMIT PREPARED 'regress_commands';
SELECT * FROM checked('made', 'items');
BEGIN;
SELECT changed('made', 1), filled('items', 31, 400);
ALTER TABLE made SET ACCESS METHOD heap;
CLUSTER items USING items_pkey;
TRUNCATE items;
PREPARE TRANSACTION 'regress_commands';
ROLLBACK PREPARED 'regress_commands';
SELECT * FROM checked('made', 'items');
BEGIN;
SELECT changed('made', 2);
ALTER TABLE made ALTER version TYPE bigint;
ALTER TABLE made ALTER version TYPE int;
PREPARE TRANSACTION 'regress_commands';
COMMIT PREPARED 'regress_commands';
SELECT changed('made', 3);
SELECT * FROM checked('made');
DROP TABLE made;

-- more subtransactions than are kept in memory
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		BEGIN
			INSERT INTO items VALUES (1000 + i, 1, vec(1000 + i, 1, 64));
			UPDATE items SET version = version + 1, embedding = vec(id, version + 1, 64) WHERE id <= 5;
			IF i % 3 = 0 THEN
				RAISE division_by_zero;
			END IF;
			UPDATE items SET version = version + 1, embedding = vec(id, version + 1, 64) WHERE id = 1000 + i - 1;
		EXCEPTION WHEN division_by_zero THEN
			UPDATE items SET version = version + 1, embedding = vec(id, version + 1, 64) WHERE id = 6;
		END;
	END LOOP;
END
$$;
SELECT * FROM checked('items');
VACUUM items;
SELECT slots_used('items') = count(*) AS as_many_slots_as_rows FROM items;
SELECT * FROM checked('items');

-- compression of what is not a vector; storage parameters of the TOAST relation
ALTER TABLE items ADD COLUMN t text COMPRESSION pglz;
UPDATE items SET t = repeat(md5(id::text), 400);
ALTER TABLE items ALTER t SET COMPRESSION lz4, ALTER t SET STORAGE EXTERNAL;
UPDATE items SET t = repeat(md5(id::text), 400) WHERE id % 2 = 0;
SELECT changed('items', 3);
VACUUM FULL items;
ALTER TABLE items SET (toast_tuple_target = 256, toast.autovacuum_vacuum_threshold = 77, toast.vacuum_truncate = false);
SELECT reloptions FROM pg_class WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass);
VACUUM FULL items;
SELECT reloptions FROM pg_class WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass);
ALTER TABLE items RESET (toast_tuple_target, toast.autovacuum_vacuum_threshold, toast.vacuum_truncate);
SELECT count(*) FROM items WHERE t <> repeat(md5(id::text), 400);
SELECT * FROM checked('items');
RESET search_path;
DROP SCHEMA regress_commands CASCADE;
DROP FUNCTION filled(regclass, int, int), changed(regclass, int), checked(regclass[]);
RESET client_min_messages;
