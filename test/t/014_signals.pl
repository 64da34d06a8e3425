# A storm of signals upon sessions that have many reads in flight: notifies,
# invalidations, requests to log memory, reloads, cancels, timeouts, errors in
# the middle of a query, termination. A session goes on at once after each, with
# exact results, and nothing of what was under way is left behind.

use strict;
use warnings;

use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $rows = 8000;
my $rounds = hard(120, 1500);
my $wrong = wrong_vectors();
my $node = vecseg_node(
	'signals',
	conf => "shared_buffers = 1MB\nautovacuum = off\n"
	  . "max_parallel_workers_per_gather = 0\nlog_temp_files = 0");

create_table($node, 'items');
fill_table($node, 'items', 1, $rows);
$node->safe_psql('postgres', <<'SQL');
VACUUM ANALYZE items;
CREATE TABLE locked ();
CREATE TABLE over ();
CREATE FUNCTION needs_lock(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF id = 3000 THEN LOCK TABLE locked IN SHARE MODE; END IF;
	RETURN true;
END $$;
SQL
my $file = toast_file($node, 'items');
$node->restart;
if (!drop_os_cache($file))
{
	plan skip_all => 'the file system keeps files in memory';
}

my $ids = 'ARRAY(SELECT i FROM generate_series(1::bigint, '
  . "$rows) i ORDER BY hashint8(i + g))";
my %from = (
	scroll => 'vecseg_scroll(NULL::items, after => g % 10)',
	backward => 'vecseg_scroll(NULL::items, backward => true, upto => g % 10)',
	retrieve => "vecseg_retrieve(NULL::items, $ids)",
	seq => '(SELECT * FROM items WHERE id > g % 10 OFFSET 0)',
	ordered => '(SELECT * FROM items WHERE id > g % 10 ORDER BY id OFFSET 0)');
my @hows = sort keys %from;

# A query that no machine completes
sub endless
{
	my ($how) = @_;

	return 'SELECT /* storm */ sum(hash_array_extended(s.embedding, g)) FROM '
	  . "generate_series(1::bigint, 100000) g, LATERAL $from{$how} s";
}

# A query whose condition raises an error in the middle, before or after the
# row's vector is read
sub failing
{
	my ($how, $condition) = @_;

	return "SELECT sum(hash_array_extended(s.embedding, 0)) FROM "
	  . "(SELECT 1 AS g) g, LATERAL $from{$how} s WHERE $condition";
}

# The rounds of a session: a statement that is stopped somehow, and one that
# has to give the right rows then.
sub rounds_of
{
	my ($settings, $first) = @_;
	my $script = "$settings;\nSET application_name = 'victim';\n"
	  . "LISTEN storm;\nSELECT 'pid', pg_backend_pid();\n";

	foreach my $round (1 .. $rounds)
	{
		my $how = $hows[ ($round + $first) % @hows ];
		my $kind = int($round / @hows) % 6;
		my $from = (
			'vecseg_scroll(NULL::items, upto => 300)',
			"vecseg_retrieve(NULL::items, ARRAY(SELECT i * 26 FROM "
			  . 'generate_series(1, 300) i ORDER BY hashint4(i)))',
			'(SELECT * FROM items LIMIT 300) s')[ $round % 3 ];

		if ($kind == 0)
		{
			$script .= sprintf
			  "SET statement_timeout = %d;\n%s;\nSET statement_timeout = 0;\n",
			  1 + $round * 7 % 60, endless($how);
		}
		elsif ($kind == 1)
		{
			$script .= failing($how, '1 / (s.id - 3000) < 2') . ";\n";
		}
		elsif ($kind == 2)
		{
			$script .= failing($how, '1 / (s.embedding[1] - 4000) < 2') . ";\n";
		}
		elsif ($kind == 3)
		{
			$script .= "SET lock_timeout = '3ms';\n"
			  . failing($how, 'needs_lock(s.id)')
			  . ";\nSET lock_timeout = 0;\n";
		}
		elsif ($kind == 4)
		{
			# in a subtransaction, while an older cursor is open
			$script .= "BEGIN;\nDECLARE c CURSOR FOR SELECT 'older', count(*) "
			  . "OVER (), $wrong FROM vecseg_scroll(NULL::items, upto => 100);\n"
			  . "MOVE 50 FROM c;\nSAVEPOINT s;\n"
			  . endless($how)
			  . ";\nROLLBACK TO s;\nFETCH 1 FROM c;\nCOMMIT;\n";
		}
		else
		{
			$script .= endless($how) . ";\n";
		}
		$script .= "SELECT 'result', count(*), count(*) FILTER (WHERE $wrong) "
		  . "FROM $from;\n";
		$script .= "SELECT 'held', (SELECT count(*) FROM "
		  . "pg_ls_dir('/proc/self/fd')), (SELECT count(*) FROM "
		  . "string_to_table(pg_read_file('/proc/self/maps'), E'\\n')), "
		  . "substring(pg_read_file('/proc/self/smaps_rollup') "
		  . "FROM 'Anonymous: +(\\d+) kB')::int;\n"
		  if $round % 10 == 0;
		$script .= "SELECT 'ack', $round;\n";
	}
	return $script;
}

my %settings = (
	io_uring => 'SET vecseg.io_method = io_uring; SET vecseg.direct_io = on',
	deep => 'SET vecseg.io_method = io_uring; SET vecseg.direct_io = on; '
	  . "SET vecseg.io_depth = 1024; SET vecseg.read_ahead = '256MB'",
	sync => 'SET vecseg.io_method = sync');
my $holder = $node->background_psql('postgres');
$holder->set_query_timer_restart;
$holder->query_safe('BEGIN; LOCK TABLE locked IN EXCLUSIVE MODE');

# Cancels what has run for a moment. The server warns of a session that ends
# before the signal; that is no complaint.
my $canceller = start_client($node, <<'SQL');
SET log_min_messages = error;
DO $$
BEGIN
	LOOP
		PERFORM pg_cancel_backend(pid) FROM pg_stat_activity
			WHERE application_name = 'victim' AND state = 'active'
				AND query LIKE 'SELECT /* storm */%'
				AND clock_timestamp() - query_start > random() * interval '0.05 s';
		EXIT WHEN EXISTS (SELECT FROM over);
		COMMIT;
		PERFORM pg_sleep(0.003);
	END LOOP;
END $$;
SQL

# Interrupts that a query is not to notice. What is created and dropped fills
# the queue of invalidations, so that sessions are told to catch up.
my $noise = start_client($node, <<'SQL');
SET log_min_messages = error;
DO $$
BEGIN
	FOR i IN 1 .. 2000000000 LOOP
		NOTIFY storm;
		EXECUTE format('CREATE TEMP TABLE t%s (%s)', i, (SELECT
			string_agg(format('c%s int', n), ', ') FROM generate_series(1, 60) n));
		EXECUTE format('DROP TABLE t%s', i);
		EXECUTE format('ALTER TABLE items SET (toast.autovacuum_vacuum_threshold = %s)', i);
		IF i % 20 = 0 THEN
			PERFORM pg_reload_conf(), pg_log_backend_memory_contexts(pid)
				FROM pg_stat_activity WHERE application_name = 'victim';
		END IF;
		EXIT WHEN EXISTS (SELECT FROM over);
		COMMIT;
	END LOOP;
END $$;
SQL

my %victims = map {
	$_ => start_client($node, rounds_of($settings{$_}, length $_), go_on => 1)
} keys %settings;
while (grep { $_->{run}->pumpable } values %victims)
{
	# Keep it cold also for those who read through the page cache.
	drop_os_cache($file);
	usleep(20_000);
}
$node->safe_psql('postgres', 'INSERT INTO over DEFAULT VALUES');
ok(finish_client($_), 'the storm went on to the end') foreach $canceller, $noise;
$holder->query_safe('COMMIT');
$holder->quit;

foreach my $name (sort keys %victims)
{
	my $victim = $victims{$name};

	$victim->{run}->finish;
	my $output = slurp_file($victim->{output});
	my $errors = slurp_file($victim->{errors});
	my @results = $output =~ /^result\|(.*)$/mg;
	my @older = $output =~ /^older\|(.*)$/mg;
	my @held = map { [ split /\|/ ] } $output =~ /^held\|(.*)$/mg;
	my %met;

	is(scalar(() = client_acks($victim)), $rounds,
		"$name: the session went through all rounds");
	is(join("\n", client_errors($victim, '57014', '22012', '55P03')),
		'', "$name: no error but those that were made");
	$met{$_}++ foreach $errors =~ /ERROR:  (\w{5}):/g;
	note "$name: " . join ', ', map { "$_ $met{$_} times" } sort keys %met;
	# A cancel may come late, and meet the query after.
	cmp_ok(scalar @results, '>', $rounds / 2, "$name: it was used after each");
	is(scalar(grep { $_ ne '300|0' } @results),
		0, "$name: every vector is right")
	  or diag "@results";
	cmp_ok(scalar @older, '>', 0, "$name: older cursors went on");
	is(scalar(grep { $_ ne '100|f' } @older),
		0, "$name: older cursors are right");
	cmp_ok($met{57014}, '>=', $rounds / 4, "$name: cancelled often");
	cmp_ok($met{22012}, '>=', $rounds / 6, "$name: failed often");
	cmp_ok($met{'55P03'}, '>=', 1, "$name: timed out for a lock");

	# What the session held at most in the first half of the rounds and later
	my @first = splice @held, 0, @held / 2;
	# (the server opens files of catalogs now and then)
	my @what = ('open files', $rounds / 6, 'mappings', 30,
		'kB of memory', 16 * 1024);
	foreach my $n (0 .. 2)
	{
		my ($what, $more) = @what[ 2 * $n, 2 * $n + 1 ];
		my ($before, $after) =
		  map { max(map { $_->[$n] } @$_) } \@first, \@held;

		cmp_ok($after, '<=', $before + $more,
			"$name: $after $what after $before");
	}
}

# Terminated
foreach my $round (1 .. hard(3, 30))
{
	my @doomed = map {
		start_client($node,
			"$settings{deep};\nSELECT 'ack', pg_backend_pid();\n"
			  . endless($_) . ";\n")
	} @hows;

	wait_for_acks(\@doomed, scalar @doomed);
	my @pids = map { /(\d+)/ } map { client_acks($_) } @doomed;
	$node->poll_query_until('postgres',
		'SELECT count(*) = ' . @pids . ' FROM pg_stat_activity WHERE pid IN ('
		  . join(', ', @pids)
		  . ") AND query LIKE 'SELECT /* storm */%'");
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
		  . "WHERE query LIKE 'SELECT /* storm */%'");
	foreach my $doomed (@doomed)
	{
		ok(!finish_client($doomed), 'terminated');
		like(slurp_file($doomed->{errors}),
			qr/FATAL: +terminating connection due to administrator command/,
			'terminated: the client is told');
	}
}

