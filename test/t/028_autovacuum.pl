# Autovacuum alone keeps a store's size bounded, whatever the order in which it
# comes to the table and to its TOAST relation: the statistics that it goes by
# count the garbage that can be freed, and no other.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $turnovers = hard(20, 60);
my $rows = 2000;
my $vector_size = 24 + 768 * 4;
my $set = next_version();

my $node = vecseg_node(
	'primary',
	conf => <<'CONF');
shared_buffers = 8MB
autovacuum = off
autovacuum_naptime = 1s
CONF

sub run_sql
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub toast_relation
{
	my ($table) = @_;

	return run_sql(
		"SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '$table'::regclass"
	);
}

sub used
{
	my ($table) = @_;

	return run_sql("SELECT sum(used) FROM vecseg_segments('$table')");
}

# What autovacuum is told. The rows are so few, all on one page, that none but
# VACUUM removes dead ones.
create_table($node, 'counted', columns => 'note int NOT NULL DEFAULT 0');
fill_table($node, 'counted', 1, 20);
my $toast = toast_relation('counted');
my $counts =
  "SELECT n_live_tup, n_dead_tup FROM pg_stat_all_tables WHERE relid = '$toast'::regclass";

$node->poll_query_until('postgres', $counts, '20|0')
  or BAIL_OUT('no statistics');

# Run statements; values in use and garbage then, as the statistics have them
sub counts_after
{
	my ($sql) = @_;

	return run_sql(
		"$sql;\nSELECT 1 FROM pg_stat_force_next_flush() \\g /dev/null\n$counts");
}

my $vacuum_table = 'VACUUM (PROCESS_TOAST false) counted';
my $vacuum_store = "VACUUM $toast";

is(counts_after("UPDATE counted SET $set"), '20|20', 'values replaced');
is(counts_after($vacuum_table), '20|20', 'their rows removed');
is(counts_after($vacuum_store), '20|0', 'freed');
is(used('counted'), 20, 'only live vectors are left');

is(counts_after("UPDATE counted SET $set"), '20|20', 'values replaced');
is(counts_after($vacuum_store), '20|0', 'not to be freed yet');
is(counts_after($vacuum_table), '20|20', 'to be freed now');
is(counts_after($vacuum_table), '20|20', 'known to be so already');
is(counts_after($vacuum_store), '20|0', 'freed');
is(used('counted'), 20, 'only live vectors are left');

# A snapshot keeps half of the dead rows.
is(counts_after("UPDATE counted SET $set WHERE id % 2 = 0"),
	'20|10', 'values replaced');
