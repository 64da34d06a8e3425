--
-- vecseg_scroll and vecseg_retrieve in transactions, functions, cursors, prepared statements
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id bigint PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 500) i;
CREATE FUNCTION check_scroll(OUT rows bigint, OUT ids bigint, OUT versions bigint, OUT wrong bigint[]) LANGUAGE sql AS $$
	SELECT count(*), sum(id), sum(version), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) FROM vecseg_scroll(NULL::items)
$$;

-- the snapshot: what the statement sees, not what it does
WITH new AS (INSERT INTO items SELECT i, 2, vec(i, 2, 64) FROM generate_series(501, 510) i RETURNING id),
	changed AS (UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id <= 10 RETURNING id)
	SELECT count(*), max(id), sum(version), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM vecseg_scroll(NULL::items);
SELECT * FROM check_scroll();
-- Halloween: a statement does not see its own rows
INSERT INTO items SELECT id + 1000, 4, vec(id + 1000, 4, 64) FROM vecseg_scroll(NULL::items, 400);
UPDATE items i SET version = 5, embedding = vec(i.id, 5, 64) FROM vecseg_scroll(NULL::items, 1000) s WHERE s.id = i.id;
DELETE FROM items WHERE id IN (SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[1501, 1502, 9999]));
INSERT INTO items SELECT id, version + 1, vec(id, version + 1, 64) FROM vecseg_scroll(NULL::items, 1400, 1450)
	ON CONFLICT (id) DO UPDATE SET version = excluded.version, embedding = excluded.embedding;
SELECT * FROM check_scroll();
SELECT * FROM check_vectors('items');
-- own changes in the transaction, after a savepoint, after a rollback
BEGIN;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(2001, 2010) i;
UPDATE items SET version = 7, embedding = vec(id, 7, 64) WHERE id % 50 = 0;
SELECT * FROM check_scroll();
SAVEPOINT a;
DELETE FROM items WHERE id > 100;
UPDATE items SET version = 8, embedding = vec(id, 8, 64);
SELECT * FROM check_scroll();
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items, '{2001,50,51}');
ROLLBACK TO a;
SELECT * FROM check_scroll();
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items, '{2001,50,51}');
ROLLBACK;
SELECT * FROM check_scroll();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM check_scroll();
UPDATE items SET version = 9, embedding = vec(id, 9, 64) WHERE id < 20;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items, 18, 21);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT * FROM check_scroll();
COMMIT;

-- a table changed, truncated, dropped in the transaction
BEGIN;
CREATE TABLE fresh (id int PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO fresh SELECT i, vec(i, 1, 64) FROM generate_series(1, 3) i;
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_scroll(NULL::fresh);
TRUNCATE fresh;
INSERT INTO fresh SELECT i, vec(i, 2, 64) FROM generate_series(3, 4) i;
SELECT id, embedding = vec(id, 2, 64) AS same FROM vecseg_scroll(NULL::fresh);
ALTER TABLE fresh ADD COLUMN more real[] DEFAULT '{1,2,3,4,5,6,7,8,9,0}';
SELECT id, more FROM vecseg_retrieve(NULL::fresh, '{4}');
CLUSTER fresh USING fresh_pkey;
SELECT id, embedding = vec(id, 2, 64) AS same, more[1:2] FROM vecseg_retrieve(NULL::fresh, '{4}');
ROLLBACK;

-- prepared statements, generic and custom plans, and changes of the table between executions
PREPARE scroll(bigint, bigint, boolean) AS SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items, $1, $2, $3) LIMIT 2;
PREPARE retrieve(bigint[]) AS SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items, $1);
SET plan_cache_mode = force_custom_plan;
EXECUTE scroll(5, NULL, false);
EXECUTE retrieve('{9,3}');
SET plan_cache_mode = force_generic_plan;
EXECUTE scroll(5, NULL, false);
EXECUTE scroll(5, 6, false);
EXECUTE scroll(NULL, 6, true);
EXECUTE scroll(5, NULL, NULL);
EXECUTE retrieve('{9,3}');
EXECUTE retrieve('{3,9,10000}');
EXECUTE retrieve(NULL);
ALTER TABLE items ADD COLUMN extra int DEFAULT 1;
UPDATE items SET version = 10, embedding = vec(id, 10, 64) WHERE id < 10;
EXECUTE scroll(5, NULL, false);
EXECUTE retrieve('{9,3}');
ALTER TABLE items DROP COLUMN extra;
EXECUTE retrieve('{9,3}');
ALTER TABLE items ALTER id TYPE int;
DO $$
BEGIN
	EXECUTE 'EXECUTE scroll(5, NULL, false)';
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE 'refused';
END
$$;
DO $$
BEGIN
	EXECUTE 'EXECUTE retrieve(''{9,3}'')';
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE 'refused';
END
$$;
ALTER TABLE items ALTER id TYPE bigint;
ALTER TABLE items DROP CONSTRAINT items_pkey;
EXECUTE scroll(5, NULL, false);
ALTER TABLE items ADD PRIMARY KEY (id);
EXECUTE scroll(5, NULL, false);
VACUUM FULL items;
EXECUTE scroll(5, NULL, false);
EXECUTE retrieve('{9,3}');
ALTER TABLE items SET ACCESS METHOD heap;
EXECUTE scroll(5, NULL, false);
EXECUTE retrieve('{9,3}');
ALTER TABLE items SET ACCESS METHOD vecseg;
EXECUTE scroll(5, NULL, false);
EXECUTE retrieve('{9,3}');
RESET plan_cache_mode;
DEALLOCATE ALL;

