/*-------------------------------------------------------------------------
 *
 * repo_init.c
 *	  pgdr repo-init: makes the repository that the configuration describes.
 *
 * "pgdr init" makes configuration, keys and a repository in a directory at
 * once.  This is for a repository that is added to a configuration, or lies
 * in another kind of store: keys and configuration are there.
 *
 * result: command, repository (name), type.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

static bool
create(const Settings *settings, const RepoSettings *repo, Error *err)
{
	RepoKeys keys = {0};
	RepoOptions options;
	bool done;

	if (!settings_load_write_keys(settings, &keys, err))
		return false;
	options = settings_repo_options(settings, repo, &keys);
	done = repo_create(&options, err);
	repo_keys_free(&keys);
	return done;
}

static bool
run_repo_init(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	const RepoSettings *repo;
	Json *obj;

	repo = settings != NULL ? ctx_repo_settings(ctx, err) : NULL;
	if (repo == NULL || !create(settings, repo, err))
		return false;
	ctx_print(ctx, "repository \"%s\" is made\n", repo->name);
	obj = json_new_object();
	json_put_str(obj, "command", "repo-init");
	json_put_str(obj, "repository", repo->name);
	json_put_str(obj, "type", repo->type);
	ctx_emit(ctx, "result", obj);
	return true;
}

const Command cmd_repo_init = {
	.name = "repo-init",
	.arguments = "",
	.summary = "make the repository of the configuration",
	.max_args = 0,
	.run = run_repo_init};
