# REPACK, and REPACK (CONCURRENTLY) of a table that is written to: rows and
# vectors are those of a heap table that was changed alike, by every way of
# reading, also on a standby; readers meanwhile never see a wrong vector; garbage
# is gone; and logical decoding sees the changes of the writers, and no others.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $seconds = hard(20, 300);
my $node = vecseg_node('repacked', start => 0, allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 16MB
max_wal_size = 4GB
autovacuum = off
logical_decoding_work_mem = 64kB
CONF

plan skip_all => 'PostgreSQL 19 and later have REPACK'
  if $node->pg_version->major < 19;
$node->start;
install_vecseg($node);

# Of some rows the vector needs several WAL records.
my $dims = 'CASE WHEN id % 50 = 0 THEN 16000 ELSE 768 END';
my $wrong = wrong_vectors($dims);
my $set = "version = version + 1, embedding = vec(id, version + 1, $dims)";

create_must_be_zero($node);
create_table($node, $_, columns => 'note int NOT NULL DEFAULT 0, doc text')
  foreach qw(items side);
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE twin (id bigint PRIMARY KEY, version int, note int) USING heap;
CREATE SEQUENCE new_id START 100000;
INSERT INTO items SELECT id, 1, vec(id, 1, $dims), 0, repeat('doc ' || id, 1000) FROM generate_series(1, 3000) id;
INSERT INTO side SELECT id, 1, vec(id, 1, $dims), 0, NULL FROM generate_series(1, 300) id;
INSERT INTO twin SELECT id, version, note FROM items;
UPDATE items SET $set WHERE id % 3 > 0;
UPDATE twin SET version = version + 1 WHERE id % 3 > 0;
DELETE FROM items WHERE id % 10 = 7;
DELETE FROM twin WHERE id % 10 = 7;
CREATE INDEX items_note ON items (note, id);
SQL
my $standby = start_standby($node);

sub size
{
	return $node->safe_psql('postgres', q{SELECT pg_table_size('items')});
}

sub check_items
{
	my ($name) = @_;

	is( $node->safe_psql('postgres', <<'SQL'), '0', "$name: no row is lost or changed");
SELECT count(*) FROM (SELECT id, version, note FROM items) i FULL JOIN twin t USING (id, version, note)
WHERE i.id IS NULL OR t.id IS NULL
SQL
	is( $node->safe_psql('postgres',
			q{SELECT count(*) FROM items WHERE doc <> repeat('doc ' || id, 1000)}),
		'0', "$name: documents");
	check_paths($node, 'items', dims => $dims, name => $name);
	check_store($node, 'side', name => "$name, side");
	return;
}

# --- nobody writes ---

my $before = size();
$node->safe_psql('postgres', 'REPACK items');
cmp_ok(size(), '<', $before * 0.7, 'REPACK leaves the garbage out');
check_items('REPACK');
$node->safe_psql('postgres', 'REPACK items USING INDEX items_note');
check_items('REPACK USING INDEX');
$node->safe_psql('postgres',
	"UPDATE items SET $set; UPDATE twin SET version = version + 1");
$before = size();
$node->safe_psql('postgres', 'REPACK (CONCURRENTLY) items');
cmp_ok(size(), '<', $before * 0.7, 'REPACK (CONCURRENTLY) does so, too');
check_items('REPACK (CONCURRENTLY)');
$node->safe_psql('postgres', 'REPACK (CONCURRENTLY) items USING INDEX items_note');
check_items('REPACK (CONCURRENTLY) USING INDEX');

# --- others write ---

$node->safe_psql('postgres',
	q{SELECT pg_create_logical_replication_slot('decoding', 'test_decoding')});

# Rows are locked in the twin first. The side table's values have numbers that
# those of items have, too; they come between those in one transaction.
my %scripts = (
	'w_update@6' => <<"SQL",
\\set id random(1, 3000)
BEGIN;
SELECT id FROM twin WHERE id BETWEEN :id AND :id + 2 ORDER BY id FOR UPDATE;
UPDATE twin SET version = version + 1 WHERE id BETWEEN :id AND :id + 2;
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 2;
END;
SQL
	'w_touch@6' => <<"SQL",
\\set id random(1, 3000)
BEGIN;
UPDATE twin SET note = note + 1 WHERE id = :id;
UPDATE items SET note = note + 1 WHERE id = :id;
END;
SQL
	'w_side@4' => <<"SQL",
\\set id random(1, 3000)
\\set other random(1, 300)
BEGIN;
UPDATE twin SET version = version + 1, note = note + 1 WHERE id = :id;
UPDATE side SET $set WHERE id BETWEEN :other AND :other + 3;
UPDATE items SET $set WHERE id = :id;
UPDATE side SET $set WHERE id = :other;
UPDATE items SET note = note + 1 WHERE id = :id;
END;
SQL
	'w_insert@3' => <<"SQL",
BEGIN;
WITH new AS (INSERT INTO items SELECT id, 1, vec(id, 1, $dims), 0, repeat('doc ' || id, 1000)
	FROM (SELECT nextval('new_id') id FROM generate_series(1, 5)) i RETURNING id)
INSERT INTO twin SELECT id, 1, 0 FROM new;
END;
SQL
	'w_delete@3' => <<'SQL',
BEGIN;
WITH gone AS (DELETE FROM twin WHERE id IN
	(SELECT id FROM twin WHERE id >= 100000 ORDER BY id LIMIT 4 FOR UPDATE SKIP LOCKED) RETURNING id)
DELETE FROM items USING gone WHERE items.id = gone.id;
END;
SQL
	'w_rollback@1' => <<"SQL",
\\set id random(1, 3000)
BEGIN;
UPDATE side SET $set WHERE id = 7;
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 5;
ROLLBACK;
SQL
	'r_all@1' => <<"SQL");
\\set id random(1, 3000)
SELECT must_be_zero((SELECT count(*) FROM items WHERE $wrong));
SELECT must_be_zero((SELECT count(*) FROM vecseg_scroll(NULL::items, :id, :id + 300) WHERE $wrong));
SELECT must_be_zero((SELECT count(*) FROM vecseg_retrieve(NULL::items, ARRAY[:id, 17, 50, 2000]) WHERE $wrong));
SQL

my $writers = start_pgbench($node, [ '-c', '4', '-T', $seconds, '--max-tries', '100' ], %scripts);
my $repacked = 0;
my $end = time + $seconds - 2;
while (time < $end)
{
	my $index = $repacked % 2 ? ' USING INDEX items_note' : '';

	$node->safe_psql('postgres', "REPACK (CONCURRENTLY) items$index");
	$repacked++;
}
finish_pgbench($writers);
cmp_ok($repacked, '>=', 2, "repacked $repacked times meanwhile");
check_items('changed while being repacked');
is( $node->safe_psql('postgres', "SELECT count(*) FROM side WHERE $wrong"),
	'0', 'the side table has its vectors');

$node->wait_for_replay_catchup($standby);
check_paths($standby, 'items', dims => $dims,
	paths => [qw(seq filter index bitmap scroll backward retrieve)]);

# Each change is decoded once: version 1 of a row was inserted, and so on.
is( $node->safe_psql('postgres', <<'SQL'), '0', 'no change of REPACK is decoded');
SELECT count(*) FROM (
	SELECT (regexp_match(data, 'id\[bigint\]:(\d+)'))[1]
	FROM pg_logical_slot_get_changes('decoding', NULL, NULL)
	WHERE data LIKE 'table public.items: INSERT%'
	GROUP BY 1 HAVING count(*) > 1) twice
SQL

# --- another table has values of the same numbers ---

# Both are changed alike, one after the other, so that the numbers are the same.
foreach my $table (qw(one other))
{
	create_table($node, $table);
	$node->safe_psql('postgres',
		"INSERT INTO $table SELECT id, 1, vec(id, 1, $dims) FROM generate_series(1, 3000) id");
}
my $writer = start_pgbench($node, [ '-c', '1', '-T', '3600', '-P', '1' ], w_both => <<"SQL");
\\set id random(1, 3000)
BEGIN;
UPDATE other SET $set WHERE id = :id;
UPDATE one SET $set WHERE id = :id;
END;
SQL
$node->poll_query_until('postgres',
	'SELECT count(*) > 100 FROM one WHERE version > 1');
$node->safe_psql('postgres', 'REPACK (CONCURRENTLY) one');
stop_pgbench($writer, \my $worked);
is( $node->safe_psql('postgres', <<'SQL'), '3000', 'no change of two tables is lost');
SELECT count(*) FROM one JOIN other USING (id, version)
SQL
check_paths($node, $_, dims => $dims, rows => 3000) foreach qw(one other);

# --- it fails, or the server does ---

my $client = start_client($node, <<"SQL", go_on => 1);
BEGIN;
SELECT id FROM items WHERE id = 1;
\\echo ack locked
SELECT pg_sleep(5);
END;
SQL
wait_for_acks([$client], 1);
my ($rc, $out, $err) = $node->psql('postgres',
	q{SET lock_timeout = '1s'; REPACK (CONCURRENTLY) items});
like($err, qr/lock timeout/, 'REPACK (CONCURRENTLY) gives up');
finish_client($client);
check_items('after giving up');

my $repack = start_client($node, 'REPACK (CONCURRENTLY) items;', go_on => 1);
usleep(300_000);
kill9($node);
finish_client($repack);
start_after_crash($node);
check_items('killed while repacking');
$node->safe_psql('postgres', 'REPACK (CONCURRENTLY) items');
check_items('repacked after the crash');

done_testing();
