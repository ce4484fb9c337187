#!/usr/bin/perl
#
# publish.pl [RESULTS [DOC]]
#	  Makes of the results.json in a directory (bench-results) what the
#	  documentation (doc) shows: performance.md with its plots, and the figures of
#	  scaling.md, which stand there between two marks.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Markdown;
use Plot;
use Scaling;
use Targets;

my $root = "$FindBin::Bin/..";
my $from = $ARGV[0] // "$root/bench-results";
my $doc = $ARGV[1] // "$root/doc";

my $data = Markdown::load("$from/results.json");
$data->{bars} = [ Targets::judge(@{ $data->{results} }) ];

sub performance
{
	my $plots = "$doc/performance";

	system('rm', '-rf', $plots) == 0 or die "rm failed\n";
	mkdir $plots or die "$plots: $!\n";
	Plot::draw_all($plots, @{ $data->{results} });
	Markdown::spew("$doc/performance.md", <<"END" . Markdown::tables($data, 'performance'));
# Performance

Measured by \`make bench\`, and written by \`bench/publish.pl\`: no figure here was typed.
What is compared with what, and what is left out, is in [bench/README.md](../bench/README.md).

END
	return;
}

sub scaling
{
	my $file = "$doc/scaling.md";
	my $text = Markdown::slurp($file);
	my ($begin, $end) = ("<!-- figures: made by bench/publish.pl -->\n", "<!-- end of figures -->\n");

	$text =~ s/\Q$begin\E.*?\Q$end\E/$begin . Scaling::figures($data) . $end/se
	  or die "$file has no place for the figures\n";
	Markdown::spew($file, $text);
	return;
}

performance();
scaling();
