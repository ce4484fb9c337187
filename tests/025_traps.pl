# What looks like WAL that is wanted, and is not: that of a timeline that was
# left, and that of an earlier life of the server.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

# ---- a timeline that has a history, but no WAL yet ----

# Recovered to before a mistake, the cluster dies before the first segment of
# its new timeline is complete.  For a server the same segment of the old one
# would do as well, and all that follow, with the mistake in them.
my $pg = PgDr->new_cluster('main');
$pg->safe_psql('postgres', 'CREATE TABLE t (v text)');
$pg->backup;
$pg->safe_psql('postgres', q{INSERT INTO t VALUES ('good')});
$pg->safe_psql('postgres', q{SELECT pg_create_restore_point('before')});
$pg->safe_psql('postgres', q{INSERT INTO t VALUES ('mistake')});
$pg->switch_wal;
$pg->safe_psql('postgres', q{INSERT INTO t VALUES ('more')});
$pg->switch_wal;
$pg->destroy;
$pg->restore_here('--target-type=name', '--target=before');
$pg->start_recovered;
$pg->wait_archived('00000002.history');
is($pg->safe_psql('postgres', q{SELECT string_agg(v, ' ') FROM t}),
	'good', 'recovered to before a mistake');
is((grep { /^00000002/ } $pg->segments),
	0, 'no segment of the new timeline is archived');
$pg->destroy;

my $standby = $pg->sibling('standby');
my ($rc, undef, $err) = $standby->pgdr('restore', '--standby', '--target-dir',
	$standby->data_dir);
is($rc, 8, 'a standby, which could not be stopped there, is refused');
like($err, qr/has no WAL yet.* along timeline 1\b/, 'with the reason');

like($pg->pgdr_ok('restore', '--target-dir', $pg->data_dir),
	qr/timeline 2 has no WAL yet/, 'restored to the latest, with a word');
my ($state, $log) = $pg->try_recovery;
is($state, 'promoted', 'recovered') or diag($log);
is($pg->safe_psql('postgres', q{SELECT string_agg(v, ' ') FROM t}),
	'good', 'and the mistake does not come back');
$pg->stop('immediate');

# ---- a target of its own in postgresql.conf ----

my $old = PgDr->new_cluster('old',
	conf => "recovery_target_name = 'long ago'\n");
$old->safe_psql('postgres', 'CREATE TABLE t (n int)');
$old->backup;
my $lsn = $old->safe_psql('postgres',
	q{SELECT pg_create_restore_point('long ago')});
$old->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
$old->switch_wal;
$old->destroy;
for my $target ([], ['--target-type=immediate'],
	['--target-type=lsn', "--target=$lsn"])
{
	(undef, undef, $err) =
	  $old->pgdr('restore', '--target-dir', $old->data_dir,
		'--target-timeline=1', @$target);
	like($err, qr/recovery_target_name = 'long ago'/,
		"target @$target: one that was there before is named");
	($state, $log) = $old->try_recovery;
	is($state, 'promoted', 'and does not matter') or diag($log);
	is($old->safe_psql('postgres', 'SELECT count(*) FROM t'),
		@$target ? 0 : 1, 'what is wanted is there');
	$old->destroy;
}

# ---- WAL of an earlier life under the same names ----

# A machine is set back to a snapshot: the server writes other WAL at positions
# that are archived already.
my $vm = PgDr->new_cluster('vm');
my $data = $vm->data_dir;
$vm->safe_psql('postgres', 'CREATE TABLE t AS SELECT 1 AS n');
$vm->switch_wal;
$vm->stop;
PostgreSQL::Test::RecursiveCopy::copypath($data, "$data.snapshot");
$vm->start;
for my $n (1 .. 6)
{
	$vm->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
	$vm->switch_wal;
}
$vm->crash;
rename $data, "$data.lost" or die "rename: $!";
rename "$data.snapshot", $data or die "rename: $!";
chmod 0700, $data or die "chmod: $!";
$vm->start;
$vm->safe_psql('postgres', 'CREATE TABLE other AS SELECT 2 AS n');
($rc, undef, $err) = $vm->pgdr('backup', '--archive-timeout=3s');
is($rc, 9, 'a backup is not complete with WAL that is not its own')
  or diag($err);
like($err, qr/still has to archive its own/, 'the cause is named');
is(scalar(grep { m{/manifest$} } repository_files($vm->repo)),
	0, 'and there is no manifest');
$vm->stop('immediate');

done_testing();
