# kill -9 at random moments, of pgdr, of the server, and of both: what was
# acknowledged is there and whole, nothing half-written is taken for whole, and
# the next run succeeds.  SIGTERM and SIGINT end a run in good order.
#
# A moment is either a time, or a call: the program is killed just before it
# makes its N-th call that changes a file.  So each state that files can be
# left in has its chance, however short it lasts.

use strict;
use warnings;

use File::Basename qw(basename);
use File::Compare qw(compare);
use File::Path qw(make_path remove_tree);
use List::Util qw(max);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $trials = soak() ? 100 : 12;

seed(52);

# Without look-ahead: what is pushed by hand is what is killed.
my $pg = PgDr->new_cluster(
	'main',
	wal_segsize => 1,
	conf => "max_wal_size = 200MB\n",
	pgdr_conf => { 'process-max' => 2, 'push-ahead' => 0 });
my $pgdata = $pg->data_dir;
my $archive_command =
  $pg->safe_psql('postgres', 'SHOW archive_command');

# ---- helpers ----

# How long a run of these arguments takes, and how many calls it makes.
sub measure
{
	my ($view, @args) = @_;
	my $begun = time();
	my %m;

	$m{calls} = count_calls(sub { $view->pgdr_ok(@args, { env => $_[0] }) });
	$m{time} = time() - $begun;
	return \%m;
}

# Runs pgdr and kills it at a random moment: its status, 137 if it was killed.
sub killed
{
	my ($view, $measure, @args) = @_;

	if (rand() < 0.5)
	{
		my $call = 1 + int rand $measure->{calls};
		my ($rc) = $view->pgdr(@args, { env => { signal_at($call) } });

		note("killed at call $call: $rc");
		return $rc;
	}
	my $moment = rand($measure->{time});
	my $pid = in_background([ 'pgdr', '--config', $view->config, @args ]);

	sleep $moment;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	my $rc = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	note(sprintf 'killed after %.3f s: %d', $moment, $rc);
	return $rc;
}

# Ends a test: nothing was wrong.
sub all_right
{
	my ($what, @wrong) = @_;

	return ok(!@wrong, $what) || diag(map { "$_\n" } @wrong);
}

# Temporary names below a directory.
sub unfinished
{
	my ($dir) = @_;
	return grep { basename($_) =~ /^\./ } repository_files($dir);
}

