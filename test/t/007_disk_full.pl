# When the disk is full in the middle of a load, the load fails with the usual
# error and is rolled back; what was there stays exact, and once there is room
# writing goes on.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 2000;
my $source = "$PostgreSQL::Test::Utils::tmp_check/rows";

# Start a node by a shell command that ends in running pg_ctl.
sub start_by
{
	my ($node, $shell) = @_;
	local %ENV = $node->_get_env();

	system_or_bail('bash', '-c',
		"$shell pg_ctl -w -s -D '"
		  . $node->data_dir . "' -l '" . $node->logfile . "' start");
	$node->_update_pid(1);
	return;
}

# A file to load, of 60 MB
sub write_source
{
	my ($node) = @_;

	$node->safe_psql('postgres',
		'COPY (SELECT i, 1, vec(i, 1, 768) FROM '
		  . "generate_series(1000000::bigint, 1020000) i) TO '$source' "
		  . '(FORMAT binary)');
	return;
}

# Load until it fails; assert that it fails with the error, changing nothing.
sub load_fails
{
	my ($node, $error, $name) = @_;
	my %loads = (
		COPY => "COPY items (id, version, embedding) FROM '$source' (FORMAT binary)",
		INSERT => 'INSERT INTO items SELECT i, 1, vec(i, 1, 768) '
		  . 'FROM generate_series(1000000::bigint, 1020000) i',
		UPDATE => 'UPDATE items SET version = s, embedding = vec(id, s, 768) '
		  . 'FROM generate_series(2, 2) s; '
		  . 'INSERT INTO items SELECT i, 1, vec(i, 1, 768) '
		  . 'FROM generate_series(1000000::bigint, 1020000) i',
		'large value' => 'UPDATE items SET doc = (SELECT string_agg(md5(i::text), '
		  . "'') FROM generate_series(1, 2000000) i) WHERE id = 1");

	foreach my $kind (sort keys %loads)
	{
		my ($status, undef, $stderr) = $node->psql('postgres',
			"BEGIN; $loads{$kind}; COMMIT",
			extra_params => [ '-v', 'VERBOSITY=verbose' ]);

		is($status, 3, "$name: $kind fails");
		like($stderr, $error, "$name: error of $kind");
		check_all($node, 'items', undef, rows => $rows,
			name => "$name, after a failed $kind");
		check_store($node, 'items', name => "$name, after a failed $kind");
		is( $node->safe_psql('postgres',
				'SELECT count(*) FROM items WHERE version <> 1 OR doc IS NOT NULL'),
			0,
			"$name: the failed $kind left no trace");
	}
	return;
}

sub check_afterwards
{
	my ($node, $name) = @_;

	fill_table($node, 'items', 10_001, 11_000);
	$node->safe_psql('postgres',
		'UPDATE items SET version = 2, embedding = vec(id, 2, 768) '
		  . 'WHERE id % 3 = 0; VACUUM items');
	check_paths($node, 'items', rows => $rows + 1000,
		paths => [ 'seq', 'scroll', 'retrieve' ], name => "$name, with room");
	return;
}

# A file system of 40 MB in name spaces of the server's own
my $where = PostgreSQL::Test::Utils::tempdir();
my $shell = "unshare --user --map-current-user --keep-caps --mount bash -c '"
  . "mount -t tmpfs -o size=40m,mode=0700 vecseg $where && "
  . 'exec setpriv --inh-caps=-all --ambient-caps=-all "$@"\' bash';

SKIP:
{
	skip 'no name spaces for unprivileged users: cannot fill a file system', 1
	  if system("$shell true") != 0;

	my $node = vecseg_node('full', start => 0);
	start_by($node, $shell);
	install_vecseg($node);
	$node->safe_psql('postgres', <<"SQL");
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null && mkdir -m 700 $where/space';
CREATE TABLESPACE small LOCATION '$where/space';
CREATE TABLE items (id bigint PRIMARY KEY, version int, embedding real[],
	doc text) USING vecseg TABLESPACE small;
CREATE TABLE ballast TABLESPACE small AS
SELECT repeat('x', 1000) FROM generate_series(1, 15000);
SQL
	fill_table($node, 'items', 1, $rows);
	# from PostgreSQL 19 on, reading may need a visibility map
	$node->safe_psql('postgres', 'VACUUM items, ballast');
	write_source($node);
	load_fails($node, qr/ERROR: +53100: .*No space left on device/,
		'file system full');
	is( $node->safe_psql('postgres', 'SELECT count(*) FROM ballast'),
		15000, 'file system full: another table can be read');
	$node->safe_psql('postgres', 'DROP TABLE ballast; CHECKPOINT');
	check_afterwards($node, 'file system');

	$node->safe_psql('postgres',
		'ALTER TABLE items SET TABLESPACE pg_default; VACUUM FULL items');
	check_all($node, 'items', undef, rows => $rows + 1000,
		name => 'file system, moved to another');
	unlike(slurp_file($node->logfile), qr/PANIC/, 'file system: no panic');
	$node->stop('immediate');
}

# A limit on the size of files, as a quota has the same effect
my $node = vecseg_node('limited', conf => "min_wal_size = 32MB");
$node->safe_psql('postgres',
	'CREATE TABLE items (id bigint PRIMARY KEY, version int, '
	  . 'embedding real[], doc text) USING vecseg');
fill_table($node, 'items', 1, $rows);
write_source($node);
$node->stop;
start_by($node, 'ulimit -f 30000; exec');
load_fails($node, qr/ERROR: +\w{5}: .*could not (extend|write).*(File too large|wrote only)/s,
	'file size limit');
$node->restart;
check_all($node, 'items', undef, rows => $rows, name => 'after a restart');
check_store($node, 'items', name => 'after a restart');
check_afterwards($node, 'file size');
kill9($node);
start_after_crash($node);
check_all($node, 'items', undef, rows => $rows + 1000, name => 'after a crash');
unlike(slurp_file($node->logfile), qr/PANIC/, 'file size: no panic');
$node->stop;
done_testing();
