# The main job: a cluster under load is archived and backed up, killed and
# deleted, and recovered to a point in time: not one commit more or less.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $scale = soak() ? 20 : 2;
my $pg = PgDr->new_cluster('main', conf => q{
fsync = on
track_commit_timestamp = on
max_wal_size = 512MB
});

# ---- load, and a backup under it ----

$pg->pgbench_init($scale);
$pg->safe_psql('postgres', q{
CREATE TABLE marker (n bigserial PRIMARY KEY, at timestamptz);
CREATE TABLE step (n int)});
spew("$tmp/marker.sql",
	"INSERT INTO marker (at) VALUES (clock_timestamp());\n\\sleep 1 ms\n");
my $load = $pg->pgbench_start(qw(-c 8 -j 2 -T 3600 -P 1));
my $marking = $pg->pgbench_start('-T', 3600, '-f', "$tmp/marker.sql");

# Waits until so many more rows are marked.
sub mark
{
	my ($more) = @_;
	my $from = $pg->safe_psql('postgres', 'SELECT coalesce(max(n), 0) FROM marker');

	poll(
		sub {
			$pg->safe_psql('postgres', 'SELECT max(n) FROM marker') >
			  $from + $more;
		},
		'rows to be marked',
		60 + $more / 10);
	return;
}

