# Restore of a full backup into an empty directory.

use strict;
use warnings;

use Bench;
use Contestants;

return sub {
	my ($corpus) = @_;
	my $dir = $corpus->pg->dir . '/restored';
	my %bundle = ('repo1-bundle' => 'y');
	my %aes = ('repo1-cipher-type' => 'aes-256-cbc', 'repo1-cipher-pass' => 'bench');
	my $from = sub {
		my ($label, $c) = @_;

		$c->reset;
		$corpus->archive_with($c->archive_command);
		$c->backup;
		$corpus->archive_with('false');
		return { name => $label,
			prepare => sub { run_all('rm', '-rf', $dir) },
			run => sub { $c->restore($dir) } };
	};

	compare('restore', { bytes => $corpus->bytes },
		$from->('pgdr', Contestants->pgdr($corpus, 'rest', 'process-max' => 2)),
		$from->('pgdr, not encrypted',
			Contestants->pgdr($corpus, 'restn', 'process-max' => 2, encryption => 'none')),
		$from->('pgBackRest bundle zst 1', Contestants->pgbackrest($corpus, 'restb', %bundle)),
		$from->('pgBackRest bundle zst 1 AES',
			Contestants->pgbackrest($corpus, 'restba', %bundle, %aes)),
		{ name => 'cp -a, then sync',
			prepare => sub { run_all('rm', '-rf', $dir) },
			run => sub { run_all('cp', '-a', $corpus->pgdata . '/base', $dir);
				run_all('sync', '-f', $dir) } });
	run_all('rm', '-rf', $dir);
};
