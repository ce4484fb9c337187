# Keys are rotated and rewrapped in stores that are no directories, where an
# object cannot be renamed over another one; a host that has no identity goes on
# writing; a rewrap that is killed loses nothing.

use strict;
use warnings;

use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Time::HiRes qw(sleep);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();

seed(85);

# A configuration beside that of the cluster; undef removes a key.
sub config_with
{
	my ($pg, $name, %keys) = @_;
	my $other = bless { %$pg, config => $pg->dir . "/$name.conf" }, ref $pg;

	spew($other->config, slurp_bytes($pg->config));
	$other->set_config(%keys);
	return $other;
}

# Whoever has the nth identity of the file, and nothing else.
sub only_identity
{
	my ($pg, $name, $n) = @_;
	my $key = (slurp_bytes($pg->identity) =~ /^(AGE-SECRET-KEY-1\S+)$/mg)[$n];
	my $file = "$tmp/$name.txt";

	spew($file, "$key\n");
	chmod 0600, $file;
	my ($rc, $public) = run_plain([ 'age-keygen', '-y', $file ]);
	chomp $public;
	return config_with($pg, $name, 'identity-file' => $file, 'content-key-file' => undef,
		recipient => $public);
}

sub sound_ok
{
	my ($what, $view) = @_;
	my ($rc, $out, $err) = $view->pgdr('verify', '--deep', '--no-mark');

	return ok($rc == 0, "$what: verify --deep finds nothing") || diag($out, $err);
}

for my $kind (qw(s3 sftp))
{
	my $store = Store->new($kind, "$tmp/$kind");
	my $writer = PgDr->new_cluster("k$kind", wal_segsize => 1, pgdr_conf => { 'process-max' => 2 });

	Store::use_in($writer, $store->section('far'));
	$writer->pgdr_ok('repo-init');
	my $admin = config_with($writer, 'admin');
	$writer->set_config('identity-file' => undef);
	noise_segments($writer, 4);
	is(($writer->pgdr('backup'))[0], 0, "$kind: a host without identity takes a backup");

	my $new = $admin->pgdr_result('key', 'rotate')->{recipient};
	my $told = $writer->pgdr_result('key', 'rotate', '--recipient', $new);
	is($told->{recipient}, $new, "$kind: and takes a new recipient");
	is($told->{identity_file}, undef, "$kind: of which it has no identity");
	noise_segments($writer, 2);
	is(($writer->pgdr('backup'))[0], 0, "$kind: it goes on");
	is(($writer->pgdr('check'))[0], 0, "$kind: as check says, too");

	my $pid = in_background([ 'pgdr', '--config', $admin->config, 'key', 'rewrap' ]);
	sleep(0.2 + rand 0.5);
	kill 'KILL', $pid;
	waitpid $pid, 0;
	sound_ok("$kind: killed", $admin);
	my ($rc, @lines) = $admin->pgdr_json('key', 'rewrap');
	ok($admin->last_of('result', @lines)->{complete}, "$kind: the next run completes it")
	  || diag(explain(\@lines));
	is(scalar(grep { m{^rewrap/} } $store->list), 0, "$kind: nothing is left of it");
	sound_ok("$kind: the new identity alone", only_identity($admin, "${kind}_new", 1));
	is((only_identity($admin, "${kind}_old", 0)->pgdr('verify', '--deep'))[0],
		7, "$kind: to the old one it is closed");
	is(($writer->pgdr('backup'))[0], 0, "$kind: the host without identity takes backups still");
	$writer->stop;
	$store->stop;
}

done_testing();
