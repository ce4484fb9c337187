/*-------------------------------------------------------------------------
 *
 * scratch.c
 *	  A cluster that is recovered only to be looked into.
 *
 * Whatever happens it must go again.  The server is our child and gets a
 * signal when we die; the directory then stays, and is known by its name, a
 * file, and the lock that nobody holds any more: the next run removes it.
 *
 *-------------------------------------------------------------------------
 */
#include "job/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "pg/control.h"

#define PREFIX "pgdr-scratch-"
#define NOTE "pgdr.scratch"
#define PORT "5432" /* a part of the socket's name, nothing else */
#define AUTO_CONF "postgresql.auto.conf"
#define TEXT_MAX ((size_t) 64 * 1024 * 1024)

/* Beyond this a path is none for a socket. */
#define DIR_MAX 90

#define START_MAX (60 * USECS_PER_SEC) /* until it has a postmaster.pid */
#define STOP_MAX (30 * USECS_PER_SEC)
#define LOOK_EACH (USECS_PER_SEC / 10)
#define LOG_LINES 5

/* ---- removing ---- */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void) st;
	(void) kind;
	(void) ftw;
	return remove(path);
}

/* Unlike tree_empty() it goes on when a stop was asked for. */
static void
remove_tree(const char *dir)
{
	if (nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		log_warning("could not remove directory \"%s\": %s", dir,
					strerror(errno));
}

/* The first line of postmaster.pid; 0: there is none. */
static pid_t
read_pid(const char *data)
{
	char *path = file_join(data, "postmaster.pid");
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	long pid = 0;

	if (file_slurp(path, 4096, &text, &ignored) && text.len > 0)
		pid = strtol(text.data, NULL, 10);
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
	return pid > 1 && pid <= INT32_MAX ? (pid_t) pid : 0;
}

/* Does this process work in that directory?  Numbers are used again. */
static bool
works_in(pid_t pid, const char *data)
{
	char *link = mem_printf("/proc/%ld/cwd", (long) pid);
	struct stat a;
	struct stat b;
	bool same = stat(link, &a) == 0 && stat(data, &b) == 0 &&
				a.st_dev == b.st_dev && a.st_ino == b.st_ino;

	free(link);
	return same;
}

/* A server that outlived the run which had started it. */
static void
stop_orphan(const char *data)
{
	pid_t pid = read_pid(data);
	int64_t end = clock_monotonic() + STOP_MAX;

	if (pid == 0 || !works_in(pid, data))
		return;
	kill(pid, SIGQUIT);
	while (works_in(pid, data) && clock_monotonic() < end)
		clock_sleep(LOOK_EACH);
}

static void
remove_leftover(const char *dir)
{
	char *note = file_join(dir, NOTE);
	char *data = file_join(dir, "data");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		flock(fd, LOCK_EX | LOCK_NB) == 0 && access(note, F_OK) == 0)
	{
		log_warning("removing \"%s\", which a run that was killed has left",
					dir);
		stop_orphan(data);
		remove_tree(dir);
	}
	if (fd >= 0)
		close(fd);
	free(note);
	free(data);
}

static void
remove_leftovers(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		char *path;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		path = file_join(parent, entry->d_name);
		remove_leftover(path);
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
}

/* ---- making ---- */

/* The note comes last: before it is there, nobody takes us for left over. */
static bool
claim(Scratch *s, Error *err)
{
	static const char text[] = "A scratch cluster of pgdr.  If no pgdr works "
							   "with it, it can be removed.\n";
	char *note = file_join(s->dir, NOTE);
	bool done;

	s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 || flock(s->fd, LOCK_EX | LOCK_NB) != 0)
		done = error_set_errno(err, errno, "could not lock directory \"%s\"",
							   s->dir);
	else
		done = file_write_durable(note, text, strlen(text), 0600, false, err);
	free(note);
	return done;
}

