/*-------------------------------------------------------------------------
 *
 * restore.c
 *	  pgdr restore: brings a backup back, ready to recover to a target.
 *
 * With --output=json there is a line of type "plan" before anything is
 * written:
 *	backup			label of the backup
 *	target_dir
 *	target_type		latest, immediate, time, lsn, xid, name
 *	target			its value; a time in UTC
 *	timeline		recovered along
 *	start_lsn, stop_lsn, stop_time	of the backup
 *	reach_lsn		up to where WAL is there without a hole
 *	reach_time		last commit up to there
 *	missing_segment	the first one that is not there, if later ones are
 *	reachable		boolean
 *	verdict			"reachable", or a sentence that says why not
 *	wal_segments	to replay at most
 *	files, plain_bytes, stored_bytes
 *	repositories	names of those that have the backup, in order of reading
 *
 * and the result line has
 *	command, backup, target_dir, timeline
 *	dry_run			boolean
 *	files, plain_bytes	what was written (not with --dry-run)
 *	kept_bytes		of files that were there already (with --delta)
 *	duration_ms
 *
 * A plan whose target cannot be reached ends in an error of code "incomplete"
 * (EXIT_INCOMPLETE), unless --skip-wal-check is given without --dry-run.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/restore_options.h"
#include "job/restore.h"
#include "job/restore_target.h"
#include "job/unpack.h"
#include "repo/target.h"

static const OptionSpec options[] = {
	{"target-dir", OPTION_TEXT, "DIR", "directory to restore into"},
	{"backup", OPTION_TEXT, "LABEL",
	 "backup to restore (default: the newest that reaches the target)"},
	{"part", OPTION_TEXT, "TARGET",
	 "of a backup of full_system, only this part"},
	{"to-connection", OPTION_TEXT, "CONNINFO",
	 "of a backup of logical:NAME: run pg_restore into that database"},
	{"target-type", OPTION_TEXT, "TYPE",
	 "latest (default), immediate, time, lsn, xid, or name"},
	{"target", OPTION_TEXT, "VALUE",
	 "where recovery ends; without --target-type, a time"},
	{"target-timeline", OPTION_TEXT, "TIMELINE",
	 "latest (default), current, or a number"},
	{"target-action", OPTION_TEXT, "ACTION",
	 "promote (default), pause, or shutdown"},
	{"target-exclusive", OPTION_FLAG, NULL, "end just before the target"},
	{"standby", OPTION_FLAG, NULL, "make a standby"},
	{"archive-mode", OPTION_TEXT, "off", "make a copy that does not archive"},
	{"tablespace-map", OPTION_LIST, "OLD=NEW",
	 "other location for a tablespace (path or OID)"},
	{"tablespace-map-all", OPTION_TEXT, "DIR",
	 "all other tablespaces go to DIR/OID"},
	{"link-map", OPTION_LIST, "NAME=DIR",
	 "make a link of a directory, such as pg_wal"},
	{"db-include", OPTION_LIST, "NAME",
	 "only this database, and the system's, with contents"},
	{"force", OPTION_FLAG, NULL, "delete what is in the directory first"},
	{"delta", OPTION_FLAG, NULL,
	 "keep files that are as in the backup, write what differs"},
	{"skip-wal-check", OPTION_FLAG, NULL,
	 "restore although the target cannot be reached"},
	{"dry-run", OPTION_FLAG, NULL, "show the plan only"},
	{NULL, OPTION_FLAG, NULL, NULL}};

/* What the options of a job point to. */
typedef struct Given
{
	RestoreOptions job;
	char *target_dir;
	char *restore_command;
	char *tablespace_dir;
	TablespaceMap *maps;
	LinkMap *links;
	const char **databases;
	char **texts; /* that maps and links point to */
	size_t text_count;
	size_t text_cap;
	atomic_uint_fast64_t kept;
	const char *protect[4];
} Given;

/* ---- what the user asked for ---- */

/*
 * PostgreSQL has other values as well, but those are the restored server's own
 * business.
 */
