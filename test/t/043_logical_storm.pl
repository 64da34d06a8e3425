# Logical replication of a busy database, whose publisher and subscriber are
# killed and restarted at random: in the end, and whenever the publisher comes
# to rest, both sides are identical, and what was acknowledged is there. The
# subscriber's readers never see a wrong vector.

use strict;
use warnings;

use AckedWork;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $seconds = $ENV{VECSEG_TEST_STORM_SECONDS} // hard(30, 900);
my $seed = $ENV{VECSEG_TEST_SEED} // time;
my $stable = 500;	# rows with ids up to this are never deleted

srand $seed;
note "VECSEG_TEST_SEED=$seed";

my $common = <<'CONF';
shared_buffers = 8MB
deadlock_timeout = 200ms
wal_retrieve_retry_interval = 100ms
autovacuum_naptime = 1s
autovacuum_vacuum_cost_delay = 0
autovacuum_vacuum_threshold = 20
autovacuum_vacuum_scale_factor = 0.02
autovacuum_vacuum_insert_threshold = 50
autovacuum_vacuum_insert_scale_factor = 0.02
CONF
my $publisher = vecseg_node(
	'publisher',
	allows_streaming => 'logical',
	conf => "${common}logical_decoding_work_mem = 64kB\n");
my $subscriber = vecseg_node(
	'subscriber',
	allows_streaming => 'logical',
	conf => $common);

foreach my $node ($publisher, $subscriber)
{
	create_table($node, 'items', columns => acked_columns());
	create_table($node, 'side', columns => 'note int NOT NULL DEFAULT 0');
	create_must_be_zero($node);
	$node->safe_psql('postgres', 'ALTER TABLE side REPLICA IDENTITY FULL');
}
$publisher->safe_psql('postgres', 'CREATE SEQUENCE new_id START 1000000');
fill_table($publisher, 'items', 1, $stable);
fill_table($publisher, 'side', 1, 200);
$publisher->safe_psql('postgres', 'CREATE PUBLICATION storm FOR ALL TABLES');

# Not both: with two_phase the server streams a prepared transaction once more if
# workers start again before it is committed, which a parallel worker applies
# at once ("duplicate key", on heap tables too).
my $options = $publisher->pg_version >= 16 && rand() < 0.5
  ? 'streaming = parallel' : 'streaming = on, two_phase = true';
note $options;
my $connection = $publisher->connstr('postgres') =~ s/'/''/gr;
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION storm CONNECTION '$connection' "
	  . "PUBLICATION storm WITH ($options)");
$subscriber->wait_for_subscription_sync($publisher, 'storm');

my $set = next_version();
my $insert =
  'INSERT INTO %s (id, version, embedding) SELECT i, 1, vec(i, 1, 768) FROM %s';
my $new_ids =
  q{(SELECT nextval('new_id') FROM generate_series(1, %d)) new(i)};

# Updates that find their row changed leave a vector that no row refers to.
my %writers = (
	'w_update@6' => <<"SQL",
\\set id random(1, $stable)
UPDATE items SET $set WHERE id = :id;
SQL
	'w_touch@3' => <<"SQL",
\\set id random(1, $stable)
UPDATE items SET note = note + 1 WHERE id BETWEEN :id AND :id + 5;
SQL
	'w_hot_row@3' => <<"SQL",
\\set id random(1, 3)
\\set other random(1, 200)
BEGIN;
UPDATE items SET $set WHERE id = :id AND version % 3 > 0;
UPDATE side SET note = note + 1 WHERE id = :other;
UPDATE items SET note = note + 1, version = version + 1, embedding = vec(id, version + 1, 768) WHERE id = :id;
END;
SQL
	'w_twice@3' => <<"SQL",
\\set id random(1, $stable)
\\set other random(1, 200)
BEGIN;
UPDATE items SET $set FROM generate_series(1, 3) WHERE id = :id;
DELETE FROM side WHERE id = :other;
INSERT INTO side (id, version, embedding) VALUES (:other, 1, vec(:other, 1, 768)) ON CONFLICT DO NOTHING;
END;
SQL
	'w_insert@3' =>
	  sprintf("$insert;\n", 'items', sprintf $new_ids, 5),
	'w_delete@3' =>
	  "DELETE FROM items WHERE id IN (SELECT id FROM items WHERE id BETWEEN 1000000 AND 9999999 LIMIT 7);\n",
	'w_large@1' => <<"SQL",
\\set id random(1, $stable)
BEGIN;
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 60;
SAVEPOINT a;
${\sprintf $insert, 'items', sprintf $new_ids, 40};
DELETE FROM items WHERE id IN (SELECT id FROM items WHERE id BETWEEN 1000000 AND 9999999 LIMIT 30);
ROLLBACK TO a;
UPDATE side SET $set WHERE id % 10 = :id % 10;
END;
SQL
	'w_rollback@1' => <<"SQL",
\\set id random(1, $stable)
BEGIN;
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 10;
ROLLBACK;
SQL
	'w_truncate@1' => <<"SQL");
