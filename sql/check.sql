--
-- vecseg_check: sound tables of every shape have no problems; what cannot be checked
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
\set SHOW_CONTEXT never

-- nothing stored
CREATE TABLE numbers (id int PRIMARY KEY, n float8) USING vecseg;
SELECT * FROM vecseg_check('numbers');
INSERT INTO numbers SELECT i, i FROM generate_series(1, 1000) i;
SELECT * FROM vecseg_check('numbers');
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
SELECT * FROM vecseg_check('items');
INSERT INTO items VALUES (0, 1, NULL), (1, 1, '{}'), (2, 1, '{1,2}');
SELECT * FROM vecseg_check('items');
TRUNCATE items;

-- rows in every state
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 2000) i;
SELECT * FROM vecseg_check('items');
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 3 = 0;
UPDATE items SET version = version WHERE id % 2 = 0;
DELETE FROM items WHERE id % 10 = 0;
SELECT * FROM vecseg_check('items');
BEGIN;
UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id % 5 = 0;
UPDATE items SET version = version WHERE id % 7 = 0;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(3001, 3100) i;
SAVEPOINT a;
DELETE FROM items WHERE id % 2 = 0;
SELECT * FROM vecseg_check('items');
ROLLBACK TO a;
SELECT * FROM vecseg_check('items');
ROLLBACK;
SELECT * FROM vecseg_check('items');
VACUUM items;
SELECT * FROM vecseg_check('items');
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(4001, 4300) i;
VACUUM (FREEZE) items;
SELECT * FROM vecseg_check('items');
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT * FROM vecseg_check('items');
COMMIT;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM items, vecseg_check('items');
FETCH c;
COMMIT;
DELETE FROM items WHERE id > 10;
VACUUM items;
SELECT * FROM vecseg_check('items');
SELECT * FROM check_vectors('items');
DELETE FROM items;
VACUUM items;
SELECT * FROM vecseg_check('items');

-- columns of every kind: many lengths, values of many pages, compressed ones, columns added and dropped
CREATE TABLE mixed (id int PRIMARY KEY, version int, embedding real[], dropped real[], ragged float8[], doc jsonb,
	external text, small "char", bits bit(4000), name name, num numeric, pair point) USING vecseg;
