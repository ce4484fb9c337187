# Keys: a new one for what is written from now on, then for all that is stored;
# killed at any moment of that, nothing is lost; hosts that only write go on; the
# old key reads nothing of what was rewrapped.

use strict;
use warnings;

use File::Path qw(remove_tree);
use PgDr;
use PostgreSQL::Test::Utils;
use Store;
use Test::More;
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', wal_segsize => 1, pgdr_conf => { 'process-max' => 2 });

seed(82);

# ---- helpers ----

sub objects
{
	my ($view) = @_;
	return grep { !m{^(?:repo\.json$|quarantine/|rewrap/)|(?:^|/)\.[^/]+\.tmp$} }
	  map { s/^\Q@{[ $view->repo ]}\E\///r } repository_files($view->repo);
}

# Temporary files are no objects; they are collected after a day.
sub staged
{
	my ($view) = @_;
	return grep { m{^rewrap/} && !m{/\.[^/]+\.tmp$} }
	  map { s/^\Q@{[ $view->repo ]}\E\///r } repository_files($view->repo);
}

# The secret keys of a file, each as a file of its own, in its order.
sub identities_of
{
	my ($view, $name) = @_;
	my @keys = slurp_bytes($view->identity) =~ /^(AGE-SECRET-KEY-1\S+)$/mg;
	my @files = map { "$tmp/$name.$_" } 0 .. $#keys;

	for my $i (0 .. $#keys)
	{
		spew($files[$i], "$keys[$i]\n");
		chmod 0600, $files[$i];
	}
	return @files;
}

# A copy of the repository for somebody who has one identity and nothing else: no
# content key, no other recipient.
sub with_identity
{
	my ($view, $name, $file) = @_;
	my ($public) = run_ok('age-keygen', '-y', $file) =~ /(age1\S+)/;

	return clone_view($view, "$tmp/$name", 'identity-file' => $file, 'content-key-file' => undef,
		recipient => $public);
}

sub run_ok
{
	my (@command) = @_;
	my ($rc, $out, $err) = run_plain(\@command);

	die "@command exited with $rc: $err" if $rc != 0;
	return $out;
}

# Those that stock age opens with an identity.
sub opened_by
{
	my ($view, $identity) = @_;
	return grep {
		(run_plain([ 'age', '-d', '-i', $identity, '-o', "$tmp/opened", $view->repo . "/$_" ]))[0] == 0
	} objects($view);
}

sub sound_ok
{
	my ($what, $view) = @_;
	my ($rc, @lines) = $view->pgdr_json('verify', '--deep', '--no-mark');
	my @errors = errors_of(@lines);

	return ok($rc == 0 && !@errors, "$what: verify --deep finds nothing")
	  || diag(explain(\@lines));
}

# ---- one key after the other ----

$pg->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
my $first = $pg->backup;
$pg->switch_wal;
my @before = objects($pg);
my %at_first = (view => clone_view($pg, "$tmp/at_first"));

my $old_public = $pg->setting('recipient') =~ s/@.*//r;
like($pg->setting('recipient'), qr/^age1[a-z0-9]{58}\@\d{4}-\d\d-\d\d$/,
	'init notes the day on which the key was made');

my $rotated = $pg->pgdr_result('key', 'rotate');
my $new_public = $rotated->{recipient};
isnt($new_public, $old_public, 'there is a new key');
is_deeply($rotated->{replaced}, [$old_public], 'it replaces the old one');
like($pg->setting('recipient'), qr/^\Q$new_public\E\@/, 'which the configuration names');
my ($old_id, $new_id) = identities_of($pg, 'id');
ok($new_id, 'both identities are in the file');

$pg->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1001, 2000)');
my $second = $pg->backup;
my %opened = map { $_ => 1 } opened_by($pg, $new_id);
my %is_before = map { $_ => 1 } @before;
is_deeply([ sort keys %opened ], [ grep { !$is_before{$_} } objects($pg) ],
	'what was written since is for the new key, the rest is not');
sound_ok('between', $pg);

my (undef, @uses) = $pg->pgdr_json('key', 'list', '--objects');
my @keys = grep { $_->{type} eq 'key' } @uses;
is_deeply([ map { [ $_->{recipient}, $_->{configured}, $_->{identity} ] } @keys ],
	[ [ $new_public, JSON::PP::true, JSON::PP::true ],
		[ $old_public, JSON::PP::false, JSON::PP::true ] ],
	'both keys are listed');
is_deeply({ map { ("@{ $_->{keys} }" => $_->{backups}) } grep { $_->{type} eq 'key_use' } @uses },
	{ substr($old_public, 0, 16) => 1, substr($new_public, 0, 16) => 1 },
	'and a backup for each');

# The new identity alone finds its way to what was written since.
{
	my $alone = with_identity($pg, 'alone', $new_id);
	my ($rc, $out, $err) = $alone->pgdr('repo-get', "backup/$second/manifest");
	is($rc, 0, 'repository and new identity suffice for what was written since') || diag($err);
}

my $mixed = clone_view($pg, "$tmp/mixed");

my $dry = $pg->pgdr_result('key', 'rewrap', '--dry-run');
is($dry->{rewrapped}, scalar @before, 'a dry run counts what is for the old key');

my $done = $pg->pgdr_result('key', 'rewrap');
is($done->{rewrapped}, scalar @before, 'all of that is rewrapped');
ok($done->{complete}, 'which is complete');
is_deeply([ opened_by($pg, $old_id) ], [], 'the old key opens nothing any more');
is_deeply([ opened_by($pg, $new_id) ], [ objects($pg) ], 'stock age opens all with the new one');
sound_ok('the new key alone', with_identity($pg, 'alone2', $new_id));
{
	my ($rc) = with_identity($pg, 'alone3', $old_id)->pgdr('verify', '--deep', '--no-mark');
	is($rc, 7, 'to the old identity alone the repository is closed');
}
is($pg->pgdr_result('key', 'rewrap')->{rewrapped}, 0, 'a second run finds nothing to do');
is_deeply([ staged($pg) ], [], 'nothing is left of it');

my $copy = $pg->restore('copy', '--target-type=immediate', '--backup', $first);
$copy->start;
poll(sub { $copy->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 'f' }, 'recovery');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM t'), 1000,
	'the first backup can be restored with the new key');
$copy->stop;

# ---- the drill of the manual ----

# Its first block of commands, with the places of this machine.
{
	my ($drill) = slurp_bytes("$ENV{TESTDIR}/doc/keys.md") =~ /^## Lost-key drill\n.*?^```sh\n(.*?)^```\n/ms;
	my $repo = $pg->repo;
	my $port = Store::free_port();

	mkdir "$tmp/safe" or die $!;
	mkdir "$tmp/elsewhere" or die $!;
	spew("$tmp/safe/identity.txt", slurp_bytes($pg->identity));
	$drill =~ s{/safe}{$tmp/safe}g;
	$drill =~ s{/srv/backup/main}{$repo}g;
	$drill =~ s{54999}{$port}g;
	my ($rc, $out, $err) = run_plain([ 'sh', '-exc', $drill ], { cwd => "$tmp/elsewhere",
			env => { PGDR_CONFIG => '/nonexistent' } });
	is($rc, 0, 'the drill of the manual passes') || diag("$out$err");
	like($out, qr/no errors/, 'verify has found nothing in it');
	ok(!-e "$tmp/elsewhere/drill", 'and it leaves nothing');
}

# ---- AES, where it must be named ----

{
	$pg->set_config(cipher => 'aes-256-gcm');
	my $label = $pg->backup;
	my $manifest = $pg->repo . "/backup/$label/manifest";
	my ($rc, $out, $err) = run_plain([ 'age', '-d', '-i', $new_id, $manifest ]);

	isnt($rc, 0, 'stock age does not take what is encrypted with AES');
	like($err, qr/pgdr-aes-256-gcm/, 'and says what it has met');
	is(($pg->pgdr("repo-get", "backup/$label/manifest"))[0], 0, 'pgdr reads it');
	sound_ok('both ciphers side by side', $pg);
	$pg->pgdr_ok('key', 'rotate');
	my $r = $pg->pgdr_result('key', 'rewrap');
	ok($r->{complete}, 'it can be rewrapped');
	like(slurp_bytes($manifest), qr/^pgdr-aes-256-gcm/, 'and stays what it is');
	my $aes = $pg->restore('aes', '--target-type=immediate', '--backup', $label);
	$aes->start;
	poll(sub { $aes->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 'f' }, 'recovery');
	is($aes->safe_psql('postgres', 'SELECT count(*) FROM t'), 2000, 'and restored');
	$aes->stop;
	$pg->set_config(cipher => undef);
}

# ---- killed ----

# The same, but killed just before its N-th call that changes a file.
sub killed_at
{
	my ($view, $call, @args) = @_;
	return ($view->pgdr(@args, { env => { signal_at($call) } }))[0];
}

# A view's own copies of what a rotation changes.
sub own_files
{
	my ($view, $dir) = @_;
	my $text = slurp_bytes($view->config);

	spew("$dir/identity", slurp_bytes($view->identity));
	chmod 0600, "$dir/identity";
	$text =~ s/^identity-file\s*=.*$/identity-file = $dir\/identity/m;
	spew($view->config, $text);
	return $view;
}

# A kill at each call would be thousands of runs: some of them, not always the
# same ones in a long run.
sub some_calls
{
	my ($calls, $count) = @_;
	my %chosen = map { 1 + int(rand $calls) => 1 } 1 .. $count;

	return sort { $a <=> $b } keys %chosen;
}

{
	my $calls = count_calls(
		sub { clone_view($mixed, "$tmp/count")->pgdr_ok('key', 'rewrap', { env => $_[0] }) });
	my (@lost, @left);

	cmp_ok($calls, '>', 50, "a rewrap makes calls to be killed at ($calls)");
	for my $call (some_calls($calls, soak() ? 100 : 5))
	{
		my $view = clone_view($mixed, "$tmp/killed");
		my $rc = killed_at($view, $call, 'key', 'rewrap');
		my ($verified, @lines) = $view->pgdr_json('verify', '--deep', '--no-mark');

		push @lost, "call $call ($rc): " . join ', ', map { $_->{message} } errors_of(@lines)
		  if $verified != 0;
		push @lost, "call $call: other objects" if "@{[ objects($view) ]}" ne "@{[ objects($mixed) ]}";
		$view->pgdr_result('key', 'rewrap');
		push @left, "call $call: " . join ', ', opened_by($view, $old_id) if opened_by($view, $old_id);
		push @left, "call $call: $_" for staged($view);
		my ($alone) = with_identity($view, 'after', $new_id)->pgdr('verify', '--deep', '--no-mark');
		push @left, "call $call: the new key does not do ($alone)" if $alone != 0;
	}
	is_deeply(\@lost, [], 'killed at any call of a rewrap, nothing is lost');
	is_deeply(\@left, [], 'and the next one completes it');
}

{
	my $from = $at_first{view};
	my $calls = count_calls(sub {
			own_files(clone_view($from, "$tmp/count"), "$tmp/count")
			  ->pgdr_ok('key', 'rotate', { env => $_[0] });
		});
	my @wrong;

	for my $call (soak() ? 1 .. $calls : some_calls($calls, 8))
	{
		my $view = own_files(clone_view($from, "$tmp/killed"), "$tmp/killed");

		killed_at($view, $call, 'key', 'rotate');
		my $recipient = $view->setting('recipient');
		my ($rc, $out, $err) = $view->pgdr('verify', '--deep', '--no-mark');
		push @wrong, "call $call: $err" if $rc != 0;
		push @wrong, "call $call: no identity for $recipient"
		  if !grep { run_ok('age-keygen', '-y', $_) =~ /\Q@{[ $recipient =~ s{\@.*}{}r ]}\E/ }
		  identities_of($view, 'killed');
		next if $recipient !~ /\Q$old_public\E/;
		$view->pgdr_ok('key', 'rotate');
		my $count = () = identities_of($view, 'killed');
		push @wrong, "call $call: $count identities" if $count != 2;
		my ($new) = (identities_of($view, 'killed'))[1];
		my ($alone) = with_identity($view, 'after', $new)->pgdr('check', '--no-archive');
		push @wrong, "call $call: the new key alone does not open the repository" if $alone == 7;
	}
	is_deeply(\@wrong, [], 'killed at any call of a rotation, it can be gone on with');
}

done_testing();