bool
scratch_make(const char *parent, Scratch *out, Error *err)
{
	*out = (Scratch){.fd = -1};
	if (geteuid() == 0)
	{
		error_set(err, ERR_USAGE, "cannot start a server as root");
		return error_hint(err, "Run pgdr as the user that the servers run as.");
	}
	if (strlen(parent) + strlen(PREFIX) > DIR_MAX)
		return error_set(err, ERR_USAGE,
						 "path of directory \"%s\" is too long for a socket",
						 parent);
	remove_leftovers(parent);
	out->dir = mem_printf("%s/" PREFIX "XXXXXX", parent);
	if (mkdtemp(out->dir) == NULL)
	{
		error_set_errno(err, errno, "could not create a directory in \"%s\"",
						parent);
		free(out->dir);
		*out = (Scratch){.fd = -1};
		return false;
	}
	out->data = file_join(out->dir, "data");
	out->spaces = file_join(out->dir, "spaces");
	if (claim(out, err))
		return true;
	scratch_remove(out);
	return false;
}

/* ---- its settings ---- */

/*
 * Of the settings that came with the backup none may work here: they name the
 * live cluster's archive, sockets, libraries, memory.  What remains is what the
 * restore has added for the recovery.
 */
static bool
keep_recovery_settings(const Scratch *s, Error *err)
{
	static const char begins[] = "# added at ";
	char *path = file_join(s->data, AUTO_CONF);
	StrBuf text = STRBUF_INIT;
	const char *from = NULL;
	bool done = file_slurp(path, TEXT_MAX, &text, err);

	for (const char *p = done ? text.data : NULL; p != NULL;
		 p = strstr(p + 1, begins))
	{
		if (strncmp(p, begins, strlen(begins)) == 0 &&
			(p == text.data || p[-1] == '\n'))
			from = p;
	}
	if (done && from == NULL)
		done = error_set(err, ERR_INTERNAL, "no settings for the recovery");
	done = done &&
		   file_write_durable(path, from, strlen(from), 0600, true, err);
	strbuf_free(&text);
	free(path);
	return done;
}

static void
put_quoted(StrBuf *out, const char *name, const char *value)
{
	strbuf_printf(out, "%s = '", name);
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			strbuf_putc(out, *value);
		strbuf_putc(out, *value);
	}
	strbuf_puts(out, "'\n");
}

static void
put_settings(const Scratch *s, const PgControl *control, StrBuf *out)
{
	char *hba = file_join(s->dir, "pg_hba.conf");
	char *ident = file_join(s->dir, "pg_ident.conf");

	strbuf_puts(out, "listen_addresses = ''\n"
					 "port = " PORT "\n"
					 "unix_socket_permissions = 0700\n"
					 "archive_mode = off\n"
					 "hot_standby = off\n"
					 "max_wal_senders = 0\n"
					 "autovacuum = off\n"
					 "fsync = off\n"
					 "full_page_writes = off\n"
					 "logging_collector = on\n"
					 "log_filename = 'server.log'\n"
					 "log_min_messages = warning\n"
					 "max_connections = 20\n");
	/* transactions that were prepared are recovered as such */
	strbuf_printf(out,
				  "max_prepared_transactions = %d\n"
				  "max_locks_per_transaction = %d\n",
				  control->max_prepared_xacts, control->max_locks_per_xact);
	put_quoted(out, "unix_socket_directories", s->dir);
	put_quoted(out, "log_directory", s->dir);
	put_quoted(out, "hba_file", hba);
	put_quoted(out, "ident_file", ident);
	free(hba);
	free(ident);
}

static bool
write_file(const Scratch *s, const char *name, const char *text, Error *err)
{
	char *path = file_join(s->dir, name);
	bool done = file_write_durable(path, text, strlen(text), 0600, true, err);

	free(path);
	return done;
}

static bool
write_settings(const Scratch *s, Error *err)
{
	StrBuf text = STRBUF_INIT;
	PgControl control;
	bool done = pg_control_read(s->data, &control, err);

	if (done)
		put_settings(s, &control, &text);
	/* nobody but us gets at the socket */
	done = done && write_file(s, "scratch.conf", text.data, err) &&
		   write_file(s, "pg_hba.conf", "local all all trust\n", err) &&
		   write_file(s, "pg_ident.conf", "", err) &&
		   keep_recovery_settings(s, err);
	strbuf_free(&text);
	return done;
}

/* ---- the server ---- */

