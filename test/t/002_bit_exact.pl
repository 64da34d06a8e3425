# Every vector comes back bit for bit, whichever way it is read: from a table
# much larger than shared buffers, after changes and rollbacks, from memory and
# from disk, with and without checksums, by each method of reading.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $dims = 'CASE WHEN id <= 100000 THEN 100 ELSE 768 END';
my $rows = 102_000;

# Load a sample file into a vecseg table and a heap table.
sub load_sample
{
	my ($node, $name, $file) = @_;
	my $program = "gzip -dc $ENV{VECSEG_TEST_DATA}/$file";

	foreach my $using ('vecseg', 'heap')
	{
		$node->safe_psql('postgres',
			"CREATE TABLE ${name}_$using (id bigint PRIMARY KEY, label text, "
			  . "embedding real[]) USING $using; "
			  . "COPY ${name}_$using FROM PROGRAM '$program'");
	}
	return;
}

sub check_sample
{
	my ($node, $name, $expected) = @_;
	my $null = "NULL::${name}_vecseg";

	foreach my $from ("${name}_vecseg", "vecseg_scroll($null)",
		"vecseg_retrieve($null, (SELECT array_agg(id) FROM ${name}_heap))")
	{
		is( $node->safe_psql('postgres',
				"SELECT count(*), count(*) FILTER (WHERE h.id IS NULL OR "
				  . "v.id IS NULL OR ROW(v.embedding, v.label)::record *<> "
				  . "ROW(h.embedding, h.label)) "
				  . "FROM $from v FULL JOIN ${name}_heap h USING (id)"),
			"$expected|0",
			"$from on " . $node->name);
	}
	return;
}

sub used_slots
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		"SELECT sum(used) FROM vecseg_segments('items')");
}

sub test_cluster
{
	my ($checksums) = @_;
	my $node = vecseg_node(
		$checksums ? 'checksums' : 'no_checksums',
		checksums => $checksums,
		conf => "shared_buffers = 2MB\nmax_parallel_workers_per_gather = 0");
	is($node->safe_psql('postgres', 'SHOW data_checksums'),
		$checksums ? 'on' : 'off', 'data checksums are as wanted');

	load_sample($node, 'glove', 'glove-10k.tsv.gz');
	load_sample($node, 'mnist', 'mnist-2k.tsv.gz');
	check_sample($node, 'glove', 10_000);
	check_sample($node, 'mnist', 2_000);

	create_table($node, 'items', columns => 'note int DEFAULT 0');
	fill_table($node, 'items', 1, 100_000, dims => 100);
	fill_table($node, 'items', 100_001, $rows);
	check_paths($node, 'items', dims => $dims, rows => $rows,
		name => 'as inserted');

	# Changes that stay, and changes that do not
	my $changed = next_version($dims);
	$node->safe_psql('postgres',
		"UPDATE items SET $changed WHERE id % 10 = 0");
	my $used = used_slots($node);
	$node->safe_psql('postgres',
		'UPDATE items SET note = note + 1 WHERE id % 7 = 0');
	cmp_ok(used_slots($node), '<=', $used,
		'an update that leaves the vector alone stores no vector');
	$node->safe_psql('postgres', <<"SQL");
BEGIN;
UPDATE items SET $changed WHERE id % 20 = 0;
DELETE FROM items WHERE id % 3 = 0;
INSERT INTO items SELECT id + 1000000, version, embedding FROM items
WHERE id % 100 = 1;
ROLLBACK;
BEGIN;
UPDATE items SET $changed WHERE id % 100 = 5;
SAVEPOINT s;
UPDATE items SET $changed WHERE id % 50 = 5;
DELETE FROM items WHERE id % 4 = 0;
ROLLBACK TO s;
DELETE FROM items WHERE id % 50 = 3;
COMMIT;
SQL
	my $left = $rows - $rows / 50;
	check_paths($node, 'items', dims => $dims, rows => $left,
		name => 'after updates and rollbacks');
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM items WHERE version <> 1 + "
			  . "(id % 10 = 0)::int + (id % 100 = 5)::int "
			  . "OR note <> (id % 7 = 0)::int"),
		0,
		'every row has the version it must have');

	# Read from disk
	foreach my $method ('auto', 'io_uring', 'sync')
	{
		my @files = map { toast_file($node, $_) }
		  ('items', 'glove_vecseg', 'mnist_vecseg');

		$node->stop;
		$node->append_conf('postgresql.conf', "vecseg.io_method = $method");
		$node->start;
		foreach my $path ('seq', 'scroll', 'backward', 'retrieve')
		{
			drop_os_cache(@files);
			check_paths($node, 'items', dims => $dims, rows => $left,
				paths => [$path], name => "$method, cold");
		}
		check_sample($node, 'glove', 10_000);
		check_sample($node, 'mnist', 2_000);
		is($node->safe_psql('postgres', 'SELECT retries FROM vecseg_stat_io'),
			0, "$method: every page was found good at once");
	}
	server_log_is_clean($node);
	$node->stop;
	return;
}

test_cluster(1);
test_cluster(0);
done_testing();
