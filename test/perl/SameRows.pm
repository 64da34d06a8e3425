
=pod

=head1 NAME

SameRows - comparing instances: standbys, restored backups, dumps

=cut

package SameRows;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

our @EXPORT = qw(
  rows_of
  same_rows
  caught_up
  open_session
  rewind
  churn
  used_slots
  store_blocks
);

=pod

=over

=item rows_of($node, $table, %options)

Number of rows, and an md5 over all columns of all rows, in order of C<id>: the
bytes that the columns' send functions give. Options: C<database>; C<from>,
something to read instead of the table.

=cut

sub rows_of
{
	my ($node, $table, %options) = @_;
	my $from = $options{from} // $table;

	return $node->safe_psql($options{database} // 'postgres',
		'SELECT count(*), '
		  . "md5(string_agg(md5(record_send(t)), '' ORDER BY id)) FROM $from t");
}

=pod

=item same_rows($one, $other, $tables, %options)

Assert that tables (an array) have the same rows on two nodes, that each vector
is what it must be on both, and that the stores of both are sound. Options:

  name
  dims     as for C<check_all>

=cut

sub same_rows
{
	my ($one, $other, $tables, %options) = @_;
	my $name = $options{name} // $other->name . ' against ' . $one->name;

	foreach my $table (@$tables)
	{
		is( rows_of($other, $table),
			rows_of($one, $table),
			"$name: $table: same rows");
		foreach my $node ($one, $other)
		{
			my $place = "$name: $table on " . $node->name;

			check_all($node, $table, undef, dims => $options{dims},
				name => $place);
			check_store($node, $table, name => $place);
		}
	}
	return;
}

=pod

=item caught_up($primary, @standbys)

Wait until standbys have replayed all that their primary has written. Each
follows the one before it.

=cut

sub caught_up
{
	my ($primary, @standbys) = @_;
	my $lsn = $primary->lsn('insert');
	my $upstream = $primary;

	foreach my $standby (@standbys)
	{
		$upstream->wait_for_catchup($standby, 'replay', $lsn);
		$upstream = $standby;
	}
	return;
}

=pod

=item open_session($node, %options)

A psql session in the background, which may last; options as for the node's
background_psql().

=cut

sub open_session
{
	my ($node, %options) = @_;
	my $session = $node->background_psql('postgres', %options);

	# the time limit is that of a query, not of the session
	$session->set_query_timer_restart;
	return $session;
}

=pod

=item rewind($target, $source, %options)

Rewind a stopped node to follow another, and start it as its standby. Options:
C<offline>, to read the source's files and not its server, which must be stopped
then and is started again.

=cut

sub rewind
{
	my ($target, $source, %options) = @_;
	my @source = $options{offline}
	  ? ('--source-pgdata', $source->data_dir)
	  : ('--source-server', $source->connstr('postgres'));

	ok( run_log(
			[
				'pg_rewind', @source, '--target-pgdata', $target->data_dir,
				'--config-file', $target->data_dir . '/postgresql.conf',
				'--no-sync' ]),
		'pg_rewind of ' . $target->name)
	  or BAIL_OUT('pg_rewind failed');
	$source->start if $options{offline};

	# the configuration is the source's now
	$target->append_conf('postgresql.conf', 'port = ' . $target->port);
	$target->append_conf('postgresql.conf',
		"unix_socket_directories = '" . $target->host . "'");
	$target->enable_streaming($source);
	$target->start;
	return;
}

=pod

=item churn($tables, $rewritten, $moved)

A script for C<start_client>, which goes on until it is stopped: rows of tables
(an array) change, slots are freed, segments given back and others added. One of
the tables is rewritten now and then, another moved between the default
tablespace and C<elsewhere>. Rows with ids up to 1000 have 768 dimensions, those
from 10001 to 10400 as many as their ids say beyond 10000.

=cut

sub churn
{
	my ($tables, $rewritten, $moved) = @_;
	my $set = next_version();
	my $script = '';

	foreach my $round (1 .. 2000)
	{
		my $from = 100_000 + 400 * $round;
		my $short = 10_001 + 7 * $round % 400;

		foreach my $table (@$tables)
		{
			$script .= <<"SQL";
UPDATE $table SET $set WHERE id % 7 = $round % 7 AND id <= 1000;
INSERT INTO $table SELECT i, 1, vec(i, 1, 768) FROM generate_series($from, $from + 399) i;
\\echo ack
DELETE FROM $table WHERE id >= 100000;
VACUUM $table;
INSERT INTO $table VALUES ($short, 1, vec($short, 1, $short - 10000)) ON CONFLICT DO NOTHING;
\\echo ack
SQL
		}
		$script .= "VACUUM FULL $rewritten;\n" if $round % 5 == 0;
		$script .= "ALTER TABLE $moved SET TABLESPACE pg_default;\n"
		  if $round % 6 == 2;
		$script .= "ALTER TABLE $moved SET TABLESPACE elsewhere;\n"
		  if $round % 6 == 5;
	}
	return $script;
}

=pod

=item used_slots($node, $table)

Number of slots that are allocated.

=item store_blocks($node, $table)

Number of blocks of a table's store.

=back

=cut

sub used_slots
{
	my ($node, $table) = @_;

	return $node->safe_psql('postgres',
		"SELECT coalesce(sum(used), 0) FROM vecseg_segments('$table')");
}

sub store_blocks
{
	my ($node, $table) = @_;

	return $node->safe_psql('postgres',
		q{SELECT pg_relation_size(reltoastrelid) / }
		  . q{current_setting('block_size')::int FROM pg_class }
		  . "WHERE oid = '$table'::regclass");
}

1;
