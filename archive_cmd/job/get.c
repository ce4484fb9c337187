/*-------------------------------------------------------------------------
 *
 * get.c
 *	  Brings one WAL file back, as restore_command.
 *
 * Two traps decide how this is written.  The server takes "not there" for the
 * end of the archive, so nothing else may ever be reported as ERR_NOT_FOUND,
 * least of all a directory that is missing on this host.  And it takes what
 * lies at the destination for the segment, so nothing is there before all of
 * it has been verified.
 *
 *-------------------------------------------------------------------------
 */
#include "job/get.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/get_absent.h"
#include "job/get_file.h"
#include "pg/wal_page.h"
#include "repo/object.h"

/* The file as it arrives. */
typedef struct Arrival
{
	GetFile *file;
	uint8_t head[WAL_LONG_HEADER_LEN]; /* of the first page */
	size_t head_len;
} Arrival;

static bool
take_piece(void *arg, const void *data, size_t len, Error *err)
{
	Arrival *a = arg;
	size_t room = sizeof(a->head) - a->head_len;
	size_t n = len < room ? len : room;

	memcpy(a->head + a->head_len, data, n);
	a->head_len += n;
	return get_file_write(a->file, data, len, err);
}

static const char *
kind_of(const WalName *name)
{
	switch (name->kind)
	{
		case WAL_BACKUP_HISTORY:
			return OBJECT_BACKUP_HISTORY;
		case WAL_TIMELINE_HISTORY:
			return OBJECT_HISTORY;
		case WAL_SEGMENT:
		case WAL_PARTIAL:
			break;
	}
	return OBJECT_WAL;
}

/* Is what arrived the segment of this name, of this cluster? */
static bool
check_arrival(const Arrival *a, const WalName *name, const WalHome *home,
			  const ObjectMeta *meta, Error *err)
{
	WalExpect expect = {.sysid = home->sysid, .major = home->major};
	WalPageHeader page;

	if (strcmp(meta->kind, kind_of(name)) != 0)
		return error_set(err, ERR_MISMATCH, "it is a \"%s\", not a \"%s\"",
						 meta->kind, kind_of(name));
	if (strcmp(meta->kind, OBJECT_WAL) != 0)
		return true;
	if (!wal_page_parse(a->head, a->head_len, &page, err) ||
		!wal_page_check(&page, name, &expect, err))
		return false;
	if (page.segment_size == meta->plain_size)
		return true;
	error_set(err, ERR_DAMAGED, "it is not as long as a segment");
	return error_detail(err,
						"It has %" PRIu64 " bytes; its first page says that "
						"segments have %" PRIu32 ".",
						meta->plain_size, page.segment_size);
}

static bool
fetch(Repo *repo, const WalHome *home, const WalName *name, const char *object,
	  GetFile *file, Error *err)
{
	Arrival arrival = {.file = file};
	Stage *sink = stage_sink(take_piece, &arrival);
	ObjectMeta meta = {0};
	bool done = object_read(repo, object, sink, &meta, err);

	if (done && !check_arrival(&arrival, name, home, &meta, err))
		done = error_prefix(err, "object \"%s\" in %s", object,
							repo->storage->where);
	object_meta_free(&meta);
	stage_free(sink);
	return done;
}

/* The only one there is, when the caller could not say which. */
static bool
choose_home(Repo *repo, const GetOptions *options, WalHome *home, Error *err)
{
	WalHome *homes = NULL;
	size_t count = 0;

	*home = options->home;
	if (home->sysid != 0)
		return true;
	if (!repo_list_homes(repo, &homes, &count, err))
		return false;
	if (count == 1)
		*home = homes[0];
	free(homes);
	if (count > 1)
	{
		error_set(err, ERR_MISMATCH,
				  "the repository holds WAL of %zu clusters, and it is not "
				  "known which is meant",
				  count);
		return error_hint(err, "Run the command in the data directory that is "
							   "being recovered.");
	}
	return true;
}

/* *local: what failed is this host's, and no other repository can help. */
static bool
fetch_to_file(Repo *repo, const GetOptions *options, const WalName *name,
			  bool *local, Error *err)
{
	char *object = repo_wal_name(&options->home, name);
	GetFile *file = NULL;
	bool done;

	*local = true;
	done = get_file_create(options->destination, !options->server_syncs, &file,
						   err);
	if (done)
	{
		done = fetch(repo, &options->home, name, object, file, err);
		if (done)
			done = get_file_commit(file, err);
		else
		{
			*local = false;
			get_file_abort(file);
		}
	}
	free(object);
	return done;
}

