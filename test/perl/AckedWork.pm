
=pod

=head1 NAME

AckedWork - clients that know what they have committed

=head1 DESCRIPTION

Each client works on rows of its own in the table C<items>, by transactions
that are written down before it starts. What each of them does is told by
operations on a model of the rows, such as C<['change', 5, 7]>, so that a
transaction that fails (as by a deadlock) can be left out. After the end of the
server the rows must be what the acknowledged transactions made of them; the
one that was under way may have been committed or not.

The table has the columns C<id, version, embedding, note, docversion, doc>.

=cut

package AckedWork;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use VecsegTest;

our @EXPORT = qw(
  acknowledged
  acked_columns
  acked_worker
  start_acked_round
  check_acked_round
  check_acked_docs
);

my $ids_per_worker = 10_000_000;
my $ids_per_round = 20_000;

=pod

=over

=item acked_columns()

The columns that C<items> must have besides those of C<create_table>.

=item acked_worker($number)

A worker, from 1 on.

=cut

sub acked_columns
{
	return 'note int NOT NULL DEFAULT 0, docversion int, doc text';
}

sub acked_worker
{
	my ($number) = @_;

	return {
		number => $number,
		low => $number * $ids_per_worker,
		rows => {},	# id => [version, note, docversion]
		rounds => 0 };
}

# The model: what an operation does to the rows.
my %effect = (
	insert => sub {
		my ($rows, @ids) = @_;
		$rows->{$_} = [ 1, 0, '' ] foreach @ids;
	},
	change => sub {
		my ($rows, @ids) = @_;
		$rows->{$_}[0]++ foreach grep { $rows->{$_} } @ids;
	},
	touch => sub {
		my ($rows, @ids) = @_;
		$rows->{$_}[1]++ foreach grep { $rows->{$_} } @ids;
	},
	document => sub {
		my ($rows, @ids) = @_;
		$rows->{$_}[2] = ($rows->{$_}[2] || 0) + 1
		  foreach grep { $rows->{$_} } @ids;
	},
	remove => sub {
		my ($rows, @ids) = @_;
		delete @$rows{@ids};
	},
	upsert => sub {
		my ($rows, @ids) = @_;
		foreach my $id (@ids)
		{
			if ($rows->{$id}) { $rows->{$id}[0]++; }
			else { $rows->{$id} = [ 1, 0, '' ]; }
		}
	},
	merge => sub {
		my ($rows, @ids) = @_;
		foreach my $id (@ids)
		{
			if (!$rows->{$id}) { $rows->{$id} = [ 1, 0, '' ]; }
			elsif ($rows->{$id}[0] > 5) { delete $rows->{$id}; }
			else { $rows->{$id}[0]++; }
		}
	});

# The SQL of an operation
my $new_rows =
  'INSERT INTO items (id, version, embedding) SELECT i, 1, vec(i, 1, 768) FROM unnest(%s) i';
my $next = 'version = items.version + 1, '
  . 'embedding = vec(items.id, items.version + 1, 768)';
my %statement = (
	insert => $new_rows,
	change => "UPDATE items SET $next WHERE id = ANY (%s)",
	touch => 'UPDATE items SET note = note + 1 WHERE id = ANY (%s)',
	document => 'UPDATE items SET docversion = coalesce(docversion, 0) + 1, '
	  . 'doc = vec(id, coalesce(docversion, 0) + 1, 500)::text '
	  . 'WHERE id = ANY (%s)',
	remove => 'DELETE FROM items WHERE id = ANY (%s)',
	upsert => "$new_rows ON CONFLICT (id) DO UPDATE SET $next",
	merge => 'MERGE INTO items USING unnest(%s) i ON items.id = i '
	  . 'WHEN MATCHED AND items.version > 5 THEN DELETE '
	  . "WHEN MATCHED THEN UPDATE SET $next "
	  . 'WHEN NOT MATCHED THEN INSERT (id, version, embedding) '
	  . 'VALUES (i, 1, vec(i, 1, 768))');

sub apply
{
	my ($rows, @operations) = @_;

	foreach my $operation (@operations)
	{
		my ($kind, @ids) = @$operation;
		$effect{$kind}->($rows, @ids);
	}
	return;
}

sub sql_of
{
	my (@operations) = @_;

	return join " \\;\n", map {
		my ($kind, @ids) = @$_;
		sprintf $statement{$kind},
		  "'{" . join(',', @ids) . "}'::bigint[]"
	} @operations;
}

# Some ids out of a list
sub some_of
{
	my ($count, @list) = @_;
	my %some;

	return @list if @list <= $count;
	$some{ $list[ int rand @list ] } = 1 while keys %some < $count;
	return sort { $a <=> $b } keys %some;
}

# A file with rows for COPY
sub copied_rows
{
	my ($node, @ids) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/rows_$ids[0]";

	$node->safe_psql('postgres',
		"COPY (SELECT i, 1, vec(i, 1, 768) FROM generate_series("
		  . "$ids[0]::bigint, $ids[-1]) i) TO '$file' (FORMAT binary)");
	return $file;
}