static bool
read_archive_mode(const Context *ctx, RestoreOptions *job, Error *err)
{
	const char *mode = ctx_option(ctx, "archive-mode");

	job->archive_off = mode != NULL;
	if (mode == NULL || strcmp(mode, "off") == 0)
		return true;
	error_set(err, ERR_USAGE, "invalid value \"%s\" of --archive-mode", mode);
	return error_hint(err, "It can only be off; without the option the "
						   "setting stays as it is in the backup.");
}

static size_t
count_of(const Context *ctx, const char *option)
{
	size_t n = 0;

	while (ctx_option_at(ctx, option, n) != NULL)
		n++;
	return n;
}

/* Cuts "OLD=NEW"; both parts live as long as g. */
static bool
read_pair(Given *g, const char *text, const char **from, const char **to,
		  Error *err)
{
	const char *equals = strchr(text, '=');
	char *copy;

	if (equals == NULL || equals == text || equals[1] == '\0')
	{
		error_set(err, ERR_USAGE, "invalid map \"%s\"", text);
		return error_hint(err, "Write it as OLD=NEW.");
	}
	copy = mem_strdup(text);
	copy[equals - text] = '\0';
	g->texts = mem_grow(g->texts, g->text_count, &g->text_cap,
						sizeof(*g->texts));
	g->texts[g->text_count++] = copy;
	*from = copy;
	*to = copy + (equals - text) + 1;
	return true;
}

static bool
read_maps(const Context *ctx, Given *g, Error *err)
{
	RestoreOptions *job = &g->job;
	const char *all = ctx_option(ctx, "tablespace-map-all");
	const char *text;

	g->maps = mem_zalloc((count_of(ctx, "tablespace-map") + 1) *
						 sizeof(*g->maps));
	g->links = mem_zalloc((count_of(ctx, "link-map") + 1) * sizeof(*g->links));
	for (; (text = ctx_option_at(ctx, "tablespace-map", job->map_count));
		 job->map_count++)
	{
		TablespaceMap *map = &g->maps[job->map_count];

		if (!read_pair(g, text, &map->from, &map->to, err))
			return false;
	}
	for (; (text = ctx_option_at(ctx, "link-map", job->link_count));
		 job->link_count++)
	{
		LinkMap *link = &g->links[job->link_count];

		if (!read_pair(g, text, &link->from, &link->to, err))
			return false;
	}
	g->tablespace_dir = all != NULL ? file_absolute(all) : NULL;
	job->maps = g->maps;
	job->links = g->links;
	job->tablespace_dir = g->tablespace_dir;
	return true;
}

static void
read_databases(const Context *ctx, Given *g)
{
	size_t count = count_of(ctx, "db-include");

	g->databases = mem_zalloc((count + 1) * sizeof(*g->databases));
	for (size_t i = 0; i < count; i++)
		g->databases[i] = ctx_option_at(ctx, "db-include", i);
	g->job.databases = g->databases;
	g->job.database_count = count;
}

/* What becomes of what is there? */
static bool
read_manner(const Context *ctx, Given *g, Error *err)
{
	g->job.force = ctx_flag(ctx, "force");
	g->job.delta = ctx_flag(ctx, "delta");
	g->job.kept = &g->kept;
	if (g->job.force && g->job.delta)
		return error_set(err, ERR_USAGE,
						 "--force and --delta exclude each other");
	return true;
}

static void
protect_files(Given *g, const Settings *settings)
{
	const char *files[] = {settings->file, settings->identity_file,
						   settings->passphrase_file,
						   settings->content_key_file};
	size_t count = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
	{
		if (files[i] != NULL)
			g->protect[count++] = files[i];
	}
	g->job.protect = g->protect;
	g->job.protect_count = count;
}

static bool
check_where(const Context *ctx, const char *dir, Error *err)
{
	bool given = dir != NULL && *dir != '\0';

	if (ctx_option(ctx, "to-connection") == NULL)
	{
		if (given)
			return true;
		error_set(err, ERR_USAGE, "no target directory is given");
		return error_hint(err, "Name it with --target-dir.");
	}
	if (given)
		return error_set(err, ERR_USAGE,
						 "--target-dir and --to-connection "
						 "exclude each other");
	return ctx_option(ctx, "backup") != NULL ||
		   error_set(err, ERR_USAGE, "no backup is named with --backup");
}

