# Checks of the sources that need no server: layout, include directions,
# headers that compile alone, banned calls, lengths, versions, scripts.
#
# "make lint" runs this file alone.

use strict;
use warnings;

use Cwd qw(getcwd);
use File::Find;
use JSON::PP;
use Test::More;

# -- the rules ---------------------------------------------------------------

# What each part may include, by the directory of the header.
my %may_include = (
	'src/common' => [qw(common)],
	'base' => [qw(base)],
	'storage' => [qw(base storage)],
	'stream' => [qw(base stream)],
	'pg' => [qw(base common pg)],
	'repo' => [qw(base common pg storage stream repo)],
	'job' => [qw(base common pg storage stream repo job)],
	'cmd' => [qw(base common pg storage stream repo job cmd)],
	'main' => [qw(base cmd)],
	# beside it, drivers are at hand: the conformance suite is run on each
	'tests/unit' => [qw(base common pg storage stream repo job cmd)],);

# Drivers do not know each other: a file named after one includes no header
# that is named after another.
my @drivers = qw(posix memory s3 azure sftp);

# A third-party header, and the one pair of files that includes it; libsodium
# has two, for encryption and for HMAC.
my %third_party = (
	'zstd' => 'stream/zstd',
	'sodium' => 'stream/age base/hmac',
	'xxhash' => 'stream/hash',
	'xxh_x86dispatch' => 'stream/hash',
	'openssl/' => 'base/digest',
	'jansson' => 'base/json',
	'ini' => 'base/config',
	'libpq-fe' => 'pg/server',
	'curl/' => 'storage/http',
	'libssh2' => 'storage/ssh',
	'libssh2_sftp' => 'storage/ssh',
	'expat' => 'storage/xml',);

