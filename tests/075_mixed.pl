# A directory, an S3 server and an SFTP server at once, of which one fails in
# the middle of an operation: killed, hung, full, read-only, wiped.  What needs
# it fails and acknowledges nothing, what does not goes on, and repair brings
# back what it missed.

use strict;
use warnings;

use Errno qw(ENOSPC EROFS EIO);
use FaultProxy;
use File::Path qw(remove_tree);
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my @names = qw(local s3 sftp);
my %store = (
	local => Store->new('posix', "$tmp/local"),
	s3 => Store->new('s3', "$tmp/s3"),
	sftp => Store->new('sftp', "$tmp/sftp"));
my $known; # a segment that all have
my %proxy = map { $_ => FaultProxy->new($store{$_}{port}) } qw(s3 sftp);
my %times = ('connect-timeout' => '1s', 'stall-timeout' => '1s', 'total-timeout' => '3s',
	retries => 0);

seed(75);

my $pg = PgDr->new_cluster('mixed', wal_segsize => 1,
	pgdr_conf => { 'archive-timeout' => '20s', 'process-max' => 2 },
	conf => "wal_keep_size = 512MB\n");
my $command = $pg->safe_psql('postgres', 'SHOW archive_command');

# configure($quorum, name => { key => value }, ...): all three, by their proxies.
sub configure
{
	my ($quorum, %keys) = @_;

	$pg->set_config(quorum => $quorum || undef);
	Store::use_in($pg, join '', map {
		my $store = $proxy{$_} ? $store{$_}->through($proxy{$_}->port) : $store{$_};
		$store->section($_, ($_ eq 'local' ? () : %times), %{ $keys{$_} // {} })
	} @names);
	return;
}

sub optional { return configure(0, $_[0] => { required => 'no' }) }

sub archiver
{
	my ($on) = @_;
	my $to = $on ? $command : 'false';

	$pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$to'");
	$pg->reload;
	return;
}

sub has
{
	my ($name, $pattern) = @_;
	return scalar grep { m/$pattern/ } $store{$name}->list;
}

# ---- the faults, and how they end ----

# What is cut, stalls or fails does so after some bytes of the operation.
my %saved;

# Which of them the short version tries: each fault, and each store.
my %short = (local => 'killed|wiped', s3 => 'hung|full', sftp => 'killed|read-only');

my %faults = (
	local => {
		'killed' => sub { return { failing_store($store{local}{root}, $_[0], EIO, 100_000) } },
		'full' => sub { return { failing_store($store{local}{root}, 'write', ENOSPC, 100_000) } },
		'read-only' => sub { return { failing_store($store{local}{root}, 'write', EROFS, 0) } },
		'wiped' => sub { $store{local}->down; return {} },
	},
	s3 => {
		'killed' => sub { $proxy{s3}->set(cut_up => 60_000, cut_down => 60_000); return {} },
		'hung' => sub { $proxy{s3}->set(stall_up => 60_000, stall_down => 60_000); return {} },
		'full' => sub { quota(1); return {} },
		'read-only' => sub { policy('Deny'); return {} },
		'wiped' => sub { $saved{$_} = $store{s3}->fetch($_) for $store{s3}->list; $store{s3}->wipe; return {} },
	},
	sftp => {
		'killed' => sub { $proxy{sftp}->set(cut_up => 60_000, cut_down => 60_000); return {} },
		'hung' => sub { $proxy{sftp}->set(stall_up => 60_000, stall_down => 60_000); return {} },
		'read-only' => sub { chmod_tree('a-w'); return {} },
		'wiped' => sub { rename $store{sftp}{root}, "$store{sftp}{root}.away" or die; return {} },
	});

sub quota
{
	my ($on) = @_;

	$store{s3}->admin('quota', 'set', '--quota-scope=user', '--uid=test', '--max-size=1') if $on;
	$store{s3}->admin('quota', $on ? 'enable' : 'disable', '--quota-scope=user', '--uid=test');
	return;
}

sub policy
{
	my ($effect) = @_;

	spew("$tmp/policy", '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",'
		. '"Action":["s3:PutObject"],"Resource":["arn:aws:s3:::backups/*"]}]}');
	$store{s3}->s3cmd($effect eq 'Deny' ? ('setpolicy', "$tmp/policy") : 'delpolicy',
		's3://backups');
	return;
}

sub chmod_tree { system('chmod', '-R', $_[0], $store{sftp}{root}) == 0 or die 'chmod'; return }

sub undo
{
	my ($name, $fault) = @_;

	$proxy{$name}->set if $proxy{$name};
	quota(0) if "$name $fault" eq 's3 full';
	policy('Allow') if "$name $fault" eq 's3 read-only';
	chmod_tree('u+w') if "$name $fault" eq 'sftp read-only';
	if ($fault eq 'wiped' && $name eq 's3')
	{
		$store{s3}->put($_, $saved{$_}) for sort keys %saved;
		%saved = ();
	}
	elsif ($fault eq 'wiped')
	{
		my $root = $store{$name}{root};

		remove_tree($root);
		rename "$root.away", $root or die "rename: $!";
	}
	return;
}

# ---- operations ----

sub push_case
{
	my ($what, $name, $env) = @_;
	my ($segment) = noise_segments($pg, 1);
	my $path = $pg->data_dir . "/pg_wal/$segment";
	my @others = grep { $_ ne $name } @names;
	my ($rc, $out, $err) = $pg->pgdr('archive-push', $path, { env => $env });

	ok($rc > 0 && $rc < 126, "$what, push: not acknowledged ($rc)");
	like($err, qr/"$name"/, "$what, push: it is named");
	is(scalar(grep { has($_, qr/$segment$/) } @others), 2, "$what, push: the others have it");
	optional($name);
	($rc, $out, $err) = $pg->pgdr('archive-push', $path, { env => $env });
	is($rc, 0, "$what, push: not required, acknowledged") or diag($err);
	like($err, qr/WARNING.*"$name"/is, "$what, push: with a warning");
	configure(2);
	($rc, $out, $err) = $pg->pgdr('archive-push', $path, { env => $env });
	is($rc, 0, "$what, push: a quorum of two") or diag($err);
	configure(0);
	return;
}

sub backup_case
{
	my ($what, $name, $env) = @_;
	my @others = grep { $_ ne $name } @names;

	# the server's archiver meets the fault as well
	optional($name);
	archiver(1);
	my ($rc, @lines) = $pg->pgdr_json('backup', { env => $env });
	archiver(0);
	configure(0);
	is($rc, 0, "$what, backup: not required, complete") or (diag(explain(\@lines)), return);
	my $result = $pg->last_of('result', @lines);
	is(scalar(grep { has($_, qr{^backup/\Q$result->{label}\E/manifest$}) } @others), 2,
		"$what, backup: in the others");
	my %complete = map { $_->{name} => $_->{complete} } @{ $result->{repositories} };
	ok(!$complete{$name}, "$what, backup: and only there, which is said");
	return;
}

sub restore_case
{
	my ($what, $name, $env) = @_;
	my $dir = "$tmp/restored";

	remove_tree($dir);
	my ($rc, $out, $err) = $pg->pgdr('restore', '--target-dir', $dir, { env => $env });
	is($rc, 0, "$what, restore: by the others") or diag($err);
	is(system("pg_verifybackup -n '$dir' >/dev/null"), 0, "$what, restore: right");
	return;
}

# What cannot be asked leaves it open whether there is more.
sub get_case
{
	my ($what, $name, $env, $known) = @_;

	unlink "$tmp/got";
	my ($rc, $out, $err) = $pg->pgdr('archive-get', $known, "$tmp/got", { env => $env });
	is($rc, 0, "$what, get: by the others") or diag($err);
	ok(slurp_bytes("$tmp/got") eq slurp_bytes($pg->data_dir . "/pg_wal/$known"),
		"$what, get: right");
	return;
}

# With the directory gone and one of the others failing, what the last one has
# is got, and what it has not is not known to be absent.
sub get_case_unknown
{
	my ($what, $name, $env) = @_;

	get_case($what, $name, $env, $known);
	my ($rc, $out, $err) = $pg->pgdr('archive-get', '0000000100000000000000F0', "$tmp/none",
		{ env => $env });
	is($rc, 201, "$what, get of none: not known, which is not absent") or diag($err);
	return;
}

sub healed
{
	my ($what) = @_;
	my ($rc, @lines) = $pg->pgdr_json('repair');

	is($rc, 0, "$what: one repair") or diag(explain([ errors_of(@lines) ]));
	($rc, @lines) = $pg->pgdr_json('verify', '--deep', '--no-mark');
	is(scalar(grep { $_->{check} ne 'hole' } errors_of(@lines)), 0, "$what: verify --deep of all")
	  or diag(explain([ errors_of(@lines) ]));
	is(has($_, qr/manifest$/), has('local', qr/manifest$/), "$what: all backups are in $_")
	  for qw(s3 sftp);
	return;
}

configure(0);
$pg->pgdr_ok('repo-init');
$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT md5(n::text) FROM generate_series(1, 60000) n');
archiver(1);
$pg->backup;
$known = Store::ship($pg);
archiver(0);

for my $name (@names)
{
	for my $fault (sort keys %{ $faults{$name} })
	{
		next unless soak() || $fault =~ /^($short{$name})$/;
		my $what = "$name $fault";
		my $reads = $fault =~ /killed|hung|wiped/;
		my $env = $faults{$name}{$fault}->('write');

		push_case($what, $name, $env);
		backup_case($what, $name, $env) if soak() || $fault =~ /killed|full|wiped/;
		if ($reads)
		{
			$env = $faults{$name}{$fault}->('read') if $name eq 'local' && $fault eq 'killed';
			# s3 and sftp come into play when the cheaper one is not there
			$store{local}->down if $name ne 'local';
			$name eq 'local' || $fault eq 'wiped' ? get_case($what, $name, $env, $known)
			  : get_case_unknown($what, $name, $env);
			$store{local}->up if $name ne 'local';
			restore_case($what, $name, $env);
		}
		undo($name, $fault);
		healed($what);
	}
}

# ---- the whole, under load ----

{
	configure(2);
	archiver(1);
	$pg->pgbench_init(2);
	$pg->safe_psql('postgres', 'CREATE TABLE marker (n int)');
	my $load = $pg->pgbench_start('-c', 4, '-T', 60);
	$pg->backup;
	$store{s3}->hang;
	$pg->safe_psql('postgres', 'INSERT INTO marker VALUES (1)');
	my $target = $pg->safe_psql('postgres', q{SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',
		'YYYY-MM-DD HH24:MI:SS.US') || '+00'});
	$pg->safe_psql('postgres', 'INSERT INTO marker VALUES (2)');
	Store::ship($pg);
	$pg->destroy;
	$pg->pgbench_finish($load);
	$pg->restore_here('--target-type=time', '--target', $target);
	$pg->verifybackup_ok('one is hung');
	$pg->adopt;
	$pg->start_recovered;
	is($pg->safe_psql('postgres', 'SELECT max(n) FROM marker'), 1, 'recovered to the target');
	$pg->balanced_ok('recovered');
	$pg->stop;
	$store{s3}->go_on;
	healed('after all');
}

$_->stop for values %store;
done_testing();
