# A disk that is slow or fails: queries that wait for it can be stopped, errors
# say what could not be read, and nothing else suffers; what comes back in part
# or not at once is completed. The faults are those of test/faults/faults.c.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use POSIX qw(EAGAIN EINTR EIO mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecsegTest;

my $rows = 2500;
my $block_size = 8192;
my $wrong = wrong_vectors();
my %kinds = (none => 0, hang => 1, short => 2, error => 3);
my @fields = qw(kind inode start end error period only_vecseg no_cancel);
my $hanging_at = 8 * @fields;

my $faults = PostgreSQL::Test::Utils::tempdir() . '/faults';

if (system("cc -O1 -fPIC -shared -o $faults.so $FindBin::RealBin/../faults/faults.c -ldl") != 0)
{
	plan skip_all => 'no C compiler for the library that makes reads fail';
}

# The control file, and the gate for reads that hang
my %control;
open my $control_file, '+>:raw', $faults or die "could not open $faults: $!";
mkfifo("$faults.gate", 0600) or die "could not make $faults.gate: $!";
open my $gate, '+<:raw', "$faults.gate" or die "could not open the gate: $!";
$gate->blocking(0);

sub control
{
	my (%changes) = @_;
	my $bytes;

	%control = (%control, %changes);
	$bytes = pack 'q*', $kinds{ $control{kind} },
	  map { $control{$_} } @fields[ 1 .. $#fields ];
	sysseek $control_file, 0, 0;
	syswrite $control_file, $bytes;
	return;
}

# Numbers of reads: that hang now, that were meddled with
sub counts
{
	sysseek $control_file, $hanging_at, 0;
	sysread $control_file, my $bytes, 16;
	return unpack 'q2', $bytes;
}

sub hanging { return (counts())[0]; }
sub meddled { return (counts())[1]; }

sub wait_until
{
	my ($what, $condition) = @_;

	for (1 .. 100 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		usleep(10_000);
	}
	BAIL_OUT("timed out waiting for $what");
	return;
}

# Hundredths of a second that a process has used
sub cpu_ticks
{
	my ($pid) = @_;
	my $stat = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat");
	my @fields = split ' ', $stat =~ s/.*\) //sr;

	return $fields[11] + $fields[12];
}

# No fault from now on; what hangs goes on.
sub heal
{
	my $hanging = hanging();

	control(
		kind => 'none', start => 0, end => 2**62, period => 1,
		only_vecseg => 0, no_cancel => 0);
	syswrite $gate, 'x' x $hanging if $hanging > 0;
	return;
}

# What is left in the gate would let through the next read that shall hang.
sub close_gate
{
	1 while sysread $gate, my $bytes, 1000;
	return;
}

# Have reads hang from a third of the file on, when many are in flight.
sub let_hang
{
	my ($file) = @_;

	close_gate();
	control(
		kind => 'hang', start => (-s $file) / 3, only_vecseg => 1,
		no_cancel => 1);
	return;
}

sub start
{
	my ($node, $start) = @_;
	local $ENV{LD_PRELOAD} = "$faults.so";
	local $ENV{VECSEG_FAULTS} = $faults;

	return $start->($node);
}

sysseek $control_file, 0, 0;
syswrite $control_file, "\0" x (8 * (@fields + 2));
control(kind => 'none', inode => 0, start => 0, end => 2**62, error => 0,
	period => 1, only_vecseg => 0, no_cancel => 0);

my $node = vecseg_node(
	'slow',
	conf => "shared_buffers = 1MB\nautovacuum = off\n"
	  . 'max_parallel_workers_per_gather = 0');
create_table($node, $_) foreach 'items', 'others';
fill_table($node, 'items', 1, $rows);
fill_table($node, 'others', 1, 300);
$node->safe_psql('postgres', 'VACUUM ANALYZE items, others');
my $file = toast_file($node, 'items');
my $path = substr $file, length($node->data_dir) + 1;
my $ids = "ARRAY(SELECT i FROM generate_series(1::bigint, $rows) i "
  . "ORDER BY hashint8(i))";
my %from = (
	seq => 'items',
	scroll => 'vecseg_scroll(NULL::items)',
	retrieve => "vecseg_retrieve(NULL::items, $ids)");

$node->stop;
if (!drop_os_cache($file))
{
	plan skip_all => 'the file system keeps files in memory';
}
start($node, sub { $_[0]->start; });
control(inode => (stat $file)[1]);

my %settings = (
	io_uring => 'SET vecseg.io_method = io_uring; SET vecseg.direct_io = on',
	buffered => 'SET vecseg.io_method = io_uring; SET vecseg.direct_io = off',
	sync => 'SET vecseg.io_method = sync');

sub count_wrong
{
	my ($from) = @_;

	return "SELECT count(*), count(*) FILTER (WHERE $wrong) FROM $from";
}

