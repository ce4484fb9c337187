# The command line: what is wrong is refused with its cause and a status that
# says of which kind it is; no secret is ever told, no content lies in the clear.

use strict;
use warnings;

use JSON::PP;
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main');
my $pgdata = $pg->data_dir;

# All that pgdr ever said here.
my $said = '';

# Runs pgdr with the given arguments alone: ($rc, $out, $err).
sub bare
{
	my (@args) = @_;
	my $how = ref $args[-1] ? pop @args : {};
	my ($rc, $out, $err) = run_plain([ 'pgdr', @args ], $how);

	$said .= "$out$err";
	return ($rc, $out, $err);
}

sub pgdr
{
	return bare('--config', $pg->config, @_);
}

# A run that must fail: with this status, saying this, and nothing on standard
# output.
sub fails
{
	my ($what, $status, $pattern, @args) = @_;
	my ($rc, $out, $err) = bare(@args);

	is($rc, $status, "$what: status $status") or diag($out, $err);
	like($err, $pattern, "$what: is explained");
	is($out, '', "$what: nothing on standard output");
	return $err;
}

# The same with the configuration in order.
sub refuses
{
	my ($what, $status, $pattern, @args) = @_;
	return fails($what, $status, $pattern, '--config', $pg->config, @args);
}

# ---- help and version ----

my ($rc, $out, $err) = bare('--help');
is($rc, 0, '--help');
my ($list) = $out =~ /^Commands:\n(.*?)\n\n/ms;
my @commands = $list =~ /^  (\S+)/mg;
is_deeply(
	[ sort @commands ],
	[ qw(archive-get archive-push backup check delete expire hold info init key
		  pin release repair repo-copy
		  repo-get repo-init repo-ls restore restore-table unpin verify) ],
	'--help lists the commands');
for my $command (@commands)
{
	($rc, $out, $err) = bare($command, '--help');
	is($rc, 0, "$command --help");
	like($out, qr/^Usage:\n  pgdr \Q$command\E/m, "$command --help: usage");
	my ($rc2, $out2) = bare('help', $command);
	is($out2, $out, "help $command says the same");
}
my ($version) =
  slurp_bytes('dr.control') =~ /^default_version\s*=\s*'([^']+)'/m;
($rc, $out) = bare('--version');
is($rc, 0, '--version');
like($out, qr/^pgdr \Q$version\E$/m, '--version tells that of dr.control');

# ---- usage ----

fails('no command', 2, qr/no command/);
fails('unknown command', 2, qr/HINT:.*backup/s, 'bakcup');
fails('help of an unknown command', 2, qr/frobnicate/, 'help', 'frobnicate');
refuses('unknown option', 2, qr/HINT:.*--dry-run/s, 'restore', '--dry-rum');
refuses('option of another command', 2, qr/--deep/, 'backup', '--deep');
refuses('option without its value', 2, qr/--label|--annotate/,
	'backup', '--annotate');
refuses('flag with a value', 2, qr/--deep/, 'verify', '--deep=yes');
refuses('option given twice', 2, qr/--target-dir/, 'restore',
	'--target-dir=/a', '--target-dir=/b');
refuses('too few arguments', 2, qr/archive-push/, 'archive-push');
refuses('too many arguments', 2, qr/./, 'backup', 'now');
refuses('unknown format of output', 2, qr/yaml/, '--output=yaml', 'info');
refuses('unknown level of logs', 2, qr/loud/, '--log-level=loud', 'info');
refuses('unknown repository', 2, qr/elsewhere/, '--repo=elsewhere', 'info');
refuses('unknown type of backup', 2, qr/whole/, 'backup', '--type=whole');
refuses('annotation without a value', 2, qr/KEY=VALUE/, 'backup',
	'--annotate=x');
refuses('wrong duration', 2, qr/soon/, 'expire', '--keep-time=soon');
refuses('wrong number', 2, qr/-1|many/, 'expire', '--keep-full=many');
refuses('restore without a directory', 2, qr/--target-dir/, 'restore');
refuses('a map without =', 2, qr/OLD=NEW/, 'restore', '--target-dir=/x',
	'--tablespace-map=/x');
