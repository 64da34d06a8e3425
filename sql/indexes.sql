--
-- Indexes of all kinds, found rows compared with a heap table's
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int, version int, embedding real[], word text, doc jsonb, r int4range, p point) USING vecseg;
CREATE TABLE items_heap (LIKE items) USING heap;
INSERT INTO items_heap SELECT i, 1, vec(i, 1, 64), md5(i::text), jsonb_build_object('n', i % 10, 'words', (SELECT jsonb_agg(md5(k::text)) FROM generate_series(i, i + 60) k)),
		int4range(i * 10, i * 10 + 5), point(i, -i)
	FROM generate_series(1, 1000) i;
INSERT INTO items SELECT * FROM items_heap;
CREATE UNIQUE INDEX items_id ON items (id);
CREATE INDEX items_word_hash ON items USING hash (word);
CREATE INDEX items_word ON items (word) INCLUDE (id);
CREATE INDEX items_doc ON items USING gin (doc);
CREATE INDEX items_brin ON items USING brin (version, id) WITH (pages_per_range = 2);
CREATE INDEX items_r ON items USING gist (r);
CREATE INDEX items_p ON items USING spgist (p);
CREATE INDEX items_partial ON items (version) WHERE embedding[1] < 10;
CREATE INDEX items_first ON items ((embedding[4]));
CREATE INDEX items_part ON items ((embedding[4:6]));
CREATE INDEX items_elements ON items USING gin ((embedding[1:3]));
CREATE INDEX items_length ON items ((cardinality(embedding)), (doc->>'n'));
-- by each index alone: the rows, and their vectors
CREATE FUNCTION compare_by_index(condition text) RETURNS TABLE (rows bigint, wrong int[], by_index boolean)
LANGUAGE plpgsql AS $$
DECLARE
	plan text := '';
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT * FROM items WHERE ' || condition LOOP
		plan := plan || line;
	END LOOP;
	by_index := plan ~ '(Index|Bitmap)';
	EXECUTE format('SELECT count(a.id), array_agg(coalesce(a.id, b.id) ORDER BY coalesce(a.id, b.id))'
		' FILTER (WHERE a *<> b OR a.id IS NULL OR b.id IS NULL)'
		' FROM (SELECT * FROM items WHERE %1$s OFFSET 0) a FULL JOIN (SELECT * FROM items_heap WHERE %1$s OFFSET 0) b'
		' ON a.id = b.id', condition) INTO rows, wrong;
	RETURN NEXT;
END
$$;
CREATE FUNCTION compare_by_indexes() RETURNS TABLE (condition text, rows bigint, wrong int[], by_index boolean)
LANGUAGE sql SET enable_seqscan = off AS $$
	SELECT c, r.* FROM unnest(ARRAY[
			'id = 77', 'id BETWEEN 100 AND 299', 'word = md5(''500'')', 'word > ''f''', 'doc @> ''{"n": 3}''',
			'doc @> jsonb_build_object(''words'', jsonb_build_array(md5(''700'')))',
			'version = 2 AND id < 100', 'r && int4range(500, 600)', 'p <@ box(''(10, -100)'', ''(100, -10)'')',
			'version = 1 AND embedding[1] < 10', 'embedding[4] BETWEEN -0.1 AND 0.1', 'embedding[4:6] > ARRAY[0.9::real]',
			'embedding[1:3] @> ARRAY[17::real]', 'cardinality(embedding) = 64 AND doc->>''n'' = ''7'''
		]) WITH ORDINALITY u(c, n), compare_by_index(c) r ORDER BY n
