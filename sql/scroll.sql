--
-- vecseg_scroll: ranges, directions, keys of every type
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[], doc jsonb, other float8[]) USING vecseg;
INSERT INTO items SELECT i * 2, i % 3, vec(i * 2, i % 3, 64), jsonb_build_object('n', i, 'text', repeat(md5(i::text), i % 400)),
		CASE WHEN i % 4 > 0 THEN vec(i, 9, i % 200)::float8[] END
	FROM generate_series(1, 2000) i ORDER BY i % 17, i;
-- the ranges: half open, as a query gives them
CREATE FUNCTION compare_scroll(after int, upto int, backward boolean, OUT rows bigint, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	scrolled items[] := (SELECT array_agg(s) FROM vecseg_scroll(NULL::items, after, upto, backward) s);
	selected items[] := CASE WHEN backward THEN
		(SELECT array_agg(i ORDER BY id DESC) FROM items i WHERE (after IS NULL OR id < after) AND (upto IS NULL OR id >= upto))
	ELSE
		(SELECT array_agg(i ORDER BY id) FROM items i WHERE (after IS NULL OR id > after) AND (upto IS NULL OR id <= upto))
	END;
BEGIN
	rows := coalesce(cardinality(scrolled), 0);
	same := scrolled IS NOT DISTINCT FROM selected;
END
$$;
SELECT a, u, b, r.rows, r.same
	FROM unnest(ARRAY[NULL, -5, 0, 1, 2, 1000, 1001, 1002, 3999, 4000, 4001, 2147483647]) WITH ORDINALITY a(a, n),
		unnest(ARRAY[NULL, -2147483648, 1, 2, 1000, 1001, 1004, 4000, 2147483647]) WITH ORDINALITY u(u, m),
		unnest(ARRAY[false, true]) b, compare_scroll(a, u, b) r
	WHERE NOT r.same OR m = 5 OR n IN (1, 6)
	ORDER BY n, m, b;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items) LIMIT 3;
SELECT id, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items, after => 100, upto => 106);
SELECT id, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items, 106, 100, true);
SELECT id FROM vecseg_scroll(NULL::items, 106, 100);
SELECT id FROM vecseg_scroll(NULL::items, 100, 106, true);
SELECT id FROM vecseg_scroll(NULL::items, upto => 4);
SELECT id FROM vecseg_scroll(NULL::items, backward => true) LIMIT 2;
SELECT id FROM vecseg_scroll(NULL::items, NULL, NULL, NULL) LIMIT 2;
SELECT id FROM vecseg_scroll(tbl => NULL::items, backward => true, upto => 3990, after => 4000);
-- all rows, every column, page by page
CREATE FUNCTION scroll_pages(page int, OUT rows bigint, OUT pages bigint, OUT wrong int[]) LANGUAGE plpgsql AS $$
DECLARE
	last int;
	got items[];
BEGIN
	rows := 0;
	pages := 0;
	LOOP
		SELECT array_agg(s) INTO got FROM (SELECT * FROM vecseg_scroll(NULL::items, last) LIMIT page) s;
		EXIT WHEN got IS NULL;
		SELECT wrong || array_agg(g.id) FILTER (WHERE g IS DISTINCT FROM i) INTO wrong
			FROM unnest(got) g LEFT JOIN items i USING (id);
		last := got[cardinality(got)].id;
		rows := rows + cardinality(got);
		pages := pages + 1;
	END LOOP;
END
$$;
SELECT * FROM scroll_pages(1000);
SELECT * FROM scroll_pages(77);
-- conditions, columns, aggregates, joins
SELECT count(*), min(id), max(id) FROM vecseg_scroll(NULL::items, 50) WHERE version = 2;
SELECT id, doc->>'n' AS n FROM vecseg_scroll(NULL::items, 50) WHERE doc->>'n' LIKE '%7' LIMIT 3;
SELECT id FROM vecseg_scroll(NULL::items, 50) WHERE embedding[4] > 0.9 AND version = 1 AND embedding <> vec(id, 2, 64) LIMIT 3;
SELECT id FROM vecseg_scroll(NULL::items) WHERE embedding = vec(1234, 617 % 3, 64);
SELECT count(*) FROM vecseg_scroll(NULL::items);
SELECT count(*) FROM vecseg_scroll(NULL::items) s WHERE s IS DISTINCT FROM (SELECT i FROM items i WHERE i.id = s.id);
SELECT s.id, t.id, s.embedding = t.embedding AS same
	FROM vecseg_scroll(NULL::items, 0, 6) s JOIN vecseg_scroll(NULL::items, 4, 0, true) t ON t.id = s.id ORDER BY 1, 2;