refuses('name with ..', 2, qr/\.\./, 'repo-get', '../pgdr.conf');
refuses('object that is not there', 4, qr/nothing/, 'repo-get', 'wal/nothing');
refuses('backup that is not there', 4, qr/20010101T000000Z/,
	'delete', '20010101T000000Z');

# ---- options as JSON on standard input ----

sub with_stdin
{
	my ($text, @args) = @_;
	return pgdr(@args, '--stdin-options', { stdin => $text });
}

($rc, $out) = with_stdin('{"output": "json"}', 'info');
is($rc, 0, '--stdin-options');
is((decode_json((split /\n/, $out)[-1]))->{type}, 'result', 'takes options');
($rc, $out) = with_stdin('{"arguments": ["repo.json"]}', 'repo-get');
is($out, slurp_bytes($pg->repo . '/repo.json'), 'takes arguments');
for my $case (
	[ 'no JSON', '{"output"', qr/./ ],
	[ 'no object', '["output"]', qr/object/ ],
	[ 'unknown option', '{"outputt": "json"}', qr/outputt/ ],
	[ 'wrong type', '{"output": {}}', qr/output/ ],
	[ 'a flag that is none', '{"help": "yes"}', qr/help/ ],
	[ 'nothing', '', qr/./ ])
{
	my ($what, $text, $pattern) = @$case;

	($rc, $out, $err) = with_stdin($text, 'info');
	is($rc, 2, "standard input, $what: refused");
	like($err, $pattern, "standard input, $what: is explained");
}

# ---- configuration ----

my $good = slurp_bytes($pg->config);
my $conf = "$tmp/pgdr.conf";

# A configuration changed by this must be refused.
sub misconfigured
{
	my ($what, $pattern, $from, $to) = @_;
	my $text = $good;

	$text =~ s/$from/$to/m or die "configuration has no $from";
	spew($conf, $text);
	my $message =
	  fails("configuration, $what", 3, $pattern, '--config', $conf, 'info');
	like($message, qr/\Q$conf\E/, "configuration, $what: the file is named");
	return;
}

fails('no configuration', 3, qr{HINT:.*--config}s,
	'--config', "$tmp/none.conf", 'info');
misconfigured('unknown key', qr/HINT:.*process-max/s,
	'^\[global\]$', "[global]\nproces-max = 2");
misconfigured('unknown section', qr/HINT:.*\[global\]/s, '^\[global\]$',
	'[globl]');
misconfigured('key given twice', qr/cluster/, '^(cluster = .*)$',
	"cluster = a\ncluster = b");
misconfigured('missing key', qr/pgdata/, '^pgdata = .*\n', '');
misconfigured('relative path', qr/absolute/, '^path = .*$', 'path = repo');
misconfigured('no number', qr/integer/,
	'^\[global\]$', "[global]\nprocess-max = two");
misconfigured('number out of bounds', qr/integer from/,
	'^\[global\]$', "[global]\nprocess-max = 0");
misconfigured('unknown type of store', qr/posix/, '^type = .*$',
	'type = tape');
misconfigured('no repository', qr/no repository/,
	'^\[repo:local\]\n(.*\n)+', '');
misconfigured('no recipient', qr/recipient/, '^recipient = .*\n', '');
misconfigured('wrong recipient', qr/age1wrong/,
	'^recipient = .*$', 'recipient = age1wrong');
misconfigured('no duration', qr/forever/,
	'^\[global\]$', "[global]\narchive-timeout = forever");
misconfigured('a line that is none', qr/:\d+/, '^\[global\]$',
	"[global]\nthis is not a setting");

($rc) = pgdr('info', { env => { PGDR_GLOBAL_PROCESS_MAX => 2 } });
is($rc, 0, 'a key from the environment');
($rc, $out, $err) =
  pgdr('info', { env => { PGDR_GLOBAL_PROCESS_MAX => 'two' } });
