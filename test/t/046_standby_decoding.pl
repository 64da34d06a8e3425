# Logical decoding on a standby (from version 16 on): it shows what decoding on
# the primary shows; a subscriber copies from the standby and follows it, across
# a crash, and after its promotion. From version 17 on, another subscription, to
# the primary, goes on with the standby that takes the primary's place.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $primary = vecseg_node('primary', start => 0, allows_streaming => 'logical',
	conf => <<'CONF');
shared_buffers = 8MB
autovacuum = off
logical_decoding_work_mem = 64kB
CONF

plan skip_all => 'PostgreSQL 16 and later decode on standbys'
  if $primary->pg_version < 16;

my $failover = $primary->pg_version >= 17;
my $rows = hard(300, 2000);
my $set = next_version();
my @tables = qw(items by_all);

# Tables of the primary, empty, at a place of the subscriber
sub create_tables
{
	my ($node, $database) = @_;

	create_table($node, $_, columns => 'note int DEFAULT 0, more real[]',
		database => $database) foreach @tables;
	$node->safe_psql($database, 'ALTER TABLE by_all REPLICA IDENTITY FULL');
	return;
}

$primary->append_conf('postgresql.conf', "synchronized_standby_slots = 'standby'")
  if $failover;
$primary->start;
install_vecseg($primary);
create_tables($primary, 'postgres');
fill_table($primary, $_, 1, $rows) foreach @tables;
$primary->safe_psql('postgres', <<'SQL');
CREATE PUBLICATION pub FOR ALL TABLES;
SELECT pg_create_physical_replication_slot('standby', true);
SQL
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
my $conninfo =
  ($primary->connstr('postgres') . ' application_name=standby') =~ s/'/''/gr;
$standby->append_conf('postgresql.conf', <<"CONF");
primary_conninfo = '$conninfo'
primary_slot_name = 'standby'
hot_standby_feedback = on
max_standby_streaming_delay = -1
wal_receiver_status_interval = 1s
CONF
$standby->append_conf('postgresql.conf', <<'CONF') if $failover;
sync_replication_slots = on
synchronized_standby_slots = ''
CONF
$standby->start;

# A slot is made on a standby as soon as the primary logs what is running there.
my $snapshots = start_client($primary, <<'SQL');
DO $$ BEGIN LOOP
	PERFORM pg_log_standby_snapshot();
	COMMIT;
	PERFORM pg_sleep(0.1);
END LOOP; END $$;
SQL

# --- what test_decoding prints ---

my %nodes = (here => $primary, there => $standby);
$nodes{$_}->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('$_', 'test_decoding')")
  foreach sort keys %nodes;

sub changes
{
	my ($slot) = @_;

	return $nodes{$slot}->safe_psql('postgres',
		"SELECT data FROM pg_logical_slot_get_changes('$slot', NULL, NULL, "
		  . "'include-xids', '0', 'skip-empty-xacts', '1')");
}

# Run SQL for each table, and compare what is decoded of it; it has so many
# changes, for each table.
sub decode
{
	my ($name, $sql, $count) = @_;

	$primary->safe_psql('postgres', $sql =~ s/\{t\}/$_/gr) foreach @tables;
	caught_up($primary, $standby);
	my ($here, $there) = map { changes($_) } qw(here there);
	ok($here eq $there, "$name: the standby decodes what the primary decodes")
	  or diag length $there, ' characters, not ', length $here;
	is(scalar(() = $there =~ /^table /mg), $count * @tables, "$name: changes");
	return;
}

sub insert
{
	my ($from, $to) = @_;

	return 'INSERT INTO {t} SELECT i, 1, vec(i, 1, 768), 0, vec(i, 2, 500) '
	  . "FROM generate_series(${from}::bigint, $to) i;";
}

decode('insert', insert(2001, 2020), 20);
decode('update', "UPDATE {t} SET $set WHERE id > 2010", 10);
decode('update of another column', 'UPDATE {t} SET note = 1 WHERE id > 2005', 15);
decode('subtransactions', <<"SQL", 13);
BEGIN;
${\insert(2021, 2023)}
SAVEPOINT a;
UPDATE {t} SET $set WHERE id > 2000;
ROLLBACK TO a;
SAVEPOINT b;
UPDATE {t} SET $set WHERE id BETWEEN 2011 AND 2019;
RELEASE b;
DELETE FROM {t} WHERE id = 2023;
COMMIT;
SQL
decode('row matched twice',
	"BEGIN; UPDATE {t} SET $set FROM generate_series(1, 2) WHERE id = 2001; DELETE FROM {t} WHERE id = 2002; COMMIT",
	2);
