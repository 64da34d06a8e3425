--
-- ALTER TABLE
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
-- SET ACCESS METHOD, there and back
CREATE TABLE original (id int PRIMARY KEY, version int, embedding real[], other float8[], doc jsonb, t text) USING heap;
INSERT INTO original SELECT i, 1, vec(i, 1, 64), CASE WHEN i % 3 > 0 THEN vec(i, 2, i)::float8[] END,
		jsonb_build_object('a', repeat(md5(i::text), i)), repeat(md5(i::text), i * 3)
	FROM generate_series(1, 300) i;
CREATE TABLE items (LIKE original INCLUDING ALL) USING heap;
CREATE INDEX items_first ON items ((embedding[4]));
INSERT INTO items SELECT * FROM original;
ALTER TABLE items SET ACCESS METHOD vecseg;
SELECT c.relname = 'items' AS is_table, a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam
	WHERE c.oid = 'items'::regclass OR c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass) ORDER BY 1;
SELECT slots_used('items') >= 300 AS vectors_in_segments;
SELECT * FROM differences('items', 'original');
SET enable_seqscan = off;
SELECT id FROM items WHERE embedding[4] = (vec(123, 1, 64))[4];
RESET enable_seqscan;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
UPDATE original SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
SELECT * FROM differences('items', 'original');
ALTER TABLE items SET ACCESS METHOD vecseg;
SELECT * FROM differences('items', 'original');
ALTER TABLE items SET ACCESS METHOD heap;
SELECT c.relname = 'items' AS is_table, a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam
	WHERE c.oid = 'items'::regclass OR c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass) ORDER BY 1;
SELECT * FROM differences('items', 'original');
UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id % 3 = 0;
UPDATE original SET version = 3, embedding = vec(id, 3, 64) WHERE id % 3 = 0;
BEGIN;
ALTER TABLE items SET ACCESS METHOD vecseg;
DELETE FROM items WHERE id < 10;
ROLLBACK;
SELECT * FROM differences('items', 'original');
BEGIN;
UPDATE items SET version = 4, embedding = vec(id, 4, 64) WHERE id % 5 = 0;
UPDATE original SET version = 4, embedding = vec(id, 4, 64) WHERE id % 5 = 0;
ALTER TABLE items SET ACCESS METHOD vecseg;
SELECT * FROM differences('items', 'original');
UPDATE items SET version = 5, embedding = vec(id, 5, 64) WHERE id % 7 = 0;
UPDATE original SET version = 5, embedding = vec(id, 5, 64) WHERE id % 7 = 0;
COMMIT;
SELECT * FROM differences('items', 'original');

-- changes that rewrite the table
ALTER TABLE items ALTER id TYPE bigint;
ALTER TABLE original ALTER id TYPE bigint;
SELECT * FROM differences('items', 'original');
ALTER TABLE items ALTER embedding TYPE float8[];
ALTER TABLE original ALTER embedding TYPE float8[];
SELECT * FROM differences('items', 'original');
ALTER TABLE items ALTER embedding TYPE real[] USING embedding[1:32];
ALTER TABLE original ALTER embedding TYPE real[] USING embedding[1:32];
SELECT * FROM differences('items', 'original');
ALTER TABLE items ADD COLUMN added real[] DEFAULT array_fill(trunc(random() * 0 + 7)::real, ARRAY[100]);
ALTER TABLE original ADD COLUMN added real[] DEFAULT array_fill(7::real, ARRAY[100]);
SELECT * FROM differences('items', 'original');
UPDATE items SET embedding = added WHERE id < 50;
UPDATE original SET embedding = added WHERE id < 50;
SELECT * FROM differences('items', 'original');
-- and ones that do not
ALTER TABLE items ADD COLUMN later real[] DEFAULT '{1,2,3,4,5,6,7,8,9,10}', ADD COLUMN empty real[];
ALTER TABLE original ADD COLUMN later real[] DEFAULT '{1,2,3,4,5,6,7,8,9,10}', ADD COLUMN empty real[];
SELECT * FROM differences('items', 'original');
UPDATE items SET version = 6 WHERE id % 2 = 0;
UPDATE original SET version = 6 WHERE id % 2 = 0;
UPDATE items SET later[3] = id, empty = later WHERE id % 3 = 0;
UPDATE original SET later[3] = id, empty = later WHERE id % 3 = 0;
SELECT * FROM differences('items', 'original');
VACUUM FULL items;
SELECT * FROM differences('items', 'original');
ALTER TABLE items DROP COLUMN embedding, DROP COLUMN t;
ALTER TABLE original DROP COLUMN embedding, DROP COLUMN t;
SELECT * FROM differences('items', 'original');
UPDATE items SET version = 7 WHERE id % 2 = 0;
UPDATE original SET version = 7 WHERE id % 2 = 0;
INSERT INTO items SELECT id + 1000, version, other, doc, added, later, empty FROM items;
INSERT INTO original SELECT id + 1000, version, other, doc, added, later, empty FROM original;
SELECT * FROM differences('items', 'original');
SELECT count(*) FROM vecseg_scroll(NULL::items) s JOIN original o USING (id)
	WHERE (s.version, s.other, s.doc, s.added, s.later, s.empty) IS DISTINCT FROM (o.version, o.other, o.doc, o.added, o.later, o.empty);