# A new session with the file not in memory
sub session
{
	my ($settings) = @_;
	my $session;

	wait_until_cold($file);
	$session = $node->background_psql('postgres', on_error_stop => 0);
	$session->set_query_timer_restart;
	must($session, '\set VERBOSITY verbose');
	must($session, $settings);
	return $session;
}

# Send a statement, without waiting for its end.
sub send_off
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	$session->query_until(qr/sent\n/, "\\echo sent\n$sql;\n");
	return;
}

# Wait for that end: the next statement can be answered. What is asked reads
# nothing that hangs.
sub session_goes_on
{
	my ($session, $error, $name, $method) = @_;
	my $answer = $session->query(
		'SET statement_timeout = 0; BEGIN; '
		  . ($method ? "SET LOCAL vecseg.io_method = $method; " : '')
		  . count_wrong('others') . '; COMMIT');

	is($answer, '300|0', "$name: the session reads another table");
	like($session->{stderr}, $error, "$name: the error");
	return;
}

sub reads_all
{
	my ($session, $name) = @_;

	foreach my $how (sort keys %from)
	{
		is(must($session, count_wrong($from{$how})),
			"$rows|0", "$name: $how is right");
	}
	return;
}

# Is there io_uring at all?
my @methods = ('sync');
{
	my $offset = -s $node->logfile;
	my $session = session($settings{io_uring});

	must($session, count_wrong($from{scroll}));
	$session->quit;
	if (slurp_file($node->logfile, $offset) =~ /io_uring is not available/)
	{
		note 'this system does not allow io_uring';
	}
	else
	{
		@methods = ('io_uring', 'buffered', 'sync');
	}
}

# Reads that hang until the gate is opened. By io_uring a query is stopped
# while they do; synchronously it waits for the one read that the kernel is at.
my %stop = (
	cancel => [
		'SELECT pg_cancel_backend(%d)',
		qr/ERROR: +57014: .*due to user request/ ],
	timeout => [ undef, qr/ERROR: +57014: .*due to statement timeout/ ]);

foreach my $method (@methods)
{
	foreach my $how (sort keys %from)
	{
		foreach my $stop (sort keys %stop)
		{
			my $name = "$method, $how, $stop";

			# A timeout must not come before reads hang, hence is a long one.
			next if $stop eq 'timeout' && ($how ne 'scroll' || $method eq 'sync');

			my $session = session($settings{$method});
			my $pid = must($session, 'SELECT pg_backend_pid()');
			my $before;

			must($session, "SET statement_timeout = '5s'")
			  if $stop eq 'timeout';
			let_hang($file);
			$before = meddled();
			send_off($session, count_wrong($from{$how}));
			wait_until("$name: reads to hang", sub { hanging() > 0 });
			if (defined $stop{$stop}[0])
			{
				$node->safe_psql('postgres', sprintf $stop{$stop}[0], $pid);
			}
			if ($method eq 'sync')
			{
				# let this one read end
				syswrite $gate, 'x';
			}
			session_goes_on($session, $stop{$stop}[1], $name);
			if ($method eq 'sync')
			{
				is(hanging(), 0, "$name: no read is left");
				is(meddled(), $before + 1, "$name: none was begun after");
			}
			else
			{
				cmp_ok(hanging(), '>', 0, "$name: they hang still");
			}
			heal();
			reads_all($session, $name);
			is(hanging(), 0, "$name: all have come back");
			$session->quit;
		}
	}
}

# Cancelled again and again: reads that hang do not add up without bound, the
# session can be stopped also when it waits for those of earlier queries, and
# when they have come back, it is as it was.
if (@methods > 1)
{
	my $session = session($settings{io_uring});
	my $pid = must($session, 'SELECT pg_backend_pid()');

	reads_all($session, 'before');
	must($session, count_wrong('others'));
	my $files = open_files($pid, $file);
	let_hang($file);
	# each round adds one at least, on a busy machine not many more; beyond some
	# 256 none is added
	for (my ($round, $beyond) = (1, 0); $beyond < 4; $round++)
	{
		my $before = hanging();

		$beyond++ if $before > 256;
		send_off($session, count_wrong($from{scroll}));
		$before > 256
		  ? $node->poll_query_until('postgres',
			"SELECT wait_event = 'DataFileRead' FROM pg_stat_activity "
			  . "WHERE pid = $pid")
		  : wait_until("round $round", sub { hanging() > $before });
		if ($before > 256)
		{
			my $ticks = cpu_ticks($pid);
			usleep(1_000_000);
			cmp_ok(cpu_ticks($pid) - $ticks, '<', 20,
				"round $round: waits without using the processor");
		}
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		# asynchronously it would wait for those that hang, if the kernel had
		# dropped a page of the other table from its cache
		session_goes_on($session,
			qr/ERROR: +57014: .*due to user request/, "round $round", 'sync');
		cmp_ok(hanging(), '<=', 256 + 64, "round $round: not too many hang");
	}
	cmp_ok(hanging(), '>', 256, 'many hang');
	heal();
	reads_all($session, 'healed');
	is(hanging(), 0, 'healed: all have come back');
	cmp_ok(open_files($pid, $file), '<=', $files, 'healed: no file is left open');

	# Terminated, and the death of the postmaster
	let_hang($file);
	send_off($session, count_wrong($from{scroll}));
	wait_until('reads to hang', sub { hanging() > 0 });
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until('a terminated backend to end', sub { process_is_gone($pid) });
	pass('a backend with reads that hang can be terminated');
	eval { $session->quit; };
	heal();
}