ALTER TABLE mixed ALTER COLUMN external SET STORAGE EXTERNAL;
CREATE FUNCTION fill_mixed(first int, last int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO mixed (id, version, embedding, ragged, doc, external, small, bits, name, num, pair)
	SELECT i, 1, vec(i, 1, 64), vec(i, 2, i % 200)::float8[], jsonb_build_object('text', repeat(vec(i, 3, 3 + i % 400)::text, i % 20)),
		repeat('x', i * 10), 'x', i::bit(64)::bit(4000), 'name ' || i, i * 1000.5, point(i, i)
	FROM generate_series(first, last) i
$$;
SELECT fill_mixed(1, 400);
UPDATE mixed SET dropped = vec(id, 4, 100), embedding = CASE WHEN id % 100 = 0 THEN vec(id, version, 16000) ELSE embedding END;
SELECT * FROM vecseg_check('mixed');
ALTER TABLE mixed DROP COLUMN dropped;
ALTER TABLE mixed ADD COLUMN added real[] DEFAULT array_fill(1::real, ARRAY[500]), ADD COLUMN more int;
SELECT * FROM vecseg_check('mixed');
UPDATE mixed SET more = 1, external = external || 'y' WHERE id % 2 = 0;
SELECT fill_mixed(401, 500);
SELECT * FROM vecseg_check('mixed');
VACUUM mixed;
SELECT * FROM vecseg_check('mixed');
UPDATE mixed SET doc = doc || '{"more": 1}';
VACUUM mixed;
SELECT fill_mixed(501, 600);
SELECT * FROM vecseg_check('mixed');

-- after rewrites
CLUSTER mixed USING mixed_pkey;
SELECT * FROM vecseg_check('mixed');
VACUUM FULL mixed;
SELECT * FROM vecseg_check('mixed');
ALTER TABLE mixed ALTER COLUMN more TYPE bigint;
SELECT * FROM vecseg_check('mixed');
ALTER TABLE mixed SET UNLOGGED;
SELECT * FROM vecseg_check('mixed');
ALTER TABLE mixed SET ACCESS METHOD heap;
SELECT * FROM vecseg_check('mixed');
ALTER TABLE mixed SET ACCESS METHOD vecseg;
SELECT * FROM vecseg_check('mixed');
BEGIN;
TRUNCATE mixed;
SELECT fill_mixed(1, 50);
SELECT * FROM vecseg_check('mixed');
ROLLBACK;
SELECT * FROM vecseg_check('mixed');
CREATE MATERIALIZED VIEW mixed_view USING vecseg AS SELECT * FROM mixed;
REFRESH MATERIALIZED VIEW mixed_view;
SELECT * FROM vecseg_check('mixed_view');
CREATE TEMP TABLE mixed_temp USING vecseg AS SELECT * FROM mixed;
DELETE FROM mixed_temp WHERE id % 2 = 0;
SELECT * FROM vecseg_check('mixed_temp');

-- more segments than there is memory for at a time
CREATE TABLE small (id int, embedding real[]) USING vecseg;
INSERT INTO small SELECT i, ARRAY[i, i]::real[] FROM generate_series(1, 250000) i;
SELECT count(*) > 5 AS many FROM vecseg_segments('small');
SET maintenance_work_mem = '1MB';
SELECT * FROM vecseg_check('small');
RESET maintenance_work_mem;

-- prepared and parallel plans
PREPARE p AS SELECT count(*) FROM vecseg_check($1);
EXECUTE p('items');
EXECUTE p('mixed');
DEALLOCATE p;
SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query'
	ELSE 'force_parallel_mode' END AS parallel \gset
SET :parallel = on;
SELECT count(*) FROM vecseg_check('mixed');
RESET :parallel;
SELECT count(*) AS tables, sum(problems) AS problems
	FROM (SELECT c.oid, (SELECT count(*) FROM vecseg_check(c.oid)) AS problems
		FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'vecseg' AND c.relkind IN ('r', 'm')
		AND c.relname IN ('numbers', 'items', 'mixed', 'mixed_view', 'mixed_temp', 'small')) t;

-- what cannot be checked
CREATE TABLE heap_items (id int PRIMARY KEY, embedding real[]) USING heap;
CREATE TABLE parts (id int, embedding real[]) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parts FOR VALUES IN (1) USING vecseg;
INSERT INTO parts VALUES (1, vec(1, 1, 64));
CREATE VIEW items_view AS SELECT * FROM items;
SELECT * FROM vecseg_check('heap_items');
SELECT * FROM vecseg_check('parts');
SELECT * FROM vecseg_check('part');
SELECT p.relid, c.* FROM pg_partition_tree('parts') p, vecseg_check(p.relid) c WHERE p.isleaf;
SELECT * FROM vecseg_check('items_pkey');
SELECT * FROM vecseg_check('items_view');
SELECT * FROM vecseg_check(NULL);
SELECT * FROM vecseg_check('no_table');
SELECT * FROM vecseg_check(0);

-- rows of a transaction that was rolled back with the columns that they have
CREATE TABLE undone (id int PRIMARY KEY, embedding real[]) USING vecseg WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
SELECT reltoastrelid::regclass AS undone_toast FROM pg_class WHERE oid = 'undone'::regclass \gset
INSERT INTO undone SELECT i, vec(i, 1, 300) FROM generate_series(1, 10) i;
BEGIN;
ALTER TABLE undone ADD COLUMN other real[];
INSERT INTO undone SELECT i, vec(i, 1, 300), vec(i, 2, 300) FROM generate_series(11, 20) i;
UPDATE undone SET other = vec(id, 2, 300) WHERE id < 5;
ROLLBACK;
SELECT * FROM vecseg_check('undone');
VACUUM :undone_toast;
SELECT * FROM vecseg_check('undone');
ALTER TABLE undone ADD COLUMN number bigint;
INSERT INTO undone SELECT i, vec(i, 1, 300), i FROM generate_series(11, 40) i;
SELECT * FROM vecseg_check('undone');
VACUUM :undone_toast;
SELECT * FROM vecseg_check('undone');
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 300)) AS wrong FROM undone;
DROP TABLE undone;

-- privileges
CREATE ROLE regress_vecseg_checker;
SET ROLE regress_vecseg_checker;
SELECT * FROM vecseg_check('mixed');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vecseg_check(regclass) TO regress_vecseg_checker;
SET ROLE regress_vecseg_checker;
SELECT * FROM vecseg_check('mixed');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION vecseg_check(regclass) FROM regress_vecseg_checker;
DROP ROLE regress_vecseg_checker;

DROP VIEW items_view;
DROP MATERIALIZED VIEW mixed_view;
DROP TABLE numbers, items, mixed, mixed_temp, small, heap_items, parts;
DROP FUNCTION fill_mixed(int, int);
