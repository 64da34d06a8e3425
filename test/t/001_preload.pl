# A server that does not preload vecseg says so before anything is written
# that it could not recover; nothing that was written before is lost.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $node = vecseg_node('preload', start => 0);

sub set_preload
{
	my ($libraries) = @_;

	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = '$libraries'");
	return;
}

# Assert that a statement fails with the error that names the setting.
sub fails_with_hint
{
	my ($sql, $name) = @_;
	my ($status, undef, $error) = $node->psql('postgres', $sql,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	isnt($status, 0, "$name is refused");
	like($error, qr/ERROR: +55000: .*vecseg/, "$name: error");
	like($error, qr/HINT: .*shared_preload_libraries/, "$name: hint");
	return;
}

# Never preloaded
set_preload('');
$node->start;
install_vecseg($node);
fails_with_hint(
	'CREATE TABLE items (id bigint PRIMARY KEY, embedding real[]) USING vecseg',
	'CREATE TABLE');
fails_with_hint(
	'CREATE TABLE items USING vecseg AS SELECT 1::bigint AS id, '
	  . 'vec(1, 1, 768) AS embedding',
	'CREATE TABLE AS');
$node->safe_psql('postgres',
	'CREATE TABLE plain AS SELECT i AS id, vec(i, 1, 768) AS embedding '
	  . 'FROM generate_series(1::bigint, 100) i');
fails_with_hint('ALTER TABLE plain SET ACCESS METHOD vecseg', 'ALTER TABLE');
check_all($node, 'plain', undef, rows => 100, version => 1);
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
		  . "WHERE a.amname LIKE 'vecseg%'"),
	0,
	'no table was left behind');
$node->stop;

# Preloaded: the extension that was created without works
set_preload('vecseg');
$node->start;
create_table($node, 'items');
fill_table($node, 'items', 1, 1000);
$node->safe_psql('postgres',
	'ALTER TABLE plain SET ACCESS METHOD vecseg');
check_all($node, 'items', undef, rows => 1000);
check_all($node, 'plain', undef, rows => 100, version => 1);
$node->stop;

# No longer preloaded: nothing can be added, nothing is lost
set_preload('');
$node->start;
fails_with_hint(
	'INSERT INTO items VALUES (2000, 1, vec(2000, 1, 768))', 'INSERT');
fails_with_hint(
	'UPDATE items SET version = 2, embedding = vec(id, 2, 768)', 'UPDATE');
fails_with_hint('TRUNCATE items', 'TRUNCATE');
fails_with_hint('VACUUM FULL items', 'VACUUM FULL');
check_all($node, 'items', undef, rows => 1000, name => 'read without preload');
# ... nor is anything written that a crash would make the server need
$node->safe_psql('postgres', 'DELETE FROM plain WHERE id <= 50');
$node->safe_psql('postgres', 'VACUUM plain');
$node->safe_psql('postgres', 'DELETE FROM plain WHERE id = 51');	# flushes
kill9($node);
is(start_after_crash($node, fail_ok => 1), 1,
	'recovery after VACUUM without the library');
$node->stop;
set_preload('vecseg');
$node->start;
check_all($node, 'items', undef, rows => 1000, name => 'preloaded again');
fill_table($node, 'items', 1001, 1200);
kill9($node);

# Recovery needs the library, and waits for it
set_preload('');
my $offset = -s $node->logfile;
is(start_after_crash($node, fail_ok => 1), 0,
	'recovery without the library is refused');
like(slurp_file($node->logfile, $offset),
	qr/FATAL: .*resource manager.*\b151\b/, 'the server names the reason');
set_preload('vecseg');
start_after_crash($node);
check_all($node, 'items', undef, rows => 1200, name => 'after recovery');
$node->stop;
done_testing();