$$;
SELECT * FROM compare_by_indexes();
-- after changes to vectors and to others
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
UPDATE items_heap SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
UPDATE items SET doc = doc || '{"new": true, "n": 3}', word = word || 'x' WHERE id % 3 = 0;
UPDATE items_heap SET doc = doc || '{"new": true, "n": 3}', word = word || 'x' WHERE id % 3 = 0;
UPDATE items SET embedding[4:6] = '{0.05,1,1}' WHERE id % 7 = 0;
UPDATE items_heap SET embedding[4:6] = '{0.05,1,1}' WHERE id % 7 = 0;
DELETE FROM items WHERE id % 11 = 0;
DELETE FROM items_heap WHERE id % 11 = 0;
SELECT * FROM compare_by_indexes();
VACUUM items;
INSERT INTO items SELECT i, 3, vec(i, 3, 64), md5(i::text), NULL, NULL, NULL FROM generate_series(1001, 1200) i;
INSERT INTO items_heap SELECT i, 3, vec(i, 3, 64), md5(i::text), NULL, NULL, NULL FROM generate_series(1001, 1200) i;
SELECT * FROM compare_by_indexes();
-- built anew
REINDEX TABLE items;
SELECT * FROM compare_by_indexes();
REINDEX TABLE CONCURRENTLY items;
SELECT * FROM compare_by_indexes();
DROP INDEX items_id, items_word, items_word_hash, items_doc, items_brin, items_r, items_p, items_partial, items_first, items_part, items_elements, items_length;
CREATE UNIQUE INDEX CONCURRENTLY items_id ON items (id);
CREATE INDEX CONCURRENTLY items_word ON items (word);
CREATE INDEX CONCURRENTLY items_doc ON items USING gin (doc);
CREATE INDEX CONCURRENTLY items_brin ON items USING brin (version, id) WITH (pages_per_range = 2);
CREATE INDEX CONCURRENTLY items_r ON items USING gist (r);
CREATE INDEX CONCURRENTLY items_p ON items USING gist (p);
CREATE INDEX CONCURRENTLY items_partial ON items (version) WHERE embedding[1] < 10;
CREATE INDEX CONCURRENTLY items_first ON items USING hash ((embedding[4]));
CREATE INDEX CONCURRENTLY items_first_btree ON items ((embedding[4]));
CREATE INDEX CONCURRENTLY items_part ON items ((embedding[4:6]));
CREATE INDEX CONCURRENTLY items_elements ON items USING gin ((embedding[1:3]));
CREATE INDEX CONCURRENTLY items_length ON items ((cardinality(embedding)), (doc->>'n'));
SELECT * FROM compare_by_indexes();
-- in parallel
SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2;
ALTER TABLE items SET (parallel_workers = 2);
REINDEX INDEX items_first_btree;
REINDEX INDEX items_part;
SELECT * FROM compare_by_indexes();
RESET min_parallel_table_scan_size; RESET max_parallel_maintenance_workers;
-- on the vector itself
CREATE INDEX items_whole ON items (embedding);
SET enable_seqscan = off;
SELECT id FROM items WHERE embedding = vec(999, 1, 64);
RESET enable_seqscan;
\set VERBOSITY terse
INSERT INTO items (id, embedding) VALUES (9999, vec(1, 1, 2000));
\set VERBOSITY default
DROP INDEX items_whole;
DROP FUNCTION compare_by_index(text) CASCADE;
DROP FUNCTION compare_by_indexes();
DROP TABLE items, items_heap;

-- index-only scans, and index scans by order of the index
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 1000) i;
VACUUM (ANALYZE) items;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM items WHERE id < 500;
SELECT count(*) FROM items WHERE id < 500;
EXPLAIN (COSTS OFF) SELECT id, embedding FROM items ORDER BY id DESC;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM (SELECT * FROM items ORDER BY id DESC OFFSET 0) s;
RESET enable_seqscan;

-- unique violations leave nothing behind
INSERT INTO items VALUES (500, 2, vec(500, 2, 64));
UPDATE items SET id = 501, embedding = vec(501, 3, 64) WHERE id = 500;
INSERT INTO items SELECT i, 2, vec(i, 2, 64) FROM generate_series(1001, 1100) i UNION ALL SELECT 1, 2, NULL;
SELECT * FROM check_vectors('items');
-- deferred ones
CREATE TABLE deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, version int, embedding real[]) USING vecseg;
INSERT INTO deferred SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 10) i;
UPDATE deferred SET id = 11 - id, embedding = vec(11 - id, 1, 64);
SELECT * FROM check_vectors('deferred');
BEGIN;
INSERT INTO deferred VALUES (3, 1, vec(3, 1, 64));
SELECT count(*) FROM deferred WHERE id = 3;
COMMIT;
SELECT * FROM check_vectors('deferred');

-- exclusion constraint
CREATE TABLE excluding (id int PRIMARY KEY, during int4range, embedding real[], EXCLUDE USING gist (during WITH &&)) USING vecseg;
INSERT INTO excluding SELECT i, int4range(i * 10, i * 10 + 10), vec(i, 1, 64) FROM generate_series(1, 50) i;
INSERT INTO excluding VALUES (51, '[99,101)', vec(51, 1, 64));
INSERT INTO excluding VALUES (51, '[99,101)', vec(51, 1, 64)) ON CONFLICT DO NOTHING;
UPDATE excluding SET during = '[1000,2000)' WHERE id = 7;
UPDATE excluding SET during = '[1000,2000)' WHERE id = 8;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM excluding;

