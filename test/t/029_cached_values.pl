# Values here and there that the page cache has, which are read many at a time:
# of all sizes in one query, with the page cache in any state, and from damaged
# files, where what one read leaves behind must not pass for the next one's.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $block_size = 8192;
my $rows = 2000;
my $dims = 1500;	# three of four values lie on two pages
my %columns = (
	embedding => [ 1, $dims ],
	small => [ 2, '(5 + id % 40)::int' ],
	ragged => [ 3, '(5 + (hashint8(id) & 2047))' ],
	large => [ 4, 'CASE WHEN id % 40 = 0 THEN 16378 WHEN id % 3 = 0 THEN 5000 '
		  . 'ELSE 300 END' ]);
my $wrong = join ' OR ',
  map { wrong_vectors($columns{$_}[1], $columns{$_}[0], $_) } sort keys %columns;

# An eighth of the rows, at random
sub some
{
	my ($seed) = @_;

	return "vecseg_retrieve(NULL::items, ARRAY(SELECT i FROM "
	  . "generate_series(1::bigint, $rows) i WHERE hashint8extended(i, $seed) & 7 = 0 "
	  . "ORDER BY hashint8extended(i, $seed + 1)))";
}

# Read a file: all of it, or so many blocks of each so many.
sub read_file
{
	my ($file, $blocks, $of) = @_;
	my $bytes;

	open my $fh, '<:raw', $file or die "could not open $file: $!";
	for (my $at = 0; $at < -s $file; $at += $of * $block_size)
	{
		sysseek $fh, $at, 0;
		sysread $fh, $bytes, $blocks * $block_size;
	}
	return;
}

sub reads_right
{
	my ($node, $settings, $name) = @_;
	my ($before, @results) = split /\n/, $node->safe_psql('postgres',
		"$settings; SELECT values - mapped_hits FROM vecseg_stat_io; "
		  . join('', map { "SELECT count(*) > $rows / 10, "
			  . "count(*) FILTER (WHERE $wrong) FROM " . some($_) . '; ' } 1 .. 3)
		  . 'SELECT values - mapped_hits FROM vecseg_stat_io');
	my $after = pop @results;

	is_deeply(\@results, [ ('t|0') x 3 ], "$name: all are right");
	return $after - $before;
}

# Does a session have a large piece of a file mapped at once?
sub has_large_pages
{
	my ($session, $file) = @_;
	my $pid = must($session, 'SELECT pg_backend_pid()');
	my $inside = 0;

	foreach my $line (split /\n/, slurp_file("/proc/$pid/smaps"))
	{
		$inside = $line =~ / \Q$file\E$/ if $line =~ /^[0-9a-f]+-[0-9a-f]+ /;
		return 1 if $inside && $line =~ /^FilePmdMapped: +[1-9]/;
	}
	return 0;
}

# A session that has read so many vectors that it has looked how the file lies in the
# page cache, and takes them from the mapping if that is in large pages
sub long_session
{
	my ($node, $file, $name) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	drop_os_cache($file);
	read_file($file, 128, 128);
	note((-s $file) . " bytes in the file, " . cached_bytes($file) . " in the cache");
	session_reads_right($session, 1 .. 12, "$name, long session");
  SKIP:
	{
		skip 'NOT TESTED: the mapping in large pages, in which the kernel does not '
		  . "have the file, or is older than 6.5 ($name)", 1
		  unless has_large_pages($session, $file);
		my $read = must($session, 'SELECT values - mapped_hits FROM vecseg_stat_io');
		session_reads_right($session, 13, "$name, large pages");
		cmp_ok(must($session, 'SELECT values - mapped_hits FROM vecseg_stat_io') - $read,
			'<', $rows / 100, "$name, large pages: all from the mapping");
	}
	return $session;
}

sub session_reads_right
{
	my ($session, @seeds) = @_;
	my $name = pop @seeds;

	is(must($session, join ' UNION ALL ', map {
			"SELECT count(*) > $rows / 10, count(*) FILTER (WHERE $wrong) FROM " . some($_)
		} @seeds), join("\n", ('t|0') x @seeds), "$name: all are right");
	return;
}

# Assert that a session that has the vector mapped is refused it.
sub is_refused_in_session
{
	my ($session, $id, $pattern, $name) = @_;

	foreach my $others (0, 30, 300)
	{
		my $wrongs = ask($session, 'SELECT count(*) FILTER (WHERE '
			  . wrong_vectors($dims) . ') FROM vecseg_retrieve(NULL::items, '
			  . "ARRAY(SELECT generate_series(1::bigint, $others)) || ${id}::bigint)");

		like($session->{stderr}, $pattern, "$name, $others before it, in a long session")
		  or diag "wrong vectors: $wrongs";
	}
	return;
}

