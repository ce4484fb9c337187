# From nothing to a server that takes connections: restore of a full backup,
# replay of the WAL archived since, end of recovery.  All have the same WAL,
# because the server archives each segment to each of them.

use strict;
use warnings;

use Bench;
use Contestants;
use PgDr;
use Store;
use Time::HiRes qw(usleep);

my $WAL = ($ENV{BENCH_REPLAY} // 64) * 16 * 1024 * 1024;

sub server_options
{
	my ($dir, $port) = @_;
	return join ' ', "-p $port", "-c unix_socket_directories=$dir",
	  '-c listen_addresses=', '-c hot_standby=off', '-c archive_mode=off',
	  '-c fsync=on', '-c logging_collector=off';
}

# With hot_standby off it takes connections only when recovery has ended; what
# pg_ctl waits for comes earlier.
sub recover
{
	my ($dir, $port) = @_;

	run_all('pg_ctl', '-D', $dir, '-l', "$dir.log", '-W', '-o',
		server_options($dir, $port), 'start');
	for (1 .. 60000)
	{
		return if system("pg_isready -q -h $dir -p $port") == 0;
		usleep(10_000);
	}
	die "no recovery in time: see $dir.log\n";
}

# A server that did not replay all there is was not faster, it lost data.
sub end
{
	my ($dir, $port, $reached) = @_;
	my $answer = run_all('psql', '-XAtq', '-h', $dir, '-p', $port, '-d', 'postgres',
		'-c', "SELECT pg_current_wal_lsn() >= '$reached'");

	die "recovery ended before $reached\n" if $answer ne "t\n";
	run_all('pg_ctl', '-D', $dir, '-m', 'immediate', 'stop');
	run_all('rm', '-rf', $dir, "$dir.log");
	return;
}

sub write_wal
{
	my ($corpus) = @_;
	my $pg = $corpus->pg;
	my $start = $pg->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');

	for (1 .. 500)
	{
		run_all('pgbench', '-h', $pg->host, '-p', $pg->port, '-n', '-c', 4, '-j', 2,
			'-T', 2, 'postgres');
		$pg->safe_psql('postgres', q{
INSERT INTO documents SELECT n, md5(random()::text), repeat(md5(n::text), 4)
FROM generate_series(1, 40000) n;
UPDATE documents SET hash = md5(hash) WHERE id % 50 = 3});
		last if $pg->safe_psql('postgres',
			"SELECT pg_current_wal_lsn() - '$start'::pg_lsn > $WAL") eq 't';
	}
	my ($last, $reached) = split /\|/, $pg->safe_psql('postgres',
		'SELECT pg_walfile_name(lsn), lsn FROM pg_current_wal_lsn() lsn');
	$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
	PgDr::poll(sub { $pg->safe_psql('postgres',
			"SELECT last_archived_wal >= '$last' FROM pg_stat_archiver") eq 't' },
		'all WAL to be archived');
	return $reached;
}

sub append
{
	my ($file, $text) = @_;

	open my $to, '>>', $file or die "$file: $!";
	print $to $text;
	close $to or die "$file: $!";
	return;
}

return sub {
	my ($corpus) = @_;
	my $dir = $corpus->pg->dir;
	my $port = Store::free_port();
	my %aes = ('repo1-cipher-type' => 'aes-256-cbc', 'repo1-cipher-pass' => 'bench');
	my @who = (
		[ 'pgdr', Contestants->pgdr($corpus, 'pitr', 'process-max' => 2) ],
		[ 'pgBackRest bundle zst 1',
			Contestants->pgbackrest($corpus, 'pitrb', 'repo1-bundle' => 'y') ],
		[ 'pgBackRest bundle zst 1, async get',
			Contestants->pgbackrest($corpus, 'pitrc', 'repo1-bundle' => 'y',
				'archive-async' => 'y', 'archive-get-queue-max' => '1GiB') ],
		[ 'pgBackRest bundle zst 1 AES, async get',
			Contestants->pgbackrest($corpus, 'pitrd', 'repo1-bundle' => 'y', %aes,
				'archive-async' => 'y', 'archive-get-queue-max' => '1GiB') ]);

	$_->[1]->reset for @who;
	mkdir "$dir/wal";
	$corpus->archive_with(join ' && ',
		(map { $_->[1]->archive_command } @who), "cp \"%p\" $dir/wal/\"%f\"");
	$_->[1]->backup for @who;
	run_all('pg_basebackup', '-h', $corpus->pg->host, '-p', $corpus->pg->port,
		'-D', "$dir/base", '-Xnone', '-cfast');
	my $reached = write_wal($corpus);
	$corpus->archive_with('false');

	my $one = sub {
		my ($label, $restore) = @_;
		return { name => $label,
			prepare => sub { run_all('rm', '-rf', "$dir/new") },
			leaves => 1,
			run => sub { $restore->("$dir/new"); recover("$dir/new", $port) },
			finish => sub { end("$dir/new", $port, $reached) } };
	};
	my $copied = sub {
		my ($new, $set_up) = @_;

		run_all('cp', '-a', "$dir/base", $new);
		PgDr::spew("$new/recovery.signal", '');
		$set_up->($new);
	};

	compare('recovery: restore, replay, ready', { bytes => $corpus->bytes + $WAL },
		(map { my $c = $_->[1]; $one->($_->[0], sub { $c->restore($_[0]) }) } @who),
		$one->('cp -a, then restore_command = cp', sub { $copied->($_[0], sub {
			append("$_[0]/postgresql.auto.conf", "restore_command = 'cp $dir/wal/%f %p'\n") }) }),
		$one->('cp -a, WAL in pg_wal already', sub { $copied->($_[0], sub {
			append("$_[0]/postgresql.auto.conf", "restore_command = 'false'\n");
			run_all('sh', '-c', "cp $dir/wal/0* $_[0]/pg_wal/") }) }));

	my $replay = sub {
		my ($label, $restore) = @_;
		return { name => $label,
			prepare => sub { run_all('rm', '-rf', "$dir/new"); $restore->("$dir/new") },
			leaves => 1,
			run => sub { recover("$dir/new", $port) },
			finish => sub { end("$dir/new", $port, $reached) } };
	};
	compare('replay alone', { bytes => $WAL },
		(map { my $c = $_->[1]; $replay->($_->[0], sub { $c->restore($_[0]) }) } @who),
		$replay->('restore_command = cp', sub { $copied->($_[0], sub {
			append("$_[0]/postgresql.auto.conf", "restore_command = 'cp $dir/wal/%f %p'\n") }) }),
		$replay->('WAL in pg_wal already', sub { $copied->($_[0], sub {
			append("$_[0]/postgresql.auto.conf", "restore_command = 'false'\n");
			run_all('sh', '-c', "cp $dir/wal/0* $_[0]/pg_wal/") }) }));
	run_all('rm', '-rf', "$dir/base", "$dir/wal");
};