SELECT slots_used('items') AS before \gset
VACUUM FULL items;
SELECT slots_used('items') < :before AS dropped_values_are_gone;
SELECT * FROM differences('items', 'original');
ALTER TABLE items ADD COLUMN embedding real[];
ALTER TABLE items RENAME other TO renamed;
UPDATE items SET embedding = vec(id, version, 64), added = NULL;
SELECT * FROM check_vectors('items');
DROP TABLE items, original;

-- SET STORAGE: what it means for new values, and for all after a rewrite
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 50) i;
ALTER TABLE items ALTER embedding SET STORAGE PLAIN;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(51, 60) i;
SELECT slots_used('items');
UPDATE items SET version = 1 WHERE id > 40;
SELECT * FROM check_vectors('items');
VACUUM FULL items;
SELECT slots_used('items');
SELECT * FROM check_vectors('items');
ALTER TABLE items ALTER embedding SET STORAGE EXTERNAL;
UPDATE items SET version = 1 WHERE id > 40;
SELECT * FROM check_vectors('items');
VACUUM FULL items;
SELECT slots_used('items');
SELECT * FROM check_vectors('items');
ALTER TABLE items ALTER embedding SET STORAGE MAIN;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id > 40;
VACUUM FULL items;
SELECT slots_used('items');
SELECT * FROM check_vectors('items');
ALTER TABLE items ALTER embedding SET STORAGE EXTENDED;
CLUSTER items USING items_pkey;
SELECT slots_used('items');
SELECT * FROM check_vectors('items');

-- persistence, schema, owner, name
ALTER TABLE items SET UNLOGGED;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id % 2 = 0;
ALTER TABLE items SET LOGGED;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 4, embedding = vec(id, 4, 64) WHERE id % 4 = 0;
SELECT * FROM check_vectors('items');
CREATE SCHEMA moved;
ALTER TABLE items SET SCHEMA moved;
ALTER TABLE moved.items RENAME TO things;
SELECT * FROM check_vectors('moved.things');
ALTER TABLE moved.things DROP CONSTRAINT items_pkey;
UPDATE moved.things SET version = 5, embedding = vec(id, 5, 64) WHERE id % 8 = 0;
ALTER TABLE moved.things ADD PRIMARY KEY (id);
ALTER TABLE moved.things ADD CHECK (cardinality(embedding) = 64), ALTER embedding SET NOT NULL;
SELECT * FROM check_vectors('moved.things');
ALTER TABLE moved.things REPLICA IDENTITY FULL;
UPDATE moved.things SET version = 6, embedding = vec(id, 6, 64) WHERE id % 8 = 1;
DELETE FROM moved.things WHERE id = 10;
SELECT * FROM check_vectors('moved.things');

-- tablespaces
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE vecseg_space LOCATION '';
ALTER TABLE moved.things SET TABLESPACE vecseg_space;
SELECT * FROM check_vectors('moved.things');
UPDATE moved.things SET version = 7, embedding = vec(id, 7, 64) WHERE id % 8 = 2;
SELECT * FROM check_vectors('moved.things');
BEGIN;
ALTER TABLE moved.things SET TABLESPACE pg_default;
UPDATE moved.things SET version = 8, embedding = vec(id, 8, 64) WHERE id % 8 = 3;
SELECT * FROM check_vectors('moved.things');
ROLLBACK;
SELECT * FROM check_vectors('moved.things');
ALTER TABLE moved.things SET TABLESPACE pg_default;
SELECT * FROM check_vectors('moved.things');
DROP TABLESPACE vecseg_space;
SET client_min_messages = warning;
DROP SCHEMA moved CASCADE;
RESET client_min_messages;