# Assert that a vector is refused, whatever was read before it.
sub is_refused
{
	my ($node, $id, $pattern, $name) = @_;

	foreach my $others (0, 1, 30, 100 .. 105, 300)
	{
		foreach my $method ('io_uring', 'sync')
		{
			my ($status, $result, $error) = $node->psql('postgres',
				"SET vecseg.io_method = $method; SELECT count(*) FILTER (WHERE "
				  . wrong_vectors($dims) . ') FROM vecseg_retrieve(NULL::items, '
				  . "ARRAY(SELECT generate_series(1::bigint, $others)) || ${id}::bigint)");

			is($status, 3, "$name, $others before it, $method: it is refused")
			  or diag "wrong vectors: $result";
			like($error, $pattern, "$name, $others before it, $method: the error");
		}
	}
	return;
}

foreach my $checksums (0, 1)
{
	my $with = $checksums ? 'with checksums' : 'without checksums';
	my $node = vecseg_node("cached_$checksums", checksums => $checksums,
		conf => "autovacuum = off\nshared_buffers = 1MB\n"
		  . 'max_parallel_workers_per_gather = 0');
	my @names = sort keys %columns;

	$node->safe_psql('postgres',
		'CREATE TABLE items (id bigint PRIMARY KEY, version int NOT NULL, '
		  . join(', ', map { "$_ real[]" } @names)
		  . ') USING vecseg; INSERT INTO items SELECT id, 1, '
		  . join(', ', map { "vec(id, $columns{$_}[0], $columns{$_}[1])" } @names)
		  . " FROM generate_series(1::bigint, $rows) id; VACUUM ANALYZE items");
	my $file = toast_file($node, 'items');
	$node->restart;	# with nothing of the table in shared buffers

	foreach my $settings ('SET vecseg.io_method = io_uring',
		'SET vecseg.io_method = io_uring; SET vecseg.io_depth = 1024; SET vecseg.direct_io = on',
		'SET vecseg.io_method = sync')
	{
		read_file($file, 16, 16);
		cmp_ok(reads_right($node, $settings, "$with, $settings"),
			'<', $rows / 100, "$with, $settings: from the page cache");
		drop_os_cache($file) or next;
		read_file($file, 3, 7);
		reads_right($node, $settings, "$with, $settings, cached in part");
	}

	# Of a vector on two pages, the second page is zeros.
	my ($id, $slot) = (1500);
	while (($slot = slot_offset($node, 'items', $id)) % $block_size < 6000) { $id++ }
	my $block = int($slot / $block_size) + 1;

	my $session = long_session($node, $file, $with);
	my $old = overwrite($file, $block * $block_size, "\0" x $block_size);
	is_refused_in_session($session, $id,
		qr/ERROR: .*(invalid page in block $block|is damaged)/,
		"$with, second page zeroed");
	overwrite($file, $block * $block_size, $old);
	session_reads_right($session, 14 .. 16, "$with, restored, long session");
	$session->quit;

	$node->stop;
	overwrite($file, $block * $block_size, "\0" x $block_size);
	$node->start;
	read_file($file, 16, 16);
	is_refused($node, $id, qr/ERROR: .*(invalid page in block $block|is damaged)/,
		"$with, second page zeroed");
	$node->stop;
	overwrite($file, $block * $block_size, $old);

	# It is not there.
	my $rest = substr slurp_file($file), $block * $block_size;
	$node->start;
	read_file($file, 16, 16);
	$session = long_session($node, $file, "$with, again");
	truncate $file, $block * $block_size or die "could not truncate $file: $!";
	is_refused_in_session($session, $id, qr/ERROR: .*could not (read|open) .*block/,
		"$with, second page truncated");
	read_file($file, 16, 16);
	is_refused($node, $id, qr/ERROR: .*could not (read|open) .*block/,
		"$with, second page truncated");
	overwrite($file, $block * $block_size, $rest);
	session_reads_right($session, 17 .. 20, "$with, restored again, long session");
	$session->quit;
	reads_right($node, 'SET vecseg.io_method = auto', "$with, restored");
	check_store($node, 'items', name => $with);
	$node->stop;
}
done_testing();
