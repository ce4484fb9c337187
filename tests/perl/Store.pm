# Store.pm
#	  A real server of each kind of store, with one repository in it, for TAP
#	  tests.
#
#	my $store = Store->new('s3', "$tmp/s3");	# posix, s3, azure, sftp
#	my $store = Store->new('s3', $dir, tls => 1)	# with a certificate; s3 only
#	$store->section('far', retries => 1)	# text for pgdr.conf; undef: no key
#	$store->through($port)->section('far')	# by a proxy on loopback
#	$store->list							# names of the objects
#	$store->fetch($name)					# exactly as stored
#	$store->put($name, $bytes)
#	$store->remove($name)
#	$store->wipe
#	$store->down, ->up						# killed; there again, same data
#	$store->hang, ->go_on					# it accepts, and does nothing
#	$store->stop
#	Store::use_in($pg, $text)				# sections instead of the directory's
#	Store::ship($pg)						# ends a segment; archived: its name
#
# Objects are read and written by other programs than pgdr: s3cmd, curl, the
# file system.  Servers end with the test.

package Store;

use strict;
use warnings;

use Carp qw(confess);
use Errno;
use File::Find ();
use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Socket::INET;
use PgDr qw(slurp_bytes spew run_plain);

my $services = "$ENV{TESTDIR}/tests/services";
my %classes = map { $_ => 'Store::' . ucfirst } qw(posix s3 azure sftp);

sub new
{
	my ($class, $kind, $dir, %how) = @_;
	my $self = bless {
		kind => $kind,
		how => \%how,
		dir => $dir,
		owner => $$,
		keys => { 'connect-timeout' => '2s', 'stall-timeout' => '3s',
			'total-timeout' => '8s', retries => 2 },
		secrets => [],
	}, $classes{$kind} // confess "no such store: $kind";

	make_path($dir);
	$self->{scratch} = File::Temp->newdir("$dir/scratch-XXXXXX");
	$self->begin;
	return $self;
}

sub kind { return $_[0]->{kind} }
sub secrets { return @{ $_[0]->{secrets} } }

sub section
{
	my ($self, $name, %more) = @_;
	my %keys = (%{ $self->{keys} }, %more);
	my $text = "[repo:$name]\ntype = $self->{kind}\n";

	for my $key (sort keys %keys)
	{
		$text .= "$key = $keys{$key}\n" if defined $keys{$key};
	}
	return $text;
}

sub through
{
	my ($self, $port) = @_;
	my $other = bless { %$self, owner => 0, keys => { %{ $self->{keys} } } }, ref $self;

	$other->{keys}{port} = $port if exists $self->{keys}{port};
	$other->{keys}{endpoint} =~ s/:$self->{port}\b/:$port/
	  if exists $self->{keys}{endpoint};
	return $other;
}

sub wipe
{
	my ($self) = @_;

	$self->remove($_) for $self->list;
	return;
}

sub hang { my ($self) = @_; return $self->signal('STOP') }
sub go_on { my ($self) = @_; return $self->signal('CONT') }

sub signal
{
	my ($self, $signal) = @_;

	# a session may have ended since it was listed
	kill($signal, $_) or $!{ESRCH} or confess "kill $signal $_: $!" for $self->pids;
	return;
}

# The configuration that pgdr init made, with other repositories.
sub use_in
{
	my ($pg, $sections) = @_;
	my $text = slurp_bytes($pg->config) =~ s/^\[repo:.*\z//msr;

	spew($pg->config, $text . $sections);
	return;
}

# Ends the current segment, and waits until the archiver is done with it.
sub ship
{
	my ($pg) = @_;
	my $segment = $pg->safe_psql('postgres',
		q{SELECT pg_walfile_name(pg_create_restore_point('ship'))});

	$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
	PgDr::poll(
		sub {
			$pg->safe_psql('postgres',
				"SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver")
			  eq 't';
		},
		"$segment to be archived");
	return $segment;
}

# The processes, and all below them.
sub pids_of
{
	my (@pids) = @_;
	my @all = @pids;

	for my $pid (@pids)
	{
		my @below = split ' ', `ps -o pid= --ppid $pid`;
		push @all, pids_of(@below) if @below;
	}
	return @all;
}

sub pid_in
{
	my ($self, $file) = @_;

	chomp(my $pid = slurp_bytes("$self->{dir}/$file"));
	return $pid;
}

# What a command prints; it is fatal if it fails.
sub run_ok
{
	my (@command) = @_;
	my ($rc, $out, $err) = run_plain([@command]);

	confess "@command: $out$err" if $rc != 0;
	return $out;
}

# A service script's action.  It is called from here, not from a short-lived
# process, because some of the servers end with their caller.
sub service
{
	my ($script, @args) = @_;

	system("$services/$script", @args) == 0 or confess "$script @args failed";
	return;
}

sub environment
{
	my ($self) = @_;
	return slurp_bytes("$self->{dir}/env") =~ /^(\w+)=(.*)$/mg;
}

sub secret_file
{
	my ($self, $name, $text) = @_;
	my $file = "$self->{dir}/$name";

	spew($file, "$text\n");
	chmod 0600, $file;
	push @{ $self->{secrets} }, $text;
	return $file;
}

sub scratch_file
{
	my ($self) = @_;
	return "$self->{scratch}/" . ++$self->{files};
}

# A port at which nobody listens now.
sub free_port
{
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1)
	  or confess "no free port: $!";
	return $socket->sockport;
}

