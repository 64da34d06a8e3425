# Every older version of the extension can be updated to this one, which then
# consists of the same objects as if it had been created. Files of a format that
# this version does not know are refused. META.json says the same as the control
# file.

use strict;
use warnings;

use FindBin;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $source = "$FindBin::RealBin/../..";
my $control = slurp_file("$source/vecseg.control");
my ($version) = $control =~ /^default_version = '(.*)'/m;
my $meta = decode_json(slurp_file("$source/META.json"));

is($meta->{version}, "$version.0", 'META.json: version');
is($meta->{provides}{vecseg}{version}, "$version.0", 'META.json: version provided');
is($meta->{provides}{vecseg}{file}, "sql/vecseg--$version.sql", 'META.json: script');
ok(-f "$source/$meta->{provides}{vecseg}{file}", 'the script is there');
like($control, qr/comment = '\l$meta->{abstract}'/, 'META.json: abstract');

my $node = vecseg_node('packaging');

# What the extension consists of, by definition
my $objects = <<'SQL';
SELECT d.classid::regclass, CASE d.classid
	WHEN 'pg_proc'::regclass THEN pg_get_functiondef(d.objid)
	WHEN 'pg_class'::regclass THEN pg_get_viewdef(d.objid)
	ELSE pg_describe_object(d.classid, d.objid, 0) END,
	CASE d.classid WHEN 'pg_proc'::regclass
		THEN (SELECT proacl::text FROM pg_proc WHERE oid = d.objid)
		WHEN 'pg_class'::regclass
		THEN (SELECT relacl::text FROM pg_class WHERE oid = d.objid) END,
	obj_description(d.objid, d.classid::regclass::name)
FROM pg_depend d
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vecseg')
ORDER BY 1, 2
SQL
my $current = $node->safe_psql('postgres', $objects);
cmp_ok(scalar(() = $current =~ /^pg_proc\|/mg), '>', 5, 'objects are described');

# Each version that can be created can be updated to this one, with its tables.
my @versions = split /\n/, $node->safe_psql('postgres',
	q{SELECT version FROM pg_available_extension_versions WHERE name = 'vecseg' ORDER BY 1});

ok((grep { $_ eq $version } @versions), "version $version can be created");
foreach my $old (@versions)
{
	(my $database = "from_$old") =~ s/\W/_/g;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database,
		"CREATE EXTENSION vecseg VERSION '$old';\n" . vec_sql());
	create_table($node, 'items', database => $database);
	fill_table($node, 'items', 1, 500, database => $database);
	$node->safe_psql($database, 'ALTER EXTENSION vecseg UPDATE');
	is($node->safe_psql($database,
			q{SELECT extversion FROM pg_extension WHERE extname = 'vecseg'}),
		$version, "$old: updated");
	is($node->safe_psql($database, $objects), $current,
		"$old: the same objects as those of a new $version");
	fill_table($node, 'items', 501, 600, database => $database);
	check_paths($node, 'items', rows => 600, database => $database,
		name => "$old: table");
}

# That comparison would notice.
foreach my $change (
	'ALTER EXTENSION vecseg DROP FUNCTION vecseg_stat_reset_io()',
	'GRANT EXECUTE ON FUNCTION vecseg_check(regclass) TO PUBLIC',
	'ALTER FUNCTION vecseg_segments(regclass) COST 7')
{
	isnt($node->safe_psql('postgres', "BEGIN; $change; $objects; ROLLBACK"),
		$current, "noticed: $change");
}

# A store whose meta page has another version
{
	my $old = vecseg_node('format', checksums => 0);
	my $mismatch = qr/version mismatch in segment relation "pg_toast_\d+": /
	  . qr/file version 9, this library's version 1/;
	my $set_version = sub {
		my ($file, $format) = @_;

		$old->stop;
		overwrite($file, 8186, chr $format);
		$old->start;
	};

	create_table($old, 'items');
	fill_table($old, 'items', 1, 100);
	my $file = toast_file($old, 'items');

	$set_version->($file, 9);
	foreach my $sql (
		'SELECT embedding[1] FROM items',
		'SELECT * FROM vecseg_retrieve(NULL::items, ARRAY[3, 5])',
		'INSERT INTO items VALUES (101, 1, vec(101, 1, 768))',
		'UPDATE items SET embedding = vec(id, 2, 768)',
		'VACUUM items',
		q{SELECT * FROM vecseg_segments('items')})
	{
		my ($status, undef, $stderr) = $old->psql('postgres', $sql);

		isnt($status, 0, "another format version: $sql");
		like($stderr, qr/$mismatch.*HINT:  Install the version of vecseg/s,
			"the error says so: $sql");
	}
	is($old->safe_psql('postgres', 'SELECT count(*) FROM items'),
		100, 'other columns can be read');
	like($old->safe_psql('postgres', q{SELECT msg FROM vecseg_check('items')}),
		qr/another version of vecseg/, 'vecseg_check says so');
	$set_version->($file, 1);
	check_paths($old, 'items', rows => 100, name => 'the format restored');
}
done_testing();
