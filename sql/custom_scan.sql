--
-- Scans that read ahead ("Vecseg Scan"), and vecseg_scroll and vecseg_retrieve
-- as parts of a query
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SCHEMA custom_scan;
SET search_path = custom_scan, public;
CREATE TABLE items (id bigint PRIMARY KEY, version int, embedding real[],
	payload jsonb, grp int, body text) USING vecseg;
CREATE INDEX items_grp_idx ON items (grp);
INSERT INTO items SELECT i, 1, vec(i, 1, 64), jsonb_build_object('city', CASE WHEN i % 10 = 0 THEN 'Berlin' ELSE 'Paris' END),
	i % 100, CASE WHEN i % 9 = 0 THEN repeat(md5(i::text), 100) WHEN i % 7 <> 0 THEN 'body' || i END
	FROM generate_series(1, 6000) i;
DELETE FROM items WHERE id % 13 = 0;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 17 = 0;
UPDATE items SET embedding = NULL WHERE id % 101 = 0;
BEGIN;
UPDATE items SET version = 3, grp = -1;
ROLLBACK;
CREATE TABLE plain AS SELECT * FROM items;
ALTER TABLE plain ADD PRIMARY KEY (id);
CREATE INDEX ON plain (grp);
CREATE TABLE asked (a bigint, b int, ids bigint[]);
INSERT INTO asked SELECT i * 400, i * 400 + i % 5, ARRAY[i * 7, i * 300, i, -i, NULL, i * 7] FROM generate_series(1, 15) i;
INSERT INTO asked VALUES (NULL, 3, NULL), (5998, NULL, '{}'), (NULL, NULL, '{NULL}');
VACUUM ANALYZE items, plain, asked;

-- Run a query without and with the scans: the number of rows if they are the
-- same in the same order
CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	setting text;
	rows bigint[];
	sums text[];
	n bigint;
	sum text;
BEGIN
	FOREACH setting IN ARRAY '{off,on}'::text[] LOOP
		PERFORM set_config('vecseg.enable_custom_scan', setting, false);
		EXECUTE format('SELECT count(*), md5(coalesce(string_agg(n || s::text, chr(10) ORDER BY n), %L))'
					   ' FROM (SELECT row_number() OVER () AS n, s FROM (%s) s) t', '', query)
			INTO n, sum;
		rows := rows || n;
		sums := sums || sum;
	END LOOP;
	RETURN CASE WHEN sums[1] = sums[2] THEN rows[1]::text
		ELSE format('DIFFERENT: %s and %s rows', rows[1], rows[2]) END;
END
$$;

--
-- Plans
--
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_scroll(NULL::items);
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_scroll(NULL::items, backward => true) LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id, payload FROM vecseg_scroll(NULL::items, after => 1000)
	WHERE payload->>'city' = 'Berlin' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id, embedding FROM vecseg_scroll(NULL::items, 1000, 2000)
	WHERE embedding[1] > 0 AND grp = 5 AND body IS NOT NULL;
EXPLAIN (COSTS OFF) SELECT id FROM vecseg_scroll(NULL::items, 1000);
EXPLAIN (COSTS OFF, VERBOSE) SELECT id, embedding FROM vecseg_retrieve(NULL::items, '{5,3,5,1}');
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE id = ANY ('{5,3,5,1}');
EXPLAIN (COSTS OFF) SELECT * FROM items ORDER BY id DESC LIMIT 10;
EXPLAIN (COSTS OFF) SELECT embedding FROM items WHERE grp = 7;
-- no vectors, or one row: nothing to read ahead
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE grp = 7;
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE id = 5;
-- an index has the value itself, however large its column may be elsewhere
CREATE TABLE named (name text, n int, embedding real[]) USING vecseg;
INSERT INTO named SELECT 'name ' || i, i, vec(i, 1, 64) FROM generate_series(1, 500) i;
CREATE INDEX ON named (name);
SET enable_bitmapscan = off;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT name FROM named WHERE name < 'name 2' ORDER BY name;
SELECT explain('SELECT min(name), max(name) FROM named', 'ANALYZE OFF');
EXPLAIN (COSTS OFF) SELECT name, n FROM named WHERE name < 'name 2' ORDER BY name;
RESET enable_bitmapscan;
RESET enable_seqscan;
-- all rows in no order
EXPLAIN (COSTS OFF) SELECT * FROM items;
-- most rows are sorted away: their vectors are not read before
EXPLAIN (COSTS OFF) SELECT id, embedding FROM items WHERE id = ANY ('{5,3,5,1}') ORDER BY grp LIMIT 2;
EXPLAIN (COSTS OFF) SELECT id, embedding FROM items WHERE id = ANY ('{5,3,5,1}') ORDER BY embedding[3] LIMIT 2;
-- what the scan did
SELECT explain($$SELECT * FROM vecseg_retrieve(NULL::items, '{5,3,1}') WHERE grp % 2 = 0 AND version = 9$$,
	'ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT JSON');
