# Restore of a full backup into an empty directory.

use strict;
use warnings;

use Bench;
use Contestants;

return sub {
	my ($corpus, $place) = @_;
	my $dir = $corpus->pg->dir . '/restored';
	my %bundle = ('repo1-bundle' => 'y');
	my %aes = $place->aes;
	my $from = sub {
		my ($label, $c) = @_;

		$c->reset;
		$corpus->archive_with($c->archive_command);
		$c->backup;
		$corpus->archive_with('false');
		return $place->contestant(name => $label,
			prepare => sub { run_all('rm', '-rf', $dir) },
			run => sub { $c->restore($dir) });
	};

	compare($place->title('restore'), { bytes => $corpus->bytes },
		$from->('pgdr', $place->pgdr('rest')),
		$from->('pgdr, not encrypted', $place->pgdr('restn', encryption => 'none')),
		$from->('pgBackRest bundle zst 1', $place->pgbackrest('restb', %bundle)),
		$from->('pgBackRest bundle zst 1 AES', $place->pgbackrest('restba', %bundle, %aes)),
		$place->here({ name => 'cp -a, then sync',
			prepare => sub { run_all('rm', '-rf', $dir) },
			run => sub { run_all('cp', '-a', $corpus->pgdata . '/base', $dir);
				run_all('sync', '-f', $dir) } }));
	run_all('rm', '-rf', $dir);
	$place->drop_all;
};
