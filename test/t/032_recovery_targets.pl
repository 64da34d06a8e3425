# Recovery from an archive, to its end and to points in time: between the
# writing of vectors and their commit, by LSN, transaction, time and name, and
# between the steps of a VACUUM. Rows that are not to be seen are not, their
# space comes back; the server goes on from there, on a timeline that another
# server follows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $node = PostgreSQL::Test::Cluster->new('original');
$node->init(
	allows_streaming => 1,
	has_archiving => 1,
	extra => ['--data-checksums']);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'vecseg'
shared_buffers = 4MB
max_connections = 50
autovacuum = off
wal_consistency_checking = 'all, vecseg'
CONF
$node->start;
install_vecseg($node);
create_table($node, 'items', columns => 'note int NOT NULL DEFAULT 0');
create_table($node, 'cut', columns => 'note int NOT NULL DEFAULT 0');
fill_table($node, $_, 1, 500) foreach 'items', 'cut';
$node->backup('base');

my $set = next_version();
my @points;	# [name, settings, rows of both tables]

sub note_point
{
	my ($name, $settings) = @_;

	push @points, [ $name, $settings,
		rows_of($node, 'items') . ' ' . rows_of($node, 'cut') ];
	return;
}

# A transaction that has written vectors and not committed, while work goes on
sub begin_writing
{
	my ($from) = @_;
	my $session = open_session($node);

	$session->query_safe('BEGIN');
	$session->query_safe('INSERT INTO items SELECT i, 1, vec(i, 1, 768) '
		  . "FROM generate_series(${from}::bigint, $from + 99) i");
	$session->query_safe("UPDATE items SET $set WHERE id <= 40");
	$node->safe_psql('postgres', <<"SQL");
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM generate_series(${from}::bigint + 200, $from + 210) i;
UPDATE items SET $set WHERE id BETWEEN 100 AND 150;
DELETE FROM items WHERE id BETWEEN $from / 100 AND $from / 100 + 5;
SQL
	return $session;
}

