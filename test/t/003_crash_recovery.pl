# After a crash at any moment every committed row is there with its exact
# vector, and nothing else is.
#
# Each client works on rows of its own, one transaction after the other, and
# psql writes down which of them were acknowledged. So after a crash the rows
# of a client must be what its acknowledged transactions made of them; the one
# transaction that was under way may have been committed or not.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $rounds = hard(20, 60);
my $clients = 3;
my $transactions = 800;
my $seed = $ENV{VECSEG_TEST_SEED} // time;

srand $seed;
note "VECSEG_TEST_SEED=$seed";

my $node = vecseg_node(
	'crash',
	wal_level => 'replica',
	conf => <<'CONF');
max_wal_senders = 5
wal_consistency_checking = ''
max_wal_size = 256MB
min_wal_size = 32MB
autovacuum_naptime = 1s
CONF

# A value of 1 to 3 MB that hardly shrinks when compressed
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION amcheck;
CREATE FUNCTION doc(id bigint, version int) RETURNS jsonb LANGUAGE sql
IMMUTABLE STRICT AS $$
SELECT jsonb_build_object('id', id, 'version', version, 'text',
	(SELECT string_agg(md5(format('%s.%s.%s', id, version, i)), '')
	 FROM generate_series(1, (id % 3 + 1)::int * 32000) i))
$$;
SQL

# The rows of each client: id => [version, note, docversion]
my @state;

sub new_tables
{
	@state = map { {} } 1 .. $clients;
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS items');
	create_table($node, 'items',
		columns => 'note int NOT NULL DEFAULT 0, docversion int, doc jsonb');
	$node->safe_psql('postgres', 'CREATE INDEX ON items (version)');
	return;
}

# A transaction: its SQL, and the rows as it leaves them (undef: deleted).
# $rows are the client's rows before it.
sub insert_rows
{
	my ($from, $count) = @_;
	my $to = $from + $count - 1;

	return ("INSERT INTO items (id, version, embedding) SELECT i, 1, "
		  . "vec(i, 1, 768) FROM generate_series(${from}::bigint, $to) i;\n",
		map { $_ => [ 1, 0, '' ] } $from .. $to);
}

sub copy_rows
{
	my ($from, $count) = @_;
	my $to = $from + $count - 1;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/rows_$from";

	$node->safe_psql('postgres',
		"COPY (SELECT i, 1, vec(i, 1, 768) FROM "
		  . "generate_series(${from}::bigint, $to) i) TO '$file'");
	return ("\\copy items (id, version, embedding) FROM '$file'\n",
		map { $_ => [ 1, 0, '' ] } $from .. $to);
}

sub change_rows
{
	my ($rows, @ids) = @_;
	my $list = join ',', @ids;

	return ('UPDATE items SET ' . next_version() . " WHERE id IN ($list);\n",
		map { my ($v, $n, $d) = @{ $rows->{$_} }; $_ => [ $v + 1, $n, $d ] }
		  @ids);
}

sub touch_rows
{
	my ($rows, @ids) = @_;
	my $list = join ',', @ids;

	return ("UPDATE items SET note = note + 1 WHERE id IN ($list);\n",
		map { my ($v, $n, $d) = @{ $rows->{$_} }; $_ => [ $v, $n + 1, $d ] }
		  @ids);
}

sub write_doc
{
	my ($rows, $id) = @_;
	my ($v, $n, $d) = @{ $rows->{$id} };
	my $new = ($d || 0) + 1;

	return ("UPDATE items SET docversion = $new, doc = doc(id, $new) "
		  . "WHERE id = $id;\n",
		$id => [ $v, $n, $new ]);
}

sub delete_rows
{
	my ($rows, @ids) = @_;
	my $list = join ',', @ids;

	return ("DELETE FROM items WHERE id IN ($list);\n", map { $_ => undef } @ids);
}

# Changes that are rolled back, before or after a savepoint
sub undone_changes
{
	my ($rows, $unused, @ids) = @_;
	my ($insert) = insert_rows($unused, 3);
	my ($change) = change_rows($rows, @ids);
	my ($delete) = delete_rows($rows, @ids);
	my ($kept, %kept) = touch_rows($rows, $ids[0]);

	return "BEGIN;\n$insert${change}ROLLBACK;\n" if rand() < 0.5;
	return ("BEGIN;\nSAVEPOINT a;\n$insert${change}ROLLBACK TO a;\n"
		  . "SAVEPOINT b;\n${delete}ROLLBACK TO b;\n${kept}COMMIT;\n", %kept);
}

sub apply
{
	my ($rows, %changes) = @_;

	while (my ($id, $row) = each %changes)
	{
		if (defined $row) { $rows->{$id} = $row; }
		else { delete $rows->{$id}; }
	}
	return;
}

# Five different ones of a list, if it has so many
sub some_of
{
	my (@list) = @_;
	my %some;

	return () if @list < 5;
	$some{ $list[ int rand @list ] } = 1 while keys %some < 5;
	return keys %some;
}

