# What is read: no vector that a query does not need, not much more than it
# needs when it stops early, and what was read is shown. And the memory that
# reading takes does not grow with the table.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 10_000;
my $groups = 50;
my $in_group = $rows / $groups;
my $other_dims = 200;
my $wrong = wrong_vectors();
my $wrong_other = wrong_vectors($other_dims, 2, 'other');
my @counters = qw(values shared_hits mapped_hits read_values single_values
  batches reads merged read_bytes retries);
my $counters = join ', ', map { "\"$_\"" } @counters;

my $node = vecseg_node(
	'reads',
	conf => "autovacuum = off\nmax_parallel_workers_per_gather = 0\n"
	  . 'synchronize_seqscans = off');

create_table($node, 'items', columns => 'grp int, other real[]');
$node->safe_psql('postgres',
	'INSERT INTO items SELECT id, 1, vec(id, 1, 768), '
	  . "id % $groups, vec(id, 2, $other_dims) "
	  . "FROM generate_series(1::bigint, $rows) id; VACUUM ANALYZE items");
my $file = toast_file($node, 'items');
my $ids = "ARRAY(SELECT i FROM generate_series(1::bigint, $rows) i "
  . "ORDER BY hashint8(i))";
my $by_index = 'SET enable_seqscan = off; SET enable_bitmapscan = off; '
  . 'SET enable_sort = off';
$node->restart;	# with nothing of the table in shared buffers
if (!drop_os_cache($file))
{
	plan skip_all => 'the file system keeps files in memory';
}

# Run statements in a new session, with the vectors on disk only. Returns what
# was read for the last one, and its result.
sub reading
{
	my ($sql, @settings) = @_;
	my $settings = join '', map { "$_; " } @settings;
	my %counted;

	wait_until_cold($file);
	my ($before, $result, $after) = $node->safe_psql('postgres',
		"$settings SELECT 'counted', $counters FROM vecseg_stat_io; "
		  . "$sql; SELECT 'counted', $counters FROM vecseg_stat_io") =~
	  /^counted\|(.*?)\n(.*)^counted\|(.*)$/ms;
	my @before = split /\|/, $before;
	my @after = split /\|/, $after;
	$counted{ $counters[$_] } = $after[$_] - $before[$_] foreach 0 .. $#counters;
	chomp $result;
	return (\%counted, $result);
}

sub described
{
	my ($counted) = @_;

	return join ' ', map { "$_=$counted->{$_}" } @counters;
}

# Queries that need no vector: none is read, and next to nothing of the file,
# by whatever way.
foreach my $sql (
	'SELECT count(*) FROM items',
	'SELECT sum(id), sum(grp) FROM items',
	'SELECT count(*) FROM items WHERE embedding IS NOT NULL',
	'SELECT sum(pg_column_size(embedding)) FROM items',
	'SELECT id, grp FROM items WHERE grp = 3 ORDER BY id',
	'SELECT id FROM items TABLESAMPLE bernoulli (20)',
	'SELECT count(*) FROM items a JOIN items b USING (id)',
	'SELECT count(*) FROM vecseg_scroll(NULL::items)',
	'SELECT id, grp FROM vecseg_scroll(NULL::items, 100, 2000, false)',
	'SELECT count(*) FROM vecseg_scroll(NULL::items) WHERE embedding IS NULL',
	'SELECT * FROM vecseg_scroll(NULL::items) WHERE grp < 0',
	'SELECT * FROM vecseg_scroll(NULL::items) LIMIT 0',
	'SELECT EXISTS (SELECT * FROM vecseg_scroll(NULL::items))',
	'SELECT EXISTS (SELECT * FROM items)',
	"SELECT id FROM vecseg_retrieve(NULL::items, $ids)",
	"SELECT * FROM vecseg_retrieve(NULL::items, '{-1, 1000000}')",
	"SELECT count(*) FROM items WHERE id = ANY ($ids)",
	'SELECT * FROM items WHERE grp < 0 ORDER BY id',
	"COPY items (id, version, grp) TO '$PostgreSQL::Test::Utils::tmp_check/copied'",
	'COPY (SELECT id FROM vecseg_scroll(NULL::items)) TO '
	  . "'$PostgreSQL::Test::Utils::tmp_check/copied'",
	'BEGIN; DECLARE c CURSOR FOR SELECT * FROM vecseg_scroll(NULL::items); CLOSE c; COMMIT',
	'EXPLAIN SELECT * FROM vecseg_scroll(NULL::items)',
	'BEGIN; UPDATE items SET grp = grp WHERE id <= 300; ROLLBACK',
	'BEGIN; DELETE FROM items WHERE id <= 300; ROLLBACK',
	'BEGIN; CREATE INDEX ON items (grp); ROLLBACK',
	'BEGIN; CREATE INDEX ON items ((embedding IS NULL), id); ROLLBACK')
{
	my ($counted) = reading($sql);

	ok( !(grep { $counted->{$_} != 0 } @counters)
		  && cached_bytes($file) < (-s $file) / 50,
		"nothing is read: $sql")
	  or diag described($counted) . ' cached=' . cached_bytes($file);
}

