# Values that are written in several WAL records, pages of segments that nothing
# was written to or that lost what was, and what readers take for granted of pages
# and rows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

# With so few buffers, a record takes three pages at most.
my $dims = 16_001;
my $records = 3;
my $rows = 20;

# --- pages evicted between two records of a value ---

my $node = vecseg_node('few', conf => <<'CONF');
shared_buffers = 1MB
autovacuum = off
CONF
create_table($node, 'items');
$node->safe_psql('postgres', <<'END');
CREATE TABLE other AS SELECT i, repeat('x', 1000) AS filler FROM generate_series(1, 3000) i;
CREATE INDEX ON other (i);
ANALYZE other;
END

# The insert is held before each record but a value's first, and all other pages
# leave the buffers: an index scan does not confine itself to a ring of them.
my $holder = $node->background_psql('postgres');
$holder->query_safe("SELECT pg_advisory_lock(151, $_)") for 1 .. $records - 1;
$holder->query_safe('SET enable_seqscan = off; SET enable_bitmapscan = off');
my $client = start_client($node,
	"SET vecseg.stop_at = 'part';\n"
	  . "INSERT INTO items SELECT id, 1, vec(id, 1, $dims) FROM generate_series(1, $rows) id;\n");
foreach my $step (0 .. $rows * ($records - 1) - 1)
{
	my $part = 1 + $step % ($records - 1);

	wait_until_held($node, 'the insert of a value', part => $part);
	$holder->query_safe('SELECT sum(length(filler)) FROM other WHERE i > 0')
	  for 1 .. 2;
	# the lock that it was granted last is its own no more
	$holder->query_safe('SELECT pg_advisory_lock(151, '
		  . (1 + ($step - 1) % ($records - 1)) . ')')
	  if $step > 0;
	$holder->query_safe("SELECT pg_advisory_unlock(151, $part)");
}
ok(finish_client($client), 'the insert was carried on');
$holder->quit;
check_all($node, 'items', undef, rows => $rows, dims => $dims,
	name => 'pages evicted between records');
$node->restart;
check_all($node, 'items', undef, rows => $rows, dims => $dims,
	name => 'pages evicted between records, written');

# --- a damaged meta page is not taken for one that is missing ---

my $file = toast_file($node, 'items');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe('SELECT count(embedding[1]) FROM items');
$session->query_safe('SET enable_seqscan = off; SET enable_bitmapscan = off');
$session->query_safe('CHECKPOINT');
$session->query_safe('SELECT sum(length(filler)) FROM other WHERE i > 0')
  for 1 .. 2;
my $meta = overwrite($file, 0, "\xAA" x 8192);
$node->safe_psql('postgres', 'BEGIN; TRUNCATE items; ROLLBACK');
$session->query('INSERT INTO items VALUES (0, 1, vec(0, 1, 77))');
like($session->{stderr}, qr/invalid page in block 0/,
	'an insert into a store without its meta page');
$session->quit;
overwrite($file, 0, $meta);
check_all($node, 'items', undef, rows => $rows, dims => $dims,
	name => 'with the meta page again');

# --- rows whose pages a window does not pin ---

$node->safe_psql('postgres', <<'END');
CREATE TABLE parent (embedding real[] PRIMARY KEY) USING vecseg;
INSERT INTO parent SELECT vec(i, 1, 20) FROM generate_series(1, 20) i;
CREATE ROLE regress_referrer;
GRANT REFERENCES ON parent TO regress_referrer;
GRANT CREATE ON SCHEMA public TO regress_referrer;
SET ROLE regress_referrer;
CREATE TABLE child (id int, filler text, embedding real[]) USING vecseg;
ALTER TABLE child ALTER filler SET STORAGE PLAIN;
INSERT INTO child SELECT i, repeat('x', 1000), vec(i % 20 + 1, 1, 20) FROM generate_series(1, 4000) i;
END
$node->restart;
is( $node->safe_psql('postgres', <<'END'), '4000', 'a foreign key is validated row by row');
SET ROLE regress_referrer;
ALTER TABLE child ADD FOREIGN KEY (embedding) REFERENCES parent;
SELECT count(*) FROM child;
END
is( scalar $node->psql('postgres', <<'END'), 3, 'and a row that has no parent is found');
\set ON_ERROR_STOP on
SET ROLE regress_referrer;
ALTER TABLE child DROP CONSTRAINT child_embedding_fkey;
INSERT INTO child VALUES (0, '', vec(99, 1, 20));
ALTER TABLE child ADD FOREIGN KEY (embedding) REFERENCES parent;
END
$node->stop;

# --- the first insert, with the server killed before its records are flushed ---

my $crashed = vecseg_node('crashed', conf => <<'CONF');
autovacuum = off
wal_writer_delay = 10s
wal_consistency_checking = 'all, vecseg'
CONF
create_table($crashed, 'items');
my $first = start_client($crashed,
	"BEGIN;\nINSERT INTO items SELECT 1, 1, vec(1, 1, 500);\n\\echo ack\nSELECT pg_sleep(600);\n");
