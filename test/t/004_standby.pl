# A standby serves the same vectors as the primary: while it is written to,
# after a restart of the standby and a crash of the primary, and after
# promotion, when the standby goes on where the primary left off.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $bursts = hard(6, 40);

my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 8MB
max_connections = 50
max_wal_size = 1GB
wal_consistency_checking = 'all, vecseg'
autovacuum_naptime = 1s
CONF

create_table($primary, 'items', columns => 'note int NOT NULL DEFAULT 0');
$primary->safe_psql('postgres', 'CREATE SEQUENCE new_id START 1000000');
fill_table($primary, 'items', 1, 2000);
my $standby = start_standby($primary);

my $wrong = wrong_vectors();
my $changed = next_version();
my %burst = (
	'update@4' => <<"SQL",
\\set id random(1, 2000)
UPDATE items SET $changed WHERE id = :id;
SQL
	'touch@2' => <<'SQL',
\set id random(1, 2000)
UPDATE items SET note = note + 1 WHERE id = :id;
SQL
	'insert@3' => <<'SQL',
INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM nextval('new_id') i;
SQL
	'insert_many@1' => <<'SQL',
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 30)) s;
SQL
	'delete@1' => <<'SQL',
DELETE FROM items WHERE id = (SELECT max(id) FROM items WHERE id > 1000000);
SQL
	'undo@1' => <<"SQL");
\\set id random(1, 1990)
BEGIN;
UPDATE items SET $changed WHERE id BETWEEN :id AND :id + 5;
ROLLBACK;
SQL

# Readers never stop while the primary is written to: every row that they see
# must be whole.
my $read = join "\n", map { "SELECT 'ack', count(*) FROM $_ WHERE $wrong;" }
  'items', 'vecseg_scroll(NULL::items)',
  'vecseg_retrieve(NULL::items, (SELECT array_agg(id) FROM items))';

sub check_reader
{
	my ($reader, $name) = @_;
	my $ok = stop_client($reader);
	my @acks = client_acks($reader);

	ok($ok, "$name: reader went on without error");
	cmp_ok(scalar @acks, '>', 0, "$name: " . @acks . ' reads');
	is(scalar(grep { $_ ne '|0' } @acks), 0, "$name: all reads were right");
	return;
}

my $reader = start_client($standby, "$read\n" x 10000);
for my $burst (1 .. $bursts)
{
	run_pgbench($primary, [ '-c', 3, '-t', 60 ], %burst);
	if ($burst == 2)
	{
		# More relations, made and filled and filled anew
		$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE made USING vecseg AS
SELECT i::bigint AS id, 1 AS version, vec(i, 1, 768) AS embedding
FROM generate_series(1, 500) i;
TRUNCATE made;
INSERT INTO made SELECT i, 2, vec(i, 2, 768) FROM generate_series(1, 300) i;
VACUUM FULL made;
SQL
	}
	$primary->safe_psql('postgres', 'CHECKPOINT') if $burst % 2;
	if ($burst == int($bursts / 2))
	{
		check_reader($reader, 'reads before the restart');
		$standby->restart;
		$reader = start_client($standby, "$read\n" x 10000);
	}
	elsif ($burst == int($bursts / 2) + 1)
	{
		stop_client($reader);
		kill9($standby);
		start_after_crash($standby);
		$reader = start_client($standby, "$read\n" x 10000);
	}
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is( digest($standby, 'items'),
		digest($primary, 'items'),
		"burst $burst: same rows");
	check_all($standby, 'items', undef, name => "burst $burst, standby");
	check_store($standby, 'items', name => "burst $burst, standby");
}
wait_for_acks([$reader], 3);
check_reader($reader, 'reads after the restart');
check_paths($standby, 'items',
	paths => [qw(seq filter index bitmap scroll backward retrieve)]);
check_all($standby, 'made', undef, rows => 300, version => 2);

