# Trial.pm
#	  What the scripts share that try to break pgdr: seeds, copies of
#	  repositories to do harm to, and a clock that can be set.
#
# A view is a PgDr object with a configuration of its own, on another directory
# and with copies of the keys: whatever is done to them harms nobody else.

package Trial;

use strict;
use warnings;

use Carp qw(confess);
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use IO::Handle;
use IPC::Open2 qw(open2);
use POSIX ();
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(seed copy_tree clone_view view rewrite flip_bit errors_of
  noise_segments fake_clock signal_at
  count_calls small_disk failing_store in_background);

# Each run tries the same, unless PGDR_SEED says otherwise.
sub seed
{
	my ($default) = @_;
	my $seed = $ENV{PGDR_SEED} // $default;

	srand($seed);
	note("seed $seed (PGDR_SEED sets another)");
	return $seed;
}

# A copy that shares the content of files: what is changed in it must be
# written anew, with rewrite().
sub copy_tree
{
	my ($from, $to) = @_;

	system('cp', '-al', $from, $to) == 0 or confess "could not copy $from";
	return $to;
}

# Puts other bytes under a name, with the mode it had.
sub rewrite
{
	my ($path, $bytes) = @_;
	my $mode = -e $path ? (stat $path)[2] & 07777 : 0600;

	spew("$path.new", $bytes);
	chmod $mode, "$path.new";
	rename "$path.new", $path or confess "rename: $!";
	return;
}

sub flip_bit
{
	my ($bytes, $at, $bit) = @_;

	$at += length $bytes if $at < 0;
	substr($bytes, $at, 1) = chr(ord(substr($bytes, $at, 1)) ^ 1 << $bit);
	return $bytes;
}

# view($pg, $dir, %keys): a view of the repository $dir/repo, with its files in
# $dir; %keys are set in section [global], undef removes one.
sub view
{
	my ($pg, $dir, %keys) = @_;
	my $text = slurp_bytes($pg->config);
	my $view =
	  bless { %$pg, dir => $dir, config => "$dir/pgdr.conf", repo => "$dir/repo" },
	  ref $pg;

	delete $view->{wal_home};
	for my $key (qw(identity-file content-key-file))
	{
		my $file = $pg->setting($key) or next;

		next if exists $keys{$key};
		copy($file, "$dir/$key") or confess "copy: $!";
		chmod 0600, "$dir/$key";
		$keys{$key} = "$dir/$key";
	}
	$text =~ s/^path\s*=.*$/path = $dir\/repo/m;
	spew($view->config, $text);
	$view->set_config(%keys);
	return $view;
}

# The same of a copy of the repository; $dir is made anew.
sub clone_view
{
	my ($pg, $dir, %keys) = @_;

	remove_tree($dir);
	make_path($dir);
	copy_tree($pg->repo, "$dir/repo");
	return view($pg, $dir, %keys);
}

# Problems that are errors, among the objects of pgdr_json().
sub errors_of
{
	return grep { $_->{type} eq 'problem' && $_->{severity} eq 'error' } @_;
}

# noise_segments($pg, $count): names of so many new segments of WAL, each about
# half full of what does not compress well.  For segments of 1 MB.
sub noise_segments
{
	my ($pg, $count) = @_;
	my (@names, %seen);

	for (1 .. $count)
	{
		push @names, $pg->safe_psql('postgres', q{
SELECT pg_walfile_name(pg_logical_emit_message(false, 'noise',
	(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 15000))))});
		$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
	}
	# what begins in one segment may end in the next
	return grep { !$seen{$_}++ } @names;
}

# A library to preload, built from a source beside this directory.
my %shims;

sub shim
{
	my ($name) = @_;

	$shims{$name} //= do
	{
		my $source = dirname(dirname(abs_path(__FILE__))) . "/$name.c";
		my $library = PostgreSQL::Test::Utils::tempdir() . "/$name.so";

		system($ENV{CC} // 'cc', qw(-shared -fPIC -O1 -o), $library, $source,
			'-ldl') == 0
		  or confess "could not build $library";
		$library;
	};
	return $shims{$name};
}

