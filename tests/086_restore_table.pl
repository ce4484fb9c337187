# Single tables of the past: into files and into the live database, through a
# scratch cluster of which nothing is left.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('table');
my $scratch = PostgreSQL::Test::Utils::tempdir_short();
my $space = $pg->dir . '/space';

mkdir $space or die "mkdir: $!";
$pg->safe_psql('postgres', "CREATE TABLESPACE fast LOCATION '$space'");
$pg->safe_psql('postgres', 'CREATE DATABASE shop');
$pg->safe_psql('shop', q{
CREATE TABLE item (n int PRIMARY KEY, text text) TABLESPACE fast;
INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 5000) n;
CREATE TABLE other AS SELECT 1 AS one});
$pg->backup;
$pg->safe_psql('shop', 'INSERT INTO item VALUES (5001, $$after the backup$$)');
my $target = $pg->safe_psql('shop', 'SELECT pg_current_wal_insert_lsn()');
$pg->safe_psql('shop', 'UPDATE item SET text = $$spoilt$$; DROP TABLE other');
# what the live server has set must not reach the scratch cluster
$pg->safe_psql('postgres', "ALTER SYSTEM SET shared_preload_libraries = 'nothing_like_this'");
$pg->switch_wal;

my @target = ('--target-type', 'lsn', '--target', $target, '--scratch-dir', $scratch);
my @item = ('restore-table', '--db', 'shop', '--table', 'item', @target);

sub nothing_left
{
	my ($what) = @_;

	is_deeply([ glob "$scratch/*" ], [], "$what: nothing is left");
	return;
}

# ---- into a file ----

my $result = $pg->pgdr_result(@item, '--file', "$tmp/item.sql");
is($result->{bytes}, -s "$tmp/item.sql", 'a file of SQL');
like(slurp_bytes("$tmp/item.sql"), qr/CREATE TABLE public\.item .*^5001\tafter the backup$/ms,
	'it has definition and rows, those behind the backup too');
unlike(slurp_bytes("$tmp/item.sql"), qr/spoilt|TABLE public\.other/, 'and nothing else');
nothing_left('file');

my ($rc, $out, $err) = $pg->pgdr(@item, '--file', "$tmp/item.sql");
is($rc, 5, 'a file that is there stays') or diag($err);
nothing_left('file that is there');

# ---- into the live database ----

($rc, $out, $err) = $pg->pgdr(@item, '--into', $pg->connection . ' dbname=shop');
is($rc, 12, 'not over a table that is there');
like($err, qr/already exists/, 'which is said');
is($pg->safe_psql('shop', 'SELECT count(*) FROM item WHERE text = $$spoilt$$'),
	5001, 'and the table is as it was');
nothing_left('table that is there');

$pg->safe_psql('shop', 'ALTER TABLE item RENAME TO spoilt; ALTER INDEX item_pkey RENAME TO spoilt_pkey');
$pg->pgdr_ok('restore-table', '--db', 'shop', '--table', 'item', '--table', 'other', @target,
	'--into', $pg->connection . ' dbname=shop');
is($pg->safe_psql('shop', q{
SELECT count(*) || ' ' || count(*) FILTER (WHERE text = md5(n::text)) FROM item}),
	'5001 5000', 'the tables are there as they were');
is($pg->safe_psql('shop', 'SELECT one FROM other'), 1, 'both of them');
nothing_left('into the database');

# ---- errors ----

for my $case (
	[ 'no such table', 12, qr/no matching tables/, '--db', 'shop', '--table', 'nowhere' ],
	[ 'no such database', 2, qr/has no database "nowhere"/, '--db', 'nowhere', '--table', 'item' ],
	[ 'no such user', 12, qr/"nobody_like_this"/, '--db', 'shop', '--table', 'item',
		'--db-user', 'nobody_like_this' ],
	[ 'no table', 2, qr/no table is given/, '--db', 'shop' ],
	[ 'two places', 2, qr/either --file or --into/, '--db', 'shop', '--table', 'item', '--into', 'x' ])
{
	my ($what, $status, $says, @args) = @$case;

	($rc, $out, $err) = $pg->pgdr('restore-table', @args, @target, '--file', "$tmp/none");
	is($rc, $status, "$what: status");
	like($err, $says, "$what: is said");
	ok(!-e "$tmp/none", "$what: no file");
	nothing_left($what);
}

# ---- kill -9, and the run after it ----

sub server_in_scratch
{
	return grep { (readlink($_) // '') =~ /^\Q$scratch\E/ } glob '/proc/[0-9]*/cwd';
}

for my $n (1 .. (soak() ? 20 : 2))
{
	my $run = $pg->pgdr_start(@item, '--file', "$tmp/killed");

	poll(sub { glob "$scratch/*/data/base" }, 'the scratch cluster');
	sleep(rand(1.5));
	$run->kill_kill;
	unlink "$tmp/killed";
}
$pg->pgdr_ok(@item, '--file', "$tmp/again");
nothing_left('after kill -9');
poll(sub { !server_in_scratch() }, 'servers in the scratch directory to end');
pass('after kill -9: no server runs');

# a stop that is asked for
my $run = $pg->pgdr_start(@item, '--file', "$tmp/stopped");
poll(sub { glob "$scratch/*/data/base" }, 'the scratch cluster');
$run->signal('TERM');
$run->finish;
is($run->result, 11, 'stopped by a signal');
nothing_left('stopped');
ok(!-e "$tmp/stopped", 'stopped: no file');

done_testing();
