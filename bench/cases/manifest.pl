# A manifest of very many files in ten pieces each, as that of an incremental
# backup, written and read by the code that does it in pgdr: seconds, memory and
# what it takes in the repository.

use strict;
use warnings;

use Bench;
use Contestants;
use Corpus;

my $EXTENTS = 10;

# (seconds, kB) by the program's own account, as growth() wants a run.
sub run_of
{
	my ($name, $files, @arguments) = @_;
	my ($seconds, $kb) = split ' ', run_all("$ENV{TESTDIR}/tests/many_files", @arguments);

	return { name => $name, ms_each => 1000 * $seconds / $files, seconds => 0 + $seconds,
		max_kilobytes => 0 + $kb };
}

return sub {
	my $corpus = Corpus->small('manifest');
	my $c = Contestants->pgdr($corpus, 'manifest');
	my @points;

	$c->reset;
	for my $files (levels('BENCH_MANIFEST', 10_000, 100_000, 1_000_000))
	{
		my $label = sprintf '20260102T%06dZ', scalar @points;

		push @points, { x => 0 + $files, contestants => [
			run_of('write', $files, 'write', $c->{config}, $label, $files, $EXTENTS),
			run_of('read', $files, 'read', $c->{config}, $label)],
			stored => $c->stored("backup/$label") };
	}
	growth("manifest: files of $EXTENTS extents each", 'files', @points);
	fact('manifest: the largest', map { $_->[0] => sprintf $_->[1], $_->[2] } (
		[ 'files', '%d', $points[-1]{x} ],
		[ 'extents', '%d', $points[-1]{x} * $EXTENTS ],
		[ 'seconds to write', '%.1f', $points[-1]{contestants}[0]{seconds} ],
		[ 'seconds to read', '%.1f', $points[-1]{contestants}[1]{seconds} ],
		[ 'MB of memory to write', '%.0f', $points[-1]{contestants}[0]{max_kilobytes} / 1024 ],
		[ 'MB of memory to read', '%.0f', $points[-1]{contestants}[1]{max_kilobytes} / 1024 ],
		[ 'MB stored', '%.1f', $points[-1]{stored} / 1e6 ]));
	$corpus->stop;
	$c->drop;
};
