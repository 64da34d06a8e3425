# A store that is larger than one file of the server (1 GB): vectors before,
# after and across the boundary are exact by every way of reading, after a crash,
# on a standby, and when VACUUM has truncated the store to before it.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 6000;
my $dims = 'CASE WHEN id % 20 = 0 THEN 16378 ELSE 768 END';
my $kept = 1000;
my @paths = qw(seq filter index bitmap scroll backward retrieve);
my @settings = (
	'SET vecseg.io_method = io_uring; SET vecseg.direct_io = on',
	'SET vecseg.io_method = io_uring; SET vecseg.direct_io = off; '
	  . 'SET vecseg.io_depth = 1',
	'SET vecseg.io_method = sync');

# The gigabyte before is written without WAL, in the transaction that creates
# the table, as nine values that a bit more than 8 fit in. The rows are deleted
# at once, but only VACUUM frees the space.
my $node = vecseg_node(
	'large',
	checksums => 0,	# with them, a wrong page would be noticed and read again
	allows_streaming => 1,
	conf => "wal_level = minimal\nmax_wal_senders = 0\nautovacuum = off\n"
	  . "shared_buffers = 8MB\nmax_wal_size = 4GB\n"
	  . 'max_parallel_workers_per_gather = 0');
my $boundary = $node->safe_psql('postgres',
	"SELECT setting::int FROM pg_settings WHERE name = 'segment_size'");
my $value = int($boundary * 8160 / 9.1 / (8 << 20)) * (8 << 20) - 4;	# a class

$node->safe_psql('postgres', <<"SQL");
BEGIN;
CREATE TABLE items (id bigint PRIMARY KEY, version int NOT NULL, embedding real[],
	filler bytea) USING vecseg;
ALTER TABLE items ALTER filler SET STORAGE EXTERNAL;
INSERT INTO items SELECT -i, 0, NULL, convert_to(repeat(repeat(chr(64 + i), 8000), $value / 8000), 'UTF8')
	FROM generate_series(1, 9) i;
COMMIT;
DELETE FROM items;
SQL
my @files = (toast_file($node, 'items'), toast_file($node, 'items') . '.1');

sub blocks
{
	return $node->safe_psql('postgres',
		"SELECT max(first_block + nblocks) FROM (SELECT first_block, blocks "
		  . "AS nblocks FROM vecseg_segments('items')) s");
}

sub insert_rows
{
	my ($from, $version) = @_;

	$node->safe_psql('postgres',
		"INSERT INTO items SELECT id, $version, vec(id, $version, $dims) "
		  . "FROM generate_series($from\:\:bigint, $rows) id");
	return;
}

# Does a slot lie across the boundary? Slots of how many sizes, in how many
# segments, are before and after it?
sub boundary_is_crossed
{
	my ($name) = @_;
	my $straddling = $node->safe_psql('postgres',
		"SELECT slot_size FROM vecseg_segments('items') WHERE "
		  . "$boundary > first_block + 1 AND $boundary < first_block + blocks "
		  . "AND ($boundary - first_block - 1)::bigint * 8160 % slot_size <> 0 "
		  . "AND ($boundary - first_block - 1)::bigint * 8160 / slot_size < used");

	like($straddling, qr/^\d+$/, "$name: a vector lies across the boundary");
	cmp_ok(-s $files[1], '>', 8192 * 100, "$name: there is a second file");
	return;
}

sub reads_right
{
	my ($server, $name) = @_;
	my @own = map { s/^\Q@{[ $node->data_dir ]}\E/$server->data_dir/er } @files;

	foreach my $settings (@settings)
	{
		drop_os_cache(grep { -e } @own);
		check_paths(
			$server, 'items',
			rows => $rows, dims => $dims, settings => $settings,
			paths => \@paths, name => "$name, $settings");
	}
	is( $server->safe_psql('postgres',
			'SELECT count(*) FROM generate_series(1, ' . $rows
			  . ') i, LATERAL (SELECT id, version, embedding FROM items '
			  . 'WHERE id = i OFFSET 0) x WHERE ' . wrong_vectors($dims)),
		0,
		"$name: single rows are right");
	return;
}

cmp_ok(blocks(), '<', $boundary, 'the store ends before the boundary');
cmp_ok(blocks(), '>', $boundary - 3000, 'but not far before');

# Only what comes now is in the WAL: the standby writes the second file itself.
$node->append_conf('postgresql.conf', "wal_level = replica\nmax_wal_senders = 5");
$node->restart;
my $standby = start_standby($node);

insert_rows(1, 1);
$node->safe_psql('postgres', 'ANALYZE items');
boundary_is_crossed('inserted');
$node->wait_for_catchup($standby);
kill9($node);
start_after_crash($node);
reads_right($node, 'after a crash');
$node->wait_for_catchup($standby);
reads_right($standby, 'standby');

# Truncated to before the boundary; a session that has the second file mapped
my $session = $node->background_psql('postgres');
$session->set_query_timer_restart;
my $query = 'SELECT count(*), count(*) FILTER (WHERE ' . wrong_vectors($dims)
  . ') FROM vecseg_scroll(NULL::items)';
is($session->query_safe($query), "$rows|0", 'a session reads both files');
$node->safe_psql('postgres',
	"DELETE FROM items WHERE id > $kept; VACUUM items");
cmp_ok(blocks(), '<', $boundary, 'VACUUM truncates to before the boundary');
ok(!-s $files[1], 'nothing is left in the second file');
is($session->query_safe($query), "$kept|0", 'the session reads what is left');
check_all($node, 'items', undef, rows => $kept, dims => $dims);
kill9($node);
$session->quit if eval { $session->query('SELECT 1'); 1 };
start_after_crash($node);
check_all($node, 'items', undef, rows => $kept, dims => $dims,
	name => 'truncated, after a crash');
$node->wait_for_catchup($standby);
check_all($standby, 'items', undef, rows => $kept, dims => $dims,
	name => 'truncated, standby');

# And beyond it again, in the same places, with other vectors
insert_rows($kept + 1, 2);
boundary_is_crossed('inserted again');
reads_right($node, 'inserted again');
kill9($node);
start_after_crash($node);
check_all($node, 'items', undef, rows => $rows, dims => $dims,
	name => 'inserted again, after a crash');
$node->wait_for_catchup($standby);
reads_right($standby, 'inserted again, standby');
server_log_is_clean($_) foreach $node, $standby;
$standby->stop;
$node->stop;
done_testing();
