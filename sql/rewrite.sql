--
-- VACUUM, VACUUM FULL, CLUSTER
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[], k int, t text) USING vecseg;
ALTER TABLE items ALTER t SET STORAGE EXTERNAL;
CREATE INDEX items_k ON items (k);
CREATE INDEX items_k_hash ON items USING hash (k);
CREATE INDEX items_negative ON items ((-k));
CREATE INDEX items_first ON items ((embedding[4]));
CREATE INDEX items_partial ON items (k) WHERE k < 10;
INSERT INTO items SELECT i, 1, vec(i, 1, 64), (i * 7919) % 1000, repeat(md5(i::text), 100 + i % 300) FROM generate_series(1, 300) i;
CREATE FUNCTION check_items(OUT rows bigint, OUT ids bigint, OUT versions bigint, OUT wrong int[]) LANGUAGE sql AS $$
	SELECT count(*), sum(id), sum(version), array_agg(id ORDER BY id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, version, 64)
		OR k IS DISTINCT FROM (id * 7919) % 1000 OR t IS DISTINCT FROM repeat(md5(id::text), 100 + id % 300))
	FROM items
$$;
-- the order in which a sequential scan finds the rows
CREATE FUNCTION order_of(expression text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	result boolean;
BEGIN
	EXECUTE format('SELECT bool_and(o >= previous) FROM (SELECT %s AS o, lag(%1$s) OVER (ORDER BY ctid) AS previous FROM items) s', expression)
		INTO result;
	RETURN result;
END
$$;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
DELETE FROM items WHERE id % 10 = 0;
VACUUM items;
SELECT * FROM check_items();
VACUUM (FREEZE, ANALYZE, VERBOSE off, INDEX_CLEANUP on, TRUNCATE on) items;
SELECT * FROM check_items();
UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id % 3 = 0;
VACUUM (DISABLE_PAGE_SKIPPING) items;
SELECT * FROM check_items();
VACUUM (PARALLEL 2) items;
VACUUM (ANALYZE, PROCESS_TOAST off) items;
SELECT * FROM check_items();
-- freed slots are used again, and nothing living is overwritten
DO $$
BEGIN
	FOR v IN 4 .. 8 LOOP
		UPDATE items SET version = v, embedding = vec(id, v, 64) WHERE id % v <> 0;
		DELETE FROM items WHERE id = v;
	END LOOP;
END
$$;
VACUUM items;
SELECT * FROM check_items();
INSERT INTO items SELECT i, 9, vec(i, 9, 64), (i * 7919) % 1000, repeat(md5(i::text), 100 + i % 300) FROM generate_series(301, 400) i;
SELECT * FROM check_items();
VACUUM items;
UPDATE items SET version = 10, embedding = vec(id, 10, 64) WHERE id % 2 = 0;
SELECT * FROM check_items();

VACUUM FULL items;
SELECT * FROM check_items();
-- one slot for each vector, and for each text
SELECT slots_used('items') - 2 * count(*) AS garbage FROM items;
VACUUM (FULL, FREEZE, ANALYZE) items;
SELECT * FROM check_items();

-- CLUSTER, by index scan and by sort
CLUSTER items USING items_k;
SELECT order_of('k');
SELECT * FROM check_items();
SET enable_seqscan = off; SET enable_sort = off;
CLUSTER items USING items_pkey;
SELECT order_of('id');
SELECT * FROM check_items();
RESET enable_seqscan; SET enable_indexscan = off;
CLUSTER items USING items_negative;
SELECT order_of('-k');
SELECT * FROM check_items();
CLUSTER items USING items_first;
SELECT order_of('embedding[4]');
SELECT * FROM check_items();
RESET enable_sort; RESET enable_indexscan;
CLUSTER items;
SELECT order_of('embedding[4]');
CLUSTER items USING items_k_hash;
CLUSTER items USING items_partial;
SELECT slots_used('items') - 2 * count(*) AS garbage FROM items;
-- sorts that go to disk
SET maintenance_work_mem = '1MB';
INSERT INTO items SELECT i, 11, vec(i, 11, 64), (i * 7919) % 1000, repeat(md5(i::text), 100 + i % 300) FROM generate_series(10001, 13000) i;
SET enable_indexscan = off;
CLUSTER items USING items_first;
SELECT order_of('embedding[4]');
SELECT * FROM check_items();
RESET enable_indexscan; RESET maintenance_work_mem;
DELETE FROM items WHERE id > 10000;

-- in the transaction that changes the rows
BEGIN;
UPDATE items SET version = 12, embedding = vec(id, 12, 64) WHERE id % 3 = 0;
DELETE FROM items WHERE id % 7 = 0;
SAVEPOINT a;
UPDATE items SET version = 13, embedding = vec(id, 13, 64) WHERE id % 5 = 0;
CLUSTER items USING items_k;
SELECT * FROM check_items();
UPDATE items SET version = 14, embedding = vec(id, 14, 64) WHERE id % 11 = 0;
SELECT * FROM check_items();
ROLLBACK TO a;
SELECT * FROM check_items();
CLUSTER items USING items_pkey;
SELECT * FROM check_items();
DECLARE c CURSOR FOR SELECT id FROM items;
FETCH 1 FROM c;
CLUSTER items USING items_k;
CLOSE c;
ROLLBACK;
SELECT * FROM check_items();
BEGIN;
UPDATE items SET version = 12, embedding = vec(id, 12, 64) WHERE id % 3 = 0;
UPDATE items SET version = 13, embedding = vec(id, 13, 64) WHERE id % 3 = 0;
CLUSTER items USING items_k;
COMMIT;
SELECT order_of('k');
SELECT * FROM check_items();
VACUUM items;
SELECT * FROM check_items();

-- the TOAST relation by itself
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'items'::regclass \gset
DELETE FROM items WHERE id % 4 = 0;
VACUUM :toast;
SELECT * FROM check_items();
VACUUM FULL :toast;
SELECT * FROM check_items();
UPDATE items SET version = 20, embedding = vec(id, 20, 64) WHERE id % 2 = 0;
SELECT * FROM check_items();
REINDEX TABLE :toast;
REINDEX TABLE CONCURRENTLY :toast;
SELECT * FROM check_items();
VACUUM (FREEZE) :toast;
SELECT count(*) FROM :toast;
SET enable_seqscan = off;
SELECT count(*) FROM :toast WHERE chunk_id = 1;
SELECT count(*) FROM :toast WHERE chunk_id BETWEEN 1 AND 1000 AND chunk_seq = 0;
SELECT count(*) FROM :toast WHERE ctid = '(1,1)';
RESET enable_seqscan;
SELECT count(*) FROM :toast WHERE ctid > '(0,0)';
UPDATE items SET version = 21, embedding = vec(id, 21, 64) WHERE id % 2 = 1;
SELECT * FROM check_items();
VACUUM FULL items;
SELECT * FROM check_items();
-- both horizons advance
VACUUM (FREEZE) items;
SELECT count(*) FROM pg_class WHERE (oid = 'items'::regclass OR oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass))
	AND age(relfrozenxid) > 100;
