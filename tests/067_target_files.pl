# Backups of named files and directories: a tree with everything that a file
# system can hold is backed up and compared with what is restored, by pgdr and by
# stock tools; damage is found; a run that is killed, or whose disk is full,
# leaves no backup; and a group is all or nothing.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use PgDr;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep utime);
use Trial;

seed(67);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', wal_segsize => 1,
	pgdr_conf => { 'process-max' => 2 });
my $src = "$tmp/src";

sub add_section
{
	my ($text) = @_;
	spew($pg->config, slurp_bytes($pg->config) . "\n$text");
}

# What a tree is: each path with type, mode, size, time, and link.
sub listing
{
	my ($root) = @_;
	my ($out) = run_command([ 'find', $root,
		'-printf', '%P\t%y\t%m\t%T@\t%n\t%l\t',
		'(', '-type', 'f', '-printf', '%s', '-o', '-true', ')', '-printf', '\n' ]);

	$out =~ s/(\t-?\d+\.\d{6})\d+/$1/g;    # what a manifest keeps of times
	return join "\n", sort split /\n/, $out;
}

sub same_tree
{
	my ($got, $expected, $what) = @_;

	is(listing($got), listing($expected), "$what: types, modes, times, links");
	my ($rc, $out) = run_plain([ 'diff', '-r', '--no-dereference', $got, $expected ]);
	is($rc, 0, "$what: contents") or diag($out);
}

sub info
{
	my ($rc, @lines) = $pg->pgdr_json('info');
	return @lines;
}

sub complete
{
	return map { $_->{label} }
	  grep { $_->{type} eq 'backup' && $_->{state} eq 'complete' } info();
}

# ---- a tree ----

make_path("$src/app/conf.d/deep", "$src/app/empty", "$src/app/cache",
	"$src/app/locked");
spew("$src/app/main.conf", "key = value\n");
spew("$src/app/conf.d/nothing", '');
spew("$src/app/conf.d/deep/b\xe4d \xff\nname", 'not UTF-8');
spew("$src/app/conf.d/" . ('long' x 60), 'a long name');
spew("$src/app/cache/old.tmp", 'not wanted');
spew("$src/app/cache/keep", 'wanted');
spew("$src/app/locked/file", 'in a directory that may not be written to');
spew("$src/app/big", join '', map { pack 'N*', map { int rand 2**32 } 1 .. 1024 } 1 .. 700);
symlink 'main.conf', "$src/app/link";
symlink "/nowhere/\xff\xfe", "$src/app/dangling";
symlink $tmp, "$src/app/outside";
link "$src/app/main.conf", "$src/app/conf.d/same.conf";
mkfifo("$src/app/pipe", 0600);
{
	open my $fh, '>', "$src/app/sparse" or die $!;
	print $fh 'begin';
	truncate $fh, 64 * 1024 * 1024 or die $!;
	seek $fh, 32 * 1024 * 1024, 0;
	print $fh 'middle';
	close $fh;
}
chmod 0640, "$src/app/main.conf";
chmod 0751, "$src/app/conf.d";
chmod 04755, "$src/app/big";
chmod 0400, "$src/app/conf.d/nothing";
utime 1e9 + 0.25, 1e9 + 0.25, "$src/app/conf.d/nothing";
run_log([ 'touch', '-d', '@-1000', "$src/app/cache/keep" ]);
utime 12345, 12345, "$src/app/empty";
chmod 0500, "$src/app/locked";

# What a restore should give: the tree without what is passed over.
run_log([ 'cp', '-a', $src, "$tmp/expected" ]);
unlink "$tmp/expected/app/pipe", "$tmp/expected/app/cache/old.tmp";
chmod 0755, "$tmp/expected/app/big";    # only root gives a file to its owner
run_log([ 'touch', '-r', "$src/app/$_", "$tmp/expected/app/$_" ])
  for ('cache', 'big', '.');

# A file with a comment in an extended attribute, where there are such.
my $has_attributes =
  system("setfattr -n user.note -v x '$src/app/main.conf' 2>/dev/null") == 0;

