/*-------------------------------------------------------------------------
 *
 * backup_config.c
 *	  Configuration files that lie outside of the data directory, as Debian
 *	  has them: without them a restored cluster does not start.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup_config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define CONFIG_FILE_MAX ((size_t) 16 * 1024 * 1024)

/*
 * The settings of postgresql.conf and the command line.  pg_settings has what
 * is in effect, except for what this session changed for itself; that comes
 * from pg_file_settings, which only a superuser may read.
 * postgresql.auto.conf is in the data directory and needs no copy.
 */
#define IN_EFFECT                                             \
	"SELECT name, setting FROM pg_settings"                   \
	" WHERE source IN ('configuration file', 'command line')" \
	" AND coalesce(sourcefile, '') NOT LIKE '%/postgresql.auto.conf'"
#define NOT_A_PLACE                                                    \
	" WHERE name NOT IN ('data_directory', 'config_file', 'hba_file'," \
	" 'ident_file', 'external_pid_file') ORDER BY name"
#define SETTINGS_IN_FILES                                                   \
	"WITH e AS (" IN_EFFECT "), f AS (SELECT DISTINCT ON (lower(name))"     \
	" lower(name) AS name, setting FROM pg_file_settings"                   \
	" WHERE name IS NOT NULL AND error IS NULL"                             \
	" AND sourcefile NOT LIKE '%/postgresql.auto.conf'"                     \
	" ORDER BY lower(name), seqno DESC)"                                    \
	" SELECT name, setting FROM (SELECT * FROM e UNION ALL SELECT * FROM f" \
	" WHERE name NOT IN (SELECT lower(e.name) FROM e)) s" NOT_A_PLACE
#define SETTINGS_IN_EFFECT "SELECT * FROM (" IN_EFFECT ") s" NOT_A_PLACE

/* Files that were read for another one that includes them. */
#define FILES_OF_SETTINGS                              \
	"SELECT DISTINCT sourcefile FROM pg_file_settings" \
	" WHERE sourcefile IS NOT NULL ORDER BY 1"
#define FILES_OF_HBA                                   \
	"SELECT DISTINCT file_name FROM pg_hba_file_rules" \
	" WHERE file_name IS NOT NULL ORDER BY 1"
#define FILES_OF_IDENT                                      \
	"SELECT DISTINCT file_name FROM pg_ident_file_mappings" \
	" WHERE file_name IS NOT NULL ORDER BY 1"

typedef struct Collector
{
	Server *server;
	const ServerInfo *info;
	char *root; /* the data directory, links resolved; NULL: all files are
				 * wanted, not only those outside of it */
	ConfigCopies *out;
} Collector;

bool
backup_config_path(const char *path)
{
	size_t len = strlen(BACKUP_CONFIG_DIR);

	return strncmp(path, BACKUP_CONFIG_DIR, len) == 0 &&
		   (path[len] == '\0' || path[len] == '/');
}

static bool
is_collected(const ConfigCopies *copies, const char *path)
{
	for (size_t i = 0; i < copies->count; i++)
	{
		if (strcmp(copies->items[i].file.path, path) == 0)
			return true;
	}
	return false;
}

/* Takes text over. */
static void
add_copy(ConfigCopies *copies, const char *path, StrBuf *text, mode_t mode,
		 int64_t mtime)
{
	ConfigCopy *copy;

	copies->items = mem_grow(copies->items, copies->count, &copies->cap,
							 sizeof(ConfigCopy));
	copy = &copies->items[copies->count++];
	copy->file = (DataFile){.path = mem_strdup(path),
							.size = text->len,
							.mtime = mtime,
							.mode = mode};
	copy->text = strbuf_steal(text);
}

void
backup_config_free(ConfigCopies *copies)
{
	for (size_t i = 0; i < copies->count; i++)
	{
		free(copies->items[i].file.path);
		free(copies->items[i].text);
	}
	free(copies->items);
	memset(copies, 0, sizeof(*copies));
}

/* ---- verbatim copies ---- */

/* Reads source and adds it as path; absent is a warning. */
static bool
copy_file(Collector *c, const char *source, const char *path, Error *err)
{
	struct stat st;
	StrBuf text = STRBUF_INIT;

	if (source == NULL || source[0] == '\0')
	{
		log_warning("the server does not say where its \"%s\" is", path);
		return true;
	}
	if (is_collected(c->out, path))
		return true;
	if (stat(source, &st) != 0)
	{
		if (errno != ENOENT)
			return error_set_errno(err, errno, "could not stat file \"%s\"",
								   source);
		log_warning("configuration file \"%s\" does not exist", source);
		return true;
	}
	if (!file_slurp(source, CONFIG_FILE_MAX, &text, err))
	{
		strbuf_free(&text);
		return error_hint(err, "Run pgdr as the user that runs the server: a "
							   "restored cluster needs this file.");
	}
	add_copy(c->out, path, &text, st.st_mode & 07777,
			 (int64_t) st.st_mtim.tv_sec * USECS_PER_SEC +
				 st.st_mtim.tv_nsec / 1000);
	return true;
}

static bool
is_outside(const Collector *c, const char *path)
{
	char *real;
	size_t len;
	bool inside;

	if (c->root == NULL)
		return true;
	real = realpath(path, NULL);
	len = strlen(c->root);
	/* what does not exist is warned of where it is read */
	if (real == NULL)
		return true;
	inside = strncmp(real, c->root, len) == 0 && real[len] == '/';
	free(real);
	return !inside;
}

