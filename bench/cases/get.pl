# archive-get, as a server in recovery calls it: one segment after the other.

use strict;
use warnings;

use Bench;
use Contestants;

return sub {
	my ($corpus) = @_;
	my @segments = $corpus->segments;
	my $dir = $corpus->pg->dir . '/got';
	my %aes = ('repo1-cipher-type' => 'aes-256-cbc', 'repo1-cipher-pass' => 'bench');
	my %async = ('archive-async' => 'y', 'archive-get-queue-max' => '1GiB');
	my $from = sub {
		my ($label, $c) = @_;

		$c->reset;
		$corpus->all_ready;
		$c->push_all(@segments);
		return {
			name => $label,
			prepare => sub { $c->forget; run_all('rm', '-rf', $dir); mkdir $dir },
			run => sub { $c->get_all($dir, @segments) },
			finish => sub { $c->forget },
		};
	};
	my $p = sub { return Contestants->pgdr($corpus, @_) };
	my $b = sub { return Contestants->pgbackrest($corpus, @_) };

	compare('get, one call alone',
		{ unit => 'segment', count => scalar @segments, bytes => @segments * 16 * 1024 * 1024 },
		$from->('pgdr', $p->('get1', $corpus->alone)),
		$from->('pgBackRest zst 1', $b->('get1b')),
		$from->('pgBackRest lz4 AES', $b->('get1c', %aes, 'compress-type' => 'lz4')),
		{ name => 'cp', prepare => sub { mkdir $dir },
			run => sub {
				run_all('cp', $corpus->wal_dir . "/$_", "$dir/RECOVERYXLOG") for @segments } });
	compare('get, ahead of the calls',
		{ unit => 'segment', count => scalar @segments, bytes => @segments * 16 * 1024 * 1024 },
		$from->('pgdr', $p->('get2')),
		$from->('pgBackRest async zst 1', $b->('get2b', %async)),
		$from->('pgBackRest async lz4', $b->('get2c', %async, 'compress-type' => 'lz4')),
		$from->('pgBackRest async zst 1 AES', $b->('get2d', %async, %aes)));
	run_all('rm', '-rf', $dir);
	$corpus->all_ready;
};
