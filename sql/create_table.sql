--
-- Ways to make a table: CREATE TABLE AS, SELECT INTO, materialized views, temporary and unlogged tables
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
SET temp_buffers = 100;
CREATE TABLE source (id int PRIMARY KEY, version int, embedding real[]) USING heap;
INSERT INTO source SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 200) i;

CREATE TABLE made USING vecseg AS SELECT * FROM source;
SELECT * FROM check_vectors('made');
SELECT slots_used('made');
SELECT * FROM differences('source', 'made');
DROP TABLE made;
CREATE TABLE made USING vecseg AS SELECT * FROM source WITH NO DATA;
SELECT * FROM check_vectors('made');
DROP TABLE made;

SET default_table_access_method = vecseg;
SELECT * INTO made FROM source WHERE id <= 100;
SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = 'made';
SELECT * FROM check_vectors('made');
CREATE TABLE made_again AS SELECT id + 1000 AS id, version, embedding FROM made;
SELECT count(*) FROM made_again WHERE embedding IS DISTINCT FROM vec(id - 1000, 1, 64);
DROP TABLE made, made_again;
RESET default_table_access_method;

-- materialized view
CREATE TABLE base (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO base SELECT * FROM source;
CREATE MATERIALIZED VIEW view_of_base USING vecseg AS SELECT * FROM base WHERE id % 2 = 0;
CREATE UNIQUE INDEX ON view_of_base (id);
SELECT * FROM check_vectors('view_of_base');
UPDATE base SET version = 2, embedding = vec(id, 2, 64) WHERE id % 4 = 0;
SELECT * FROM check_vectors('view_of_base');
REFRESH MATERIALIZED VIEW CONCURRENTLY view_of_base;
SELECT * FROM check_vectors('view_of_base');
UPDATE base SET version = 3, embedding = vec(id, 3, 64) WHERE id % 4 = 0;
DELETE FROM base WHERE id <= 100;
INSERT INTO base SELECT i, 3, vec(i, 3, 64) FROM generate_series(201, 220) i;
REFRESH MATERIALIZED VIEW CONCURRENTLY view_of_base;
SELECT * FROM check_vectors('view_of_base');
UPDATE base SET version = 4, embedding = vec(id, 4, 64);
REFRESH MATERIALIZED VIEW view_of_base;
SELECT * FROM check_vectors('view_of_base');
REFRESH MATERIALIZED VIEW view_of_base WITH NO DATA;
REFRESH MATERIALIZED VIEW view_of_base;
SELECT * FROM check_vectors('view_of_base');
DROP MATERIALIZED VIEW view_of_base;

-- temporary tables
CREATE TEMP TABLE temporary (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO temporary SELECT * FROM source;
SELECT * FROM check_vectors('temporary');
UPDATE temporary SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
BEGIN;
UPDATE temporary SET version = 3, embedding = vec(id, 3, 64);
ROLLBACK;
SELECT * FROM check_vectors('temporary');
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM vecseg_scroll(NULL::temporary);
VACUUM temporary;
VACUUM FULL temporary;
SELECT * FROM check_vectors('temporary');
TRUNCATE temporary;
SELECT * FROM check_vectors('temporary');
-- larger than local buffers
CREATE TEMP TABLE larger (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO larger SELECT i, 1, vec(i, 1, 1000) FROM generate_series(1, 4000) i;
SELECT * FROM check_vectors('larger', 1000);
UPDATE larger SET version = 2, embedding = vec(id, 2, 1000) WHERE id % 5 = 0;
SELECT * FROM check_vectors('larger', 1000);
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 1000)) AS wrong
	FROM vecseg_retrieve(NULL::larger, (SELECT array_agg(i) FROM generate_series(4000, 1, -3) i));
DROP TABLE larger;
CREATE TEMP TABLE temporary_rows (id int PRIMARY KEY, version int, embedding real[])
	USING vecseg ON COMMIT DELETE ROWS;
BEGIN;
INSERT INTO temporary_rows SELECT * FROM source;
SELECT * FROM check_vectors('temporary_rows');
COMMIT;
SELECT * FROM check_vectors('temporary_rows');
BEGIN;
INSERT INTO temporary_rows SELECT i, 5, vec(i, 5, 100) FROM generate_series(1, 300) i;
SELECT * FROM check_vectors('temporary_rows', 100);
COMMIT;
SELECT * FROM check_vectors('temporary_rows');
BEGIN;
CREATE TEMP TABLE temporary_transaction USING vecseg ON COMMIT DROP AS SELECT * FROM source;
SELECT * FROM check_vectors('temporary_transaction');
COMMIT;
SELECT to_regclass('temporary_transaction');

-- unlogged tables
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO unlogged SELECT * FROM source;
UPDATE unlogged SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
SELECT * FROM check_vectors('unlogged');
CHECKPOINT;
SELECT * FROM check_vectors('unlogged');
TRUNCATE unlogged;
INSERT INTO unlogged SELECT * FROM source;
SELECT * FROM check_vectors('unlogged');

-- LIKE
CREATE TABLE alike (LIKE base INCLUDING ALL) USING vecseg;
INSERT INTO alike SELECT * FROM base;
SELECT * FROM differences('base', 'alike');
DROP TABLE source, base, alike, unlogged, temporary, temporary_rows;