# The next transaction: [SQL, operations...]. $planned are the rows if all
# goes well, $new makes ids, $copies is a list of files and their ids.
sub make_transaction
{
	my ($planned, $new, $copies) = @_;
	my @ids = keys %$planned;
	my $dice = @ids < 30 ? 0 : rand;

	$dice = 0.45 if @ids > 600 && $dice < 0.25;
	if ($dice < 0.05 && @$copies)
	{
		my ($file, @new) = @{ shift @$copies };
		return [
			"COPY items (id, version, embedding) FROM '$file' (FORMAT binary)",
			[ 'insert', @new ] ];
	}
	elsif ($dice < 0.40)
	{
		my @operation =
		    $dice < 0.15 ? ('insert', $new->(1))
		  : $dice < 0.20 ? ('insert', $new->(20))
		  : $dice < 0.30 ? ('upsert', some_of(3, @ids), $new->(1))
		  : ('merge', some_of(5, @ids), $new->(1));
		return [ sql_of(\@operation), \@operation ];
	}
	elsif ($dice < 0.75)
	{
		my @operation =
		    $dice < 0.48 ? ('remove', some_of(5, @ids))
		  : $dice < 0.55 ? ('touch', some_of(5, @ids))
		  : $dice < 0.60 ? ('document', some_of(2, @ids))
		  : $dice < 0.70 ? ('change', some_of(1, @ids))
		  : ('change', some_of(10, @ids));
		return [ sql_of(\@operation), \@operation ];
	}
	return make_block($new, @ids);
}

# A transaction block with changes that are kept and ones that are not
sub make_block
{
	my ($new, @ids) = @_;
	my @kept = (
		[ 'change', some_of(2, @ids) ],
		[ 'insert', $new->(2) ],
		[ 'touch', some_of(3, @ids) ]);
	my @undone = (
		[ 'insert', $new->(3) ],
		[ 'change', some_of(5, @ids) ],
		[ 'remove', some_of(2, @ids) ]);

	if (rand() < 0.3)
	{
		return [ "BEGIN \\;\n" . sql_of(@undone) . " \\;\nROLLBACK" ];
	}
	return [
		join(
			" \\;\n", 'BEGIN', sql_of($kept[0]), 'SAVEPOINT a',
			sql_of(@undone), 'ROLLBACK TO a', sql_of($kept[1]),
			'SAVEPOINT b', sql_of($kept[2]), 'RELEASE b', 'COMMIT'),
		@kept ];
}

# A prepared transaction, and how it is to end
sub make_prepared
{
	my ($planned, $new, $gid) = @_;
	my @operations = (
		[ 'change', some_of(4, keys %$planned) ],
		[ 'insert', $new->(3) ],
		[ 'remove', some_of(1, keys %$planned) ]);

	return {
		gid => $gid,
		keep => rand() < 0.6,
		operations => \@operations,
		sql => "BEGIN \\;\n" . sql_of(@operations)
		  . " \\;\nPREPARE TRANSACTION '$gid'" };
}

=pod

=item acknowledged($sql, $name)

A piece of script that runs SQL (without the last semicolon) and acknowledges
it by name, with "failed" appended if its last statement failed.

=cut

