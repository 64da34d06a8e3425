# Subscriptions with every option to every kind of published table: after each
# kind of change the rows are the same at both sides, all vectors and other
# large values included.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $publisher = vecseg_node(
	'publisher',
	allows_streaming => 'logical',
	conf => <<'CONF');
shared_buffers = 8MB
max_replication_slots = 40
max_wal_senders = 40
logical_decoding_work_mem = 64kB
CONF
my $subscriber = vecseg_node(
	'subscriber',
	allows_streaming => 'logical',
	conf => <<'CONF');
shared_buffers = 8MB
max_logical_replication_workers = 30
max_worker_processes = 40
max_sync_workers_per_subscription = 2
max_replication_slots = 60
CONF

# Databases of the subscriber: access method of their tables, and options
my $parallel = $publisher->pg_version >= 16 ? 'parallel' : 'on';
my %databases = (
	plain => [ 'vecseg', '' ],
	in_binary => [ 'vecseg', "binary = true, streaming = $parallel" ],
	two_phase => [ 'vecseg', 'two_phase = true' ],
	heap => [ 'heap', 'streaming = on, two_phase = true' ]);
my @databases = sort keys %databases;

# Kinds of tables, made by CREATE TABLE with these columns. "after" is more SQL
# for both sides, "publisher" and "subscriber" are definitions for one side in
# place of that, with {t} for the table's name. "published" says which part
# of the table is.
my $columns = 'id bigint NOT NULL, version int NOT NULL, embedding real[], '
  . 'note int DEFAULT 0, more real[], third double precision[], doc text';
my $key = 'PRIMARY KEY (id)';
my $partitions = join ' ', map {
	sprintf 'CREATE TABLE {t}_%d PARTITION OF {t} FOR VALUES FROM (%s) TO (%s);',
	  $_, ($_ == 0 ? 'MINVALUE' : 100 * $_), ($_ == 2 ? 'MAXVALUE' : 100 * $_ + 100)
} 0 .. 2;
my $plain_table = "CREATE TABLE {t} ($columns, $key);";
my $partitioned_table =
  "CREATE TABLE {t} ($columns, $key) PARTITION BY RANGE (id); $partitions";
my %kinds = (
	by_key => { after => "ALTER TABLE {t} ADD $key" },
	by_index => {
		after => 'CREATE UNIQUE INDEX {t}_id ON {t} (id, version); '
		  . 'ALTER TABLE {t} REPLICA IDENTITY USING INDEX {t}_id' },
	by_all => { after => 'ALTER TABLE {t} REPLICA IDENTITY FULL' },
	key_filter => {
		after => "ALTER TABLE {t} ADD $key",
		where => 'id % 2 = 0' },
	row_filter => {
		after => "ALTER TABLE {t} ADD $key; "
		  . 'ALTER TABLE {t} REPLICA IDENTITY FULL',
		where => 'note > 0' },
	vector_filter => {
		after => 'ALTER TABLE {t} REPLICA IDENTITY FULL',
		where => 'cardinality(more) > 20 AND cardinality(embedding) > 730' },
	columns => {
		after => "ALTER TABLE {t} ADD $key",
		columns => 'id, version, more' },
	by_root => {
		publisher => $partitioned_table,
		subscriber => $plain_table,
		root => 1 },
	by_leaf => { publisher => $partitioned_table, subscriber => $partitioned_table },
	routed => { publisher => $plain_table, subscriber => $partitioned_table });

# Tables: each kind as vecseg, and some as heap at the publisher.
my %tables = (
	(map { $_ => [ 'vecseg', $_ ] } keys %kinds),
	(map { ("heap_$_" => [ 'heap', $_ ]) } qw(by_key by_all by_root)));
my @tables = sort keys %tables;

sub create_side
{
	my ($node, $database, $side, $method) = @_;
	my $sql = '';

	foreach my $table (@tables)
	{
		my %kind = %{ $kinds{ $tables{$table}[1] } };
		my $definition = $kind{$side}
		  // "CREATE TABLE {t} ($columns); $kind{after};";

		$sql .= sprintf "SET default_table_access_method = %s;\n%s\n",
		  $method // $tables{$table}[0], $definition =~ s/\{t\}/$table/gr;
	}
	$node->safe_psql($database, $sql);
	return;
}

# The statement that shows what is published of a table
sub published
{
	my ($table) = @_;
	my %kind = %{ $kinds{ $tables{$table}[1] } };

	return sprintf 'SELECT %s FROM %s WHERE %s', $kind{columns} // '*', $table,
	  $kind{where} // 'true';
}

# One line per table: its number of rows, and a hash of them all.
sub state_of
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database,
		join("\nUNION ALL\n",
			map {
				sprintf
				  "(SELECT '$_', count(*), md5(string_agg(md5(record_send(x)), '' ORDER BY id)) FROM (%s) x)",
				  published($_)
			} @tables)
		  . "\nORDER BY 1");    # a parallel plan has its own order
}

