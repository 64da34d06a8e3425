# vecseg_check finds each kind of damage, says where it is, and nothing else;
# and it raises no false alarm while rows are written and vacuumed, on the
# primary and on a standby.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $block_size = 8192;
my $content = 24;	# where a page's content starts
my $content_size = $block_size - $content - 8;
my $seconds = hard(10, 120);

sub number
{
	return pack 'V', $_[0];
}

sub slurp_raw
{
	my ($file) = @_;

	open my $fh, '<:raw', $file or die "could not open $file: $!";
	local $/ = undef;
	return scalar <$fh>;
}

sub write_raw
{
	my ($file, $bytes) = @_;

	open my $fh, '>:raw', $file or die "could not open $file: $!";
	print $fh $bytes;
	close $fh or die "could not write $file: $!";
	return;
}

# The segments of a store, from the directory's first page
sub directory
{
	my ($bytes) = @_;
	my ($count, $next_value, $next_block, $pages, $page) =
	  unpack 'V5', substr $bytes, $content, 20;
	my @result;

	foreach my $number (0 .. $count - 1)
	{
		my %entry = (
			number => $number,
			at => $page * $block_size + $content + $number * 24);
		@entry{qw(first_value slots slot_size first_block blocks kind)} =
		  unpack 'V5C', substr $bytes, $entry{at}, 21;
		push @result, \%entry;
	}
	return @result;
}

# What is known of a table: bytes and names of its files, its segments
sub examine
{
	my ($node, $table) = @_;
	my %store = (table => $table);

	$node->safe_psql('postgres', 'CHECKPOINT');
	($store{oid}, $store{rows_path}, $store{path}) = split /\|/,
	  $node->safe_psql('postgres',
		'SELECT reltoastrelid, pg_relation_filepath(oid), '
		  . 'pg_relation_filepath(reltoastrelid) FROM pg_class '
		  . "WHERE oid = '$table'::regclass");
	$store{file} = $node->data_dir . "/$store{path}";
	$store{rows_file} = $node->data_dir . "/$store{rows_path}";
	$store{bytes} = slurp_raw($store{file});
	$store{rows} = slurp_raw($store{rows_file});
	$store{segments} = [ directory($store{bytes}) ];
	$store{tid} = {
		map { split /\|/ } split /\n/,
		$node->safe_psql('postgres', "SELECT id, ctid FROM $table") };
	$store{attnum} = {
		map { split /\|/ } split /\n/,
		$node->safe_psql('postgres',
			'SELECT attname, attnum FROM pg_attribute '
			  . "WHERE attrelid = '$table'::regclass AND attnum > 0") };
	return \%store;
}

# Where the reference of a row's column is in the rows' file: 1-byte header,
# tag, raw size, stored size, value, relation
sub reference
{
	my ($store, $id, $column) = @_;
	my %place = (
		tid => $store->{tid}{$id},
		attnum => $store->{attnum}{$column});
	my ($block, $offset) = $place{tid} =~ /(\d+),(\d+)/;

	$place{page} = $block * $block_size;
	$place{item} = $place{page} + 24 + 4 * ($offset - 1);
	my $item = unpack 'V', substr $store->{rows}, $place{item}, 4;
	$place{row} = $place{page} + ($item & 0x7fff);

	# the first reference is that of embedding, the second that of doc
	my $row = substr $store->{rows}, $place{row}, $item >> 17;
	my $toast = quotemeta number($store->{oid});
	my @at;
	push @at, $place{row} + $-[0] while $row =~ /\x01\x12.{12}$toast/gs;
	$place{at} = $at[ $column eq 'doc' ];
	BAIL_OUT("no reference in row $id") unless defined $place{at};
	$place{value} = unpack 'V', substr $store->{rows}, $place{at} + 10, 4;

	my ($segment) = grep {
		$place{value} >= $_->{first_value}
		  && $place{value} < $_->{first_value} + $_->{slots}
	} @{ $store->{segments} };
	$place{segment} = $segment->{number};
	$place{slot} = $place{value} - $segment->{first_value};
	$place{position} = $place{slot} * $segment->{slot_size};
	$place{block} =
	  $segment->{first_block} + 1 + int $place{position} / $content_size;
	$place{offset} = $place{block} * $block_size + $content
	  + $place{position} % $content_size;
	$place{last_block} = $segment->{first_block} + 1
	  + int(($place{position} + $segment->{slot_size} - 1) / $content_size);
	$place{map} = $segment->{first_block} * $block_size + $content;
	return \%place;
}

