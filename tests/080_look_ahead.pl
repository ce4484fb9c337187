# Look-ahead: segments are archived before the server asks for them.  Whatever
# happens to pusher, server, spool, files and repositories, a call that returns
# 0 is true, no later segment is stored before an earlier one, and nothing has
# to be cleared away by hand.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(sleep time);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();

seed(80);

my $pg = PgDr->new_cluster(
	'main',
	wal_segsize => 1,
	conf => "wal_keep_size = 1GB\nmax_wal_size = 2GB\n",
	pgdr_conf => { 'process-max' => 2 });
my $pgdata = $pg->data_dir;
my $status = "$pgdata/pg_wal/archive_status";
my $here = Cwd::getcwd();

# ---- the server's side ----

my $command = $pg->safe_psql('postgres', 'SHOW archive_command') =~ s/'/''/gr;

sub archive_with
{
	my ($with) = @_;

	$pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$with'");
	$pg->safe_psql('postgres', 'SELECT pg_reload_conf()');
	return;
}

# Segments that wait, in order.
sub ready
{
	my @files = sort grep { /^[0-9A-F]{24}$/ }
	  map { basename($_, '.ready') } glob "$status/*.ready";

	return @files;
}

# From now on nothing is archived but by hand.
sub hold
{
	archive_with('false');
	return;
}

# So many segments wait, and no longer change.
sub backlog
{
	my ($count) = @_;

	noise_segments($pg, 1) while ready() < $count;
	sleep 0.1;
	return ready();
}

# The archiver, as far as we play it: all that waits, in order.
sub archive_all
{
	my ($view) = @_;

	for my $file (ready())
	{
		$view->pgdr_ok('archive-push', "pg_wal/$file", { cwd => $pgdata });
		rename "$status/$file.ready", "$status/$file.done" or die "rename: $!";
	}
	return;
}

# ---- pgdr's side ----

# A view with repository and spool of its own: nothing is archived in it.
my $views = 0;

sub fresh
{
	my (%keys) = @_;
	my $dir = "$tmp/view" . ++$views;

	make_path($dir);
	my $view = view($pg, $dir, 'spool-path' => "$dir/spool", %keys);
	$view->pgdr_ok('repo-init');
	return $view;
}

