# The program built with AddressSanitizer and UndefinedBehaviorSanitizer does
# the main job, on good input and on bad; likewise under valgrind.  At full
# length the unit tests are run under the sanitizers as well.

use strict;
use warnings;

use File::Basename qw(basename);
use File::Path qw(make_path remove_tree);
use FindBin;
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Trial;

my $top = "$FindBin::RealBin/..";
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $build = "$tmp/build";
my $sanitize = '-fsanitize=address,undefined';

seed(58);

# ---- the build ----

my $cc = $ENV{CC} // 'cc';
spew("$tmp/probe.c", "int main(void)\n{\n\treturn 0;\n}\n");
if (system("$cc $sanitize -o $tmp/probe $tmp/probe.c 2>/dev/null") != 0
	|| system("$tmp/probe") != 0)
{
	plan skip_all => "$cc has no $sanitize here";
}

# Objects made with other options would be made anew, but slowly.
sub copy_sources
{
	mkdir $build or die "mkdir: $!";
	system("cd '$top' && tar -cf - --exclude='*.o' --exclude='*.d'"
		  . " --exclude='*.a' --exclude='*.bc' --exclude='*_test'"
		  . " --exclude=archive_cmd/pgdr dr.control archive_cmd src/common"
		  . " tests/unit tests/vectors | tar -xf - -C '$build'") == 0
	  or die 'could not copy the sources';
	return;
}

# Sanitizers make warnings of their own: WERROR= lets them pass.
sub build_ok
{
	my ($what) = @_;
	my $begun = time();
	my ($rc, $out, $err) = run_plain(
		[
			'make', '-s', '-C', "$build/archive_cmd", '-j2', 'WERROR=',
			"COPT=-O1 -fno-omit-frame-pointer $sanitize -fno-sanitize-recover=all",
			@_ ],
		{ env => { MAKEFLAGS => undef, MAKELEVEL => undef } });

	note(sprintf 'built in %.0f s', time() - $begun);
	return is($rc, 0, "build with $sanitize: $what") || diag($out, $err);
}

copy_sources();
build_ok('pgdr') or BAIL_OUT('the program cannot be built with sanitizers');

# Whoever runs it, the archiver or a recovering server, what it has to say
# is in these files.
$ENV{ASAN_OPTIONS} = "log_path=$tmp/report,detect_leaks=1,exitcode=77";
$ENV{UBSAN_OPTIONS} = "log_path=$tmp/report,print_stacktrace=1,exitcode=77";
my $path = $ENV{PATH};
$ENV{PATH} = "$build/archive_cmd:$path";

