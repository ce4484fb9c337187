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
# fails.  If it returns a reference, that is the time by its own clock.  Time is
# the median of the rounds; processor time and memory are those of all processes
# that it started, those in the background, too, unless it leaves a server.

package Bench;

use strict;
use warnings;

use Carp qw(confess);
use Exporter 'import';
use JSON::PP;
use List::Util qw(max);
use Time::HiRes qw(time);

our @EXPORT = qw(compare growth median point run_all results rounds say_it scale);

# Loading PostgreSQL's modules for tests turns standard output to a log.
my $terminal;
BEGIN { open $terminal, '>&', \*STDOUT or die $!; $terminal->autoflush(1) }

my @results;

sub say_it { my ($format, @values) = @_; printf $terminal "$format\n", @values; return }

sub rounds { return $ENV{BENCH_ROUNDS} // 5 }
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
		exec @command or exit 127;
	}
	my $text = do { local $/; <$out> };
	close $out or confess "@command failed ($?): " . ($text // '');
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
	my $seconds = ref $own ? $$own : time - $start;
	local $SIG{ALRM} = sub { die "a process did not end\n" };
	alarm 120;
	1 while waitpid(-1, 0) > 0;
	alarm 0;
	my ($cpu_after, $rss) = usage();
	print {$to} encode_json({ seconds => $seconds, cpu => $cpu_after - $cpu,
		kilobytes => $rss });
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
		require POSIX;
		POSIX::_exit($done ? 0 : 1);
	}
	my $text = do { local $/; <$from> };
	close $from or confess 'a contestant failed';
	return decode_json($text);
}

sub compare
{
	my ($title, $work, @contestants) = @_;
	my %runs;

	for my $round (1 .. rounds())
	{
		for my $c (@contestants)
		{
			$c->{prepare}->() if $c->{prepare};
			push @{ $runs{ $c->{name} } }, measure($c->{run}, $c->{leaves});
			$c->{finish}->() if $c->{finish};
		}
	}
	my $result = {
		title => $title,
		%$work,
		rounds => rounds(),
		contestants => [ map { summary($_->{name}, $work, @{ $runs{ $_->{name} } }) } @contestants ],
	};
	my $ours = $result->{contestants}[0]{seconds};
	$_->{ratio} = $_->{seconds} / $ours for @{ $result->{contestants} };
	push @results, $result;
	show($result);
	return $result;
}

sub point
{
	my ($x, $count, @contestants) = @_;
	my @measured;

	for my $c (@contestants)
	{
		$c->{prepare}->() if $c->{prepare};
		my $run = measure($c->{run});
		$c->{finish}->() if $c->{finish};
		push @measured, { name => $c->{name}, ms_each => 1000 * $run->{seconds} / $count };
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

sub summary
{
	my ($name, $work, @runs) = @_;
	my $seconds = median(map { $_->{seconds} } @runs);

	return {
		name => $name,
		seconds => $seconds,
		all_seconds => [ map { 0 + sprintf '%.4f', $_->{seconds} } @runs ],
		cpu_seconds => median(map { $_->{cpu} } @runs),
		max_kilobytes => max(map { $_->{kilobytes} } @runs),
		$work->{count} ? (ms_each => 1000 * $seconds / $work->{count}) : (),
		$work->{bytes} ? (mb_per_s => $work->{bytes} / 1e6 / $seconds) : (),
	};
}

sub show
{
	my ($r) = @_;
	my $unit = $r->{unit} // '';

	say_it("\n%s (%s; median of %d)", $r->{title}, join(', ',
		$r->{count} ? "$r->{count} ${unit}s" : (),
		$r->{bytes} ? sprintf('%.0f MB', $r->{bytes} / 1e6) : ()), $r->{rounds});
	say_it('  %-44s %9s %10s %7s %7s %7s %7s', '', 'seconds',
		$r->{count} ? "ms/$unit" : '', 'MB/s', 'cpu s', 'MB mem', 'ratio');
	for my $c (@{ $r->{contestants} })
	{
		say_it('  %-44s %9.3f %10s %7s %7.2f %7.0f %6.2fx', $c->{name}, $c->{seconds},
			$c->{ms_each} ? sprintf('%.2f', $c->{ms_each}) : '',
			$c->{mb_per_s} ? sprintf('%.0f', $c->{mb_per_s}) : '',
			$c->{cpu_seconds}, $c->{max_kilobytes} / 1024, $c->{ratio});
	}
	return;
}

1;
