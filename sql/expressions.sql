--
-- Vectors in expressions: whole rows, PL/pgSQL, array functions, parts changed in place, generated columns
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[], note jsonb) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64), jsonb_build_object('text', repeat(md5(i::text), 200)) FROM generate_series(1, 50) i;

-- whole rows, in and out of composites, records, json and other tables
CREATE TABLE rows_heap (id int PRIMARY KEY, item items) USING heap;
CREATE TABLE rows (id int PRIMARY KEY, item items, list items[]) USING vecseg;
INSERT INTO rows_heap SELECT id, i FROM items i;
INSERT INTO rows SELECT id, i, ARRAY[i, i] FROM items i;
SELECT count(*), array_agg(r.id) FILTER (WHERE item IS DISTINCT FROM i OR (item).embedding IS DISTINCT FROM vec(r.id, 1, 64)) AS wrong
	FROM rows_heap r JOIN items i USING (id);
SELECT count(*), array_agg(r.id) FILTER (WHERE item IS DISTINCT FROM i OR list IS DISTINCT FROM ARRAY[i, i]
		OR (list[2]).embedding IS DISTINCT FROM vec(r.id, 1, 64)) AS wrong
	FROM rows r JOIN items i USING (id);
UPDATE items SET version = 2, embedding = vec(id, 2, 64);
VACUUM FULL items;
DELETE FROM items WHERE id > 40;
SELECT count(*), array_agg(id) FILTER (WHERE (item).embedding IS DISTINCT FROM vec(id, 1, 64)
		OR (item).note IS DISTINCT FROM jsonb_build_object('text', repeat(md5(id::text), 200))
		OR (list[1]).embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong
	FROM rows;
SELECT count(*), array_agg(id) FILTER (WHERE (item).embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM rows_heap;
INSERT INTO items SELECT (item).* FROM rows WHERE id > 40;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id > 40;
SELECT * FROM check_vectors('items');
UPDATE rows SET item.embedding = vec(id, 2, 64), item.version = 2;
SELECT count(*), array_agg(r.id) FILTER (WHERE item IS DISTINCT FROM i) AS wrong FROM rows r JOIN items i USING (id);
UPDATE rows SET item.embedding[1] = -1, list[1].embedding = NULL WHERE id = 3;
SELECT (item).embedding[1:4], (list[1]).embedding IS NULL AS list_null, (list[2]).embedding = vec(3, 1, 64) AS other FROM rows WHERE id = 3;
SELECT count(*) FROM items i WHERE (row_to_json(i)->>'embedding')::jsonb <> to_jsonb(vec(id, 2, 64))
	OR (to_jsonb(i)->'embedding') <> to_jsonb(vec(id, 2, 64)) OR jsonb_populate_record(NULL::items, to_jsonb(i)) IS DISTINCT FROM i;
SELECT count(*) FROM items i WHERE i::text::items IS DISTINCT FROM i;
SELECT i FROM (SELECT id, version, embedding[1:3] FROM items ORDER BY id LIMIT 1) i;
SELECT (SELECT count(DISTINCT i) FROM items i), (SELECT count(*) FROM (SELECT * FROM items UNION SELECT * FROM items) u),
	(SELECT count(*) FROM (SELECT embedding FROM items INTERSECT SELECT vec(i, 2, 64) FROM generate_series(1, 50) i) u),
	(SELECT array_agg(i ORDER BY id) FROM items i) = (SELECT array_agg(i ORDER BY i.embedding) FROM items i) AS sorted;
-- hash and sort with values of their own, merge and hash joins on vectors
SET work_mem = '64kB';
CREATE TEMP TABLE expected AS SELECT i AS id, vec(i, 2, 64) AS embedding FROM generate_series(1, 50) i;
SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT count(*) FROM items JOIN expected USING (embedding) WHERE items.id = expected.id;
RESET enable_hashjoin; SET enable_mergejoin = off;
SELECT count(*) FROM items JOIN expected USING (embedding) WHERE items.id = expected.id;
RESET enable_mergejoin; RESET enable_nestloop;
SELECT count(*), array_agg(id ORDER BY id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 2, 64)) AS wrong
	FROM (SELECT * FROM items ORDER BY note DESC, embedding OFFSET 0) s;
SELECT id, first_value(embedding) OVER w = vec(1, 2, 64) AS first, lag(embedding) OVER w = vec(id - 1, 2, 64) AS previous
	FROM items WINDOW w AS (ORDER BY id) ORDER BY id LIMIT 3;
RESET work_mem;
DROP TABLE rows, rows_heap, expected;

-- PL/pgSQL: variables that outlive the row, loops, exceptions, arrays changed
DO $$
DECLARE
	kept items;
	kept_vector real[];
	r record;
	n int := 0;
BEGIN
	SELECT * INTO kept FROM items WHERE id = 1;
	SELECT embedding INTO kept_vector FROM items WHERE id = 2;
	DELETE FROM items WHERE id IN (1, 2);
	FOR r IN SELECT * FROM items ORDER BY id LOOP
		IF r.embedding IS DISTINCT FROM vec(r.id, 2, 64) THEN
			RAISE WARNING 'wrong vector in row %', r.id;
		END IF;
		UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id = r.id;
		n := n + 1;
	END LOOP;
	FOR r IN EXECUTE 'SELECT id, embedding FROM items ORDER BY id DESC' LOOP
		r.embedding[1] := r.embedding[1] + 1;
		IF r.embedding[1] <> r.id + 1 OR r.embedding[4:64] <> (vec(r.id, 3, 64))[4:64] THEN
			RAISE WARNING 'wrong vector in row %', r.id;
		END IF;
	END LOOP;
	kept_vector[3] := 7;
	INSERT INTO items VALUES (2, 4, kept_vector), (1, 4, kept.embedding);
	BEGIN
		UPDATE items SET version = 5, embedding = vec(id, 5, 64);
		kept_vector := (SELECT embedding FROM items WHERE id = 9);
		INSERT INTO items VALUES (9, 1, NULL);
	EXCEPTION WHEN unique_violation THEN
		RAISE NOTICE 'vector read in the failed block is right: %', kept_vector = vec(9, 5, 64);
	END;
	INSERT INTO items VALUES (60, 5, kept_vector);
	RAISE NOTICE '% rows', n;
END
$$;
SELECT id, version, embedding[1:4], embedding[4:64] = CASE id WHEN 60 THEN (vec(9, 5, 64))[4:64] ELSE (vec(id, 2, 64))[4:64] END AS same
	FROM items WHERE id IN (1, 2, 60) ORDER BY id;
DELETE FROM items WHERE id IN (1, 2, 60);
SELECT * FROM check_vectors('items');
CREATE FUNCTION nth(i items, n int) RETURNS real LANGUAGE plpgsql AS $$ BEGIN RETURN i.embedding[n]; END $$;
CREATE FUNCTION renewed(i items) RETURNS items LANGUAGE plpgsql AS $$
BEGIN
	i.version := i.version + 1;
	i.embedding := vec(i.id, i.version, 64);
	RETURN i;
END
$$;
CREATE FUNCTION get_item(wanted int) RETURNS SETOF items LANGUAGE sql AS 'SELECT * FROM items WHERE id = wanted';
SELECT count(*) FROM items i WHERE nth(i, 7) <> (vec(id, 3, 64))[7];
SELECT count(*) FROM items i, renewed(i) r WHERE r.embedding <> vec(i.id, 4, 64);
SELECT id, embedding = vec(33, 3, 64) AS same FROM get_item(33);
INSERT INTO items SELECT (renewed(i)).* FROM items i WHERE id <= 10 ON CONFLICT (id)
	DO UPDATE SET version = excluded.version, embedding = excluded.embedding;
SELECT * FROM check_vectors('items');

-- array functions and parts
SELECT count(*) FROM items i WHERE array_length(embedding, 1) <> 64 OR cardinality(embedding) <> 64 OR array_upper(embedding, 1) <> 64
	OR embedding[10:20] <> (vec(id, version, 64))[10:20] OR embedding[:3] <> ARRAY[id, 0, version]::real[]
	OR embedding[64] <> (vec(id, version, 64))[64] OR embedding[65] IS NOT NULL
	OR array_position(embedding, embedding[30]) > 30 OR array_append(embedding, 1) <> vec(id, version, 64) || 1::real
	OR (SELECT sum(e * o) FROM unnest(embedding) WITH ORDINALITY u(e, o)) IS DISTINCT FROM
		(SELECT sum(e * o) FROM unnest(vec(id, version, 64)) WITH ORDINALITY u(e, o))
	OR array_to_string(embedding, ',') <> array_to_string(vec(id, version, 64), ',') OR embedding::float8[]::real[] <> vec(id, version, 64);
SELECT id FROM items WHERE 17 = ANY (embedding) AND embedding @> ARRAY[17::real] ORDER BY id;
UPDATE items SET embedding[3] = 6, version = 6 WHERE id % 2 = 0;
UPDATE items SET embedding[4:64] = (vec(id, 6, 64))[4:64] WHERE id % 2 = 0;
SELECT * FROM check_vectors('items');
UPDATE items SET embedding[70] = 1, embedding[0] = 2 WHERE id = 4;
SELECT array_dims(embedding), embedding[0], embedding[1:64] = vec(4, 6, 64) AS same, embedding[65], embedding[70] FROM items WHERE id = 4;
UPDATE items SET embedding = embedding[1:64] WHERE id = 4;
UPDATE items SET embedding = embedding || embedding || embedding WHERE id = 6;
SELECT cardinality(embedding), embedding[65:128] = vec(6, 6, 64) AS same FROM items WHERE id = 6;
UPDATE items SET embedding = trim_array(embedding, 128) WHERE id = 6;
SELECT * FROM check_vectors('items');
-- an expanded array, as PL/pgSQL holds it
DO $$
DECLARE
	v real[];
BEGIN
	SELECT embedding INTO v FROM items WHERE id = 8;
	FOR i IN 1 .. 64 LOOP
		v[i] := (vec(8, 7, 64))[i];
	END LOOP;
	UPDATE items SET version = 7, embedding = v WHERE id = 8;
	v := vec(9, 7, 64);
	v[1] := v[1];
	UPDATE items SET version = 7, embedding = v WHERE id = 9;
	INSERT INTO items VALUES (70, 7, array_fill(0::real, ARRAY[64]));
	v[1] := 70;
END
$$;
UPDATE items SET embedding = vec(70, 7, 64) WHERE id = 70;
SELECT * FROM check_vectors('items');
DROP FUNCTION nth(items, int);
DROP FUNCTION renewed(items);
DROP FUNCTION get_item(int);
DROP TABLE items;

-- generated columns, defaults, checks, identity
CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, version int DEFAULT 1,
	embedding real[] DEFAULT vec(0, 1, 64) CHECK (cardinality(embedding) = 64),
	twice real[] GENERATED ALWAYS AS (embedding || embedding) STORED,
	first real GENERATED ALWAYS AS (embedding[1]) STORED) USING vecseg;
INSERT INTO generated (version, embedding) SELECT 1, vec(i, 1, 64) FROM generate_series(1, 50) i;
INSERT INTO generated DEFAULT VALUES;
UPDATE generated SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
UPDATE generated SET version = 2 WHERE id = 51;
UPDATE generated SET embedding = '{1}' WHERE id = 51;
SELECT count(*), sum(version), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)
		OR twice IS DISTINCT FROM vec(id, version, 64) || vec(id, version, 64) OR first <> id) AS wrong
	FROM generated WHERE id <= 50;
SELECT embedding = vec(0, 1, 64) AS default, twice[65:128] = embedding AS twice, first FROM generated WHERE id = 51;
DROP TABLE generated;
