# pgvector's types in vecseg tables, and its indexes on them. A heap table with
# the same rows is the measure of everything: exact searches return the same;
# and so do approximate ones, for indexes that are built with the same random
# numbers. (A server with assertions may draw some that are not the build's: there,
# approximate searches must be as good as heap's.) What reads many vectors reads
# them in batches.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 2000;
my $queries = 20;
my $found = 10;	# rows of a search
my $dims = 400;

# Without statistics of tables: a session that has to get more shared memory for them
# draws a random number (dsm_create()), and then builds another index.
my $node = vecseg_node('pgvector', conf => <<'CONF');
track_counts = off
shared_buffers = 32MB
autovacuum = off
synchronize_seqscans = off
max_parallel_maintenance_workers = 0
max_parallel_workers_per_gather = 0
CONF

if ($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'})
	== 0)
{
	plan skip_all => 'pgvector is not installed for this server';
}

# Run SQL in the test's database.
sub sql
{
	my (@statements) = @_;

	return $node->safe_psql('postgres', join ";\n", @statements);
}

sub create_seed
{
	my $library = PostgreSQL::Test::Utils::tempdir() . '/seed';
	my $headers = `pg_config --includedir-server`;

	chomp $headers;
	system_or_bail('cc', '-O1', '-fPIC', '-shared', "-I$headers", '-o',
		"$library.so", "$FindBin::RealBin/../seed/seed.c");
	sql("CREATE FUNCTION seed(bigint) RETURNS void AS '$library', 'seed' LANGUAGE c STRICT",
		"CREATE FUNCTION next_number() RETURNS bigint AS '$library', 'next_number' LANGUAGE c");
	return;
}

# Do the tables' indexes come of the same random numbers?
my $alike = 1;
my $asserts = sql('SHOW debug_assertions') eq 'on';

# Run statements for both tables, from the same random number on. They come from a
# function of the table's name.
sub for_both
{
	my ($statements) = @_;
	my %next;

	foreach my $table ('heap_items', 'items')
	{
		my $result = sql('SELECT seed(1)', $statements->($table),
			q{SELECT 'next', next_number()});

		$result =~ /^next\|(.*)$/m or die 'no number';
		$next{$1} = 1;
	}
	$alike &&= keys %next == 1;
	$alike || $asserts || fail('both tables draw the same random numbers');
	return;
}

sql('CREATE EXTENSION vector');
note 'pgvector '
  . sql(q{SELECT extversion FROM pg_extension WHERE extname = 'vector'});
create_seed();

# What a row of a given id and version is made of: vec(), with one number in place
# of the elements that spell out the id and the version and are too large to be
# searched for; no two are the same.
sql(<<"SQL");
CREATE FUNCTION elements(id bigint, version int, dims int) RETURNS real[]
	IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
	RETURN ((hashint8extended(id, version + 1) >> 40) / 16777216.0)::real
		|| (vec(id, version, dims + 2))[4:];
CREATE FUNCTION bits(id bigint, version int) RETURNS bit
	IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
	RETURN binary_quantize(elements(id, version, 1024)::vector)::bit(1024);
CREATE FUNCTION sparse(id bigint, version int) RETURNS sparsevec
	IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
	RETURN elements(id, version, 600)::vector::sparsevec;
CREATE TABLE items (id bigint PRIMARY KEY, version int, category int,
	embedding vector($dims), half halfvec($dims), bits bit(1024),
	sparse sparsevec(600), any_length vector) USING heap;
CREATE FUNCTION made(id bigint, version int) RETURNS SETOF items
	STABLE LANGUAGE sql AS \$\$
	SELECT id, version, (id % 20)::int, elements(id, version, $dims)::vector($dims),
		elements(id, version, $dims)::halfvec($dims), bits(id, version)::bit(1024),
		sparse(id, version)::sparsevec(600),
		elements(id, version, (id % 50)::int + 1)::vector \$\$;
SQL

# --- where values are stored ---

