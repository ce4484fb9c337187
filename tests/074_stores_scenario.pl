# The scenario of recovery on each kind of store over its real server: two
# disasters and three timelines, every kind of damage, expiry, kill -9.

use strict;
use warnings;

use List::Util qw(shuffle);
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(usleep);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();

seed(74);

# ---- two disasters, three timelines ----

# A step on the current timeline, and one behind the point of the next fork.
sub live
{
	my ($pg, $step, $fork) = @_;

	$pg->safe_psql('postgres', "INSERT INTO branch VALUES ('$step')");
	$pg->safe_psql('postgres', "SELECT pg_create_restore_point('$fork')");
	$pg->safe_psql('postgres', "INSERT INTO branch VALUES ('$step, too late')");
	Store::ship($pg);
	$pg->safe_psql('postgres', 'CHECKPOINT');
	return Store::ship($pg);
}

sub branch_of
{
	my ($pg) = @_;
	return $pg->safe_psql('postgres', q{SELECT string_agg(step, '; ') FROM branch});
}

my %branches = (
	1 => 'first; first, too late',
	2 => 'first; second; second, too late',
	3 => 'first; second; third; third, too late',
	latest => 'first; second; third; third, too late');

sub test_timelines
{
	my ($kind, $pg) = @_;

	live($pg, 'first', 'fork1');
	for my $step ([ 'second', 'fork1', 'fork2' ], [ 'third', 'fork2', 'fork3' ])
	{
		my ($name, $from, $to) = @$step;

		$pg->destroy;
		$pg->restore_here('--target-type=name', "--target=$from");
		$pg->verifybackup_ok("$kind: restored to $from");
		$pg->start_recovered;
		live($pg, $name, $to);
	}
	for my $timeline (soak() ? sort keys %branches : qw(2 latest))
	{
		my $copy = $pg->restore("${kind}_branch_$timeline", "--target-timeline=$timeline");

		$copy->start_recovered;
		is(branch_of($copy), $branches{$timeline}, "$kind: recovery along timeline $timeline");
		$copy->amcheck_ok("$kind: timeline $timeline") if $timeline eq '2';
		$copy->checksums_ok("$kind: timeline $timeline");
		$copy->clean_node;
	}
	return;
}

# ---- damage ----

my %mutations = (
	flipped => sub { return flip_bit($_[0], int rand length $_[0], int rand 8) },
	'cut off' => sub { return substr $_[0], 0, int rand length $_[0] },
	empty => sub { return '' },
	grown => sub { return $_[0] . 'x' x 100 },
	'another one' => sub { return $_[1] });

