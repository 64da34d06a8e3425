\echo Use "CREATE EXTENSION vecseg" to load this file. \quit

-- Access methods

CREATE FUNCTION vecseg_segment_handler(internal) RETURNS table_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vecseg_segment_handler(internal) IS
	'handler of table access method vecseg_segment';

CREATE ACCESS METHOD vecseg_segment TYPE TABLE HANDLER vecseg_segment_handler;
COMMENT ON ACCESS METHOD vecseg_segment IS
	'segments: TOAST relations of vecseg tables';

CREATE FUNCTION vecseg_handler(internal) RETURNS table_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vecseg_handler(internal) IS
	'handler of table access method vecseg';

CREATE ACCESS METHOD vecseg TYPE TABLE HANDLER vecseg_handler;
COMMENT ON ACCESS METHOD vecseg IS
	'heap rows with dense vectors in segments';

-- A TOAST relation has no dependency on its access method. Let vecseg depend
-- on vecseg_segment, so that DROP EXTENSION ... CASCADE drops vecseg, and with
-- it the tables, first.
INSERT INTO pg_catalog.pg_depend
	SELECT 'pg_catalog.pg_am'::regclass, v.oid, 0,
		   'pg_catalog.pg_am'::regclass, s.oid, 0, 'n'
	FROM pg_catalog.pg_am v, pg_catalog.pg_am s
	WHERE v.amname = 'vecseg' AND s.amname = 'vecseg_segment';

-- Reading many rows

CREATE FUNCTION vecseg_scroll(tbl anyelement,
							  after anycompatible DEFAULT NULL,
							  upto anycompatible DEFAULT NULL,
							  backward boolean DEFAULT false)
	RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED
	COST 1000 ROWS 10000;
COMMENT ON FUNCTION vecseg_scroll(anyelement, anycompatible, anycompatible, boolean) IS
	'rows of a vecseg table, named as NULL::table, in order of its primary key, from after a key up to and including a key';

CREATE FUNCTION vecseg_retrieve(tbl anyelement, ids anycompatiblearray)
	RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED
	COST 1000 ROWS 1000;
COMMENT ON FUNCTION vecseg_retrieve(anyelement, anycompatiblearray) IS
	'rows of a vecseg table, named as NULL::table, by primary key, in the order of the ids';

CREATE FUNCTION vecseg_position(key "any", ids "any") RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecseg_position("any", "any") IS
	'internal: where a key comes first in an array, the order of vecseg_retrieve';

CREATE FUNCTION vecseg_row_security(tbl regclass) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecseg_row_security(regclass) IS
	'internal: raises an error if row_security is off where it must not be';

-- Looking inside

CREATE FUNCTION vecseg_segments(tbl regclass,
								OUT segment integer,
								OUT slot_size integer,
								OUT slots bigint,
								OUT used bigint,
								OUT free bigint,
								OUT first_block bigint,
								OUT blocks bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE
	ROWS 100;
COMMENT ON FUNCTION vecseg_segments(regclass) IS
	'segments of a vecseg table''s store: slots of slot_size bytes, blocks in the TOAST relation';

CREATE FUNCTION vecseg_check(tbl regclass,
							 OUT segment integer,
							 OUT value_id bigint,
							 OUT block bigint,
							 OUT tid tid,
							 OUT attnum integer,
							 OUT msg text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE
	COST 100000 ROWS 10;
REVOKE ALL ON FUNCTION vecseg_check(regclass) FROM PUBLIC;
COMMENT ON FUNCTION vecseg_check(regclass) IS
	'damage found in a vecseg table''s store and in the references to it; no rows if it is sound';

-- Statistics

CREATE FUNCTION vecseg_stat_get_io(OUT "values" bigint,
								   OUT shared_hits bigint,
								   OUT mapped_hits bigint,
								   OUT read_values bigint,
								   OUT single_values bigint,
								   OUT batches bigint,
								   OUT reads bigint,
								   OUT merged bigint,
								   OUT read_bytes bigint,
								   OUT retries bigint,
								   OUT wait_usec bigint,
								   OUT max_in_flight bigint,
								   OUT stats_reset timestamptz)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION vecseg_stat_get_io() IS
	'statistics: how the server read vectors';

CREATE VIEW vecseg_stat_io AS SELECT * FROM vecseg_stat_get_io();
COMMENT ON VIEW vecseg_stat_io IS
	'statistics: how the server read vectors';
GRANT SELECT ON vecseg_stat_io TO PUBLIC;

CREATE FUNCTION vecseg_stat_reset_io()
	RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE;
REVOKE ALL ON FUNCTION vecseg_stat_reset_io() FROM PUBLIC;
COMMENT ON FUNCTION vecseg_stat_reset_io() IS
	'statistics: set the counters of vecseg_stat_io to zero';
