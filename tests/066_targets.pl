# Backups of what is beside the cluster: the server's configuration, and dumps
# of databases.  They are restored and compared, lie in the same catalog, and
# take nothing from the cluster's own backups.

use strict;
use warnings;

use File::Path qw(make_path);
use JSON::PP;
use PgDr;
use PostgreSQL::Test::Utils;
use Test::More;
use Trial;

my $tmp = PostgreSQL::Test::Utils::tempdir();
my $pg = PgDr->new_cluster('main', wal_segsize => 1);

# Adds a section to the configuration.
sub add_section
{
	my ($text) = @_;
	spew($pg->config, slurp_bytes($pg->config) . "\n$text");
}

# Lines of the catalog for backups.
sub catalog
{
	my ($rc, @lines) = $pg->pgdr_json('info');
	return grep { $_->{type} eq 'backup' } @lines;
}

sub restore_dir
{
	my ($label, $name) = @_;
	$pg->pgdr_ok('restore', '--backup', $label, '--target-dir', "$tmp/$name");
	return "$tmp/$name";
}

# ---- configuration ----

my $include = "$tmp/outside.conf";
spew($include, "# outside of the data directory\nwork_mem = '5MB'\n");
chmod 0644, $include;
$pg->append_conf('postgresql.conf', "include = '$include'\n");
$pg->safe_psql('postgres', "ALTER SYSTEM SET log_line_prefix = 'it''s '");
$pg->safe_psql('postgres', <<'END');
CREATE ROLE app LOGIN PASSWORD 'secret';
CREATE ROLE "odd ""name";
GRANT app TO "odd ""name";
ALTER ROLE app SET search_path = 'a b', public;
CREATE DATABASE shop;
ALTER DATABASE shop SET work_mem = '7MB';
ALTER DATABASE shop SET search_path = "X", public;
END
$pg->reload;

my $config = $pg->pgdr_result('backup', '--target', 'config');
is($config->{target}, 'config', 'configuration is backed up');
is($config->{damaged_pages}, 0, 'without damage');
ok(!exists $config->{start_lsn}, 'and has no position');

my $dir = restore_dir($config->{label}, 'config');
my $data = $pg->data_dir;
is(slurp_bytes("$dir/pgdr_config$_"), slurp_bytes($_), "$_ is restored")
  for ("$data/postgresql.conf", "$data/pg_hba.conf", "$data/pg_ident.conf",
	"$data/postgresql.auto.conf", $include);
is((stat "$dir/pgdr_config$include")[2] & 07777, 0644, 'with its mode');
my $settings = slurp_bytes("$dir/settings.conf");
like($settings, qr/^work_mem = '5MB'$/m, 'a setting of an included file');
like($settings, qr/^# configuration file \Q$include\E:2\nwork_mem/m,
	'and where it comes from');
like($settings, qr/^log_line_prefix = 'it''s '$/m, 'one of ALTER SYSTEM');
unlike($settings, qr/^seq_page_cost/m, 'no default');
like(slurp_bytes("$dir/globals.sql"), qr/PASSWORD 'SCRAM-SHA-256\$/,
	'password hashes are kept in an encrypted repository');
my @plain = grep { slurp_bytes($_) =~ /SCRAM/ } repository_files($pg->repo);
is("@plain", '', 'and nowhere readable');
ok(!-e "$dir/pgdr.restoring", 'no marker is left');

# What was saved makes the same roles and settings elsewhere.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE shop');
# the role that both have is the only error
$other->psql('postgres', slurp_bytes("$dir/globals.sql"), on_error_stop => 0);
$other->safe_psql('postgres', slurp_bytes("$dir/databases.sql"));
my $roles = "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid
	WHERE rolname !~ '^pg_' ORDER BY 1";
my $members = 'SELECT roleid::regrole, member::regrole FROM pg_auth_members
	WHERE roleid >= 16384 ORDER BY 1, 2';
my $role_settings = "SELECT coalesce(datname, ''), coalesce(rolname, ''),
	setconfig FROM pg_db_role_setting
	LEFT JOIN pg_database d ON d.oid = setdatabase
	LEFT JOIN pg_roles r ON r.oid = setrole ORDER BY 1, 2";
is($other->safe_psql('postgres', $_), $pg->safe_psql('postgres', $_),
	'the same elsewhere: ' . s/\s+/ /gr)
  for ($roles, $members, $role_settings);

