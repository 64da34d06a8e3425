# Everything at once, and the server killed at random, again and again: clients
# change rows in every way, others vacuum, rewrite, alter, move and truncate
# tables, build indexes and force checkpoints, readers on the primary and on a
# standby compare each vector they see. After each crash what was committed is
# there, and nothing else; in the end the standby goes on where the primary
# stopped.

use strict;
use warnings;

use AckedWork;
use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $seconds = $ENV{VECSEG_TEST_STORM_SECONDS} // hard(120, 1800);
my $seed = $ENV{VECSEG_TEST_SEED} // time;
my $stable = 2000;	# rows with ids up to this are never deleted

srand $seed;
note "VECSEG_TEST_SEED=$seed";

my $primary = vecseg_node(
	'primary',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 8MB
max_wal_size = 256MB
deadlock_timeout = 200ms
max_standby_streaming_delay = 2s
autovacuum_naptime = 1s
autovacuum_max_workers = 3
autovacuum_vacuum_cost_delay = 0
autovacuum_vacuum_threshold = 20
autovacuum_vacuum_scale_factor = 0.02
autovacuum_vacuum_insert_threshold = 50
autovacuum_vacuum_insert_scale_factor = 0.02
autovacuum_analyze_threshold = 50
autovacuum_analyze_scale_factor = 0.05
vacuum_freeze_min_age = 1000
allow_in_place_tablespaces = on
min_parallel_index_scan_size = 0
min_parallel_table_scan_size = 0
CONF

create_table($primary, 'items', columns => acked_columns());
fill_table($primary, 'items', 1, $stable);
create_table($primary, 'side', columns => 'note int NOT NULL DEFAULT 0');
create_table($primary, 'lone');
create_must_be_zero($primary);
$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION amcheck;
CREATE SEQUENCE new_id START 1000000;
CREATE INDEX items_note ON items (note);
CREATE TABLESPACE storm_space LOCATION '';
SQL
fill_table($primary, 'side', 1, 300);
fill_table($primary, 'lone', 1, 100);

# Before there is a standby: ending a server while a standby connects to it makes
# the server say "canceling authentication due to timeout".
configure(1);
$primary->restart;

my $standby = start_standby($primary);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = 2s');
$standby->reload;

my $wrong = wrong_vectors();
my $set = next_version();

# Writers. pgbench tries again after deadlocks and serialization failures;
# every other error ends it. That MERGE meets a row that another transaction
# has just inserted is an error on any table; so it is for ON CONFLICT while
# REINDEX CONCURRENTLY builds an index, which is unique but not yet one that
# conflicts are looked for in.
my %writers = (
	'w_update@6' => <<"SQL",
\\set id random(1, $stable)
UPDATE items SET $set WHERE id = :id;
SQL
	'w_hot_row@2' => <<"SQL",
\\set id random(1, 5)
UPDATE items SET $set, note = note + 1 WHERE id = :id;
SQL
	'w_touch@4' => <<"SQL",
\\set id random(1, $stable)
UPDATE items SET docversion = NULL WHERE id = :id;
SQL
	'w_several@2' => <<"SQL",
\\set id random(1, $stable - 10)
UPDATE items SET $set WHERE id BETWEEN :id AND :id + 5;
SQL
	'w_insert@3' =>
	  'INSERT INTO items (id, version, embedding) '
	  . "SELECT i, 1, vec(i, 1, 768) FROM nextval('new_id') i;\n",
	'w_insert_many@1' =>
	  'INSERT INTO items (id, version, embedding) SELECT i, 1, vec(i, 1, 768) '
	  . "FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 20)) s;\n",
	'w_delete@2' => <<'SQL',
DELETE FROM items WHERE id BETWEEN 1000000 AND
(SELECT last_value - 1000 FROM new_id);
SQL
	'w_rollback@1' => <<"SQL",
\\set id random(1, $stable)
BEGIN;
UPDATE items SET $set WHERE id = :id;
SELECT must_be_zero(count(*)) FROM items WHERE id = :id AND $wrong;
ROLLBACK;
SQL
	'w_upsert@2' => <<'SQL',
\set id random(2001, 2400)
DO $$
BEGIN
	INSERT INTO items (id, version, embedding) SELECT :id, 1, vec(:id, 1, 768)
	ON CONFLICT (id) DO UPDATE SET version = items.version + 1,
		embedding = vec(items.id, items.version + 1, 768);
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
SQL
	'w_merge@2' => <<'SQL',
\set id random(2001, 2400)
DO $$
BEGIN
	MERGE INTO items USING generate_series(:id::bigint, :id + 3) s ON items.id = s
	WHEN MATCHED AND items.version > 5 THEN DELETE
	WHEN MATCHED THEN UPDATE SET version = items.version + 1,
		embedding = vec(items.id, items.version + 1, 768)
	WHEN NOT MATCHED THEN INSERT (id, version, embedding)
		VALUES (s, 1, vec(s, 1, 768));
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
SQL
	'w_serializable@1' => <<"SQL",
\\set id random(1, $stable)
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT must_be_zero(count(*)) FROM items WHERE id BETWEEN :id - 5 AND :id AND $wrong;
UPDATE items SET $set WHERE id = :id;
COMMIT;
SQL
	'w_savepoints@2' => <<"SQL");
\\set id random(1, $stable)
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

# Readers, for both servers. Their transactions are sent in one piece: on the
# standby a conflict with replay then is an error after which pgbench tries
# again, whereas it ends sessions that are idle in a transaction.
my $all_there =
  "SELECT must_be_zero($stable - count(*)) FROM items WHERE id <= $stable";
my %readers = (
	'r_scan' => "SELECT must_be_zero(count(*)) FROM items WHERE $wrong;\n",
	'r_count' => "$all_there;\n",
	'r_side' => "SELECT must_be_zero(count(*)) FROM side WHERE $wrong;\n",
	'r_check' => "SELECT must_be_zero(count(*)) FROM vecseg_check('items');\n",
	'r_filter' => <<"SQL",
\\set n random(0, 9)
SELECT must_be_zero(count(*)) FROM items WHERE id % 10 = :n AND $wrong;
SQL
	'r_scroll' => <<"SQL",
\\set id random(1, $stable)
SELECT must_be_zero(count(*)) FROM vecseg_scroll(NULL::items, after => :id)
WHERE $wrong;
SQL
	'r_retrieve@2' => <<"SQL",
\\set id random(1, 1000)
SELECT must_be_zero(900 - count(*) + 1000 * count(*) FILTER (WHERE $wrong))
FROM vecseg_retrieve(NULL::items, ARRAY(
	SELECT i FROM generate_series(:id::bigint, :id + 899) i ORDER BY i % 7));
SQL
	'r_index' => <<"SQL",
\\set id random(1, $stable)
SELECT must_be_zero(count(*)) FROM items WHERE id BETWEEN :id AND :id + 50
AND $wrong;
SQL
	# columns by name: the row type of a function's result may lose one while
	# the statement waits for the table
	'r_cursor' => <<"SQL",
BEGIN ISOLATION LEVEL REPEATABLE READ \\;
DECLARE c CURSOR FOR SELECT id, version, embedding
	FROM vecseg_scroll(NULL::items, backward => true) \\;
FETCH FORWARD 50 FROM c \\;
SELECT must_be_zero(count(*)) FROM items WHERE id < 100 AND $wrong \\;
FETCH FORWARD 50 FROM c \\;
SELECT must_be_zero(count(*)) FROM items WHERE id < 100 AND $wrong \\;
COMMIT;
SQL
	'r_old_snapshot' => <<"SQL",
BEGIN ISOLATION LEVEL REPEATABLE READ \\;
$all_there \\;
SELECT pg_sleep(0.7) \\;
$all_there \\;
SELECT must_be_zero(count(*)) FROM items WHERE $wrong \\;
COMMIT;
SQL
	# without a lock on the table until its snapshot is old
	'r_unlocked_snapshot' => <<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ \\;
SELECT 1 \\;
SELECT pg_sleep(0.7) \\;
$all_there \\;
SELECT must_be_zero(count(*)) FROM vecseg_scroll(NULL::items) WHERE $wrong \\;
COMMIT;
SQL

# Rows are counted in the table itself where a standby's snapshot is old. On any
# table, an index built on the primary, by CLUSTER for instance, has no entries
# for row versions that are dead there, whatever a standby's snapshots see.
my %standby_readers = %readers;
s/^BEGIN .*\n/$&SET LOCAL enable_indexscan = off \\;
SET LOCAL enable_indexonlyscan = off \\;
SET LOCAL enable_bitmapscan = off \\;
/ foreach @standby_readers{qw(r_old_snapshot r_unlocked_snapshot)};

# Helpers: each is a list of named operations, done in random order, and the
# SQLSTATEs that it may meet. Deadlocks (40P01) and waiting too long for a lock
# that the helper itself has limited (55P03) are possible on any table.
my $list_indexes = <<'SQL';
SELECT 'index', i.indexrelid FROM pg_index i, pg_class c
WHERE c.relname IN ('items', 'side') AND i.indrelid IN (c.oid, c.reltoastrelid);
SQL
my %helpers = (
	vacuum => {
		pause => 0.3,
		tolerated => [ '40P01', '57014' ],
		operations => {
			vacuum => 'VACUUM items',
			freeze => 'VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) items',
			parallel => 'VACUUM (PARALLEL 2, ANALYZE) items',
			no_truncation => 'VACUUM (TRUNCATE off) items',
			no_index_cleanup => 'VACUUM (INDEX_CLEANUP off) items',
			no_toast => 'VACUUM (PROCESS_TOAST off) items',
			both => 'VACUUM side, lone',
			analyze => 'ANALYZE items',
			cancelled => "SET statement_timeout = 25;\nVACUUM items;\n"
			  . 'SET statement_timeout = 0' } },
	rewrite => {
		pause => 0.8,
		apart => 'second',
		tolerated => [ '40P01', '55P03' ],
		operations => {
			full => 'VACUUM FULL items',
			cluster => 'CLUSTER items USING items_pkey',
			move => 'ALTER TABLE items SET TABLESPACE storm_space',
			move_back => 'ALTER TABLE items SET TABLESPACE pg_default',
			inline => 'ALTER TABLE items ALTER embedding SET STORAGE PLAIN',
			outside =>
			  'ALTER TABLE items ALTER embedding SET STORAGE EXTENDED',
			add => "BEGIN \\;\n"
			  . "ALTER TABLE items ADD COLUMN IF NOT EXISTS extra real[] \\;\n"
			  . "UPDATE items SET extra = vec(id, 77, 64) WHERE id <= 100 \\;\n"
			  . 'COMMIT',
			drop => 'ALTER TABLE items DROP COLUMN IF EXISTS extra' } },
	index => {
		pause => 0.3,
		before => $list_indexes,
		apart => 'first',
		tolerated => ['40P01'],
		operations => {
			create => "DROP INDEX CONCURRENTLY IF EXISTS items_version;\n"
			  . 'CREATE INDEX CONCURRENTLY IF NOT EXISTS items_version '
			  . 'ON items (version, (embedding[4]))',
			reindex => 'REINDEX TABLE CONCURRENTLY items',
			plain => "REINDEX INDEX items_note",
			check => "SELECT bt_index_check('items_pkey', true)" } },
	checkpoint =>
	  { pause => 0.7, operations => { checkpoint => 'CHECKPOINT' } },
	side => {
		pause => 0.2,
		tolerated => [ '40P01', '55P03' ],
		operations => {
			refill => "BEGIN \\;\nTRUNCATE side \\;\n"
			  . "INSERT INTO side (id, version, embedding) SELECT i, 1, vec(i, 1, 768) FROM generate_series(1, 300) i \\;\nCOMMIT",
			undone => "BEGIN \\;\nTRUNCATE side \\;\n"
			  . "INSERT INTO side (id, version, embedding) SELECT i, 1, vec(i, 1, 768) FROM generate_series(1, 50) i \\;\nROLLBACK",
			update => "UPDATE side SET $set",
			half => "UPDATE side SET $set WHERE id % 2 = 0",
			heap => 'ALTER TABLE side SET ACCESS METHOD heap',
			vecseg => 'ALTER TABLE side SET ACCESS METHOD vecseg',
			type => 'ALTER TABLE side ALTER note TYPE bigint',
			type_back => 'ALTER TABLE side ALTER note TYPE int',
			add => 'ALTER TABLE side ADD COLUMN IF NOT EXISTS added real[] '
			  . 'DEFAULT array_fill((random() * 0 + 7)::real, ARRAY[100])',
			drop => 'ALTER TABLE side DROP COLUMN IF EXISTS added',
			full => 'VACUUM FULL side',
			cluster => 'CLUSTER side USING side_pkey',
			move => 'ALTER TABLE side SET TABLESPACE storm_space',
			move_back => 'ALTER TABLE side SET TABLESPACE pg_default' } },
	lone => {
		pause => 0.2,
		tolerated => [ '40P01', '55P03' ],
		operations => {
			unlogged => 'ALTER TABLE lone SET UNLOGGED',
			logged => 'ALTER TABLE lone SET LOGGED',
			update => "UPDATE lone SET $set",
			refill => "DELETE FROM lone \\;\n"
			  . "INSERT INTO lone SELECT i, 1, vec(i, 1, 768) FROM generate_series(1, 100) i",
			remade => "BEGIN \\;\nDROP TABLE lone \\;\n"
			  . "CREATE TABLE lone (id bigint PRIMARY KEY, version int NOT NULL, embedding real[]) USING vecseg \\;\n"
			  . "INSERT INTO lone SELECT i, 1, vec(i, 1, 768) FROM generate_series(1, 100) i \\;\nCOMMIT"
		} });

# How often each operation of the helpers was done
my %done;

# OIDs of all indexes that were seen
my %index_oids;

# In how many rounds each pgbench got something done
my %worked = (writers => 0, readers => 0, 'readers on the standby' => 0);

my @workers = map { acked_worker($_) } 1 .. 3;

# A helper's script: as many rounds through its operations as a storm can need
sub helper_script
{
	my ($helper, $length) = @_;
	my %operations = %{ $helper->{operations} };
	my $script = "SET client_min_messages = error;\n";

	$script .= "SET lock_timeout = '3s';\n"
	  if grep { $_ eq '55P03' } @{ $helper->{tolerated} };
	foreach (1 .. 1 + $length / $helper->{pause} / keys %operations)
	{
		# What was done least comes first.
		foreach my $name (
			sort { ($done{$a} // 0) <=> ($done{$b} // 0) }
			shuffle(sort keys %operations))
		{
			my $step = ($helper->{before} // '')
			  . acknowledged($operations{$name}, $name);

			$step = apart($step, $helper->{apart}) if $helper->{apart};
			$script .= $step;
			$script .= sprintf "SELECT pg_sleep(%.2f);\n",
			  2 * rand $helper->{pause};
		}
	}
	return $script;
}

# Concurrent index builds wait for all older transactions, those among them
# that wait for an exclusive lock on the table: a deadlock. So that not every
# build ends in one, rewriting is left out during most of them.
sub apart
{
	my ($step, $duty) = @_;

	return $step if $duty eq 'first' && rand() < 0.3;
	my $unlock = "SELECT pg_advisory_unlock_all();\n";

	return "SELECT pg_advisory_lock(1);\n$step$unlock" if $duty eq 'first';
	return "SELECT pg_try_advisory_lock(1) AS free\n\\gset\n"
	  . "\\if :free\n$step$unlock\\endif\n";
}

# Settings that differ between rounds. "all" by itself does not include the
# resource managers of libraries, when it is set in postgresql.conf.
sub configure
{
	my ($round) = @_;
	my $checking = $round % 3 == 2;

	$primary->adjust_conf('postgresql.conf', 'wal_consistency_checking',
		$checking ? "'all, vecseg'" : "''");
	$primary->adjust_conf('postgresql.conf', 'full_page_writes',
		$round % 4 == 3 ? 'off' : 'on');
	return;
}

# What REINDEX CONCURRENTLY drops on the primary, without waiting for a standby's
# queries, may be missed there by a query that is just being planned, on any table.
# That it was an index is seen in the end.
my $index_gone = qr/could not open relation with OID (\d+)/;

# Let everything run for a while, then kill the primary.
sub storm
{
	my ($length, $kill_standby) = @_;
	my %clients = map {
		$_ => start_client($primary, helper_script($helpers{$_}, $length),
			go_on => 1)
	} keys %helpers;

	start_acked_round($primary, $_, 60 * $length, 0.02) foreach @workers;
	my @options = ('-T', int 10 * $length, '-P', 1, '--max-tries', 0);
	my @benches = (
		start_pgbench($primary, [ @options, '-c', 4 ], %writers),
		start_pgbench($primary, [ @options, '-c', 3 ], %readers));
	my $others = start_pgbench($standby, [ @options, '-c', 3 ], %standby_readers);

	if ($kill_standby)
	{
		usleep(500_000 * $length);
		kill9($standby);
		stop_pgbench($others, \$worked{'readers on the standby'}, $index_gone);
		start_after_crash($standby);
		$others = start_pgbench($standby, [ @options, '-c', 3 ], %standby_readers);
		$length /= 2;
	}
	usleep(1_000_000 * $length);
	kill9($primary);
	finish_client($_)
	  foreach (map { $_->{client} } @workers), values %clients;
	stop_pgbench($benches[0], \$worked{writers});
	stop_pgbench($benches[1], \$worked{readers});
	stop_pgbench($others, \$worked{'readers on the standby'}, $index_gone);
	return \%clients;
}

sub check_helpers
{
	my ($clients, $name) = @_;

	foreach my $helper (sort keys %$clients)
	{
		my $client = $clients->{$helper};

		is( join("\n",
				client_errors(
					$client, @{ $helpers{$helper}{tolerated} // [] })),
			'',
			"$name, $helper: no error");
		$done{$helper}{$_}++ foreach client_acks($client);
		$index_oids{$_} = 1
		  foreach slurp_file($client->{output}) =~ /^index\|(\d+)$/mg;
	}
	return;
}

# Interrupted concurrent builds leave indexes, invalid ones until the table is
# rewritten, on any table. They would be built anew, each twice, again and again.
sub clean_up
{
	$primary->safe_psql('postgres', <<'SQL');
SELECT format('DROP INDEX %s', i.indexrelid::regclass)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid OR NOT i.indisready OR c.relname ~ '^items_.*_cc(new|old)'
\gexec
SQL
	return;
}

sub check_tables
{
	my ($node, $name, %options) = @_;
	my $extra = $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'extra'");

	check_paths($node, 'items', name => "$name, items", %options);
	check_all($node, 'items', "id <= $stable", rows => $stable,
		name => "$name, rows that none deletes");
	check_acked_docs($node);
	check_all($node, 'items', 'extra IS NOT NULL', column => 'extra',
		version => 77, dims => 64, name => "$name, added column")
	  if $extra;
	check_all($node, 'side', undef, rows => 300, name => "$name, side");
	is( $node->safe_psql('postgres', <<'SQL'), '', "$name, sound stores");
SELECT c.relname, p.* FROM pg_class c JOIN pg_am a ON a.oid = c.relam, vecseg_check(c.oid) p
WHERE a.amname = 'vecseg' AND c.relkind = 'r' AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
SQL
	return;
}

sub check_primary
{
	my ($name) = @_;
	my $committed = 0;

	$committed += check_acked_round($primary, $_, $name, '40P01') foreach @workers;
	cmp_ok($committed, '>', 0, "$name: $committed acknowledged transactions");
	clean_up();
	check_tables($primary, $name);
	check_all($primary, 'lone', undef, name => "$name, lone");
	$primary->safe_psql('postgres',
		"SELECT bt_index_check(i.indexrelid, true) FROM pg_index i WHERE indrelid IN ('items'::regclass, 'side'::regclass)");
	return;
}

sub check_standby
{
	my ($name) = @_;

	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	check_tables($standby, "$name, standby",
		paths => [qw(seq filter index bitmap scroll backward retrieve)]);
	foreach my $table ('items', 'side')
	{
		is(digest($standby, $table), digest($primary, $table),
			"$name: $table is the same on the standby");
	}
	return;
}

# Operations of the helpers that were never done
sub undone
{
	return map {
		my $helper = $_;
		grep { !$done{$helper}{$_} } keys %{ $helpers{$helper}{operations} }
	} keys %helpers;
}

# No process of a server, autovacuum's among them, met another error. Parallel
# workers may start when their leader has ended, or be alone after a crash.
sub only_expected_errors
{
	my ($node) = @_;
	my @found = grep {
		/ (?:ERROR|FATAL):  / && !/deadlock\ detected
		|could\ not\ serialize\ access
		|canceling\ (?:autovacuum\ task|statement\ due\ to\ (?:lock\ timeout
			|statement\ timeout|user\ request|conflict\ with\ recovery))
		|connection\ to\ client\ lost
		|could\ not\ map\ dynamic\ shared\ memory\ segment
		|postmaster\ exited\ during\ a\ parallel\ transaction
		|terminating\ (?:connection|background\ worker|walreceiver|autovacuum)
		|the\ database\ system\ is
		|could\ not\ (?:connect\ to\ the\ primary
			|(?:receive\ data\ from|send\ data\ to)\ WAL\ stream
			|send\ end-of-streaming\ message)/x
	} split /\n/, slurp_file($node->logfile);

	@found = grep { !/$index_gone/ || !$index_oids{$1} } @found
	  if $node == $standby;
	is(join("\n", splice @found, 0, 20),
		'', 'no other errors in the log of ' . $node->name);
	return;
}

my ($round, $stormed, $end) = (0, 0, $seconds);
while ($stormed < $end)
{
	my $length = 10 + rand 15;
	my $name = sprintf 'round %d', ++$round;

	$length = $end - $stormed if $stormed + $length + 10 > $end;
	$stormed += $length;
	my $clients = storm($length, $round % 3 == 0);
	configure($round + 1);
	ok(start_after_crash($primary, fail_ok => 1), "$name: recovery")
	  or BAIL_OUT('no recovery after the crash');
	check_helpers($clients, $name);
	check_primary($name);
	check_standby($name);
	# a busy machine may need longer for each to be done
	$end += 20 if $stormed >= $end && $end < 4 * $seconds && undone();
}

foreach my $helper (sort keys %helpers)
{
	foreach my $operation (sort keys %{ $helpers{$helper}{operations} })
	{
		my $count = $done{$helper}{$operation} // 0;
		my $failed = $done{$helper}{"$operation failed"} // 0;

		cmp_ok($count, '>', 0,
			"$helper, $operation: done $count times, failed $failed times");
	}
}

cmp_ok($worked{$_}, '>', 0, "$_ worked in $worked{$_} of $round rounds")
  foreach sort keys %worked;

# The standby takes over.
my %last = map { $_ => digest($primary, $_) } 'items', 'side';
kill9($primary);
$standby->promote;
is(digest($standby, $_), $last{$_}, "$_ is the same after promotion")
  foreach sort keys %last;
check_tables($standby, 'promoted');
my $after = start_pgbench($standby, [ '-c', 4, '-T', 5, '--max-tries', 0 ],
	%writers, %readers);
finish_pgbench($after);
$standby->safe_psql('postgres', "UPDATE items SET $set; VACUUM items");
check_tables($standby, 'written after promotion');
foreach my $node ($primary, $standby)
{
	server_log_is_clean($node);
	only_expected_errors($node);
}
$standby->stop;
done_testing();