DROP FUNCTION check_items();
DROP FUNCTION order_of(text);
DROP TABLE items;

-- A variable that holds pointers to values of the file before, in the same
-- transaction: never others' values
SET vecseg.enable_custom_scan = off; -- which would have read the values
CREATE TABLE kept (id int PRIMARY KEY, k int, embedding real[]) USING vecseg;
CREATE INDEX kept_k ON kept (k);
INSERT INTO kept SELECT i, -i, vec(i, 1, 700) FROM generate_series(1, 20) i;
CREATE FUNCTION hold(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	held record;
BEGIN
	SELECT * INTO held FROM kept WHERE id = 3;
	EXECUTE command;
	IF NOT EXISTS (SELECT FROM kept) THEN
		INSERT INTO kept SELECT i, -i, vec(i, 2, 700) FROM generate_series(1, 20) i;
	END IF;
	BEGIN
		RETURN CASE WHEN held.embedding = vec(3, 1, 700) THEN 'the same' ELSE 'another''s' END;
	EXCEPTION WHEN data_corrupted THEN
		RETURN 'gone';
	END;
END $$;
SELECT hold('CLUSTER kept USING kept_k');
SELECT hold('CLUSTER kept');
SELECT id FROM kept WHERE embedding IS DISTINCT FROM vec(id, 1, 700);
SELECT hold('TRUNCATE kept');
SELECT id FROM kept WHERE embedding IS DISTINCT FROM vec(id, 2, 700);
SELECT * FROM vecseg_check('kept');
-- in a transaction that created the table, TRUNCATE empties the file
BEGIN;
DROP TABLE kept;
CREATE TABLE kept (id int PRIMARY KEY, k int, embedding real[]) USING vecseg;
INSERT INTO kept SELECT i, -i, vec(i, 1, 700) FROM generate_series(1, 20) i;
SELECT hold('TRUNCATE kept');
SELECT id FROM kept WHERE embedding IS DISTINCT FROM vec(id, 2, 700);
COMMIT;
-- and when that was rolled back
CREATE FUNCTION hold_undone(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	held record;
BEGIN
	BEGIN
		EXECUTE command;
		INSERT INTO kept SELECT i, -i, vec(i, 3, 700) FROM generate_series(1001, 1020) i;
		SELECT * INTO held FROM kept WHERE id = 1003;
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
	END;
	INSERT INTO kept SELECT i, -i, vec(i, 2, 700) FROM generate_series(2001, 2200) i;
	BEGIN
		RETURN CASE WHEN held.embedding = vec(1003, 3, 700) THEN 'the same' ELSE 'another''s' END;
	EXCEPTION WHEN data_corrupted THEN
		RETURN 'gone';
	END;
END $$;
SELECT hold_undone('TRUNCATE kept');
DELETE FROM kept WHERE id > 1000;
SELECT hold_undone('CLUSTER kept USING kept_pkey');
SELECT id FROM kept WHERE embedding IS DISTINCT FROM vec(id, 2, 700);
SELECT * FROM vecseg_check('kept');
DROP FUNCTION hold_undone(text);
-- afterwards, ids start from the beginning
TRUNCATE kept;
INSERT INTO kept SELECT i, -i, vec(i, 2, 700) FROM generate_series(1, 20) i;
SELECT id FROM kept WHERE embedding IS DISTINCT FROM vec(id, 2, 700);
SELECT * FROM vecseg_check('kept');
DROP TABLE kept;
RESET vecseg.enable_custom_scan;
DROP FUNCTION hold(text);