SELECT n, s.id FROM generate_series(1000, 1003) n LEFT JOIN LATERAL (SELECT id FROM vecseg_scroll(NULL::items, n) LIMIT 1) s ON true ORDER BY n;
SELECT id FROM vecseg_scroll(NULL::items) ORDER BY id DESC LIMIT 2;
SELECT id, row_number() OVER () FROM vecseg_scroll(NULL::items, 10) WITH ORDINALITY AS s(id, v, e, d, o, n) LIMIT 2;
SELECT s.n, s.id FROM vecseg_scroll(NULL::items, 10, 14) WITH ORDINALITY AS s(id, version, embedding, doc, other, n);
SELECT a.id, b.g FROM ROWS FROM (vecseg_scroll(NULL::items, 10, 14), generate_series(1, 3)) AS a(id, version, embedding, doc, other, g), LATERAL (SELECT a.g) b;
SELECT (s).id, (s).embedding = vec((s).id, (s).version, 64) AS same FROM (SELECT vecseg_scroll(NULL::items, 10, 14) AS s) t;
SELECT vecseg_scroll(NULL::items, 10, 14) IS NOT NULL AS row;
SELECT id FROM items WHERE id IN (SELECT id FROM vecseg_scroll(NULL::items, 3990)) ORDER BY id;
SELECT id FROM vecseg_scroll(NULL::items, 0, 4) UNION ALL SELECT id FROM vecseg_scroll(NULL::items, 3998);
SELECT id FROM vecseg_scroll(NULL::items, (SELECT max(id) - 4 FROM items));
DROP FUNCTION compare_scroll(int, int, boolean);
DROP FUNCTION scroll_pages(int);
DROP TABLE items;

