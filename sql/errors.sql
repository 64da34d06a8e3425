--
-- What is refused, and how
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
\set SHOW_CONTEXT never
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 10) i;
CREATE TABLE heap_items (id int PRIMARY KEY, embedding real[]) USING heap;

-- the access method of TOAST relations is not for tables
CREATE TABLE refused (id int) USING vecseg_segment;
CREATE MATERIALIZED VIEW refused USING vecseg_segment AS SELECT 1;
CREATE TEMP TABLE refused (embedding real[]) USING vecseg_segment;
\set VERBOSITY sqlstate
ALTER TABLE items SET ACCESS METHOD vecseg_segment;
ALTER TABLE heap_items SET ACCESS METHOD vecseg_segment;
\set VERBOSITY default
SET default_table_access_method = vecseg_segment;
CREATE TABLE refused (id int);
RESET default_table_access_method;
SELECT * FROM check_vectors('items');

-- the TOAST relation is not to be changed by hand
SELECT c.reltoastrelid::regclass AS toast FROM pg_class c WHERE oid = 'items'::regclass \gset
CREATE FUNCTION refuse(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	toast regclass := (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass);
	message text;
BEGIN
	EXECUTE format(command, toast);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN SQLSTATE || ' ' || regexp_replace(message, 'pg_toast_\d+', 'pg_toast_N');
END
$$;
SELECT refuse('INSERT INTO %s VALUES (1, 0, ''x'')');
SELECT refuse('UPDATE %s SET chunk_seq = 1');
SELECT refuse('DELETE FROM %s');
SELECT refuse('TRUNCATE %s');
SELECT refuse('SELECT * FROM %s FOR UPDATE');
SELECT refuse('COPY %s FROM ''/dev/null''');
SELECT refuse('DROP TABLE %s');
SELECT refuse('ALTER TABLE %s SET ACCESS METHOD heap');
SET allow_system_table_mods = on;
SELECT refuse('INSERT INTO %s VALUES (1, 0, ''x'')');
SELECT refuse('INSERT INTO %s SELECT 1, n, ''x'' FROM generate_series(0, 10) n');
SELECT refuse('INSERT INTO %s VALUES (1, 0, ''x'') ON CONFLICT DO NOTHING');
SELECT refuse('UPDATE %s SET chunk_seq = 1');
SELECT refuse('DELETE FROM %s');
SELECT refuse('COPY %s FROM ''/dev/null''');
SELECT refuse('ALTER TABLE %s SET ACCESS METHOD heap');
SELECT refuse('ALTER TABLE %s ADD COLUMN more int DEFAULT random()');
SELECT refuse('CREATE INDEX ON %s (chunk_seq)');
RESET allow_system_table_mods;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 2, embedding = vec(id, 2, 64);
SELECT * FROM check_vectors('items');
DROP FUNCTION refuse(text);

-- vecseg_scroll and vecseg_retrieve: the table
CREATE TYPE pair AS (id int, embedding real[]);
CREATE DOMAIN item_domain AS items;
CREATE VIEW items_view AS SELECT * FROM items;
CREATE TABLE keyless (id int, embedding real[]) USING vecseg;
CREATE UNIQUE INDEX ON keyless (id);
CREATE TABLE two_keys (a int, b int, embedding real[], PRIMARY KEY (a, b)) USING vecseg;
CREATE TABLE deferred_key (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, embedding real[]) USING vecseg;
INSERT INTO deferred_key VALUES (1, '{1,2,3}');
CREATE TABLE included_key (id int, note text, embedding real[], PRIMARY KEY (id) INCLUDE (note)) USING vecseg;
INSERT INTO included_key VALUES (1, 'one', '{1,2,3}');
CREATE TABLE heap_partitions (id int PRIMARY KEY, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE heap_partition PARTITION OF heap_partitions FOR VALUES FROM (0) TO (10) USING heap;
INSERT INTO heap_partitions VALUES (1, '{1,2,3}');
SELECT * FROM vecseg_scroll(NULL::heap_items);
SELECT * FROM vecseg_retrieve(NULL::heap_items, '{1}'::int[]);
SELECT * FROM vecseg_scroll(NULL::int);
SELECT * FROM vecseg_scroll(NULL);
SELECT * FROM vecseg_scroll(NULL::real[]);
SELECT * FROM vecseg_scroll(ROW(1, 2));
SELECT * FROM vecseg_scroll(NULL::record) AS t(id int);
SELECT * FROM vecseg_scroll(NULL::pair);
SELECT * FROM vecseg_retrieve(NULL::pair, '{1}'::int[]);
SELECT * FROM vecseg_scroll(NULL::items_view);
SELECT * FROM vecseg_scroll(NULL::pg_class);
SELECT * FROM vecseg_scroll('items'::regclass);
SELECT * FROM vecseg_scroll(NULL::keyless);
SELECT * FROM vecseg_retrieve(NULL::keyless, '{1}'::int[]);
SELECT * FROM vecseg_scroll(NULL::two_keys);
SELECT * FROM vecseg_retrieve(NULL::two_keys, '{1}'::int[]);
SELECT * FROM vecseg_scroll(NULL::deferred_key);
SELECT * FROM vecseg_retrieve(NULL::included_key, '{1}'::int[]);
SELECT * FROM vecseg_scroll(NULL::heap_partitions);
SELECT id, embedding[1:3] FROM vecseg_scroll(NULL::item_domain) LIMIT 1;
-- the row given is of no importance
SELECT id, embedding[1:3] FROM vecseg_scroll(ROW(1, 1, NULL)::items) LIMIT 1;
SELECT s.id, i.id FROM items i, vecseg_scroll(i, 7) s WHERE i.id < 3 ORDER BY i.id, s.id;
-- the key
SELECT * FROM vecseg_scroll(NULL::items, true);
SELECT * FROM vecseg_scroll(NULL::items, now());
SELECT * FROM vecseg_scroll(NULL::items, 'one'::text);
\set VERBOSITY terse
SELECT * FROM vecseg_scroll(NULL::items, 1, 'one'::text);
\set VERBOSITY default
SELECT * FROM vecseg_scroll(NULL::items, 1::numeric);
SELECT * FROM vecseg_scroll(NULL::items, 1.5);
\set VERBOSITY terse
SELECT * FROM vecseg_retrieve(NULL::items, 1);
\set VERBOSITY default
SELECT * FROM vecseg_retrieve(NULL::items, '{true}'::boolean[]);
SELECT * FROM vecseg_retrieve(NULL::items, '{1,x}');
SELECT * FROM vecseg_retrieve(NULL::items, '{99999999999}');
\set VERBOSITY terse
SELECT * FROM vecseg_retrieve(NULL::items);
\set VERBOSITY default
CREATE TABLE uuids (id uuid PRIMARY KEY, embedding real[]) USING vecseg;
SELECT * FROM vecseg_scroll(NULL::uuids, 'no uuid');
SELECT * FROM vecseg_retrieve(NULL::uuids, '{no uuid}');
SELECT * FROM vecseg_retrieve(NULL::uuids, ARRAY['no uuid']);
SELECT * FROM vecseg_retrieve(NULL::uuids, ARRAY[1]);
SELECT * FROM vecseg_scroll(NULL::uuids, 1);

-- vecseg_segments
SELECT * FROM vecseg_segments('heap_items');
SELECT * FROM vecseg_segments('items_pkey');
SELECT * FROM vecseg_segments('items_view');
SELECT * FROM vecseg_segments('no_table');
SELECT * FROM vecseg_segments(0);
SELECT * FROM vecseg_segments(NULL);
SELECT segment, used FROM vecseg_segments('items');

-- privileges
CREATE ROLE regress_vecseg_nobody;
GRANT SELECT ON heap_items TO regress_vecseg_nobody;
SET ROLE regress_vecseg_nobody;
SELECT * FROM items;
SELECT * FROM vecseg_scroll(NULL::items);
SELECT * FROM vecseg_retrieve(NULL::items, '{1}');
SELECT * FROM vecseg_retrieve(NULL::items, NULL::int[]);
SELECT * FROM vecseg_segments('items');
\set VERBOSITY terse
SELECT count(*) FROM :toast;
\set VERBOSITY default
RESET ROLE;
DROP OWNED BY regress_vecseg_nobody;
DROP ROLE regress_vecseg_nobody;

-- settings
SET vecseg.io_method = 'threads';
SET vecseg.io_depth = 0;
SET vecseg.io_depth = 100000;
SET vecseg.io_depth = 'deep';
SET vecseg.no_such_setting = 1;

-- the extension is needed as long as there are tables
\set VERBOSITY terse
DROP EXTENSION vecseg;
DROP ACCESS METHOD vecseg_segment;
\set VERBOSITY default
SELECT * FROM check_vectors('items');
DROP TYPE pair;
DROP DOMAIN item_domain;
DROP VIEW items_view;
DROP TABLE items, heap_items, keyless, two_keys, deferred_key, included_key, heap_partitions, uuids;
