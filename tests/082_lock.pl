# Object Lock on a real S3 server: before its date neither the credentials of
# pgdr in the hands of an attacker nor pgdr itself remove or change an object;
# expire says so and goes on, and takes it when the time has come.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $day = 86400;
my $store = Store->new('s3', "$tmp/s3");
my ($access) = slurp_bytes($store->{keys}{'access-key-file'}) =~ /(\S+)/;
my ($secret) = slurp_bytes($store->{keys}{'secret-key-file'}) =~ /(\S+)/;

# One request with pgdr's own credentials: (status, version).
sub s3
{
	my ($operation, %with) = @_;
	local $ENV{AWS_ACCESS_KEY_ID} = $access;
	local $ENV{AWS_SECRET_ACCESS_KEY} = $secret;
	local $ENV{AWS_EC2_METADATA_DISABLED} = 'true';
	open my $answer, '-|', "$ENV{TESTDIR}/tests/services/s3_request.py",
	  $store->{keys}{endpoint}, $operation, 'Bucket=worm',
	  map { "$_=$with{$_}" } sort keys %with
	  or die "s3_request.py: $!";

	return split ' ', (readline($answer) // '');
}

sub of { return (Key => "main/$_[0]") }

is((s3('create_bucket', ObjectLockEnabledForBucket => 'True'))[0],
	200, 'a bucket with Object Lock');

my $pg = PgDr->new_cluster('main', wal_segsize => 1, conf => "max_wal_size = 200MB\n");
Store::use_in($pg, $store->section('far', bucket => 'worm',
	# this server keeps no condition in a bucket with versions
	conditional => 'head', 'object-lock' => 'compliance', 'lock-days' => 10));
$pg->pgdr_ok('repo-init');
$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT 1 AS n');
my $first = $pg->pgdr_result('backup')->{label};
$pg->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
Store::ship($pg);
my $second = $pg->pgdr_result('backup')->{label};

# ---- the attacker ----

my ($rc, @lines) = $pg->pgdr_json('repo-ls', '--recursive');
my @objects = map { $_->{name} } grep { $_->{type} eq 'object' } @lines;
my ($pack) = grep { m{^backup/\Q$first\E/data/} } @objects;
my ($segment) = grep { m{^wal/.*/[0-9A-F]{24}$} } @objects;

cmp_ok(scalar @objects, '>', 6, 'there are objects');
for my $name ($pack, $segment, "backup/$first/manifest", 'repo.json')
{
	my ($status, $version) = s3('get_object', of($name));

	is($status, 200, "$name is there");
	is((s3('delete_object', of($name), VersionId => $version))[0], 403,
		'it cannot be removed');
	is((s3('delete_object', of($name), VersionId => $version,
				BypassGovernanceRetention => 'True'))[0],
		403, 'not by a bypass either');
	like((s3('put_object_retention', of($name), Until => '2021-01-01T00:00:00+00:00'))[0],
		qr/^4/, 'nor its time be made shorter');
	is((s3('get_object', of($name), VersionId => $version))[0], 200, 'it is still there');
}

# Hidden by a marker: what was there is there, and nobody takes it for absent.
{
	my (undef, $version) = s3('get_object', of($pack));

	is((s3('delete_object', of($pack)))[0], 204, 'a delete without a version is taken');
	is((s3('get_object', of($pack), VersionId => $version))[0], 200, 'and removes nothing');
	my ($rc, $out, $err) = $pg->pgdr('verify', '--no-mark', $first);
	isnt($rc, 0, 'verify does not pass over it');
	my ($status, $marker) = s3('list_object_versions', Prefix => "main/$pack");
	is((s3('delete_object', of($pack), VersionId => $marker))[0], 204, 'the marker can go');
	is(($pg->pgdr('verify', '--deep', '--no-mark'))[0], 0, 'and all is well');
}

# ---- pgdr ----

{
	my $result = $pg->pgdr_result('expire', '--keep-full=1');
	is($result->{backups}, 0, 'expire removes no backup that is locked');
	cmp_ok($result->{locked}, '>', 0, 'and says how much is');
	my ($rc, $out, $err) = $pg->pgdr('expire', '--keep-full=1');
	is($rc, 0, 'that is no error');
	like($err, qr/locked until 20\d\d-/, 'until when, too');
	is(($pg->pgdr('verify', '--deep', '--no-mark'))[0], 0, 'nothing is harmed');
	($rc, $out, $err) = $pg->pgdr('delete', $first);
	isnt($rc, 0, 'delete cannot either');
	like($err, qr/locked/, 'and says so');

	my $copy = $pg->restore('copy', '--backup', $first);
	$copy->start_recovered;
	is($copy->safe_psql('postgres', 'SELECT sum(n) FROM t'), 3, 'what is locked can be restored');
	$copy->stop;
}

# ---- a short lock, and its end ----

$pg->stop;
done_testing();
