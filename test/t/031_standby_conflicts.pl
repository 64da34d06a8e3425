# Queries on a standby in conflict with the primary's VACUUM, which frees slots
# that are then filled with other vectors: a query is cancelled, or gets exactly
# the vectors of its snapshot. With hot_standby_feedback it gets them.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $rows = 400;

my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 1GB
autovacuum = off
wal_consistency_checking = 'all, vecseg'
CONF
create_table($primary, 'items', columns => 'note int NOT NULL DEFAULT 0');
create_table($primary, 'cut');
fill_table($primary, $_, 1, $rows) foreach 'items', 'cut';
my $standby = start_standby($primary);

sub set_on_standby
{
	my ($settings) = @_;

	$standby->append_conf('postgresql.conf', $settings);
	$standby->reload;
	return;
}

# Every row gets its next version; VACUUM frees the slots of the one before, and
# it is these slots that the version after is written to.
sub replace_all
{
	my ($table) = @_;
	my $set = next_version();

	$primary->safe_psql('postgres', "UPDATE $table SET $set");
	$primary->safe_psql('postgres', "VACUUM $table");
	my $slots = used_slots($primary, $table);
	$primary->safe_psql('postgres', "UPDATE $table SET $set");
	is($slots, $rows, "the slots of $table were freed");
	return;
}

# Several snapshots of a table's first version, each used in a way of its own;
# the vectors that each read once before are not read from memory.
my $null = 'NULL::items';
my %reading = (
	sequential => 'items',
	index => '(SELECT * FROM items ORDER BY id OFFSET 0) x',
	scroll => "vecseg_scroll($null)",
	retrieve => "vecseg_retrieve($null, (SELECT array_agg(id) FROM items))");

sub old_snapshots
{
	my ($isolation) = @_;
	my %sessions;

	foreach my $how (sort keys %reading)
	{
		my $session = open_session($standby, on_error_stop => 0);

		$session->query("SET enable_seqscan = off; SET enable_sort = off")
		  if $how eq 'index';
		$session->query("BEGIN ISOLATION LEVEL $isolation");
		is($session->query('SELECT count(note) FROM items'), $rows,
			"a snapshot, $how");
		$sessions{$how} = $session;
	}
	return \%sessions;
}

# All rows, and those whose vectors are what the snapshot must see
sub read_old
{
	my ($sessions, $how, $version) = @_;

	return $sessions->{$how}->query(
		"SELECT count(*), count(*) FILTER (WHERE version = $version AND NOT "
		  . wrong_vectors()
		  . ") FROM $reading{$how}");
}

# --- the standby waits for its queries ---

caught_up($primary, $standby);
my $old = old_snapshots('REPEATABLE READ');

replace_all('items');
$primary->safe_psql('postgres', 'CHECKPOINT');
my $lsn = $primary->lsn('insert');

# replay has come to the record that removes the old row versions
$standby->poll_query_until('postgres', <<'SQL')
SELECT count(*) = 1 FROM pg_stat_activity
WHERE backend_type = 'startup' AND wait_event LIKE 'RecoveryConflict%'
SQL
  or BAIL_OUT('replay is not held up by the old snapshots');
foreach my $how (sort keys %reading)
{
	is(read_old($old, $how, 1), "$rows|$rows",
		"replay waits: the snapshot's vectors, $how");
}
foreach my $how (sort keys %reading)
{
	$old->{$how}->query('COMMIT');
	$old->{$how}->quit;
}
$primary->wait_for_catchup($standby, 'replay', $lsn);
same_rows($primary, $standby, ['items'], name => 'after the wait');

# --- the standby cancels them ---

set_on_standby('max_standby_streaming_delay = 0');
$old = old_snapshots('REPEATABLE READ');
replace_all('items');
caught_up($primary, $standby);
foreach my $how (sort keys %reading)
{
	my $session = $old->{$how};

	# an idle transaction loses its session, or is told at its next query
	my $output = eval { read_old($old, $how, 3) } // '';

	unlike($output, qr/\d\|\d/, "no delay: no vectors, $how");
	eval { $session->quit };
}
ok($standby->log_contains('due to conflict with recovery'),
	'the conflict is the reason');
same_rows($primary, $standby, ['items'], name => 'after the conflict');

# --- queries that run while slots are freed and filled again ---

# Each takes a snapshot, and then reads all vectors twice, with a pause that makes
# the snapshot older than replay waits for: a fast machine would be done by then.
my $wrong = wrong_vectors();
my $reader = join '', map { <<"SQL" } values %reading;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(note) FROM items;
SELECT 'ack', count(*), count(*) FILTER (WHERE $wrong),
	count(DISTINCT version), count(*) FROM $_;
DO 'BEGIN PERFORM pg_sleep(0.03); END';
SELECT 'ack', count(*), count(*) FILTER (WHERE $wrong),
	count(DISTINCT version), count(*) FROM $_;