sub compare
{
	my ($name) = @_;
	my $expected = state_of($publisher, 'postgres');

	$publisher->wait_for_catchup($_) foreach @databases;
	foreach my $database (@databases)
	{
		is(state_of($subscriber, $database), $expected, "$name: $database");
	}
	return;
}

# Run SQL for each table, in a transaction for all of them or one for each
sub change
{
	my ($name, $sql, %options) = @_;
	my @statements = map { $sql =~ s/\{t\}/$_/gr } @tables;

	$publisher->safe_psql('postgres',
		$options{together}
		? join "\n", 'BEGIN;', @statements, 'COMMIT;'
		: join "\n", @statements);
	compare($name);
	return;
}

sub rows
{
	my ($from, $to, $version) = @_;

	$version //= 1;
	return "INSERT INTO {t} SELECT i, $version, vec(i, $version, 768), i % 3, vec(i, 0, CASE WHEN i % 5 = 0 THEN 15 ELSE 100 END), "
	  . 'vec(i, 0, 300)::double precision[], CASE WHEN i % 10 = 0 THEN vec(i, 0, 2000)::text END '
	  . "FROM generate_series(${from}::bigint, $to) i;";
}

my $set = next_version();

create_side($publisher, 'postgres', 'publisher');
foreach my $table (@tables)
{
	$publisher->safe_psql('postgres',
		rows(1, 24) =~ s/\{t\}/$table/r . rows(95, 105) =~ s/\{t\}/$table/r);
}
my %publications = (leaves => [], roots => []);
foreach my $table (@tables)
{
	my %kind = %{ $kinds{ $tables{$table}[1] } };

	push @{ $publications{ $kind{root} ? 'roots' : 'leaves' } },
	  $table
	  . ($kind{columns} ? " ($kind{columns})" : '')
	  . ($kind{where} ? " WHERE ($kind{where})" : '');
}
foreach my $publication (sort keys %publications)
{
	$publisher->safe_psql('postgres',
		"CREATE PUBLICATION $publication FOR TABLE "
		  . join(', ', @{ $publications{$publication} })
		  . ' WITH (publish_via_partition_root = '
		  . ($publication eq 'roots' ? 'true)' : 'false)'));
}
my $connection = $publisher->connstr('postgres') =~ s/'/''/gr;
foreach my $database (@databases)
{
	my ($method, $options) = @{ $databases{$database} };

	$subscriber->safe_psql('postgres', "CREATE DATABASE $database");
	install_vecseg($subscriber, $database);
	create_side($subscriber, $database, 'subscriber', $method);
	$subscriber->safe_psql($database,
		"CREATE SUBSCRIPTION $database CONNECTION '$connection' "
		  . 'PUBLICATION roots, leaves'
		  . ($options ? " WITH ($options)" : ''));
}
$subscriber->wait_for_subscription_sync($publisher, $_, $_) foreach @databases;
compare('initial copy');

change('insert', rows(201, 215));
change('changed vectors', "UPDATE {t} SET $set WHERE id % 3 = 0;");
change('vectors left alone', 'UPDATE {t} SET note = note + 1;');
change('one of three changed',
	'UPDATE {t} SET more = vec(id, 3, 100) WHERE id % 2 = 0;');
change('rows that come and go by the filters', <<'SQL');
UPDATE {t} SET note = -note WHERE id % 4 = 0;
UPDATE {t} SET more = vec(id, 4, CASE WHEN id % 3 = 0 THEN 10 ELSE 50 END) WHERE id % 3 < 2;
UPDATE {t} SET version = version + 1, embedding = vec(id, version + 1, 700) WHERE id % 4 = 0;
UPDATE {t} SET note = 7 WHERE id % 8 = 0;
SQL
change('vectors to null and back', <<"SQL");
UPDATE {t} SET embedding = NULL, third = NULL WHERE id % 7 = 0;
UPDATE {t} SET note = note + 1 WHERE id % 7 = 0;
UPDATE {t} SET $set WHERE id % 7 = 0;
SQL
change('large values', <<'SQL');
UPDATE {t} SET doc = vec(id, 1, 9000)::text WHERE id % 9 = 0;
UPDATE {t} SET note = note + 1 WHERE id % 9 = 0;
SQL
change('change of key, also between partitions', <<'SQL');
UPDATE {t} SET id = id + 100 WHERE id BETWEEN 10 AND 14;
UPDATE {t} SET id = id + 1000, version = 7, embedding = vec(id + 1000, 7, 768) WHERE id BETWEEN 15 AND 19;
SQL

# Old values that a heap table's row had out of line are not sent by the server when
# a new key brings the row into the filter; so those are new. Small ones are sent.
change('change of key, into and out of the filter', <<'SQL');
UPDATE {t} SET id = id + 501, embedding = vec(id + 501, version, 768),
	third = vec(id + 501, 5, 300)::double precision[], doc = NULL WHERE id > 1000;
