# The extension on a real server: however a long action ends, nothing of it is
# left; while it runs it holds no snapshot; what a user says cannot become a
# command.

use strict;
use warnings;

use IPC::Run;
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

# what the server is started with: of this, one is for the program
$ENV{PGDR_GLOBAL_PROCESS_MAX} = 2;
$ENV{PGDR_ELSE} = $ENV{LD_ELSE} = 'x';

my $pg = PgDr->new_cluster('main', pgdr_conf => { 'archive-timeout' => '1h' });
my $config = $pg->config;

$pg->append_conf('postgresql.conf', "dr.config_file = '$config'\n");
$pg->reload;
$pg->safe_psql('postgres', q{
CREATE EXTENSION dr;
CREATE ROLE watcher LOGIN IN ROLE dr_viewer;
CREATE ROLE worker LOGIN IN ROLE dr_operator;
CREATE TABLE t AS SELECT generate_series(1, 1000) AS a});

# ---- what an operator and a viewer do all day ----

sub as
{
	my ($role, $sql, %how) = @_;
	return $pg->psql('postgres', $sql, extra_params => [ '-U', $role ], %how);
}

my ($rc, $out, $err) =
  as('worker', q{SELECT count(*) FROM dr.check() WHERE severity = 'error'});
is("$rc $out", '0 0', 'check finds nothing wrong') or diag($err);

($rc, $out, $err) = as('worker',
	q{CALL dr.create_backup(annotations => '{"by": "worker"}')});
