# Standbys of standbys: a cascade has the same rows as its primary; with
# synchronous_commit = remote_apply a commit is to be seen on the standby at
# once; after a promotion in the midst of the cascade the rest follows the new
# timeline, and sessions that began on the standby go on.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 1GB
autovacuum = off
wal_consistency_checking = 'all, vecseg'
CONF
create_table($primary, 'items', columns => 'doc text');
fill_table($primary, 'items', 1, 1000);
create_table($primary, 'others', columns => 'doc text');
fill_table($primary, 'others', 1, 500);
$primary->safe_psql('postgres', 'CREATE SEQUENCE new_id START 1000000');
my @tables = qw(items others);

sub standby_of
{
	my ($upstream, $name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$upstream->backup($name);
	$standby->init_from_backup($upstream, $name, has_streaming => 1);
	$standby->append_conf('postgresql.conf', <<'CONF');
max_standby_streaming_delay = -1
recovery_target_timeline = latest
CONF
	$standby->start;
	return $standby;
}

my $middle = standby_of($primary, 'middle');
my $end = standby_of($middle, 'end');

my $set = next_version() . ", doc = repeat(version::text, 900 * (id % 4)::int)";
my %churn = (
	'update@4' => <<"SQL",
\\set id random(1, 1000)
UPDATE items SET $set WHERE id = :id;
SQL
	'insert@2' => <<'SQL',
INSERT INTO items SELECT i, 1, vec(i, 1, 768)
FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 10)) s;
SQL
	'delete@2' => <<'SQL',
DELETE FROM items WHERE id IN
(SELECT id FROM items WHERE id > 1000 ORDER BY id DESC LIMIT 15);
SQL
	'undo@1' => <<"SQL",
\\set id random(1, 990)
BEGIN;
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 5;
ROLLBACK;
SQL
	'vacuum@1' => "VACUUM items;\n");

run_pgbench($primary, [ '-c', 3, '-t', hard(100, 2000) ], %churn);
caught_up($primary, $middle, $end);
same_rows($primary, $_, \@tables) foreach $middle, $end;

# Pages that have not been written yet, when VACUUM FULL copies a TOAST relation
# by itself
my $toast = $primary->safe_psql('postgres',
	q{SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'others'});
fill_table($primary, 'others', 501, 510);
cmp_ok(
	$primary->safe_psql('postgres',
		"SELECT sum(free) FROM vecseg_segments('others')"),
	'>', 10, 'there are slots that were never used');
$primary->safe_psql('postgres', "VACUUM FULL $toast");
caught_up($primary, $middle, $end);
same_rows($primary, $_, ['others'],
	name => 'TOAST relation rewritten, on ' . $_->name) foreach $middle, $end;
is(store_blocks($_, 'others'), store_blocks($primary, 'others'),
	$_->name . ' has all blocks of the store') foreach $middle, $end;

# Synchronous commit, and then at once a query on the standby
$primary->append_conf('postgresql.conf', <<'CONF');
synchronous_standby_names = 'middle'
synchronous_commit = remote_apply
CONF
$primary->reload;
$primary->poll_query_until('postgres',
	q{SELECT sync_state = 'sync' FROM pg_stat_replication})
  or BAIL_OUT('the standby did not become synchronous');
my $writer = open_session($primary);
my $reader = open_session($middle);
my $right = 'SELECT count(*), count(*) FILTER (WHERE NOT '
  . wrong_vectors() . ') FROM items WHERE id';
my (@seen, @expected);

foreach my $round (1 .. hard(50, 1000))
{
	my $id = 5_000_000 + $round;

	$writer->query_safe("INSERT INTO items VALUES ($id, $round, "
		  . "vec($id, $round, 768))");
	push @seen, $reader->query_safe("$right = $id AND version = $round");
	$writer->query_safe("UPDATE items SET version = -$round, "
		  . "embedding = vec($id, -$round, 768) WHERE id = $id");
	push @seen, $reader->query_safe("$right = $id AND version = -$round");
	$writer->query_safe("DELETE FROM items WHERE id = $id") if $round % 2;
	push @seen, $reader->query_safe("$right = $id");
	push @expected, '1|1', '1|1', $round % 2 ? '0|0' : '1|1';
}
is("@seen", "@expected", 'remote_apply: commits are seen on the standby');
is( rows_of($middle, 'items'),
	rows_of($primary, 'items'),
	'remote_apply: same rows without waiting');
$writer->quit;

# A VACUUM that a crash of the primary ends between its dropping of segments
# and the truncation of the file: the standby is told of neither's end. Then
# other segments take the place of the dropped ones. A session of the standby
# that knows the old ones goes on after the promotion.
$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$primary->reload;
$primary->safe_psql('postgres', 'DELETE FROM others WHERE id > 10');
caught_up($primary, $middle, $end);
$reader->query_safe("SELECT count(*) FROM vecseg_segments('others')");
is($reader->query_safe(
		'SELECT count(*) FROM others WHERE NOT ' . wrong_vectors()),
	10, 'a session of the standby has read the table');

my $holder = open_session($primary);
$holder->query_safe('SELECT pg_advisory_lock(151, 0)');
my $vacuum =
  start_client($primary, "SET vecseg.stop_at = 'file';\nVACUUM others;\n");
wait_until_held($primary, 'VACUUM, before the truncation');
$primary->safe_psql('postgres',
	q{SELECT pg_logical_emit_message(true, 'flush', '')});
kill9($primary);
$holder->{run}->finish;
finish_client($vacuum);
start_after_crash($primary);
fill_table($primary, 'others', 2001, 2300, dims => 100);
caught_up($primary, $middle, $end);
my %dims = (dims => 'CASE WHEN id BETWEEN 2001 AND 2300 THEN 100 ELSE 768 END');
same_rows($primary, $_, ['others'], %dims) foreach $middle, $end;

$primary->stop;
$middle->promote;
$reader->query_safe('INSERT INTO others SELECT i, 1, vec(i, 1, 768) '
	  . 'FROM generate_series(3001::bigint, 3400) i');
$reader->query_safe("UPDATE others SET version = 2, "
	  . 'embedding = vec(id, 2, 768) WHERE id < 5');
check_all($middle, 'others', undef, rows => 710, %dims,
	name => 'written by a session of the standby');
check_store($middle, 'others',
	name => 'written by a session of the standby');
$reader->quit;

# The end of the cascade has followed to the new timeline.
run_pgbench($middle, [ '-c', 3, '-t', hard(60, 1000) ], %churn);
$middle->safe_psql('postgres', 'DELETE FROM others WHERE id % 3 = 0; VACUUM others');
fill_table($middle, 'others', 4001, 4100);
caught_up($middle, $end);
same_rows($middle, $end, ['items'], name => 'on the new timeline');
same_rows($middle, $end, ['others'], %dims, name => 'on the new timeline');
is( $end->safe_psql('postgres',
		'SELECT received_tli FROM pg_stat_wal_receiver'),
	2, 'the standby follows timeline 2');

server_log_is_clean($_) foreach $primary, $middle, $end;
$end->stop;
$middle->stop;
done_testing();
