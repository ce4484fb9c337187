# Damage: every way of spoiling a file of a good repository, or a key, is
# detected by "verify --deep" and named; nothing of it is ever restored
# silently, and a server that recovers stops.
#
# What cannot be told from the store alone (doc/threat-model.md): that the
# newest WAL, or a whole backup, or a mark was removed.  These cases are in
# %lost, with the reason, and tested for not being an error.

use strict;
use warnings;

use File::Basename qw(basename);
use File::Copy ();
use File::Path qw(make_path);
use List::Util qw(shuffle);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Time::Local qw(timegm);
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();

seed(50);

# ---- a good repository, and three that an adversary could have ----

# "main" is the one.  "forged" is made for the same recipient by somebody who
# does not know the content key, "plain" is not encrypted.  All three archive
# the same server, and backups have the same labels in them, so that each has
# an object for every name.
my $pg = PgDr->new_cluster('main', conf => "wal_keep_size = 64MB\n");
my %other = map { $_ => second($_) } qw(forged plain);

sub second
{
	my ($name) = @_;
	my $dir = "$tmp/$name";
	my $other = bless { %$pg,
		dir => $dir, config => "$dir/pgdr.conf", repo => "$dir/repo"
	}, ref $pg;
	my @how = $name eq 'plain' ? '--no-encryption' : ();

	mkdir $dir or die "mkdir: $!";
	# pgdr init uses the identity that it finds
	File::Copy::cp($pg->identity, "$dir/identity.txt") or die "cp: $!"
	  unless @how;
	$other->pgdr_ok(
		'init', '--pgdata', $pg->data_dir, '--repo-path', $other->repo,
		'--connection', $pg->connection, @how);
	return $other;
}

sub archive_in_all
{
	my $command = join ' && ',
	  map { "pgdr --config $_->{config} archive-push %p" }
	  $pg, @other{qw(forged plain)};

	$pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$command'");
	$pg->reload;
	return;
}

# A backup with the label of one taken before.
sub backup_again
{
	my ($where, $label) = @_;
	my ($date, $hour, $min, $sec) =
	  $label =~ /^(\d{8})T(\d\d)(\d\d)(\d\d)Z$/ or die $label;
	my ($y, $m, $d) = $date =~ /^(....)(..)(..)$/;
	my $then = timegm($sec, $min, $hour, $d, $m - 1, $y);
	my %env = fake_clock($then + 0.1 - time());
	my $result = $where->pgdr_result('backup', { env => \%env });

	is($result->{label}, $label, "the label $label again");
	return;
}

archive_in_all();
$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');

# The older state of a backup: taken, set aside, and taken again.
sub backup_everywhere
{
	my $label = $pg->backup;

	make_path("$tmp/older/backup");
	rename $pg->repo . "/backup/$label", "$tmp/older/backup/$label"
	  or die "rename: $!";
	$pg->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 100)');
	backup_again($_, $label) for $pg, @other{qw(forged plain)};
	return $label;
}

sub some_wal
{
	my ($count) = @_;
	my @names;

	for my $i (1 .. $count)
	{
		$pg->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 1000)');
		push @names, $pg->switch_wal;
	}
	return @names;
}

my @wal = some_wal(2);
my $first = backup_everywhere();
push @wal, some_wal(4);

# A second timeline, which leaves a .partial and a .history file.
$pg->stop;
$pg->set_standby_mode;
$pg->start;
$pg->safe_psql('postgres', 'SELECT pg_promote()');
my @wal2 = some_wal(2);
my $second = backup_everywhere();
push @wal2, some_wal(3);

