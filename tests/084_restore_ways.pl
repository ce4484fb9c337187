# Restores over an old data directory, with other places for what is in it, and
# of some databases only, on real servers.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('ways', conf => "fsync = on\n");
my $space = $pg->dir . '/space';

mkdir $space or die "mkdir: $!";
$pg->pgbench_init(soak() ? 20 : 3);
$pg->safe_psql('postgres', "CREATE TABLESPACE fast LOCATION '$space'");
for my $db (qw(shop books))
{
	$pg->safe_psql('postgres', "CREATE DATABASE $db");
	$pg->safe_psql($db, qq{
CREATE TABLE item AS SELECT n, md5('$db' || n) AS text FROM generate_series(1, 20000) n;
CREATE INDEX ON item (text);
CREATE TABLE quick TABLESPACE fast AS SELECT * FROM item;
CHECKPOINT});
}
my $label = $pg->backup;
my $target = $pg->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

sub sum_of
{
	my ($node, $db) = @_;

	return $node->safe_psql($db, q{
SELECT count(*) || ' ' || sum(hashtext(text)::bigint) || ' ' ||
	(SELECT sum(hashtext(text)::bigint) FROM quick) FROM item});
}

my %sum = map { $_ => sum_of($pg, $_) } qw(shop books);

# Changes, so that the old directory differs: in place, more, less, other.
sub change
{
	$pg->safe_psql('shop', q{
UPDATE item SET text = 'changed' WHERE n % 1000 = 7;
CREATE TABLE extra AS SELECT generate_series(1, 10000) n;
TRUNCATE quick});
	$pg->safe_psql('postgres', 'CREATE DATABASE later; CHECKPOINT');
	return;
}

change();
$pg->switch_wal;
my $data = $pg->data_dir;
my @delta = ('restore', '--target-dir', $data, '--backup', $label, '--delta',
	'--target-type', 'lsn', '--target', $target);

my ($rc, $out, $err) = $pg->pgdr(@delta);
is($rc, 5, 'no delta under a running server') or diag($out, $err);
like($err, qr/a server is running/, 'which is said');
ok(-e "$data/global/pg_control", 'and nothing was touched');
$pg->stop;

# ---- delta ----

sub spew_at
{
	my ($path, $at, $text) = @_;

	open my $file, '+<', $path or die "$path: $!";
	seek $file, $at, 0;
	print $file $text;
	close $file or die "$path: $!";
	return;
}

($rc, $out, $err) = $pg->pgdr(@delta, '--force');
is($rc, 2, '--force and --delta exclude each other');
my $result = $pg->pgdr_result(@delta);
ok( $result->{kept_bytes} > $result->{plain_bytes} / 2
	  && $result->{kept_bytes} < $result->{plain_bytes},
	"delta: $result->{kept_bytes} of $result->{plain_bytes} bytes were left alone");
$pg->verifybackup_ok('delta');

# One block of the largest file: no more is read than that, and what changes always.
my ($large) = sort { -s $b <=> -s $a } glob "$data/base/5/*";
ok(-s $large > 10_000_000, 'a large file');
spew_at($large, 8192 * 100 + 7, 'other');
spew_at($large, -s $large, 'x' x 8192);
$result = $pg->pgdr_result(@delta);
cmp_ok($result->{plain_bytes} - $result->{kept_bytes}, '<', 1_000_000,
	'delta of one block: the others of its file are left alone');
$pg->verifybackup_ok('delta, once more');
$pg->adopt;
$pg->start_recovered;
is(sum_of($pg, $_), $sum{$_}, "delta: contents of $_") for sort keys %sum;
is($pg->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'later'}),
	0, 'delta: a database that was made later is not there');
$pg->amcheck_ok('delta');
$pg->checksums_ok('delta');

# ---- kill -9 ----

my $kills = soak() ? 100 : 6;
my $stopped = 0;

srand(5);
for my $n (1 .. $kills)
{
	my $run = $pg->pgdr_start(@delta);

	sleep(rand(soak() ? 0.8 : 0.4));
	$run->kill_kill;
	$stopped++ if -e "$data/pgdr.restoring";
	next if !-e "$data/global/pg_control" || -e "$data/pgdr.restoring";
	$pg->verifybackup_ok("kill $n: it was complete") if -e "$data/recovery.signal" && !-e "$data/base/1/stray";
	spew("$data/base/1/stray", 'x');
}
note("$stopped of $kills were stopped in the middle");
$pg->pgdr_result(@delta);
$pg->verifybackup_ok('after kills');
ok(!-e "$data/pgdr.restoring" && !-e "$data/base/1/stray", 'after kills: nothing is left');

# ---- another cluster ----

my $foreign = PgDr->new_cluster('foreign', start => 0);
($rc, $out, $err) = $pg->pgdr('restore', '--target-dir', $foreign->data_dir, '--delta',
	'--backup', $label, '--tablespace-map-all', "$tmp/none");
isnt($rc, 0, 'no delta over another cluster');
like($err, qr/is of another cluster/, 'which is said');
ok(-e $foreign->data_dir . '/global/pg_control', 'and nothing was touched');

# ---- other places ----

my $moved = $pg->restore('moved', '--backup', $label,
	'--tablespace-map-all', "$tmp/spaces", '--link-map', "pg_wal=$tmp/wal",
	'--target-type', 'immediate');
is(readlink($moved->data_dir . '/pg_wal'), "$tmp/wal", 'pg_wal is a link');
$moved->verifybackup_ok('moved');
$moved->start_recovered;
is(sum_of($moved, $_), $sum{$_}, "moved: contents of $_") for sort keys %sum;
is($moved->safe_psql('postgres', q{
SELECT pg_tablespace_location(oid) LIKE '%/spaces/' || oid FROM pg_tablespace
WHERE spcname = 'fast'}), 't', 'moved: the tablespace is where all go');
ok(-e "$tmp/wal/archive_status", 'moved: WAL is where it was linked to');
$moved->stop;

# ---- one database ----

($rc, $out, $err) = $pg->pgdr('restore', '--target-dir', "$tmp/never", '--backup', $label,
	'--db-include', 'nowhere', '--tablespace-map-all', "$tmp/never2");
isnt($rc, 0, 'a database that is not there');
like($err, qr/has no database "nowhere".*shop, books/s, 'those that are, are named');
ok(!-e "$tmp/never", 'and nothing is made');

my $one = $pg->restore('one', '--backup', $label, '--db-include', 'shop',
	'--tablespace-map-all', "$tmp/one", '--target-type', 'lsn', '--target', $target);
$one->start_recovered;
is(sum_of($one, 'shop'), $sum{shop}, 'one database: its contents');
($rc, $out, $err) = $one->psql('books', 'SELECT 1');
isnt($rc, 0, 'one database: no session in another one');
$one->safe_psql('postgres', 'DROP DATABASE books');
$one->safe_psql('shop', 'VACUUM FREEZE');
$one->amcheck_ok('one database');
$one->checksums_ok('one database');

done_testing();
