# Print the tables of a benchmark from the measurements that run.sh wrote:
#
#   perl report.pl RESULTS

use strict;
use warnings;

my %names = (
	cold     => 'all cold',
	rowswarm => 'rows warm (index and heap rows cached, vectors not)',
	vectorscold => 'rows warm, and of TOAST not even the index cached',
	outgrown => 'rows warm, and memory for two fifths of the vectors',
	warm     => 'warm, in a session that did the same before',
	new      => 'warm, in a session that has only just begun',
	limited  => 'limited memory',
	toast    => 'heap TOAST',
	inline   => 'heap inline',
	vecseg   => 'vecseg',
	sql      => 'vecseg SQL',
	sync1    => 'vecseg one by one',
	sync     => 'vecseg prefetch',
	uring    => 'vecseg io_uring',
	direct   => 'vecseg O_DIRECT',
	seq      => 'disk, sequential',
	random   => 'disk, random');

# What vecseg must reach: state, work, compared with, how many times as fast.  "Not
# slower" allows for 5 % of noise.
my @targets = (
	[qw(cold scan seq 0.9)],
	[qw(cold scan toast 3)],
	[qw(cold scan inline 1.2)],
	[qw(cold none toast 0.95)],
	[qw(cold scroll toast 6)],
	[qw(cold get1k toast 4)],
	[qw(cold get1k inline 0.95)],
	[qw(cold get10k toast 4)],
	[qw(cold get10k inline 0.95)],
	[qw(rowswarm scroll toast 8)],
	[qw(rowswarm scroll random 0.8)],
	[qw(rowswarm get1k toast 8)],
	[qw(rowswarm get10k toast 8)],
	[qw(rowswarm get10k random 0.8)],
	[qw(vectorscold scroll toast 8)],
	[qw(vectorscold get1k toast 8)],
	[qw(vectorscold get10k toast 8)],
	[qw(outgrown scroll toast 8)],
	[qw(outgrown scroll random 0.8)],
	[qw(outgrown get1k toast 8)],
	[qw(outgrown get10k toast 8)],
	[qw(outgrown get10k random 0.8)],
	[qw(warm scan toast 5)],
	[qw(warm scan inline 2)],
	[qw(warm exact toast 4)],
	[qw(warm exact inline 1.5)],
	[qw(warm hnsw toast 0.95)],
	[qw(warm hnsw inline 0.95)],
	[qw(warm none toast 0.95)],
	[qw(warm get1k toast 3)],
	[qw(warm get1k inline 0.95)],
	[qw(warm get10k toast 3)],
	[qw(warm get10k inline 0.95)]);
my $memory_limit = 32 * 1024;    # kB

my (%elapsed, %cpu, %count, %disk, %size, %memory);
my (@states, @works, @contenders);
my ($met, $missed) = (0, 0);

sub remember
{
	my ($list, $name) = @_;
	push @$list, $name if !grep { $_ eq $name } @$list;
}

while (<>)
{
	my ($kind, @f) = split;
	if ($kind eq 'time')
	{
		my ($state, $work, $contender, $count, $ms, $cpu) = @f;
		push @{ $elapsed{$state}{$work}{$contender} }, $ms;
		push @{ $cpu{$state}{$work}{$contender} },     $cpu;
		$count{$work} = $count;
		remember(\@states,     $state);
		remember(\@works,      $work);
		remember(\@contenders, $contender);
	}
	elsif ($kind eq 'disk')
	{
		push @{ $disk{"$f[0] $f[2]"} }, $f[3];
	}
	elsif ($kind eq 'size')   { $size{ $f[0] }   = $f[1]; }
	elsif ($kind eq 'memory')
	{
		remember(\@contenders, $f[0]);
		$memory{ $f[0] } = $f[1];
	}
}

