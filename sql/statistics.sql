--
-- Counters of how vectors were read, and the settings of reading
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE stat_items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
INSERT INTO stat_items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 2500) i;

-- Values read one by one are in the totals once their transaction has ended
-- (other sessions may count at the same time, so only "at least" is certain)
SELECT "values" AS before FROM vecseg_stat_io \gset
SELECT count(embedding[1]) FROM stat_items WHERE id <= 10;
SELECT "values" - :before >= 10 AS counted FROM vecseg_stat_io;

-- ... those of long transactions earlier than that, and also of failed ones
SELECT "values" AS before FROM vecseg_stat_io \gset
BEGIN;
SELECT count(embedding[1]) FROM stat_items;
SELECT "values" - :before >= 2000 AS counted FROM vecseg_stat_io;
ROLLBACK;
SELECT "values" - :before >= 2500 AS counted FROM vecseg_stat_io;

-- Each value came from somewhere
SELECT "values" = shared_hits + mapped_hits + read_values AS sum FROM vecseg_stat_io;

-- Names and types
SELECT attname, atttypid::regtype FROM pg_attribute
	WHERE attrelid = 'vecseg_stat_io'::regclass AND attnum > 0 ORDER BY attnum;

-- Reset
SELECT stats_reset AS reset_before FROM vecseg_stat_io \gset
SELECT vecseg_stat_reset_io();
SELECT stats_reset > :'reset_before' AS later, retries FROM vecseg_stat_io;

-- Everyone may look, few may reset
CREATE ROLE regress_vecseg_stat;
SET ROLE regress_vecseg_stat;
SELECT "values" >= 0 AS seen FROM vecseg_stat_io;
SELECT vecseg_stat_reset_io();
RESET ROLE;
GRANT EXECUTE ON FUNCTION vecseg_stat_reset_io() TO regress_vecseg_stat;
SET ROLE regress_vecseg_stat;
SELECT vecseg_stat_reset_io();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION vecseg_stat_reset_io() FROM regress_vecseg_stat;
DROP ROLE regress_vecseg_stat;

-- Everything that belongs to it is commented
SELECT obj_description('vecseg_stat_io'::regclass, 'pg_class') IS NOT NULL AS view,
	   obj_description('vecseg_stat_get_io()'::regprocedure, 'pg_proc') IS NOT NULL AS get,
	   obj_description('vecseg_stat_reset_io()'::regprocedure, 'pg_proc') IS NOT NULL AS reset;

-- To autovacuum, values are the TOAST relation's rows: each one stored is
-- inserted, each one that a row version no longer refers to is deleted
CREATE TABLE stat_values (id int PRIMARY KEY, n int, embedding real[], other real[]) USING vecseg;
ALTER TABLE stat_values SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE FUNCTION values_counted(OUT inserted bigint, OUT deleted bigint, OUT dead bigint) LANGUAGE plpgsql AS $$
DECLARE
	toast oid := (SELECT reltoastrelid FROM pg_class WHERE relname = 'stat_values');
BEGIN
	inserted := pg_stat_get_tuples_inserted(toast);
	deleted := pg_stat_get_tuples_deleted(toast);
	dead := pg_stat_get_dead_tuples(toast);
END
$$;
INSERT INTO stat_values SELECT i, 0, vec(i, 1, 64), CASE WHEN i <= 20 THEN vec(i, 2, 64) END FROM generate_series(1, 100) i;
UPDATE stat_values SET n = n + 1;
SELECT pg_stat_force_next_flush();
SELECT * FROM values_counted();
UPDATE stat_values SET embedding = vec(id, 3, 64) WHERE id <= 10;
UPDATE stat_values SET embedding = NULL, other = '{1}' WHERE id BETWEEN 11 AND 15;
UPDATE stat_values SET embedding = other, other = embedding WHERE id = 16;
SELECT pg_stat_force_next_flush();
SELECT * FROM values_counted();
DELETE FROM stat_values WHERE id BETWEEN 17 AND 26;
SELECT pg_stat_force_next_flush();
SELECT * FROM values_counted();
BEGIN;
UPDATE stat_values SET embedding = vec(id, 4, 64) WHERE id BETWEEN 31 AND 33;
DELETE FROM stat_values WHERE id BETWEEN 31 AND 40;
ROLLBACK;
SELECT pg_stat_force_next_flush();
SELECT * FROM values_counted();
DROP FUNCTION values_counted();
DROP TABLE stat_values;

-- Settings of reading
SELECT name, setting, unit, vartype, context, min_val, max_val, enumvals FROM pg_settings
	WHERE name IN ('vecseg.io_method', 'vecseg.io_depth', 'vecseg.read_ahead', 'vecseg.direct_io')
	ORDER BY name;
SET vecseg.read_ahead = '64MB';
SHOW vecseg.read_ahead;
\set VERBOSITY sqlstate
SET vecseg.read_ahead = '100kB';
SET vecseg.read_ahead = '2GB';
\set VERBOSITY default
SET vecseg.direct_io = on;
SHOW vecseg.direct_io;
SET vecseg.direct_io = sometimes;
RESET vecseg.read_ahead;
RESET vecseg.direct_io;

DROP TABLE stat_items;
