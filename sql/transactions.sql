--
-- Transactions: rollback, savepoints, two phases, TRUNCATE, cursors, row locks
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 100) i;

-- rollback
BEGIN;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(101, 200) i;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id <= 150;
DELETE FROM items WHERE id % 2 = 0;
SELECT * FROM check_vectors('items');
ROLLBACK;
SELECT * FROM check_vectors('items');

-- savepoints
BEGIN;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id <= 10;
SAVEPOINT a;
UPDATE items SET version = 3, embedding = vec(id, 3, 64) WHERE id <= 20;
SAVEPOINT b;
UPDATE items SET version = 4, embedding = vec(id, 4, 64) WHERE id <= 30;
INSERT INTO items VALUES (1, 9, vec(1, 9, 64));
ROLLBACK TO b;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 5, embedding = vec(id, 5, 64) WHERE id BETWEEN 15 AND 40;
ROLLBACK TO a;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 6, embedding = vec(id, 6, 64) WHERE id BETWEEN 5 AND 40;
SAVEPOINT c;
INSERT INTO items SELECT i, 7, vec(i, 7, 64) FROM generate_series(101, 110) i;
RELEASE c;
COMMIT;
SELECT * FROM check_vectors('items');
SELECT version, min(id), max(id), count(*) FROM items GROUP BY version ORDER BY version;

-- a statement that fails in its midst
INSERT INTO items SELECT i, 1 / (150 - i), vec(i, 1, 64) FROM generate_series(111, 160) i;
SELECT * FROM check_vectors('items');

-- two-phase commit
BEGIN;
UPDATE items SET version = 8, embedding = vec(id, 8, 64) WHERE id <= 50;
INSERT INTO items SELECT i, 8, vec(i, 8, 64) FROM generate_series(201, 300) i;
PREPARE TRANSACTION 'vecseg_commit';
BEGIN;
UPDATE items SET version = 9, embedding = vec(id, 9, 64) WHERE id > 50;
INSERT INTO items SELECT i, 9, vec(i, 9, 64) FROM generate_series(301, 400) i;
PREPARE TRANSACTION 'vecseg_rollback';
SELECT * FROM check_vectors('items');
CHECKPOINT;
COMMIT PREPARED 'vecseg_commit';
ROLLBACK PREPARED 'vecseg_rollback';
SELECT * FROM check_vectors('items');
SELECT version, min(id), max(id), count(*) FROM items GROUP BY version ORDER BY version;

-- TRUNCATE: rolled back, in the transaction that fills, that made the table
BEGIN;
TRUNCATE items;
SELECT * FROM check_vectors('items');
INSERT INTO items SELECT i, 10, vec(i, 10, 64) FROM generate_series(1, 30) i;
SELECT * FROM check_vectors('items');
ROLLBACK;
SELECT * FROM check_vectors('items');
BEGIN;
SAVEPOINT a;
TRUNCATE items;
INSERT INTO items SELECT i, 10, vec(i, 10, 64) FROM generate_series(1, 30) i;
ROLLBACK TO a;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 11, embedding = vec(id, 11, 64);
SAVEPOINT b;
TRUNCATE items;
INSERT INTO items SELECT i, 12, vec(i, 12, 64) FROM generate_series(1, 40) i;
TRUNCATE items;
INSERT INTO items SELECT i, 13, vec(i, 13, 64) FROM generate_series(1, 50) i;
RELEASE b;
SELECT * FROM check_vectors('items');
COMMIT;
SELECT * FROM check_vectors('items');
BEGIN;
CREATE TABLE fresh (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO fresh SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 50) i;
TRUNCATE fresh;
INSERT INTO fresh SELECT i, 2, vec(i, 2, 64) FROM generate_series(1, 50) i;
SELECT * FROM check_vectors('fresh');
TRUNCATE fresh;
SELECT * FROM check_vectors('fresh');
INSERT INTO fresh SELECT i, 3, vec(i, 3, 100) FROM generate_series(1, 50) i;
COMMIT;
SELECT * FROM check_vectors('fresh', 100);
DROP TABLE fresh;

-- cursors
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, embedding = vec(id, 13, 64) AS same FROM items ORDER BY id;
FETCH 2 FROM c;
FETCH LAST FROM c;
UPDATE items SET version = 14, embedding = vec(id, 14, 64);
FETCH PRIOR FROM c;
FETCH ABSOLUTE 3 FROM c;
FETCH BACKWARD 1 FROM c;
DECLARE backward SCROLL CURSOR FOR SELECT id, embedding = vec(id, 14, 64) AS same FROM items;
MOVE LAST IN backward;
FETCH BACKWARD 3 FROM backward;
FETCH FORWARD 1 FROM backward;
DECLARE held CURSOR WITH HOLD FOR
	SELECT id, version, embedding FROM items WHERE id % 10 = 0 ORDER BY id;
COMMIT;
UPDATE items SET version = 15, embedding = vec(id, 15, 64);
VACUUM items;
DELETE FROM items WHERE id > 45;
CREATE FUNCTION fetch_held() RETURNS TABLE (id int, version int, same boolean)
LANGUAGE plpgsql AS $$
DECLARE
	held refcursor := 'held';
	r record;
BEGIN
	LOOP
		FETCH held INTO r;
		EXIT WHEN NOT FOUND;
		id := r.id;
		version := r.version;
		same := r.embedding = vec(r.id, r.version, 64);
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT * FROM fetch_held();
CLOSE held;
DROP FUNCTION fetch_held();
-- a held cursor outlives its table
BEGIN;
CREATE TABLE passing (id int, embedding real[]) USING vecseg;
INSERT INTO passing SELECT i, vec(i, 1, 10) FROM generate_series(1, 2) i;
DECLARE held CURSOR WITH HOLD FOR SELECT * FROM passing;
COMMIT;
DROP TABLE passing;
FETCH ALL FROM held;
CLOSE held;
-- WHERE CURRENT OF
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM items WHERE id < 4 FOR UPDATE;
MOVE 2 FROM c;
UPDATE items SET version = 16, embedding = vec(id, 16, 64) WHERE CURRENT OF c;
MOVE NEXT FROM c;
DELETE FROM items WHERE CURRENT OF c;
COMMIT;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items WHERE id < 5 ORDER BY id;
SELECT * FROM check_vectors('items');

-- row locks
BEGIN;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items WHERE id <= 2 ORDER BY id FOR UPDATE;
UPDATE items SET version = 17, embedding = vec(id, 17, 64) WHERE id = 1;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items WHERE id <= 2 ORDER BY id FOR NO KEY UPDATE;
COMMIT;
BEGIN;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items WHERE id <= 2 ORDER BY id FOR SHARE;
SAVEPOINT a;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items WHERE id <= 2 ORDER BY id FOR UPDATE;
ROLLBACK TO a;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items WHERE id <= 2 ORDER BY id FOR KEY SHARE SKIP LOCKED;
UPDATE items SET version = 18, embedding = vec(id, 18, 64) WHERE id = 2;
COMMIT;
SELECT * FROM check_vectors('items');

-- changes in a serializable transaction
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM check_vectors('items');
UPDATE items SET version = 19, embedding = vec(id, 19, 64) WHERE embedding[1] = 10;
COMMIT;
SELECT * FROM check_vectors('items');
DROP TABLE items;