sub DESTROY
{
	my ($self) = @_;

	local ($?, $@, $!);
	eval { $self->stop } if $self->{owner} == $$;
	return;
}

# Objects that are files.
package Store::Files
{
	our @ISA = ('Store');

	sub list
	{
		my ($self) = @_;
		my $root = $self->{root};
		my @names;

		File::Find::find({ no_chdir => 1, wanted => sub {
			push @names, substr($_, length("$root/")) if -f;
		} }, $root) if -d $root;
		return sort @names;
	}

	sub fetch
	{
		my ($self, $name) = @_;
		return PgDr::slurp_bytes("$self->{root}/$name");
	}

	sub put
	{
		my ($self, $name, $bytes) = @_;
		my $file = "$self->{root}/$name";

		File::Path::make_path($file =~ s{/[^/]*\z}{}r);
		chmod 0600, $file;
		return PgDr::spew($file, $bytes);
	}

	sub remove
	{
		my ($self, $name) = @_;

		unlink "$self->{root}/$name" or Carp::confess("unlink $name: $!");
		return;
	}
}

package Store::Posix
{
	our @ISA = ('Store::Files');

	sub begin
	{
		my ($self) = @_;

		$self->{root} = "$self->{dir}/repo";
		$self->{keys} = { path => $self->{root} };
		return;
	}

	sub down
	{
		my ($self) = @_;

		rename $self->{root}, "$self->{root}.away" or Carp::confess("rename: $!");
		return;
	}

	sub up
	{
		my ($self) = @_;

		rename "$self->{root}.away", $self->{root} or Carp::confess("rename: $!");
		return;
	}

	sub pids { return }
	sub stop { return }
}

package Store::Sftp
{
	our @ISA = ('Store::Files');

	sub begin
	{
		my ($self) = @_;
		my $server = "$self->{dir}/sshd";

		$self->{root} = "$self->{dir}/far/main";
		$self->{port} = Store::free_port();
		File::Path::make_path("$self->{dir}/far");
		$self->up;
		chomp(my $fingerprint = PgDr::slurp_bytes("$server/fingerprint"));
		%{ $self->{keys} } = (
			%{ $self->{keys} },
			host => '127.0.0.1',
			port => $self->{port},
			user => scalar getpwuid($<),
			path => $self->{root},
			'private-key-file' => "$server/id_ed25519",
			'host-key-sha256' => $fingerprint);
		return;
	}

	sub up
	{
		my ($self) = @_;
		return Store::service('sshd.sh', 'start', "$self->{dir}/sshd", $self->{port});
	}

	sub down
	{
		my ($self) = @_;
		return Store::service('sshd.sh', 'stop', "$self->{dir}/sshd");
	}

	sub stop
	{
		my ($self) = @_;

		$self->down if -f "$self->{dir}/sshd/sshd.pid";
		return;
	}

	sub pids
	{
		my ($self) = @_;
		return Store::pids_of($self->pid_in('sshd/sshd.pid'));
	}
}

