# From nothing to a server that takes connections: restore of a full backup,
# replay of the WAL archived since, end of recovery.  All have the same WAL,
# because the server archives each segment to each of them.

use strict;
use warnings;

use Bench;
use Contestants;
use PgDr;
use Store;
use Time::HiRes qw(time usleep);

my $WAL = ($ENV{BENCH_REPLAY} // 32) * 16 * 1024 * 1024;

sub server_options
{
	my ($dir, $port) = @_;
	return join ' ', "-p $port", "-c unix_socket_directories=$dir",
	  '-c listen_addresses=', '-c hot_standby=off', '-c archive_mode=off',
	  '-c fsync=' . ($ENV{BENCH_FSYNC} // 'on'), '-c logging_collector=off';
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

# The base backup of all, and the WAL that follows it, without a repository.
sub copied
{
	my ($dir, $restore_command) = @_;

	return sub {
		my ($new) = @_;

		run_all('cp', '-a', "$dir/base", $new);
		PgDr::spew("$new/recovery.signal", '');
		if (defined $restore_command)
		{
			append("$new/postgresql.auto.conf", "restore_command = '$restore_command'\n");
			return;
		}
		append("$new/postgresql.auto.conf", "restore_command = 'false'\n");
		run_all('sh', '-c', "cp $dir/wal/0* $new/pg_wal/");
	};
}

sub peers
{
	my ($place) = @_;
	my %bundle = ('repo1-bundle' => 'y');
	my %async = ('archive-async' => 'y', 'archive-get-queue-max' => '1GiB');

	return ([ 'pgdr', $place->pgdr('pitr') ],
		$place->here(
			[ 'pgBackRest bundle zst 1', $place->pgbackrest('pitrb', %bundle) ]),
		[ 'pgBackRest bundle zst 1, async get', $place->pgbackrest('pitrc', %bundle, %async) ],
		[ 'pgBackRest bundle zst 1 AES, async get',
			$place->pgbackrest('pitrd', %bundle, %async, $place->aes) ]);
}

# Everybody's backup, and WAL that everybody has: the position that it reaches.
sub prepare
{
	my ($corpus, @who) = @_;
	my $dir = $corpus->pg->dir;

	$_->reset for @who;
	run_all('mkdir', '-p', "$dir/wal");
	$corpus->archive_with(join ' && ',
		(map { $_->archive_command } @who), "cp \"%p\" $dir/wal/\"%f\"");
	$_->backup for @who;
	run_all('pg_basebackup', '-h', $corpus->pg->host, '-p', $corpus->pg->port,
		'-D', "$dir/base", '-Xnone', '-cfast');
	my $reached = write_wal($corpus);

	$corpus->archive_with('false');
	return $reached;
}

return sub {
	my ($corpus, $place) = @_;
	my $dir = $corpus->pg->dir;
	my $port = Store::free_port();
	my @who = peers($place);
	my $reached = prepare($corpus, map { $_->[1] } @who);
	my $one = sub {
		my ($label, $restore) = @_;
		return $place->contestant(name => $label,
			prepare => sub { run_all('rm', '-rf', "$dir/new") },
			leaves => 1,
			run => sub {
				my $start = time;

				$restore->("$dir/new");
				my $then = time;

				recover("$dir/new", $port);
				return { seconds => time - $start, replay => time - $then };
			},
			finish => sub { end("$dir/new", $port, $reached) });
	};

	my $result = compare($place->title('recovery: restore, replay, ready'),
		{ bytes => $corpus->bytes + $WAL },
		(map { my $c = $_->[1]; $one->($_->[0], sub { $c->restore($_[0]) }) } @who),
		$place->here(
			$one->('cp -a, then restore_command = cp', copied($dir, "cp $dir/wal/%f %p")),
			$one->('cp -a, WAL in pg_wal already', copied($dir))));
	part($result, $place->title('replay, as a part of it'), 'replay', { bytes => $WAL });
	run_all('rm', '-rf', "$dir/base", "$dir/wal");
	$place->drop_all;
};
