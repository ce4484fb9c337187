# Barman.pm
#	  Barman beside pgdr: a configuration of its own for the corpus, and an SSH
#	  server on loopback, over which it gets WAL and, with rsync, files.
#
#	my $b = Barman->new($corpus, $name, %settings)	# of [main]
#	$b->archive_command, ->archive($path)			# barman-wal-archive, by SSH
#	$b->begin_archive, ->archive_incoming
#	$b->backup, ->recover($dir)
#	$b->forget										# all backups
#	Barman::cloud_push($s3, $path, @options)		# barman-cloud-wal-archive

package Barman;

use strict;
use warnings;

use Bench;
use File::Path qw(make_path remove_tree);
use PgDr qw(slurp_bytes spew);
use Store;

sub is_installed
{
	my ($program) = @_;
	return system("command -v $program >/dev/null") == 0;
}

# One for all: what ssh is for Barman knows keys and port.
my $sshd;

# While everything is there yet that stopping it needs.
END { undef $sshd }

sub ssh_server
{
	my ($dir) = @_;

	return $sshd if $sshd;
	my $store = Store->new('sftp', "$dir/ssh");
	my $server = "$dir/ssh/sshd";
	my ($port) = slurp_bytes("$server/known_hosts") =~ /^\[127\.0\.0\.1\]:(\d+)/;

	make_path("$dir/ssh/bin");
	spew("$dir/ssh/config", <<"END");
Host *
	Port $port
	IdentityFile $server/id_ed25519
	UserKnownHostsFile $server/known_hosts
	GlobalKnownHostsFile none
END
	# Barman calls "ssh", and that reads the account's own configuration
	spew("$dir/ssh/bin/ssh", "#!/bin/sh\nexec /usr/bin/ssh -F $dir/ssh/config \"\$@\"\n");
	chmod 0700, "$dir/ssh/bin/ssh";
	$ENV{PATH} = "$dir/ssh/bin:$ENV{PATH}";
	$sshd = { store => $store, port => $port };
	return $sshd;
}

sub new
{
	my ($class, $corpus, $name, %settings) = @_;
	my $pg = $corpus->pg;
	my $dir = $pg->dir . "/$name";
	my $self = bless { corpus => $corpus, dir => $dir, config => "$dir/barman.conf",
		ssh => ssh_server($pg->dir) }, $class;
	my $connection = 'host=' . $pg->host . ' port=' . $pg->port
	  . ' user=' . getpwuid($<) . ' dbname=postgres';
	my %main = (
		description => 'bench',
		conninfo => $connection,
		streaming_conninfo => $connection,
		backup_method => 'postgres',
		archiver => 'on',
		immediate_checkpoint => 'true',
		recovery_staging_path => "$dir/staging",
		path_prefix => run_all('pg_config', '--bindir') =~ s/\n//r,
		%settings);

	make_path("$dir/home", "$dir/d", "$dir/staging");
	spew($self->{config}, "[barman]\nbarman_home = $dir/home\nbarman_user = "
		. getpwuid($<) . "\nconfiguration_files_directory = $dir/d\n"
		. "log_file = $dir/barman.log\nlog_level = WARNING\n\n[main]\n"
		. join('', map { "$_ = $main{$_}\n" } sort keys %main));
	# makes the directories; what it finds wrong is not there yet
	system("barman -c $self->{config} check main >/dev/null 2>&1");
	return $self;
}

sub barman
{
	my ($self, @args) = @_;
	return run_all('barman', '-c', $self->{config}, '-q', @args);
}

sub archive_arguments
{
	my ($self) = @_;
	return ('barman-wal-archive', '-U', scalar getpwuid($<), '--port',
		$self->{ssh}{port}, '-c', $self->{config}, '127.0.0.1', 'main');
}

sub archive
{
	my ($self, $path) = @_;
	return run_all($self->archive_arguments, $path);
}

sub archive_command
{
	my ($self) = @_;
	return "cp \"%p\" $self->{dir}/home/main/incoming/\"%f\"";
}

sub backup { my ($self) = @_; return $self->barman('backup', 'main') }

sub recover
{
	my ($self, $dir) = @_;
	return $self->barman('recover', 'main', 'latest', $dir);
}

# Without any WAL in its archive it refuses to make a backup.
sub begin_archive
{
	my ($self) = @_;

	$self->{corpus}->archive_with($self->archive_command);
	$self->barman('switch-wal', '--force', '--archive', '--archive-timeout', 60, 'main');
	$self->{corpus}->archive_with('false');
	return;
}

# Where a backup finds the WAL that it needs.
sub archive_incoming { my ($self) = @_; return $self->barman('archive-wal', 'main') }

sub stored
{
	my ($self) = @_;
	my ($bytes) = run_all('du', '-s', '-b', "$self->{dir}/home/main/base") =~ /^(\d+)/;
	return $bytes;
}

sub forget
{
	my ($self) = @_;

	remove_tree("$self->{dir}/home/main/base", "$self->{dir}/home/main/incoming",
		{ keep_root => 1 });
	return;
}

sub cloud_push
{
	my ($s3, $path, @options) = @_;

	local %ENV = (%ENV, $s3->environment);
	return run_all('barman-cloud-wal-archive', '--endpoint-url', $s3->endpoint, @options,
		's3://backups/barman', 'main', $path);
}

1;