# ---- a database ----

$pg->safe_psql('shop', <<'END');
CREATE TABLE items AS
	SELECT n, md5(n::text) AS t FROM generate_series(1, 400000) n;
CREATE TABLE orders (id serial PRIMARY KEY, note text);
INSERT INTO orders (note) SELECT 'order ' || n FROM generate_series(1, 100) n;
CREATE VIEW recent AS SELECT * FROM orders WHERE id > 90;
END
my $sums = 'SELECT (SELECT sum(hashtext(i::text)) FROM public.items i),
	(SELECT sum(hashtext(o::text)) FROM public.orders o),
	(SELECT count(*) FROM public.recent)';

add_section("[logical:shop]\ndatabase = shop\n\n"
	  . "[logical:orders]\ndatabase = shop\ntable = public.orders\n");
my $dump = $pg->pgdr_result('backup', '--target', 'logical:shop');
is($dump->{target}, 'logical:shop', 'a database is dumped');
cmp_ok($dump->{plain_bytes}, '>', 16 * 1024 * 1024,
	'to more than one part of a dump');
is($dump->{files}, 1, 'which is one file all the same');
$dir = restore_dir($dump->{label}, 'dump');
is(-s "$dir/shop.dump", $dump->{plain_bytes}, 'the dump is restored');
$pg->safe_psql('postgres', 'CREATE DATABASE again');
command_ok([ 'pg_restore', '-d', $pg->connstr('again'), "$dir/shop.dump" ],
	'pg_restore takes it');
is($pg->safe_psql('again', $sums),
	$pg->safe_psql('shop', $sums), 'and makes the same of it');

# Without pgdr: parts in their order are the dump.
make_path("$tmp/stock");
for my $pack (sort glob $pg->repo . "/backup/$dump->{label}/data/*")
{
	my $identity = $pg->identity;
	run_log([ 'bash', '-c', "age -d -i '$identity' '$pack' | zstd -d | "
			  . "tar x -C '$tmp/stock'" ]);
}
run_log([ 'bash', '-c', "cat '$tmp'/stock/shop.dump.part* > '$tmp/stock.dump'" ]);
is(slurp_bytes("$tmp/stock.dump"), slurp_bytes("$dir/shop.dump"),
	'stock tools get the same');

my $orders = $pg->pgdr_result('backup', '--target', 'logical:orders');
$dir = restore_dir($orders->{label}, 'orders');
my ($list) = run_command([ 'pg_restore', '-l', "$dir/shop.dump" ]);
like($list, qr/TABLE DATA public orders/, 'only the table that was asked for');
unlike($list, qr/TABLE DATA public items/, 'and no other');

# Into a database, without a file in between.
$pg->safe_psql('postgres', 'CREATE DATABASE straight');
my @into = ('restore', '--backup', $dump->{label}, '--to-connection');
my $result = $pg->pgdr_result(@into, $pg->connstr('straight'));
is($result->{files}, 1, 'straight into a database');
is($pg->safe_psql('straight', $sums),
	$pg->safe_psql('shop', $sums), 'which is the same then');
my ($rc, $out, $err) = $pg->pgdr(@into, $pg->connstr('straight'));
ok($rc != 0 && $err =~ /pg_restore failed.*already exists/s,
	'a database that is not empty: pg_restore says why not');
is($pg->safe_psql('straight', $sums),
	$pg->safe_psql('shop', $sums), 'and it stays as it was');

# Damage at the end, when almost all of it is in the database.
my $view = clone_view($pg, "$tmp/damaged");
my $pack = (sort glob $view->repo . "/backup/$dump->{label}/data/*")[-1];
my $bytes = slurp_bytes($pack);
rewrite($pack, flip_bit($bytes, length($bytes) - 3000, 3));
$pg->safe_psql('postgres', 'CREATE DATABASE never');
($rc, $out, $err) = $view->pgdr(@into, $pg->connstr('never'));
is($rc, 6, 'a dump that is damaged') or diag($err);
is( $pg->safe_psql('never',
		'SELECT count(*) FROM pg_class WHERE relnamespace = 2200'),
	0, 'leaves nothing in the database');

# Straight from the command line.
my $given = $pg->backup('--target', 'logical:given', '--database', 'shop',
	'--table', 'orders');
ok($given, 'a database that is not configured is named');

# ---- what goes wrong ----

