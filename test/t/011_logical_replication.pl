# Logical replication from and to vecseg tables: every vector and every large
# value arrives as it was sent, those that an update left alone stay.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $publisher = vecseg_node(
	'publisher',
	allows_streaming => 'logical',
	conf => "shared_buffers = 8MB\nmax_connections = 50\n"
	  . "logical_decoding_work_mem = 64kB");
my $subscriber = vecseg_node(
	'subscriber',
	allows_streaming => 'logical',
	conf => "shared_buffers = 8MB\nmax_connections = 50\n"
	  . "max_logical_replication_workers = 20\nmax_worker_processes = 30\n"
	  . "max_sync_workers_per_subscription = 4");

# Name of the table => access method at the publisher and at the subscriber
my %tables = (
	segment_segment => [ 'vecseg', 'vecseg' ],
	segment_heap => [ 'vecseg', 'heap' ],
	heap_segment => [ 'heap', 'vecseg' ],
	full_identity => [ 'vecseg', 'vecseg' ]);
my @tables = sort keys %tables;
my $changed = next_version();

# Identical at both sides, and right
sub compare
{
	my ($name) = @_;

	$publisher->wait_for_catchup('all_tables');
	foreach my $table (@tables)
	{
		my @digest = map {
			$_->safe_psql('postgres',
				'SELECT count(*), sum(hashint8extended(id, version)), '
				  . 'sum(hashint8extended(id, note)), '
				  . 'sum(hash_array_extended(embedding, id)), '
				  . 'sum(hash_array_extended(more, id)), '
				  . "sum(jsonb_hash_extended(doc, id)) FROM $table")
		} $publisher, $subscriber;

		is($digest[1], $digest[0], "$name: $table is the same at both sides");
		check_all($subscriber, $table, undef, name => "$name, $table");
		check_store($subscriber, $table, name => "$name, $table")
		  unless $table eq 'segment_heap';
		check_all($subscriber, $table, undef, column => 'more', dims => 100,
			version => '0 * version', name => "$name, second vector of $table");
	}
	return;
}

# Run SQL for each table, with TABLE for its name, and compare.
sub change
{
	my ($name, $sql) = @_;

	foreach my $table (@tables)
	{
		$publisher->safe_psql('postgres', $sql =~ s/TABLE/$table/gr);
	}
	compare($name);
	return;
}

foreach my $table (@tables)
{
	my $side = 0;

	foreach my $node ($publisher, $subscriber)
	{
		create_table($node, $table, using => $tables{$table}[ $side++ ],
			columns => 'note int DEFAULT 0, more real[], doc jsonb');
		$node->safe_psql('postgres',
			"ALTER TABLE $table REPLICA IDENTITY FULL")
		  if $table eq 'full_identity';
	}
	$publisher->safe_psql('postgres', <<"SQL");
INSERT INTO $table (id, version, embedding, more, doc)
SELECT i, 1, vec(i, 1, 768), vec(i, 0, 100), jsonb_build_object('id', i, 'text',
	CASE WHEN i % 50 = 0 THEN (SELECT string_agg(md5(i::text || j), '')
		FROM generate_series(1, 500) j) END)
FROM generate_series(1::bigint, 500) i;
SQL
}
my $connection = $publisher->connstr('postgres') =~ s/'/''/gr;
$publisher->safe_psql('postgres', 'CREATE PUBLICATION all_tables FOR ALL TABLES');
$subscriber->safe_psql('postgres', <<"SQL");
CREATE SUBSCRIPTION all_tables CONNECTION '$connection'
PUBLICATION all_tables WITH (streaming = on);
SQL
$subscriber->wait_for_subscription_sync($publisher, 'all_tables');
compare('initial copy');

change('insert', <<'SQL');
INSERT INTO TABLE SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100)
FROM generate_series(1001::bigint, 1050) i;
INSERT INTO TABLE VALUES (1100, 1, vec(1100, 1, 768), 0, vec(1100, 0, 100));
INSERT INTO TABLE SELECT 1101, 1, vec(1101, 1, 768), 0, vec(1101, 0, 100),
	jsonb_build_object('text', (SELECT string_agg(md5(j::text), '')
		FROM generate_series(1, 100000) j));
SQL
change('changed vectors', <<"SQL");
UPDATE TABLE SET $changed WHERE id % 3 = 0;
UPDATE TABLE SET $changed, note = note + 1 WHERE id = 1101;
SQL
change('vectors left alone', <<'SQL');
UPDATE TABLE SET note = note + 1 WHERE id % 2 = 0;
UPDATE TABLE SET note = note + 1;
UPDATE TABLE SET note = note + 1 WHERE id = 1101;
SQL
change('changed large value', <<'SQL');
UPDATE TABLE SET doc = jsonb_build_object('text',
	(SELECT string_agg(md5(j::text), 'x') FROM generate_series(1, 80000) j))
WHERE id IN (1, 1101);
SQL
change('delete and change of key', <<'SQL');
DELETE FROM TABLE WHERE id % 5 = 1;
UPDATE TABLE SET id = id + 100000, embedding = vec(id + 100000, version, 768),
	more = vec(id + 100000, 0, 100) WHERE id % 7 = 2;
