--
-- vecseg_retrieve: ids, order, duplicates
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
-- order of the ids, whatever they are
SELECT id, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]);
-- missing, duplicate, null ids
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[7, 8, 6, 8, NULL, 6, -1, 8, 4001, 10, NULL]);
SELECT id FROM vecseg_retrieve(NULL::items, '{}');
SELECT id FROM vecseg_retrieve(NULL::items, '{}'::int[]);
SELECT id FROM vecseg_retrieve(NULL::items, NULL::int[]);
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[NULL, NULL]::int[]);
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[1, 3, 5]);
SELECT id FROM vecseg_retrieve(NULL::items, '[5:7]={2,4,6}'::int[]);
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[[10, 2], [6, 4]]);
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[2147483647, -2147483648, 2]);
-- many, in an order of chance, with every column
CREATE FUNCTION compare_retrieve(ids int[], OUT rows bigint, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	retrieved items[] := (SELECT array_agg(r) FROM vecseg_retrieve(NULL::items, ids) r);
	selected items[] := (SELECT array_agg(i ORDER BY n) FROM (SELECT id, min(n) AS n FROM unnest(ids) WITH ORDINALITY u(id, n) GROUP BY id) u JOIN items i USING (id));
BEGIN
	rows := coalesce(cardinality(retrieved), 0);
	same := retrieved IS NOT DISTINCT FROM selected;
END
$$;
SELECT * FROM compare_retrieve((SELECT array_agg(i ORDER BY hashint4(i)) FROM generate_series(1, 5000) i));
SELECT * FROM compare_retrieve((SELECT array_agg(i ORDER BY i DESC) FROM generate_series(1, 5000) i));
SELECT * FROM compare_retrieve((SELECT array_agg(i % 700 ORDER BY hashint4(i)) FROM generate_series(1, 5000) i));
SELECT * FROM compare_retrieve((SELECT array_agg(id ORDER BY md5(id::text)) FROM items));
CREATE FUNCTION retrieve_subsets(OUT calls bigint, OUT rows bigint, OUT wrong bigint) LANGUAGE sql AS $$
	SELECT count(*), sum(r.rows), count(*) FILTER (WHERE NOT r.same) FROM generate_series(1, 60) n,
		compare_retrieve((SELECT array_agg((hashint8extended(i, n) & 4095)::int) FROM generate_series(1, n) i)) r
$$;
SELECT * FROM retrieve_subsets();
-- conditions, LIMIT, joins
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]) WHERE version = 2;
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]) WHERE embedding = vec(4000, 2000 % 3, 64);
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]) LIMIT 2;
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]) OFFSET 2;
SELECT id, doc->>'n' AS n FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]) ORDER BY id;
SELECT count(*) FROM vecseg_retrieve(NULL::items, ARRAY[100, 4, 4000, 2]);
SELECT n, r.id, r.embedding = vec(r.id, r.version, 64) AS same
	FROM generate_series(1, 3) n, vecseg_retrieve(NULL::items, ARRAY[n * 10, n * 2, n]) r ORDER BY n, r.id DESC;
SELECT id, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items, (SELECT array_agg(id ORDER BY id DESC) FROM items WHERE version = 1 AND id < 20));
SELECT (r).id FROM (SELECT vecseg_retrieve(NULL::items, ARRAY[8, 6]) AS r) s;
SELECT s.n, s.id FROM vecseg_retrieve(NULL::items, ARRAY[8, 1, 6]) WITH ORDINALITY AS s(id, version, embedding, doc, other, n);
SELECT id FROM vecseg_retrieve(NULL::items, ARRAY(SELECT id FROM vecseg_scroll(NULL::items, 3990) ORDER BY md5(id::text)));
-- after updates and deletes, with dead and moved rows in between
UPDATE items SET version = 5, embedding = vec(id, 5, 64) WHERE id % 4 = 0;
DELETE FROM items WHERE id % 6 = 0;
SELECT * FROM compare_retrieve((SELECT array_agg(i ORDER BY hashint4(i)) FROM generate_series(1, 5000) i));
VACUUM items;
INSERT INTO items SELECT i, 7, vec(i, 7, 64) FROM generate_series(6, 4000, 12) i;
SELECT * FROM compare_retrieve((SELECT array_agg(i ORDER BY hashint4(i)) FROM generate_series(1, 5000) i));
UPDATE items SET id = -id WHERE id % 10 = 0;
SELECT * FROM compare_retrieve((SELECT array_agg(i ORDER BY hashint4(i)) FROM generate_series(-5000, 5000) i));
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(abs(id), version, 64)) AS wrong FROM vecseg_scroll(NULL::items);
DROP FUNCTION compare_retrieve(int[]) CASCADE;
DROP FUNCTION retrieve_subsets();
DROP TABLE items;