# Slots in use of a table of 100 rows with a column of some type
sub slots_of
{
	my ($type, $value) = @_;

	sql( "CREATE TABLE place (id bigint, value $type) USING vecseg",
		"INSERT INTO place SELECT id, $value FROM generate_series(1::bigint, 100) id");
	my $result = sql(
		q{SELECT coalesce(max(slot_size) || ' bytes: ' || sum(used), '') FROM vecseg_segments('place')});
	sql('DROP TABLE place');
	return $result;
}

# Dense ones leave the row from 32 bytes on; others when the row is large.
foreach my $place (
	[ 'vector(16)', 'elements(id, 1, 16)::vector(16)', '72 bytes: 100' ],
	[ 'vector', 'elements(id, 1, 16)::vector', '72 bytes: 100' ],
	[ 'halfvec(16)', 'elements(id, 1, 16)::halfvec(16)', '40 bytes: 100' ],
	[ 'bit(1024)', 'bits(id, 1)::bit(1024)', '136 bytes: 100' ],
	[ 'vector(4)', 'elements(id, 1, 4)::vector(4)', '' ],
	[ 'bit(64)', 'substring(bits(id, 1), 1, 64)::bit(64)', '' ],
	[ 'bit varying', 'bits(id, 1)', '' ],
	[ 'sparsevec(600)', q{'{1:1,7:2,300:3,301:4,302:5}/600'}, '' ])
{
	my ($type, $value, $expected) = @$place;

	is(slots_of($type, $value), $expected, "place of $type");
}
like(slots_of('sparsevec(600)', 'sparse(id, 1)'),
	qr/^\d+ bytes: 100$/, 'place of a large sparsevec');
like(
	slots_of('bit varying',
		"(SELECT string_agg(bits(id, v)::text, '')::bit varying FROM generate_series(1, 40) v)"),
	qr/^\d+ bytes: 100$/,
	'place of a large bit varying');

# --- moving a table ---

my %indexes = (
	hnsw => 'USING hnsw (embedding vector_l2_ops)',
	hnsw_half => 'USING hnsw (half halfvec_cosine_ops)',
	hnsw_bits => 'USING hnsw (bits bit_hamming_ops)',
	ivfflat => 'USING ivfflat (embedding vector_ip_ops) WITH (lists = 20)');

# The same rewriting for the heap table as for the other: heap by another name
sql('CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler');
sql('CREATE TABLE heap_items (LIKE items INCLUDING ALL) USING heap');
foreach my $table ('heap_items', 'items')
{
	sql("INSERT INTO $table SELECT m.* FROM generate_series(1::bigint, $rows) i, made(i, 1) m",
		map { "CREATE INDEX ${table}_$_ ON $table $indexes{$_}" } sort keys %indexes);
}

sub same_rows
{
	my ($name) = @_;
	my ($heap, $vecseg) = map {
		sql(qq{SELECT count(*), md5(string_agg(md5(record_send(t)), '' ORDER BY id)) FROM $_ t})
	} ('heap_items', 'items');

	is($vecseg, $heap, "$name: the rows of both tables are the same");
	is( sql('SELECT count(*) FROM items i, LATERAL made(i.id, i.version) m '
			  . 'WHERE (i *= m) IS NOT TRUE'),
		0, "$name: every vector is right");
	check_store($node, 'items', name => $name);
	return;
}

