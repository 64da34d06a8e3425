# What logical decoding makes of changes to vecseg tables is what it makes of
# the same changes to heap tables, whole vectors and all. Each script is run in
# two databases that differ in their default table access method only, and what
# test_decoding prints for the one must be what it prints for the other.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my @methods = ('heap', 'vecseg');
my $options = "'include-xids', '0', 'skip-empty-xacts', '1'";
my $changed = next_version();

# Plain scans find rows in one order, whatever the access method.
my $node = vecseg_node(
	'node',
	allows_streaming => 'logical',
	conf => <<'CONF');
shared_buffers = 8MB
autovacuum = off
max_replication_slots = 20
logical_decoding_work_mem = 64kB
CONF
foreach my $method (@methods)
{
	$node->safe_psql('postgres', "CREATE DATABASE $method");
	install_vecseg($node, $method);
	$node->safe_psql('postgres',
		"ALTER DATABASE $method SET default_table_access_method = $method");
	$node->safe_psql('postgres', "ALTER DATABASE $method SET $_ = off")
	  foreach qw(enable_indexscan enable_bitmapscan);
}

# :method stands for what must differ between the databases.
sub in_both
{
	my ($sql) = @_;

	$node->safe_psql($_, $sql =~ s/:method/$_/gr) foreach @methods;
	return;
}

sub create_slots
{
	my ($slot, @more) = @_;
	my $more = join '', map { ", $_" } @more;

	$node->safe_psql($_,
		"SELECT pg_create_logical_replication_slot('${slot}_$_', 'test_decoding'$more)")
	  foreach @methods;
	return;
}

# The changes that a slot has; $how: get or peek
sub changes
{
	my ($method, $slot, $how, $more) = @_;

	return split /\n/, $node->safe_psql($method,
		"SELECT data FROM pg_logical_slot_${how}_changes('${slot}_$method', NULL, NULL, $options"
		  . ($more ? ", $more" : '')
		  . ')') =~ s/gid_$method/gid_:method/gr;
}

# What changed in a long text: not for people to read as a whole.
sub brief
{
	my ($text) = @_;

	return substr($text, 0, 100) . ' ...' . length $text;
}

