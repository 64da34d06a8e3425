# Damaged files: a clear error for what is damaged, everything else can still
# be read, wrong vectors never, and the server stays up.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 2000;
my $block_size = 8192;

sub new_node
{
	my ($name, $checksums) = @_;
	my $node = vecseg_node($name, checksums => $checksums,
		conf => "shared_buffers = 1MB\nautovacuum = off");

	create_table($node, 'items');
	fill_table($node, 'items', 1, $rows);
	create_table($node, 'others');
	fill_table($node, 'others', 1, 300);

	# Read every row on its own: how many are right, wrong, and refused with
	# the SQLSTATE for damaged data; and the refusals' texts.
	$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION read_each(OUT good int, OUT wrong int, OUT damaged int,
						  OUT texts text) LANGUAGE plpgsql AS $$
DECLARE
	r record;
	ok boolean;
BEGIN
	good := 0; wrong := 0; damaged := 0; texts := '';
	FOR r IN SELECT id, version FROM items LOOP
		BEGIN
			SELECT NOT (ROW(embedding)::record *<> ROW(vec(id, version, 768)))
			INTO STRICT ok FROM items WHERE id = r.id;
			IF ok THEN good := good + 1; ELSE wrong := wrong + 1; END IF;
		EXCEPTION WHEN data_corrupted THEN
			damaged := damaged + 1;
			texts := texts || SQLERRM || E'\n';
		END;
	END LOOP;
END $$;
SQL
	return $node;
}

# Assert that every way of reading the whole table raises the error, and that
# the server lives on.
sub whole_reads_fail
{
	my ($node, $pattern, $name) = @_;

	foreach my $from ('items', 'vecseg_scroll(NULL::items)',
		'vecseg_scroll(NULL::items, backward => true)',
		"vecseg_retrieve(NULL::items, ARRAY(SELECT generate_series(1, $rows)))")
	{
		foreach my $method ('auto', 'sync')
		{
			my ($status, undef, $error) = $node->psql('postgres',
				"SET vecseg.io_method = $method; "
				  . "SELECT sum(hash_array_extended(embedding, 0)) FROM $from",
				extra_params => [ '-v', 'VERBOSITY=verbose' ]);

			is($status, 3, "$name: reading $from fails");
			like($error, qr/ERROR: +XX001: .*$pattern/,
				"$name: error of $from, $method");
		}
	}
	check_all($node, 'others', undef, rows => 300,
		name => "$name: another table");
	return;
}

