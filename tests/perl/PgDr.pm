# PgDr.pm
#	  A PostgreSQL cluster that is archived by pgdr, for TAP tests.
#
#	use PgDr;
#	my $pg = PgDr->new_cluster('main');			# initdb, pgdr init --apply, start
#	$pg->safe_psql('CREATE TABLE t AS SELECT 1');
#	my $label = $pg->backup;					# a full backup, by its label
#	$pg->switch_wal;							# and wait until it is archived
#	my $copy = $pg->restore('copy', '--target-type=immediate');
#	$copy->start_recovered;						# started, promoted
#	is($copy->safe_psql('TABLE t'), '1', 'back again');
#
# A PgDr object is one data directory with the configuration, the repository
# and the keys that it is archived with.  What it does not know itself it asks
# of PostgreSQL::Test::Cluster: $pg->safe_psql, ->psql, ->stop, ->poll_query_until
# and so on work as on $pg->node.
#
# Nothing here waits blindly: poll() asks until a deadline.

package PgDr;

use strict;
use warnings;

use Carp qw(confess);
use Exporter qw(import);
use File::Basename qw(basename);
use File::Find qw(find);
use File::Path qw(remove_tree);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT =
  qw(poll spew slurp_bytes run_plain run_measured soak repository_files);

our $AUTOLOAD;

my $MB = 1024 * 1024;

# ---- functions (exported) ----

# Is this the run at full length?
sub soak
{
	return $ENV{PGDR_SOAK} ? 1 : 0;
}

