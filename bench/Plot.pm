# Plot.pm
#	  A picture (SVG) of each comparison and of each growth, by gnuplot.

package Plot;

use strict;
use warnings;

sub name
{
	my ($r) = @_;
	return lc($r->{title}) =~ s/[^a-z0-9]+/-/gr =~ s/-\z//r . '.svg';
}

sub is_drawn { return $_[0]->{growth} || $_[0]->{contestants} }

sub draw_all
{
	my ($dir, @results) = @_;

	for my $r (grep { is_drawn($_) } @results)
	{
		my $file = "$dir/" . name($r);
		draw($r->{growth} ? lines($file, $r) : bars($file, $r));
	}
	return;
}

sub draw
{
	my ($commands) = @_;

	open my $to, '|-', 'gnuplot' or die "gnuplot: $!\n";
	print $to $commands;
	close $to or die "gnuplot could not draw\n";
	return;
}

sub lines
{
	my ($file, $r) = @_;
	my @names = map { $_->{name} } @{ $r->{growth}[0]{contestants} };
	my $rows = join '', map { join(' ', $_->{x}, map { $_->{ms_each} } @{ $_->{contestants} }) . "\n" }
	  @{ $r->{growth} };
	my $lines = join ', ', map {
		"\$rows using 1:" . ($_ + 2) . " with linespoints linewidth 2 title '$names[$_]'"
	} 0 .. $#names;

	return <<"END";
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
sub bars
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

	return <<"END";
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
