# A chain of incremental backups under mixed load, with a server that is killed
# in between: every link restores to what the cluster was at its end.
#
# At the end of each link the load stands still, the contents of every table of
# every database are written down, and a restore point is made: what a recovery
# to it gives must be the same.

use strict;
use warnings;

use List::Util qw(shuffle);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Trial;

my $links = soak() ? 50 : 4;
my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', conf => q{
fsync = on
autovacuum_naptime = 1s
max_wal_size = 64MB
checkpoint_timeout = 30s
allow_in_place_tablespaces = on
});
my $space = "$tmp/space";

seed(84);
mkdir $space or die $!;
$pg->pgbench_init(soak() ? 20 : 2);
$pg->safe_psql('postgres', qq{
CREATE EXTENSION amcheck;
CREATE TABLESPACE elsewhere LOCATION '$space';
CREATE TABLE wide (n int PRIMARY KEY, t text);
CREATE TABLE moving (n int, t text);
CREATE UNLOGGED TABLE unlogged (n int);
INSERT INTO wide SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 5000) g;
INSERT INTO moving SELECT g, md5(g::text) FROM generate_series(1, 20000) g});

spew("$tmp/temporary.sql", q{
CREATE TEMP TABLE IF NOT EXISTS temporary AS SELECT generate_series(1, 3000) AS n;
UPDATE temporary SET n = n + 1 WHERE n < 50;
\sleep 50 ms
});

# ---- what happens between two links ----

my $made = 0;
my @databases = ('postgres');

sub psql
{
	my ($sql, $database) = @_;
	return $pg->safe_psql($database // 'postgres', $sql);
}

my %events = (
	'truncate' => sub { psql(q{TRUNCATE moving; INSERT INTO moving SELECT g, 'again' FROM generate_series(1, 3000) g}) },
	'vacuum full' => sub { psql('VACUUM FULL wide') },
	'vacuum freeze' => sub { psql('VACUUM (FREEZE) wide, moving, pgbench_accounts') },
	'create index' => sub {
		psql('DROP INDEX IF EXISTS moving_t; CREATE INDEX moving_t ON moving (t)');
		psql('REINDEX INDEX wide_pkey');
	},
	'drop and create' => sub {
		psql(q{DROP TABLE IF EXISTS made; CREATE TABLE made AS SELECT g AS n, random() AS r FROM generate_series(1, 8000) g});
	},
	'shrink' => sub { psql('DELETE FROM wide WHERE n > 2500'); psql('VACUUM wide') },
	'grow' => sub {
		psql(q{INSERT INTO wide SELECT g, repeat('y', 700) FROM generate_series(1, 6000) g ON CONFLICT (n) DO UPDATE SET t = excluded.t || 'z'});
	},
	'move to a tablespace' => sub { psql('ALTER TABLE moving SET TABLESPACE elsewhere') },
	'move back' => sub { psql('ALTER TABLE moving SET TABLESPACE pg_default') },
	'unlogged' => sub { psql('INSERT INTO unlogged SELECT generate_series(1, 500)') },
	'database by log' => sub {
		my $name = 'log' . $made++;
		psql("CREATE DATABASE $name STRATEGY wal_log");
		psql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n', $name);
		push @databases, $name;
	},
	'database by files' => sub {
		my $name = 'copy' . $made++;
		psql("CREATE DATABASE $name STRATEGY file_copy");
		psql('CREATE TABLE t AS SELECT generate_series(1, 2000) AS n', $name);
		push @databases, $name;
	},
	'drop a database' => sub {
		return if @databases < 2;
		my $name = pop @databases;
		psql("DROP DATABASE $name");
	},
	'kill -9' => sub {
		$pg->crash;
		$pg->start;
	},
	'restart' => sub { $pg->restart },
	'checkpoint' => sub { psql('CHECKPOINT') });

# Another database in files of the same names as those of one that was dropped,
# which a backup in between knows.
sub reuse_relfilenodes
{
	my $strategy = $made++ % 2 ? 'wal_log' : 'file_copy';

	psql("CREATE DATABASE again OID 90000 STRATEGY $strategy") if !grep { $_ eq 'again' } @databases;
	psql('CREATE TABLE t AS SELECT generate_series(1, 9000) AS n; CREATE VIEW v AS SELECT n FROM t; VACUUM FULL pg_class', 'again');
	psql('CHECKPOINT');
	$pg->pgdr_ok('backup', '--type', 'incremental');
	psql('DROP DATABASE again');
	psql("CREATE DATABASE again OID 90000 STRATEGY $strategy");
	psql('CREATE TABLE other AS SELECT -g AS n FROM generate_series(1, 7000) g', 'again');
	@databases = ((grep { $_ ne 'again' } @databases), 'again');
	return;
}
$events{'reuse of relfilenodes'} = \&reuse_relfilenodes;

# They need the server alone.
my %alone = map { $_ => 1 } 'kill -9', 'restart';

# ---- what every table holds ----

# {database => text}: number of rows and a checksum of all of them, by table.
sub contents
{
	my ($node) = @_;
	my %all;

	for my $database (grep { $_ ne 'template0' }
		split /\n/, $node->safe_psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1'))
	{
		my @tables = split /\n/, $node->safe_psql($database, q{
SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'm') AND relpersistence = 'p'
AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1});

		$all{$database} = join "\n", map {
			"$_ " . $node->safe_psql($database,
				"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM $_ AS t")
		} @tables;
	}
	return \%all;
}

# ---- the chain ----

my @chain;
my @order = shuffle(sort keys %events);

push @chain, { label => $pg->backup, contents => contents($pg), type => 'full' };
psql(q{SELECT pg_create_restore_point('link0')});
for my $link (1 .. $links)
{
	my $load = $pg->pgbench_start(qw(-c 3 -j 1 -T 3600));
	my @now = map { push @order, shift @order; $order[-1] } 1 .. 5;
	my $temp = $pg->pgbench_start('-T', 3600, '-f', "$tmp/temporary.sql");

	$events{$_}->() for grep { !$alone{$_} } @now;
	my $result = $pg->pgdr_result('backup', '--type', $link % 7 == 3 ? 'differential' : 'incremental');
	$pg->pgbench_stop($_) for ($temp, $load);
	$events{$_}->() for grep { $alone{$_} } @now;
	push @chain, { label => $result->{label}, contents => contents($pg), type => "after @now" };
	psql("SELECT pg_create_restore_point('link$link')");
	note(sprintf 'link %d: %s, %d of %d bytes stored; %s', $link, $result->{backup_type},
		$result->{stored_bytes}, $result->{plain_bytes}, join ', ', @now);
}
$pg->switch_wal;
$pg->stop;

# ---- every link ----

for my $link (0 .. $links)
{
	my $want = $chain[$link];
	my $copy = $pg->restore("link$link", '--backup', $want->{label},
		'--target-type', 'name', '--target', "link$link",
		'--tablespace-map', "$space=$tmp/space$link");
	my $what = "link $link ($want->{type})";

	$copy->verifybackup_ok($what);
	$copy->start_recovered;
	is_deeply(contents($copy), $want->{contents}, "$what: every table holds what it held");
	$copy->amcheck_ok($what);
	$copy->stop;
	$copy->clean_node if soak();
}
my ($rc, @lines) = $pg->pgdr_json('verify', '--deep', '--no-mark');
is($rc, 0, 'verify --deep') or diag(explain([ errors_of(@lines) ]));

done_testing();
