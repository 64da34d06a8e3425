-- The same rows in three tables: heap with vectors in TOAST, heap with vectors in
-- the row, vecseg. Ids are random, so their order is not the rows', or
-- sequential.
-- The keys' indexes are there before the rows, as in a table in use: one that
-- is built afterwards has its leaf pages in key order on disk.
-- psql variables: rows; vector, an expression for the vector of row i; runs; ids,
-- "random" or "sequential"; type, of the vectors' column, "vector(n)" being
-- pgvector's; storage, in TOAST (EXTERNAL for random floats, which do not
-- compress, so EXTENDED would only cost attempts); and few, the number of rows to
-- build an index on.
CREATE EXTENSION vecseg;
SELECT :'type' LIKE 'vector%' AS with_pgvector \gset
\if :with_pgvector
CREATE EXTENSION vector;
\endif

-- Table and rows come in one transaction, so that wal_level = minimal needs no
-- WAL for them.
BEGIN;
CREATE TABLE items_toast (id uuid PRIMARY KEY, n int, e :type);
ALTER TABLE items_toast ALTER e SET STORAGE :storage;
INSERT INTO items_toast
	SELECT CASE :'ids' WHEN 'random' THEN md5(i::text) ELSE lpad(to_hex(i), 32, '0') END::uuid,
		   i, (:vector)::real[]:::type FROM generate_series(1, :rows) i;
COMMIT;
BEGIN;
CREATE TABLE items_inline (id uuid PRIMARY KEY, n int, e :type);
ALTER TABLE items_inline ALTER e SET STORAGE PLAIN;
INSERT INTO items_inline SELECT id, n, e FROM items_toast;
COMMIT;
BEGIN;
CREATE TABLE items_vecseg (id uuid PRIMARY KEY, n int, e :type) USING vecseg;
INSERT INTO items_vecseg SELECT id, n, e FROM items_toast;
COMMIT;

-- Tiny ones of the same kind, to have the catalogs read before timing starts
CREATE TABLE tiny_toast (LIKE items_toast INCLUDING ALL);
INSERT INTO tiny_toast SELECT * FROM items_toast LIMIT 3;
CREATE TABLE tiny_inline (LIKE items_inline INCLUDING ALL);
INSERT INTO tiny_inline SELECT * FROM items_inline LIMIT 3;
CREATE TABLE tiny_vecseg (LIKE items_vecseg INCLUDING ALL) USING vecseg;
INSERT INTO tiny_vecseg SELECT * FROM items_vecseg LIMIT 3;

\if :with_pgvector
CREATE TABLE few_toast (LIKE items_toast INCLUDING STORAGE);
INSERT INTO few_toast SELECT * FROM items_toast WHERE n <= :few;
CREATE TABLE few_inline (LIKE items_inline INCLUDING STORAGE);
INSERT INTO few_inline SELECT * FROM items_toast WHERE n <= :few;
CREATE TABLE few_vecseg (LIKE items_vecseg INCLUDING STORAGE) USING vecseg;
INSERT INTO few_vecseg SELECT * FROM items_toast WHERE n <= :few;
\endif

-- The ids that each run retrieves
CREATE TABLE wanted (count int, run int, ids uuid[]);
INSERT INTO wanted
	SELECT c.count, r.run,
		   (SELECT array_agg(s.id)
			FROM (SELECT id FROM items_toast
				  ORDER BY hashint8extended(n, c.count * 100 + r.run) LIMIT c.count) s)
	FROM (VALUES (1000), (10000)) c(count), generate_series(0, :runs) r(run);

VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