/* home->sysid is 0 when the repository holds no WAL at all. */
static bool
get_from(Repo *repo, const GetOptions *options, const WalName *name,
		 bool *local, Error *err)
{
	GetOptions known = *options;
	Error why = ERROR_INIT;

	if (!choose_home(repo, options, &known.home, err))
		return false;
	if (known.home.sysid == 0)
		return error_set(err, ERR_NOT_FOUND,
						 "\"%s\" is not in %s: there is no WAL at all",
						 options->name, repo->storage->where);
	if (fetch_to_file(repo, &known, name, local, &why))
		return true;
	if (!*local && why.code == ERR_NOT_FOUND && !options->no_reasons)
		get_explain_absence(repo, &known, name, err);
	else
		error_move(err, &why);
	error_clear(&why);
	return false;
}

/* ---- several repositories ---- */

/* What the repositories answered that could not give the file. */
typedef struct Answers
{
	Error *whys; /* by member */
	bool local;
} Answers;

/*
 * How much an answer is worth when there is no file: one that could not be
 * asked may have it, and a hole is known to be none of the archive's end.
 */
static int
weight(const Error *why)
{
	if (why->code == ERR_NOT_FOUND)
		return 1;
	return why->code == ERR_INCOMPLETE ? 2 : 3;
}

static bool
no_file(const RepoSet *set, Answers *a, Error *err)
{
	size_t worst = repo_set_nth(set, 0);

	for (size_t n = 1; n < set->count; n++)
	{
		size_t i = repo_set_nth(set, n);

		if (weight(&a->whys[i]) > weight(&a->whys[worst]))
			worst = i;
	}
	for (size_t i = 0; i < set->count; i++)
	{
		if (i != worst && a->whys[i].code != ERR_NOT_FOUND)
			error_detail(&a->whys[worst], "Repository \"%s\": %s.",
						 repo_set_name(set, i), a->whys[i].message);
	}
	if (set->count > 1)
		error_prefix(&a->whys[worst], "repository \"%s\"",
					 repo_set_name(set, worst));
	error_move(err, &a->whys[worst]);
	return false;
}

/* Those that were asked before: did they fail, or only not have it? */
static void
warn_of_others(const RepoSet *set, const GetOptions *options, const Answers *a)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (!error_is_set(&a->whys[i]) || weight(&a->whys[i]) == 1)
			continue;
		if (options->warn != NULL)
			options->warn(options->warn_arg, &a->whys[i]);
		else
			log_error_object(LOG_WARNING, &a->whys[i]);
	}
}

static bool
get_from_any(RepoSet *set, const GetOptions *options, const WalName *name,
			 Answers *a, Error *err)
{
	for (size_t n = 0; n < set->count; n++)
	{
		size_t i = repo_set_nth(set, n);
		Repo *repo;

		if (!thread_check_stop(err))
			return false;
		repo = repo_set_open(set, i, &a->whys[i]);
		if (repo != NULL &&
			get_from(repo, options, name, &a->local, &a->whys[i]))
		{
			warn_of_others(set, options, a);
			return true;
		}
		/* something needed to ask it is not there: that is no answer */
		if (repo == NULL && a->whys[i].code == ERR_NOT_FOUND)
			a->whys[i].code = ERR_CONFIG;
		if (a->local)
		{
			error_move(err, &a->whys[i]);
			return false;
		}
	}
	return no_file(set, a, err);
}

bool
get_wal_file(RepoSet *set, const GetOptions *options, Error *err)
{
	Answers a = {.whys = mem_zalloc((set->count + 1) * sizeof(Error))};
	WalName name;
	bool done;

	if (!wal_name_parse(options->name, &name))
	{
		free(a.whys);
		error_set(err, ERR_USAGE, "\"%s\" is not the name of a WAL file",
				  options->name);
		return error_hint(err, "restore_command must pass \"%%f\" and then "
							   "\"%%p\".");
	}
	done = get_from_any(set, options, &name, &a, err);
	for (size_t i = 0; i < set->count; i++)
		error_clear(&a.whys[i]);
	free(a.whys);
	return done;
}
