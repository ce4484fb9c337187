# Targets.pm
#	  Compares what was measured with targets.json, a list of
#
#		what		what it is about, for people
#		result		title of the result
#		measure		seconds, ms_each, requests, max_kilobytes, stored, ...
#		of			contestant
#		against		another one, or a list of which the best counts: then the
#					figure is its measure divided by ours
#		at_least, at_most				the bar
#		aim_at_least, aim_at_most		what is worth working for
#
# A figure without "against" is ours itself.  With "over", it is ours divided
# by that contestant's: a distance from a limit.

package Targets;

use strict;
use warnings;

use FindBin;
use JSON::PP;
use List::Util qw(min);

sub load
{
	open my $from, '<', "$FindBin::Bin/targets.json" or die "targets.json: $!\n";
	my $text = do { local $/; <$from> };
	return @{ decode_json($text) };
}

# One line for each target.
sub judge
{
	my (@results) = @_;
	my %by_title = map { $_->{title} => $_ } @results;

	return map { judge_one($_, $by_title{ $_->{result} }) } load();
}

sub judge_one
{
	my ($t, $result) = @_;
	my $value = $result ? figure($t, $result) : undef;

	return {
		what => $t->{what},
		defined $value ? (number => $value, value => format_figure($t, $value)) : (),
		bound => bound($t, ''),
		met => defined bound($t, '') ? verdict($t, '', $value) : 'no bar',
		defined bound($t, 'aim_')
		? (aim => bound($t, 'aim_'), aim_met => verdict($t, 'aim_', $value))
		: (),
	};
}

sub measured
{
	my ($result, $measure, $name) = @_;
	my ($c) = grep { $_->{name} eq $name } @{ $result->{contestants} };

	return $c ? $c->{$measure} : undef;
}

sub figure
{
	my ($t, $result) = @_;
	my $ours = measured($result, $t->{measure}, $t->{of});
	my $other = $t->{against} // $t->{over};

	return $ours if !defined $ours || !$other;
	my @others = grep { defined } map { measured($result, $t->{measure}, $_) }
	  ref $other ? @$other : $other;
	return undef if !@others || min(@others) == 0 || $ours == 0;
	return $t->{against} ? min(@others) / $ours : $ours / min(@others);
}

sub format_figure
{
	my ($t, $value) = @_;

	return sprintf '%.2f x', $value if $t->{against} || $t->{over};
	return sprintf '%.0f MB', $value / 1024 if $t->{measure} eq 'max_kilobytes';
	return sprintf '%.1f ms', $value if $t->{measure} eq 'ms_each';
	return sprintf '%.2f s', $value if $t->{measure} eq 'seconds';
	return sprintf '%.4g', $value;
}

sub bound
{
	my ($t, $prefix) = @_;

	return 'at least ' . format_figure($t, $t->{"${prefix}at_least"})
	  if defined $t->{"${prefix}at_least"};
	return 'at most ' . format_figure($t, $t->{"${prefix}at_most"})
	  if defined $t->{"${prefix}at_most"};
	return undef;
}

sub verdict
{
	my ($t, $prefix, $value) = @_;
	my ($least, $most) = @$t{ "${prefix}at_least", "${prefix}at_most" };

	return 'not measured' unless defined $value;
	return (!defined $least || $value >= $least) && (!defined $most || $value <= $most)
	  ? 'met'
	  : 'not met';
}

1;