my $reader = $node->background_psql('postgres');
$reader->query_safe(
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM counted');
is(counts_after("UPDATE counted SET $set WHERE id % 2 = 1"),
	'20|20', 'values replaced, half of them for a snapshot only');
is(counts_after($vacuum_store), '20|0', 'not to be freed yet');
is(counts_after($vacuum_table), '20|10', 'half to be freed');
is(counts_after($vacuum_store), '20|0', 'freed');
is(used('counted'), 30, 'the other half is left');
is(counts_after($vacuum_table), '20|0', 'not to be freed yet');
is( $reader->query_safe(
		'SELECT count(*) FROM counted WHERE ' . wrong_vectors()),
	0, 'the snapshot has its vectors');
$reader->query_safe('COMMIT');
is(counts_after($vacuum_table), '20|10', 'the other half to be freed');
is(counts_after($vacuum_store), '20|0', 'freed');
is(used('counted'), 20, 'only live vectors are left');

is( counts_after("UPDATE counted SET note = note + 1;\n$vacuum_table"),
	'20|0', 'row versions without garbage');
is(counts_after('DELETE FROM counted WHERE id > 15'), '15|5', 'deleted');
is(counts_after($vacuum_store), '15|0', 'not to be freed yet');

my $undone = <<'SQL';
BEGIN;
INSERT INTO counted SELECT i, 1, vec(i, 1, 768) FROM generate_series(1001, 1005) i;
ROLLBACK
SQL
is(counts_after($undone), '15|5', 'rolled back');
is(counts_after($vacuum_store), '15|0', 'not to be freed yet');
is(counts_after($vacuum_table), '15|10', 'both to be freed');
is(counts_after($vacuum_store), '15|0', 'freed');
is(used('counted'), 15, 'only live vectors are left');

# What is younger than a transaction in progress that stores values is left
# alone, but not forgotten.
my $writer = $node->background_psql('postgres');
$writer->query_safe(
	'BEGIN; INSERT INTO counted SELECT 1000, 1, vec(1000, 1, 768)');
is(counts_after($undone), '15|5', 'rolled back');
is(counts_after($vacuum_table), '15|6', 'to be freed, or just stored');
is(counts_after($vacuum_store), '15|5', 'too young');
$writer->query_safe('COMMIT; SELECT 1 FROM pg_stat_force_next_flush()');
is(counts_after($vacuum_store), '16|0', 'freed');
is(used('counted'), 16, 'only live vectors are left');

# A VACUUM that cannot free anything forgets nothing.
is(counts_after("UPDATE counted SET $set"), '16|16', 'values replaced');
is(counts_after($vacuum_table), '16|16', 'their rows removed');
$writer->query_safe('BEGIN; LOCK TABLE counted');
is(counts_after($vacuum_store), '16|16', 'the table cannot be looked at');
$writer->query_safe('COMMIT');
is(counts_after($vacuum_store), '16|0', 'freed');
check_paths($node, 'counted');
is(counts_after('TRUNCATE counted; VACUUM counted'), '0|0', 'truncated');
$_->quit foreach $reader, $writer;

# Steady churn: all vectors change, again and again, a third at a time, as fast
# as autovacuum comes by its own rules.
create_table($node, 'churn');
fill_table($node, 'churn', 1, $rows);
$toast = toast_relation('churn');
$node->append_conf('postgresql.conf', 'autovacuum = on');
$node->reload;

# Until autovacuum has no reason to come to the table or its TOAST relation
sub wait_for_autovacuum
{
	$node->poll_query_until('postgres', <<"SQL") or BAIL_OUT('autovacuum does not come');
SELECT bool_and(n_dead_tup <= 50 + 0.2 * greatest(reltuples, 0))
FROM pg_class JOIN pg_stat_all_tables ON oid = relid
WHERE relid IN ('churn'::regclass, '$toast'::regclass)
SQL
	return;
}

sub store_size
{
	return run_sql("SELECT pg_relation_size('$toast')");
}

my $most = 0;
foreach my $turn (1 .. $turnovers)
{
	foreach my $third (0 .. 2)
	{
		run_sql("UPDATE churn SET $set WHERE id % 3 = $third");
		$most = store_size() if store_size() > $most;
		wait_for_autovacuum();
	}
}
my $ratio = $most / ($rows * $vector_size);
cmp_ok($ratio, '<', 2.2,
	sprintf '%d turnovers: the store has at most %.2f times the size of the live data',
	$turnovers, $ratio);
is( run_sql("SELECT count(*) FROM churn WHERE version = $turnovers + 1"),
	$rows, 'all vectors changed in each turnover');
check_paths($node, 'churn');

# So few values are in use when there is not garbage enough for autovacuum.
my $few = 1.25 * $rows;

# Autovacuum that came while a snapshot kept all dead rows comes again.
my $count =
  "SELECT autovacuum_count FROM pg_stat_all_tables WHERE relid = '$toast'::regclass";
my $before = run_sql($count);
$reader = $node->background_psql('postgres');
$reader->query_safe(
	'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM churn');
run_sql("UPDATE churn SET $set");
$node->poll_query_until('postgres',
	"SELECT ($count AND n_dead_tup < $rows) > $before")
  or BAIL_OUT('autovacuum does not come');
cmp_ok(used('churn'), '>=', 2 * $rows, 'vectors are kept for a snapshot');
is( $reader->query_safe(
		'SELECT count(*) FROM churn WHERE ' . wrong_vectors()),
	0, 'which has its own');
$reader->query_safe('COMMIT');
$reader->quit;
ok( $node->poll_query_until(
		'postgres', "SELECT sum(used) <= $few FROM vecseg_segments('churn')"),
	'autovacuum comes again and frees them');
check_paths($node, 'churn');

# What aborted transactions stored comes back too. Not all of it at once, when an
# ANALYZE at the same time has made autovacuum forget dead rows.
my $left = 0;
foreach my $try (1 .. 20)
{
	run_sql(<<"SQL");
BEGIN;
INSERT INTO churn SELECT i, 1, vec(i, 1, 768) FROM generate_series($rows + 1, $rows + 1000) i;
ROLLBACK
SQL
	wait_for_autovacuum();
	$left = used('churn');
	last if $left <= $few;
}
cmp_ok($left, '<=', $few, 'slots of rolled-back inserts are freed');
cmp_ok(run_sql($count), '>=', $turnovers, 'autovacuum came by itself');
is(run_sql("SELECT vacuum_count FROM pg_stat_all_tables WHERE relid = '$toast'::regclass"),
	0, 'and nobody else');
check_paths($node, 'churn');
server_log_is_clean($node);
$node->stop;
done_testing();
