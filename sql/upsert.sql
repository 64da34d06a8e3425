--
-- INSERT ... ON CONFLICT and MERGE
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 100) i;

-- DO NOTHING
INSERT INTO items SELECT i, 2, vec(i, 2, 64) FROM generate_series(91, 110) i
	ON CONFLICT DO NOTHING;
SELECT * FROM check_vectors('items');

-- DO UPDATE, to the new vector, to the old one, and to neither
INSERT INTO items SELECT i, 3, vec(i, 3, 64) FROM generate_series(101, 120) i
	ON CONFLICT (id) DO UPDATE SET version = excluded.version, embedding = excluded.embedding;
SELECT * FROM check_vectors('items');
SELECT slots_used('items') AS before \gset
INSERT INTO items AS i SELECT n, 4, NULL FROM generate_series(101, 120) n
	ON CONFLICT (id) DO UPDATE SET embedding = i.embedding;
SELECT * FROM check_vectors('items');
SELECT slots_used('items') - :before AS slots_added;
INSERT INTO items AS i SELECT n, 5, vec(n, 5, 64) FROM generate_series(111, 120) n
	ON CONFLICT (id) DO UPDATE SET version = 6, embedding = vec(excluded.id, 6, 64)
	WHERE i.embedding <> excluded.embedding AND i.id < 116;
SELECT * FROM check_vectors('items');
WITH result AS (
	INSERT INTO items SELECT n, 7, vec(n, 7, 64) FROM generate_series(120, 121) n
	ON CONFLICT (id) DO UPDATE SET version = 7, embedding = excluded.embedding
	RETURNING id, embedding = vec(id, 7, 64) AS same, xmax::text <> '0' AS updated)
	SELECT * FROM result ORDER BY id;
-- the same row twice
INSERT INTO items VALUES (1, 8, vec(1, 8, 64)), (1, 9, vec(1, 9, 64))
	ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding;
INSERT INTO items VALUES (200, 8, vec(200, 8, 64)), (200, 9, vec(200, 9, 64))
	ON CONFLICT DO NOTHING;
SELECT * FROM check_vectors('items');

-- MERGE
CREATE TABLE changes (id int, version int, embedding real[]) USING vecseg;
INSERT INTO changes SELECT i, 10, vec(i, 10, 64) FROM generate_series(51, 150) i;
MERGE INTO items i USING changes c ON i.id = c.id
	WHEN MATCHED AND c.id < 60 THEN DELETE
	WHEN MATCHED AND c.id < 70 THEN DO NOTHING
	WHEN MATCHED THEN UPDATE SET version = c.version, embedding = c.embedding
	WHEN NOT MATCHED AND c.id < 140 THEN INSERT VALUES (c.id, c.version, c.embedding);
SELECT * FROM check_vectors('items');
SELECT version, min(id), max(id), count(*) FROM items GROUP BY version ORDER BY version;
SELECT * FROM check_vectors('changes');
-- with the vector in the conditions
MERGE INTO items i USING changes c ON i.id = c.id AND i.embedding = c.embedding
	WHEN MATCHED THEN UPDATE SET version = 11, embedding = vec(i.id, 11, 64)
	WHEN NOT MATCHED AND c.id > 149 THEN INSERT VALUES (c.id, c.version, c.embedding);
SELECT * FROM check_vectors('items');
SELECT version, min(id), max(id), count(*) FROM items GROUP BY version ORDER BY version;
DROP TABLE items, changes;