add_section("[files:app]\npath = $src/app\npath = $src/app2\nexclude = *.tmp\n");
my ($rc, $out, $err) = $pg->pgdr('backup', '--target', 'files:app');
ok($rc != 0 && $err =~ m{\Q$src\E/app2}, 'a path that does not exist');
rename "$src/app/cache/keep", "$src/app2";
link "$src/app2", "$src/app/cache/keep";
link "$tmp/expected/app/cache/keep", "$tmp/expected/app2";
run_log([ 'touch', '-r', "$src/app/cache", "$tmp/expected/app/cache" ]);
run_log([ 'touch', '-r', $src, "$tmp/expected" ]);

($rc, $out, $err) = $pg->pgdr('backup', '--target', 'files:app');
is($rc, 0, 'files are backed up') or diag($err);
my ($label) = $out =~ /^backup (\S+) of files:app complete$/m;
like($err, qr{/app/pipe" is a FIFO, and is passed over}, 'a FIFO is passed over');
like($err, qr/1 files have extended attributes/, 'attributes are not kept')
  if $has_attributes;

my $dir = "$tmp/restored";
$pg->pgdr_ok('restore', '--backup', $label, '--target-dir', $dir);
same_tree("$dir$src", "$tmp/expected", 'restored');
ok((stat "$dir$src/app/sparse")[12] * 512 < 8 * 1024 * 1024,
	'holes are holes again');
is((stat "$dir$src/app/main.conf")[1], (stat "$dir$src/app/conf.d/same.conf")[1],
	'two names of one file');
ok(!-e "$dir/pgdr.restoring", 'no marker is left');

# ---- without pgdr ----

my $identity = $pg->identity;
make_path("$tmp/stock");
for my $pack (sort glob $pg->repo . "/backup/$label/data/*")
{
	run_log([ 'bash', '-c', "age -d -i '$identity' '$pack' | zstd -d | "
			  . "tar xp -C '$tmp/stock'" ]);
}
chmod 0755, "$tmp/stock$src/app/big";
my $whole = sub { listing($_[0]) =~ s/(\d{5,}|-1000)\.\d+/$1/gr };
is($whole->("$tmp/stock$src"), $whole->("$tmp/expected"),
	'age, zstd and tar give the same, to a second');
is(system('diff', '-r', '--no-dereference', "$tmp/stock$src", "$tmp/expected"),
	0, 'byte for byte');

# ---- what happens to it ----

my ($row) = grep { $_->{type} eq 'backup' && $_->{label} eq $label }
  info();
is($row->{target}, 'files:app', 'it is in the catalog');
is($pg->pgdr_result('verify', '--deep')->{errors}, 0, 'it verifies');

my ($pack) = glob $pg->repo . "/backup/$label/data/000001";
my $view = clone_view($pg, "$tmp/damaged");
my $bytes = slurp_bytes($pack);
rewrite($view->repo . "/backup/$label/data/000001",
	flip_bit($bytes, length($bytes) / 2, 3));
my ($vrc, @found) = $view->pgdr_json('verify', $label);
is($vrc, 10, 'damage is found');
($rc, $out, $err) = $view->pgdr('restore', '--backup', $label, '--target-dir',
	"$tmp/bad");
ok($rc != 0 && $err =~ /data\/000001/, 'and not restored');
ok(-e "$tmp/bad/pgdr.restoring", 'what is half restored is marked');
$pg->pgdr_ok('restore', '--backup', $label, '--target-dir', "$tmp/bad");
same_tree("$tmp/bad$src", "$tmp/expected", 'the same directory again');

# A directory on the way that has become a link leads nowhere.
make_path("$tmp/trap", "$tmp/victim");
symlink "$tmp/victim", "$tmp/trap/tmp";
($rc, $out, $err) = $pg->pgdr('restore', '--backup', $label, '--target-dir',
	"$tmp/trap");
ok($rc != 0 && $err =~ /is not empty/, 'a directory that is not empty');
is_deeply([ repository_files("$tmp/victim") ], [], 'nothing was written through');

# A repository inside of what is backed up.
add_section("[files:all]\npath = " . $pg->dir . "\n");
($rc, $out, $err) = $pg->pgdr('backup', '--target', 'files:all');
is($rc, 0, 'a directory with the repository in it');
like($err, qr/is passed over, because it is a repository/, 'which is left out');

# ---- files that change ----

add_section("[files:busy]\npath = $tmp/busy\n");
make_path("$tmp/busy");
my $writer = in_background([ $^X, '-e', q{
	open my $fh, '+>', shift or die $!;
	syswrite $fh, 'x' x 16_000_000;
	for (1 .. 30_000_000) { sysseek $fh, $_ % 16_000_000, 0; syswrite $fh, 'y'; }},
	"$tmp/busy/log" ]);
poll(sub { (-s "$tmp/busy/log" // 0) == 16_000_000 }, 'the log to begin');
($rc, $out, $err) = $pg->pgdr('backup', '--target', 'files:busy');
kill 'KILL', $writer;
waitpid $writer, 0;
is($rc, 0, 'a file that is written to all the while');
like($err, qr/busy\/log" was changed each time it was read/, 'has a warning');
my ($busy) = $out =~ /^backup (\S+) of/m;
$pg->pgdr_ok('restore', '--backup', $busy, '--target-dir', "$tmp/busy_restored");
my $log = slurp_bytes("$tmp/busy_restored$tmp/busy/log");
ok(length $log == 16_000_000 && $log !~ /[^xy]/, 'and is there all the same');

# ---- kill -9 ----

my @before = complete();
my $calls = count_calls(
	sub { $pg->pgdr_ok('backup', '--target', 'files:app', { env => $_[0] }) });
my $kept = (sort { $a cmp $b } complete())[-1];
my $killed = 0;
for my $trial (1 .. (soak() ? 60 : 8))
{
	my $known = join ' ', complete();
	my ($krc) = $pg->pgdr('backup', '--target', 'files:app',
		{ env => { signal_at(1 + int rand $calls) } });

	next unless $krc == 137;
	$killed++;
	my @new = grep { $known !~ /\Q$_\E/ } complete();
	is($pg->pgdr_result('verify', '--deep', $_)->{errors},
		0, 'killed when it was complete')
	  for @new;
}
cmp_ok($killed, '>', 0, "it was killed $killed times");
is($pg->pgdr_result('verify', '--deep')->{errors}, 0,
	'what was complete still is');
my $restore_calls = count_calls(
	sub {
		$pg->pgdr_ok('restore', '--backup', $label, '--target-dir',
			"$tmp/measured", { env => $_[0] });
	});
for my $trial (1 .. (soak() ? 40 : 4))
{
	my ($krc) = $pg->pgdr('restore', '--backup', $label, '--target-dir',
		"$tmp/killed", { env => { signal_at(1 + int rand $restore_calls) } });
	next if $krc == 0;
	ok(-e "$tmp/killed/pgdr.restoring" || !-e "$tmp/killed$src",
		'a restore that was killed is marked, or has not begun');
	$pg->pgdr_ok('restore', '--backup', $label, '--target-dir', "$tmp/killed");
	same_tree("$tmp/killed$src", "$tmp/expected", 'and done again');
	system('chmod', '-R', 'u+rwX', "$tmp/killed");
	remove_tree("$tmp/killed");
}

# ---- expire ----

my %by_target;
push @{ $by_target{ $_->{target} } }, $_->{label}
  for grep { $_->{type} eq 'backup' && $_->{state} eq 'complete' }
  info();
cmp_ok(scalar @{ $by_target{'files:app'} }, '>=', 2, 'several of one target');
$pg->pgdr_ok('expire', '--keep-full', '1');
my @left = complete();
is(scalar(grep { my $l = $_; grep { $_ eq $l } @{ $by_target{'files:app'} } } @left),
	1, 'one of them is left');
ok((grep { $_ eq $by_target{'files:busy'}[0] } @left),
	'the only one of another target stays');
($rc, $out, $err) = $pg->pgdr('delete', $by_target{'files:busy'}[0]);
ok($rc != 0 && $err =~ /no backup of files:busy/, 'and is not deleted just so');
$pg->pgdr_ok('delete', '--force', $by_target{'files:busy'}[0]);

# ---- a full disk ----

SKIP:
{
	my ($disk, $why) = small_disk('4m');
	skip $why, 3 unless $disk;
	my $small = $pg->sibling('small');
	my $text = slurp_bytes($small->config);
	my $repo = $disk->dir . '/repo';

	$text =~ s/^path\s*=\s*\Q${\ $pg->repo}\E$/path = $repo/m;
	spew($small->config, $text);
	chmod 0600, $small->config;
	$small->pgdr_ok('repo-init');
	($rc, $out, $err) = $small->pgdr('backup', '--target', 'files:all');
	ok($rc != 0, 'a repository that is too small') or diag($out);
	like($err, qr/No space left on device/, 'says so');
	my ($irc, @lines) = $small->pgdr_json('info');
	is(scalar(grep { ($_->{state} // '') eq 'complete' } @lines),
		0, 'and has no backup');
}

# ---- a group ----

$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) n');
my $config = slurp_bytes($pg->config);
$config =~ s/\[files:(all|busy)\]\n(.+\n)+//g;
spew($pg->config, $config);
add_section("[logical:pg]\ndatabase = postgres\ntable = t\n");
my $group = $pg->pgdr_result('backup', '--target', 'full_system');
is(scalar @{ $group->{members} }, 4, 'a group of four');
$pg->switch_wal;
my $all = "$tmp/all";
$pg->pgdr_ok('restore', '--backup', $group->{label}, '--target-dir', $all,
	'--target-type', 'immediate', '--archive-mode', 'off');
ok(-e "$all/cluster/PG_VERSION", 'the cluster is restored');
ok(-e "$all/config/globals.sql", 'and the configuration');
same_tree("$all/files/app$src", "$tmp/expected", 'and the files');
ok(-s "$all/logical/pg/postgres.dump", 'and the dump');
$pg->pgdr_ok('restore', '--backup', $group->{label}, '--target-dir', "$tmp/part",
	'--part', 'config');
ok(-e "$tmp/part/globals.sql", 'one part of it');
($rc, $out, $err) = $pg->pgdr('restore', '--backup', $group->{label},
	'--target-dir', "$tmp/none", '--part', 'files:none');
is($rc, 2, 'a part that it has not');
($rc, $out, $err) = $pg->pgdr('delete', '--force', $group->{members}[1]);
ok($rc != 0 && $err =~ /depends on/, 'a member is not deleted');
$pg->pgdr_ok('backup', '--target', 'config');
$pg->pgdr_ok('expire', '--keep-full', '1');
my %still = map { $_ => 1 } complete();
is(scalar(grep { $still{$_} } @{ $group->{members} }),
	4, 'nor given up by expire');
is($pg->pgdr_result('verify')->{errors}, 0, 'the group verifies');

# One member fails: no group.
add_section("[files:gone]\npath = $tmp/gone\n");
my $groups = sub { grep { ($_->{target} // '') eq 'full_system' } info() };
my $count = () = $groups->();
($rc, $out, $err) = $pg->pgdr('backup', '--target', 'full_system');
ok($rc != 0, 'a group of which one backup fails');
like($err, qr/backup of files:gone: .*Complete by themselves are: /s,
	'says which, and what is there');
my $after = () = grep { $_->{state} eq 'complete' } $groups->();
is($after, $count, 'is none');

# A member that has vanished is missed.
$view = clone_view($pg, "$tmp/torn");
remove_tree($view->repo . "/backup/$group->{members}[2]");
($vrc, @found) = $view->pgdr_json('verify');
ok((grep { ($_->{check} // '') eq 'missing' && $_->{object} =~ /$group->{members}[2]/ } @found),
	'verify misses a member that is not there');

# or what is here cannot be removed
system('chmod', '-R', 'u+rwX', $tmp);
done_testing();
