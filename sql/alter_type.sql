--
-- ALTER TABLE ... TYPE reads rows of the old type, vectors ahead, when the
-- table has the new one already
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (small int2, id int, note text, embedding real[], other float8[]) USING vecseg;
INSERT INTO items
	SELECT i % 100, i, CASE WHEN i % 3 = 0 THEN repeat('n', i % 50) END, vec(i, 1, 64), vec(i, 2, 32)
	FROM generate_series(1, 3000) i;
ALTER TABLE items ALTER small TYPE numeric, ALTER id TYPE bigint;
SELECT count(*) AS rows, count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)
	OR other IS DISTINCT FROM vec(id, 2, 32)::float8[] OR small <> id % 100) AS wrong FROM items;
ALTER TABLE items ALTER small TYPE text USING repeat(small::text, 20), ALTER other TYPE real[];
SELECT count(*) AS rows, count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)
	OR other IS DISTINCT FROM vec(id, 2, 32) OR small <> repeat((id % 100)::text, 20)) AS wrong FROM items;
ALTER TABLE items ALTER small TYPE int2 USING (id % 100)::int2, ALTER embedding TYPE float8[], ADD COLUMN first float8 DEFAULT random();
SELECT count(*) AS rows, count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)::float8[]
	OR other IS DISTINCT FROM vec(id, 2, 32) OR small <> id % 100 OR first IS NULL) AS wrong FROM items;
DROP TABLE items;
