# FaultProxy.pm
#	  A TCP proxy with faults before a server on loopback, for TAP tests.
#
#	my $proxy = FaultProxy->new($port);	# of the server
#	$proxy->port
#	$proxy->set(cut_up => 1000, times => 1);	# tests/unit/fault_proxy.h; (): none
#	$proxy->faults, ->requests				# since then

package FaultProxy;

use strict;
use warnings;

use Carp qw(confess);
use IPC::Open2 qw(open2);

sub new
{
	my ($class, $target) = @_;
	my $self = bless {}, $class;

	$self->{pid} = open2($self->{from}, $self->{to},
		"$ENV{TESTDIR}/tests/fault_proxyd", $target);
	$self->{port} = $self->read_number;
	return $self;
}

sub port { return $_[0]->{port} }

sub read_number
{
	my ($self) = @_;
	my $line = readline($self->{from}) // confess 'the proxy has ended';

	confess "the proxy says $line" unless $line =~ /^(\d+)$/;
	return $1;
}

sub ask
{
	my ($self, $line) = @_;

	print { $self->{to} } "$line\n";
	$self->{to}->flush;
	return $self->read_number;
}

sub set
{
	my ($self, %faults) = @_;
	return $self->ask(join ' ', map { "$_=$faults{$_}" } sort keys %faults);
}

sub faults { return $_[0]->ask('faults') }
sub requests { return $_[0]->ask('requests') }

sub DESTROY
{
	my ($self) = @_;

	local ($?, $!);
	close $self->{to};
	waitpid $self->{pid}, 0;
	return;
}

1;
