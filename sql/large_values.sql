--
-- Large values that are not vectors: text, jsonb, bytea; compression, storage, slices
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
-- the default depends on the version
SET default_toast_compression = pglz;
-- text(length, seed): digits that compress little; noise(length, seed): not at all
CREATE FUNCTION digits(length int, seed int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT left(string_agg(md5(seed || ' ' || i), '' ORDER BY i), length)
	FROM generate_series(0, length / 32) i
$$;
CREATE FUNCTION noise(length int, seed int) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT substr(string_agg(sha512((seed || ' ' || i)::bytea), ''::bytea ORDER BY i), 1, length)
	FROM generate_series(0, length / 64) i
$$;

CREATE TABLE large_heap (id int PRIMARY KEY, version int, t text, j jsonb, b bytea, embedding real[]) USING heap;
INSERT INTO large_heap SELECT i, 1, digits(l, i),
		jsonb_build_object('id', i, 'tags', (SELECT jsonb_agg(md5(i || ' ' || k)) FROM generate_series(1, l / 60) k)),
		noise(l / 2, i), CASE WHEN i % 3 > 0 THEN vec(i, 1, 10 + i) END
	FROM (SELECT i, (i * i * 7 + i) % 12000 AS l FROM generate_series(1, 200) i) s;
CREATE TABLE large (LIKE large_heap INCLUDING ALL) USING vecseg;
INSERT INTO large SELECT * FROM large_heap;
SELECT * FROM differences('large', 'large_heap');
UPDATE large SET version = 2 WHERE id % 2 = 0;
UPDATE large_heap SET version = 2 WHERE id % 2 = 0;
SELECT * FROM differences('large', 'large_heap');
UPDATE large SET t = digits(length(t) * 2, id + 1000), j = j || jsonb_build_object('more', left(t, 3000)) WHERE id % 3 = 0;
UPDATE large_heap SET t = digits(length(t) * 2, id + 1000), j = j || jsonb_build_object('more', left(t, 3000)) WHERE id % 3 = 0;
SELECT * FROM differences('large', 'large_heap');
UPDATE large SET t = NULL, b = b || b, embedding = vec(id, 2, 3000) WHERE id % 5 = 0;
UPDATE large_heap SET t = NULL, b = b || b, embedding = vec(id, 2, 3000) WHERE id % 5 = 0;
SELECT * FROM differences('large', 'large_heap');
SELECT count(*) FROM vecseg_scroll(NULL::large) s JOIN large_heap h USING (id)
	WHERE (s.t, s.j, s.b, s.embedding) IS DISTINCT FROM (h.t, h.j, h.b, h.embedding);
SELECT id, j->>'id' AS j_id, jsonb_array_length(j->'tags'), j->'tags'->>0 = md5(id || ' 1') AS first_tag
	FROM large WHERE j @> '{"id": 100}' OR j @> '{"id": 199}' ORDER BY id;
VACUUM FULL large;
SELECT * FROM differences('large', 'large_heap');
DROP TABLE large, large_heap;

-- compression methods and storage; the values must come back, and be stored as asked
CREATE TABLE stored (id int PRIMARY KEY, p text COMPRESSION pglz, l text COMPRESSION lz4, external text,
	main text, plain text, j jsonb COMPRESSION lz4, embedding real[], inline_embedding real[], main_embedding real[],
	extended_embedding real[]) USING vecseg;
ALTER TABLE stored ALTER external SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN,
	ALTER plain SET STORAGE PLAIN, ALTER inline_embedding SET STORAGE PLAIN,
	ALTER embedding SET STORAGE EXTERNAL, ALTER main_embedding SET STORAGE MAIN;
INSERT INTO stored
	SELECT i, repeat('pglz ', 100 * i), repeat('lz4 ', 125 * i), repeat('external ', 30 * i),
		repeat('main ', 40 * i), repeat('plain', 5 * i), jsonb_build_object('lz4', repeat('lz4 ', 1000 * i)),
		vec(i, 1, 20 * i), vec(i, 2, 10 * i), array_fill(i::real, ARRAY[50 * i]), array_fill(i::real, ARRAY[50 * i])
	FROM generate_series(1, 40) i;
CREATE FUNCTION wrong_stored() RETURNS TABLE (id int) LANGUAGE sql AS $$
	SELECT id FROM stored s WHERE (s.*) IS DISTINCT FROM
		(id, repeat('pglz ', 100 * id), repeat('lz4 ', 125 * id), repeat('external ', 30 * id),
		repeat('main ', 40 * id), repeat('plain', 5 * id), jsonb_build_object('lz4', repeat('lz4 ', 1000 * id)),
		vec(id, 1, 20 * id), vec(id, 2, 10 * id), array_fill(id::real, ARRAY[50 * id]), array_fill(id::real, ARRAY[50 * id]))
$$;
SELECT * FROM wrong_stored();
SELECT id, pg_column_compression(p) AS p, pg_column_compression(l) AS l, pg_column_compression(external) AS external,
		pg_column_compression(main) AS main, pg_column_compression(plain) AS plain, pg_column_compression(j) AS j,
		pg_column_compression(embedding) AS embedding, pg_column_compression(inline_embedding) AS inline,
		pg_column_compression(main_embedding) AS main, pg_column_compression(extended_embedding) AS extended
	FROM stored WHERE id IN (1, 20, 40) ORDER BY id;
-- vectors and EXTERNAL values are as large as what they hold, compressed ones are smaller; in tens of bytes, because
-- the 4 bytes of a value's header count once it has been read
SELECT id, pg_column_size(embedding) / 10 AS embedding, pg_column_size(inline_embedding) / 10 AS inline,
		pg_column_size(extended_embedding) / 10 AS extended, pg_column_size(main_embedding) < 500 AS main_compressed,
		pg_column_size(external) / 10 AS external, pg_column_size(plain) AS plain,
		pg_column_size(p) < 500 AS p_compressed, pg_column_size(l) < 500 AS l_compressed
	FROM stored WHERE id IN (1, 20, 40) ORDER BY id;
SET default_toast_compression = lz4;
CREATE TABLE more (id int PRIMARY KEY, t text) USING vecseg;
INSERT INTO more SELECT i, repeat('abc', 10000 * i) FROM generate_series(1, 3) i;
INSERT INTO more SELECT id + 10, p FROM stored WHERE id > 38;
SET default_toast_compression = pglz;
INSERT INTO more SELECT i, repeat('abc', 10000 * i) FROM generate_series(4, 6) i;
INSERT INTO more SELECT id + 20, t FROM more WHERE id < 7;
SELECT id, pg_column_compression(t), t = CASE WHEN id > 40 THEN repeat('pglz ', 100 * (id - 10))
		ELSE repeat('abc', 10000 * (id % 20)) END AS same
	FROM more ORDER BY id;
-- another method: for new values, and for a rewritten table
ALTER TABLE more ALTER t SET COMPRESSION lz4;
UPDATE more SET t = t || 'abc' WHERE id = 4;
VACUUM FULL more;
SELECT id, pg_column_compression(t), t = CASE WHEN id > 40 THEN repeat('pglz ', 100 * (id - 10))
		WHEN id = 4 THEN repeat('abc', 40001)
		ELSE repeat('abc', 10000 * (id % 20)) END AS same
	FROM more ORDER BY id;
DROP TABLE more;

-- toast_tuple_target
ALTER TABLE stored SET (toast_tuple_target = 128);
UPDATE stored SET id = id;
SELECT * FROM wrong_stored();
VACUUM FULL stored;
SELECT * FROM wrong_stored();
CREATE TABLE target (id int PRIMARY KEY, t text, u text, e real[]) USING vecseg WITH (toast_tuple_target = 128);
ALTER TABLE target ALTER t SET STORAGE EXTERNAL, ALTER e SET STORAGE EXTERNAL;
INSERT INTO target SELECT i, digits(i, i), digits(200 - i, i), vec(i, 1, 1 + i % 10) FROM generate_series(1, 200) i;
SELECT count(*), array_agg(id) FILTER (WHERE (t, u, e) IS DISTINCT FROM (digits(id, id), digits(200 - id, id), vec(id, 1, 1 + id % 10))) AS wrong
	FROM target;
UPDATE target SET t = u, u = t WHERE id % 2 = 0;
SELECT count(*), array_agg(id) FILTER (WHERE CASE WHEN id % 2 = 0 THEN (u, t, e) ELSE (t, u, e) END
		IS DISTINCT FROM (digits(id, id), digits(200 - id, id), vec(id, 1, 1 + id % 10))) AS wrong
	FROM target;
DROP TABLE target, stored;
DROP FUNCTION wrong_stored();

-- slices of external and of compressed values, at the edges of pages
CREATE TABLE slices (id int PRIMARY KEY, external text, compressed text, b bytea) USING vecseg;
ALTER TABLE slices ALTER external SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
CREATE TABLE slices_heap (LIKE slices INCLUDING ALL) USING heap;
INSERT INTO slices_heap SELECT i, digits(50000 + i, i), repeat(digits(100, i), 700), noise(30000 + i, i) FROM generate_series(1, 10) i;
INSERT INTO slices SELECT * FROM slices_heap;
SELECT count(*) FILTER (WHERE substr(s.external, o, l) IS DISTINCT FROM substr(h.external, o, l)
		OR substr(s.compressed, o, l) IS DISTINCT FROM substr(h.compressed, o, l)
		OR substr(s.b, o, l) IS DISTINCT FROM substr(h.b, o, l)) AS wrong, count(*)
	FROM slices s JOIN slices_heap h USING (id),
		unnest(ARRAY[1, 2, 3, 4, 5, 1995, 1996, 1997, 4000, 8150, 8151, 8155, 8156, 8157, 8158, 8159, 8160, 8161,
			8162, 8163, 8164, 8165, 8192, 8193, 16310, 16316, 16320, 16321, 30000, 49999, 50010, 69990, 100000]) o,
		unnest(ARRAY[0, 1, 2, 3, 4, 5, 8155, 8156, 8160, 8161, 8192, 20000]) l;
SELECT left(external, 5) = left(digits(100, id), 5) AS left, right(external, 5) = right(digits(50000 + id, id), 5) AS right,
		length(external), octet_length(b), starts_with(external, digits(90, id)) AS starts, get_byte(b, 29999) = get_byte(noise(30000, id), 29999) AS byte
	FROM slices ORDER BY id LIMIT 3;
DROP TABLE slices, slices_heap;

-- values of some MB, and one of 100 MB
CREATE TABLE huge (id int PRIMARY KEY, t text, b bytea, j jsonb, embedding real[]) USING vecseg;
ALTER TABLE huge ALTER t SET STORAGE EXTERNAL;
INSERT INTO huge VALUES
	(1, digits(5000000, 1), NULL, NULL, vec(1, 1, 768)),
	(2, NULL, noise(3000000, 2), NULL, vec(2, 1, 768)),
	(3, NULL, NULL, (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 50000) i), vec(3, 1, 768)),
	(4, NULL, NULL, NULL, array_fill(4::real, ARRAY[1000000]));
