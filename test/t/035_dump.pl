# pg_dump and pg_restore in every format, pg_dumpall: the restored tables have
# exactly the rows of the dumped ones, and are vecseg tables, or heap tables if
# the dump says nothing of access methods.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $node = vecseg_node('source', allows_streaming => 1);
my $dumps = $PostgreSQL::Test::Utils::tmp_check;

create_table($node, 'items',
	columns => 'gone int, doc text, data jsonb, wide float8[], bits bit(800), '
	  . 'half real[] GENERATED ALWAYS AS (embedding[1:384]) STORED');
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE items DROP COLUMN gone;
INSERT INTO items (id, version, embedding, doc, data, wide, bits)
SELECT i, 1, vec(i, 1, 768), repeat(md5(i::text), (i % 5 * 100)::int),
	jsonb_build_object('id', i, 'text', repeat('x', (i % 7)::int * 1000)),
	vec(i, 2, 300)::float8[], repeat(i::bit(32)::text, 25)::bit(800)
FROM generate_series(1::bigint, 400) i;
INSERT INTO items (id, version, embedding, doc)
SELECT i, 1, vec(i, 1, 16000),
	(SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 20000) j)
FROM generate_series(1001::bigint, 1010) i;

-- Not what vec() makes
CREATE TABLE odd (id int PRIMARY KEY, version int, embedding real[], doc bytea,
	single double precision[]) USING vecseg;
INSERT INTO odd VALUES
	(1, 1, NULL, NULL, NULL),
	(2, 1, '{}', '', '{}'),
	(3, 1, array_fill('NaN'::real, '{100}'), NULL, array_fill('-0'::float8, '{70}')),
	(4, 1, array_fill('-Infinity'::real, '{10,10}'), NULL, array_fill(1e-320::float8, '{5,5,5}')),
	(5, 1, array_fill(1e-42::real, '{50}', '{-3}'), NULL, NULL),
	(6, 1, array_fill(NULL::real, '{300}') || 1.5::real, NULL, NULL),
	(7, 1, '{1}', decode(repeat('00ff', 100000), 'hex'), '{2}');

CREATE TABLE parts (id bigint PRIMARY KEY, version int NOT NULL, embedding real[])
	PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (300) USING vecseg;
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (300) TO (600)
	PARTITION BY RANGE (id);
CREATE TABLE part21 PARTITION OF part2 FOR VALUES FROM (300) TO (600) USING vecseg;
CREATE TABLE part3 PARTITION OF parts FOR VALUES FROM (600) TO (900) USING heap;
INSERT INTO parts SELECT i, 3, vec(i, 3, 768) FROM generate_series(1, 899) i;

CREATE TABLE inline (id bigint PRIMARY KEY REFERENCES items, version int NOT NULL,
	embedding real[]) USING vecseg;
ALTER TABLE inline ALTER embedding SET STORAGE PLAIN;
ALTER TABLE inline SET (toast.autovacuum_enabled = off);
INSERT INTO inline SELECT i, 4, vec(i, 4, 1000) FROM generate_series(1, 100) i;

-- Row versions and slots that are not to be dumped
UPDATE items SET version = 2, embedding = vec(id, 2, cardinality(embedding))
WHERE id % 3 = 0;
DELETE FROM items WHERE id > 380 AND id < 1000;

CREATE MATERIALIZED VIEW view_of USING vecseg AS
	SELECT id, version, embedding FROM items WHERE id % 2 = 0;
SQL
my @tables = qw(items odd parts inline view_of);
my %rows = map { $_ => rows_of($node, $_) } @tables;
my $dims = 'cardinality(embedding)';

