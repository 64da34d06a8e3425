# Replication in both directions at once, and of what was itself replicated. Each
# of two servers writes to a partition of its own, and has the other's; a third
# database has the first server's partition by way of the second. From version
# 16 on (origin = none), both servers write to one table besides.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my @nodes = map {
	vecseg_node(
		"node_$_",
		allows_streaming => 'logical',
		conf => "logical_decoding_work_mem = 64kB\nshared_buffers = 8MB\n")
} 1, 2;
my @connections = map { $_->connstr('postgres') =~ s/'/''/gr } @nodes;
my $one_table = $nodes[0]->pg_version >= 16;
my $rows = hard(200, 1000);
my $columns = 'id bigint, version int NOT NULL, embedding real[], '
  . 'note int DEFAULT 0, writer int';

# Ids of a row tell its writer: odd or even.
sub create_tables
{
	my ($node, $database) = @_;

	$node->safe_psql($database, <<"SQL");
SET default_table_access_method = vecseg;
CREATE TABLE items ($columns, PRIMARY KEY (writer, id)) PARTITION BY LIST (writer);
CREATE TABLE items_1 PARTITION OF items FOR VALUES IN (1);
CREATE TABLE items_2 PARTITION OF items FOR VALUES IN (2);
CREATE TABLE shared ($columns, PRIMARY KEY (id));
SQL
	return;
}

foreach my $i (1, 2)
{
	my $node = $nodes[ $i - 1 ];

	create_tables($node, 'postgres');
	$node->safe_psql('postgres', <<"SQL");
INSERT INTO items (id, version, embedding, writer)
	SELECT i, 1, vec(i, 1, 768), $i FROM generate_series(1::bigint, $rows) i;
CREATE PUBLICATION mine FOR TABLE items_$i;
CREATE PUBLICATION shared FOR TABLE shared;
CREATE PUBLICATION theirs FOR TABLE items_${\(3 - $i)};
SQL
}
$nodes[0]->safe_psql('postgres', 'CREATE DATABASE third');
install_vecseg($nodes[0], 'third');
create_tables($nodes[0], 'third');

sub subscribe
{
	my ($node, $database, $name, $connection, $publication, $options) = @_;

	$node->safe_psql($database,
		"CREATE SUBSCRIPTION $name CONNECTION '$connection' PUBLICATION $publication WITH ($options)");
	return;
}

subscribe($nodes[1], 'postgres', 'from_1', $connections[0], 'mine', 'streaming = on');
subscribe($nodes[0], 'postgres', 'from_2', $connections[1], 'mine', 'streaming = on');
$nodes[1]->wait_for_subscription_sync($nodes[0], 'from_1');
$nodes[0]->wait_for_subscription_sync($nodes[1], 'from_2');
subscribe($nodes[0], 'third', 'third', $connections[1], 'theirs', 'streaming = on');
$nodes[0]->wait_for_subscription_sync($nodes[1], 'third', 'third');
if ($one_table)
{
	subscribe($nodes[1], 'postgres', 'shared_1', $connections[0], 'shared', 'origin = none');
	subscribe($nodes[0], 'postgres', 'shared_2', $connections[1], 'shared',
		'origin = none, copy_data = false');
	$nodes[1]->wait_for_subscription_sync($nodes[0], 'shared_1');
	$nodes[0]->wait_for_subscription_sync($nodes[1], 'shared_2');
}

# Everything that a database has of a table
sub state_of
{
	my ($node, $database, $table) = @_;

	return $node->safe_psql($database,
		"SELECT count(*), md5(string_agg(md5(record_send(t)), '' ORDER BY writer, id)) FROM $table t");
}

sub compare
{
	my ($name) = @_;

	# what the one applied, the other may have to send on
	$nodes[0]->wait_for_catchup('from_1');
	$nodes[1]->wait_for_catchup('from_2');
	$nodes[1]->wait_for_catchup('third', 'replay', $nodes[1]->lsn('insert'));
	is( state_of($nodes[1], 'postgres', 'items'),
		state_of($nodes[0], 'postgres', 'items'),
		"$name: both sides are the same");
	is( state_of($nodes[0], 'third', 'items_1'),
		state_of($nodes[0], 'postgres', 'items_1'),
		"$name: so is what came by way of the other side");
	check_all($_, 'items', undef, name => "$name, " . $_->name) foreach @nodes;
	check_all($nodes[0], 'items_1', undef, database => 'third', name => "$name, third");
	return unless $one_table;
	$nodes[0]->wait_for_catchup('shared_1');
	$nodes[1]->wait_for_catchup('shared_2');
	is( state_of($nodes[1], 'postgres', 'shared'),
		state_of($nodes[0], 'postgres', 'shared'),
		"$name: one table");
	check_all($_, 'shared', undef, name => "$name, one table, " . $_->name) foreach @nodes;
	return;
}

compare('initial copies');

my $set = next_version();

sub script
{
	my ($writer) = @_;
	my $shared = $one_table ? <<"SQL" : '';
INSERT INTO shared SELECT i, 1, vec(i, 1, 768), 0, $writer FROM (SELECT 2 * :id + $writer) s(i) ON CONFLICT DO NOTHING;
UPDATE shared SET $set WHERE id = 2 * :other + $writer;
SQL

	return <<"SQL";
\\set id random(1, $rows)
\\set other random(1, $rows)
BEGIN;
UPDATE items SET $set WHERE writer = $writer AND id = :id;
UPDATE items SET note = note + 1 WHERE writer = $writer AND id BETWEEN :other AND :other + 3;
DELETE FROM items WHERE writer = $writer AND id = :other + 5;
${shared}SAVEPOINT a;
INSERT INTO items SELECT i, 3, vec(i, 3, 768), 0, $writer FROM generate_series(:other + 5, :other + 6) i ON CONFLICT DO NOTHING;
RELEASE a;
END;
SQL
}

my @options = ('-c', 3, '-t', hard(60, 1000), '--max-tries', 100);
my @runs = map {
	start_pgbench($nodes[ $_ - 1 ], \@options, "writer_$_" => script($_))
} 1, 2;
finish_pgbench($_) foreach @runs;
compare('writers at both sides');

$nodes[ $_ - 1 ]->safe_psql('postgres', "UPDATE items SET $set WHERE writer = $_")
  foreach 1, 2;
compare('large transactions');

kill9($_) foreach @nodes;
start_after_crash($_) foreach @nodes;
$nodes[ $_ - 1 ]->safe_psql('postgres', "UPDATE items SET note = -1, $set WHERE writer = $_ AND id % 2 = 0")
  foreach 1, 2;
compare('after a crash of both');

foreach my $node (@nodes)
{
	check_store($node, $_) foreach 'items_1', 'items_2', 'shared';
	server_log_is_clean($node);
}
check_store($nodes[0], 'items_1', database => 'third');
$_->stop foreach @nodes;
done_testing();
