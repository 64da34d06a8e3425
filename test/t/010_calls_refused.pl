# Where the kernel refuses io_uring, as in many containers, all reads give the
# same rows; each session notes it once in the server's log. Nor does it matter if
# the kernel does not know the calls by which vecseg finds out what is cached.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

# A program that makes system calls fail with the given errno, for itself and its
# children: refuse ERRNO CALL... -- COMMAND...
my $source = <<'C';
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
number(const char *call)
{
	if (strcmp(call, "io_uring_setup") == 0)
		return SYS_io_uring_setup;
	if (strcmp(call, "preadv2") == 0)
		return SYS_preadv2;
	if (strcmp(call, "cachestat") == 0)
		return 451;
	fprintf(stderr, "unknown system call %s\n", call);
	exit(1);
}

int
main(int argc, char **argv)
{
	unsigned int error = SECCOMP_RET_ERRNO | (atoi(argv[1]) & SECCOMP_RET_DATA);
	struct sock_filter filter[20] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
	};
	int n = 1;

	for (argv += 2; strcmp(*argv, "--") != 0; argv++)
	{
		filter[n++] = (struct sock_filter) BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, number(*argv), 0, 1);
		filter[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, error);
	}
	filter[n++] =
		(struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	argv++;

	struct sock_fprog program = {n, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
	{
		perror("seccomp");
		return 77;
	}
	execvp(argv[0], argv);
	perror(argv[0]);
	return 1;
}
C

my $dir = PostgreSQL::Test::Utils::tempdir();
my $refuse = "$dir/refuse";

append_to_file("$refuse.c", $source);
if (system("cc -o $refuse $refuse.c") != 0)
{
	plan skip_all => 'no C compiler for the program that refuses system calls';
}
if (system($refuse, '1', 'io_uring_setup', '--', 'true') != 0)
{
	plan skip_all => 'this system does not allow seccomp filters';
}

# Several tables, as a session cannot read one cold twice: what it has mapped
# and touched stays in memory.
my @tables = ('scrolled', 'retrieved', 'scanned');
my $rows = 3000;
my $node = vecseg_node(
	'refused',
	conf => "shared_buffers = 1MB\nautovacuum = off\n"
	  . "max_parallel_workers_per_gather = 0");
# the server's own reads would not let it start
$node->append_conf('postgresql.conf', 'io_method = worker')
  if $node->pg_version >= 18;
foreach my $table (@tables)
{
	create_table($node, $table);
	fill_table($node, $table, 1, $rows);
	$node->safe_psql('postgres', "VACUUM ANALYZE $table");
}
my @files = map { toast_file($node, $_) } @tables;
$node->stop;
if (!drop_os_cache(@files))
{
	plan skip_all => 'the file system keeps files in memory';
}

my @from = (
	'vecseg_scroll(NULL::scrolled)',
	'vecseg_retrieve(NULL::retrieved, ARRAY(SELECT i FROM '
	  . "generate_series(1, $rows) i ORDER BY hashint4(i)))",
	'scanned');
my $wrong = wrong_vectors();

# Read all tables in one session; returns what the server logged meanwhile.
sub read_all
{
	my ($name, $method) = @_;
	my $offset = -s $node->logfile;
	my $session = $node->background_psql('postgres');

	drop_os_cache(@files);
	$session->query_safe("SET vecseg.io_method = $method");
	foreach my $from (@from, @from)
	{
		is( $session->query_safe(
				"SELECT count(*), count(*) FILTER (WHERE $wrong) FROM $from"),
			"$rows|0",
			"$name, $method: $from");
	}
	$session->quit;
	return slurp_file($node->logfile, $offset);
}

sub start_refusing
{
	my ($errno, @calls) = @_;
	local %ENV = $node->_get_env();

	system_or_bail($refuse, $errno, @calls, '--', 'pg_ctl', '-w', '-s', '-D',
		$node->data_dir, '-l', $node->logfile, 'start');
	$node->_update_pid(1);
	return;
}

my %errors = (EPERM => 1, ENOSYS => 38, EMFILE => 24, ENOMEM => 12);
foreach my $name (sort keys %errors)
{
	start_refusing($errors{$name}, 'io_uring_setup');
	foreach my $method ('auto', 'io_uring')
	{
		my $log = read_all($name, $method);
		my @notes = $log =~ /^(.*io_uring is not available.*)$/mg;

		is(scalar @notes, 1, "$name, $method: one note in the log");
		like($log, qr/HINT: /, "$name, $method: with a hint");
		unlike($log, qr/ERROR|WARNING|FATAL/,
			"$name, $method: nothing else went wrong");
	}
	unlike(read_all($name, 'sync'), qr/io_uring/,
		"$name, sync: nothing to note");
	$node->stop;
}

# An old kernel
start_refusing($errors{ENOSYS}, 'cachestat', 'preadv2');
unlike(read_all('old kernel', $_),
	qr/ERROR|WARNING|FATAL/, "old kernel, $_: nothing went wrong")
  foreach 'auto', 'sync';
$node->stop;

# The filter is what made the difference, where the system allows io_uring.
$node->start;
my $log = read_all('allowed', 'auto');
SKIP:
{
	skip 'this system does not allow io_uring', 1
	  if $log =~ /io_uring is not available/;
	unlike($log, qr/io_uring/, 'nothing to note where it is allowed');
}
$node->stop;
done_testing();