# The access methods of tables and of their columns' storage
my $kinds = <<'SQL';
SELECT c.relname, a.amname, t.amname, c.reloptions, s.reloptions
FROM pg_class c JOIN pg_am a ON a.oid = c.relam
LEFT JOIN pg_class s ON s.oid = c.reltoastrelid LEFT JOIN pg_am t ON t.oid = s.relam
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'm') ORDER BY 1
SQL
my $storage = <<'SQL';
SELECT attrelid::regclass, attname, attstorage, attgenerated FROM pg_attribute
WHERE attnum > 0 AND NOT attisdropped AND attrelid IN
	(SELECT oid FROM pg_class
	 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm'))
ORDER BY attrelid::regclass::text, attname
SQL
my $vecseg_kinds = $node->safe_psql('postgres', $kinds);
my $same_storage = $node->safe_psql('postgres', $storage);
my $all_sound = <<'SQL';
SELECT c.oid::regclass, p.* FROM pg_class c JOIN pg_am a ON a.oid = c.relam,
	vecseg_check(c.oid) p
WHERE a.amname = 'vecseg' AND c.relkind IN ('r', 'm')
SQL

sub run_ok
{
	my ($name, @command) = @_;

	ok(run_log(\@command), $name) or BAIL_OUT("$name failed");
	return;
}

# Everything in a database, or on another server, is as it was.
sub check_restored
{
	my ($server, $database, $name, $expected_kinds) = @_;

	foreach my $table (@tables)
	{
		is(rows_of($server, $table, database => $database),
			$rows{$table}, "$name: rows of $table");
	}
	check_all($server, 'items', undef, dims => $dims, database => $database,
		rows => 390, name => "$name: items");
	is($server->safe_psql($database, $kinds),
		$expected_kinds, "$name: access methods and options");
	is($server->safe_psql($database, $storage),
		$same_storage, "$name: storage of columns");
	is($server->safe_psql($database, $all_sound), '', "$name: stores are sound");
	return;
}

sub new_database
{
	my ($name, @settings) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	$node->safe_psql('postgres', "ALTER DATABASE $name SET $_") foreach @settings;
	return $name;
}

sub restore
{
	my ($database, $file, @options) = @_;

	run_ok("pg_restore to $database: @options",
		'pg_restore', '--exit-on-error', @options,
		'-d', $node->connstr($database), $file);
	return;
}

my @source = ('-d', $node->connstr('postgres'));

# Formats, in parallel
run_ok('pg_dump, custom', 'pg_dump', '-Fc', @source, '-f', "$dumps/custom");
run_ok('pg_dump, directory', 'pg_dump', '-Fd', '-j', 2, @source,
	'-f', "$dumps/directory");
restore(new_database('custom'), "$dumps/custom", '-j', 2);
check_restored($node, 'custom', 'custom', $vecseg_kinds);
restore(new_database('directory'), "$dumps/directory", '-j', 2);
check_restored($node, 'directory', 'directory', $vecseg_kinds);

# In a single transaction, where WAL and TOAST relations are new
restore(new_database('single'), "$dumps/custom", '--single-transaction');
check_restored($node, 'single', 'single transaction', $vecseg_kinds);

# By sections; the schema, then data only
new_database('sections');
restore('sections', "$dumps/directory", "--section=$_")
  foreach qw(pre-data data post-data);
check_restored($node, 'sections', 'sections', $vecseg_kinds);
new_database('data');
restore('data', "$dumps/custom", '--schema-only');
restore('data', "$dumps/custom", '--data-only', '--disable-triggers');
$node->safe_psql('data', 'REFRESH MATERIALIZED VIEW view_of');
check_restored($node, 'data', 'data only', $vecseg_kinds);

# INSERT commands
run_ok('pg_dump, inserts', 'pg_dump', '--rows-per-insert=50', @source,
	'-f', "$dumps/inserts.sql");
run_ok('psql, inserts',
	'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$dumps/inserts.sql",
	'-d', $node->connstr(new_database('inserts')));
check_restored($node, 'inserts', 'inserts', $vecseg_kinds);

# Without access methods: heap tables, or what the default is
my $heap_kinds = $vecseg_kinds;
$heap_kinds =~ s/vecseg\|vecseg_segment/heap|heap/g;
restore(new_database('heaps'), "$dumps/custom", '--no-table-access-method');
check_restored($node, 'heaps', 'no access method', $heap_kinds);
is( $node->safe_psql('heaps',
		q{SELECT count(*) FROM pg_class JOIN pg_am a ON a.oid = relam WHERE amname LIKE 'vecseg%'}
	),
	'0',
	'no access method: no vecseg table');
my $all_vecseg = $vecseg_kinds;
$all_vecseg =~ s/heap\|heap/vecseg|vecseg_segment/g;
new_database('default_vecseg');
$node->safe_psql('default_vecseg', 'CREATE EXTENSION vecseg');
$node->safe_psql('postgres',
	'ALTER DATABASE default_vecseg SET default_table_access_method = vecseg');
restore('default_vecseg', "$dumps/custom", '--no-table-access-method');
check_restored($node, 'default_vecseg', 'default access method', $all_vecseg);

# From a standby
my $standby = start_standby($node);
caught_up($node, $standby);
run_ok('pg_dump of a standby', 'pg_dump', '-Fd', '-j', 2,
	'-d', $standby->connstr('postgres'), '-f', "$dumps/standby");
$standby->stop;
restore(new_database('standby'), "$dumps/standby", '-j', 2);
check_restored($node, 'standby', 'from a standby', $vecseg_kinds);

# A whole cluster
$node->safe_psql('postgres', "DROP DATABASE $_")
  foreach qw(custom single sections data heaps standby default_vecseg inserts);
run_ok('pg_dumpall', 'pg_dumpall', @source, '-f', "$dumps/all.sql");
my $new = vecseg_node('new', start => 0);
$new->start;
run_ok('psql, all', 'psql', '-Xq', '-f', "$dumps/all.sql",
	'-d', $new->connstr('postgres'));
check_restored($new, $_, "pg_dumpall: $_", $vecseg_kinds)
  foreach 'postgres', 'directory';

server_log_is_clean($_) foreach $node, $new;
$new->stop;
$node->stop;
done_testing();