package Store::S3
{
	our @ISA = ('Store');

	sub begin
	{
		my ($self) = @_;

		my $ca = $self->{how}{tls} ? "$self->{dir}/ca" : undef;

		Store::service('certificates.sh', $ca) if $ca;
		Store::service('rgw.sh', 'start', "$self->{dir}/rgw",
			$ca ? ("$ca/server.crt", "$ca/server.key") : ());
		my %env = PgDr::slurp_bytes("$self->{dir}/rgw/env") =~ /^(\w+)=(.*)$/mg;
		my $host = "127.0.0.1:$env{S3_PORT}";

		$self->{port} = $env{S3_PORT};
		$self->{s3cmd} = [
			's3cmd', '--no-ssl', "--host=$host", "--host-bucket=$host",
			"--access_key=$env{S3_ACCESS_KEY}", "--secret_key=$env{S3_SECRET_KEY}",
			'--no-progress', '-c', '/dev/null' ];
		$self->s3cmd('mb', 's3://backups');
		%{ $self->{keys} } = (
			%{ $self->{keys} },
			$ca
			? (endpoint => "https://localhost:$env{S3_TLS_PORT}", 'ca-file' => "$ca/ca.crt")
			: (endpoint => "http://$host"),
			bucket => 'backups',
			path => 'main',
			'access-key-file' => $self->secret_file('access', $env{S3_ACCESS_KEY}),
			'secret-key-file' => $self->secret_file('secret', $env{S3_SECRET_KEY}));
		# the first of the two is no secret
		shift @{ $self->{secrets} };
		return;
	}

	sub s3cmd
	{
		my ($self, @args) = @_;
		return Store::run_ok(@{ $self->{s3cmd} }, @args);
	}

	# As the administrator of the gateway: radosgw-admin.
	sub admin
	{
		my ($self, @args) = @_;
		return Store::run_ok("$self->{dir}/rgw/admin", @args);
	}

	sub list
	{
		my ($self) = @_;
		return sort $self->s3cmd('ls', '--recursive', 's3://backups/main/') =~
		  m{ s3://backups/main/(.+)$}mg;
	}

	sub fetch
	{
		my ($self, $name) = @_;
		my $file = $self->scratch_file;

		$self->s3cmd('get', '--force', "s3://backups/main/$name", $file);
		return PgDr::slurp_bytes($file);
	}

	sub put
	{
		my ($self, $name, $bytes) = @_;
		my $file = $self->scratch_file;

		PgDr::spew($file, $bytes);
		$self->s3cmd('put', $file, "s3://backups/main/$name");
		return;
	}

	sub remove
	{
		my ($self, $name) = @_;

		$self->s3cmd('del', "s3://backups/main/$name");
		return;
	}

	sub wipe
	{
		my ($self) = @_;

		$self->s3cmd('del', '--recursive', '--force', 's3://backups/main/');
		return;
	}

	sub pids { my ($self) = @_; return $self->pid_in('rgw/rgw.pid') }

	sub down
	{
		my ($self) = @_;
		return Store::service('rgw.sh', 'gateway-stop', "$self->{dir}/rgw");
	}

	sub up
	{
		my ($self) = @_;
		return Store::service('rgw.sh', 'gateway-start', "$self->{dir}/rgw");
	}

	sub stop
	{
		my ($self) = @_;
		return Store::service('rgw.sh', 'stop', "$self->{dir}/rgw");
	}
}

package Store::Azure
{
	our @ISA = ('Store');

	sub begin
	{
		my ($self) = @_;
		my $server = "$self->{dir}/azurite";

		$self->up;
		my %env = PgDr::slurp_bytes("$server/env") =~ /^(\w+)=(.*)$/mg;
		$self->{port} = $env{AZURE_PORT};
		$self->{container} = "$env{AZURE_ENDPOINT}/backups";
		Store::service('azurite.sh', 'container', $server, 'backups');
		$self->{sas} = $self->new_sas('racwdl');
		chomp(my $key = PgDr::slurp_bytes($env{AZURE_KEY_FILE}));
		push @{ $self->{secrets} }, $key;
		%{ $self->{keys} } = (
			%{ $self->{keys} },
			account => $env{AZURE_ACCOUNT},
			container => 'backups',
			path => 'main',
			endpoint => $env{AZURE_ENDPOINT},
			'account-key-file' => $env{AZURE_KEY_FILE});
		return;
	}

	# A shared access signature of the container with these rights.
	sub new_sas
	{
		my ($self, @rights) = @_;

		chomp(my $sas = Store::run_ok("$services/azurite.sh", 'sas',
			"$self->{dir}/azurite", 'backups', @rights));
		return $sas;
	}

	sub curl
	{
		my ($self, $path, @args) = @_;
		return Store::run_ok('curl', '-fsS', @args,
			"$self->{container}$path" . ($path =~ /\?/ ? '&' : '?') . $self->{sas});
	}

	sub list
	{
		my ($self) = @_;
		my $marker = '';
		my @names;

		do
		{
			my $xml = $self->curl(
				"?restype=container&comp=list&prefix=main/&marker=$marker");
			push @names, $xml =~ m{<Name>main/([^<]+)</Name>}g;
			($marker) = $xml =~ m{<NextMarker>([^<]+)</NextMarker>};
		} while ($marker //= '');
		return sort @names;
	}

	sub fetch
	{
		my ($self, $name) = @_;
		my $file = $self->scratch_file;

		$self->curl("/main/$name", '-o', $file);
		return PgDr::slurp_bytes($file);
	}

	sub put
	{
		my ($self, $name, $bytes) = @_;
		my $file = $self->scratch_file;

		PgDr::spew($file, $bytes);
		$self->curl("/main/$name", '-X', 'PUT', '-H', 'x-ms-blob-type: BlockBlob',
			'--data-binary', "\@$file");
		return;
	}

	sub remove
	{
		my ($self, $name) = @_;

		$self->curl("/main/$name", '-X', 'DELETE');
		return;
	}

	sub pids { my ($self) = @_; return $self->pid_in('azurite/azurite.pid') }

	sub up
	{
		my ($self) = @_;
		return Store::service('azurite.sh', 'start', "$self->{dir}/azurite");
	}

	sub down
	{
		my ($self) = @_;
		return Store::service('azurite.sh', 'stop', "$self->{dir}/azurite");
	}

	sub stop { my ($self) = @_; return $self->down }
}

1;
