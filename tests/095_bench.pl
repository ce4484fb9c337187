# The measurements of bench/ at a size at which they mean nothing: that they run,
# and write what they should.  make bench is the real thing.

use strict;
use warnings;

use JSON::PP;
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'pgbackrest is not installed; tests/setup.sh installs it'
  if system('command -v pgbackrest >/dev/null') != 0;

my $out = PostgreSQL::Test::Utils::tempdir() . '/results';
my %tiny = (BENCH_ROUNDS => 2, BENCH_SCALE => 1, BENCH_SEGMENTS => 4, BENCH_REPLAY => 1,
	BENCH_CHAIN => 2, BENCH_GROWTH_SEGMENTS => '5,10', BENCH_GROWTH_FILES => 1000,
	BENCH_GROWTH_MB => 30, BENCH_OUT => $out, PGBACKREST => 'pgbackrest',
	BENCH_FSYNC => 'off', BENCH_MANIFEST => '100,200', BENCH_EXPIRE => 10);

sub bench
{
	my (@cases) = @_;
	return run_plain([ $^X, "$ENV{TESTDIR}/bench/run.pl", @cases ], { env => \%tiny });
}

sub results
{
	return decode_json(slurp_bytes("$out/results.json"));
}

my @cases = qw(push get:1 backup:1 restore:1 incr:1 s3-push:1 growth:1);
my ($rc, $said, $err) = bench(@cases);

is($rc, 0, 'all cases run') or diag($said, $err);
my $data = results();
my %titles = map { $_->{title} => $_ } @{ $data->{results} };

is(join(' ', sort keys %{ $data->{cases} }), join(' ', sort map { s/:.*//r } @cases),
	'each case is in the results');
for my $title ('push, one call alone', 'push, sustained', 'get, one call alone',
	'get, ahead of the calls', 'full backup', 'restore',
	'incremental backup, 5 % of the pages changed', 'push, sustained (S3)')
{
	my $r = $titles{$title};

	is($r->{contestants}[0]{name}, 'pgdr', "$title: ours is the first");
	is(scalar(grep { !($_->{seconds} > 0 && $_->{ratio} > 0) } @{ $r->{contestants} }), 0,
		"$title: all have a time");
	ok(-s "$out/" . (lc($title) =~ s/[^a-z0-9]+/-/gr =~ s/-\z//r) . '.svg', "$title: a picture");
}
is($titles{'push, sustained'}{rounds}, 2, 'rounds');
is($titles{'push, sustained (S3)'}{rounds}, 1, 'rounds of one case');
cmp_ok($titles{'push, sustained (S3)'}{contestants}[0]{requests}, '>=', 4,
	'requests are counted');
is(scalar(grep { $_->{growth} } @{ $data->{results} }), 3, 'growth in three dimensions');

my ($bar) = grep { $_->{what} eq 'push, one call alone, against pgBackRest' } @{ $data->{bars} };
like($bar->{met}, qr/^(not )?met$/, 'a bar is judged');
my ($unknown) = grep { $_->{what} =~ /^recovery end to end/ } @{ $data->{bars} };
is($unknown->{met}, 'not measured', 'a bar that nothing was measured for');
like(slurp_bytes("$out/results.md"), qr/^\| pgdr \| .*\n(.*\n)*.*growth|^## Bars$/m, 'results.md');

# another run adds to what is there
($rc, $said) = bench('manifest');
is($rc, 0, 'one case alone') or diag($said);
is(scalar keys %{ results()->{cases} }, @cases + 1, 'the other results stay');

# what is published of it
my $doc = PostgreSQL::Test::Utils::tempdir();
my $scaling = slurp_bytes("$ENV{TESTDIR}/doc/scaling.md");
spew("$doc/scaling.md", $scaling);
($rc, $said, $err) = run_plain([ $^X, "$ENV{TESTDIR}/bench/publish.pl", $out, $doc ]);
is($rc, 0, 'results are published') or diag($said, $err);
my $performance = slurp_bytes("$doc/performance.md");
like($performance, qr/^## push, sustained$/m, 'performance.md');
my @plots = $performance =~ /!\[\]\((.*?)\)/g;
is(scalar(grep { -s "$doc/$_" } @plots), scalar @plots, 'all its plots are there');
cmp_ok(scalar @plots, '>', 5, 'many plots');
like(slurp_bytes("$doc/scaling.md"), qr/^\| full backup, to a directory \| \d+ MB\/s \| .*\d/m,
	'scaling.md has figures');
is(slurp_bytes("$doc/scaling.md") =~ s/(figures: made by.*?-->\n).*(<!-- end)/$1$2/sr,
	$scaling =~ s/(figures: made by.*?-->\n).*(<!-- end)/$1$2/sr, 'and its text as before');

# wrong input
($rc, $said) = bench('nothing');
isnt($rc, 0, 'an unknown case is an error');
like($said, qr/no case "nothing"/, 'it is named');

done_testing();
