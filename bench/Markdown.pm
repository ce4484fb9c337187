# Markdown.pm
#	  What was measured as tables.
#
#	tables($data)				# of results.json, without a headline
#	tables($data, $directory)	# with the plots that lie there
#	columns($result), cell($column, $contestant)

package Markdown;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP;
use Plot;

our @EXPORT = qw(cell columns);

sub slurp
{
	my ($file) = @_;

	open my $from, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$from>;
}

sub load { my ($file) = @_; return decode_json(slurp($file)) }

sub spew
{
	my ($file, $text) = @_;

	open my $to, '>', "$file.new" or die "$file: $!\n";
	print $to $text;
	close $to or die "$file: $!\n";
	rename "$file.new", $file or die "$file: $!\n";
	return;
}

# Columns of a table: head, member, format, divisor.  Those that nobody has a
# figure for are left out.
sub columns
{
	my ($r) = @_;
	my @all = (
		[ 'seconds', 'seconds', '%.3f', 1 ],
		[ 'ms/' . ($r->{unit} // 'unit'), 'ms_each', '%.2f', 1 ],
		[ 'MB/s', 'mb_per_s', '%.0f', 1 ],
		[ 'CPU s', 'cpu_seconds', '%.2f', 1 ],
		[ 'MB memory', 'max_kilobytes', '%.0f', 1024 ],
		[ 'requests', 'requests', '%.0f', 1 ],
		[ 'MB stored', 'stored', '%.1f', 1e6 ],
		[ 'ratio', 'ratio', '%.2f', 1 ]);

	return grep { my $m = $_->[1]; grep { defined $_->{$m} } @{ $r->{contestants} } } @all;
}

sub cell
{
	my ($column, $contestant) = @_;
	my (undef, $member, $format, $divisor) = @$column;
	my $value = $contestant->{$member};

	return defined $value ? sprintf $format, $value / $divisor : '';
}

sub row { return '| ' . join(' | ', @_) . " |\n" }
sub rule { my ($n) = @_; return '|' . '---|' x $n . "\n" }

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

1;
