# archive-get, as a server in recovery calls it: one segment after the other.

use strict;
use warnings;

use Bench;
use Contestants;

return sub {
	my ($corpus, $place) = @_;
	my @segments = $corpus->segments;
	my $dir = $corpus->pg->dir . '/got';
	my %aes = $place->aes;
	my %async = ('archive-async' => 'y', 'archive-get-queue-max' => '1GiB');
	my %lz4 = ('compress-type' => 'lz4');
	my $from = sub {
		my ($label, $c) = @_;

		$c->reset;
		$corpus->all_ready;
		$c->push_all(@segments);
		return $place->contestant(
			name => $label,
			prepare => sub { $c->forget; $corpus->begin_recovery($dir) },
			run => sub { $c->recover_all($dir, @segments) },
			finish => sub { $c->forget; $corpus->end_recovery($dir) });
	};
	my %work = (unit => 'segment', count => scalar @segments,
		bytes => @segments * 16 * 1024 * 1024);

	compare($place->title('get, one call alone'), \%work,
		$from->('pgdr', $place->pgdr('get1', $corpus->alone)),
		$from->('pgBackRest zst 1', $place->pgbackrest('get1b')),
		$from->('pgBackRest lz4 AES', $place->pgbackrest('get1c', %aes, %lz4)),
		$place->here({ name => 'cp', prepare => sub { mkdir $dir },
			finish => sub { run_all('rm', '-rf', $dir) },
			run => sub {
				run_all('cp', $corpus->wal_dir . "/$_", "$dir/RECOVERYXLOG") for @segments } }));
	$place->drop_all;
	compare($place->title('get, ahead of the calls'), \%work,
		$from->('pgdr', $place->pgdr('get2')),
		$from->('pgBackRest async zst 1', $place->pgbackrest('get2b', %async)),
		$place->is_local
		? $from->('pgBackRest async lz4', $place->pgbackrest('get2c', %async, %lz4))
		: (),
		$from->('pgBackRest async zst 1 AES', $place->pgbackrest('get2d', %async, %aes)));
	$place->drop_all;
	$corpus->all_done;
};
