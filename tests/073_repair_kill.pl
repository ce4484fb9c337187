# kill -9 in the middle of repair and repo-copy: nothing that was intact is lost,
# and the next run completes what was begun.

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
my @names = qw(local b c);
my $pg = PgDr->new_cluster('main', wal_segsize => 1, pgdr_conf => { 'process-max' => 1 });
my %repo = (local => $pg->repo, map { $_ => "$tmp/$_" } qw(b c d));

seed(73);

sub configure
{
	my (@which) = @_;
	return Store::use_in($pg, join '', map { "[repo:$_]\npath = $repo{$_}\n" } @which);
}

sub objects
{
	my ($name) = @_;
	return grep { !m{^quarantine/|(?:^|/)\.[^/]+\.tmp$|/(?:lease|mark)/} }
	  map { s/^\Q$repo{$name}\E\///r } repository_files($repo{$name});
}

# All as it was, then a bit of everything: damaged, removed, a whole backup gone.
sub spoil
{
	for my $name (@names)
	{
		remove_tree($repo{$name});
		copy_tree("$tmp/saved.$name", $repo{$name});
	}
	my ($first, $second) = sort map { m{^backup/([^/]+)/manifest$} } objects('local');
	my @wal = grep { m{/[0-9A-F]{24}$} } objects('local');

	for my $object ($wal[1], "backup/$first/data/000001", "backup/$first/manifest")
	{
		my $path = "$repo{b}/$object";
		rewrite($path, flip_bit(slurp_bytes($path), -60, 2));
	}
	unlink "$repo{c}/$wal[2]" or die "unlink: $!";
	remove_tree("$repo{c}/backup/$second");
	return;
}

# Intact somewhere is intact for ever: each object has one good copy at least.
sub nothing_lost
{
	my ($before) = @_;
	my %good = map { $_ => 1 } grep { slurp_bytes("$repo{local}/$_") eq $before->{$_} } objects('local');

	return scalar grep { !$good{$_} } keys %$before;
}

configure(@names);
$pg->pgdr_ok('repo-init');
$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT md5(n::text) FROM generate_series(1, 5000) n');
for (1 .. 2)
{
	$pg->backup($_ == 1 ? () : ('--type', 'incremental'));
	$pg->safe_psql('postgres', "UPDATE t SET md5 = 'x' WHERE ctid = '(0,1)'");
	Store::ship($pg) for 1 .. 3;
}
$pg->stop;
copy_tree($repo{$_}, "$tmp/saved.$_") for @names;
my %before = map { $_ => slurp_bytes("$repo{local}/$_") } objects('local');
my @all = sort keys %before;

spoil();
my $calls = count_calls(sub { $pg->pgdr_ok('repair', { env => $_[0] }) });
my @points = soak() ? 1 .. $calls : (sort { $a <=> $b } (shuffle 1 .. $calls)[ 0 .. 9 ]);
note("repair makes $calls calls");
for my $call (@points)
{
	spoil();
	my ($rc) = $pg->pgdr('repair', { env => { signal_at($call) } });

	is($rc, 137, "repair is killed at call $call of $calls");
	is(nothing_lost(\%before), 0, "call $call: what was intact still is");
	($rc, my @lines) = $pg->pgdr_json('repair');
	is($rc, 0, "call $call: the next repair completes it") or diag(explain(\@lines));
	ok("@all" eq join(' ', sort(objects($_))), "call $call: all is in $_") for @names;
	($rc, @lines) = $pg->pgdr_json('verify', '--deep', '--no-mark');
	is($rc, 0, "call $call: verify --deep") or diag(explain([ errors_of(@lines) ]));
}

spoil();
$pg->pgdr_ok('repair');
configure('local', 'd');
$calls = count_calls(sub { $pg->pgdr_ok('repo-copy', '--from=local', '--to=d', { env => $_[0] }) });
@points = soak() ? 1 .. $calls : (sort { $a <=> $b } (shuffle 1 .. $calls)[ 0 .. 5 ]);
note("repo-copy makes $calls calls");
for my $call (@points)
{
	remove_tree($repo{d});
	my ($rc) = $pg->pgdr('repo-copy', '--from=local', '--to=d', { env => { signal_at($call) } });

	is($rc, 137, "repo-copy is killed at call $call of $calls");
	$pg->pgdr_ok('repo-copy', '--from=local', '--to=d');
	ok("@all" eq join(' ', sort(objects('d'))), "call $call: the next one completes it");
	($rc, my @lines) = $pg->pgdr_json('--repo=d', 'verify', '--deep', '--no-mark');
	is($rc, 0, "call $call: verify --deep") or diag(explain([ errors_of(@lines) ]));
}

done_testing();
