# A cluster as large clusters are: tablespaces, many tables, a big one, an
# unlogged one, prepared transactions; and two switches of timeline with
# recovery along each branch.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $tables = soak() ? 20_000 : 2_000;
my $megabytes = soak() ? 2_048 : 200;

my $pg = PgDr->new_cluster(
	'main',
	conf => "max_wal_size = 1GB\nmax_locks_per_transaction = 1024\n",
	pgdr_conf => { 'process-max' => 4 });
my %location = map { $_ => $pg->dir . "/tablespace_$_" } qw(one two);

# ---- the cluster ----

make_path(values %location);
$pg->safe_psql('postgres', "CREATE TABLESPACE $_ LOCATION '$location{$_}'")
  for sort keys %location;
$pg->safe_psql('postgres', "
CREATE DATABASE copied STRATEGY file_copy TABLESPACE two;
CREATE TABLE big (id int, word text) TABLESPACE one");
$pg->safe_psql('postgres', "
INSERT INTO big
SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, $megabytes * 1000) AS g;
CREATE INDEX big_id ON big (id) TABLESPACE two");
$pg->safe_psql('postgres', "
DO \$\$
BEGIN
	FOR i IN 1..$tables LOOP
		EXECUTE format('CREATE TABLE small_%s AS SELECT %s AS n', i, i);
		IF i % 500 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END\$\$;
CREATE FUNCTION sum_small() RETURNS bigint LANGUAGE plpgsql AS \$\$
DECLARE
	total bigint := 0;
	n int;
BEGIN
	FOR i IN 1..$tables LOOP
		EXECUTE 'SELECT n FROM small_' || i INTO STRICT n;
		total := total + n;
	END LOOP;
	RETURN total;
END\$\$;
CREATE UNLOGGED TABLE fleeting AS SELECT generate_series(1, 1000) AS n;
CREATE INDEX fleeting_n ON fleeting (n);
CREATE TABLE branch (step text);
CREATE TABLE ledger (entry text)");
$pg->safe_psql('copied', 'CREATE TABLE t AS SELECT 42 AS n');

my $session = $pg->background_psql('postgres');
$session->query_safe('CREATE TEMPORARY TABLE mine AS SELECT 1 AS n');
isnt(scalar(grep { m{/t\d+_\d+$} } repository_files($pg->data_dir)),
	0, 'there is a temporary table');

my $fingerprint =
  'SELECT count(*) || $$ $$ || sum(hashtext(word)::bigint * id) FROM big';
my $expected = $pg->safe_psql('postgres', $fingerprint);

# ---- a backup, in bounded memory ----

my ($rc, $kilobytes, $out, $err) = $pg->pgdr_measured('backup');
is($rc, 0, 'backup') or diag($out, $err);
note("backup took $kilobytes kB");
cmp_ok($kilobytes, '<', 256 * 1024, 'backup takes less than 256 MB');
$session->quit;

# ---- transactions that are prepared at the target ----

my $prepare = q{BEGIN; INSERT INTO ledger VALUES ('%s'); PREPARE TRANSACTION '%s'};
$pg->safe_psql('postgres', sprintf $prepare, $_, $_)
  for qw(open committed aborted);
$pg->safe_psql('postgres', q{COMMIT PREPARED 'committed'});
$pg->safe_psql('postgres', q{ROLLBACK PREPARED 'aborted'});

# ---- two disasters, three timelines ----

# A step on the current timeline, and one behind the point of the next fork.
sub live
{
	my ($step, $fork) = @_;

	$pg->safe_psql('postgres', "INSERT INTO branch VALUES ('$step')");
	$pg->safe_psql('postgres', "SELECT pg_create_restore_point('$fork')");
	$pg->safe_psql('postgres', "INSERT INTO branch VALUES ('$step, too late')");
	$pg->safe_psql('postgres', q{COMMIT PREPARED 'open'})
	  if $step eq 'first';
	$pg->switch_wal;
	return;
}

# All is lost, tablespaces included.
sub lose_everything
{
	$pg->destroy;
	remove_tree(values %location);
	make_path(values %location);
	return;
}

# PostgreSQL 15 cannot follow a switch of timelines in hot standby while a
# transaction prepared in the same segment is open: it looks for its record in
# the segment of the old timeline, where recovery has read that of the new one.
sub without_hot_standby
{
	my ($cluster) = @_;

	$cluster->append_conf('postgresql.auto.conf', 'hot_standby = off');
	return;
}

sub branch_of
{
	my ($cluster) = @_;
	return $cluster->safe_psql('postgres',
		q{SELECT string_agg(step, '; ') FROM branch});
}

live('first', 'fork1');
lose_everything();
($rc, $kilobytes, $out, $err) = $pg->pgdr_measured('restore',
	'--target-dir', $pg->data_dir, '--target-type=name', '--target=fork1');
is($rc, 0, 'restore with tablespaces to where they were') or diag($out, $err);
note("restore took $kilobytes kB");
cmp_ok($kilobytes, '<', 256 * 1024, 'restore takes less than 256 MB');
$pg->verifybackup_ok('after the first disaster');
is_deeply([ grep { m{/t\d+_\d+$} } repository_files($pg->data_dir) ],
	[], 'no file of a temporary table was restored');
$pg->start_recovered;

is($pg->safe_psql('postgres', $fingerprint), $expected, 'the big table');
is( $pg->safe_psql('postgres', 'SELECT sum_small()'),
	$tables * ($tables + 1) / 2,
	'the small tables');
is($pg->safe_psql('postgres', 'SELECT count(*) FROM fleeting'),
	0, 'the unlogged table is empty');
$pg->safe_psql('postgres', 'INSERT INTO fleeting VALUES (1)');
is($pg->safe_psql('copied', 'TABLE t'), 42, 'the copied database');
is( $pg->safe_psql('postgres', q{
SELECT string_agg(spcname || '=' || pg_tablespace_location(oid), ' ' ORDER BY spcname)
FROM pg_tablespace WHERE spcname IN ('one', 'two')}),
	"one=$location{one} two=$location{two}",
	'tablespaces are where they were');
is($pg->safe_psql('postgres', 'SELECT string_agg(gid, $$ $$) FROM pg_prepared_xacts'),
	'open', 'the prepared transaction is there, undecided');
is($pg->safe_psql('postgres', 'TABLE ledger'),
	'committed', 'and what others became');
$pg->safe_psql('postgres', q{COMMIT PREPARED 'open'});
is($pg->safe_psql('postgres', 'SELECT string_agg(entry, $$ $$ ORDER BY entry) FROM ledger'),
	'committed open', 'it can be committed');
is(branch_of($pg), 'first', 'the first branch up to the fork');

live('second', 'fork2');
lose_everything();
$pg->restore_here('--target-type=name', '--target=fork2');
without_hot_standby($pg);
$pg->start_recovered;
is(branch_of($pg), 'first; second', 'the second branch up to the fork');
live('third', 'fork3');

my %branches = (
	1 => 'first; first, too late',
	2 => 'first; second; second, too late',
	3 => 'first; second; third; third, too late',
	latest => 'first; second; third; third, too late',);
for my $timeline (sort keys %branches)
{
	my @maps =
	  map { "--tablespace-map=$location{$_}=" . $pg->dir . "/$_-$timeline" }
	  sort keys %location;
	my $copy = $pg->restore("branch_$timeline", @maps,
		"--target-timeline=$timeline");

	without_hot_standby($copy);
	$copy->start_recovered;
	is(branch_of($copy), $branches{$timeline},
		"recovery along timeline $timeline");
	is( $copy->safe_psql('postgres', q{
SELECT count(*) FROM pg_tablespace
WHERE pg_tablespace_location(oid) LIKE '%} . "-$timeline'"),
		2,
		'with tablespaces mapped');
	if ($timeline eq '2')
	{
		is($copy->safe_psql('postgres', $fingerprint),
			$expected, 'the big table in its other place');
		$copy->amcheck_ok('a branch');
		$copy->checksums_ok('a branch');
	}
	else
	{
		$copy->stop;
	}
	$copy->clean_node;
	remove_tree(map { $pg->dir . "/$_-$timeline" } keys %location);
}

# A map that names no tablespace of the backup would silently do nothing.
my $wrong = $pg->sibling('wrong');
($rc, $out, $err) = $wrong->pgdr(
	'restore', '--target-dir', $wrong->data_dir, '--tablespace-map=/nowhere=/tmp/x');
isnt($rc, 0, 'a map of an unknown tablespace is refused');
like($err, qr{/nowhere}, 'and named');
($rc, $out, $err) = $wrong->pgdr('restore', '--target-dir', $wrong->data_dir);
isnt($rc, 0, 'a tablespace in use is not written to');
like($err, qr/\Q$location{one}\E|\Q$location{two}\E/, 'and named');
is(branch_of($pg), $branches{3}, 'the living cluster took no harm');

done_testing();
