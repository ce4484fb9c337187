/*-------------------------------------------------------------------------
 *
 * backup.c
 *	  pgdr backup: takes a base backup of the running cluster, or a backup of
 *	  another target (backup_other.c).
 *
 * With --output=json the result line has the members of a backup as info
 * shows them (label, target, type, lsn and time of start and stop, sizes,
 * annotations, damaged_pages; see doc/pgdr.md), and
 *	duration_ms		from the first word with the server to the manifest
 *	repositories	array of objects with name, complete (boolean) and, if it
 *					is not, message
 *
 * The exit status is EXIT_PROBLEMS when the backup is complete but was made of
 * damaged pages.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/backup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/backup.h"

static const OptionSpec options[] = {
	{"target", OPTION_TEXT, "TARGET",
	 "cluster (default), config, files:NAME, logical:NAME, or full_system"},
	{"type", OPTION_TEXT, "TYPE",
	 "full (default), incremental or differential"},
	{"base", OPTION_TEXT, "LABEL",
	 "backup that an incremental one is compared with"},
	{"annotate", OPTION_LIST, "KEY=VALUE", "note kept with the backup"},
	{"archival", OPTION_FLAG, NULL,
	 "to be kept for long, with the WAL alone that it needs"},
	{"no-fast", OPTION_FLAG, NULL, "wait for the checkpoint to be spread out"},
	{"archive-timeout", OPTION_TEXT, "DURATION",
	 "how long to wait for the WAL at the end"},
	{"database", OPTION_TEXT, "NAME", "of target logical:NAME: what to dump"},
	{"table", OPTION_LIST, "PATTERN", "only these tables of it"},
	{NULL, OPTION_FLAG, NULL, NULL}};

static bool
is_other(const Context *ctx)
{
	const char *target = ctx_option(ctx, "target");

	return target != NULL && strcmp(target, TARGET_CLUSTER) != 0;
}

static bool
check_target(const Context *ctx, Error *err)
{
	const char *target = ctx_option(ctx, "target");
	bool dumps = target != NULL && target_name(target, TARGET_LOGICAL) != NULL;

	if (target != NULL && !target_ok(target))
	{
		error_set(err, ERR_USAGE, "unknown target \"%s\"", target);
		return error_hint(err, "It is cluster, config, files:NAME, "
							   "logical:NAME, or full_system.");
	}
	if (!dumps && (ctx_option(ctx, "database") || ctx_option(ctx, "table")))
		return error_set(err, ERR_USAGE,
						 "--database and --table go with a target "
						 "logical:NAME only");
	return true;
}

static bool
read_base(const Context *ctx, BackupOptions *out, Error *err)
{
	const char *label = ctx_option(ctx, "base");

	if (label == NULL)
		return true;
	if (!repo_label_ok(label))
		return error_set(err, ERR_USAGE, "\"%s\" is not the label of a backup",
						 label);
	if (out->base_wish != BASE_NEWEST)
	{
		error_set(err, ERR_USAGE, "--base is for incremental backups");
		return error_hint(err, "Add --type incremental.");
	}
	out->base_label = label;
	return true;
}

static bool
read_type(const Context *ctx, BackupOptions *out, Error *err)
{
	static const struct
	{
		const char *name;
		BaseWish wish;
	} types[] = {{"full", BASE_NONE},
				 {"incremental", BASE_NEWEST},
				 {"differential", BASE_NEWEST_FULL}};
	const char *type = ctx_option(ctx, "type");

	if (type == NULL)
		return read_base(ctx, out, err);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		if (strcmp(type, types[i].name) != 0)
			continue;
		out->base_wish = types[i].wish;
		if (out->base_wish != BASE_NONE && is_other(ctx))
			return error_set(err, ERR_USAGE,
							 "only backups of the cluster can be %s", type);
		return read_base(ctx, out, err);
	}
	error_set(err, ERR_USAGE, "unknown type of backup \"%s\"", type);
	return error_hint(err, "It is full, incremental or differential.");
}

static bool
add_annotation(Json *notes, const char *text, Error *err)
{
	const char *equals = strchr(text, '=');
	char *key;
	bool taken;

	if (equals == NULL || equals == text)
	{
		error_set(err, ERR_USAGE, "invalid annotation \"%s\"", text);
		return error_hint(err, "Write it as KEY=VALUE.");
	}
	if (!json_is_utf8(text))
		return error_set(err, ERR_USAGE, "annotation is not UTF-8");
	key = mem_strndup(text, (size_t) (equals - text));
	taken = json_get(notes, key) != NULL;
	if (taken)
		error_set(err, ERR_USAGE, "annotation \"%s\" is given twice", key);
	else
		json_put_str(notes, key, equals + 1);
	free(key);
	return !taken;
}

static bool
read_annotations(const Context *ctx, Json *notes, bool *any, Error *err)
{
	const char *text;

	*any = false;
	for (size_t i = 0; (text = ctx_option_at(ctx, "annotate", i)); i++)
	{
		if (!add_annotation(notes, text, err))
			return false;
		*any = true;
	}
	return true;
}

void
backup_show_sizes(Context *ctx, const BackupInfo *info, int64_t usecs)
{
	char plain[32];
	char stored[32];
	char rate[32];
	double secs = (double) usecs / (double) USECS_PER_SEC;
	double ratio = info->stored_bytes > 0 ? (double) info->plain_bytes /
												(double) info->stored_bytes
										  : 0.0;

	ctx_print(ctx,
			  "  size:     %s in %" PRIu64 " files, stored as %s in %" PRIu32
			  " packs (ratio %.1f)\n",
			  size_text(info->plain_bytes, plain), info->file_count,
			  size_text(info->stored_bytes, stored), info->pack_count, ratio);
	if (secs < 0.001)
		secs = 0.001;
	ctx_print(ctx, "  duration: %.1f s (%s/s)\n", secs,
			  size_text((uint64_t) ((double) info->plain_bytes / secs), rate));
}

static void
show_text(Context *ctx, const BackupInfo *info, int64_t usecs)
{
	char from[LSN_TEXT_LEN];
	char to[LSN_TEXT_LEN];

	lsn_format(info->start_lsn, from);
	lsn_format(info->stop_lsn, to);
	ctx_print(ctx, "%sbackup %s complete\n",
			  info->type == BACKUP_FULL ? "" : "incremental ", info->label);
	if (info->parent != NULL)
		ctx_print(ctx, "  base:     %s\n", info->parent);
	backup_show_sizes(ctx, info, usecs);
	ctx_print(ctx, "  WAL:      %s to %s, timeline %" PRIu32 "\n", from, to,
			  info->timeline);
	if (info->damaged_pages > 0)
		ctx_print(ctx,
				  "  WARNING:  %" PRIu64 " damaged pages were copied as "
				  "they are\n",
				  info->damaged_pages);
}

static void
show_repositories(Context *ctx, const RepoSet *set)
{
	for (size_t i = 0; set->count > 1 && i < set->count; i++)
		ctx_print(ctx, "  %s %s\n",
				  error_is_set(&set->members[i].why) ? "NOT IN:  "
													 : "in:      ",
				  repo_set_name(set, i));
}

void
backup_show_result(Context *ctx, const RepoSet *set, const BackupInfo *info,
				   int64_t usecs)
{
	Json *obj = backup_info_json(info);

	json_put_str(obj, "command", "backup");
	json_put_int(obj, "duration_ms", usecs / 1000);
	json_put(obj, "repositories", ctx_outcomes_json(set, "complete"));
	ctx_emit(ctx, "result", obj);
	if (backup_is_cluster(info))
		show_text(ctx, info, usecs);
	else
		backup_other_show(ctx, info, usecs);
	show_repositories(ctx, set);
	if (info->damaged_pages > 0)
		ctx_found_problems(ctx);
}

static bool
take(Context *ctx, const BackupOptions *given, Error *err)
{
	BackupOptions take_options = *given;
	BackupInfo info = {0};
	RepoSet *set;
	int64_t begun = clock_monotonic();
	bool done;

	/* what an incremental backup is compared with has to be read */
	if (given->base_wish == BASE_NONE)
		ctx_only_writes(ctx);
	set = ctx_repo_set(ctx, err);
	if (set == NULL)
		return false;
	take_options.progress = ctx_progress_start(ctx);
	done = backup_take(set, &take_options, &info, err);
	ctx_progress_stop(ctx);
	if (done)
		backup_show_result(ctx, set, &info, clock_monotonic() - begun);
	backup_info_free(&info);
	return done;
}