SQL
change('delete', 'DELETE FROM {t} WHERE id % 5 = 1;');
change('all tables in one transaction', rows(301, 310) . <<"SQL", together => 1);
UPDATE {t} SET $set WHERE id % 2 = 1;
DELETE FROM {t} WHERE id = 302;
SQL
change('subtransactions', <<"SQL", together => 1);
SAVEPOINT a;
${\rows(401, 403)}
UPDATE {t} SET $set WHERE id < 20;
ROLLBACK TO a;
SAVEPOINT b;
${\rows(401, 406)}
UPDATE {t} SET note = 3 WHERE id > 300;
SAVEPOINT c;
DELETE FROM {t};
ROLLBACK TO c;
UPDATE {t} SET $set WHERE id > 400;
RELEASE b;
SQL
my $file = "$PostgreSQL::Test::Utils::tmp_check/rows";
$publisher->safe_psql('postgres',
	"COPY (SELECT id + 2000, version, vec(id + 2000, version, 768), note, more, third, doc "
	  . "FROM by_key) TO '$file' (FORMAT binary)");
change('copy', "COPY {t} FROM '$file' (FORMAT binary);");
is( $publisher->safe_psql('postgres',
		'SELECT count(*) FROM pg_stat_replication_slots '
		  . "WHERE stream_txns > 0 AND slot_name IN ('in_binary', 'heap')"),
	2,
	'transactions were streamed');
is( $publisher->safe_psql('postgres',
		'SELECT count(*) FROM pg_stat_replication_slots '
		  . "WHERE spill_txns > 0 AND slot_name IN ('plain', 'two_phase')"),
	2,
	'transactions were spilled to disk');

# Prepared transactions
my $prepared = join "\n", map { s/\{t\}/$_/gr } map {
	my $table = $_;
	map { s/\{t\}/$table/gr } rows(501, 503),
	  "UPDATE {t} SET $set WHERE id % 2 = 0; DELETE FROM {t} WHERE id % 11 = 0;"
} @tables;
my $seen = "SELECT count(*) FROM pg_prepared_xacts WHERE database = '%s'";
foreach my $end ('ROLLBACK', 'COMMIT')
{
	$publisher->safe_psql('postgres',
		"BEGIN; $prepared PREPARE TRANSACTION 'prepared'");
	compare("prepared, before $end");
	foreach my $database (@databases)
	{
		is( $subscriber->safe_psql($database, sprintf $seen, $database),
			$databases{$database}[1] =~ /two_phase/ ? 1 : 0,
			"prepared transactions in $database");
	}
	kill9($publisher);
	start_after_crash($publisher);
	$publisher->safe_psql('postgres', "$end PREPARED 'prepared'");
	compare("$end of a prepared transaction");
	is( $subscriber->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'),
		0, "no prepared transaction after $end");
}

change('truncate', 'TRUNCATE {t}; ' . rows(601, 615));
change('rewritten at the publisher', "VACUUM FULL {t}; UPDATE {t} SET note = 9 WHERE id % 2 = 0; UPDATE {t} SET $set WHERE id % 3 = 0;");

# Rewritten at the subscriber, and copied anew
foreach my $database (@databases)
{
	$subscriber->safe_psql($database, 'VACUUM FULL');
	$subscriber->safe_psql($database,
		qq(ALTER SUBSCRIPTION $database DISABLE; TRUNCATE by_key; )
		  . "UPDATE pg_subscription_rel SET srsubstate = 'i', srsublsn = NULL WHERE srrelid = 'by_key'::regclass; "
		  . "ALTER SUBSCRIPTION $database ENABLE");
}
$subscriber->wait_for_subscription_sync($publisher, $_, $_) foreach @databases;
change('rewritten at the subscriber', "UPDATE {t} SET $set;");

foreach my $database (@databases)
{
	foreach my $table (@tables)
	{
		check_all($subscriber, $table, undef, database => $database,
			name => "$table of $database")
		  unless $table eq 'columns';
	}
	$subscriber->safe_psql($database, "DROP SUBSCRIPTION $database");
}
foreach my $target ([ $publisher, 'postgres' ],
	map { [ $subscriber, $_ ] } grep { $_ ne 'heap' } @databases)
{
	my ($node, $database) = @$target;

	is($node->safe_psql($database, <<'SQL'), '', "sound stores of $database");
SELECT c.relname, p.* FROM pg_class c JOIN pg_am a ON a.oid = c.relam, vecseg_check(c.oid) p
WHERE a.amname = 'vecseg' AND c.relkind = 'r'
SQL
}
server_log_is_clean($_) foreach $publisher, $subscriber;
$subscriber->stop;
$publisher->stop;
done_testing();
