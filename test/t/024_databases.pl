# Commands that need more than one session, database or tablespace, or a crash:
# databases copied from a template and moved, tables moved, changed persistence,
# made in prepared transactions, VACUUM cancelled and killed midway. After each
# of them, after a crash and on a standby, each vector is right.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $set = next_version();
my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
allow_in_place_tablespaces = on
autovacuum = off
max_standby_streaming_delay = -1
wal_consistency_checking = 'all, vecseg'
CONF
$primary->safe_psql('postgres',
	"CREATE TABLESPACE database_space LOCATION ''");
my $standby = start_standby($primary);

# A database to be copied: a logged and an unlogged table, with rows updated,
# removed and vacuumed
$primary->safe_psql('postgres', 'CREATE DATABASE original');
install_vecseg($primary, 'original');
foreach my $table ('items', 'unlogged')
{
	create_table($primary, $table, database => 'original');
	fill_table($primary, $table, 1, 1000, database => 'original');
}
$primary->safe_psql('original', <<"SQL");
ALTER TABLE unlogged SET UNLOGGED;
UPDATE items SET $set WHERE id % 3 = 0;
DELETE FROM items WHERE id > 900;
VACUUM items;
UPDATE unlogged SET $set WHERE id % 5 = 0;
SQL

my %rows = (items => 900, unlogged => 1000);

sub check_database
{
	my ($node, $database, $name, @tables) = @_;

	foreach my $table (@tables)
	{
		check_paths($node, $table, rows => $rows{$table},
			database => $database, name => "$name, $database, $table");
	}
	return;
}

# On a standby there are no temporary tables.
sub check_on_standby
{
	my ($name, $table, %options) = @_;

	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	check_paths($standby, $table, %options, name => "$name, standby",
		paths => [qw(seq filter index bitmap scroll backward retrieve)]);
	return;
}

sub crash
{
	my ($name) = @_;

	kill9($primary);
	ok(start_after_crash($primary, fail_ok => 1), "$name: recovery")
	  or BAIL_OUT('no recovery after the crash');
	return;
}

# CREATE DATABASE ... TEMPLATE, either strategy
foreach my $strategy ('wal_log', 'file_copy')
{
	$primary->safe_psql('postgres',
		"CREATE DATABASE $strategy TEMPLATE original STRATEGY $strategy");
	check_database($primary, $strategy, 'copied', 'items', 'unlogged');
	$primary->safe_psql($strategy,
		"UPDATE items SET $set WHERE id % 7 = 0; VACUUM items");
}
check_database($primary, 'original', 'template', 'items', 'unlogged');
crash('databases copied');
foreach my $database ('original', 'wal_log', 'file_copy')
{
	check_database($primary, $database, 'crashed', 'items');
	is($primary->safe_psql($database, 'SELECT count(*) FROM unlogged'),
		0, "crashed, $database: an unlogged table is empty");
	fill_table($primary, 'unlogged', 1, 1000, database => $database);
	check_database($primary, $database, 'filled again', 'unlogged');
	check_on_standby('databases copied', 'items', rows => 900,
		database => $database);
}

# ALTER DATABASE SET TABLESPACE, there and back
foreach my $space ('database_space', 'pg_default')
{
	$primary->safe_psql('postgres',
		"ALTER DATABASE wal_log SET TABLESPACE $space");
	check_database($primary, 'wal_log', "moved to $space", 'items',
		'unlogged');
	$primary->safe_psql('wal_log', "UPDATE items SET $set WHERE id % 2 = 0");
	crash("database moved to $space");
	check_database($primary, 'wal_log', "moved to $space, crashed", 'items');
	fill_table($primary, 'unlogged', 1, 1000, database => 'wal_log');
	check_on_standby("moved to $space", 'items', rows => 900,
		database => 'wal_log');
}

# The programs that go through whole databases
foreach my $command (
	[ 'vacuumdb', '--full', '--analyze' ],
	[ 'vacuumdb', '--freeze', '-j', 2 ],
	['clusterdb'],
	['reindexdb'],
	[ 'reindexdb', '--concurrently' ])
{
	$primary->safe_psql('wal_log',
		"ALTER TABLE items CLUSTER ON items_pkey; UPDATE items SET $set WHERE id % 4 = 0");
	$primary->command_ok([ @$command, '-q', '-d', 'wal_log' ],
		"@$command of a database");
	check_database($primary, 'wal_log', "@$command", 'items', 'unlogged');
}
$primary->safe_psql('postgres', "DROP DATABASE $_") foreach 'wal_log',
  'file_copy';

# Persistence and tablespace of a table, over a crash
create_table($primary, 'items');
fill_table($primary, 'items', 1, 1000);
$primary->safe_psql('postgres', <<"SQL");
ALTER TABLE items SET UNLOGGED;
UPDATE items SET $set WHERE id % 3 = 0;
ALTER TABLE items SET LOGGED;
UPDATE items SET $set WHERE id % 4 = 0;
SQL
crash('logged again');
check_paths($primary, 'items', rows => 1000, name => 'logged again');
check_on_standby('logged again', 'items', rows => 1000);
$primary->safe_psql('postgres', <<"SQL");
ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE database_space NOWAIT;
UPDATE items SET $set WHERE id % 5 = 0;
SQL
crash('moved');
check_paths($primary, 'items', rows => 1000, name => 'moved');
check_on_standby('moved', 'items', rows => 1000);

