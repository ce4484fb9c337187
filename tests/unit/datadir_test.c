/*-------------------------------------------------------------------------
 *
 * datadir_test.c
 *	  The walk through a data directory, on one made for the purpose.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/datadir.h"

#define CATALOG 202209061
#define VERSION_DIR "PG_15_202209061"

static char *top; /* of all that is made here */
static char *pgdata;
static StrBuf warnings = STRBUF_INIT;

static void
keep_warning(LogLevel level, const char *message, const char *detail,
			 const char *hint)
{
	(void) level;
	(void) detail;
	(void) hint;
	strbuf_printf(&warnings, "%s\n", message);
}

static char *
place(const char *path)
{
	return file_join(path[0] == '~' ? top : pgdata,
					 path[0] == '~' ? path + 2 : path);
}

static void
make_dir(const char *path)
{
	char *full = place(path);
	Error err = ERROR_INIT;

	if (!file_mkdir_p(full, 0700, &err))
		printf("Bail out! %s\n", err.message);
	free(full);
}

/* A file of so many bytes, and the directories that it needs. */
static void
make_file(const char *path, int size)
{
	char *full = place(path);
	char *slash = strrchr(full, '/');
	Error err = ERROR_INIT;
	int fd;

	*slash = '\0';
	if (!file_mkdir_p(full, 0700, &err))
		printf("Bail out! %s\n", err.message);
	*slash = '/';
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, size) != 0)
		printf("Bail out! cannot make %s\n", full);
	close(fd);
	free(full);
}

static void
make_link(const char *target, const char *path)
{
	char *full_target = place(target);
	char *full = place(path);

	if (symlink(full_target, full) != 0)
		printf("Bail out! cannot make %s\n", full);
	free(full);
	free(full_target);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) st;
	(void) type;
	(void) ftw;
	return remove(path);
}

