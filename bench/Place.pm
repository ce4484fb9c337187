# Place.pm
#	  Where the repositories of a comparison lie: in a directory, or in the S3
#	  server.  A case is written once for both.
#
#	my $place = Place->new($corpus, 'posix')		# or 's3'
#	$place->title('push')							# "push", "push to S3"
#	$place->pgdr($name, %keys), ->pgbackrest($name, %options)
#	$place->contestant(%members)					# for compare(): counts requests
#	$place->here(@contestants)						# them, unless it is far
#	$place->drop_all								# the repositories made here

package Place;

use strict;
use warnings;

use Contestants;

sub new
{
	my ($class, $corpus, $store) = @_;
	return bless { corpus => $corpus, store => $store }, $class;
}

sub is_local { return $_[0]->{store} eq 'posix' }

sub title
{
	my ($self, $title) = @_;
	return $self->is_local ? $title : "$title (S3)";
}

# Repositories of the same name lie in both.
sub name
{
	my ($self, $name) = @_;
	return $self->is_local ? $name : "s3$name";
}

sub pgdr
{
	my ($self, $name, %keys) = @_;
	my $c = Contestants->pgdr($self->{corpus}, $self->name($name),
		store => $self->{store}, 'process-max' => 2, %keys);

	push @{ $self->{made} }, $c;
	return $c;
}

sub pgbackrest
{
	my ($self, $name, %options) = @_;
	my $c = Contestants->pgbackrest($self->{corpus}, $self->name($name),
		store => $self->{store}, %options);

	push @{ $self->{made} }, $c;
	return $c;
}

sub aes { return ('repo1-cipher-type' => 'aes-256-cbc', 'repo1-cipher-pass' => 'bench') }

sub contestant
{
	my ($self, %members) = @_;
	my $corpus = $self->{corpus};

	return {
		$self->is_local ? () : (requests => sub { $corpus->s3->requests }),
		%members
	};
}

sub drop_all
{
	my ($self) = @_;

	$_->drop for @{ $self->{made} };
	$self->{made} = [];
	return;
}

sub here
{
	my ($self, @contestants) = @_;
	return $self->is_local ? @contestants : ();
}

1;
