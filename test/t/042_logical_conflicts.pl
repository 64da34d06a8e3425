# Where replicated changes meet changes made at the subscriber: on vecseg tables
# the same happens as on heap tables. Two databases of the subscriber differ in
# their default table access method only.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my @methods = ('heap', 'vecseg');
my $publisher = vecseg_node(
	'publisher',
	allows_streaming => 'logical',
	conf => "logical_decoding_work_mem = 64kB\n");
my $subscriber = vecseg_node(
	'subscriber',
	allows_streaming => 'logical',
	conf => "wal_retrieve_retry_interval = 100ms\n");
my $connection = $publisher->connstr('postgres') =~ s/'/''/gr;
my $set = next_version();
my @tables = ('items', 'by_all');

sub rows
{
	my ($table, $from, $to, $version) = @_;

	return "INSERT INTO $table SELECT i, $version, vec(i, $version, 768) "
	  . "FROM generate_series(${from}::bigint, $to) i";
}

my $create = join ' ', map {
	"CREATE TABLE $_ (id bigint UNIQUE, version int NOT NULL, "
	  . 'embedding real[], note int DEFAULT 0);'
} @tables;
$create .= ' ALTER TABLE items ADD PRIMARY KEY (id); '
  . 'ALTER TABLE by_all REPLICA IDENTITY FULL';

$publisher->safe_psql('postgres',
	"SET default_table_access_method = vecseg; $create; "
	  . rows('items', 1, 50, 1) . '; ' . rows('by_all', 1, 50, 1)
	  . '; CREATE PUBLICATION pub FOR ALL TABLES');
foreach my $method (@methods)
{
	$subscriber->safe_psql('postgres', "CREATE DATABASE $method");
	install_vecseg($subscriber, $method);
	$subscriber->safe_psql('postgres',
		"ALTER DATABASE $method SET default_table_access_method = $method");
	$subscriber->safe_psql($method, $create);
	$subscriber->safe_psql($method,
		"CREATE SUBSCRIPTION $method CONNECTION '$connection' "
		  . 'PUBLICATION pub WITH (streaming = on)');
}
$subscriber->wait_for_subscription_sync($publisher, $_, $_) foreach @methods;

sub in_both
{
	my ($sql) = @_;

	$subscriber->safe_psql($_, $sql =~ s/:method/$_/gr) foreach @methods;
	return;
}

sub at_publisher
{
	my ($sql) = @_;

	$publisher->safe_psql('postgres', $sql);
	return;
}

# All rows of both tables
sub state_of
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database,
		join ' UNION ALL ',
		map {
			"(SELECT '$_', count(*), sum(version), sum(note), md5(string_agg(md5(record_send(t)), '' ORDER BY id)) FROM $_ t)"
		} @tables);
}

# Assert that both databases hold the same: if $where is given, rows and
# vectors of "items" as told by it.
sub same
{
	my ($name, %options) = @_;

	$publisher->wait_for_catchup($_) foreach @methods;
	my ($heap, $vecseg) = map { state_of($subscriber, $_) } @methods;
	is($vecseg, $heap, "$name: the same as on heap");
	is($vecseg, state_of($publisher, 'postgres'), "$name: as at the publisher")
	  if $options{equal};
	foreach my $table (@tables)
	{
		check_all($subscriber, $table, undef, database => 'vecseg', name => $name);
	}
	return;
}

sub has
{
	my ($query, $expected, $name) = @_;

	is($subscriber->safe_psql($_, $query), $expected, "$name, $_")
	  foreach @methods;
	return;
}

# Wait until the apply worker of each database has failed with an error, and
# return the ends of the transactions that it failed with.
my %offset = map { $_ => 0 } @methods;

sub failures
{
	my ($message) = @_;
	my @ends;

	foreach my $method (@methods)
	{
		my $subscription = $subscriber->safe_psql($method,
			"SELECT oid FROM pg_subscription WHERE subname = '$method'");
		my $pattern = qr/ERROR:  $message(?:(?!ERROR:).)*?CONTEXT:  processing remote data for replication origin "pg_$subscription" [^\n]*finished at ([0-9A-F]+\/[0-9A-F]+)/s;

		$subscriber->wait_for_log($pattern, $offset{$method});
		slurp_file($subscriber->logfile, $offset{$method}) =~ $pattern;
		push @ends, $1;
	}
	return @ends;
}

