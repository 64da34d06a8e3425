# Every way of reading gives every vector exactly, whatever the settings, the
# vectors' size, and where the vectors are: on disk or in memory. And they are
# read in the way that the settings ask for.

use strict;
use warnings;

use File::Compare;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 1200;
my $paths_each = hard(2, 7);

# Of these every row has one: in the row (up to 28 bytes); the smallest in
# segments (32 bytes); 2 kB; 3 kB; around one page's content, exactly that, and
# that of two pages; 64 kB.
my @dims = (
	768, 0, 768, 1, 768, 2, 768, 3, 768, 506, 768, 505, 768, 2033, 768, 2034,
	768, 2035, 768, 2040, 768, 4074, 768, 100, 768, 16378, 768, 16387, 768, 9);
my $dims = "(ARRAY[" . join(',', @dims) . "])[id % " . @dims . " + 1]";

# More than the smallest vecseg.read_ahead, and than two reads
my $large = 'CASE WHEN id % 200 = 7 THEN '
  . join(' || ', map { "vec(id, $_, 16387)" } 1 .. 5) . ' END';

my $wrong = "ROW(embedding, large)::record *<> "
  . "ROW(vec(id, version, $dims), $large)";

my $serial = 'SET max_parallel_workers_per_gather = 0;';
my $ids = "ARRAY(SELECT i FROM generate_series(1::bigint, $rows) i "
  . "ORDER BY hashint8(i))";
my %from = (
	seq => [ 'items', $serial ],
	parallel => [
		'items',
		'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; '
		  . 'SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;' ],
	filter => [ '(SELECT * FROM items WHERE id + 0 > 0 OFFSET 0) s', $serial ],
	scroll => [ 'vecseg_scroll(NULL::items)', $serial ],
	retrieve => [ "vecseg_retrieve(NULL::items, $ids)", $serial ],
	ordered => [
		'(SELECT * FROM items ORDER BY id OFFSET 0) s',
		"$serial SET enable_seqscan = off; SET enable_sort = off;" ],
	any => [
		"(SELECT * FROM items WHERE id = ANY ($ids) OFFSET 0) s",
		"$serial SET enable_seqscan = off; SET enable_bitmapscan = off;" ],
	copy => [ undef, "$serial" ]);
my @paths = sort keys %from;
my $counters = '"values", shared_hits, mapped_hits, read_values, reads, '
  . 'read_bytes, single_values FROM vecseg_stat_io';

sub start_node
{
	my ($checksums) = @_;
	my $node = vecseg_node(
		"settings_$checksums",
		checksums => $checksums,
		conf => "autovacuum = off\nsynchronize_seqscans = off\n"
		  . 'max_worker_processes = 8');

	create_table($node, 'items', columns => 'large real[]');
	$node->safe_psql('postgres',
		"INSERT INTO items SELECT id, 1, vec(id, 1, $dims), $large "
		  . "FROM generate_series(1::bigint, $rows) id;\n"
		  . "CREATE TABLE truth AS SELECT * FROM items;\n"
		  . 'VACUUM ANALYZE items;');
	is( $node->safe_psql('postgres',
			"SELECT count(*), count(*) FILTER (WHERE $wrong) FROM truth"),
		"$rows|0",
		'the heap table is right');
	my %server = (node => $node, file => toast_file($node, 'items'));
	$server{copied} = "$PostgreSQL::Test::Utils::tmp_check/copied_$checksums";
	$server{truth} = "$PostgreSQL::Test::Utils::tmp_check/truth_$checksums";
	$node->safe_psql('postgres',
		"COPY truth TO '$server{truth}' (FORMAT binary)");

	# Those in segments; numbers below 2^24 do not compress, all are there once.
	$server{values} = $node->safe_psql('postgres',
		"SELECT sum(used) FROM vecseg_segments('items')");
	$node->restart;	# with nothing of the table in shared buffers
	return \%server;
}

sub query_of
{
	my ($server, $path) = @_;

	return "COPY items TO '$server->{copied}' (FORMAT binary)"
	  if $path eq 'copy';
	return "SELECT 'result', count(*), count(*) FILTER (WHERE $wrong) "
	  . "FROM $from{$path}[0]";
}

# Read the table twice in a session, first from the disk; returns what was
# counted for either.
sub read_twice
{
	my ($server, $path, $settings, $name) = @_;
	my $node = $server->{node};
	my $query = query_of($server, $path);
	my @counted;

	wait_until_cold($server->{file});
	my $output = $node->safe_psql('postgres',
		"$settings $from{$path}[1] SELECT 'counted', $counters; "
		  . "$query; SELECT 'counted', $counters; "
		  . ($path eq 'copy' ? "COPY items TO '$server->{copied}2' (FORMAT binary)" : $query)
		  . "; SELECT 'counted', $counters;");
	if ($path eq 'copy')
	{
		is(compare($server->{truth}, $server->{copied} . $_),
			0, "$name: every vector is right ($_)")
		  foreach '', '2';
	}
	else
	{
		is( join(' ', $output =~ /^result\|(.*)$/mg),
			"$rows|0 $rows|0",
			"$name: every vector is right");
	}
	foreach my $line ($output =~ /^counted\|(.*)$/mg)
	{
		push @counted, {};
		@{ $counted[-1] }{qw(values shared mapped read reads bytes single)} =
		  split /\|/, $line;
	}
	return map {
		my ($from, $to) = @counted[ $_, $_ + 1 ];
		+{ map { $_ => $to->{$_} - $from->{$_} } keys %$to }
	} 0, 1;
}

