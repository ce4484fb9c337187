# The main job on each kind of store that is not a directory, over its real
# server: archive, back up under load, lose the cluster, recover to a time.

use strict;
use warnings;

use File::Path qw(make_path);
use IPC::Run ();
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir;
my $services = "$ENV{TESTDIR}/tests/services";

sub run_ok
{
	my (@command) = @_;
	my ($rc, $out, $err) = PgDr::run_plain([@command]);

	die "@command: $out$err" if $rc != 0;
	return $out;
}

# A port that nobody listens at now.
sub free_port
{
	require IO::Socket::INET;
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1)
	  or die "no free port: $!";
	return $socket->sockport;
}

# ---- the stores ----

sub start_s3
{
	my $dir = "$tmp/rgw";
	my $log = "$tmp/rgw.log";

	# it ends with the process that called it, so not with a short-lived one
	system("$services/rgw.sh", 'start', $dir) == 0 or die "rgw.sh failed";
	my %env = PgDr::slurp_bytes("$dir/env") =~ /^(\w+)=(.*)$/mg;
	my $endpoint = "http://127.0.0.1:$env{S3_PORT}";
	my @s3cmd = (
		's3cmd', "--access_key=$env{S3_ACCESS_KEY}",
		"--secret_key=$env{S3_SECRET_KEY}", '--no-ssl',
		"--host=127.0.0.1:$env{S3_PORT}",
		"--host-bucket=127.0.0.1:$env{S3_PORT}", '-c', '/dev/null');

	run_ok(@s3cmd, 'mb', 's3://backups');
	for my $name (qw(access secret))
	{
		PgDr::spew("$tmp/$name", $env{ 'S3_' . uc($name) . '_KEY' } . "\n");
		chmod 0600, "$tmp/$name";
	}
	return {
		conf => "type = s3\nendpoint = $endpoint\nbucket = backups\n"
		  . "path = main\naccess-key-file = $tmp/access\n"
		  . "secret-key-file = $tmp/secret\n",
		# the object exactly as stored, by somebody else's program
		fetch => sub {
			my ($name, $to) = @_;
			run_ok(@s3cmd, 'get', "s3://backups/main/$name", $to);
		},
		secrets => [ $env{S3_SECRET_KEY} ],
		stop => sub { system("$services/rgw.sh", 'stop', $dir) },
	};
}

sub start_sftp
{
	my $dir = "$tmp/sshd";
	my $port = free_port();
	my $user = getpwuid($<);

	make_path("$tmp/far");
	system("$services/sshd.sh", 'start', $dir, $port) == 0
	  or die "sshd.sh failed";
	chomp(my $fingerprint = PgDr::slurp_bytes("$dir/fingerprint"));
	return {
		conf => "type = sftp\nhost = 127.0.0.1\nport = $port\nuser = $user\n"
		  . "path = $tmp/far/main\nprivate-key-file = $dir/id_ed25519\n"
		  . "host-key-sha256 = $fingerprint\nconnect-timeout = 2s\n"
		  . "total-timeout = 5s\nretries = 1\n",
		fetch => sub {
			my ($name, $to) = @_;
			run_ok('cp', "$tmp/far/main/$name", $to);
		},
		secrets => [],
		stop => sub { system("$services/sshd.sh", 'stop', $dir) },
		start => sub {
			system("$services/sshd.sh", 'start', $dir, $port) == 0
			  or die "sshd.sh failed";
		},
	};
}

# ---- the cluster ----

# The configuration of init, with another store in the place of the directory.
sub use_store
{
	my ($pg, $store) = @_;
	my $text = PgDr::slurp_bytes($pg->config);

	$text =~ s/^\[repo:local\].*\z/[repo:far]\n$store->{conf}/ms
	  or die 'no section of the repository';
	PgDr::spew($pg->config, $text);
	return;
}

sub segment_now
{
	my ($pg) = @_;
	return $pg->safe_psql('postgres',
		'SELECT pg_walfile_name(pg_current_wal_lsn())');
}

sub object_of
{
	my ($pg, $segment) = @_;
	my ($name) = $pg->pgdr_ok('repo-ls', '--recursive') =~
	  m{(wal/\S+/\Q$segment\E)\b};
	return $name;
}

