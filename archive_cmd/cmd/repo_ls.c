/*-------------------------------------------------------------------------
 *
 * repo_ls.c
 *	  pgdr repo-ls [PATH]: what lies in the repository.
 *
 * object: name, directory (boolean), size (stored bytes), mtime.
 * result: command, objects.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

typedef struct Listing
{
	char *name;
	bool is_dir;
	uint64_t size;
	int64_t mtime;
} Listing;

typedef struct Listings
{
	Listing *items;
	size_t count;
	size_t cap;
} Listings;

static bool
collect(void *arg, const StorageEntry *entry, Error *err)
{
	Listings *list = arg;

	(void) err;
	list->items = mem_grow(list->items, list->count, &list->cap,
						   sizeof(Listing));
	list->items[list->count++] = (Listing){.name = mem_strdup(entry->name),
										   .is_dir = entry->is_dir,
										   .size = entry->size,
										   .mtime = entry->mtime};
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const Listing *) a)->name, ((const Listing *) b)->name);
}

static void
show(Context *ctx, const Listing *item)
{
	char when[CLOCK_TEXT_LEN];
	Json *obj = json_new_object();

	clock_format(item->mtime, when);
	if (item->is_dir)
		ctx_print(ctx, "%14s  %-27s  %s/\n", "", "", item->name);
	else
		ctx_print(ctx, "%14" PRIu64 "  %-27s  %s\n", item->size, when,
				  item->name);
	json_put_str(obj, "name", item->name);
	json_put_bool(obj, "directory", item->is_dir);
	if (!item->is_dir)
	{
		json_put_int(obj, "size", (int64_t) item->size);
		json_put_str(obj, "mtime", when);
	}
	ctx_emit(ctx, "object", obj);
}

/* The path as the store wants it: no slash at the end, "" for the root. */
static char *
clean_path(const char *path)
{
	size_t len = path != NULL ? strlen(path) : 0;

	while (len > 0 && path[len - 1] == '/')
		len--;
	return mem_strndup(path != NULL ? path : "", len);
}

/* A path that names an object lists that object, as ls does. */
static bool
list_path(Repo *repo, const char *path, bool recursive, Listings *list,
		  Error *err)
{
	StorageEntry entry = {.name = path};
	Error why = ERROR_INIT;

	if (path[0] != '\0' && !storage_check_name(path, err))
		return false;
	if (path[0] != '\0' &&
		storage_stat(repo->storage, path, &entry.size, &entry.mtime, &why))
		return collect(list, &entry, err);
	error_clear(&why);
	if (!storage_list(repo->storage, path, recursive, collect, list, err))
		return false;
	if (list->count == 0 && path[0] != '\0')
		return error_set(err, ERR_NOT_FOUND, "there is no \"%s\" in %s", path,
						 repo->storage->where);
	return true;
}

static bool
run_repo_ls(Context *ctx, Error *err)
{
	char *path = clean_path(ctx_argument(ctx, 0));
	Repo *repo = ctx_repo(ctx, err);
	Listings list = {0};
	Json *obj;
	bool done = repo != NULL &&
				list_path(repo, path, ctx_flag(ctx, "recursive"), &list, err);

	if (list.count > 0)
		qsort(list.items, list.count, sizeof(Listing), by_name);
	for (size_t i = 0; i < list.count; i++)
	{
		if (done)
			show(ctx, &list.items[i]);
		free(list.items[i].name);
	}
	free(list.items);
	free(path);
	if (!done)
		return false;
	obj = json_new_object();
	json_put_str(obj, "command", "repo-ls");
	json_put_int(obj, "objects", (int64_t) list.count);
	ctx_emit(ctx, "result", obj);
	return true;
}

static const OptionSpec options[] = {
	{"recursive", OPTION_FLAG, NULL, "also what is in directories"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_repo_ls = {.name = "repo-ls",
							 .arguments = "[PATH]",
							 .summary = "list what is in the repository",
							 .max_args = 1,
							 .options = options,
							 .run = run_repo_ls,
							 .is_query = true};
