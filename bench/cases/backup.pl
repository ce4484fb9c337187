# A full backup of the running, idle server.

use strict;
use warnings;

use Bench;
use Contestants;

return sub {
	my ($corpus) = @_;
	my $ours = Contestants->pgdr($corpus, 'full', 'process-max' => 2);
	my $plain = Contestants->pgdr($corpus, 'fulln', 'process-max' => 2, encryption => 'none');
	my %bundle = ('repo1-bundle' => 'y');
	my %aes = ('repo1-cipher-type' => 'aes-256-cbc', 'repo1-cipher-pass' => 'bench');
	my $dir = $corpus->pg->dir;
	my @files = grep { -f } glob($corpus->pgdata . '/base/*/*');
	my $full = sub {
		my ($label, $c) = @_;
		return { name => $label,
			prepare => sub { $c->reset; $corpus->archive_with($c->archive_command) },
			run => sub { $c->backup },
			finish => sub { $corpus->archive_with('false') } };
	};

	compare('full backup', { bytes => $corpus->bytes },
		$full->('pgdr', $ours),
		$full->('pgdr, not encrypted', $plain),
		$full->('pgBackRest bundle zst 1', Contestants->pgbackrest($corpus, 'fullb', %bundle)),
		$full->('pgBackRest bundle zst 1 AES',
			Contestants->pgbackrest($corpus, 'fullba', %bundle, %aes)),
		cpu_limit(@files),
		{ name => 'pg_basebackup, tar, zstd 1 (client)',
			prepare => sub { run_all('rm', '-rf', "$dir/bb") },
			run => sub { run_all('pg_basebackup', '-h', $corpus->pg->host, '-p',
				$corpus->pg->port, '-D', "$dir/bb", '-Ft', '-Xfetch', '-cfast',
				'--no-sync', '--compress=client-zstd:1') } },
		{ name => 'cp -a, then sync',
			prepare => sub { run_all('rm', '-rf', "$dir/cpa") },
			run => sub { run_all('cp', '-a', $corpus->pgdata . '/base', "$dir/cpa");
				run_all('sync', '-f', "$dir/cpa") } });
	run_all('rm', '-rf', "$dir/bb", "$dir/cpa");
};
