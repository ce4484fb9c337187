# Several repositories in SQL: each has its row and its backups; of one that
# cannot be looked at, what was seen before stays, with the reason.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', wal_segsize => 1);
my $config = $pg->config;
my %repo = (local => $pg->repo, b => "$tmp/b");

sub section { my ($name, $more) = @_; return "[repo:$name]\npath = $repo{$name}\n" . ($more // '') }

sub row
{
	my ($sql) = @_;
	return $pg->safe_psql('postgres', $sql);
}

Store::use_in($pg, section('local') . section('b', "required = no\n"));
$pg->pgdr_ok('repo-init');
$pg->append_conf('postgresql.conf', "dr.config_file = '$config'\n");
$pg->reload;
row('CREATE EXTENSION dr');
row('CALL dr.create_backup()');

my $all = q{SELECT name, required, missing_backups, missing_segments, problem IS NULL
	FROM dr.repository ORDER BY name};
is(row($all), "b|f|0|0|t\nlocal|t|0|0|t", 'each repository has a row');
is(row('SELECT repository, state, wal_ok FROM dr.backup ORDER BY repository'),
	"b|complete|t\nlocal|complete|t", 'and its backups');
is(row('SELECT count(DISTINCT repository) FROM dr.recovery_window'), 2, 'and its windows');
is(row('SELECT count(DISTINCT repository) FROM dr.wal_range'), 2, 'and its WAL');
is(row('SELECT count(*) FROM dr.latest_backup()'), 1, 'the latest backup is one');

# One is away: archiving goes on, and what was seen of it stays.
rename $repo{b}, "$repo{b}.away" or die "rename: $!";
Store::ship($pg) for 1 .. 2;
row('CALL dr.create_backup()');
is(row(q{SELECT name, problem IS NULL, synced_at < (SELECT max(synced_at) FROM dr.repository)
	FROM dr.repository ORDER BY name}), "b|f|t\nlocal|t|f", 'one that is away says so');
like(row(q{SELECT problem FROM dr.repository WHERE name = 'b'}), qr/\Q$repo{b}\E/, 'and why');
is(row('SELECT repository, count(*) FROM dr.backup GROUP BY 1 ORDER BY 1'), "b|1\nlocal|2",
	'its backup is still listed');
like(row(q{SELECT object || ': ' || message FROM dr.check(archive => false) WHERE object = 'b'}),
	qr/^b: /, 'check tells of it');

# It is back, and lacks something.
rename "$repo{b}.away", $repo{b} or die "rename: $!";
row('CALL dr.sync()');
is(row(q{SELECT missing_backups, missing_segments >= 2, problem IS NULL FROM dr.repository
	WHERE name = 'b'}), '1|t|t', 'what it lacks is counted');
$pg->pgdr_ok('repair');
row('CALL dr.sync()');
is(row($all), "b|f|0|0|t\nlocal|t|0|0|t", 'repair brings it');
is(row('SELECT repository, count(*) FROM dr.backup GROUP BY 1 ORDER BY 1'), "b|2\nlocal|2",
	'also the backup');

# One is taken out of the configuration.
Store::use_in($pg, section('local'));
row('CALL dr.sync()');
is(row('SELECT name, missing_backups IS NULL FROM dr.repository'), 'local|t',
	'what is not configured any more goes');
is(row('SELECT DISTINCT repository FROM dr.backup'), 'local', 'with all that was in it');
$pg->stop;

done_testing();
