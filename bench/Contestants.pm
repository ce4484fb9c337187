# Contestants.pm
#	  pgdr and its peers, each with a repository of its own for the corpus.
#
#	my $c = Contestants->pgdr($corpus, $name, %keys)		# keys of [global]
#	my $c = Contestants->pgbackrest($corpus, $name, %options)
#	$c->reset						# an empty repository and spool
#	$c->push($segment), ->get($segment, $to), ->restore($dir)
#	$c->backup, ->backup('incremental')
#	$c->keep, ->back				# notes what a repository holds; has that again
#	$c->restore_command				# for postgresql.conf
#	$c->fill($number, $count)		# segments that it then has, quickly made
#	$c->stored						# bytes in the repository
#	$c->drop						# the repository is needed no more
#
# store => 's3' puts the repository into the S3 server of $corpus->s3.
# PGBACKREST names another pgBackRest than that on the PATH.

package Contestants;

use strict;
use warnings;

use Bench;
use Carp qw(confess);
use Exporter 'import';
use File::Path qw(make_path remove_tree);
use PgDr qw(spew slurp_bytes);
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(command_limit cpu_limit pgbackrest_program);

# bench/setup.sh puts one of a newer Debian release there.
my $newer = '/var/lib/pgdr-bench/pgbackrest';

sub pgbackrest_program
{
	return $ENV{PGBACKREST} || (-x $newer ? $newer : 'pgbackrest');
}

sub pgdr { my $class = shift; return Contestants::Pgdr->make(@_) }
sub pgbackrest { my $class = shift; return Contestants::Pgbackrest->make(@_) }

# The CPU work alone, on both cores: what nobody can be faster than.
sub cpu_limit
{
	my (@files) = @_;

	return {
		name => 'limit: hash, zstd, AEAD, SHA-256 alone',
		run => sub {
			my ($seconds) = split ' ',
			  run_all("$ENV{TESTDIR}/bench/cpu_limit", 2, 1, 1, @files);
			return \$seconds;
		},
	};
}

# What other programs need for a part of the work: a shell command that finds
# the names of the files in $1.
sub command_limit
{
	my ($label, $command, @files) = @_;
	my $list = PostgreSQL::Test::Utils::tempdir() . '/files';

	PgDr::spew($list, join '', map { "$_\n" } @files);
	return {
		name => "limit: $label",
		run => sub { run_all('sh', '-c', $command, 'sh', $list) },
	};
}