# Assert that the slots in both databases have the same changes, so many as are
# named in a hash: { INSERT => 3, ... }.
sub same_changes
{
	my ($name, $count, %options) = @_;
	my ($slot, $how, $more) =
	  ($options{slot} // 'main', $options{how} // 'get', $options{more});
	my @lines = map { [ changes($_, $slot, $how, $more) ] } @methods;
	my ($heap, $vecseg) = @lines;
	my %found;

	my $same = @$heap == @$vecseg;
	foreach my $i (0 .. ($same ? $#$heap : -1))
	{
		next if $heap->[$i] eq $vecseg->[$i];
		diag "heap: ", brief($heap->[$i]);
		diag "vecseg: ", brief($vecseg->[$i]);
		$same = 0;
		last;
	}
	ok($same, "$name: the same as of heap tables")
	  or diag scalar @$heap, ' lines of heap, ', scalar @$vecseg, ' of vecseg';
	/^table \S+: ([A-Z]+):/ and $found{$1}++ foreach @$vecseg;
	is_deeply(\%found, $count, "$name: so many changes");
	return;
}

# Run a script in both databases, and compare. A checkpoint before it has the
# script's first change of each page log an image of the page.
sub decode
{
	my ($name, $sql, $count, %options) = @_;

	$node->safe_psql('postgres', 'CHECKPOINT') if $options{checkpoint} // 1;
	in_both($sql);
	return same_changes($name, $count, %options);
}

# Text that compresses badly and text that compresses well
my $noise = "(SELECT string_agg(md5(j::text), '') FROM generate_series(1, %s) j)";
my $large = sprintf $noise, 30_000;
my $rows = "INSERT INTO %s (id, version, embedding, more, doc) "
  . 'SELECT i, 1, vec(i, 1, 768), vec(i, 0, 600), repeat(md5(i::text), 200) '
  . 'FROM generate_series(%s::bigint, %s) i';
my $columns = 'id bigint NOT NULL, version int NOT NULL, embedding real[], '
  . 'note int DEFAULT 0, more real[], doc text';

sub rows
{
	return sprintf $rows, @_;
}

in_both(<<"SQL");
CREATE TABLE items ($columns, PRIMARY KEY (id));
CREATE TABLE others ($columns, PRIMARY KEY (id));
CREATE TABLE by_index ($columns);
CREATE UNIQUE INDEX by_index_id ON by_index (id, version);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
CREATE TABLE by_all ($columns);
ALTER TABLE by_all REPLICA IDENTITY FULL;
CREATE TABLE by_none ($columns);
ALTER TABLE by_none REPLICA IDENTITY NOTHING;
SQL
create_slots('main');

# --- every kind of change, with every kind of replica identity ---

foreach my $table (qw(items by_index by_all))
{
	my $insert = rows($table, 1, 24);
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$table.rows";

	decode("$table, insert", $insert, { INSERT => 24 });
	decode(
		"$table, update of the vector", "UPDATE $table SET $changed WHERE id <= 12",
		{ UPDATE => 12 });
	decode(
		"$table, update of one of two vectors",
		"UPDATE $table SET more = vec(id, 3, 600) WHERE id % 2 = 0",
		{ UPDATE => 12 });
	decode(
		"$table, update of another column",
		"UPDATE $table SET note = note + 1",
		{ UPDATE => 24 });
	decode(
		"$table, vector set to null, and to itself",
		"UPDATE $table SET more = NULL WHERE id <= 5; "
		  . "UPDATE $table SET embedding = embedding WHERE id <= 9",
		{ UPDATE => 14 });
	decode(
		"$table, update of the key",
		"UPDATE $table SET id = id + 1000 WHERE id > 20",
		{ UPDATE => 4 });
	decode("$table, large values", <<"SQL", { INSERT => 1, UPDATE => 2 });
INSERT INTO $table (id, version, embedding, doc) VALUES (5000, 1, vec(5000, 1, 768), $large);
UPDATE $table SET note = 1 WHERE id = 5000;
UPDATE $table SET doc = doc || 'x' WHERE id = 5000;
SQL
	$node->safe_psql('heap', "COPY $table TO '$file' (FORMAT binary)");
	decode("$table, delete", "DELETE FROM $table WHERE id > 10", { DELETE => 15 });
	decode("$table, truncate and copy", <<"SQL", { TRUNCATE => 1, INSERT => 25 });
TRUNCATE $table;
COPY $table FROM '$file' (FORMAT binary);
SQL
}

decode('no replica identity', <<"SQL", { INSERT => 4, UPDATE => 6, DELETE => 4 });
${\rows('by_none', 1, 4)};
UPDATE by_none SET $changed WHERE id < 3;
UPDATE by_none SET note = note + 1;
DELETE FROM by_none;
SQL

# --- subtransactions ---

decode('subtransactions', <<"SQL", { INSERT => 8, UPDATE => 16, DELETE => 1 });
BEGIN;
${\rows('items', 101, 104)};
SAVEPOINT a;
${\rows('items', 111, 120)};
UPDATE items SET $changed WHERE id < 20;
SAVEPOINT b;
${\rows('others', 1, 10)};
ROLLBACK TO a;
SAVEPOINT c;
UPDATE items SET $changed WHERE id BETWEEN 3 AND 10;
SAVEPOINT d;
UPDATE items SET $changed WHERE id BETWEEN 3 AND 10;
RELEASE d;
${\rows('others', 1, 4)};
RELEASE c;
DELETE FROM items WHERE id = 101;
COMMIT;
BEGIN;
UPDATE items SET $changed;
ROLLBACK;
SQL
decode('subtransactions of functions', <<"SQL", { INSERT => 40, UPDATE => 20, DELETE => 10 });
DO \$\$
BEGIN
	FOR k IN 201 .. 220 LOOP
		BEGIN
			${\rows('items', 'k', 'k')};
			UPDATE items SET $changed WHERE id = k;
			${\rows('items', 'k', 'k')};
		EXCEPTION WHEN unique_violation THEN
			INSERT INTO others (id, version, embedding) VALUES (k, 9, vec(k, 9, 768));
		END;
		${\rows('items', 'k', 'k')};
		UPDATE items SET version = 5, embedding = vec(id, 5, 768) WHERE id = k;
		DELETE FROM others WHERE id = k AND k % 2 = 0;
	END LOOP;
END
\$\$;
SQL

# --- updates that find their row changed already, or gone ---

# Such an update has stored the row's vector before it finds out. "left" and
# "right" have values of the same ids: a vector of the one that no row refers to
# must not get into a row of the other.
in_both(<<"SQL");
CREATE TABLE "left" ($columns, PRIMARY KEY (id));
CREATE TABLE "right" (LIKE "left" INCLUDING ALL);
INSERT INTO "left" SELECT i, 1, vec(i, 1, 768) FROM generate_series(1::bigint, 10) i;
INSERT INTO "right" SELECT i, 1, vec(i, 1, 768) FROM generate_series(1::bigint, 20) i;
SELECT count(*) FROM pg_logical_slot_get_changes('main_:method', NULL, NULL);
SQL
my $twice = 'UPDATE "left" SET version = 2, embedding = vec(id, 2, 768) '
  . 'FROM generate_series(1, 2) WHERE id = %d';
decode(
	'row matched twice, then delete',
	sprintf("BEGIN; $twice; DELETE FROM \"right\" WHERE id = 20; COMMIT", 1),
	{ UPDATE => 1, DELETE => 1 });
decode(
	'row matched twice, then update of other rows with the same value ids',
	sprintf("BEGIN; $twice; UPDATE \"right\" SET note = 1; COMMIT", 2),
	{ UPDATE => 20 });
decode(
	'row matched twice, then inserts of the same value ids',
	sprintf(
		'CREATE TABLE fresh (LIKE "left" INCLUDING ALL); BEGIN; '
		  . "$twice; INSERT INTO fresh SELECT i, 1, vec(i, 1, 768) "
		  . "FROM generate_series(1::bigint, 20) i; COMMIT", 3),
	{ UPDATE => 1, INSERT => 20 });
decode(
	'row matched twice in a subtransaction',
	sprintf(
		"BEGIN; SAVEPOINT a; $twice; ROLLBACK TO a; SAVEPOINT b; $twice; "
		  . 'RELEASE b; DELETE FROM "right" WHERE id = 18; COMMIT',
		4, 4),
	{ UPDATE => 1, DELETE => 1 });
decode(
	'many rows matched twice',
	'BEGIN; UPDATE "left" SET embedding = vec(id, 3, 768), version = 3 '
	  . 'FROM generate_series(1, 30) WHERE id > 4; DELETE FROM "right" WHERE id = 17; COMMIT',
	{ UPDATE => 6, DELETE => 1 });

# Hold a session of the vecseg database where it has stored its row's values,
# do something else, and let it go on. With heap, what is first is first.
sub interrupted
{
	my ($statement, $meanwhile, $then) = @_;

	$node->safe_psql('heap',
		"$meanwhile; BEGIN; $statement; $then; COMMIT");

	my $holder = $node->background_psql('vecseg');
	$holder->query_safe('SELECT pg_advisory_lock(151, 0)');
	my $client = start_client(
		$node,
		"SET vecseg.stop_at = 'row';\nBEGIN;\n$statement;\n"
		  . "RESET vecseg.stop_at;\n$then;\nCOMMIT;\n",
		database => 'vecseg');
	wait_until_held($node, 'the statement, its row stored',
		database => 'vecseg');
	$node->safe_psql('vecseg', $meanwhile);
	$holder->quit;
	ok(finish_client($client), 'the statement that was held');
	return;
}

my $update =
  'UPDATE "left" SET version = version + 1, embedding = vec(id, version + 1, 768) WHERE id = %d';
interrupted(
	sprintf($update, 5),
	'DELETE FROM "left" WHERE id = 5',
	'DELETE FROM "right" WHERE id = 16');
same_changes('row deleted meanwhile', { DELETE => 2 });
interrupted(
	sprintf("$update AND version < 4", 6),
	'UPDATE "left" SET version = 4, embedding = vec(id, 4, 768) WHERE id = 6',
	'UPDATE "right" SET note = 2');
same_changes('row changed meanwhile, so that it is not to be updated',
	{ UPDATE => 17 });
interrupted(
	sprintf($update, 7),
	'UPDATE "left" SET version = 4, embedding = vec(id, 4, 768) WHERE id = 7',
	'DELETE FROM "right" WHERE id = 15');
same_changes('row changed meanwhile', { UPDATE => 2, DELETE => 1 });

# --- insertions that find their key taken ---

my $upsert =
  'INSERT INTO "left" (id, version, embedding) SELECT i, 1, vec(i, 1, 768) '
  . 'FROM generate_series(%s::bigint, %s) i ON CONFLICT (id) DO ';
my $set = 'UPDATE SET version = excluded.version + 7, embedding = vec(excluded.id, 8, 768)';
decode(
	'ON CONFLICT',
	sprintf("BEGIN; $upsert NOTHING; $upsert $set; $upsert $set; COMMIT",
		9, 12, 10, 13, 14, 15),
	{ INSERT => 5, UPDATE => 3 });
foreach my $action ('NOTHING', $set)
{
	my $id = $action eq 'NOTHING' ? 21 : 22;

	interrupted(
		sprintf("$upsert $action", $id, $id),
		sprintf('INSERT INTO "left" (id, version, embedding) VALUES (%d, 5, vec(%d, 5, 768))',
			$id, $id),
		'DELETE FROM "right" WHERE id = 34 - ' . $id);
	same_changes(
		"key taken meanwhile, ON CONFLICT DO $action",
		{ INSERT => 1, DELETE => 1, $action eq 'NOTHING' ? () : (UPDATE => 1) });
}

# --- changes of catalogs in the same transaction ---

decode('columns added and dropped', <<"SQL", { INSERT => 6, UPDATE => 34 });
BEGIN;
${\rows('items', 301, 302)};
ALTER TABLE items ADD COLUMN extra real[];
${\rows('items', 303, 304)};
UPDATE items SET extra = vec(id, 77, 500) WHERE id < 10;
SAVEPOINT a;
ALTER TABLE items ADD COLUMN another real[];
UPDATE items SET another = vec(id, 78, 500);
ROLLBACK TO a;
ALTER TABLE items DROP COLUMN doc;
UPDATE items SET more = vec(id, 79, 600) WHERE id < 10;
INSERT INTO items (id, version, embedding, extra)
	SELECT i, 1, vec(i, 1, 768), vec(i, 77, 500) FROM generate_series(305::bigint, 306) i;
UPDATE items SET note = 5 WHERE id < 10 OR id > 304;
ALTER TABLE items ADD COLUMN doc text;
COMMIT;
SQL
decode('rewritten in the transaction', <<"SQL", { INSERT => 8, UPDATE => 42 });
BEGIN;
${\rows('others', 301, 302)};
ALTER TABLE others ALTER note TYPE bigint;
${\rows('others', 303, 304)};
UPDATE others SET $changed WHERE id > 300;
UPDATE others SET note = 6 WHERE id > 300;
ALTER TABLE others ALTER embedding TYPE double precision[];
${\rows('others', 305, 306)};
UPDATE others SET note = 7 WHERE id > 300;
CLUSTER others USING others_pkey;
UPDATE others SET note = 8 WHERE id > 300;
${\rows('others', 307, 308)};
UPDATE others SET $changed;
COMMIT;
SQL
decode('truncated in the transaction', <<"SQL", { TRUNCATE => 2, INSERT => 8, UPDATE => 4 });
BEGIN;
${\rows('others', 401, 402)};
TRUNCATE others;
${\rows('others', 403, 404)};
TRUNCATE others;
${\rows('others', 405, 408)};
UPDATE others SET $changed;
COMMIT;
SQL
# From version 17 on a new materialized view is filled like one that is refreshed.
my $made = $node->pg_version >= 17 ? 24 : 30;
decode('tables made and dropped', <<"SQL", { INSERT => $made, UPDATE => 4, TRUNCATE => 1 });
BEGIN;
CREATE TABLE made ($columns, PRIMARY KEY (id));
${\rows('made', 1, 6)};
CREATE TABLE copied AS SELECT * FROM made;
CREATE MATERIALIZED VIEW viewed AS SELECT * FROM copied;
UPDATE made SET $changed WHERE id < 5;
REFRESH MATERIALIZED VIEW viewed;
TRUNCATE made;
${\rows('made', 1, 6)};
COMMIT;
BEGIN;
CREATE TABLE brief ($columns);
${\rows('brief', 1, 6)};
DROP TABLE brief;
COMMIT;
SQL
decode('rewritten between transactions', <<"SQL", { INSERT => 4, UPDATE => 16 });
VACUUM FULL made;
UPDATE made SET note = 2;
CLUSTER made USING made_pkey;
${\rows('made', 11, 12)};
ALTER TABLE made SET ACCESS METHOD heap;
${\rows('made', 13, 14)};
ALTER TABLE made SET ACCESS METHOD :method;
UPDATE made SET $changed;
SQL

# --- prepared transactions ---

create_slots('prepared', 'false', 'true');
$node->safe_psql($_,
	"SELECT pg_replication_slot_advance('main_$_', pg_current_wal_lsn())")
  foreach @methods;
decode('prepared', <<"SQL", { INSERT => 3, UPDATE => 6 }, slot => 'prepared');
BEGIN;
${\rows('made', 21, 23)};
SAVEPOINT a;
UPDATE made SET $changed;
ROLLBACK TO a;
UPDATE made SET $changed WHERE id < 7;
PREPARE TRANSACTION 'gid_:method';
BEGIN;
DELETE FROM made WHERE id > 10;
ROLLBACK;
SQL
same_changes('as long as it is not committed', {});
decode('others meanwhile', rows('others', 501, 502), { INSERT => 2 },
	slot => 'prepared', how => 'peek');
kill9($node);
start_after_crash($node);
foreach my $slot ('prepared', 'main')
{
	same_changes("after a crash, slot $slot", { INSERT => 2 }, slot => $slot);
}
decode('committed', "COMMIT PREPARED 'gid_:method'", {}, slot => 'prepared');
same_changes('committed, in the other slot', { INSERT => 3, UPDATE => 6 });
decode('prepared again', <<"SQL", { INSERT => 2 }, slot => 'prepared');
BEGIN;
${\rows('made', 31, 32)};
PREPARE TRANSACTION 'gid_:method';
SQL
decode('rolled back', "ROLLBACK PREPARED 'gid_:method'", {}, slot => 'prepared');
same_changes('rolled back, in the other slot', {});
in_both("SELECT pg_drop_replication_slot('prepared_:method')");

# --- other origins ---

$node->safe_psql('postgres', "SELECT pg_replication_origin_create('elsewhere')");
my @origins = (
	"SELECT pg_replication_origin_session_setup('elsewhere')",
	'SELECT pg_replication_origin_session_reset()');
in_both(<<"SQL");
BEGIN;
$origins[0];
${\rows('others', 601, 602)};
$origins[1];
DELETE FROM others WHERE id = 501;
${\rows('others', 603, 604)};
$origins[0];
UPDATE others SET $changed WHERE id > 602;
$origins[1];
DELETE FROM others WHERE id = 502;
COMMIT;
$origins[0];
${\rows('others', 605, 606)};
$origins[1];
SQL
same_changes(
	'local changes only', { INSERT => 2, DELETE => 2 },
	how => 'peek', more => "'only-local', '1'");
same_changes('changes of all origins', { INSERT => 6, UPDATE => 2, DELETE => 2 });

# --- where decoding starts ---

# Changes that are passed over; and a transaction that began before
my %open;
foreach my $method (@methods)
{
	$open{$method} = $node->background_psql($method);
	$open{$method}->query_safe("BEGIN; ${\rows('made', 41, 42)}");
}
in_both(rows('others', 701, 702));
in_both("SELECT pg_replication_slot_advance('main_:method', pg_current_wal_lsn())");
in_both('CHECKPOINT');
decode('after an advance', rows('others', 703, 704), { INSERT => 2 });
$node->safe_psql('postgres', 'CHECKPOINT');
foreach my $method (@methods)
{
	$open{$method}->query_safe("UPDATE made SET $changed; COMMIT");
	$open{$method}->quit;
}
same_changes('a transaction that began before', { INSERT => 2, UPDATE => 15 });

# Transactions that are under way when the slot is made
sub waits_for
{
	my ($xid) = @_;

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'transactionid' "
		  . "AND transactionid = '$xid' AND NOT granted")
	  or BAIL_OUT("nobody waits for transaction $xid");
	return;
}

foreach my $method (@methods)
{
	my @sessions = map { $node->background_psql($method) } 1 .. 3;
	my @xids;
	my $begin = sub {
		my ($number) = @_;
		my $from = 801 + 10 * $number;

		$sessions[$number]->query_safe("BEGIN; ${\rows('made', $from, $from + 1)}");
		$xids[$number] = $sessions[$number]->query_safe('SELECT pg_current_xact_id()::xid');
	};
	my $commit = sub {
		my ($number) = @_;
		my $from = 801 + 10 * $number;

		$sessions[$number]->query_safe(
			"UPDATE made SET $changed WHERE id >= $from; ${\rows('made', $from + 2, $from + 3)}; COMMIT");
		$sessions[$number]->quit;
	};

	$begin->(0);
	my $client = start_client(
		$node,
		"SELECT pg_create_logical_replication_slot('late_$method', 'test_decoding');\n",
		database => $method);
	waits_for($xids[0]);
	$begin->(1);
	$commit->(0);
	waits_for($xids[1]);
	$begin->(2);
	$commit->(1);
	ok(finish_client($client), 'a slot made amidst transactions');
	$commit->(2);
	$node->safe_psql($method, rows('others', 711, 712));
}
same_changes(
	'slot made amidst transactions',
	{ INSERT => 6, UPDATE => 2 },
	slot => 'late');
same_changes('slot made before them', { INSERT => 14, UPDATE => 6 });

# --- another output plugin, if it is installed ---

if (-e `pg_config --pkglibdir` =~ s/\n/\/wal2json.so/r)
{
	my %output;
	my $allowed = $node->safe_psql('postgres',
		q{SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries'});

	if ($allowed ne '')
	{
		$node->append_conf('postgresql.conf',
			"output_plugin_libraries = '$allowed, wal2json'");
		$node->reload;
	}
	$node->safe_psql($_,
		"SELECT pg_create_logical_replication_slot('json_$_', 'wal2json')")
	  foreach @methods;
	in_both(<<"SQL");
${\rows('others', 901, 910)};
UPDATE others SET $changed WHERE id > 905;
UPDATE others SET note = 4 WHERE id > 900;
DELETE FROM others WHERE id > 908;
SQL
	foreach my $method (@methods)
	{
		$output{$method} = $node->safe_psql($method,
			"SELECT data FROM pg_logical_slot_get_changes('json_$method', NULL, NULL, "
			  . "'format-version', '2', 'include-transaction', 'false')");
	}
	ok($output{heap} eq $output{vecseg}, 'wal2json: the same as of heap tables');
	is(scalar(() = $output{vecseg} =~ /"action":/g), 27, 'wal2json: so many changes');
	in_both("SELECT pg_drop_replication_slot('json_:method')");
	same_changes('the same by test_decoding',
		{ INSERT => 10, UPDATE => 15, DELETE => 2 });
}

# --- a transaction too large for memory, a crash, and pg_recvlogical ---

my $spilled = { INSERT => 100, UPDATE => 150, DELETE => 20 };
decode('large transaction', <<"SQL", $spilled, how => 'peek');
BEGIN;
${\rows('others', 1001, 1050)};
UPDATE others SET $changed WHERE id BETWEEN 1001 AND 1050;
SAVEPOINT a;
${\rows('others', 1051, 1150)};
DELETE FROM others;
ROLLBACK TO a;
SAVEPOINT b;
${\rows('others', 1201, 1250)};
UPDATE others SET note = 1 WHERE id > 1000;
RELEASE b;
DELETE FROM others WHERE id > 1230;
COMMIT;
SQL
is( $node->safe_psql('vecseg',
		"SELECT count(*) FROM pg_stat_replication_slots WHERE slot_name = 'main_vecseg' AND spill_txns > 0"
	),
	1,
	'transactions were spilled to disk');
my @before = changes('vecseg', 'main', 'peek');
kill9($node);
start_after_crash($node);
same_changes('large transaction, after a crash', $spilled, how => 'peek');
$node->restart;
same_changes('large transaction, after a restart', $spilled, how => 'peek');
my $end = $node->lsn('insert');
my @received = split /\n/, $node->pg_recvlogical_upto('vecseg', 'main_vecseg',
	$end, $PostgreSQL::Test::Utils::timeout_default,
	'include-xids' => '0', 'skip-empty-xacts' => '1');
ok(join("\n", @received) eq join("\n", @before),
	'pg_recvlogical writes the same')
  or diag scalar @received, ' lines, not ', scalar @before;
$node->safe_psql('heap',
	"SELECT pg_replication_slot_advance('main_heap', '$end')");
decode('what comes next', rows('others', 1301, 1302), { INSERT => 2 });

foreach my $table (
	$node->safe_psql('vecseg',
		"SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'") =~ /\w+/g)
{
	check_store($node, qq("$table"), database => 'vecseg');
}
server_log_is_clean($node);
$node->stop;
done_testing();