COMMIT;
SQL

sub churn_and_read
{
	my ($name, $rounds, $enough) = @_;
	my @readers =
	  map { start_client($standby, $reader x 5000, go_on => 1) } 1 .. 2;
	my @ended;
	my $set = next_version();
	my $round = 0;

	# Also until there was something to see: on a busy machine the readers come
	# to an end only if they are left more and more time.
	while ($round++ < $rounds || !$enough->(@ended, @readers))
	{
		usleep(20_000 * ($round - $rounds)) if $round > $rounds;
		$primary->safe_psql('postgres', "UPDATE items SET $set");
		$primary->safe_psql('postgres', 'VACUUM items');
		if ($round % 4 == 0)
		{
			$primary->safe_psql('postgres', 'UPDATE items SET note = note + 1');
		}
		# A conflict may have ended a reader's session.
		foreach my $n (0 .. $#readers)
		{
			next if $readers[$n]->{run}->pumpable;
			push @ended, $readers[$n];
			$readers[$n] = start_client($standby, $reader x 5000, go_on => 1);
		}
	}
	caught_up($primary, $standby);
	stop_client($_) foreach @readers;

	my @acks = map { client_acks($_) } @ended, @readers;
	my @errors = map { client_errors($_, '40001', '25P02') } @ended, @readers;

	is(join("\n", @errors), '', "$name: no other errors than conflicts");
	is( join("\n", grep { $_ ne "|$rows|0|1|$rows" } @acks),
		'', "$name: all of " . @acks . ' reads were right');
	same_rows($primary, $standby, ['items'], name => $name);
	return scalar @acks;
}

sub conflicts
{
	return $standby->safe_psql('postgres',
		q{SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'postgres'}
	);
}

set_on_standby('max_standby_streaming_delay = 20ms');
my $before = conflicts();
churn_and_read(
	'short delay',
	hard(20, 300),
	sub {
		my @acks = map { client_acks($_) } @_;

		return @acks > 20 && conflicts() > $before;
	});
cmp_ok(conflicts(), '>', $before, 'queries were cancelled');

# --- feedback ---

set_on_standby("hot_standby_feedback = on\nwal_receiver_status_interval = 1");
$primary->poll_query_until('postgres',
	'SELECT backend_xmin IS NOT NULL FROM pg_stat_replication')
  or BAIL_OUT('there is no feedback');
# what there is to be truncated, whose lock would be another conflict
$primary->safe_psql('postgres', 'VACUUM items');
caught_up($primary, $standby);
$old = old_snapshots('REPEATABLE READ');
my $version =
  $old->{sequential}->query('SELECT min(version) FROM items');

# the primary knows of the snapshots
$primary->poll_query_until('postgres',
		'SELECT backend_xmin::text::bigint <= '
	  . $old->{sequential}
	  ->query('SELECT pg_snapshot_xmin(pg_current_snapshot())')
	  . ' FROM pg_stat_replication')
  or BAIL_OUT('the feedback does not cover the snapshots');
$before = conflicts();
foreach my $round (1 .. hard(3, 30))
{
	my $set = next_version();

	$primary->safe_psql('postgres', "UPDATE items SET $set");
	$primary->safe_psql('postgres', 'VACUUM items');
	fill_table($primary, 'items', $round * 10_000, $round * 10_000 + 99);
	caught_up($primary, $standby);
	foreach my $how (sort keys %reading)
	{
		is(read_old($old, $how, $version), "$rows|$rows",
			"feedback, round $round: the snapshot's vectors, $how");
	}
}
is(conflicts(), $before, 'feedback: no query was cancelled');
cmp_ok(used_slots($primary, 'items'), '>', 2 * $rows, 'slots were kept');
foreach my $how (sort keys %reading)
{
	$old->{$how}->query('COMMIT');
	$old->{$how}->quit;
}

# --- truncation: its lock conflicts with a query that uses the table ---

set_on_standby("hot_standby_feedback = off\nmax_standby_streaming_delay = 0");
my $session = open_session($standby, on_error_stop => 0);
$session->query('BEGIN');
is( $session->query("SELECT count(*) FROM cut WHERE NOT $wrong"),
	$rows, 'a transaction that has read the table');
$primary->safe_psql('postgres', 'DELETE FROM cut WHERE id > 10');
$primary->safe_psql('postgres', 'VACUUM cut');
fill_table($primary, 'cut', 2001, 2100, dims => 50);
caught_up($primary, $standby);
unlike(eval { $session->query("SELECT 'rows', count(*) FROM cut") } // '',
	qr/rows/, 'the transaction is cancelled');
eval { $session->quit };
same_rows($primary, $standby, ['cut'],
	dims => 'CASE WHEN id > 2000 THEN 50 ELSE 768 END');

server_log_is_clean($_) foreach $primary, $standby;
$standby->stop;
$primary->stop;
done_testing();