# Prepared transactions that make, empty and rewrite tables, over a crash
$primary->safe_psql('postgres', <<"SQL");
CREATE TABLE kept (LIKE items INCLUDING ALL) USING vecseg;
CREATE TABLE emptied (LIKE items INCLUDING ALL) USING vecseg;
INSERT INTO kept SELECT * FROM items;
INSERT INTO emptied SELECT * FROM items;
BEGIN;
CREATE TABLE made (LIKE items INCLUDING ALL) USING vecseg;
INSERT INTO made SELECT * FROM items;
UPDATE made SET $set WHERE id % 2 = 0;
TRUNCATE emptied;
INSERT INTO emptied SELECT i, 1, vec(i, 1, 768) FROM generate_series(1, 100) i;
PREPARE TRANSACTION 'to commit';
BEGIN;
UPDATE kept SET $set;
ALTER TABLE kept SET ACCESS METHOD heap;
PREPARE TRANSACTION 'to roll back';
SQL
crash('prepared');
$primary->safe_psql('postgres',
	"COMMIT PREPARED 'to commit'; ROLLBACK PREPARED 'to roll back'");
my %left = (made => 1000, emptied => 100, kept => 1000);
foreach my $table (sort keys %left)
{
	check_paths($primary, $table, rows => $left{$table},
		name => "prepared, $table");
	check_on_standby("prepared, $table", $table, rows => $left{$table});
}

# VACUUM ended midway, in either of its parts: by a cancel, by a crash of its
# backend and so of the server. What it leaves is sound, and the next one does
# the rest.
create_table($primary, 'slow');
fill_table($primary, 'slow', 1, 3000);
my $toast = $primary->safe_psql('postgres',
	"SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'slow'");
foreach my $end ('cancel', 'kill')
{
	foreach my $relation ('slow', $toast)
	{
		my $name = $relation eq 'slow' ? "$end, rows" : "$end, store";

		$primary->safe_psql('postgres', "UPDATE slow SET $set WHERE id > 500");
		$primary->safe_psql('postgres', 'VACUUM (PROCESS_TOAST off) slow')
		  if $relation eq $toast;
		my $vacuum = start_client($primary, <<"SQL", go_on => 1);
SET vacuum_cost_delay = 100;
SET vacuum_cost_limit = 1;
VACUUM $relation;
SQL
		$primary->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM pg_stat_progress_vacuum WHERE relid = '$relation'::regclass AND phase = 'scanning heap' AND heap_blks_total > 0"
		) or BAIL_OUT('VACUUM did not begin to scan');
		if ($end eq 'cancel')
		{
			$primary->safe_psql('postgres',
				'SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum');
			finish_client($vacuum);
			is(join('', client_errors($vacuum, '57014')), '', "$name: no other error");
			like(slurp_file($vacuum->{errors}), qr/57014/, "$name: cancelled");
		}
		else
		{
			crash($name);
			finish_client($vacuum);
		}
		check_paths($primary, 'slow', rows => 3000, name => $name);
		check_on_standby($name, 'slow', rows => 3000);
		$primary->safe_psql('postgres', "UPDATE slow SET $set WHERE id % 3 = 0");
		$primary->safe_psql('postgres', 'VACUUM slow');
		is( $primary->safe_psql('postgres',
				"SELECT sum(used) FROM vecseg_segments('slow')"),
			3000,
			"$name: the next VACUUM frees all garbage");
		check_paths($primary, 'slow', rows => 3000, name => "$name, next VACUUM");
	}
}

# Partitions detached while a reader still has the table in use
$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE parts (id bigint PRIMARY KEY, version int, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (501) USING vecseg;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (501) TO (1001) USING vecseg;
SQL
fill_table($primary, 'parts', 1, 1000);
my $reader = start_client($primary, <<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 'ack', count(*) FROM parts WHERE NOT ${\wrong_vectors()};
SELECT pg_sleep(2);
SELECT 'ack', count(*) FROM parts WHERE NOT ${\wrong_vectors()};
COMMIT;
SQL
wait_for_acks([$reader], 1);
$primary->safe_psql('postgres',
	'ALTER TABLE parts DETACH PARTITION parts_2 CONCURRENTLY');
ok(finish_client($reader), 'a reader of partitions met no error');
is(join(' ', client_acks($reader)), '|1000 |1000',
	'a reader saw all partitions until its end');
check_paths($primary, 'parts_2', rows => 500);
check_all($primary, 'parts', undef, rows => 500);
check_store($primary, 'parts_1');

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop;
$standby->promote;
check_paths($standby, $_, name => "promoted, $_")
  foreach 'items', 'made', 'kept', 'emptied', 'slow', 'parts_1', 'parts_2';
check_paths($standby, 'items', database => 'original', name => 'promoted, original');
server_log_is_clean($_) foreach $primary, $standby;
$standby->stop;
done_testing();
