--
-- Row security and privileges in vecseg_scroll and vecseg_retrieve: as in a SELECT
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
\set SHOW_CONTEXT never
CREATE TABLE items (id int PRIMARY KEY, owner name, version int, embedding real[], secret text) USING vecseg;
INSERT INTO items SELECT i, CASE i % 3 WHEN 0 THEN 'regress_vecseg_a' WHEN 1 THEN 'regress_vecseg_b' ELSE 'nobody' END, 1, vec(i, 1, 64), 'secret'
	FROM generate_series(1, 30) i;
CREATE ROLE regress_vecseg_a;
CREATE ROLE regress_vecseg_b;
GRANT SELECT ON items TO regress_vecseg_a;
GRANT SELECT (id, owner, version, embedding) ON items TO regress_vecseg_b;

-- privileges on columns
SET ROLE regress_vecseg_a;
SELECT count(*), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM vecseg_scroll(NULL::items);
SELECT id, secret FROM vecseg_retrieve(NULL::items, '{3,1}');
SELECT * FROM vecseg_segments('items') WHERE false;
SET ROLE regress_vecseg_b;
SELECT count(*) FROM (SELECT id, owner, version, embedding FROM items) s;
SELECT * FROM vecseg_scroll(NULL::items, 28);
SELECT * FROM vecseg_retrieve(NULL::items, '{3,1}');
SELECT secret FROM vecseg_scroll(NULL::items, 28);
SELECT count(*) FROM vecseg_segments('items');
RESET ROLE;

-- row security
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON items FOR SELECT USING (owner = current_user);
CREATE FUNCTION leak(text, real[]) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'leaked % %', $1, $2[1];
	RETURN true;
END
$$;
SET ROLE regress_vecseg_a;
SELECT count(*), array_agg(id ORDER BY id) FROM items;
SELECT count(*), array_agg(id), array_agg(id) FILTER (WHERE embedding IS DISTINCT FROM vec(id, 1, 64)) AS wrong FROM vecseg_scroll(NULL::items);
SELECT id FROM vecseg_scroll(NULL::items, 5, 14, false);
SELECT id FROM vecseg_scroll(NULL::items, backward => true) LIMIT 3;
SELECT id, owner, embedding = vec(id, 1, 64) AS same FROM vecseg_retrieve(NULL::items, '{1,2,3,4,5,6,12,9}');
-- a function in the WHERE clause sees permitted rows only
SELECT id FROM vecseg_scroll(NULL::items, 5, 9) WHERE leak(owner, embedding);
SELECT id FROM vecseg_retrieve(NULL::items, '{9,1,2}') WHERE leak(owner, embedding);
SET row_security = off;
SELECT * FROM vecseg_scroll(NULL::items);
SELECT * FROM vecseg_retrieve(NULL::items, '{1}');
RESET row_security;
RESET ROLE;
SELECT count(*) FROM vecseg_scroll(NULL::items);
-- the same plan for other roles
PREPARE scroll AS SELECT count(*), min(id) FROM vecseg_scroll(NULL::items);
EXECUTE scroll;
SET ROLE regress_vecseg_a;
EXECUTE scroll;
RESET ROLE;
GRANT SELECT ON items TO regress_vecseg_b;
SET ROLE regress_vecseg_b;
EXECUTE scroll;
RESET ROLE;
EXECUTE scroll;
REVOKE SELECT ON items FROM regress_vecseg_a;
SET ROLE regress_vecseg_a;
EXECUTE scroll;
RESET ROLE;
GRANT SELECT ON items TO regress_vecseg_a;
-- the table's owner, with and without FORCE
ALTER TABLE items OWNER TO regress_vecseg_b;
SET ROLE regress_vecseg_b;
SELECT count(*) FROM vecseg_scroll(NULL::items);
ALTER TABLE items FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM vecseg_scroll(NULL::items);
SELECT count(*) FROM vecseg_retrieve(NULL::items, '{1,2,3}');
RESET ROLE;
ALTER TABLE items NO FORCE ROW LEVEL SECURITY;

-- functions and views of another role
GRANT CREATE ON SCHEMA public TO regress_vecseg_b;
SET ROLE regress_vecseg_b;
CREATE FUNCTION as_owner() RETURNS SETOF items LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM vecseg_scroll(NULL::public.items)';
CREATE FUNCTION as_caller() RETURNS SETOF items LANGUAGE sql AS 'SELECT * FROM vecseg_scroll(NULL::public.items)';
CREATE VIEW owner_view AS SELECT * FROM items;
CREATE VIEW scroll_view AS SELECT id, embedding FROM vecseg_scroll(NULL::items);
GRANT SELECT ON owner_view, scroll_view TO PUBLIC;
SET ROLE regress_vecseg_a;
SELECT count(*) FROM as_owner();
SELECT count(*) FROM as_caller();
SELECT count(*) FROM owner_view;
-- functions in a view run as the caller
SELECT count(*) FROM scroll_view;
RESET ROLE;

-- policies that look at vectors and other tables
CREATE TABLE allowed (id int PRIMARY KEY) USING heap;
INSERT INTO allowed VALUES (2), (4);
GRANT SELECT ON allowed TO regress_vecseg_a;
DROP POLICY own ON items;
CREATE POLICY listed ON items FOR SELECT USING (id IN (SELECT id FROM allowed) OR embedding[1] = 10);
SET ROLE regress_vecseg_a;
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_scroll(NULL::items);
SELECT id, embedding = vec(id, 1, 64) AS same FROM vecseg_retrieve(NULL::items, '{10,1,4,3,2}');
RESET ROLE;
DROP VIEW owner_view, scroll_view;
DROP FUNCTION as_owner();
DROP FUNCTION as_caller();
DROP FUNCTION leak(text, real[]);
DROP TABLE items, allowed;
REVOKE CREATE ON SCHEMA public FROM regress_vecseg_b;
DROP ROLE regress_vecseg_a, regress_vecseg_b;