# What lies in the place of an object: found, named, and never handed out.
sub damage_ok
{
	my ($what, $pg, $name) = @_;
	my ($rc, @lines) = $pg->pgdr_json('verify', '--deep', '--no-mark');

	if ($name eq 'repo.json')
	{
		isnt($rc, 0, "$what: verify fails");
		ok((grep { /repo\.json/ } map { encode($_) } @lines), "$what: it is named")
		  or diag(explain(\@lines));
		return;
	}
	is($rc, 10, "$what: verify --deep finds it");
	ok((grep { ($_->{object} // '') eq $name } errors_of(@lines)), "$what: it is named")
	  or diag(explain(\@lines));
	($rc, my $out, my $err) = $name =~ m{^wal/.*/([0-9A-F]{24}|[0-9A-F]{8}\.history)$}
	  ? $pg->pgdr('archive-get', $1, "$tmp/got")
	  : $name =~ m{^backup/([^/]+)/} ? $pg->pgdr('restore', '--target-dir', "$tmp/never", "--backup=$1")
	  : return;
	if ($rc == 0 && $name =~ m{/data/} && $what =~ / grown$/)
	{
		# what was added behind a pack is never read
		is(system('pg_verifybackup', '-q', '-n', "$tmp/never"), 0,
			"$what: restored as it was backed up");
		system('rm', '-rf', "$tmp/never");
		return;
	}
	ok($rc != 0 && $rc != 1, "$what: refused, and not called absent ($rc)");
	like($err, qr/\Q$name\E/, "$what: by its name");
	system('rm', '-rf', "$tmp/never", "$tmp/got");
	return;
}

sub encode { return JSON::PP->new->encode($_[0]) }

sub test_damage
{
	my ($kind, $pg, $store) = @_;
	my @names = $store->list;
	my $backup = (sort map { m{^backup/([^/]+)/manifest$} } @names)[-1];
	my @segments = grep { m{/00000002/.*/[0-9A-F]{24}$} } @names;
	my @victims = (
		[ $segments[0], $segments[1] ],
		[ (grep { m{/00000002\.history$} } @names)[0], (grep { m{/00000003\.history$} } @names)[0] ],
		[ "backup/$backup/manifest", (grep { m{^backup/(?!\Q$backup\E).*/manifest$} } @names)[0] ],
		[ "backup/$backup/data/000001", (grep { m{^backup/(?!\Q$backup\E).*/data/000001$} } @names)[0] ],
		[ 'repo.json', "backup/$backup/manifest" ]);

	for my $victim (@victims)
	{
		my ($name, $other) = @$victim;
		my $good = $store->fetch($name);
		my $strange = $store->fetch($other);
		my @how = shuffle sort keys %mutations;

		for my $how (soak() ? @how : @how[ 0, 1 ])
		{
			$store->put($name, $mutations{$how}->($good, $strange));
			damage_ok("$kind: $name $how", $pg, $name);
		}
		if ($name =~ m{/data/|/[0-9A-F]{24}$})
		{
			$store->remove($name);
			damage_ok("$kind: $name removed", $pg, $name) if $name =~ m{/data/};
			is(($pg->pgdr('archive-get', $name =~ m{([^/]+)$}, "$tmp/got"))[0], 205,
				"$kind: $name removed: a hole is not the end") if $name !~ m{/data/};
		}
		$store->put($name, $good);
	}
	my ($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	is($rc, 0, "$kind: all is as it was") or diag($out, $err);
	return;
}

# A server that recovers stops where a segment is damaged, and goes on when the
# segment is there again.
sub test_recovery_stops
{
	my ($kind, $pg, $store) = @_;
	my $segment = Store::ship($pg);
	my ($name) = grep { m{/\Q$segment\E$} } $store->list;
	my $good = $store->fetch($name);
	my $copy = $pg->restore("${kind}_stops");

	$store->put($name, flip_bit($good, -50, 1));
	my ($state, $log) = $copy->try_recovery;
	is($state, 'down', "$kind: recovery stops at a damaged segment");
	like($log, qr/\Q$segment\E/, "$kind: which the log names");
	$store->put($name, $good);
	$copy->start_recovered;
	is(branch_of($copy), $branches{3}, "$kind: and goes on when it is mended");
	$copy->stop;
	$copy->clean_node;
	return;
}

# ---- kill -9, expiry ----

sub test_kills
{
	my ($kind, $pg) = @_;

	for my $i (1 .. (soak() ? 20 : 3))
	{
		my $run = $pg->pgdr_start('backup');

		usleep(int rand 600_000);
		$run->kill_kill;
	}
	$pg->safe_psql('postgres', 'INSERT INTO branch VALUES (NULL)');
	Store::ship($pg);
	my ($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	is($rc, 0, "$kind: kill -9 of backups leaves nothing wrong") or diag($out, $err);
	return;
}

sub test_expire
{
	my ($kind, $pg, $store) = @_;
	my $label = $pg->backup;
	my @before = $store->list;

	$pg->pgdr_ok('expire', '--keep-full=1');
	my @after = $store->list;
	my %backups = map { $_ => 1 } map { m{^backup/([^/]+)/manifest$} } @after;

	is_deeply([ keys %backups ], [$label], "$kind: expire leaves the newest backup");
	cmp_ok(scalar(grep { m{^wal/} } @after), '<', scalar(grep { m{^wal/} } @before),
		"$kind: and removes WAL");
	my ($rc, $out, $err) = $pg->pgdr('verify', '--deep');
	is($rc, 0, "$kind: what is left is right") or diag($out, $err);
	return;
}

for my $kind (qw(s3 azure sftp))
{
	my $store = Store->new($kind, "$tmp/$kind");
	my $pg = PgDr->new_cluster("$kind", wal_segsize => 1);

	Store::use_in($pg, $store->section('far'));
	$pg->pgdr_ok('repo-init');
	$pg->safe_psql('postgres', 'CREATE TABLE branch (step text)');
	$pg->backup;
	Store::ship($pg);
	$pg->backup;
	test_timelines($kind, $pg);
	$pg->backup;
	test_damage($kind, $pg, $store);
	test_recovery_stops($kind, $pg, $store);
	# before the kills: what was killed holds back WAL for a while
	test_expire($kind, $pg, $store);
	test_kills($kind, $pg);
	my ($rc, $out) = $pg->pgdr('check');
	is($rc, 0, "$kind: check") or diag($out);
	$pg->stop;
	$store->stop;
}

done_testing();
