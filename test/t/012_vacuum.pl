# VACUUM frees the slots of removed rows, and no others: steady churn keeps
# the store's size bounded, what rollbacks left behind comes back, free
# segments at the end go back to the file system; and while vectors move from
# row version to row version under running sweeps, on the primary, on a
# standby and over crashes, every row keeps its own.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $turnovers = hard(20, 60);
my $seconds = hard(15, 120);
my $rounds = hard(2, 4);
my $set = next_version();

my $node = vecseg_node(
	'vacuum',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 8MB
max_wal_size = 1GB
wal_consistency_checking = 'all, vecseg'
autovacuum_naptime = 1s
CONF

sub slots
{
	my ($table) = @_;
	return split /\|/,
	  $node->safe_psql('postgres',
		"SELECT coalesce(sum(used), 0), coalesce(sum(slots), 0), coalesce(sum(blocks), 0) FROM vecseg_segments('$table')"
	  );
}

# Steady churn: all vectors change, again and again.
create_table($node, 'churn');
$node->safe_psql('postgres',
	'ALTER TABLE churn SET (autovacuum_enabled = off)');
fill_table($node, 'churn', 1, 2000);
my $most = 0;
foreach my $turn (1 .. $turnovers)
{
	$node->safe_psql('postgres', "UPDATE churn SET $set");
	$node->safe_psql('postgres', 'VACUUM churn');
	my (undef, undef, $blocks) = slots('churn');
	$most = $blocks if $blocks > $most;
}
my ($used, undef, undef) = slots('churn');
is($used, 2000, 'after a turnover and VACUUM only live vectors are left');
cmp_ok($most * 8192, '<', 2.2 * 2000 * 3096,
	"$turnovers turnovers keep the store below 2.2 times the live data");
check_paths($node, 'churn');

# What aborted transactions stored comes back; so does the file's end.
$node->safe_psql('postgres', <<'SQL');
BEGIN;
INSERT INTO churn SELECT i, 1, vec(i, 1, 768) FROM generate_series(10001, 11000) i;
ROLLBACK;
VACUUM churn;
SQL
($used) = slots('churn');
is($used, 2000, 'slots of a rolled-back insert are freed');
my $before = $node->safe_psql('postgres', "SELECT pg_table_size('churn')");
$node->safe_psql('postgres', 'DELETE FROM churn WHERE id > 20');
$node->safe_psql('postgres', 'VACUUM churn') foreach (1 .. 2);
$node->safe_psql('postgres', <<"SQL");
UPDATE churn SET $set;
VACUUM churn;
UPDATE churn SET $set;
VACUUM churn;
SQL
cmp_ok($node->safe_psql('postgres', "SELECT pg_table_size('churn')"),
	'<', $before / 4, 'free segments at the end are given back');
fill_table($node, 'churn', 3001, 4000);
check_paths($node, 'churn');
cmp_ok(
	$node->safe_psql(
		'postgres', <<'SQL'), '<', 50, 'the age of the TOAST relation advances');
SELECT age(t.relfrozenxid) FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid
WHERE c.relname = 'churn'
SQL

# A segment that others fill, and find full, while a slow VACUUM has yet to free
# slots in it takes values again. (VACUUM needs seconds, filling does not.)
sub free_slots
{
	return $node->safe_psql('postgres',
		"SELECT sum(free), count(*) FROM vecseg_segments('slow')");
}

create_table($node, 'slow');
$node->safe_psql('postgres',
	'ALTER TABLE slow SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)'
);
fill_table($node, 'slow', 1, 3000);
$node->safe_psql('postgres', 'DELETE FROM slow WHERE id > 2900');
$node->safe_psql('postgres', 'VACUUM (PROCESS_TOAST false) slow');
my $toast = $node->safe_psql('postgres',
	"SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'slow'");
my $vacuum = start_client($node, <<"SQL");
SET vacuum_cost_delay = 100;
SET vacuum_cost_limit = 1;
VACUUM $toast;
SQL
$node->poll_query_until('postgres',
	"SELECT phase = 'scanning heap' AND heap_blks_total = pg_relation_size('slow') / 8192 AND heap_blks_scanned < heap_blks_total FROM pg_stat_progress_vacuum WHERE relid = '$toast'::regclass"
) or BAIL_OUT('VACUUM did not begin to scan');
my ($room) = split /\|/, free_slots();
fill_table($node, 'slow', 10_001, 10_001 + $room);
ok(finish_client($vacuum), 'VACUUM met no error');
my ($free, $segments) = split /\|/, free_slots();
cmp_ok($free, '>=', 100, 'VACUUM freed slots');
fill_table($node, 'slow', 20_001, 20_000 + $free);
is(free_slots(), "0|$segments", 'all free slots are used before others are made');
check_all($node, 'slow', undef, rows => 2900 + $room + 1 + $free);

# Vectors move under running sweeps: short transactions, full pages, updates
# of an indexed column (which move a row without its vector).
create_table($node, 'items',
	columns => 'note int NOT NULL DEFAULT 0');
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE items SET (autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE INDEX ON items (note);
CREATE SEQUENCE new_id START 1000000;
SQL
create_must_be_zero($node);
fill_table($node, 'items', 1, 4000);
my $standby = start_standby($node);

my $wrong = wrong_vectors();
my %writers = (
	'w_touch@6' => <<'SQL',
\set id random(1, 4000)
UPDATE items SET note = note + 1 WHERE id = :id;
SQL
	'w_update@4' => <<"SQL",
\\set id random(1, 4000)
UPDATE items SET $set WHERE id = :id;
SQL
	'w_hot_row@1' => <<"SQL",
\\set id random(1, 3)
UPDATE items SET $set, note = note + 1 WHERE id = :id;
SQL
	'w_insert@2' =>
	  "INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM nextval('new_id') i;\n",
	'w_delete@2' => <<'SQL',
DELETE FROM items WHERE id = (SELECT min(id) FROM items WHERE id >= 1000000);
SQL
	'w_undo@1' => <<"SQL");
\\set id random(1, 4000)
BEGIN;
UPDATE items SET $set WHERE id = :id;
ROLLBACK;
SQL
my %readers = (
	'r_scan@2' => "SELECT must_be_zero(count(*)) FROM items WHERE $wrong;\n",
	'r_old_snapshot@1' => <<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT must_be_zero(count(*)) FROM items WHERE id <= 10 AND $wrong;
SELECT pg_sleep(0.5);
SELECT must_be_zero(count(*)) FROM items WHERE $wrong;
COMMIT;
SQL

foreach my $round (1 .. $rounds)
{
	my $writers =
	  start_pgbench($node, [ '-c', 5, '-T', $seconds ], %writers);
	my $readers = start_pgbench(
		$node, [ '-c', 2, '-T', $seconds ],
		%readers,
		'r_check@1' => "SELECT must_be_zero(count(*)) FROM vecseg_check('items');\n");
	my $others =
	  start_pgbench($standby, [ '-c', 2, '-T', $seconds ], %readers);
	# Without truncation: replay that holds its lock, and waits for the snapshot
	# of a query that waits for the lock, would wait for ever.
	my $vacuum = start_client($node, <<'SQL' x 100000);
VACUUM (TRUNCATE off) items;
\echo ack
SQL
	finish_pgbench($writers);
	finish_pgbench($readers);
	finish_pgbench($others);
	cmp_ok(scalar(my @acks = client_acks($vacuum)),
		'>', 1, 'VACUUM ran again and again');
	ok(stop_client($vacuum), 'VACUUM met no error');

	if ($round < $rounds)
	{
		my $more = start_client($node, <<"SQL" x 10000);
UPDATE items SET $set WHERE id % 7 = 0;
VACUUM items;
\\echo ack
SQL
		wait_for_acks([$more], 2);
		kill9($node);
		start_after_crash($node);
		stop_client($more);
	}
	check_paths($node, 'items', name => "round $round");
	$node->wait_for_catchup($standby, 'replay');
	check_paths($standby, 'items', name => "standby, round $round",
		paths => [ 'seq', 'index', 'scroll', 'retrieve' ]);
}
$node->safe_psql('postgres', 'VACUUM items');
($used) = slots('items');
is($used, $node->safe_psql('postgres', 'SELECT count(*) FROM items'),
	'nothing but live vectors is left');

# The standby goes on where the primary left off.
$node->stop;
$standby->promote;
$standby->safe_psql('postgres',
	"UPDATE items SET $set WHERE id % 3 = 0; VACUUM items; UPDATE items SET $set WHERE id % 5 = 0"
);
check_paths($standby, 'items', name => 'after promotion');
server_log_is_clean($node);
server_log_is_clean($standby);
$standby->stop;
done_testing();