sub make
{
	my ($class, $corpus, $name, %options) = @_;
	my $dir = $corpus->pg->dir . "/$name";
	my $self = bless { corpus => $corpus, name => $name, dir => $dir,
		store => delete $options{store} // 'posix', options => \%options }, $class;

	make_path($dir);
	$self->configure;
	return $self;
}

sub name { return $_[0]->{name} }
sub corpus { return $_[0]->{corpus} }

sub push_all
{
	my ($self, @segments) = @_;

	for my $segment (@segments)
	{
		$self->push($segment);
		$self->corpus->done($segment);
	}
	return;
}

sub get_all
{
	my ($self, $to, @segments) = @_;

	$self->get($_, "$to/RECOVERYXLOG") for @segments;
	return;
}

# In the data directory of a server that recovers until then.
sub recover_all
{
	my ($self, $dir, @segments) = @_;

	chdir $dir or confess "$dir: $!";
	$self->get_all("$dir/pg_wal", @segments);
	unlink 'recovery.signal';
	return;
}

# What was fetched ahead of an earlier round.
sub forget
{
	my ($self) = @_;

	remove_tree("$self->{dir}/spool");
	mkdir "$self->{dir}/spool", 0700;
	return;
}

sub stored
{
	my ($self, $below) = @_;
	my $path = defined $below ? "/$below" : '';

	return $self->corpus->s3->stored($self->{name} . $path) if $self->{store} eq 's3';
	my ($bytes) = run_all('du', '-s', '-b', "$self->{dir}/repo$path") =~ /^(\d+)/;
	return $bytes;
}

# Nobody changes a file in place, so that other names of the same files do.
sub keep
{
	my ($self) = @_;

	run_all('rm', '-rf', "$self->{dir}/kept");
	run_all('cp', '-al', "$self->{dir}/repo", "$self->{dir}/kept");
	return;
}

sub back
{
	my ($self) = @_;

	run_all('rm', '-rf', "$self->{dir}/repo");
	run_all('cp', '-al', "$self->{dir}/kept", "$self->{dir}/repo");
	return;
}

sub drop
{
	my ($self) = @_;

	remove_tree("$self->{dir}/repo", "$self->{dir}/kept", "$self->{dir}/spool");
	$self->corpus->s3->wipe($self->{name}) if $self->{store} eq 's3';
	return;
}

sub command
{
	my ($self, @args) = @_;

	system(@args) == 0 or die "@args failed ($?)\n";
	return;
}

package Contestants::Pgdr
{
	our @ISA = ('Contestants');

	sub configure
	{
		my ($self) = @_;
		my $text = PgDr::slurp_bytes($self->corpus->pg->config);
		my %keys = ('spool-path' => "$self->{dir}/spool", %{ $self->{options} });
		my $section = $self->{store} eq 's3'
		  ? $self->corpus->s3->section($self->{name})
		  : "[repo:local]\ntype = posix\npath = $self->{dir}/repo\n";

		$text =~ s/^\[repo:local\].*\z/$section/ms;
		@keys{qw(recipient identity-file)} = ()
		  if ($keys{encryption} // '') eq 'none';
		for my $key (keys %keys)
		{
			$text =~ s/^\Q$key\E\s*=.*\n//mg;
			$text =~ s/^\[global\]\s*\n/[global]\n$key = $keys{$key}\n/m
			  if defined $keys{$key};
		}
		PgDr::spew($self->{config} = "$self->{dir}/pgdr.conf", $text);
		chmod 0600, $self->{config};
		return;
	}

	sub pgdr
	{
		my ($self, @args) = @_;
		return $self->command('pgdr', '--config', $self->{config}, @args);
	}

	sub reset
	{
		my ($self) = @_;

		$self->drop;
		mkdir "$self->{dir}/spool", 0700;
		Bench::run_all('pgdr', '--config', $self->{config}, 'repo-init');
		return;
	}

	sub push
	{
		my ($self, $segment) = @_;
		return $self->pgdr('archive-push', $self->corpus->wal_dir . "/$segment");
	}

	sub get
	{
		my ($self, $segment, $to) = @_;
		# as the server says it
		return $self->pgdr('archive-get', $segment, $to =~ s{.*/pg_wal/}{pg_wal/}r);
	}

	# Segments of 1 MB of these numbers, in the repository at once.
	sub fill
	{
		my ($self, $first, $count) = @_;
		my $pg = $self->corpus->pg;

		Bench::run_all("$ENV{TESTDIR}/tests/many_segments", $self->{config},
			$pg->control('Database system identifier'),
			$pg->node->pg_version =~ s/[^0-9].*//r, $first, $count);
		return;
	}

	sub expire
	{
		my ($self, @rules) = @_;
		return Bench::run_all('pgdr', '--config', $self->{config}, '--output=json', 'expire',
			@rules);
	}

	sub archive_command
	{
		my ($self) = @_;
		return "pgdr --config $self->{config} archive-push \"%p\"";
	}

	sub backup
	{
		my ($self, $type) = @_;
		return Bench::run_all('pgdr', '--config', $self->{config}, 'backup',
			'--type', $type // 'full');
	}

	sub restore
	{
		my ($self, $dir) = @_;
		return Bench::run_all('pgdr', '--config', $self->{config}, 'restore',
			'--target-dir', $dir);
	}
}

package Contestants::Pgbackrest
{
	our @ISA = ('Contestants');

	sub configure
	{
		my ($self) = @_;
		my $pg = $self->corpus->pg;
		my $dir = $self->{dir};
		my %options = (
			'repo1-path' => "$dir/repo",
			'compress-type' => 'zst',
			'compress-level' => 1,
			'process-max' => 2,
			'spool-path' => "$dir/spool",
			'lock-path' => "$dir/lock",
			'log-path' => $dir,
			'log-level-console' => 'error',
			'log-level-file' => 'off',
			'archive-check' => 'n',
			'start-fast' => 'y',
			$self->{store} eq 's3' ? $self->corpus->s3->options($self->{name}) : (),
			%{ $self->{options} });
		my $text = "[global]\n"
		  . join('', map { "$_=$options{$_}\n" } sort keys %options)
		  . "[main]\npg1-path=" . $pg->data_dir
		  . "\npg1-port=" . $pg->port . "\npg1-socket-path=" . $pg->host
		  . "\npg1-database=postgres\n";

		PgDr::spew($self->{config} = "$dir/pgbackrest.conf", $text);
		return;
	}

	sub args
	{
		my ($self, @args) = @_;
		return (Contestants::pgbackrest_program(), "--config=$self->{config}", '--stanza=main', @args);
	}

	sub reset
	{
		my ($self) = @_;

		# a segment that the server was archiving until now may come behind
		for my $try (1 .. 10)
		{
			$self->drop;
			return if eval { Bench::run_all($self->args('stanza-create')); 1 };
			die $@ if $try == 10;
			sleep 1;
		}
		return;
	}

	sub push
	{
		my ($self, $segment) = @_;
		return $self->command(
			$self->args('archive-push', $self->corpus->wal_dir . "/$segment"));
	}

	sub get
	{
		my ($self, $segment, $to) = @_;
		return $self->command($self->args('archive-get', $segment, $to));
	}

	# Other names of a segment that it has; their checksums are part of the names.
	sub fill
	{
		my ($self, $first, $count) = @_;
		my ($model) = glob "$self->{dir}/repo/archive/main/*/*/*.zst";
		my ($home, $tail) = $model =~ m{^(.*)/[0-9A-F]{16}/[0-9A-F]{24}(-.*)$}
		  or die "no segment to fill with\n";

		for my $number ($first .. $first + $count - 1)
		{
			my $name = sprintf '00000001%08X%08X', $number / 4096, $number % 4096;
			my $dir = "$home/" . substr $name, 0, 16;

			-d $dir || mkdir $dir or die "$dir: $!\n";
			link $model, "$dir/$name$tail" or die "link: $!\n";
		}
		return;
	}

	sub archive_command
	{
		my ($self) = @_;
		return join ' ', $self->args('archive-push', '"%p"');
	}

	sub backup
	{
		my ($self, $type) = @_;
		return Bench::run_all($self->args('backup',
			'--type=' . ($type ? $type =~ s/incremental/incr/r : 'full')));
	}

	sub restore
	{
		my ($self, $dir) = @_;

		mkdir $dir, 0700;
		return Bench::run_all($self->args('restore', "--pg1-path=$dir"));
	}
}

1;
