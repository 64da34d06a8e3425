# pg_upgrade carries vecseg tables over with their files, copied, linked or
# swapped: the new cluster has every vector, and goes on writing, freeing and
# truncating. The old one is of the same version, which pg_upgrade takes like an
# older one; and of each older version whose installation is named by
# VECSEG_OLD_SERVERS (folders, separated by blanks), with vecseg installed.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use SameRows;
use Test::More;
use VecsegTest;

my $bindir = `pg_config --bindir`;
chomp $bindir;
my $can_swap = `pg_upgrade --help` =~ /--swap/;

my %dims = (dims => <<'SQL');
CASE WHEN id BETWEEN 1001 AND 1050 THEN 16000
	 WHEN id BETWEEN 2001 AND 2100 THEN 20
	 ELSE 768 END
SQL

my @paths = qw(seq filter index bitmap scroll backward retrieve);
my @tables = qw(items parts scratch view_of plain empty);
my $places = <<'SQL';
SELECT c.relname, c.oid, c.relfilenode, c.reltoastrelid, t.relfilenode, am.amname
FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid
JOIN pg_am am ON am.oid = t.relam
WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1
SQL

# Slots that were freed and used again, segments that were given back
my $objects = <<'SQL';
UPDATE items SET doc = repeat(md5(id::text), 300 * (id % 4)::int), wide = embedding
WHERE id % 2 = 0;
ALTER TABLE items DROP COLUMN gone;
DELETE FROM items WHERE id BETWEEN 600 AND 700;
VACUUM items;
UPDATE items SET version = 2, embedding = vec(id, 2, cardinality(embedding))
WHERE id % 3 = 0;
DELETE FROM items WHERE id BETWEEN 400 AND 450;

CREATE TABLE parts (id bigint PRIMARY KEY, version int NOT NULL, embedding real[])
	PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (300) USING vecseg;
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (300) TO (600) USING vecseg;
CREATE TABLE part3 PARTITION OF parts FOR VALUES FROM (600) TO (900) USING heap;
INSERT INTO parts SELECT i, 3, vec(i, 3, 768) FROM generate_series(1, 899) i;

CREATE UNLOGGED TABLE scratch USING vecseg AS SELECT * FROM parts WHERE id < 200;
CREATE MATERIALIZED VIEW view_of USING vecseg AS SELECT * FROM parts WHERE id > 100;
CREATE TABLE plain (LIKE parts) USING vecseg;
ALTER TABLE plain ALTER embedding SET STORAGE PLAIN;
INSERT INTO plain SELECT id, version, embedding FROM parts;
CREATE TABLE empty (LIKE items) USING vecseg;
CREATE DATABASE other;
SQL

# The releases 15.20 and 17.12 keep an option of each column of any table, which
# 18.6, released before, refuses: pg_upgrade fails on heap tables too.
sub remove_unknown_options
{
	my ($old, $old_bindir) = @_;
	my ($has, $knows) =
	  map { slurp_file("$_/postgres") =~ /pg_attver/ } $old_bindir, $bindir;

	return if !$has || $knows;
	note 'removing options of columns that the new server refuses';
	$old->safe_psql($_, <<'SQL') foreach 'postgres', 'other';
SET allow_system_table_mods = on;
UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text LIKE '{pg_attver=%}';
SQL
	return;
}

# A server of an installation (of this one, without) that has stopped, and what
# there is of it: rows of its tables, and more
sub old_server
{
	my ($name, $folder) = @_;
	my $old = vecseg_node($name, conf => "autovacuum = off\n",
		install_path => $folder);
	my %state = (node => $old, bindir => $folder ? "$folder/bin" : $bindir);

	create_table($old, 'items',
		columns => 'gone text, doc text, wide float8[], '
		  . 'half real[] GENERATED ALWAYS AS (embedding[1:384]) STORED');
	fill_table($old, 'items', 1, 800);
	fill_table($old, 'items', 1001, 1050, dims => 16000);
	fill_table($old, 'items', 2001, 2100, dims => 20);

	$old->safe_psql('postgres', $objects);
	install_vecseg($old, 'other');
	create_table($old, 'items', database => 'other');
	fill_table($old, 'items', 1, 300, database => 'other');

	$state{rows}{$_} = rows_of($old, $_) foreach @tables;
	$state{other} = rows_of($old, 'items', database => 'other');
	$state{places} = $old->safe_psql('postgres', $places);
	$state{store} =
	  $old->safe_psql('postgres', q{SELECT * FROM vecseg_segments('items')});
	$state{used} = used_slots($old, 'items');
	remove_unknown_options($old, $state{bindir});
	$old->stop;
	return \%state;
}

