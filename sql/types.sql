--
-- Dense types and the columns around them
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
-- one of each type
CREATE DOMAIN unit AS real[] CHECK (cardinality(VALUE) <= 20000);
CREATE DOMAIN small_unit AS unit;
CREATE TABLE types_heap (id int PRIMARY KEY, f4 real[], f8 double precision[], b bit(1000),
	bv bit varying, d unit, dd small_unit, i4 int[], n numeric[], t text[], c "char", p point[]) USING heap;
INSERT INTO types_heap SELECT i, vec(i, 1, 200), vec(i, 2, 300)::float8[],
		repeat(CASE i % 3 WHEN 0 THEN '01' WHEN 1 THEN '11' ELSE '00' END, 500)::bit(1000),
		repeat(CASE i % 3 WHEN 0 THEN '01' WHEN 1 THEN '11' ELSE '00' END, 1 + i * 7)::bit varying,
		vec(i, 3, 100 + i), vec(i, 4, 50), ARRAY(SELECT generate_series(1, i * 20)),
		ARRAY(SELECT generate_series(1, i * 20)::numeric), ARRAY[repeat('x', i), NULL, repeat('y', i * 50)],
		'c', ARRAY[point(1, 2)]
	FROM generate_series(1, 60) i;
CREATE TABLE types (LIKE types_heap INCLUDING ALL) USING vecseg;
INSERT INTO types SELECT * FROM types_heap;
SELECT * FROM differences('types', 'types_heap');
UPDATE types SET f8 = (SELECT h.f8 FROM types_heap h WHERE h.id = 61 - types.id), b = ~b, dd = f4, f4 = d, d = dd;
UPDATE types_heap SET f8 = (SELECT h.f8 FROM types_heap h WHERE h.id = 61 - types_heap.id), b = ~b, dd = f4, f4 = d, d = dd;
SELECT * FROM differences('types', 'types_heap');
INSERT INTO types SELECT 61, f4, f8, b, bv, vec(1, 1, 10) || d, array_fill(0::real, ARRAY[20001]) FROM types WHERE id = 1;
SELECT * FROM differences('types', 'types_heap');
VACUUM FULL types;
SELECT * FROM differences('types', 'types_heap');
DROP TABLE types, types_heap;
DROP DOMAIN small_unit;
DROP DOMAIN unit;

-- types with the names of pgvector's (here: text, under another name)
CREATE SCHEMA like_pgvector;
SET client_min_messages = warning;
CREATE TYPE like_pgvector.vector;
CREATE FUNCTION like_pgvector.vector_in(cstring) RETURNS like_pgvector.vector
	LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION like_pgvector.vector_out(like_pgvector.vector) RETURNS cstring
	LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE like_pgvector.vector (INPUT = like_pgvector.vector_in, OUTPUT = like_pgvector.vector_out,
	INTERNALLENGTH = variable, STORAGE = external, ALIGNMENT = int4);
CREATE TYPE like_pgvector.halfvec;
CREATE FUNCTION like_pgvector.halfvec_in(cstring) RETURNS like_pgvector.halfvec
	LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION like_pgvector.halfvec_out(like_pgvector.halfvec) RETURNS cstring
	LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE like_pgvector.halfvec (INPUT = like_pgvector.halfvec_in, OUTPUT = like_pgvector.halfvec_out,
	INTERNALLENGTH = variable, STORAGE = extended);
RESET client_min_messages;
CREATE TABLE named_heap (id int PRIMARY KEY, v like_pgvector.vector, h like_pgvector.halfvec, t text);
INSERT INTO named_heap SELECT i, vec(i, 1, 64)::text::like_pgvector.vector,
		vec(i, 2, 32)::text::like_pgvector.halfvec, vec(i, 3, 16)::text
	FROM generate_series(1, 100) i;
CREATE TABLE named (LIKE named_heap INCLUDING ALL) USING vecseg;
INSERT INTO named SELECT * FROM named_heap;
SELECT slots_used('named') AS values_in_segments;
SELECT count(*) FROM named n JOIN named_heap h USING (id)
	WHERE n.v::text <> h.v::text OR n.h::text <> h.h::text OR n.t <> h.t;
UPDATE named SET v = h::text::like_pgvector.vector, h = v::text::like_pgvector.halfvec WHERE id % 2 = 0;
SELECT count(*) FROM named n JOIN named_heap h USING (id)
	WHERE id % 2 = 1 AND (n.v::text <> h.v::text OR n.h::text <> h.h::text OR n.t <> h.t)
	OR id % 2 = 0 AND (n.v::text <> h.h::text OR n.h::text <> h.v::text OR n.t <> h.t);
DROP TABLE named, named_heap;
SET client_min_messages = warning;
DROP SCHEMA like_pgvector CASCADE;
RESET client_min_messages;