# Nothing is left in the server.
my $log = slurp_file($node->logfile);
is(join("\n", $log =~ /^(.*(?:WARNING|leak|PANIC|terminated by signal).*)$/mg),
	'', 'the server has nothing to complain about');
like($log, qr/logging memory contexts of PID/, 'it was asked for memory');
is_deeply([ glob($node->data_dir . '/base/pgsql_tmp/*') ],
	[], 'no temporary file is left');
SKIP:
{
	skip 'pg_buffercache is not installed', 1
	  if $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_available_extensions "
		  . "WHERE name = 'pg_buffercache'") == 0;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_buffercache');
	ok( $node->poll_query_until('postgres',
			'SELECT count(*) = 0 FROM pg_buffercache b JOIN pg_class c ON '
			  . 'b.relfilenode = pg_relation_filenode(c.oid) WHERE '
			  . "pinning_backends > 0 AND c.oid IN (SELECT unnest(ARRAY[oid, "
			  . "reltoastrelid]) FROM pg_class WHERE relname = 'items')"),
		'no page is left pinned');
}
check_all($node, $_, undef, rows => $rows)
  foreach 'items', 'vecseg_scroll(NULL::items)';

# The postmaster dies: so does everyone who waits for reads.
wait_until_cold($file);
my @orphans = map {
	start_client($node,
		"$settings{deep};\nSELECT 'ack', pg_backend_pid();\n"
		  . endless($_) . ";\n")
} @hows;
wait_for_acks(\@orphans, scalar @orphans);
kill 'KILL', $node->{_pid};
foreach my $orphan (@orphans)
{
	ok(!finish_client($orphan), 'the postmaster is gone, and so is a backend');
}
kill9($node);
start_after_crash($node);
check_all($node, 'items', undef, rows => $rows);
check_store($node, 'items');
server_log_is_clean($node);
$node->stop;
done_testing();
