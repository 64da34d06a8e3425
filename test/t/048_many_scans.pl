# A query with scans of many partitions: together they must not need more shared
# buffers than there are, nor memory for each as if it were alone.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $partitions = 150;
my $rows = $partitions * 250;
my $node = vecseg_node('many_scans', conf =>
	  "autovacuum = off\nshared_buffers = 16MB\nmax_locks_per_transaction = 1000\n"
	  . "max_parallel_workers_per_gather = 0\nvecseg.direct_io = on");

# A table of so many partitions as there are to be, with these further columns
sub create_partitioned
{
	my ($table, @columns) = @_;

	$node->safe_psql('postgres',
		"CREATE TABLE $table ("
		  . join(', ', 'id bigint PRIMARY KEY', 'version int NOT NULL',
			'embedding real[]', @columns)
		  . ') PARTITION BY HASH (id); '
		  . join('', map {
			"CREATE TABLE ${table}_$_ PARTITION OF $table "
			  . "FOR VALUES WITH (MODULUS $partitions, REMAINDER $_) USING vecseg; "
		  } 0 .. $partitions - 1));
	return;
}

# Seven rows to a page, in another order than that of their keys
create_partitioned('items', 'filler text');
$node->safe_psql('postgres',
	"INSERT INTO items SELECT id, 1, vec(id, 1, 10), repeat('x', 1000) "
	  . "FROM generate_series(1::bigint, $rows) id ORDER BY hashint8extended(id, 5); "
	  . 'ANALYZE items; CHECKPOINT');
$node->restart;	# vectors are not in shared buffers: windows grow as they are read

my $merged = "SELECT * FROM items ORDER BY id";
my $settings = 'SET enable_seqscan = off; SET enable_sort = off';

like($node->safe_psql('postgres', "$settings; EXPLAIN (COSTS OFF) $merged"),
	qr/Merge Append.*Custom Scan \(Vecseg Scan\).*Custom Scan \(Vecseg Scan\)/s,
	'all partitions are read at once');
foreach my $run (1, 2)
{
	is($node->safe_psql('postgres', "$settings; SELECT count(*), "
			  . 'count(*) FILTER (WHERE ' . wrong_vectors(10) . ') '
			  . "FROM ($merged OFFSET 0) t"),
		"$rows|0", "all vectors are right, run $run");
}

# An error in the middle leaves no pins behind, in whichever way it ends.
my $session = $node->background_psql('postgres', on_error_stop => 0);
must($session, $settings);
foreach my $run (1 .. 5)
{
	must($session, "BEGIN; DECLARE c CURSOR FOR $merged; MOVE 3000 FROM c; SAVEPOINT s");
	ask($session, "DECLARE d CURSOR FOR SELECT 1 / (5000 - id) FROM ($merged) t; "
		  . 'MOVE 6000 FROM d');
	like($session->{stderr}, qr/division by zero/, "an error in a second scan, run $run");
	is(must($session, 'ROLLBACK TO s; '
			  . 'SELECT count(*), count(*) FILTER (WHERE ' . wrong_vectors(10)
			  . ") FROM ($merged OFFSET 0) t"),
		"$rows|0", "all vectors are right after it, run $run");
	must($session, $run % 2 ? 'COMMIT' : 'ROLLBACK');
}
$session->quit;

# Memory in the middle of a merge: of 74 MB of vectors, not what fits into 40 times
# vecseg.read_ahead, but into four times that, or the least that a scan may have
$partitions = 40;
$rows = $partitions * 600;
create_partitioned('large');
$node->safe_psql('postgres',
	'INSERT INTO large SELECT id, 1, vec(id, 1, 768) '
	  . "FROM generate_series(1::bigint, $rows) id; ANALYZE large; CHECKPOINT");
my @files = map { $node->data_dir . "/$_" } split /\n/, $node->safe_psql('postgres',
	"SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname ~ '^large_[0-9]+\$'");
$node->restart;
drop_os_cache(@files);
$session = $node->background_psql('postgres', on_error_stop => 0);
must($session, "$settings; SET vecseg.read_ahead = '1MB'");
must($session, 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM large ORDER BY id; FETCH 1 FROM c');
my $pid = must($session, 'SELECT pg_backend_pid()');
my $before = memory($pid);
must($session, 'MOVE 10000 FROM c');
my $after = memory($pid);
note "memory: $before kB before, $after kB after";
cmp_ok($after - $before, '<', 40 * 1024, 'scans share memory');
is(must($session, 'SELECT count(*), count(*) FILTER (WHERE '
		  . wrong_vectors(768) . ') FROM (SELECT * FROM large ORDER BY id OFFSET 0) t'),
	"$rows|0", 'all vectors are right while a cursor holds some');
$session->quit;

# The memory that a process has for itself, in kB
sub memory
{
	my ($pid) = @_;

	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s*(\d+)/m ? $1 : die;
}

server_log_is_clean($node);
$node->stop;
done_testing();