-- foreign keys, from and to vecseg tables
CREATE TABLE parent (id int PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, embedding real[]) USING vecseg;
CREATE TABLE heap_child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE) USING heap;
CREATE TABLE grandchild (id int PRIMARY KEY, heap_child int REFERENCES heap_child, embedding real[]) USING vecseg;
INSERT INTO parent SELECT i, vec(i, 1, 64) FROM generate_series(1, 20) i;
INSERT INTO child SELECT i, 1 + i % 20, vec(i, 1, 64) FROM generate_series(1, 60) i;
INSERT INTO heap_child SELECT i, i FROM generate_series(1, 20) i;
INSERT INTO grandchild SELECT i, i, vec(i, 1, 64) FROM generate_series(1, 20) i;
INSERT INTO child VALUES (99, 99, vec(99, 1, 64));
UPDATE parent SET id = id + 100 WHERE id <= 5;
DELETE FROM parent WHERE id BETWEEN 6 AND 10;
SELECT count(*), sum(parent), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM child;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(CASE WHEN id > 100 THEN id - 100 ELSE id END, 1, 64)) AS wrong FROM parent;
DELETE FROM heap_child WHERE id = 20;
DELETE FROM grandchild WHERE id = 20;
DELETE FROM heap_child WHERE id = 20;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM grandchild;
DROP TABLE items, deferred, excluding, parent, child, heap_child, grandchild;

-- functions of an index that run queries on the table, though they say that they do not
CREATE FUNCTION new_built() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS built;
	CREATE TABLE built (id int, version int, embedding real[]) USING vecseg;
	INSERT INTO built SELECT i, 1, vec(i, 1, 700) FROM generate_series(1, 20) i;
END $$;
SET client_min_messages = warning;
SELECT new_built();
CREATE FUNCTION add_row(i int) RETURNS int VOLATILE LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('regress.add') <> '' AND i <= 20 THEN
		INSERT INTO public.built VALUES (i + current_setting('regress.add')::int, 1, public.vec(i + current_setting('regress.add')::int, 1, 700));
	END IF;
	RETURN i;
END $$;
CREATE FUNCTION same_id(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.add_row(i); END $$;
CREATE FUNCTION has_id(i int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.add_row(i) > 0; END $$;
CREATE FUNCTION first_of(i int, e real[]) RETURNS real IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN e[1] + 0 * public.add_row(i); END $$;
SET regress.add = 1000;
CREATE INDEX built_i ON built (same_id(id));
SET regress.add = '';
SELECT * FROM check_vectors('built', 700);
SELECT * FROM vecseg_check('built');
SELECT new_built();
SET regress.add = 2000;
CREATE INDEX built_i ON built (id) WHERE has_id(id);
SET regress.add = '';
SELECT * FROM check_vectors('built', 700);
SELECT * FROM vecseg_check('built');
SELECT new_built();
SET regress.add = 3000;
CREATE INDEX built_i ON built USING brin (first_of(id, embedding));
SET regress.add = '';
SELECT * FROM check_vectors('built', 700);
SELECT * FROM vecseg_check('built');
-- and one that leaves a cursor behind, or fails
SELECT new_built();
CREATE FUNCTION open_cursor(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
	rows refcursor := 'rows';
	found int;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_cursors WHERE name = 'rows') THEN
		OPEN rows FOR SELECT id, embedding[1] = (public.vec(id, 1, 700))[1] AS same FROM public.built;
		FETCH rows INTO found;
	END IF;
	BEGIN
		PERFORM embedding / 0 FROM public.built;
	EXCEPTION WHEN undefined_function THEN
	END;
	RETURN 1 / (i - 2 * current_setting('regress.fail')::int);
END $$;
BEGIN;
SET LOCAL regress.fail = 0;
CREATE INDEX built_j ON built (open_cursor(id));
FETCH 3 rows;
MOVE ALL rows;
CLOSE rows;
COMMIT;
SET regress.fail = 1;
REINDEX INDEX built_j;
RESET regress.fail;
SELECT * FROM check_vectors('built', 700);
DROP TABLE built;
DROP FUNCTION new_built();
RESET client_min_messages;
DROP FUNCTION add_row(int);
DROP FUNCTION same_id(int);
DROP FUNCTION has_id(int);
DROP FUNCTION first_of(int, real[]);
DROP FUNCTION open_cursor(int);