SELECT explain($$SELECT * FROM vecseg_scroll(NULL::items) WHERE grp % 2 = 0 AND embedding[1] > 100 LIMIT 3$$);
SELECT explain('SELECT * FROM vecseg_scroll(NULL::items) LIMIT 1');

--
-- The same rows as without
--
SELECT same('SELECT * FROM vecseg_scroll(NULL::items)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 100)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, upto => 100)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 100, 200)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 200, 100)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 200, 100, true)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, backward => true)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, backward => NULL)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 100, 200, backward => (SELECT true))');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, (SELECT 5000), (SELECT NULL::int))');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 5.5, 10.0)');
SELECT same($$SELECT * FROM vecseg_scroll(NULL::items, '100', '103')$$);
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 100) LIMIT 3');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 100) LIMIT 3 OFFSET 700');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items) WHERE grp = 3 AND embedding IS NOT NULL ORDER BY id DESC');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items) WHERE body IS NULL OR length(body) > 1000');
SELECT same('SELECT s FROM vecseg_scroll(NULL::items, 10, 20) s');
SELECT same('SELECT (s).embedding[1:3], s.* FROM vecseg_scroll(NULL::items, 10, 20) s');
SELECT same('SELECT * FROM vecseg_scroll(NULL::items, 10, 20) WITH ORDINALITY');
SELECT same('SELECT * FROM ROWS FROM (vecseg_scroll(NULL::items, 10, 12), vecseg_retrieve(NULL::items, ARRAY[3, 2]))');
SELECT same('SELECT vecseg_scroll(NULL::items, 10, 20)');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[7, 3, 99, 3, -1, NULL, 6000, 13])');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::items, NULL::int[])');
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::items, '{}'::int[])$$);
SELECT same('SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[NULL]::int[])');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[[4, 3], [2, 1]])');
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::items, ARRAY['5', '4'])$$);
SELECT same('SELECT * FROM vecseg_retrieve(NULL::items, ARRAY(SELECT id FROM plain ORDER BY md5(id::text)))');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::items, ARRAY(SELECT (i * 7919) % 7000 FROM generate_series(1, 100000) i))');
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::items, string_to_array('9,8,7', ',')::bigint[]) WHERE grp <> 8$$);
SELECT same('SELECT id FROM vecseg_retrieve(NULL::items, ARRAY(SELECT id FROM plain ORDER BY md5(id::text))) LIMIT 10 OFFSET 1200');
SELECT same('SELECT embedding FROM vecseg_retrieve(NULL::items, ARRAY[4000, 3000, 2000, 1000]) WHERE embedding[1] < 3500');
SELECT same('SELECT count(*), sum(embedding[1]) FROM vecseg_scroll(NULL::items)');
SELECT same($$SELECT * FROM items WHERE id = ANY ('{9,8,7,8}') ORDER BY id$$);
SELECT same($$SELECT * FROM items WHERE id = ANY ('{9,8,7,8}') AND id = ANY ('{8,9,10}') ORDER BY id$$);
SELECT same($$SELECT * FROM items WHERE id < ANY ('{100,50,200}') ORDER BY id$$);
SELECT same($$SELECT * FROM items WHERE id >= ANY ('{5990,5995}') ORDER BY id$$);
SELECT same($$SELECT * FROM items WHERE id > ANY ('{5990,5995}') ORDER BY id DESC$$);
SELECT same($$SELECT * FROM items WHERE id <= ANY ('{}'::int[]) ORDER BY id$$);
SELECT same($$SELECT * FROM items WHERE id <= ANY ('{NULL,20,NULL,10}'::int[]) ORDER BY id$$);
SELECT same('SELECT * FROM items WHERE grp = ANY (ARRAY[5, 55, 5]) AND version = 2 ORDER BY grp, id');
SELECT same('SELECT tableoid::regclass, ctid, xmin, id, embedding FROM items ORDER BY id DESC LIMIT 500');
SELECT same('SELECT pg_column_size(embedding), pg_column_compression(body) FROM items WHERE id < 100 ORDER BY id');

