--
-- Partitions and inheritance
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (1) TO (101) USING vecseg;
CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (101) TO (201) USING heap;
-- one with its columns in another order
CREATE TABLE items_3 (embedding real[], dropped text, version int, id int NOT NULL) USING vecseg;
ALTER TABLE items_3 DROP COLUMN dropped;
ALTER TABLE items ATTACH PARTITION items_3 FOR VALUES FROM (201) TO (301);
CREATE TABLE items_4 PARTITION OF items DEFAULT PARTITION BY HASH (id);
CREATE TABLE items_4_0 PARTITION OF items_4 FOR VALUES WITH (MODULUS 2, REMAINDER 0) USING vecseg;
CREATE TABLE items_4_1 PARTITION OF items_4 FOR VALUES WITH (MODULUS 2, REMAINDER 1) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 400) i;
SELECT * FROM check_vectors('items');
SELECT * FROM check_vectors('items_3');
SELECT * FROM check_vectors('items_4');
-- rows move between partitions
UPDATE items SET id = id + 1000 WHERE id % 10 = 0;
SELECT tableoid::regclass AS partition, count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id % 1000, 1, 64)) AS wrong
	FROM items GROUP BY 1 ORDER BY 1;
UPDATE items SET id = id - 1000, version = 2, embedding = vec(id - 1000, 2, 64) WHERE id > 1000;
SELECT tableoid::regclass AS partition, count(*), sum(version) AS versions, array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM items GROUP BY 1 ORDER BY 1;
INSERT INTO items SELECT i, 3, vec(i, 3, 64) FROM generate_series(50, 350, 3) i
	ON CONFLICT (id) DO UPDATE SET version = excluded.version, embedding = excluded.embedding;
SELECT * FROM check_vectors('items');
WITH moved AS (UPDATE items SET id = id + 500 WHERE id <= 10 RETURNING *, tableoid::regclass AS partition)
	SELECT count(*), count(DISTINCT partition) BETWEEN 1 AND 2 AS moved, array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id - 500, version, 64)) AS wrong FROM moved;
UPDATE items SET id = id - 500 WHERE id > 500;
MERGE INTO items i USING generate_series(391, 410) s ON s = i.id
	WHEN MATCHED THEN UPDATE SET version = 4, embedding = vec(s, 4, 64)
	WHEN NOT MATCHED THEN INSERT VALUES (s, 5, vec(s, 5, 64));
SELECT * FROM check_vectors('items');
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/partitions.data'
COPY (SELECT * FROM items) TO :'file';
TRUNCATE items;
COPY items FROM :'file';
SELECT * FROM check_vectors('items');
-- joins and aggregates by partition, detaching, attaching
SET enable_partitionwise_join = on;
SELECT count(*) FROM items a JOIN items b USING (id, embedding);
RESET enable_partitionwise_join;
ALTER TABLE items DETACH PARTITION items_1;
SELECT * FROM check_vectors('items');
SELECT * FROM check_vectors('items_1');
ALTER TABLE items_1 SET ACCESS METHOD heap;
ALTER TABLE items_2 SET ACCESS METHOD vecseg;
ALTER TABLE items ATTACH PARTITION items_1 FOR VALUES FROM (1) TO (101);
SELECT * FROM check_vectors('items');
UPDATE items SET version = 6, embedding = vec(id, 6, 64) WHERE id % 5 = 0;
SELECT * FROM check_vectors('items');
-- scrolling over partitions is in order of the key
SELECT count(*), bool_and(id > previous) AS in_order, array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM (SELECT *, lag(id) OVER () AS previous FROM vecseg_scroll(NULL::items, 50, 350)) s;
SELECT count(*), bool_and(id < previous) AS in_order, array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong
	FROM (SELECT *, lag(id) OVER () AS previous FROM vecseg_scroll(NULL::items, backward => true)) s;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items, '{350,1,205,150,9999,400,205}');
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_scroll(NULL::items_3, 290) LIMIT 3;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::items_3, '{205,1,204}');
VACUUM FULL items;
ANALYZE items;
SELECT * FROM check_vectors('items');
DROP TABLE items;

-- inheritance
CREATE TABLE parent (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
CREATE TABLE child (extra text, more real[], PRIMARY KEY (id)) INHERITS (parent) USING vecseg;
CREATE TABLE heap_child (PRIMARY KEY (id)) INHERITS (parent) USING heap;
INSERT INTO parent SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 50) i;
INSERT INTO child SELECT i, 1, vec(i, 1, 64), repeat('extra', 1000), vec(i, 2, 64) FROM generate_series(51, 100) i;
INSERT INTO heap_child SELECT i, 1, vec(i, 1, 64) FROM generate_series(101, 150) i;
SELECT * FROM check_vectors('parent');
UPDATE parent SET version = 3, embedding = vec(id, 3, 64) WHERE id % 2 = 0;
SELECT * FROM check_vectors('parent');
SELECT * FROM check_vectors('child');
SELECT count(*), array_agg(id) FILTER (WHERE more IS DISTINCT FROM vec(id, 2, 64) OR extra <> repeat('extra', 1000)) AS wrong FROM child;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM ONLY parent;
-- whole rows of children as rows of the parent
SELECT count(*) FROM parent p WHERE (p).embedding IS DISTINCT FROM vec(id, version, 64) OR p IS DISTINCT FROM ROW(id, version, vec(id, version, 64))::parent;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM vecseg_scroll(NULL::child);
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)) AS wrong FROM vecseg_scroll(NULL::parent);
SELECT id, embedding = vec(id, version, 64) AS same FROM vecseg_retrieve(NULL::parent, '{1,75,125}');
ALTER TABLE child NO INHERIT parent;
ALTER TABLE parent ADD COLUMN added real[] DEFAULT '{1,2,3,4,5,6,7,8,9,0}';
UPDATE parent SET added[1] = id;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64) OR added <> id::real || '{2,3,4,5,6,7,8,9,0}'::real[]) AS wrong FROM parent;
DROP TABLE child, heap_child, parent;
