# Corpus.pm
#	  What is measured with: a cluster of pgbench's tables and some of its own,
#	  and WAL segments of a mixed load that the server has ready for archiving.
#
#	my $corpus = Corpus->new;			# takes a minute or two
#	Corpus->small($name, %options)		# a cluster without data or segments
#	my ($corpus, $number) = Corpus->late($name, $many)
#	$corpus->pg							# PgDr
#	$corpus->segments					# their names, in order
#	$corpus->all_ready, ->all_done		# as before any was archived, and after
#	$corpus->bytes						# of the data directory, without WAL
#	$corpus->s3							# the S3 server, started when it is needed

package Corpus;

use strict;
use warnings;

use Bench;
use Carp qw(confess);
use File::Path qw(make_path);
use PgDr;
use POSIX ();
use S3;

my $SEGMENTS = $ENV{BENCH_SEGMENTS} // 64;

sub new
{
	my ($class) = @_;
	my $self = bless {}, $class;

	$self->{pg} = PgDr->new_cluster('corpus', conf => <<'END');
shared_buffers = 512MB
max_wal_size = 4GB
wal_keep_size = 8GB
checkpoint_timeout = 1h
fsync = off
END
	$self->fill;
	$self->make_wal;
	return $self;
}

# A small cluster of its own for one question.
sub small
{
	my ($class, $name, %options) = @_;
	my $conf = "fsync = off\nmax_wal_size = 4GB\nwal_keep_size = 16GB\n"
	  . "checkpoint_timeout = 1h\n";
	my $self = bless { pg => PgDr->new_cluster($name, conf => $conf, %options) }, $class;

	$self->archive_with('/bin/true');
	return $self;
}

# One whose WAL begins behind so many segments of 1 MB, and the number of its
# first.
sub late
{
	my ($class, $name, $many) = @_;
	my $self = $class->small($name, wal_segsize => 1);
	my $pg = $self->pg;
	my $log = int($many / 4096) + 1;

	$pg->stop;
	run_all('pg_resetwal', '-l', sprintf('00000001%08X%08X', $log, 0), $pg->data_dir);
	$pg->start;
	return ($self, $log * 4096);
}

sub pg { return $_[0]->{pg} }
sub pgdata { return $_[0]->{pg}->data_dir }
sub segments { return @{ $_[0]->{segments} } }
sub wal_dir { return $_[0]->pgdata . '/pg_wal' }

sub s3
{
	my ($self) = @_;

	$self->{s3} //= S3->server($self->pg->dir . '/s3');
	return $self->{s3};
}

sub stop
{
	my ($self) = @_;

	$self->{s3}->stop if $self->{s3};
	$self->pg->stop;
	return;
}

# What the server does itself would disturb the measuring.
sub archive_with
{
	my ($self, $command) = @_;

	$self->pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$command'");
	$self->pg->reload;
	return;
}

sub fill
{
	my ($self) = @_;
	my $pg = $self->pg;

	$self->archive_with('/bin/true');
	run_all('pgbench', '-h', $pg->host, '-p', $pg->port, '-q', '-i', '-s',
		int(scale() * 0.6) + 1, 'postgres');
	my $documents = scale() * 20_000;
	# many small files, as schemas have them
	my $small = scale() < 10 ? 20 : 400;
	$pg->safe_psql('postgres', qq{
SELECT format('CREATE TABLE small_%s (id int PRIMARY KEY, t text)', n)
FROM generate_series(1, $small) n \\gexec
CREATE TABLE documents AS
SELECT n AS id, md5(n::text) AS hash, repeat(md5((n % 97)::text), 5) AS body
FROM generate_series(1, $documents) n;
CREATE INDEX ON documents (hash);
CHECKPOINT});
	return;
}

sub ready
{
	my ($self) = @_;
	my @names =
	  sort map { m{/([0-9A-F]{24})\.ready$} } glob $self->wal_dir . '/archive_status/*.ready';

	return @names;
}

sub make_wal
{
	my ($self) = @_;
	my $pg = $self->pg;

	$pg->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
	sleep 1;
	$self->archive_with('false');
	for (1 .. 100)
	{
		my @ready = $self->ready;

		last if @ready > $SEGMENTS;
		run_all('pgbench', '-h', $pg->host, '-p', $pg->port, '-n', '-c', 4, '-j', 2,
			'-T', 2, 'postgres');
		$pg->safe_psql('postgres', q{
INSERT INTO documents SELECT n, md5(random()::text), repeat(md5(n::text), 5)
FROM generate_series(1, 40000) n;
UPDATE documents SET hash = md5(hash) WHERE id % 50 = 7;
DELETE FROM documents WHERE id % 50 = 9;
CHECKPOINT});
	}
	my @ready = $self->ready;
	confess 'too little WAL' if @ready < $SEGMENTS;
	$self->{segments} = [ @ready[ 0 .. $SEGMENTS - 1 ] ];
	$self->all_done;
	return;
}

sub all_ready
{
	my ($self) = @_;
	my $status = $self->wal_dir . '/archive_status';

	for my $segment ($self->segments)
	{
		rename "$status/$segment.done", "$status/$segment.ready"
		  if -e "$status/$segment.done";
		-e "$status/$segment.ready" or confess "no $segment.ready";
	}
	return;
}

# Else the archiver would send them while something else is measured.
sub all_done
{
	my ($self) = @_;
	my $status = $self->wal_dir . '/archive_status';

	-e "$status/$_.done" || $self->done($_) for $self->segments;
	return;
}

# What the archiver does after a success.
sub done
{
	my ($self, $segment) = @_;
	my $status = $self->wal_dir . '/archive_status';

	rename "$status/$segment.ready", "$status/$segment.done" or confess "$segment: $!";
	return;
}

# Settings of pgdr with which each call works for itself alone.
sub alone { return ('push-ahead' => 0, 'get-ahead' => 0) }

# A data directory that looks to a restore_command like that of a server in
# recovery; it is until end_recovery().
sub begin_recovery
{
	my ($self, $dir) = @_;

	make_path("$dir/global", "$dir/pg_wal");
	run_all('cp', $self->pgdata . "/$_", "$dir/$_") for qw(PG_VERSION global/pg_control);
	PgDr::spew("$dir/recovery.signal", '');
	# a postmaster works in its data directory
	my $pid = fork // confess "fork: $!";
	if ($pid == 0)
	{
		chdir $dir;
		exec 'sleep', 3600 or POSIX::_exit(1);
	}
	PgDr::spew("$dir/postmaster.pid", "$pid\n$dir\n");
	$self->{recovering}{$dir} = $pid;
	return;
}

sub end_recovery
{
	my ($self, $dir) = @_;
	my $pid = delete $self->{recovering}{$dir} // return;

	kill 'KILL', $pid;
	waitpid $pid, 0;
	run_all('rm', '-rf', $dir);
	return;
}

sub bytes
{
	my ($self) = @_;
	my ($kb) = run_all('du', '-s', '-B1', '--exclude=pg_wal', $self->pgdata) =~ /^(\d+)/;

	return $kb;
}

1;