static void
begin(void)
{
	const char *tmp = getenv("TMPDIR");

	top = mem_printf("%s/datadir_test.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(top) == NULL)
		printf("Bail out! cannot make %s\n", top);
	pgdata = file_join(top, "data");
	make_file("PG_VERSION", 3);
	make_dir("global");
	make_dir("base");
	make_dir("pg_tblspc");
	make_dir("pg_wal");
	strbuf_reset(&warnings);
}

static void
end(void)
{
	nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(pgdata);
	free(top);
}

/* One line for each entry; directories end in a slash. */
static char *
list(const DataDir *dir)
{
	StrBuf text = STRBUF_INIT;

	for (size_t i = 0; i < dir->count; i++)
		strbuf_printf(&text, "%s%s\n", dir->files[i].path,
					  dir->files[i].is_dir ? "/" : "");
	return strbuf_steal(&text);
}

static void
is_list(int major, const char *expected, const char *what)
{
	DataDir dir;
	Error err = ERROR_INIT;
	char *text;

	if (!ok(datadir_scan(pgdata, major, CATALOG, &dir, &err), "%s: scan", what))
	{
		printf("# %s\n", err.message);
		error_clear(&err);
		return;
	}
	text = list(&dir);
	is_str(text, expected, what);
	free(text);
	datadir_free(&dir);
}

#define BASIC_BEFORE "PG_VERSION\nbase/\n"
#define BASIC_AFTER "global/\npg_tblspc/\npg_wal/\npg_wal/archive_status/\n"

static void
test_empty(void)
{
	begin();
	is_list(15, BASIC_BEFORE BASIC_AFTER, "an empty cluster");
	is_list(17, BASIC_BEFORE BASIC_AFTER "pg_wal/summaries/\n",
			"and one of version 17");
	end();
}

static void
test_left_out(void)
{
	static const char *const emptied[] = {
		"pg_stat_tmp", "pg_replslot",  "pg_dynshmem", "pg_notify",
		"pg_serial",   "pg_snapshots", "pg_subtrans", "pg_wal",
	};
	static const char *const out[] = {
		"postmaster.pid",
		"postmaster.opts",
		"backup_label",
		"backup_label.old",
		"tablespace_map",
		"tablespace_map.old",
		"backup_manifest",
		"postgresql.auto.conf.tmp",
		"current_logfiles",
		"current_logfiles.tmp",
		"recovery.signal",
		"standby.signal",
		"global/pg_control",
		"global/pg_internal.init",
		"global/pg_internal.init.1234",
		"base/5/pg_internal.init",
		"base/pgsql_tmp/pgsql_tmp123.0",
		"base/pgsql_tmp9.sharedfileset/x",
		"pgsql_tmp1",
	};

	begin();
	for (size_t i = 0; i < sizeof(emptied) / sizeof(emptied[0]); i++)
	{
		char *path = file_join(emptied[i], "x/000000010000000000000001");

		make_file(path, 10);
		free(path);
	}
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		make_file(out[i], 10);
	/* the same names deeper mean nothing */
	make_file("log/backup_label", 1);
	make_file("base/5/pg_wal", 1);
	make_file("log/pg_control", 1);
	is_list(15,
			"PG_VERSION\nbase/\nbase/5/\nbase/5/pg_wal\nglobal/\nlog/\n"
			"log/backup_label\nlog/pg_control\npg_dynshmem/\npg_notify/\n"
			"pg_replslot/\npg_serial/\npg_snapshots/\npg_stat_tmp/\n"
			"pg_subtrans/\npg_tblspc/\npg_wal/\npg_wal/archive_status/\n",
			"what PostgreSQL leaves out");
	is_str(warnings.data ? warnings.data : "", "", "without a warning");
	end();
}

static void
test_relations(void)
{
	static const char *const made[] = {
		/* unlogged */
		"base/5/100",
		"base/5/100.1",
		"base/5/100_fsm",
		"base/5/100_vm",
		"base/5/100_init",
		"base/5/100_init.1",
		/* temporary */
		"base/5/t3_200",
		"base/5/t12_200_fsm",
		"base/5/t0_200.1",
		/* permanent; their numbers begin like the others' */
		"base/5/1000",
		"base/5/1000_vm",
		"base/5/10",
		"base/6/100",
		"base/5/t3_",
		"base/5/tx_1",
		"base/5/PG_VERSION",
		"base/5/pg_filenode.map",
		"base/5/100_other",
		/* not where relations are */
		"pg_xact/100",
		"pg_xact/100_init",
		"base/100",
		"base/100_init",
	};

	begin();
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		make_file(made[i], 8192);
	is_list(15,
			"PG_VERSION\nbase/\nbase/100\nbase/100_init\nbase/5/\nbase/5/10\n"
			"base/5/1000\nbase/5/1000_vm\nbase/5/100_init\n"
			"base/5/100_init.1\nbase/5/100_other\nbase/5/PG_VERSION\n"
			"base/5/pg_filenode.map\nbase/5/t3_\nbase/5/tx_1\nbase/6/\n"
			"base/6/100\nglobal/\npg_tblspc/\npg_wal/\n"
			"pg_wal/archive_status/\npg_xact/\npg_xact/100\n"
			"pg_xact/100_init\n",
			"unlogged and temporary relations");
	end();
}

static void
test_tablespaces(void)
{
	DataDir dir;
	Error err = ERROR_INIT;
	char *location;

	begin();
	make_file("~/space/" VERSION_DIR "/5/100", 10);
	make_file("~/space/" VERSION_DIR "/5/100_init", 1);
	make_file("~/space/" VERSION_DIR "/pgsql_tmp/x", 1);
	make_file("~/space/PG_14_202107181/5/100", 10);
	make_file("~/space/lost+found/x", 10);
	make_link("~/space", "pg_tblspc/16400");
	make_file("pg_tblspc/9000/" VERSION_DIR "/5/200", 20);
	make_file("pg_tblspc/README", 1);
	if (!ok(datadir_scan(pgdata, 15, CATALOG, &dir, &err), "two tablespaces"))
		return;
	is_int((int64_t) dir.tablespace_count, 2, "both");
	is_int(dir.tablespaces[0].oid, 9000, "in order");
	ok(dir.tablespaces[0].location == NULL, "the one in place");
	is_int(dir.tablespaces[1].oid, 16400, "and the other");
	location = place("~/space");
	is_str(dir.tablespaces[1].location, location, "where it is");
	free(location);
	is_int((int64_t) dir.total_bytes, 3 + 1 + 20, "their bytes");
	datadir_free(&dir);
	is_list(15,
			"PG_VERSION\nbase/\nglobal/\npg_tblspc/\n"
			"pg_tblspc/16400/" VERSION_DIR "/\n"
			"pg_tblspc/16400/" VERSION_DIR "/5/\n"
			"pg_tblspc/16400/" VERSION_DIR "/5/100_init\n"
			"pg_tblspc/9000/\n"
			"pg_tblspc/9000/" VERSION_DIR "/\n"
			"pg_tblspc/9000/" VERSION_DIR "/5/\n"
			"pg_tblspc/9000/" VERSION_DIR "/5/200\n"
			"pg_wal/\npg_wal/archive_status/\n",
			"this version's files only");
	ok(strstr(warnings.data, "pg_tblspc/README") != NULL, "the rest is named");
	end();
}

static void
test_relative_location(void)
{
	DataDir dir;
	Error err = ERROR_INIT;
	char *link;
	char *location;

	begin();
	make_dir("~/space/" VERSION_DIR);
	link = place("pg_tblspc/1");
	location = place("~/space");
	ok(symlink("../../space", link) == 0, "a relative link");
	if (ok(datadir_scan(pgdata, 15, CATALOG, &dir, &err), "is followed"))
		is_str(dir.tablespaces[0].location, location, "and made absolute");
	datadir_free(&dir);
	free(location);
	free(link);
	end();
}

static void
test_missing_tablespace(void)
{
	DataDir dir;
	Error err = ERROR_INIT;

	begin();
	make_dir("~/space");
	make_link("~/space", "pg_tblspc/16400");
	ok(!datadir_scan(pgdata, 15, CATALOG, &dir, &err) &&
		   err.code == ERR_INCOMPLETE,
	   "a tablespace without its directory");
	is_str(err.hint, "Is the file system of the tablespace mounted?",
		   "is not passed over");
	ok(dir.files == NULL && dir.count == 0, "nothing is left");
	error_clear(&err);
	end();
}

static void
test_links(void)
{
	begin();
	make_file("~/log/server.log", 5);
	make_link("~/log", "log");
	make_file("~/xact/0000", 8192);
	make_link("~/xact", "pg_xact");
	make_file("~/db/1259", 8192);
	make_file("~/db/t1_5", 8192);
	make_link("~/db", "base/5");
	make_file("~/etc/postgresql.conf", 7);
	make_link("~/etc/postgresql.conf", "postgresql.conf");
	make_link("~/nowhere", "dangling");
	is_list(15,
			"PG_VERSION\nbase/\nbase/5/\nbase/5/1259\nglobal/\nlog/\n"
			"pg_tblspc/\npg_wal/\npg_wal/archive_status/\npg_xact/\n"
			"pg_xact/0000\npostgresql.conf\n",
			"links");
	ok(strstr(warnings.data, "\"log\" is backed up as an empty directory") !=
		   NULL,
	   "a link to files that are not the server's: a warning");
	ok(strstr(warnings.data, "\"pg_xact\" is backed up as what it leads to") !=
		   NULL,
	   "a link to the server's: a warning");
	ok(strstr(warnings.data, "\"dangling\" leads nowhere") != NULL,
	   "a link to nothing: a warning");
	end();
}

static void
test_wal_link(void)
{
	char *path;

	begin();
	path = place("pg_wal");
	rmdir(path);
	free(path);
	make_file("~/wal/000000010000000000000001", 5);
	make_link("~/wal", "pg_wal");
	is_list(15, BASIC_BEFORE BASIC_AFTER, "pg_wal elsewhere");
	is_str(warnings.data ? warnings.data : "", "", "is nothing strange");
	end();
}

static void
test_special(void)
{
	char *path;

	begin();
	path = place("fifo");
	ok(mkfifo(path, 0600) == 0, "a fifo");
	is_list(15, BASIC_BEFORE BASIC_AFTER, "is left out");
	ok(strstr(warnings.data, "special file \"fifo\" is left out") != NULL,
	   "with a warning");
	free(path);
	end();
}

static void
test_loop(void)
{
	DataDir dir;
	Error err = ERROR_INIT;

	begin();
	make_link("base", "base/loop");
	ok(!datadir_scan(pgdata, 15, CATALOG, &dir, &err) &&
		   (err.code == ERR_UNSUPPORTED || err.code == ERR_IO),
	   "a link into its own parent ends");
	error_clear(&err);
	end();
}

static void
test_values(void)
{
	struct timespec times[2] = {{1700000000, 0}, {1781234567, 890123456}};
	DataDir dir;
	Error err = ERROR_INIT;
	char *path;

	begin();
	make_file("base/5/1259", 24576);
	path = place("base/5/1259");
	utimensat(AT_FDCWD, path, times, 0);
	chmod(path, 0640);
	free(path);
	if (ok(datadir_scan(pgdata, 15, CATALOG, &dir, &err), "a scan"))
	{
		const DataFile *f = &dir.files[3];

		is_str(f->path, "base/5/1259", "the file");
		is_int((int64_t) f->size, 24576, "its size");
		is_int(f->mtime, INT64_C(1781234567890123), "its time");
		is_int(f->mode, 0640, "its mode");
		ok(!f->is_dir && dir.files[2].is_dir, "it is no directory");
		is_int(dir.files[2].mode, 0700, "the directory's mode");
		is_int((int64_t) dir.files[2].size, 0, "a directory has no size");
		is_int((int64_t) dir.total_bytes, 24576 + 3, "all together");
	}
	datadir_free(&dir);
	end();
}

static void
test_no_directory(void)
{
	DataDir dir;
	Error err = ERROR_INIT;

	ok(!datadir_scan("/nonexistent/data", 15, CATALOG, &dir, &err) &&
		   err.code == ERR_NOT_FOUND,
	   "no data directory");
	error_clear(&err);
}

/* Work grows with the number of files, not with its square. */
static void
test_many(void)
{
	DataDir dir;
	Error err = ERROR_INIT;
	int64_t begun;

	begin();
	make_dir("base/5");
	for (int i = 0; i < 20000; i++)
	{
		char path[64];

		snprintf(path, sizeof(path), "%s/base/5/%d%s", pgdata, 10000 + i / 2,
				 i % 2 ? "_init" : "");
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	begun = clock_monotonic();
	ok(datadir_scan(pgdata, 15, CATALOG, &dir, &err), "20,000 files");
	ok(clock_monotonic() - begun < 20 * USECS_PER_SEC, "in good time");
	is_int((int64_t) dir.count, 7 + 10000, "half of them are left out");
	datadir_free(&dir);
	end();
}

int
main(void)
{
	log_set_sink(keep_warning, LOG_WARNING);
	test_empty();
	test_left_out();
	test_relations();
	test_tablespaces();
	test_relative_location();
	test_missing_tablespace();
	test_links();
	test_wal_link();
	test_special();
	test_loop();
	test_values();
	test_no_directory();
	test_many();
	strbuf_free(&warnings);
	return done_testing();
}