static bool
read_options(Context *ctx, Given *g, Error *err)
{
	const Settings *settings;
	const char *dir = ctx_option(ctx, "target-dir");

	if (!check_where(ctx, dir, err))
		return false;
	if (!restore_read_target(ctx, &g->job, err) || !read_maps(ctx, g, err) ||
		!read_manner(ctx, g, err))
		return false;
	read_databases(ctx, g);
	settings = ctx_settings(ctx, err);
	if (settings == NULL)
		return false;
	g->target_dir = file_absolute(dir != NULL ? dir : "");
	g->job.target_dir = g->target_dir;
	g->job.label = ctx_option(ctx, "backup");
	g->job.target_timeline = ctx_option(ctx, "target-timeline");
	g->job.target_action = ctx_option(ctx, "target-action");
	g->job.standby = ctx_flag(ctx, "standby");
	if (!read_archive_mode(ctx, &g->job, err))
		return false;
	g->job.skip_wal_check = ctx_flag(ctx, "skip-wal-check");
	g->job.live_pgdata = settings->pgdata;
	g->job.workers = settings->process_max;
	protect_files(g, settings);
	return true;
}

static void
given_free(Given *g)
{
	for (size_t i = 0; i < g->text_count; i++)
		free(g->texts[i]);
	free(g->texts);
	free(g->maps);
	free(g->links);
	free(g->databases);
	free(g->tablespace_dir);
	free(g->target_dir);
	free(g->restore_command);
}

/* ---- the plan ---- */

static void
put_lsn(Json *obj, const char *key, uint64_t lsn)
{
	char buf[LSN_TEXT_LEN];

	lsn_format(lsn, buf);
	json_put_str(obj, key, buf);
}

static Json *
sources_json(Context *ctx, const RestorePlan *plan)
{
	Json *array = json_new_array();

	for (size_t i = 0; i < plan->source_count; i++)
		json_append(
			array,
			json_new_string(ctx_member_settings(ctx, plan->sources[i])->name));
	return array;
}

static void
emit_plan(Context *ctx, const Given *g, const RestorePlan *plan)
{
	Json *obj = json_new_object();
	char time[CLOCK_TEXT_LEN];
	char name[WAL_FILE_NAME_MAX];

	json_put_str(obj, "backup", plan->backup.label);
	json_put_str(obj, "target_dir", g->target_dir);
	json_put_str(obj, "target_type",
				 restore_target_type_name(plan->target_type));
	if (plan->target != NULL)
		json_put_str(obj, "target", plan->target);
	json_put_int(obj, "timeline", plan->timeline);
	put_lsn(obj, "start_lsn", plan->backup.start_lsn);
	put_lsn(obj, "stop_lsn", plan->backup.stop_lsn);
	json_put_str(obj, "stop_time", clock_format(plan->backup.stop_time, time));
	put_lsn(obj, "reach_lsn", plan->reach.end_lsn);
	if (plan->reach_time != 0)
		json_put_str(obj, "reach_time", clock_format(plan->reach_time, time));
	if (plan->reach.hole)
	{
		wal_name_format(&plan->reach.missing, name);
		json_put_str(obj, "missing_segment", name);
	}
	if (plan->branch_lsn != 0)
		put_lsn(obj, "branch_lsn", plan->branch_lsn);
	json_put_bool(obj, "reachable", plan->reachable);
	json_put_str(obj, "verdict", plan->verdict);
	json_put_int(obj, "wal_segments", (int64_t) plan->wal_segments);
	json_put_int(obj, "files", (int64_t) plan->file_count);
	json_put_int(obj, "plain_bytes", (int64_t) plan->plain_bytes);
	json_put_int(obj, "stored_bytes", (int64_t) plan->stored_bytes);
	json_put(obj, "repositories", sources_json(ctx, plan));
	ctx_emit(ctx, "plan", obj);
}

