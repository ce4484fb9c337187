# expire and delete on a real repository: what goes is what the rules say, each
# with a reason, and what stays can be restored.
#
# The backups are weeks apart: each was taken with the clock set back.  What
# random rules should do with them is told by a model, which is much shorter
# than the program because it knows of one cluster and one timeline only.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use List::Util qw(min);
use PgDr;
use POSIX qw(SIGSTOP);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $day = 86400;

seed(56);

my $pg = PgDr->new_cluster('main', wal_segsize => 1,
	conf => "max_wal_size = 200MB\n");

# ---- backups of forty days ----

# [{ label, age (days), start (number of its first segment), rows }], by age.
my @backups;

sub row_count
{
	my ($cluster) = @_;
	return $cluster->safe_psql('postgres', 'SELECT count(*) FROM t');
}

# Of a segment's name; of timeline 1, segments of 1 MB.
sub number_of
{
	my ($name) = @_;
	return hex(substr $name, 8, 8) * 4096 + hex substr $name, 16, 8;
}

sub info_of
{
	my ($view, $label) = @_;
	my ($rc, @lines) = $view->pgdr_json('info', $label);

	return $view->last_of('backup', @lines);
}

$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');
for my $age (40, 30, 21, 14, 7, 3, 1, 0)
{
	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($age)");
	$pg->switch_wal;
	my $label =
	  $pg->pgdr_result('backup', { env => { fake_clock(-$age * $day) } })
	  ->{label};
	my $info = info_of($pg, $label);

	push @backups,
	  {
		label => $label,
		age => $age,
		good => 1,
		start => hex((split m{/}, $info->{start_lsn})[1]) >> 20
	  };
}
$pg->safe_psql('postgres', 'INSERT INTO t VALUES (-1)');
$pg->switch_wal;
my $rows = row_count($pg);
is_deeply([ map { $_->{label} } @backups ],
	[ sort map { $_->{label} } @backups ], 'backups are as old as they say');

# One of them failed its last verification: a mark that a damaged copy got.
{
	my $flawed = $backups[5];
	my $view = clone_view($pg, "$tmp/case");
	my ($pack) = glob "$view->{repo}/backup/$flawed->{label}/data/*";

	rewrite($pack, flip_bit(slurp_bytes($pack), -100, 3));
	is(($view->pgdr('verify'))[0], 10, 'a backup is damaged');
	my ($mark) = glob "$view->{repo}/backup/$flawed->{label}/mark/*";
	my $to = $mark =~ s/^\Q$view->{repo}\E/$pg->{repo}/r;
	make_path(dirname($to));
	copy($mark, $to) or die "copy: $!";
	$flawed->{good} = 0;
}

# ---- the model ----

sub kept_by
{
	my ($policy) = @_;
	my ($full, $time) = @$policy{qw(full time)};
	my @good = grep { $backups[$_]{good} } 0 .. $#backups;
	my @anchors;

	return 0 .. $#backups unless $full || $time;
	if ($full)
	{
		return 0 .. $#backups if @good < $full;
		push @anchors, $good[-$full];
	}
	if ($time)
	{
		my @old = grep { $backups[$_]{age} >= $time } @good;

		return 0 .. $#backups unless @old;
		push @anchors, $old[-1];
	}
	return min(@anchors) .. $#backups;
}

# Names of backups and segments that are to be there afterwards.
sub left_by
{
	my ($policy, $view) = @_;
	my @kept = kept_by($policy);
	my $from = $policy->{full} || $policy->{time} ? $backups[ $kept[0] ]{start} : 0;

	return (
		[ map { $backups[$_]{label} } @kept ],
		[ grep { number_of($_) >= $from } $view->segments ]);
}

sub options_of
{
	my ($policy) = @_;
	return ("--keep-full=$policy->{full}", "--keep-time=$policy->{time}d");
}