\\set id random(1, 1000)
BEGIN;
TRUNCATE side;
${\sprintf $insert, 'side', 'generate_series(1, 200) i'};
UPDATE side SET $set WHERE id % 50 = :id % 50;
END;
SQL
my $wrong = wrong_vectors();
my %readers = (
	'r_range' => <<"SQL",
\\set id random(1, $stable)
SELECT must_be_zero(count(*) FILTER (WHERE $wrong)) FROM items WHERE id BETWEEN :id AND :id + 50;
SQL
	'r_side' => "SELECT must_be_zero(count(*) FILTER (WHERE $wrong)) FROM side;\n");

# What rewrites and cleans up at both sides meanwhile. A prepared transaction
# that replication is to end may keep a table locked, hence the time limit.
my @helpers = (
	'VACUUM items', 'VACUUM FULL items', 'CHECKPOINT', 'CLUSTER side USING side_pkey',
	'VACUUM side', 'REINDEX TABLE items');

sub start_helper
{
	my ($node) = @_;
	my $script = "SET lock_timeout = '1s';\nSET client_min_messages = error;\n";

	foreach (1 .. 500)
	{
		$script .= acknowledged($helpers[ rand @helpers ], $_);
		$script .= sprintf "SELECT pg_sleep(%.2f);\n", rand 0.5;
	}
	return start_client($node, $script, go_on => 1);
}

my @workers = map { acked_worker($_) } 1, 2;

# Clients on both sides for a while, in which the subscriber, or one of the
# processes of replication, ends in some way; then the publisher's end.
sub storm
{
	my ($length) = @_;
	my @options = ('-T', int 100 * $length, '-P', 1, '--max-tries', 0);

	start_acked_round($publisher, $_, 100 * $length, 0.02) foreach @workers;
	my $writers = start_pgbench($publisher, [ @options, '-c', 4 ], %writers);
	my $helper = start_helper($publisher);
	my $work = sub { usleep(1_000_000 * $length * (0.2 + rand 0.3)); };
	my $with_readers = sub {
		my $other = start_helper($subscriber);
		my $readers = start_pgbench($subscriber, [ @options, '-c', 2 ], %readers);

		usleep(1_500_000);
		$work->();
		$_[0]->();
		finish_client($other);
		stop_pgbench($readers);
		is(join("\n", client_errors($other, '40P01', '55P03')),
			'', 'no error of the helper at the subscriber');
	};

	$with_readers->(sub { kill9($subscriber); });
	$work->();
	start_after_crash($subscriber);
	$publisher->safe_psql('postgres',
		'SELECT pg_terminate_backend(pid) FROM pg_stat_replication')
	  if rand() < 0.5;
	$with_readers->(
		sub {
			kill9($publisher);
			$subscriber->stop(rand() < 0.5 ? 'immediate' : 'fast');
		});
	finish_client($_) foreach $helper, map { $_->{client} } @workers;
	stop_pgbench($writers);
	is(join("\n", client_errors($helper, '40P01', '55P03')),
		'', 'no error of the helper at the publisher');
	return;
}

sub check_both
{
	my ($name) = @_;
	my $committed = 0;

	$committed += check_acked_round($publisher, $_, $name, '40P01')
	  foreach @workers;
	cmp_ok($committed, '>', 0, "$name: $committed acknowledged transactions");
	$publisher->wait_for_catchup('storm');
	foreach my $table ('items', 'side')
	{
		is(digest($subscriber, $table), digest($publisher, $table),
			"$name: $table is the same at both sides");
		foreach my $node ($publisher, $subscriber)
		{
			check_all($node, $table, undef,
				name => "$name, $table on " . $node->name);
			check_store($node, $table,
				name => "$name, $table on " . $node->name);
		}
	}
	check_all($subscriber, 'items', "id <= $stable", rows => $stable,
		name => "$name, rows that none deletes");
	check_acked_docs($subscriber);
	return;
}

my ($round, $began) = (0, time);
do
{
	storm(5 + rand 5);
	start_after_crash($publisher);
	$subscriber->start;
	check_both('round ' . ++$round);
} while (time - $began < $seconds);

is( $subscriber->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
	0,
	'no prepared transactions are left');
server_log_is_clean($_) foreach $publisher, $subscriber;

# No process of the subscriber, apply workers among them, met another error than
# those that come from locks and from the end of a server. (What ends a parallel
# apply worker is a line of its own.)
my @found = grep {
	/ (?:ERROR|FATAL):  / && !/deadlock\ detected
	|canceling\ (?:autovacuum\ task|statement\ due\ to\ lock\ timeout)
	|could\ not\ (?:connect\ to\ the\ publisher|receive\ data\ from\ WAL\ stream
		|send\ (?:data\ to\ WAL\ stream|end-of-streaming\ message)
		|map\ dynamic\ shared\ memory\ segment)
	|connection\ to\ client\ lost
	|logical\ replication\ parallel\ apply\ worker\ exited\ due\ to\ error
	|postmaster\ exited\ during\ a\ parallel\ transaction
	|replication\ (?:slot|origin).*is\ (?:already\ )?active
	|terminating\ (?:connection|background\ worker|logical\ replication\ worker|autovacuum)
	|the\ database\ system\ is/x
} split /\n/, slurp_file($subscriber->logfile);
is(join("\n", splice @found, 0, 20), '', 'no other errors at the subscriber');
$subscriber->stop;
$publisher->stop;
done_testing();
