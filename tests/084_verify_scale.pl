# verify at scale: what was verified is noted and passed over, also after a kill;
# samples, rates, reports of what is missing and of what nobody needs, and repair
# from another repository.

use strict;
use warnings;

use File::Path qw(remove_tree);
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(time);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', wal_segsize => 1, pgdr_conf => { 'process-max' => 2 });
my %repo = (local => $pg->repo, second => "$tmp/second");

seed(84);
Store::use_in($pg, join '', map { "[repo:$_]\npath = $repo{$_}\n" } qw(local second));
$pg->pgdr_ok('repo-init');
noise_segments($pg, 3);
my $label = $pg->backup;
noise_segments($pg, 12);
$pg->switch_wal;

# The sum of both repositories, or the part of one.
sub verified
{
	my (@args) = @_;
	my $name = $args[-1] =~ /^(?:local|second)$/ ? pop @args : undef;
	my ($rc, @lines) = $pg->pgdr_json('verify', @args);
	my $result = $pg->last_of('result', @lines);

	return ($rc, $result, grep { $_->{type} eq 'problem' } @lines) if !$name;
	return ($rc, (grep { $_->{name} eq $name } @{ $result->{repositories} })[0],
		grep { $_->{type} eq 'problem' && ($_->{repository} // '') eq $name } @lines);
}

sub spoil
{
	my ($path) = @_;
	return rewrite($path, flip_bit(slurp_bytes($path), -60, 2));
}

# ---- notes ----

my ($rc, $first) = verified('--since', '1d');
is($rc, 0, 'all is well');
is($first->{skipped}, 0, 'nothing has been verified before');
my ($again_rc, $again) = verified('--since', '1d');
is($again_rc, 0, 'the next run');
cmp_ok($again->{objects}, '<', $first->{objects} / 4, 'reads little of it');
is($again->{objects} + $again->{skipped}, $first->{objects} + 2,
	'and knows of all the rest; the marks of the backup are new');
my (undef, $deep) = verified('--since', '1d', '--deep');
is($deep->{skipped}, 0, 'what was looked at without the key counts for nothing in a deep run');
my (undef, $flat) = verified('--since', '1d', '--deep');
cmp_ok($flat->{skipped}, '>', $flat->{objects}, 'a deep run is remembered, too');
my (undef, $all) = verified();
is($all->{skipped}, 0, 'without --since everything is read');

my $later = ($pg->segments)[-1];
my @more = noise_segments($pg, 2);
$pg->switch_wal;
my (undef, $new) = verified('--since', '1d', 'local');
cmp_ok($new->{segments}, '>=', 2, 'what has come since is read');
cmp_ok($new->{segments}, '<=', 6, 'and not much else');

# What is damaged afterwards shows when the time is over, and at once without.
my $victim = $pg->object_path(($pg->segments)[4]);
spoil($victim);
my ($blind) = verified('--since', '1d', '--no-mark');
is($blind, 0, 'within the time new damage is not seen');
my ($seen, @problems);
poll(sub { ($seen, undef, @problems) = verified('--since', '1s', '--no-mark'); $seen == 10 },
	'the damage to be seen');
is($problems[0]{object}, $pg->object_name(($pg->segments)[4]), 'with its name');

# ---- killed and gone on with ----

{
	my $view = clone_view($pg, "$tmp/killed");
	$view->{repo} = "$tmp/killed/repo";
	spew($view->config, slurp_bytes($view->config) =~ s/^\[repo:second\].*//msr);
	remove_tree("$tmp/killed/repo/verified");
	my $pid = in_background([ 'pgdr', '--config', $view->config, 'verify', '--rate', '400kB' ]);

	poll(sub { -d "$tmp/killed/repo/verified" && (my @notes = glob "$tmp/killed/repo/verified/*") >= 2 },
		'two notes');
	kill 'KILL', $pid;
	waitpid $pid, 0;
	my ($rc, @lines) = $view->pgdr_json('verify', '--since', '1h');
	my $result = $view->last_of('result', @lines);
	is($rc, 10, 'after a kill the next run goes on, and finds the damage');
	cmp_ok($result->{skipped}, '>', 0, 'what the killed one had verified is passed over');
	cmp_ok($result->{objects}, '>', 0, 'and the rest is read');
}

# ---- repair ----

my ($pack) = glob "$repo{second}/backup/$label/data/*";
unlink $pack or die $!;
spoil("$repo{second}/backup/$label/manifest");
my ($healed, $result) = verified('--repair');
is($healed, 0, 'verify --repair heals both from one another');
is($result->{repaired}, 3, 'three objects');
is($result->{errors}, 0, 'and nothing is wrong any more');
is((verified('--deep', '--no-mark'))[0], 0, 'which a deep look confirms');

# ---- packs that outlive their backup ----

{
	my $next = $pg->pgdr_result('backup', '--type', 'incremental');
	my $view = clone_view($pg, "$tmp/outlive");
	spew($view->config, slurp_bytes($view->config) =~ s/^\[repo:second\].*//msr);
	my $repo = "$tmp/outlive/repo";

	$view->pgdr_ok('verify', '--deep', '--since', '1d');
	is($next->{parent}, $label, 'an incremental backup');
	$view->pgdr_ok('delete', '--force', $label);
	ok(!-e "$repo/backup/$label/manifest", 'a backup is gone, and another was made of it');
	my ($rc, @lines) = $view->pgdr_json('verify', '--no-mark');
	is($rc, 0, 'nothing is wrong with that');
	is($view->last_of('result', @lines)->{orphans}, 0, 'and its packs are no orphans');
	is(scalar(grep { ($_->{check} // '') eq 'leftover' } @lines), 0, 'nor leftovers');
	is(($view->pgdr('verify', '--deep', '--no-mark'))[0], 0, 'deep as well');
	my ($pack) = glob "$repo/backup/$label/data/*";
	spoil($pack);
	($rc, @lines) = $view->pgdr_json('verify', $next->{label}, '--no-mark');
	is($rc, 10, 'damage of such a pack is found with the backup that needs it');
	($rc, @lines) = $view->pgdr_json('verify', '--deep', '--no-mark');
	is($rc, 10, 'and by a deep look');
	is(scalar(grep { $_->{object} =~ /data/ } errors_of(@lines)), 1, 'once');
}

# ---- what cannot be healed ----

spoil($_) for $victim, "$repo{second}/" . $pg->object_name(($pg->segments)[4]);
my ($unhealed, $left) = verified('--repair');
is($unhealed, 10, 'what is damaged everywhere stays so');
cmp_ok($left->{unhealed}, '>', 0, 'and is counted');
remove_tree("$repo{$_}/quarantine") for keys %repo;

# ---- samples ----

{
	my (undef, $half) = verified('--sample', '30%', '--seed', '1', '--no-mark', 'local');
	my (undef, $same) = verified('--sample', '30%', '--seed', '1', '--no-mark', 'local');
	my (undef, $other) = verified('--sample', '30%', '--seed', '2', '--no-mark', 'local');

	cmp_ok($half->{unsampled}, '>', 0, 'a sample leaves something out');
	cmp_ok($half->{segments}, '>', 0, 'but not all');
	is($same->{segments}, $half->{segments}, 'the same seed chooses the same');
	my (undef, $r) = verified('--sample', '50%', '--no-mark');
	like($r->{seed}, qr/^\d+$/, 'a seed that was not given is told');
	my ($bad, $out, $err) = $pg->pgdr('verify', '--sample', '0');
	is($bad, 2, 'nothing is no sample');
	($bad, $out, $err) = $pg->pgdr('verify', '--rate', 'fast');
	is($bad, 2, 'and a rate is a number');
}

# ---- a rate ----

{
	my $begun = time();
	my $r = (verified('--no-mark', '--rate', '1MB', 'local'))[1];
	my $seconds = time() - $begun;

	cmp_ok($seconds, '>', 0.7 * $r->{bytes} / 1048576, 'reading keeps to its rate');
}

# ---- what nobody needs, and what is not there ----

{
	my $view = clone_view($pg, "$tmp/reports");
	spew($view->config, slurp_bytes($view->config) =~ s/^\[repo:second\].*//msr);
	my $repo = "$tmp/reports/repo";

	spew("$repo/notes.txt", 'x' x 100);
	mkdir "$repo/backup/20200101T000000Z";
	mkdir "$repo/backup/20200101T000000Z/data";
	spew("$repo/backup/20200101T000000Z/data/000001", 'y' x 200);
	unlink "$repo/" . $pg->object_name(($pg->segments)[7]) or die $!;
	my ($rc, @lines) = $view->pgdr_json('verify');
	my $result = $view->last_of('result', @lines);

	is($rc, 10, 'a hole is an error');
	is($result->{missing}, 1, 'one object is missing');
	is($result->{orphans}, 2, 'two objects are nobody\'s');
	is($result->{orphan_bytes}, 300, 'with their size');
	my ($text_rc, $text) = $view->pgdr('verify', '--no-mark');
	like($text, qr/^orphans: 2 objects .* that nothing needs$/m, 'people are told, too');
	like($text, qr/^missing: 1 objects/m, 'of both');
}

done_testing();