sub call
{
	my ($view, $file, $env) = @_;
	my ($rc, @lines) = $view->pgdr_json('archive-push', "pg_wal/$file",
		{ cwd => $pgdata, env => $env // {} });

	return ($rc, $view->last_of('result', @lines), @lines);
}

sub ahead
{
	my ($view, $env) = @_;
	my ($first) = ready();

	return $view->pgdr('archive-push', '--ahead', "pg_wal/$first",
		{ cwd => $pgdata, env => $env // {} });
}

sub spool { my ($view) = @_; return (glob $view->dir . '/spool/ahead/*')[0] }

sub acknowledged
{
	my ($view) = @_;
	my @files = sort map { basename($_, '.ack') } glob spool($view) . '/*.ack';

	return @files;
}

sub ack_path { my ($view, $file) = @_; return spool($view) . "/$file.ack" }

# Nobody pushes any more.
sub wait_for_pusher
{
	my ($view) = @_;

	poll(
		sub {
			my $lock = spool($view) . '/lock';
			return 1 unless -e $lock;
			return system('flock', '-n', $lock, 'true') == 0;
		},
		'the pusher to end');
	return;
}

# Does the call return by the acknowledgement alone?
sub by_ack
{
	my ($view, $file, $name, $env) = @_;
	my ($rc, $result) = call($view, $file, $env);

	return ok($rc == 0 && $result->{ahead}, $name);
}

# Is it archived, and not by an acknowledgement?
sub anew
{
	my ($view, $file, $name, $env) = @_;
	my ($rc, $result) = call($view, $file, $env);

	return ok($rc == 0 && !$result->{ahead} && $view->is_archived($file),
		$name);
}

# What is stored of the files that wait is the beginning of them.
sub is_prefix
{
	my ($view, @files) = @_;
	my $pattern = join '', map { $view->is_archived($_) ? 1 : 0 } @files;

	return $pattern =~ /^1*0*$/ ? 1 : 0;
}

sub same_content
{
	my ($view, @files) = @_;
	my $to = "$tmp/got";
	my $good = 0;

	for my $file (@files)
	{
		unlink $to;
		my ($rc) = $view->pgdr('archive-get', $file, $to);
		$good++
		  if $rc == 0
		  && slurp_bytes($to) eq slurp_bytes("$pgdata/pg_wal/$file");
	}
	return $good;
}

# ---- the tests ----

# The real archiver, behind with some segments.
sub test_archiver
{
	my @files = backlog(soak() ? 200 : 25);

	my $at = -s $pg->logfile;

	# what the command prints is in the server's log
	archive_with($command =~ s/pgdr /pgdr --output=json /r);
	$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
	poll(sub { $pg->is_archived($files[-1]) }, 'the backlog to be archived');
	poll(sub { !-e "$status/$files[-1].ready" }, 'the server to take note');
	my @told = grep { /"ahead":true/ } split /\n/, slurp_file($pg->logfile, $at);
	cmp_ok(scalar @told, '>', @files / 2,
		'the server fell behind: most were archived ahead');
	is(same_content($pg, @files), scalar @files, 'and all are in the archive');
	is( $pg->safe_psql('postgres',
			'SELECT last_archived_wal >= ' . "'$files[-1]' FROM pg_stat_archiver"),
		't', 'the server knows');
	wait_for_pusher($pg);
	pass('the pusher ends when nothing is left');
	hold();
	return;
}

sub test_acknowledged
{
	my $view = fresh();
	my @files = backlog(8);
	my ($rc, @lines) = $view->pgdr_json('archive-push', '--ahead',
		"pg_wal/$files[0]", { cwd => $pgdata });

	is($rc, 0, 'a pusher by itself');
	is($view->last_of('result', @lines)->{acknowledged}, scalar @files,
		'archives all that waits');
	is_deeply([ acknowledged($view) ], \@files, 'and acknowledges each');
	is(same_content($view, @files), scalar @files, 'they are what they were');
	by_ack($view, $_, "call for $_") for @files[ 0, 1, 7 ];
	by_ack($view, $files[0], 'the same again');
	my (undef, undef, $err) = $view->pgdr('archive-push', "pg_wal/$files[0]",
		{ cwd => $pgdata, env => { LD_DEBUG => 'files' } });
	unlike($err, qr/libcrypto|libcurl|libpq/,
		'which loads no library that it does not need');
	like($err, qr/libjansson/, '(others are seen)');
	archive_all($view);
	backlog(1);
	ahead($view);
	is_deeply([ acknowledged($view) ], [ ready() ],
		'what the server has taken note of is forgotten');
	return;
}

# Killed before each of its calls that change files.
sub test_kills
{
	my @files = backlog(6);
	my $calls = count_calls(sub { ahead(fresh(), $_[0]) });
	my $step = soak() ? 1 : int($calls / 14) + 1;
	my ($tried, $ordered, $healed, $right) = (0, 0, 0, 0);

	for (my $call = 1 + int rand $step; $call <= $calls; $call += $step)
	{
		my $view = fresh();
		ahead($view, { signal_at($call) });
		$tried++;
		$ordered += is_prefix($view, @files);
		$healed += !grep { (call($view, $_))[0] != 0 } @files;
		wait_for_pusher($view);
		$right += same_content($view, @files) == @files;
		remove_tree($view->dir);
	}
	cmp_ok($tried, '>', 8, 'pusher killed at many points');
	is($ordered, $tried, 'no later segment was there without the earlier ones');
	is($healed, $tried, 'all are archived by their own calls');
	is($right, $tried, 'and are what they were');
	return;
}

# The same for a call of the server that starts a pusher.
sub test_killed_calls
{
	my @files = backlog(4);
	my $calls = count_calls(sub { call(fresh(), $files[0], $_[0]) });
	my $step = soak() ? 1 : int($calls / 6) + 1;
	my ($tried, $healed) = (0, 0);

	for (my $call = 1 + int rand $step; $call <= $calls; $call += $step)
	{
		my $view = fresh();
		call($view, $files[0], { signal_at($call) });
		$tried++;
		$healed += !grep { (call($view, $_))[0] != 0 } @files;
		wait_for_pusher($view);
		remove_tree($view->dir);
	}
	is($healed, $tried, "a call killed at $tried points is made up for");
	return;
}

sub test_two
{
	my $view = fresh();
	my @files = backlog(12);
	my @push = ('pgdr', '--config', $view->config, 'archive-push');
	my @start = ('sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', $pgdata);
	my @pids = map { in_background([ @start, @push, '--ahead', "pg_wal/$files[0]" ]) }
	  1 .. 2;
	my @codes;

	push @pids, in_background([ @start, @push, "pg_wal/$files[$_]" ]) for 0 .. 2;
	for my $pid (@pids)
	{
		waitpid $pid, 0;
		push @codes, $? >> 8;
	}
	is(scalar(grep { $_ == 0 } @codes[ 2 .. 4 ]),
		3, 'calls while pushers are at work');
	ok(!(grep { $_ != 0 && $_ != 5 } @codes[ 0, 1 ]),
		'two pushers: one is at work, or after the other');
	wait_for_pusher($view);
	is(scalar(grep { (call($view, $_))[0] == 0 } @files),
		scalar @files, 'all is archived');
	is(same_content($view, @files), scalar @files, 'and right');
	wait_for_pusher($view);
	return;
}

sub test_spool_damage
{
	my $view = fresh();
	my @files = backlog(8);
	my %harm = (
		'cut' => sub { substr($_[0], 0, length($_[0]) / 2) },
		'empty' => sub { '' },
		'zeros' => sub { "\0" x length $_[0] },
		'a bit flipped' => sub { flip_bit($_[0], 40, 3) },
		'the time another' => sub { $_[0] =~ s/("at":)1/${1}2/r },
		'longer than any' => sub { $_[0] x 400 });
	my $i = 0;

	ahead($view);
	for my $name (sort keys %harm)
	{
		my $file = $files[ $i++ ];
		my $bytes = slurp_bytes(ack_path($view, $file));

		spew(ack_path($view, $file), $harm{$name}->($bytes));
		anew($view, $file, "acknowledgement $name: no acknowledgement");
		wait_for_pusher($view);
	}
	ahead($view);
	copy(ack_path($view, $files[0]), ack_path($view, $files[1]));
	anew($view, $files[1], "another segment's is none");
	wait_for_pusher($view);
	remove_tree($view->dir . '/spool');
	anew($view, $files[2], 'the spool removed');
	wait_for_pusher($view);
	return;
}

sub test_spool_unusable
{
	my $view = fresh();
	my @files = backlog(6);

	ahead($view);
	chmod 0770, spool($view);
	anew($view, $files[0], 'a spool that others can write to is not trusted');
	chmod 0500, spool($view);
	by_ack($view, $files[1], 'a read-only spool can be read');
	unlink(ack_path($view, $files[2]));
	chmod 0700, spool($view);
	unlink(ack_path($view, $files[2]));
	chmod 0500, spool($view);
	anew($view, $files[2], 'and what is not in it is archived');
	chmod 0700, spool($view);

	my $none = fresh('spool-path' => '/proc/no/spool');
	anew($none, $files[0], 'without a spool each call archives its own');

	my ($disk, $why) = small_disk('64k');
  SKIP:
	{
		skip $why, 3 unless $disk;
		my $full = fresh('spool-path' => $disk->dir . '/spool');
		make_path($disk->dir . '/spool');
		spew($disk->dir . '/ballast', 'x' x 40960);
		open my $fh, '>>', $disk->dir . '/ballast' or die;
		syswrite $fh, 'x' x 512 for 1 .. 100;
		close $fh;
		my ($rc) = ahead($full);
		isnt($rc, 0, 'a full spool: the pusher cannot acknowledge');
		is_prefix($full, @files);
		my $good = grep { (call($full, $_))[0] == 0 } @files;
		is($good, scalar @files, 'but each call archives its own');
		is(same_content($full, @files), scalar @files, 'as it is');
	}
	return;
}

sub test_other_content
{
	my $view = fresh();
	my @files = backlog(4);
	my $path = "$pgdata/pg_wal/$files[0]";
	my $bytes = slurp_bytes($path);
	my @times = (stat $path)[ 8, 9 ];
	my ($rc, undef, @lines);

	ahead($view);
	open my $fh, '+<:raw', $path or die "open: $!";
	sysseek $fh, 500_000, 0;
	syswrite $fh, flip_bit(substr($bytes, 500_000, 1), 0, 1);
	close $fh;
	utime @times, $path;
	($rc, undef, @lines) = call($view, $files[0]);
	is($rc, 5, 'acknowledged, then another content: refused');
	like($view->last_of('error', @lines)->{message},
		qr/with other content/, 'for what it is');
	spew("$path.new", $bytes);
	chmod 0600, "$path.new";
	utime @times, "$path.new";
	rename "$path.new", $path or die;
	my (undef, $result) = call($view, $files[0]);
	ok($result && !$result->{ahead} && $result->{already},
		'the same content in another file is compared with the archive');
	wait_for_pusher($view);

	unlink glob spool($view) . '/*.ack';
	ahead($view);
	by_ack($view, $files[2], 'a young acknowledgement is believed',
		{ fake_clock(5 * 60) });
	anew($view, $files[2], 'one of the future is not', { fake_clock(-60) });
	wait_for_pusher($view);
	unlink glob spool($view) . '/*.ack';
	ahead($view);
	anew($view, $files[1], 'nor is an old one', { fake_clock(11 * 60) });
	wait_for_pusher($view);
	return;
}

sub test_lost_repository
{
	my $view = fresh();
	my @files = backlog(4);
	my ($rc, $result, @lines);

	ahead($view);
	unlink $view->object_path($files[0]);
	($rc, $result, @lines) = call($view, $files[0]);
	ok($rc == 0 && $view->is_archived($files[0]),
		'what was removed after it was acknowledged is stored again');
	ok((grep { $_->{type} eq 'log' && $_->{message} =~ /gone from/ } @lines),
		'with a warning');
	wait_for_pusher($view);
	rename $view->repo, $view->repo . '.away';
	($rc) = call($view, $files[1]);
	isnt($rc, 0, 'a repository that is gone is not believed to have it');
	rename $view->repo . '.away', $view->repo;
	return;
}

# Adds a second repository to a view.
sub add_repo
{
	my ($view, %keys) = @_;
	my $text = slurp_bytes($view->config);

	$text =~ s/^\[repo:b\].*//ms;
	$text .= "\n[repo:b]\ntype = posix\npath = " . $view->dir . "/b\n";
	$text .= "$_ = $keys{$_}\n" for sort keys %keys;
	spew($view->config, $text);
	$view->pgdr_ok('repo-init', '--repo', 'b')
	  unless grep { -d $view->dir . "/$_" } qw(b b.away);
	return;
}

sub test_changed_configuration
{
	my $view = fresh();
	my @files = backlog(4);

	ahead($view);
	add_repo($view);
	anew($view, $files[0], 'one more repository: no old acknowledgement holds');
	ok(-f $view->dir . '/b/' . $view->object_name($files[0]), 'it has it, too');
	wait_for_pusher($view);
	by_ack($view, $files[1], 'but those of now do');
	add_repo($view, required => 'no');
	anew($view, $files[1], 'required no more: another configuration');
	wait_for_pusher($view);
	$view->set_config('compress-level' => 3);
	by_ack($view, $files[2], 'how much is compressed is not asked for');
	return;
}

sub test_failing_repository
{
	my $view = fresh();
	my @files = backlog(4);
	my ($rc, $result, @lines);

	add_repo($view, required => 'no');
	rename $view->dir . '/b', $view->dir . '/b.away';
	is((ahead($view))[0], 0, 'one repository of two is away, and not required');
	($rc, $result, @lines) = call($view, $files[0]);
	ok($rc == 0 && $result->{ahead}, 'its absence holds nothing up');
	ok( (grep { $_->{name} eq 'b' && !$_->{stored} && $_->{message} }
			  @{ $result->{repositories} }),
		'the call says who has not got it');
	ok((grep { $_->{type} eq 'log' && $_->{message} =~ /"b" has not got/ } @lines),
		'and warns');

	add_repo($view);
	my (undef, undef, $err) = ahead($view);
	like($err, qr/repository "b"/, 'a required one is away: the pusher fails');
	ok(-e spool($view) . "/$files[0].failed", 'which it notes');
	($rc, undef, @lines) = call($view, $files[0]);
	isnt($rc, 0, 'the call fails');
	like($view->last_of('error', @lines)->{message},
		qr/repository "b"/, 'and says why');
	rename $view->dir . '/b.away', $view->dir . '/b';
	anew($view, $_, "$_ once it is back") for $files[0];
	wait_for_pusher($view);
	is(scalar(grep { (call($view, $_))[0] == 0 } @files),
		scalar @files, 'all are archived');
	wait_for_pusher($view);
	return;
}

# One in the middle cannot be archived: those before it are, none behind it.
sub test_refused_segment
{
	my $view = fresh();
	my @files = backlog(8);
	my $other = "$tmp/other/$files[3]";
	my $bytes = slurp_bytes("$pgdata/pg_wal/$files[3]");

	make_path("$tmp/other");
	spew($other, flip_bit($bytes, 600_000, 2));
	$view->pgdr_ok('archive-push', $other);
	my ($rc, undef, $err) = ahead($view);
	is($rc, 5, 'the pusher meets a segment with other content');
	like($err, qr/$files[3]/, 'names it');
	ok( !(grep { $view->is_archived($_) } @files[ 4 .. 7 ]),
		'and stores none behind it');
	is(scalar(grep { (call($view, $_))[0] == 0 } @files[ 0 .. 2 ]),
		3, 'those before it are archived');
	wait_for_pusher($view);
	my @lines;
	($rc, undef, @lines) = call($view, $files[3]);
	is($rc, 5, 'its own call fails');
	like($view->last_of('error', @lines)->{message},
		qr/other content/, 'for the reason that it has');
	return;
}

# Files of other kinds neither wait for the pusher nor are acknowledged.
sub test_other_kinds
{
	my $view = fresh();
	my ($file) = backlog(1);
	my $history = "$tmp/00000002.history";
	my $partial = "$tmp/$file.partial";
	my $begun;

	ahead($view);
	my $lock = spool($view) . '/lock';
	my $holder = in_background([ 'flock', $lock, 'sleep', '20' ]);
	poll(sub { system('flock', '-n', $lock, 'true') != 0 }, 'the lock');
	spew($history, "1\t0/3000000\tno reason\n");
	copy("$pgdata/pg_wal/$file", $partial);
	$begun = time;
	for my $path ($history, $partial)
	{
		my ($rc) = $view->pgdr('archive-push', $path);
		is($rc, 0, basename($path) . ' while somebody has the lock');
	}
	unlink $view->object_path($file);
	my ($rc) = $view->pgdr('archive-push', "$pgdata/pg_wal/../pg_wal/$file.none");
	isnt($rc, 0, 'a name that is none');
	copy("$pgdata/pg_wal/$file", "$tmp/$file");
	is(($view->pgdr('archive-push', "$tmp/$file"))[0],
		0, 'a segment from elsewhere');
	cmp_ok(time - $begun, '<', 10, 'none of them has waited');
	kill 'TERM', $holder;
	waitpid $holder, 0;
	return;
}

# The call waits for a pusher that has the segment in hand, and takes over when
# that one dies.
sub test_dying_pusher
{
	my $view = fresh();
	my ($file) = backlog(3);

	call($view, $file);
	wait_for_pusher($view);
	unlink glob spool($view) . '/*.ack';
	unlink $view->object_path($file);
	my $holder = in_background([ 'flock', '-F', spool($view) . '/lock', 'sleep', '60' ]);
	my $lock = spool($view) . '/lock';
	poll(sub { system('flock', '-n', $lock, 'true') != 0 }, 'the lock');
	my $call = in_background([ 'sh', '-c', 'cd "$1" && exec pgdr --config "$2" archive-push "$3"',
		'sh', $pgdata, $view->config, "pg_wal/$file" ]);
	sleep 0.5;
	ok(kill(0, $call) && !$view->is_archived($file), 'the call waits');
	kill 'KILL', $holder;
	waitpid $holder, 0;
	waitpid $call, 0;
	is($?, 0, 'and goes on itself when the other is dead');
	ok($view->is_archived($file), 'by itself');
	wait_for_pusher($view);
	return;
}

sub test_memory
{
	my $view = fresh('process-max' => 64);
	my ($first) = backlog(16);

	chdir $pgdata or die;
	my ($rc, $kilobytes) = $view->pgdr_measured('archive-push', '--ahead', "pg_wal/$first");
	chdir $here;
	is($rc, 0, 'as many workers as there may be');
	cmp_ok($kilobytes, '<', 64 * 1024, 'in 64 MiB of memory');
	note("$kilobytes kB");
	return;
}

# A store in which the last step is the upload itself.
sub test_store
{
	my ($kind) = @_;
	my $store = Store->new($kind, "$tmp/$kind");
	my @files = backlog(6);
	my $dir = "$tmp/view-$kind";
	my ($ordered, $healed, $tried) = (0, 0, 0);
	my ($view, $calls, $rc, $kilobytes);
	my $stored = sub {
		my %there = map { basename($_) => 1 } $store->list;
		return join '', map { $there{$_} ? 1 : 0 } @files;
	};
	my $begin = sub {
		$store->wipe;
		remove_tree($dir);
		make_path($dir);
		$view = view($pg, $dir, 'spool-path' => "$dir/spool");
		my $text = slurp_bytes($view->config);
		my $section = $store->section('far');
		$text =~ s/^\[repo:local\].*\z/$section/ms or die;
		spew($view->config, $text);
		$view->pgdr_ok('repo-init');
	};

	$begin->();
	is((ahead($view))[0], 0, "$kind: a pusher");
	is($stored->(), '1' x @files, "$kind: stores all");
	by_ack($view, $files[5], "$kind: and acknowledges them");
	$begin->();
	$calls = count_calls(sub { ahead($view, $_[0]) });
	for my $part (soak() ? (1 .. 19) : (8, 12, 15, 18))
	{
		$begin->();
		ahead($view, { signal_at(int($calls * $part / 20) + 1) });
		$tried++;
		$ordered += $stored->() =~ /^1*0*$/;
		$healed += !grep { (call($view, $_))[0] != 0 } @files;
		wait_for_pusher($view);
	}
	is($ordered, $tried, "$kind: killed: what is there is a beginning");
	is($healed, $tried, "$kind: and all are archived in the end");
	$begin->();
	$view->set_config('process-max' => 64);
	chdir $pgdata or die;
	($rc, $kilobytes) =
	  $view->pgdr_measured('archive-push', '--ahead', "pg_wal/$files[0]");
	chdir $here;
	ok($rc == 0 && $kilobytes < 64 * 1024, "$kind: in 64 MiB of memory");
	note("$kilobytes kB");
	$begin->();
	$store->down;
	my (undef, undef, $err) = ahead($view);
	isnt($err, '', "$kind: out of reach: the pusher fails");
	($rc) = call($view, $files[0]);
	isnt($rc, 0, "$kind: so does the call");
	$store->up;
	is(scalar(grep { (call($view, $_))[0] == 0 } @files),
		scalar @files, "$kind: back again, all are archived");
	wait_for_pusher($view);
	$store->stop;
	return;
}

sub test_off
{
	my $view = fresh('push-ahead' => 0);
	my @files = backlog(4);

	anew($view, $files[0], 'push-ahead = 0');
	ok(!-e $view->dir . '/spool/ahead', 'there is no look-ahead');
	ok(!$view->is_archived($files[1]), 'and nobody else at work');

	my $few = fresh('push-ahead' => 2);
	ahead($few);
	is_deeply([ acknowledged($few) ], [ @files[ 0, 1 ] ],
		'push-ahead = 2: no more than that are acknowledged');
	is(scalar(grep { $few->is_archived($_) } @files), 2, 'or archived');
	return;
}

# The server is stopped at once, and killed, while a pusher is at work.
sub test_server_stops
{
	for my $how (qw(immediate kill9))
	{
		my @files = backlog(soak() ? 100 : 20);

		archive_with($command);
		$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
		poll(sub { $pg->is_archived($files[2]) }, 'archiving to begin');
		$how eq 'immediate' ? $pg->stop('immediate') : $pg->crash;
		wait_for_pusher($pg);
		ok(is_prefix($pg, @files), "$how: what is stored is a beginning");
		$pg->start;
		poll(sub { $pg->is_archived($files[-1]) }, 'the rest to be archived');
		poll(sub { !-e "$status/$files[-1].ready" }, 'the server to take note');
		is(same_content($pg, @files), scalar @files, "$how: all are archived in the end");
		hold();
		wait_for_pusher($pg);
	}
	my ($rc, @lines) = $pg->pgdr_json('verify');
	is(scalar(errors_of(@lines)), 0, 'verify finds no hole and no damage');
	return;
}

hold();
test_acknowledged();
test_archiver();
test_kills();
test_killed_calls();
test_two();
test_spool_damage();
test_spool_unusable();
test_other_content();
test_lost_repository();
test_changed_configuration();
test_failing_repository();
test_refused_segment();
test_other_kinds();
test_dying_pusher();
test_memory();
test_store($_) for soak() ? qw(s3 azure sftp) : 's3';
test_off();
test_server_stops();
done_testing();
