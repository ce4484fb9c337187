# What a unit of work costs as their number grows: WAL segments that are in the
# repository already, files of a cluster, bytes of a cluster.  A flat line is
# what is wanted.

use strict;
use warnings;

use Bench;
use Contestants;
use Corpus;
use PgDr;

sub levels
{
	my ($name, @default) = @_;
	return split /,/, $ENV{$name} // join ',', @default;
}

# A cluster of its own for one question, seen as a corpus.
sub small_corpus
{
	my ($name, %options) = @_;
	my $conf = "fsync = off\nmax_wal_size = 4GB\nwal_keep_size = 16GB\n"
	  . "checkpoint_timeout = 1h\nmax_locks_per_transaction = 20000\n";
	my $pg = PgDr->new_cluster($name, conf => $conf, %options);

	return Corpus->around($pg);
}

# The next 16 segments of 1 MB, after so many others.
sub segments
{
	my @counts = levels('BENCH_GROWTH_SEGMENTS', 10, 100, 1000);
	my $corpus = small_corpus('manysegs', wal_segsize => 1);
	my $pg = $corpus->pg;
	my @who = ([ 'pgdr', Contestants->pgdr($corpus, 'growp') ],
		[ 'pgBackRest sync', Contestants->pgbackrest($corpus, 'growb') ]);
	my $sample = 16;
	my @points;

	$corpus->archive_with('false');
	$_->[1]->reset for @who;
	my $pushed = 0;
	for my $count (@counts)
	{
		while ($corpus->ready < $count + $sample)
		{
			$pg->safe_psql('postgres', q{
SELECT pg_logical_emit_message(false, 'noise', (SELECT string_agg(md5(random()::text), '')
	FROM generate_series(1, 60000)))});
		}
		my @all = ($corpus->ready)[ 0 .. $count + $sample - 1 ];
		my %segments = map { $_->[0] => [ @all[ $count .. $#all ] ] } @who;
		for my $c (map { $_->[1] } @who)
		{
			$c->push($_) for @all[ $pushed .. $count - 1 ];
		}
		push @points, point($count, $sample, map {
			my ($label, $c) = @$_;
			{ name => $label, run => sub { $c->push($_) for @{ $segments{$label} } } } } @who);
		$pushed = $count + $sample;
	}
	$pg->stop;
	return growth('push: segments of 1 MB in the repository already', 'segments', @points);
}

# Full backups of clusters of so many small tables, three files or so each.
sub files
{
	my $corpus = small_corpus('manyfiles');
	my $pg = $corpus->pg;
	my @points;

	for my $count (levels('BENCH_GROWTH_FILES', 1000, 10_000, 50_000))
	{
		my $have = file_count($corpus);

		$pg->safe_psql('postgres', "SELECT format('CREATE TABLE f%s_%s (id int PRIMARY KEY)', $count, n) "
			. "FROM generate_series(1, @{[ int(($count - $have) / 2) ]}) n \\gexec")
		  if $count > $have;
		$pg->safe_psql('postgres', 'CHECKPOINT');
		push @points, point($count, file_count($corpus), backups($corpus, "files$count"));
	}
	$pg->stop;
	return growth('full backup: files of the cluster', 'files', @points);
}

sub file_count
{
	my ($corpus) = @_;
	my $count = () = run_all('find', $corpus->pgdata, '-type', 'f') =~ /\n/g;

	return $count;
}

# Full backups of clusters of so many megabytes.
sub bytes
{
	my $corpus = small_corpus('manybytes');
	my $pg = $corpus->pg;
	my @points;

	for my $mb (levels('BENCH_GROWTH_MB', 100, 1000))
	{
		run_all('pgbench', '-h', $pg->host, '-p', $pg->port, '-q', '-i', '-s',
			int($mb / 15) + 1, 'postgres');
		$pg->safe_psql('postgres', 'CHECKPOINT');
		push @points, point($mb, $corpus->bytes / 1e6, backups($corpus, "mb$mb"));
	}
	$pg->stop;
	return growth('full backup: megabytes of the cluster', 'MB', @points);
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
			finish => sub { $corpus->archive_with('/bin/true') } } } @who;
}

return sub {
	segments();
	files();
	bytes();
};