is($rc, 3, 'a wrong one is refused');
like($err, qr/environment.*process-max/, 'and named');
($rc, $out, $err) = pgdr('info', { env => { PGDR_GLOBAL_PROCES_MAX => 2 } });
is($rc, 3, 'a misspelt one is refused');
like($err, qr/PGDR_GLOBAL_PROCES_MAX/, 'and named');
($rc) = bare('info', { env => { PGDR_CONFIG => $pg->config } });
is($rc, 0, 'PGDR_CONFIG names the configuration');

# ---- init ----

my @init = (
	'init', '--pgdata', $pgdata, '--repo-path', $pg->repo,
	'--connection', $pg->connection, '--spool-path', $pg->dir . '/spool');
my $before = join "\n", map { "$_ " . slurp_bytes($_) }
  repository_files($pg->dir);

($rc, $out, $err) = pgdr(@init);
is($rc, 0, 'init twice is no harm') or diag($err);
like($out, qr/was there/, 'and says so');
refuses('init with another repository', 5, qr/exists already/,
	'init', '--pgdata', $pgdata, '--repo-path', "$tmp/other");
refuses('init without a repository', 2, qr/--repo-path/,
	'init', '--pgdata', $pgdata);
fails('init of no data directory', 4, qr{\Q$tmp\E/nothing},
	'--config', "$tmp/c1/pgdr.conf", 'init', '--pgdata', "$tmp/nothing",
	'--repo-path', "$tmp/r1");
fails('repository in the data directory', 2, qr/data directory/,
	'--config', "$tmp/c1/pgdr.conf", 'init', '--pgdata', $pgdata,
	'--repo-path', "$pgdata/repo");
fails('configuration in the data directory', 2, qr/data directory/,
	'--config', "$pgdata/pgdr.conf", 'init', '--pgdata', $pgdata,
	'--repo-path', "$tmp/r1");
fails('somebody else\'s data directory', 9, qr/owner/,
	'--config', "$tmp/c1/pgdr.conf", 'init', '--pgdata', '/usr',
	'--repo-path', "$tmp/r1")
  if (stat '/usr')[4] != $>;
fails('init over somebody\'s repository', 7, qr/./,
	'--config', "$tmp/c1/pgdr.conf", 'init', '--pgdata', $pgdata,
	'--repo-path', $pg->repo);
# Settings are not forced upon a server that archives already.
fails_applying();
is( (join "\n", map { "$_ " . slurp_bytes($_) } repository_files($pg->dir)),
	$before,
	'nothing was changed by all that');
ok(!-e "$pgdata/repo" && !-e "$tmp/r1", 'and nothing made');

sub fails_applying
{
	my ($status, undef, $why) = bare('--config', "$tmp/c2/pgdr.conf", 'init',
		'--pgdata', $pgdata, '--repo-path', "$tmp/r2", '--connection',
		$pg->connection, '--apply');

	is($status, 5, 'init --apply on a server that archives elsewhere');
	like($why, qr/archive_command/, 'is refused');
	like($pg->safe_psql('postgres', 'SHOW archive_command'),
		qr/\Q@{[ $pg->config ]}\E/, 'and its command stays');
	return;
}

# ---- check ----

($rc, $out, $err) = pgdr('check');
is($rc, 0, 'check of a cluster in order') or diag($out, $err);
like($out, qr/check passed/, 'it says so');
($rc, my @objects) = $pg->pgdr_json('check', '--no-archive');
is($rc, 0, 'check without archiving');

$pg->safe_psql('postgres', q{ALTER SYSTEM SET archive_command = '/bin/true'});
$pg->reload;
$pg->poll_query_until('postgres',
	q{SELECT current_setting('archive_command') = '/bin/true'});
($rc, @objects) = $pg->pgdr_json('check', '--no-archive');
is($rc, 10, 'check of a server that throws its WAL away: status 10');
my ($problem) =
  grep { $_->{type} eq 'problem' && $_->{check} eq 'archive_command' }
  @objects;
ok($problem && $problem->{hint}, 'it is named, with a hint');
$pg->safe_psql('postgres', 'ALTER SYSTEM RESET archive_command');
$pg->reload;
$pg->poll_query_until('postgres', q{SELECT current_setting('archive_command') = ''});
($rc, @objects) = $pg->pgdr_json(@init, '--apply');
ok(!$pg->last_of('result', @objects)->{restart_needed},
	'init --apply makes good, without a restart');