# Commits one row of table step; (xid, lsn behind it).
sub step
{
	my ($n) = @_;
	my $xid = $pg->safe_psql('postgres',
		"INSERT INTO step VALUES ($n) RETURNING pg_current_xact_id()::xid");

	return ($xid,
		$pg->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()'));
}

mark(200);
my $begun = time();
my $label = $pg->backup;
note(sprintf 'backup under load in %.1f s', time() - $begun);

mark(soak() ? 50_000 : 500);
step(1);
my $hole = $pg->switch_wal;
$pg->safe_psql('postgres', q{SELECT pg_create_restore_point('named')});
my ($xid) = step(2);
my (undef, $lsn) = step(3);
step(4);
mark(500);

# The target is the moment of one commit, exactly; the next is another moment.
my ($n, $target) = split /\|/, $pg->safe_psql('postgres', q{
SELECT n, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'
FROM (SELECT n, at, lead(at) OVER (ORDER BY n) AS next
	  FROM (SELECT n, pg_xact_commit_timestamp(xmin) AS at FROM marker) AS m) AS m
WHERE next > at AND n < (SELECT max(n) - 200 FROM marker)
ORDER BY n DESC LIMIT 1});
note("the target is row $n, committed at $target");
mark(200);
$pg->switch_wal;
mark(200);

# ---- the disaster ----

my $tps = $pg->safe_psql('postgres', q{
SELECT round(count(*) / extract(epoch FROM max(mtime) - min(mtime)))
FROM pgbench_history WHERE mtime > now() - interval '5 seconds'});
note("pgbench at $tps transactions per second while archiving");
cmp_ok($tps, '>=', 1000, 'at least 1,000 transactions per second') if soak();
is($pg->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'),
	0, 'nothing failed to be archived');
my $oldest_history =
  $pg->safe_psql('postgres', 'SELECT count(*) FROM pgbench_history');
$pg->destroy;
$pg->pgbench_finish($_) for ($load, $marking);

# ---- what cannot be reached is said before anything is written ----

my $nowhere = $pg->sibling('nowhere');
my $dir = $nowhere->data_dir;

# A restore that must fail with this status and leave the directory alone.
sub refused
{
	my ($what, $status, $cause, @args) = @_;
	my ($rc, $out, $err) =
	  $nowhere->pgdr('restore', '--target-dir', $dir, @args);

	is($rc, $status, "$what: refused") or diag($out, $err);
	like($err, $cause, "$what: the cause is named");
	ok(!-e "$dir/PG_VERSION", "$what: nothing was written");
	return;
}

refused('a time in the future', 8, qr/./,
	'--target-type=time', '--target=2099-01-01 00:00:00+00');
refused('a time before the first backup', 8, qr/./,
	'--target-type=time', '--target=2001-01-01 00:00:00+00');
refused('an LSN behind the archive', 8, qr/./,
	'--target-type=lsn', '--target=FF/0');
refused('a name that was never given', 8, qr/nobody/,
	'--target-type=name', '--target=nobody');
refused('an unknown backup', 4, qr/20010101T000000Z/,
	'--backup=20010101T000000Z');
refused('no such time', 2, qr/tomorrow/,
	'--target-type=time', '--target=tomorrow maybe');
refused('no such type', 2, qr/date/, '--target-type=date', '--target=x');
refused('an unknown timeline', 4, qr/7/, '--target-timeline=7');

my $object = $pg->object_path($hole);
rename $object, "$tmp/hole" or die "rename: $!";
refused('a hole before the target',
	8, qr/\Q$hole\E/, '--target-type=time', "--target=$target");
refused('a hole, in a dry run',
	8, qr/\Q$hole\E/, '--target-type=time', "--target=$target", '--dry-run');
rename "$tmp/hole", $object or die "rename: $!";

# A hole in the backup's own WAL leaves no backup at all.
my ($own) = map { /([0-9A-F]{24})\.[0-9A-F]+\.backup$/ ? $1 : () }
  repository_files($pg->wal_home);
$object = $pg->object_path($own);
rename $object, "$tmp/hole" or die "rename: $!";
refused('a hole in the WAL of the backup', 8, qr/\Q$label\E.*HINT/s);
refused('the same of a backup by its name', 8, qr/\Q$own\E/,
	"--backup=$label");
rename "$tmp/hole", $object or die "rename: $!";

my ($rc, @lines) = $nowhere->pgdr_json('restore', '--target-dir', $dir,
	'--dry-run', '--target-type=time', "--target=$target");
is($rc, 0, 'a dry run of what can be done');
my $plan = $nowhere->last_of('plan', @lines);
ok($plan->{reachable}, 'the target is reachable');
is($plan->{backup}, $label, 'by the backup');
cmp_ok($plan->{wal_segments}, '>', 0, 'with WAL to replay');
ok(!-e "$dir/PG_VERSION", 'a dry run writes nothing');

mkdir $dir;
spew("$dir/precious", "do not delete\n");
refused('a directory that is not empty', 5, qr/not empty/);
refused('a directory that is none of PostgreSQL, with --force',
	5, qr/./, '--force');
is(slurp_bytes("$dir/precious"), "do not delete\n", 'what is in it stays');
unlink "$dir/precious";

# ---- the other targets, each on a copy ----

# Recovers to a target; what is in table step then.
sub steps_at
{
	my ($name, @args) = @_;
	my $copy = $pg->restore($name, @args);

	$copy->start_recovered;
	my $steps = $copy->safe_psql('postgres',
		q{SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM step});
	$copy->balanced_ok($name);
	$copy->stop;
	return $steps;
}

is(steps_at('immediate', '--target-type=immediate'),
	'', 'immediate: the end of the backup');
is(steps_at('name', '--target-type=name', '--target=named'),
	'1', 'name: up to the restore point');
is(steps_at('xid', '--target-type=xid', "--target=$xid"),
	'1 2', 'xid: up to this transaction');
is( steps_at(
		'before_xid', '--target-type=xid', "--target=$xid", '--target-exclusive'),
	'1',
	'xid, exclusive: up to the one before');
is(steps_at('lsn', '--target-type=lsn', "--target=$lsn"),
	'1 2 3', 'lsn: up to this position');
is(steps_at('latest'), '1 2 3 4', 'latest: all that was archived');

my $paused = $pg->restore('paused', '--target-type=name', '--target=named',
	'--target-action=pause');
$paused->start;
ok( $paused->poll_query_until('postgres',
		q{SELECT pg_get_wal_replay_pause_state() = 'paused'}),
	'action pause: the server waits at the target');
is($paused->safe_psql('postgres', 'SELECT string_agg(n::text, $$ $$) FROM step'),
	'1', 'and can be looked at');
$paused->stop;

my $shut = $pg->restore('shut', '--target-type=name', '--target=named',
	'--target-action=shutdown');
my ($state, $log) = $shut->try_recovery;
is($state, 'down', 'action shutdown: the server stops');
like($log, qr/shutdown at recovery target/, 'at the target');

# A copy that shall not get in the way of the primary.
my $quiet = $pg->sibling('quiet');
my $quiet_dir = $quiet->node->data_dir;
($state) = $quiet->pgdr('restore', '--target-dir', $quiet_dir, '--archive-mode=on');
is($state, 2, 'archive_mode can only be switched off');
my $told = $quiet->pgdr_ok('restore', '--target-dir', $quiet_dir, '--archive-mode=off');
like($told, qr/does not archive/, 'a copy that does not archive');
like(slurp_bytes("$quiet_dir/postgresql.auto.conf"),
	qr/^archive_mode = 'off'$(?!.*archive_mode)/ms, 'has it in its configuration');

# ---- without pgdr, as the format's description says ----

# The commands in doc/repository-format.md, up to the start of the server.
sub commands_by_hand
{
	my ($restored) = @_;
	my ($section) =
	  slurp_bytes('doc/repository-format.md') =~
	  /^## \d+\. Recovery without pgdr\n+```\n(.*?)^```/ms;
	my $repo = $pg->repo;
	my ($identity, $home) = ($pg->identity, $pg->wal_home);

	die 'the description has no commands' unless $section;
	$section =~ s/^pg_ctl .*\n//m;
	$section =~ s/\bREPO\/wal\/SYSID-MAJOR\b/$home/g;
	$section =~ s/\bREPO\b/$repo/g;
	$section =~ s/\bLABEL\b/$label/g;
	$section =~ s/\S*\bidentity\.txt\b/$identity/g;
	$section =~ s/\brestored\b/$restored/g;
	return $section;
}

my $by_hand = $pg->sibling('by_hand');
my ($done, undef, $why) = run_plain(
	[ 'bash', '-e', '-o', 'pipefail', '-c',
		commands_by_hand($by_hand->data_dir) ]);
is($done, 0, 'restored by hand with age, zstd and tar') or diag($why);
$by_hand->verifybackup_ok('by hand');
$by_hand->adopt;
$by_hand->start_recovered;
is($by_hand->safe_psql('postgres', 'SELECT string_agg(n::text, $$ $$) FROM step'),
	'1 2 3 4', 'and recovered without pgdr');
$by_hand->balanced_ok('by hand');
$by_hand->stop;

# ---- back in place, at the target ----

$begun = time();
my ($back, $kilobytes, $out, $err) = $pg->pgdr_measured('restore',
	'--target-dir', $pg->data_dir, '--target-type=time', "--target=$target");
is($back, 0, 'restore to the target') or diag($out, $err);
note(sprintf 'restored in %.1f s', time() - $begun);
$pg->verifybackup_ok('the restored directory');
($rc, undef, $err) =
  $pg->pgdr('restore', '--target-dir', $pg->data_dir);
is($rc, 5, 'a second restore over it is refused') or diag($err);
$pg->pgdr_ok('restore', '--target-dir', $pg->data_dir, '--force',
	'--target-type=time', "--target=$target");
$pg->verifybackup_ok('restored once more with --force');

$pg->start_recovered;
note(sprintf 'accepting queries after %.1f s', time() - $begun);
is($pg->safe_psql('postgres', 'SELECT max(n) FROM marker'),
	$n, 'the last row is the last one committed before the target');
is($pg->safe_psql('postgres', 'SELECT count(*) FROM marker'),
	$n, 'and all before it are there');
is( $pg->safe_psql('postgres', q{
SELECT count(*) FROM marker
WHERE pg_xact_commit_timestamp(xmin) > '} . $target . q{'}),
	0, 'nothing committed later was recovered');
my $history =
  $pg->safe_psql('postgres', 'SELECT count(*) FROM pgbench_history');
ok($history > 0 && $history < $oldest_history, 'pgbench went back too');
$pg->balanced_ok('at the target');
$pg->amcheck_ok('at the target');

# With the server running nobody restores over it.
($rc, undef, $err) = $pg->pgdr('restore', '--target-dir', $pg->data_dir,
	'--force', '--target-type=immediate');
is($rc, 5, 'a restore over a running server is refused, even with --force');
is($pg->safe_psql('postgres', 'SELECT max(n) FROM marker'),
	$n, 'and does it no harm');

# Life goes on, archived on the new timeline.
$pg->safe_psql('postgres', 'INSERT INTO step VALUES (100)');
like($pg->switch_wal, qr/^00000002/, 'archiving goes on with timeline 2');
$pg->backup;
$pg->checksums_ok('after promotion');

is(steps_at('timeline2'), '1 2 3 4 100', 'and can be recovered in its turn');

done_testing();
