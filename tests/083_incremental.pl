# Incremental backups: what changed is stored and nothing else, whatever
# changed; every one restores as if it were a full backup.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', conf => q{
fsync = on
autovacuum = off
});

# The result of a backup of this type.
sub take
{
	my ($type, @args) = @_;
	return $pg->pgdr_result('backup', '--type', $type, @args);
}

# ---- without a base ----

my ($rc, $out, $err) = $pg->pgdr('backup', '--type', 'weekly');
is($rc, 2, 'an unknown type is refused');
like($err, qr/It is full, incremental or differential/, 'with those there are');
($rc, $out, $err) = $pg->pgdr('backup', '--base', '20200101T000000Z');
is($rc, 2, 'a base without --type incremental is refused');
($rc, $out, $err) =
  $pg->pgdr('backup', '--type', 'incremental', '--base', '20200101T000000Z');
like($err, qr/backup 20200101T000000Z does not exist/, 'a base that is not there');
is($rc, 4, 'is an error');

$pg->pgbench_init(10);
$pg->safe_psql('postgres', q{
CREATE EXTENSION amcheck;
CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 1000) AS n;
CREATE TABLE shrinks AS SELECT g AS n, repeat('x', 500) AS t FROM generate_series(1, 10000) g;
VACUUM;
CHECKPOINT});
($rc, $out, $err) = $pg->pgdr('backup', '--type', 'incremental');
is($rc, 0, 'an incremental backup without a base');
like($err, qr/there is no backup that this one could be compared with/,
	'becomes a full one, which is said');
my ($full) = $out =~ /^backup (\S+) complete/m;

# ---- nothing changed ----

my $none = take('incremental');
is($none->{backup_type}, 'incremental', 'an incremental backup');
is($none->{parent}, $full, 'is compared with the newest good one');
my $full_info =
  (grep { ($_->{label} // '') eq $full } ($pg->pgdr_json('info'))[ 1 .. 2 ])[0];
cmp_ok($none->{stored_bytes}, '<', 200_000, 'and stores little when little changed');
cmp_ok($none->{plain_bytes}, '>', 100_000_000, 'of a large cluster');
ok(exists $none->{references}{$full}, 'it says which packs it needs');

# ---- about one page in twenty changed ----

$pg->safe_psql('postgres', q{
UPDATE pgbench_accounts SET abalance = 7 WHERE aid % 61 = 1 AND (aid / 61) % 20 = 0;
UPDATE shrinks SET n = n + 1 WHERE n < 10;
DELETE FROM shrinks WHERE n > 5000;
VACUUM shrinks;
CHECKPOINT});
my $changed = take('incremental');
is($changed->{parent}, $none->{label}, 'the next one has that as its base');
is_deeply([ sort keys %{ $changed->{references} } ],
	[ sort grep { exists $changed->{references}{$_} } $full, $none->{label} ],
	'and refers to packs, not to chains');
cmp_ok($changed->{stored_bytes}, '<', $changed->{plain_bytes} / 20,
	'changed blocks alone are stored');
my $differential = take('differential');
is($differential->{parent}, $full, 'a differential one has the newest full one as base');
my $asked = take('incremental', '--base', $none->{label});
is($asked->{parent}, $none->{label}, 'any good one can be asked for');
note(join ', ', map { "$_->{label}: $_->{stored_bytes}" } $none, $changed, $differential, $asked);

# ---- every one restores ----

my $sums = q{
SELECT 'accounts', count(*), sum(abalance), md5(string_agg(aid || ':' || abalance, ',' ORDER BY aid)) FROM pgbench_accounts
UNION ALL SELECT 'shrinks', count(*), sum(n), md5(string_agg(n || t, ',' ORDER BY n)) FROM shrinks
UNION ALL SELECT 'unlogged', count(*), sum(n), NULL FROM unlogged};
my $now = $pg->safe_psql('postgres', $sums);
my $n = 0;
for my $backup ($none, $changed, $differential, $asked)
{
	my $label = $backup->{label};
	my $copy = $pg->sibling('copy' . $n++);

	$copy->pgdr_ok('restore', '--backup', $label, '--target-dir', $copy->data_dir,
		'--target-type', 'immediate', '--archive-mode', 'off');
	$copy->verifybackup_ok("backup $label");
	$copy->adopt;
	$copy->start_recovered;
	my $then = $copy->safe_psql('postgres', $sums);
	if ($backup != $none)
	{
		$then =~ s/^unlogged.*$//m;
		my $want = $now =~ s/^unlogged.*$//mr;
		is($then, $want, "contents of $label");
	}
	$copy->amcheck_ok("tables and indexes of $label");
	$copy->stop;
}
is($pg->pgdr_ok('verify', '--deep') =~ /no errors, 0 warnings/, 1, 'verify --deep');

done_testing();
