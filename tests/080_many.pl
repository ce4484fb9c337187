# Requests of a push and of a get, and what they become when there are many
# segments: the same.  info and check list, and cost a page for each thousand.

use strict;
use warnings;

use FaultProxy;
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(time);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $many = $ENV{PGDR_MANY} // (soak() ? 100_000 : 2000);
my %measured;

# As doc/storage-*.md have it: beside the object itself repo.json, and for a
# push the timelines there are and a look at the name.
my %push = (s3 => 4, azure => 4);
my %get = (s3 => 2, azure => 2);

# (requests, seconds) of a command that must succeed; check does its work when
# it tells that the archiver is held.
sub cost
{
	my ($pg, $proxy, @args) = @_;

	$proxy->set(count => 1) if $proxy;
	my $start = time;
	my ($rc, $out, $err) = $pg->pgdr(@args);
	my $seconds = time - $start;

	is($rc, $args[0] eq 'check' ? 10 : 0, "$args[0]") or diag($out, $err);
	return ($proxy ? $proxy->requests : 0, $seconds);
}

sub measure
{
	my ($kind, $pg, $proxy, $when) = @_;
	my ($segment) = noise_segments($pg, 1);
	my $path = $pg->data_dir . "/pg_wal/$segment";
	my %commands = (push => [ 'archive-push', $path ], get => [ 'archive-get', $segment, "$tmp/got" ],
		info => ['info'], check => [ 'check', '--no-archive' ]);

	for my $name (qw(push get info check))
	{
		my ($requests, $seconds) = cost($pg, $proxy, @{ $commands{$name} });

		$measured{$kind}{$when}{$name} = $requests;
		note(sprintf '%s, %s: %s took %d requests, %.3f s', $kind, $when, $name, $requests, $seconds);
	}
	ok(slurp_bytes("$tmp/got") eq slurp_bytes($path), "$kind, $when: what was got is right");
	return;
}

# A cluster whose WAL begins behind that of the many.
sub new_cluster
{
	my ($kind) = @_;
	my $pg = PgDr->new_cluster($kind, wal_segsize => 1, conf => "wal_keep_size = 64MB\n");

	$pg->stop;
	PgDr::run_plain([ 'pg_resetwal', '-l', sprintf('00000001%08X%08X', $many / 4096 + 1, 0),
		$pg->data_dir ]);
	$pg->start;
	return $pg;
}

for my $kind (qw(posix s3 azure))
{
	my $pg = new_cluster($kind);
	my $store = Store->new($kind, "$tmp/$kind");
	my $proxy = $kind eq 'posix' ? undef : FaultProxy->new($store->{port});
	my $sections = $proxy ? $store->through($proxy->port)->section('far') : $store->section('far');

	Store::use_in($pg, $sections);
	$pg->pgdr_ok('repo-init');
	$pg->backup;
	$pg->safe_psql('postgres', q(ALTER SYSTEM SET archive_command = 'false'));
	$pg->reload;
	measure($kind, $pg, $proxy, 'few');
	if ($proxy)
	{
		is($measured{$kind}{few}{push}, $push{$kind}, "$kind: requests of a push");
		is($measured{$kind}{few}{get}, $get{$kind}, "$kind: requests of a get");
	}
	if ($kind ne 'azure')
	{
		Store::use_in($pg, $store->section('far'));
		Store::run_ok("$ENV{TESTDIR}/tests/many_segments", $pg->config,
			$pg->control('Database system identifier'), $pg->node->pg_version =~ s/[^0-9].*//r, 1, $many);
		Store::use_in($pg, $sections);
		is(scalar(grep { m{^wal/} } $store->list) > $many, 1, "$kind: $many segments are there");
		measure($kind, $pg, $proxy, 'many');
	}
	if ($kind eq 's3')
	{
		my ($few, $then) = @{ $measured{$kind} }{qw(few many)};

		is($then->{$_}, $few->{$_}, "$kind: a $_ takes as many requests as before") for qw(push get);
		# a page for each thousand, and for each directory of segments
		my $pages = $many / 1000 + $many / 4096 + 4;
		cmp_ok($then->{$_}, '<=', $few->{$_} + 2 * $pages, "$kind: $_ takes the pages of listings more")
		  for qw(info check);
	}
	$pg->stop;
	$store->stop;
}

done_testing();
