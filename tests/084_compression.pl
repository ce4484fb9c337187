# Every way to compress on a real server: what is stored is what was written,
# stock tools read it, and what the configuration says decides its size.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', conf => "wal_keep_size = 1GB\n");

$pg->safe_psql('postgres', q{
CREATE TABLE t AS SELECT n, md5((n % 1000)::text) AS a, repeat(md5((n % 97)::text), 3) AS b
FROM generate_series(1, 60000) n});

# A segment, a backup, and what both take.
sub take
{
	my ($what, %keys) = @_;

	$pg->set_config(%keys);
	$pg->safe_psql('postgres', 'UPDATE t SET a = md5(a) WHERE n % 9 = 1');
	my $segment = $pg->switch_wal;
	my $backup = $pg->pgdr_result('backup');
	is($backup->{command}, 'backup', "$what: a backup");
	my $verify = $pg->pgdr_result('verify', '--deep');
	is($verify->{errors}, 0, "$what: all that is stored is sound");
	my $wal = $pg->object_path($segment);
	is(slurp_bytes($pg->stock_decode($wal, "$tmp/segment")),
		slurp_bytes($pg->data_dir . "/pg_wal/$segment"),
		"$what: stock tools read the segment");
	return { backup => $backup->{stored_bytes}, wal => -s $wal };
}

my $default = take('level 1');
my $fast = take('level -5', 'compress-level' => -5);
my $high = take('level 16, long', 'compress-level' => 16, 'compress-long' => 'yes');
my $adaptive = take('adaptive', 'compress-level' => 'adaptive', 'compress-long' => 'no');

cmp_ok($fast->{backup}, '>', $default->{backup}, 'less compression stores more');
cmp_ok($high->{backup}, '<', $default->{backup}, 'more compression stores less');
cmp_ok($adaptive->{backup}, '<=', 1.5 * $fast->{backup}, 'adaptive is in between');

my ($rc, $out, $err);
$pg->set_config('compress-level' => 'slow');
($rc, $out, $err) = $pg->pgdr('backup');
is($rc, 3, 'a level that there is not is an error of the configuration');
like($err, qr/integer from -7 to 22, or "adaptive"/, 'which says what there is');

done_testing();
