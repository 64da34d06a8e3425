# A server in a control group that limits its memory, as in a container: a scroll
# of a table that the page cache cannot hold reads past it. Run in the group that
# run_limited() of test/run.sh makes.

use strict;
use warnings;

use Test::More;
use VecsegTest;

# The table is larger than half of the limit, and much smaller than half of
# any machine's memory.
my $rows = 30_000;
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
	'>', $limit / 2, 'the page cache cannot hold the vectors well');

my ($mapped, $read) =
  vectors_of_cold_scroll($node, toast_file($node, 'items'));
cmp_ok($read, '>', $rows * 0.9, 'vectors are read past the page cache');
cmp_ok($mapped, '<', $rows * 0.1, 'not through the mapping');
check_paths($node, 'items', rows => $rows);

done_testing();
