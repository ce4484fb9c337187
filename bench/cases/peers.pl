# Peers that cannot be given the same settings as pgdr: Barman, which does not
# encrypt, and compresses WAL only with gzip; pg_receivewal, which streams.  What
# each does with what is stored is in its name.

use strict;
use warnings;

use Barman;
use Bench;
use Contestants;
use Place;

my $MB16 = 16 * 1024 * 1024;

sub push_to_barman
{
	my ($corpus, $place, @segments) = @_;
	my $ours = $place->pgdr('peerpush', $corpus->alone);
	my $barman = Barman->new($corpus, 'barmanwal');

	return compare('push, one call alone, with Barman',
		{ unit => 'segment', count => scalar @segments, bytes => @segments * $MB16 },
		{ name => 'pgdr', prepare => sub { $ours->reset; $corpus->all_ready },
			run => sub { $ours->push_all(@segments) } },
		{ name => 'barman-wal-archive (SSH), as it is', prepare => sub { $barman->forget },
			run => sub { $barman->archive($corpus->wal_dir . "/$_") for @segments } });
}

sub push_to_cloud
{
	my ($corpus, @segments) = @_;
	my $place = Place->new($corpus, 's3');
	my $ours = $place->pgdr('peerpush', $corpus->alone);
	my $s3 = $corpus->s3;
	my $cloud = sub {
		my ($label, @options) = @_;
		return $place->contestant(name => "barman-cloud-wal-archive, $label",
			prepare => sub { $s3->wipe('barman') },
			run => sub { Barman::cloud_push($s3, $corpus->wal_dir . "/$_", @options)
				for @segments });
	};

	compare('push, one call alone, with Barman (S3)',
		{ unit => 'segment', count => scalar @segments, bytes => @segments * $MB16 },
		$place->contestant(name => 'pgdr', prepare => sub { $ours->reset; $corpus->all_ready },
			run => sub { $ours->push_all(@segments) }),
		$cloud->('as it is'), $cloud->('gzip', '-z'));
	$place->drop_all;
	$s3->wipe('barman');
	return;
}

sub backups_and_restores
{
	my ($corpus, $place) = @_;
	my $dir = $corpus->pg->dir . '/restored';
	my @who = ([ 'pgdr', $place->pgdr('peerfull') ],
		[ 'Barman, pg_basebackup, zstd 1',
			Barman->new($corpus, 'barmanfull', backup_compression => 'zstd',
				backup_compression_level => 1, backup_compression_workers => 2) ],
		[ 'Barman, rsync, 2 jobs, as it is',
			Barman->new($corpus, 'barmansync', backup_method => 'rsync', parallel_jobs => 2,
				ssh_command => 'ssh ' . getpwuid($<) . '@127.0.0.1', reuse_backup => 'off') ]);
	my %restore = (pgdr => sub { $who[0][1]->restore($_[0]) },
		map { my $b = $_->[1]; $_->[0] => sub { $b->recover($_[0]) } } @who[ 1, 2 ]);

	$corpus->all_done;
	$_->[1]->begin_archive for @who[ 1, 2 ];
	compare('full backup, with Barman', { bytes => $corpus->bytes }, map {
		my ($label, $c) = @$_;
		{ name => $label,
			prepare => sub { $label eq 'pgdr' ? $c->reset : $c->forget;
				$corpus->archive_with($c->archive_command) },
			run => sub { $c->backup },
			stored => sub { $c->stored },
			finish => sub { $corpus->archive_with('false');
				$c->archive_incoming if $label ne 'pgdr' } }
	} @who);
	compare('restore, with Barman', { bytes => $corpus->bytes }, map {
		my ($label) = @$_;
		{ name => $label,
			prepare => sub { run_all('rm', '-rf', $dir) },
			run => sub { $restore{$label}->($dir) } }
	} @who);
	run_all('rm', '-rf', $dir);
	$_->[1]->forget for @who[ 1, 2 ];
	return;
}

# The server sends the corpus from pg_wal, from where a directory ends that has
# the segment before.
sub receive
{
	my ($corpus, $place, @segments) = @_;
	my $pg = $corpus->pg;
	my $dir = $pg->dir . '/received';
	my $ours = $place->pgdr('peerwal');
	my ($first, @rest) = @segments;
	my $end = lsn_after($segments[-1]);
	my $receive = sub {
		my ($label, @options) = @_;
		return { name => "pg_receivewal, $label",
			prepare => sub { run_all('rm', '-rf', $dir); mkdir $dir;
				run_all('cp', $corpus->wal_dir . "/$first", $dir) },
			run => sub { run_all('pg_receivewal', '-h', $pg->host, '-p', $pg->port, '-D', $dir,
				'--no-loop', "--endpos=$end", @options) },
			finish => sub { all_received($dir, @rest) } };
	};

	compare('all of the WAL: archived, or received',
		{ unit => 'segment', count => scalar @rest, bytes => @rest * $MB16 },
		{ name => 'pgdr', prepare => sub { $ours->reset; $corpus->all_ready },
			run => sub { $ours->push_all(@rest) } },
		$receive->('as it is'), $receive->('lz4', '--compress=lz4'));
	run_all('rm', '-rf', $dir);
	$corpus->all_done;
	return;
}

# The last one may still be called partial.
sub all_received
{
	my ($dir, @segments) = @_;

	for my $segment (@segments[ 0 .. $#segments - 1 ])
	{
		-f "$dir/$segment" || -f "$dir/$segment.lz4" or die "$segment was not received\n";
	}
	return;
}

sub lsn_after
{
	my ($segment) = @_;
	my ($log, $seg) = map { hex } $segment =~ /^.{8}(.{8})(.{8})$/;
	my $position = ($log * 256 + $seg + 1) * $MB16;

	return sprintf '%X/%X', $position >> 32, $position & 0xFFFFFFFF;
}

return sub {
	my ($corpus, $place) = @_;
	my @all = $corpus->segments;
	my @some = @all[ 0 .. ($#all < 7 ? $#all : 7) ];

	receive($corpus, $place, @all);
	if (Barman::is_installed('barman'))
	{
		push_to_barman($corpus, $place, @some);
		backups_and_restores($corpus, $place);
	}
	else { say_it('Barman is not installed: not measured') }
	if (Barman::is_installed('barman-cloud-wal-archive')) { push_to_cloud($corpus, @some) }
	else { say_it('barman-cloud-wal-archive is not installed: not measured') }
	$place->drop_all;
};