# fake_clock($seconds): environment in which a program takes the time to be so
# many seconds later (or earlier).
sub fake_clock
{
	my ($seconds) = @_;

	return (
		LD_PRELOAD => shim('clock_shim'),
		CLOCK_SHIM_USECS => sprintf('%.0f', $seconds * 1e6));
}

# signal_at($call [, $signal]): environment in which a program gets the signal
# (KILL) at its N-th call that changes files.
sub signal_at
{
	my ($call, $signal) = @_;

	return (
		LD_PRELOAD => shim('kill_shim'),
		KILL_SHIM_CALL => $call,
		KILL_SHIM_SIGNAL => $signal // 9);
}

# count_calls($code): how many such calls the program makes that the code runs
# in the environment that it is given.
sub count_calls
{
	my ($code) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/calls';

	$code->({ LD_PRELOAD => shim('kill_shim'), KILL_SHIM_COUNT => $file });
	return 0 + slurp_bytes($file);
}

# failing_store($dir, $op, $errno, $after): environment in which files below
# the directory cannot be read, or written, once so many bytes have passed.
sub failing_store
{
	my ($dir, $op, $errno, $after) = @_;

	return (
		LD_PRELOAD => shim('store_shim'),
		STORE_SHIM_DIR => abs_path($dir),
		STORE_SHIM_OP => $op,
		STORE_SHIM_ERRNO => $errno,
		STORE_SHIM_AFTER => $after // 0);
}

# small_disk($size): a file system of its own, seen by all processes through
# its directory, or undef and why it cannot be had.  $disk->resize('20m'),
# ->read_only, ->read_write.
sub small_disk
{
	my ($size) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $self = bless { pid => undef, size => $size }, 'Trial::Disk';
	my $script = q{
mount -t tmpfs -o size=$2,mode=700 tmpfs "$1" && echo ready || exit 1
while read -r words
do
	case $words in
		# with the device named, else mount repeats options that it may not give
		*) mount -o "remount,$words" tmpfs "$1" ;;
	esac && echo done || echo failed
done};
	local $SIG{PIPE} = 'IGNORE';

	$self->{pid} = open2(my $from, my $to, 'unshare', '-Urm', 'sh', '-c',
		$script, 'small_disk', $dir, $size);
	my $answer = <$from> // '';
	if ($answer ne "ready\n")
	{
		waitpid $self->{pid}, 0;
		return (undef, 'no file system can be mounted in a user namespace');
	}
	@$self{qw(from to)} = ($from, $to);
	# others reach what only that process sees through its root directory
	$self->{dir} = "/proc/$self->{pid}/root$dir";
	return (undef, "$self->{dir} is not to be seen") unless -w $self->{dir};
	return $self;
}

package Trial::Disk
{
	sub dir { return $_[0]->{dir} }
	sub resize { my ($self, $size) = @_; return $self->_tell("size=$size") }
	sub read_only { return $_[0]->_tell('ro') }
	sub read_write { return $_[0]->_tell('rw') }

	sub _tell
	{
		my ($self, $words) = @_;

		print { $self->{to} } "$words\n";
		$self->{to}->flush;
		my $answer = readline $self->{from};
		Carp::confess("$words: $answer") if $answer ne "done\n";
		return;
	}

	sub DESTROY
	{
		my ($self) = @_;

		return unless $self->{to};
		close $self->{to};
		waitpid $self->{pid}, 0;
		return;
	}
}

# in_background(\@command [, \%env]): process id; its output goes to the log.
sub in_background
{
	my ($command, $env) = @_;
	my $pid = fork;

	confess "fork: $!" unless defined $pid;
	return $pid if $pid;
	$ENV{$_} = $env->{$_} for keys %{ $env // {} };
	# not exit(): that would run the parent's ends, which stop its servers
	exec { $command->[0] } @$command or POSIX::_exit(127);
}

1;