-- ... and as in a table that is not ours
(TABLE plain EXCEPT SELECT * FROM vecseg_scroll(NULL::items))
UNION ALL (SELECT * FROM vecseg_scroll(NULL::items) EXCEPT TABLE plain);
(SELECT * FROM plain WHERE grp IN (1, 2, 3) EXCEPT SELECT * FROM items WHERE grp IN (1, 2, 3))
UNION ALL (SELECT * FROM items WHERE grp IN (1, 2, 3) EXCEPT SELECT * FROM plain WHERE grp IN (1, 2, 3));
SELECT count(*) FROM (SELECT p *= i AS same FROM plain p JOIN vecseg_retrieve(NULL::items, ARRAY(SELECT id FROM plain)) i USING (id)) s
	WHERE same;

--
-- In larger queries
--
-- bounds and ids from other tables, null or not
EXPLAIN (COSTS OFF) SELECT a, b, s.* FROM asked, vecseg_scroll(NULL::items, a, b) s;
SELECT a, b, s.id, s.version, s.embedding = vec(s.id, s.version, 64) AS ok
	FROM asked, LATERAL (SELECT * FROM vecseg_scroll(NULL::items, a, b) LIMIT 2) s ORDER BY a, b, s.id;
SELECT same('SELECT a, b, s.* FROM asked, vecseg_scroll(NULL::items, a, b) s ORDER BY a, b, s.id');
SELECT same('SELECT a, b, s.* FROM asked, vecseg_scroll(NULL::items, b, a, true) s ORDER BY a, b, s.id');
SELECT explain('SELECT a, s.id FROM asked LEFT JOIN LATERAL vecseg_retrieve(NULL::items, ids) s ON embedding[5] > 0', 'ANALYZE OFF');
SELECT same('SELECT a, s.* FROM asked LEFT JOIN LATERAL vecseg_retrieve(NULL::items, ids) s ON s.grp <> 4 ORDER BY a, ids, s.id');
SELECT same('SELECT a, (SELECT array_agg(id) FROM vecseg_retrieve(NULL::items, ids || a)) FROM asked ORDER BY a, b');
SELECT same('SELECT a, (SELECT sum(embedding[1]) FROM vecseg_scroll(NULL::items, a - 10, a) WHERE grp > b % 100) FROM asked ORDER BY a, b');
SELECT same('SELECT * FROM asked WHERE EXISTS (SELECT FROM vecseg_scroll(NULL::items, a) WHERE embedding[5] > 0) ORDER BY a');
SELECT same('SELECT id FROM plain WHERE id IN (SELECT id FROM vecseg_scroll(NULL::items, 10, 30)) ORDER BY id');
SELECT same('SELECT p.grp, s.* FROM plain p JOIN vecseg_scroll(NULL::items, 10, 300) s USING (id) ORDER BY id');
SELECT same('SELECT s.*, t.* FROM vecseg_scroll(NULL::items, 10, 30) s FULL JOIN vecseg_retrieve(NULL::items, ARRAY[29, 31]) t USING (id) ORDER BY s.id');
SELECT same('WITH c AS MATERIALIZED (SELECT * FROM vecseg_scroll(NULL::items, 10)) SELECT * FROM c WHERE id < 30 UNION ALL SELECT * FROM c WHERE id > 5970');
SELECT same('SELECT * FROM (SELECT * FROM vecseg_scroll(NULL::items, 10, 20) UNION ALL SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[3, 1])) s ORDER BY id');
SELECT same('SELECT *, row_number() OVER (), lag(embedding) OVER (ORDER BY id) FROM vecseg_scroll(NULL::items, 10, 500)');
SELECT same('SELECT DISTINCT embedding FROM vecseg_scroll(NULL::items, 10, 500) ORDER BY embedding');
SELECT same('SELECT * FROM items i JOIN plain p USING (id) WHERE i.id = ANY (ARRAY[5, 55, 555]) ORDER BY id');
SELECT same('WITH RECURSIVE r(id) AS (SELECT 5::bigint UNION ALL SELECT s.id FROM r, LATERAL (SELECT id, embedding FROM vecseg_scroll(NULL::items, r.id) LIMIT 1) s WHERE s.embedding[2] < 2 AND s.id < 50) SELECT * FROM r');
CREATE VIEW scrolled AS SELECT id, embedding, s AS whole FROM vecseg_scroll(NULL::items, 40, 80) s WHERE grp > 50;
EXPLAIN (COSTS OFF) SELECT * FROM scrolled LIMIT 1;
SELECT same('SELECT * FROM scrolled');
CREATE FUNCTION sql_function(bigint[]) RETURNS SETOF items LANGUAGE sql STABLE
	AS 'SELECT * FROM vecseg_retrieve(NULL::items, $1)';