# Conditions that need no vector come first: the rows that pass are read, and
# no others.
my %from = (
	scroll => 'vecseg_scroll(NULL::items)',
	backward => 'vecseg_scroll(NULL::items, backward => true)',
	retrieve => "vecseg_retrieve(NULL::items, $ids)",
	ordered => '(SELECT * FROM items WHERE %s ORDER BY id OFFSET 0) s',
	any => "(SELECT * FROM items WHERE id = ANY ($ids) AND %s OFFSET 0) s");
foreach my $how (sort keys %from)
{
	my %conditions = (
		'grp = 3' => $in_group,
		'grp = 3 AND embedding[1] > 0' => $in_group,
		'embedding[1] > 0 AND grp = 3' => $in_group,
		'(id + grp) % 10 = 0 AND version = 1' => $rows / $groups * 10,
		'embedding[3] = 1' => $rows);

	foreach my $where (sort keys %conditions)
	{
		my $from = $from{$how};
		my $passing = $node->safe_psql('postgres',
			"SELECT count(*) FROM items WHERE $where");
		my ($counted, $result);

		$from =~ s/%s/$where/ or $from .= " WHERE $where";
		($counted, $result) = reading(
			"SELECT count(*), count(*) FILTER (WHERE $wrong) FROM $from",
			$by_index);
		is($result, "$passing|0", "$how, $where: the rows are right");
		is($counted->{values}, $conditions{$where}, "$how, $where: vectors read")
		  or diag described($counted);
	}
}

# A plain scan gets its rows before conditions are checked; it notices that few
# vectors are used.
{
	my ($counted, $result) = reading(
		"SELECT count(*), count(*) FILTER (WHERE $wrong) FROM items "
		  . 'WHERE grp = 3');

	is($result, "$in_group|0", 'scan, grp = 3: the rows are right');
	cmp_ok($counted->{values}, '<=', $in_group * 2,
		'scan, grp = 3: hardly any others are read')
	  or diag described($counted);
}

# Columns that are not used are not read.
foreach my $how ('scroll', 'retrieve', 'any', 'scan')
{
	my $from = $how eq 'scan' ? 'items' : $from{$how} =~ s/%s/true/r;

	foreach my $columns ([ 'embedding', $wrong, 1 ], [ 'other', $wrong_other, 1 ],
		[ 'both', "$wrong OR $wrong_other", 2 ])
	{
		my ($column, $condition, $n) = @$columns;
		my ($counted, $result) = reading(
			"SELECT count(*), count(*) FILTER (WHERE $condition) FROM $from",
			$by_index);
		# besides what a scan looks at on its own
		my $values = $counted->{values}
		  - ($how eq 'scan' ? $counted->{single_values} : 0);

		is($result, "$rows|0", "$how, $column: the rows are right");
		ok($values <= $n * $rows && $values >= ($n - 0.01) * $rows,
			"$how, $column: so many are read")
		  or diag described($counted);
		cmp_ok(cached_bytes($file), '<',
			$rows * ($other_dims + 6) * 4 * 1.5,
			"$how, $column: and nothing of the other column")
		  if $column eq 'other';
	}
}

