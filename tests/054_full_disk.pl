# Disks that are full, read-only, or gone, under the repository, under what is
# restored, and under pg_wal: a clear error, nothing lost, nothing half done,
# and all goes on when there is room again.

use strict;
use warnings;

use File::Compare qw(compare);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Trial;

my ($disk, $why) = small_disk('10m');
plan skip_all => $why unless $disk;

my $tmp = PostgreSQL::Test::Utils::tempdir();

seed(54);

# Names of unfinished files below a directory.
sub unfinished
{
	my ($dir) = @_;
	return grep { m{/\.[^/]*$} } repository_files($dir);
}

sub fails_for_room
{
	my ($what, $status, $pg, @args) = @_;
	my ($rc, $out, $err) = $pg->pgdr(@args);

	is($rc, $status, "$what: status $status") or diag($out, $err);
	like($err, qr/No space left on device/, "$what: and says why");
	return $err;
}

sub sound_ok
{
	my ($what, $pg) = @_;
	my ($rc, $out) = $pg->pgdr('verify', '--deep', '--no-mark');

	return is($rc, 0, "$what: verify --deep finds nothing") || diag($out);
}

# ---- the repository fills up ----

my $pg = PgDr->new_cluster(
	'main',
	wal_segsize => 1,
	repo => $disk->dir . '/repo',
	conf => "max_wal_size = 200MB\nwal_keep_size = 100MB\n");
my $pgdata = $pg->data_dir;

$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');
my $label = $pg->backup;

# As many segments as it takes, and a few more; rows say which came through.
my @segments;
for my $n (1 .. 100)
{
	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
	push @segments, noise_segments($pg, 1);
	last
	  if $pg->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver') > 0;
}
push @segments, noise_segments($pg, 3);
my $rows = $pg->safe_psql('postgres', 'SELECT count(*) FROM t');
note(scalar(@segments) . ' segments until the disk was full');

my ($next) = map { m{/([0-9A-F]{24})\.ready$} }
  sort glob "$pgdata/pg_wal/archive_status/*.ready";
my $err = fails_for_room('archive-push', 9, $pg, 'archive-push',
	"$pgdata/pg_wal/$next");
like($err, qr/\Q$next\E/, 'archive-push: and names the segment');
ok(!$pg->is_archived($next), 'archive-push: the segment is not there');
is_deeply([ unfinished($pg->repo) ],
	[], 'archive-push: it keeps no room for what is not finished');

my $last = $pg->safe_psql('postgres',
	'SELECT last_archived_wal FROM pg_stat_archiver');
is_deeply([ grep { $_ le $last && !$pg->is_archived($_) } @segments ],
	[], 'all that was acknowledged is there');
sound_ok('full repository', $pg);

fails_for_room('backup', 9, $pg, 'backup');
is_deeply([ unfinished($pg->repo) ],
	[], 'backup: it keeps no room for what is not finished');
my ($rc, @lines) = $pg->pgdr_json('info');
is_deeply(
	[ map { $_->{label} }
		  grep { $_->{type} eq 'backup' && $_->{state} eq 'complete' } @lines ],
	[$label], 'backup: it is not to be seen');

# Reading takes no room there.
is(($pg->pgdr('archive-get', $last, "$tmp/got"))[0], 0, 'get from it');
is(compare("$tmp/got", "$pgdata/pg_wal/$last"), 0, 'the right bytes');
# to the last byte
system('dd', 'if=/dev/zero', 'of=' . $disk->dir . '/filler', 'status=none',
	'bs=4k');
($rc, my $out, $err) = $pg->pgdr('verify', $label);
is($rc, 0, 'verify works, although there is no room for its mark');
like($err, qr/No space left/, 'and says that');
$pg->pgdr_ok('expire', '--keep-full=1');
{
	my $copy = $pg->restore('full');
	$copy->start_recovered;
	cmp_ok($copy->safe_psql('postgres', 'SELECT count(*) FROM t'),
		'>', 0, 'restore from it');
	$copy->stop;
}

# ---- and there is room again ----

unlink $disk->dir . '/filler';
$disk->resize('200m');
$pg->wait_archived($_) for @segments;
pass('the server has archived all that was left, by itself');
$label = $pg->backup;
sound_ok('room again', $pg);
{
	my $copy = $pg->restore('room', '--backup', $label);
	$copy->start_recovered;
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM t'),
		$rows, 'nothing is lost');
	$copy->stop;
}