SELECT same('SELECT * FROM sql_function(ARRAY[55, 44])');
CREATE FUNCTION plpgsql_function(wanted bigint[]) RETURNS SETOF items LANGUAGE plpgsql STABLE AS $$
BEGIN
	FOR i IN 1 .. 8 LOOP
		wanted[2] := i * 3;
		RETURN QUERY SELECT * FROM vecseg_retrieve(NULL::items, wanted);
		RETURN QUERY SELECT * FROM vecseg_scroll(NULL::items, i * 100, i * 100 + i) LIMIT i;
	END LOOP;
END
$$;
SELECT same('SELECT * FROM plpgsql_function(ARRAY[55, 44, 7])');

--
-- Prepared statements
--
PREPARE scroll(bigint, int) AS SELECT id, version, embedding = vec(id, version, 64) AS ok FROM vecseg_scroll(NULL::items, $1, $2);
PREPARE retrieve(bigint[]) AS SELECT id, version, embedding = vec(id, version, 64) AS ok FROM vecseg_retrieve(NULL::items, $1);
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE scroll(5, NULL);
EXECUTE scroll(5, 9);
EXECUTE scroll(NULL, 3);
EXECUTE scroll(5997, NULL);
EXPLAIN (COSTS OFF) EXECUTE retrieve('{5,3}');
EXECUTE retrieve('{5,3,5,NULL,13,1}');
EXECUTE retrieve(NULL);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE scroll(5, NULL);
EXECUTE scroll(5, 9);
EXECUTE scroll(NULL, 3);
EXECUTE scroll(5997, NULL);
EXPLAIN (COSTS OFF) EXECUTE retrieve('{5,3}');
EXECUTE retrieve('{5,3,5,NULL,13,1}');
EXECUTE retrieve(NULL);
-- the table changes between executions
CREATE TABLE changing (id int PRIMARY KEY, a text, embedding real[], b text) USING vecseg;
INSERT INTO changing SELECT i, 'a' || i, vec(i, 1, 64), 'b' || i FROM generate_series(1, 20) i;
PREPARE changing AS SELECT id, b, embedding = vec(id, 1, 64) AS ok FROM vecseg_scroll(NULL::changing, 18);
PREPARE whole AS SELECT s FROM vecseg_retrieve(NULL::changing, '{2}') s;
PREPARE dropped AS SELECT a FROM vecseg_scroll(NULL::changing, 18);
EXECUTE changing;
EXECUTE dropped;
SELECT length(s::text) FROM vecseg_retrieve(NULL::changing, '{2}') s;
ALTER TABLE changing DROP COLUMN a;
EXECUTE changing;
EXECUTE dropped;
SELECT length(s::text) FROM vecseg_retrieve(NULL::changing, '{2}') s;
ALTER TABLE changing ADD COLUMN c int DEFAULT 7;
EXECUTE changing;
SELECT length(s::text), (s).c FROM vecseg_retrieve(NULL::changing, '{2}') s;
ALTER TABLE changing ALTER COLUMN b TYPE varchar;
EXECUTE changing;
ALTER TABLE changing DROP CONSTRAINT changing_pkey;
EXECUTE changing;
ALTER TABLE changing ADD PRIMARY KEY (id);
ALTER TABLE changing ALTER COLUMN b TYPE text;
EXECUTE changing;
ALTER TABLE changing SET ACCESS METHOD heap;
EXECUTE changing;
ALTER TABLE changing SET ACCESS METHOD vecseg;
EXECUTE changing;
RESET plan_cache_mode;