# Names of objects, from the repository's directory.
sub objects
{
	my ($pattern) = @_;
	my $repo = $pg->repo;

	return grep { m/$pattern/ }
	  map { s/^\Q$repo\E\///r } repository_files($repo);
}

my @packs = objects("backup/$second/data/");
my ($partial) = objects('\.partial$');
my ($backup_history) = objects('/00000002/.*\.backup$');
my $history = $pg->object_name('00000002.history');
my $middle = $pg->object_name($wal2[2]);

{
	my ($rc, @lines) = $pg->pgdr_json('verify', '--deep');
	is($rc, 0, 'the repository is good');
	is_deeply([ grep { $_->{type} eq 'problem' } @lines ],
		[], 'without a warning');
	ok(@packs >= 2 && $partial && $backup_history,
		'it has an object of every kind');
}
my ($mark) = objects("backup/$second/mark/");
my ($mark2) = objects("backup/$first/mark/");
my ($lease, $lease2) = objects("backup/$second/lease/");
$lease2 //= (objects("backup/$first/lease/"))[0];

# ---- ways to spoil an object ----

# Where the parts of an encrypted object lie: [first byte, byte after].
sub parts_of
{
	my ($bytes) = @_;
	my ($header) = $bytes =~ /\A(.*?\n--- [^\n]*\n)/s or die 'no age header';
	my ($before, $stanza) =
	  $header =~ /\A(.*-> pgdr-object\n)(.*?)\n---/s or die 'no metadata';
	my $text = index $header, '-> X25519';

	return (
		magic => [ 0, 10 ],
		recipient => [ index($header, "\n", $text) + 1, length($before) - 16 ],
		metadata => [ length $before, length($before) + 40 ],
		'metadata end' => [
			length($before) + length($stanza) - 30,
			length($before) + length $stanza ],
		mac => [ length($header) - 30, length($header) - 1 ],
		payload => [ length $header, length($header) + 16 ],
		middle => [ (length($header) + length $bytes) / 2, length $bytes ],
		end => [ length($bytes) - 16, length $bytes ]);
}

sub flip_in
{
	my ($part) = @_;

	return sub {
		my ($path) = @_;
		my $bytes = slurp_bytes($path);
		my %parts = parts_of($bytes);
		my ($from, $to) = map { int } @{ $parts{$part} };
		my $at = $from + int rand($to - $from);
		my $bit = int rand 8;

		note("bit $bit of byte $at");
		rewrite($path, flip_bit($bytes, $at, $bit));
	};
}

sub change { my ($code) = @_; return sub { rewrite($_[0], $code->(slurp_bytes($_[0]))) } }

# In the same repository: two objects, each under the name of the other.
sub swap
{
	my ($other) = @_;

	return sub {
		my ($path, $view) = @_;
		my $there = $view->repo . "/$other";
		my ($a, $b) = (slurp_bytes($path), slurp_bytes($there));

		rewrite($path, $b);
		rewrite($there, $a);
	};
}

# The object of the same name of another repository.
sub from_repo
{
	my ($repo) = @_;

	return sub {
		my ($path, $view, $name) = @_;

		rewrite($path, slurp_bytes("$repo/$name"));
	};
}

my %generic = (
	(map { ("flip, $_" => flip_in($_)) }
		  qw(magic recipient metadata mac payload middle end), 'metadata end'),
	'empty' => change(sub { '' }),
	'first half' => change(sub { substr $_[0], 0, length($_[0]) / 2 }),
	'less one byte' => change(sub { substr $_[0], 0, -1 }),
	'one byte more' => change(sub { "$_[0]\0" }),
	'twice' => change(sub { $_[0] x 2 }),
	'zeros' => change(sub { "\0" x length $_[0] }),
	'deleted' => sub { unlink $_[0] or die "unlink: $!" },
	'a directory' => sub { unlink $_[0]; mkdir $_[0] or die "mkdir: $!" },
	'forged for the recipient' => from_repo($other{forged}->repo),
	'not encrypted' => from_repo($other{plain}->repo));

my $older = from_repo("$tmp/older");

# Each kind: its object, what takes its place in a swap, how it is used, and
# ways that are its own.
my %kind = (
	'WAL' => {
		name => $middle,
		swap => $pg->object_name($wal2[1]),
		use => 'get',
		more => { 'swapped with the other timeline' =>
			  swap($pg->object_name($wal[3])) } },
	'WAL that the backup needs' => {
		name => $pg->object_name(needed_segment()),
		swap => $pg->object_name($wal2[0]),
		use => 'get' },
	'.partial' => { name => $partial, swap => $middle, use => 'get' },
	'.backup' => { name => $backup_history, swap => $history, use => 'get' },
	'history' => { name => $history, swap => $backup_history, use => 'get' },
	'first pack' => {
		name => $packs[0],
		swap => $packs[1],
		use => 'restore',
		more => {
			'of an older state' => $older,
			'swapped with the other backup' =>
			  swap("backup/$first/data/000001") } },
	'last pack' => {
		name => $packs[-1],
		swap => $packs[0],
		use => 'restore',
		more => { 'of an older state' => $older } },
	'manifest' => {
		name => "backup/$second/manifest",
		swap => "backup/$first/manifest",
		use => 'restore',
		more => { 'of an older state' => $older } },
	'mark' => { name => $mark, swap => $mark2, use => 'none' },
	'lease' => { name => $lease, swap => $lease2, use => 'none' });

# The segment in which the newest backup begins.
sub needed_segment
{
	my ($rc, @lines) = $pg->pgdr_json('info');
	my ($backup) =
	  grep { $_->{type} eq 'backup' && $_->{label} eq $second } @lines;
	my $name = $pg->safe_psql('postgres',
		"SELECT pg_walfile_name('$backup->{start_lsn}')");

	return $name;
}

# Not an error, and why.
my %lost = (
	'mark' => 'a mark that is gone was never made',
	'lease' => 'the backup is complete',
	'.partial' => 'nothing says that it was there, and nothing needs it',
	'.backup' => 'nothing says that it was there, and nothing needs it',
	'manifest' => 'the backup does not exist any more');

# Only a warning, because there is a later backup behind it.
my %warned = ('history' => 'backups of that timeline can be recovered');

# For kinds other than these, "make check" takes some of the ways only.
my %in_full = map { $_ => 1 } 'WAL', 'first pack', 'manifest';
my $some = 6;

# The other repositories have no marks and leases of the same time.
sub applies
{
	my ($kind, $way) = @_;
	return 0 if $kind =~ /^(?:mark|lease)$/ && $way =~ /^(?:forged|not enc)/;
	return 1;
}

sub ways_of
{
	my ($kind, $ways) = @_;
	my @all = grep { applies($kind, $_) } sort keys %$ways;
	my @few = (shuffle @all)[ 0 .. $some - 1 ];

	return @all if soak() || $in_full{$kind};
	return sort @few;
}

sub is_removal { return $_[0] eq 'deleted' || $_[0] eq 'a directory' }

# ---- what must be seen ----

# The name of an object of which an error speaks: its own, or the backup's.
sub names
{
	my ($object, $problem) = @_;
	my ($label) = $object =~ m{^(backup/[^/]+)/};
	my $said = $problem->{object} // '';

	return 1 if $said eq $object;
	return 1 if index($problem->{message} // '', basename($object)) >= 0;
	return defined $label && $said eq $label;
}

sub seen_deep
{
	my ($what, $view, $object) = @_;
	my ($rc, @lines) = $view->pgdr_json('verify', '--deep', '--no-mark');
	my @errors = errors_of(@lines);

	is($rc, 10, "$what: verify --deep finds it");
	ok((grep { names($object, $_) } @errors) > 0, "$what: and names it")
	  or diag(explain(\@lines));
	return;
}

sub warned_of
{
	my ($what, $view, $object) = @_;
	my ($rc, @lines) = $view->pgdr_json('verify', '--deep', '--no-mark');

	ok((grep { $_->{type} eq 'problem' && names($object, $_) } @lines) > 0,
		"$what: verify --deep warns of it");
	return;
}

# The server asks in its data directory, which is still on the first timeline.
my $early = $pg->restore('early', '--backup', $first);

sub not_got
{
	my ($what, $view, $object) = @_;
	my $file = basename($object);
	my $to = $view->dir . '/got';
	my ($rc, $out, $err) = $view->pgdr('archive-get', $file, $to,
		{ cwd => $early->data_dir });

	ok($rc >= 200 && $rc <= 209, "$what: archive-get ends with $rc")
	  or diag($out, $err);
	like($err, qr/\Q$file\E/, "$what: and names it");
	ok(!-e $to, "$what: nothing is delivered");
	return;
}

sub not_restored
{
	my ($what, $view, $named) = @_;
	my $dir = $view->dir . '/data';
	my ($rc, $out, $err) =
	  $view->pgdr('restore', '--backup', $second, '--target-dir', $dir);

	ok($rc != 0 && $rc < 125, "$what: restore ends with $rc");
	like($err, $named, "$what: and names it");
	ok(!-e "$dir/global/pg_control", "$what: what is there cannot be started");
	return;
}

# What was added behind a pack is never read.  A restore may refuse it, or brings
# back exactly what was backed up.
sub not_misled
{
	my ($what, $view, $named) = @_;
	my $dir = $view->dir . '/data';
	my ($rc, $out, $err) =
	  $view->pgdr('restore', '--backup', $second, '--target-dir', $dir);

	return like($err, $named, "$what: restore refuses it, and names it") if $rc != 0;
	is(system('pg_verifybackup', '-q', '-n', $dir), 0,
		"$what: restored as it was backed up");
	return;
}

# Without a key: the metadata's MAC, and the SHA-256 of what follows the head.
sub seen_shallow
{
	my ($what, $view) = @_;
	my $identity = $view->identity;

	$view->set_config('identity-file' => undef);
	my ($rc) = $view->pgdr('verify', '--no-mark');
	$view->set_config('identity-file' => $identity);
	is($rc, 10, "$what: verify without a key finds it");
	return;
}

# ---- the table ----

my $cases = 0;

for my $kind (sort keys %kind)
{
	my $k = $kind{$kind};
	my %ways = (%generic, swapped => swap($k->{swap}), %{ $k->{more} // {} });

	for my $way (ways_of($kind, \%ways))
	{
		my $what = "$kind $way";
		my $view = clone_view($pg, "$tmp/case");
		my $path = $view->repo . "/$k->{name}";

		$cases++;
		-f $path or die "$path is no file";
		$ways{$way}->($path, $view, $k->{name});

		if (is_removal($way) && $lost{$kind})
		{
			my ($rc) = $view->pgdr('verify', '--deep', '--no-mark');
			is($rc, 0, "$what: not an error: $lost{$kind}");
		}
		elsif (is_removal($way) && $warned{$kind})
		{
			warned_of($what, $view, $k->{name});
		}
		else
		{
			# these are covered by age's own MAC alone
			seen_shallow($what, $view)
			  unless $way =~ /^flip, (?:recipient|mac)/;
			seen_deep($what, $view, $k->{name});
		}
		not_got($what, $view, $k->{name})
		  if $k->{use} eq 'get' && !(is_removal($way) && $lost{$kind});
		next if $k->{use} ne 'restore';
		my $named = qr/\Q$k->{name}\E|\Q$second\E/;

		$way =~ /^(?:one byte more|twice)$/ && $kind =~ /pack/
		  ? not_misled($what, $view, $named)
		  : not_restored($what, $view, $named);
	}
}

# The end of the archive, removed: there is nothing to tell it by.
{
	my $view = clone_view($pg, "$tmp/case");
	my $last = ($pg->segments)[-1];

	unlink $view->object_path($last) or die "unlink: $!";
	my ($rc) = $view->pgdr('verify', '--deep', '--no-mark');
	is($rc, 0, 'newest WAL deleted: not an error, it may never have come');
	($rc) = $view->pgdr('archive-get', $last, "$tmp/none",
		{ cwd => $early->data_dir });
	is($rc, 1, 'newest WAL deleted: the end of the archive');
}

# ---- repo.json and the keys ----

# No command works, each says why, and nothing is written.
sub nothing_works
{
	my ($what, $view, $named, $segment) = @_;
	my @before = repository_files($view->repo);
	my ($rc, $out, $err) = $view->pgdr('verify', '--deep', '--no-mark');

	$cases++;
	ok((grep { $rc == $_ } 3, 5, 6, 7, 9, 10), "$what: verify --deep ends with $rc");
	like($out . $err, $named, "$what: and names it");
	($rc, $out, $err) = $view->pgdr('archive-get', $wal[0], "$tmp/none",
		{ cwd => $early->data_dir });
	ok($rc >= 200 && $rc <= 209, "$what: archive-get ends with $rc");
	like($err, $named, "$what: and names it");
	not_restored($what, $view, $named);
	is_deeply([ repository_files($view->repo) ],
		\@before, "$what: the repository is as it was");
	return;
}

my $repo_json = slurp_bytes($pg->repo . '/repo.json');
my $flips = soak() ? 200 : 8;
my %json_ways = (
	'empty' => sub { '' },
	'first half' => sub { substr $_[0], 0, length($_[0]) / 2 },
	# the last byte is a line feed, which nobody misses
	'less two bytes' => sub { substr $_[0], 0, -2 },
	'one byte more' => sub { "$_[0]\0" },
	'twice' => sub { $_[0] x 2 },
	'without a format' => sub { $_[0] =~ s/"format"/"farmat"/r },
	'without a check' => sub { $_[0] =~ s/"check"/"cheek"/r },
	'of a later format' => sub { $_[0] =~ s/"format":1/"format":2/r },
	'of another key' => sub { slurp_bytes($other{forged}->repo . '/repo.json') },
	'not encrypted' => sub { slurp_bytes($other{plain}->repo . '/repo.json') },
	map {
		my ($at, $bit) = (int rand length $repo_json, int rand 8);
		("bit $bit of byte $at" => sub { flip_bit($_[0], $at, $bit) })
	} 1 .. $flips);

for my $way (sort keys %json_ways)
{
	my $view = clone_view($pg, "$tmp/case");

	rewrite($view->repo . '/repo.json', $json_ways{$way}->($repo_json));
	nothing_works("repo.json $way", $view,
		qr/repo\.json|repository|not encrypted/);
}
{
	my $view = clone_view($pg, "$tmp/case");

	unlink $view->repo . '/repo.json' or die "unlink: $!";
	nothing_works('repo.json deleted', $view, qr/repository/);
}

# One letter of the secret for another one.
sub misspell
{
	my ($text) = @_;
	my ($secret) = $text =~ /^(AGE-SECRET-KEY-1.*)$/m or die 'no secret';
	my $at = index($text, $secret) + 20 + int rand(length($secret) - 20);

	substr($text, $at, 1) = substr($text, $at, 1) eq 'Q' ? 'P' : 'Q';
	return $text;
}

my %key_ways = (
	'identity-file' => {
		'misspelt' => \&misspell,
		'less one letter' => sub { $_[0] =~ s/.\s*\z/\n/r },
		'of somebody else' => sub { new_identity() } },
	'content-key-file' => {
		'misspelt' => sub {
			my ($key, $at) = ($_[0], int rand 64);
			my $digit = \substr $key, $at, 1;
			$$digit = $$digit eq '0' ? '1' : '0';
			return $key;
		},
		'less one digit' => sub { substr $_[0], 1 },
		'of another repository' =>
		  sub { slurp_bytes($other{forged}->setting('content-key-file')) } });
$_->{empty} = sub { '' } for values %key_ways;
$_->{'first half'} = sub { substr $_[0], 0, length($_[0]) / 2 }
  for values %key_ways;

sub new_identity
{
	my $file = "$tmp/stranger.txt";

	$pg->pgdr_ok('key', 'generate', '--out', $file) unless -e $file;
	return slurp_bytes($file);
}

for my $key (sort keys %key_ways)
{
	for my $way (sort keys %{ $key_ways{$key} })
	{
		my $view = clone_view($pg, "$tmp/case");
		my $path = $view->dir . "/$key";

		rewrite($path, $key_ways{$key}{$way}->(slurp_bytes($path)));
		nothing_works("$key $way", $view,
			qr/identit|recipient|content key|\Q$path\E/);
	}
	my $view = clone_view($pg, "$tmp/case");
	my $path = $view->dir . "/$key";

	chmod 0644, $path;
	nothing_works("$key open to all", $view, qr/\Q$path\E/);
	unlink $path;
	nothing_works("$key deleted", $view, qr/\Q$path\E/);
}
note("$cases cases");

# ---- a server that recovers stops ----

my $view = clone_view($pg, "$tmp/recovery");
my $copy = $view->restore('copy', '--backup', $first);
my %stops = (
	$wal[3] => [ 'deleted', 'flip, middle', 'not encrypted' ],
	'00000002.history' => [ 'deleted', 'flip, mac' ],
	basename($middle) =>
	  [ 'deleted', 'first half', 'forged for the recipient' ]);

for my $file (sort keys %stops)
{
	my $object = $view->object_name($file);
	my $path = $view->repo . "/$object";
	my $good = slurp_bytes($path);

	for my $way (soak() ? sort keys %generic : @{ $stops{$file} })
	{
		# the copy has a configuration of its own, on the same repository
		$generic{$way}->($path, $view, $object);
		my ($state, $log) = $copy->try_recovery;

		is($state, 'down', "$file $way: the server does not promote")
		  or BAIL_OUT("promoted in spite of damage:\n$log");
		like($log, qr/exit code 20[0-9]/, "$file $way: recovery was stopped");
		like($log, qr/\Q$file\E/, "$file $way: the log names it");
		rmdir $path if -d $path;
		rewrite($path, $good);
	}
}
my ($state, $log) = $copy->try_recovery;
is($state, 'promoted', 'with all in place again it recovers to the end')
  or diag($log);
is( $copy->safe_psql('postgres', 'SELECT count(*) FROM t'),
	$pg->safe_psql('postgres', 'SELECT count(*) FROM t'),
	'to the last row');
$copy->stop;

done_testing();