static void
print_plan(Context *ctx, const Given *g, const RestorePlan *plan)
{
	const BackupInfo *b = &plan->backup;
	char time[CLOCK_TEXT_LEN];
	char from[LSN_TEXT_LEN];
	char to[LSN_TEXT_LEN];
	char plain[32];
	char stored[32];

	ctx_print(ctx, "restore of backup %s into %s\n", b->label, g->target_dir);
	ctx_print(
		ctx,
		"  backup:   complete at %s, %s in %" PRIu64 " files (%s to read)\n",
		clock_format(b->stop_time, time), size_text(plan->plain_bytes, plain),
		plan->file_count, size_text(plan->stored_bytes, stored));
	ctx_print(ctx, "  target:   %s%s%s%s, timeline %" PRIu32 "\n",
			  restore_target_type_name(plan->target_type),
			  plan->target ? " " : "", plan->target ? plan->target : "",
			  g->job.target_inclusive ? "" : " (exclusive)", plan->timeline);
	lsn_format(b->start_lsn, from);
	lsn_format(plan->reach.end_lsn, to);
	ctx_print(ctx,
			  "  WAL:      from %s, complete up to %s; %" PRIu64
			  " segments to replay at most\n",
			  from, to, plan->wal_segments);
	if (plan->reach_time != 0)
		ctx_print(ctx, "  commits:  up to %s\n",
				  clock_format(plan->reach_time, time));
	if (plan->branch_lsn != 0)
		ctx_print(ctx,
				  "  note:     timeline %" PRIu32
				  " has no WAL yet; recovery ends where it begins\n",
				  plan->timeline);
	ctx_print(ctx, "  verdict:  %s\n", plan->verdict);
}

/* ---- the result ---- */

/*
 * archive-push refuses a server that is not in the data directory that the
 * configuration names, so that a copy never archives beside the original.
 */
static void
print_archiving(Context *ctx, const Given *g)
{
	if (g->job.archive_off)
		ctx_print(ctx, "It does not archive, because archive_mode is off in "
					   "postgresql.auto.conf.\n");
	else if (strcmp(g->target_dir, g->job.live_pgdata) == 0)
		ctx_print(ctx, "With archive_mode on, it goes on archiving into the "
					   "same repository.\n");
	else
		ctx_print(ctx,
				  "It does not archive, because its directory is not the "
				  "pgdata of %s:\n"
				  "change that if it is to take the place of the old one, or "
				  "else set archive_mode = off.\n",
				  g->job.protect[0]);
}

static void
print_next(Context *ctx, const Given *g)
{
	const RestoreOptions *job = &g->job;

	ctx_print(ctx, "Start the server with:\n  pg_ctl -D %s start\n",
			  g->target_dir);
	if (job->standby)
		ctx_print(ctx, "It follows the archive until it is promoted.\n");
	else if (job->target_type != TARGET_LATEST && job->target_action != NULL &&
			 strcmp(job->target_action, "promote") != 0)
		ctx_print(ctx, "It recovers to the target, and then %s.\n",
				  strcmp(job->target_action, "pause") == 0
					  ? "pauses, for you to look and to call "
						"pg_wal_replay_resume()"
					  : "shuts down");
	else
		ctx_print(ctx, "It recovers to the target, and begins a new "
					   "timeline.\n");
	print_archiving(ctx, g);
}

/* What was done; nothing of it with --dry-run. */
typedef struct Done
{
	uint64_t files;
	uint64_t bytes;
	int64_t usecs;
} Done;

static void
print_done(Context *ctx, const Given *g, const Done *d)
{
	char size[32];
	char rate[32];
	double secs = (double) (d->usecs > 1000 ? d->usecs : 1000) / 1e6;

	ctx_print(ctx, "restored %s in %" PRIu64 " files in %.1f s (%s/s)\n",
			  size_text(d->bytes, size), d->files, secs,
			  size_text((uint64_t) ((double) d->bytes / secs), rate));
	if (g->job.delta)
		ctx_print(ctx, "of that, %s in files that were there already\n",
				  size_text(atomic_load(&g->kept), size));
	if (g->job.database_count > 0)
		ctx_print(ctx, "Databases that were not included have no contents: "
					   "drop them when recovery is over.\n");
	print_next(ctx, g);
}

