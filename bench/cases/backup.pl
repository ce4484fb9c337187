# A full backup of the running, idle server.

use strict;
use warnings;

use Bench;
use Contestants;

sub base_backup
{
	my ($corpus, $dir, $label, @options) = @_;

	return { name => "pg_basebackup, $label",
		prepare => sub { run_all('rm', '-rf', $dir) },
		run => sub { run_all('pg_basebackup', '-h', $corpus->pg->host, '-p',
			$corpus->pg->port, '-D', $dir, '-Xfetch', '-cfast', @options) },
		finish => sub { run_all('rm', '-rf', $dir) } };
}

return sub {
	my ($corpus, $place) = @_;
	my %bundle = ('repo1-bundle' => 'y');
	my %aes = $place->aes;
	my $dir = $corpus->pg->dir;
	my @files = grep { -f } glob($corpus->pgdata . '/base/*/*');
	my $full = sub {
		my ($label, $c) = @_;
		return $place->contestant(name => $label,
			prepare => sub { $c->reset; $corpus->archive_with($c->archive_command) },
			run => sub { $c->backup },
			stored => sub { $c->stored },
			finish => sub { $corpus->archive_with('false'); $c->drop });
	};

	compare($place->title('full backup'), { bytes => $corpus->bytes },
		$full->('pgdr', $place->pgdr('full')),
		$full->('pgdr, not encrypted', $place->pgdr('fulln', encryption => 'none')),
		$full->('pgBackRest bundle zst 1', $place->pgbackrest('fullb', %bundle)),
		$full->('pgBackRest bundle zst 1 AES', $place->pgbackrest('fullba', %bundle, %aes)),
		$place->here(
			cpu_limit(@files),
			base_backup($corpus, "$dir/bb", 'tar, zstd 1 (client)',
				qw(-Ft --no-sync --compress=client-zstd:1)),
			base_backup($corpus, "$dir/bb", 'plain', '-Fp'),
			command_limit('zstd -1 -T2', 'xargs -a "$1" cat | zstd -q -1 -T2 >/dev/null', @files),
			{ name => 'cp -a, then sync',
				prepare => sub { run_all('rm', '-rf', "$dir/cpa") },
				run => sub { run_all('cp', '-a', $corpus->pgdata . '/base', "$dir/cpa");
					run_all('sync', '-f', "$dir/cpa") },
				finish => sub { run_all('rm', '-rf', "$dir/cpa") } }));
};
