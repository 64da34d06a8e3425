# Many clients change the same table, with rollbacks, while others vacuum it,
# build indexes and force checkpoints: whoever reads, by whichever way, sees
# every vector as its row's version demands.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $seconds = hard(18, 300);
my $node = vecseg_node(
	'storm',
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 512MB
autovacuum_naptime = 1s
CONF

create_table($node, 'items',
	columns => 'note int NOT NULL DEFAULT 0, CHECK (version > 0)');
fill_table($node, 'items', 1, 3000);
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION amcheck;
CREATE SEQUENCE new_id START 1000000;
SQL
create_must_be_zero($node);

my $wrong = wrong_vectors();
my $set = next_version();
my $insert = 'INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM '
  . "(SELECT nextval('new_id') AS i FROM generate_series(1, %d)) s;\n";

my $writers = start_pgbench(
	$node,
	[ '-c', 5, '-T', $seconds ],
	'w_update@6' => <<"SQL",
\\set id random(1, 3000)
UPDATE items SET $set WHERE id = :id;
SQL
	'w_hot_row@2' => <<"SQL",
\\set id random(1, 5)
UPDATE items SET $set WHERE id = :id;
SQL
	'w_touch@4' => <<"SQL",
\\set id random(1, 2990)
UPDATE items SET note = note + 1 WHERE id = :id;
SQL
	'w_insert@3' => sprintf($insert, 1),
	'w_insert_many@1' => sprintf($insert, 10),
	'w_delete@2' => <<"SQL",
DELETE FROM items WHERE id BETWEEN 1000000 AND
(SELECT last_value - 2000 FROM new_id);
SQL
	'w_rollback@1' => <<"SQL",
\\set id random(1, 3000)
BEGIN;
UPDATE items SET $set WHERE id = :id;
SELECT must_be_zero(count(*)) FROM items WHERE id = :id AND $wrong;
ROLLBACK;
SQL
	'w_upsert@1' => <<"SQL",
\\set id random(1, 6000)
INSERT INTO items SELECT :id, 1, vec(:id, 1, 768)
ON CONFLICT (id) DO UPDATE SET version = items.version + 1,
embedding = vec(items.id, items.version + 1, 768);
SQL
	'w_savepoints@2' => <<"SQL");
\\set id random(1, 2990)
BEGIN;
SAVEPOINT a;
UPDATE items SET $set WHERE id = :id;
ROLLBACK TO a;
UPDATE items SET note = note + 1 WHERE id = :id;
SAVEPOINT b;
UPDATE items SET $set WHERE id = :id;
RELEASE b;
SELECT must_be_zero(count(*)) FROM items WHERE id = :id AND $wrong;
COMMIT;
SQL

my $readers = start_pgbench(
	$node,
	[ '-c', 2, '-T', $seconds ],
	'r_scan' => "SELECT must_be_zero(count(*)) FROM items WHERE $wrong;\n",
	'r_check' => "SELECT must_be_zero(count(*)) FROM vecseg_check('items');\n",
	'r_filter' => <<"SQL",
\\set n random(0, 9)
SELECT must_be_zero(count(*)) FROM items WHERE id % 10 = :n AND $wrong;
SQL
	'r_scroll' => <<"SQL",
\\set id random(1, 3000)
SELECT must_be_zero(count(*)) FROM vecseg_scroll(NULL::items, after => :id)
WHERE $wrong;
SQL
	'r_retrieve' => <<"SQL",
\\set id random(1, 2000)
SELECT must_be_zero(count(*))
FROM vecseg_retrieve(NULL::items, ARRAY(
	SELECT i FROM generate_series(:id::bigint, :id + 900) i ORDER BY i % 7))
WHERE $wrong;
SQL
	'r_cursor' => <<"SQL",
BEGIN ISOLATION LEVEL REPEATABLE READ;
DECLARE c CURSOR FOR SELECT * FROM vecseg_scroll(NULL::items, backward => true);
FETCH FORWARD 50 FROM c \\;
SELECT must_be_zero(count(*)) FROM items WHERE id < 100 AND $wrong;
FETCH FORWARD 50 FROM c \\;
SELECT must_be_zero(count(*)) FROM items WHERE id < 100 AND $wrong;
COMMIT;
SQL
	'r_index' => <<"SQL");
\\set id random(1, 3000)
SELECT must_be_zero(count(*)) FROM items WHERE id BETWEEN :id AND :id + 50
AND $wrong;
SQL

my @helpers = (
	start_client($node, <<'SQL' x 100000),
VACUUM items;
SELECT pg_sleep(0.3);
VACUUM (FREEZE) items;
\echo ack
SQL
	start_client($node, <<'SQL' x 100000),
CHECKPOINT;
SELECT pg_sleep(0.7);
\echo ack
SQL
	start_client($node, <<'SQL' x 100000));
CREATE INDEX CONCURRENTLY items_version ON items (version, id);
SELECT bt_index_check('items_version', false);
DROP INDEX CONCURRENTLY items_version;
REINDEX TABLE CONCURRENTLY items;
\echo ack
SQL

finish_pgbench($writers);
finish_pgbench($readers);
wait_for_acks([$_], 1) foreach @helpers;
foreach my $helper (@helpers)
{
	cmp_ok(scalar(my @acks = client_acks($helper)), '>', 0, 'a helper worked');
	ok(stop_client($helper), 'a helper met no error');
}

# Their sessions end with the statements that they are in.
$node->poll_query_until('postgres', <<'SQL') or die 'a session does not end';
SELECT count(*) = 0 FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
SQL
$node->safe_psql('postgres', <<'SQL');
DROP INDEX IF EXISTS items_version;
VACUUM items;
SQL
check_paths($node, 'items');
$node->safe_psql('postgres', "SELECT bt_index_check('items_pkey', true)");
is( $node->safe_psql('postgres',
		'SELECT count(*) FROM items WHERE id <= 3000'),
	3000,
	'no row of those that none deletes is lost');
server_log_is_clean($node);
$node->restart;
check_paths($node, 'items', paths => [ 'seq', 'scroll', 'retrieve' ],
	name => 'after a restart');
$node->stop;
done_testing();
