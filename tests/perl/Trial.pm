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
use POSIX ();
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(seed copy_tree clone_view view rewrite flip_bit errors_of
  fake_clock failing_store in_background);

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

# A shim of tests/, built at the first call: its path.
my %shims;

sub shim
{
	my ($name) = @_;

	if (!defined $shims{$name})
	{
		my $source = dirname(dirname(abs_path(__FILE__))) . "/$name.c";
		my $shim = PostgreSQL::Test::Utils::tempdir() . "/$name.so";

		system($ENV{CC} // 'cc', qw(-shared -fPIC -O1 -o), $shim, $source) == 0
		  or confess "could not build $shim";
		$shims{$name} = $shim;
	}
	return $shims{$name};
}

# fake_clock($seconds): environment in which programs take the time to be so
# many seconds later (or earlier).
sub fake_clock
{
	my ($seconds) = @_;

	return (
		LD_PRELOAD => shim('clock_shim'),
		CLOCK_SHIM_USECS => sprintf('%.0f', $seconds * 1e6));
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
