# archive-push: one call at a time, without anything done ahead; and sustained,
# as the archiver calls it while many segments are ready.

use strict;
use warnings;

use Bench;
use Contestants;

sub contestant
{
	my ($corpus, $label, $c, @segments) = @_;

	return {
		name => $label,
		prepare => sub { $c->reset; $corpus->all_ready },
		run => sub { $c->push_all(@segments) },
	};
}

return sub {
	my ($corpus) = @_;
	my @all = $corpus->segments;
	my @some = @all[ 0 .. ($#all < 15 ? $#all : 15) ];
	my %work = (unit => 'segment');
	my $bytes = 16 * 1024 * 1024;
	my %aes = ('repo1-cipher-type' => 'aes-256-cbc', 'repo1-cipher-pass' => 'bench');
	my $p = sub { return Contestants->pgdr($corpus, @_) };
	my $b = sub { return Contestants->pgbackrest($corpus, @_) };

	compare('push, one call alone', { %work, count => scalar @some, bytes => @some * $bytes },
		contestant($corpus, 'pgdr', $p->('push1', $corpus->alone), @some),
		contestant($corpus, 'pgBackRest zst 1 AES', $b->('push1b', %aes), @some),
		contestant($corpus, 'pgBackRest zst 1', $b->('push1c'), @some));
	my @files = map { $corpus->wal_dir . "/$_" } @all;
	compare('push, sustained', { %work, count => scalar @all, bytes => @all * $bytes },
		contestant($corpus, 'pgdr', $p->('push2'), @all),
		contestant($corpus, 'pgdr, not encrypted', $p->('push2n', encryption => 'none'), @all),
		contestant($corpus, 'pgBackRest async zst 1 AES',
			$b->('push2b', %aes, 'archive-async' => 'y'), @all),
		contestant($corpus, 'pgBackRest async lz4 AES',
			$b->('push2c', %aes, 'archive-async' => 'y', 'compress-type' => 'lz4'), @all),
		cpu_limit(@files),
		{ name => 'cp, then sync', prepare => sub { mkdir $corpus->pg->dir . '/cp' },
			run => sub { run_all('cp', @files, $corpus->pg->dir . '/cp');
				run_all('sync', '-f', $corpus->pg->dir . '/cp') } });
	$corpus->all_ready;
};
