--
-- Keys looked up in bulk: versions, splits, kinds of indexes
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id bigint PRIMARY KEY, version int, embedding real[]) USING vecseg;
CREATE INDEX ON items (version);
-- an empty index, one with a root only, one with inner pages
CREATE FUNCTION compare_lookup(ids bigint[], OUT rows bigint, OUT wrong bigint) LANGUAGE sql AS $$
	SELECT count(r.id), count(*) FILTER (WHERE r IS DISTINCT FROM i OR i.embedding IS DISTINCT FROM vec(i.id, i.version, 40))
	FROM vecseg_retrieve(NULL::items, ids) r
		FULL JOIN (SELECT * FROM items OFFSET 0) i ON r.id = i.id
	WHERE coalesce(r.id, i.id) = ANY (ids)
$$;
SELECT * FROM compare_lookup(ARRAY[1, 2, 3]);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM compare_lookup(ARRAY[1, 2, 3]);
COMMIT;
INSERT INTO items SELECT i, 1, vec(i, 1, 40) FROM generate_series(1, 10) i;
SELECT * FROM compare_lookup(ARRAY(SELECT generate_series(-3, 12)));
INSERT INTO items SELECT i, 1, vec(i, 1, 40) FROM generate_series(11, 3000) i;
SELECT * FROM compare_lookup(ARRAY(SELECT generate_series(-3, 3012)));
SELECT * FROM compare_lookup(ARRAY(SELECT i FROM generate_series(-3, 3012) i ORDER BY hashint8(i)));
-- so many versions of some rows that their items fill leaf pages, and share some
DO $$
BEGIN
	FOR v IN 2..1500 LOOP
		UPDATE items SET version = v, embedding = vec(id, v, 40) WHERE id IN (1, 1500, 3000);
	END LOOP;
END
$$;
SELECT * FROM compare_lookup(ARRAY[3000, 1500, 1, 1499, 1501]);
SELECT id, version FROM vecseg_retrieve(NULL::items, ARRAY[3000, 1500, 1, 2]);
-- again, as index scans have marked dead items meanwhile
SET enable_bitmapscan = off;
SET enable_seqscan = off;
SET vecseg.enable_custom_scan = off;
SELECT id, version FROM items WHERE id IN (1, 1500, 3000);
RESET vecseg.enable_custom_scan;
RESET enable_bitmapscan;
RESET enable_seqscan;
SELECT * FROM compare_lookup(ARRAY[3000, 1500, 1, 1499, 1501]);
VACUUM items;
SELECT * FROM compare_lookup(ARRAY[3000, 1500, 1, 1499, 1501]);
-- pages deleted from the index, and new ones
DELETE FROM items WHERE id BETWEEN 500 AND 2500;
VACUUM items;
SELECT * FROM compare_lookup(ARRAY(SELECT i FROM generate_series(1, 3000) i ORDER BY hashint8(i)));
INSERT INTO items SELECT i, 9, vec(i, 9, 40) FROM generate_series(600, 9000) i WHERE i NOT BETWEEN 2501 AND 3000;
SELECT * FROM compare_lookup(ARRAY(SELECT i FROM generate_series(1, 9500) i ORDER BY hashint8(i)));
-- descending, with included columns, of several columns, not unique
CREATE TABLE kinds (a int NOT NULL, b int, c int, embedding real[]) USING vecseg;
INSERT INTO kinds SELECT i, 3000 - i, i % 7, vec(i, i % 7, 40) FROM generate_series(1, 3000) i ORDER BY hashint4(i);
CREATE UNIQUE INDEX kinds_a ON kinds (a DESC) INCLUDE (c);
CREATE UNIQUE INDEX kinds_bc ON kinds (b, c);
CREATE INDEX kinds_c ON kinds (c);
ANALYZE kinds;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT * FROM kinds WHERE a = ANY (ARRAY[5, 2000, 7, 2999]) ORDER BY a;
SELECT a, embedding = vec(a, c, 40) AS same FROM kinds WHERE a = ANY (ARRAY[5, 2000, 7, 2999, 0, NULL]) ORDER BY a;
SELECT a, embedding = vec(a, c, 40) AS same FROM kinds WHERE a = ANY (ARRAY[5, 2000, 7, 2999, 0, NULL]) ORDER BY a DESC;
SELECT a, embedding = vec(a, c, 40) AS same FROM kinds WHERE a = ANY (ARRAY[5, 2000, 7, 2999]::bigint[]) ORDER BY a;
SELECT a, embedding = vec(a, c, 40) AS same FROM kinds WHERE a = ANY (ARRAY[5, 2000, 7, 2999]) AND a > 6 ORDER BY a;
SELECT count(*), sum(a), bool_and(embedding = vec(a, c, 40)) AS same FROM kinds WHERE a = ANY (ARRAY(SELECT generate_series(0, 4000, 3)));
SELECT a, embedding = vec(a, c, 40) AS same FROM kinds WHERE b = ANY (ARRAY[5, 2000, 7, 2999]) ORDER BY b;
SELECT a, embedding = vec(a, c, 40) AS same FROM kinds WHERE b = ANY (ARRAY[5, 2000, 7, 2999]) AND c = 6 ORDER BY b;
SELECT count(*), sum(a), bool_and(embedding = vec(a, c, 40)) AS same FROM kinds WHERE c = ANY (ARRAY[3, 5, 9]);
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_sort;
-- keys of text, which are compared by a collation
CREATE TABLE texts (id text COLLATE "C" PRIMARY KEY, n int, embedding real[]) USING vecseg;
INSERT INTO texts SELECT md5(i::text) || repeat('x', i % 50), i, vec(i, 1, 40) FROM generate_series(1, 3000) i;
SELECT count(*), count(DISTINCT n), bool_and(embedding = vec(n, 1, 40)) AS same
	FROM vecseg_retrieve(NULL::texts, ARRAY(SELECT md5(i::text) || repeat('x', i % 50) FROM generate_series(-5, 3005) i ORDER BY hashint4(i)));
DROP FUNCTION compare_lookup(bigint[]);
DROP TABLE items, kinds, texts;