--
-- Cursors
--
BEGIN;
DECLARE c CURSOR FOR SELECT id, embedding = vec(id, version, 64) AS ok FROM vecseg_scroll(NULL::items, 10);
FETCH 1 FROM c;
FETCH 3 FROM c;
MOVE 4000 FROM c;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, embedding = vec(id, version, 64) AS ok FROM vecseg_retrieve(NULL::items, ARRAY[50, 40, 30, 20]);
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ALL FROM c;
FETCH ABSOLUTE 2 FROM c;
CLOSE c;
DECLARE held CURSOR WITH HOLD FOR SELECT id, embedding FROM vecseg_scroll(NULL::items, 10, 15);
FETCH 1 FROM held \gset
COMMIT;
UPDATE items SET embedding = vec(id, 9, 64) WHERE id = 12;
FETCH 1 FROM held \gset
SELECT :id AS id, :'embedding'::real[] = vec(12, 1, 64) AS before;
UPDATE items SET embedding = vec(id, version, 64) WHERE id = 12;
CLOSE held;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM items WHERE id = ANY ('{77,66,55}') ORDER BY id FOR UPDATE;
MOVE 2 FROM c;
UPDATE items SET grp = -5 WHERE CURRENT OF c RETURNING id, embedding = vec(id, version, 64) AS ok;
SAVEPOINT s;
FETCH 1 FROM c \gset
ROLLBACK TO s;
MOVE 1 FROM c;
MOVE BACKWARD 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id, embedding = vec(id, version, 64) AS ok FROM vecseg_scroll(NULL::items, 10);
SAVEPOINT s;
MOVE 1000 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
ROLLBACK;

--
-- Changing rows
--
BEGIN;
EXPLAIN (COSTS OFF) UPDATE items SET grp = 1000, embedding = coalesce(embedding, '{1}') WHERE id = ANY ('{101,102,103,5}') AND embedding[1] IS NULL;
SELECT slots_used('items') AS slots \gset
UPDATE items SET grp = 1000, embedding = coalesce(embedding, '{1}') WHERE id = ANY ('{102,103,5}') RETURNING id, grp, embedding = vec(id, version, 64) AS ok;
-- values that were kept have not been stored again
SELECT slots_used('items') - :slots AS added;
UPDATE items i SET grp = s.grp + 1 FROM vecseg_retrieve(NULL::items, ARRAY[3, 2]) s WHERE i.id = s.id RETURNING i.id, i.grp;
DELETE FROM items WHERE id = ANY ('{1,2,3,5,8}') AND embedding[2] > -2 RETURNING id, embedding = vec(id, version, 64) AS ok;
-- whole rows of a call
SAVEPOINT whole;
DELETE FROM items i USING vecseg_retrieve(NULL::items, ARRAY[7, 6]) s WHERE i.id = s.id RETURNING i.id, s IS NOT DISTINCT FROM i AS same;
UPDATE items i SET grp = -1 FROM vecseg_scroll(NULL::items, 9, 10) s WHERE i.id = s.id RETURNING i.id, i.grp, s IS DISTINCT FROM i AS changed, to_jsonb(s) - 'grp' = to_jsonb(i) - 'grp' AS same;
ROLLBACK TO whole;
SELECT id, grp FROM vecseg_scroll(NULL::items, upto => 10);
INSERT INTO items SELECT id + 10000, version, embedding FROM vecseg_scroll(NULL::items, 100, 200);
SELECT count(*), count(*) FILTER (WHERE embedding = vec(id - 10000, version, 64)) AS ok FROM vecseg_scroll(NULL::items, 10000);
SELECT id, xmax <> 0 AS locked FROM (SELECT * FROM items WHERE id = ANY ('{20,30}') ORDER BY id FOR UPDATE) s, LATERAL (SELECT xmax FROM items WHERE items.id = s.id) x;
CREATE TABLE copied USING vecseg AS SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[40, 30]);
SELECT id, embedding = vec(id, version, 64) AS ok FROM copied;
ROLLBACK;