wait_for_acks([$first], 1);
kill9($crashed);
stop_client($first);
start_after_crash($crashed);
$crashed->safe_psql('postgres',
	'INSERT INTO items SELECT id, 1, vec(id, 1, 500) FROM generate_series(1, 10) id');
$crashed->safe_psql('postgres', 'VACUUM items');
check_all($crashed, 'items', undef, rows => 10, dims => 500,
	name => 'after a crash in the first insert');

# --- a value that comes to a page which was not in shared buffers before ---

$crashed->safe_psql('postgres', <<'END');
CREATE TABLE summed (id int, version int, embedding real[]) USING vecseg;
CREATE FUNCTION first_of(i int, e real[]) RETURNS real IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF i = 2 THEN
		PERFORM pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7);
	END IF;
	RETURN e[1];
END $$;
INSERT INTO summed SELECT i, 1, vec(i, 1, 500) FROM generate_series(1, 9) i;
CREATE INDEX summed_index ON summed USING brin (first_of(id, embedding))
	WITH (pages_per_range = 1);
SELECT brin_desummarize_range('summed_index', 0);
END
$crashed->restart;
my $other = $crashed->background_psql('postgres');
$other->query_safe('SELECT pg_advisory_lock(7)');
my $summary =
  start_client($crashed, "SELECT brin_summarize_range('summed_index', 0);\n");
wait_until_held($crashed, 'the summary, in the function');
$other->query_safe('INSERT INTO summed SELECT 10, 1, vec(10, 1, 500)');
$other->query_safe('SELECT pg_advisory_unlock(7)');
ok(finish_client($summary), 'a summary of rows that come in the meantime');
$other->quit;
check_all($crashed, 'summed', undef, rows => 10, dims => 500);

# --- a page that lost what was written to it is not made good by the next value ---

$crashed->safe_psql('postgres', <<'END');
CREATE TABLE lost (id int, version int, embedding real[]) USING vecseg;
INSERT INTO lost SELECT 1, 1, vec(1, 1, 3000);
END
my $lost = toast_file($crashed, 'lost');
$crashed->stop;
my $written = overwrite($lost, 4 * 8192, "\0" x 8192);
$crashed->start;
is( scalar $crashed->psql('postgres',
		'INSERT INTO lost SELECT 2, 1, vec(2, 1, 3000)'),
	3, 'an insert that shares the page');
$crashed->stop;
overwrite($lost, 4 * 8192, $written);
$crashed->start;
check_all($crashed, 'lost', undef, rows => 1, dims => 3000);

# --- what lies between values whose size is not a multiple of their slots' ---

create_table($crashed, 'odd');
$crashed->safe_psql('postgres', <<'END');
COPY odd FROM PROGRAM 'seq 1 2000 | sed "s/.*/&\t1\t{&,2,3,4,5}/"';
INSERT INTO odd SELECT id + 2000, 1, ARRAY[id, 2, 3, 4, 5] FROM generate_series(1, 2000) id;
END
kill9($crashed);
start_after_crash($crashed);
is( $crashed->safe_psql('postgres',
		'SELECT count(*), count(*) FILTER (WHERE embedding IS DISTINCT FROM '
		  . 'ARRAY[CASE WHEN id > 2000 THEN id - 2000 ELSE id END, 2, 3, 4, 5]::real[]) FROM odd'),
	'4000|0',
	'vectors of odd sizes after recovery');
$crashed->stop;

# --- files that were not synced, when the operating system crashed ---

my $minimal = vecseg_node('minimal', conf => <<'CONF');
autovacuum = off
wal_level = minimal
max_wal_senders = 0
wal_skip_threshold = 32MB
CONF
my @tables = (['large', 34, 16_001], ['small', 1, 100]);
my $sql = "CHECKPOINT; BEGIN;\n";
foreach my $table (@tables)
{
	my ($name, $count, $length) = @$table;

	$sql .= "CREATE TABLE $name (id int PRIMARY KEY, version int, embedding real[]) USING vecseg;\n"
	  . "INSERT INTO $name SELECT id, 1, vec(id, 1, $length) FROM generate_series(1, $count) id;\n";
}
$minimal->safe_psql('postgres', "$sql COMMIT");
my @files = map { toast_file($minimal, $_->[0]) } @tables;
kill9($minimal);
truncate $_, 0 or BAIL_OUT("could not truncate $_: $!") foreach @files;
start_after_crash($minimal);
foreach my $table (@tables)
{
	my ($name, $count, $length) = @$table;

	check_all($minimal, $name, undef, rows => $count, dims => $length,
		name => "$name vectors that were logged at commit");
	check_store($minimal, $name);
	$minimal->safe_psql('postgres',
		"INSERT INTO $name SELECT id, 1, vec(id, 1, $length) FROM generate_series($count + 1, $count * 2) id");
	check_all($minimal, $name, undef, rows => $count * 2, dims => $length,
		name => "$name vectors inserted afterwards");
}
$minimal->stop;

done_testing();
