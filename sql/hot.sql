--
-- UPDATE of other columns: the vector stays where it is, HOT works
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, counter int, embedding real[], other float8[], note text) USING vecseg WITH (fillfactor = 50);
ALTER TABLE items ALTER note SET STORAGE EXTERNAL;
INSERT INTO items SELECT i, 1, 0, vec(i, 1, 64), vec(i, 2, 64)::float8[], repeat('note', 1000) FROM generate_series(1, 20) i;
SELECT slots_used('items');
-- nothing is stored again, rows stay on their page
CREATE TEMP TABLE places AS SELECT id, ctid AS place FROM items;
UPDATE items SET counter = counter + 1;
UPDATE items SET counter = counter + 1 WHERE id % 2 = 0;
UPDATE items SET counter = counter + 1, embedding = embedding, note = note WHERE id % 3 = 0;
UPDATE items i SET counter = i.counter + 1, embedding = s.embedding FROM items s WHERE s.id = i.id AND i.id % 5 = 0;
SELECT slots_used('items');
SELECT count(*) FROM items i JOIN places p USING (id)
	WHERE split_part(trim('()' FROM i.ctid::text), ',', 1) <> split_part(trim('()' FROM p.place::text), ',', 1);
SELECT pg_stat_force_next_flush();
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'items';
SELECT * FROM check_vectors('items');
-- one of two vectors, the large text
UPDATE items SET version = 2, embedding = vec(id, 2, 64);
SELECT slots_used('items');
UPDATE items SET other = other || 1::float8 WHERE id <= 10;
UPDATE items SET note = 'x' || note WHERE id > 10;
SELECT slots_used('items');
SELECT count(*), sum(counter), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 2, 64)
		OR other IS DISTINCT FROM vec(id, 2, 64)::float8[] || CASE WHEN id <= 10 THEN '{1}' ELSE '{}' END::float8[]
		OR note IS DISTINCT FROM CASE WHEN id > 10 THEN 'x' ELSE '' END || repeat('note', 1000)) AS wrong
	FROM items;
-- the pointer of another row is not shared
UPDATE items i SET embedding = s.embedding FROM items s WHERE s.id = 21 - i.id;
SELECT slots_used('items');
DELETE FROM items WHERE id > 10;
VACUUM items;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(21 - id, 2, 64)) AS wrong FROM items;
UPDATE items SET embedding = vec(id, 2, 64);
-- nor that of another column
ALTER TABLE items ADD COLUMN copy real[];
UPDATE items SET copy = embedding;
UPDATE items SET embedding = vec(id, 3, 64), version = 3;
VACUUM items;
SELECT count(*), array_agg(id) FILTER (WHERE copy IS DISTINCT FROM vec(id, 2, 64)) AS wrong FROM items;
SELECT * FROM check_vectors('items');
UPDATE items SET copy = embedding, embedding = copy, version = 2;
SELECT count(*), array_agg(id) FILTER (WHERE copy IS DISTINCT FROM vec(id, 3, 64)) AS wrong FROM items;
SELECT * FROM check_vectors('items');
-- an index on the vector prevents HOT, an index on a column prevents it if that changes
CREATE INDEX ON items ((embedding[1]));
UPDATE items SET counter = 100;
UPDATE items SET embedding = vec(id, 4, 64), version = 4;
SET enable_seqscan = off;
SELECT id, version, counter, embedding = vec(id, 4, 64) AS same FROM items WHERE embedding[1] = 5;
RESET enable_seqscan;
SELECT * FROM check_vectors('items');
DROP TABLE items, places;