sub forget_log
{
	%offset = map { $_ => -s $subscriber->logfile } @methods;
	return;
}

same('initial copy', equal => 1);

# --- a key that is taken ---

# Version 18 tells of conflicts in words of its own.
my $taken = $subscriber->pg_version >= 18
  ? 'conflict detected on relation "public\.items": conflict=multiple_unique_conflicts'
  : 'duplicate key value violates unique constraint "items_(?:pkey|id_key)"';

in_both(rows('items', 100, 100, 9));
at_publisher('BEGIN; ' . rows('items', 99, 101, 1) . "; UPDATE items SET $set WHERE id < 5; COMMIT");
failures($taken);
has('SELECT count(*), max(version) FROM items', '51|9', 'nothing of a failed transaction');
in_both('DELETE FROM items WHERE id = 100');
same('once the row is out of the way', equal => 1);
forget_log();

# --- ALTER SUBSCRIPTION ... SKIP, also of a streamed transaction ---

foreach my $last (203, 500)
{
	my $name = $last > 300 ? 'streamed transaction' : 'transaction';

	in_both(rows('items', 202, 202, 9));
	at_publisher('BEGIN; ' . rows('items', 201, $last, 1) . "; UPDATE by_all SET $set; COMMIT");
	at_publisher(rows('items', 600, 601, 1));
	my @ends = failures($taken);
	foreach my $i (0, 1)
	{
		$subscriber->safe_psql($methods[$i],
			"ALTER SUBSCRIPTION $methods[$i] SKIP (lsn = '$ends[$i]')");
	}
	same("skipped $name");
	has('SELECT count(*), sum(version) FROM items WHERE id BETWEEN 201 AND 601', '3|11',
		"skipped $name: only what came after it");

	# As at the publisher again; the rows of "by_all" differ in the whole.
	in_both('DELETE FROM items WHERE id = 202; DELETE FROM by_all');
	at_publisher('DELETE FROM items WHERE id > 200; DELETE FROM by_all; ' . rows('by_all', 1, 50, 1));
	same("after a skipped $name", equal => 1);
	forget_log();
}
cmp_ok(
	$publisher->safe_psql('postgres',
		"SELECT sum(stream_txns) FROM pg_stat_replication_slots"),
	'>', 0, 'transactions were streamed');

# --- disable_on_error ---

in_both('ALTER SUBSCRIPTION :method SET (disable_on_error = true)');
in_both(rows('by_all', 300, 300, 9));
at_publisher('BEGIN; ' . rows('by_all', 300, 301, 1) . "; UPDATE items SET $set; COMMIT");
foreach my $method (@methods)
{
	$subscriber->poll_query_until($method,
		"SELECT NOT subenabled FROM pg_subscription WHERE subname = '$method'")
	  or BAIL_OUT("subscription $method was not disabled");
}
has('SELECT count(*) FROM by_all WHERE id >= 300', 1, 'disabled by an error');
in_both('DELETE FROM by_all WHERE id = 300; ALTER SUBSCRIPTION :method ENABLE');
same('enabled again', equal => 1);
in_both('ALTER SUBSCRIPTION :method SET (disable_on_error = false)');

# --- rows that are not there, and rows that are not what they were ---

in_both('DELETE FROM items WHERE id <= 10; DELETE FROM by_all WHERE id <= 10');
at_publisher(
	"UPDATE items SET $set WHERE id <= 12; UPDATE items SET note = 1 WHERE id <= 12; DELETE FROM items WHERE id IN (1, 11); "
	  . "UPDATE by_all SET $set WHERE id <= 12; UPDATE by_all SET note = 1 WHERE id <= 12; DELETE FROM by_all WHERE id IN (1, 11)");
same('missing rows');
has('SELECT min(id), count(*) FROM items', '12|42', 'missing rows stay missing');
has('SELECT min(id), count(*) FROM by_all', '12|41', 'missing rows stay missing');

