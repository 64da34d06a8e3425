# Data checksums are enabled and disabled in a server that is written to and read:
# no reader sees a wrong vector or an error, there or on a standby; once they are
# on, damage is found by sessions that began before, too.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $node = vecseg_node('switched', start => 0, allows_streaming => 1,
	checksums => 0, conf => <<'CONF');
shared_buffers = 8MB
max_wal_size = 4GB
autovacuum = off
CONF

plan skip_all => 'PostgreSQL 19 and later switch checksums online'
  if $node->pg_version->major < 19;
$node->start;
install_vecseg($node);

my $rows = 5000;
my $set = next_version();
my $wrong = wrong_vectors();

create_must_be_zero($node);
create_table($node, $_) foreach qw(items damaged);
$node->safe_psql('postgres', 'ALTER TABLE items SET (fillfactor = 50)');
fill_table($node, 'items', 1, $rows);
fill_table($node, 'damaged', 1, 500);
my $standby = start_standby($node);

# Have checksums switched, under way with a delay, while others write and read.
sub switch
{
	my ($sql, $state) = @_;
	my $reads = <<"SQL";
\\set id random(1, $rows)
SET vecseg.direct_io = %s;
SELECT must_be_zero((SELECT $rows - count(*) FROM items WHERE NOT $wrong));
SELECT must_be_zero((SELECT count(*) FROM vecseg_scroll(NULL::items, :id) WHERE $wrong));
SELECT must_be_zero((SELECT count(*) FROM vecseg_retrieve(NULL::items, ARRAY(SELECT (:id * i) %% $rows FROM generate_series(1, 100) i)) WHERE $wrong));
SQL
	my $writers = start_pgbench($node, [ '-c', '3', '-T', '3600', '-P', '1' ],
		'w_update@20' => "\\set id random(1, $rows)\nUPDATE items SET $set WHERE id BETWEEN :id AND :id + 2 AND id % 3 = 0;\n",
		'w_vacuum@1' => "\\if :client_id = 0\nVACUUM items;\n\\endif\n",
		'r_direct@1' => sprintf($reads, 'on'),
		'r_cached@1' => sprintf($reads, 'off'));
	my $readers = start_pgbench($standby, [ '-c', '1', '-T', '3600', '-P', '1' ],
		's_direct' => sprintf($reads, 'on'), 's_cached' => sprintf($reads, 'off'));

	$node->safe_psql('postgres', $sql);
	ok($node->poll_query_until('postgres',
			"SELECT current_setting('data_checksums') = '$state'"),
		"checksums are $state");
	$node->safe_psql('postgres', 'SELECT pg_sleep(2); CHECKPOINT');
	$node->wait_for_replay_catchup($standby);
	is($standby->safe_psql('postgres', 'SHOW data_checksums'), $state,
		"checksums are $state on the standby");
	stop_pgbench($writers);
	stop_pgbench($readers);
	$node->wait_for_replay_catchup($standby);
	foreach my $direct (qw(on off))
	{
		check_paths($node, 'items', rows => $rows, name => "$state, direct_io $direct",
			settings => "SET vecseg.direct_io = $direct");
	}
	check_paths($standby, 'items', rows => $rows,
		paths => [qw(seq filter index bitmap scroll backward retrieve)]);
	return;
}

# Change an element of a vector in the file, which the server has not in its buffers;
# returns the block.
sub damage
{
	my $file = toast_file($node, 'damaged');
	my $block = $node->safe_psql('postgres',
		q{SELECT first_block + 5 FROM vecseg_segments('damaged') ORDER BY used DESC LIMIT 1});

	$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_buffercache;
CHECKPOINT;
SELECT pg_buffercache_evict_relation(reltoastrelid) FROM pg_class WHERE relname = 'damaged';
SQL
	overwrite($file, $block * 8192 + 4000, "\xff\xff\xff\xff");
	return $block;
}

switch('SELECT pg_enable_data_checksums(2, 100)', 'on');

# A session that lives through the next two switches
$node->restart;
my $session = $node->background_psql('postgres', on_error_stop => 0);
must($session, 'SELECT sum(embedding[1]) FROM items');
switch('SELECT pg_disable_data_checksums()', 'off');
switch('SELECT pg_enable_data_checksums(0, 10000)', 'on');
my $block = damage();
foreach my $direct (qw(on off))
{
	foreach my $from ('damaged', 'vecseg_scroll(NULL::damaged)',
		'vecseg_retrieve(NULL::damaged, ARRAY(SELECT generate_series(1, 500)))')
	{
		ask($session,
			"SET vecseg.direct_io = $direct; SELECT sum(hash_array_extended(embedding, 0)) FROM $from");
		like($session->{stderr}, qr/invalid page in block $block/,
			"damage is found, direct_io $direct, $from");
	}
}
$session->quit;

# A crash while they are being enabled
$node->safe_psql('postgres', 'DROP TABLE damaged; SELECT pg_disable_data_checksums()');
$node->poll_query_until('postgres', q{SELECT current_setting('data_checksums') = 'off'});
$node->safe_psql('postgres', 'SELECT pg_enable_data_checksums(20, 10)');
$node->poll_query_until('postgres',
	q{SELECT current_setting('data_checksums') = 'inprogress-on'});
kill9($node);
start_after_crash($node);
check_paths($node, 'items', rows => $rows, name => 'killed while they are enabled');
$node->safe_psql('postgres', 'SELECT pg_enable_data_checksums(0, 10000)');
$node->poll_query_until('postgres', q{SELECT current_setting('data_checksums') = 'on'});
check_paths($node, 'items', rows => $rows, name => 'enabled after the crash');

done_testing();