# Upgrade from the files in a folder, and go on from there.
sub upgrade
{
	my ($state, $mode, $old_data) = @_;
	my $old = $state->{node};
	my $name = 'from ' . $old->pg_version . ", $mode";
	my $new = vecseg_node("${mode}_of_" . $old->name,
		conf => "autovacuum = off\n", start => 0);

	# pg_upgrade writes to the current directory
	chdir $PostgreSQL::Test::Utils::tmp_check or die "could not chdir: $!";
	ok( run_log(
			[
				'pg_upgrade', '--no-sync',
				'--old-datadir', $old_data,
				'--new-datadir', $new->data_dir,
				'--old-bindir', $state->{bindir},
				'--new-bindir', $bindir,
				'--socketdir', $new->host,
				'--old-port', $old->port,
				'--new-port', $new->port,
				$mode eq 'copy' ? () : "--$mode" ]),
		"pg_upgrade, $name")
	  or BAIL_OUT('pg_upgrade failed');
	$new->start;

	is($new->safe_psql('postgres', $places),
		$state->{places}, "$name: same files, same TOAST relations");
	is( $new->safe_psql('postgres', q{SELECT * FROM vecseg_segments('items')}),
		$state->{store},
		"$name: same segments");
	foreach my $table (@tables)
	{
		is(rows_of($new, $table), $state->{rows}{$table}, "$name: rows of $table");
	}
	is(rows_of($new, 'items', database => 'other'),
		$state->{other}, "$name: rows of another database");
	check_paths($new, 'items', %dims, paths => \@paths, name => "$name: items");
	check_all($new, $_, undef, name => "$name: $_") foreach 'parts', 'plain';
	check_store($new, $_, name => "$name: $_")
	  foreach qw(part1 part2 scratch view_of plain empty);

	# What was garbage in the old cluster is still found.
	$new->safe_psql('postgres', 'VACUUM items');
	cmp_ok(used_slots($new, 'items'),
		'<', $state->{used} - 100, "$name: VACUUM frees slots");
	fill_table($new, 'items', 5001, 5500);
	$new->safe_psql('postgres',
		'UPDATE items SET version = 7, '
		  . 'embedding = vec(id, 7, cardinality(embedding)) WHERE id % 5 = 0');
	kill9($new);
	start_after_crash($new);
	check_paths($new, 'items', %dims, paths => \@paths,
		name => "$name: items written to");
	$new->safe_psql('postgres', 'DELETE FROM items');
	my $blocks = store_blocks($new, 'items');
	$new->safe_psql('postgres', 'VACUUM items');
	cmp_ok(store_blocks($new, 'items'),
		'<', $blocks / 2, "$name: segments are given back");
	fill_table($new, 'items', 1, 500);
	check_all($new, 'items', undef, %dims, name => "$name: truncated");
	check_store($new, 'items', name => "$name: truncated");

	# An extension that was carried over can be dropped with its tables.
	$new->safe_psql('postgres', 'DROP EXTENSION vecseg CASCADE');
	is($new->safe_psql('postgres', "SELECT count(*) FROM pg_am WHERE amname LIKE 'vecseg%'"),
		'0', "$name: the extension is dropped");
	server_log_is_clean($new);
	$new->stop;
	return;
}

my $number = 0;

foreach my $folder (undef, split ' ', $ENV{VECSEG_OLD_SERVERS} // '')
{
	my $state = old_server('old_' . ++$number, $folder);
	my $data = $state->{node}->data_dir;

	upgrade($state, 'copy', $data);
	if ($can_swap)
	{
		system_or_bail('cp', '-a', $data, "$data.swap");
		upgrade($state, 'swap', "$data.swap");
	}
	upgrade($state, 'link', $data);
}
done_testing();
