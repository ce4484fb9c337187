# One policy of retention: the calendar over years, pins, legal holds, archival
# backups, and a window for the WAL, on a real repository.
#
# The backups were taken with the clock set back.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $day = 86400;
my $pg = PgDr->new_cluster('main', wal_segsize => 1,
	conf => "max_wal_size = 200MB\n");
my %label;    # by age in days
my %rows;

sub row_count
{
	my ($cluster) = @_;
	return $cluster->safe_psql('postgres', 'SELECT count(*) FROM t');
}

$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');
for my $age (1500, 1130, 1120, 760, 400, 40, 35, 8, 0)
{
	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($age)");
	$pg->switch_wal;
	$rows{$age} = row_count($pg);
	$label{$age} = $pg->pgdr_result('backup', $age == 1120 ? '--archival' : (),
		{ env => { fake_clock(-$age * $day) } })->{label};
}
$pg->switch_wal;
$pg->stop;

sub year_of { return 1900 + (gmtime(time - $_[0] * $day))[5] }

sub labels
{
	my ($view) = @_;
	my ($rc, @lines) = $view->pgdr_json('info');

	return [ map { $_->{label} }
		  grep { $_->{type} eq 'backup' && $_->{state} eq 'complete' } @lines ];
}

sub decisions
{
	my ($view, @options) = @_;
	my ($rc, @lines) = $view->pgdr_json('expire', '--dry-run', @options);

	is($rc, 0, "@options: a dry run");
	return map { $_->{label} => $_ }
	  grep { $_->{type} eq 'decision' && $_->{label} } @lines;
}

my %in = map { $_ => quotemeta $label{$_} } keys %label;    # in patterns

sub of_ages { return [ map { $label{$_} } @_ ] }

# ---- the calendar ----

my $view = clone_view($pg, "$tmp/years");
{
	# the newest of each year, archival ones aside
	my %newest;
	$newest{ year_of($_) } = $_ for grep { $_ != 1120 } sort { $b <=> $a } keys %label;
	my @years = sort { $b <=> $a } keys %newest;
	my @kept = sort { $b <=> $a } map { $newest{$_} } @years[ 0 .. 2 ];
	my %of = decisions($view, '--keep-yearly=3');

	is_deeply(
		[ grep { $of{ $label{$_} }{action} eq 'keep' } sort { $b <=> $a } keys %label ],
		[ sort { $b <=> $a } @kept, 1120 ],
		'the newest of each of three years stays, and the archival one');
	is_deeply($of{ $label{1120} }{rules}, ['archival'], 'by its own rule');
	for my $age (@kept)
	{
		my @by = @{ $of{ $label{$age} }{rules} };
		ok((grep { $_ eq "yearly" } @by), "that of $age days ago by the rule of years");
	}
	my ($rc, $out) = $view->pgdr('expire', '--dry-run', '--keep-yearly=3');
	like($out, qr/keep    backup @{[ $in{1120} ]} \(archival\)/, 'text names the rules');
	like($out, qr/It is the newest good backup of 20\d\d\./, 'and gives reasons');
}

# ---- marks ----

{
	$view->pgdr_ok('pin', $label{1500});
	$view->pgdr_ok('pin', '--until=' . (1901 + (gmtime)[5]) . '-01-01 00:00Z', $label{1130});
	my $held = $view->pgdr_result('hold', '--reason=case 4711', $label{760});
	is($held->{reason}, 'case 4711', 'a hold says why');
	my %of = decisions($view, '--keep-last=1', '--keep-archival=1d');
	is_deeply($of{ $label{1500} }{rules}, ['pin'], 'what is pinned stays');
	is_deeply($of{ $label{1130} }{rules}, ['pin'], 'until then');
	is_deeply($of{ $label{760} }{rules}, ['hold'], 'and what is held');
	is($of{ $label{1120} }{action}, 'remove', 'archival ones go when they are old enough');
	like($of{ $label{1120} }{reason}, qr/archival, and older than 1 day/, 'and that is said');

	my ($rc, $out, $err) = $view->pgdr('delete', '--force', $label{760});
	is($rc, 5, 'no force deletes what is held');
	like($err, qr/legal hold.*\n.*release/, 'and it says how to');
	($rc) = $view->pgdr('delete', $label{1500});
	is($rc, 5, 'nor is what is pinned deleted');
	($rc, $out) = $view->pgdr('info');
	like($out, qr/@{[ $in{760} ]}.*?a legal hold is on it\n\s+kept by: hold/s, 'info shows a hold');
	like($out, qr/@{[ $in{1500} ]}.*?pinned\n\s+kept by: pin/s, 'and a pin');

	$view->pgdr_ok('expire', '--keep-last=1', '--keep-archival=1d');
	is_deeply(labels($view), of_ages(1500, 1130, 760, 0), 'they are left by expire');
	$view->pgdr_ok('unpin', $label{1500});
	$view->pgdr_ok('release', $label{760});
	$view->pgdr_ok('expire', '--keep-last=1',
		{ env => { fake_clock(800 * $day) } });
	is_deeply(labels($view), of_ages(0), 'until nothing holds them, or the time is over');
	is(($view->pgdr('pin', $label{760}))[0], 4, 'what is gone cannot be pinned');
	is(($view->pgdr('pin', '--until=2001-01-01', $label{0}))[0], 2,
		'nor anything until the past');
}

