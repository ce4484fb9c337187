# Incremental backups: what changed is stored and nothing else, whatever
# changed; every one restores as if it were a full backup.

use strict;
use warnings;

use File::Path qw(remove_tree);
use List::Util qw(shuffle);
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Trial;

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

# ---- with stock tools, as repository-format.md has it, word for word ----

my ($text) = slurp_bytes('doc/repository-format.md') =~ /^```\n(cat > recover\.pl.*?)^```/ms;
$text =~ s/ REPO LABEL / $pg->{repo} $changed->{label} /;
mkdir "$tmp/stock" or die $!;
symlink $pg->identity, "$tmp/stock/identity.txt" or die $!;
($rc, $out, $err) = run_plain([ 'sh', '-ec', $text ], { cwd => "$tmp/stock" });
is($rc, 0, 'recovery without pgdr') or diag($out, $err);
($rc, $out, $err) = run_plain([ 'pg_verifybackup', '-n', "$tmp/stock/restored" ]);
is($rc, 0, 'gives what pg_verifybackup accepts') or diag($out, $err);

# ---- killed anywhere ----

sub complete
{
	my (undef, @lines) = $pg->pgdr_json('info');

	return join ' ', map { $_->{label} }
	  grep { $_->{type} eq 'backup' && $_->{state} eq 'complete' } @lines;
}

seed(83);
my $before = complete();
$pg->safe_psql('postgres', 'UPDATE shrinks SET n = n + 1 WHERE n % 100 = 0; CHECKPOINT');
$pg->set_config('process-max' => 1);
my $calls = count_calls(sub { $pg->pgdr_ok('backup', '--type', 'incremental', { env => $_[0] }) });
my $after = complete();
isnt($after, $before, 'an incremental backup that is not killed is there');
my @points = soak() ? 1 .. $calls : (sort { $a <=> $b } (shuffle 1 .. $calls)[ 0 .. 7 ]);
note("an incremental backup makes $calls calls");
for my $call (@points)
{
	my ($status) = $pg->pgdr('backup', '--type', 'incremental', { env => { signal_at($call) } });

	is($status, 137, "killed at call $call of $calls");
	my $now = complete();
	if ($now ne $after)
	{
		# the manifest was durable: then it is a backup, and whole
		like($now, qr/^\Q$after\E \S+$/, "call $call: the backup was complete");
		$after = $now;
	}
	my ($code, @lines) = $pg->pgdr_json('verify', '--deep', '--no-mark');
	is($code, 0, "call $call: nothing else is harmed") or diag(explain([ errors_of(@lines) ]));
}
my $next = take('incremental');
is((split ' ', $after)[-1], $next->{parent}, 'the next one goes on from the newest good one');

# ---- the base goes, its packs stay; copies and repairs bring what is needed ----

my @gone = grep { $_ ne $next->{label} } split ' ', $after;
my $later = { env => { fake_clock(1800) } };    # no lease of those killed is valid then
($rc, $out, $err) = $pg->pgdr('delete', $gone[-1]);
is($rc, 5, 'what a backup that may still be in work is based on is not removed');
$pg->pgdr_ok('delete', $_, $later) for reverse @gone;
$pg->pgdr_ok('expire', $later);
is(complete(), $next->{label}, 'all others are removed');
is($pg->pgdr_ok('verify', '--deep', '--no-mark') =~ /no errors/, 1, 'what is left is whole');
my %repo = (local => $pg->repo, b => "$tmp/b");
Store::use_in($pg, join '', map { "[repo:$_]\npath = $repo{$_}\n" } sort keys %repo);
$pg->pgdr_ok('repo-copy', '--from=local', '--to=b');
($rc, my @lines) = $pg->pgdr_json('--repo=b', 'verify', '--deep', '--no-mark');
is($rc, 0, 'a copy is whole') or diag(explain([ errors_of(@lines) ]));
my ($foreign) = grep { !m{/\Q$next->{label}\E/} && m{/data/} && -s $_ > 100_000 } repository_files($repo{b});
rewrite($foreign, flip_bit(slurp_bytes($foreign), -60, 2));
($rc) = $pg->pgdr('--repo=b', 'verify', '--deep', '--no-mark');
is($rc, 10, 'a damaged pack of a backup that is gone is found');
$pg->pgdr_ok('repair');
($rc, @lines) = $pg->pgdr_json('--repo=b', 'verify', '--deep', '--no-mark');
is($rc, 0, 'and healed') or diag(explain([ errors_of(@lines) ]));
remove_tree("$repo{b}/backup");
$pg->pgdr_ok('repair');
($rc, @lines) = $pg->pgdr_json('--repo=b', 'verify', '--deep', '--no-mark');
is($rc, 0, 'all of it is brought') or diag(explain([ errors_of(@lines) ]));

# ---- one repository has no base ----

remove_tree("$repo{b}/backup/$next->{label}");
($rc, $out, $err) = $pg->pgdr('backup', '--type', 'incremental', '--base', $next->{label});
is($rc, 5, 'a required repository without the base') or diag($out, $err);
like($err, qr/In repository "b" it is not complete/, 'is named');
($rc, $out, $err) = $pg->pgdr('backup', '--type', 'incremental');
is($rc, 0, 'without a name') or diag($out, $err);
like($err, qr/it becomes a full one/, 'it becomes a full one');

done_testing();
