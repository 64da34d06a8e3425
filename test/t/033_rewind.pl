# pg_rewind after a failover, when both sides have written, vacuumed, cut off
# and used again segments of the same tables: the old primary follows the new
# one, and has the same rows; and back again.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $transactions = hard(100, 2000);

my $first = vecseg_node(
	'first',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 1GB
autovacuum = off
wal_consistency_checking = 'all, vecseg'
CONF

# Rows with ids between 10000 and 20000 have vectors of as many dimensions as
# the rest of the id; each length has segments of its own.
my $dims = 'CASE WHEN id BETWEEN 10000 AND 20000 THEN (id - 10000)::int ELSE 768 END';
my @tables = qw(churned cut_by_old cut_by_new cut_by_both rewritten emptied clustered);

foreach my $table (@tables)
{
	create_table($first, $table);
	fill_table($first, $table, 1, $table eq 'churned' ? 500 : 1000);
}
$first->safe_psql('postgres', 'CREATE SEQUENCE new_id START 1000000');
my $second = start_standby($first);

# What is on disk now is not replayed after the rewinding.
$first->safe_psql('postgres', 'CHECKPOINT');
caught_up($first, $second);

my $set = next_version($dims);
my %churn = (
	'update@5' => <<"SQL",
\\set id random(1, 500)
UPDATE churned SET $set WHERE id = :id;
SQL
	'insert@2' => <<'SQL',
INSERT INTO churned SELECT i, 1, vec(i, 1, 768)
FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 20)) s;
SQL
	'short@1' => <<'SQL',
\set dims random(1, 60)
INSERT INTO churned VALUES (10000 + :dims, 1, vec(10000 + :dims, 1, :dims))
ON CONFLICT DO NOTHING;
SQL
	'delete@2' => <<'SQL',
DELETE FROM churned WHERE id IN
(SELECT id FROM churned WHERE id > 500 ORDER BY id DESC LIMIT 40);
SQL
	'undo@1' => <<"SQL",
\\set id random(1, 490)
BEGIN;
UPDATE churned SET $set WHERE id BETWEEN :id AND :id + 5;
ROLLBACK;
SQL
	'vacuum@1' => "VACUUM churned;\n");

# Give most segments back, then make many small ones at their place: of 60
# lengths, so that most of their blocks are not written.
sub cut
{
	my ($node, $table, $keep, $from) = @_;
	my $lengths = 60;

	$node->safe_psql('postgres', "DELETE FROM $table WHERE id > $keep");
	my $before = store_blocks($node, $table);
	$node->safe_psql('postgres', "VACUUM $table");
	my $cut = store_blocks($node, $table);
	cmp_ok($cut, '<', $before / 2,
		"VACUUM of $table on " . $node->name . ': segments given back');
	$node->safe_psql('postgres',
		"INSERT INTO $table SELECT 10000 + i, 1, vec(10000 + i, 1, i) "
		  . "FROM generate_series($from, $from + 2 * ($lengths - 1), 2) i");
	cmp_ok(store_blocks($node, $table), '>=', $cut + $lengths * 5,
		"$table on " . $node->name . ': new segments at their place');
	return;
}

# Both sides write.
sub diverge
{
	my ($old, $new) = @_;
	my $update = "SET $set WHERE id % 3 = 0";
	my $run = start_pgbench($old, [ '-c', 2, '-t', $transactions ], %churn);

	$new->promote;
	$old->safe_psql('postgres',
		"CREATE TABLE only_old USING vecseg AS SELECT * FROM clustered");
	run_pgbench($new, [ '-c', 2, '-t', $transactions ], %churn);
	finish_pgbench($run);

	cut($old, 'cut_by_old', 50, 100);
	$new->safe_psql('postgres', "UPDATE cut_by_new $update AND id > 500");

	cut($new, 'cut_by_new', 50, 100);
	$old->safe_psql('postgres', "UPDATE cut_by_new $update");

	cut($old, 'cut_by_both', 20, 200);
	cut($new, 'cut_by_both', 200, 300);

	$old->safe_psql('postgres',
		"UPDATE rewritten $update; VACUUM FULL rewritten; CLUSTER clustered USING clustered_pkey");
	$new->safe_psql('postgres',
		"UPDATE rewritten $update; CLUSTER rewritten USING rewritten_pkey");
	$old->safe_psql('postgres', 'TRUNCATE emptied');
	fill_table($old, 'emptied', 5000, 5100);
	$new->safe_psql('postgres',
		"DELETE FROM clustered WHERE id % 2 = 0; VACUUM clustered; "
		  . "UPDATE clustered $update; "
		  . 'CREATE TABLE only_new USING vecseg AS SELECT * FROM emptied');

	foreach my $table (@tables)
	{
		foreach my $node ($old, $new)
		{
			check_all($node, $table, undef, dims => $dims,
				name => "$table diverged on " . $node->name);
			check_store($node, $table);
		}
	}
	return;
}

# After the rewinding: identical, also when more is written.
sub follow
{
	my ($old, $new) = @_;

	caught_up($new, $old);
	same_rows($new, $old, [ @tables, 'only_new' ], dims => $dims,
		name => $old->name . ' rewound');
	run_pgbench($new, [ '-c', 2, '-t', $transactions ], %churn);
	$new->safe_psql('postgres',
		'DROP TABLE only_new; DELETE FROM cut_by_old WHERE id % 5 = 0; VACUUM');
	foreach my $table (grep { $_ ne 'churned' } @tables)
	{
		fill_table($new, $table, 3_000_000, 3_000_399);
	}
	caught_up($new, $old);
	same_rows($new, $old, \@tables, dims => $dims,
		name => $old->name . ' follows');
	server_log_is_clean($_) foreach $old, $new;
	return;
}

diverge($first, $second);
$first->stop;
$second->safe_psql('postgres', 'CHECKPOINT');
rewind($first, $second);
is( $first->safe_psql('postgres', "SELECT to_regclass('only_old') IS NULL"),
	't', 'what only the old primary had is gone');
follow($first, $second);

# And back, from the files of a stopped server
foreach my $table (grep { $_ ne 'churned' } @tables)
{
	$second->safe_psql('postgres', "TRUNCATE $table");
	fill_table($second, $table, 1, 1000);
}
$second->safe_psql('postgres', 'CHECKPOINT');
caught_up($second, $first);
diverge($second, $first);
$second->stop;
$first->safe_psql('postgres', 'CHECKPOINT');
$first->stop;
rewind($second, $first, offline => 1);
follow($second, $first);

$second->stop;
$first->stop;
done_testing();
