# Look-ahead of recovery: segments are fetched before the server asks for them.
# Whatever happens to fetcher, calls, spool and repositories, what a call gives
# with status 0 is the segment that was archived, no guess is ever an answer,
# and nothing is left behind when recovery ends.

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

seed(82);

my $pg = PgDr->new_cluster(
	'main',
	wal_segsize => 1,
	conf => "wal_keep_size = 1GB\nmax_wal_size = 2GB\n",
	pgdr_conf => { 'process-max' => 2 });

$pg->backup;
noise_segments($pg, soak() ? 100 : 30);
my $last = $pg->switch_wal;
my @files = $pg->segments;
my %content = map { $_ => slurp_bytes($pg->data_dir . "/pg_wal/$_") }
  grep { -e $pg->data_dir . "/pg_wal/$_" } @files;

@files = grep { $content{$_} } @files;

# ---- a server in recovery, as far as pgdr can see ----

my @holders;
my $servers = 0;

# A process in a data directory that has what a recovering server's has.
sub server
{
	my ($dir) = @_;

	$dir //= "$tmp/server" . ++$servers;
	make_path("$dir/global", "$dir/pg_wal");
	copy($pg->data_dir . "/$_", "$dir/$_") or die "copy: $!"
	  for qw(PG_VERSION global/pg_control);
	PgDr::spew("$dir/recovery.signal", '');
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		chdir $dir or POSIX::_exit(1);
		exec 'sleep', '3600' or POSIX::_exit(1);
	}
	push @holders, $pid;
	PgDr::spew("$dir/postmaster.pid", "$pid\n$dir\n");
	return $dir;
}

END
{
	my $status = $?;
	kill 'KILL', @holders if @holders;
	waitpid $_, 0 for @holders;
	$? = $status;
}

sub spool { my ($dir) = @_; return "$dir/pg_wal/.pgdr-ahead" }

sub fetched
{
	my ($dir) = @_;
	my @good = sort map { basename($_, '.good') } glob spool($dir) . '/*.good';

	return @good;
}

# So many segments lie in the spool.
sub wait_fetched
{
	my ($dir, $count) = @_;

	poll(sub { fetched($dir) >= $count }, "$count segments to be fetched");
	return fetched($dir);
}

sub fetcher_is_there
{
	my ($dir) = @_;
	my $lock = spool($dir) . '/lock';

	return -e $lock && system('flock', '-n', $lock, 'true') != 0;
}