sub acknowledged
{
	my ($sql, $name, $on_success, $on_failure) = @_;

	return <<"PSQL";
$sql;
\\if :ERROR
ROLLBACK;
${\($on_failure // '')}\\echo ack $name failed
\\else
${\($on_success // '')}\\echo ack $name
\\endif
PSQL
}

=pod

=item start_acked_round($node, $worker, $transactions, $pause)

Start a worker's client, with a script of so many transactions, on average
C<$pause> seconds apart.

=cut

sub start_acked_round
{
	my ($node, $worker, $transactions, $pause) = @_;
	my $first_id = $worker->{low} + $ids_per_round * $worker->{rounds}++;
	my $next_id = $first_id;
	my $new = sub { $next_id += $_[0]; return $next_id - $_[0] .. $next_id - 1; };
	my $rows = $worker->{rows};
	my %planned = map { $_ => [ @{ $rows->{$_} } ] } keys %$rows;
	my @copies = map {
		my @ids = $new->(40);
		[ copied_rows($node, @ids), @ids ]
	} 1 .. 10;
	my $script =
	  "SET synchronous_commit = on;\nSET client_min_messages = error;\n";
	my @steps;

	while (@steps < $transactions)
	{
		my $number = @steps;

		$script .= sprintf "SELECT pg_sleep(%.3f);\n", 2 * rand $pause;
		if (keys %planned >= 30 && rand() < 0.08)
		{
			my $prepared = make_prepared(\%planned, $new,
				"w$worker->{number}_$worker->{rounds}_$number");

			push @steps, { %$prepared, kind => 'prepare' },
			  { %$prepared, kind => 'resolve' };
			$script .= prepared_script($prepared, $number);
			apply(\%planned, @{ $prepared->{operations} })
			  if $prepared->{keep};
		}
		else
		{
			my ($sql, @operations) =
			  @{ make_transaction(\%planned, $new, \@copies) };

			push @steps, { kind => 'plain', operations => \@operations };
			$script .= acknowledged($sql, $number);
			apply(\%planned, @operations);
		}
	}
	die 'too many ids' if $next_id > $first_id + $ids_per_round;
	$worker->{steps} = \@steps;
	return $worker->{client} = start_client($node, $script, go_on => 1);
}

# Two steps: it is prepared; after a while it ends.
sub prepared_script
{
	my ($prepared, $number) = @_;
	my $end = $prepared->{keep} ? 'COMMIT' : 'ROLLBACK';
	my $first = acknowledged($prepared->{sql}, $number,
		"\\set prepared true\n", "\\set prepared false\n");
	my $second = acknowledged("$end PREPARED '$prepared->{gid}'", ++$number);

	return <<"PSQL";
$first\\if :prepared
SELECT pg_sleep(0.1);
$second\\else
\\echo ack $number failed
\\endif
PSQL
}

=pod

=item check_acked_round($node, $worker, $name, @tolerated)

After a crash and the restart: decide the prepared transactions that are left;
assert that the worker met no errors but those with the tolerated SQLSTATEs, and
that exactly its committed rows are there. Returns how many transactions it
has committed.

=item check_acked_docs($node)

Assert that all large values are right.

=cut

sub check_acked_round
{
	my ($node, $worker, $name, @tolerated) = @_;
	my $rows = $worker->{rows};
	my @acks = client_acks($worker->{client});
	my $committed = 0;
	my %pending;

	$name .= ", worker $worker->{number}";
	is(join("\n", client_errors($worker->{client}, @tolerated)),
		'', "$name: no error");
	is(join(',', map { (split / /)[0] } @acks),
		join(',', 0 .. $#acks), "$name: all steps are answered");
	foreach my $number (0 .. $#acks)
	{
		next if $acks[$number] =~ /failed/;
		$committed++;
		take_step($rows, \%pending, $worker->{steps}[$number]);
	}

	# The step under way has been taken or not.
	my $last = $worker->{steps}[ scalar @acks ];
	my @possible = ([ $rows, \%pending ]);
	if ($last)
	{
		my %rows = map { $_ => [ @{ $rows->{$_} } ] } keys %$rows;
		my %also = %pending;

		take_step(\%rows, \%also, $last);
		push @possible, [ \%rows, \%also ];
	}
	my $found = state_of($node, $worker);
	my ($state) = grep { text_of(@$_) eq $found } @possible;
	ok($state, "$name: exactly the committed rows are there")
	  or report_difference($found, text_of(@{ $possible[0] }));
	($worker->{rows}, my $left) = @{ $state // $possible[0] };
	decide_prepared($node, $worker, $_) foreach values %$left;
	return $committed;
}

sub take_step
{
	my ($rows, $pending, $step) = @_;

	if ($step->{kind} eq 'prepare')
	{
		$pending->{ $step->{gid} } = $step;
		return;
	}
	delete $pending->{ $step->{gid} } if $step->{kind} eq 'resolve';
	apply($rows, @{ $step->{operations} })
	  if $step->{kind} eq 'plain' || $step->{keep};
	return;
}

# Rows and prepared transactions, as text
sub text_of
{
	my ($rows, $pending) = @_;

	return join "\n",
	  (map { join '|', $_, @{ $rows->{$_} } } sort { $a <=> $b } keys %$rows),
	  sort keys %$pending;
}

sub state_of
{
	my ($node, $worker) = @_;
	my $high = $worker->{low} + $ids_per_worker;
	my @parts = grep { $_ ne '' } map { $node->safe_psql('postgres', $_) } (
		'SELECT id, version, note, docversion FROM items '
		  . "WHERE id >= $worker->{low} AND id < $high ORDER BY id",
		'SELECT gid FROM pg_prepared_xacts '
		  . "WHERE gid LIKE 'w$worker->{number}\\_%' ORDER BY gid COLLATE \"C\"");

	return join "\n", @parts;
}

sub decide_prepared
{
	my ($node, $worker, $step) = @_;
	my $keep = rand() < 0.5;

	note "decides $step->{gid}";
	$node->safe_psql('postgres',
		($keep ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$step->{gid}'");
	apply($worker->{rows}, @{ $step->{operations} }) if $keep;
	is(state_of($node, $worker), text_of($worker->{rows}, {}),
		"prepared transaction $step->{gid} after the crash");
	return;
}

sub report_difference
{
	my ($found, $expected) = @_;
	my %found = map { $_ => 1 } split /\n/, $found;
	my %expected = map { $_ => 1 } split /\n/, $expected;
	my @lost = grep { !$found{$_} } sort keys %expected;
	my @extra = grep { !$expected{$_} } sort keys %found;

	diag 'missing: ', join ', ', splice @lost, 0, 20;
	diag 'not expected: ', join ', ', splice @extra, 0, 20;
	return;
}

sub check_acked_docs
{
	my ($node) = @_;

	return is(
		$node->safe_psql('postgres',
			'SELECT count(*) FROM items WHERE doc IS DISTINCT FROM '
			  . 'vec(id, docversion, 500)::text'),
		0,
		'all large values on ' . $node->name);
}

=pod

=back

=cut

1;