# The searches that an ordering stands for, of some rows of the query table:
# "query: ids" for each. Options: where, settings, plan (a pattern that it must
# match), limit.
sub search
{
	my ($table, $order, %options) = @_;
	my $limit = $options{limit} // $found;
	my $where = $options{where} // 'true';
	my @settings = map { "SET $_" } @{ $options{settings} // [] };
	my $query = 'SELECT q.id, (SELECT array_agg(id) FROM (SELECT id '
	  . "FROM $table WHERE $where ORDER BY $order LIMIT $limit) s) FROM queries q ORDER BY 1";

	if ($options{plan})
	{
		like(sql(@settings, "EXPLAIN (COSTS OFF) $query"),
			$options{plan}, "plan of $table ORDER BY $order");
	}
	return sql(@settings, $query);
}

# Vectors to search for, which are no row's
sql(<<"SQL");
CREATE TABLE queries AS
	SELECT id, elements(id, 9, $dims)::vector($dims) AS embedding,
		elements(id, 9, $dims)::halfvec($dims) AS half,
		bits(id, 9)::bit(1024) AS bits, sparse(id, 9) AS sparse
	FROM generate_series(1000001::bigint, 1000000 + $queries) id;
SQL

# The part of what an exact search finds that another one has found
sub recall
{
	my ($exact, $got) = @_;
	my @exact = split /\n/, $exact;
	my @got = split /\n/, $got;
	my ($hits, $all) = (0, 0);

	foreach my $i (0 .. $#exact)
	{
		my %is = map { $_ => 1 } (split /[|{,}]+/, $got[$i]);
		my (undef, @ids) = split /[|{,}]+/, $exact[$i];

		$hits += grep { $is{$_} } @ids;
		$all += @ids;
	}
	return $hits / $all;
}

my $exactly = [ 'enable_indexscan = off' ];
my $by_index = [ 'enable_seqscan = off', 'enable_sort = off' ];

# Assert that a search finds the same in both tables, by an index unless told
# otherwise, and note how much of it is right.
sub same_search
{
	my ($name, $order, %options) = @_;
	my $exact = search('heap_items', "$order, id", %options, plan => undef,
		settings => $exactly);

	$options{settings} = [ @{ $options{settings} // [] }, @$by_index ];
	my %got = map { $_ => search($_, $order, %options) } ('heap_items', 'items');
	my %recall = map { $_ => recall($exact, $got{$_}) } keys %got;

	note "$name: recall $recall{items}, heap $recall{heap_items}";
	if ($alike)
	{
		is($got{items}, $got{heap_items}, "$name: finds what heap finds");
	}
	else
	{
		cmp_ok($recall{items}, '>', $recall{heap_items} - 0.1,
			"$name: finds as much as heap");
	}
	return \%got;
}

sub same_exact_search
{
	my ($name, $order, %options) = @_;
	my ($heap, $vecseg) = map {
		search($_, "$order, id", settings => $exactly, plan => qr/Seq Scan/, %options)
	} ('heap_items', 'items');

	is($vecseg, $heap, "$name: exact search");
	return;
}

my %method = (heap_items => 'heap2', items => 'vecseg');
for_both(sub { "ALTER TABLE $_[0] SET ACCESS METHOD $method{$_[0]}" });
is( sql(q{SELECT count(*) FROM pg_index WHERE indrelid = 'items'::regclass AND indisvalid}),
	1 + keys %indexes,
	'indexes are still there');
same_rows('moved');
my %order = (
	hnsw => 'embedding <-> q.embedding',
	hnsw_half => 'half <=> q.half',
	hnsw_bits => 'bits <~> q.bits',
	ivfflat => 'embedding <#> q.embedding');

sub searches_after
{
	my ($name) = @_;

	foreach my $index (sort keys %order)
	{
		same_search("$name, $index", $order{$index}, plan => qr/_$index\b/);
		same_exact_search("$name, $index", $order{$index});
	}
	return;
}
searches_after('moved');

# --- rows that come, change and go, and a crash ---

for_both(
	sub {
		my ($table) = @_;
		my $columns = 'version, embedding, half, bits, sparse, any_length';
		my $insert = "INSERT INTO $table SELECT m.* FROM generate_series";

		return (
			"UPDATE $table t SET ($columns) = (SELECT $columns FROM made(t.id, 2)) WHERE id % 5 = 0",
			"DELETE FROM $table WHERE id % 7 = 0",
			"$insert ($rows + 1::bigint, $rows + 200) i, made(i, 1) m",
			"VACUUM $table",
			"$insert ($rows + 201::bigint, $rows + 300) i, made(i, 2) m");
	});
same_rows('changed');
searches_after('changed');
kill9($node);
start_after_crash($node);
same_rows('after a crash');
searches_after('after a crash');

# --- every kind of index ---

# Indexes are built alike only if rows come in the same order.
sql(map { "DROP INDEX heap_items_$_, items_$_" } sort keys %indexes);
sql("CLUSTER $_ USING ${_}_pkey") foreach 'heap_items', 'items';
same_rows('clustered');

sub create_index
{
	my ($definition, $how) = @_;

	sql('DROP INDEX IF EXISTS heap_items_search, items_search');
	$how //= '';
	$alike = 1;
	for_both(sub { "CREATE INDEX $how $_[0]_search ON $_[0] USING $definition" });
	return;
}

foreach my $kind (
	[ 'hnsw (embedding vector_ip_ops)', 'embedding <#> q.embedding' ],
	[ 'hnsw (embedding vector_cosine_ops)', 'embedding <=> q.embedding' ],
	[ 'hnsw (embedding vector_l1_ops)', 'embedding <+> q.embedding' ],
	[ 'hnsw (half halfvec_l2_ops)', 'half <-> q.half' ],
	[ 'hnsw (bits bit_jaccard_ops)', 'bits <%> q.bits' ],
	[ 'hnsw (sparse sparsevec_l2_ops)', 'sparse <-> q.sparse' ],
	[ "hnsw ((embedding::halfvec($dims)) halfvec_l2_ops)",
		"embedding::halfvec($dims) <-> q.embedding::halfvec($dims)" ],
	[ "hnsw ((binary_quantize(embedding)::bit($dims)) bit_hamming_ops)",
		"binary_quantize(embedding)::bit($dims) <~> binary_quantize(q.embedding)" ],
	[ 'hnsw ((subvector(embedding, 1, 100)::vector(100)) vector_l2_ops)',
		'subvector(embedding, 1, 100)::vector(100) <-> subvector(q.embedding, 1, 100)::vector(100)' ],
	[ 'hnsw (embedding vector_l2_ops) WHERE category < 10',
		'embedding <-> q.embedding', where => 'category < 10' ],
	[ 'ivfflat (embedding vector_l2_ops) WITH (lists = 20)',
		'embedding <-> q.embedding', settings => ['ivfflat.probes = 5'] ],
	[ 'ivfflat (half halfvec_cosine_ops) WITH (lists = 20)',
		'half <=> q.half', settings => ['ivfflat.probes = 5'] ],
	[ 'ivfflat (bits bit_hamming_ops) WITH (lists = 20)',
		'bits <~> q.bits', settings => ['ivfflat.probes = 5'] ])
{
	my ($definition, $order, %options) = @$kind;

	create_index($definition);
	same_search($definition, $order, %options, plan => qr/_search\b/);
	same_exact_search($definition, $order, where => $options{where});
}

# With all lists probed, IVFFlat is exact.
create_index('ivfflat (embedding vector_l2_ops) WITH (lists = 20)');
my $l2 = 'embedding <-> q.embedding';
is( search('items', $l2, settings => [ 'ivfflat.probes = 20', @$by_index ]),
	search('heap_items', $l2, settings => $exactly),
	'all lists of ivfflat');

# Filters, and scans that go on until there are enough rows
sub filtered
{
	my ($method, $narrow, @iterative) = @_;

	foreach my $setting ('off', @iterative)
	{
		my $got = same_search("$method, filtered, iterative scan $setting", $l2,
			where => 'category = 3', plan => qr/_search\b/,
			settings => [ $narrow, "$method.iterative_scan = $setting" ]);
		my @full = grep { tr/,// == $found - 1 } split /\n/, $got->{items};

		$setting eq 'off'
		  ? cmp_ok(@full, '<', $queries, 'a filter leaves less than the limit')
		  : is(@full, $queries, 'an iterative scan finds enough');
	}
	return;
}
filtered('ivfflat', 'ivfflat.probes = 1', 'relaxed_order');
create_index('hnsw (embedding vector_l2_ops)');
filtered('hnsw', 'hnsw.ef_search = 20', 'relaxed_order', 'strict_order');
same_search("hnsw, iterative scan, many rows", $l2,
	limit => 300, plan => qr/_search\b/,
	settings => ['hnsw.iterative_scan = strict_order']);
same_exact_search('filtered', $l2, where => 'category = 3');
same_exact_search('joined', $l2,
	where => 'id IN (SELECT id FROM heap_items WHERE category = 5)');

# Built and rebuilt concurrently
create_index('hnsw (half halfvec_ip_ops)');
$alike = 1;
for_both(sub { "REINDEX INDEX CONCURRENTLY $_[0]_search" });
same_search('REINDEX CONCURRENTLY', 'half <#> q.half', plan => qr/_search\b/);
create_index('hnsw (embedding vector_l2_ops)', 'CONCURRENTLY');
same_search('CREATE INDEX CONCURRENTLY', $l2, plan => qr/_search\b/);

# --- what is read, and how ---

# Values that a statement reads in batches, and one by one
sub reads_of
{
	my ($statement, @settings) = @_;
	my $counters =
	  q{SELECT 'counted', "values" - single_values, single_values FROM vecseg_stat_io};
	my @counted = map { [ split /\|/ ] }
	  grep { /^counted/ } split /\n/, sql(@settings, $counters, $statement, $counters);

	return map { $counted[1][$_] - $counted[0][$_] } 1, 2;
}

sub reads_in_batches
{
	my ($name, $count, $statement, @settings) = @_;
	my ($batched, $single) = reads_of($statement, @settings);

	note "$name: $batched in batches, $single one by one";
	ok($batched >= 0.95 * $count - 1 && $batched <= 1.1 * $count,
		"$name: $count vectors are read in batches")
	  or diag "$batched in batches, $single one by one";
	cmp_ok($single, '<=', 4 + 0.02 * $count, "$name: hardly any one by one");
	return;
}

my $total = sql('SELECT count(*) FROM items');
my $in_category = sql('SELECT count(*) FROM items WHERE category = 3');
my $target = sql('SELECT embedding FROM queries ORDER BY id LIMIT 1');
my $near = "embedding <-> '$target'";
my $near_half = "half <-> '$target'";
my $near_bits =
  "binary_quantize(embedding)::bit($dims) <~> binary_quantize('$target'::vector)";

sql('DROP INDEX items_search',
	'CREATE INDEX items_category ON items (category)',
	'CREATE INDEX heap_items_category ON heap_items (category)', 'ANALYZE');
reads_in_batches('exact search', $total,
	"SELECT id FROM items ORDER BY $near LIMIT 10");
reads_in_batches('parallel exact search', $total,
	"SELECT id FROM items ORDER BY $near LIMIT 10",
	'SET max_parallel_workers_per_gather = 2', 'SET parallel_setup_cost = 0',
	'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0');
reads_in_batches('exact search of some rows', $in_category,
	"SELECT id FROM items WHERE category = 3 ORDER BY $near LIMIT 10",
	'SET enable_seqscan = off');

my @parallel = (
	'SET max_parallel_maintenance_workers = 2',
	'SET min_parallel_table_scan_size = 0');

reads_in_batches('hnsw build', $total,
	'CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_l2_ops)');
reads_in_batches('parallel hnsw build', $total,
	'CREATE INDEX items_half ON items USING hnsw (half halfvec_l2_ops)',
	@parallel);
reads_in_batches('hnsw build on an expression', $total,
	"CREATE INDEX items_quantized ON items USING hnsw ((binary_quantize(embedding)::bit($dims)) bit_hamming_ops)");
# once for the centers, once for the rows
reads_in_batches('ivfflat build', 2 * $total,
	'CREATE INDEX items_ivfflat ON items USING ivfflat (embedding vector_ip_ops) WITH (lists = 20)');
reads_in_batches('REINDEX', $total, 'REINDEX INDEX items_hnsw');
is_deeply([ reads_of('CREATE INDEX items_null ON items ((embedding IS NULL), (any_length IS NULL), id)') ],
	[ 0, 0 ], 'no vector is read for an index that needs none');

my @by_index = ('SET enable_seqscan = off');
reads_in_batches('search', 100,
	"SELECT id FROM items ORDER BY $near LIMIT 100",
	@by_index, 'SET hnsw.ef_search = 100');
reads_in_batches('search that returns vectors', 100,
	"SELECT embedding, $near FROM items ORDER BY $near LIMIT 100",
	@by_index, 'SET hnsw.ef_search = 100');

# Ways to rank candidates again
my %rank = (
	quantized => "SELECT id FROM (SELECT * FROM %s ORDER BY $near_bits LIMIT 200) s "
	  . "ORDER BY $near LIMIT 10",
	half => "SELECT id FROM (SELECT id, embedding FROM %s ORDER BY $near_half LIMIT 200) s "
	  . "ORDER BY $near LIMIT 10",
	materialized => 'WITH s AS MATERIALIZED '
	  . "(SELECT id, embedding, $near AS distance FROM %s ORDER BY $near_bits LIMIT 200) "
	  . 'SELECT id FROM s ORDER BY distance LIMIT 10');
my @wide = ('SET hnsw.ef_search = 1000', @by_index);

reads_in_batches('ranking again, quantized', 200,
	sprintf($rank{quantized}, 'items'), @wide);
reads_in_batches('ranking again, by another column', 400,
	sprintf($rank{half}, 'items'), @wide);
reads_in_batches('ranking again, in a CTE', 200,
	sprintf($rank{materialized}, 'items'), @wide);

# the search reads the vectors of what it finds
my $retrieve = 'SELECT id, embedding::text FROM vecseg_retrieve(NULL::items, '
  . "ARRAY(SELECT id FROM items ORDER BY $near LIMIT 100))";
reads_in_batches('vecseg_retrieve of what was found', 200,
	$retrieve, @by_index, 'SET hnsw.ef_search = 100');
is( sql(@by_index, 'SET hnsw.ef_search = 100', $retrieve),
	sql(@by_index, 'SET hnsw.ef_search = 100',
		"SELECT id, embedding::text FROM items ORDER BY $near LIMIT 100"),
	'vecseg_retrieve of what was found: the same rows in the same order');

# With nothing in memory, from the disk
sub reads_from_disk
{
	my ($name, $least, $statement) = @_;
	my $file = toast_file($node, 'items');

	SKIP:
	{
		$node->restart;
		skip 'the file system keeps files in memory', 1
		  unless drop_os_cache($file);
		sql('SELECT vecseg_stat_reset_io()');
		sql(@by_index, $statement);
		cmp_ok(
			sql('SELECT read_values FROM vecseg_stat_io'),
			'>=', $least, "$name: reads from disk");
	}
	return;
}
reads_from_disk('hnsw build', 0.9 * $total, 'REINDEX INDEX items_hnsw');
reads_from_disk('search', 25, "SELECT id FROM items ORDER BY $near LIMIT 50");
reads_from_disk('exact search', 0.9 * $total,
	"SELECT id FROM items ORDER BY ($near) + 0 LIMIT 50");

# --- parallel builds, which are never twice the same ---

sub parallel_build
{
	my ($table, $definition) = @_;
	my $stderr = '';

	$node->psql('postgres',
		join(";\n",
			"DROP INDEX IF EXISTS ${table}_search", @parallel,
			'SET client_min_messages = debug1',
			"ALTER TABLE $table SET (parallel_workers = 2)",
			"CREATE INDEX ${table}_search ON $table USING $definition"),
		stderr => \$stderr, on_error_die => 1);
	like($stderr, qr/using \d parallel workers/,
		"parallel build on $table: $definition");
	return;
}

sql('DROP INDEX items_hnsw, items_half, items_ivfflat, items_quantized');
foreach my $kind (
	[ 'hnsw (embedding vector_l2_ops)', $l2, 'hnsw.ef_search = 400' ],
	[ 'ivfflat (embedding vector_l2_ops) WITH (lists = 20)',
		$l2, 'ivfflat.probes = 18' ])
{
	my ($definition, $order, $setting) = @$kind;
	my $exact = search('heap_items', $order, settings => $exactly);
	my %recall;

	foreach my $table ('heap_items', 'items')
	{
		parallel_build($table, $definition);
		$recall{$table} = recall($exact,
			search($table, $order, settings => [ $setting, @$by_index ],
				plan => qr/_search\b/));
		note "$definition on $table: recall $recall{$table}";
	}
	cmp_ok($recall{items}, '>=', $recall{heap_items} - 0.05,
		"recall of a parallel build: $definition");
}

same_rows('at the end');
sql('ALTER TABLE items SET ACCESS METHOD heap');
is( sql(q{SELECT md5(string_agg(md5(record_send(t)), '' ORDER BY id)) FROM items t}),
	sql(q{SELECT md5(string_agg(md5(record_send(t)), '' ORDER BY id)) FROM heap_items t}),
	'the rows are the same when moved back');
server_log_is_clean($node);
done_testing();
