/*-------------------------------------------------------------------------
 *
 * backup_other.c
 *	  pgdr backup --target: takes a backup of something beside the cluster.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/backup.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/target_config.h"
#include "job/target_files.h"
#include "job/target_group.h"
#include "job/target_logical.h"

typedef struct Other
{
	Context *ctx;
	const Settings *settings;
	RepoSet *set;
	TargetOptions options;
	const BackupOptions *given;
} Other;

static bool
not_configured(const char *target, Error *err)
{
	error_set(err, ERR_CONFIG, "target \"%s\" is not configured", target);
	return error_hint(err, "Add a section [%s] to the configuration.", target);
}

static bool
take_config(const Other *o, BackupInfo *info, Error *err)
{
	ConfigOptions options = {.target = o->options,
							 .connection = o->settings->connection,
							 .bin_path = o->settings->pg_bin_path,
							 .program = ctx_program(o->ctx)};

	return target_config_take(o->set, &options, info, err);
}

/* The caller frees the array. */
static const char **
tables_of_options(const Context *ctx, size_t *count)
{
	const char **tables = NULL;
	const char *text;
	size_t cap = 0;

	for (*count = 0; (text = ctx_option_at(ctx, "table", *count)); ++*count)
	{
		tables = mem_grow(tables, *count, &cap, sizeof(*tables));
		tables[*count] = text;
	}
	return tables;
}

/* What the command line says takes the place of the section. */
static bool
take_logical(const Other *o, BackupInfo *info, Error *err)
{
	const TargetSettings *section = settings_target(o->settings,
													o->options.target);
	const char *database = ctx_option(o->ctx, "database");
	LogicalOptions options = {.target = o->options,
							  .connection = o->settings->connection,
							  .bin_path = o->settings->pg_bin_path,
							  .program = ctx_program(o->ctx)};
	const char **tables = tables_of_options(o->ctx, &options.table_count);
	bool done;

	options.database = database;
	options.tables = tables;
	if (database == NULL && section != NULL)
		options.database = section->database;
	if (database == NULL && section != NULL && options.table_count == 0)
	{
		options.tables = (const char *const *) section->tables;
		options.table_count = section->table_count;
	}
	if (options.database == NULL)
	{
		not_configured(o->options.target, err);
		done = error_hint(err, "Or name a database with --database.");
	}
	else
		done = target_logical_take(o->set, &options, info, err);
	free(tables);
	return done;
}

static bool
take_files(const Other *o, BackupInfo *info, Error *err)
{
	const TargetSettings *section = settings_target(o->settings,
													o->options.target);
	FilesOptions options = {.target = o->options};

	if (section == NULL)
		return not_configured(o->options.target, err);
	options.spec = (FilesSpec){
		.paths = (const char *const *) section->paths,
		.path_count = section->path_count,
		.excludes = (const char *const *) section->excludes,
		.exclude_count = section->exclude_count};
	return target_files_take(o->set, &options, info, err);
}

/* ---- a group ---- */

static bool
take_cluster(const Other *o, BackupInfo *info, Error *err)
{
	BackupOptions options = *o->given;

	options.progress = o->options.progress;
	return backup_take(o->set, &options, info, err);
}

static bool take(const Other *o, BackupInfo *info, Error *err);

static bool
take_member(void *arg, const char *target, BackupInfo *info, Error *err)
{
	Other o = *(const Other *) arg;

	o.options.target = target;
	if (strcmp(target, TARGET_CLUSTER) == 0)
		return take_cluster(&o, info, err);
	return take(&o, info, err);
}

/* All that there is: the cluster first, for it is what most depends on. */
static bool
take_group(const Other *o, BackupInfo *info, Error *err)
{
	const char **targets = mem_alloc((o->settings->target_count + 2) *
									 sizeof(*targets));
	GroupOptions options = {.target = o->options,
							.targets = targets,
							.take = take_member,
							.arg = (void *) (uintptr_t) o};
	bool done;

	targets[options.count++] = TARGET_CLUSTER;
	targets[options.count++] = TARGET_CONFIG;
	for (size_t i = 0; i < o->settings->target_count; i++)
		targets[options.count++] = o->settings->targets[i].target;
	done = target_group_take(o->set, &options, info, err);
	free(targets);
	return done;
}

/* ---- all ---- */

static bool
take(const Other *o, BackupInfo *info, Error *err)
{
	const char *target = o->options.target;

	if (strcmp(target, TARGET_CONFIG) == 0)
		return take_config(o, info, err);
	if (strcmp(target, TARGET_FULL_SYSTEM) == 0)
		return take_group(o, info, err);
	if (target_name(target, TARGET_FILES) != NULL)
		return take_files(o, info, err);
	return take_logical(o, info, err);
}

bool
backup_other_take(Context *ctx, const BackupOptions *given, Error *err)
{
	Other o = {.ctx = ctx,
			   .settings = ctx_settings(ctx, err),
			   .given = given,
			   .options = {.target = ctx_option(ctx, "target"),
						   .annotations = given->annotations,
						   .workers = given->workers}};
	BackupInfo info = {0};
	int64_t begun = clock_monotonic();
	bool done;

	ctx_only_writes(ctx);
	o.set = ctx_repo_set(ctx, err);
	if (o.set == NULL)
		return false;
	o.options.progress = ctx_progress_start(ctx);
	done = take(&o, &info, err);
	ctx_progress_stop(ctx);
	if (done)
		backup_show_result(ctx, o.set, &info, clock_monotonic() - begun);
	backup_info_free(&info);
	return done;
}

void
backup_other_show(Context *ctx, const BackupInfo *info, int64_t usecs)
{
	ctx_print(ctx, "backup %s of %s complete\n", info->label, info->target);
	if (info->member_count == 0)
	{
		backup_show_sizes(ctx, info, usecs);
		return;
	}
	for (size_t i = 0; i < info->member_count; i++)
		ctx_print(ctx, "%s%s%s", i == 0 ? "  made of:  " : ", ",
				  info->members[i], i + 1 == info->member_count ? "\n" : "");
	ctx_print(ctx, "  duration: %.1f s\n",
			  (double) usecs / (double) USECS_PER_SEC);
}
