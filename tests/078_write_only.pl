# A host that only writes: it has recipients and no identity, and credentials
# that may create and list, but neither read nor remove, set up as the pages in
# doc/ say.  It archives, backs up and checks; another host reads, restores and
# expires.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $doc = "$ENV{TESTDIR}/doc";

sub file_with
{
	my ($name, $text) = @_;

	spew("$tmp/$name", "$text\n");
	chmod 0600, "$tmp/$name";
	return "$tmp/$name";
}

# The first policy of the page, for a user of Ceph, where objects belong to who
# wrote them: that one must be denied what it may do with its own.
sub s3_policy
{
	my ($json) = slurp_bytes("$doc/storage-s3.md") =~ /^```json\n(\{.*?^\})\n```/ms
	  or die 'no policy in the page';
	my $policy = JSON::PP->new->decode($json =~ s/example-backups/backups/gr);
	my @objects = map { "arn:aws:s3:::backups/main/$_/*" } qw(wal backup);

	$_->{Principal} = { AWS => ['arn:aws:iam:::user/writer'] } for @{ $policy->{Statement} };
	push @{ $policy->{Statement} },
	  { Effect => 'Deny', Principal => { AWS => ['arn:aws:iam:::user/writer'] },
		Action => [ 's3:GetObject', 's3:DeleteObject' ], Resource => \@objects },
	  { Effect => 'Allow', Principal => { AWS => ['arn:aws:iam:::user/test'] },
		Action => ['s3:*'], Resource => [ 'arn:aws:s3:::backups', 'arn:aws:s3:::backups/*' ] };
	return JSON::PP->new->encode($policy);
}

# Each returns the keys of the host that writes, and what must fail: commands
# of other programs with its credentials, for the name of an object.
my %writer = (
	s3 => sub {
		my ($store) = @_;
		my ($access, $secret) = ('writeraccess', 'writersecret0123456789abcdefghijklmnopqr');
		my @s3cmd = map { s/^(--access_key=).*/$1$access/r =~ s/^(--secret_key=).*/$1$secret/r }
		  @{ $store->{s3cmd} };

		$store->admin('user', 'create', '--uid=writer', '--display-name=writer',
			"--access-key=$access", "--secret-key=$secret");
		$store->s3cmd('setpolicy', file_with('policy', s3_policy()), 's3://backups');
		return (
			{ 'access-key-file' => file_with('access', $access),
				'secret-key-file' => file_with('secret', $secret) },
			reading => sub { return (@s3cmd, 'get', '--force', "s3://backups/main/$_[0]", "$tmp/x") },
			removing => sub { return (@s3cmd, 'del', "s3://backups/main/$_[0]") });
	},
	azure => sub {
		my ($store) = @_;
		my $sas = $store->new_sas('cl');
		my $url = sub { return "$store->{container}/main/$_[0]?$sas" };

		return (
			{ 'account-key-file' => undef, 'sas-token-file' => file_with('sas', $sas),
				'block-size' => '200MB' },
			reading => sub { return ('curl', '-fsS', $url->($_[0]), '-o', "$tmp/x") },
			removing => sub { return ('curl', '-fsS', '-X', 'DELETE', $url->($_[0])) });
	},
	sftp => sub {
		my ($store) = @_;
		my ($force) = slurp_bytes("$doc/storage-sftp.md") =~ /^\s*(ForceCommand internal-sftp .*)$/m
		  or die 'no ForceCommand in the page';
		my $port = Store::free_port();
		my $dir = "$store->{dir}/writer";
		my $key = "$dir/id_ed25519";
		my $batch = sub {
			return ('sh', '-c', "printf '%s\\n' '$_[0]' | sftp -q -b - -P $port -i $key "
				  . "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null 127.0.0.1");
		};

		{
			local $ENV{SSHD_OPTIONS} = $force;
			Store::service('sshd.sh', 'start', $dir, $port);
		}
		chomp(my $fingerprint = slurp_bytes("$dir/fingerprint"));
		return (
			{ port => $port, 'private-key-file' => $key, 'host-key-sha256' => $fingerprint,
				'write-once' => 'yes' },
			reading => sub { return $batch->("get $store->{root}/$_[0] $tmp/x") },
			removing => sub { return $batch->("rm $store->{root}/$_[0]") },
			end => sub { Store::service('sshd.sh', 'stop', $dir) });
	});

