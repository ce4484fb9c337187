#!/usr/bin/perl
#
# run.pl [CASE[:ROUNDS]...]
#	  Measures pgdr side by side with its peers and the machine's limits.
#
# "make bench" sets up and runs it; BENCH='push s3-get:3' chooses the cases.
# Writes results.json, a table and plots into BENCH_OUT (bench-results) after
# each case; what an earlier run measured there in other cases stays.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Bench;
use Corpus;
use Place;
use Report;
use Time::HiRes qw(time);

# The most telling first: the time may be over before the last.
my @all = qw(push get backup restore incr pitr s3-push s3-get s3-backup s3-restore
  s3-pitr growth manifest expire peers);
my @cases = @ARGV ? @ARGV : @all;
# These make clusters of their own.
my %apart = map { $_ => 1 } qw(growth manifest expire);
my $report = Report->new($ENV{BENCH_OUT} || 'bench-results');
my $corpus;

# The cluster, made when a case first needs it.
sub corpus
{
	return $corpus if $corpus;

	say_it('making the corpus (scale %d)', scale());
	my $start = time;
	$corpus = Corpus->new;
	say_it('corpus: %.0f s', time - $start);
	return $corpus;
}

# "s3-push:3": the case, its store, its rounds.
sub parse
{
	my ($text) = @_;
	my ($store, $name, $rounds) = $text =~ /^(s3-)?(\w+)(?::([1-9]\d*))?$/
	  or die "case \"$text\" is not valid\n";
	my $file = "$FindBin::Bin/cases/$name.pl";

	-f $file or die "no case \"$name\"\n";
	return { text => $text, name => ($store // '') . $name, file => $file,
		store => $store ? 's3' : 'posix', rounds => $rounds };
}

sub run_case
{
	my ($case) = @_;
	my $code = do $case->{file};

	die "$case->{file}: " . ($@ || $!) . "\n" unless ref $code eq 'CODE';
	return $code->() if $apart{ $case->{name} };
	return $code->(corpus(), Place->new(corpus(), $case->{store}));
}

# A case that fails does not keep the others from being measured.
sub try_case
{
	my ($case) = @_;

	if (out_of_time())
	{
		say_it("\n%s: not measured, BENCH_MINUTES are over", $case->{text});
		return 0;
	}
	my $before = results();
	my $start = time;
	my $done = eval { with_rounds($case->{rounds}, sub { run_case($case) }); 1 };
	my $error = $@;

	# it may have been about to archive
	$corpus->archive_with('false') if $corpus && !$done;
	say_it("\n%s: %s", $case->{text},
		$done ? sprintf('%.0f s', time - $start) : "failed: $error");
	$report->add($case->{name}, time - $start, (results())[ $before .. results() - 1 ]);
	return $done;
}

my $failed = 0;
my $done = eval {
	my @parsed = map { parse($_) } @cases;

	for my $case (@parsed)
	{
		$failed += try_case($case) ? 0 : 1;
		$report->write_all;
	}
	$corpus->stop if $corpus;
	1;
};
say_it('%s', $@) unless $done;
say_it("\n%s", $report->bars_as_text) if $done;
exit($done && !$failed ? 0 : 1);
