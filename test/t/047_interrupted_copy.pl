# A subscription's initial copy that is ended half-way, in every way that there is,
# while the publisher's rows change: each copy that follows starts anew, and the
# last one leaves each vector there once, in room that the earlier ones have
# given back.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = hard(6000, 60_000);
my $middle = $rows / 2;
my $publisher = vecseg_node(
	'publisher',
	allows_streaming => 'logical',
	conf => "shared_buffers = 8MB\n");
my $subscriber = vecseg_node(
	'subscriber',
	conf => "shared_buffers = 8MB\nautovacuum = off\nwal_retrieve_retry_interval = 100ms\n");
my $connection = $publisher->connstr('postgres') =~ s/'/''/gr;
my $set = next_version();

create_table($_, 'items') foreach $publisher, $subscriber;
fill_table($publisher, 'items', 1, $rows);
$publisher->safe_psql('postgres', 'CREATE PUBLICATION pub FOR TABLE items');

# A copy waits at the row in the middle until its process is let go; a lock tells
# that it does. A constraint waits rather than a trigger: with those, COPY would
# insert row by row.
$subscriber->safe_psql('postgres', <<"SQL");
CREATE TABLE released (pid int);
CREATE FUNCTION wait_in_the_middle(id bigint) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
	IF id = $middle THEN
		PERFORM pg_catalog.pg_advisory_xact_lock_shared(1);
		WHILE NOT EXISTS (SELECT FROM public.released
				WHERE pid IN (0, pg_catalog.pg_backend_pid())) LOOP
			PERFORM pg_catalog.pg_sleep(0.02);
		END LOOP;
	END IF;
	RETURN true;
END \$\$;
ALTER TABLE items ADD CHECK (wait_in_the_middle(id));
SQL

# The process of the copy that waits, once it is not that of the one before
sub waiting_process
{
	my ($name, $before) = @_;
	my $waiting = "FROM pg_locks WHERE locktype = 'advisory' AND pid <> $before";

	$subscriber->poll_query_until('postgres', "SELECT count(*) = 1 $waiting")
	  or BAIL_OUT("$name: no copy comes to the middle");
	return $subscriber->safe_psql('postgres', "SELECT pid $waiting");
}

# What ends a copy. Its process notices the loss of its publisher when it reads on.
my @ends = (
	[
		'its process is terminated' =>
		  sub { $subscriber->safe_psql('postgres', "SELECT pg_terminate_backend($_[0])"); }
	],
	[
		'its walsender is terminated' => sub {
			$publisher->safe_psql('postgres',
				"SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name LIKE '%sync%'"
			);
			$subscriber->safe_psql('postgres', "INSERT INTO released VALUES ($_[0])");
		}
	],
	[
		'the publisher crashes' => sub {
			kill9($publisher);
			$subscriber->safe_psql('postgres', "INSERT INTO released VALUES ($_[0])");
			start_after_crash($publisher);
		}
	],
	[
		'the subscriber crashes' => sub {
			kill9($subscriber);
			start_after_crash($subscriber);
		}
	],
	[ 'the subscriber is restarted' => sub { $subscriber->restart; } ]);

sub interrupted_copy
{
	my ($name, $options) = @_;
	my $process = 0;

	$subscriber->safe_psql('postgres',
		'TRUNCATE items, released; '
		  . "CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION pub WITH ($options)");
	foreach my $i (0 .. $#ends)
	{
		my ($how, $end) = @{ $ends[$i] };

		$process = waiting_process("$name, before $how", $process);
		$publisher->safe_psql('postgres', <<"SQL");
UPDATE items SET $set WHERE id % 5 = $i;
DELETE FROM items WHERE id % 101 = $i AND id <> $middle;
SQL
		$publisher->safe_psql('postgres', $_) foreach 'VACUUM items', 'CHECKPOINT';
		$end->($process);
		is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM items'),
			0, "$name: nothing is there when $how");
	}
	waiting_process("$name, the last one", $process);
	$publisher->safe_psql('postgres', "UPDATE items SET $set WHERE id % 7 = 0");
	$subscriber->safe_psql('postgres', 'INSERT INTO released VALUES (0)');
	$subscriber->wait_for_subscription_sync($publisher, 'sub');
	$publisher->wait_for_catchup('sub');
	is(digest($subscriber, 'items'), digest($publisher, 'items'),
		"$name: both sides are the same");
	check_paths($_, 'items', name => "$name, " . $_->name)
	  foreach $publisher, $subscriber;

	# each copy's half, and what the last changes have replaced
	my $left = "SELECT (SELECT sum(used) FROM vecseg_segments('items')) - count(*) FROM items";
	cmp_ok($subscriber->safe_psql('postgres', $left),
		'>=', $middle / 2, "$name: the interrupted copies have left values");
	$subscriber->safe_psql('postgres', 'VACUUM items');
	is($subscriber->safe_psql('postgres', $left), 0, "$name: VACUUM frees them");
	check_paths($subscriber, 'items', name => "$name, vacuumed");
	$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
	return;
}

interrupted_copy('text', 'streaming = on');
interrupted_copy('binary', 'binary = true');
server_log_is_clean($_) foreach $publisher, $subscriber;
$subscriber->stop;
$publisher->stop;
done_testing();
