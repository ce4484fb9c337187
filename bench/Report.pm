# Report.pm
#	  What was measured, as JSON, as a table and as plots.
#
#	my $report = Report->new($dir)		# with what an earlier run left there
#	$report->add($case, $seconds, @results)
#	$report->write_all

package Report;

use strict;
use warnings;

use Bench;
use Contestants;
use File::Path qw(make_path);
use JSON::PP;
use Markdown;
use Plot;
use POSIX qw(strftime);
use Targets;

sub new
{
	my ($class, $dir) = @_;
	my $self = bless { dir => $dir, data => { results => [] } }, $class;

	$self->{data} = Markdown::load("$dir/results.json") if -f "$dir/results.json";
	return $self;
}

sub data { return $_[0]->{data} }

# In the place of what the case gave before.
sub add
{
	my ($self, $case, $seconds, @results) = @_;
	my $data = $self->{data};
	my $measured = strftime('%Y-%m-%d %H:%M:%SZ', gmtime);

	$data->{machine} = machine();
	$data->{cases}{$case} = { seconds => 0 + sprintf('%.1f', $seconds), measured => $measured };
	$data->{results} = [ (grep { $_->{case} ne $case } @{ $data->{results} }),
		map { { %$_, case => $case, measured => $measured } } @results ];
	return;
}

# Writes results.json, results.md and a plot of each result.
sub write_all
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $data = $self->{data};

	make_path($dir);
	$data->{bars} = [ Targets::judge(@{ $data->{results} }) ];
	Markdown::spew("$dir/results.json", JSON::PP->new->canonical->pretty->encode($data));
	Markdown::spew("$dir/results.md", "# Results\n\n" . Markdown::tables($data));
	Plot::draw_all($dir, @{ $data->{results} });
	return;
}

sub first_match
{
	my ($file, $pattern) = @_;

	open my $from, '<', $file or return 'unknown';
	my $text = do { local $/; <$from> };
	return $text =~ $pattern ? $1 : 'unknown';
}

sub machine
{
	my ($pgbackrest) = run_all(pgbackrest_program(), 'version') =~ /(\S+)$/;
	my ($postgres) = run_all('postgres', '--version') =~ /(\d\S*)/;

	return {
		cpu => first_match('/proc/cpuinfo', qr/^model name\s*: (.*)$/m),
		cpus => 0 + `nproc`,
		memory_kb => 0 + first_match('/proc/meminfo', qr/^MemTotal:\s+(\d+)/m),
		kernel => first_match('/proc/sys/kernel/osrelease', qr/^(\S+)/),
		pgbackrest => $pgbackrest,
		postgresql => $postgres,
		scale => scale(),
	};
}

sub bars_as_text
{
	my ($self) = @_;

	return join "\n", map {
		sprintf '%-12s %s: %s', $_->{met}, $_->{what},
		  $_->{value} ? "$_->{value} (" . join(', ', grep { defined }
			$_->{bound}, $_->{aim} && "aim $_->{aim}: $_->{aim_met}") . ')' : '-'
	} @{ $self->{data}{bars} };
}

1;
