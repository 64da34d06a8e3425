# A server in a control group that limits its memory, as in a container: a scroll
# of a table that the page cache cannot hold reads past it, and so do the first scan
# and the first retrieval of one that it can. Run in the group that run_limited() of
# test/run.sh makes.

use strict;
use warnings;

use Test::More;
use VecsegTest;

# The table is larger than the limit, and much smaller than any machine's memory.
my $rows = 60_000;
my $limit = $ENV{VECSEG_TEST_MEMORY_LIMIT}
  or plan skip_all => 'not in a control group with limited memory';
my $scroll = 'SELECT count(*), sum(embedding[1]::float8) FROM '
  . 'vecseg_scroll(NULL::items)';

# How many vectors a full scroll finds in the kernel's cache, and how many it
# reads, when none of them is there
sub vectors_of_cold_scroll
{
	my ($node, $file) = @_;
	my ($plan, $vectors);

	$node->restart;
	wait_until_cold($file);
	$plan = $node->safe_psql('postgres',
		"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $scroll");
	note $plan;
	($vectors) = $plan =~ /Vectors: (values=$rows.*)/ or return;
	return map { $vectors =~ / $_=(\d+)/ ? $1 : 0 } qw(mapped read);
}

my $node = vecseg_node(
	'limited',
	conf => "autovacuum = off\nshared_buffers = 8MB\nmax_wal_size = 64MB\n");

create_table($node, 'items');
$node->safe_psql('postgres',
	'INSERT INTO items SELECT id, 1, vec(id, 1, 768) '
	  . "FROM generate_series(1, $rows) id ORDER BY hashint8(id)");
$node->safe_psql('postgres', 'VACUUM ANALYZE items');
$node->safe_psql('postgres', 'CHECKPOINT');
cmp_ok(-s toast_file($node, 'items'),
	'>', $limit, 'the page cache cannot hold the vectors');

my ($mapped, $read) =
  vectors_of_cold_scroll($node, toast_file($node, 'items'));
cmp_ok($read, '>', $rows * 0.9, 'vectors are read past the page cache');
cmp_ok($mapped, '<', $rows * 0.1, 'not through the mapping');
check_paths($node, 'items', rows => $rows);

# One that it can hold, if not much else
$rows = 30_000;
$node->safe_psql('postgres', "DELETE FROM items WHERE id > $rows; VACUUM FULL items");
$node->safe_psql('postgres', 'CHECKPOINT');
my $half = toast_file($node, 'items');
cmp_ok(-s $half, '>', $limit / 2, 'the vectors need more than half of the memory');
($mapped) = vectors_of_cold_scroll($node, $half);
cmp_ok($mapped, '>', $rows * 0.7, 'these are read in large pieces');
cmp_ok(cached_bytes($half), '>', 0.7 * -s $half,
	'a scroll leaves them in the page cache');
check_paths($node, 'items', rows => $rows);

# A table that the page cache can hold well, with its rows in the order of one key and
# not of the other
my $few = 12_000;
$node->safe_psql('postgres', <<"END");
DROP TABLE items;
CREATE TABLE few (id int PRIMARY KEY, other int UNIQUE, embedding real[])
	USING vecseg;
INSERT INTO few SELECT id, hashint4(id), vec(id, 1, 768) FROM generate_series(1, $few) id;
VACUUM ANALYZE few;
CHECKPOINT;
END
my $file = toast_file($node, 'few');
cmp_ok(-s $file, '<', $limit / 4, 'the page cache can hold the vectors');
my $sum = $node->safe_psql('postgres',
	"SELECT sum(hash_array(vec(id, 1, 768))::numeric) FROM generate_series(1, $few) id");

# How much of the file is in the page cache after a query that reads all vectors,
# of a server that was just started or not, when nothing of it was
sub cached_after
{
	my ($name, $started, $query, @settings) = @_;

	$node->restart if $started;
	wait_until_cold($file);
	is($node->safe_psql('postgres', join('; ', @settings, $query)),
		$sum, "$name: all vectors are right");
	my $cached = cached_bytes($file) / -s $file;
	note sprintf '%s: %.0f %% cached', $name, $cached * 100;
	return $cached;
}

my $hash = 'sum(hash_array(embedding)::numeric)';
my $scan = "SELECT $hash FROM few";
cmp_ok(cached_after('first scan', 1, $scan), '<', 0.2,
	'a first scan reads past the page cache');
cmp_ok(cached_after('second scan', 0, $scan),
	'>', 0.5, 'the next one leaves the vectors there');

my @parallel = ('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
	'SET min_parallel_table_scan_size = 0',
	'SET max_parallel_workers_per_gather = 2');
like($node->safe_psql('postgres', join('; ', @parallel, "EXPLAIN $scan")),
	qr/Parallel Seq Scan/, 'there is a parallel scan');
cmp_ok(
	cached_after('parallel scan', 1, $scan, @parallel),
	'<', 0.2, 'the processes of a parallel scan do not take it for several');
cmp_ok(
	cached_after('scans of one statement', 1,
		"SELECT DISTINCT (SELECT $hash FROM few WHERE id > i) FROM generate_series(-1, 0) i"),
	'>', 0.5, 'a scan that is repeated within a statement does not');
cmp_ok(cached_after('one more scan', 0, $scan),
	'>', 0.5, 'nor does the next one');

my @by_index = ('SET enable_seqscan = off', 'SET enable_sort = off');
my $scroll_by = "SELECT $hash FROM (SELECT embedding FROM few ORDER BY %s OFFSET 0) s";
cmp_ok(
	cached_after('in the order of storage', 1,
		sprintf($scroll_by, 'id'), @by_index),
	'<', 0.3, 'a scroll in the order of storage reads as a scan');
cmp_ok(
	cached_after('in another order', 1,
		sprintf($scroll_by, 'other'), @by_index),
	'>', 0.5, 'one in another order does not');

# Every sixth of them, by id
my $some = "SELECT generate_series(1, $few, 6)";
my $retrieve = "SELECT $hash FROM vecseg_retrieve(NULL::few, ARRAY($some))";
$sum = $node->safe_psql('postgres',
	"SELECT sum(hash_array(vec(id, 1, 768))::numeric) FROM ($some) AS i (id)");
cmp_ok(cached_after('retrieval', 1, $retrieve),
	'<', 0.05, 'values are read past the page cache when first asked for');
cmp_ok(cached_after('retrieval again', 0, $retrieve),
	'>', 0.3, 'and left there when asked for again');

done_testing();
