# Several repositories at once: what is durable in the required ones or the
# quorum counts, one that fails does not hold back the others, what one cannot
# give another one does, and repair heals each from the others.

use strict;
use warnings;

use Errno qw(EIO ENOSPC);
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use List::Util qw(shuffle sum);
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my @names = qw(local b c);

seed(70);

# Without look-ahead: what is pushed by hand is what is looked at.
my $pg = PgDr->new_cluster(
	'main',
	conf => "wal_keep_size = 256MB\n",
	pgdr_conf => { 'push-ahead' => 0 });
my $pgdata = $pg->data_dir;
my %repo = (local => $pg->repo, b => "$tmp/b", c => "$tmp/c", d => "$tmp/d");
my $base = slurp_bytes($pg->config);

# Writes the configuration: which repositories there are, and keys of theirs.
# configure($quorum, name => { key => value }, ...)
sub configure
{
	my ($quorum, @repos) = @_;
	my $text = $base =~ s/^\[repo:.*//msr;

	$text .= "quorum = $quorum\n" if $quorum;
	while (my ($name, $keys) = splice @repos, 0, 2)
	{
		$text .= "[repo:$name]\ntype = posix\npath = $repo{$name}\n";
		$text .= "$_ = $keys->{$_}\n" for sort keys %$keys;
	}
	spew($pg->config, $text);
	return;
}

sub all_required { return configure(0, map { $_ => {} } @names) }
sub b_optional { return configure(0, map { $_ => $_ eq 'b' ? { required => 'no' } : {} } @names) }

# The same cluster, seen through one repository.
sub only
{
	my ($name) = @_;
	return bless { %$pg, repo => $repo{$name}, wal_home => undef }, ref $pg;
}

sub has
{
	my ($name, $object) = @_;
	return -f "$repo{$name}/$object" ? 1 : 0;
}

# Which of the repositories have an object, as a text.
sub where
{
	my ($object) = @_;
	return join ' ', grep { has($_, $object) } @names;
}

sub away { rename $repo{ $_[0] }, "$repo{$_[0]}.away" or die "rename: $!"; return }

sub back
{
	remove_tree($repo{ $_[0] });
	rename "$repo{$_[0]}.away", $repo{ $_[0] } or die "rename: $!";
	return;
}

sub result_of
{
	my (@lines) = @_;
	return $pg->last_of('result', @lines);
}

# ---- making them ----

all_required();
{
	my $result = $pg->pgdr_result('repo-init');
	my %made = map { $_->{name} => $_->{made} } @{ $result->{repositories} };

	ok(!$made{local} && $made{b} && $made{c}, 'repo-init makes those that are not there');
	$result = $pg->pgdr_result('repo-init');
	ok(!(grep { $_->{made} } @{ $result->{repositories} }), 'once');

	my %ids = map { slurp_bytes("$repo{$_}/repo.json") =~ /"id":"(\w+)"/ => 1 } @names;
	is(scalar keys %ids, 3, 'each has an id of its own');
}

# ---- archiving ----

# A segment that is complete but was not yet archived: the server's archiver is
# held back, and pgdr run by hand.
$pg->safe_psql('postgres', 'CREATE TABLE t (n int)');
my $command = $pg->safe_psql('postgres', 'SHOW archive_command');

sub hold_archiver
{
	$pg->safe_psql('postgres', q(ALTER SYSTEM SET archive_command = 'false'));
	$pg->reload;
	return;
}

sub release_archiver
{
	$pg->safe_psql('postgres', "ALTER SYSTEM SET archive_command = '$command'");
	$pg->reload;
	return;
}

sub next_segment
{
	my $file = $pg->safe_psql('postgres',
		"SELECT pg_walfile_name(pg_create_restore_point('x'))");

	$pg->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
	$pg->safe_psql('postgres', 'SELECT pg_switch_wal()');
	return $file;
}

sub push_segment
{
	my ($file, $how) = @_;
	return $pg->pgdr('archive-push', "$pgdata/pg_wal/$file", $how // {});
}

{
	my $file = $pg->switch_wal;
	my $object = $pg->object_name($file);

	poll(sub { where($object) eq 'local b c' }, "$file in all repositories");
	is(slurp_bytes("$repo{b}/$object"), slurp_bytes("$repo{local}/$object"),
		'compressed and encrypted once');

	spew($pg->config, slurp_bytes($pg->config) . "[repo:again]\npath = $repo{b}\n");
	my ($rc, $out, $err) = push_segment($file);
	is($rc, 3, 'one repository under two names: refused');
	like($err, qr/one and the same/, 'which is said');
	all_required();
}
hold_archiver();

# One of them fails in every way; the others get the segment at once, and the
# next attempt brings it only to the one that lacked it.
sub push_with_fault
{
	my ($what, $cause, $break, $mend) = @_;
	my $file = next_segment();
	my $object = $pg->object_name($file);
	my %env = $break->($object);
	my ($rc, $out, $err) = push_segment($file, { env => \%env });

	ok($rc > 0 && $rc < 126, "$what: push fails ($rc)");
	like($err, qr/ERROR:.*"b"/is, "$what: the repository is named");
	like($err, $cause, "$what: so is the cause");
	is(where($object) =~ s/ b//r, 'local c', "$what: the others have it");

	my ($before) = (stat "$repo{local}/$object")[9];
	b_optional();
	($rc, $out, $err) = push_segment($file, { env => \%env });
	is($rc, 0, "$what: not required, push succeeds");
	like($err, qr/WARNING:.*"b" has not got/i, "$what: with a warning");
	configure(2, map { $_ => {} } @names);
	is((push_segment($file, { env => \%env }))[0], 0, "$what: a quorum of two");
	configure(3, map { $_ => {} } @names);
	($rc, $out, $err) = push_segment($file, { env => \%env });
	ok($rc > 0 && $rc < 126, "$what: no quorum of three");
	like($err, qr/2 of 3 repositories/, "$what: which is said");

	all_required();
	$mend->($object);
	($rc, $out, $err) = push_segment($file);
	is($rc, 0, "$what: mended, push succeeds") or diag($err);
	is(where($object), 'local b c', "$what: all have it");
	is((stat "$repo{local}/$object")[9], $before, "$what: it is stored where it was lacking");
	return;
}

push_with_fault('removed', qr/does not exist|No such file/,
	sub { away('b'); return }, sub { back('b') });
push_with_fault('wiped', qr/no repository in/,
	sub { away('b'); mkdir $repo{b} or die; return }, sub { back('b') });
push_with_fault('full', qr/No space left/,
	sub { return failing_store($repo{b}, 'write', ENOSPC, 0) }, sub { });
push_with_fault('broken at the commit', qr{Input/output error},
	sub { return failing_store($repo{b}, 'write', EIO, 1) }, sub { });
push_with_fault('read-only', qr/Permission denied/,
	sub {
		my ($object) = @_;
		my $dir = dirname("$repo{b}/$object");
		make_path($dir);
		chmod 0500, $dir;
		return;
	},
	sub { chmod 0700, dirname("$repo{b}/$_[0]") });
push_with_fault('damaged there', qr/SHA-256|not the one it was written with|damaged|its/,
	sub {
		my ($object) = @_;
		push_segment(basename($object));
		my $path = "$repo{b}/$object";
		rewrite($path, flip_bit(slurp_bytes($path), -100, 3));
		return;
	},
	sub { unlink "$repo{b}/$_[0]" });

{
	my $file = next_segment();
	my $object = $pg->object_name($file);

	push_segment($file);
	# a segment of the same name with other content, archived by another server
	my $path = "$tmp/$file";
	copy("$pgdata/pg_wal/$file", $path) or die;
	open my $fh, '+<:raw', $path or die;
	seek $fh, 8192 * 3 + 100, 0;
	print $fh 'xxxx';
	close $fh;
	my ($rc, $out, $err) = $pg->pgdr('archive-push', $path);
	is($rc, 5, 'other content under a name that is taken');
	like($err, qr/other content/, 'is refused');
}

# An outage: the server keeps what it cannot archive, and the backlog drains.
release_archiver();
away('b');
my @missed = map { next_segment() } 1 .. 3;
poll(sub { $pg->safe_psql('postgres', 'SELECT failed_count > 0 FROM pg_stat_archiver') eq 't' },
	'the archiver to fail');
back('b');
for my $file (@missed)
{
	poll(sub { where($pg->object_name($file)) eq 'local b c' }, "$file to be archived");
}
pass('after an outage the backlog drains by itself');

# Not required: archiving goes on, and what was missed is seen and healed.
b_optional();
away('b');
@missed = map { next_segment() } 1 .. 3;
for my $file (@missed)
{
	poll(sub { where($pg->object_name($file)) eq 'local c' }, "$file to be archived");
}
back('b');
{
	my ($rc, @lines) = $pg->pgdr_json('info');
	my %missing = map { $_->{name} => $_->{missing_segments} } grep { $_->{type} eq 'repository' } @lines;

	is($rc, 0, 'info');
	ok($missing{b} >= 3 && $missing{local} == 0 && $missing{c} == 0, 'what one missed is counted');
	($rc, @lines) = $pg->pgdr_json('check');
	my ($problem) = grep { $_->{type} eq 'problem' && $_->{check} eq 'missing' } @lines;
	is($problem->{repository}, 'b', 'check names the one that lacks something');
	is($problem->{severity}, 'warning', 'which is not required');
	like($problem->{hint}, qr/pgdr repair/, 'and what to do');
	all_required();
	($rc, @lines) = $pg->pgdr_json('check', '--no-archive');
	($problem) = grep { $_->{type} eq 'problem' && $_->{check} eq 'missing' } @lines;
	is($problem->{severity}, 'error', 'of a required one it is an error');
	is($rc, 10, 'with its status');

	my $plan = $pg->pgdr_result('repair', '--dry-run');
	ok($plan->{copied} >= 3, 'repair --dry-run says what it would do');
	is(where($pg->object_name($missed[0])), 'local c', 'and does nothing');
	my $result = $pg->pgdr_result('repair');
	ok($result->{copied} >= 3 && $result->{failed} == 0, 'repair copies it');
	is(where($pg->object_name($_)), 'local b c', "$_ is everywhere") for @missed;
	is($pg->pgdr_result('repair')->{copied}, 0, 'nothing is left to do');
}

# ---- backups ----

sub complete_in
{
	my ($label) = @_;
	return where("backup/$label/manifest");
}

$pg->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 200000)');
my $first = $pg->backup;
is(complete_in($first), 'local b c', 'a backup to all repositories');
is(slurp_bytes("$repo{c}/backup/$first/data/000001"), slurp_bytes("$repo{b}/backup/$first/data/000001"),
	'read, compressed and encrypted once');

sub backup_with_fault
{
	my ($what, %env) = @_;
	my ($rc, $out, $err) = $pg->pgdr('backup', { env => \%env });
	my ($label) = $err =~ /The backup (\S+) is complete in "local", "c"/;

	is($rc, 9, "$what: the backup fails") or diag($out, $err);
	ok(defined $label, "$what: but is complete where it could be") or return;
	is(complete_in($label), 'local c', "$what: and only there");
	b_optional();
	my ($status, @lines) = $pg->pgdr_json('backup', { env => \%env });
	my $result = result_of(@lines);
	is($status, 0, "$what: not required, it succeeds");
	my %complete = map { $_->{name} => $_->{complete} } @{ $result->{repositories} };
	ok($complete{local} && $complete{c} && !$complete{b}, "$what: the result tells where");
	all_required();
	my $repaired = $pg->pgdr_result('repair');
	is(complete_in($label), 'local b c', "$what: repair completes it");
	is(complete_in($result->{label}), 'local b c', "$what: and the other one");
	return;
}

backup_with_fault('full in the middle', failing_store($repo{b}, 'write', ENOSPC, 1000000));
backup_with_fault('broken at once', failing_store($repo{b}, 'write', EIO, 0));

{
	my ($rc, @lines) = $pg->pgdr_json('verify', '--deep');
	my $result = result_of(@lines);
	is($rc, 0, 'verify --deep of all') or diag(explain([ grep { $_->{type} eq 'problem' } @lines ]));
	is(scalar @{ $result->{repositories} }, 3, 'each of them');
	($rc, @lines) = $pg->pgdr_json('--repo=b', 'verify');
	is(scalar @{ result_of(@lines)->{repositories} }, 1, 'or one');
}

# ---- getting ----

sub get
{
	my ($file) = @_;
	my $to = "$tmp/got";

	unlink $to;
	my ($rc, $out, $err) = $pg->pgdr('archive-get', $file, $to);
	return ($rc, $err, -e $to ? slurp_bytes($to) : undef);
}

{
	my $file = $pg->switch_wal;
	my $object = $pg->object_name($file);
	my $bytes = slurp_bytes("$pgdata/pg_wal/$file");

	poll(sub { where($object) eq 'local b c' }, "$file in all repositories");
	my $path = "$repo{local}/$object";
	my $good = slurp_bytes($path);
	rewrite($path, flip_bit($good, -100, 3));
	my ($rc, $err, $got) = get($file);
	ok($rc == 0 && $got eq $bytes, 'damaged in the first: from the next');
	like($err, qr/WARNING:/i, 'with a warning');
	unlink $path;
	($rc, $err, $got) = get($file);
	ok($rc == 0 && $got eq $bytes, 'missing in the first: from the next');
	rewrite($path, $good);
	away('local');
	($rc, $err, $got) = get($file);
	ok($rc == 0 && $got eq $bytes, 'the first is gone: from the next');
	my $next = sprintf '%s%08X', substr($file, 0, 16), 250;
	($rc, $err) = get($next);
	is($rc, 201, 'absent where it could be asked, but one could not be: no end of the archive');
	like($err, qr/"local"/, 'which is named');
	back('local');
	($rc, $err) = get($next);
	is($rc, 1, 'absent everywhere: the end of the archive');
	unlink map { "$repo{$_}/" . $pg->object_name($missed[1]) } @names;
	($rc, $err) = get($missed[1]);
	is($rc, 205, 'a hole in all of them is a hole');
	my ($status, @lines) = $pg->pgdr_json('repair');
	is($status, 0, 'of which repair knows nothing');
}

# ---- restoring ----

my $expected = 0;
my $copies = 0;

sub restored_ok
{
	my ($what, $how, @args) = @_;
	my $copy = $pg->sibling('copy' . ++$copies);
	my ($rc, $out, $err) = $copy->pgdr('restore', '--target-dir', $copy->data_dir, @args, $how);

	is($rc, 0, "$what: restore") or (diag($out, $err), return);
	$copy->verifybackup_ok($what);
	$copy->adopt;
	$copy->start_recovered;
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM t'), $expected, "$what: all is there");
	$copy->stop;
	remove_tree($copy->data_dir);
	return $err;
}

my $second = $pg->backup;
$pg->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 1000)');
$expected = $pg->safe_psql('postgres', 'SELECT count(*) FROM t');
my @tail = map { next_segment() } 1 .. 4;
$expected += 4;
{
	my $object = $pg->object_name($tail[-1]);
	poll(sub { where($object) eq 'local b c' }, 'the last segment in all repositories');
}
my $saved = "$tmp/saved";
copy_tree($repo{$_}, "$saved.$_") for @names;

# All repositories as they were.
sub reset_all
{
	for my $name (@names)
	{
		remove_tree($repo{$name});
		copy_tree("$saved.$name", $repo{$name});
	}
	return;
}

restored_ok('from the first', {});
my $err = restored_ok('the first breaks in the middle',
	{ env => { failing_store($repo{local}, 'read', EIO, 1500000) } });
like($err, qr/WARNING:.*Input\/output/is, 'with a warning');
away('local');
$err = restored_ok('the first is gone', {});
like($err, qr/"local" is passed over/, 'which is said');
back('local');
{
	my @packs = repository_files("$repo{local}/backup/$second/data");

	rewrite($packs[0], flip_bit(slurp_bytes($packs[0]), -2000, 1));
	unlink "$repo{b}/backup/$second/data/" . basename($packs[-1]);
	$err = restored_ok('packs are damaged in one and missing in the other', {});
	like($err, qr/WARNING/i, 'with warnings');
	reset_all();
}
{
	rewrite("$repo{local}/backup/$second/manifest",
		flip_bit(slurp_bytes("$repo{local}/backup/$second/manifest"), -200, 1));
	remove_tree("$repo{b}/backup/$second");
	unlink "$repo{local}/" . $pg->object_name($tail[0]), "$repo{c}/" . $pg->object_name($tail[1]),
	  "$repo{b}/" . $pg->object_name($tail[2]);
	restored_ok('each has lost other WAL, and only one has the backup', {});
	reset_all();
}
{
	unlink map { "$repo{$_}/" . $pg->object_name($tail[1]) } @names;
	my $copy = $pg->sibling('unreachable');
	my ($rc, $out, $why) = $copy->pgdr('restore', '--target-dir', $copy->data_dir);
	is($rc, 8, 'what is missing in all of them cannot be reached');
	like($why, qr/$tail[1]/, 'and is named');
	reset_all();
}

# ---- repair ----

# Any single object, damaged or removed, in any one of them.
sub objects
{
	my ($pattern) = @_;
	return grep { m/$pattern/ }
	  map { s/^\Q$repo{local}\E\///r } repository_files($repo{local});
}

$pg->pgdr_ok('verify');    # leaves marks
{
	my $trials = 0;
	my @kinds = (
		[ 'segment', (shuffle map { $pg->object_name($_) } @tail)[0] ],
		[ 'newest segment', $pg->object_name($tail[-1]) ],
		[ 'manifest of the oldest backup', "backup/$first/manifest" ],
		[ 'manifest of the newest backup', "backup/$second/manifest" ],
		[ 'pack', (shuffle objects("backup/$second/data/"))[0] ],
		[ 'repo.json', 'repo.json' ],
		[ 'backup history', (shuffle objects('\.backup$'))[0] ],
		[ 'lease', (objects("backup/$second/lease/"))[0] ],
		[ 'later lease', (objects("backup/$second/lease/"))[-1] ],
		[ 'mark', (objects("backup/$second/mark/"))[0] ]);

	@kinds = map { [ $_, $_ ] } objects('.') if soak();
	for my $name (@names)
	{
		for my $kind (@kinds)
		{
			my ($what, $object) = @$kind;
			my $path = "$repo{$name}/$object";

			for my $how (qw(damaged removed))
			{
				# what only tells of a time that has passed is not missed
				next if $how eq 'removed' && $object =~ m{/(lease|mark)/};
				next unless -f $path;
				my $bytes = slurp_bytes($path);
				# every other one in the head, part of which only the key guards
				my $at = int rand(++$trials % 2 ? 300 : length $bytes);
				# a byte of the key that is wrapped for the recipient
				$at = 52 if $what eq 'later lease';

				$how eq 'removed' ? unlink $path : rewrite($path, flip_bit($bytes, $at, int rand 8));
				my ($rc, @lines) = $pg->pgdr_json('repair');
				my $result = result_of(@lines);
				my $label = "$what $how in $name" . ($how eq 'damaged' ? " (byte $at)" : '');

				is($rc, 0, "$label: repair") or diag(explain(\@lines));
				my $after = -f $path ? slurp_bytes($path) : '';
				ok($after eq $bytes, "$label: is as it was")
				  unless $object =~ m{^repo\.json$|/(lease|mark)/};
				($rc, @lines) = $pg->pgdr_json('verify', '--deep', '--no-mark');
				is($rc, 0, "$label: verify --deep") or diag(explain([ errors_of(@lines) ]));
				if ($how eq 'damaged')
				{
					my @aside = grep { m{/quarantine/[^/]+/\Q$object\E$} } repository_files($repo{$name});
					is(scalar @aside, 1, "$label: the damaged one is put aside");
				}
				remove_tree("$repo{$name}/quarantine");
			}
		}
	}
	reset_all();
}

# Two things at a time, of the same object: one that is left heals two.
{
	my $object = "backup/$second/data/000001";

	unlink "$repo{local}/$object";
	rewrite("$repo{b}/$object", flip_bit(slurp_bytes("$repo{b}/$object"), 5000, 2));
	my $result = $pg->pgdr_result('repair');
	is_deeply([ @$result{qw(copied replaced failed)} ], [ 1, 1, 0 ], 'two are healed from the third');
	my ($rc, @lines) = $pg->pgdr_json('verify');
	ok((grep { $_->{type} eq 'problem' && $_->{check} eq 'quarantined' } @lines), 'verify tells of what was put aside');
	is($rc, 0, 'which is no error');
	my %later = fake_clock(31 * 86400);
	$pg->pgdr_ok('expire', { env => \%later });
	ok(!-e "$repo{b}/quarantine", 'expire removes it after 30 days');

	rewrite("$repo{$_}/$object", flip_bit(slurp_bytes("$repo{$_}/$object"), 5000, 2)) for @names;
	my $before = slurp_bytes("$repo{local}/$object");
	($rc, @lines) = $pg->pgdr_json('repair');
	is($rc, 10, 'damaged in all: not healed');
	is(scalar(grep { $_->{type} eq 'problem' && $_->{object} eq $object } @lines), 3, 'which is said of each');
	is(slurp_bytes("$repo{local}/$object"), $before, 'and nothing is put aside');
	reset_all();
}

# A whole backup, and a repository that is not there.
{
	remove_tree("$repo{c}/backup/$second");
	away('b');
	my ($rc, @lines) = $pg->pgdr_json('repair');
	is($rc, 10, 'one repository is gone: a problem');
	is(complete_in($second), 'local c', 'the others are healed all the same');
	back('b');
	# an empty place is a disk that is not mounted
	away('b');
	mkdir $repo{b};
	($rc, @lines) = $pg->pgdr_json('repair');
	is($rc, 10, 'an empty place is a problem, too');
	ok(!-e "$repo{b}/repo.json", 'and nothing is made there');
	back('b');
	reset_all();
}

# What retention has given up stays away.
{
	$pg->pgdr_ok('--repo=b', 'expire', '--keep-full=1');
	is(complete_in($first), 'local c', 'one repository keeps less');
	my $result = $pg->pgdr_result('repair');
	is($result->{copied}, 0, 'repair does not bring back what expired');
	my ($rc, @lines) = $pg->pgdr_json('info');
	my %missing = map { $_->{name} => $_->{missing_segments} + $_->{missing_backups} } grep { $_->{type} eq 'repository' } @lines;
	is($missing{b}, 0, 'nor is it counted as missing');
	$pg->pgdr_ok('delete', $first);
	is(complete_in($first), '', 'delete removes a backup everywhere');
	reset_all();
}

# ---- seeding another repository ----

{
	configure(0, (map { $_ => {} } @names), d => { required => 'no' });
	# enough for some that are copied side by side, and not for all
	my $room = int(2 / 3 * sum(map { -s } grep { m{/(?:wal|backup)/} } repository_files($repo{local})));
	my ($rc, $out, $why) = $pg->pgdr('repo-copy', '--from=local', '--to=d',
		{ env => { failing_store(dirname($repo{d}), 'write', ENOSPC, $room) } });
	is($rc, 10, 'repo-copy to a store that becomes full') or diag($out, $why);
	ok(-e "$repo{d}/repo.json", 'has made the repository');
	my $result = $pg->pgdr_result('repo-copy', '--from=local', '--to=d');
	ok($result->{there} > 0 && $result->{copied} > 0 && $result->{failed} == 0, 'the next run goes on')
	  or diag(explain($result), $out, $why);
	($rc) = $pg->pgdr('--repo=d', 'verify', '--deep');
	is($rc, 0, 'all that was copied is right');
	is($pg->pgdr_result('repo-copy', '--from=local', '--to=d')->{copied}, 0, 'nothing is left to copy');
	configure(0, d => {});
	restored_ok('from the copy alone', {});
	all_required();
}

done_testing();
