# Contestants.pm
#	  pgdr and its peers, each with a repository of its own for the corpus.
#
#	my $c = Contestants->pgdr($corpus, $name, %keys)		# keys of [global]
#	my $c = Contestants->pgbackrest($corpus, $name, %options)
#	$c->reset						# an empty repository and spool
#	$c->push($segment), ->get($segment, $to), ->backup, ->restore($dir)
#	$c->restore_command				# for postgresql.conf
#	$c->stored						# bytes in the repository
#
# store => 's3' puts the repository into the S3 server of $corpus->s3.

package Contestants;

use strict;
use warnings;

use Bench;
use Exporter 'import';
use File::Path qw(make_path remove_tree);
use PgDr qw(spew slurp_bytes);

our @EXPORT = qw(cpu_limit);

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
	my ($self) = @_;

	my ($bytes) = run_all('du', '-s', '-B1', "$self->{dir}/repo") =~ /^(\d+)/;
	return $bytes;
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
		  ? $self->corpus->s3->section('local', path => $self->{name},
			'total-timeout' => '5min', 'stall-timeout' => '30s', retries => 8)
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

		File::Path::remove_tree("$self->{dir}/repo", "$self->{dir}/spool");
		$self->corpus->s3->s3cmd('del', '--recursive', '--force',
			"s3://backups/$self->{name}/") if $self->{store} eq 's3';
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
		return $self->pgdr('archive-get', $segment, $to);
	}

	sub archive_command
	{
		my ($self) = @_;
		return "pgdr --config $self->{config} archive-push \"%p\"";
	}

	sub backup
	{
		my ($self) = @_;
		return Bench::run_all('pgdr', '--config', $self->{config}, 'backup');
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
			'repo1-path' => $self->{store} eq 's3' ? "/$self->{name}" : "$dir/repo",
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
			$self->{store} eq 's3' ? $self->corpus->s3_for_pgbackrest : (),
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
		return ('pgbackrest', "--config=$self->{config}", '--stanza=main', @args);
	}

	sub reset
	{
		my ($self) = @_;

		File::Path::remove_tree("$self->{dir}/repo", "$self->{dir}/spool");
		$self->corpus->s3->s3cmd('del', '--recursive', '--force',
			"s3://backups/$self->{name}/") if $self->{store} eq 's3';
		Bench::run_all($self->args('stanza-create'));
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

	sub archive_command
	{
		my ($self) = @_;
		return join ' ', $self->args('archive-push', '"%p"');
	}

	sub backup
	{
		my ($self, @more) = @_;
		return Bench::run_all($self->args('backup', '--type=full', @more));
	}

	sub restore
	{
		my ($self, $dir) = @_;

		mkdir $dir, 0700;
		return Bench::run_all($self->args('restore', "--pg1-path=$dir"));
	}
}

1;