static void
show_result(Context *ctx, const Given *g, const RestorePlan *plan,
			const Done *d)
{
	Json *obj = json_new_object();
	bool dry_run = ctx_flag(ctx, "dry-run");

	json_put_str(obj, "command", "restore");
	json_put_str(obj, "backup", plan->backup.label);
	json_put_str(obj, "target_dir", g->target_dir);
	json_put_int(obj, "timeline", plan->timeline);
	json_put_bool(obj, "dry_run", dry_run);
	if (!dry_run)
	{
		json_put_int(obj, "files", (int64_t) d->files);
		json_put_int(obj, "plain_bytes", (int64_t) d->bytes);
		if (g->job.delta)
			json_put_int(obj, "kept_bytes", (int64_t) atomic_load(&g->kept));
		print_done(ctx, g, d);
	}
	json_put_int(obj, "duration_ms", d->usecs / 1000);
	ctx_emit(ctx, "result", obj);
}

/* ---- all ---- */

static bool
restore(Context *ctx, RepoSet *set, Given *g, const RestorePlan *plan, Done *d,
		Error *err)
{
	Progress *progress = ctx_progress_start(ctx);
	bool done;

	g->job.progress = progress;
	done = restore_run(set, &g->job, plan, err);
	d->files = atomic_load(&progress->done_items);
	d->bytes = atomic_load(&progress->done_bytes);
	ctx_progress_stop(ctx);
	return done;
}

static bool
plan_and_restore(Context *ctx, Given *g, Error *err)
{
	int64_t begun = clock_monotonic();
	RepoSet *set = ctx_repo_set(ctx, err);
	RestorePlan plan = {0};
	Done d = {0};
	bool done;

	if (set == NULL || !restore_plan(set, &g->job, &plan, err))
		return false;
	g->restore_command = restore_make_command(ctx, ctx_settings(ctx, err), set);
	g->job.restore_command = g->restore_command;
	emit_plan(ctx, g, &plan);
	print_plan(ctx, g, &plan);
	if (ctx_flag(ctx, "dry-run"))
		done = restore_check_plan(&plan, false, err);
	else
		done = restore(ctx, set, g, &plan, &d, err);
	d.usecs = clock_monotonic() - begun;
	if (done)
		show_result(ctx, g, &plan, &d);
	restore_plan_free(&plan);
	return done;
}

/* ---- other targets ---- */

/* What cannot be read says so when it is restored as one of the cluster. */
static bool
find_other(Context *ctx, const char *label, RestorePlan *plan, Error *err)
{
	RepoSet *set = label != NULL ? ctx_repo_set(ctx, err) : NULL;
	Error ignored = ERROR_INIT;
	bool found = set != NULL && unpack_plan(set, label, plan, &ignored) &&
				 !backup_is_cluster(&plan->backup);

	error_clear(&ignored);
	return found;
}

static bool
restore_one(Context *ctx, Given *g, Error *err)
{
	RestorePlan other = {0};
	bool done;

	if (find_other(ctx, g->job.label, &other, err))
		done = restore_other(ctx, &g->job, &other, err);
	else
		done = !error_is_set(err) && plan_and_restore(ctx, g, err);
	restore_plan_free(&other);
	return done;
}

static bool
restore_cluster_check(const Context *ctx, Error *err)
{
	return ctx_option(ctx, "to-connection") == NULL ||
		   error_set(err, ERR_USAGE,
					 "--to-connection goes with a backup of logical:NAME only");
}

/* By itself: then nothing may be asked of it that it cannot do. */
static bool
restore_alone(Context *ctx, Given *g, Error *err)
{
	RestorePlan other = {0};
	bool is_other = find_other(ctx, g->job.label, &other, err);
	bool done = !error_is_set(err) &&
				(is_other ? restore_other_check(ctx, &other, err)
						  : restore_cluster_check(ctx, err));

	restore_plan_free(&other);
	return done && restore_one(ctx, g, err);
}