# ---- a read-only repository ----

my ($more) = noise_segments($pg, 1);
$pg->wait_archived($more);
$disk->read_only;
my ($refused) = noise_segments($pg, 1);
for my $command (
	[ 'archive-push', "$pgdata/pg_wal/$refused" ],
	['backup'],
	[ 'delete', '--force', $label ])
{
	($rc, $out, $err) = $pg->pgdr(@$command);
	is($rc, 9, "read-only: $command->[0] ends with 9") or diag($out, $err);
	like($err, qr/Read-only file system/, 'and says why');
}
is(($pg->pgdr('archive-get', $more, "$tmp/got"))[0], 0, 'read-only: get');
is(compare("$tmp/got", "$pgdata/pg_wal/$more"), 0, 'the right bytes');
sound_ok('read-only', $pg);
$disk->read_write;
$pg->wait_archived($refused);
pass('the server goes on archiving');

# ---- the repository's file system is not mounted ----

# What lies below it is an empty directory, and it must stay one.
my $aside = $disk->dir . '/aside';
rename $pg->repo, $aside or die "rename: $!";
for my $there (0, 1)
{
	my $what = $there ? 'empty directory' : 'no directory';

	mkdir $pg->repo if $there;
	for my $command (
		[ 'archive-push', "$pgdata/pg_wal/$refused" ],
		['backup'], ['info'], ['verify'], ['expire'],
		[ 'restore', '--target-dir', "$tmp/nothing" ])
	{
		($rc, $out, $err) = $pg->pgdr(@$command);
		ok($rc > 0 && $rc < 126, "$what: $command->[0] ends with $rc");
		like($err, qr/repository/, 'and says why');
	}
	($rc, $out, $err) = $pg->pgdr('archive-get', $more, "$tmp/nothing");
	ok($rc >= 200 && $rc <= 209, "$what: archive-get ends with $rc");
	ok(!-e "$tmp/nothing", 'nothing was written');
	is_deeply([ glob $pg->repo . '/*' ], [], 'nothing was made there')
	  if $there;
	ok(!-e $pg->repo, 'no directory was made') unless $there;
}
rmdir $pg->repo or die "rmdir: $!";
my ($meanwhile) = noise_segments($pg, 1);
rename $aside, $pg->repo or die "rename: $!";
$pg->wait_archived($meanwhile);
pass('when it is back the server goes on archiving');
sound_ok('back again', $pg);

# ---- no room for what is restored ----

my ($second) = small_disk('8m');
my $target = $second->dir . '/data';
my @restore = ('restore', '--target-dir', $target);
fails_for_room('restore', 9, $pg, @restore);
ok(!-e "$target/global/pg_control", 'restore: it cannot be started');
($rc, $out, $err) = $pg->pgdr(@restore);
is($rc, 9, 'restore: again, as it stands');
$second->resize('100m');
($rc, $out, $err) = $pg->pgdr(@restore);
is($rc, 0, 'restore: with room the same command succeeds') or diag($err);
($rc, $out, $err) = run_plain([ 'pg_verifybackup', '-n', $target ]);
is($rc, 0, 'restore: it is whole') or diag($out, $err);

# ---- no room for the WAL of a recovery ----

my ($third) = small_disk('4m');
my $wal = $third->dir;
spew("$wal/filler", 'x' x (3.6 * 1024 * 1024));
fails_for_room('archive-get', 206, $pg, 'archive-get', $more, "$wal/got");
is_deeply([ grep { !/filler/ } repository_files($wal) ],
	[], 'archive-get: nothing is left');

my $copy = $pg->restore('walfull');
my $copy_wal = $copy->data_dir . '/pg_wal';
system('mv', $copy_wal, "$wal/pg_wal") == 0 or die 'mv';
symlink "$wal/pg_wal", $copy_wal or die "symlink: $!";
my ($state, $log) = $copy->try_recovery;
is($state, 'down', 'a recovering server without room for WAL stops');
like($log, qr/No space left on device/, 'and its log says why');
like($log, qr/exit code 206/, 'by the status of restore_command');
unlink "$wal/filler";
$third->resize('100m');
($state, $log) = $copy->try_recovery;
is($state, 'promoted', 'with room it recovers') or diag($log);
is($copy->safe_psql('postgres', 'SELECT count(*) FROM t'),
	$rows, 'to the end');
$copy->stop;
$pg->stop;

done_testing();