# Errors of the disk: named, for what they concern only. A read that fails is
# tried once more through shared buffers.
my $first = 200;
my $blocks = $node->pg_version >= 17 ? qr/blocks \d+\.\.\d+/ : qr/block \d+/;
foreach my $method (@methods)
{
	foreach my $how (sort keys %from)
	{
		my $name = "EIO, $method, $how";
		my $session = session($settings{$method});
		# blocks that are not in shared buffers from the times before
		my $last = $first + 15;
		my %concerned = (
			error => EIO,
			start => $first * $block_size,
			end => ($last + 1) * $block_size);
		my ($before, $block);

		control(kind => 'error', %concerned);
		ask($session, count_wrong($from{$how}));
		like(
			$session->{stderr},
			qr/ERROR: +58030: could not read $blocks in file "\Q$path\E": /,
			"$name: the error");
		($block) = $session->{stderr} =~ /could not read blocks? (\d+)/;
		ok($block >= $first && $block <= $last, "$name: it names the block");
		is( must($session,
				count_wrong('vecseg_scroll(NULL::items, upto => 300)')),
			'300|0',
			"$name: rows elsewhere can be read");
		is(must($session, count_wrong('others')),
			'300|0', "$name: another table can be read");
		$session->quit;

		# only the reader's own reads fail
		$session = session($settings{$method});
		control(kind => 'error', only_vecseg => 1, %concerned);
		must($session, 'SELECT retries AS before FROM vecseg_stat_io \gset');
		is(must($session, count_wrong($from{$how})),
			"$rows|0", "$name once: right all the same");
		cmp_ok(
			must($session, 'SELECT retries - :before FROM vecseg_stat_io'),
			'>', 0, "$name once: by another read");
		heal();
		$session->quit;
		$first += 60;
	}
}

# What comes back in part, or is to be asked for again
my @again = (
	[ 'short reads', 0, kind => 'short' ],
	[ 'some short reads', 0, kind => 'short', period => 3 ],
	[ 'EINTR', 0, kind => 'error', error => EINTR, period => 2 ],
	[ 'EAGAIN', undef, kind => 'error', error => EAGAIN, period => 2 ],
	[ 'EAGAIN for ever', 1, kind => 'error', error => EAGAIN ]);
foreach my $method (@methods)
{
	foreach my $again (@again)
	{
		my ($what, $retried, @faults) = @$again;

		foreach my $how (sort keys %from)
		{
			my $name = "$what, $method, $how";
			my $session = session($settings{$method});
			my $before = meddled();
			my $retries;

			control(only_vecseg => 1, @faults);
			must($session,
				'SELECT retries AS before FROM vecseg_stat_io \gset');
			is(must($session, count_wrong($from{$how})),
				"$rows|0", "$name: every vector is right");
			cmp_ok(meddled() - $before, '>', 10, "$name: it happened");
			$retries =
			  must($session, 'SELECT retries - :before FROM vecseg_stat_io');
			# What fails too often is read through shared buffers.
			ok($retried == ($retries > 0), "$name: $retries pages read again")
			  if defined $retried;
			heal();
			$session->quit;
		}
	}
}

# The postmaster dies while reads hang: so does the backend.
if (@methods > 1)
{
	my $session = session($settings{io_uring});
	my $pid = must($session, 'SELECT pg_backend_pid()');

	let_hang($file);
	send_off($session, count_wrong($from{scroll}));
	wait_until('reads to hang', sub { hanging() > 0 });
	kill 'KILL', $node->{_pid};
	wait_until("a postmaster's backend to end", sub { process_is_gone($pid) });
	pass('a backend with reads that hang notices that the postmaster is gone');
	eval { $session->quit; };
	heal();
	kill9($node);
	start_after_crash($node);
}

check_all($node, $_, undef, rows => $rows) foreach 'items', $from{scroll};
check_store($node, 'items');
server_log_is_clean($node);
$node->stop;
done_testing();