# Temporary files are no objects; they are collected after a day.
sub objects_of
{
	my ($view) = @_;
	return grep { !m{/\.[^/]+\.tmp$} }
	  map { s/^.*?\/repo\///r } repository_files($view->repo);
}

sub backups
{
	my ($view) = @_;
	my ($rc, @lines) = $view->pgdr_json('info');

	return map { $_->{label} => $_->{state} }
	  grep { $_->{type} eq 'backup' } @lines;
}

# verify --deep finds no error; one test.
sub sound_ok
{
	my ($what, $view) = @_;
	my ($rc, @lines) = $view->pgdr_json('verify', '--deep', '--no-mark');
	my @errors = errors_of(@lines);

	return ok($rc == 0 && !@errors, "$what: verify --deep finds nothing")
	  || diag(explain(\@lines));
}

# ---- archive-push and archive-get ----

# What archive-get brings of a segment: undef, or whether it is the right one.
sub got
{
	my ($name) = @_;
	my $to = "$tmp/got";

	unlink $to;
	my ($rc) = $pg->pgdr('archive-get', $name, $to);
	return $rc == 0 ? compare($to, "$pgdata/pg_wal/$name") == 0 : undef
	  if -e $to || $rc == 0;
	return undef;
}

$pg->safe_psql('postgres', q{ALTER SYSTEM SET archive_command = ''});
$pg->reload;
my @segments = noise_segments($pg, $trials + 2);
my $first = shift @segments;
my $push = measure($pg, 'archive-push', "$pgdata/pg_wal/$first");
note("archive-push: $push->{calls} calls in $push->{time} s");
my ($acknowledged, $there) = (0, 0);

for my $name (@segments)
{
	my $path = "$pgdata/pg_wal/$name";
	my $rc = killed($pg, $push, 'archive-push', $path);
	my $exists = $pg->is_archived($name);
	my $got = got($name);
	my @wrong;

	$acknowledged += $rc == 0;
	$there += $exists;
	push @wrong, 'acknowledged, and not there' if $rc == 0 && !$exists;
	push @wrong, 'there, and cannot be got' if $exists && !$got;
	push @wrong, 'not there, and yet got' if !$exists && defined $got;
	push @wrong, "the next push ends with " . ($pg->pgdr('archive-push', $path))[0]
	  if ($pg->pgdr('archive-push', $path))[0] != 0;
	push @wrong, 'after the next push it is not there' unless got($name);
	all_right("push of $name was killed", @wrong);
}
note("$acknowledged acknowledged, $there there, of " . @segments);
sound_ok('after killed pushes', $pg);

my @names = $pg->pgdr_ok('repo-ls', '--recursive') =~ /(\S+)$/mg;
is_deeply([ grep { m{(?:^|/)\.} } @names ],
	[], 'what a killed push left is no object');
ok(unfinished($pg->repo) > 0, 'it is there, though');
$pg->pgdr_ok('expire', { env => { fake_clock(2 * 86400) } });
is_deeply([ unfinished($pg->repo) ], [], 'after a day expire removes it');

my $get = measure($pg, 'archive-get', $first, "$tmp/measure");
mkdir "$tmp/get";
for my $n (1 .. $trials)
{
	my $name = $segments[ rand @segments ];
	my $to = "$tmp/get/RECOVERYXLOG";
	my @wrong;

	unlink $to;
	my $rc = killed($pg, $get, 'archive-get', $name, $to);
	push @wrong, 'success without the file' if $rc == 0 && !-e $to;
	push @wrong, 'a file that is not whole'
	  if -e $to && compare($to, "$pgdata/pg_wal/$name") != 0;
	my ($again, undef, $err) = $pg->pgdr('archive-get', $name, $to);
	push @wrong, "the next get ends with $again: $err" if $again != 0;
	push @wrong, 'the next get brings something else'
	  if compare($to, "$pgdata/pg_wal/$name") != 0;
	all_right("get $n was killed", @wrong);
}
is_deeply([ map { basename($_) } repository_files("$tmp/get") ],
	['RECOVERYXLOG'], 'the last get removed what killed ones left');

# ---- an archiver whose command is killed again and again ----

# Kills every third push or so, and says that it failed.
spew("$tmp/push.pl", <<'END');
use Time::HiRes;
my ($config, $path) = @ARGV;
my $pid = fork // exit 1;
exec 'pgdr', '--config', $config, 'archive-push', $path unless $pid;
if (rand() < 0.4)
{
	Time::HiRes::sleep(rand 0.05);
	kill 'KILL', $pid;
}
waitpid $pid, 0;
exit($? & 127 ? 1 : $? >> 8);
END
$pg->append_conf('postgresql.conf', "archive_timeout = 0\n");
$pg->safe_psql('postgres',
	"ALTER SYSTEM SET archive_command = '$^X $tmp/push.pl $pg->{config} %p'");
$pg->reload;
# after three failures in a row the archiver pauses for a minute
my $label = $pg->backup('--archive-timeout', '10min');
$pg->pgbench_init(1);
my $load = $pg->pgbench_start('-c', 4, '-T', soak() ? 120 : 5);
$pg->pgbench_finish($load);
my $last = $pg->safe_psql('postgres',
	'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
$pg->wait_archived($last);
note($pg->safe_psql('postgres',
		'SELECT archived_count, failed_count FROM pg_stat_archiver'));
cmp_ok(
	$pg->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'),
	'>', 0, 'the archiver saw failures');
sound_ok('after them', $pg);
$pg->crash;
{
	my $copy = $pg->restore('pushed');
	$copy->start_recovered;
	$copy->balanced_ok('all that was acknowledged comes back');
	$copy->stop;
}
$pg->start;
$pg->safe_psql('postgres',
	'ALTER SYSTEM SET archive_command = $c$' . $archive_command . '$c$');
$pg->reload;

# ---- backup ----

my $backup = measure($pg, 'backup');
my %known = backups($pg);
my $complete = 0;

note("backup: $backup->{calls} calls in $backup->{time} s");
for my $n (1 .. $trials)
{
	my $rc = killed($pg, $backup, 'backup');
	my %now = backups($pg);
	my @new = grep { !$known{$_} } sort keys %now;
	my @wrong;

	for my $new (@new)
	{
		next if $now{$new} eq 'running';
		if ($now{$new} ne 'complete')
		{
			push @wrong, "backup $new is $now{$new}";
			next;
		}
		$complete++;
		my ($vrc, @lines) =
		  $pg->pgdr_json('verify', '--deep', '--no-mark', $new);
		push @wrong, "backup $new is listed, but verify ends with $vrc",
		  explain(\@lines)
		  if $vrc != 0;
	}
	push @wrong, 'success without a backup'
	  if $rc == 0 && !grep { $now{$_} eq 'complete' } @new;
	%known = %now;
	all_right("backup $n was killed", @wrong);
}
note("$complete of $trials were complete before they were killed");
is( $pg->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	'f', 'the server does not care');
$label = $pg->backup;
is({ backups($pg) }->{$label}, 'complete', 'the next backup succeeds');
sound_ok('after killed backups', $pg);

# The server dies while a backup runs, and with it or not the backup.
for my $both (0, 1)
{
	my $what = $both ? 'server and backup' : 'server';
	my %before = backups($pg);
	my $pid = in_background([ 'pgdr', '--config', $pg->config, 'backup' ]);

	sleep rand($backup->{time} / 2);
	kill 'KILL', $pid if $both;
	$pg->crash;
	waitpid $pid, 0;
	my $status = $?;
	my %after = backups($pg);
	isnt($status, 0, "$what killed: the backup fails");
	is_deeply([ grep { !$before{$_} && $after{$_} eq 'complete' } keys %after ],
		[], "$what killed: no backup is complete");
	$pg->start;
	ok(!-e "$pgdata/backup_label", "$what killed: the server starts as ever");
	$label = $pg->backup;
	is({ backups($pg) }->{$label}, 'complete', "$what killed: the next succeeds");
}

# What they left is collected once their leases have run out.
my %left = backups($pg);
my @running = sort grep { $left{$_} eq 'running' } keys %left;
my %later = (env => { fake_clock(3600) });
note(@running . ' backups are taken to be running');
my @kept = grep { $left{$_} eq 'complete' } sort keys %left;
$pg->pgdr_ok('expire');
is_deeply([ sort keys %{ { backups($pg) } } ],
	[ sort keys %left ], 'expire leaves them alone while their leases live');
$pg->pgdr_ok('expire', \%later);
is_deeply([ sort keys %{ { backups($pg) } } ],
	\@kept, 'and removes them when they have run out');
sound_ok('after that', $pg);

# ---- restore ----

# Starts on nothing that is not whole: a server that is to run for no longer
# than it takes to refuse.
sub refuses_to_start
{
	my ($dir) = @_;
	my ($rc) = run_plain([
		'timeout', '20', 'postgres', '-D', $dir, '-k', $tmp, '-p', '1',
		'-c', 'listen_addresses=', '-c', 'restore_command=false' ]);

	return $rc != 0 && $rc != 124;
}

my $target = "$tmp/data";
my @restore = ('restore', '--target-dir', $target, '--backup', $label);
my $restore = measure($pg, @restore);
note("restore: $restore->{calls} calls in $restore->{time} s");
my $whole = 0;

for my $n (1 .. $trials)
{
	my @wrong;

	remove_tree($target);
	my $rc = killed($pg, $restore, @restore);
	if (-e "$target/global/pg_control")
	{
		my ($vrc, $out, $err) = run_plain([ 'pg_verifybackup', '-n', $target ]);

		$whole++;
		push @wrong, "pg_control is there, but not the rest: $out$err"
		  if $vrc != 0;
	}
	else
	{
		push @wrong, 'success, without pg_control' if $rc == 0;
		push @wrong, 'a server starts on it'
		  if -d $target && !refuses_to_start($target);
	}
	# its own unfinished work needs no --force
	if ($rc != 0 && !(-e "$target/global/pg_control" && !-e "$target/pgdr.restoring"))
	{
		my ($again, undef, $err) = $pg->pgdr(@restore);
		push @wrong, "the next restore ends with $again: $err" if $again != 0;
		my ($vrc, $out, $verr) = run_plain([ 'pg_verifybackup', '-n', $target ]);
		push @wrong, "the next restore is not whole: $out$verr" if $vrc != 0;
	}
	all_right("restore $n was killed", @wrong);
}
note("$whole of $trials were whole when they were killed");

# ---- expire and delete ----

$pg->backup for 1 .. 2;
my ($oldest, $older) = sort grep { { backups($pg) }->{$_} eq 'complete' }
  keys %{ { backups($pg) } };
for my $command ([ 'expire', '--keep-full=1' ], [ 'delete', $older ])
{
	my $name = $command->[0];
	my $view = clone_view($pg, "$tmp/expire");
	my $measure = measure($view, @$command);
	$view->pgdr_ok('expire', '--keep-full=1', \%later) if $name eq 'expire';
	my @after = objects_of($view);

	note("$name: $measure->{calls} calls");
	for my $n (1 .. max(4, $trials / 2))
	{
		my @wrong;

		$view = clone_view($pg, "$tmp/expire");
		killed($view, $measure, @$command);
		my ($vrc, @lines) = $view->pgdr_json('verify', '--no-mark');
		push @wrong, "verify ends with $vrc", explain(\@lines) if $vrc != 0;
		my $state = { backups($view) }->{$older};
		push @wrong, 'a backup is half removed'
		  if $name eq 'delete' && $state && $state ne 'complete'
		  && $state !~ /^(?:interrupted|running)$/;
		# what is half removed has no manifest, but a lease still: only later
		# can anybody tell that nobody writes it
		my ($again, undef, $err) = $view->pgdr(
			$state || $name eq 'expire' ? @$command : 'expire', \%later);
		push @wrong, "the next $name ends with $again: $err" if $again != 0;
		push @wrong, "the next $name does not complete it"
		  if join(' ', objects_of($view)) ne "@after";
		all_right("$name $n was killed", @wrong);
	}
	sound_ok("after a killed $name", $view);
}

# ---- SIGTERM and SIGINT ----

# Asked to stop, a run says so, with its status, and cleans up.  archive-get
# then ends by the signal, because the server that stops looks for that.
my $fresh = (noise_segments($pg, 1))[0];
my %ends = (
	'archive-push' => [ 11, 'archive-push', "$pgdata/pg_wal/$fresh" ],
	'archive-get' => [ 0, 'archive-get', $first, "$tmp/get/RECOVERYXLOG" ],
	'backup' => [ 11, 'backup' ],
	'restore' => [ 11, @restore ],
	'verify' => [ 11, 'verify', '--deep' ],
	'expire' => [ 11, 'expire', '--keep-full=1' ]);

$pg->wait_archived($fresh);
for my $name (sort keys %ends)
{
	my ($status, @args) = @{ $ends{$name} };
	my $stopped = 0;

	for my $n (1 .. (soak() ? 20 : 4))
	{
		my $signal = $n % 2 ? 15 : 2;
		my $expected = $status || 128 + $signal;
		my $view = $name eq 'backup' ? $pg : clone_view($pg, "$tmp/stop");
		my @before = unfinished($view->repo);
		my @wrong;

		unlink $view->object_path($fresh) if $name eq 'archive-push';
		unlink "$tmp/get/RECOVERYXLOG";
		remove_tree($target);
		# early, so that there is something left to stop
		my ($rc, $out, $err) = $view->pgdr(@args,
			{ env => { signal_at(2 + int rand 20, $signal) } });

		$stopped++ if $rc == $expected;
		push @wrong, "ends with $rc: $err" if $rc != $expected && $rc != 0;
		push @wrong, "does not say so: $err"
		  if $rc != 0 && $err !~ /cancel|stop|interrupt/i;
		push @wrong, 'leaves temporary files'
		  if unfinished($view->repo) > @before || unfinished("$tmp/get") > 0;
		push @wrong, 'leaves pg_control'
		  if $rc != 0 && -e "$target/global/pg_control";
		all_right("$name got signal $signal", @wrong);
	}
	cmp_ok($stopped, '>', 0, "$name was stopped at least once");
}
sound_ok('at the end', $pg);
$pg->stop;

done_testing();
