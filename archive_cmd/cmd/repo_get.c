/*-------------------------------------------------------------------------
 *
 * repo_get.c
 *	  pgdr repo-get OBJECT: one object, decoded, to standard output.
 *
 * It streams: what has been written when the object turns out to be damaged
 * cannot be taken back, so the exit status decides.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <string.h>
#include <unistd.h>

#include "repo/object.h"

static bool
run_repo_get(Context *ctx, Error *err)
{
	const char *name = ctx_argument(ctx, 0);
	Repo *repo;
	Stage *sink;
	bool done;

	if (ctx_json(ctx))
		return error_set(err, ERR_USAGE,
						 "repo-get writes the object itself, not JSON");
	repo = ctx_repo(ctx, err);
	if (repo == NULL)
		return false;
	sink = stage_sink_fd(STDOUT_FILENO, "standard output");
	/* repo.json is no object of the format, and plain anyway */
	if (ctx_flag(ctx, "raw") || strcmp(name, REPO_JSON) == 0)
		done = object_read_raw(repo, name, sink, err);
	else
		done = object_read(repo, name, sink, NULL, err);
	stage_free(sink);
	if (!done && (err->code == ERR_DAMAGED || err->code == ERR_MISMATCH))
		error_hint(err, "Do not use what was written to standard output.");
	return done;
}

static const OptionSpec options[] = {
	{"raw", OPTION_FLAG, NULL, "as it is stored; nothing is checked"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_repo_get = {.name = "repo-get",
							  .arguments = "OBJECT",
							  .summary = "write an object to standard output",
							  .min_args = 1,
							  .max_args = 1,
							  .options = options,
							  .run = run_repo_get,
							  .is_query = true};
