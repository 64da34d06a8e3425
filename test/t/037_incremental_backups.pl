# Incremental backups of a server that is written to, combined with those before
# them: each has the rows of its time, and becomes a standby that follows the
# server. What a backup leaves out are blocks that no WAL record named; so the
# records must name all that changed, of files that shrink and grow too.
#
# No file is truncated before a checkpoint and grows after it, between two
# backups: of such a file, of heap tables too, PostgreSQL 18.6 may forget what was
# added, as it reads what is noted of each time between checkpoints in the order
# of a directory's entries.

use strict;
use warnings;

use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $node = vecseg_node('original', start => 0, allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum = off
CONF

plan skip_all => 'PostgreSQL 17 and later have incremental backups'
  if $node->pg_version < 17;

$node->append_conf('postgresql.conf', 'summarize_wal = on');
$node->start;
install_vecseg($node);

my $top = $PostgreSQL::Test::Utils::tmp_check;
my $set = next_version();
my %dims = (dims => <<'SQL');
CASE WHEN id BETWEEN 10001 AND 10400 THEN (id - 10000)::int
	 WHEN id BETWEEN 20001 AND 20099 THEN 16000
	 ELSE 768 END
SQL
my @tables = qw(items moved still cut rewritten);
my $its_space =
  q{SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'elsewhere'};

make_path("$top/space");
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$top/space'");
create_table($node, $_, columns => 'doc text') foreach @tables;
$node->safe_psql('postgres', 'ALTER TABLE moved SET TABLESPACE elsewhere');
fill_table($node, $_, 1, 1000) foreach @tables;
fill_table($node, 'cut', 1001, 2500);
$node->safe_psql('postgres', 'CHECKPOINT');

# A backup; all but the first are incremental, to the one before.
my @backups;

sub back_up
{
	my ($from, $name) = @_;
	my $last = $backups[-1];
	my $space = $from->safe_psql('postgres', $its_space);

	make_path("$top/space_$name");
	ok( run_log(
			[
				'pg_basebackup', '-d', $from->connstr('postgres'), '--no-sync',
				'-D', $node->backup_dir . "/$name", '--checkpoint=fast',
				"--tablespace-mapping=$space=$top/space_$name",
				defined $last
				? ('--incremental', $node->backup_dir . "/$last/backup_manifest")
				: () ]),
		"pg_basebackup, $name")
	  or BAIL_OUT('pg_basebackup failed');
	push @backups, $name;
	return;
}

# How large a table's first file is in a backup; 0 if it has but a part of it
sub whole_file
{
	my ($backup, $table) = @_;
	my $file = $node->backup_dir . "/$backup/" . $node->safe_psql('postgres',
		'SELECT pg_relation_filepath(reltoastrelid) FROM pg_class '
		  . "WHERE oid = '$table'::regclass");

	return -s $file || 0;
}

# A new server with the files of the last backup, and of those it relies on
my $copies = 0;

sub restore
{
	my (%options) = @_;
	my $copy = PostgreSQL::Test::Cluster->new('copy_' . ++$copies);
	my ($last, @prior) = reverse @backups;

	$copy->init_from_backup(
		$node, $last,
		combine_with_prior => [ reverse @prior ],
		tablespace_map => { "$top/space_$last" => "$top/space_copy_$copies" },
		%options);
	command_ok([ 'pg_verifybackup', '--exit-on-error',
		'--ignore=postgresql.conf', '--ignore=standby.signal',
		$copy->data_dir ], 'pg_verifybackup of ' . $copy->name);
	$copy->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
	$copy->start;
	return $copy;
}

# The rows of all tables, and the lengths of their stores' files
sub state_of
{
	my ($server) = @_;

	return join "\n", map {
		"$_: " . rows_of($server, $_) . ', ' . store_blocks($server, $_)
		  . ' blocks'
	} @tables;
}

# A server that has the files of a backup by itself, and goes on with them
sub goes_on
{
	my ($name, $expected) = @_;
	my $copy = restore(standby => 0);

	is(state_of($copy), $expected, "$name: rows and files of that time");
	foreach my $table (@tables)
	{
		check_paths($copy, $table, %dims, name => "$name: $table",
			paths => [qw(seq scroll retrieve)]);
		$copy->safe_psql('postgres',
			"UPDATE $table SET $set WHERE id BETWEEN 1 AND 900 AND id % 3 = 1; "
			  . "DELETE FROM $table WHERE id % 10 = 1; VACUUM $table");
		fill_table($copy, $table, 900_000, 901_000);
	}
	kill9($copy);
	start_after_crash($copy);
	foreach my $table (@tables)
	{
		check_all($copy, $table, undef, %dims, name => "$name: $table written to");
		check_store($copy, $table, name => "$name: $table written to");
	}
	server_log_is_clean($copy);
	$copy->stop;
	return;
}

back_up($node, 'full');

# A file is cut off, and grows again by a segment that is mostly empty; another
# is new; slots are freed and used again; a table is left alone.
$node->safe_psql('postgres', <<"SQL");
DELETE FROM cut WHERE id > 100;
VACUUM cut;
UPDATE items SET $set, doc = repeat(md5(id::text), 100 * (id % 4)::int) WHERE id % 5 = 0;
DELETE FROM items WHERE id BETWEEN 300 AND 400;
VACUUM items;
VACUUM FULL rewritten;
SQL
my $blocks = store_blocks($node, 'cut');
fill_table($node, 'cut', 20_001, 20_001, dims => 16_000);
fill_table($node, 'cut', 10_300, 10_301, dims => '(i - 10000)::int');
cmp_ok(store_blocks($node, 'cut'), '>', $blocks, 'a file was cut off and grew');
fill_table($node, 'items', 2001, 2100);
fill_table($node, 'moved', 20_001, 20_003, dims => 16_000);
$node->safe_psql('postgres', "UPDATE moved SET $set WHERE id = 500");
push @tables, 'fresh';
create_table($node, 'fresh', columns => 'doc text');
fill_table($node, 'fresh', 10_001, 10_400, dims => '(i - 10000)::int');

my $state = state_of($node);
back_up($node, 'first');
is(whole_file('first', $_), 0, "part of a file, of $_") foreach qw(still moved);
cmp_ok(whole_file('first', $_), '>', 0, "the whole file, of $_")
  foreach qw(rewritten fresh);
goes_on('first incremental backup', $state);

# The same, and a crash of the server
$node->safe_psql('postgres',
	"UPDATE still SET $set WHERE id = 7; "
	  . 'DELETE FROM cut WHERE id > 10000; VACUUM cut');
fill_table($node, 'cut', 20_010, 20_011, dims => 16_000);
kill9($node);
start_after_crash($node);
fill_table($node, 'items', 2101, 2150);
$state = state_of($node);
back_up($node, 'second');
goes_on('second incremental backup', $state);

# While all tables are being written to; then the copy follows the server.
my $writer = start_client($node,
	churn([ grep { $_ ne 'still' } @tables ], 'rewritten', 'moved'));

wait_for_acks([$writer], 10);
back_up($node, 'third');
wait_for_acks([$writer], 10 + client_acks($writer));
back_up($node, 'fourth');
my $standby = restore(has_streaming => 1);
wait_for_acks([$writer], 10 + client_acks($writer));
caught_up($node, $standby);

# From a standby, which makes its own summaries
$node->safe_psql('postgres', 'CHECKPOINT');
caught_up($node, $standby);
$standby->safe_psql('postgres', 'CHECKPOINT');
back_up($standby, 'of_standby');
my $other = restore(has_streaming => 1);
ok(stop_client($writer), 'the writer met no error');
caught_up($node, $_) foreach $standby, $other;
same_rows($node, $_, \@tables, %dims) foreach $standby, $other;
$other->promote;
fill_table($other, $_, 910_000, 910_200) foreach @tables;
foreach my $table (@tables)
{
	check_all($other, $table, undef, %dims, name => "promoted: $table");
	check_store($other, $table, name => "promoted: $table");
}
foreach my $server ($node, $standby, $other)
{
	server_log_is_clean($server);
	$server->stop;
}
done_testing();
