/*-------------------------------------------------------------------------
 *
 * check.c
 *	  pgdr check: will archiving, backup and recovery work?
 *
 * problem: one line each; its check is one of pgdata, connection, cluster,
 * wal_level, archive_mode, archive_library, archive_command, archiver,
 * archive, key, repository, space, backup, missing, clock.
 * result: command, errors, warnings, segment (that went through the server
 * and back), archive_ms.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/check.h"

/*
 * A key file that cannot be used is a problem to report among the others,
 * not the end of the check: what only writes does not need the identity.
 */
static RepoSet *
choose_repos(Context *ctx, const Settings *settings, uint64_t *errors,
			 Error *err)
{
	RepoKeys keys;
	Error why = ERROR_INIT;

	if (settings_load_keys(settings, &keys, &why))
		repo_keys_free(&keys);
	else
	{
		const Problem problem = {.check = "key",
								 .object = "identity-file",
								 .message = why.message,
								 .detail = why.detail,
								 .hint = why.hint};

		ctx_problem(ctx, &problem);
		ctx_only_writes(ctx);
		(*errors)++;
	}
	error_clear(&why);
	return ctx_repo_set(ctx, err);
}

static void
say_result(Context *ctx, const CheckResult *result)
{
	Json *obj = json_new_object();

	if (result->segment[0] != '\0' && result->archive_usecs > 0)
		ctx_print(ctx, "segment %s reached the repository in %.1f seconds\n",
				  result->segment,
				  (double) result->archive_usecs / USECS_PER_SEC);
	ctx_print(ctx, "check %s: %" PRIu64 " problem%s, %" PRIu64 " warning%s\n",
			  result->errors == 0 ? "passed" : "failed", result->errors,
			  result->errors == 1 ? "" : "s", result->warnings,
			  result->warnings == 1 ? "" : "s");
	json_put_str(obj, "command", "check");
	json_put_int(obj, "errors", (int64_t) result->errors);
	json_put_int(obj, "warnings", (int64_t) result->warnings);
	if (result->segment[0] != '\0' && result->archive_usecs > 0)
	{
		json_put_str(obj, "segment", result->segment);
		json_put_int(obj, "archive_ms", result->archive_usecs / 1000);
	}
	ctx_emit(ctx, "result", obj);
}

/* By recipient; caller frees.  Those in escrow are not for daily use. */
static CheckKey *
own_keys(const Settings *settings, const RepoKeys *keys, size_t *count)
{
	CheckKey *out = mem_zalloc((settings->recipient_count + 1) * sizeof(*out));

	*count = 0;
	for (size_t i = 0; i < settings->recipient_count; i++)
	{
		if (settings->notes[i].escrow)
			continue;
		out[(*count)++] = (CheckKey){
			.recipient = settings->recipients[i],
			.created = settings_key_created(settings, keys, i)};
	}
	return out;
}

static bool
run_check(Context *ctx, Error *err)
{
	const Settings *settings = ctx_settings(ctx, err);
	uint64_t errors = 0;
	CheckOptions options;
	CheckResult result;
	RepoSet *set;
	RetentionPolicy *policies;
	CheckKey *keys;
	size_t key_count;
	bool done;

	if (settings == NULL)
		return false;
	set = choose_repos(ctx, settings, &errors, err);
	if (set == NULL)
		return false;
	policies = mem_zalloc(set->count * sizeof(*policies));
	for (size_t i = 0; i < set->count; i++)
		policies[i] = ctx_member_settings(ctx, i)->retention;
	keys = own_keys(settings, set->members[0].options.keys, &key_count);
	options = (CheckOptions){.pgdata = settings->pgdata,
							 .connection = settings->connection,
							 .config_file = settings->file,
							 .identity_file = settings->identity_file,
							 .keys = keys,
							 .key_count = key_count,
							 .key_max_age = settings->key_max_age,
							 .archive_timeout = settings->archive_timeout,
							 .archive = !ctx_flag(ctx, "no-archive"),
							 .policies = policies,
							 .problem = ctx_problem,
							 .problem_arg = ctx};
	done = check_run(set, &options, &result, err);
	free(policies);
	free(keys);
	if (!done)
		return false;
	result.errors += errors;
	say_result(ctx, &result);
	return true;
}

static const OptionSpec options_table[] = {
	{"no-archive", OPTION_FLAG, NULL,
	 "do not send a segment through the server"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_check = {.name = "check",
						   .arguments = "",
						   .summary = "look for what would hinder recovery",
						   .options = options_table,
						   .run = run_check,
						   .is_query = true};