sub median
{
	my @v = sort { $a <=> $b } @_;
	return $v[ $#v / 2 ] if @v % 2;
	return ($v[ @v / 2 ] + $v[ @v / 2 - 1 ]) / 2;
}

sub thousands
{
	my $s = sprintf('%.0f', shift);
	1 while $s =~ s/^(\d+)(\d{3})/$1,$2/;
	return $s;
}

# Milliseconds
sub ms
{
	my $v = shift;
	return $v < 100 ? sprintf('%.1f', $v) : thousands($v);
}

# Rows per second of a scan at a rate of the disk
sub sequential_rows
{
	return median(@{ $disk{ $_[0] } }) / ($size{vecseg} / $size{rows});
}

# Rows per second that the disk could deliver, undefined if not measured
sub disk_rows
{
	my $kind = shift;
	return median(@{ $disk{'random 64'} })
	  if $kind eq 'random' && $disk{'random 64'};
	return sequential_rows('sequential 8')
	  if $kind eq 'seq' && $disk{'sequential 8'};
	return undef;
}

# Rows per second of a contender or of the disk
sub rate
{
	my ($state, $work, $contender) = @_;
	my $times = $elapsed{$state}{$work}{$contender};
	return disk_rows($contender) if $contender =~ /^(seq|random)$/;
	return undef if !$times;
	return $count{$work} / median(@$times) * 1000;
}

sub verdict
{
	my $good = shift;
	$good ? $met++ : $missed++;
	return $good ? 'met' : 'MISSED';
}

sub print_times
{
	my $state = shift;
	printf "%-7s %-18s %12s %22s %12s %12s\n", 'work', 'contender',
	  'elapsed ms', '(least - most)', 'rows/s', 'CPU ms';
	foreach my $work (@works)
	{
		foreach my $contender (@contenders)
		{
			my $times = $elapsed{$state}{$work}{$contender} or next;
			my @sorted = sort { $a <=> $b } @$times;
			printf "%-7s %-18s %12s %22s %12s %12s\n", $work,
			  $names{$contender}, ms(median(@sorted)),
			  '(' . ms($sorted[0]) . ' - ' . ms($sorted[-1]) . ')',
			  thousands(rate($state, $work, $contender)),
			  ms(median(@{ $cpu{$state}{$work}{$contender} }));
		}
	}
}

# What the disk allows at most, if that is less than the target: for a retrieval
# with rows in memory each vector is a read at a random place.
sub disk_limit
{
	my ($state, $work, $other, $theirs, $factor) = @_;
	my $limit = disk_rows('random');
	return '' if "$state $work" !~ /^(rowswarm|outgrown) get/ || $other !~ /^(toast|inline)$/;
	return '' if !defined $limit || $limit >= $factor * $theirs;
	return sprintf ' (reading at the rate of the disk at depth 64 would be %.2f)',
	  $limit / $theirs;
}

sub print_ratios
{
	my ($state, $contender) = @_;
	my $heading = sprintf "\n%-7s %-18s %8s %10s  (%s)\n", 'work',
	  'against', 'ratio', 'at least', $names{$contender};
	foreach my $target (grep { $_->[0] eq $state } @targets)
	{
		my (undef, $work, $other, $factor) = @$target;
		my $ours   = rate($state, $work, $contender);
		my $theirs = rate($state, $work, $other);
		next if !defined $ours || !defined $theirs;
		print $heading;
		$heading = '';
		printf "%-7s %-18s %8.2f %10.2f  %s%s\n", $work, $names{$other},
		  $ours / $theirs, $factor, verdict($ours >= $factor * $theirs),
		  disk_limit($state, $work, $other, $theirs, $factor);
	}
}

foreach my $state (@states)
{
	print "\n== $names{$state}\n\n";
	print_times($state);
	print_ratios($state, $_) foreach qw(vecseg direct);
}
if (%disk)
{
	print "\n== the disk (O_DIRECT, this run's medians)\n\n";
	my %sequential = (
		'sequential 8' => 'sequential, 1 MB at depth 8',
		'huge 8'       => 'the same into huge pages');

	printf "%-31s %8s MB/s = %s rows/s\n", $sequential{$_},
	  thousands(median(@{ $disk{$_} }) / 1e6),
	  thousands(sequential_rows($_))
	  foreach ('sequential 8', 'huge 8');
	printf "random vectors at depth %-2d      %8s rows/s\n", $_,
	  thousands(median(@{ $disk{"random $_"} }))
	  foreach (1, 64);
}
if (%memory)
{
	print "\n== memory of a scrolling backend beyond shared buffers\n\n";
	foreach my $contender (grep { defined $memory{$_} } @contenders)
	{
		printf "%-18s %8.1f MB", $names{$contender}, $memory{$contender} / 1024;
		printf "  at most %d MB: %s", $memory_limit / 1024,
		  verdict($memory{$contender} < $memory_limit)
		  if $contender eq 'vecseg';
		print "\n";
	}
}
printf "\nvecseg's bytes per row: %.0f, with free space %.0f\n",
  $size{vecseg} / $size{rows}, $size{file} / $size{rows};
print "$met met, $missed missed\n";
