--
-- vec(id, version, dims): the vector that version `version` of row `id` must
-- hold. Every test fills its tables with it and compares against it, so a
-- vector that is lost, torn, stale or given to the wrong row is found.
--
-- The first three elements spell out id and version; the rest is cut from one
-- fixed array of pseudo-random floats at an offset hashed from id and version.
-- A copy of a part of that array costs about 5 microseconds for 768
-- dimensions; hashing each element would cost a hundred times that. The array
-- is a literal in the function's body, so each session parses it once.
--
-- dims may be up to 16387. A script for pg_regress gets it with
--
--   \getenv abs_srcdir PG_ABS_SRCDIR
--   \set file :abs_srcdir '/test/vec.sql'
--   \set ECHO none
--   \i :file
--   \set ECHO all
--
DO $do$
BEGIN
	EXECUTE format(
$create$
CREATE OR REPLACE FUNCTION vec(id bigint, version int, dims int)
RETURNS real[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $body$
DECLARE
	o int := hashint8extended(id, version) & 4095;
BEGIN
	IF dims NOT BETWEEN 0 AND 16387 THEN
		RAISE EXCEPTION 'vec() cannot make %% dimensions', dims;
	END IF;
	RETURN (ARRAY[id %% 16777216, id / 16777216, version]::real[])[1:dims] ||
		(%L::real[])[o + 1 : o + dims - 3];
END
$body$
$create$,
		(SELECT array_agg((((hashint8extended(i, 42) & 16777215) - 8388608)
						   / 8388608.0)::real ORDER BY i)
		 FROM generate_series(1, 20480) i));
END
$do$;