my $banned = qr/\b(strcpy|strcat|sprintf|vsprintf|gets|system|popen|strtok|
				   alloca|atoi)\s*\(/x;

# Nothing below cmd/ prints or exits; abort() is for what cannot be.
my $banned_below_cmd =
  qr/(?<![.>])\b(printf|vprintf|puts|putchar|perror|exit)\s*\(|\b(stdout|stderr)\b/;

my $max_function_lines = 90;

# -- reading the tree --------------------------------------------------------

sub slurp
{
	my ($path) = @_;
	open my $fh, '<', $path or die "could not open $path: $!";
	local $/;
	return scalar <$fh>;
}

# Files below the given directories that match, in order.
sub files
{
	my ($pattern, @dirs) = @_;
	my @found;
	my $take = sub { push @found, $File::Find::name if -f && /$pattern/ };

	find($take, grep { -d } @dirs);
	return sort @found;
}

# C without comments and without what is in strings, lines kept.
sub code_of
{
	my ($text) = @_;
	my $blank = sub { (my $s = shift) =~ s/[^\n]//g; return " $s"; };

	$text =~ s{(/\*.*?\*/)|(//[^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'}
			  {defined $1 || defined $2 ? $blank->($1 // $2) : '""'}gse;
	return $text;
}

# "archive_cmd/base/json.c" is of part "base" and of pair "base/json".
sub part_of
{
	my ($path) = @_;
	return 'main' if $path eq 'archive_cmd/main.c';
	return $1 if $path =~ m{^archive_cmd/([^/]+)/};
	return 'src/common' if $path =~ m{^src/common/};
	return 'tests/unit' if $path =~ m{^tests/};
	return 'src';
}

sub pair_of
{
	my ($path) = @_;
	$path =~ s{^archive_cmd/}{};
	$path =~ s{\.[ch]$}{};
	return $path;
}

# A list of complaints must be empty.
sub none
{
	my ($name, @complaints) = @_;
	ok(!@complaints, $name) or diag(join "\n", @complaints);
	return;
}

sub run
{
	my (@command) = @_;
	my $pid = open my $out, '-|';

	die "could not fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		open STDERR, '>&', \*STDOUT or die;
		exec @command or die "could not run $command[0]: $!";
	}
	my $text = do { local $/; <$out> };
	close $out;
	return ($? == 0, $text // '');
}

sub have
{
	my ($program) = @_;
	return grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

my @sources = files(qr/\.[ch]$/, qw(archive_cmd src tests bench));
my @program = grep { m{^archive_cmd/|^src/common/} } @sources;
my %text = map { $_ => slurp($_) } @sources;
my %code = map { $_ => code_of($text{$_}) } @sources;
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';

# -- the checks --------------------------------------------------------------

sub check_format
{
  SKIP:
	{
		skip 'no clang-format', 1 unless have('clang-format');
		my ($good, $out) =
		  run('clang-format', '--dry-run', '-Werror', @sources);
		my %bad = map { $_ => 1 } $out =~ /^(\S+?):\d+:\d+: error:/mg;
		none('sources are formatted', $good ? () : sort keys %bad);
		diag($out) if !$good && !%bad;
	}
	return;
}

# [header, is it in angle brackets]
sub includes_of
{
	my ($path) = @_;
	my @found;
	push @found, [ $2, $1 eq '<' ]
	  while $text{$path} =~ /^\s*#\s*include\s*([<"])([^>"]+)/mg;
	return @found;
}

sub check_directions
{
	my @wrong;

	foreach my $path (grep { $may_include{ part_of($_) } } @sources)
	{
		my %allowed = map { $_ => 1 } @{ $may_include{ part_of($path) } };

		foreach my $include (includes_of($path))
		{
			my ($header, $system) = @$include;
			next if $system || $header !~ m{^([^/]+)/};
			push @wrong, "$path includes $header"
			  unless $allowed{$1} || $header eq 'storage/checksum_impl.h';
		}
	}
	none('includes point one way', @wrong);

	@wrong = grep { !$may_include{ part_of($_) } } @program;
	none('every part has its line in the table', @wrong);
	return;
}

sub check_drivers
{
	my $names = join '|', @drivers;
	my @wrong;

	foreach my $path (grep { part_of($_) eq 'storage' } @sources)
	{
		my ($own) = $path =~ m{/($names)[^/]*$} or next;
		foreach my $include (includes_of($path))
		{
			push @wrong, "$path includes $include->[0]"
			  if $include->[0] =~ m{^storage/($names)[^/]*$} && $1 ne $own;
		}
	}
	none('drivers do not know each other', @wrong);
	return;
}

sub check_third_party
{
	my @wrong;

	foreach my $path (@program)
	{
		foreach my $include (includes_of($path))
		{
			my ($name) = $include->[0] =~ m{^([^/]+/|.*(?=\.h$))};
			my $pair = $third_party{ $name // '' } // next;
			push @wrong, "$path includes $include->[0]"
			  if $include->[1] && !grep { pair_of($path) =~ /^\Q$_\E(_\w+)?$/ } split / /, $pair;
		}
	}
	none('a library is included by one pair of files', @wrong);
	return;
}

sub check_calls
{
	my @wrong;

	foreach my $path (@sources)
	{
		push @wrong, "$path calls $1" while $code{$path} =~ /$banned/g;
	}
	none('no banned call', @wrong);

	@wrong = ();
	foreach my $path (@program)
	{
		next if part_of($path) =~ /^(cmd|main)$/;
		push @wrong, "$path uses " . ($1 // $2)
		  while $code{$path} =~ /$banned_below_cmd/g;
	}
	none('nothing below cmd/ prints or exits', @wrong);
	return;
}

# With braces on lines of their own, a function is what lies between two of
# them in the first column.
sub check_lengths
{
	my @wrong;

	foreach my $path (grep { /\.c$/ } @sources)
	{
		my $start;
		my $number = 0;

		foreach my $line (split /\n/, $text{$path})
		{
			$number++;
			$start = $number if $line eq '{';
			next unless defined $start && $line eq '}';
			my $length = $number - $start + 1;
			push @wrong, "$path:$start: $length lines"
			  if $length > $max_function_lines;
			undef $start;
		}
	}
	none("no function above $max_function_lines lines", @wrong);
	return;
}

sub check_headers
{
	chomp(my $server = `$pg_config --includedir-server`);
	chomp(my $client = `$pg_config --includedir`);
	my @wrong;

	foreach my $path (grep { /\.h$/ } @sources)
	{
		my @server = part_of($path) eq 'src' ? ('-include', 'postgres.h') : ();
		my ($good, $out) = run(
			$ENV{CC} || 'gcc', '-std=gnu11', '-D_GNU_SOURCE', '-Wall',
			'-Werror', '-Wno-unused-function', '-Wno-unused-variable',
			'-fsyntax-only', '-Iarchive_cmd', '-Isrc', '-Itests/unit',
			"-I$client", "-I$server", @server, '-include', "./$path", '-x', 'c',
			'/dev/null');
		push @wrong, $out unless $good;
	}
	none('every header compiles alone', @wrong);
	return;
}

# Warnings are errors for both compilers; what was built was built with one.
sub check_clang
{
	chomp(my $server = `$pg_config --includedir-server`);
	chomp(my $client = `$pg_config --includedir`);
	my @common = (
		'-fsyntax-only', '-std=gnu11', '-D_GNU_SOURCE', '-DDR_VERSION=""',
		'-Wall', '-Wextra', '-Werror', '-Wmissing-prototypes', '-Isrc',
		"-I$client", "-I$server");
	my @program_only = (
		'-Wstrict-prototypes', '-Wvla', '-Wshadow', '-Wformat=2',
		'-Iarchive_cmd', '-Itests/unit');
	# the server's headers are not clean by these
	my @module_only = (
		'-Wno-unused-parameter', '-Wno-sign-compare',
		'-Wno-ignored-attributes');

  SKIP:
	{
		skip 'no clang', 2 unless have('clang');
		foreach my $case (
			[ 'program and unit tests', \@program_only,
				qr{^(archive_cmd|src/common|tests/unit)/} ],
			[ 'extension', \@module_only, qr{^src/(?!common/)} ])
		{
			my ($name, $more, $which) = @$case;
			my ($good, $out) = run('clang', @common, @$more,
				grep { /\.c$/ && $_ =~ $which } @sources);
			ok($good, "clang has no warning: $name") or diag($out);
		}
	}
	return;
}

sub check_versions
{
	my ($version) = slurp('dr.control') =~ /^default_version = '([^']+)'/m;
	my $meta = decode_json(slurp('META.json'));
	my ($top) = slurp('CHANGELOG.md') =~ /^## \[([^\]]+)\]/m;

	like($version, qr/^\d+\.\d+\.\d+$/, 'dr.control states a version');
	is($meta->{version}, $version, 'META.json: version');
	is($meta->{provides}{dr}{version}, $version, 'META.json: provides');
	is($top, $version, 'CHANGELOG.md: first entry');
	ok(-f "sql/dr--$version.sql", "sql/dr--$version.sql exists");
	is($meta->{provides}{dr}{file}, "sql/dr--$version.sql", 'META.json: file');
	return;
}

sub check_leftovers
{
	my $marks = join "|", map { scalar reverse } qw(ODOT EMXIF);
	my @files = grep { !m{/tmp_check|/results/} } files(
		qr/\.(c|h|pl|pm|sh|sql|md)$|^Makefile$/,
		qw(archive_cmd src tests bench doc sql));
	my @wrong = grep { slurp($_) =~ /\b($marks)\b/ } @files;

	none('nothing is left to do', @wrong);
	return;
}

sub check_scripts
{
	my @wrong;

	foreach my $path (files(qr/\.p[lm]$/, 'tests'))
	{
		my ($good, $out) = run('perl', '-Itests/perl', '-cw', $path);
		push @wrong, $out unless $good;
	}
	foreach my $path ('.ci/run', files(qr/\.sh$/, qw(tests bench)))
	{
		my ($good, $out) = run('bash', '-n', $path);
		push @wrong, $out unless $good;
	}
	none('scripts compile', @wrong);
	return;
}

check_format();
check_directions();
check_drivers();
check_third_party();
check_calls();
check_lengths();
check_headers();
check_clang();
check_versions();
check_leftovers();
check_scripts();
done_testing();