# poll($code, $what [, $seconds]): calls until it says yes; returns what it
# said.  Dies at the deadline, naming $what.
sub poll
{
	my ($code, $what, $seconds) = @_;
	my $deadline =
	  time() + ($seconds // $PostgreSQL::Test::Utils::timeout_default);

	for (;;)
	{
		my $answer = $code->();
		return $answer if $answer;
		confess "timed out waiting for $what" if time() > $deadline;
		sleep 0.05;
	}
}

# The content of a file, byte for byte.
sub slurp_bytes
{
	my ($path) = @_;
	open my $fh, '<:raw', $path or confess "could not open $path: $!";
	local $/;
	my $bytes = <$fh>;
	close $fh;
	return $bytes // '';
}

# Writes a file anew, byte for byte.
sub spew
{
	my ($path, $bytes) = @_;
	open my $fh, '>:raw', $path or confess "could not create $path: $!";
	print $fh $bytes;
	close $fh or confess "could not write $path: $!";
	return;
}

# Absolute paths of all files below a directory, sorted.
sub repository_files
{
	my ($dir) = @_;
	my @files;

	find(sub { push @files, $File::Find::name if -f }, $dir);
	@files = sort @files;
	return @files;
}

# run_measured(@command): ($rc, $kilobytes, $out, $err), the largest resident
# set of the command (or of its children).  A small perl of its own does the
# counting, because what counts is the largest of *all* children of a process.
my $COUNTER = <<'END';
require "sys/syscall.ph";
my $file = shift;
my $status = system { $ARGV[0] } @ARGV;
my $usage = "\0" x 144;
# whole-struct rusage; ru_maxrss follows two timevals of two longs
syscall(&SYS_getrusage, -1, $usage) == 0 or die "getrusage: $!";
open my $fh, ">", $file or die "$file: $!";
print $fh +(unpack("l!5", $usage))[4];
close $fh;
exit($status & 127 ? 128 + ($status & 127) : $status >> 8);
END

sub run_measured
{
	my (@command) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/maxrss';
	my ($rc, $out, $err) = run_plain([ $^X, '-e', $COUNTER, $file, @command ]);

	return ($rc, slurp_bytes($file), $out, $err);
}

# run_plain(\@command, \%how): ($rc, $out, $err); $rc is 128 + N for signal N.
# %how: stdin => text, env => { NAME => value or undef }, cwd => directory.
sub run_plain
{
	my ($command, $how) = @_;
	my ($in, $out, $err) = ($how->{stdin} // '', '', '');
	my %env = %{ $how->{env} // {} };
	my @init = ();

	local %ENV = %ENV;
	$ENV{$_} = $env{$_} for grep { defined $env{$_} } keys %env;
	delete $ENV{$_} for grep { !defined $env{$_} } keys %env;
	@init = (init => sub { chdir $how->{cwd} or die $! })
	  if defined $how->{cwd};
	print '# Running: ' . join(' ', @$command) . "\n";
	IPC::Run::run($command, '<', \$in, '>', \$out, '2>', \$err, @init);
	my $rc = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	return ($rc, $out, $err);
}

# ---- making one ----

# PgDr->new_cluster($name, %options): a new cluster in archive mode, running.
#	initdb		=> [ ... ]	more options of initdb
#	wal_segsize	=> N		in megabytes
#	checksums	=> 0		without page checksums
#	conf		=> "..."	more lines of postgresql.conf
#	init		=> [ ... ]	more options of pgdr init
#	pgdr_conf	=> { key => value }	set in section [global] after init
#	repo		=> DIR		where the repository is to be
#	start		=> 0		leave it stopped, without pgdr init
# Server and pgdr share no state with other objects: all is below $pg->dir.
sub new_cluster
{
	my ($class, $name, %o) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $dir = $node->basedir . '/pgdr';
	my $self = bless {
		name => $name,
		node => $node,
		dir => $dir,
		config => "$dir/pgdr.conf",
		repo => $o{repo} // "$dir/repo"
	}, $class;
	my @extra = @{ $o{initdb} // [] };

	push @extra, "--wal-segsize=$o{wal_segsize}" if $o{wal_segsize};
	push @extra, '--data-checksums' if $o{checksums} // 1;
	mkdir $dir or confess "could not create $dir: $!";
	$node->init(allows_streaming => 1, extra => \@extra);
	$node->append_conf(
		'postgresql.conf', qq{
shared_buffers = 32MB
max_connections = 40
max_prepared_transactions = 10
log_statement = none
log_checkpoints = off
} . ($o{conf} // ''));
	return $self if defined $o{start} && !$o{start};
	$node->start;
	$self->init_pgdr(@{ $o{init} // [] });
	$self->set_config(%{ $o{pgdr_conf} }) if $o{pgdr_conf};
	return $self;
}

# Runs pgdr init --apply on the running server, and restarts it if that is
# what it asks for.
sub init_pgdr
{
	my ($self, @args) = @_;

	$self->pgdr_ok(
		'init',
		'--pgdata', $self->node->data_dir,
		'--repo-path', $self->{repo},
		'--connection', $self->connection,
		'--spool-path', "$self->{dir}/spool",
		'--apply', @args);
	$self->node->restart;
	return;
}

# A second view on the same repository: another (stopped) data directory with
# a configuration of its own.  With pgdata => DIR for one that is there.
sub sibling
{
	my ($self, $name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $dir = $node->basedir . '/pgdr';
	my $other = bless { %$self,
		name => $name, node => $node, dir => $dir, config => "$dir/pgdr.conf"
	}, ref $self;
	my $text = slurp_bytes($self->{config});
	my ($pgdata, $connection) = ($node->data_dir, $other->connection);

	mkdir $dir or confess "could not create $dir: $!";
	$text =~ s/^pgdata\s*=.*$/pgdata = $pgdata/m;
	$text =~ s/^connection\s*=.*$/connection = $connection/m;
	$text =~ s/^spool-path\s*=.*$/spool-path = $dir\/spool/m;
	spew($other->{config}, $text);
	chmod 0600, $other->{config};
	return $other;
}

# ---- what it is ----

sub node { return $_[0]->{node} }
sub config { return $_[0]->{config} }
sub repo { return $_[0]->{repo} }
sub dir { return $_[0]->{dir} }

sub connection
{
	my ($self) = @_;
	return
		'host='
	  . $self->node->host
	  . ' port='
	  . $self->node->port
	  . ' dbname=postgres';
}

# The value of a key in section [global] of the configuration; undef if unset.
sub setting
{
	my ($self, $key) = @_;
	return slurp_bytes($self->{config}) =~ /^\Q$key\E\s*=\s*(.*?)\s*$/m
	  ? $1
	  : undef;
}

# Sets keys of section [global]; undef removes one.
sub set_config
{
	my ($self, %keys) = @_;
	my $text = slurp_bytes($self->{config});

	for my $key (sort keys %keys)
	{
		$text =~ s/^\Q$key\E\s*=.*\n//mg;
		$text =~ s/^\[global\]\s*\n/[global]\n$key = $keys{$key}\n/m
		  if defined $keys{$key};
	}
	spew($self->{config}, $text);
	return;
}

sub identity { return $_[0]->setting('identity-file') }

# All else is the node's.
sub AUTOLOAD
{
	my $self = shift;
	my $method = $AUTOLOAD =~ s/.*:://r;

	return if $method eq 'DESTROY';
	confess "no method $method" unless ref $self && $self->{node};
	return $self->node->$method(@_);
}

# ---- pgdr ----

# $pg->pgdr(@args [, \%how]): ($rc, $out, $err).  %how as for run_plain().
sub pgdr
{
	my ($self, @args) = @_;
	my $how = ref $args[-1] ? pop @args : {};

	return run_plain([ 'pgdr', '--config', $self->{config}, @args ], $how);
}

# The same, which must succeed; returns standard output.
sub pgdr_ok
{
	my ($self, @args) = @_;
	my ($rc, $out, $err) = $self->pgdr(@args);

	confess "pgdr $args[0] exited with $rc:\n$out$err" if $rc != 0;
	return $out;
}

# pgdr_json(@args): ($rc, @objects), one for each line of standard output.
sub pgdr_json
{
	my ($self, @args) = @_;
	my $how = ref $args[-1] ? pop @args : {};
	my ($rc, $out, $err) = $self->pgdr('--output=json', @args, $how);
	my @objects = map { JSON::PP->new->utf8->decode($_) } split /\n/, $out;

	return ($rc, @objects);
}

# The last object of a type among those of pgdr_json(), or undef.
sub last_of
{
	my ($self, $type, @objects) = @_;
	my @found = grep { $_->{type} eq $type } @objects;

	return $found[-1];
}

# pgdr_result(@args): the result line of a command that must succeed.
sub pgdr_result
{
	my ($self, @args) = @_;
	my ($rc, @objects) = $self->pgdr_json(@args);
	my $result = $self->last_of('result', @objects);

	confess "pgdr $args[0] exited with $rc: " . encode_json(\@objects)
	  if $rc != 0 || !$result;
	return $result;
}

# ($rc, $kilobytes, $out, $err) of a run, its largest resident set.
sub pgdr_measured
{
	my ($self, @args) = @_;
	return run_measured('pgdr', '--config', $self->{config}, @args);
}

# pgdr_start(@args): an IPC::Run harness of a run in the background, for
# $h->signal('KILL') or $h->kill_kill, $h->pumpable, $h->finish, and
# ${ $h->{pgdr_out} }, ${ $h->{pgdr_err} }.
sub pgdr_start
{
	my ($self, @args) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $h = IPC::Run::start([ 'pgdr', '--config', $self->{config}, @args ],
		'<', \$in, '>', \$out, '2>', \$err);

	($h->{pgdr_out}, $h->{pgdr_err}) = (\$out, \$err);
	return $h;
}

# Takes a backup, returns its label.
sub backup
{
	my ($self, @args) = @_;
	return $self->pgdr_result('backup', @args)->{label};
}

# ---- the repository ----

# The directory of this cluster's WAL in the repository.
sub wal_home
{
	my ($self) = @_;

	$self->{wal_home} //= do
	{
		my $sysid = $self->control('Database system identifier');
		my $major = $self->node->pg_version =~ s/[^0-9].*//r;
		"$self->{repo}/wal/$sysid-$major";
	};
	return $self->{wal_home};
}

# A line of pg_controldata.
sub control
{
	my ($self, $what) = @_;
	my ($out) = run_command([ 'pg_controldata', $self->node->data_dir ]);

	return $out =~ /^\Q$what\E:\s*(.*)$/m
	  ? $1
	  : confess "no \"$what\" in pg_controldata";
}

# Name of a WAL file's object, relative to the repository ...
sub object_name
{
	my ($self, $file) = @_;
	my $home = 'wal/' . basename($self->wal_home);

	return "$home/$file" if $file =~ /\.history$/;
	return join '/', $home, substr($file, 0, 8), substr($file, 8, 8), $file;
}

# ... and its path.
sub object_path
{
	my ($self, $file) = @_;
	return "$self->{repo}/" . $self->object_name($file);
}

sub is_archived
{
	my ($self, $file) = @_;
	return -e $self->object_path($file) ? 1 : 0;
}

sub wait_archived
{
	my ($self, $file) = @_;
	poll(sub { $self->is_archived($file) }, "$file to be archived");
	return $file;
}

# Ends the current segment, waits until it is archived, returns its name.
sub switch_wal
{
	my ($self) = @_;
	my $file = $self->node->safe_psql('postgres',
		'SELECT pg_walfile_name(pg_current_wal_insert_lsn())'
		  . " FROM pg_create_restore_point('switch')");

	$self->node->safe_psql('postgres', 'SELECT pg_switch_wal()');
	return $self->wait_archived($file);
}

# WAL segments in the repository, sorted.
sub segments
{
	my ($self) = @_;
	return grep { /^[0-9A-F]{24}$/ }
	  map { basename($_) } repository_files($self->wal_home);
}

# Decodes an object with stock tools alone; writes to $to.  Confesses if they
# find fault with it.
sub stock_decode
{
	my ($self, $path, $to) = @_;
	my $identity = $self->identity;
	my @age =
	  $identity ? ([ 'age', '-d', '-i', $identity, $path ], '|') : ();
	my @zstd = $identity ? [qw(zstd -dc)] : [ qw(zstd -dc), $path ];
	my $err = '';

	IPC::Run::run(@age, @zstd, '>', $to, '2>', \$err)
	  or confess "stock tools refuse $path: $err";
	return $to;
}

# ---- disaster ----

# kill -9 of the server and all its children; nothing of it lives after that.
sub crash
{
	my ($self) = @_;
	my $pid = $self->node->{_pid};
	my @children = grep { $_ } split /\s+/, `ps -o pid= --ppid $pid`;

	$self->node->kill9;
	kill 'KILL', @children;
	for my $p ($pid, @children)
	{
		poll(sub { !kill(0, $p) }, "process $p to end");
	}
	return;
}

# The data directory is gone, tablespaces stay.
sub destroy
{
	my ($self) = @_;

	$self->crash if defined $self->node->{_pid};
	remove_tree($self->node->data_dir);
	confess 'data directory is still there' if -e $self->node->data_dir;
	return;
}

# ---- restore ----

# $pg->restore($name, @args): restores into a new data directory (not started)
# and returns its object, a sibling().  It does not archive; enable_archive()
# changes that.
sub restore
{
	my ($self, $name, @args) = @_;
	my $other = $self->sibling($name);

	$other->pgdr_ok('restore', '--target-dir', $other->node->data_dir, @args);
	$other->adopt;
	return $other;
}

# The same into the data directory of this cluster, which must be gone.  Here
# archiving goes on after recovery, as it does for a DBA.
sub restore_here
{
	my ($self, @args) = @_;

	$self->pgdr_ok('restore', '--target-dir', $self->node->data_dir, @args);
	return;
}

# Gives the restored data directory this node's port and socket.  The file is
# read last, so nothing that came with the backup is stronger.
sub adopt
{
	my ($self) = @_;
	my $node = $self->node;

	$node->append_conf(
		'postgresql.auto.conf', qq{
port = @{[ $node->port ]}
unix_socket_directories = '@{[ $node->host ]}'
archive_mode = off
fsync = off
});
	return;
}

# Archive with this object's own configuration.  Before the first start: the
# history of a timeline that began without an archive never gets there.
sub enable_archive
{
	my ($self) = @_;

	$self->node->append_conf(
		'postgresql.auto.conf', qq{
archive_mode = on
archive_command = 'pgdr --config $self->{config} archive-push "%p"'
});
	return;
}

# Starts and waits until it is promoted.
sub start_recovered
{
	my ($self) = @_;

	$self->node->start;
	poll(sub { $self->is_promoted }, 'the server to be promoted');
	return;
}

# Without hot standby there may be nobody to ask.  The query is an argument: a
# psql that cannot connect does not read its input, which poll_query_until()
# and psql() die of.
sub is_promoted
{
	my ($self) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([
			'psql', '-XAtq', '-d', $self->connection, '-c',
			'SELECT pg_is_in_recovery()' ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	return $out eq "f\n";
}

# Runs a server that may refuse to recover: ($state, $log), where $state is
# "promoted" (then it runs) or "down", and $log what it wrote meanwhile.
sub try_recovery
{
	my ($self) = @_;
	my $node = $self->node;
	my $at = -s $node->logfile // 0;
	my $state;

	run_plain([ 'pg_ctl', '-W', '-D', $node->data_dir, '-l', $node->logfile,
		'start' ]);
	# No process yet, or no more: the postmaster writes its pid file first.
	poll(
		sub {
			-e $node->data_dir . '/postmaster.pid'
			  || slurp_file($node->logfile, $at) =~ /shut down|FATAL/;
		},
		'the server to start');
	$state = poll(
		sub {
			return 'down' unless -e $node->data_dir . '/postmaster.pid';
			return $self->is_promoted ? 'promoted' : 0;
		},
		'recovery to end');
	$node->_update_pid(1) if $state eq 'promoted';
	return ($state, slurp_file($node->logfile, $at));
}

# ---- checks ----

# Four tests on a data directory as restored, not yet started: 1.
sub verifybackup_ok
{
	my ($self, $what) = @_;
	my ($rc, $out, $err) =
	  run_plain([ 'pg_verifybackup', '-n', $self->node->data_dir ]);

	return is($rc, 0, "$what: pg_verifybackup") || diag($out, $err);
}

# pg_amcheck of all databases on the running server.
sub amcheck_ok
{
	my ($self, $what) = @_;
	my ($rc, $out, $err) = run_plain([
		'pg_amcheck', '--all', '--heapallindexed', '--install-missing',
		'--host', $self->node->host, '--port', $self->node->port ]);

	return is($rc, 0, "$what: pg_amcheck") || diag($out, $err);
}

# Stops the server and checks every page.
sub checksums_ok
{
	my ($self, $what) = @_;

	$self->node->stop;
	my ($rc, $out, $err) =
	  run_plain([ 'pg_checksums', '--check', $self->node->data_dir ]);
	return is($rc, 0, "$what: pg_checksums") || diag($out, $err);
}

# pgbench's books balance: one test.
sub balanced_ok
{
	my ($self, $what) = @_;
	my $sums = $self->node->safe_psql('postgres', q{
SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts)
	|| ' ' || (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers)
	|| ' ' || (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches)
	|| ' ' || (SELECT coalesce(sum(delta), 0) FROM pgbench_history)});
	my ($first, @rest) = split / /, $sums;

	return ok((grep { $_ == $first } @rest) == 3, "$what: books balance")
	  || diag($sums);
}

# ---- load ----

sub pgbench_init
{
	my ($self, $scale) = @_;
	my ($rc, $out, $err) = run_plain([
		'pgbench', '-i', '-q', '-s', $scale // 1, '-h', $self->node->host,
		'-p', $self->node->port, 'postgres' ]);

	confess "pgbench -i: $err" if $rc != 0;
	return;
}

# Starts pgbench; @args are more options.  It ends by itself (-T), with the
# server, or by pgbench_stop().
sub pgbench_start
{
	my ($self, @args) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $h = IPC::Run::start([
			'pgbench', '-n', '-M', 'prepared', '-h', $self->node->host, '-p',
			$self->node->port, @args, 'postgres' ],
		'<', \$in, '>', \$out, '2>', \$err);

	return { harness => $h, out => \$out, err => \$err };
}

# Waits for the end, however it comes; returns what pgbench said.
sub pgbench_finish
{
	my ($self, $run) = @_;

	IPC::Run::finish($run->{harness});
	return ${ $run->{out} } . ${ $run->{err} };
}

sub pgbench_stop
{
	my ($self, $run) = @_;

	$run->{harness}->signal('INT');
	return $self->pgbench_finish($run);
}

1;