/* Can it be restored, as far as is known before? */
static bool
check_one(Context *ctx, const Given *g, const char *label, Error *err)
{
	RepoSet *set = ctx_repo_set(ctx, err);
	RestoreOptions job = g->job;
	RestorePlan plan = {0};
	bool done;

	job.label = label;
	done = set != NULL && unpack_plan(set, label, &plan, err);
	if (done && backup_is_cluster(&plan.backup))
	{
		restore_plan_free(&plan);
		done = restore_plan(set, &job, &plan, err) &&
			   restore_check_plan(&plan, job.skip_wal_check, err);
	}
	restore_plan_free(&plan);
	return done;
}

/* The directory of a part: its target, with a slash for the colon. */
static char *
part_dir(const Given *g, const char *target)
{
	char *dir = file_join(g->target_dir, target);
	char *colon = strrchr(dir + strlen(g->target_dir), ':');

	if (colon != NULL)
		*colon = '/';
	return dir;
}

static bool
restore_member(Context *ctx, const Given *g, const char *label, Error *err)
{
	Given part = *g;
	RestorePlan plan = {0};
	RepoSet *set = ctx_repo_set(ctx, err);
	bool done;

	if (set == NULL || !unpack_plan(set, label, &plan, err))
		return false;
	part.target_dir = part_dir(g, plan.backup.target);
	part.restore_command = NULL;
	part.job.target_dir = part.target_dir;
	part.job.label = label;
	restore_plan_free(&plan);
	done = restore_one(ctx, &part, err);
	free(part.restore_command);
	free(part.target_dir);
	return done;
}

/* All parts are looked at before one of them is written. */
static bool
restore_group(Context *ctx, const Given *g, const BackupInfo *group, Error *err)
{
	bool done = true;

	for (size_t i = 0; done && i < group->member_count; i++)
		done = check_one(ctx, g, group->members[i], err);
	for (size_t i = 0; done && i < group->member_count; i++)
		done = restore_member(ctx, g, group->members[i], err);
	return done;
}

/* The label of the group's member of that target. */
static bool
choose_part(Context *ctx, Given *g, const BackupInfo *group, const char *part,
			Error *err)
{
	RepoSet *set = ctx_repo_set(ctx, err);

	for (size_t i = 0; set != NULL && i < group->member_count; i++)
	{
		RestorePlan plan = {0};
		bool same;

		if (!unpack_plan(set, group->members[i], &plan, err))
			return false;
		same = strcmp(plan.backup.target, part) == 0;
		restore_plan_free(&plan);
		if (!same)
			continue;
		g->job.label = group->members[i];
		return restore_alone(ctx, g, err);
	}
	return error_set(err, ERR_USAGE, "backup \"%s\" has no part \"%s\"",
					 group->label, part);
}

static bool
restore_any(Context *ctx, Given *g, Error *err)
{
	const char *part = ctx_option(ctx, "part");
	RestorePlan other = {0};
	bool is_group = find_other(ctx, g->job.label, &other, err) &&
					other.backup.member_count > 0;
	bool done;

	if (error_is_set(err))
		done = false;
	else if (part != NULL && !is_group)
		done = error_set(err, ERR_USAGE,
						 "--part goes with a backup of full_system only");
	else if (part != NULL)
		done = choose_part(ctx, g, &other.backup, part, err);
	else if (is_group && !restore_cluster_check(ctx, err))
		done = false;
	else if (is_group)
		done = restore_group(ctx, g, &other.backup, err);
	else
		done = restore_alone(ctx, g, err);
	restore_plan_free(&other);
	return done;
}

static bool
run_restore(Context *ctx, Error *err)
{
	Given g = {0};
	bool done = read_options(ctx, &g, err) && restore_any(ctx, &g, err);

	given_free(&g);
	return done;
}

const Command cmd_restore = {
	.name = "restore",
	.arguments = "",
	.summary = "restore a backup, to recover to a target",
	.options = options,
	.run = run_restore,
	.is_nice = true};