# The script of a client for a round, and what each of its transactions does.
sub write_script
{
	my ($client, $round, $with_docs) = @_;
	my %rows = %{ $state[$client] };
	my $next = ($client + 1) * 10_000_000 + $round * 100_000;
	my $script = "SET synchronous_commit = on;\n";
	my $copies = 0;
	my @changes;

	for my $number (1 .. $transactions)
	{
		my @some = some_of(keys %rows);
		my $dice = rand();
		my @result;

		if (!@some || $dice < 0.25) { @result = insert_rows($next++, 1); }
		elsif ($dice < 0.35) { @result = insert_rows($next, 20); $next += 20; }
		elsif ($dice < 0.40 && $copies < 3)
		{
			@result = copy_rows($next, 50);
			$next += 50;
			$copies++;
		}
		elsif ($dice < 0.60) { @result = change_rows(\%rows, $some[0]); }
		elsif ($dice < 0.70) { @result = change_rows(\%rows, @some); }
		elsif ($dice < 0.80) { @result = touch_rows(\%rows, @some); }
		elsif ($dice < 0.88) { @result = delete_rows(\%rows, @some[ 0, 1 ]); }
		elsif ($dice < 0.90 && $with_docs)
		{
			@result = write_doc(\%rows, $some[0]);
		}
		else { @result = undone_changes(\%rows, $next, @some); }

		my ($sql, @change) = @result;
		$script .= "$sql\\echo ack $number\n";
		push @changes, \@change;
		apply(\%rows, @change);
	}
	return ($script, \@changes);
}

# Work on other relations at the same time: files come, go and are replaced.
sub relation_script
{
	my ($round) = @_;
	my $script = '';

	for my $n (1 .. 40)
	{
		my $rows = 50 + int rand 300;
		my $select = "SELECT i AS id, $n AS version, vec(i, $n, 768) AS "
		  . "embedding FROM generate_series(1::bigint, $rows) i";

		$script .= <<"SQL";
CREATE TABLE made_${round}_$n USING vecseg AS $select;
\\echo ack made_${round}_$n $rows $n
BEGIN;
CREATE TABLE loaded_${round}_$n (id bigint PRIMARY KEY, version int,
	embedding real[]) USING vecseg;
COPY loaded_${round}_$n FROM PROGRAM
	'psql -XAtq -c "COPY ($select) TO STDOUT"';
COMMIT;
\\echo ack loaded_${round}_$n $rows $n
BEGIN;
TRUNCATE kept;
INSERT INTO kept $select;
COMMIT;
\\echo ack kept $rows $n
VACUUM FULL kept;
CLUSTER kept USING kept_pkey;
DELETE FROM kept WHERE id % 2 = 0;
INSERT INTO kept SELECT id + 1, version, vec(id + 1, version, 768) FROM kept
WHERE id + 1 <= $rows;
VACUUM kept;
SQL
	}
	return $script;
}

sub rows_text
{
	my ($rows) = @_;

	return join "\n", map { join '|', $_, @{ $rows->{$_} } }
	  sort { $a <=> $b } keys %$rows;
}

# Compare a client's rows with what it knows; they are its state from now on.
sub check_client
{
	my ($client, $acked, $changes, $name) = @_;
	my $low = ($client + 1) * 10_000_000;
	my $found = $node->safe_psql('postgres',
		"SELECT id, version, note, docversion FROM items WHERE id >= $low "
		  . "AND id < $low + 10000000 ORDER BY id");
	my $rows = $state[$client];

	apply($rows, @$_) foreach @$changes[ 0 .. $acked - 1 ];
	if ($found ne rows_text($rows) && $acked < @$changes)
	{
		# What was under way may have been committed.
		my %next = %$rows;

		apply(\%next, @{ $changes->[$acked] });
		%$rows = %next if $found eq rows_text(\%next);
	}
	ok($found eq rows_text($rows),
		"$name, client $client: exactly the committed rows are there")
	  or report_difference($found, rows_text($rows));
	return;
}

sub report_difference
{
	my ($found, $expected) = @_;
	my %found = map { $_ => 1 } split /\n/, $found;
	my %expected = map { $_ => 1 } split /\n/, $expected;
	my @lost = grep { !$found{$_} } sort keys %expected;
	my @extra = grep { !$expected{$_} } sort keys %found;

	diag 'missing: ', join ', ', splice @lost, 0, 20;
	diag 'not expected: ', join ', ', splice @extra, 0, 20;
	return;
}