# A scan reads each page of the file once, but for a few, where one batch of reads
# ends and the next begins: fewer than there are with room only.
{
	my ($counted, $result) = reading(
		'SELECT count(*), count(*) FILTER '
		  . "(WHERE $wrong OR $wrong_other) FROM items",
		'SET vecseg.direct_io = on');

	is($result, "$rows|0", 'scan, direct: the rows are right');
	cmp_ok($counted->{read_bytes}, '<=', -s $file,
		'scan, direct: no more is read than there is')
	  or diag described($counted);
}

# Of values here and there whole pages are read only to verify their checksums,
# or into the page cache.
foreach my $direct ('on', 'off')
{
	my $n = 200;
	my $some = "ARRAY(SELECT i * ($rows / $n) "
	  . "FROM generate_series(1::bigint, $n) i)";
	my ($counted, $result) = reading(
		"SELECT count(*), count(*) FILTER (WHERE $wrong) "
		  . "FROM vecseg_retrieve(NULL::items, $some)",
		"SET vecseg.direct_io = $direct");
	my $what = "retrieval, direct $direct";

	is($result, "$n|0", "$what: the rows are right");
	is($counted->{reads} + $counted->{mapped_hits}, $n,
		"$what: one read for each value")
	  or diag described($counted);
	cmp_ok($counted->{reads}, '>', $n / 2, "$what: most from the disk");
	if ($direct eq 'off'
		|| $node->safe_psql('postgres', 'SHOW data_checksums') eq 'on')
	{
		cmp_ok($counted->{read_bytes}, '>=', $counted->{reads} * 8192,
			"$what: of whole pages");
	}
	else
	{
		cmp_ok($counted->{read_bytes}, '<', $counted->{reads} * 8192,
			"$what: of less than a page");
	}
}

# An index build reads in batches what the index is on, once.
foreach my $index (
	[ '((embedding[5]))', 1 ],
	[ '((other[5])) WHERE grp >= 0', 1, 'other' ],
	[ 'USING hash ((embedding[5] + other[5]))', 2 ],
	[ '(grp, (embedding[5]), (other[5]), (embedding IS NULL))', 2 ])
{
	my ($definition, $n, $column) = @$index;

	foreach my $concurrently ('', 'CONCURRENTLY')
	{
		my $name = "CREATE INDEX $concurrently ON items $definition";
		my ($counted) =
		  reading("CREATE INDEX $concurrently built ON items $definition");

		# but for the first row
		cmp_ok($counted->{single_values}, '<=', 4 * $n, "$name: not one by one")
		  or diag described($counted);
		is($counted->{values} - $counted->{single_values},
			$n * ($rows - 1), "$name: each is read once")
		  or diag described($counted);
		cmp_ok(cached_bytes($file), '<', $rows * ($other_dims + 6) * 4 * 1.5,
			"$name: and nothing of the other column")
		  if $column;
		$node->safe_psql('postgres', 'DROP INDEX built');
	}
}

# Who stops early has not read much further, however large the table is: all of
# these would read 20,000 values. A row has two.
sub stops
{
	my ($name, $n, $sql, @settings) = @_;
	my $small = grep { /read_ahead/ } @settings;
	my ($counted) = reading($sql, @settings);

	# the smaller vecseg.read_ahead holds the values of 67 rows
	cmp_ok($counted->{values}, '<=',
		2 * ($small ? $n + 75 : $n * 3 + 16),
		"$n rows: $name: not much more is read")
	  or diag described($counted);
	cmp_ok($counted->{values}, '>=', 2 * $n, "$n rows: $name: they are read");
	cmp_ok(cached_bytes($file), '<',
		($n * 3 + 100) * 4000 + (-s $file) / 50,
		"$n rows: $name: nor by the kernel");
	return;
}