SQL
my $file = "$PostgreSQL::Test::Utils::tmp_check/rows";
$publisher->safe_psql('postgres',
	'COPY (SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100) FROM '
	  . "generate_series(2001::bigint, 2600) i) TO '$file' (FORMAT binary)");
change('copy', <<"SQL");
COPY TABLE (id, version, embedding, note, more) FROM '$file' (FORMAT binary);
SQL
change('subtransactions', <<"SQL");
BEGIN;
INSERT INTO TABLE SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100)
FROM generate_series(3001::bigint, 3010) i;
SAVEPOINT a;
INSERT INTO TABLE SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100)
FROM generate_series(3011::bigint, 3020) i;
UPDATE TABLE SET $changed WHERE id % 2 = 0;
ROLLBACK TO a;
SAVEPOINT b;
UPDATE TABLE SET $changed WHERE id % 2 = 1;
UPDATE TABLE SET $changed WHERE id % 4 = 1;
RELEASE b;
COMMIT;
BEGIN;
UPDATE TABLE SET $changed;
DELETE FROM TABLE;
ROLLBACK;
SQL

# A transaction too large for memory is streamed while it runs, or spilled.
change('large transaction', <<"SQL");
BEGIN;
INSERT INTO TABLE SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100)
FROM generate_series(4001::bigint, 5500) i;
UPDATE TABLE SET $changed WHERE id BETWEEN 4001 AND 5000;
UPDATE TABLE SET note = note + 1 WHERE id BETWEEN 4001 AND 5500;
SAVEPOINT a;
DELETE FROM TABLE WHERE id BETWEEN 4001 AND 5500;
INSERT INTO TABLE SELECT i, 9, vec(i, 9, 768), 0, vec(i, 0, 100)
FROM generate_series(6001::bigint, 6500) i;
ROLLBACK TO a;
DELETE FROM TABLE WHERE id % 10 = 3;
COMMIT;
SQL
cmp_ok(
	$publisher->safe_psql('postgres',
		"SELECT stream_txns FROM pg_stat_replication_slots "
		  . "WHERE slot_name = 'all_tables'"),
	'>', 0, 'transactions were streamed');

change('truncate', <<'SQL');
TRUNCATE TABLE;
INSERT INTO TABLE SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100)
FROM generate_series(1::bigint, 300) i;
SQL
change('rewrite', <<"SQL");
VACUUM FULL TABLE;
UPDATE TABLE SET $changed WHERE id % 2 = 0;
CLUSTER TABLE USING TABLE_pkey;
UPDATE TABLE SET note = note + 1;
SQL

# Without streaming, across a crash of the publisher
$subscriber->safe_psql('postgres',
	'ALTER SUBSCRIPTION all_tables SET (streaming = off)');
kill9($publisher);
start_after_crash($publisher);
change('after a crash', <<"SQL");
UPDATE TABLE SET $changed WHERE id % 2 = 1;
INSERT INTO TABLE SELECT i, 1, vec(i, 1, 768), 0, vec(i, 0, 100)
FROM generate_series(7001::bigint, 8500) i;
SQL

# test_decoding prints whole vectors, in the order of the changes.
$publisher->safe_psql('postgres',
	"SELECT pg_create_logical_replication_slot('text', 'test_decoding')");
$publisher->safe_psql('postgres', <<"SQL");
INSERT INTO segment_heap VALUES (9001, 1, vec(9001, 1, 768), 0, vec(9001, 0, 100));
UPDATE segment_heap SET note = 1 WHERE id = 9001;
UPDATE segment_heap SET version = 2, embedding = vec(9001, 2, 768) WHERE id = 9001;
UPDATE full_identity SET note = 55 WHERE id = 1;
SQL
my $full = $publisher->safe_psql('postgres',
	'SELECT embedding::text FROM full_identity WHERE id = 1');
my @vectors = map {
	$publisher->safe_psql('postgres', "SELECT vec(9001, $_, 768)::text")
} 1, 2;
my @changes = grep { /^table/ } split /\n/, $publisher->safe_psql('postgres',
	"SELECT data FROM pg_logical_slot_get_changes('text', NULL, NULL)");
is(scalar @changes, 4, 'test_decoding: the changes');
like($changes[0], qr/INSERT: .*embedding\[real\[\]\]:'\Q$vectors[0]\E'/,
	'test_decoding: inserted vector');
like($changes[1],
	qr/UPDATE: .*embedding\[real\[\]\]:unchanged-toast-datum note\[integer\]:1/,
	'test_decoding: vector left alone');
like($changes[2], qr/UPDATE: .*embedding\[real\[\]\]:'\Q$vectors[1]\E'/,
	'test_decoding: changed vector');
like($changes[3],
	qr/old-key: .*embedding\[real\[\]\]:'\Q$full\E' .*new-tuple: /,
	'test_decoding: the whole old row with REPLICA IDENTITY FULL');
compare('at last');

server_log_is_clean($_) foreach $publisher, $subscriber;
$subscriber->stop;
$publisher->stop;
done_testing();
