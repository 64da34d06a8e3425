# A segment file that is missing, empty, cut short, not readable, a directory,
# or all zeros: by every way of reading a clear error that names it; what needs
# no vector and every other table can be read, the session and the server live
# on, and once the file is back, all is as before.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

my $rows = 1500;
my $wrong = wrong_vectors();
my $node = vecseg_node(
	'unreadable',
	conf => "shared_buffers = 1MB\nautovacuum = off\n"
	  . "max_parallel_workers_per_gather = 0\nsynchronize_seqscans = off");

foreach my $table ('items', 'others')
{
	create_table($node, $table);
	fill_table($node, $table, 1, $rows);
	$node->safe_psql('postgres', "VACUUM ANALYZE $table");
}
my $file = toast_file($node, 'items');
my $path = substr $file, length($node->data_dir) + 1;
my $toast = $node->safe_psql('postgres',
	"SELECT relname FROM pg_class WHERE oid = (SELECT reltoastrelid "
	  . "FROM pg_class WHERE relname = 'items')");
my $in_file = qr/in file "\Q$path\E"|open file "\Q$path\E"/;
my $in_relation = qr/segment relation "\Q$toast\E"/;

my $sum = 'SELECT sum(hash_array_extended(embedding, id)) FROM';
my %ways = (
	seq => "$sum items",
	filter => "$sum items WHERE id + 0 > 0",
	scroll => "$sum vecseg_scroll(NULL::items)",
	backward => "$sum vecseg_scroll(NULL::items, backward => true)",
	retrieve => "$sum vecseg_retrieve(NULL::items, ARRAY(SELECT i FROM "
	  . "generate_series(1, $rows) i ORDER BY hashint4(i)))",
	ordered => 'SET enable_seqscan = off; SET enable_sort = off; '
	  . "$sum (SELECT * FROM items ORDER BY id OFFSET 0) s; "
	  . 'RESET enable_seqscan; RESET enable_sort',
	bitmap => 'SET enable_seqscan = off; SET enable_indexscan = off; '
	  . "$sum items WHERE id > 0; "
	  . 'RESET enable_seqscan; RESET enable_indexscan',
	copy => "COPY items TO '$PostgreSQL::Test::Utils::tmp_check/copied'",
	one => "SELECT embedding FROM items WHERE id = $rows",
	sample => "$sum items TABLESAMPLE system (100)",
	parallel => 'SET max_parallel_workers_per_gather = 2; '
	  . 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; '
	  . "SET min_parallel_table_scan_size = 0; $sum items; "
	  . 'RESET max_parallel_workers_per_gather; RESET parallel_setup_cost; '
	  . 'RESET parallel_tuple_cost; RESET min_parallel_table_scan_size');

# What happens to the file, the SQLSTATE and the message of the error
my %damage = (
	missing => [
		sub { rename $file, "$file.away" },
		sub { rename "$file.away", $file },
		'58P01', $in_file ],
	directory => [
		sub { rename $file, "$file.away" and mkdir $file },
		sub { rmdir $file and rename "$file.away", $file },
		'42809', $in_file ],
	'not readable' => [
		sub { chmod 0, $file },
		sub { chmod 0600, $file },
		'42501', $in_file ],
	empty => [
		sub { replace('') }, \&restore, 'XX001', $in_relation ],
	'cut short' => [
		sub { replace(substr slurp_raw($file), 0, (-s $file) / 2 + 1000) },
		\&restore, 'XX001', $in_file ],
	zeros => [
		sub { replace("\0" x -s $file) },
		\&restore, 'XX001', qr/block 0 of $in_relation/ ]);

sub slurp_raw
{
	my ($name) = @_;

	open my $fh, '<:raw', $name or die "could not open $name: $!";
	local $/ = undef;
	return scalar <$fh>;
}

sub replace
{
	my ($bytes) = @_;

	rename $file, "$file.away" or return 0;
	open my $fh, '>:raw', $file or return 0;
	print $fh $bytes;
	return close $fh;
}

sub restore
{
	return rename "$file.away", $file;
}

sub new_session
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->set_query_timer_restart;
	ask($session, '\set VERBOSITY verbose');
	return $session;
}

