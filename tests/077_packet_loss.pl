# A network that loses packets, and then all of them: in a network namespace of
# the test's own, where the servers and pgdr share a loopback interface.

use strict;
use warnings;

# The test starts itself again in the namespace, with the rights to rule it;
# before the modules below turn standard output to a log.
BEGIN
{
	my @unshare = qw(unshare --user --net --map-current-user --keep-caps);

	if (!$^C && !$ENV{PGDR_TEST_NAMESPACE} && system(@unshare, 'true') == 0)
	{
		$ENV{PGDR_TEST_NAMESPACE} = 1;
		exec(@unshare, $^X, (map { "-I$_" } @INC), $0) or die "exec: $!";
	}
}

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'this kernel gives users no network namespace'
  unless $ENV{PGDR_TEST_NAMESPACE};

$ENV{PATH} .= ':/usr/sbin:/sbin';

my $tmp = PostgreSQL::Test::Utils::tempdir();

sub nft { system('nft', @_) == 0 or die "nft @_"; return }

# So many of 100 packets to or from the port are lost.
sub lose
{
	my ($percent, $port) = @_;

	nft('flush', 'chain', 'inet', 'faults', 'in');
	for my $end ($percent ? qw(dport sport) : ())
	{
		my $some = $percent < 100 ? "numgen random mod 100 < $percent" : '';
		nft("add rule inet faults in tcp $end $port $some counter drop");
	}
	return;
}

sub lost
{
	my $rules = `nft list ruleset`;
	my $count = 0;

	$count += $1 while $rules =~ /counter packets (\d+)/g;
	return $count;
}

system('ip', 'link', 'set', 'lo', 'up') == 0 or die 'no loopback interface';
nft('add table inet faults');
nft('add chain inet faults in { type filter hook input priority 0; }');

my $pg = PgDr->new_cluster('loss', wal_segsize => 1, conf => "wal_keep_size = 64MB\n");
$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT n FROM generate_series(1, 20000) n');

for my $kind (qw(s3 azure sftp))
{
	my $store = Store->new($kind, "$tmp/$kind");
	my $port = $store->{port};

	Store::use_in($pg, $store->section('far', 'total-timeout' => '60s',
		'stall-timeout' => '10s', retries => 8));
	$pg->pgdr_ok('repo-init');
	lose(10, $port);
	my $segment = Store::ship($pg);
	pass("$kind: 10 % lost: archived");
	my $label = $pg->backup;
	ok($label, "$kind: 10 % lost: backed up");
	my ($rc, $out, $err) = $pg->pgdr('archive-get', $segment, "$tmp/got");
	is($rc, 0, "$kind: 10 % lost: got") or diag($err);
	ok(slurp_bytes("$tmp/got") eq slurp_bytes($pg->data_dir . "/pg_wal/$segment"),
		"$kind: it is right");
	($rc, $out, $err) = $pg->pgdr('restore', '--target-dir', "$tmp/$kind.restored");
	is($rc, 0, "$kind: 10 % lost: restored") or diag($err);
	is(system("pg_verifybackup -n '$tmp/$kind.restored' >/dev/null"), 0, "$kind: it is right");
	cmp_ok(lost(), '>', 0, "$kind: packets were lost (" . lost() . ')');

	Store::use_in($pg, $store->section('far'));
	lose(100, $port);
	my $start = time;
	($rc, $out, $err) = $pg->pgdr('archive-get', $segment, "$tmp/got2");
	ok($rc >= 200 && $rc <= 209, "$kind: all lost: not known, which is not absent ($rc)");
	like($err, qr/could not/, "$kind: and why");
	cmp_ok(time - $start, '<', 30, "$kind: in time");
	lose(0);
	Store::ship($pg);
	pass("$kind: the backlog drains");
	($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	is($rc, 0, "$kind: verify --deep") or diag($out, $err);
	$store->stop;
}
$pg->stop;

done_testing();