SELECT id, md5(t) = md5(digits(5000000, 1)) AS t, b = noise(3000000, 2) AS b,
		j = (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 50000) i) AS j,
		embedding = CASE WHEN id < 4 THEN vec(id, 1, 768) ELSE array_fill(4::real, ARRAY[1000000]) END AS embedding
	FROM huge ORDER BY id;
CREATE TABLE huge_heap (LIKE huge INCLUDING ALL) USING heap;
INSERT INTO huge_heap SELECT * FROM huge;
SELECT * FROM differences('huge', 'huge_heap');
UPDATE huge SET t = t || 'end', b = b || '\x01', j = j || '"end"', embedding = embedding || 5::real;
UPDATE huge_heap SET t = t || 'end', b = b || '\x01', j = j || '"end"', embedding = embedding || 5::real;
SELECT * FROM differences('huge', 'huge_heap');
VACUUM FULL huge;
SELECT * FROM differences('huge', 'huge_heap');
SELECT s.id, (s.t, s.b, s.j, s.embedding) IS NOT DISTINCT FROM (h.t, h.b, h.j, h.embedding) AS same
	FROM vecseg_scroll(NULL::huge) s JOIN huge_heap h USING (id) ORDER BY id;
SELECT count(*), count(*) FILTER (WHERE (s.t, s.b, s.j, s.embedding) IS DISTINCT FROM (h.t, h.b, h.j, h.embedding)) AS different
	FROM vecseg_retrieve(NULL::huge, '{4,2,1,3}') s JOIN huge_heap h USING (id);
TRUNCATE huge;
INSERT INTO huge VALUES (5, repeat('0123456789', 10000000), NULL, NULL, vec(5, 1, 768));
SELECT length(t), md5(t) = md5(repeat('0123456789', 10000000)) AS same, substr(t, 99999991) AS last,
		substr(t, 50000000, 15) AS middle, embedding = vec(5, 1, 768) AS embedding
	FROM huge;
UPDATE huge SET embedding = vec(6, 1, 768);
SELECT length(t), substr(t, 99999991) AS last, embedding = vec(6, 1, 768) AS embedding FROM huge;
BEGIN;
UPDATE huge SET t = t || 'x';
ROLLBACK;
SELECT length(t), substr(t, 99999991) AS last FROM vecseg_scroll(NULL::huge);
DROP TABLE huge, huge_heap;
DROP FUNCTION digits(int, int);
DROP FUNCTION noise(int, int);
