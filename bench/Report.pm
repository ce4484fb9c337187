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
use Plot;
use POSIX qw(strftime);
use Targets;

sub new
{
	my ($class, $dir) = @_;
	my $self = bless { dir => $dir, data => { results => [] } }, $class;

	$self->{data} = load("$dir/results.json") if -f "$dir/results.json";
	return $self;
}

sub load
{
	my ($file) = @_;

	open my $from, '<', $file or die "$file: $!\n";
	my $text = do { local $/; <$from> };
	return decode_json($text);
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
	spew("$dir/results.json", JSON::PP->new->canonical->pretty->encode($data));
	spew("$dir/results.md", "# Results\n\n" . tables($data));
	Plot::draw_all($dir, @{ $data->{results} });
	return;
}

sub spew
{
	my ($file, $text) = @_;

	open my $to, '>', "$file.new" or die "$file: $!\n";
	print $to $text;
	close $to or die "$file: $!\n";
	rename "$file.new", $file or die "$file: $!\n";
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

sub row { return '| ' . join(' | ', @_) . " |\n" }
sub rule { my ($n) = @_; return '|' . '---|' x $n . "\n" }

# All as Markdown, without a headline; plots lie in this directory.
sub tables
{
	my ($data, $plots) = @_;
	my $m = $data->{machine};
	my $text = "$m->{cpus} CPUs ($m->{cpu}), Linux $m->{kernel}, "
	  . "PostgreSQL $m->{postgresql}, pgBackRest $m->{pgbackrest}. The ratio says how "
	  . "many times as long as pgdr another one takes in the same run. "
	  . "MB are 10^6 bytes; memory is that of the largest process.\n\n## Bars\n\n"
	  . bars($data);

	for my $r (@{ $data->{results} })
	{
		$text .= "\n## $r->{title}\n\n";
		$text .= $r->{growth} ? growth_table($r) : $r->{facts} ? facts($r) : comparison($r);
		$text .= "\n![]($plots/" . Plot::name($r) . ")\n" if $plots && Plot::is_drawn($r);
	}
	return $text;
}

sub comparison
{
	my ($r) = @_;
	my @columns = columns($r);

	return "Median of $r->{rounds}, $r->{measured}.\n\n"
	  . row('', map { $_->[0] } @columns) . rule(@columns + 1)
	  . join('', map { my $c = $_; row($c->{name}, map { cell($_, $c) } @columns) }
		@{ $r->{contestants} });
}

sub growth_table
{
	my ($r) = @_;
	my @names = map { $_->{name} } @{ $r->{growth}[0]{contestants} };

	return "Milliseconds for each (and MB of memory), $r->{measured}.\n\n"
	  . row($r->{unit}, @names) . rule(@names + 1)
	  . join '', map {
		row($_->{x}, map { sprintf '%.3f (%.0f)', $_->{ms_each}, $_->{max_kilobytes} / 1024 }
			@{ $_->{contestants} })
	  } @{ $r->{growth} };
}

sub facts
{
	my ($r) = @_;

	return row('', $r->{title}) . rule(2) . join '', map { row(@$_) } @{ $r->{facts} };
}

sub bars
{
	my ($data) = @_;

	return row('what', 'measured', 'at least', '', 'aim', '') . rule(6)
	  . join '', map {
		row($_->{what}, $_->{value} // '', $_->{bound} // '', $_->{met}, $_->{aim} // '',
			$_->{aim_met} // '')
	  } @{ $data->{bars} };
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
