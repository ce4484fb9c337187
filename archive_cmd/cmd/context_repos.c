/*-------------------------------------------------------------------------
 *
 * context_repos.c
 *	  The repositories that a command works on.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/context.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "cmd/suggest.h"

const RepoSettings *
ctx_repo_named(Context *ctx, const char *name, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	Suggest s;

	if (settings == NULL)
		return NULL;
	suggest_start(&s, name);
	for (size_t i = 0; i < settings->repo_count; i++)
	{
		if (strcmp(settings->repos[i].name, name) == 0)
			return &settings->repos[i];
		suggest_offer(&s, settings->repos[i].name);
	}
	error_set(err, ERR_USAGE,
			  "repository \"%s\" is not in configuration file \"%s\"", name,
			  settings->file);
	if (s.best != NULL)
		error_hint(err, "Perhaps you meant \"%s\".", s.best);
	return NULL;
}

static bool
load_keys(Context *ctx, const Settings *settings, Error *err)
{
	if (!ctx->keys_loaded)
		ctx->keys_loaded = ctx->write_only
							   ? settings_load_write_keys(settings, &ctx->keys,
														  err)
							   : settings_load_keys(settings, &ctx->keys, err);
	return ctx->keys_loaded;
}

static void
add_member(Context *ctx, const RepoSettings *repo)
{
	RepoOptions options = settings_repo_options(&ctx->settings, repo,
												&ctx->keys);

	repo_set_add(&ctx->set, &options, repo->required);
}

/* A command works on one choice of repositories. */
static bool
prepare(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);

	if (settings == NULL || !load_keys(ctx, settings, err))
		return false;
	ctx->set.spool = settings->spool_path;
	ctx->set_made = true;
	return true;
}

RepoSet *
ctx_all_repos(Context *ctx, Error *err)
{
	if (ctx->set_made)
		return &ctx->set;
	if (!prepare(ctx, err))
		return NULL;
	for (size_t i = 0; i < ctx->settings.repo_count; i++)
		add_member(ctx, &ctx->settings.repos[i]);
	ctx->set.quorum = ctx->settings.quorum;
	return &ctx->set;
}

static bool
check_names(Context *ctx, const char *names, Error *err)
{
	bool good = true;

	while (good && *names != '\0')
	{
		size_t len = strcspn(names, ",");
		char *name = mem_strndup(names, len);

		good = ctx_repo_named(ctx, name, err) != NULL;
		free(name);
		names += len + (names[len] == ',');
	}
	return good;
}

/* Is it one of the names in "a,b"? */
static bool
is_named(const char *names, const char *name)
{
	size_t wanted = strlen(name);

	while (*names != '\0')
	{
		size_t len = strcspn(names, ",");

		if (len == wanted && strncmp(names, name, len) == 0)
			return true;
		names += len + (names[len] == ',');
	}
	return false;
}

RepoSet *
ctx_repo_set(Context *ctx, Error *err)
{
	const char *names = ctx_option(ctx, "repo");
	RepoSet *set = &ctx->set;

	if (ctx->set_made || names == NULL)
		return ctx_all_repos(ctx, err);
	if (*names == '\0')
	{
		error_set(err, ERR_USAGE, "--repo names no repository");
		return NULL;
	}
	if (!check_names(ctx, names, err) || !prepare(ctx, err))
		return NULL;
	for (size_t i = 0; i < ctx->settings.repo_count; i++)
	{
		if (is_named(names, ctx->settings.repos[i].name))
			add_member(ctx, &ctx->settings.repos[i]);
	}
	set->quorum = ctx->settings.quorum < set->count ? ctx->settings.quorum
													: (uint32_t) set->count;
	return set;
}

RepoSet *
ctx_pair(Context *ctx, const char *first, const char *second, Error *err)
{
	const RepoSettings *a = ctx_repo_named(ctx, first, err);
	const RepoSettings *b = a != NULL ? ctx_repo_named(ctx, second, err) : NULL;

	if (b == NULL || !prepare(ctx, err))
		return NULL;
	add_member(ctx, a);
	add_member(ctx, b);
	return &ctx->set;
}

const RepoSettings *
ctx_member_settings(const Context *ctx, size_t member)
{
	const char *name = repo_set_name(&ctx->set, member);
	size_t i = 0;

	while (strcmp(ctx->settings.repos[i].name, name) != 0)
		i++;
	return &ctx->settings.repos[i];
}

Repo *
ctx_repo(Context *ctx, Error *err)
{
	RepoSet *set = ctx_repo_set(ctx, err);

	return set != NULL ? repo_set_open(set, 0, err) : NULL;
}

/* ---- one after the other ---- */

/* What the members said, by member. */
static bool
tell_failures(const RepoSet *set, Error *whys, bool forgive, Error *err)
{
	size_t first = set->count;

	for (size_t i = 0; i < set->count; i++)
	{
		if (!error_is_set(&whys[i]) ||
			(forgive && whys[i].code == ERR_NOT_FOUND))
			continue;
		if (first == set->count)
			first = i;
		else
			error_detail(&whys[first], "Repository \"%s\": %s.",
						 repo_set_name(set, i), whys[i].message);
	}
	if (first == set->count)
		return true;
	if (set->count > 1)
		error_prefix(&whys[first], "repository \"%s\"",
					 repo_set_name(set, first));
	error_move(err, &whys[first]);
	return false;
}

static bool
run_on(Context *ctx, size_t member, const EachRepo *each, Error *err)
{
	RepoSet *set = &ctx->set;
	Repo *repo;
	bool done;

	ctx->current = repo_set_name(set, member);
	if (set->count > 1 && !each->quiet)
		ctx_print(ctx, "%s== repository %s ==\n", member > 0 ? "\n" : "",
				  ctx->current);
	repo = repo_set_open(set, member, err);
	done = repo != NULL && each->run(ctx, member, repo, each->arg, err);
	ctx->current = NULL;
	return done;
}

bool
ctx_each_repo(Context *ctx, const EachRepo *each, Error *err)
{
	RepoSet *set = ctx_repo_set(ctx, err);
	bool any = false;
	bool done;
	Error *whys;

	if (set == NULL)
		return false;
	whys = mem_zalloc(set->count * sizeof(Error));
	for (size_t i = 0; i < set->count; i++)
	{
		any |= run_on(ctx, i, each, &whys[i]);
		if (thread_should_stop())
			break;
	}
	done = tell_failures(set, whys, any && each->forgive_absence, err);
	for (size_t i = 0; i < set->count; i++)
		error_clear(&whys[i]);
	free(whys);
	return done && thread_check_stop(err);
}

void
ctx_current(Context *ctx, size_t member)
{
	ctx->current = member != SIZE_MAX ? repo_set_name(&ctx->set, member) : NULL;
}

/* ---- what became of them ---- */

Json *
ctx_outcomes_json(const RepoSet *set, const char *key)
{
	Json *array = json_new_array();

	for (size_t i = 0; i < set->count; i++)
	{
		const Error *why = &set->members[i].why;
		Json *obj = json_new_object();

		json_put_str(obj, "name", repo_set_name(set, i));
		json_put_bool(obj, key, !error_is_set(why));
		if (error_is_set(why))
			json_put_str(obj, "message", why->message);
		json_append(array, obj);
	}
	return array;
}
