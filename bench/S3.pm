# S3.pm
#	  The S3 server of a run: Ceph's gateway over memory, on loopback, with TLS,
#	  because pgBackRest speaks nothing else.
#
#	my $s3 = S3->server($dir)
#	$s3->section($path, %keys)		# for pgdr.conf
#	$s3->options($path)				# for pgbackrest.conf
#	$s3->environment				# for what uses boto3
#	$s3->requests					# that it has answered until now
#	$s3->stored($path)				# bytes
#	$s3->wipe($path)

package S3;

use strict;
use warnings;

use Bench;
use PgDr qw(slurp_bytes);
use Store;
use Time::HiRes qw(sleep);

sub server
{
	my ($class, $dir) = @_;

	# so much that a few rounds of everybody fit
	local $ENV{RGW_BYTES} = 8 * 1024 * 1024 * 1024;
	my $store = Store->new('s3', $dir, tls => 1);
	my %env = slurp_bytes("$dir/rgw/env") =~ /^(\w+)=(.*)$/mg;

	return bless { store => $store, log => "$dir/rgw/log/client.rgw.log",
		at => 0, requests => 0, env => \%env, ca => "$dir/ca/ca.crt" }, $class;
}

sub section
{
	my ($self, $path, %keys) = @_;

	return $self->{store}->section('local', path => $path,
		'total-timeout' => '5min', 'stall-timeout' => '30s', retries => 8, %keys);
}

sub options
{
	my ($self, $path) = @_;
	my $env = $self->{env};

	return (
		'repo1-type' => 's3',
		'repo1-path' => "/$path",
		'repo1-s3-bucket' => 'backups',
		'repo1-s3-region' => 'us-east-1',
		'repo1-s3-uri-style' => 'path',
		'repo1-s3-endpoint' => 'localhost',
		'repo1-s3-key' => $env->{S3_ACCESS_KEY},
		'repo1-s3-key-secret' => $env->{S3_SECRET_KEY},
		'repo1-storage-port' => $env->{S3_TLS_PORT},
		'repo1-storage-ca-file' => $self->{ca});
}

sub endpoint { my ($self) = @_; return "https://localhost:$self->{env}{S3_TLS_PORT}" }

sub environment
{
	my ($self) = @_;
	my $env = $self->{env};

	return (AWS_ACCESS_KEY_ID => $env->{S3_ACCESS_KEY},
		AWS_SECRET_ACCESS_KEY => $env->{S3_SECRET_KEY},
		AWS_DEFAULT_REGION => 'us-east-1', AWS_CA_BUNDLE => $self->{ca});
}

# The gateway logs each; it writes its log a moment later.
sub requests
{
	my ($self) = @_;

	sleep 0.3;
	open my $log, '<', $self->{log} or die "$self->{log}: $!\n";
	seek $log, $self->{at}, 0;
	while (my $line = <$log>)
	{
		last if $line !~ /\n\z/;
		$self->{at} = tell $log;
		$self->{requests}++ if $line =~ / beast: /;
	}
	close $log;
	return $self->{requests};
}

sub stored
{
	my ($self, $path) = @_;
	my ($bytes) = $self->{store}->s3cmd('du', "s3://backups/$path/") =~ /^\s*(\d+)/;

	return $bytes;
}

# What was removed goes on filling the server until it has collected it.
sub wipe
{
	my ($self, $path) = @_;

	$self->{store}->s3cmd('del', '--recursive', '--force', "s3://backups/$path/");
	$self->{store}->admin('gc', 'process', '--include-all');
	return;
}

sub stop { my ($self) = @_; return $self->{store}->stop }

1;
