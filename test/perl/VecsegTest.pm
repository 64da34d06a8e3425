
=pod

=head1 NAME

VecsegTest - helpers for vecseg's TAP tests

=head1 SYNOPSIS

  use PostgreSQL::Test::Utils;
  use Test::More;
  use VecsegTest;

  my $node = vecseg_node('main', checksums => 1);

  create_table($node, 'items');
  fill_table($node, 'items', 1, 1000);
  kill9($node);
  start_after_crash($node);
  check_all($node, 'items', undef, rows => 1000);
  done_testing();

=head1 DESCRIPTION

Tables made by C<create_table> have the columns C<id bigint PRIMARY KEY>,
C<version int> and C<embedding real[]>. The vector of a row is
C<vec(id, version, dims)>; see F<test/vec.sql>.

=cut

package VecsegTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(
  vecseg_node
  install_vecseg
  create_table
  fill_table
  next_version
  create_must_be_zero
  start_standby
  check_all
  kill9
  open_files
  ask
  must
  start_after_crash
  vec_sql
  hard
  start_client
  stop_client
  finish_client
  client_acks
  client_errors
  wait_for_acks
  check_paths
  check_store
  digest
  server_log_is_clean
  wrong_vectors
  toast_file
  slot_offset
  wait_until_held
  overwrite
  cached_bytes
  drop_os_cache
  wait_until_cold
  process_is_gone
  run_pgbench
  start_pgbench
  finish_pgbench
  stop_pgbench
);

my $test_dir = dirname(__FILE__) . '/..';

=pod

=over

=item vecseg_node($name, %options)

A new node with vecseg preloaded, started, and with the extension and vec()
created in the database C<postgres>. Options:

  checksums         1 or 0: with or without data checksums (default 1)
  allows_streaming  1 or 'logical', as in PostgreSQL::Test::Cluster
  wal_level         overrides the level that follows from allows_streaming
  conf              lines appended to postgresql.conf
  start             0: leave the node stopped, without the extension
  install_path      the server's folder, if it is not the one under test

=cut