is($rc, 0, 'an operator takes a backup') or diag($err);
my ($label) = split /\|/, $out;
like($label, qr/^\d{8}T\d{6}Z/, 'which has a label');
is( as_row('watcher', "SELECT state, wal_ok, annotations->>'by'
	FROM dr.get_backup('$label')"),
	'complete|t|worker', 'a viewer sees it');
my (undef, @lines) = $pg->pgdr_json('info');
is($pg->last_of('backup', @lines)->{label}, $label, 'as does the program');
is(as_row('worker', "CALL dr.verify_integrity('$label', true)") =~ s/\|.*//r,
	't', 'it is intact');
is(as_row('watcher', 'SELECT verified_ok, verified_deep FROM dr.backup'),
	't|t', 'which is noted');
is( as_row('watcher', 'SELECT reachable, missing_segment IS NULL, timeline
	FROM dr.recovery_window'),
	't|t|1', 'a recovery window opens');

$pg->safe_psql('postgres', 'INSERT INTO t VALUES (0)');
is(as_row('watcher', q{SELECT rpo > '0', bytes > 0, exact FROM dr.rpo()}),
	't|t|f', 'a commit that is not archived could be lost');
$pg->switch_wal;
poll(sub { as_row('watcher', q{SELECT rpo = '0' FROM dr.rpo()}) eq 't' },
	'RPO to be zero');
pass('and no more when it is');

sub as_row
{
	my ($role, $sql) = @_;
	my ($status, $stdout, $stderr) = as($role, $sql);

	diag($stderr) if $status != 0;
	return $stdout;
}

is(as_row('watcher', "SELECT string_agg(type || ' ' || role, ', ' ORDER BY seq) FROM dr.event"),
	'backup-started worker, backup-completed worker, '
	  . 'verification-started worker, verification-completed worker',
	'who did what is on record');

# ---- what a user says is data ----

my $flag = PostgreSQL::Test::Utils::tempdir() . '/flag';
my @nasty = (
	"'; SELECT pg_terminate_backend(pg_backend_pid()); --",
	'$(touch ' . $flag . ')', "`touch $flag`", "x; touch $flag",
	"| touch $flag", '--config=/etc/passwd', '-h', '--', '"', '\\', "a\nb",
	'{"deep":true}', "\x{c3}\x{a9}", '%s%n', '../..');

foreach my $text (@nasty)
{
	my $quoted = quote($text);

	(undef, undef, my $why) = as('worker', "CALL dr.verify_integrity($quoted)");
	like($why, qr/does not exist|not a label|invalid label/,
		"label $text is no more than a label that is not there");
	(undef, undef, $why) = as('worker', "CALL dr.create_backup(type => $quoted)");
	like($why, qr/unknown type of backup/, "nor is type $text more than a type");
}
ok(!-e $flag, 'no shell has seen them');

my $all = JSON::PP->new->encode({ map { ("k$_" => $nasty[$_]) } 0 .. $#nasty });
like(as_row('worker', "CALL dr.create_backup(annotations => @{[ quote($all) ]})"),
	qr/^\d{8}T/, 'annotations may hold all of them');
is( as_row('watcher',
		"SELECT annotations - 'dr.audit' = @{[ quote($all) ]}::jsonb FROM dr.latest_backup()"),
	't', 'and come back as they were');

sub quote
{
	my ($text) = @_;
	return "'" . ($text =~ s/'/''/gr) . "'";
}

# ---- another encoding ----

$pg->safe_psql('postgres',
	q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$pg->safe_psql('latin', q{
CREATE EXTENSION dr;
SET client_encoding = 'UTF8';
CALL dr.create_backup(annotations => '{"city": "Malmö"}')});
is( $pg->safe_psql('latin',
		q{SELECT octet_length(annotations->>'city') FROM dr.latest_backup()}),
	5, 'a database in LATIN1 has its text in LATIN1');
$pg->safe_psql('postgres', 'CALL dr.sync()');
is( $pg->safe_psql('postgres',
		q{SELECT annotations->>'city' FROM dr.latest_backup()}),
	'Malmö', 'and one in UTF-8 the same in UTF-8');
$pg->safe_psql('postgres', 'DROP DATABASE latin');

# ---- several at once ----

my $script = PostgreSQL::Test::Utils::tempdir() . '/sync.sql';
spew($script, "CALL dr.sync();\n");
($rc, $out, $err) = run_plain([
	'pgbench', '-n', '-c', 4, '-t', 3, '-f', $script, '-h', $pg->host, '-p',
	$pg->port, 'postgres' ]);
is($rc, 0, 'catalogs may be brought up to date at the same time') or diag($err);
is($pg->safe_psql('postgres', 'SELECT count(*) FROM dr.backup'),
	3, 'and are complete then');

# ---- a long one ----
#
# Nothing is archived any more, so that a backup waits for its WAL.

my $command = quote($pg->safe_psql('postgres', 'SHOW archive_command'));
$pg->safe_psql('postgres', q{ALTER SYSTEM SET archive_command = 'false'});
$pg->reload;

# All processes of pgdr that sessions started, and their parents.  A dead one
# that nobody waited for has no arguments any more.
sub programs
{
	my %found;

	foreach my $line (split /\n/, `ps -u $< -o pid=,ppid=,args=`)
	{
		my ($pid, $parent, $args) = $line =~ /^\s*(\d+)\s+(\d+)\s+(.*)$/ or next;

		$found{$pid} = $parent
		  if ($args =~ /^pgdr / && index($args, "$config --output=json") >= 0)
		  || $args =~ /^\[pgdr\] <defunct>/;
	}
	return %found;
}

# Starts a backup in a session of its own that then sleeps; waits until its
# program waits for WAL.  (harness, pid of backend, pid of program)
my $session = 0;

sub start_backup
{
	my (%how) = @_;
	my $name = 'session' . ++$session;
	my ($in, $stdout, $stderr) = ('', '', '');
	my $options = $how{options} // '';
	my $harness = IPC::Run::start([
			'psql', '-XAtq', '-d', $pg->connstr('postgres')
			  . " application_name='$name' options='$options'",
			'-c', 'CALL dr.create_backup()', '-c', 'SELECT pg_sleep(3600)' ],
		'<', \$in, '>', \$stdout, '2>', \$stderr);
	my $backend = poll(
		sub {
			$pg->safe_psql('postgres',
				"SELECT pid FROM pg_stat_activity WHERE application_name = '$name'");
		},
		'the session');
	my $program = poll(
		sub {
			my %found = programs();
			return (grep { $found{$_} == $backend } keys %found)[0];
		},
		'the program');

	# its own session is there
	poll(
		sub {
			$pg->safe_psql('postgres',
				q{SELECT count(*) FROM pg_stat_activity
				  WHERE application_name = 'pgdr'}) > 0;
		},
		'the backup to begin')
	  if !$how{at_once};
	return {
		harness => $harness, backend => $backend, program => $program,
		err => \$stderr, name => $name };
}

# Nothing is left: no program, no zombie, no session of the backup (which
# is what ends the server's backup mode).
sub nothing_left
{
	my ($run, $what) = @_;
	my $gone = eval {
		poll(sub { my %found = programs(); return !%found; },
			'programs to end', 30);
	};

	ok($gone, "$what: the program is gone, and no zombie is left")
	  or diag(`ps -eo pid,ppid,stat,args | grep pgdr`);
	return;
}

sub no_session_left
{
	my ($what) = @_;
	my $gone = eval {
		poll(
			sub {
				$pg->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity
					WHERE application_name = 'pgdr'}) == 0;
			},
			'sessions of the program to end', 30);
	};

	ok($gone, "$what: backup mode is over");
	return;
}

# The session lives on and takes the next statement.
sub lives_on
{
	my ($run, $what) = @_;
	my $sleeps = eval {
		poll(
			sub {
				$pg->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity
					WHERE pid = $run->{backend} AND query LIKE '%pg_sleep%'") == 1;
			},
			'the session to go on', 30);
	};

	ok($sleeps, "$what: the session goes on");
	$pg->safe_psql('postgres', "SELECT pg_terminate_backend($run->{backend})");
	IPC::Run::finish($run->{harness});
	return;
}

# What a process has open for writing in the data directory.  (To read there
# is what a backup is about.)
sub writable_files
{
	my ($pid) = @_;
	my $data_dir = $pg->data_dir;
	my @found;

	foreach my $fd (map { s/.*\///r } glob("/proc/$pid/fd/*"))
	{
		my $file = readlink("/proc/$pid/fd/$fd") // next;
		my ($flags) = slurp_bytes("/proc/$pid/fdinfo/$fd") =~ /^flags:\s*(\d+)/m;

		push @found, $file
		  if index($file, $data_dir) == 0 && oct($flags) & 3;
	}
	return join ' ', @found;
}

my $run = start_backup();

is($pg->safe_psql('postgres', "SELECT backend_xmin IS NULL, backend_xid IS NULL,
	wait_event_type FROM pg_stat_activity WHERE pid = $run->{backend}"),
	't|t|Extension', 'a running backup holds neither snapshot nor transaction');
is(join(' ', split /\0/, slurp_bytes("/proc/$run->{program}/cmdline")),
	"pgdr --config $config --output=json --stdin-options backup",
	'its program has nothing of the user on its command line');
is(join(' ', sort split /\0/, slurp_bytes("/proc/$run->{program}/environ")),
	'LC_ALL=C.UTF-8 PATH=/usr/bin:/bin PGDR_GLOBAL_PROCESS_MAX=2',
	'a clean environment');
is(writable_files($run->{program}), '', 'and none of the files of the server');
is((stat "/proc/$run->{program}")[4], $<, 'and is no other user');

$pg->safe_psql('postgres', "SELECT pg_cancel_backend($run->{backend})");
nothing_left($run, 'cancel');
no_session_left('cancel');
lives_on($run, 'cancel');
like(${ $run->{err} }, qr/canceling statement due to user request/,
	'cancel: and says so');

$run = start_backup(options => '-c statement_timeout=3s', at_once => 1);
nothing_left($run, 'statement_timeout');
no_session_left('statement_timeout');
IPC::Run::finish($run->{harness});
like(${ $run->{err} }, qr/canceling statement due to statement timeout/,
	'statement_timeout: and says so');

# one that does not listen any more
$run = start_backup();
kill 'STOP', $run->{program};
$pg->safe_psql('postgres', "SELECT pg_cancel_backend($run->{backend})");
nothing_left($run, 'cancel of a program that is stopped');
no_session_left('cancel of a program that is stopped');
lives_on($run, 'cancel of a program that is stopped');

# the program dies by itself
$run = start_backup();
kill 'KILL', $run->{program};
nothing_left($run, 'death of the program');
no_session_left('death of the program');
lives_on($run, 'death of the program');
like(${ $run->{err} }, qr/program was terminated by signal 9/,
	'death of the program: and says so');

$run = start_backup();
$pg->safe_psql('postgres', "SELECT pg_terminate_backend($run->{backend})");
nothing_left($run, 'termination');
no_session_left('termination');
IPC::Run::finish($run->{harness});

$run = start_backup();
$run->{harness}->kill_kill;
nothing_left($run, 'client killed');
no_session_left('client killed');
poll(
	sub {
		$pg->safe_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity WHERE pid = $run->{backend}") == 0;
	},
	'the session to end');
pass('client killed: the session has ended');

is($pg->safe_psql('postgres', q{CALL dr.sync();
	SELECT count(*) FROM dr.backup WHERE state = 'complete'}),
	3, 'none of them has left a backup that could be taken for one');

# ---- the server goes ----

foreach my $mode (qw(fast immediate))
{
	$run = start_backup();
	$pg->stop($mode);
	nothing_left($run, "$mode shutdown");
	eval { IPC::Run::finish($run->{harness}) };
	$pg->start;
}

$run = start_backup();
kill 'KILL', $run->{backend};
nothing_left($run, 'backend killed');
eval { IPC::Run::finish($run->{harness}) };
poll(sub { !-e $pg->data_dir . '/postmaster.pid' }, 'the server to give up');
$pg->_update_pid(0);
$pg->start;

$run = start_backup();
$pg->node->kill9;
nothing_left($run, 'postmaster killed');
poll(sub { !kill(0, $run->{backend}) }, 'the backend to end');
pass('postmaster killed: the backend has ended as well');
eval { IPC::Run::finish($run->{harness}) };
$pg->start;

# ---- and afterwards ----

$pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = $command");
$pg->reload;
($rc, $out, $err) = $pg->psql('postgres', 'CALL dr.create_backup()');
is($rc, 0, 'after all that, a backup') or diag($err);
is($pg->safe_psql('postgres', q{SELECT state, wal_ok FROM dr.latest_backup()}),
	'complete|t', 'is complete');
is($pg->safe_psql('postgres', q{
SELECT count(*) FROM dr.event b WHERE b.type = 'backup-started'
	AND 1 <> (SELECT count(*) FROM dr.event e WHERE e.action = b.seq
			  AND e.type IN ('backup-completed', 'backup-failed'))}),
	0, 'each that was begun is on record with one end');
is($pg->safe_psql('postgres', q{
SELECT string_agg(message || ' ' || n, ', ' ORDER BY message) FROM (
	SELECT detail->>'message' AS message, count(*) AS n FROM dr.event
	WHERE type = 'backup-failed' AND detail->>'message' ~ 'canceling|session|signal 9'
	GROUP BY 1) AS f}),
	join(', ', 'canceling statement due to statement timeout 1',
		'canceling statement due to user request 2',
		'program was terminated by signal 9: Killed 1',
		'the session ended before the action did 6'),
	'and with its reason');
is($pg->safe_psql('postgres', 'SELECT count(*) FROM dr.verify_audit()'),
	0, 'the record is whole');

done_testing();