# A hold of which the mark is damaged holds, and release sets it right.
$view = clone_view($pg, "$tmp/mark");
{
	$view->pgdr_ok('hold', $label{1130});
	my ($mark) = glob "$view->{repo}/backup/$label{1130}/mark/*-hold";
	rewrite($mark, 'x' . slurp_bytes($mark));
	my %of = decisions($view, '--keep-last=1');
	is_deeply($of{ $label{1130} }{rules}, ['doubt'], 'a mark that cannot be read keeps');
	is(($view->pgdr('delete', '--force', $label{1130}))[0], 5, 'and lets nobody delete');
	$view->pgdr_ok('release', $label{1130});
	%of = decisions($view, '--keep-last=1');
	is($of{ $label{1130} }{action}, 'remove', 'until another one says otherwise');
}

# ---- WAL ----

# Those from before the window keep what makes them consistent, and no more.
$view = clone_view($pg, "$tmp/wal");
{
	# the server's clock is right: its WAL is of today
	my @all = $view->segments;
	$view->pgdr_ok('expire', '--keep-yearly=9', '--keep-full=2', '--keep-wal=5d');
	is_deeply([ $view->segments ], \@all, 'WAL of today stays');

	my $later = { env => { fake_clock(10 * $day) } };
	my $result = $view->pgdr_result('expire', '--keep-yearly=9', '--keep-full=2',
		'--keep-wal=5d', $later);
	my @left = $view->segments;
	my $kept = labels($view);

	cmp_ok($result->{segments}, '>', 0, 'WAL before the window goes');
	is(($view->pgdr('verify', '--deep', '--no-mark'))[0], 0,
		'that is no hole, and all backups are sound');
	my ($rc, @lines) = $view->pgdr_json('info');
	my %info = map { $_->{label} => $_ } grep { $_->{type} eq 'backup' } @lines;
	ok(!(grep { !$_->{wal_ok} } values %info), 'each has the WAL that it needs');
	ok($info{ $label{1500} }{standalone} && !$info{ $label{0} }{standalone},
		'those from before the window stand alone');
	ok(!(grep { $_->{type} eq 'recovery_window' && $_->{hole} } @lines),
		'no window is said to have a hole');
	for my $age (1500, 1120)
	{
		my $copy = $view->restore("of$age", '--backup', $label{$age},
			'--target-type', 'immediate');
		$copy->start_recovered;
		is(row_count($copy), $rows{$age}, "the backup of $age days ago is what it was");
		$copy->stop;
		$copy->clean_node;
	}
	my $copy = $view->restore('latest');
	$copy->start_recovered;
	is(row_count($copy), $rows{0}, 'and the newest recovers to the end');
	$copy->stop;
	$view->pgdr_ok('expire', '--keep-yearly=9', '--keep-full=2', '--keep-wal=5d', $later);
	is_deeply(labels($view), $kept, 'once more, it is all the same');
	is_deeply([ $view->segments ], \@left, 'the WAL too');

	($rc, my $out, my $err) = $view->pgdr('expire', '--keep-time=10d', '--keep-wal=5d');
	is($rc, 3, 'a window for WAL that is too short for that of recovery is refused');
}

# And a longer one keeps WAL that no backup needs.
$view = clone_view($pg, "$tmp/longer");
{
	my @all = $view->segments;

	$view->pgdr_ok('expire', '--keep-last=1', '--keep-wal=9000d');
	is_deeply([ $view->segments ], \@all, 'WAL as young as that stays');
	$view->pgdr_ok('expire', '--keep-last=1', '--keep-wal=1s',
		{ env => { fake_clock(3600) } });
	cmp_ok(scalar $view->segments, '<', scalar @all, 'else it goes');
	is(($view->pgdr('verify', '--no-mark'))[0], 0, 'without harm');
}

# ---- wrong input ----

$view = clone_view($pg, "$tmp/wrong");
for my $case (
	[ "retention-yearly = -1\n", qr/integer from 0/ ],
	[ "retention-minimum = 0\n", qr/integer from 1/ ],
	[ "retention-calendar = most\n", qr/"all" or "full"/ ],
	[ "retention-wal = 1d\nretention-time = 2d\n", qr/retention-wal is shorter/ ])
{
	my $copy = clone_view($pg, "$tmp/wrong");
	my $text = slurp_bytes($copy->config);

	spew($copy->config, $text . $case->[0]);
	chmod 0600, $copy->config;
	my ($rc, $out, $err) = $copy->pgdr('expire', '--dry-run');
	is($rc, 3, "$case->[0] is refused");
	like($err, $case->[1], 'and said why');
}

done_testing();