# By what it is: the lock was taken by the call that started it.
sub fetcher_pid
{
	my ($dir) = @_;

	for my $process (glob '/proc/[0-9]*')
	{
		next if (readlink "$process/cwd" // '') ne $dir;
		open my $fh, '<', "$process/cmdline" or next;
		return basename($process) if (<$fh> // '') =~ /\0--ahead\0/;
	}
	return;
}

# Recovery has ended: so does the fetcher, and leaves nothing.
sub end_recovery
{
	my ($dir) = @_;

	unlink "$dir/recovery.signal";
	poll(sub { !-e spool($dir) }, 'the fetcher to clear up');
	return;
}

# As the server calls: ($rc, $result, @lines).
sub call
{
	my ($view, $dir, $file, $env) = @_;

	unlink "$dir/pg_wal/RECOVERYXLOG";
	my ($rc, @lines) = $view->pgdr_json('archive-get', $file,
		'pg_wal/RECOVERYXLOG', { cwd => $dir, env => $env // {} });
	return ($rc, $view->last_of('result', @lines), @lines);
}

sub is_right
{
	my ($dir, $file) = @_;
	my $got = "$dir/pg_wal/RECOVERYXLOG";

	return -f $got && !-l $got && slurp_bytes($got) eq $content{$file};
}

# Calls for all these; how many were right, and how many fetched ahead.
sub call_all
{
	my ($view, $dir, @names) = @_;
	my ($right, $ahead) = (0, 0);

	for my $file (@names)
	{
		my ($rc, $result) = call($view, $dir, $file);
		$right += $rc == 0 && is_right($dir, $file);
		$ahead += $rc == 0 && $result->{ahead};
	}
	return ($right, $ahead);
}

# One is right, and fetched ahead or not.
sub by_spool
{
	my ($view, $dir, $file, $name, $env) = @_;
	my ($rc, $result) = call($view, $dir, $file, $env);

	return ok($rc == 0 && $result->{ahead} && is_right($dir, $file), $name)
	  || diag("status $rc");
}

sub anew
{
	my ($view, $dir, $file, $name, $env) = @_;
	my ($rc, $result) = call($view, $dir, $file, $env);

	return ok($rc == 0 && !$result->{ahead} && is_right($dir, $file), $name)
	  || diag("status $rc");
}

my $views = 0;

# A copy of the repository with a configuration of its own.
sub fresh
{
	my (%keys) = @_;
	return clone_view($pg, "$tmp/view" . ++$views, 'process-max' => 2, %keys);
}

# ---- the tests ----

sub test_in_order
{
	my $dir = server();
	my ($right, $ahead) = call_all($pg, $dir, @files);

	is($right, scalar @files, 'all segments, one after the other, are right');
	cmp_ok($ahead, '>', @files / 2, "most ($ahead) were fetched ahead");
	ok(fetcher_is_there($dir), 'the fetcher stays while recovery goes on');
	my ($rc) = call($pg, $dir, '0000000100000001000000FF');
	is($rc, 1, 'at the end: absent');
	end_recovery($dir);
	pass('when recovery has ended the spool is removed');
	ok(!-e $_, "$_ is not left")
	  for grep { !m{/RECOVERYXLOG$} } glob "$dir/pg_wal/{.[!.],}*";
	return;
}

sub test_delivery
{
	my $dir = server();

	anew($pg, $dir, $files[0], 'the first is fetched by its call');
	wait_fetched($dir, 1);
	is((fetched($dir))[0], $files[1], 'the next is fetched ahead');
	my $inode = (stat spool($dir) . "/$files[1]")[1];
	my (undef, undef, $err) = $pg->pgdr('archive-get', $files[1],
		'pg_wal/RECOVERYXLOG', { cwd => $dir, env => { LD_DEBUG => 'files' } });
	ok(is_right($dir, $files[1]), 'it is handed over');
	is((stat "$dir/pg_wal/RECOVERYXLOG")[1], $inode, 'by its name alone');
	unlike($err, qr/libcrypto|libcurl|libssh2/,
		'which loads no library that it does not need');
	like($err, qr/libjansson/, '(others are seen)');
	is((stat "$dir/pg_wal/RECOVERYXLOG")[2] & 07777, 0600, 'for the server alone');
	is((stat spool($dir))[2] & 07777, 0700, 'and so is the spool');
	wait_fetched($dir, 4);
	my ($rc) = $pg->pgdr('archive-get', $files[2], "$tmp/by-hand", { cwd => $dir });
	ok($rc == 0 && slurp_bytes("$tmp/by-hand") eq $content{ $files[2] },
		'to another place it is fetched');
	ok((grep { $_ eq $files[2] } fetched($dir)), 'and stays in the spool');
	end_recovery($dir);
	return;
}

# What the server asks for next depends on it alone.
sub test_jumps
{
	my $dir = server();
	my @wanted = map { $files[$_] } 8, 2, 3, 4, 20, 21, 5, 5, 6, 28, 0, 1;
	my ($right) = call_all($pg, $dir, @wanted);

	is($right, scalar @wanted, 'back and forth: all are right');
	call($pg, $dir, $files[10]);
	poll(sub { join(' ', (fetched($dir))[ 0, 1 ]) eq "@files[11, 12]" },
		'what follows to be fetched');
	poll(
		sub {
			my %near = map { $_ => 1 } @files[ 11 .. $#files ];
			!grep { !$near{$_} } fetched($dir);
		},
		'what is not wanted to be dropped');
	pass('what is not wanted any more is dropped');
	end_recovery($dir);
	return;
}

sub test_limits
{
	my $view = fresh('get-ahead' => '3MB');
	my $dir = server();
	my $most = 0;

	call($view, $dir, $files[0]);
	wait_fetched($dir, 3);
	for my $file (@files[ 1 .. 12 ])
	{
		call($view, $dir, $file);
		sleep 0.03;
		my $count = grep { m{/[0-9A-F]{24}$} } glob spool($dir) . '/*';
		$most = $count if $most < $count;
	}
	cmp_ok($most, '<=', 3, 'get-ahead = 3MB: no more than three of 1 MB');
	end_recovery($dir);

	my $off = fresh('get-ahead' => 0);
	my $still = server();
	my ($right, $ahead) = call_all($off, $still, @files[ 0 .. 3 ]);
	ok($right == 4 && $ahead == 0, 'get-ahead = 0: no look-ahead');
	ok(!-e spool($still), 'and no spool');
	return;
}

sub test_where_no_server_recovers
{
	my $dir = server();

	unlink "$dir/recovery.signal";
	call($pg, $dir, $files[0]);
	ok(!-e spool($dir), 'a server that does not recover: no look-ahead');
	my ($rc, undef, $err) = $pg->pgdr('archive-get', '--ahead', $files[0],
		'pg_wal/RECOVERYXLOG', { cwd => $dir });
	ok($rc >= 200 && $err =~ /no server recovers/, 'nor by hand');
	ok(!-e spool($dir), 'and nothing is left');
	PgDr::spew("$dir/recovery.signal", '');
	unlink "$dir/postmaster.pid";
	call($pg, $dir, $files[0]);
	ok(!-e spool($dir), 'no server at all: neither');
	return;
}

# Damage, a hole, the end: told by the server's own call, and none behind it.
sub test_no_guess
{
	my $view = fresh();
	my $dir = server();
	my ($bad, $gone) = @files[ 6, 12 ];
	my $good = slurp_bytes($view->object_path($bad));
	my ($rc, @lines);

	rewrite($view->object_path($bad), flip_bit($good, length($good) / 2, 1));
	unlink $view->object_path($gone);
	my ($right) = call_all($view, $dir, @files[ 0 .. 5 ]);
	is($right, 6, 'up to a damaged object all are right');
	sleep 0.3;
	cmp_ok(scalar fetched($dir), '<=', 1,
		'none behind it is fetched, but what the other worker had in hand');
	($rc, undef, @lines) = call($view, $dir, $bad);
	is($rc, 202, 'the call for it says that it is damaged');
	ok(!-e "$dir/pg_wal/RECOVERYXLOG", 'and gives nothing');
	rewrite($view->object_path($bad), $good);
	anew($view, $dir, $bad, 'repaired it is fetched');
	poll(sub { grep { $_ eq $files[7] } fetched($dir) }, 'the next');
	by_spool($view, $dir, $files[7], 'and look-ahead goes on');
	($right) = call_all($view, $dir, @files[ 8 .. 11 ]);
	is($right, 4, 'up to a hole all are right');
	($rc, undef, @lines) = call($view, $dir, $gone);
	is($rc, 205, 'the call for what is missing says so');
	($rc) = call($view, $dir, $gone);
	is($rc, 205, 'again and again');
	call($view, $dir, $files[-2]);
	wait_fetched($dir, 1);
	by_spool($view, $dir, $files[-1], 'the last');
	for my $try (1 .. 3)
	{
		($rc) = call($view, $dir, '0000000100000001000000FF');
		is($rc, 1, "there is no more ($try)");
	}
	end_recovery($dir);
	return;
}

# A segment that comes to be is found at once, whoever looked for it before.
sub test_end_grows
{
	my $view = fresh();
	my $dir = server();
	my @late = @files[ 10 .. 14 ];
	my %away = map { $_ => slurp_bytes($view->object_path($_)) } @late;

	unlink map { $view->object_path($_) } @files[ 10 .. $#files ];
	call_all($view, $dir, @files[ 5 .. 9 ]);
	for my $file (@late)
	{
		my ($rc) = call($view, $dir, $file);
		is($rc, 1, "$file is not there yet");
		rewrite($view->object_path($file), $away{$file});
		anew($view, $dir, $file, 'and then it is');
	}
	end_recovery($dir);
	return;
}

sub test_repository_away
{
	my $view = fresh('get-ahead' => '6MB');
	my $dir = server();
	my $rc;

	call($view, $dir, $files[0]);
	call($view, $dir, $files[1]);
	my @there = wait_fetched($dir, 4);
	chmod 0, $view->repo . '/wal' or die;
	my $count = 0;
	for my $file (@files[ 2 .. $#files ])
	{
		($rc) = call($view, $dir, $file);
		last if $rc != 0;
		$count++;
	}
	cmp_ok($count, '>=', scalar @there - 1, 'what is fetched outlives the repository');
	ok($rc >= 200, "and then the call fails ($rc)");
	chmod 0700, $view->repo . '/wal' or die;
	my ($right) = call_all($view, $dir, @files[ 2 + $count .. $#files ]);
	is($right, @files - 2 - $count, 'back again, it goes on');
	end_recovery($dir);
	return;
}

# What lies in the spool and is not exactly what was verified.
sub test_spool_damage
{
	my $dir = server();
	my %harm = (
		'the note cut' => sub { rewrite("$_[0].good", substr(slurp_bytes("$_[0].good"), 0, 40)) },
		'the note zeros' => sub { rewrite("$_[0].good", "\0" x 100) },
		'a bit of the note' => sub { rewrite("$_[0].good", flip_bit(slurp_bytes("$_[0].good"), 60, 2)) },
		'no note' => sub { unlink "$_[0].good" },
		'no segment' => sub { unlink $_[0] },
		'a bit of the segment, with its times' => sub {
			my @times = (stat $_[0])[ 8, 9 ];
			open my $fh, '+<:raw', $_[0] or die;
			sysseek $fh, 500_000, 0;
			syswrite $fh, 'x';
			close $fh;
			utime @times, $_[0];
		},
		'another file' => sub { copy($_[0], "$_[0].new"); rename "$_[0].new", $_[0] },
		'a link to it' => sub { link $_[0], "$tmp/linked" or die },
		'a symbolic link' => sub { rename $_[0], "$tmp/moved"; symlink "$tmp/moved", $_[0] },
		"another segment's" => sub {
			my $other = (grep { $_ gt basename($_[0]) } fetched($dir))[0];
			copy(spool($dir) . "/$other", $_[0]);
			copy(spool($dir) . "/$other.good", "$_[0].good") });
	my $at = 0;

	call($pg, $dir, $files[0]);
	for my $name (sort keys %harm)
	{
		my $file = $files[ ++$at ];

		poll(
			sub {
				my @there = fetched($dir);
				@there >= 2 && $there[0] eq $file;
			},
			"$file and the next");
		$harm{$name}->(spool($dir) . "/$file");
		anew($pg, $dir, $file, "$name: it is fetched anew");
		unlink "$tmp/linked";
	}
	remove_tree(spool($dir));
	anew($pg, $dir, $files[ ++$at ], 'the spool removed');
	my ($right) = call_all($pg, $dir, @files[ $at + 1 .. $at + 5 ]);
	is($right, 5, 'and it goes on');
	end_recovery($dir);
	return;
}

sub test_foreign_spool
{
	my $dir = server();

	call($pg, $dir, $files[0]);
	wait_fetched($dir, 3);
	chmod 0770, spool($dir);
	anew($pg, $dir, $files[1], 'a spool that others can write to is not trusted');
	chmod 0700, spool($dir);
	by_spool($pg, $dir, $files[2], 'closed it is');
	wait_fetched($dir, 2);
	kill 'KILL', fetcher_pid($dir);
	poll(sub { !fetcher_is_there($dir) }, 'the fetcher to be dead');

	# the same directory, moved to another server of the same cluster
	my $other = server();
	rename spool($dir), spool($other) or die;
	my $view = fresh();
	anew($view, $other, $files[3], 'fetched by another configuration: not used');
	end_recovery($other);

	my $elsewhere = server();
	mkdir "$tmp/elsewhere", 0700;
	symlink "$tmp/elsewhere", spool($elsewhere);
	my ($right, $ahead) = call_all($pg, $elsewhere, @files[ 0 .. 2 ]);
	ok($right == 3 && $ahead == 0, 'a symbolic link is no spool');
	unlink spool($elsewhere);
	PgDr::spew(spool($elsewhere), 'x');
	($right, $ahead) = call_all($pg, $elsewhere, @files[ 0 .. 2 ]);
	ok($right == 3 && $ahead == 0, 'nor is a file');

	my $copied = server();
	my $from = server();
	call($pg, $from, $files[0]);
	wait_fetched($from, 3);
	system('cp', '-a', spool($from), spool($copied)) == 0 or die;
	anew($pg, $copied, $files[1], 'a copied spool is not used');
	end_recovery($from);
	end_recovery($copied);
	return;
}

sub test_two_servers
{
	my @dirs = (server(), server());
	my $right = 0;

	for my $i (0 .. 11)
	{
		for my $which (0, 1)
		{
			my $file = $files[ $i + 10 * $which ];
			my ($rc) = call($pg, $dirs[$which], $file);
			$right += $rc == 0 && is_right($dirs[$which], $file);
		}
	}
	is($right, 24, 'two servers with one configuration');
	end_recovery($_) for @dirs;
	return;
}

sub test_calls_at_once
{
	my $dir = server();
	my @pids;
	my $failed = 0;

	call($pg, $dir, $files[0]);
	wait_fetched($dir, 2);
	push @pids, in_background([ 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh',
			$dir, 'pgdr', '--config', $pg->config, 'archive-get', $files[1],
			'pg_wal/RECOVERYXLOG' ]) for 1 .. 4;
	for my $pid (@pids)
	{
		waitpid $pid, 0;
		$failed++ if $? != 0;
	}
	is($failed, 0, 'several calls for the same at once');
	ok(is_right($dir, $files[1]), 'it is right');
	end_recovery($dir);
	return;
}

# Killed before each of its calls that change files.
sub test_kills
{
	my ($tried, $right, $good) = (0, 0, 0);

	for my $call (soak() ? (1 .. 60) : map { 3 * $_ + int rand 3 } 1 .. 12)
	{
		my $dir = server();

		# its own process, as a call starts it, with the lock not yet taken
		make_path(spool($dir));
		chmod 0700, spool($dir);
		my $pid = in_background([ 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh',
				$dir, 'env', env_of(signal_at($call)), 'pgdr', '--config', $pg->config, 'archive-get', '--ahead', $files[0],
				'pg_wal/RECOVERYXLOG' ]);
		poll(sub { waitpid($pid, POSIX::WNOHANG()) != 0 || fetched($dir) >= 6 },
			'the fetcher to be killed, or at work');
		kill 'KILL', $pid;
		waitpid $pid, 0;
		$tried++;
		my @there = fetched($dir);
		$good += !grep { slurp_bytes(spool($dir) . "/$_") ne $content{$_} } @there;
		my ($count) = call_all($pg, $dir, @files[ 1 .. 6 ]);
		$right += $count == 6;
		end_recovery($dir);
	}
	is($good, $tried, "fetcher killed at $tried points: what is noted as good is");
	is($right, $tried, 'and each call gives what it should');
	return;
}

sub env_of
{
	my (%env) = @_;
	return map { "$_=$env{$_}" } sort keys %env;
}

sub test_killed_calls
{
	my ($tried, $right) = (0, 0);

	for my $which (0, 1)
	{
		for my $call (1 .. (soak() ? 12 : 5))
		{
			my $dir = server();

			if ($which == 1)
			{
				call($pg, $dir, $files[0]);
				wait_fetched($dir, 2);
			}
			call($pg, $dir, $files[$which], { signal_at($call) });
			my ($count) = call_all($pg, $dir, @files[ $which .. $which + 3 ]);
			$tried++;
			$right += $count == 4;
			end_recovery($dir);
		}
	}
	is($right, $tried, "a call killed at $tried points is made up for");
	return;
}

# It is there, and does nothing.
sub test_stopped_fetcher
{
	my $dir = server();

	call($pg, $dir, $files[0]);
	wait_fetched($dir, 3);
	my $pid = fetcher_pid($dir);
	kill 'STOP', $pid;
	my $begun = time();
	my ($right, $ahead) = call_all($pg, $dir, @files[ 1 .. $#files ]);
	is($right, $#files, 'with a fetcher that is stopped all calls are served');
	cmp_ok(time() - $begun, '<', 2 + 0.3 * @files, 'without much waiting');
	kill 'CONT', $pid;
	end_recovery($dir);

	# it holds a segment half fetched
	$dir = server();
	call($pg, $dir, $files[0]);
	wait_fetched($dir, 3);
	$pid = fetcher_pid($dir);
	kill 'STOP', $pid;
	PgDr::spew(spool($dir) . "/.pgdr-tmp-$files[9].$pid", 'x' x 5000);
	$begun = time();
	anew($pg, $dir, $files[9], 'one that does not get on is fetched by its call');
	my $took = time() - $begun;
	ok($took > 0.9 && $took < 5, 'after a second');
	kill 'CONT', $pid;
	end_recovery($dir);
	return;
}

sub test_dead_fetcher
{
	my $dir = server();

	call($pg, $dir, $files[0]);
	wait_fetched($dir, 3);
	kill 'KILL', fetcher_pid($dir);
	poll(sub { !fetcher_is_there($dir) }, 'the fetcher to be dead');
	by_spool($pg, $dir, $files[1], 'what a dead fetcher has left is good');
	my ($right) = call_all($pg, $dir, @files[ 2 .. 12 ]);
	is($right, 11, 'and others follow');
	ok(fetcher_is_there($dir), 'a new one is at work');
	# the server is gone
	kill 'KILL', (split /\n/, slurp_bytes("$dir/postmaster.pid"))[0];
	waitpid((split /\n/, slurp_bytes("$dir/postmaster.pid"))[0], 0);
	poll(sub { !-e spool($dir) }, 'the fetcher to end');
	pass('it ends when the server is gone');
	return;
}

sub test_full_disk
{
	my ($disk, $why) = small_disk('9m');

  SKIP:
	{
		skip $why, 2 unless $disk;
		my $view = fresh('get-ahead' => '3MB');
		my $dir = server($disk->dir . '/data');
		my ($right, $ahead) = call_all($view, $dir, @files[ 0 .. 9 ]);

		ok($right == 10 && $ahead > 0, 'on a small disk');
		PgDr::spew($disk->dir . '/ballast', 'x' x (3 * 1024 * 1024));
		sleep 0.2;
		($right, $ahead) = call_all($view, $dir, @files[ 10 .. 20 ]);
		is($right, 11, 'that is nearly full: calls are served');
		my $free = qx{df -Pk @{[ $disk->dir ]} | tail -1} =~ /\s(\d+)\s+\d+%/ ? $1 : 0;
		cmp_ok($free, '>', 1024, 'and the server keeps what room there is');
		end_recovery($dir);
	}
	return;
}

# The first repository has it damaged: the warning comes with the segment.
sub test_repositories
{
	my $view = fresh();
	my $dir = server();
	my $text = slurp_bytes($view->config);
	my $bad = $files[3];

	PgDr::spew($view->config, "$text\n[repo:b]\ntype = posix\npath = "
		  . $view->dir . "/b\n");
	$view->pgdr_ok('repo-init', '--repo', 'b');
	$view->pgdr_ok('repo-copy', '--from', 'local', '--to', 'b');
	my $bytes = slurp_bytes($view->object_path($bad));
	rewrite($view->object_path($bad), flip_bit($bytes, length($bytes) / 2, 1));
	call($view, $dir, $files[0]);
	poll(sub { grep { $_ eq $bad } fetched($dir) }, 'the one that is damaged');
	my ($right) = call_all($view, $dir, @files[ 1, 2 ]);
	my ($rc, $result, @lines) = call($view, $dir, $bad);
	ok($rc == 0 && is_right($dir, $bad), 'from the other repository');
	ok($result->{ahead}, 'ahead');
	ok((grep { $_->{type} eq 'log' && $_->{level} eq 'warning'
			  && $_->{message} =~ /\Q$bad\E/ } @lines),
		'and the call warns of the first');
	end_recovery($dir);
	return;
}

sub test_memory
{
	my $dir = server();
	my $view = fresh('process-max' => 64);
	my $here = Cwd::getcwd();
	my $ender = fork // die;

	if ($ender == 0)
	{
		# as many as eight workers fetch before any is asked for
		for (1 .. 1000)
		{
			last if fetched($dir) >= 16;
			sleep 0.03;
		}
		unlink "$dir/recovery.signal";
		POSIX::_exit(0);
	}
	chdir $dir or die;
	my ($rc, $kilobytes) = $view->pgdr_measured('archive-get', '--ahead', $files[0],
		'pg_wal/RECOVERYXLOG');
	chdir $here;
	waitpid $ender, 0;
	is($rc, 0, 'as many workers as there may be');
	ok(!-e spool($dir), 'end with recovery');
	cmp_ok($kilobytes, '<', 64 * 1024, 'in 64 MiB of memory');
	note("$kilobytes kB");
	return;
}

sub test_store
{
	my ($kind) = @_;
	my $store = Store->new($kind, "$tmp/$kind");
	my $dir = server();
	my $view = fresh('get-ahead' => '6MB');
	my $text = slurp_bytes($view->config);
	my ($section) = $store->section('far');

	PgDr::spew($view->config, "$text\n$section");
	$view->pgdr_ok('repo-init', '--repo', 'far');
	$view->pgdr_ok('repo-copy', '--from', 'local', '--to', 'far');
	$text =~ s/^\[repo:local\].*\z/$section/ms or die;
	PgDr::spew($view->config, $text);
	my ($right, $ahead) = call_all($view, $dir, @files[ 0 .. 19 ]);
	is($right, 20, "$kind: all are right");
	cmp_ok($ahead, '>', 5, "$kind: some ($ahead) fetched ahead");
	wait_fetched($dir, 5);
	$store->down;
	my ($rc, $file);
	for (20 .. $#files)
	{
		($rc) = call($view, $dir, $file = $files[$_]);
		last if $rc != 0;
	}
	ok($rc >= 200, "$kind: away: the call fails once nothing is left ($rc)");
	$store->up;
	my ($rest) = grep { $files[$_] eq $file } 0 .. $#files;
	($right) = call_all($view, $dir, @files[ $rest .. $#files ]);
	is($right, @files - $rest, "$kind: back again, it goes on");
	end_recovery($dir);
	$store->stop;
	return;
}

# ---- real servers ----

sub json_restore_command
{
	my ($node) = @_;
	my ($command) = slurp_bytes($node->data_dir . '/postgresql.auto.conf') =~
	  /^restore_command = '(.*)'$/m;

	$command =~ s/(?= archive-get)/ --output=json/;
	$node->append_conf('postgresql.auto.conf', "restore_command = '$command'\n");
	return;
}

sub ahead_in_log
{
	my ($node) = @_;
	my @told = grep { /"ahead":true/ } split /\n/, slurp_file($node->logfile);

	return scalar @told;
}

# Along two timelines, the second of which begins in the middle.
sub test_recovery
{
	$pg->safe_psql('postgres', 'CREATE TABLE t (n int); INSERT INTO t VALUES (1)');
	$pg->switch_wal;
	$pg->stop('immediate');
	my $second = $pg->restore('second');

	$second->enable_archive;
	json_restore_command($second);
	$second->start_recovered;
	cmp_ok(ahead_in_log($second), '>', @files / 3,
		'recovery: segments are fetched ahead');
	poll(sub { !-e spool($second->data_dir) }, 'the spool to be removed');
	pass('and when it has ended the spool is gone');
	$second->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
	mkdir spool($second->data_dir), 0700;
	PgDr::spew(spool($second->data_dir) . "/$files[0]", 'x');
	noise_segments($second, 12);
	$second->switch_wal;
	ok(!-e spool($second->data_dir),
		'what a killed one would have left goes when the server archives');
	my $standby = $second->restore('standby', '--standby');

	$standby->append_conf('postgresql.auto.conf',
		"wal_retrieve_retry_interval = '100ms'\n");
	json_restore_command($standby);
	$standby->start;
	ok($standby->poll_query_until('postgres', 'SELECT count(*) = 2 FROM t'),
		'a standby follows to the second timeline');
	my $log = slurp_file($standby->logfile);
	ok($log =~ /"name":"00000002\w+","ahead":true/,
		'segments of the second timeline are fetched ahead');
	for my $n (3 .. 6)
	{
		$second->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
		$second->switch_wal;
		ok($standby->poll_query_until('postgres', "SELECT count(*) = $n FROM t"),
			"the standby follows ($n)");
	}
	$second->stop('immediate');
	$standby->promote;
	$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	poll(sub { !-e spool($standby->data_dir) }, 'the spool to be removed');
	is($standby->safe_psql('postgres', 'SELECT string_agg(n::text, $$ $$ ORDER BY n) FROM t'),
		'1 2 3 4 5 6', 'promoted: nothing is missing, and nothing left');
	$standby->amcheck_ok('the standby that was promoted');
	$standby->stop;
	return;
}

test_in_order();
test_delivery();
test_jumps();
test_limits();
test_where_no_server_recovers();
test_no_guess();
test_end_grows();
test_repository_away();
test_spool_damage();
test_foreign_spool();
test_two_servers();
test_calls_at_once();
test_kills();
test_killed_calls();
test_stopped_fetcher();
test_dead_fetcher();
test_full_disk();
test_repositories();
test_memory();
test_store($_) for soak() ? qw(s3 azure sftp) : 's3';
test_recovery();
done_testing();
