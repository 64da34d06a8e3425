# Backups of a server that is written to, with a tablespace: plain and tar, from
# a standby, and a copy of the files of a stopped server. Each becomes a standby
# that follows the server and has the same rows. Data checksums turned off and on.

use strict;
use warnings;

use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $top = $PostgreSQL::Test::Utils::tmp_check;
my $space = "$top/space";
make_path($space);

my $node = vecseg_node(
	'original',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 1GB
autovacuum = off
CONF
my @tables = qw(items moved);
my %dims = (dims => 'CASE WHEN id BETWEEN 10001 AND 10400 THEN (id - 10000)::int ELSE 768 END');

$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$space'");
create_table($node, $_) foreach @tables;
$node->safe_psql('postgres', 'ALTER TABLE moved SET TABLESPACE elsewhere');
like(toast_file($node, 'moved'), qr/pg_tblspc/, 'vectors in a tablespace');
fill_table($node, $_, 1, 1000) foreach @tables;

my $set = next_version();
my $writer = start_client($node, churn(\@tables, 'items', 'moved'));
wait_for_acks([$writer], 10);

# A node whose files someone else makes
sub new_node
{
	my ($name) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	make_path("$top/space_$name");
	make_path($copy->backup_dir, $copy->archive_dir);
	return $copy;
}

sub base_backup
{
	my ($from, $to, @options) = @_;
	my $before = wait_for_acks([$writer], 0);

	ok( run_log(
			[
				'pg_basebackup', '-d', $from->connstr('postgres'),
				'--no-sync', '-D', $to, @options ]),
		"pg_basebackup of " . $from->name . " @options")
	  or BAIL_OUT('pg_basebackup failed');
	wait_for_acks([$writer], $before + 1);
	return;
}

# Let the copy follow the original.
sub start_copy
{
	my ($copy) = @_;

	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
	$copy->append_conf('postgresql.conf',
		"unix_socket_directories = '" . $copy->host . "'");
	$copy->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
	$copy->enable_streaming($node);
	$copy->start;
	return $copy;
}

my $plain = new_node('plain');
base_backup($node, $plain->data_dir, '--checkpoint=fast',
	"--tablespace-mapping=$space=$top/space_plain");
command_ok([ 'pg_verifybackup', $plain->data_dir ], 'pg_verifybackup, plain');
start_copy($plain);

# Unpacked, the tar format has the tablespace where we say.
my $tar = new_node('tar');
base_backup($node, "$top/tar", '--checkpoint=fast', '--format=tar');
make_path($tar->data_dir);
chmod 0700, $tar->data_dir;
my ($oid) = map { m{/(\d+)\.tar$} } glob "$top/tar/*.tar";
system_or_bail('tar', 'xf', "$top/tar/base.tar", '-C', $tar->data_dir);
system_or_bail('tar', 'xf', "$top/tar/pg_wal.tar", '-C', $tar->data_dir . '/pg_wal');
system_or_bail('tar', 'xf', "$top/tar/$oid.tar", '-C', "$top/space_tar");
my $map = slurp_file($tar->data_dir . '/tablespace_map');
like($map, qr/^$oid \Q$space\E\n$/, 'the map names the tablespace');
unlink $tar->data_dir . '/tablespace_map';
append_to_file($tar->data_dir . '/tablespace_map', "$oid $top/space_tar\n");
start_copy($tar);

my $from_standby = new_node('from_standby');
base_backup($plain, $from_standby->data_dir, '--checkpoint=fast',
	"--tablespace-mapping=$top/space_plain=$top/space_from_standby");
command_ok([ 'pg_verifybackup', $from_standby->data_dir ],
	'pg_verifybackup of the backup of a standby');
start_copy($from_standby);

ok(stop_client($writer), 'the writer met no error');
caught_up($node, $_) foreach $plain, $tar, $from_standby;
same_rows($node, $_, \@tables, %dims) foreach $plain, $tar, $from_standby;
server_log_is_clean($_) foreach $plain, $tar, $from_standby;
$_->stop foreach $tar, $from_standby;
command_ok([ 'pg_checksums', '--check', '-D', $_->data_dir ],
	'pg_checksums of ' . $_->name) foreach $tar, $from_standby;

# A copy of the files of the stopped server
$node->stop;
my $cold = new_node('cold');
system_or_bail('cp', '-a', $node->data_dir, $cold->data_dir);
system_or_bail('cp', '-a', "$space/.", "$top/space_cold");
unlink $cold->data_dir . "/pg_tblspc/$oid";
symlink "$top/space_cold", $cold->data_dir . "/pg_tblspc/$oid"
  or BAIL_OUT("could not link: $!");
$node->start;
start_copy($cold);
foreach my $table (@tables)
{
	$node->safe_psql('postgres',
		"UPDATE $table SET $set WHERE id <= 1000 AND id % 2 = 0; "
		  . "DELETE FROM $table WHERE id % 10 = 1; VACUUM $table");
	fill_table($node, $table, 900_000, 900_200);
}
caught_up($node, $_) foreach $plain, $cold;
same_rows($node, $_, \@tables, %dims) foreach $plain, $cold;

# The copies go on by themselves.
$plain->promote;
$plain->safe_psql('postgres',
	'ALTER TABLE moved SET TABLESPACE pg_default; VACUUM FULL items');
fill_table($plain, $_, 910_000, 910_200) foreach @tables;
foreach my $table (@tables)
{
	check_all($plain, $table, undef, %dims, name => "promoted copy: $table");
	check_store($plain, $table, name => "promoted copy: $table");
}
$_->stop foreach $plain, $cold;

# Without checksums pages are written that have none; then they get them again.
my %state = map { $_ => rows_of($node, $_) } @tables;
$node->stop;
command_ok([ 'pg_checksums', '--disable', '-D', $node->data_dir ],
	'checksums turned off');
$node->start;
is(rows_of($node, $_), $state{$_}, "without checksums: rows of $_")
  foreach @tables;
foreach my $table (@tables)
{
	$node->safe_psql('postgres', "UPDATE $table SET $set WHERE id <= 1000");
	$node->safe_psql('postgres', "VACUUM $table");
	fill_table($node, $table, 920_000, 920_200);
	$state{$table} = rows_of($node, $table);
}
$node->stop;
command_ok([ 'pg_checksums', '--enable', '-D', $node->data_dir ],
	'checksums turned on');
$node->start;
foreach my $table (@tables)
{
	is(rows_of($node, $table), $state{$table},
		"with checksums again: rows of $table");
	foreach my $direct ('on', 'off')
	{
		drop_os_cache(toast_file($node, $table));
		check_paths($node, $table, %dims,
			paths => [ 'seq', 'scroll', 'retrieve' ],
			settings => "SET vecseg.direct_io = $direct",
			name => "with checksums again: $table, direct_io = $direct");
	}
	fill_table($node, $table, 930_000, 930_200);
	check_all($node, $table, undef, %dims, name => "$table written to");
	check_store($node, $table, name => "$table written to");
}
server_log_is_clean($node);
$node->stop;
command_ok([ 'pg_checksums', '--check', '-D', $node->data_dir ],
	'checksums are right in the end');
done_testing();
