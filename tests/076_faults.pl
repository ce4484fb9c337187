# Faults of the network and of servers, at each operation of the command line,
# on each kind of store over its real server.  Each case ends in success, after
# retries, or in a clear error; whatever is acknowledged is there, and whatever
# cannot be told is not called absent.

use strict;
use warnings;

use FaultProxy;
use File::Path qw(remove_tree);
use IO::Socket::INET;
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(time);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $cases = 0;

seed(76);

my $pg = PgDr->new_cluster('faults', wal_segsize => 1,
	pgdr_conf => { 'archive-timeout' => '8s' }, conf => "wal_keep_size = 512MB\n");
my $command = $pg->safe_psql('postgres', 'SHOW archive_command');
my %times = ('connect-timeout' => '2s', 'stall-timeout' => '1s', 'total-timeout' => '6s',
	retries => 3);

# The server's archiver would take segments away from the tests.
sub archiver
{
	my ($on) = @_;
	my $to = $on ? $command : 'false';

	$pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$to'");
	$pg->reload;
	return;
}

archiver(0);
$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT md5(n::text) FROM generate_series(1, 20000) n');

sub next_segment
{
	my ($name) = noise_segments($pg, 1);

	$pg->safe_psql('postgres', 'CHECKPOINT') if rand() < 0.05;
	return $name;
}

# ---- operations: ($rc, $err), and what must hold whatever happens ----

my ($store, $known);

sub stored_right
{
	my ($what, $segment) = @_;
	my ($name) = grep { m{/\Q$segment\E$} } $store->list;

	ok(defined $name, "$what: what was acknowledged is there") or return;
	spew("$tmp/raw", $store->fetch($name));
	$pg->stock_decode("$tmp/raw", "$tmp/plain");
	ok(slurp_bytes("$tmp/plain") eq slurp_bytes($pg->data_dir . "/pg_wal/$segment"),
		"$what: stock tools read it");
	return;
}

