# What a unit of work costs as their number grows: WAL segments that are in the
# repository already, files of a cluster, bytes of a cluster.  A flat line is
# what is wanted.

use strict;
use warnings;

use Bench;
use Contestants;
use Corpus;
use PgDr;

sub make_ready
{
	my ($corpus, $count) = @_;

	while ($corpus->ready < $count)
	{
		$corpus->pg->safe_psql('postgres', q{
SELECT pg_logical_emit_message(false, 'noise', (SELECT string_agg(md5(random()::text), '')
	FROM generate_series(1, 60000)))
FROM generate_series(1, 8)});
	}
	return $corpus->ready;
}

# The next 16 segments of 1 MB, after so many others.
sub segments
{
	my @counts = levels('BENCH_GROWTH_SEGMENTS', 10, 100, 1000, 10_000);
	my ($corpus, $behind) = Corpus->late('manysegs', $counts[-1]);
	my @who = ([ 'pgdr', Contestants->pgdr($corpus, 'growp', $corpus->alone) ],
		[ 'pgBackRest sync', Contestants->pgbackrest($corpus, 'growb') ]);
	my $sample = 16;
	my ($have, @points) = (0);

	$corpus->archive_with('false');
	my ($one, @queue) = make_ready($corpus, 1 + @counts * 3 * $sample);

	$_->[1]->reset, $_->[1]->push($one) for @who;
	my %queue = map { $_->[0] => [@queue] } @who;
	for my $count (@counts)
	{
		$_->[1]->fill($behind - $count, $count - $have) for @who;
		push @points, point($count, $sample, map {
			my ($label, $c) = @$_;
			my @mine;
			{ name => $label,
				prepare => sub { @mine = splice @{ $queue{$label} }, 0, $sample },
				run => sub { $c->push($_) for @mine } } } @who);
		$have = $count;
	}
	$corpus->stop;
	$_->[1]->drop for @who;
	return growth('push: segments of 1 MB in the repository already', 'segments', @points);
}

# Full backups of clusters of so many files: those of a new cluster, about a
# thousand, and copies of a small relation's.
sub files
{
	my $corpus = Corpus->small('manyfiles');
	my $pg = $corpus->pg;
	my $relation = $pg->data_dir . '/'
	  . $pg->safe_psql('postgres', q{SELECT pg_relation_filepath('pg_am_oid_index')});
	my $page = substr PgDr::slurp_bytes($relation), 0, 8192;
	my $dir = $relation =~ s{/[^/]*\z}{}r;
	my $next = 10_000_000;
	my @points;

	for my $count (levels('BENCH_GROWTH_FILES', 1000, 10_000, 100_000))
	{
		PgDr::spew("$dir/" . $next++, $page) for file_count($corpus) .. $count - 1;
		run_all('sync', '-f', $dir);
		push @points, point($count, file_count($corpus), backups($corpus, "files$count"));
	}
	$corpus->stop;
	return growth('full backup: files of the cluster', 'files', @points);
}

sub file_count
{
	my ($corpus) = @_;
	my $count = () = run_all('find', $corpus->pgdata, '-type', 'f') =~ /\n/g;

	return $count;
}

# Full backups of clusters of so many megabytes.  Much data is made by copies of
# a database that is there.
sub bytes
{
	my $corpus = Corpus->small('manybytes');
	my $pg = $corpus->pg;
	my ($databases, @points) = (0);

	for my $mb (levels('BENCH_GROWTH_MB', 100, 1000, 10_000))
	{
		my $missing = $mb - $corpus->bytes / 1e6;
		my $copies = $databases ? int($missing / 1000) : 0;

		add_database($pg, 'grow' . $databases++, $missing) if $missing > 0 && !$copies;
		$pg->safe_psql('postgres', "CREATE DATABASE copy$_ TEMPLATE grow"
			. ($databases - 1) . ' STRATEGY file_copy') for 1 .. $copies;
		$pg->safe_psql('postgres', 'CHECKPOINT');
		run_all('sync', '-f', $pg->data_dir);
		push @points, point($mb, $corpus->bytes / 1e6, backups($corpus, "mb$mb"));
	}
	$corpus->stop;
	return growth('full backup: megabytes of the cluster', 'MB', @points);
}

sub add_database
{
	my ($pg, $name, $mb) = @_;

	$pg->safe_psql('postgres', "CREATE DATABASE $name");
	run_all('pgbench', '-h', $pg->host, '-p', $pg->port, '-q', '-i', '-s',
		int($mb / 15) + 1, $name);
	return;
}

sub backups
{
	my ($corpus, $name) = @_;
	my @who = ([ 'pgdr', Contestants->pgdr($corpus, "p$name", 'process-max' => 2) ],
		[ 'pgBackRest bundle zst 1',
			Contestants->pgbackrest($corpus, "b$name", 'repo1-bundle' => 'y') ]);

	return map {
		my ($label, $c) = @$_;
		{ name => $label,
			prepare => sub { $c->reset; $corpus->archive_with($c->archive_command) },
			run => sub { $c->backup },
			finish => sub { $corpus->archive_with('/bin/true'); $c->drop } } } @who;
}

return sub {
	segments();
	files();
	bytes();
};