sub commit
{
	my ($session) = @_;

	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

my $open = begin_writing(10_000);
note_point('LSN',
	"recovery_target_lsn = '"
	  . $open->query_safe('SELECT pg_current_wal_insert_lsn()')
	  . "'\nrecovery_target_inclusive = off");
commit($open);

$open = begin_writing(20_000);
note_point('transaction',
	"recovery_target_xid = '"
	  . $open->query_safe('SELECT pg_current_xact_id()::xid')
	  . "'\nrecovery_target_inclusive = off");
commit($open);

$open = begin_writing(30_000);
note_point('time',
	"recovery_target_time = '"
	  . $open->query_safe('SELECT clock_timestamp()')
	  . "'");
commit($open);

$open = begin_writing(40_000);
note_point('name', "recovery_target_name = 'name'");
$node->safe_psql('postgres', q{SELECT pg_create_restore_point('name')});
commit($open);

# VACUUM has freed slots, has dropped segments, has truncated the file.
$node->safe_psql('postgres', 'DELETE FROM cut WHERE id > 20');
foreach my $place ('truncate', 'file')
{
	my $holder = open_session($node);

	$holder->query_safe('SELECT pg_advisory_lock(151, 0)');
	my $client =
	  start_client($node, "SET vecseg.stop_at = '$place';\nVACUUM cut;\n");
	wait_until_held($node, "VACUUM, before \"$place\"");
	$node->safe_psql('postgres', "SELECT pg_create_restore_point('$place')");
	if ($place eq 'truncate')
	{
		# without giving back segments, which is for the next round
		$node->safe_psql('postgres',
			q{SELECT pg_terminate_backend(pid, 60000) FROM pg_locks
			  WHERE locktype = 'advisory' AND NOT granted});
	}
	$holder->quit;
	is(finish_client($client), $place eq 'file',
		"VACUUM held before \"$place\"");
	note_point("step \"$place\" of VACUUM", "recovery_target_name = '$place'");
}
fill_table($node, 'cut', 1001, 1100);
note_point('end of the archive', '');

my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
sub wait_archived
{
	my ($server, $file) = @_;

	$server->poll_query_until('postgres',
		"SELECT last_archived_wal >= '$file' FROM pg_stat_archiver")
	  or BAIL_OUT('WAL was not archived');
	return;
}
wait_archived($node, $last);

# All row versions that nobody sees are gone after VACUUM, and their slots.
sub vacuum_and_go_on
{
	my ($copy, $name, $from) = @_;

	foreach my $table ('items', 'cut')
	{
		$copy->safe_psql('postgres', "VACUUM $table");
		is( used_slots($copy, $table),
			$copy->safe_psql('postgres', "SELECT count(*) FROM $table"),
			"$name: VACUUM of $table frees all other slots");
		fill_table($copy, $table, $from, $from + 199);
		$copy->safe_psql('postgres', "UPDATE $table SET $set WHERE id < 30");
	}
	$copy->restart;
	foreach my $table ('items', 'cut')
	{
		check_all($copy, $table, undef, name => "$name: $table written to");
		check_store($copy, $table, name => "$name: $table written to");
	}
	return;
}

my $copies = 0;
foreach my $point (@points)
{
	my ($name, $settings, $rows) = @$point;
	my $copy = PostgreSQL::Test::Cluster->new('copy_' . ++$copies);

	$copy->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
	$copy->append_conf('postgresql.conf', <<"CONF");
archive_mode = off
recovery_target_timeline = 1
$settings
recovery_target_action = 'promote'
CONF
	$copy->start;
	$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
	  or BAIL_OUT('recovery did not end');
	is(rows_of($copy, 'items') . ' ' . rows_of($copy, 'cut'),
		$rows, "$name: the rows of that time");
	foreach my $table ('items', 'cut')
	{
		check_all($copy, $table, undef, name => "$name: $table");
		check_store($copy, $table, name => "$name: $table");
	}
	cmp_ok(
		used_slots($copy, 'items'),
		'>=',
		100 + $copy->safe_psql('postgres', 'SELECT count(*) FROM items'),
		"$name: slots of rows not to be seen");
	vacuum_and_go_on($copy, $name, 50_001);
	server_log_is_clean($copy);
	$copy->stop;
}

# A copy that archives its own timeline; another server, which has only the
# archive, follows it there, and serves queries.
my ($name, $settings) = @{ $points[0] };
my $copy = PostgreSQL::Test::Cluster->new('copy');

$copy->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
$copy->append_conf('postgresql.conf',
	"$settings\nrecovery_target_action = 'promote'");
$copy->start;
$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()')
  or BAIL_OUT('recovery did not end');
vacuum_and_go_on($copy, 'on a new timeline', 50_001);
$copy->safe_psql('postgres',
	'DELETE FROM cut WHERE id > 40; VACUUM cut; '
	  . 'UPDATE items SET note = 1; VACUUM items');
fill_table($copy, 'cut', 60_001, 60_100);
my $end = $copy->lsn('insert');
$last = $copy->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
like($last, qr/^00000002/, 'the copy writes timeline 2');
wait_archived($copy, $last);

my $follower = PostgreSQL::Test::Cluster->new('follower');
$follower->init_from_backup($node, 'base', has_restoring => 1);
$follower->append_conf('postgresql.conf',
	"archive_mode = off\nwal_retrieve_retry_interval = 100ms");
$follower->start;
$follower->poll_query_until('postgres',
	"SELECT pg_last_wal_replay_lsn() >= '$end'")
  or BAIL_OUT('the archive was not replayed');
same_rows($copy, $follower, [ 'items', 'cut' ], name => 'from the archive');
$follower->promote;
vacuum_and_go_on($follower, 'promoted', 70_001);

server_log_is_clean($_) foreach $node, $copy, $follower;
$_->stop foreach $node, $copy, $follower;
done_testing();
