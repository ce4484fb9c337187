# An incremental backup after pgbench has changed about 5 % of the pages; and
# the restore of the last of a chain of incrementals, and of a full backup of the
# same data.

use strict;
use warnings;

use Bench;
use Contestants;
use List::Util qw(max);

my $CHAIN = $ENV{BENCH_CHAIN} // 10;
my @parts = qw(base global);

sub blocks_changed
{
	my ($before, $corpus) = @_;
	my @sum = (0, 0, 0);

	for my $part (@parts)
	{
		my @n = split ' ', run_all("$ENV{TESTDIR}/bench/page_limit", 'changed',
			"$before/$part", $corpus->pgdata . "/$part", 1);
		$sum[$_] += $n[$_] for 0 .. 2;
	}
	return @sum;
}

sub transactions
{
	my ($corpus, $count) = @_;
	my $pg = $corpus->pg;

	run_all('pgbench', '-h', $pg->host, '-p', $pg->port, '-n', '-c', 4, '-j', 2,
		'-t', int($count / 4) + 1, 'postgres');
	$pg->safe_psql('postgres', 'CHECKPOINT');
	return;
}

# Runs pgbench until about this share of the blocks has changed.
sub change
{
	my ($corpus, $before, $share) = @_;
	my ($blocks, $changed) = blocks_changed($before, $corpus);
	my $count = $blocks * $share / 2.5;

	for (1 .. 5)
	{
		transactions($corpus, $count);
		($blocks, $changed) = blocks_changed($before, $corpus);
		last if $changed >= 0.95 * $share * $blocks;
		# as many again as are missing, at the rate until now
		$count *= max(0.1, $share * $blocks / $changed - 1);
	}
	return ($blocks, $changed);
}

sub whole_backup
{
	my ($corpus, $c) = @_;

	$c->reset;
	$corpus->archive_with($c->archive_command);
	$c->backup;
	$corpus->archive_with('false');
	return;
}

sub increment
{
	my ($corpus, $c) = @_;

	$corpus->archive_with($c->archive_command);
	$c->backup('incremental');
	$corpus->archive_with('false');
	return;
}

sub contestants
{
	my ($place) = @_;
	my %block = ('repo1-bundle' => 'y', 'repo1-block' => 'y');

	return ([ 'pgdr', $place->pgdr('incr') ],
		[ 'pgBackRest incr', $place->pgbackrest('incrb') ],
		has_block_incremental()
		? ([ 'pgBackRest incr, bundle and block', $place->pgbackrest('incrc', %block) ],
			[ 'pgBackRest incr, bundle and block, AES',
				$place->pgbackrest('incrd', %block, $place->aes) ])
		: ());
}

# pgBackRest has it since 2.46.
sub has_block_incremental
{
	my ($major, $minor) = run_all(pgbackrest_program(), 'version') =~ /(\d+)\.(\d+)/;

	return $major > 2 || $minor >= 46;
}

sub one_increment
{
	my ($corpus, $place, $before, @who) = @_;

	return compare('incremental backup, 5 % of the pages changed', { bytes => $corpus->bytes },
		(map {
			my ($label, $c) = @$_;
			$place->contestant(name => $label,
				prepare => sub { $c->back; $corpus->archive_with($c->archive_command) },
				run => sub { $c->backup('incremental') },
				stored => sub { $c->stored('backup') },
				finish => sub { $corpus->archive_with('false') })
		} @who),
		{ name => 'limit: read and hash all files', run => sub {
			my ($seconds) = split ' ', run_all("$ENV{TESTDIR}/bench/page_limit", 'hash', 2,
				map { $corpus->pgdata . "/$_" } @parts);
			return \$seconds } },
		{ name => 'limit: the changed pages, zstd 1', run => sub {
			my (undef, undef, $stored) = blocks_changed($before, $corpus);
			return { stored => $stored } } });
}

sub chain
{
	my ($corpus, $place, @who) = @_;
	my ($blocks) = $corpus->bytes / 8192;

	$_->[1]->back, increment($corpus, $_->[1]) for @who;
	for (2 .. $CHAIN)
	{
		transactions($corpus, $blocks * 0.002);
		increment($corpus, $_->[1]) for @who;
	}
	return;
}

sub restores
{
	my ($corpus, $place, @labels) = @_;
	my $dir = $corpus->pg->dir . '/restored';

	compare('restore of the tenth incremental', { bytes => $corpus->bytes }, map {
		my ($label, $c) = @$_;
		$place->contestant(name => $label,
			prepare => sub { run_all('rm', '-rf', $dir) },
			run => sub { $c->restore($dir) })
	} @labels);
	run_all('rm', '-rf', $dir);
	return;
}

return sub {
	my ($corpus, $place) = @_;
	my $before = $corpus->pg->dir . '/before';
	my @who = contestants($place);
	my ($ours, $theirs) = ($who[0], $who[-1]);

	whole_backup($corpus, $_->[1]), $_->[1]->keep for @who;
	run_all('mkdir', '-p', $before);
	run_all('cp', '-a', $corpus->pgdata . "/$_", $before) for @parts;
	my ($blocks, $changed) = change($corpus, $before, 0.05);

	one_increment($corpus, $place, $before, @who);
	fact('incremental: what had changed', 'blocks of 8 kB' => $blocks, 'changed' => $changed,
		'share, %' => sprintf('%.2f', 100 * $changed / $blocks));
	run_all('rm', '-rf', $before);

	chain($corpus, $place, $ours, $theirs);
	my @full = ([ 'pgdr, a full of the same data', $place->pgdr('incrf') ],
		[ 'pgBackRest, a full of the same data', $place->pgbackrest('incrg',
			'repo1-bundle' => 'y', $place->aes) ]);

	whole_backup($corpus, $_->[1]) for @full;
	restores($corpus, $place, [ 'pgdr, the tenth incremental', $ours->[1] ], $full[0],
		[ "$theirs->[0], the tenth", $theirs->[1] ], $full[1]);
	$place->drop_all;
};