sub described
{
	my ($counted) = @_;

	return join ' ', map { "$_=$counted->{$_}" } sort keys %$counted;
}

# What is wrong with where the vectors were read from, if anything?
sub misread
{
	my ($server, $path, $direct, $cold, $warm) = @_;
	my $size = -s $server->{file};
	my $cached = cached_bytes($server->{file});

	foreach my $counted ($cold, $warm)
	{
		# A scan looks at some rows' vectors on their own.
		my $extra = $counted->{values} - $server->{values};

		return 'vectors not counted once: ' . described($counted)
		  unless $extra >= 0 && $extra <= $counted->{single}
		  && $counted->{values} == $counted->{shared} + $counted->{mapped}
		  + $counted->{read};
	}
	return 'not from the disk: ' . described($cold)
	  unless $cold->{bytes} > $size / 2;
	if ($direct)
	{
		return "not past the page cache ($cached): " . described($warm)
		  unless $warm->{read} > $server->{values} * 0.8
		  && $warm->{bytes} > $size / 2 && $cached < $size / 4;
	}
	elsif ($path =~ /^(?:seq|filter|parallel|copy)$/)
	{
		# A bulk reader takes from the mapping what lies in regions that are
		# in memory altogether; what nobody has used of a segment is not.
		return "not into the page cache: $cached of $size"
		  unless $cached > $size * 0.8;
	}
	else
	{
		return 'not by the mapping: ' . described($warm)
		  unless $warm->{mapped} == $warm->{values};
	}
	return '';
}

# Others on the machine may empty the page cache at any time: a reading that
# was not as expected is done again, a few times.
sub check_reading
{
	my ($server, $path, $direct, $settings, $name) = @_;
	my $problem;

	for (1 .. 4)
	{
		$problem = misread($server, $path, $direct,
			read_twice($server, $path, $settings, $name));
		last if $problem eq '';
		note "$name: $problem";
	}
	is($problem, '', "$name: from where it had to be read");
	return;
}

my @servers = (start_node(0), start_node(1));

if (!drop_os_cache(map { $_->{file} } @servers))
{
	plan skip_all => 'the file system keeps files in memory';
}
is( scalar(() = $servers[0]{node}->safe_psql('postgres',
			"$from{parallel}[1] EXPLAIN " . query_of($servers[0], 'parallel'))
		  =~ /Parallel Seq Scan/g),
	1,
	'the parallel scan is one');
foreach my $path ('filter', 'scroll', 'retrieve', 'ordered', 'any')
{
	like(
		$servers[0]{node}->safe_psql('postgres',
			"$from{$path}[1] EXPLAIN " . query_of($servers[0], $path)),
		qr/Vecseg Scan/, "$path is a Vecseg Scan");
}

# Is the system's io_uring to be had?
my $offset = -s $servers[0]{node}->logfile;
read_twice($servers[0], 'scroll', 'SET vecseg.io_method = io_uring;', 'first');
my $has_uring = slurp_file($servers[0]{node}->logfile, $offset) !~
  /io_uring is not available/;
note 'this system does not allow io_uring' unless $has_uring;

my $turn = 0;
foreach my $method ('io_uring', 'sync')
{
	foreach my $direct ('off', 'auto', 'on')
	{
		foreach my $read_ahead ('256kB', '8MB', '1GB')
		{
			foreach my $depth (1, 64, 1024)
			{
				my $server = $servers[ $turn % 2 ];
				my $is_direct =
				  $direct eq 'on' && $method eq 'io_uring' && $has_uring;

				foreach my $n (1 .. $paths_each)
				{
					my $path = $paths[ ($turn * $paths_each + $n) % @paths ];

					check_reading(
						$server,
						$path,
						$is_direct,
						"SET vecseg.io_method = $method; "
						  . "SET vecseg.direct_io = $direct; "
						  . "SET vecseg.io_depth = $depth; "
						  . "SET vecseg.read_ahead = '$read_ahead';",
						"$method, direct $direct, depth $depth, "
						  . "$read_ahead, $path");
				}
				$turn++;
			}
		}
	}
}

foreach my $server (@servers)
{
	check_store($server->{node}, 'items');
	server_log_is_clean($server->{node});
	$server->{node}->stop;
}
done_testing();
