/*-------------------------------------------------------------------------
 *
 * repo_init.c
 *	  pgdr repo-init: makes repo.json of the repositories of the configuration
 *	  that have none.
 *
 * They get the same content key: of content-key-file, else of a repository
 * that is there already.
 *
 * result: command, repositories: array of objects with name and made (false:
 * it was there).
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <string.h>

/*
 * Any repository will do, not only the one of --repo: but a new key is never
 * made here, for then what one host writes another could not compare.
 */
static bool
find_content_key(Context *ctx, RepoKeys *keys, Error *err)
{
	RepoSet *set = ctx_all_repos(ctx, err);
	const Repo *any;

	if (set == NULL)
		return false;
	*keys = *set->members[0].options.keys;
	if (keys->has_content_key)
		return true;
	repo_set_open_all(set);
	any = repo_set_any(set);
	if (any != NULL && any->has_content)
	{
		memcpy(keys->content_key, any->content_key, CONTENT_KEY_LEN);
		keys->has_content_key = true;
		return true;
	}
	error_set(err, ERR_KEY, "the content key of the cluster is not known");
	return error_hint(err, "Set content-key-file in the configuration (\"pgdr "
						   "init\" makes one).");
}

/* One that is there, and is ours, is as good as one that was made. */
static bool
ensure_repo(const RepoOptions *options, bool *made, Error *err)
{
	Error why = ERROR_INIT;
	Repo *repo;

	*made = repo_create(options, &why);
	if (!*made && why.code == ERR_EXISTS && repo_open(options, &repo, err))
	{
		repo_close(repo);
		error_clear(&why);
		return true;
	}
	error_move(err, &why);
	return *made;
}

static bool
init_one(Context *ctx, const RepoMember *member, const RepoKeys *keys,
		 Json *list, Error *err)
{
	RepoOptions options = member->options;
	const char *name = options.storage.repo;
	Json *obj;
	bool made;

	options.keys = keys;
	if (!ensure_repo(&options, &made, err))
		return error_prefix(err, "repository \"%s\"", name);
	ctx_print(ctx, "repository %s: %s\n", name, made ? "made" : "was there");
	obj = json_new_object();
	json_put_str(obj, "name", name);
	json_put_bool(obj, "made", made);
	json_append(list, obj);
	return true;
}

static bool
run_repo_init(Context *ctx, Error *err)
{
	const char *only = ctx_option(ctx, "repo");
	RepoKeys keys;
	RepoSet *set;
	Json *list;
	Json *obj;
	bool done = true;

	if (only != NULL && ctx_repo_named(ctx, only, err) == NULL)
		return false;
	ctx_only_writes(ctx);
	if (!find_content_key(ctx, &keys, err))
		return false;
	set = ctx_all_repos(ctx, err);
	list = json_new_array();
	for (size_t i = 0; done && i < set->count; i++)
	{
		if (only == NULL || strcmp(only, repo_set_name(set, i)) == 0)
			done = init_one(ctx, &set->members[i], &keys, list, err);
	}
	explicit_bzero(keys.content_key, sizeof(keys.content_key));
	if (!done)
	{
		json_free(list);
		return false;
	}
	obj = json_new_object();
	json_put_str(obj, "command", "repo-init");
	json_put(obj, "repositories", list);
	ctx_emit(ctx, "result", obj);
	return true;
}

const Command cmd_repo_init = {
	.name = "repo-init",
	.arguments = "",
	.summary = "make the repositories of the configuration",
	.run = run_repo_init};