my %operations = (
	push => sub {
		my ($what, $after, %env) = @_;
		my $segment = next_segment();
		my ($rc, $out, $err) = $pg->pgdr('archive-push',
			$pg->data_dir . "/pg_wal/$segment", { env => \%env });

		ok($rc < 126, "$what: the archiver is not disturbed ($rc)");
		$after->();
		stored_right($what, $segment) if $rc == 0;
		my ($again, $out2, $err2) =
		  $pg->pgdr('archive-push', $pg->data_dir . "/pg_wal/$segment");
		is($again, 0, "$what: when it is over, push succeeds") or diag($err2);
		stored_right($what, $segment) if $rc != 0;
		return ($rc, $err);
	},
	get => sub {
		my ($what, $after, %env) = @_;

		unlink "$tmp/got";
		my ($rc, $out, $err) = $pg->pgdr('archive-get', $known, "$tmp/got", { env => \%env });
		$after->();
		if ($rc == 0)
		{
			ok(slurp_bytes("$tmp/got") eq slurp_bytes($pg->data_dir . "/pg_wal/$known"),
				"$what: what was got is right");
		}
		else
		{
			ok($rc >= 200 && $rc <= 209, "$what: recovery stops, and does not end ($rc)");
			ok(!-e "$tmp/got", "$what: nothing is handed out");
		}
		return ($rc, $err);
	},
	'get of none' => sub {
		my ($what, $after, %env) = @_;
		my ($rc, $out, $err) =
		  $pg->pgdr('archive-get', '0000000100000000000000F0', "$tmp/got", { env => \%env });

		$after->();
		ok($rc == 1 || $rc >= 200, "$what: absent, or not known ($rc)");
		ok($rc != 1 || $err =~ /not in/, "$what: absent only by the server's word");
		return ($rc == 1 ? 0 : $rc, $err);
	},
	backup => sub {
		my ($what, $after, %env) = @_;

		archiver(1);
		my ($rc, @lines) = $pg->pgdr_json('backup', { env => \%env });
		$after->();
		archiver(0);
		my ($error) = grep { $_->{type} eq 'error' } @lines;
		if ($rc == 0)
		{
			my $label = $pg->last_of('result', @lines)->{label};
			is(scalar(grep { $_ eq "backup/$label/manifest" } $store->list),
				1, "$what: a complete backup is there");
		}
		return ($rc, join ' ', map { $error->{$_} // '' } qw(message detail hint));
	},
	restore => sub {
		my ($what, $after, %env) = @_;

		remove_tree("$tmp/restored");
		my ($rc, $out, $err) =
		  $pg->pgdr('restore', '--target-dir', "$tmp/restored", { env => \%env });
		$after->();
		is(system("pg_verifybackup -n '$tmp/restored' >/dev/null"), 0, "$what: restored right")
		  if $rc == 0;
		ok(!-e "$tmp/restored/postmaster.pid" && !-e "$tmp/restored/recovery.signal",
			"$what: what is not complete cannot be started") if $rc != 0;
		return ($rc, $err);
	},
	info => sub {
		my ($what, $after, %env) = @_;
		my ($rc, @lines) = $pg->pgdr_json('info', { env => \%env });

		$after->();
		my ($error) = grep { $_->{type} =~ /error|problem/ } @lines;
		ok($rc != 0 || (grep { $_->{type} eq 'backup' } @lines), "$what: all is listed, or an error");
		return ($rc, join ' ', map { $error->{$_} // '' } qw(message detail hint));
	},
	verify => sub {
		my ($what, $after, %env) = @_;
		my ($rc, $out, $err) = $pg->pgdr('verify', { env => \%env });

		$after->();
		return ($rc, "$out$err");
	});

# One case.  $expect is "success", a pattern for the error, or "either".
sub try_case
{
	my ($what, $operation, $expect, $set, $after, %env) = @_;
	my $label = "$what, $operation";
	my $start = time;

	$cases++;
	$set->();
	my ($rc, $err) = $operations{$operation}->($label, $after // sub { }, %env);
	note(sprintf '%s: %s after %.1f s', $label, $rc == 0 ? 'success' : "status $rc", time - $start);
	if ($expect eq 'success')
	{
		is($rc, 0, "$label: succeeds") or diag($err);
	}
	elsif ($expect eq 'either')
	{
		ok($rc == 0 || $err =~ /could not|damaged|SHA|not the/, "$label: succeeds, or says why")
		  or diag($err);
	}
	else
	{
		isnt($rc, 0, "$label: fails");
		like($err, $expect, "$label: and says why");
	}
	cmp_ok(time - $start, '<', 60, "$label: comes to an end");
	return;
}

# ---- the network ----

my %network = (
	'cut in the middle' => [ 'success', cut_up => 30000, cut_down => 30000, times => 1 ],
	'reset in the middle' => [ 'success', cut_up => 20000, cut_down => 20000, reset => 1, times => 1 ],
	'answer lost' => [ 'success', cut_down => 1, times => 1 ],
	'refused twice' => [ 'success', refuse => 1, times => 2 ],
	'stalls once' => [ 'success', stall_up => 25000, stall_down => 25000, times => 1 ],
	'a bit flips up' => [ 'either', flip_up => 20000, times => 1 ],
	'a bit flips down' => [ 'either', flip_down => 5000, times => 1 ],
	'refused for good' => [ qr/could not.*(refused|closed|reset|no answer|Empty reply|disconnect|Failed|connect)/is, refuse => 1 ],
	'cut for good' => [ qr/could not/, cut_down => 1 ],
	'stalls for good' => [ qr/could not.*(time|answer|stall|s without)/is, stall_down => 1 ]);
my %http = (
	'30 % answered 503' => [ 'success', busy_percent => 30 ],
	'all answered 503' => [ qr/503|SlowDown|busy/i, busy_percent => 100 ]);

sub test_network
{
	my ($kind, $proxy) = @_;
	my %faults = ($kind eq 'sftp' ? %network : (%network, %http));
	my @operations = qw(push get backup restore info);

	for my $fault (sort keys %faults)
	{
		my ($expect, %how) = @{ $faults{$fault} };
		# those that end only by time are tried where they matter most
		my @try = soak() ? (@operations, 'get of none', 'verify')
		  : ref $expect ? qw(push get) : @operations;

		for my $operation (@try)
		{
			try_case("$kind: $fault", $operation, $expect, sub { $proxy->set(%how) },
				sub { $proxy->set });
		}
	}
	return;
}

# ---- what is configured wrongly, or has become wrong ----

sub with_keys
{
	my (%keys) = @_;
	Store::use_in($pg, $store->section('far', %times, %keys));
	return;
}

sub wrong
{
	my ($what, $pattern, $keys, %env) = @_;

	for my $operation (soak() ? qw(push get info) : qw(push get))
	{
		try_case($what, $operation, $pattern, sub { with_keys(%$keys) }, sub { with_keys() }, %env);
	}
	return;
}

sub revoked
{
	my ($kind, $revoke, $give_back) = @_;

	try_case("$kind: rights revoked", $_, qr/denied|403|Suspended|refused the key/i, $revoke, $give_back)
	  for qw(push get info);
	return;
}

sub file_with
{
	my ($name, $text) = @_;

	spew("$tmp/$name", "$text\n");
	chmod 0600, "$tmp/$name";
	return "$tmp/$name";
}

# A server that answers every request in the same way, as portals do.
sub portal
{
	my ($answer) = @_;
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 50) or die "listen: $!";
	my $port = $socket->sockport;
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		while (my $client = $socket->accept)
		{
			my $head = '';
			$client->sysread($head, 65536);
			print $client $answer;
			close $client;
		}
		POSIX::_exit(0);
	}
	return ($port, sub { kill 'KILL', $pid; waitpid $pid, 0 });
}

sub test_portals
{
	my ($kind, $path) = @_;
	my %answers = (
		'404 of somebody else' => "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n"
		  . "Content-Length: 15\r\nConnection: close\r\n\r\n<html>no</html>",
		'200 of a portal' => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
		  . "Content-Length: 18\r\nConnection: close\r\n\r\n<html>login</html>",
		'redirected' => "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
		  . "Content-Length: 0\r\nConnection: close\r\n\r\n",
		'not HTTP' => "SSH-2.0-OpenSSH_9.2\r\n");

	for my $what (sort keys %answers)
	{
		my ($port, $end) = portal($answers{$what});

		wrong("$kind: $what", qr/could not|no repository|well-formed/,
			{ endpoint => "http://127.0.0.1:$port$path" });
		$end->();
	}
	return;
}

# Certificates, by a TLS server of their own: the client has to turn away.
sub test_certificates
{
	my ($kind, $path) = @_;
	my $dir = "$tmp/certificates";

	Store::service('certificates.sh', $dir) unless -d $dir;
	for my $case ([ 'expired', 'ca', 'localhost', qr/expired/i ],
		[ 'server', 'other-ca', 'localhost', qr/issuer|self.signed|authority|verif/i ],
		[ 'server', 'ca', '127.0.0.1', qr/127\.0\.0\.1|name|match/i ])
	{
		my ($certificate, $ca, $host, $pattern) = @$case;
		my $port = Store::free_port();
		my $pid = fork // die "fork: $!";

		if ($pid == 0)
		{
			open STDOUT, '>', '/dev/null';
			open STDERR, '>', '/dev/null';
			exec('openssl', 's_server', '-accept', "127.0.0.1:$port", '-www', '-quiet',
				'-cert', "$dir/$certificate.crt", '-key', "$dir/$certificate.key") or POSIX::_exit(1);
		}
		PgDr::poll(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") ? 1 : 0 }, 'a TLS server');
		wrong("$kind: certificate $certificate for $host by $ca", $pattern,
			{ endpoint => "https://$host:$port$path", 'ca-file' => "$dir/$ca.crt" });
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	return;
}

my %wrong = (
	s3 => sub {
		wrong('s3: wrong secret key', qr/403|denied|Signature/i,
			{ 'secret-key-file' => file_with('wrong-secret', 'x' x 40) });
		wrong('s3: unknown access key', qr/403|denied|InvalidAccessKeyId/i,
			{ 'access-key-file' => file_with('wrong-access', 'nobody') });
		wrong('s3: no such bucket', qr/NoSuchBucket|bucket/i, { bucket => 'no-such-bucket' });
		wrong('s3: name not known', qr/resolve|name/i, { endpoint => 'http://no-such-host.invalid' });
		wrong('s3: clock is wrong', qr/clock|Skew/i, {}, fake_clock(7200));
		revoked('s3', sub { $store->admin('user', 'suspend', '--uid=test') },
			sub { $store->admin('user', 'enable', '--uid=test') });
		test_portals('s3', '');
		test_certificates('s3', '');
	},
	azure => sub {
		wrong('azure: wrong account key', qr/403|denied|Authenti/i,
			{ 'account-key-file' => file_with('wrong-key', 'eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4') });
		wrong('azure: no such container', qr/container|404/i, { container => 'nosuch' });
		wrong('azure: signature has expired', qr/403|expired|denied|Authenti/i,
			{ 'account-key-file' => undef,
				'sas-token-file' => file_with('old-sas', $store->new_sas('racwdl', '-60')) });
		wrong('azure: name not known', qr/resolve|name/i,
			{ endpoint => 'http://no-such-host.invalid/pgdrtest' });
		test_portals('azure', '/pgdrtest');
		test_certificates('azure', '/pgdrtest');
	},
	sftp => sub {
		my $sshd = "$store->{dir}/sshd";

		wrong('sftp: other host key', qr/host key|fingerprint/i,
			{ 'host-key-sha256' => 'SHA256:' . 'A' x 43 });
		wrong('sftp: key of a stranger', qr/authenti|key|denied/i,
			{ 'private-key-file' => "$sshd/id_stranger" });
		wrong('sftp: name not known', qr/resolve|name|host/i, { host => 'no-such-host.invalid' });
		revoked('sftp', sub { rename "$sshd/authorized_keys", "$sshd/no_keys" or die "rename: $!" },
			sub { rename "$sshd/no_keys", "$sshd/authorized_keys" or die "rename: $!" });
		chmod 0500, $store->{root};
		wrong('sftp: directory is closed', qr/denied|permission|could not/i,
			{ path => "$store->{root}/none" });
		chmod 0700, $store->{root};
	});

for my $kind (qw(s3 azure sftp))
{
	$store = Store->new($kind, "$tmp/$kind");
	my $proxy = FaultProxy->new($store->{port});

	with_keys();
	$pg->pgdr_ok('repo-init');
	archiver(1);
	$pg->backup;
	$known = Store::ship($pg);
	archiver(0);
	$wrong{$kind}->();
	Store::use_in($pg, $store->through($proxy->port)->section('far', %times));
	test_network($kind, $proxy);
	with_keys();
	my ($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	# holes are what the held archiver left
	ok($rc == 0 || $rc == 10, "$kind: verify --deep");
	unlike("$out$err", qr/damaged|SHA-256/, "$kind: nothing that was stored is damaged");
	undef $proxy;
	$store->stop;
}
cmp_ok($cases, '>=', 40, "$cases cases");
$pg->stop;

done_testing();