-- several dense columns; the vector first, last, between
CREATE TABLE columns_heap (a real[], id int PRIMARY KEY, b real[], t text, c float8[], n int, d real[]) USING heap;
INSERT INTO columns_heap SELECT vec(i, 1, 100), i, vec(i, 2, 100), repeat('t', i), vec(i, 3, 70)::float8[], i,
		CASE WHEN i % 4 > 0 THEN vec(i, 4, 20 * (i % 4)) END
	FROM generate_series(1, 100) i;
CREATE TABLE columns (LIKE columns_heap INCLUDING ALL) USING vecseg;
INSERT INTO columns SELECT * FROM columns_heap;
SELECT * FROM differences('columns', 'columns_heap');
-- one column's vector to another column of the same row
UPDATE columns SET a = b, b = a WHERE id % 2 = 0;
UPDATE columns_heap SET a = b, b = a WHERE id % 2 = 0;
SELECT * FROM differences('columns', 'columns_heap');
UPDATE columns SET d = a, t = repeat('u', 3000 + id) WHERE id % 3 = 0;
UPDATE columns_heap SET d = a, t = repeat('u', 3000 + id) WHERE id % 3 = 0;
SELECT * FROM differences('columns', 'columns_heap');
UPDATE columns SET a = NULL, b = NULL, c = NULL, d = NULL WHERE id % 5 = 0;
UPDATE columns_heap SET a = NULL, b = NULL, c = NULL, d = NULL WHERE id % 5 = 0;
SELECT * FROM differences('columns', 'columns_heap');
-- only some columns are read
SELECT count(*) FROM columns WHERE c IS DISTINCT FROM CASE WHEN id % 5 > 0 THEN vec(id, 3, 70)::float8[] END;
SELECT count(*) FROM vecseg_scroll(NULL::columns) WHERE c IS DISTINCT FROM CASE WHEN id % 5 > 0 THEN vec(id, 3, 70)::float8[] END;
VACUUM FULL columns;
SELECT * FROM differences('columns', 'columns_heap');
DROP TABLE columns, columns_heap;

-- 1,600 columns, 40 of them dense
CREATE FUNCTION create_wide(name text, am text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, %s) USING %I', name,
		(SELECT string_agg(format('c%s %s', i, CASE i % 40 WHEN 0 THEN 'real[]' ELSE 'bool' END), ', ' ORDER BY i)
		 FROM generate_series(1, 1599) i), am);
END
$$;
SELECT create_wide('wide', 'vecseg'), create_wide('wide_heap', 'heap');
INSERT INTO wide_heap (id, c1, c40, c80, c800, c1560) SELECT i, true, vec(i, 1, 40), vec(i, 2, 80), vec(i, 3, 800), vec(i, 4, 1560)
	FROM generate_series(1, 20) i;
UPDATE wide_heap SET c120 = c40, c160 = c80, c200 = c80, c240 = c40, c1599 = true WHERE id % 2 = 0;
INSERT INTO wide SELECT * FROM wide_heap;
SELECT * FROM differences('wide', 'wide_heap');
DROP TABLE wide, wide_heap;
DROP FUNCTION create_wide(text, text);

-- no vectors at all: with and without values that could be large, no columns
CREATE TABLE plain (id int PRIMARY KEY, n bigint) USING vecseg;
INSERT INTO plain SELECT i, i * 2 FROM generate_series(1, 1000) i;
UPDATE plain SET n = n + 1 WHERE id % 2 = 0;
SELECT count(*), sum(n) FROM plain;
SELECT count(*), sum(n) FROM vecseg_scroll(NULL::plain, 500);
SELECT * FROM vecseg_segments('plain');
SELECT reltoastrelid <> 0 AS has_toast FROM pg_class WHERE relname = 'plain';
VACUUM FULL plain;
ALTER TABLE plain ADD COLUMN embedding real[];
UPDATE plain SET embedding = vec(id, 1, 64);
SELECT count(*), sum(n), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM plain;
DROP TABLE plain;
CREATE TABLE nothing () USING vecseg;
INSERT INTO nothing DEFAULT VALUES;
SELECT count(*) FROM nothing;
VACUUM FULL nothing;
SELECT count(*) FROM nothing;
DROP TABLE nothing;
-- rows that would fit a page, with vectors that leave them all the same, and without
CREATE TABLE bits (id int, b bit(1000)) USING vecseg;
INSERT INTO bits SELECT i, (repeat('10', i) || repeat('01', 500 - i))::bit(1000) FROM generate_series(1, 100) i;
SELECT slot_size, sum(used) FROM vecseg_segments('bits') GROUP BY 1;
SELECT count(*) FROM bits WHERE b = (repeat('10', id) || repeat('01', 500 - id))::bit(1000);
CREATE TABLE few_bits (id int, b bit(100)) USING vecseg;
SELECT relname, reltoastrelid <> 0 AS has_toast FROM pg_class WHERE relname IN ('bits', 'few_bits') ORDER BY 1;
DROP TABLE bits, few_bits;
