# Run TAP tests and count their assertions:
#
#   perl run_tap.pl COUNTS FILE...
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
		jobs      => $ENV{PROVE_JOBS} || 1,
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

sub write_file
{
	my ($name, $text) = @_;

	open my $fh, '>', $name or die "could not open \"$name\": $!";
	print $fh $text;
	close $fh or die "could not write \"$name\": $!";
}
