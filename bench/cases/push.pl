# archive-push: one call at a time, without anything done ahead; and sustained,
# as the archiver calls it while many segments are ready.

use strict;
use warnings;

use Bench;
use Contestants;

return sub {
	my ($corpus, $place) = @_;
	my @all = $corpus->segments;
	my @some = @all[ 0 .. ($#all < 15 ? $#all : 15) ];
	my @files = map { $corpus->wal_dir . "/$_" } @all;
	my %work = (unit => 'segment');
	my $bytes = 16 * 1024 * 1024;
	my %aes = $place->aes;
	my %async = ('archive-async' => 'y');
	my $to = sub {
		my ($label, $c, @segments) = @_;

		return $place->contestant(
			name => $label,
			prepare => sub { $c->reset; $corpus->all_ready },
			run => sub { $c->push_all(@segments) },
			stored => sub { $c->stored });
	};

	compare($place->title('push, one call alone'),
		{ %work, count => scalar @some, bytes => @some * $bytes },
		$to->('pgdr', $place->pgdr('push1', $corpus->alone), @some),
		$to->('pgBackRest zst 1 AES', $place->pgbackrest('push1b', %aes), @some),
		$to->('pgBackRest zst 1', $place->pgbackrest('push1c'), @some));
	compare($place->title('push, sustained'),
		{ %work, count => scalar @all, bytes => @all * $bytes },
		$to->('pgdr', $place->pgdr('push2'), @all),
		$to->('pgdr, not encrypted', $place->pgdr('push2n', encryption => 'none'), @all),
		$to->('pgBackRest async zst 1 AES', $place->pgbackrest('push2b', %aes, %async), @all),
		$to->('pgBackRest async lz4 AES',
			$place->pgbackrest('push2c', %aes, %async, 'compress-type' => 'lz4'), @all),
		$place->here(
			cpu_limit(@files),
			command_limit('zstd -1 -T2', 'xargs -a "$1" cat | zstd -q -1 -T2 >/dev/null', @files),
			command_limit('sha256sum, two at a time',
				'xargs -a "$1" -P 2 -n 8 sha256sum >/dev/null', @files),
			{ name => 'cp, then sync', prepare => sub { mkdir $corpus->pg->dir . '/cp' },
				run => sub { run_all('cp', @files, $corpus->pg->dir . '/cp');
					run_all('sync', '-f', $corpus->pg->dir . '/cp') } }));
	run_all('rm', '-rf', $corpus->pg->dir . '/cp');
	$place->drop_all;
	$corpus->all_done;
};
