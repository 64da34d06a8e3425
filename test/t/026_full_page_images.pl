# Replay on a standby restores pages from full-page images: a page that is not in
# shared buffers is one of zeros at first, in a buffer that others can find
# already. Who reads a vector beside the one that was written must wait for the
# page. Replay is stopped again and again, at any point, as on a busy machine,
# while others read; compressed images and few buffers make it likely that it
# is at that one.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use VecsegTest;

my $seconds = hard(8, 60);
my $rows = 600;	# of which every third comes and goes

my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 1MB
autovacuum = off
max_wal_size = 1GB
wal_compression = pglz
CONF

# These vectors can be compressed, even a pageful of them.
$primary->safe_psql('postgres', <<"SQL");
CREATE FUNCTION plain(id bigint, version int) RETURNS real[] LANGUAGE sql
IMMUTABLE RETURN array_fill((id * 10 + version)::real, ARRAY[768]);
SQL
my $wrong = 'embedding IS DISTINCT FROM plain(id, version)';
my $insert = 'INSERT INTO items SELECT i, 1, plain(i, 1) '
  . "FROM generate_series(1, $rows) i ON CONFLICT DO NOTHING";

create_table($primary, 'items');
create_must_be_zero($primary);
$primary->safe_psql('postgres', $insert);
$primary->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'first', has_streaming => 1);
$standby->append_conf('postgresql.conf', <<'CONF');
shared_buffers = 400kB
max_standby_streaming_delay = -1
CONF
$standby->start;
my $replay = $standby->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'");

my $writer = start_client($primary, <<"SQL" x 100000);
DELETE FROM items WHERE id % 3 = 0;
VACUUM (TRUNCATE off) items;
CHECKPOINT;
$insert;
\\echo ack
SQL
my $readers = start_pgbench(
	$standby, [ '-c', 3, '-T', $seconds ],
	r_all => "SELECT must_be_zero(count(*)) FROM items WHERE id % 3 <> 0 AND $wrong;\n",
	'r_some@9' => <<"SQL");
\\set id random(1, $rows - 60)
SELECT must_be_zero(count(*)) FROM items
WHERE id BETWEEN :id AND :id + 60 AND id % 3 <> 0 AND $wrong;
SQL
my $end = time + $seconds;
while (time < $end)
{
	kill 'STOP', $replay;
	usleep(30_000);
	kill 'CONT', $replay;
	usleep(rand 5_000);
}
finish_pgbench($readers);
wait_for_acks([$writer], 2);
ok(stop_client($writer), 'no error on the primary');
$primary->wait_for_catchup($standby, 'replay');
foreach my $node ($primary, $standby)
{
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM items WHERE $wrong"),
		0,
		'vectors on ' . $node->name);
	check_store($node, 'items');
	server_log_is_clean($node);
}
$standby->stop;
$primary->stop;
done_testing();
