# A backup from a standby: under load on the primary, over a switch of
# timelines, and of what only the primary can do.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $pg = PgDr->new_cluster('primary', conf => q{
fsync = on
autovacuum = off
});
$pg->pgbench_init(3);
$pg->safe_psql('postgres', 'CREATE EXTENSION amcheck');
my $full = $pg->backup;

# It streams, so that it is never far behind.
my $standby = $pg->restore('standby', '--standby');
$standby->append_conf('postgresql.auto.conf',
	"primary_conninfo = '@{[ $pg->connection =~ s/'/''/gr ]}'\nwal_retrieve_retry_interval = '100ms'");
$standby->start;
$standby->poll_query_until('postgres', q{SELECT pg_last_wal_replay_lsn() IS NOT NULL}) or die;

# Restores, and compares what the backup has with the primary: both books balance.
sub whole
{
	my ($label, $what) = @_;
	my $copy = $pg->restore("copy$label" =~ s/\W//gr, '--backup', $label, '--target-type', 'immediate');

	$copy->verifybackup_ok($what);
	$copy->start_recovered;
	$copy->balanced_ok($what);
	$copy->amcheck_ok($what);
	$copy->checksums_ok($what);
	return;
}

# ---- with the primary ----

$standby->set_config('primary-connection' => $pg->connection);
my $load = $pg->pgbench_start(qw(-c 4 -j 1 -T 3600));
poll(sub { $pg->safe_psql('postgres', 'SELECT count(*) > 500 FROM pgbench_history') eq 't' }, 'load');
my $first = $standby->pgdr_result('backup');
is($first->{damaged_pages}, 0, 'a backup under load, all pages right');
my $second = $standby->pgdr_result('backup', '--type', 'incremental');
is($second->{parent}, $first->{label}, 'and an incremental one');
$pg->pgbench_stop($load);
my $third = $pg->pgdr_result('backup', '--type', 'incremental');
is($third->{parent}, $second->{label}, 'which is a base for one of the primary');
cmp_ok($third->{stored_bytes}, '<', $first->{stored_bytes}, 'and spares it most of the work');
whole($first->{label}, 'the full one');
whole($second->{label}, 'the incremental one');
whole($third->{label}, 'that of the primary');

# ---- where the primary is not reached ----

my ($rc, $out, $err);
$standby->set_config('primary-connection' => $standby->connection);
($rc, $out, $err) = $standby->pgdr('backup');
like($err, qr/primary-connection leads to a standby/, 'a standby is no primary');
my $other = PgDr->new_cluster('other');
$standby->set_config('primary-connection' => $other->connection);
($rc, $out, $err) = $standby->pgdr('backup');
like($err, qr/primary-connection leads to another cluster/, 'nor is that of another cluster');
$other->stop;
($rc, $out, $err) = $standby->pgdr('backup');
like($err, qr/could not reach the primary/, 'one that is down is an error');

$standby->set_config('primary-connection' => undef);
$pg->safe_psql('postgres', 'CREATE TABLE more AS SELECT generate_series(1, 1000) AS n');
poll(sub { $standby->safe_psql('postgres', q{SELECT to_regclass('more') IS NOT NULL}) eq 't' }, 'the standby');
$standby->safe_psql('postgres', 'CHECKPOINT');
($rc, $out, $err) = $standby->pgdr('backup', '--archive-timeout', '2s');
is($rc, 9, 'without it the segment does not come') or diag($out, $err);
like($err, qr/was not archived in time.*Set primary-connection/s, 'which is said');
my $h = $standby->pgdr_start('backup');
poll(
	sub {
		$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
		$h->pump_nb if $h->pumpable;
		return !$h->pumpable;
	},
	'the backup to get its WAL');
$h->finish;
is($h->result(0), 0, 'until the primary ends it by itself');

# ---- failover ----

$pg->stop('immediate');
$standby->enable_archive;
$standby->restart;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
$standby->safe_psql('postgres', 'UPDATE pgbench_branches SET bbalance = bbalance');
my $after = $standby->pgdr_result('backup', '--type', 'incremental');
is($after->{backup_type}, 'incremental', 'after a failover the chain goes on');
is($after->{timeline}, 2, 'on the next timeline');
whole($after->{label}, 'the one after the failover');

done_testing();
