# Scaling.pm
#	  What a cluster of 1 TB would cost, reckoned from the rates of a results.json:
#	  the figures of doc/scaling.md.

package Scaling;

use strict;
use warnings;

# The cluster on paper.
my %c = (bytes => 1e12, files => 10_000, share => 0.05, wal_bytes => 100e9);
my $BLOCK = 8192;
my $PACK = 256 * 1024 * 1024;
my $FRAME = 1024 * 1024;
my $SEGMENT = 16 * 1024 * 1024;

sub contestant
{
	my ($data, $title, $name) = @_;
	my ($r) = grep { $_->{title} eq $title } @{ $data->{results} };
	my ($c) = $r ? grep { $_->{name} eq $name } @{ $r->{contestants} } : ();

	return $c;
}

# Bytes in a second of one of pgdr's results, undef if that is not there.
sub rate
{
	my ($data, $title, $name) = @_;
	my $c = contestant($data, $title, $name // 'pgdr');

	return $c && $c->{mb_per_s} ? $c->{mb_per_s} * 1e6 : undef;
}

sub fact
{
	my ($data, $name) = @_;
	my ($r) = grep { $_->{title} eq 'manifest: the largest' } @{ $data->{results} };
	my ($fact) = $r ? grep { $_->[0] eq $name } @{ $r->{facts} } : ();

	return $fact ? $fact->[1] : undef;
}

sub duration
{
	my ($seconds) = @_;

	return 'not measured' unless defined $seconds;
	return sprintf '%.1f s', $seconds if $seconds < 100;
	return sprintf '%.0f min', $seconds / 60 if $seconds < 7200;
	return sprintf '%.1f h', $seconds / 3600;
}

sub size
{
	my ($bytes) = @_;

	return 'not measured' unless defined $bytes;
	return sprintf '%.0f MB', $bytes / 1e6 if $bytes < 1e9;
	return sprintf '%.1f GB', $bytes / 1e9;
}

sub count
{
	my ($n) = @_;

	return 'not measured' unless defined $n;
	my $text = sprintf '%.0f', $n;
	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return $text;
}

sub time_for
{
	my ($bytes, $rate) = @_;
	return defined $rate ? $bytes / $rate : undef;
}

sub product { my (@n) = @_; my $p = 1; for (@n) { return undef unless defined; $p *= $_ } return $p }

# What a byte, or a request, of the S3 results is for a byte of the cluster.
sub per_byte
{
	my ($data, $title, $member) = @_;
	my $c = contestant($data, $title, 'pgdr');

	return undef unless $c && defined $c->{$member} && $c->{mb_per_s};
	return $c->{$member} / ($c->{mb_per_s} * 1e6 * $c->{seconds});
}

sub layout
{
	my ($data) = @_;
	my $extents = 2 * $c{share} * $c{bytes} / $BLOCK;
	my ($files, $stored, $memory) = map { fact($data, $_) } ('extents', 'MB stored',
		'MB of memory to read');
	my $each = defined $files ? 1e6 * $stored / $files : undef;
	my $held = defined $files ? 1e6 * $memory / $files : undef;

	return (
		[ 'packs of a full backup', 'one for each 256 MiB', count($c{bytes} / $PACK) ],
		[ 'their maps', '8 bytes for each block of 8 kB; hashes do not compress',
			size($c{bytes} / $BLOCK * 8) ],
		[ 'frames in the manifest', 'one for each MiB, 16 bytes each in memory',
			count($c{bytes} / $FRAME) . ', ' . size($c{bytes} / $FRAME * 16) ],
		[ 'extents of an incremental, at worst', 'no two changed blocks side by side',
			count($extents) ],
		[ 'its manifest, at worst', 'measured size of an extent', size(product($extents, $each)) ],
		[ 'memory for that', 'measured, of reading', size(product($extents, $held)) ],
		[ 'time to write it', 'measured', duration(scaled($data, 'seconds to write', $extents)) ],
		[ 'time to read it', 'measured', duration(scaled($data, 'seconds to read', $extents)) ]);
}

sub scaled
{
	my ($data, $name, $extents) = @_;
	my ($seconds, $measured) = (fact($data, $name), fact($data, 'extents'));

	return defined $seconds ? $seconds * $extents / $measured : undef;
}

sub work
{
	my ($data) = @_;
	my $incremental = 'incremental backup, 5 % of the pages changed';
	my $segments = $c{wal_bytes} / $SEGMENT;
	my $push = contestant($data, 'push, sustained', 'pgdr');
	my $far = contestant($data, 'push, sustained (S3)', 'pgdr');
	my $get = contestant($data, 'get, ahead of the calls', 'pgdr');
	my $gone = contestant($data, 'expire: segments of WAL removed', 'pgdr, a directory');
	my $gone_far = contestant($data, 'expire: segments of WAL removed', 'pgdr, S3');

	return (
		[ 'full backup, to a directory', rate_text($data, 'full backup'),
			duration(time_for($c{bytes}, rate($data, 'full backup'))) ],
		[ 'full backup, to S3', rate_text($data, 'full backup (S3)'),
			duration(time_for($c{bytes}, rate($data, 'full backup (S3)'))) ],
		[ 'requests of it', 'measured for each byte of the cluster',
			count(product($c{bytes}, per_byte($data, 'full backup (S3)', 'requests'))) ],
		[ 'stored', 'measured', size(product($c{bytes}, per_byte($data, 'full backup', 'stored'))) ],
		[ 'incremental, 5 % changed', rate_text($data, $incremental),
			duration(time_for($c{bytes}, rate($data, $incremental))) ],
		[ 'stored by it', 'measured', size(product($c{bytes}, per_byte($data, $incremental, 'stored'))) ],
		[ 'restore, from a directory', rate_text($data, 'restore'),
			duration(time_for($c{bytes}, rate($data, 'restore'))) ],
		[ 'restore, from S3', rate_text($data, 'restore (S3)'),
			duration(time_for($c{bytes}, rate($data, 'restore (S3)'))) ],
		[ 'requests of it', 'measured',
			count(product($c{bytes}, per_byte($data, 'restore (S3)', 'requests'))) ],
		[ 'archiving a day of WAL', count($segments) . ' segments, CPUs of this machine',
			duration(for_all($push, $segments)) ],
		[ 'requests of it, S3', 'measured',
			count(requests($far, $segments)) ],
		[ 'bringing it back', 'ahead of replay, without the replay', duration(for_all($get, $segments)) ],
		[ 'expire of a day of WAL, a directory', 'measured for each segment',
			duration(for_all($gone, $segments)) ],
		[ 'expire of a day of WAL, S3', 'measured', duration(for_all($gone_far, $segments)) ],
		[ 'expire of a full backup, S3', 'a pack and its map like two segments',
			duration(for_all($gone_far, 2 * $c{bytes} / $PACK)) ]);
}

sub rate_text
{
	my ($data, $title) = @_;
	my $rate = rate($data, $title);

	return defined $rate ? sprintf('%.0f MB/s', $rate / 1e6) : 'not measured';
}

sub for_all
{
	my ($c, $n) = @_;
	return $c && $c->{ms_each} ? $n * $c->{ms_each} / 1000 : undef;
}

sub requests
{
	my ($c, $n) = @_;

	return undef unless $c && defined $c->{requests} && $c->{ms_each};
	return $n * $c->{requests} * $c->{ms_each} / 1000 / $c->{seconds};
}

sub table
{
	my (@head_and_rows) = @_;
	my ($head, @rows) = @head_and_rows;

	return join '', map { '| ' . join(' | ', @$_) . " |\n" } $head, [ ('---') x @$head ], @rows;
}

sub synthetic
{
	my ($data) = @_;
	my ($r) = grep { $_->{title} =~ /^manifest: files of/ } @{ $data->{results} };
	return '' unless $r;

	return "\nManifests of so many files, of ten extents each:\n\n" . table(
		[ 'files', 'seconds to write', 'MB of memory', 'seconds to read', 'MB of memory', 'MB stored' ],
		map {
			my ($write, $read) = @{ $_->{contestants} };
			[ count($_->{x}), map { sprintf '%.1f', $_ } $write->{seconds},
				$write->{max_kilobytes} / 1024, $read->{seconds}, $read->{max_kilobytes} / 1024,
				$_->{stored} / 1e6 ]
		} @{ $r->{growth} });
}

sub figures
{
	my ($data) = @_;
	my $m = $data->{machine};

	return "\nRates are those of $m->{cpus} CPUs ($m->{cpu}); see [performance.md](performance.md).\n\n"
	  . table([ 'what there is', 'reckoned from', '' ], layout($data)) . "\n"
	  . table([ 'what is done', 'reckoned from', '' ], work($data)) . synthetic($data) . "\n";
}

1;
