# What it costs to remove WAL that no backup needs any more.

use strict;
use warnings;

use Bench;
use Contestants;
use Corpus;

return sub {
	my $count = $ENV{BENCH_EXPIRE} // 1000;
	my ($corpus, $behind) = Corpus->late('expired', $count);
	my $of = sub {
		my ($label, $store) = @_;
		my $c = Contestants->pgdr($corpus, "expire$store", store => $store,
			'process-max' => 2);

		$c->reset;
		$corpus->archive_with($c->archive_command);
		$c->backup;
		$corpus->archive_with('false');
		return { name => $label,
			prepare => sub { $c->fill($behind - $count, $count) },
			run => sub {
				my ($removed) = $c->expire('--keep-full', 1) =~ /"segments": ?(\d+)/;
				$removed >= $count or die "expire removed $removed segments of $count\n" },
			$store eq 's3' ? (requests => sub { $corpus->s3->requests }) : () };
	};

	with_rounds(rounds() < 3 ? undef : 3, sub {
		compare('expire: segments of WAL removed', { unit => 'segment', count => $count },
			$of->('pgdr, a directory', 'posix'), $of->('pgdr, S3', 's3')) });
	$corpus->stop;
};