sub no_reports_ok
{
	my ($what) = @_;
	my @reports = glob "$tmp/report*";

	ok(!@reports, "$what: no report")
	  || diag(map { slurp_bytes($_) } @reports[ 0 .. ($#reports > 2 ? 2 : $#reports) ]);
	unlink @reports;
	return;
}

# ---- the main job ----

my $pg = PgDr->new_cluster('main', wal_segsize => 1,
	conf => "max_wal_size = 200MB\nwal_keep_size = 100MB\n",
	pgdr_conf => { 'process-max' => 3 });
my $pgdata = $pg->data_dir;
mkdir "$tmp/space";
$pg->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$tmp/space'");
$pg->safe_psql('postgres',
	'CREATE TABLE t TABLESPACE space AS SELECT generate_series(1, 20000) AS n');
like($pg->safe_psql('postgres', 'SHOW archive_command'),
	qr{^\S*\Q$build\E}, 'the server archives with the program just built');

my $label = $pg->backup('--annotate', 'ticket=42');
my @segments = noise_segments($pg, 3);
$pg->safe_psql('postgres', q{SELECT pg_create_restore_point('here')});
$pg->safe_psql('postgres', 'INSERT INTO t VALUES (-1)');
$pg->switch_wal;
$pg->backup;
no_reports_ok('init, archive-push, backup');

# What must succeed; what it prints does not matter here.
for my $args (
	['check'], ['info'], [ 'info', $label ], [ '--output=json', 'info' ],
	['verify'], [ 'verify', '--deep' ], [ 'verify', '--deep', $label ],
	[ 'expire', '--dry-run', '--keep-full=1' ],
	[ 'repo-ls', '--recursive' ], ['help'], ['--version'],
	[ 'repo-get', "backup/$label/manifest" ],
	[ 'key', 'generate', '--out', "$tmp/key.txt" ],
	[ 'archive-get', $segments[0], "$tmp/got" ],
	[ 'archive-push', "$pgdata/pg_wal/$segments[0]" ])
{
	my ($rc, $out, $err) = $pg->pgdr(@$args);
	is($rc, 0, "pgdr @$args[0 .. ($#$args > 1 ? 1 : $#$args)]")
	  or diag($out, $err);
}
no_reports_ok('commands');

my $copy = $pg->restore('named', '--backup', $label, '--target-type=name',
	'--target=here', '--tablespace-map', "$tmp/space=$tmp/space2");
$copy->verifybackup_ok('restored');
$copy->start_recovered;
is($copy->safe_psql('postgres', 'SELECT count(*), min(n) FROM t'),
	'20000|1', 'recovered to the point');
$copy->stop;
no_reports_ok('restore, archive-get by a server');

# ---- bad input ----

my $case = clone_view($pg, "$tmp/case");
my @objects = map { s/^.*?\/repo\///r }
  grep { !m{/lease/|/mark/|/verified/} } repository_files($case->repo);
for my $n (1 .. (soak() ? 300 : 12))
{
	my $view = clone_view($pg, "$tmp/case");
	my $name = $objects[ rand @objects ];
	my $bytes = slurp_bytes("$view->{repo}/$name");

	for (1 .. 1 + int rand 3)
	{
		$bytes = flip_bit($bytes, int rand length $bytes, int rand 8);
	}
	$bytes = substr $bytes, 0, rand length $bytes if rand() < 0.3;
	rewrite("$view->{repo}/$name", $bytes);
	my ($rc, $out, $err) = $view->pgdr('verify', '--deep', '--no-mark');
	# without a map the next incremental backup stores more, and that is all
	ok($name =~ m{/map/} ? "$out$err" =~ /\Q$name\E/ : $rc != 0,
		"$name spoiled: verify --deep ends with $rc") or diag($out, $err);
	isnt($rc, 77, 'which is of its own making');
	remove_tree("$tmp/target");
	($rc) = $view->pgdr('restore', '--backup', $label, '--target-dir',
		"$tmp/target", '--tablespace-map', "$tmp/space=$tmp/target2");
	isnt($rc, 77, "restore ends with $rc");
	remove_tree("$tmp/target2");
	next unless $name =~ /^wal/;
	($rc) = $view->pgdr('archive-get', basename($name), "$tmp/got");
	ok($rc >= 200 && $rc <= 209, "archive-get ends with $rc");
}
for my $args (
	[], ['nonsense'], ['verify', '--nonsense'], ['archive-get'],
	[ 'archive-push', "$tmp/none" ], [ 'restore', '--target-dir', $pgdata ],
	[ 'restore', '--target-dir', "$tmp/x", '--target=yesterday' ],
	[ 'delete', $label, $label ],
	[ 'repo-get', 'wal/none' ])
{
	my ($rc) = $pg->pgdr(@$args);
	ok($rc > 0 && $rc != 77, "pgdr @{[ $args->[0] // '' ]} ends with $rc");
}
for my $n (1 .. (soak() ? 100 : 6))
{
	my @args = $n % 2 ? ('backup') : ('verify', '--deep', '--no-mark');
	my $h = $pg->pgdr_start(@args);
	Time::HiRes::sleep(rand 0.3);
	$h->signal('TERM');
	$h->finish;
	my $rc = $h->result(0);
	ok($rc == 0 || $rc == 11, "$args[0] got SIGTERM: $rc");
}
no_reports_ok('bad input');

$pg->pgdr_ok('expire', '--keep-full=1');
$pg->pgdr_ok('expire', '--keep-full=1', { env => { ASAN_OPTIONS =>
	  "$ENV{ASAN_OPTIONS},verify_asan_link_order=0", fake_clock(86400 * 2) } });
no_reports_ok('expire');

# ---- unit tests ----

my @tests = soak() ? map { basename($_, '.c') } glob "$top/tests/unit/*_test.c"
  : qw(fuzz_test fuzz_input_test);
if (build_ok(map { "../tests/unit/$_" } @tests))
{
	# some look for the vectors by this name
	local $ENV{TESTDIR} = $build;
	for my $test (@tests)
	{
		my ($rc, $out, $err) = run_plain(["$build/tests/unit/$test"],
			{ cwd => $build, env => { PGDR_FUZZ_ROUNDS => soak() ? 50000 : 1000 } });
		is($rc, 0, $test)
		  or diag(join("\n", grep { /^not ok|^#/ } split /\n/, $out), $err);
	}
	no_reports_ok('unit tests');
}

# ---- valgrind ----

$ENV{PATH} = $path;
delete @ENV{qw(ASAN_OPTIONS UBSAN_OPTIONS)};
SKIP:
{
	my ($pgdr) = grep { -x } map { "$_/pgdr" } split /:/, $path;
	skip 'valgrind is not installed', 1
	  if system('valgrind --version >/dev/null 2>&1') != 0;
	my $fresh = (noise_segments($pg, 1))[0];
	my $view = clone_view($pg, "$tmp/valgrind");

	for my $args (
		[ 'archive-push', "$pgdata/pg_wal/$fresh" ],
		[ 'archive-get', $fresh, "$tmp/got" ],
		[ 'verify', '--deep', '--no-mark' ],
		(soak() ? ([ 'restore', '--target-dir', "$tmp/v",
					'--tablespace-map', "$tmp/space=$tmp/vspace" ], ['info'],
				[ 'expire', '--keep-full=1' ]) : ()))
	{
		my ($rc, $out, $err) = run_plain([
			qw(valgrind -q --error-exitcode=77 --leak-check=full), $pgdr,
			'--config', $view->config, @$args ]);

		is($rc, 0, "valgrind: $args->[0]") or diag($err);
	}
}
$pg->stop;

done_testing();