/* The end of its log says why. */
static void
add_log(const Scratch *s, Error *err)
{
	char *path = file_join(s->dir, "server.log");
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	size_t from;
	int lines = 0;

	if (file_slurp(path, TEXT_MAX, &text, &ignored) && text.len > 0)
	{
		for (from = text.len - 1; from > 0; from--)
		{
			if (text.data[from - 1] == '\n' && ++lines == LOG_LINES)
				break;
		}
		error_detail(err, "The end of its log: %s", text.data + from);
	}
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
}

/* Our child, without reaping it: child_end() does that. */
static bool
has_ended(const Scratch *s)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t) s->pid, &info, WEXITED | WNOHANG | WNOWAIT) !=
			   0 ||
		   info.si_pid != 0;
}

static bool
wait_for_pid(Scratch *s, Error *err)
{
	int64_t end = clock_monotonic() + START_MAX;

	while ((s->pid = read_pid(s->data)) == 0)
	{
		if (!thread_check_stop(err))
			return false;
		if (clock_monotonic() > end)
			return error_set(err, ERR_SERVER, "server in \"%s\" does not start",
							 s->data);
		clock_sleep(LOOK_EACH);
	}
	return true;
}

/* Line 8 of postmaster.pid is its state. */
static bool
is_ready(const Scratch *s)
{
	char *path = file_join(s->data, "postmaster.pid");
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	const char *line = NULL;
	bool ready;

	if (file_slurp(path, 4096, &text, &ignored))
		line = text.data;
	for (int n = 1; line != NULL && n < 8; n++)
	{
		line = strchr(line, '\n');
		line += line != NULL;
	}
	ready = line != NULL && strncmp(line, "ready", 5) == 0;
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
	return ready;
}

static bool
server_failed(Scratch *s, Error *err)
{
	Child *child = s->server;

	s->server = NULL;
	if (child_end(child, err))
		error_set(err, ERR_SERVER, "server of the scratch cluster has ended");
	else
		error_prefix(err, "could not recover the scratch cluster");
	add_log(s, err);
	return false;
}

static bool
wait_until_ready(Scratch *s, Error *err)
{
	bool done = true;
	bool ended = false;

	while (done && !ended && !is_ready(s))
	{
		ended = has_ended(s);
		done = thread_check_stop(err);
		if (done && !ended)
			clock_sleep(LOOK_EACH);
	}
	return ended ? server_failed(s, err) : done;
}

bool
scratch_start(Scratch *s, const char *program, Progress *progress, Error *err)
{
	char *config = mem_printf("config_file=%s/scratch.conf", s->dir);
	const char *args[] = {"-D", s->data, "-c", config, NULL};
	ChildSpec spec = {.program = program, .args = args};
	bool done;

	if (progress)
		atomic_store(&progress->phase, "recovering");
	done = write_settings(s, err) && child_start(&spec, &s->server, err) &&
		   wait_for_pid(s, err) && wait_until_ready(s, err);
	free(config);
	return done;
}

char *
scratch_conninfo(const Scratch *s, const char *database, const char *user)
{
	StrBuf out = STRBUF_INIT;
	const char *const pairs[][2] = {
		{"host", s->dir}, {"dbname", database}, {"user", user}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		if (pairs[i][1] == NULL)
			continue;
		strbuf_printf(&out, "%s='", pairs[i][0]);
		for (const char *p = pairs[i][1]; *p != '\0'; p++)
		{
			if (*p == '\'' || *p == '\\')
				strbuf_putc(&out, '\\');
			strbuf_putc(&out, *p);
		}
		strbuf_puts(&out, "' ");
	}
	strbuf_puts(&out, "port=" PORT);
	return strbuf_steal(&out);
}

void
scratch_remove(Scratch *s)
{
	int64_t end = clock_monotonic() + STOP_MAX;

	if (s->server != NULL && s->pid > 0)
	{
		kill(s->pid, SIGQUIT);
		while (!has_ended(s) && clock_monotonic() < end)
			clock_sleep(LOOK_EACH / 10);
	}
	child_kill(s->server);
	if (s->dir != NULL)
		remove_tree(s->dir);
	if (s->fd >= 0)
		close(s->fd);
	free(s->dir);
	free(s->data);
	free(s->spaces);
	*s = (Scratch){.fd = -1};
}