# What does not need the file
sub rest_is_fine
{
	my ($session, $name) = @_;

	is(ask($session, 'SELECT count(*), sum(id), sum(version) FROM items'),
		join('|', $rows, $rows * ($rows + 1) / 2, $rows),
		"$name: what needs no vector can be read");
	is( ask($session,
			"SELECT count(*), count(*) FILTER (WHERE $wrong) FROM "
			  . 'vecseg_scroll(NULL::others)'),
		"$rows|0",
		"$name: another table can be read");
	return;
}

foreach my $what (sort keys %damage)
{
	my ($damage, $repair, $state, $message) = @{ $damage{$what} };

  SKIP:
	{
		skip 'the superuser may read all files', 1
		  if $what eq 'not readable' && $> == 0;

		$node->stop;
		$damage->() or BAIL_OUT("could not make the file $what: $!");
		drop_os_cache($file) if -f $file && -r $file;
		$node->start;
		my $session = new_session();

		# reads past the page cache, so that it stays empty
		ask($session, 'SET vecseg.direct_io = on');

		foreach my $method ('auto', 'sync')
		{
			foreach my $way (sort keys %ways)
			{
				my $name = "$what, $method, $way";

				ask($session, "SET vecseg.io_method = $method; $ways{$way}");
				like($session->{stderr}, qr/ERROR: +$state: .*$message/,
					"$name: the error");
				like($session->{stderr}, qr/HINT: /, "$name: with a hint")
				  if $message ne $in_file;
			}
			rest_is_fine($session, "$what, $method");
		}
		# An empty file is that of a table to which no vector was added yet.
		if ($what ne 'empty')
		{
			ask($session,
				'INSERT INTO items SELECT i, 1, vec(i, 1, 768) FROM '
				  . 'generate_series(10001::bigint, 13000) i');
			like($session->{stderr}, qr/ERROR: +$state: .*$message/,
				"$what: nothing can be added");
		}
		$session->quit;
		$node->stop;
		$repair->() or BAIL_OUT("could not repair the file: $!");
		$node->start;
		check_paths($node, 'items',
			rows => $rows, name => "$what, repaired",
			paths => [qw(seq scroll retrieve)]);
	}
}

# Taken away, or not readable any more, in front of a running server: whoever
# has the file open can go on, others get the error; a cursor goes on or fails,
# and returns no wrong vector. (006_damage.pl cuts a file short meanwhile.)
foreach my $what ('missing', 'not readable')
{
	my ($damage, $repair, $state, $message) = @{ $damage{$what} };

  SKIP:
	{
		skip 'the superuser may read all files', 1
		  if $what eq 'not readable' && $> == 0;

		my $old = new_session();
		my $new;
		my $answer;

		$node->safe_psql('postgres', 'CHECKPOINT');
		ask($old,
			"BEGIN; DECLARE c CURSOR FOR SELECT 'row', $wrong FROM "
			  . 'vecseg_scroll(NULL::items); MOVE 20 IN c');
		$damage->() or BAIL_OUT("could not make the file $what: $!");
		$answer = ask($old, 'FETCH ALL FROM c');
		ok( scalar(() = $answer =~ /^row\|f$/mg) == $rows - 20
			  || $old->{stderr} =~ /ERROR: .*$message/,
			"$what meanwhile: a cursor goes on or fails");
		unlike($answer, qr/^row\|t$/m,
			"$what meanwhile: no vector is wrong");
		ask($old, 'ROLLBACK');
		rest_is_fine($old, "$what meanwhile, old session");

		$new = new_session();
		foreach my $way (sort keys %ways)
		{
			ask($new, $ways{$way});
			like($new->{stderr}, qr/ERROR: +$state: .*$message/,
				"$what meanwhile, $way: the error in a new session");
		}
		rest_is_fine($new, "$what meanwhile, new session");
		$repair->() or BAIL_OUT("could not repair the file: $!");
		foreach my $session ($old, $new)
		{
			is( ask($session,
					"SELECT count(*), count(*) FILTER (WHERE $wrong) FROM "
					  . 'vecseg_scroll(NULL::items)'),
				"$rows|0",
				"$what meanwhile: the session reads again");
			$session->quit;
		}
	}
}

check_all($node, 'others', undef, rows => $rows);
check_all($node, 'items', undef, rows => $rows);
check_store($node, 'items');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/,
	'no server process died');
$node->stop;
done_testing();
