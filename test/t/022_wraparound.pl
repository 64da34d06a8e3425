# Transaction ids wrap around. While they are used up fast, autovacuum keeps the
# ages of a table and of its TOAST relation bounded, and the store's size as well;
# then more than 2^31 ids at once are skipped, again and again, until ids have
# wrapped around: rows of before and of after hold their vectors, and slots are
# freed and used again. The same with multixact ids.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $steps = hard(8, 30);
my $max_age = 100_000;	# the least that the server allows; for multixacts 10000
my $set = next_version();

my $node = vecseg_node(
	'wraparound',
	conf => <<"CONF");
autovacuum_naptime = 1s
autovacuum_max_workers = 5
autovacuum_vacuum_cost_delay = 0
autovacuum_freeze_max_age = $max_age
autovacuum_multixact_freeze_max_age = 10000
vacuum_freeze_min_age = 1000
vacuum_multixact_freeze_min_age = 1000
synchronous_commit = off
CONF

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

sub wait_until
{
	my ($condition, $what) = @_;

	return ok($node->poll_query_until('postgres', "SELECT $condition"), $what);
}

# "items" is written to, "idle" is not. Each transaction of lock_rows() is a new
# pair of lockers of a row that another transaction holds.
create_table($node, $_) foreach 'items', 'idle', 'locked';
fill_table($node, $_, 1, 1000) foreach 'items', 'idle', 'locked';
query(<<'SQL');
CREATE PROCEDURE use_up_ids(n int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		PERFORM pg_current_xact_id();
		COMMIT;
	END LOOP;
END $$;
CREATE PROCEDURE lock_rows(n int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		PERFORM FROM locked WHERE id = 1 + i % 1000 FOR SHARE;
		COMMIT;
	END LOOP;
END $$;
-- relations of the tables here, with the ages of their horizons
CREATE VIEW ages AS
SELECT r.relname, r.toast, c.relfrozenxid, c.relminmxid,
	age(c.relfrozenxid) AS xids, mxid_age(c.relminmxid) AS multixacts
FROM (SELECT relname, oid, false AS toast FROM pg_class
	UNION ALL SELECT relname, reltoastrelid, true FROM pg_class) r
JOIN pg_class c USING (oid)
WHERE r.relname IN ('items', 'idle', 'locked');
SQL
is(query('SELECT count(*) FROM ages'), 6, 'three tables, each with a TOAST relation');

# All ages are what autovacuum is to keep them at.
sub wait_for_ages
{
	my ($what) = @_;

	wait_until("bool_and(xids <= $max_age AND multixacts <= 10000) FROM ages",
		"$what: ages of tables and TOAST relations");
	wait_until("bool_and(age(datfrozenxid) <= $max_age AND "
		  . 'mxid_age(datminmxid) <= 10000) FROM pg_database',
		"$what: ages of databases");
	return;
}

# Autovacuum against wraparound does not free slots. It must not make the one
# that does forget that there are some: only a tenth of the vectors change in
# the time between two of the former.
my $before = query('SELECT min(relfrozenxid::text::bigint) FROM ages');
foreach my $step (1 .. $steps)
{
	query("UPDATE items SET $set WHERE id % 10 = $step % 10");
	query("CALL use_up_ids(75000)");
	wait_for_ages("step $step");
}
my $after = query('SELECT min(relfrozenxid::text::bigint) FROM ages');
cmp_ok($after - $before, '>', ($steps - 2) * 75_000,
	'horizons of tables and TOAST relations advanced');
wait_until("sum(used) <= 1000 * 1.5 FROM vecseg_segments('items')",
	'the store did not grow with the number of ids');
check_paths($node, 'items', rows => 1000, name => 'ids were used up');

# Multixact ids: while one transaction holds the rows, each of the others that
# locks a row makes a new one.
sub use_up_multixacts
{
	my $holder = $node->background_psql('postgres');

	$holder->query_safe('BEGIN');
	$holder->query_safe('SELECT count(*) FROM (SELECT FROM locked FOR KEY SHARE) s');
	query('CALL lock_rows(6000)');
	query("UPDATE locked SET version = version + 1, embedding = vec(id, version + 1, 768) WHERE id % 4 = 0");
	$holder->query_safe('COMMIT');
	$holder->quit;
	return;
}

my $minimum = query('SELECT min(relminmxid::text::bigint) FROM ages');
foreach my $step (1 .. 4)
{
	use_up_multixacts();
	wait_for_ages("multixacts, step $step");
}
cmp_ok(query('SELECT min(relminmxid::text::bigint) FROM ages') - $minimum,
	'>', 10_000, 'horizons of multixacts advanced');
check_paths($node, 'locked', rows => 1000, name => 'multixacts were used up');

# Skip ids. The next ones, of which there is no trace yet, need a file of their
# own.
sub make_state_file
{
	my ($folder, $number) = @_;
	my $file = sprintf '%s/%s/%04X', $node->data_dir, $folder, $number;

	return if -e $file;
	open my $fh, '>:raw', $file or die "could not open $file: $!";
	print $fh "\0" x (32 * 8192);
	close $fh or die "could not write $file: $!";
	return;
}

sub skip_ids
{
	my ($count) = @_;

	$node->stop;
	my ($out) = run_command([ 'pg_controldata', $node->data_dir ]);
	my ($epoch, $xid) = $out =~ /NextXID: +(\d+):(\d+)/;
	my ($multixact) = $out =~ /NextMultiXactId: +(\d+)/;
	my ($oldest) = $out =~ /oldestMultiXid: +(\d+)/;

	$xid += $count;
	$epoch++ if $xid >= 2**32;
	$xid %= 2**32;
	$multixact = ($multixact + $count) % 2**32;
	make_state_file('pg_xact', int($xid / (32 * 8192 * 4)));
	make_state_file('pg_multixact/offsets',
		int($multixact / (32 * 8192 / ($node->pg_version->major < 19 ? 4 : 8))));
	command_ok(
		[
			'pg_resetwal', '-x', $xid, '-e', $epoch, '-m',
			"$multixact,$oldest", $node->data_dir ],
		"next id $epoch:$xid, next multixact $multixact");
	$node->start;
	return;
}

# Nothing frees or freezes the rows until then, other than autovacuum against
# wraparound, which comes by itself.
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->reload;
my %rows = (items => 1000, idle => 1000, locked => 1000);

sub check_tables
{
	my ($name) = @_;

	check_paths($node, $_, rows => $rows{$_}, name => "$name, $_",
		paths => [qw(seq scroll)])
	  foreach sort keys %rows;
	return;
}

foreach my $skip (1 .. 3)
{
	$rows{items} -= 50;
	query(<<"SQL");
UPDATE items SET $set WHERE id % 3 = 0;
DELETE FROM items WHERE id > $rows{items};
BEGIN;
UPDATE items SET $set WHERE id % 2 = 0;
DELETE FROM items WHERE id % 5 = 0;
ROLLBACK;
INSERT INTO idle SELECT id + 100000, version, embedding FROM items LIMIT 1;
BEGIN;
DELETE FROM idle WHERE id >= 100000;
SAVEPOINT a;
UPDATE idle SET $set;
ROLLBACK TO a;
COMMIT;
SQL
	use_up_multixacts();
	# the state of the last one before the gap cannot be told
	query(<<'SQL');
CREATE TABLE last (id int);
INSERT INTO last VALUES (1);
BEGIN;
SELECT FROM last FOR KEY SHARE;
SAVEPOINT a;
UPDATE last SET id = 1;
COMMIT;
DROP TABLE last;
SQL
	skip_ids(2_000_000_000);
	check_tables("skip $skip");
	wait_for_ages("skip $skip");
	check_tables("skip $skip, frozen");
	foreach my $table (sort keys %rows)
	{
		query("UPDATE $table SET $set WHERE id % 2 = 0; VACUUM $table");
		is( query("SELECT sum(used) FROM vecseg_segments('$table')"),
			$rows{$table},
			"skip $skip, $table: only live vectors are left");
		query("UPDATE $table SET $set WHERE id % 2 = 1");
	}
	check_tables("skip $skip, changed");
}

server_log_is_clean($node);
$node->stop;
done_testing();