($rc, $out, $err) =
  $pg->pgdr('backup', '--target', 'logical:shop', '--table', 'absent');
ok($rc != 0, 'a table that is not there: no backup');
($rc, $out, $err) =
  $pg->pgdr('backup', '--target', 'logical:given', '--database', 'absent');
ok($rc != 0, 'nor of a database that is not there');
like($err, qr/pg_dump failed.*database "absent" does not exist/s,
	'and pg_dump says why');
($rc, $out, $err) = $pg->pgdr('backup', '--target', 'logical:none');
is($rc, 3, 'a target that is not configured');
like($err, qr/section \[logical:none\]/, 'with a hint');
($rc, $out, $err) = $pg->pgdr('backup', '--target', 'tape');
is($rc, 2, 'a target that there is not');
($rc, $out, $err) = $pg->pgdr('backup', '--database', 'shop');
is($rc, 2, 'a database without a target for it');
($rc, $out, $err) = $pg->pgdr('restore', '--backup', $config->{label},
	'--to-connection', 'dbname=again');
is($rc, 2, 'a configuration is no dump');
($rc, $out, $err) = $pg->pgdr('restore', '--backup', $dump->{label},
	'--target-dir', "$tmp/dump");
ok($rc != 0 && $err =~ /is not empty/, 'nothing is replaced');
($rc, $out, $err) = $pg->pgdr('restore', '--backup', $dump->{label},
	'--target-dir', "$tmp/never", '--target', '2026-01-01');
is($rc, 2, 'a recovery target means nothing');
ok(!-e "$tmp/never", 'and nothing is written');

is( scalar(grep { $_->{state} eq 'complete' } catalog()),
	4, 'what failed is no backup');

# pg_dump is killed when it has written half of it.
{
	my $fake = "$tmp/bin";
	make_path($fake);
	spew("$fake/pg_dump", "#!/bin/sh\nhead -c 20000000 /dev/zero\nkill -9 \$\$\n");
	chmod 0755, "$fake/pg_dump";
	($rc, $out, $err) = $pg->pgdr('backup', '--target', 'logical:shop',
		{ env => { PGDR_GLOBAL_PG_BIN_PATH => $fake } });
	ok($rc != 0 && $err =~ /pg_dump was terminated by signal 9/,
		'a dump that is not complete is none');
}

# Without encryption no password hash is stored for everybody to read.
{
	my $open = $pg->sibling('open');
	my $text = slurp_bytes($open->config);
	my ($pgdata, $connection) = ($pg->data_dir, $pg->connection);

	$text =~ s/^(encryption|recipient|identity-file)\s*=.*\n//mg;
	$text =~ s/^\[global\]\n/[global]\nencryption = none\n/m;
	$text =~ s/^path\s*=.*$/path = $tmp\/open/m;
	$text =~ s/^pgdata\s*=.*$/pgdata = $pgdata/m;
	$text =~ s/^connection\s*=.*$/connection = $connection/m;
	spew($open->config, $text);
	$open->pgdr_ok('repo-init');
	($rc, $out, $err) = $open->pgdr('backup', '--target', 'config');
	is($rc, 0, 'configuration in a repository that is not encrypted')
	  or diag($err);
	like($err, qr/password hashes of roles are left out/, 'has a warning');
	my ($label) = $out =~ /^backup (\S+) of/m;
	$open->pgdr_ok('restore', '--backup', $label, '--target-dir', "$tmp/opened");
	unlike(slurp_bytes("$tmp/opened/globals.sql"), qr/SCRAM/, 'and no hashes');
}

# ---- beside the cluster ----

($rc, $out, $err) =
  $pg->pgdr('restore', '--target-dir', "$tmp/cluster", '--dry-run');
ok($rc != 0 && $err =~ /no backup/, 'no recovery begins with any of these');
my $cluster = $pg->backup;
my ($row) = grep { $_->{label} eq $cluster } catalog();
is($row->{target}, 'cluster', 'the cluster as ever');
my $plan = $pg->pgdr_ok('restore', '--target-dir', "$tmp/cluster",
	'--dry-run');
like($plan, qr/restore of backup \Q$cluster\E/, 'and a recovery takes it');

my $deep = $pg->pgdr_result('verify', '--deep');
is($deep->{errors}, 0, 'all of it passes a deep verification');
is($deep->{backups}, 5, 'each backup');

done_testing();
