#!/usr/bin/perl
#
# run.pl [CASE...]
#	  Measures pgdr side by side with its peers and the machine's limits.
#
# "make bench" sets up and runs it; BENCH='push get' chooses the cases,
# BENCH_ROUNDS and BENCH_SCALE how often and how large.  Writes results.json, a
# table and plots into BENCH_OUT (default: bench-results).

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Bench;
use Corpus;
use JSON::PP;
use Report;

my @all = qw(push get backup restore pitr);
my @cases = @ARGV ? @ARGV : @all;
my $out = $ENV{BENCH_OUT} // 'bench-results';

sub run_case
{
	my ($corpus, $case) = @_;
	my $code = do "$FindBin::Bin/cases/$case.pl";

	die "no case \"$case\": " . ($@ || $!) . "\n" unless ref $code eq 'CODE';
	$code->($corpus);
	return;
}

my $done = eval {
	say_it('making the corpus (scale %d)', scale());
	my $corpus = Corpus->new;

	run_case($corpus, $_) for @cases;
	$corpus->pg->stop;
	Report::write_all($out, results());
	1;
};
say_it('%s', $@) unless $done;
exit($done ? 0 : 1);