-- keys of other types: rows in the order of the key, from after one to another
CREATE FUNCTION scroll_keys(key_type text, key text, after text, upto text) RETURNS TABLE (forwards text, backwards text, retrieved text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE keyed (id %s PRIMARY KEY, n int, embedding real[]) USING vecseg', key_type);
	EXECUTE format('INSERT INTO keyed SELECT %s, n, vec(n, 1, 64) FROM generate_series(1, 300) n', key);
	RETURN QUERY EXECUTE format($q$SELECT
		(SELECT count(*) || CASE WHEN array_agg(s.id) = (SELECT array_agg(k.id ORDER BY k.id) FROM keyed k WHERE id > %1$L AND id <= %2$L)
				AND bool_and(s.embedding = vec(s.n, 1, 64)) THEN ' right' ELSE ' wrong' END
			FROM vecseg_scroll(NULL::keyed, %1$L::%3$s, %2$L::%3$s) s),
		(SELECT count(*) || CASE WHEN array_agg(s.id) = (SELECT array_agg(k.id ORDER BY k.id DESC) FROM keyed k WHERE id < %2$L AND id >= %1$L)
				AND bool_and(s.embedding = vec(s.n, 1, 64)) THEN ' right' ELSE ' wrong' END
			FROM vecseg_scroll(NULL::keyed, %2$L::%3$s, %1$L::%3$s, true) s),
		(SELECT count(*) || CASE WHEN array_agg(s.n) = ARRAY[299, 7, 150] AND bool_and(s.embedding = vec(s.n, 1, 64)) THEN ' right' ELSE ' wrong' END
			FROM vecseg_retrieve(NULL::keyed, (SELECT array_agg(id ORDER BY i) FROM unnest(ARRAY[299, 7, 150, 7]) WITH ORDINALITY u(n, i) JOIN keyed USING (n))) s)
		$q$, after, upto, key_type);
	DROP TABLE keyed;
END
$$;
SELECT 'smallint', * FROM scroll_keys('smallint', 'n', '50', '100');
SELECT 'bigint', * FROM scroll_keys('bigint', 'n * 10000000000', '500000000001', '1000000000000');
SELECT 'numeric', * FROM scroll_keys('numeric', 'n / 10.0', '5', '10');
SELECT 'real', * FROM scroll_keys('real', 'n / 8.0', '5', '10');
SELECT 'float8', * FROM scroll_keys('float8', '1.0 / n', '0.01', '0.5');
SELECT 'text', * FROM scroll_keys('text', 'md5(n::text)', '3', 'c');
SELECT 'text in another collation', * FROM scroll_keys('text COLLATE "C"', 'chr(65 + n % 26) || chr(97 + n / 26)', 'B', 'h');
SELECT 'varchar', * FROM scroll_keys('varchar', 'md5(n::text)', '3', 'c');
SELECT 'varchar(40)', * FROM scroll_keys('varchar(40)', 'md5(n::text)', '3', 'c');
SELECT 'char(40)', * FROM scroll_keys('char(40)', 'md5(n::text)', '30', 'cb');
SELECT 'name', * FROM scroll_keys('name', 'md5(n::text)', '30', 'cb');
SELECT 'uuid', * FROM scroll_keys('uuid', 'md5(n::text)::uuid', '3da77ad1-a55b-0e93-e6cd-1f9ba8cc9c2a', 'cb70ab37-5675-16da-8ea0-3da3a0b5a6cd');
SELECT 'timestamptz', * FROM scroll_keys('timestamptz', '''2020-01-01 UTC''::timestamptz + n * ''1 hour''::interval', '2020-01-02 UTC', '2020-01-03 12:30 UTC');
SELECT 'timestamp(0)', * FROM scroll_keys('timestamp(0)', '''2020-01-01''::timestamp + n * ''1 hour''::interval', '2020-01-02', '2020-01-03 12:30');
SELECT 'date', * FROM scroll_keys('date', '''2020-01-01''::date + n', '2020-02-02', '2020-03-03');
SELECT 'bytea', * FROM scroll_keys('bytea', 'sha256(n::text::bytea)', '\x30', '\xcb');
SELECT 'bit(16)', * FROM scroll_keys('bit(16)', 'n::bit(16)', '0000000000110000', '0000000010000000');
SELECT 'varbit', * FROM scroll_keys('varbit', 'n::bit(16)::varbit', '0000000000110000', '0000000010000000');
SELECT 'inet', * FROM scroll_keys('inet', '''10.0.0.0''::inet + n', '10.0.0.9', '10.0.0.99');
SELECT 'interval', * FROM scroll_keys('interval', 'n * interval ''1 hour''', '1 day', '3 days');
CREATE DOMAIN key_domain AS bigint CHECK (VALUE > 0);
SELECT 'domain', * FROM scroll_keys('key_domain', 'n', '50', '100');
CREATE DOMAIN text_domain AS varchar(50);
SELECT 'domain over varchar', * FROM scroll_keys('text_domain', 'md5(n::text)', '3', 'c');
CREATE TYPE letter AS ENUM ('z', 'y', 'x');
CREATE TABLE lettered (id letter PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO lettered VALUES ('x', vec(3, 1, 4)), ('y', vec(2, 1, 4)), ('z', vec(1, 1, 4));
SELECT id, embedding[1] FROM vecseg_scroll(NULL::lettered, 'z'::letter);
SELECT id, embedding[1] FROM vecseg_retrieve(NULL::lettered, '{x,z}'::letter[]);
SELECT id, embedding[1] FROM vecseg_retrieve(NULL::lettered, ARRAY['x']);
DROP TABLE lettered;
CREATE TABLE arrays (id int[] PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO arrays SELECT ARRAY[n / 10, n], vec(n, 1, 64) FROM generate_series(1, 300) n;
SELECT id, embedding = vec(id[2], 1, 64) AS same FROM vecseg_scroll(NULL::arrays, '{5,58}'::int[], '{6}'::int[]);
DROP TABLE arrays;
DROP TYPE letter;
DROP DOMAIN key_domain, text_domain;
DROP FUNCTION scroll_keys(text, text, text, text);

-- a key of one type, asked for by another
CREATE TABLE big (id bigint PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO big SELECT i, vec(i, 1, 64) FROM generate_series(1, 100) i;
INSERT INTO big VALUES (5000000000, vec(5000000000, 1, 64));
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_scroll(NULL::big, 99);
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_scroll(NULL::big, 99::smallint, 100::smallint);
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_retrieve(NULL::big, ARRAY[3, 1]);
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_retrieve(NULL::big, ARRAY[3, 1]::smallint[]);
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_retrieve(NULL::big, '{5000000000,2}');
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_retrieve(NULL::big, ARRAY['100', '5']);
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_scroll(NULL::big, '99', '5000000000');
DROP TABLE big;
CREATE TABLE small (id smallint PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO small SELECT i, vec(i, 1, 64) FROM generate_series(1, 100) i;
SELECT id FROM vecseg_scroll(NULL::small, 98);
SELECT id FROM vecseg_scroll(NULL::small, -5000000000) LIMIT 1;
SELECT id FROM vecseg_retrieve(NULL::small, ARRAY[5, 5000000000, 7]);
DROP TABLE small;
CREATE TABLE uuids (id uuid PRIMARY KEY, n int, embedding real[]) USING vecseg;
INSERT INTO uuids SELECT md5(i::text)::uuid, i, vec(i, 1, 64) FROM generate_series(1, 100) i;
SELECT n, embedding = vec(n, 1, 64) AS same FROM vecseg_retrieve(NULL::uuids, ARRAY[md5('7')::uuid, md5('3')::uuid]);
SELECT n, embedding = vec(n, 1, 64) AS same FROM vecseg_retrieve(NULL::uuids, '{8f14e45fceea167a5a36dedd4bea2543}');
SELECT n, embedding = vec(n, 1, 64) AS same FROM vecseg_retrieve(NULL::uuids, ARRAY['{8F14E45F-CEEA-167A-5A36-DEDD4BEA2543}', '8f14e45fceea167a5a36dedd4bea2543', md5('9')]);
SELECT n FROM vecseg_scroll(NULL::uuids, 'f0000000-0000-0000-0000-000000000000'::uuid);
SELECT n FROM vecseg_scroll(NULL::uuids, 'f0000000-0000-0000-0000-000000000000');
DROP TABLE uuids;
CREATE TABLE texts (id varchar PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO texts SELECT chr(96 + i), vec(i, 1, 64) FROM generate_series(1, 26) i;
SELECT id, embedding = vec(25, 1, 64) AS same FROM vecseg_scroll(NULL::texts, 'x'::text, 'y'::text);
SELECT id FROM vecseg_scroll(NULL::texts, 'x'::varchar, 'y'::varchar);
SELECT id, embedding[1] FROM vecseg_retrieve(NULL::texts, ARRAY['z', 'a']::text[]);
SELECT id, embedding[1] FROM vecseg_retrieve(NULL::texts, ARRAY['z', 'a']::name[]);
SELECT id, embedding[1] FROM vecseg_retrieve(NULL::texts, ARRAY['z', 'a']::varchar[]);
DROP TABLE texts;
-- the key's type takes values of another, but compares them in its own way
CREATE TABLE padded (id char(5) PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO padded VALUES ('a', '{1}'), ('b', '{2}'), ('c', '{3}'), (E'b\t', '{4}');
SELECT embedding FROM vecseg_scroll(NULL::padded, after => 'b    ', backward => true);
SELECT embedding FROM vecseg_scroll(NULL::padded, upto => 'b    ', backward => true);
SELECT embedding FROM vecseg_scroll(NULL::padded, after => 'b    ');
SELECT embedding FROM vecseg_retrieve(NULL::padded, ARRAY['b', 'x', 'a    ']);
SELECT embedding FROM vecseg_retrieve(NULL::padded, ARRAY['b', 'x', 'a    ']::varchar[]);
EXPLAIN (COSTS OFF) SELECT * FROM vecseg_scroll(NULL::padded, 'b    ');
SET vecseg.enable_custom_scan = off;
SELECT embedding FROM vecseg_scroll(NULL::padded, upto => 'b    ', backward => true);
SELECT embedding FROM vecseg_retrieve(NULL::padded, ARRAY['b', 'x', 'a    ']);
RESET vecseg.enable_custom_scan;
DROP TABLE padded;
CREATE TABLE by_oid (id oid PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO by_oid VALUES (1, '{1}'), (4000000000, '{2}');
SELECT embedding FROM vecseg_retrieve(NULL::by_oid, ARRAY[1, 7]);
SELECT embedding FROM vecseg_scroll(NULL::by_oid, after => 1);
DROP TABLE by_oid;
-- arrays have no arrays
CREATE TABLE by_array (id int[] PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO by_array VALUES ('{1,2}', '{1}'), ('{3}', '{2}');
SELECT * FROM vecseg_scroll(NULL::by_array, after => '{1,2}'::int[]);
SELECT * FROM vecseg_retrieve(NULL::by_array, ARRAY[1, 2]);
SELECT * FROM vecseg_retrieve(NULL::by_array, ARRAY['{1,2}']);
DROP TABLE by_array;
-- composite types
CREATE TYPE pair AS (a int, b text);
CREATE TABLE by_pair (id pair PRIMARY KEY, embedding real[]) USING vecseg;
INSERT INTO by_pair SELECT ROW(i, 'x')::pair, ARRAY[i] FROM generate_series(1, 50) i;
SELECT * FROM vecseg_retrieve(NULL::by_pair, ARRAY[ROW(3, 'x'), NULL, ROW(2, 'x'), ROW(3, 'y'), ROW(3, 'x')]::pair[]);
SELECT * FROM vecseg_retrieve(NULL::by_pair, ARRAY[ROW(3, 'x'), NULL, ROW(2, 'x'), ROW(3, 'y'), ROW(3, 'x')]::pair[]) WITH ORDINALITY;
SELECT vecseg_retrieve(NULL::by_pair, ARRAY[ROW(3, 'x'), ROW(2, 'x')]::pair[]);
SELECT vecseg_retrieve(NULL::by_pair, NULL);
SELECT vecseg_retrieve(NULL::by_pair, '{}');
SELECT vecseg_retrieve(NULL::by_pair, ARRAY[[ROW(3, 'x'), ROW(2, 'x')], [ROW(4, 'x'), ROW(1, 'x')]]::pair[]);
SELECT * FROM vecseg_scroll(NULL::by_pair, after => ROW(48, 'x')::pair);
DROP TABLE by_pair;
DROP TYPE pair;
-- what can have no primary key
CREATE MATERIALIZED VIEW stored USING vecseg AS SELECT 1 AS id, vec(1, 1, 64) AS embedding;
SELECT * FROM vecseg_scroll(NULL::stored);
DROP MATERIALIZED VIEW stored;

-- names that need quotes; the key not the first column; dropped columns
CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."select" ("drop" text, embedding real[], "Key ""col""" int PRIMARY KEY, "order" int) USING vecseg;
ALTER TABLE "Odd schema"."select" DROP COLUMN "drop";
INSERT INTO "Odd schema"."select" SELECT vec(i, 1, 64), i, -i FROM generate_series(1, 10) i;
ALTER TABLE "Odd schema"."select" ADD COLUMN added int DEFAULT 5;
SELECT "Key ""col""", "order", added, embedding = vec(-"order", 1, 64) AS same FROM vecseg_scroll(NULL::"Odd schema"."select", 8);
SELECT "Key ""col""", "order", added, embedding = vec(-"order", 1, 64) AS same FROM vecseg_retrieve(NULL::"Odd schema"."select", '{4,2}');
SELECT s."Key ""col""", s = i AS same FROM vecseg_scroll(NULL::"Odd schema"."select", 8) s JOIN "Odd schema"."select" i USING ("Key ""col""");
DROP TABLE "Odd schema"."select";
DROP SCHEMA "Odd schema";
-- an empty table, a table whose rows are all gone
CREATE TABLE empty (id int PRIMARY KEY, embedding real[]) USING vecseg;
SELECT * FROM vecseg_scroll(NULL::empty);
SELECT * FROM vecseg_retrieve(NULL::empty, '{1,2}');
INSERT INTO empty SELECT i, vec(i, 1, 64) FROM generate_series(1, 10) i;
DELETE FROM empty;
SELECT * FROM vecseg_scroll(NULL::empty, 3);
SELECT * FROM vecseg_retrieve(NULL::empty, '{1,2}');
DROP TABLE empty;