# Another segment under the same name.
sub other_content
{
	my ($from, $to) = @_;
	my $bytes = slurp_bytes($from);

	substr($bytes, 8192 * 2 + 100, 4) = 'xxxx';
	spew($to, $bytes);
	return;
}

sub test_writing
{
	my ($kind, $pg, $store, %must_fail) = @_;
	my $segment = Store::ship($pg);
	my $path = $pg->data_dir . "/pg_wal/$segment";
	my ($name) = grep { m{/\Q$segment\E$} } $store->list;

	ok($name, "$kind: a segment is archived");
	for my $what (qw(reading removing))
	{
		my ($rc) = PgDr::run_plain([ $must_fail{$what}->($name) ]);
		isnt($rc, 0, "$kind: $what is refused to another program");
	}
	is(scalar(grep { $_ eq $name } $store->list), 1, "$kind: it is still there");

	my ($rc, $out, $err) = $pg->pgdr('archive-push', $path);
	is($rc, 0, "$kind: the same again is no error") or diag($err);
	other_content($path, "$tmp/$segment");
	($rc, $out, $err) = $pg->pgdr('archive-push', "$tmp/$segment");
	ok($rc > 0 && $rc < 126, "$kind: other content is not acknowledged ($rc)");
	like($err, qr/other content/, "$kind: and why");
	my ($status, @lines) = $pg->pgdr_json('backup');
	is($status, 0, "$kind: a backup") or diag(explain(\@lines));
	($rc, $out, $err) = $pg->pgdr('check');
	is($rc, 0, "$kind: check") or diag($out, $err);
	($rc, $out, $err) = $pg->pgdr('archive-get', $segment, "$tmp/got");
	ok($rc >= 200 && $rc <= 209, "$kind: getting fails ($rc)");
	($rc, $out, $err) = $pg->pgdr('expire', '--keep-full=1');
	isnt($rc, 0, "$kind: so does expire") if $kind ne 's3' || soak();
	return $segment;
}

sub test_reading
{
	my ($kind, $pg, $store) = @_;
	my ($rc, $out, $err) = $pg->pgdr('verify', '--deep');

	is($rc, 0, "$kind: another host verifies") or diag($out, $err);
	my $copy = $pg->restore("${kind}_copy");
	$copy->verifybackup_ok("$kind: restored there");
	$copy->start_recovered;
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM t'),
		$pg->safe_psql('postgres', 'SELECT count(*) FROM t'), "$kind: all is there");
	$copy->stop;
	($rc, $out, $err) = $pg->pgdr('expire', '--keep-full=1');
	is($rc, 0, "$kind: and expires") or diag($out, $err);
	my %backups = map { m{^backup/([^/]+)/manifest$} ? ($1 => 1) : () } $store->list;
	is(scalar(keys %backups), 1, "$kind: one backup is left");
	return;
}

for my $kind (qw(s3 azure sftp))
{
	my $store = Store->new($kind, "$tmp/$kind");
	my $pg = PgDr->new_cluster("w$kind", wal_segsize => 1, conf => "wal_keep_size = 64MB\n",
		pgdr_conf => { 'archive-timeout' => '30s' });
	my $identity = $pg->identity;

	Store::use_in($pg, $store->section('far'));
	$pg->pgdr_ok('repo-init');
	my ($keys, %commands) = $writer{$kind}->($store);
	Store::use_in($pg, $store->section('far', %$keys));
	$pg->set_config('identity-file' => undef);
	rename $identity, "$identity.away" or die "rename: $!";
	$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) n');
	Store::ship($pg);
	is(($pg->pgdr('backup'))[0], 0, "$kind: a first backup");
	test_writing($kind, $pg, $store, %commands);
	Store::ship($pg);

	rename "$identity.away", $identity or die "rename: $!";
	$pg->set_config('identity-file' => $identity);
	Store::use_in($pg, $store->section('far'));
	test_reading($kind, $pg, $store);
	$pg->stop;
	$commands{end}->() if $commands{end};
	$store->stop;
}

done_testing();
