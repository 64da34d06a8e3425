# Run TAP tests and count their assertions:
#
#   perl run_tap.pl COUNTS FILE...
#
# Two files run at a time, or PROVE_JOBS: much of their time is waiting. Each
# has a folder of its own beside COUNTS.
#
# Writes "passed failed skipped" to the file COUNTS, and the names of the tests
# that failed to the file "failed" beside it. A file that dies, or does not run
# as many assertions as it planned, counts as one more failure.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use TAP::Harness;

my ($counts, @files) = @ARGV;

my $harness = TAP::Harness->new(
	{
		jobs      => $ENV{PROVE_JOBS} || 2,
		exec      => \&command,
		timer     => 1,
		failures  => 1,
		verbosity => $ENV{VERBOSE} ? 1 : 0,
	});
my $all = $harness->runtests(@files);
my ($passed, $failed, $skipped) = (0, 0, 0);
my @bad;

foreach my $file ($all->descriptions)
{
	my ($test) = $all->parsers($file);
	my $skips = $test->skipped;

	$passed += $test->passed - $skips;
	$failed += $test->failed;
	$skipped += $skips;
	if (defined $test->skip_all)
	{
		print "== SKIPPED: $file: " . $test->skip_all . "\n";
		$skipped++ if $skips == 0;
	}
	elsif ($skips > 0)
	{
		print "== SKIPPED: $file: $skips assertions\n";
	}
	next unless $test->has_problems;
	$failed++ unless $test->failed;
	push @bad, basename($file, '.pl');
}

write_file(dirname($counts) . '/failed', join("\n", @bad) . "\n") if @bad;
write_file($counts, "$passed $failed $skipped\n");
exit(@bad ? 1 : 0);

sub command
{
	my ($harness, $file) = @_;
	my $folder = dirname($counts) . '/' . basename($file, '.pl');

	# version 15 goes by the first, others by the second and third
	mkdir $folder or die "could not create \"$folder\": $!";
	return [ 'env', "TESTDIR=$folder", "TESTDATADIR=$folder/tmp_check",
		"TESTLOGDIR=$folder/tmp_check/log", $^X, $file ];
}

sub write_file
{
	my ($name, $text) = @_;

	open my $fh, '>', $name or die "could not open \"$name\": $!";
	print $fh $text;
	close $fh or die "could not write \"$name\": $!";
}