# A vector that the publisher left alone is kept; with REPLICA IDENTITY FULL the
# row is not found by another vector.
in_both("UPDATE items SET $set WHERE id = 20; UPDATE by_all SET $set WHERE id = 20");
at_publisher('UPDATE items SET note = 5 WHERE id = 20; UPDATE by_all SET note = 5 WHERE id = 20');
$publisher->wait_for_catchup($_) foreach @methods;
my $version = $publisher->safe_psql('postgres', 'SELECT version FROM items WHERE id = 20') + 1;
has("SELECT note, embedding = vec(id, $version, 768) FROM items WHERE id = 20", '5|t', 'vector that was changed here');
has('SELECT version, note FROM by_all WHERE id = 20', '2|0', 'row that was changed here');
in_both("UPDATE items SET version = $version - 1, embedding = vec(id, $version - 1, 768) WHERE id = 20");
same('rows changed here');

# --- locks ---

# Hold rows in both databases, wait until the apply workers want them, and go on.
sub locked
{
	my ($name, $lock, $change, $end) = @_;
	my @sessions = map { $subscriber->background_psql($_) } @methods;

	$_->query_safe("BEGIN; $lock") foreach @sessions;
	at_publisher($change);
	foreach my $method (@methods)
	{
		$subscriber->poll_query_until($method,
			"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%worker' "
			  . "AND datname = '$method' AND wait_event_type = 'Lock'")
		  or BAIL_OUT("the apply worker of $method does not wait");
	}
	foreach my $session (@sessions)
	{
		$session->query_safe($end);
		$session->quit;
	}
	same($name);
	return;
}

# a later change of the same rows, that would tell
my $later = 'UPDATE items SET note = note + 1 WHERE id BETWEEN 30 AND 39';
locked('row that is locked', 'SELECT FROM items WHERE id = 30 FOR UPDATE',
	"UPDATE items SET $set WHERE id = 30; $later", 'COMMIT');
locked('key that is locked', 'SELECT FROM items WHERE id = 31 FOR KEY SHARE',
	"BEGIN; DELETE FROM items WHERE id = 31; " . rows('items', 31, 31, 2) . "; COMMIT; $later", 'COMMIT');
locked('row that is being changed',
	"UPDATE items SET $set, note = 50 WHERE id = 32",
	"UPDATE items SET version = version + 2, embedding = vec(id, version + 2, 768) WHERE id = 32; $later",
	'COMMIT');
locked('row whose change is rolled back',
	"UPDATE items SET $set, note = 50 WHERE id = 33",
	"UPDATE items SET $set WHERE id = 33; UPDATE items SET note = 5 WHERE id = 33; $later",
	'ROLLBACK');
locked('row that is being deleted', 'DELETE FROM items WHERE id = 34',
	"BEGIN; UPDATE items SET $set WHERE id = 34; DELETE FROM items WHERE id = 35; COMMIT; $later",
	'COMMIT');
has('SELECT count(*) FROM items WHERE id IN (34, 35)', 0, 'rows deleted here and there');
locked('key that is being inserted', rows('items', 700, 700, 4),
	'BEGIN; ' . rows('items', 700, 702, 1) . '; COMMIT', 'ROLLBACK');
locked('row found by all its columns',
	"UPDATE by_all SET note = 9 WHERE id = 30",
	"UPDATE by_all SET $set WHERE id = 30; UPDATE by_all SET note = 3 WHERE id = 30", 'ROLLBACK');

# --- triggers of the subscriber ---

in_both(<<'SQL');
CREATE TABLE seen (id bigint, version int, embedding real[]);
CREATE FUNCTION observe() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (OLD.id, OLD.version, OLD.embedding);
	NEW.note := -1;
	RETURN NEW;
END $$;
CREATE TRIGGER observe BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION observe();
ALTER TABLE items ENABLE ALWAYS TRIGGER observe;
SQL
at_publisher("UPDATE items SET $set WHERE id BETWEEN 40 AND 45; UPDATE items SET note = 8 WHERE id BETWEEN 40 AND 49");
same('trigger');
has('SELECT count(*) FROM items WHERE note = -1', 10, 'rows changed by a trigger');
has('SELECT count(*), count(*) FILTER (WHERE ' . wrong_vectors() . ') FROM seen',
	'16|0', 'vectors seen by a trigger');

check_store($subscriber, $_, database => 'vecseg') foreach @tables, 'seen';
check_store($publisher, $_) foreach @tables;
server_log_is_clean($_) foreach $publisher, $subscriber;
$subscriber->stop;
$publisher->stop;
done_testing();
