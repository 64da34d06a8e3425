--
-- Rows in, rows out: INSERT, COPY, UPDATE, DELETE, RETURNING
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
\getenv abs_builddir PG_ABS_BUILDDIR
\set text_file :abs_builddir '/results/basic.text'
\set binary_file :abs_builddir '/results/basic.binary'
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;

-- INSERT, by VALUES and by SELECT
INSERT INTO items VALUES (1, 1, vec(1, 1, 64));
INSERT INTO items VALUES (2, 1, vec(2, 1, 64)), (3, 1, vec(3, 1, 64)), (4, 1, vec(4, 1, 64));
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(5, 100) i;
SELECT * FROM check_vectors('items');
SELECT id, embedding[1:5] FROM items WHERE id IN (1, 64, 100) ORDER BY id;

-- INSERT ... SELECT from itself: the rows must not share values
INSERT INTO items SELECT id + 100, version, embedding FROM items;
SELECT slots_used('items');
SELECT count(*) FROM items a JOIN items b ON b.id = a.id + 100
	WHERE a.embedding IS DISTINCT FROM b.embedding;
DELETE FROM items WHERE id <= 100;
VACUUM items;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id - 100, 1, 64)) AS wrong
	FROM items;
UPDATE items SET id = id - 100;
SELECT * FROM check_vectors('items');

-- UPDATE of vectors, of other columns, of all and of few rows
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 3 = 0;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 3, embedding = vec(id, 3, 64);
SELECT * FROM check_vectors('items');
UPDATE items SET embedding = NULL WHERE id = 7;
SELECT * FROM check_vectors('items');
UPDATE items SET embedding = (SELECT embedding FROM items WHERE id = 8) WHERE id = 7;
SELECT embedding IS NOT DISTINCT FROM vec(8, 3, 64) AS same FROM items WHERE id = 7;
DELETE FROM items WHERE id = 8;
SELECT embedding IS NOT DISTINCT FROM vec(8, 3, 64) AS same FROM items WHERE id = 7;
UPDATE items SET embedding = vec(id, version, 64) WHERE id = 7;

-- UPDATE swapping vectors between rows
BEGIN;
UPDATE items a SET embedding = b.embedding FROM items b
	WHERE (a.id, b.id) IN ((1, 2), (2, 1));
SELECT id, embedding = vec(3 - id, version, 64) AS swapped FROM items WHERE id <= 2 ORDER BY id;
UPDATE items a SET embedding = b.embedding FROM items b
	WHERE (a.id, b.id) IN ((1, 2), (2, 1));
COMMIT;
SELECT * FROM check_vectors('items');

-- DELETE
DELETE FROM items WHERE id BETWEEN 11 AND 90;
SELECT * FROM check_vectors('items');

-- RETURNING, with system columns
INSERT INTO items VALUES (201, 1, vec(201, 1, 64)), (202, 1, vec(202, 1, 64))
	RETURNING id, embedding = vec(id, 1, 64) AS same, tableoid::regclass,
		ctid IS NOT NULL AS has_ctid, xmin::text <> '0' AS has_xmin, xmax, cmin, cmax;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id > 200
	RETURNING id, embedding = vec(id, 2, 64) AS same, tableoid::regclass,
		ctid IS NOT NULL AS has_ctid, xmin::text <> '0' AS has_xmin;
UPDATE items SET version = 3 WHERE id = 201 RETURNING embedding = vec(id, 2, 64) AS unchanged;
UPDATE items SET version = 2 WHERE id = 201 RETURNING items = ROW(id, 2, vec(id, 2, 64))::items AS whole_row;
DELETE FROM items WHERE id = 202
	RETURNING id, version, embedding = vec(id, 2, 64) AS same, tableoid::regclass;
DELETE FROM items WHERE id = 201 RETURNING items = ROW(id, 2, vec(id, 2, 64))::items AS whole_row;
WITH moved AS (DELETE FROM items WHERE id <= 10 RETURNING *)
	SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM moved;
WITH new AS (INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 10) i RETURNING *)
	SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM new;
SELECT * FROM check_vectors('items');
-- the row found by the ctid that RETURNING gave
WITH new AS (UPDATE items SET version = 9, embedding = vec(id, 9, 64) WHERE id = 5 RETURNING ctid)
	SELECT ctid AS tid FROM new \gset
SELECT id, version, embedding = vec(id, 9, 64) AS same FROM items WHERE ctid = :'tid';

-- COPY, both formats, by lines and by columns
COPY (SELECT id, version, embedding[1:3] FROM items WHERE id < 4 ORDER BY id) TO STDOUT;
COPY items (id, version, embedding) FROM STDIN;
301	1	{0.5,-1.25,3}
302	1	\N
303	1	{}
\.
SELECT id, embedding FROM items WHERE id > 300 ORDER BY id;
COPY (SELECT * FROM items WHERE id <= 100) TO :'text_file';
COPY (SELECT * FROM items WHERE id <= 100) TO :'binary_file' (FORMAT binary);
CREATE TABLE copied (LIKE items INCLUDING ALL) USING vecseg;
COPY copied FROM :'text_file';
SELECT * FROM check_vectors('copied');
TRUNCATE copied;
COPY copied FROM :'binary_file' (FORMAT binary);
SELECT * FROM check_vectors('copied');
DELETE FROM items WHERE id > 300;
SELECT * FROM differences('items', 'copied');
BEGIN;
TRUNCATE copied;
COPY copied FROM :'binary_file' (FORMAT binary, FREEZE);
COMMIT;
SELECT * FROM differences('items', 'copied');
-- more rows than one batch of COPY, some of which break a constraint
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1001, 4000) i;
COPY items TO :'text_file';
TRUNCATE copied;
COPY copied FROM :'text_file';
SELECT * FROM differences('items', 'copied');
DELETE FROM copied WHERE id <> 3999;
COPY copied FROM :'text_file';
SELECT * FROM check_vectors('copied');

DROP TABLE copied, items;
