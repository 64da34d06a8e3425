--
-- The extension dropped and made again, in another schema
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE DATABASE regress_vecseg_extension;
\c regress_vecseg_extension
CREATE SCHEMA elsewhere;
CREATE EXTENSION vecseg SCHEMA elsewhere;
CREATE TABLE items (id int PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, array_fill(i::real, ARRAY[100]) FROM generate_series(1, 100) i;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(id::real, ARRAY[100])) AS wrong FROM elsewhere.vecseg_scroll(NULL::items);
SELECT id, embedding[100] FROM elsewhere.vecseg_retrieve(NULL::items, '{3,1}');
SELECT sum(used) FROM elsewhere.vecseg_segments('items');
DROP TABLE items;
DROP EXTENSION vecseg;
SELECT count(*) FROM pg_am WHERE amname LIKE 'vecseg%';
CREATE TABLE items (id int PRIMARY KEY, embedding real[]) USING vecseg;
CREATE EXTENSION vecseg;
-- in the same session, with other OIDs
CREATE TABLE items (id int PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, array_fill(i::real, ARRAY[100]) FROM generate_series(1, 100) i;
UPDATE items SET embedding[1] = -1 WHERE id % 2 = 0;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM CASE WHEN id % 2 = 0 THEN '{-1}' ELSE ARRAY[id::real] END || array_fill(id::real, ARRAY[99])) AS wrong FROM items;
SELECT id, embedding[100] FROM vecseg_scroll(NULL::items, 98);
SELECT id, embedding[100] FROM vecseg_retrieve(NULL::items, '{3,1}');
DROP EXTENSION vecseg CASCADE;
SELECT to_regclass('items');
-- a transaction that makes all of it, and is rolled back
BEGIN;
CREATE EXTENSION vecseg;
CREATE TABLE items (id int PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO items VALUES (1, array_fill(1::real, ARRAY[100]));
SELECT id, embedding[100] FROM vecseg_scroll(NULL::items);
ROLLBACK;
SELECT count(*) FROM pg_am WHERE amname LIKE 'vecseg%';
-- a copy of a database
CREATE EXTENSION vecseg;
CREATE TABLE items (id int PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, array_fill(i::real, ARRAY[1000]) FROM generate_series(1, 500) i;
CREATE UNLOGGED TABLE unlogged USING vecseg AS SELECT * FROM items;
\c postgres
CREATE DATABASE regress_vecseg_copy TEMPLATE regress_vecseg_extension STRATEGY wal_log;
CREATE DATABASE regress_vecseg_files TEMPLATE regress_vecseg_extension STRATEGY file_copy;
\c regress_vecseg_copy
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(id::real, ARRAY[1000])) AS wrong FROM items;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(id::real, ARRAY[1000])) AS wrong FROM unlogged;
UPDATE items SET embedding = array_fill(-id::real, ARRAY[1000]);
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(-id::real, ARRAY[1000])) AS wrong FROM vecseg_scroll(NULL::items);
\c regress_vecseg_files
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(id::real, ARRAY[1000])) AS wrong FROM vecseg_scroll(NULL::items);
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(id::real, ARRAY[1000])) AS wrong FROM unlogged;
INSERT INTO items SELECT i, array_fill(i::real, ARRAY[1000]) FROM generate_series(501, 600) i;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM array_fill(id::real, ARRAY[1000])) AS wrong FROM items;
\c postgres
DROP DATABASE regress_vecseg_copy;
DROP DATABASE regress_vecseg_files;
DROP DATABASE regress_vecseg_extension;
