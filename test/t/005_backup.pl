# Backups, checksums and recovery to a point in time.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $node = PostgreSQL::Test::Cluster->new('original');
$node->init(
	allows_streaming => 1,
	has_archiving => 1,
	extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'vecseg'
shared_buffers = 8MB
max_connections = 50
max_prepared_transactions = 10
max_wal_size = 1GB
log_statement = ddl
CONF
$node->start;
install_vecseg($node);
create_table($node, 'items', columns => 'note int NOT NULL DEFAULT 0');
fill_table($node, 'items', 1, 3000);
fill_table($node, 'items', 3001, 4000, dims => 100);
$node->safe_psql('postgres', 'CREATE SEQUENCE new_id START 1000000');

my $dims = 'CASE WHEN id BETWEEN 3001 AND 4000 THEN 100 ELSE 768 END';
my $changed = next_version($dims);
my %load = (
	'b_update@3' => <<"SQL",
\\set id random(1, 4000)
UPDATE items SET $changed WHERE id = :id;
SQL
	'b_insert@1' => <<'SQL',
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 20)) s;
SQL
	'b_touch@1' => <<'SQL');
\set id random(1, 4000)
UPDATE items SET note = note + 1 WHERE id = :id;
SQL

# Backups of a server that is being written to
my $writer = start_client($node, <<"SQL" x 20000);
UPDATE items SET $changed WHERE id = 1 + (random() * 3998)::int;
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 5)) s;
\\echo ack
SQL
wait_for_acks([$writer], 20);
$node->backup('plain');
my $before_tar = wait_for_acks([$writer], 20);
$node->backup('tar', backup_options => ['--format=tar']);
cmp_ok(wait_for_acks([$writer], $before_tar + 1), '>', $before_tar,
	'rows were written during a backup');
ok(stop_client($writer), 'the writer met no error');

my $backups = $node->backup_dir;
command_ok([ 'pg_verifybackup', "$backups/plain" ], 'pg_verifybackup');
mkdir "$backups/unpacked" or die "could not make a folder: $!";
chmod 0700, "$backups/unpacked";
system_or_bail('tar', 'xf', "$backups/tar/base.tar", '-C',
	"$backups/unpacked");
system_or_bail('tar', 'xf', "$backups/tar/pg_wal.tar", '-C',
	"$backups/unpacked/pg_wal");
system_or_bail('cp', "$backups/tar/backup_manifest", "$backups/unpacked");
command_ok([ 'pg_verifybackup', "$backups/unpacked" ],
	'pg_verifybackup of the tar format');

foreach my $backup ('plain', 'unpacked')
{
	my $copy = PostgreSQL::Test::Cluster->new("from_$backup");

	$copy->init_from_backup($node, $backup);
	$copy->append_conf('postgresql.conf', 'archive_mode = off');
	$copy->start;
	check_paths($copy, 'items', dims => $dims,
		paths => [ 'seq', 'index', 'scroll', 'retrieve' ]);
	fill_table($copy, 'items', 8_000_000, 8_000_500);
	check_all($copy, 'items', undef, dims => $dims,
		name => "written to backup $backup");
	check_store($copy, 'items', name => "written to backup $backup");
	server_log_is_clean($copy);
	$copy->stop;
	command_ok([ 'pg_checksums', '--check', '-D', $copy->data_dir ],
		"pg_checksums of backup $backup");
}

# Points in time: a restore point between the writing of a value and its
# commit, and a target transaction among others.
my $state = 'SELECT count(*), sum(hashint8extended(id, version)) FROM items';
my $open = $node->background_psql('postgres');

$open->query_safe('BEGIN');
$open->query_safe('INSERT INTO items SELECT i, 1, vec(i, 1, 768) '
	  . 'FROM generate_series(9000000::bigint, 9000199) i');
$open->query_safe("UPDATE items SET $changed WHERE id <= 100");
my %expected = (name => $node->safe_psql('postgres', $state));
$node->safe_psql('postgres', "SELECT pg_create_restore_point('between')");
$open->query_safe('COMMIT');
$open->quit;

run_pgbench($node, [ '-c', 1, '-t', 30 ], %load);
my $xid = $node->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM generate_series(9100000::bigint, 9100099) i;
SELECT pg_current_xact_id()::xid;
COMMIT;
SQL
$expected{xid} = $node->safe_psql('postgres', $state);
run_pgbench($node, [ '-c', 2, '-t', 50 ], %load);
$node->safe_psql('postgres',
	'DELETE FROM items WHERE id % 3 = 0; VACUUM items; '
	  . 'SELECT pg_switch_wal()');

my %target = (name => 'between', xid => $xid);
foreach my $kind ('name', 'xid')
{
	my $copy = PostgreSQL::Test::Cluster->new("point_$kind");

	$copy->init_from_backup($node, 'plain',
		has_restoring => 1, standby => 0);
	$copy->append_conf('postgresql.conf', <<"CONF");
archive_mode = off
recovery_target_$kind = '$target{$kind}'
recovery_target_action = 'promote'
CONF
	$copy->start;
	$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
	  or BAIL_OUT('recovery did not end');
	is($copy->safe_psql('postgres', $state), $expected{$kind},
		"recovery to a target $kind: the rows of that time");
	check_paths($copy, 'items', dims => $dims,
		paths => [ 'seq', 'scroll', 'retrieve' ]);

	# Slots that were taken, but by rows that are not there
	fill_table($copy, 'items', 9_500_000, 9_500_999);
	$copy->safe_psql('postgres', 'VACUUM items');
	fill_table($copy, 'items', 9_600_000, 9_600_999);
	check_all($copy, 'items', undef, dims => $dims,
		name => "target $kind, after more writes");
	check_store($copy, 'items', name => "target $kind, after more writes");
	server_log_is_clean($copy);
	$copy->stop;
}

server_log_is_clean($node);
$node->stop;
command_ok([ 'pg_checksums', '--check', '-D', $node->data_dir ],
	'pg_checksums after a clean stop');
done_testing();