# A row of the result
sub problem
{
	my ($place, $message, %but) = @_;
	my %all = (%$place, %but);

	return join '|',
	  map({ $all{$_} // '' } qw(segment value block tid attnum)), $message;
}

# Values that lie on a block, at least in part
sub on_block
{
	my ($block, @places) = @_;

	return grep { $_->{block} <= $block && $block <= $_->{last_block} }
	  @places;
}

# Stop the server, make changes to fresh copies of the files, start it, and
# compare what is found. A change is [file, offset, bytes].
sub check_damaged
{
	my ($node, $store, $changes, $expected, $name, %options) = @_;
	my %bytes = (file => $store->{bytes}, rows_file => $store->{rows});

	foreach my $change (@$changes)
	{
		my ($file, $offset, $new) = @$change;

		substr($bytes{$file}, $offset, length $new) = $new;
	}
	$bytes{file} = substr $bytes{file}, 0, $options{truncate}
	  if defined $options{truncate};
	$node->stop;
	write_raw($store->{$_}, $bytes{$_}) foreach qw(file rows_file);
	$node->start;

	my $found = $node->safe_psql('postgres',
		($options{settings} // '')
		  . "SELECT * FROM vecseg_check('$store->{table}')");
	is_deeply([ sort split /\n/, $found ], [ sort @$expected ], $name);
	return;
}

sub repaired
{
	my ($node, $store) = @_;

	check_damaged($node, $store, [], [], "$store->{table} repaired");
	return;
}

my $node = vecseg_node('check', checksums => 0, conf => "autovacuum = off\n");

# The server's message
sub invalid_page
{
	my ($block, $path) = @_;

	$path = "\"$path\"" if $node->pg_version >= 18;
	return "invalid page in block $block of relation $path";
}

create_table($node, 'items', columns => 'doc text');
$node->safe_psql('postgres', <<'SQL');
INSERT INTO items SELECT i, 1, vec(i, 1, 768), repeat(vec(i, 2, 300)::text, 3)
	FROM generate_series(1, 1000) i;
UPDATE items SET version = 2, embedding = vec(id, 2, 768) WHERE id % 10 = 0;
DELETE FROM items WHERE id % 50 = 1;
VACUUM items;
SQL
my $items = examine($node, 'items');
is($node->safe_psql('postgres', "SELECT * FROM vecseg_check('items')"),
	'', 'a sound table');
{
	my $holder = $node->background_psql('postgres');

	$holder->query_safe('BEGIN; LOCK TABLE items IN EXCLUSIVE MODE');
	is( $node->safe_psql(
			'postgres', "SET lock_timeout = 1; SELECT * FROM vecseg_check('items')"),
		'', 'a lock that lets others read lets them check');
	$holder->query_safe('COMMIT');
	$holder->quit;
}
my @references = map { reference($items, $_, 'embedding') }
  grep { $_ % 50 != 1 } (1 .. 1000);
my @docs = map { reference($items, $_, 'doc') }
  grep { $_ % 50 != 1 } (1 .. 1000);
cmp_ok(scalar(@{ $items->{segments} }), '>', 5, 'there are some segments');

# References and slots
{
	my ($free, $twice, $other, $none, $wrong, $size, $relation, $doc, $flag,
		$tag, $natts, $hoff, $line, $raw, $xmin, $xmax) =
	  map { $references[ 60 * $_ ] } (1 .. 16);
	my $compressed = $docs[77];
	my $bits = ord substr $items->{bytes}, $free->{map} + 24 + $free->{slot} / 8, 1;
	my $used = unpack 'V', substr $items->{bytes}, $free->{map} + 8, 4;
	my $infomask = unpack 'v', substr $items->{rows}, $flag->{row} + 20, 2;
	my $next_value = unpack 'V', substr $items->{bytes}, $content + 4, 4;
	my @rows = (segment => '', value => '', block => '', attnum => '');

	check_damaged(
		$node, $items,
		[
			# a slot in use marked as free
			[
				'file', $free->{map} + 24 + int($free->{slot} / 8),
				pack 'C', $bits & ~(1 << $free->{slot} % 8) ],
			[ 'file', $free->{map} + 8, number($used - 1) ],
			# a reference to another row's value
			[ 'rows_file', $other->{at} + 10, number($twice->{value}) ],
			# to a value that never was
			[ 'rows_file', $none->{at} + 10, number($next_value + 7) ],
			# to another relation
			[ 'rows_file', $relation->{at} + 14, number(1259) ],
			# with another size: the slot's is the next larger one
			[
				'rows_file', $size->{at} + 2,
				number(3096 - 8) . number(3096 - 12) ],
			# with sizes that contradict each other
			[ 'rows_file', $raw->{at} + 2, number(4) ],
			# a slot that starts with something else
			[ 'file', $wrong->{offset}, number(0x12345678) ],
			# a compressed value of another length
			[ 'file', $compressed->{offset} + 4, number(0x00abcdef) ],
			# a row said to be without references
			[ 'rows_file', $flag->{row} + 20, pack 'v', $infomask & ~4 ],
			# rows that are not sound themselves
			[ 'rows_file', $tag->{at} + 1, "\x01" ],
			[ 'rows_file', $natts->{row} + 18, "\x07" ],
			[ 'rows_file', $hoff->{row} + 22, "\x20" ],
			[ 'rows_file', $line->{item}, number(0x007e8001) ],
			[ 'rows_file', $xmin->{row}, number(1000000) ],
			[ 'rows_file', $xmin->{row} + 20, pack 'v', 2 | 4 ],
			[ 'rows_file', $xmax->{row} + 4, number(0x80000003) ],
			[ 'rows_file', $xmax->{row} + 20, pack 'v', 2 | 4 | 0x100 ],
		],
		[
			problem($free, 'slot of the value is free'),
			problem($twice, 'value is referred to more than once'),
			problem(
				$twice, 'value is referred to more than once',
				tid => $other->{tid}),
			problem(
				$none, 'value does not exist',
				value => $next_value + 7,
				segment => '',
				block => ''),
			problem(
				$relation,
				'reference is to relation 1259, not to the TOAST relation of the table',
				segment => '',
				block => ''),
			problem(
				$size,
				'value of 3088 bytes does not fit a slot of 3096 bytes'),
			problem(
				$raw,
				'reference says that 3096 bytes are the image of 4 bytes'),
			problem(
				$wrong, 'slot starts with 12345678 where 00003060 was expected'
			),
			problem(
				$compressed,
				sprintf(
					'value is compressed as 00ABCDEF where %08X was expected',
					unpack 'V', substr $items->{bytes},
					$compressed->{offset} + 4, 4)),
			problem(
				$flag,
				'row has a reference, but its header says that it has none',
				@rows),
			problem(
				$tag, 'row has a reference of a kind that is not for disk',
				@rows),
			problem($natts, 'row has more columns than the table', @rows),
			problem($hoff, 'row header has a wrong size', @rows),
			problem($line, 'line pointer does not point to a row', @rows),
			problem(
				$xmin, 'row was inserted by an unknown transaction, 1000000',
				@rows),
			problem(
				$xmax,
				'row was deleted or locked by an unknown transaction, 2147483651',
				@rows),
		],
		'references, slots and rows');
}
repaired($node, $items);

# Data pages
{
	my ($empty, $magic, $version, $kind, $lower, $header) =
	  map { $references[ 100 * $_ ]->{block} } (1 .. 6);
	my @bad = (
		[ $magic, 'page is not a vecseg page' ],
		[ $version, 'page was written by another version of vecseg' ],
		[ $kind, 'page is of another kind than expected' ],
		[ $header, 'page header is wrong' ]);
	my @all = (@references, @docs);
	my ($segment_of) = map {
		my %of;
		$of{ $_->{block} } = $of{ $_->{last_block} } = $_->{segment}
		  foreach @$_;
		\%of
	} \@references;

	check_damaged(
		$node, $items,
		[
			[ 'file', $empty * $block_size, "\0" x $block_size ],
			[ 'file', $magic * $block_size + 8184, "\0" ],
			[ 'file', $version * $block_size + 8186, "\x09" ],
			[ 'file', $kind * $block_size + 8187, "\x03" ],
			[ 'file', $lower * $block_size + 12, pack 'v', $content + 4 ],
			[ 'file', $header * $block_size + 8188, number(1) ],
		],
		[
			map({ problem({}, $_->[1], block => $_->[0],
						segment => $segment_of->{ $_->[0] }) } @bad),
			map({
				my $block = $_->[0];
				map { problem($_, 'value lies on a damaged page',
						block => $block) } on_block($block, @all)
			} @bad),
			map({ problem($_, 'value lies on an empty page',
						block => $empty) } on_block($empty, @all)),
			map({ problem($_,
						'page header says that the page ends before the value',
						block => $lower) } on_block($lower, @all)),
		],
		'data pages');
}
repaired($node, $items);

# Segment pages, each in its own way
{
	my @vectors = grep { $_->{kind} == 1 } @{ $items->{segments} };
	my @page = map { $_->{first_block} * $block_size } @vectors;
	my $used = unpack 'V', substr $items->{bytes}, $page[0] + $content + 8, 4;
	my @messages = (
		'number of allocated slots does not match the slot map',
		'segment page belongs to another segment',
		'a slot beyond the highest one is allocated',
		'newest transaction 4294967299 is in the future',
		'page is empty');

	cmp_ok(scalar(@vectors), '>=', 5, 'there are segments to be damaged');
	check_damaged(
		$node, $items,
		[
			[ 'file', $page[0] + $content + 8, number($used + 1) ],
			[ 'file', $page[1] + $content, number(99) ],
			[ 'file', $page[2] + $content + 12, number(3) ],
			[ 'file', $page[3] + $content + 16, number(3) . number(1) ],
			[ 'file', $page[4], "\0" x $block_size ],
		],
		[
			map { problem({}, $messages[$_],
					segment => $vectors[$_]->{number},
					block => $vectors[$_]->{first_block}) } (0 .. 4)
		],
		'segment pages');
}
repaired($node, $items);

# The directory: what it does not tell of cannot be found missing
{
	my $page = unpack 'V', substr $items->{bytes}, $content + 16, 4;
	my ($kind, $size, $values, $blocks) = @{ $items->{segments} }[ 1, 3, 5, 6 ];
	my $next_block = unpack 'V', substr $items->{bytes}, $content + 8, 4;

	check_damaged(
		$node, $items,
		[
			[ 'file', $kind->{at} + 20, "\x07" ],
			[ 'file', $size->{at} + 8, number(0) ],
			[ 'file', $values->{at}, number(1) ],
			[ 'file', $blocks->{at} + 12, number(1) ],
		],
		[
			problem({}, 'kind or the flags of the segment are unknown',
				segment => 1, block => $page),
			problem({}, 'slots of the segment do not fit its blocks',
				segment => 3, block => $page),
			problem({}, "segment's values are those of others",
				segment => 5, block => $page),
			problem({}, "segment's blocks are those of others",
				segment => 6, block => $page),
		],
		'directory entries');
	check_damaged(
		$node, $items,
		[ [ 'file', $page * $block_size, "\0" x $block_size ] ],
		[ problem({}, 'page is empty', block => $page) ],
		'directory page');
	check_damaged(
		$node, $items,
		[ [ 'file', 0, "\0" x $block_size ] ],
		[ problem({}, 'page is empty', block => 0) ],
		'empty meta page');
	check_damaged(
		$node, $items,
		[ [ 'file', $content, number(100000) ] ],
		[
			problem(
				{},
				'number of segments does not match that of directory pages',
				block => 0) ],
		'number of segments');
	check_damaged(
		$node, $items,
		[ [ 'file', $content + 16, number($next_block) ] ],
		[
			problem({}, 'a directory page is not where one can be',
				block => 0) ],
		'place of the directory page');

	my $cut = $items->{segments}[-2]{first_block} + 2;
	check_damaged(
		$node, $items, [],
		[
			problem({}, "file ends here, not at block $next_block",
				block => $cut),
			map({
				my $place = $_;
				problem($place, 'value lies on a damaged page',
					block => $place->{block} < $cut ? $cut : $place->{block})
			} grep { $_->{last_block} >= $cut } @references, @docs)
		],
		'file cut off',
		truncate => $cut * $block_size);
}
repaired($node, $items);
check_paths($node, 'items', paths => ['seq']);

# A page of rows that is not one: its rows are not checked, all others are
{
	my $page = $references[200]->{page};
	my $other = $references[900];

	check_damaged(
		$node, $items,
		[
			[ 'rows_file', $page, "\xff" x 24 ],
			[ 'file', $other->{offset}, number(0) ] ],
		[
			problem(
				{},
				invalid_page($page / $block_size, $items->{rows_path}),
				tid => "(${\ ($page / $block_size)},0)"),
			problem($other,
				'slot starts with 00000000 where 00003060 was expected') ],
		'page of rows');

	# VACUUM keeps all values when it cannot tell which are in use
	check_damaged($node, $items,
		[ [ 'rows_file', $other->{row} + 22, "\x20" ] ],
		[ problem({}, 'row header has a wrong size', tid => $other->{tid}) ],
		'row');
	# by index, as an assertion of the server's (19) ends it at the damaged row
	$node->safe_psql('postgres',
		'SET enable_seqscan = off; SET enable_bitmapscan = off; '
		  . 'DELETE FROM items WHERE id < 100');
	my ($status, undef, $error) =
	  $node->psql('postgres', "VACUUM pg_toast.pg_toast_"
		  . $node->safe_psql('postgres', "SELECT 'items'::regclass::oid"));
	is($status, 3, 'VACUUM fails at a damaged row');
	like($error, qr/row \Q$other->{tid}\E of table "items" is damaged/,
		'error of VACUUM');
}

# Segments in several turns: each problem is found once.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE small (id int, embedding real[]) USING vecseg;
INSERT INTO small SELECT i, ARRAY[i, i]::real[] FROM generate_series(1, 250000) i;
SQL
my $small = examine($node, 'small');
{
	my ($first, $last, $none, $row) =
	  map { reference($small, $_, 'embedding') }
	  (10, 249900, 100000, 200000);

	cmp_ok($last->{segment}, '>', 4, 'the table has many segments');
	check_damaged(
		$node, $small,
		[
			[ 'file', $first->{offset}, number(1) ],
			[ 'file', $last->{offset}, number(1) ],
			[ 'rows_file', $none->{at} + 10, number(0x7fffffff) ],
			[ 'rows_file', $row->{row} + 22, "\x20" ],
		],
		[
			problem($first,
				'slot starts with 00000001 where 00000080 was expected'),
			problem($last,
				'slot starts with 00000001 where 00000080 was expected'),
			problem(
				$none, 'value does not exist',
				value => 0x7fffffff,
				segment => '',
				block => ''),
			problem({}, 'row header has a wrong size', tid => $row->{tid}),
		],
		'several turns',
		settings => "SET maintenance_work_mem = '1MB';");
}
repaired($node, $small);

# A check can be cancelled.
{
	my ($status, undef, $error) = $node->psql('postgres',
		"SET statement_timeout = '1ms'; "
		  . "SELECT count(*) FROM generate_series(1, 1000), vecseg_check('small')");
	is($status, 3, 'a check can be cancelled');
	like($error, qr/canceling statement due to statement timeout/,
		'and says so');
}
$node->stop;

# With checksums any change of any page is found.
$node = vecseg_node('checksums', conf => "autovacuum = off\n");
create_table($node, 'items', columns => 'doc text');
fill_table($node, 'items', 1, 500);
$items = examine($node, 'items');
{
	my $place = reference($items, 300, 'embedding');
	my $segment = $items->{segments}[1];
	my $page = unpack 'V', substr $items->{bytes}, $content + 16, 4;
	my $blocks = (length $items->{bytes}) / $block_size;
	my $message = sub {
		my ($block, $path) = @_;
		return invalid_page($block, $path // $items->{path});
	};
	my @others =
	  on_block($place->{block}, map { reference($items, $_, 'embedding') }
		  (1 .. 500));

	check_damaged(
		$node, $items,
		[
			[ 'file', $place->{block} * $block_size + 4000, 'x' ],
			[
				'file', $segment->{first_block} * $block_size + 8000, 'x' ],
			[ 'rows_file', 8000, 'x' ],
		],
		[
			problem({}, $message->($place->{block}),
				segment => $place->{segment}, block => $place->{block}),
			problem({}, $message->($segment->{first_block}),
				segment => 1, block => $segment->{first_block}),
			problem({}, $message->(0, $items->{rows_path}), tid => '(0,0)'),
			map({ problem($_, 'value lies on a damaged page',
						block => $place->{block}) }
				grep { $_->{page} != 0 } @others),
		],
		'checksums');
	check_damaged(
		$node, $items,
		[ [ 'file', $page * $block_size + 8000, 'x' ] ],
		[ problem({}, $message->($page), block => $page) ],
		'checksum of the directory page');
	check_damaged(
		$node, $items,
		[ [ 'file', 8000, 'x' ] ],
		[ problem({}, $message->(0), block => 0) ],
		'checksum of the meta page');

	# What no segment owns is read, too.
	$items->{bytes} .= "\0" x $block_size x 3;
	repaired($node, $items);
	check_damaged(
		$node, $items,
		[ [ 'file', ($blocks + 1) * $block_size + 4000, 'x' ] ],
		[ problem({}, $message->($blocks + 1), block => $blocks + 1) ],
		'checksum of a page without owner');
}
repaired($node, $items);
check_paths($node, 'items', rows => 500, paths => ['seq']);
$node->stop;

# Nothing is wrong while others write and vacuum.
$node = vecseg_node(
	'storm',
	allows_streaming => 1,
	conf => <<'CONF');
shared_buffers = 4MB
max_wal_size = 1GB
autovacuum_naptime = 1s
CONF
create_table($node, 'items',
	columns => 'note int NOT NULL DEFAULT 0, doc text');
$node->safe_psql('postgres', <<'SQL');
CREATE INDEX ON items (note);
CREATE SEQUENCE new_id START 1000000;
CREATE FUNCTION must_be_sound(tbl regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	problem record;
BEGIN
	FOR problem IN SELECT * FROM vecseg_check(tbl) LOOP
		RAISE EXCEPTION 'WRONG: %', problem;
	END LOOP;
END $$;
CREATE FUNCTION must_be_zero(n bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF n <> 0 THEN RAISE EXCEPTION 'WRONG: % vectors', n; END IF;
END $$;
SQL
fill_table($node, 'items', 1, 500);
$node->backup('first');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'first', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = 1s');
$standby->start;

my $set = 'version = version + 1, embedding = vec(id, version + 1, 768), '
  . 'doc = repeat(version::text, 500 * (version % 5))';
sub start_writers
{
	return start_pgbench(
		$node,
		[ '-c', 5, '-T', $seconds ],
		'update@4' => <<"SQL",
\\set id random(1, 500)
UPDATE items SET $set WHERE id = :id;
SQL
		'touch@4' => <<"SQL",
\\set id random(1, 500)
UPDATE items SET note = note + 1 WHERE id = :id;
SQL
		'insert@2' =>
		  "INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM nextval('new_id') i;\n",
		'large@1' =>
		  "INSERT INTO items SELECT i, 1, vec(i, 1, 16000) FROM nextval('new_id') i;\n",
		'delete@3' =>
		  "DELETE FROM items WHERE id >= 1000000 AND id < (SELECT last_value - 50 FROM new_id);\n",
		'undo@2' => <<"SQL");
\\set id random(1, 500)
BEGIN;
INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM (SELECT nextval('new_id') AS i FROM generate_series(1, 30)) s;
UPDATE items SET $set WHERE id = :id;
UPDATE items SET note = note + 1 WHERE id = :id;
ROLLBACK;
SQL
}

sub start_checks
{
	return start_pgbench(
		$node,
		[ '-c', 2, '-T', $seconds ],
		'check@4' => "SELECT must_be_sound('items');\n",
		'own_check@1' => <<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM items;
SELECT pg_sleep(0.1);
SELECT must_be_sound('items');
COMMIT;
SQL
}

my $vacuum = start_client($node, <<'SQL' x 100000);
VACUUM items;
\echo ack
SQL

# On the standby a query may be in the way of replay, and lose its session.
my ($sound, $cancelled, @wrong) = (0, 0);
my $read = "SELECT must_be_zero(count(*)) FROM items WHERE "
  . wrong_vectors('CASE WHEN id >= 1000000 THEN cardinality(embedding) ELSE 768 END');
my $enough = 10;

# A busy machine needs several rounds until there were enough checks meanwhile.
for my $round (1 .. 5)
{
	my ($writers, $checks) = (start_writers(), start_checks());

	while ($writers->{run}->pumpable)
	{
		$writers->{run}->pump_nb;
		my ($status, undef, $error) =
		  $standby->psql('postgres', "SELECT must_be_sound('items'); $read");

		if ($status == 0) { $sound++; }
		elsif ($error =~ /conflict with recovery/) { $cancelled++; }
		else { push @wrong, $error; }
	}
	finish_pgbench($writers);
	finish_pgbench($checks);
	last if $sound > $enough;
}
is("@wrong", '', 'no false alarm on the standby');
cmp_ok($sound, '>', $enough,
	"$sound checks on the standby, $cancelled cancelled");
cmp_ok(scalar(my @acks = client_acks($vacuum)),
	'>', 1, 'VACUUM ran again and again');
ok(stop_client($vacuum), 'VACUUM met no error');
$node->safe_psql('postgres', "SELECT must_be_sound('items')");
$node->wait_for_catchup($standby, 'replay');
$standby->safe_psql('postgres', "SELECT must_be_sound('items')");

# An unlogged table has no files on a standby.
$node->safe_psql('postgres',
	'CREATE UNLOGGED TABLE unlogged USING vecseg AS SELECT * FROM items');
$node->wait_for_catchup($standby, 'replay');
is($standby->safe_psql('postgres', "SELECT * FROM vecseg_check('unlogged')"),
	'', 'an unlogged table on a standby');
server_log_is_clean($node);
server_log_is_clean($standby);
$standby->stop;
$node->stop;
done_testing();
