# Print the table of the measurements that replication.sh wrote:
#
#   perl report_replication.pl RESULTS

use strict;
use warnings;

my %values;    # "work state key" => kind => [elapsed, CPU, CPU]
my (@works, %count);
my $runs = 0;    # of what was measured most often

while (<>)
{
	my ($what, $state, $key, $kind, $count, @ms) = split;
	my $work = join ' ', $what, $state, grep { $_ ne '-' } $key;

	push @works, $work if !$values{$work};
	$count{$work} = $count;
	push @{ $values{$work}{$kind}[$_] }, $ms[$_] foreach 0 .. $#ms;
}

sub median
{
	my @v = sort { $a <=> $b } @_;
	return $v[ $#v / 2 ] if @v % 2;
	return ($v[ @v / 2 ] + $v[ @v / 2 - 1 ]) / 2;
}

printf "\n%-22s %-7s %11s %19s %9s %12s %12s %7s\n", 'work', 'tables',
  'elapsed ms', '(least - most)', 'rows/s', 'CPU ms pub.', 'CPU ms sub.',
  'ratio';
foreach my $work (@works)
{
	my $heap = $values{$work}{heap} ? median(@{ $values{$work}{heap}[0] }) : undef;

	foreach my $kind (grep { $values{$work}{$_} } qw(heap vecseg))
	{
		my @columns = @{ $values{$work}{$kind} };
		my @elapsed = sort { $a <=> $b } @{ $columns[0] };
		my $ms = median(@elapsed);

		$runs = @elapsed if @elapsed > $runs;
		printf "%-22s %-7s %11.0f %19s %9.0f %12.0f %12.0f %7s\n", $work, $kind,
		  $ms, "($elapsed[0] - $elapsed[-1])", $count{$work} / $ms * 1000,
		  median(@{ $columns[1] }), median(@{ $columns[2] }),
		  $kind eq 'vecseg' && defined $heap ? sprintf('%.2f', $heap / $ms) : '';
	}
}
print "\nmedians of $runs runs; ratio: how many times as fast as heap\n";
