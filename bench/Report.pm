# Report.pm
#	  What was measured, as JSON, as a table and as plots.

package Report;

use strict;
use warnings;

use Bench;
use File::Path qw(make_path);
use JSON::PP;

# Writes results.json, results.md and a plot of each result into a directory.
sub write_all
{
	my ($dir, @results) = @_;
	my $data = { machine => machine(), results => \@results };

	make_path($dir);
	spew("$dir/results.json", JSON::PP->new->canonical->pretty->encode($data));
	spew("$dir/results.md", table($data));
	plot($dir, $_) for @results;
	return;
}

sub spew
{
	my ($file, $text) = @_;

	open my $to, '>', $file or die "$file: $!\n";
	print $to $text;
	close $to or die "$file: $!\n";
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
	my ($pgbackrest) = run_all('pgbackrest', 'version') =~ /(\S+)$/;
	my ($postgres) = run_all('postgres', '--version') =~ /(\d\S*)/;

	return {
		cpu => first_match('/proc/cpuinfo', qr/^model name\s*: (.*)$/m),
		cpus => 0 + `nproc`,
		memory_kb => 0 + first_match('/proc/meminfo', qr/^MemTotal:\s+(\d+)/m),
		kernel => first_match('/proc/sys/kernel/osrelease', qr/^(\S+)/),
		pgbackrest => $pgbackrest,
		postgresql => $postgres,
	};
}

sub table
{
	my ($data) = @_;
	my $m = $data->{machine};
	my $text = "# Results\n\n$m->{cpus} CPUs ($m->{cpu}), Linux $m->{kernel}, "
	  . "PostgreSQL $m->{postgresql}, pgBackRest $m->{pgbackrest}. The ratio says how "
	  . "many times as long as pgdr another one takes in the same run.\n";

	for my $r (@{ $data->{results} })
	{
		if ($r->{growth})
		{
			$text .= growth_table($r);
			next;
		}
		$text .= "\n## $r->{title}\n\nMedian of $r->{rounds}.\n\n"
		  . "| | seconds | " . ($r->{count} ? "ms per $r->{unit} | " : '')
		  . "MB/s | CPU seconds | memory, MB | ratio |\n|---|---|"
		  . ($r->{count} ? '---|' : '') . "---|---|---|---|\n";
		for my $c (@{ $r->{contestants} })
		{
			$text .= sprintf "| %s | %.3f | %s%s | %.2f | %.0f | %.2f |\n", $c->{name},
			  $c->{seconds}, $r->{count} ? sprintf('%.2f | ', $c->{ms_each}) : '',
			  $c->{mb_per_s} ? sprintf('%.0f', $c->{mb_per_s}) : '',
			  $c->{cpu_seconds}, $c->{max_kilobytes} / 1024, $c->{ratio};
		}
	}
	return $text;
}

sub growth_table
{
	my ($r) = @_;
	my @names = map { $_->{name} } @{ $r->{growth}[0]{contestants} };
	my $text = "\n## $r->{title}\n\nMilliseconds for each.\n\n| "
	  . join(' | ', $r->{unit}, @names) . " |\n|" . '---|' x (@names + 1) . "\n";

	for my $p (@{ $r->{growth} })
	{
		$text .= '| ' . join(' | ', $p->{x},
			map { sprintf '%.3f', $_->{ms_each} } @{ $p->{contestants} }) . " |\n";
	}
	return $text;
}

sub plot
{
	my ($dir, $r) = @_;
	my $name = lc($r->{title}) =~ s/[^a-z0-9]+/-/gr;

	return $r->{growth} ? plot_lines("$dir/$name.svg", $r) : plot_bars("$dir/$name.svg", $r);
}

sub draw
{
	my ($commands) = @_;

	open my $to, '|-', 'gnuplot' or die "gnuplot: $!\n";
	print $to $commands;
	close $to or die "gnuplot could not draw\n";
	return;
}

sub plot_lines
{
	my ($file, $r) = @_;
	my @names = map { $_->{name} } @{ $r->{growth}[0]{contestants} };
	my $rows = join '', map { join(' ', $_->{x}, map { $_->{ms_each} } @{ $_->{contestants} }) . "\n" }
	  @{ $r->{growth} };
	my $lines = join ', ', map {
		"\$rows using 1:" . ($_ + 2) . " with linespoints linewidth 2 title '$names[$_]'"
	} 0 .. $#names;

	return draw(<<"END");
set terminal svg size 860,420 font 'sans,13' background 'white'
set output '$file'
set title '$r->{title}'
\$rows << EOD
${rows}EOD
set logscale x
set yrange [0:*]
set xlabel '$r->{unit}'
set ylabel 'ms for each'
set grid
plot $lines
END
}

# Bars, the shortest time at the top.
sub plot_bars
{
	my ($file, $r) = @_;
	my @c = sort { $b->{seconds} <=> $a->{seconds} } @{ $r->{contestants} };
	my $row = 0;
	my $rows = join '', map {
		my $ours = $_->{name} =~ /^pgdr/ ? 1 : 0;
		my $label = $_->{name} =~ s/"/'/gr;
		sprintf "%d %.5f %d \"%s\" \"%.2f s\"\n", $row++, $_->{seconds}, $ours, $label,
		  $_->{seconds}
	} @c;
	my $height = 90 + 34 * @c;

	return draw(<<"END");
set terminal svg size 860,$height font 'sans,13' background 'white'
set output '$file'
set title '$r->{title} (seconds, median of $r->{rounds})'
\$bars << EOD
${rows}EOD
set yrange [-0.6:@{[ @c - 0.4 ]}]
set xrange [0:*]
set grid xtics
unset key
set border 3
set tics nomirror
plot \$bars using (\$2/2):1:(\$2/2):(0.34):(\$3 > 0 ? 0x2266aa : 0xaaaaaa):ytic(4) \\
	with boxxyerror fillstyle solid linecolor rgb variable, \\
	\$bars using 2:1:5 with labels left offset 0.5,0
END
}

1;
