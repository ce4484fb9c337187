# archive-push and archive-get on a running server: what they take, what they
# refuse and with which exit status, and that recovery never ends early.

use strict;
use warnings;

use File::Basename qw(basename);
use File::Copy qw(copy move);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', conf => "wal_keep_size = 1GB\n");
my $pgdata = $pg->data_dir;

# Changes one byte.
sub flip
{
	my ($path, $at) = @_;
	my $bytes = slurp_bytes($path);

	substr($bytes, $at, 1) = chr(ord(substr($bytes, $at, 1)) ^ 0x40);
	chmod 0600, $path;
	spew($path, $bytes);
	return;
}

# Puts an object away and back; what is in its place meanwhile goes.
sub put_away { move($_[0], "$tmp/aside") or die "move: $!"; return }

sub put_back
{
	unlink $_[0];
	move("$tmp/aside", $_[0]) or die "move: $!";
	return;
}

# Leaves a damaged copy in place of an object, until put_back().
sub damage
{
	my ($path, $at) = @_;

	put_away($path);
	copy("$tmp/aside", $path) or die "copy: $!";
	flip($path, $at);
	return;
}

# A file of the server, under a directory of its own with the same name.
sub copy_of
{
	my ($name, $as) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $path = "$dir/" . ($as // $name);

	copy("$pgdata/pg_wal/$name", $path) or die "could not copy $name: $!";
	return $path;
}

# A push that must fail: with this status, naming the cause, leaving no trace.
sub refused
{
	my ($what, $path, $status, $cause) = @_;
	my @before = map { $_ . ' ' . (stat $_)[9] } repository_files($pg->repo);
	my ($rc, $out, $err) = $pg->pgdr('archive-push', $path);
	my @after = map { $_ . ' ' . (stat $_)[9] } repository_files($pg->repo);

	is($rc, $status, "$what: refused");
	like($err, $cause, "$what: the cause is named");
	is_deeply(\@after, \@before, "$what: the repository is as it was");
	return;
}

# An archive-get by hand, in a directory where nobody recovers: ($rc, $err).
sub get
{
	my ($name, $to) = @_;
	my ($rc, $out, $err) = $pg->pgdr('archive-get', $name, $to);

	return ($rc, $err);
}

# ---- what the server archives comes back ----

$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');
my @segments;
for my $n (1 .. 3)
{
	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
	push @segments, $pg->switch_wal;
}
is($pg->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'),
	0, 'the archiver had no failure');

for my $name (@segments)
{
	my ($rc, $err) = get($name, "$tmp/$name");

	is($rc, 0, "get $name") or diag($err);
	is( slurp_bytes("$tmp/$name"),
		slurp_bytes("$pgdata/pg_wal/$name"),
		'it is what the server wrote');
}
$pg->stock_decode($pg->object_path($segments[0]), "$tmp/stock");
is( slurp_bytes("$tmp/stock"),
	slurp_bytes("$pgdata/pg_wal/$segments[0]"),
	'stock tools decode the object to the same bytes');
is_deeply([ glob "$tmp/.*tmp* $tmp/*.tmp" ],
	[], 'get leaves no temporary file');

# A backup's history file, by the server.
$pg->safe_psql('postgres',
	"SELECT pg_backup_start('by hand', true); SELECT pg_backup_stop(false)");
my $label = poll(
	sub { (grep { /\.backup$/ } repository_files($pg->wal_home))[0] },
	'the backup history file to be archived');
is((get(basename($label), "$tmp/label"))[0], 0, 'get a .backup file');
like(slurp_bytes("$tmp/label"), qr/^LABEL: by hand$/m, 'it is the right one');

# A partial segment: what a promoted standby archives of the old timeline.
my $partial = copy_of($segments[2], "$segments[2].partial");
$pg->pgdr_ok('archive-push', $partial);
is((get("$segments[2].partial", "$tmp/partial"))[0], 0, 'get a .partial file');
is(slurp_bytes("$tmp/partial"), slurp_bytes($partial), 'and it is the same');

# ---- push: again, and what it refuses ----

my $object = $pg->object_path($segments[0]);
my @stat = stat $object;
my $again =
  $pg->pgdr_result('archive-push', "$pgdata/pg_wal/$segments[0]");
ok($again->{already}, 'the same segment again is success, and says so');
is_deeply([ (stat $object)[ 1, 7, 9 ] ],
	[ @stat[ 1, 7, 9 ] ], 'the object was not written again');

my $changed = copy_of($segments[0]);
flip($changed, 5_000_000);
refused('same name, other content', $changed, 5, qr/with other content/);

my $short = copy_of($segments[0]);
truncate $short, 9_000_000 or die "truncate: $!";
refused('truncated', $short, 6, qr/\Q$segments[0]\E/);
truncate $short, 0 or die "truncate: $!";
refused('empty', $short, 6, qr/\Q$segments[0]\E/);
spew($short, "\0" x (16 * 1024 * 1024));
refused('zeros', $short, 6, qr/\Q$segments[0]\E/);

my $renamed = copy_of($segments[1], '0000000100000000000000F1');
refused('under the name of another segment', $renamed, 5, qr/F1/);
my $foreign_timeline =
  copy_of($segments[1], '00000000' . substr $segments[1], 8);
refused('of timeline 0', $foreign_timeline, 2, qr/00000000/);
refused('not a WAL file name', copy_of($segments[1], 'notes.txt'),
	2, qr/notes\.txt/);
refused('not there', "$tmp/0000000100000000000000F2", 4, qr/F2/);

# ---- a segment of another cluster ----

my $other = PgDr->new_cluster('other', start => 0);
$other->append_conf('postgresql.conf', 'archive_mode = off');
$other->start;
$other->safe_psql('postgres', 'SELECT pg_switch_wal()');
my ($foreign) = map { basename($_) }
  grep { m{/[0-9A-F]{24}$} } sort glob $other->data_dir . '/pg_wal/*';
refused(
	'of another cluster',
	$other->data_dir . "/pg_wal/$foreign",
	5, qr/system identifier|another cluster/);
$other->stop;

# ---- exit statuses of get, by hand ----

my ($rc, $err) = get('0000000100000000000000F0', "$tmp/none");
is($rc, 1, 'behind the end of the archive: 1');
ok(!-e "$tmp/none", 'nothing was written');
is((get('00000002.history', "$tmp/none"))[0], 1, 'no such history: 1');

put_away($pg->object_path($segments[1]));
($rc, $err) = get($segments[1], "$tmp/none");
is($rc, 205, 'a hole: 205');
like($err, qr/\Q$segments[1]\E/, 'it is named');
put_back($pg->object_path($segments[1]));

rename $pg->repo, $pg->repo . '.away' or die "rename: $!";
for my $name ($segments[1], '0000000100000000000000F0', '00000002.history')
{
	($rc, $err) = get($name, "$tmp/none");
	ok($rc >= 200 && $rc <= 209, "store unreachable: $rc for $name");
	isnt($err, '', 'with a message');
}
rename $pg->repo . '.away', $pg->repo or die "rename: $!";

damage($pg->object_path($segments[1]), -1000);
($rc, $err) = get($segments[1], "$tmp/none");
is($rc, 202, 'a damaged object: 202');
like($err, qr/\Q$segments[1]\E/, 'it is named');
ok(!-e "$tmp/none", 'nothing of it was delivered');
put_back($pg->object_path($segments[1]));

my $identity = $pg->identity;
rename $identity, "$identity.away" or die "rename: $!";
($rc, $err) = get($segments[1], "$tmp/none");
ok($rc >= 200 && $rc <= 209, "identity file missing: $rc");
like($err, qr/\Q$identity\E/, 'it is named');
$pg->pgdr_ok('key', 'generate', '--out', $identity);
($rc, $err) = get($segments[1], "$tmp/none");
is($rc, 203, 'the key of somebody else: 203');
rename "$identity.away", $identity or die "rename: $!";

for my $case (
	[ 'no argument', 'archive-get' ],
	[ 'one argument', 'archive-get', $segments[1] ],
	[ 'unknown option', 'archive-get', '--fast', $segments[1], "$tmp/none" ],
	[ 'misspelt command', 'archiv-get', $segments[1], "$tmp/none" ],
	[ 'not a WAL file name', 'archive-get', 'notes.txt', "$tmp/none" ])
{
	my ($what, @args) = @$case;

	($rc, my $out, $err) = $pg->pgdr(@args);
	ok($rc >= 200 && $rc <= 209, "$what: $rc") or diag($err);
}
($rc, undef, $err) =
  run_plain([ 'pgdr', '--config', "$tmp/no.conf", 'archive-get',
		$segments[1], "$tmp/none" ]);
ok($rc >= 200 && $rc <= 209, "no configuration: $rc");

# On a standby all that is not success is 1, with the message.
mkdir "$tmp/standby";
spew("$tmp/standby/standby.signal", '');
($rc, undef, $err) = $pg->pgdr('archive-get', '0000000100000000000000F0',
	"$tmp/none", { cwd => "$tmp/standby" });
is($rc, 1, 'absent on a standby: 1');
put_away($pg->object_path($segments[1]));
($rc, undef, $err) = $pg->pgdr('archive-get', $segments[1],
	"$tmp/none", { cwd => "$tmp/standby" });
is($rc, 1, 'a hole on a standby: 1');
like($err, qr/\Q$segments[1]\E/, 'and it is named');
put_back($pg->object_path($segments[1]));

# ---- a recovering server does not promote before the archive's end ----

$pg->backup;
my @after;
for my $n (11 .. 14)
{
	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
	push @after, $pg->switch_wal;
}
my $middle = $pg->object_path($after[1]);
my $copy = $pg->restore('copy');

sub stays_down
{
	my ($what, $status) = @_;
	$copy->enable_archive;
my ($state, $log) = $copy->try_recovery;

	is($state, 'down', "$what: the server does not promote");
	like($log, qr/exited with exit code $status|exit code $status/,
		"$what: restore_command ended with $status");
	if ($state ne 'down')
	{
		diag($log);
		BAIL_OUT('a server was promoted with WAL missing');
	}
	return $log;
}

rename $pg->repo, $pg->repo . '.away' or die "rename: $!";
stays_down('store unreachable', '20[0-9]');
rename $pg->repo . '.away', $pg->repo or die "rename: $!";

put_away($middle);
like(stays_down('hole', 205), qr/\Q$after[1]\E/, 'the log names the hole');
put_back($middle);

damage($middle, -100);
like(stays_down('damage', 202),
	qr/\Q$after[1]\E/, 'the log names the damaged object');
put_back($middle);

my $copy_identity = $copy->identity;
rename $copy_identity, "$copy_identity.away" or die "rename: $!";
stays_down('no key', '20[0-9]');
rename "$copy_identity.away", $copy_identity or die "rename: $!";

rename $copy->config, $copy->config . '.away' or die "rename: $!";
stays_down('no configuration', 200);
rename $copy->config . '.away', $copy->config or die "rename: $!";

$copy->enable_archive;
my ($state, $log) = $copy->try_recovery;
is($state, 'promoted', 'with all in order it recovers to the end')
  or diag($log);
is( $copy->safe_psql('postgres', 'SELECT string_agg(n::text, $$ $$ ORDER BY n) FROM t'),
	'1 2 3 11 12 13 14',
	'nothing is missing');

# ---- two primaries: the one that was left behind is refused ----

$copy->safe_psql('postgres', 'INSERT INTO t VALUES (21)');
my $second = $copy->switch_wal;
like($second, qr/^00000002/, 'the second server archives on timeline 2');
$pg->wait_archived('00000002.history');
is((get('00000002.history', "$tmp/history"))[0], 0, 'get a .history file');
is( slurp_bytes("$tmp/history"),
	slurp_bytes($copy->data_dir . '/pg_wal/00000002.history'),
	'it is what the server wrote');
$pg->stock_decode($pg->object_path('00000002.history'), "$tmp/stock");
is( slurp_bytes("$tmp/stock"),
	slurp_bytes("$tmp/history"), 'stock tools agree');

my @known = grep { /^00000001/ } $pg->segments;
my $logged = -s $pg->logfile;
for my $n (31 .. 33)
{
	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
	$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
poll(
	sub {
		$pg->safe_psql('postgres',
			'SELECT failed_count > 0 FROM pg_stat_archiver') eq 't';
	},
	'the old primary to be refused');
like(
	slurp_file($pg->logfile, $logged),
	qr/timeline 1 was superseded by timeline 2/,
	'the old primary is told why');
my $end = (split ' ', slurp_bytes("$tmp/history"))[1];
my @new = grep { /^00000001/ } $pg->segments;
ok(@new <= @known + 1, 'at most the segment of the fork itself was taken');
$copy->stop;
$pg->stop('immediate');

# ---- other segment sizes, and memory ----

# Fills the rest of a segment with what cannot be compressed, and archives it.
sub fill_segment
{
	my ($cluster, $megabytes) = @_;

	$cluster->safe_psql('postgres', "
DO \$\$
BEGIN
	FOR i IN 1..$megabytes LOOP
		PERFORM pg_logical_emit_message(false, 'fill',
			(SELECT string_agg(md5(random()::text), '')
			 FROM generate_series(1, 28000)));
	END LOOP;
END\$\$");
	return $cluster->switch_wal;
}

# Pushes and gets one segment with its memory measured, in kilobytes.
sub memory_of
{
	my ($cluster, $name) = @_;
	my $wal = $cluster->data_dir . "/pg_wal/$name";

	unlink $cluster->object_path($name) or die "unlink: $!";
	my ($rc1, $push, undef, $err1) =
	  $cluster->pgdr_measured('archive-push', $wal);
	my ($rc2, $get, undef, $err2) =
	  $cluster->pgdr_measured('archive-get', $name, "$tmp/$name");
	is($rc1, 0, 'push') or diag($err1);
	is($rc2, 0, 'get') or diag($err2);
	is(run_command([ 'cmp', $wal, "$tmp/$name" ]), '', 'the same bytes');
	unlink "$tmp/$name";
	return ($push, $get);
}

my @sizes = soak() ? (1, 16, 64, 256, 1024) : (1, 16, 64, 256);
for my $size (@sizes)
{
	my $cluster = PgDr->new_cluster(
		"size$size",
		wal_segsize => $size,
		conf => 'wal_keep_size = ' . 3 * $size . "MB\n"
		  . 'min_wal_size = ' . 2 * $size . "MB\n"
		  . 'max_wal_size = ' . 4 * $size . "MB\n");

	note("wal_segment_size = $size MB");
	my $name = fill_segment($cluster, int($size * 0.9) + 1);
	my ($push, $get) = memory_of($cluster, $name);
	note("push $push kB, get $get kB");
	ok($push < 64 * 1024, "$size MB: push takes less than 64 MB");
	ok($get < 64 * 1024, "$size MB: get takes less than 64 MB");

	$cluster->stop;
	$cluster->clean_node;
}

done_testing();
