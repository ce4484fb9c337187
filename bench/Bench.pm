# Bench.pm
#	  Measures contestants side by side: each round runs all of them, so that
#	  what disturbs the machine disturbs each of them alike.
#
#	my $r = compare('push', { bytes => $n, count => 64, unit => 'segment' },
#		{ name => 'pgdr', prepare => sub { ... }, run => sub { ... } }, ...);
#
# How a cost grows: growth($title, $unit, point($x, $count, @contestants), ...),
# where count units are done at each x.
#
# The first contestant is ours; ratios say how many times as long another one
# takes.  Only run is measured, in a process of its own; it must die when it
# fails.  If it returns a reference, that is the time by its own clock; if that
# is a hash, its member seconds is, and the others are further figures, which
# part() makes a comparison of.  Figures that a contestant's members requests and
# stored return are those of before and after.  Time is the median of the rounds;
# processor time and memory are those of all processes that it started, those in
# the background, too, unless it leaves a server.
#
# When the time for all (BENCH_MINUTES) is over, a comparison ends after its
# first round, and out_of_time() says so.

package Bench;

use strict;
use warnings;

use Carp qw(confess);
use Exporter 'import';
use JSON::PP;
use List::Util qw(max);
use Markdown;
use POSIX ();
use Time::HiRes qw(time);

our @EXPORT = qw(compare fact growth levels median out_of_time part point run_all
  results rounds say_it scale with_rounds);

# Loading PostgreSQL's modules for tests turns standard output to a log.
my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die $!; $terminal->autoflush(1) }

my @results;
my $began = time;
our $rounds = $ENV{BENCH_ROUNDS} // 5;

sub say_it { my ($format, @values) = @_; printf $terminal "$format\n", @values; return }

sub rounds { return $rounds }

# Calls with another number of rounds, if one is given.
sub with_rounds
{
	my ($n, $code) = @_;

	local $rounds = $n // $rounds;
	return $code->();
}

sub out_of_time
{
	return $ENV{BENCH_MINUTES} && time - $began > 60 * $ENV{BENCH_MINUTES};
}

# levels('BENCH_X', 10, 100): those that the environment names, or these.
sub levels
{
	my ($name, @default) = @_;
	return split /[ ,]+/, $ENV{$name} // join ',', @default;
}

# Of the corpus, as the scale of pgbench: 140 is about 2.2 GB.
sub scale { return $ENV{BENCH_SCALE} // 140 }
sub results { return @results }

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $n = @sorted;

	confess 'nothing was measured' if $n == 0;
	return $n % 2 ? $sorted[ $n / 2 ] : ($sorted[ $n / 2 - 1 ] + $sorted[ $n / 2 ]) / 2;
}

