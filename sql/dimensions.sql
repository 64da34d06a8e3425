--
-- Vectors of every length and content
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
-- 1 to 16,000 dimensions in one column, more lengths than segments of their own
CREATE TABLE lengths (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO lengths SELECT i, 1, vec(i, 1, i) FROM generate_series(1, 300) i;
INSERT INTO lengths SELECT d, 1, vec(d, 1, d)
	FROM unnest(ARRAY[377, 384, 512, 610, 768, 987, 1024, 1536, 1597, 2000, 2028, 2029, 2030,
					  2031, 2032, 2033, 2034, 2035, 2036, 2037, 2038, 2039, 2040, 2041, 2042,
					  2043, 2044, 2045, 2046, 2047, 2048, 2584, 3072, 4060, 4072, 4096, 4181,
					  6765, 8000, 10946, 12288, 15999, 16000]) d;
CREATE FUNCTION wrong_lengths(OUT rows bigint, OUT versions bigint, OUT wrong int[])
LANGUAGE sql AS $$
	SELECT count(*), sum(version), array_agg(id ORDER BY id)
		FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, id)) FROM lengths
$$;
SELECT * FROM wrong_lengths();
UPDATE lengths SET version = 2, embedding = vec(id, 2, id) WHERE id % 2 = 0;
SELECT * FROM wrong_lengths();
CHECKPOINT;
SELECT * FROM wrong_lengths();
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, id)) AS wrong
	FROM vecseg_scroll(NULL::lengths);
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, id)) AS wrong
	FROM vecseg_retrieve(NULL::lengths, (SELECT array_agg(i) FROM generate_series(16000, 1, -1) i));
VACUUM FULL lengths;
SELECT * FROM wrong_lengths();
-- every row to another length: the old one's
UPDATE lengths a SET version = 3, embedding = vec(a.id, 3, b.id)
	FROM (SELECT id, lead(id) OVER (ORDER BY id) AS next FROM lengths) b
	WHERE b.next = a.id;
SELECT count(*), array_agg(id) FILTER (WHERE version = 3 AND embedding IS DISTINCT FROM
		vec(id, 3, cardinality(embedding)) OR
		version = 3 AND cardinality(embedding) NOT BETWEEN id / 2 AND id) AS wrong
	FROM lengths;
UPDATE lengths SET version = 4, embedding = vec(id, 4, id);
SELECT * FROM wrong_lengths();
-- the same lengths, many rows of each, in turn
CREATE TABLE mixed (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO mixed SELECT i, 1, vec(i, 1, 3 + i % 150) FROM generate_series(1, 3000) i;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 3 + id % 150)) AS wrong FROM mixed;
VACUUM FULL mixed;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 3 + id % 150)) AS wrong FROM mixed;
DROP TABLE mixed, lengths;
DROP FUNCTION wrong_lengths();

-- contents; the copy is in a heap table, and compared byte for byte
CREATE TABLE odd (id int PRIMARY KEY, note text, embedding real[]) USING vecseg;
CREATE TABLE odd_heap (LIKE odd) USING heap;
INSERT INTO odd_heap VALUES
	(1, 'null', NULL),
	(2, 'empty', '{}'),
	(3, 'one', '{1}'),
	(4, 'null elements', '{1,NULL,3}'),
	(5, 'only nulls', '{NULL,NULL}'),
	(6, 'special', '{NaN,Infinity,-Infinity,-0,0,1e-45,3.4028235e38,-1e-38}'),
	(7, 'two dimensions', '{{1,2},{3,4}}'),
	(8, 'lower bounds', '[5:7]={1,2,3}'),
	(9, 'negative bounds, two dimensions', '[-2:-1][0:1]={{1,2},{3,4}}'),
	(10, 'many nulls', (SELECT array_agg(CASE WHEN i % 3 = 0 THEN i::real END ORDER BY i) FROM generate_series(1, 5000) i)),
	(11, 'special, many', (SELECT array_agg(('{NaN,Infinity,-Infinity,-0}'::real[])[1 + i % 4] ORDER BY i) FROM generate_series(1, 4000) i)),
	(12, 'three dimensions, large', array_fill(0.1::real, ARRAY[10, 20, 30])),
	(13, 'lower bounds, large', array_fill('-0'::real, ARRAY[4000], ARRAY[-2000])),
	(14, 'six dimensions', array_fill(1::real, ARRAY[1, 2, 3, 4, 5, 6], ARRAY[6, 5, 4, 3, 2, 1]));
INSERT INTO odd SELECT * FROM odd_heap;
SELECT * FROM differences('odd', 'odd_heap');
SELECT id, note, embedding FROM odd WHERE id < 10 ORDER BY id;
SELECT id, array_dims(embedding), array_ndims(embedding), cardinality(embedding), array_lower(embedding, 1)
	FROM odd ORDER BY id;
SELECT id, array_send(embedding) = array_send((SELECT embedding FROM odd_heap h WHERE h.id = s.id)) AS same
	FROM vecseg_scroll(NULL::odd) s;
-- each row's vector to the next row, and back
CREATE TABLE turned (LIKE odd) USING vecseg;
INSERT INTO turned SELECT id, note, lead(embedding, 1, embedding) OVER (ORDER BY id) FROM odd;
UPDATE odd o SET embedding = t.embedding FROM turned t WHERE t.id = o.id;
SELECT * FROM differences('odd', 'turned');
UPDATE odd o SET embedding = h.embedding FROM odd_heap h WHERE h.id = o.id;
SELECT * FROM differences('odd', 'odd_heap');
VACUUM FULL odd;
SELECT * FROM differences('odd', 'odd_heap');
DROP TABLE odd, odd_heap, turned;