decode('large transaction', insert(3001, 3400), 400);
decode('rewritten', "VACUUM FULL {t}; UPDATE {t} SET $set WHERE id > 3300", 100);
kill9($standby);
start_after_crash($standby);
decode('after a crash of the standby', "UPDATE {t} SET $set WHERE id > 3350", 50);
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('here')");
$standby->safe_psql('postgres', "SELECT pg_drop_replication_slot('there')");

# --- subscriptions ---

my $subscriber = vecseg_node('subscriber', allows_streaming => 'logical',
	conf => "shared_buffers = 8MB\nwal_retrieve_retry_interval = 100ms\n");
my %upstream = (postgres => $standby, $failover ? (failover => $primary) : ());

sub connection
{
	my ($node) = @_;

	return $node->connstr('postgres') =~ s/'/''/gr;
}

$subscriber->safe_psql('postgres', 'CREATE DATABASE failover');
install_vecseg($subscriber, 'failover');
foreach my $database (sort keys %upstream)
{
	create_tables($subscriber, $database);
	$subscriber->safe_psql($database,
		"CREATE SUBSCRIPTION to_$database CONNECTION '"
		  . connection($upstream{$database})
		  . "' PUBLICATION pub WITH (streaming = parallel"
		  . ($database eq 'failover' ? ', failover = true)' : ')'));
}

sub compare
{
	my ($name, $source) = @_;
	my $lsn = $source->lsn('insert');

	foreach my $database (sort keys %upstream)
	{
		$subscriber->poll_query_until($database,
			"SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
		  or BAIL_OUT('the initial copy did not end');
		$upstream{$database}->wait_for_catchup("to_$database", 'replay', $lsn);
		foreach my $table (@tables)
		{
			is( rows_of($subscriber, $table, database => $database),
				rows_of($source, $table),
				"$name: $table in $database");
			check_all($subscriber, $table, undef, database => $database,
				name => "$name: $table in $database");
		}
	}
	return;
}

compare('initial copy', $primary);

my %writers = (
	'update@4' => <<"SQL",
\\set id random(1, $rows)
UPDATE items SET $set WHERE id = :id;
UPDATE by_all SET note = note + 1 WHERE id = :id;
SQL
	'large@1' => <<"SQL",
\\set id random(1, $rows)
BEGIN;
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 50;
SAVEPOINT a;
UPDATE by_all SET $set WHERE id BETWEEN :id AND :id + 50;
ROLLBACK TO a;
UPDATE items SET note = note + 1 WHERE id BETWEEN :id AND :id + 10;
END;
SQL
	'vacuum@1' => "VACUUM items;\n");
my @options = ('-c', 3, '-t', hard(40, 1000), '--max-tries', 100);

run_pgbench($primary, \@options, %writers);
compare('writers at the primary', $primary);

# The standby crashes while the subscriber follows it.
my $run = start_pgbench($primary, \@options, %writers);
kill9($standby);
start_after_crash($standby);
finish_pgbench($run);
compare('a crash of the standby', $primary);

# --- the standby takes the primary's place ---

if ($failover)
{
	$standby->poll_query_until('postgres',
		q{SELECT synced AND NOT temporary AND invalidation_reason IS NULL
		  FROM pg_replication_slots WHERE slot_name = 'to_failover'})
	  or BAIL_OUT('the slot was not brought to the standby');
}
$primary->safe_psql('postgres', "UPDATE items SET $set WHERE id % 2 = 0");
caught_up($primary, $standby);
$snapshots->{run}->signal('TERM');
eval { $snapshots->{run}->finish };
kill9($primary);
$standby->promote;
if ($failover)
{
	$upstream{failover} = $standby;
	$subscriber->safe_psql('failover',
		"ALTER SUBSCRIPTION to_failover CONNECTION '"
		  . connection($standby) . "'");
}
compare('promoted', $standby);
run_pgbench($standby, \@options, %writers);
$standby->safe_psql('postgres', "TRUNCATE by_all; INSERT INTO by_all SELECT * FROM items");
compare('writers at the promoted standby', $standby);

foreach my $table (@tables)
{
	check_store($standby, $table);
	check_store($subscriber, $table, database => $_, name => "$table in $_")
	  foreach sort keys %upstream;
}
server_log_is_clean($_) foreach $primary, $standby, $subscriber;
$subscriber->stop;
$standby->stop;
done_testing();
