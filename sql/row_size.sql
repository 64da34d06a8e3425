--
-- Rows that no page can hold
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
\set SHOW_CONTEXT never
-- columns kept in the row by STORAGE PLAIN
CREATE TABLE wide (id int PRIMARY KEY, a real[], b text) USING vecseg;
ALTER TABLE wide ALTER a SET STORAGE PLAIN, ALTER b SET STORAGE PLAIN;
INSERT INTO wide VALUES (1, vec(1, 1, 1800), NULL);
INSERT INTO wide VALUES (2, vec(1, 1, 2048), NULL);
INSERT INTO wide VALUES (3, vec(1, 1, 1000), repeat('x', 5000));
UPDATE wide SET b = repeat('x', 5000);
COPY wide FROM STDIN (FORMAT csv);
4,"{1,2,3}",short
\.
SELECT id, a = CASE id WHEN 1 THEN vec(1, 1, 1800) ELSE '{1,2,3}' END AS same, b FROM wide ORDER BY id;
ALTER TABLE wide ALTER a SET STORAGE EXTERNAL;
INSERT INTO wide VALUES (2, vec(2, 1, 2048), repeat('x', 7900));
UPDATE wide SET b = repeat('x', 7900) WHERE id = 1;
SELECT id, a = CASE id WHEN 1 THEN vec(1, 1, 1800) WHEN 2 THEN vec(2, 1, 2048) ELSE '{1,2,3}' END AS same, length(b)
	FROM wide ORDER BY id;
-- a table that no longer fits its rows
ALTER TABLE wide ALTER a SET STORAGE PLAIN;
VACUUM FULL wide;
SELECT id, a = CASE id WHEN 1 THEN vec(1, 1, 1800) WHEN 2 THEN vec(2, 1, 2048) ELSE '{1,2,3}' END AS same, length(b)
	FROM wide ORDER BY id;
DROP TABLE wide;

-- too many columns, though each value is out of line
CREATE FUNCTION create_many(columns int, type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE many (id int PRIMARY KEY, %s) USING vecseg',
		(SELECT string_agg(format('c%s %s', i, type), ', ' ORDER BY i) FROM generate_series(1, columns) i));
END
$$;
CREATE FUNCTION fill_many(columns int, element text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO many VALUES (1, %s)',
		(SELECT string_agg(format(element, i), ', ' ORDER BY i) FROM generate_series(1, columns) i));
END
$$;
SELECT create_many(460, 'real[]');
SELECT fill_many(460, 'vec(%1$s, 1, 10)');
SELECT slots_used('many') AS before \gset
SELECT fill_many(400, 'vec(%1$s, 1, 10)');
SELECT slots_used('many') - :before AS slots_added;
SELECT c1 = vec(1, 1, 10) AS c1, c199 = vec(199, 1, 10) AS c199, c400 = vec(400, 1, 10) AS c400, c401 FROM many;
DROP TABLE many;
SELECT create_many(1500, 'bigint');
SELECT fill_many(1500, '%s');
DROP TABLE many;
SELECT create_many(500, 'text');
SELECT fill_many(500, 'repeat(md5(%1$s::text), 100)');
SELECT fill_many(300, 'repeat(md5(%1$s::text), 100)');
SELECT count(*) FROM many, jsonb_each_text(to_jsonb(many) - 'id') e
	WHERE value IS DISTINCT FROM repeat(md5(substr(key, 2)), 100) AND substr(key, 2)::int <= 300;
DROP TABLE many;
DROP FUNCTION create_many(int, text);
DROP FUNCTION fill_many(int, text);