--
-- Privileges and row security
--
CREATE ROLE regress_vecseg_reader;
GRANT USAGE ON SCHEMA custom_scan TO regress_vecseg_reader;
GRANT SELECT (id, embedding) ON items TO regress_vecseg_reader;
SET ROLE regress_vecseg_reader;
SELECT id FROM vecseg_scroll(NULL::items, upto => 2);
RESET ROLE;
GRANT SELECT ON items TO regress_vecseg_reader;
PREPARE mine AS SELECT id FROM vecseg_scroll(NULL::items, upto => 6);
PREPARE mine_by_id(bigint[]) AS SELECT id FROM vecseg_retrieve(NULL::items, $1);
SET plan_cache_mode = force_generic_plan;
EXECUTE mine;
EXECUTE mine_by_id('{6,5,4}');
SET ROLE regress_vecseg_reader;
EXECUTE mine;
RESET ROLE;
CREATE FUNCTION leak(real[]) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
	$$ BEGIN RAISE NOTICE 'seen %', $1[1]; RETURN true; END $$;
CREATE FUNCTION leak(bigint) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
	$$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON items USING (embedding[1]::int % 2 = 0);
EXECUTE mine;
SET ROLE regress_vecseg_reader;
EXECUTE mine;
EXECUTE mine_by_id('{6,5,4}');
SELECT id FROM vecseg_scroll(NULL::items, upto => 6) WHERE leak(embedding) AND leak(id);
SELECT id FROM items WHERE id = ANY ('{1,2,3,4}') AND leak(embedding) AND leak(id);
EXPLAIN (COSTS OFF) SELECT id FROM vecseg_scroll(NULL::items, upto => 6) WHERE leak(id);
-- row_security is turned off after planning
SET row_security = off;
EXECUTE mine;
EXECUTE mine_by_id('{6,5,4}');
SET row_security = on;
EXECUTE mine;
RESET ROLE;
DROP POLICY even ON items;
CREATE POLICY third ON items USING (id % 3 = 0);
SET ROLE regress_vecseg_reader;
EXECUTE mine;
RESET ROLE;
EXECUTE mine;
-- a policy that reads the table itself: an end must be found
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	$$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query; END $$;
CREATE TABLE circular (id int PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO circular VALUES (1, vec(1, 1, 64)), (2, vec(2, 1, 64));
ALTER TABLE circular ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON circular USING (id IN (SELECT id FROM vecseg_scroll(NULL::circular)));
GRANT SELECT ON circular TO regress_vecseg_reader;
SET ROLE regress_vecseg_reader;
SELECT count(*) FROM plan('SELECT count(*) FROM vecseg_scroll(NULL::circular, 9)') line WHERE line ~ 'Vecseg Scan';
RESET ROLE;
-- a function that may not be executed
REVOKE EXECUTE ON FUNCTION vecseg_scroll(anyelement, anycompatible, anycompatible, boolean) FROM PUBLIC;
SET ROLE regress_vecseg_reader;
EXECUTE mine;
RESET ROLE;
GRANT EXECUTE ON FUNCTION vecseg_scroll(anyelement, anycompatible, anycompatible, boolean) TO PUBLIC;
RESET plan_cache_mode;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;

--
-- Keys of other types
--
CREATE DOMAIN keytype AS int CHECK (value > 0);
CREATE TABLE by_text (id text PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_c (id text COLLATE "C" PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_varchar (id varchar(9) PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_uuid (id uuid PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_numeric (id numeric PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_domain (id keytype PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_time (id timestamptz PRIMARY KEY, embedding real[]) USING vecseg;
CREATE TABLE by_char (id char(4) PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO by_text SELECT 'k' || i, vec(i, 1, 64) FROM generate_series(1, 40) i;
INSERT INTO by_c SELECT * FROM by_text;
INSERT INTO by_varchar SELECT * FROM by_text;
INSERT INTO by_char SELECT * FROM by_text;
INSERT INTO by_uuid SELECT md5(i::text)::uuid, vec(i, 1, 64) FROM generate_series(1, 40) i;
INSERT INTO by_numeric SELECT i / 4.0, vec(i, 1, 64) FROM generate_series(1, 40) i;
INSERT INTO by_domain SELECT i, vec(i, 1, 64) FROM generate_series(1, 40) i;
INSERT INTO by_time SELECT 'epoch'::timestamptz + i * interval '1 day', vec(i, 1, 64) FROM generate_series(1, 40) i;
SELECT same($$SELECT * FROM vecseg_scroll(NULL::by_text, 'k3', 'k5')$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_text, ARRAY['k3', 'k2', 'zz', 'k1', 'k2'])$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_text, ARRAY['k3', 'k2']::varchar[])$$);
SELECT same($$SELECT * FROM vecseg_scroll(NULL::by_c, 'k3', 'k5')$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_c, ARRAY['k3', 'k2', 'zz', 'k1', 'k2'])$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_varchar, ARRAY['k3', 'k2', 'zz', 'k1', 'k2'])$$);
SELECT same($$SELECT * FROM vecseg_scroll(NULL::by_varchar, 'k3'::varchar, backward => true)$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_char, ARRAY['k3', 'k2', 'zz', 'k1', 'k2']::char(4)[])$$);
SELECT same($$SELECT * FROM vecseg_scroll(NULL::by_uuid, md5('5')::uuid)$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_uuid, ARRAY[md5('3'), md5('1'), md5('77')]::uuid[])$$);
SELECT same('SELECT * FROM vecseg_scroll(NULL::by_numeric, 3, 5.25)');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::by_numeric, ARRAY[7, 3, 5])');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::by_numeric, (SELECT ARRAY[7, 3, 5]))');
SELECT same('SELECT * FROM vecseg_scroll(NULL::by_domain, 30::bigint, 33::smallint)');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::by_domain, ARRAY[30::bigint, 9])');
SELECT same($$SELECT * FROM vecseg_scroll(NULL::by_time, '1970-02-01'::date, backward => true)$$);
SELECT same($$SELECT * FROM vecseg_retrieve(NULL::by_time, ARRAY['1970-02-01 00:00+0', '1970-01-05 00:00+0']::timestamptz[])$$);
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_retrieve(NULL::by_varchar, ARRAY['k3', 'k2']);
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_retrieve(NULL::by_numeric, ARRAY[7, 3, 5]);