# Fatal unless the command succeeds; its output is shown only then.
sub run_all
{
	my (@command) = @_;
	my $pid = open(my $out, '-|') // confess "fork: $!";

	if ($pid == 0)
	{
		open STDERR, '>&', \*STDOUT;
		# exit would stop the servers that this process did not start
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	my $text = do { local $/; <$out> };
	close $out or die substr("@command", 0, 300) . " failed ($?): " . ($text // '') . "\n";
	return $text;
}

# Numbers of Linux' system calls on this machine.
my %SYSCALL = do
{
	my $arm = `uname -m` =~ /^aarch64/;
	(getrusage => $arm ? 165 : 98, prctl => $arm ? 167 : 157);
};
my $RUSAGE_CHILDREN = -1;
my $PR_SET_CHILD_SUBREAPER = 36;

# (seconds of processor, kilobytes of the largest process) of all children that
# have ended.
sub usage
{
	my $buffer = "\0" x 144;

	syscall($SYSCALL{getrusage}, $RUSAGE_CHILDREN, $buffer) == 0
	  or confess "getrusage: $!";
	my @n = unpack 'q5', $buffer;
	return ($n[0] + $n[2] + ($n[1] + $n[3]) / 1e6, $n[4]);
}

# In the child: run, tell.  Processes that put themselves into the background
# become ours, and are waited for after the clock was stopped.
sub measured_child
{
	my ($code, $leaves, $to) = @_;

	syscall($SYSCALL{prctl}, $PR_SET_CHILD_SUBREAPER, $leaves ? 0 : 1, 0, 0, 0);
	my ($cpu) = usage();
	my $start = time;
	my $own = $code->();
	my %figures = (seconds => time - $start,
		ref $own eq 'HASH' ? %$own : ref $own ? (seconds => $$own) : ());
	local $SIG{ALRM} = sub { die "a process did not end\n" };
	alarm 120;
	1 while waitpid(-1, 0) > 0;
	alarm 0;
	my ($cpu_after, $rss) = usage();
	print {$to} encode_json({ %figures, cpu => $cpu_after - $cpu, kilobytes => $rss });
	return;
}

sub measure
{
	my ($code, $leaves) = @_;

	STDOUT->flush;
	my $pid = open(my $from, '-|') // confess "fork: $!";
	if ($pid == 0)
	{
		my $done = eval { measured_child($code, $leaves, \*STDOUT); STDOUT->flush; 1 };

		say_it("%s", $@) unless $done;
		POSIX::_exit($done ? 0 : 1);
	}
	my $text = do { local $/; <$from> };
	close $from or die "a contestant failed\n";
	return decode_json($text);
}

# One run of a contestant, with what is done before and after.
sub run_once
{
	my ($c) = @_;
	my @counted = grep { $c->{$_} } qw(requests stored);

	$c->{prepare}->() if $c->{prepare};
	my %before = map { $_ => $c->{$_}->() } @counted;
	my $run = measure($c->{run}, $c->{leaves});
	$run->{$_} = $c->{$_}->() - $before{$_} for @counted;
	$c->{finish}->() if $c->{finish};
	return $run;
}

sub compare
{
	my ($title, $work, @contestants) = @_;
	my $done = 0;
	my %runs;

	while ($done < rounds() && !($done > 0 && out_of_time()))
	{
		push @{ $runs{ $_->{name} } }, run_once($_) for @contestants;
		$done++;
	}
	return conclude({
		title => $title,
		%$work,
		rounds => $done,
		contestants => [ map { summary($_->{name}, $work, @{ $runs{ $_->{name} } }) } @contestants ],
	});
}

# A comparison of one of the further figures of another one, in seconds.
sub part
{
	my ($result, $title, $figure, $work) = @_;
	my @contestants = map {
		my $seconds = $_->{figures}{$figure};
		{ name => $_->{name}, seconds => $seconds, speed($work, $seconds) }
	} grep { defined $_->{figures}{$figure} } @{ $result->{contestants} };

	return conclude({
		title => $title,
		%$work,
		rounds => $result->{rounds},
		contestants => \@contestants,
	});
}

sub conclude
{
	my ($result) = @_;
	my $ours = $result->{contestants}[0]{seconds};

	$_->{ratio} = $_->{seconds} / $ours for @{ $result->{contestants} };
	push @results, $result;
	show($result);
	return $result;
}

# What belongs to a comparison and is none: pairs of name and value.
sub fact
{
	my ($title, @pairs) = @_;
	my @facts;

	say_it("\n%s", $title);
	while (my ($name, $value) = splice @pairs, 0, 2)
	{
		push @facts, [ $name, $value ];
		say_it('  %-44s %10s', $name, $value);
	}
	push @results, { title => $title, facts => \@facts };
	return;
}

# The median of three runs, if so many are wanted at all.
sub point
{
	my ($x, $count, @contestants) = @_;
	my @measured;

	for my $c (@contestants)
	{
		my @runs = map { run_once($c) } 1 .. (rounds() < 3 ? rounds() : 3);

		push @measured, {
			name => $c->{name},
			ms_each => 1000 * median(map { $_->{seconds} } @runs) / $count,
			max_kilobytes => max(map { $_->{kilobytes} } @runs),
		};
	}
	return { x => $x, contestants => \@measured };
}

sub growth
{
	my ($title, $unit, @points) = @_;
	my @names = map { $_->{name} } @{ $points[0]{contestants} };

	push @results, { title => $title, unit => $unit, growth => \@points };
	say_it("\n%s (ms for each)", $title);
	say_it('  %10s' . '  %24s' x @names, $unit, @names);
	for my $p (@points)
	{
		say_it('  %10s' . '  %24.3f' x @names, $p->{x},
			map { $_->{ms_each} } @{ $p->{contestants} });
	}
	return;
}

sub speed
{
	my ($work, $seconds) = @_;

	return ($work->{count} ? (ms_each => 1000 * $seconds / $work->{count}) : (),
		$work->{bytes} ? (mb_per_s => $work->{bytes} / 1e6 / $seconds) : ());
}

sub summary
{
	my ($name, $work, @runs) = @_;
	my $seconds = median(map { $_->{seconds} } @runs);
	my %known = map { $_ => 1 } qw(seconds cpu kilobytes requests stored);
	my %figures = map {
		my $figure = $_;
		$figure => median(map { $_->{$figure} } @runs)
	} grep { !$known{$_} } keys %{ $runs[0] };

	return {
		name => $name,
		seconds => $seconds,
		all_seconds => [ map { 0 + sprintf '%.4f', $_->{seconds} } @runs ],
		cpu_seconds => median(map { $_->{cpu} } @runs),
		max_kilobytes => max(map { $_->{kilobytes} } @runs),
		(map {
			my $counted = $_;
			defined $runs[0]{$counted}
			  ? ($counted => median(map { $_->{$counted} } @runs))
			  : ()
		} qw(requests stored)),
		%figures ? (figures => \%figures) : (),
		speed($work, $seconds),
	};
}

sub show
{
	my ($r) = @_;
	my $unit = $r->{unit} // '';
	my @columns = columns($r);

	say_it("\n%s (%s; median of %d)", $r->{title}, join(', ',
		$r->{count} ? "$r->{count} ${unit}s" : (),
		$r->{bytes} ? sprintf('%.0f MB', $r->{bytes} / 1e6) : ()), $r->{rounds});
	say_it('  %-44s' . ' %10s' x @columns, '', map { $_->[0] } @columns);
	for my $c (@{ $r->{contestants} })
	{
		say_it('  %-44s' . ' %10s' x @columns, $c->{name}, map { cell($_, $c) } @columns);
	}
	return;
}

1;
