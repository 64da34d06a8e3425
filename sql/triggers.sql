--
-- Triggers and rules see the old and new vectors
--
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/test/regress_helpers.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE TABLE items (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;
CREATE TABLE seen (operation text, timing text, id int, old_version int, old_right boolean, new_version int, new_right boolean);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO seen VALUES (TG_OP, TG_WHEN, coalesce(NEW.id, OLD.id),
		OLD.version, OLD.embedding IS NOT DISTINCT FROM vec(OLD.id, OLD.version, 64),
		NEW.version, NEW.embedding IS NOT DISTINCT FROM vec(NEW.id, NEW.version, 64));
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER see_before BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION see();
CREATE TRIGGER see_after AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION see();
CREATE VIEW seen_summary AS SELECT operation, timing, count(*), count(DISTINCT id) AS ids, sum(old_version) AS old_versions,
		count(*) FILTER (WHERE old_right) AS old_right, sum(new_version) AS new_versions, count(*) FILTER (WHERE new_right) AS new_right
	FROM seen GROUP BY operation, timing ORDER BY operation, timing;
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(1, 100) i;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id % 2 = 0;
INSERT INTO items SELECT i, 3, vec(i, 3, 64) FROM generate_series(91, 110) i
	ON CONFLICT (id) DO UPDATE SET version = excluded.version, embedding = excluded.embedding;
DELETE FROM items WHERE id % 3 = 0;
SELECT * FROM seen_summary;
SELECT * FROM check_vectors('items');
TRUNCATE seen;
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/triggers.data'
COPY (SELECT i, 4, vec(i, 4, 64) FROM generate_series(201, 230) i) TO :'file';
COPY items FROM :'file';
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE items SET version = 5, embedding = vec(id, 5, 64) WHERE id > 200;
COMMIT;
SELECT * FROM seen_summary;
TRUNCATE seen;
DROP TRIGGER see_before ON items;
DROP TRIGGER see_after ON items;

-- a deferred trigger reads the rows at commit, after later changes
CREATE CONSTRAINT TRIGGER see_deferred AFTER UPDATE ON items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see();
BEGIN;
UPDATE items SET version = 6, embedding = vec(id, 6, 64) WHERE id > 200;
UPDATE items SET version = 7, embedding = vec(id, 7, 64) WHERE id > 200;
DELETE FROM items WHERE id > 220;
COMMIT;
SELECT * FROM seen_summary;
SELECT * FROM check_vectors('items');
TRUNCATE seen;
DROP TRIGGER see_deferred ON items;

-- a trigger that changes the new row, and one that looks at the vector
CREATE FUNCTION renew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND NEW.embedding = OLD.embedding THEN
		RETURN NEW;
	END IF;
	NEW.version := NEW.version + 100;
	NEW.embedding := vec(NEW.id, NEW.version, 64);
	RETURN NEW;
END
$$;
CREATE TRIGGER renew BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION renew();
CREATE TRIGGER see_changed AFTER UPDATE ON items FOR EACH ROW WHEN (OLD.embedding IS DISTINCT FROM NEW.embedding) EXECUTE FUNCTION see();
INSERT INTO items VALUES (301, 1, NULL), (302, 1, '{1,2}');
UPDATE items SET embedding = '{3}' WHERE id = 302;
UPDATE items SET embedding = embedding WHERE id < 50;
SELECT * FROM check_vectors('items');
SELECT id, version FROM items WHERE id > 300 ORDER BY id;
SELECT * FROM seen_summary;
COPY (SELECT i, 4, NULL FROM generate_series(401, 430) i) TO :'file';
COPY items FROM :'file';
SELECT * FROM check_vectors('items');
TRUNCATE seen;
DROP TRIGGER renew ON items;
DROP TRIGGER see_changed ON items;

-- transition tables
CREATE FUNCTION see_tables() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		INSERT INTO seen SELECT TG_OP, 'old table', id, version, embedding IS NOT DISTINCT FROM vec(id, version, 64) FROM old_rows;
	END IF;
	IF TG_OP <> 'DELETE' THEN
		INSERT INTO seen SELECT TG_OP, 'new table', id, NULL, NULL, version, embedding IS NOT DISTINCT FROM vec(id, version, 64) FROM new_rows;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER see_inserted AFTER INSERT ON items REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION see_tables();
CREATE TRIGGER see_updated AFTER UPDATE ON items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION see_tables();
CREATE TRIGGER see_deleted AFTER DELETE ON items REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION see_tables();
INSERT INTO items SELECT i, 1, vec(i, 1, 64) FROM generate_series(501, 600) i;
UPDATE items SET version = 2, embedding = vec(id, 2, 64) WHERE id > 550;
DELETE FROM items WHERE id % 5 = 0 AND id > 500;
MERGE INTO items USING (SELECT i FROM generate_series(591, 620) i) s ON id = i
	WHEN MATCHED AND i < 595 THEN DELETE
	WHEN MATCHED THEN UPDATE SET version = 8, embedding = vec(id, 8, 64)
	WHEN NOT MATCHED THEN INSERT VALUES (i, 9, vec(i, 9, 64));
COPY (SELECT i, 4, vec(i, 4, 64) FROM generate_series(701, 730) i) TO :'file';
COPY items FROM :'file';
SELECT * FROM seen_summary;
SELECT * FROM check_vectors('items');
-- system columns of rows that come many at a time
CREATE TABLE others (id int);
CREATE FUNCTION note_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO others VALUES (new.id); RETURN NULL; END $$;
CREATE TABLE many (LIKE items) USING vecseg;
CREATE TRIGGER from_others AFTER INSERT ON many FOR EACH ROW
	WHEN (new.xmin::text <> pg_current_xact_id()::text OR new.xmax::text <> '0' OR new.tableoid <> 'many'::regclass)
	EXECUTE FUNCTION note_other();
COPY many FROM :'file';
SELECT count(*) FROM others;
SELECT * FROM check_vectors('many');
DROP TABLE many, others;
DROP FUNCTION note_other();

-- rules and writable views
CREATE VIEW items_view AS SELECT * FROM items WHERE embedding IS NOT NULL WITH CHECK OPTION;
INSERT INTO items_view VALUES (801, 1, vec(801, 1, 64));
INSERT INTO items_view VALUES (802, 1, NULL);
UPDATE items_view SET version = 2, embedding = vec(id, 2, 64) WHERE id = 801;
SELECT id, version, embedding = vec(id, version, 64) AS same FROM items_view WHERE id > 800;
CREATE TABLE gone (LIKE items) USING vecseg;
CREATE RULE keep_gone AS ON DELETE TO items DO ALSO INSERT INTO gone VALUES (OLD.*);
DELETE FROM items WHERE id < 100;
SELECT * FROM check_vectors('gone');
SELECT * FROM check_vectors('items');
DROP VIEW items_view, seen_summary;
DROP TABLE items, gone, seen;
DROP FUNCTION see();
DROP FUNCTION renew();
DROP FUNCTION see_tables();