sub check_relations
{
	my ($acks, $name) = @_;
	my $wrong = 0;

	foreach my $ack (@$acks)
	{
		my ($table, $rows, $version) = split / /, $ack;

		next if $table eq 'kept';
		my $found = $node->safe_psql('postgres',
			"SELECT count(*) FROM $table WHERE version = $version AND NOT "
			  . wrong_vectors());
		$wrong++ if $found != $rows;
		diag "$table has $found of $rows rows" if $found != $rows;
		$node->safe_psql('postgres', "DROP TABLE $table");
	}
	is($wrong, 0, "$name: all rows of " . @$acks . ' new relations');
	check_all($node, 'kept', undef, name => "$name, replaced table");
	check_store($node, 'kept', name => "$name, replaced table");
	is( $node->safe_psql('postgres',
			'SELECT count(DISTINCT version) <= 1, '
			  . 'coalesce(max(id) = count(*) OR max(id) / 2 <= count(*), true) '
			  . 'FROM kept'),
		't|t',
		"$name: the replaced table is whole");
	return;
}

sub check_indexes
{
	my ($name) = @_;

	my $checked = $node->safe_psql('postgres',
		"SELECT bt_index_check(c.oid, true) FROM pg_class c "
		  . "WHERE relname IN ('items_pkey', 'items_version_idx', 'kept_pkey')");
	pass("$name: amcheck finds no fault in the indexes");
	foreach my $key ('id', 'version')
	{
		my @sum = map {
			$node->safe_psql('postgres',
				"SET enable_seqscan = $_; SET enable_indexscan = "
				  . ($_ eq 'on' ? 'off' : 'on')
				  . '; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; '
				  . "SELECT count(*), sum(hashint8extended(id, version)), "
				  . "sum(hashint8extended(id, note)) FROM items "
				  . "WHERE $key > -1000")
		} ('on', 'off');
		is($sum[0], $sum[1], "$name: index on $key and table agree");
	}
	return;
}

# Settings that differ between rounds. "all" by itself does not include the
# resource managers of libraries, when it is set in postgresql.conf.
sub configure
{
	my ($round) = @_;
	my $minimal = $round % 4 == 3;

	$node->adjust_conf('postgresql.conf', 'wal_level',
		$minimal ? 'minimal' : 'replica');
	$node->adjust_conf('postgresql.conf', 'max_wal_senders',
		$minimal ? 0 : 5);
	$node->adjust_conf('postgresql.conf', 'wal_consistency_checking',
		$round % 3 == 1 ? "'all, vecseg'" : "''");
	return sprintf 'round %d%s%s', $round, $minimal ? ', wal_level minimal' : '',
	  $round % 3 == 1 ? ', consistency checking' : '';
}

create_table($node, 'kept');
my $name = configure(1);
$node->restart;
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;

for my $round (1 .. $rounds)
{
	is($node->safe_psql('postgres', 'SHOW wal_consistency_checking'),
		$round % 3 == 1 ? 'all, vecseg' : '', "$name: setting");
	new_tables() if $round % 5 == 1;

	my $target = 30 + int rand 400;
	my @scripts = map { [ write_script($_, $round, $round % 2) ] }
	  0 .. $clients - 1;
	my @workers = map { start_client($node, $_->[0]) } @scripts;
	my $relations = start_client($node, relation_script($round));

	# With few checkpoints there is more to recover.
	my $pause = (0.05, 0.5, 100, 100)[ $round % 4 ];
	my $checkpoints =
	  start_client($node, "SELECT pg_sleep($pause); CHECKPOINT;\n" x 1000);

	wait_for_acks(\@workers, $target);

	# Some crashes fall into a checkpoint, some into a rewrite.
	my $last;
	if ($round % 3 == 0)
	{
		$last = start_client($node, "CHECKPOINT;\n" x 100);
		usleep(rand 100_000);
	}
	elsif ($round % 3 == 1)
	{
		$last = start_client($node,
			"VACUUM FULL items; CLUSTER items USING items_pkey;\n" x 20);
		usleep(rand 400_000);
	}
	kill9($node);
	finish_client($_)
	  foreach grep { defined } @workers, $relations, $checkpoints, $last;

	my $next = configure($round + 1);
	my $started = start_after_crash($node, fail_ok => 1);
	ok($started, "$name: recovery") or BAIL_OUT('no recovery after the crash');

	my $acks = 0;
	foreach my $client (0 .. $clients - 1)
	{
		my $acked = scalar(my @list = client_acks($workers[$client]));

		$acks += $acked;
		check_client($client, $acked, $scripts[$client][1], $name);
	}
	cmp_ok($acks, '>=', 30, "$name: $acks transactions before the crash");
	check_all($node, 'items', undef, name => "$name, table");
	check_store($node, 'items', name => $name);
	check_all($node, 'vecseg_scroll(NULL::items)', undef,
		name => "$name, scroll");
	is( $node->safe_psql('postgres',
			'SELECT count(*) FROM items WHERE doc IS DISTINCT FROM '
			  . 'doc(id, docversion)'),
		0,
		"$name: all large values");
	check_relations([ client_acks($relations) ], $name);
	check_indexes($name);
	$name = $next;
}
server_log_is_clean($node);
$node->stop;
done_testing();
