# CLUSTER stores vectors in the order of its index, and VACUUM FULL in that of the
# rows: reading in that order then takes few, large reads.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 10_000;
my $some = 500;	# rows of a range
my $can_be_cold;

my $node = vecseg_node('clustered',
	conf => "shared_buffers = 1MB\nautovacuum = off");

# Rows come in the order of neither index.
create_table($node, 'items', columns => 'place int');
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION pageinspect;
CREATE INDEX items_place ON items (place);
INSERT INTO items SELECT i, 1, vec(i, 1, 768), i * 7919 % 10007
FROM generate_series(1::bigint, $rows) i ORDER BY hashint8(i);
ANALYZE items;
SQL

# How many of the vectors follow, in the file, the one that comes before them
# in an order? A row's id and version take 12 bytes; then comes a TOAST pointer,
# which has the value's id after 10.
sub in_order
{
	my ($order) = @_;

	return $node->safe_psql('postgres', <<"SQL");
SELECT count(*) FROM
	(SELECT value, lag(value, 1, 0) OVER (ORDER BY items.$order) AS previous FROM
		(SELECT block, lp, sum(get_byte(t_data, 22 + i)::bigint << 8 * i) AS value
		FROM generate_series(0, pg_relation_size('items') / 8192 - 1) block,
			heap_page_items(get_raw_page('items', block::int)),
			generate_series(0, 3) i
		GROUP BY 1, 2) v
	JOIN items ON ctid = format('(%s,%s)', block, lp)::tid) o
WHERE value > previous
SQL
}

# The numbers of reads that queries take when nothing is cached
sub reads
{
	my ($name) = @_;
	my $range = 'BETWEEN 5001 AND ' . (5000 + $some);
	my %query = (
		id => 'SELECT * FROM vecseg_scroll(NULL::items, after => 5000, upto => '
		  . (5000 + $some) . ')',
		place => "SELECT * FROM items WHERE place $range ORDER BY place OFFSET 0",
		ctid => 'SELECT * FROM items');
	my $file = toast_file($node, 'items');
	my %reads;

	foreach my $order (sort keys %query)
	{
		$node->restart;
		$can_be_cold = drop_os_cache($file);
		my $result = $node->safe_psql('postgres', <<"SQL");
SELECT vecseg_stat_reset_io();
SELECT count(*) FROM ($query{$order}) s WHERE embedding[5] = 'NaN';
SELECT reads, read_values + single_values FROM vecseg_stat_io;
SQL
		my ($count, $values) = $result =~ /^(\d+)\|(\d+)\z/m;
		$reads{$order} = $count;
		note "$name, by $order: $reads{$order} reads of $values vectors";
	}
	return \%reads;
}

sub check_order
{
	my ($order, $name) = @_;

	is( in_order($order),
		$node->safe_psql('postgres', 'SELECT count(*) FROM items'),
		"$name: vectors are in order of $order");
	check_paths($node, 'items', name => $name);
	return reads($name);
}

cmp_ok(in_order($_), '<', 0.6 * $rows, "filled: vectors are not in order of $_")
  foreach 'id', 'place';
my $filled = reads('filled');

# By sorting, and by scanning the index
$node->safe_psql('postgres',
	'SET enable_indexscan = off; CLUSTER items USING items_place');
my $place = check_order('place', 'by place');
$node->safe_psql('postgres',
	'SET enable_seqscan = off; SET enable_sort = off; CLUSTER items USING items_pkey');
my $id = check_order('id', 'by id');

# Slots are freed here and there, and used for rows in other places.
$node->safe_psql('postgres', <<"SQL");
DELETE FROM items WHERE id % 3 = 0;
VACUUM (TRUNCATE off) items;
UPDATE items SET ${\next_version()} WHERE id % 5 = 0;
INSERT INTO items SELECT i, 1, vec(i, 1, 768), i
FROM generate_series(20001::bigint, 24000) i;
SQL
cmp_ok(in_order('ctid'), '<', 0.9 * $rows,
	'changed: vectors are not in order of ctid');
$node->safe_psql('postgres', 'VACUUM FULL items');
my $full = check_order('ctid', 'full');

SKIP:
{
	skip 'files in this folder are always cached', 7 unless $can_be_cold;
	foreach my $order ('id', 'place')
	{
		cmp_ok($filled->{$order}, '>', $some / 4,
			"filled: many reads by $order");
	}
	cmp_ok($place->{place}, '<', $some / 10, 'by place: few reads by place');
	cmp_ok($place->{id}, '>', $some / 4, 'by place: many reads by id');
	cmp_ok($id->{id}, '<', $some / 10, 'by id: few reads by id');
	cmp_ok($id->{place}, '>', $some / 4, 'by id: many reads by place');
	cmp_ok($full->{ctid}, '<', $rows / 10, 'full: few reads by ctid');
}
server_log_is_clean($node);
$node->stop;
done_testing();