sub labels
{
	my ($view) = @_;
	my ($rc, @lines) = $view->pgdr_json('info');

	return [ map { $_->{label} }
		  grep { $_->{type} eq 'backup' && $_->{state} eq 'complete' } @lines ];
}

# Objects below a directory: not what a writer that was killed left unfinished.
sub objects
{
	my ($dir) = @_;
	return -d $dir ? grep { !m{/\.[^/]*$} } repository_files($dir) : ();
}

sub snapshot
{
	my ($view) = @_;
	return [ map { join ' ', $_, (stat $_)[ 7, 9 ] } repository_files($view->repo) ];
}

# ---- random rules ----

for my $n (1 .. (soak() ? 500 : 20))
{
	my $policy = { full => int rand 10, time => int rand 45 };
	$policy->{ rand() < 0.5 ? 'full' : 'time' } = 0 if rand() < 0.6;

	my $what = join ' ', options_of($policy);
	my $view = clone_view($pg, "$tmp/case");
	my ($labels, $segments) = left_by($policy, $view);
	my $before = snapshot($view);
	my ($rc, @lines) =
	  $view->pgdr_json('expire', '--dry-run', options_of($policy));
	my @decisions = grep { $_->{type} eq 'decision' } @lines;

	is($rc, 0, "$what: a dry run");
	is_deeply(snapshot($view), $before, "$what: changes nothing");
	is_deeply(
		[ sort map { $_->{label} } grep { $_->{label} } @decisions ],
		[ map { $_->{label} } @backups ],
		"$what: decides on every backup");
	is_deeply(
		[ sort map { $_->{label} }
			  grep { $_->{label} && $_->{action} eq 'keep' } @decisions ],
		$labels, "$what: as the model does");
	is((grep { ($_->{reason} // '') !~ /^[A-Z].*\.$/ } @decisions),
		0, "$what: gives a reason for each");

	my $result = $view->pgdr_result('expire', options_of($policy));
	is_deeply(labels($view), $labels, "$what: these backups are left");
	is_deeply([ $view->segments ], $segments, "$what: and this WAL");
	is($result->{backups}, @backups - @$labels, "$what: so many are gone");
	is(($view->pgdr('verify', '--no-mark'))[0], 0, "$what: all is well")
	  if $n % 5 == 0;
}

# ---- what stays can be restored ----

my $view = clone_view($pg, "$tmp/kept");
{
	# by the rules of the configuration
	my $text = slurp_bytes($view->config);
	spew($view->config, $text . "retention-full = 4\n");
	chmod 0600, $view->config;
	my $result = $view->pgdr_result('expire');
	my ($labels) = left_by({ full => 4 }, $view);

	is($result->{keep_full}, 4, 'rules come from the configuration');
	is_deeply(labels($view), $labels, 'and hold');
	is(($view->pgdr('verify', '--deep', '--no-mark'))[0],
		0, 'what is left is sound');
	# oldest and newest, to the end; the one between, to its own
	for my $label (@$labels[ 0, -1 ])
	{
		my $copy =
		  $view->restore("of" . ($label =~ s/\D//gr), '--backup', $label);
		$copy->start_recovered;
		is(row_count($copy), $rows, "backup $label recovers to the end");
		$copy->stop;
		$copy->clean_node;
	}
	is(($view->pgdr('restore', '--backup', $backups[0]{label},
				'--target-dir', "$tmp/none"))[0],
		4, 'a backup that is gone is not found');
}

# ---- the last good one, and deleting by hand ----

$view = clone_view($pg, "$tmp/last");
$view->pgdr_ok('expire', '--keep-full=1');
is_deeply(labels($view), [ $backups[-1]{label} ], 'one is left');
$view->pgdr_ok('expire', '--keep-full=1', '--keep-time=0');
$view->pgdr_ok('expire', '--keep-time=1s', '--keep-full=0',
	{ env => { fake_clock(400 * $day) } });
is_deeply(labels($view), [ $backups[-1]{label} ],
	'no rule takes the last good one, however old');
{
	my ($rc, $out, $err) = $view->pgdr('delete', $backups[-1]{label});

	is($rc, 5, 'nor does delete');
	like($err, qr/last good/, 'and says why');
	$view->pgdr_ok('delete', '--force', $backups[-1]{label});
	is_deeply(labels($view), [], 'but with --force');
	($rc) = $view->pgdr('delete', '--force', $backups[-1]{label});
	is($rc, 4, 'what is gone is not found');
}

$view = clone_view($pg, "$tmp/delete");
$view->pgdr_ok('delete', $_->{label}) for @backups[ 2, 5 ];
is_deeply(
	labels($view),
	[ map { $backups[$_]{label} } 0, 1, 3, 4, 6, 7 ],
	'delete takes the ones named, and no other');
is_deeply([ $view->segments ], [ $pg->segments ], 'and no WAL');
is(($view->pgdr('verify', '--deep', '--no-mark'))[0], 0, 'the rest is sound');

# The newest is flawed: the one before it is the last good one.
$view = clone_view($pg, "$tmp/flawed");
$view->pgdr_ok('delete', $_->{label}) for @backups[ 6, 7 ];
$view->pgdr_ok('expire', '--keep-full=1');
is_deeply(
	labels($view),
	[ map { $_->{label} } @backups[ 4, 5 ] ],
	'a backup that failed its verification replaces no good one');
is(($view->pgdr('delete', $backups[4]{label}))[0],
	5, 'the good one stays the last');

# Two that remove one each of two good backups: never are both gone.
for my $n (1 .. (soak() ? 50 : 4))
{
	$view = clone_view($pg, "$tmp/both");
	$view->pgdr_ok('expire', '--keep-full=2');
	my @both = @{ labels($view) };
	my @handles = map { $view->pgdr_start('delete', $_) } @both;
	my @done = map { $_->finish } @handles;

	ok(@{ labels($view) } >= 1, "round $n: one of two is left")
	  or diag(map { ${ $_->{pgdr_err} } } @handles);
	is(scalar @{ labels($view) }, 2 - grep({ $_ } @done),
		'and as many are gone as said so');
}

# ---- a backup that is running, or was interrupted ----

# One that was killed five days ago, and one just now.
sub interrupted
{
	my ($age) = @_;
	my %clock = fake_clock(-$age * $day);
	my %signal = signal_at(500);
	my ($rc) = $pg->pgdr(
		'backup',
		{
			env => {
				%clock, %signal,
				LD_PRELOAD => "$clock{LD_PRELOAD}:$signal{LD_PRELOAD}"
			} });

	is($rc, 137, 'a backup was killed');
	my ($rc2, @lines) = $pg->pgdr_json('info');
	my ($left) = grep {
		$_->{type} eq 'backup'
		  && $_->{state} eq ($age ? 'interrupted' : 'running')
	} @lines;
	ok($left, 'it left something') or diag(explain(\@lines));
	return $left->{label};
}

my $dead = interrupted(5);
my $alive = interrupted(0);
my $later = { env => { fake_clock(3600) } };

$view = clone_view($pg, "$tmp/running");
{
	my @packs = objects("$view->{repo}/backup/$alive");
	my ($rc, @lines) = $view->pgdr_json('expire', '--dry-run', '--keep-full=2');
	my %decision =
	  map { $_->{label} => $_ } grep { $_->{type} eq 'decision' && $_->{label} } @lines;

	is($decision{$dead}{action}, 'remove', 'what was interrupted is to go');
	is($decision{$alive}{action}, 'keep', 'what is running is to stay');
	$view->pgdr_ok('expire', '--keep-full=2');
	is_deeply([ objects("$view->{repo}/backup/$alive") ], \@packs,
		 'a running backup keeps its packs');
	is(objects("$view->{repo}/backup/$dead"),
		0, 'an interrupted one does not');
	is_deeply([ $view->segments ], [ $pg->segments ],
		'WAL stays while a backup is running');
	is_deeply(labels($view), [ map { $_->{label} } @backups[ -2, -1 ] ],
		'other backups expire meanwhile');
	($rc, my $out, my $err) = $view->pgdr('delete', '--force', $alive);
	is($rc, 5, 'nobody deletes a running backup');
	like($err, qr/being written/, 'and is told why');

	$view->pgdr_ok('expire', '--keep-full=2', $later);
	is(objects("$view->{repo}/backup/$alive"),
		0, 'its lease has run out: it goes');
	is_deeply([ $view->segments ],
		[ (left_by({ full => 2 }, $pg))[1]->@* ],
		'and so does the WAL that was kept for it');
}
$pg->pgdr_ok('delete', $dead);
is(objects("$pg->{repo}/backup/$dead"), 0, 'delete takes an interrupted one');

# suspended($call): a backup that stops at that call, and goes on an hour later,
# when expire has found its lease to have run out.
sub suspended
{
	my ($call) = @_;
	my %known = map { $_ => 1 } @{ labels($pg) };
	my $h = do
	{
		my %clock = fake_clock(3600);
		my %signal = signal_at($call, SIGSTOP);
		my %env = (%clock, %signal,
			LD_PRELOAD => "$clock{LD_PRELOAD}:$signal{LD_PRELOAD}",
			CLOCK_SHIM_FILE => "$tmp/later");
		local @ENV{ keys %env } = values %env;
		$pg->pgdr_start('backup');
	};
	my $pid = $h->{KIDS}[0]{PID};
	my $stopped = sub {
		(split ' ', (slurp_bytes("/proc/$pid/stat") =~ s/.*\)//sr))[0] eq 'T';
	};

	poll(sub { $h->pump_nb; !$h->pumpable || $stopped->() }, "call $call");
	if ($h->pumpable)
	{
		$pg->pgdr_ok('expire', '--keep-full=9', $later);
		spew("$tmp/later", '');
		kill CONT => $pid;
	}
	my $done = $h->finish;
	unlink "$tmp/later";
	my @new = grep { !$known{$_} } @{ labels($pg) };
	is(scalar @new, $done ? 1 : 0,
		"suspended at call $call: " . ($done ? 'complete' : 'nothing that looks like a backup'))
	  or diag(${ $h->{pgdr_err} });
	return;
}

{
	my $calls = count_calls(sub { $pg->pgdr_ok('backup', { env => $_[0] }) });

	suspended($calls - $_) for soak() ? 1 .. 60 : map { 4 * $_ } 1 .. 8;
	my ($rc, $out) = $pg->pgdr('verify', '--no-mark');
	is($rc, 0, 'what is complete is whole') or diag($out);
}

# Backups that run while expire does, again and again.
for my $n (1 .. (soak() ? 50 : 3))
{
	my $h = $pg->pgdr_start('--output=json', 'backup');
	my $runs = 0;

	while ($h->pumpable)
	{
		$pg->pgdr_ok('expire', '--keep-full=3');
		$runs++;
		$h->pump_nb;
	}
	ok($h->finish, "backup $n succeeds while expire runs")
	  or diag(${ $h->{pgdr_err} });
	note("$runs runs of expire");
}
$pg->pgdr_ok('expire', '--keep-full=3', $later);
is(scalar @{ labels($pg) }, 3, 'three are left');
{
	my ($rc, $out) = $pg->pgdr('verify', '--deep', '--no-mark');
	is($rc, 0, 'they are sound') or diag($out);
}
my $copy = $pg->restore('end', '--backup', labels($pg)->[0]);
$copy->start_recovered;
is(row_count($copy), $rows, 'and the oldest recovers to the end');
$copy->stop;
$pg->stop;

done_testing();
