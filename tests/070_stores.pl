# The main job on each kind of store that is not a directory, over its real
# server: archive, back up under load, lose the cluster, recover to a time.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir;
# ---- the cluster ----

sub object_of
{
	my ($pg, $segment) = @_;
	my ($name) = $pg->pgdr_ok('repo-ls', '--recursive') =~
	  m{(wal/\S+/\Q$segment\E)\b};
	return $name;
}

sub test_readable
{
	my ($pg, $store, $kind, $segment) = @_;
	my $name = object_of($pg, $segment);
	my $raw = "$tmp/$kind.raw";

	ok($name, "$kind: the segment is listed");
	PgDr::spew($raw, $store->fetch($name));
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

	Store::use_in($pg, $store->section('far'));
	like($pg->pgdr_ok('repo-init'), qr/^repository far: made$/m,
		"$kind: repo-init");
	like($pg->pgdr_ok('repo-init'), qr/^repository far: was there$/m,
		"$kind: once");

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
	my $segment = Store::ship($pg);
	test_readable($pg, $store, $kind, $segment);
	test_outage($pg, $store, $kind);
	Store::ship($pg);
	$pg->destroy;
	$pg->pgbench_finish($load);

	my ($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	is($rc, 0, "$kind: verify --deep") or diag($out, $err);
	$pg->restore_here('--target-type', 'time', '--target', $target);
	$pg->adopt;
	$pg->verifybackup_ok($kind);
	$pg->start_recovered;
	is($pg->safe_psql('postgres', 'SELECT max(n) FROM marker'),
		3, "$kind: recovered to the target");
	$pg->balanced_ok($kind);
	for my $secret ($store->secrets)
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

	$store->down;
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
	$store->up;
	Store::ship($pg);
	pass("$kind: the backlog drains");
	return;
}

for my $kind (qw(s3 azure sftp))
{
	my $store = Store->new($kind, "$tmp/$kind");

	test_main_job($kind, $store);
	$store->stop;
}

done_testing();
