# Runs pg_regress on a temporary instance: each of its tests is one here.

use strict;
use warnings;

use Test::More;

my @regress = split ' ', $ENV{PGDR_REGRESS} // '';
plan skip_all => 'no regression tests' unless @regress;

my $dir = "$ENV{TESTDATADIR}/regress";
mkdir $dir or die "could not create directory \"$dir\": $!";

my @command = (
	$ENV{PG_REGRESS}, '--inputdir=.', "--outputdir=$dir",
	"--temp-instance=$dir/instance", '--temp-config=tests/regress.conf',
	'--bindir=', '--dbname=contrib_regression',
	@regress);

# Fails if a test failed, and also if the server did not start.
open my $out, '-|', @command or die "could not run pg_regress: $!";
my %seen;
my @lines;
while (my $line = <$out>)
{
	push @lines, $line;

	# "test name ... ok   12 ms" up to 15, "ok 1   - name   12 ms" after
	if ($line =~ /^test (\S+)\s+\.\.\. (ok|FAILED)/)
	{
		$seen{$1} = $2 eq 'ok';
	}
	elsif ($line =~ /^(not )?ok \d+\s+[-+] (\S+)/)
	{
		$seen{$2} = !$1;
	}
}
close $out;
my $status = $? >> 8;

ok($seen{$_}, "regression test $_") for @regress;
is($status, 0, 'pg_regress exited with success') or diag(@lines);

if (open my $diffs, '<', "$dir/regression.diffs")
{
	local $/;
	diag(<$diffs>);
}

done_testing();