foreach my $small (0, 1)
{
	my @settings = $small ? ("SET vecseg.read_ahead = '256kB'") : ();
	my $name = $small ? ', 256 kB ahead' : '';

	foreach my $n (1, 10, 300)
	{
		stops("LIMIT, scroll$name", $n,
			"SELECT * FROM vecseg_scroll(NULL::items) LIMIT $n",
			@settings);
		stops(
			"LIMIT, backward scroll$name",
			$n,
			'SELECT * FROM vecseg_scroll(NULL::items, after => 900, '
			  . "backward => true) LIMIT $n",
			@settings);
		stops(
			"LIMIT, retrieve$name",
			$n,
			'SELECT * FROM vecseg_retrieve(NULL::items, ARRAY(SELECT i FROM '
			  . 'generate_series(1, 900) i ORDER BY hashint4(i))) '
			  . "LIMIT $n",
			@settings);
		stops("LIMIT, ordered$name",
			$n, "SELECT * FROM items ORDER BY id LIMIT $n",
			@settings, $by_index);
		stops("cursor, scroll$name", $n,
			'BEGIN; DECLARE c CURSOR FOR SELECT * FROM '
			  . "vecseg_scroll(NULL::items); FETCH $n FROM c; CLOSE c; COMMIT",
			@settings);
		stops(
			"condition, scroll$name",
			$n,
			"SELECT * FROM vecseg_scroll(NULL::items) WHERE grp % 2 = 0 "
			  . "AND embedding[3] = 1 AND other[3] = 2 LIMIT $n",
			@settings, $by_index);
	}
	stops("EXISTS$name", 1,
		'SELECT EXISTS (SELECT * FROM vecseg_scroll(NULL::items) WHERE '
		  . 'embedding[3] = 1 AND other[3] = 2)',
		@settings, $by_index);
	stops(
		"loop$name",
		10,
		"DO \$\$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT * FROM "
		  . 'vecseg_scroll(NULL::items) LOOP n := n + 1; EXIT WHEN n = 10; '
		  . 'END LOOP; END $$',
		@settings);
}

# A scan is stopped too; its first rows are read one by one.
foreach my $n (1, 10, 300)
{
	my ($counted) = reading(
		"SELECT sum(e[1]) FROM (SELECT embedding AS e FROM items LIMIT $n) s");

	cmp_ok($counted->{values}, '<=', $n * 4 + 32,
		"$n rows of a scan: not much more is read")
	  or diag described($counted);
}

