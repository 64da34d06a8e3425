# Scroll and retrieve stop at once when the query is cancelled, times out or is
# terminated, when LIMIT is satisfied or the cursor closed; the session goes on
# as if nothing had happened, and leaves no file open.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $rows = 20_000;
my $rounds = hard(8, 100);
my $node = vecseg_node(
	'cancel',
	conf => "shared_buffers = 1MB\nautovacuum = off");

create_table($node, 'items');
fill_table($node, 'items', 1, $rows);
$node->safe_psql('postgres', 'VACUUM ANALYZE items');
my $file = toast_file($node, 'items');
$node->restart;

# Queries that no machine completes before they are cancelled
my %endless = (
	scroll => 'SELECT sum(hash_array_extended(s.embedding, g)) FROM '
	  . 'generate_series(1::bigint, 100000) g, LATERAL '
	  . 'vecseg_scroll(NULL::items, after => g % 10) s',
	retrieve => 'SELECT sum(hash_array_extended(s.embedding, g)) FROM '
	  . 'generate_series(1::bigint, 100000) g, LATERAL '
	  . 'vecseg_retrieve(NULL::items, ARRAY(SELECT hashint8(i + g) % 10000 '
	  . '+ 10000 FROM generate_series(1::bigint, 5000) i)) s',
	filter => 'SELECT sum(hash_array_extended(s.embedding, g)) FROM '
	  . 'generate_series(1::bigint, 100000) g, LATERAL '
	  . '(SELECT embedding FROM items WHERE id % 3 = g % 3 OFFSET 0) s',
	scan => 'SELECT sum(hash_array_extended(s.embedding, g)) FROM '
	  . 'generate_series(1::bigint, 100000) g, LATERAL '
	  . '(SELECT embedding FROM items WHERE id > g % 10 OFFSET 0) s');

my $wrong = wrong_vectors();

# Have the table's vectors on disk only. What a session has mapped and touched
# cannot be dropped from memory, so have it map the file anew before: any
# change of the TOAST relation's catalog entry sends an invalidation.
my $changes = 0;

sub make_cold
{
	my ($session) = @_;

	$changes++;
	$node->safe_psql('postgres',
		'ALTER TABLE items SET (toast.autovacuum_vacuum_threshold = '
		  . "$changes)");
	must($session, 'SELECT embedding[1] FROM items WHERE id = 1');
	drop_os_cache($file);
	return;
}

sub session_is_fine
{
	my ($session, $name) = @_;
	my $errors = '';

	is( ask($session, "SELECT count(*), count(*) FILTER (WHERE $wrong) FROM "
			  . 'vecseg_scroll(NULL::items, upto => 300)'),
		'300|0',
		"$name: the session scrolls");
	$errors .= $session->{stderr};
	is( ask($session, "SELECT count(*), count(*) FILTER (WHERE $wrong) FROM "
			  . 'vecseg_retrieve(NULL::items, ARRAY[19999, 5, 10000, 5])'),
		'3|0',
		"$name: the session retrieves");
	is($errors . $session->{stderr}, '', "$name: without error");
	return;
}

# Start a query, wait until it has run for a moment, and stop it.
sub run_and_stop
{
	my ($session, $pid, $query, $stop) = @_;

	make_cold($session);
	my $stopper = start_client($node, <<"SQL");
DO \$\$
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid
			AND state = 'active' AND query LIKE '%hash_array%'
			AND clock_timestamp() - query_start > random() * interval '0.1 s');
		PERFORM pg_sleep(0.005);
	END LOOP;
END \$\$;
SELECT $stop($pid);
SQL
	ask($session, $query);
	ok(finish_client($stopper), "$stop was called");
	return $session->{stderr};
}

foreach my $method ('auto', 'sync')
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = must($session, 'SELECT pg_backend_pid()');

	must($session, "SET vecseg.io_method = $method");
	session_is_fine($session, "$method, at first");
	must($session, "SELECT sum(hash_array_extended(embedding, 0)) FROM $_")
	  foreach 'items', 'vecseg_scroll(NULL::items)',
	  'vecseg_scroll(NULL::items, upto => 300)',
	  'vecseg_retrieve(NULL::items, ARRAY[3, 1, 2])';

	my $files = open_files($pid, $file);
	cmp_ok($files, '>', 0, "$method: $files files are open");
	foreach my $kind (sort keys %endless)
	{
		for my $round (1 .. $rounds)
		{
			my $error = run_and_stop($session, $pid, $endless{$kind},
				'pg_cancel_backend');
			like($error, qr/ERROR: +canceling statement due to user request/,
				"$method, $kind: cancelled");
			session_is_fine($session, "$method, $kind cancelled")
			  if $round == 1 || $round == $rounds;
		}
		make_cold($session);
		must($session, "SET statement_timeout = '200ms'");
		ask($session, $endless{$kind});
		like($session->{stderr},
			qr/ERROR: +canceling statement due to statement timeout/,
			"$method, $kind: timed out");
		must($session, 'SET statement_timeout = 0');
		session_is_fine($session, "$method, $kind timed out");
	}

	# In a subtransaction, of which the transaction survives
	must($session, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM vecseg_scroll(NULL::items)");
	must($session, 'FETCH 100 FROM c');
	must($session, 'SAVEPOINT s');
	run_and_stop($session, $pid, $endless{scroll}, 'pg_cancel_backend');
	must($session, 'ROLLBACK TO s');
	is( scalar(
			my @list = split /\n/,
			must($session, 'FETCH 200 FROM c')),
		200,
		"$method: an older cursor goes on");
	must($session, 'CLOSE c; COMMIT');

	# LIMIT, and cursors closed early
	for (1 .. $rounds)
	{
		make_cold($session);
		is( must($session, "SELECT count(*), count(*) FILTER "
				  . "(WHERE $wrong) FROM (SELECT * FROM "
				  . 'vecseg_scroll(NULL::items, after => 5000) LIMIT 10) s'),
			'10|0',
			"$method: LIMIT");
		must($session, 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM '
			  . 'vecseg_scroll(NULL::items, backward => true); '
			  . 'FETCH 10 FROM c; CLOSE c; COMMIT');
		must($session, 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM '
			  . 'items; FETCH 10 FROM c; ROLLBACK');
	}
	cmp_ok(open_files($pid, $file), '<=', $files + 3,
		"$method: no file is left open ($files before)");
	session_is_fine($session, "$method, at last");

	# Terminated
	foreach my $kind (sort keys %endless)
	{
		my $victim = start_client($node,
			"SET vecseg.io_method = $method;\n"
			  . "SELECT 'ack', pg_backend_pid();\n$endless{$kind};\n");
		wait_for_acks([$victim], 1);
		my ($victim_pid) = map { /(\d+)/ } client_acks($victim);

		$node->poll_query_until('postgres',
			'SELECT EXISTS (SELECT FROM pg_stat_activity '
			  . "WHERE pid = $victim_pid AND query LIKE '%hash_array%' "
			  . "AND clock_timestamp() - query_start > interval '0.1 s')");
		drop_os_cache($file);
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim_pid)");
		ok(!finish_client($victim), "$method, $kind: terminated");
		like(slurp_file($victim->{errors}),
			qr/FATAL: +terminating connection due to administrator command/,
			"$method, $kind: the client is told");
	}
	$session->quit;
}

check_all($node, 'items', undef, rows => $rows);
check_all($node, 'vecseg_scroll(NULL::items)', undef, rows => $rows);
check_store($node, 'items');
server_log_is_clean($node);
$node->stop;
done_testing();