$pg->poll_query_until('postgres',
	q{SELECT current_setting('archive_command') LIKE '%archive-push%'});

# ---- JSON ----

($rc, @objects) = $pg->pgdr_json('restore', '--target-dir', "$tmp/target");
my $error = $pg->last_of('error', @objects);
is($rc, 4, 'restore without a backup');
is($error->{exit}, $rc, 'the error as JSON has the exit status');
ok($error->{message} && $error->{code}, 'a message and a code');
ok(!-e "$tmp/target", 'nothing was written');

# ---- content that must not be found, and secrets that must not be told ----

my $content = 'Sesame-opens-nothing-4711';
my $table = 'a_table_that_nobody_must_know';
my $secret = slurp_bytes($pg->identity) =~ /(AGE-SECRET-KEY-1\w+)/
  ? $1
  : die 'no secret key';
my $content_key = slurp_bytes($pg->setting('content-key-file')) =~ s/\s//gr;
my @passphrases = ('correct horse battery', 'wrong horse battery');

$pg->safe_psql('postgres', "
CREATE TABLE $table (t text);
INSERT INTO $table SELECT '$content' FROM generate_series(1, 1000);
CHECKPOINT");

# Command lines of all processes while a backup runs.
my $run = $pg->pgdr_start('backup', '--annotate', 'why=test', '--log-level=debug');
my $command_lines = '';
while ($run->pumpable)
{
	for my $file (glob '/proc/[0-9]*/cmdline /proc/[0-9]*/environ')
	{
		open my $fh, '<', $file or next;
		local $/;
		$command_lines .= <$fh> // '';
	}
	$run->pump_nb;
}
$run->finish;
is($run->result(0), 0, 'backup, watched');
$said .= ${ $run->{pgdr_out} } . ${ $run->{pgdr_err} };
like($command_lines, qr/pgdr/, 'the backup was seen');
my $segment = $pg->switch_wal;

# How many files below a directory hold a text.
sub holding
{
	my ($text, $dir) = @_;
	return scalar grep { index(slurp_bytes($_), $text) >= 0 }
	  repository_files($dir);
}

isnt(holding($content, "$pgdata/base"), 0, 'the data directory holds the row');
isnt(holding($content, "$pgdata/pg_wal"), 0, 'and so does the WAL');
for my $text ($content, $table, 'PG_VERSION', $secret, $content_key)
{
	is(holding($text, $pg->repo), 0,
		'the repository does not hold "' . substr($text, 0, 14) . '..."');
}

($rc, $out) = pgdr('repo-get', $pg->object_name($segment));
is($rc, 0, 'repo-get decodes');
ok(index($out, $content) >= 0 || $out eq slurp_bytes("$pgdata/pg_wal/$segment"),
	'what was archived');
($rc, $out) = pgdr('repo-get', '--raw', $pg->object_name($segment));
is($out, slurp_bytes($pg->object_path($segment)), 'and --raw does not');
($rc, $out) = pgdr('repo-ls', '--recursive');
like($out, qr/\Q$segment\E/, 'repo-ls shows it');
for my $command ([qw(info)], [qw(verify)], [qw(verify --deep)],
	[qw(expire --dry-run --keep-full 1)], [qw(key list)], [qw(repo-ls)])
{
	for my $format ([], [ '--output=json', '--log-level=debug' ])
	{
		($rc, $out, $err) = pgdr(@$format, @$command);
		is($rc, 0, "@$format @$command") or diag($out, $err);
		isnt($out, '', 'has an answer');
	}
}
SKIP:
{
	skip 'there is no /dev/full', 2 unless -e '/dev/full';
	($rc, undef, $err) = run_plain([
			'sh', '-c', 'exec pgdr --config "$0" info >/dev/full',
			$pg->config ]);
	is($rc, 9, 'an answer that nobody could hear is a failure');
	like($err, qr/standard output/, 'and says so');
}

# ---- keys ----

my $identity = $pg->identity;

sub with_identity
{
	my ($file, @args) = @_;
	my %how = (env => { PGDR_GLOBAL_IDENTITY_FILE => $file });

	%how = (env => { %{ $how{env} }, %{ (pop @args)->{env} } })
	  if ref $args[-1];
	return pgdr(@args, \%how);
}

my @deep = ('repo-get', $pg->object_name($segment));
chmod 0644, $identity;
($rc, $out, $err) = pgdr(@deep);
is($rc, 7, 'a key that all can read is refused: status 7');
like($err, qr/\Q$identity\E/, 'and named');
like($err, qr/open to group or others/, 'with what is wrong');
chmod 0600, $identity;

($rc, $out, $err) = with_identity('', @deep);
is($rc, 7, 'without a key nothing is decoded: status 7');
is($out, '', 'not a byte');
($rc, $out, $err) = with_identity('', 'info');
is($rc, 0, 'but what is there can be told') or diag($err);
($rc, $out, $err) = with_identity('', 'verify');
is($rc, 0, 'and verified as stored') or diag($err);
($rc, $out, $err) = with_identity('', 'backup');
is($rc, 0, 'and a backup taken') or diag($err);
($rc, $out, $err) = with_identity('', 'verify', '--deep');
is($rc, 7, 'deep verification needs a key');

spew("$tmp/pass$_", "$passphrases[$_]\n") for 0, 1;
chmod 0600, "$tmp/pass0", "$tmp/pass1";
($rc, $out, $err) = bare('key', 'generate', '--out', "$tmp/locked",
	'--passphrase-file', "$tmp/pass0");
is($rc, 0, 'a key with a passphrase') or diag($err);
unlike(slurp_bytes("$tmp/locked"), qr/AGE-SECRET-KEY/, 'is not in the clear');
is((stat "$tmp/locked")[2] & 07777, 0600, 'is for its owner alone');
is((bare('key', 'generate', '--out', "$tmp/locked"))[0],
	5, 'a key is never overwritten');
($rc, $out, $err) = with_identity("$tmp/locked", @deep);
is($rc, 7, 'without its passphrase it opens nothing');
like($err, qr/passphrase/, 'and says why');
($rc, $out, $err) = with_identity("$tmp/locked", @deep,
	{ env => { PGDR_PASSPHRASE => $passphrases[1] } });
is($rc, 7, 'nor with a wrong one');
($rc, $out, $err) = with_identity("$tmp/locked", @deep,
	{ env => { PGDR_PASSPHRASE => $passphrases[0] } });
is($rc, 7, 'with the right one it is still the key of something else');

# A cluster whose key has a passphrase from the start.
my $locked = PgDr->new_cluster('locked',
	init => [ '--passphrase-file', "$tmp/pass0" ]);
$locked->safe_psql('postgres', 'CREATE TABLE t AS SELECT 42 AS n');
$locked->backup;
$locked->stop;
my $copy = $locked->restore('unlocked');
$copy->start_recovered;
is($copy->safe_psql('postgres', 'TABLE t'), 42,
	'a cluster with a locked key is recovered');
$copy->stop;

# ---- no secret anywhere ----

my $heard = $said
  . $command_lines
  . join('', map { slurp_bytes($_) } grep { -f } glob "$ENV{TESTLOGDIR}/*");
for my $text ($secret, $content_key, @passphrases, 'AGE-SECRET-KEY-1')
{
	is(index($heard, $text), -1,
		'"' . substr($text, 0, 14) . '..." was never told');
}

# ---- without encryption ----

my $plain = PgDr->new_cluster('plain', init => ['--no-encryption']);
$plain->safe_psql('postgres', 'CREATE TABLE t AS SELECT 42 AS n');
my $label = $plain->backup;
my ($pack) =
  grep { m{/data/\d+$} } repository_files($plain->repo . "/backup/$label");
$plain->stock_decode($pack, "$tmp/pack.tar");
my ($members) = run_command([ 'tar', '-tf', "$tmp/pack.tar" ]);
isnt($members, '', 'an unencrypted pack is a tar for zstd alone');
$plain->stop;
$copy = $plain->restore('plain_copy');
$copy->start_recovered;
is($copy->safe_psql('postgres', 'TABLE t'), 42, 'and is recovered');
$copy->stop;

done_testing();