# Switches, and waits until the archiver has shipped that segment.
sub ship
{
	my ($pg) = @_;
	my $segment = segment_now($pg);

	$pg->safe_psql('postgres',
		q{SELECT pg_create_restore_point('x'); SELECT pg_switch_wal()});
	PgDr::poll(
		sub {
			$pg->safe_psql('postgres',
				"SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver")
			  eq 't';
		},
		"$segment to be archived");
	return $segment;
}

sub test_readable
{
	my ($pg, $store, $kind, $segment) = @_;
	my $name = object_of($pg, $segment);
	my $raw = "$tmp/$kind.raw";

	ok($name, "$kind: the segment is listed");
	$store->{fetch}->($name, $raw);
	my $plain = PgDr::slurp_bytes($pg->stock_decode($raw, "$raw.wal"));
	is(length $plain, 16 * 1024 * 1024,
		"$kind: stock tools read what another program fetched");
	my ($rc, $out, $err) = $pg->pgdr('repo-get', $name);
	ok($rc == 0 && $out eq $plain, "$kind: and it is what pgdr reads");
	return;
}

sub test_main_job
{
	my ($kind, $store) = @_;
	my $pg = PgDr->new_cluster($kind);

	use_store($pg, $store);
	like($pg->pgdr_ok('repo-init'), qr/"far" is made/, "$kind: repo-init");
	my ($rc, $out, $err) = $pg->pgdr('repo-init');
	isnt($rc, 0, "$kind: not twice");
	like($err, qr/there is a repository .* already/, "$kind: and why");

	$pg->pgbench_init(2);
	$pg->safe_psql('postgres',
		'CREATE TABLE marker (n int, at timestamptz DEFAULT clock_timestamp())');
	my $load = $pg->pgbench_start('-c', 4, '-T', 30);
	my $label = $pg->backup;
	like($label, qr/^\d{8}T\d{6}Z$/, "$kind: a backup under load");
	$pg->safe_psql('postgres', "INSERT INTO marker VALUES ($_)") for (1 .. 3);
	my $target = $pg->safe_psql('postgres',
		q{SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',
			'YYYY-MM-DD HH24:MI:SS.US') || '+00'});
	$pg->safe_psql('postgres', "INSERT INTO marker VALUES ($_)") for (4 .. 6);
	my $segment = ship($pg);
	test_readable($pg, $store, $kind, $segment);
	test_outage($pg, $store, $kind) if $store->{start};
	ship($pg);
	$pg->destroy;
	$pg->pgbench_finish($load);

	($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	is($rc, 0, "$kind: verify --deep") or diag($out, $err);
	$pg->restore_here('--target-type', 'time', '--target', $target);
	$pg->adopt;
	$pg->verifybackup_ok($kind);
	$pg->start_recovered;
	is($pg->safe_psql('postgres', 'SELECT max(n) FROM marker'),
		3, "$kind: recovered to the target");
	$pg->balanced_ok($kind);
	for my $secret (@{ $store->{secrets} })
	{
		unlike(PgDr::slurp_bytes($pg->logfile), qr/\Q$secret\E/,
			"$kind: no secret in the server's log");
	}
	$pg->stop;
	return;
}

# What cannot be reached is not absent, nothing is acknowledged, and the
# backlog drains when the store is back.
sub test_outage
{
	my ($pg, $store, $kind) = @_;

	$store->{stop}->();
	my ($rc, $out, $err) =
	  $pg->pgdr('archive-get', '0000000100000000000000FF', "$tmp/never");
	is($rc, 201, "$kind: a store that does not answer is not absence")
	  or diag($out, $err);
	my $before =
	  $pg->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver');
	$pg->safe_psql('postgres',
		q{SELECT pg_create_restore_point('x'); SELECT pg_switch_wal()});
	PgDr::poll(
		sub {
			$pg->safe_psql('postgres',
				"SELECT failed_count > $before FROM pg_stat_archiver") eq 't';
		},
		'archiving to fail');
	$store->{start}->();
	ship($pg);
	pass("$kind: the backlog drains");
	return;
}

my %stores = (s3 => \&start_s3, sftp => \&start_sftp);

for my $kind (sort keys %stores)
{
	my $store = $stores{$kind}->();

	test_main_job($kind, $store);
	$store->{stop}->();
}

done_testing();