sub vecseg_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name,
		$options{install_path} ? (install_path => $options{install_path}) : ());

	$node->init(
		allows_streaming => $options{allows_streaming},
		extra => _checksum_switch($node, $options{checksums} // 1));
	$node->append_conf('postgresql.conf', _settings($node));
	# the tests' standbys have no slots
	$node->append_conf('postgresql.conf', 'wal_keep_size = 2GB')
	  if $options{allows_streaming};
	$node->append_conf('postgresql.conf', "wal_level = $options{wal_level}")
	  if defined $options{wal_level};
	$node->append_conf('postgresql.conf', $options{conf})
	  if defined $options{conf};
	if ($options{start} // 1)
	{
		$node->start;
		install_vecseg($node);
	}
	return $node;
}

# From version 18 on, initdb enables checksums by default.
sub _checksum_switch
{
	my ($node, $checksums) = @_;

	return ['--data-checksums'] if $checksums;
	return $node->pg_version >= 18 ? ['--no-data-checksums'] : [];
}

# The settings of all tests, without those that came after a node's version
sub _settings
{
	my ($node) = @_;
	my $settings = slurp_file("$test_dir/conf/tap.conf");

	$settings =~ s/^io_method.*\n//m if $node->pg_version < 18;
	return $settings;
}

=pod

=item install_vecseg($node, $database)

Create the extension and vec() in a database (default C<postgres>).

=cut

sub install_vecseg
{
	my ($node, $database) = @_;

	$node->safe_psql($database // 'postgres',
		"CREATE EXTENSION vecseg;\n" . vec_sql());
	return;
}

=pod

=item vec_sql()

The SQL text that creates vec().

=cut

sub vec_sql
{
	return slurp_file("$test_dir/vec.sql");
}

=pod

=item create_table($node, $table, %options)

Create an empty table. Options: C<using> (access method, default vecseg),
C<columns> (more column definitions), C<database>.

=cut

sub create_table
{
	my ($node, $table, %options) = @_;
	my $using = $options{using} // 'vecseg';
	my $columns = $options{columns} ? ", $options{columns}" : '';

	$node->safe_psql($options{database} // 'postgres',
		"CREATE TABLE $table (id bigint PRIMARY KEY, version int NOT NULL, "
		  . "embedding real[]$columns) USING $using");
	return;
}

=pod

=item fill_table($node, $table, $from, $to, %options)

Insert the rows C<$from> to C<$to>. Options: C<version> (default 1), C<dims>
(default 768), C<database>.

=cut

sub fill_table
{
	my ($node, $table, $from, $to, %options) = @_;
	my $version = $options{version} // 1;
	my $dims = $options{dims} // 768;

	$node->safe_psql($options{database} // 'postgres',
		"INSERT INTO $table (id, version, embedding) "
		  . "SELECT i, $version, vec(i, $version, $dims) "
		  . "FROM generate_series(${from}::bigint, $to) i");
	return;
}

=pod

=item next_version($dims)

What UPDATE ... SET needs to give rows their next version, and its vector.
C<$dims> is an SQL expression (default 768).

=cut

sub next_version
{
	my ($dims) = @_;

	return 'version = version + 1, embedding = vec(id, version + 1, '
	  . ($dims // 768) . ')';
}

=pod

=item create_must_be_zero($node)

Create the SQL function must_be_zero(bigint), by which a script for pgbench
fails when it finds wrong vectors.

=cut

sub create_must_be_zero
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION must_be_zero(n bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF n <> 0 THEN RAISE EXCEPTION 'WRONG: % vectors', n; END IF;
END $$;
SQL
	return;
}

=pod

=item start_standby($primary)

A standby of a node, started, that cancels no query.

=cut

sub start_standby
{
	my ($primary) = @_;
	my $standby = PostgreSQL::Test::Cluster->new('standby');

	$primary->backup('for_standby');
	$standby->init_from_backup($primary, 'for_standby', has_streaming => 1);
	$standby->append_conf('postgresql.conf',
		'max_standby_streaming_delay = -1');
	$standby->start;
	return $standby;
}

=pod

=item check_all($node, $table, $where, %options)

Assert that every row (or every row that satisfies C<$where>) holds exactly
its vector; return the number of those that do not. C<$table> may be anything
that FROM accepts, such as C<vecseg_scroll(NULL::items)>. Options:

  rows      also assert that there are this many rows
  dims      SQL expression for the dimensions (default 768)
  version   SQL expression for the version (default version)
  column    the vector column (default embedding)
  settings  SQL run first in the same session, such as SET
  name      of the assertion
  database

=cut

sub check_all
{
	my ($node, $table, $where, %options) = @_;
	my $column = $options{column} // 'embedding';
	my $version = $options{version} // 'version';
	my $dims = $options{dims} // 768;
	my $name = $options{name} // "$table on " . $node->name;
	my $settings = $options{settings} ? "$options{settings};" : '';

	# The marker tells the result from the output of the settings.
	$where //= 'true';

	my $result = $node->safe_psql($options{database} // 'postgres',
		"$settings SELECT 'result', count(*), count(*) FILTER "
		  . '(WHERE ' . wrong_vectors($dims, $version, $column)
		  . ") FROM $table WHERE $where");
	my ($rows, $wrong) = $result =~ /^result\|(\d+)\|(\d+)$/m;

	is($wrong, 0, "$name: all of $rows vectors are right");
	is($rows, $options{rows}, "$name: number of rows")
	  if defined $options{rows};
	return $wrong;
}

=pod

=item kill9($node)

Crash a node: kill the postmaster and all its children at once with SIGKILL,
and wait until they are gone. The postmaster is stopped first, so that it can
start no child that would be missed, and killed last: a backend that sees it
die between its commit and the removal of the files it dropped ends with
"PANIC: cannot abort transaction %u, it was already committed", on any table
(it waits for the checkpointer's full queue in RegisterSyncRequest()).

=cut

sub kill9
{
	my ($node) = @_;
	my $postmaster = $node->{_pid};
	my @children;

	BAIL_OUT('node "' . $node->name . '" is not running') unless $postmaster;
	kill 'STOP', $postmaster;
	_wait_until(sub { (_process_state($postmaster))[0] =~ /^[TtZX]$/ },
		'the postmaster to stop');
	@children = _children($postmaster);
	kill 'KILL', @children;
	$node->kill9;
	foreach my $pid ($postmaster, @children)
	{
		_wait_until(sub { process_is_gone($pid) }, "process $pid to end");
	}
	return;
}

=pod

=item start_after_crash($node, %options)

Start a node that was killed. Options as for the node's start().

=cut

sub start_after_crash
{
	my ($node, %options) = @_;

	_remove_lock_files($node);
	return $node->start(%options);
}

=pod

=item hard($normal, $hard)

C<$hard> in C<make test-hard>, else C<$normal>: for numbers of rounds.

=cut

sub hard
{
	my ($normal, $hard) = @_;

	return $ENV{VECSEG_TEST_HARD} ? $hard : $normal;
}

=pod

=item wrong_vectors($dims, $version, $column)

An SQL condition: this row's vector is not, byte for byte, what it must be.
The arguments are SQL expressions (default 768, version, embedding).

=cut

sub wrong_vectors
{
	my ($dims, $version, $column) = @_;

	return sprintf 'ROW(%s)::record *<> ROW(vec(id, %s, %s))',
	  $column // 'embedding', $version // 'version', $dims // 768;
}

=pod

=item check_paths($node, $table, %options)

C<check_all> by every way of reading: sequential scan, with a filter and
without, index scan, bitmap scan, scroll in both directions, retrieve, COPY and INSERT INTO a heap table;
and C<check_store>. Options as for C<check_all>; C<paths> is a list of some of: seq filter index bitmap
scroll backward retrieve copy insert.

=cut

sub check_paths
{
	my ($node, $table, %options) = @_;
	my $paths = delete $options{paths} // [
		qw(seq filter index bitmap scroll backward retrieve copy insert)];
	my $settings = $options{settings} ? "$options{settings};" : '';
	my $name = delete $options{name} // "$table on " . $node->name;
	my $null = "NULL::$table";
	my %from = (
		seq => [ $table, '' ],
		filter => [ "(SELECT * FROM $table WHERE id + 0 > -1 OFFSET 0) x", '' ],
		index => [
			"(SELECT * FROM $table ORDER BY id OFFSET 0) x",
			'SET enable_seqscan = off; SET enable_sort = off' ],
		bitmap => [
			"(SELECT * FROM $table WHERE id > -1 OFFSET 0) x",
			'SET enable_seqscan = off; SET enable_indexscan = off' ],
		scroll => [ "vecseg_scroll($null)", '' ],
		backward => [ "vecseg_scroll($null, backward => true)", '' ],
		retrieve => [
			"vecseg_retrieve($null, (SELECT array_agg(id ORDER BY "
			  . "hashint8(id)) FROM $table))", '' ],
		copy => [ 'copied', 'COPY' ],
		insert => [ 'inserted', 'INSERT' ]);

	foreach my $path (@$paths)
	{
		my ($from, $first) = @{ $from{$path} };

		if ($path eq 'copy')
		{
			my $file = $PostgreSQL::Test::Utils::tmp_check . '/copied';

			$first = "CREATE TEMP TABLE copied (LIKE $table) USING heap; "
			  . "COPY $table TO '$file' (FORMAT binary); "
			  . "COPY copied FROM '$file' (FORMAT binary)";
		}
		elsif ($path eq 'insert')
		{
			$first = "CREATE TEMP TABLE inserted (LIKE $table) USING heap; "
			  . "INSERT INTO inserted SELECT * FROM $table";
		}
		check_all(
			$node, $from, undef, %options,
			settings => "$settings $first",
			name => "$name, $path");
	}
	check_store(
		$node, $table,
		name => $name,
		database => $options{database});
	return;
}

=pod

=item check_store($node, $table, %options)

Assert that vecseg_check finds nothing wrong with a table. Options: C<name>
(of the assertion), C<database>.

=cut

sub check_store
{
	my ($node, $table, %options) = @_;
	my $name = $options{name} // "$table on " . $node->name;

	return is(
		$node->safe_psql($options{database} // 'postgres',
			"SELECT * FROM vecseg_check('$table') LIMIT 20"),
		'', "$name: the store is sound");
}

=pod

=item digest($node, $table)

Number of rows, and hashes of all ids, versions and vectors.

=cut

sub digest
{
	my ($node, $table) = @_;

	return $node->safe_psql('postgres',
		'SELECT count(*), sum(hashint8extended(id, version)), '
		  . "sum(hash_array_extended(embedding, id)) FROM $table");
}

=pod

=item start_client($node, $script, %options)

Start psql with a script (SQL text) in the background; it stops at the first
error. The script acknowledges what was committed by C<\echo ack ...> lines.
Returns a handle for the functions below. Options:

  database
  go_on     1: go on after errors; C<client_errors> tells of them

=cut

my $clients = 0;

sub start_client
{
	my ($node, $script, %options) = @_;
	my $file = sprintf '%s/client_%d',
	  $PostgreSQL::Test::Utils::tmp_check, ++$clients;
	my %client = (output => "$file.out", errors => "$file.err");

	open my $fh, '>', "$file.sql" or die "could not write $file.sql: $!";
	print $fh $script;
	close $fh;
	# No pipe to or from the client: IPC::Run would not notice its end.
	$client{run} = IPC::Run::start(
		[
			'stdbuf', '-oL', 'psql', '-XAtq', '-v',
			$options{go_on} ? 'VERBOSITY=verbose' : 'ON_ERROR_STOP=1', '-d',
			$node->connstr($options{database} // 'postgres'),
			'-f', "$file.sql" ],
		'<', '/dev/null', '>', $client{output}, '2>', $client{errors});
	return \%client;
}

=pod

=item finish_client($client)

Wait for a client to end; true if its script came to its end.

=item stop_client($client)

End a client; false if it had ended by itself because of an error.

=item client_acks($client)

Its acknowledgements so far: the rests of the lines that begin with "ack".

=item client_errors($client, @tolerated)

The errors that a client met, other than those with the tolerated SQLSTATEs and
the loss of its server.

=item wait_for_acks($clients, $count)

Wait until the clients in an array have acknowledged so much altogether, or
all of them have ended.

=cut

sub finish_client
{
	my ($client) = @_;

	$client->{run}->finish;
	note slurp_file($client->{errors}) if -s $client->{errors};
	return $client->{run}->result(0) == 0;
}

sub stop_client
{
	my ($client) = @_;
	my $running = $client->{run}->pumpable;

	$client->{run}->signal('TERM') if $running;
	eval { $client->{run}->finish; };
	note slurp_file($client->{errors}) if -s $client->{errors};
	return $running && !-s $client->{errors};
}

sub client_acks
{
	my ($client) = @_;

	return -e $client->{output} ?
	  slurp_file($client->{output}) =~ /^ack ?(.*)\n/mg : ();
}

sub client_errors
{
	my ($client, @tolerated) = @_;
	my $known = join '|', '57P0[123]', @tolerated;

	return -e $client->{errors} ?
	  grep({ /(?:ERROR|FATAL|PANIC):/ && !/(?:ERROR|FATAL):  (?:$known):/ }
		split /\n/, slurp_file($client->{errors})) : ();
}

sub wait_for_acks
{
	my ($clients, $count) = @_;

	for (;;)
	{
		my $acks = 0;

		$acks += scalar(my @list = client_acks($_)) foreach @$clients;
		return $acks if $acks >= $count;
		return $acks unless grep { $_->{run}->pumpable } @$clients;
		usleep(20_000);
	}
}

=pod

=item server_log_is_clean($node, $offset)

Assert that a node's log, from an offset on, has no sign of damage.

=cut

sub server_log_is_clean
{
	my ($node, $offset) = @_;
	my @found = grep {
		/PANIC:|TRAP:|inconsistent page|invalid page|is damaged
		|incorrect\ checksum|terminated\ by\ signal\ (?:4|6|7|8|11)\b
		|references\ invalid|XX00[012]/x
	} split /\n/, slurp_file($node->logfile, $offset // 0);

	is(join("\n", @found), '', 'clean log of ' . $node->name);
	return;
}

=pod

=item toast_file($node, $table, $database)

The path of the file that holds a table's segments.

=cut

sub toast_file
{
	my ($node, $table, $database) = @_;

	return $node->data_dir . '/'
	  . $node->safe_psql($database // 'postgres',
		'SELECT pg_relation_filepath(reltoastrelid) FROM pg_class '
		  . "WHERE oid = '$table'::regclass");
}

=pod

=item slot_offset($node, $table, $id)

Where the slot of a row's vector, C<vec($id, 1, ...)> of 20 dimensions or more,
starts in the table's file. No other has the same bytes: a vector begins with its
row's id.

=cut

sub slot_offset
{
	my ($node, $table, $id) = @_;
	my $array_header = 24;	# varlena header, and that of an array of one dimension
	my $vector = $node->safe_psql('postgres',
		"SELECT array_to_string(vec($id, 1, 20), ',')");
	my $at = index slurp_file(toast_file($node, $table)),
	  pack 'f*', split /,/, $vector;

	BAIL_OUT("vector of row $id not found in the file") if $at < 0;
	return $at - $array_header;
}

=pod

=item wait_until_held($node, $who, %options)

Wait until one session waits for an advisory lock; C<$who> tells, if it does not
come to that, what should have. Options:

  part      the second key of that lock
  database

=cut

sub wait_until_held
{
	my ($node, $who, %options) = @_;
	my $part = defined $options{part} ? "AND objid = $options{part}" : '';

	$node->poll_query_until($options{database} // 'postgres',
		'SELECT count(*) = 1 FROM pg_locks '
		  . "WHERE locktype = 'advisory' AND NOT granted $part")
	  or BAIL_OUT("not held at an advisory lock: $who");
	return;
}

=pod

=item overwrite($file, $offset, $bytes)

Write bytes into a file; returns what was there.

=cut

sub overwrite
{
	my ($file, $offset, $bytes) = @_;
	my $old;

	open my $fh, '+<:raw', $file or die "could not open $file: $!";
	seek $fh, $offset, 0;
	read $fh, $old, length $bytes;
	seek $fh, $offset, 0;
	print $fh $bytes;
	close $fh or die "could not write $file: $!";
	return $old;
}

=pod

=item ask($session, $sql)

Run a statement, which may fail, in a background_psql; its errors are in
C<< $session->{stderr} >>.

=item must($session, $sql)

Run a statement that must not fail.

=cut

sub ask
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	return scalar $session->query($sql);
}

sub must
{
	my ($session, $sql) = @_;
	my $result = ask($session, $sql);

	is($session->{stderr}, '', "no error: $sql") if $session->{stderr} ne '';
	return $result;
}

=pod

=item open_files($pid, $file)

How many descriptors a process has of a table's segment file, its further
parts, and of what is no file, as an io_uring. (The server opens those of
catalogs when it needs them, and keeps them.)

=cut

sub open_files
{
	my ($pid, $file) = @_;

	opendir my $dir, "/proc/$pid/fd" or die "no process $pid";
	return scalar(grep { /^anon_inode:|^\Q$file\E(\.\d+)?( \(deleted\))?$/ }
		  map { readlink("/proc/$pid/fd/$_") // '' } readdir $dir);
}

=pod

=item cached_bytes($file)

How many bytes of a file's pages are in the kernel's cache.

=cut

sub cached_bytes
{
	my ($file) = @_;
	my $cached = `fincore --bytes --noheadings --output RES '$file'`;

	die 'fincore failed' if $? != 0;
	return $cached =~ /(\d+)/ ? $1 : 0;
}

=pod

=item drop_os_cache(@files)

Have the kernel write out and forget the pages of files. Returns false when
it did not, as on tmpfs.

=cut

sub drop_os_cache
{
	my (@files) = @_;
	my $left = 0;

	foreach my $file (@files)
	{
		system_or_bail('dd', "of=$file", 'oflag=nocache',
			'conv=notrunc,fdatasync', 'count=0', 'status=none');
		$left += cached_bytes($file);
	}
	note "$left bytes left in the kernel's cache" if $left > 0;
	return $left == 0;
}

=pod

=item wait_until_cold(@files)

The same, when sessions have ended that had the files mapped: as long as their
processes are there, the kernel keeps the pages that they have touched.

=cut

sub wait_until_cold
{
	my (@files) = @_;

	_wait_until(sub { drop_os_cache(@files) }, 'the kernel to forget files');
	return;
}

=pod

=item process_is_gone($pid)

Has a process ended, even if nobody has taken note of it?

=cut

sub process_is_gone
{
	my ($pid) = @_;

	return (_process_state($pid))[0] =~ /^[XZ]$/;
}

=pod

=item run_pgbench($node, $options, %scripts)

Run pgbench with scripts, each named by its file's name with the weight
appended, such as "update@3"; assert that none of its clients failed.

=item start_pgbench($node, $options, %scripts)

=item finish_pgbench($run)

The same in two steps.

=item stop_pgbench($run, $worked)

End pgbench (run with C<-P 1>), if it has not ended because its server was
killed; assert that it worked and that nothing else went wrong. Where a single
run may be too short to get anything done, on a busy machine, C<$worked> refers
to a number of runs that worked, to be counted and asserted by the caller.

=back

=cut

sub run_pgbench
{
	my ($node, $options, %scripts) = @_;

	my $run = start_pgbench($node, $options, %scripts);
	return finish_pgbench($run);
}

my $pgbench_runs = 0;

sub start_pgbench
{
	my ($node, $options, %scripts) = @_;
	my @files;

	# Runs side by side may have scripts of the same names.
	$pgbench_runs++;
	foreach my $name (sort keys %scripts)
	{
		my ($base, $weight) = split /@/, $name;
		my $file =
		  "$PostgreSQL::Test::Utils::tmp_check/$base.$pgbench_runs.pgbench";

		open my $fh, '>', $file or die "could not write $file: $!";
		print $fh $scripts{$name};
		close $fh;
		push @files, '-f', defined $weight ? "$file\@$weight" : $file;
	}
	my %run = (out => '', name => join ' ', sort keys %scripts);
	$run{run} = IPC::Run::start(
		[ 'pgbench', '-n', @$options, @files, $node->connstr('postgres') ],
		'<', \undef, '>&', \$run{out});
	return \%run;
}

sub finish_pgbench
{
	my ($run) = @_;

	$run->{run}->finish;
	my $ok = $run->{run}->result(0) == 0 && $run->{out} !~ /aborted/;
	ok($ok, "pgbench: $run->{name}") or diag $run->{out};
	return $ok;
}

sub stop_pgbench
{
	my ($run, $worked, $tolerated) = @_;

	$run->{run}->signal('TERM') if $run->{run}->pumpable;
	eval { $run->{run}->finish; };
	my @errors = grep {
		/(?:ERROR|PANIC):/
		  || /FATAL:/ && !/FATAL:  (?:terminating connection|the database system)/
	} split /\n/, $run->{out};
	@errors = grep { !/$tolerated/ } @errors if $tolerated;
	my $did_work = qr/^progress: .* (?!0\.0 tps)[0-9.]+ tps/m;
	if (!$worked) { like($run->{out}, $did_work, "pgbench worked: $run->{name}"); }
	elsif ($run->{out} =~ $did_work) { $$worked++; }
	return is(join("\n", @errors), '', "pgbench until stopped: $run->{name}");
}

# A test that died may have waited for a server: say what that was doing, before
# PostgreSQL::Test::Cluster stops it. (Blocks like this run last to first.)
END
{
	my $exit_code = $?;

	_report_servers() if $exit_code != 0;
	$? = $exit_code;
}

# The processes of all servers that run, and the stacks of those that are busy.
sub _report_servers
{
	foreach my $file (
		glob "$PostgreSQL::Test::Utils::tmp_check/*_data/pgdata/postmaster.pid")
	{
		my ($postmaster, $data, undef, $port, $host) =
		  split /\n/, slurp_file($file);
		my ($processes, $errors) = ('', '');

		next if process_is_gone($postmaster);
		eval {
			IPC::Run::run(
				[
					'psql', '-XAtq', '-h', $host, '-p', $port, 'postgres', '-c',
					'SELECT pid, backend_type, state, wait_event_type, wait_event, query '
					  . 'FROM pg_stat_activity WHERE pid <> pg_backend_pid()'
				],
				'>', \$processes, '2>', \$errors, IPC::Run::timeout(20));
		};
		diag("processes of $data:\n$processes$errors$@");
		foreach my $process (grep { !/\|Activity\|/ } split /\n/, $processes)
		{
			my ($pid) = $process =~ /^(\d+)\|/ or next;
			my $stack = `gdb -p $pid -batch -ex bt 2>/dev/null | grep '^#'`;

			diag("stack of $pid:\n$stack") if $stack ne '';
		}
	}
	return;
}

# Where process 1 does not reap orphans, as in some containers, a killed
# postmaster stays a zombie, and a new one would take it to be running.
sub _remove_lock_files
{
	my ($node) = @_;

	foreach my $file ($node->data_dir . '/postmaster.pid',
		$node->host . '/.s.PGSQL.' . $node->port . '.lock')
	{
		next unless -e $file;
		my ($pid) = slurp_file($file) =~ /^-?(\d+)/;
		unlink $file if process_is_gone($pid);
	}
	return;
}

# State and parent of a process; X and 0 if there is no such process.
sub _process_state
{
	my ($pid) = @_;

	open my $fh, '<', "/proc/$pid/stat" or return ('X', 0);
	my $stat = <$fh>;
	close $fh;
	return ('X', 0) unless defined $stat && $stat =~ /.*\) (\S) (\d+)/;
	return ($1, $2);
}

sub _children
{
	my ($parent) = @_;

	return grep { (_process_state($_))[1] == $parent }
	  map { m{(\d+)} } glob('/proc/[0-9]*');
}

sub _wait_until
{
	my ($condition, $what) = @_;

	for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $condition->();
		usleep(10_000);
	}
	BAIL_OUT("timed out waiting for $what");
	return;
}

1;