# Prepared transactions survive a crash of the primary and the promotion.
my @prepared = ('kept', 'dropped');
foreach my $n (0, 1)
{
	my $from = 5_000_000 + $n * 1000;
	my $low = 100 + $n * 100;

	$primary->safe_psql('postgres', <<"SQL");
BEGIN;
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM generate_series(${from}::bigint, $from + 199) i;
UPDATE items SET version = -1, embedding = vec(id, -1, 768)
WHERE id BETWEEN $low AND $low + 49;
PREPARE TRANSACTION '$prepared[$n]';
SQL
}
kill9($primary);
start_after_crash($primary);
run_pgbench($primary, [ '-c', 2, '-t', 30 ],
	map { $_ => $burst{$_} } 'insert@3', 'insert_many@1');
check_all($primary, 'items', undef, name => 'primary after the crash');
check_store($primary, 'items', name => 'primary after the crash');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is( digest($standby, 'items'),
	digest($primary, 'items'),
	'same rows after a crash of the primary');

my $rows = $standby->safe_psql('postgres', 'SELECT count(*) FROM items');
$standby->promote;
check_all($standby, 'items', undef, rows => $rows, name => 'promoted');
$standby->safe_psql('postgres',
	"COMMIT PREPARED 'kept'; ROLLBACK PREPARED 'dropped';");
check_all($standby, 'items', undef, rows => $rows + 200,
	name => 'prepared transaction committed');
is( $standby->safe_psql('postgres',
		'SELECT count(*) FILTER (WHERE version = -1), '
		  . 'count(*) FILTER (WHERE id >= 5001000) FROM items'),
	'50|0',
	'one prepared transaction took effect, the other did not');

# What is written now must not overwrite what was there.
$reader = start_client($standby, "$read\n" x 10000);
run_pgbench($standby, [ '-c', 3, '-t', hard(150, 1500) ], %burst);
fill_table($standby, 'items', 6_000_000, 6_001_999);
fill_table($standby, 'made', 1001, 1500, version => 2);
wait_for_acks([$reader], 3);
check_reader($reader, 'reads of the promoted server');
check_paths($standby, 'items');
check_all($standby, 'made', undef, rows => 800, version => 2);
$standby->restart;
check_paths($standby, 'items', paths => [ 'seq', 'scroll', 'retrieve' ],
	name => 'promoted server restarted');

# The old primary goes its own way, and is rewound to follow the new one.
fill_table($primary, 'items', 7_000_000, 7_000_499);
$primary->safe_psql('postgres',
	"COMMIT PREPARED 'dropped'; ROLLBACK PREPARED 'kept'; "
	  . "UPDATE items SET version = 77, "
	  . 'embedding = vec(id, 77, 768) WHERE id % 2 = 0; CHECKPOINT');
check_all($primary, 'items', undef, name => 'old primary');
check_store($primary, 'items', name => 'old primary');
$primary->stop;
$standby->safe_psql('postgres', 'CHECKPOINT');
command_ok(
	[
		'pg_rewind', '--source-server', $standby->connstr('postgres'),
		'--target-pgdata', $primary->data_dir, '--no-sync',
		'--config-file', $primary->data_dir . '/postgresql.conf' ],
	'pg_rewind of the old primary');
$primary->append_conf('postgresql.conf', 'port = ' . $primary->port);
$primary->append_conf('postgresql.conf',
	"unix_socket_directories = '" . $primary->host . "'");
$primary->enable_streaming($standby);
$primary->start;
run_pgbench($standby, [ '-c', 2, '-t', 50 ], %burst);
$standby->wait_for_catchup($primary, 'replay', $standby->lsn('insert'));
is( digest($primary, 'items'),
	digest($standby, 'items'),
	'same rows on the rewound server');
check_paths($primary, 'items', paths => [ 'seq', 'scroll', 'retrieve' ],
	name => 'rewound server');

server_log_is_clean($_) foreach $primary, $standby;
$primary->stop;
$standby->stop;
done_testing();