/* A row function too: the values are one path. */
static bool
keep_outside(void *arg, char *const *values, int ncols, Error *err)
{
	Collector *c = arg;
	char *source;
	char *path;
	bool done;

	(void) ncols;
	if (values[0] == NULL || values[0][0] != '/' || !is_outside(c, values[0]))
		return true;
	source = file_absolute(values[0]);
	path = mem_printf("%s%s", BACKUP_CONFIG_DIR, source);
	done = copy_file(c, source, path, err);
	free(path);
	free(source);
	return done;
}

/*
 * What the server does not let this role see, it does not let it copy: the
 * main files are known anyway.
 */
static bool
keep_included(Collector *c, const char *sql, Error *err)
{
	Error refused = ERROR_INIT;

	if (server_query(c->server, sql, keep_outside, c, &refused))
		return true;
	if (refused.code != ERR_SERVER)
	{
		error_move(err, &refused);
		return false;
	}
	log_warning("could not list included configuration files: %s",
				refused.message);
	error_clear(&refused);
	return true;
}

static bool
keep_all_outside(Collector *c, Error *err)
{
	char *const main_files[] = {c->info->config_file, c->info->hba_file,
								c->info->ident_file};

	for (size_t i = 0; i < 3; i++)
	{
		if (!keep_outside(c, &main_files[i], 1, err))
			return false;
	}
	if (!keep_included(c, FILES_OF_SETTINGS, err))
		return false;
	/* included files exist from 16 on */
	return c->info->major < 16 || (keep_included(c, FILES_OF_HBA, err) &&
								   keep_included(c, FILES_OF_IDENT, err));
}

/* ---- what makes the backup start by itself ---- */

static bool
has_file(const DataDir *dir, const char *path)
{
	for (size_t i = 0; i < dir->count; i++)
	{
		if (!dir->files[i].is_dir && strcmp(dir->files[i].path, path) == 0)
			return true;
	}
	return false;
}

/* Inside quotes of postgresql.conf a backslash is an escape as well. */
static bool
add_setting(void *arg, char *const *values, int ncols, Error *err)
{
	StrBuf *text = arg;

	(void) ncols;
	(void) err;
	if (values[0] == NULL || values[1] == NULL)
		return true;
	strbuf_printf(text, "%s = '", values[0]);
	for (const char *p = values[1]; *p; p++)
	{
		if (*p == '\n')
		{
			strbuf_puts(text, "\\n");
			continue;
		}
		if (*p == '\'' || *p == '\\')
			strbuf_putc(text, *p);
		strbuf_putc(text, *p);
	}
	strbuf_puts(text, "'\n");
	return true;
}

static bool
make_settings(Collector *c, Error *err)
{
	StrBuf text = STRBUF_INIT;
	StrBuf settings = STRBUF_INIT;
	Error refused = ERROR_INIT;
	bool done;

	strbuf_printf(&text,
				  "# Made by pgdr from the settings in effect at the time of "
				  "the backup, because\n# the data directory had no "
				  "postgresql.conf.  The files themselves are in\n# %s.\n",
				  BACKUP_CONFIG_DIR);
	done = server_query(c->server, SETTINGS_IN_FILES, add_setting, &settings,
						&refused);
	if (!done && refused.code == ERR_SERVER)
	{
		strbuf_reset(&settings);
		done = server_query(c->server, SETTINGS_IN_EFFECT, add_setting,
							&settings, err);
	}
	else if (!done)
		error_move(err, &refused);
	error_clear(&refused);
	if (done)
	{
		strbuf_add(&text, settings.data, settings.len);
		add_copy(c->out, "postgresql.conf", &text, 0600, clock_now());
	}
	strbuf_free(&settings);
	strbuf_free(&text);
	return done;
}

static bool
complete(Collector *c, const DataDir *dir, Error *err)
{
	if (!has_file(dir, "postgresql.conf") && !make_settings(c, err))
		return false;
	if (!has_file(dir, "pg_hba.conf") &&
		!copy_file(c, c->info->hba_file, "pg_hba.conf", err))
		return false;
	return has_file(dir, "pg_ident.conf") ||
		   copy_file(c, c->info->ident_file, "pg_ident.conf", err);
}

bool
backup_config_collect(Server *server, const ServerInfo *info,
					  const char *pgdata, const DataDir *dir, ConfigCopies *out,
					  Error *err)
{
	Collector c = {.server = server, .info = info, .out = out};
	bool done;

	c.root = realpath(pgdata, NULL);
	if (c.root == NULL)
		return error_set_errno(err, errno, "could not resolve \"%s\"", pgdata);
	done = keep_all_outside(&c, err) && complete(&c, dir, err);
	free(c.root);
	return done;
}

bool
backup_config_files(Server *server, const ServerInfo *info, ConfigCopies *out,
					Error *err)
{
	Collector c = {.server = server, .info = info, .out = out};
	char *automatic;
	bool done;

	if (!keep_all_outside(&c, err))
		return false;
	/* where nothing was set with ALTER SYSTEM, no view names it */
	automatic = mem_printf("%s/postgresql.auto.conf", info->data_directory);
	done = info->data_directory[0] == '\0' ||
		   keep_outside(&c, &automatic, 1, err);
	free(automatic);
	return done;
}
