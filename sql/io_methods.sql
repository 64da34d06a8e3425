--
-- Every way of reading gives the same rows
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
-- A move to another tablespace leaves no page of a table in shared buffers, so
-- what follows it is read from the files.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE vecseg_cold LOCATION '';
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[], doc jsonb, lengths real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 768), jsonb_build_object('text', vec(i, 3, 3 + i % 400)::text), vec(i, 2, 3 + i % 500)
	FROM generate_series(1, 1500) i;
UPDATE items SET version = 2, embedding = vec(id, 2, 768) WHERE id % 3 = 0;
DELETE FROM items WHERE id % 10 = 0;
VACUUM items;
CREATE FUNCTION is_right(id int, version int, embedding real[], doc jsonb, lengths real[]) RETURNS boolean LANGUAGE sql AS $$
	SELECT embedding IS NOT DISTINCT FROM vec(id, version, 768) AND lengths IS NOT DISTINCT FROM vec(id, 2, 3 + id % 500)
		AND doc->>'text' IS NOT DISTINCT FROM vec(id, 3, 3 + id % 400)::text
$$;
-- how: 0 scan, 1 scroll, 2 scroll backwards, 3 retrieve at random, 4 retrieve few, 5 by single rows
CREATE FUNCTION read_items(how int, OUT rows bigint, OUT ids bigint, OUT wrong int[]) LANGUAGE plpgsql AS $$
DECLARE
	source text := (ARRAY['items', 'vecseg_scroll(NULL::items)', 'vecseg_scroll(NULL::items, backward => true)',
		'vecseg_retrieve(NULL::items, (SELECT array_agg(i ORDER BY hashint4(i)) FROM generate_series(1, 1500) i))',
		'vecseg_retrieve(NULL::items, (SELECT array_agg(i ORDER BY hashint4(i)) FROM generate_series(1, 1500, 149) i))',
		'(SELECT items.* FROM generate_series(1, 1500, 37) n CROSS JOIN LATERAL (SELECT * FROM items WHERE id = n OFFSET 0) items)'])[how + 1];
BEGIN
	EXECUTE format('SELECT count(*), sum(id), array_agg(id) FILTER (WHERE NOT is_right(id, version, embedding, doc, lengths)) FROM %s s', source)
		INTO rows, ids, wrong;
END
$$;
CREATE FUNCTION read_cold(method text, depth int) RETURNS TABLE (how int, rows bigint, ids bigint, wrong int[]) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('vecseg.io_method', method, false), set_config('vecseg.io_depth', depth::text, false);
	FOR n IN 0 .. 5 LOOP
		EXECUTE format('ALTER TABLE items SET TABLESPACE %I', CASE n % 2 WHEN 0 THEN 'vecseg_cold' ELSE 'pg_default' END);
		SELECT n, r.rows, r.ids, r.wrong INTO how, rows, ids, wrong FROM read_items(n) r;
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT how, r.* FROM generate_series(0, 5) how, read_items(how) r ORDER BY how;
SELECT * FROM read_cold('auto', 64);
SELECT * FROM read_cold('io_uring', 64);
SELECT * FROM read_cold('io_uring', 1);
SELECT * FROM read_cold('io_uring', 1024);
SELECT * FROM read_cold('sync', 64);
SELECT * FROM read_cold('sync', 1);
-- some pages in shared buffers, changed there, others in files
ALTER TABLE items SET TABLESPACE vecseg_cold;
UPDATE items SET version = 3, embedding = vec(id, 3, 768) WHERE id % 7 = 0;
SET vecseg.io_method = io_uring;
SELECT how, r.* FROM generate_series(0, 5) how, read_items(how) r ORDER BY how;
CHECKPOINT;
SET vecseg.io_method = sync;
SELECT how, r.* FROM generate_series(0, 5) how, read_items(how) r ORDER BY how;
-- stopped early, and again
SET vecseg.io_method = io_uring;
ALTER TABLE items SET TABLESPACE pg_default;
SELECT count(*), count(*) FILTER (WHERE NOT same) AS wrong FROM (SELECT embedding = vec(id, version, 768) AS same FROM vecseg_scroll(NULL::items) LIMIT 10) s;
SELECT id, embedding = vec(id, version, 768) AS same FROM vecseg_scroll(NULL::items, 700) LIMIT 1;
ALTER TABLE items SET TABLESPACE vecseg_cold;
SELECT count(*), count(*) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 768)) AS wrong FROM vecseg_scroll(NULL::items) WHERE 1 / (id - 700) < 0;
SELECT 1 / (id - 1001) + embedding[1] AS e FROM vecseg_scroll(NULL::items, 998);
BEGIN;
DECLARE a CURSOR FOR SELECT id, embedding = vec(id, version, 768) AS same FROM vecseg_scroll(NULL::items);
DECLARE b CURSOR FOR SELECT id, embedding = vec(id, version, 768) AS same FROM vecseg_scroll(NULL::items, backward => true);
DECLARE c CURSOR FOR SELECT id, embedding = vec(id, version, 768) AS same FROM items WHERE id % 2 = 1;
FETCH 1 FROM a; FETCH 1 FROM b; FETCH 1 FROM c;
MOVE 400 FROM a; MOVE 400 FROM b; MOVE 400 FROM c;
FETCH 1 FROM b; FETCH 1 FROM a;
CLOSE b;
FETCH 1 FROM a;
COMMIT;
-- small memory
SET work_mem = '64kB';
SELECT how, r.* FROM generate_series(0, 5) how, read_items(how) r ORDER BY how;
RESET work_mem;
RESET vecseg.io_method; RESET vecseg.io_depth;
SHOW vecseg.io_method;
SHOW vecseg.io_depth;
DROP FUNCTION read_cold(text, int);
DROP FUNCTION read_items(int);
DROP FUNCTION is_right(int, int, real[], jsonb, real[]);
DROP TABLE items;
DROP TABLESPACE vecseg_cold;