-- cursors: forwards, scrolled, held, over changes
BEGIN;
DECLARE c CURSOR FOR SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items, 20);
FETCH 2 FROM c;
UPDATE items SET version = 11, embedding = vec(id, 11, 64);
DELETE FROM items WHERE id = 23;
FETCH 2 FROM c;
MOVE 400 FROM c;
FETCH 1 FROM c;
CLOSE c;
DECLARE c SCROLL CURSOR FOR SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items, 20);
FETCH 2 FROM c;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 1 FROM c;
DECLARE h CURSOR WITH HOLD FOR SELECT id, version, embedding FROM vecseg_retrieve(NULL::items, '{30,20,10}');
DECLARE unfinished CURSOR FOR SELECT * FROM vecseg_scroll(NULL::items);
MOVE 5 FROM unfinished;
ROLLBACK;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT id, version, embedding[1:4] FROM vecseg_retrieve(NULL::items, '{30,20,10}');
COMMIT;
UPDATE items SET version = 12, embedding = vec(id, 12, 64);
FETCH ALL FROM h;
CLOSE h;
-- an error in the midst of a scroll, a subtransaction that ends with one open
SELECT 1 / (id - 40) FROM vecseg_scroll(NULL::items, 30);
BEGIN;
SAVEPOINT a;
DECLARE c CURSOR FOR SELECT id FROM vecseg_scroll(NULL::items, 20);
FETCH 1 FROM c;
ROLLBACK TO a;
SELECT * FROM check_scroll();
COMMIT;

-- PL/pgSQL
CREATE FUNCTION scroll_in_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r items;
	n int := 0;
	wrong int := 0;
BEGIN
	FOR r IN SELECT * FROM vecseg_scroll(NULL::items, 100, 300) LOOP
		n := n + 1;
		IF r.embedding IS DISTINCT FROM vec(r.id, r.version, 64) THEN
			wrong := wrong + 1;
		END IF;
		-- nested, and changing what is still to come
		IF n % 50 = 0 THEN
			SELECT wrong + count(*) INTO wrong FROM vecseg_retrieve(NULL::items, ARRAY[r.id, r.id + 1]) s
				WHERE s.embedding IS DISTINCT FROM vec(s.id, s.version, 64);
			UPDATE items SET version = 13, embedding = vec(id, 13, 64) WHERE id > r.id;
		END IF;
		EXIT WHEN n = 180;
	END LOOP;
	RETURN format('%s rows, %s wrong', n, wrong);
END
$$;
SELECT scroll_in_loop();
SELECT * FROM check_scroll();
CREATE FUNCTION page_after(last bigint, size int) RETURNS SETOF items STABLE LANGUAGE sql AS
	'SELECT * FROM vecseg_scroll(NULL::items, last) LIMIT size';
SELECT id, version, embedding = vec(id, version, 64) AS same FROM page_after(7, 2);
SELECT n, p.id FROM generate_series(100, 300, 100) n, page_after(n, 1) p;
CREATE VIEW scrolled AS SELECT * FROM vecseg_scroll(NULL::items, 10) WHERE version > 0;
SELECT id, embedding = vec(id, version, 64) AS same FROM scrolled LIMIT 2;
CREATE TABLE made USING vecseg AS SELECT * FROM scrolled;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM made;
CREATE MATERIALIZED VIEW made_view USING vecseg AS SELECT * FROM vecseg_retrieve(NULL::items, '{5,3}');
SELECT id, embedding = vec(id, version, 64) AS same FROM made_view ORDER BY id;
COPY (SELECT id, embedding[1:3] FROM vecseg_scroll(NULL::items, 10) LIMIT 2) TO STDOUT;
DO $$
BEGIN
	PERFORM * FROM vecseg_scroll(NULL::items, 'x'::text);
EXCEPTION WHEN invalid_text_representation THEN
	RAISE NOTICE 'caught: %', SQLERRM;
END
$$;
-- in parallel queries
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*), array_agg(s.id) FILTER (WHERE s.embedding IS DISTINCT FROM i.embedding) AS wrong FROM items i JOIN vecseg_scroll(NULL::items) s USING (id);
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
DROP VIEW scrolled;
DROP TABLE made;
DROP MATERIALIZED VIEW made_view;
DROP FUNCTION page_after(bigint, int);
DROP FUNCTION scroll_in_loop();
DROP FUNCTION check_scroll();
DROP TABLE items;