--
-- Partitions, children, temporary and unlogged tables
--
CREATE TABLE parted (id int PRIMARY KEY, version int, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (1000) USING vecseg;
CREATE TABLE parted2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000);
CREATE TABLE parted3 (embedding real[], version int, id int NOT NULL) USING vecseg;
ALTER TABLE parted ATTACH PARTITION parted3 FOR VALUES FROM (2000) TO (9000);
INSERT INTO parted SELECT id, version, embedding FROM plain;
VACUUM ANALYZE parted;
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_scroll(NULL::parted, 500);
SELECT same('SELECT * FROM vecseg_scroll(NULL::parted)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::parted, 990, (SELECT 2010), true)');
SELECT same('SELECT * FROM vecseg_scroll(NULL::parted, (SELECT 990), 2010) LIMIT 500');
SELECT same('SELECT s FROM vecseg_retrieve(NULL::parted, ARRAY[5, 2003, 1002, 7, 2001]) s');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::parted, ARRAY(SELECT id FROM plain ORDER BY md5(id::text))) LIMIT 3000');
SELECT same('SELECT * FROM parted WHERE id = ANY (ARRAY[5, 2003, 1002]) ORDER BY id');
CREATE TEMP TABLE temporary (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO temporary SELECT id, version, embedding FROM plain;
SELECT same('SELECT * FROM vecseg_scroll(NULL::temporary, 990) LIMIT 500');
SELECT same('SELECT * FROM vecseg_retrieve(NULL::temporary, ARRAY(SELECT id FROM plain ORDER BY md5(id::text)))');

--
-- Errors stay what they are
--
SELECT * FROM vecseg_scroll(NULL::plain);
SELECT * FROM vecseg_scroll(1);
SELECT * FROM vecseg_scroll(NULL::items, point '(1,2)');
SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[true]);
SELECT * FROM vecseg_scroll(NULL::items, (SELECT id FROM plain));

-- Settings
SET vecseg.enable_custom_scan = off;
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_scroll(NULL::items);
EXPLAIN (COSTS OFF) SELECT * FROM items WHERE grp = 7;
RESET vecseg.enable_custom_scan;

SET client_min_messages = warning;
DROP OWNED BY regress_vecseg_reader;
DROP ROLE regress_vecseg_reader;
DROP SCHEMA custom_scan CASCADE;