# Assert that rows cannot be added, because of a damaged page.
sub insert_fails
{
	my ($node, $rows, $pattern, $name) = @_;
	my ($status, undef, $error) = $node->psql('postgres',
		'INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM '
		  . "generate_series(10001::bigint, 10000 + $rows) i",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	is($status, 3, "$name: INSERT fails");
	like($error, qr/ERROR: +XX001: .*$pattern/, "$name: error of INSERT");
	return;
}

# Assert that single rows are right or refused, and that there are some, but
# not many, that are refused.
sub single_reads_are_right_or_fail
{
	my ($node, $pattern, $most, $name) = @_;

	my ($good, $wrong, $damaged, @texts) = split /[|\n]/,
	  $node->safe_psql('postgres', 'SELECT * FROM read_each()');
	is($wrong, 0, "$name: no row is read wrong");
	cmp_ok($damaged, '>', 0, "$name: $damaged rows are refused");
	cmp_ok($damaged, '<=', $most, "$name: all others can be read");
	is($good + $wrong + $damaged, $rows, "$name: no row is lost");
	is(scalar(grep { !/$pattern/ } @texts), 0, "$name: the errors are clear")
	  or diag "@texts";
	return;
}

# Damage a stopped server's file, look at the result and repair it.
sub damaged
{
	my ($node, $file, $offset, $bytes, $check) = @_;

	$node->stop;
	my $old = overwrite($file, $offset, $bytes);
	drop_os_cache($file);
	$node->start;
	$check->();
	$node->stop;
	overwrite($file, $offset, $old);
	$node->start;
	check_all($node, 'items', undef, rows => $rows, name => 'repaired');
	check_store($node, 'items', name => 'repaired');
	return;
}

foreach my $checksums (1, 0)
{
	my $with = $checksums ? 'with checksums' : 'without checksums';
	my $node = new_node("damage_$checksums", $checksums);
	my $file = toast_file($node, 'items');
	my $slot = slot_offset($node, 'items', 1500);
	my $block = int $slot / $block_size;
	my $page_error = 'invalid page in block \d+ of (segment )?relation';

	# Some bytes in the middle of a vector: without checksums nobody can tell.
	if ($checksums)
	{
		damaged($node, $file, $block * $block_size + 4000, 'x' x 16, sub {
			single_reads_are_right_or_fail($node, $page_error, 5,
				"changed bytes $with");
			whole_reads_fail($node, $page_error, "changed bytes $with");
		});
	}

	# The start of a slot
	damaged($node, $file, $slot, "\0" x 8, sub {
		my $pattern = "$page_error|is damaged";

		single_reads_are_right_or_fail($node, $pattern, 5, "slot $with");
		whole_reads_fail($node, $pattern, "slot $with");
	});

	# A page header: without checksums the vectors beside it are still good.
	damaged($node, $file, $block * $block_size, "\xff" x 24, sub {
		if ($checksums)
		{
			single_reads_are_right_or_fail($node, $page_error, 5,
				"page header $with");
			whole_reads_fail($node, $page_error, "page header $with");
		}
		is($node->safe_psql('postgres', 'SELECT wrong FROM read_each()'),
			0, "page header $with: no row is read wrong");
	});

	# A page of zeros, as a disk may return it after a lost write
	damaged($node, $file, $block * $block_size, "\0" x $block_size, sub {
		my $pattern = "$page_error|is damaged";

		single_reads_are_right_or_fail($node, $pattern, 5,
			"zeroed page $with");
		whole_reads_fail($node, $pattern, "zeroed page $with");
	});

	# Meta page (block 0), and the directory page after it
	foreach my $special (0, 1)
	{
		foreach my $bytes ("\0" x $block_size, "\xff" x 24,
			'garbage ' x 1000)
		{
			damaged($node, $file, $special * $block_size, $bytes, sub {
				my $name = sprintf 'block %d of %s %s', $special,
				  unpack('H4', $bytes), $with;

				whole_reads_fail($node, "$page_error|is damaged", $name);
				insert_fails($node, 1, $page_error, $name);
			});
		}
	}

	# A segment page: values are still found, but none can be added.
	my $segment = $node->safe_psql('postgres',
		"SELECT first_block FROM vecseg_segments('items') "
		  . 'ORDER BY segment DESC LIMIT 1');
	damaged($node, $file, $segment * $block_size, 'garbage ' x 1000, sub {
		check_all($node, 'items', undef, rows => $rows,
			name => "damaged segment page $with");
		insert_fails($node, 10_000, $page_error,
			"damaged segment page $with");
	});

	# A file that another program truncates while it is mapped
	my $path = substr $file, length($node->data_dir) + 1;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$node->safe_psql('postgres', 'CHECKPOINT');
	$session->query_safe('SELECT sum(hash_array_extended(embedding, 0)) FROM '
		  . $_) foreach 'items', 'vecseg_scroll(NULL::items)', 'others';
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $size = -s $file;
	my $saved = slurp_file($file);
	my $keep = int($size / $block_size / 2) * $block_size;
	truncate $file, $keep or die "could not truncate $file: $!";
	foreach my $from ('items', 'vecseg_scroll(NULL::items)',
		"vecseg_retrieve(NULL::items, ARRAY(SELECT generate_series(1, $rows)))")
	{
		my $query = "SELECT sum(hash_array_extended(embedding, 0)) FROM $from";

		$session->{stderr} = '';
		if (!eval { $session->query($query); 1 })
		{
			fail("truncated file $with: the session is lost");
			last;
		}
		like($session->{stderr}, qr/ERROR: .*"\Q$path\E"/,
			"truncated file $with: error of $from in an old session");
		my ($status, undef, $error) = $node->psql('postgres', $query);
		is($status, 3, "truncated file $with: reading $from fails");
		like($error, qr/ERROR: .*"\Q$path\E"/,
			"truncated file $with: error of $from");
	}
	$session->{stderr} = '';
	is($session->query('SELECT count(*) FROM others WHERE '
			  . wrong_vectors()),
		0,
		"truncated file $with: the session reads another table");
	$session->quit;
	check_all($node, 'others', undef, rows => 300,
		name => "truncated file $with: another table");
	overwrite($file, $keep, substr $saved, $keep);
	check_all($node, 'items', undef, rows => $rows,
		name => "file restored $with");

	# The same while a query uses a vector where it is mapped.  Of three
	# vectors in a row at least one is on one page, and is not copied.
	my $refused = 0;
	foreach my $id ($rows - 9 .. $rows - 7)
	{
		my $holder = $node->background_psql('postgres');

		$holder->query_safe('SELECT pg_advisory_lock(7)');
		my $reader = start_client($node,
			"SELECT count(CASE WHEN id = $id THEN pg_advisory_lock(7)::text END), "
			  . 'sum(hash_array_extended(embedding, 0)) FROM items');
		$node->poll_query_until('postgres',
			"SELECT count(*) > 0 FROM pg_locks WHERE NOT granted "
			  . "AND locktype = 'advisory'")
		  or BAIL_OUT('the query does not come to its lock');
		truncate $file, $keep or die "could not truncate $file: $!";
		$holder->quit;
		finish_client($reader);
		my $errors = slurp_file($reader->{errors});
		like($errors, qr/ERROR: .*"\Q$path\E"/,
			"file truncated $with while vector $id is used");
		$refused++ if $errors =~ /The file ends before it/;
		overwrite($file, $keep, substr $saved, $keep);
	}
	cmp_ok($refused, '>', 0, 'a vector was used where it is mapped')
	  if !$checksums;
	check_all($node, 'items', undef, rows => $rows,
		name => "file restored again $with");

	my $log = slurp_file($node->logfile);
	unlike($log, qr/PANIC|terminated by signal/, "no server process died $with");
	$node->stop;
}
done_testing();
