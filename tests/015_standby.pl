# A standby that lives from the archive alone: it waits where a recovering
# server would give up, and comes through an outage of the repository.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $pg = PgDr->new_cluster('primary');
$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');
$pg->backup;

my $standby = $pg->restore('standby', '--standby');
ok(-e $standby->data_dir . '/standby.signal', 'restore made a standby');
ok(!-e $standby->data_dir . '/recovery.signal', 'and nothing else');
$standby->append_conf('postgresql.auto.conf',
	"wal_retrieve_retry_interval = '100ms'");
$standby->start;

# Row n on the primary, archived; with whether it shows on the standby.
sub add
{
	my ($n) = @_;

	$pg->safe_psql('postgres', "INSERT INTO t VALUES ($n)");
	return $pg->switch_wal;
}

sub follows
{
	my ($n, $what) = @_;
	return ok(
		$standby->poll_query_until(
			'postgres', "SELECT count(*) = 1 FROM t WHERE n = $n"),
		$what);
}

sub is_standby
{
	my ($what) = @_;
	return is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
		't', $what);
}

# What the standby logged since its log was so long.
sub logged
{
	my ($at) = @_;
	return slurp_file($standby->logfile, $at);
}

add(1);
follows(1, 'it follows the archive');

# At the end of the archive it asks again and again.
my $at = -s $standby->logfile;
my $asked = $standby->safe_psql('postgres', 'SELECT now()');
poll(
	sub {
		$standby->safe_psql('postgres',
			"SELECT now() - '$asked' > interval '1 second'") eq 't';
	},
	'a second of waiting');
is_standby('it waits at the end of the archive');
add(2);
follows(2, 'and goes on when there is more');

# The repository cannot be reached: tried, said so, tried again.
$at = -s $standby->logfile;
rename $pg->repo, $pg->repo . '.away' or die "rename: $!";
poll(sub { logged($at) =~ /could not get/ }, 'the standby to notice');
like(logged($at), qr/repository|repo\.json/, 'the log names the repository');
is_standby('it does not promote while the repository is away');
$pg->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
poll(
	sub {
		$pg->safe_psql('postgres',
			'SELECT failed_count > 0 FROM pg_stat_archiver') eq 't';
	},
	'the primary to notice');
is_standby('nor does it stop');
rename $pg->repo . '.away', $pg->repo or die "rename: $!";
add(4);
follows(4, 'after the outage it catches up');
is($standby->safe_psql('postgres', 'SELECT string_agg(n::text, $$ $$ ORDER BY n) FROM t'),
	'1 2 3 4', 'and nothing is missing');

# Without its key it cannot read the archive, which is no reason to end either.
my $identity = $standby->identity;
$at = -s $standby->logfile;
rename $identity, "$identity.away" or die "rename: $!";
poll(sub { logged($at) =~ /\Q$identity\E/ },
	'the standby to miss its key');
is_standby('without a key it waits');
rename "$identity.away", $identity or die "rename: $!";
add(5);
follows(5, 'with the key back it goes on');

# The primary is lost; the standby takes over and archives its timeline.
$pg->stop('immediate');
$standby->enable_archive;
$standby->restart;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
$standby->safe_psql('postgres', 'INSERT INTO t VALUES (6)');
like($standby->switch_wal, qr/^00000002/, 'promoted, on timeline 2');
ok($pg->is_archived('00000002.history'), 'its history is archived');

# A standby of the old backup follows over the switch of timelines.
my $next = $pg->restore('next', '--standby');
$next->append_conf('postgresql.auto.conf',
	"wal_retrieve_retry_interval = '100ms'");
$next->start;
ok( $next->poll_query_until(
		'postgres', 'SELECT count(*) = 1 FROM t WHERE n = 6'),
	'the next standby follows to timeline 2');
is($next->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	't', 'and stays one');

done_testing();