# What was read, by EXPLAIN and by the server's statistics
sub explained_json
{
	my ($sql, $settings) = @_;
	my ($counted, $json) = reading(
		"EXPLAIN (ANALYZE, FORMAT JSON) $sql", $by_index, @$settings);
	my @nodes = decode_json($json)->[0]{Plan};
	my $vectors;

	while (my $plan = shift @nodes)
	{
		$vectors //= $plan->{Vectors};
		push @nodes, @{ $plan->{Plans} // [] };
	}
	return ($counted, $vectors);
}

my %property = (
	values => 'Values', shared_hits => 'Shared Hits',
	mapped_hits => 'Mapped Hits', read_values => 'Read Values',
	batches => 'Batches', reads => 'Reads', merged => 'Merged Values',
	read_bytes => 'Read Bytes', retries => 'Retries');
my %word = (
	values => 'values', shared_hits => 'shared hits', mapped_hits => 'mapped',
	read_values => 'read', batches => 'batches', reads => 'reads',
	merged => 'merged', read_bytes => 'bytes', retries => 'retries');
foreach my $direct ('off', 'on')
{
	foreach my $limit (25, $rows)
	{
		foreach my $how ('scroll', 'retrieve')
		{
			my $sql = "SELECT * FROM (SELECT id, embedding FROM $from{$how}) s "
			  . "LIMIT $limit";
			my $settings = [ "SET vecseg.direct_io = $direct" ];
			my $name = "direct $direct, $how, LIMIT $limit";
			my ($counted, $vectors) = explained_json($sql, $settings);
			my ($counted_text, $text) = reading(
				"EXPLAIN (ANALYZE, TIMING OFF) $sql", $by_index, @$settings);

			is_deeply(
				{ map { $_ => $vectors->{ $property{$_} } } keys %property },
				{ map { $_ => $counted->{$_} } keys %property },
				"$name: EXPLAIN (FORMAT JSON) and vecseg_stat_io agree");
			is_deeply(
				{
					map { $_ => $text =~ /[: ]$word{$_}=(\d+)/ ? $1 : 0 }
					  keys %word },
				{ map { $_ => $counted_text->{$_} } keys %word },
				"$name: EXPLAIN and vecseg_stat_io agree");
			cmp_ok($vectors->{'Read Bytes'}, '>=',
				$limit * 3096 * 0.9, "$name: the bytes are there")
			  if $limit == $rows;
		}
	}
}

# The memory of a session that reads the whole table, beyond shared buffers
sub private_memory
{
	my ($pid) = @_;
	my ($kilobytes) =
	  slurp_file("/proc/$pid/smaps_rollup") =~ /^Anonymous: +(\d+) kB/m;

	return $kilobytes * 1024;
}

cmp_ok(-s $file, '>', 32 * 1024 * 1024, 'the vectors would not fit');
foreach my $method ('auto', 'sync')
{
	foreach my $direct ('off', 'on')
	{
		foreach my $how ('scroll', 'backward', 'retrieve', 'scan')
		{
			my $from = $how eq 'scan' ? 'items' : $from{$how};
			my $most = 0;
			my $session;

			wait_until_cold($file);
			$session = $node->background_psql('postgres');
			my $pid = $session->query_safe('SELECT pg_backend_pid()');
			$session->query_safe("SET vecseg.io_method = $method; "
				  . "SET vecseg.direct_io = $direct; SELECT id, "
				  . 'hash_array_extended(embedding, id) FROM items LIMIT 1');
			my $before = private_memory($pid);
			$session->query_safe('BEGIN; DECLARE c CURSOR FOR SELECT id, '
				  . "hash_array_extended(embedding, id) FROM $from");
			for (1 .. 10)
			{
				my $memory;

				$session->query_safe('MOVE ' . $rows / 10 . ' IN c');
				$memory = private_memory($pid) - $before;
				$most = $memory if $memory > $most;
			}
			$session->query_safe('COMMIT');
			$session->quit;
			cmp_ok($most, '<', 32 * 1024 * 1024,
				"$method, direct $direct, $how: memory is bounded");
		}
	}
}

check_store($node, 'items');

# What a Vecseg Scan finds visible to all is noted, as by an index scan.
SKIP:
{
	skip 'PostgreSQL 19 and later note it while reading', 1
	  if $node->pg_version->major < 19;
	create_table($node, 'fresh');
	fill_table($node, 'fresh', 1, 1000, dims => 100);
	$node->safe_psql('postgres',
		'CREATE EXTENSION pg_visibility; '
		  . 'SELECT count(embedding[1]) FROM vecseg_retrieve(NULL::fresh, '
		  . 'ARRAY(SELECT generate_series(1::bigint, 1000)))');
	cmp_ok(
		$node->safe_psql('postgres',
			q{SELECT all_visible FROM pg_visibility_map_summary('fresh')}),
		'>', 3, 'pages visible to all are noted');
}
server_log_is_clean($node);
$node->stop;
done_testing();
