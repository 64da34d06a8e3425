# The commands in README's section on logical replication work as they stand
# there, when they are pasted one block after the other.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($section) = slurp_file(dirname(__FILE__) . '/../../README.md') =~
  /^## Replication\n.*?^### Logical\n(.*?)^##/ms;
my @blocks = $section =~ /^```sh\n(.*?)^```$/msg;

cmp_ok(scalar @blocks, '>=', 6, 'blocks of commands');

# A short folder name, for the sockets; ports that other servers may have there
# do not matter, as these servers listen on sockets only.
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $script = <<"SH";
stop_all() { for d in publisher subscriber; do pg_ctl -D \$d stop -m immediate; done; }
trap stop_all EXIT
set -eE
unset PGPORT PGAPPNAME
cd '$folder'
SH
foreach my $i (0 .. $#blocks)
{
	$script .= "$blocks[$i]echo '</block $i>'\n";
}
$script .= "trap - EXIT\n";

# To files: the servers that it starts would keep a pipe open.
my ($out, $errors) = map { "$PostgreSQL::Test::Utils::tmp_check/readme.$_" } 'out', 'err';
my $ok = IPC::Run::run([ 'bash', '-c', $script ], '<', \undef, '>', $out, '2>', $errors);
my $output = slurp_file($out);

ok($ok, 'all commands succeed') or diag $output, slurp_file($errors);
unlike(slurp_file($errors), qr/ERROR|FATAL|command not found/, 'no errors');
foreach my $i (0 .. $#blocks)
{
	like($output, qr{^</block $i>\n}m, "block $i comes to its end");
}
my @digests = $output =~ /^(900\|[0-9a-f]{32})$/mg;
is(scalar @digests, 2, 'both sides were compared') or diag $output;
is($digests[1], $digests[0], 'both sides are the same');
like(
	$output,
	qr/^table public\.items: INSERT: id\[bigint\]:2001 embedding\[real\[\]\]:'\{1,2,3,4,5,6,7,8,9,10\}'/m,
	'a whole vector, decoded');
ok(!-e "$folder/publisher", 'nothing is left');
done_testing();
