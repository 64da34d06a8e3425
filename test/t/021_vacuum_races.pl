# VACUUM held at one of its steps: a crash there leaves a sound table, and the
# next VACUUM completes the work; and row versions that only a standby's query
# sees keep their vectors.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $block_size = 8192;

sub used
{
	my ($node, $table) = @_;

	return $node->safe_psql('postgres',
		"SELECT coalesce(sum(used), 0) FROM vecseg_segments('$table')");
}

# Blocks of a table's TOAST relation, and those that its segments need
sub blocks
{
	my ($node, $table) = @_;

	return split /\|/, $node->safe_psql('postgres',
		"SELECT pg_relation_size(reltoastrelid) / $block_size, "
		  . "(SELECT max(first_block + blocks) FROM vecseg_segments('$table')) "
		  . "FROM pg_class WHERE oid = '$table'::regclass");
}

# Start VACUUM in the background and wait until it is held at a place; returns
# the session that holds it there, and the client.
sub vacuum_until
{
	my ($node, $table, $place) = @_;
	my $holder = $node->background_psql('postgres');

	$holder->query_safe('SELECT pg_advisory_lock(151, 0)');
	my $client =
	  start_client($node, "SET vecseg.stop_at = '$place';\nVACUUM $table;\n");
	wait_until_held($node, "VACUUM, before \"$place\"");

	# what was done so far must survive a crash
	$node->safe_psql('postgres',
		"SELECT pg_logical_emit_message(true, 'flush', '')");
	return ($holder, $client);
}

my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 1MB
autovacuum = off
wal_consistency_checking = 'all, vecseg'
CONF
$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->start;

# Row versions that are dead on the primary, but not removed yet, are visible to
# a query on the standby. VACUUM of the TOAST relation alone meets such.
create_table($primary, 'items');
fill_table($primary, 'items', 1, 300);
$primary->wait_for_catchup($standby, 'replay');
my $old = $standby->background_psql('postgres');
my $all = 'SELECT count(*), count(*) FILTER (WHERE version = 1 AND NOT '
  . wrong_vectors() . ') FROM items';
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($old->query_safe('SELECT count(*) FROM items'), 300, 'an old snapshot');

$primary->safe_psql('postgres',
	'UPDATE items SET version = 2, embedding = vec(id, 2, 768)');
my $toast = $primary->safe_psql('postgres',
	"SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'items'");
$primary->safe_psql('postgres', "VACUUM $toast");
is(used($primary, 'items'), 600, 'vectors of dead row versions are kept');
fill_table($primary, 'items', 1001, 1300);
$primary->wait_for_catchup($standby, 'replay');
is($old->query_safe($all), '300|300', 'vectors of an old snapshot on a standby');

# Once they are to be removed, replay waits for the query.
$primary->safe_psql('postgres', 'VACUUM items');
fill_table($primary, 'items', 2001, 2300);
is(used($primary, 'items'), 900, 'their slots are used again');
is($old->query_safe($all), '300|300', 'the snapshot still sees its vectors');
$old->query_safe('COMMIT');
$old->quit;
$primary->wait_for_catchup($standby, 'replay');
check_paths($standby, 'items', rows => 900,
	paths => [qw(seq filter index bitmap scroll backward retrieve)]);

# A crash after slots were freed, before free segments are given back
$primary->safe_psql('postgres', 'DELETE FROM items WHERE id > 20');
my ($holder, $client) = vacuum_until($primary, 'items', 'truncate');
kill9($primary);
$holder->{run}->finish;
finish_client($client);
start_after_crash($primary);
is(used($primary, 'items'), 20, 'slots freed before a crash stay free');
my ($blocks, $needed) = blocks($primary, 'items');
is($blocks, $needed, 'all segments are left');
check_paths($primary, 'items', rows => 20, name => 'crash before truncation');
$primary->safe_psql('postgres', 'VACUUM items');
my ($fewer, $needed_now) = blocks($primary, 'items');
cmp_ok($fewer, '<', $blocks, 'the next VACUUM gives segments back');
is($fewer, $needed_now, 'all that are free');

# A crash after free segments were dropped, before the file is truncated: their
# pages are no part of the store. Then vectors so large that each takes several
# WAL records, where many small segments were.
foreach my $next ('insert', 'vacuum')
{
	fill_table($primary, 'items', 1001, 2500,
		dims => '700 + (i % 60)::int');
	$primary->safe_psql('postgres', 'DELETE FROM items WHERE id > 20');
	($holder, $client) = vacuum_until($primary, 'items', 'file');
	$primary->safe_psql('postgres', 'CHECKPOINT');
	kill9($primary);
	$holder->{run}->finish;
	finish_client($client);
	start_after_crash($primary);
	($blocks, $needed) = blocks($primary, 'items');
	cmp_ok($blocks, '>', $needed + 100, "$next: a crash left old pages");
	check_paths($primary, 'items', rows => 20, name => "$next, after a crash");

	if ($next eq 'insert')
	{
		fill_table($primary, 'items', 3001, 3030, dims => 16000);
		check_all($primary, 'items', 'id > 3000', rows => 30, dims => 16000,
			name => 'large vectors in place of dropped segments');
		check_store($primary, 'items', name => 'in place of dropped segments');
		$primary->wait_for_catchup($standby, 'replay');
		check_all($standby, 'items', 'id > 3000', rows => 30, dims => 16000,
			name => 'large vectors on the standby');
		check_store($standby, 'items', name => 'standby');
		$primary->safe_psql('postgres', 'DELETE FROM items WHERE id > 20');
	}
	$primary->safe_psql('postgres', 'VACUUM items');
	($blocks, $needed) = blocks($primary, 'items');
	is($blocks, $needed, "$next: VACUUM gives old pages back");
	check_paths($primary, 'items', rows => 20, name => "$next, after VACUUM");
	$primary->wait_for_catchup($standby, 'replay');
	is(join(' ', blocks($standby, 'items')),
		"$blocks $needed", "$next: so does the standby");
	check_store($standby, 'items', name => "$next, standby");
}
server_log_is_clean($standby);
$standby->stop;

# A crash when the store's first block was just added: it is of zeros.
create_table($primary, 'empty');
my $file = toast_file($primary, 'empty');
$primary->stop;
open my $fh, '>:raw', $file or die "could not open $file: $!";
print $fh "\0" x $block_size;
close $fh or die "could not write $file: $!";
$primary->start;
is(used($primary, 'empty'), 0, 'a store of one block of zeros is empty');
check_store($primary, 'empty');
$primary->safe_psql('postgres', 'VACUUM empty');
fill_table($primary, 'empty', 1, 100);
check_paths($primary, 'empty', rows => 100);
server_log_is_clean($primary);
$primary->stop;
done_testing();