static bool
run_backup(Context *ctx, Error *err)
{
	const Settings *settings;
	const char *timeout = ctx_option(ctx, "archive-timeout");
	BackupOptions given = {.fast = !ctx_flag(ctx, "no-fast"),
						   .archival = ctx_flag(ctx, "archival")};
	Json *notes;
	bool any;
	bool done;

	if (!check_target(ctx, err) || !read_type(ctx, &given, err))
		return false;
	settings = ctx_settings(ctx, err);
	if (settings == NULL)
		return false;
	given.pgdata = settings->pgdata;
	given.connection = settings->connection;
	given.primary = settings->primary_connection;
	given.workers = settings->process_max;
	given.checksum_algorithm = settings->manifest_checksums;
	given.archive_timeout = settings->archive_timeout;
	if (timeout && !clock_parse_duration(timeout, &given.archive_timeout, err))
		return false;
	notes = json_new_object();
	done = read_annotations(ctx, notes, &any, err);
	given.annotations = any ? notes : NULL;
	if (done && is_other(ctx))
		done = backup_other_take(ctx, &given, err);
	else
		done = done && take(ctx, &given, err);
	json_free(notes);
	return done;
}

const Command cmd_backup = {.name = "backup",
							.arguments = "",
							.summary = "take a base backup of the cluster",
							.options = options,
							.run = run_backup,
							.is_nice = true};
