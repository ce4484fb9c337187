# An outage of both repositories, one killed and one hung, while the server
# works: WAL piles up, nothing is lost, and the backlog drains by itself.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(sleep time);

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $seconds = $ENV{PGDR_OUTAGE} // (soak() ? 600 : 10);
my %store = map { $_ => Store->new($_, "$tmp/$_") } qw(s3 sftp);
my $pg = PgDr->new_cluster('outage', wal_segsize => 1);

# What piled up has to be replayed.
$PostgreSQL::Test::Utils::timeout_default = 1800 if $seconds > 60;

sub failed
{
	return $pg->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver');
}

sub waiting
{
	my @ready = glob $pg->data_dir . '/pg_wal/archive_status/*.ready';
	return scalar @ready;
}

Store::use_in($pg, join '', map { $store{$_}->section($_) } sort keys %store);
$pg->pgdr_ok('repo-init');
$pg->pgbench_init(2);
$pg->backup;
my $load = $pg->pgbench_start('-c', 4, '-T', $seconds + 5);

sleep 2;
my $before = failed();
$store{s3}->down;
$store{sftp}->hang;
my $start = time;
PgDr::poll(sub { failed() > $before }, 'archiving to fail');
sleep $seconds - (time - $start) if time - $start < $seconds;
my $backlog = waiting();
cmp_ok($backlog, '>', 0, "$backlog segments wait after $seconds s");
my ($rc, @lines) = $pg->pgdr_json('check', '--no-archive');
is($rc, 10, 'check reports it');
is(scalar(grep { $_->{type} eq 'problem' && $_->{check} eq 'repository' } @lines), 2,
	'of both repositories') or diag(explain(\@lines));

# While a store hangs, one can look at those who wait for it.
my $own = getpriority(0, 0);

sub niceness_of
{
	my (@args) = @_;
	my $run = $pg->pgdr_start('--repo=sftp', @args);
	my $nice;

	PgDr::poll(sub {
		$nice = (split ' ', slurp_bytes("/proc/$run->{KIDS}[0]{PID}/stat") =~ s/^.*\)//sr)[16];
		return $nice != $own || time - $start > 3 }, 'a priority');
	$run->kill_kill;
	return $nice;
}

my $nice = $own < 12 ? $own + 7 : 19;

$pg->set_config(nice => $nice);
$start = time;
is(niceness_of('verify'), $nice, 'verify is nice');
is(niceness_of('backup'), $nice, 'so is a backup');
is(niceness_of('archive-get', '0000000100000000000000F0', "$tmp/none"), $own,
	'a recovery that waits is not kept waiting');
$pg->set_config(nice => undef);
$store{s3}->up;
$store{sftp}->go_on;
$start = time;
$pg->pgbench_finish($load);
$pg->safe_psql('postgres', 'CREATE TABLE last AS SELECT count(*) AS n FROM pgbench_history');
my $segment = Store::ship($pg);
is(waiting(), 0, sprintf 'the backlog has drained by itself (%.1f s)', time - $start);

my ($name) = grep { m{/\Q$segment\E$} } $store{s3}->list;
for my $kind (sort keys %store)
{
	my %there = map { m{/([0-9A-F]{24})$} ? ($1 => 1) : () } $store{$kind}->list;
	my ($timeline, $high, $low) = map { hex } $segment =~ /^(.{8})(.{8})(.{8})$/;
	my ($first) = map { hex substr $_, 8 } sort keys %there;
	my @missing;

	for my $n ($first .. ($high << 32) + $low)
	{
		my $file = sprintf '%08X%08X%08X', $timeline, $n >> 32, $n & 0xFFFFFFFF;

		# a megabyte each: there are 4096 in a file of the log
		push @missing, $file if ($n & 0xFFFFFFFF) < 4096 && !$there{$file};
	}
	is_deeply(\@missing, [], "$kind: no segment is missing");
}
my ($rc2, $out, $err) = $pg->pgdr('verify', '--deep');
is($rc2, 0, 'verify --deep of both') or diag($out, $err);

$pg->destroy;
$pg->restore_here;
$pg->verifybackup_ok('restored');
$pg->adopt;
$pg->start_recovered;
$pg->balanced_ok('recovered');
is($pg->safe_psql('postgres', 'SELECT n = (SELECT count(*) FROM pgbench_history) FROM last'),
	't', 'every transaction is there');
$pg->stop;
$_->stop for values %store;

done_testing();
