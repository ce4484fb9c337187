/*-------------------------------------------------------------------------
 *
 * info.c
 *	  pgdr info [LABEL]: what the repository holds, and from when to when it
 *	  can recover.  No key is needed.
 *
 * repository: name, store (type of it), path, required; target (name of the
 * cluster), id, format, encrypted, created; with several repositories
 * missing_backups and missing_segments (how many others have that this one
 * should have); in place of these problem (text) of one that cannot be looked
 * at.  The lines that follow have a member repository with its name.
 * backup: label, state (complete, running, interrupted, unreadable); of a
 * complete one target, backup_type (full, incremental), sysid (text), major,
 * version_num, catalog_version, segment_size, page_checksums, start_timeline,
 * timeline, start_lsn, stop_lsn, start_time, stop_time, files, plain_bytes,
 * stored_bytes, packs, packs_sha256, damaged_pages, parent (label), members
 * (array of labels, of target full_system), annotations (object of texts),
 * wal_ok (the WAL from start to stop is here).  A backup of another target than
 * cluster has neither sysid, major, catalog_version, segment_size,
 * page_checksums nor timelines and positions;
 * archival, held, pinned, pinned_until, standalone (WAL behind it was given
 * up) where it is so; verified_at, verified_ok, verified_deep once it was
 * verified; problem (text) of an unreadable one; kept_by (array of the rules of
 * retention that keep it), retention (the reason, a sentence).
 * wal_range: sysid, major, timeline, segment_size, first_segment,
 * last_segment, segments, start_lsn, end_lsn, first_commit, last_commit,
 * stored_bytes.  A run of segments without a gap.
 * timeline: sysid, major, timeline, has_history, ancestors (array of timeline,
 * end_lsn; oldest first).
 * recovery_window: sysid, major, timeline (recovered along), label (of the
 * first backup), from_lsn, from_time (its end), to_lsn, to_time (of the last
 * commit, at least from_time), hole (is there WAL that cannot be reached?),
 * missing_segment.
 * result: command, backups, wal_ranges, recovery_windows (of all repositories).
 *
 * One of several repositories that cannot be looked at is a problem
 * (EXIT_PROBLEMS).
 *
 * With LABEL only the lines of that backup and the result.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/info_json.h"
#include "job/missing.h"
#include "repo/target.h"

/* "2026-11-21 00:18:29Z": people count in seconds. */
static char *
time_text(int64_t t, char *buf)
{
	clock_format(t, buf);
	buf[strlen("YYYY-MM-DD")] = ' ';
	memcpy(buf + strlen("YYYY-MM-DD HH:MM:SS"), "Z", 2);
	return buf;
}

/* ---- text ---- */

static void
print_repository(Context *ctx, const Repo *repo, const RepoSettings *settings)
{
	char created[CLOCK_TEXT_LEN];

	ctx_print(ctx, "repository %s (%s %s)\n", settings->name, settings->type,
			  settings->path != NULL ? settings->path : "");
	ctx_print(ctx, "  cluster %s, created %s, %s\n", repo->options.cluster,
			  time_text(repo->created, created),
			  repo->encrypted ? "encrypted" : "not encrypted");
}

static const char *
verified_text(const CatalogBackup *b)
{
	if (b->verified_at == 0)
		return "never verified";
	if (!b->verified_ok)
		return "verification FAILED";
	return b->verified_deep ? "verified deep" : "verified";
}

static void
print_members(Context *ctx, const BackupInfo *info)
{
	for (size_t i = 0; i < info->member_count; i++)
		ctx_print(ctx, "%s%s%s", i == 0 ? "      made of " : ", ",
				  info->members[i], i + 1 == info->member_count ? "\n" : "");
}

static void
print_backup(Context *ctx, const CatalogBackup *b)
{
	const BackupInfo *info = &b->info;
	char stop[CLOCK_TEXT_LEN];
	char plain[32];
	char stored[32];
	char from[LSN_TEXT_LEN];
	char to[LSN_TEXT_LEN];

	if (b->state != BACKUP_COMPLETE)
	{
		ctx_print(ctx, "  %s  %s%s%s\n", info->label,
				  backup_state_name(b->state),
				  b->state == BACKUP_UNREADABLE ? ": " : "",
				  b->state == BACKUP_UNREADABLE ? b->problem.message : "");
		return;
	}
	if (info->member_count > 0)
	{
		ctx_print(ctx, "  %s  %s, ended %s, %s\n", info->label, info->target,
				  time_text(info->stop_time, stop), verified_text(b));
		print_members(ctx, info);
		return;
	}
	ctx_print(ctx, "  %s  %s%s%s, ended %s, %s stored as %s, %s\n", info->label,
			  backup_is_cluster(info) ? "" : info->target,
			  backup_is_cluster(info) ? "" : ", ",
			  info->type == BACKUP_FULL ? "full" : "incremental",
			  time_text(info->stop_time, stop),
			  size_text(info->plain_bytes, plain),
			  size_text(info->stored_bytes, stored), verified_text(b));
	if (!backup_is_cluster(info))
		return;
	lsn_format(info->start_lsn, from);
	lsn_format(info->stop_lsn, to);
	ctx_print(ctx, "      timeline %" PRIu32 ", WAL %s to %s%s\n",
			  info->timeline, from, to,
			  b->wal_ok ? "" : ": NOT ALL OF IT IS HERE");
	if (info->damaged_pages > 0)
		ctx_print(ctx, "      made of %" PRIu64 " DAMAGED PAGES\n",
				  info->damaged_pages);
}

static void
print_marks(Context *ctx, const CatalogBackup *b)
{
	char until[CLOCK_TEXT_LEN];

	if (b->info.archival)
		ctx_print(ctx, "      archival\n");
	if (b->held)
		ctx_print(ctx, "      a legal hold is on it\n");
	if (b->pinned_until == INT64_MAX)
		ctx_print(ctx, "      pinned\n");
	else if (b->pinned_until != 0)
		ctx_print(ctx, "      pinned until %s\n",
				  time_text(b->pinned_until, until));
	if (b->standalone)
		ctx_print(ctx, "      WAL behind it was given up\n");
}

static void
print_annotation(void *arg, const char *key, const Json *value)
{
	ctx_print(arg, "      %s = %s\n", key, json_str(value));
}

static void
print_details(Context *ctx, const CatalogBackup *b)
{
	const BackupInfo *info = &b->info;
	char start[CLOCK_TEXT_LEN];

	if (b->state != BACKUP_COMPLETE)
		return;
	if (backup_is_cluster(info))
		ctx_print(ctx,
				  "      started %s, PostgreSQL %d, system identifier %" PRIu64
				  "\n",
				  time_text(info->start_time, start), info->major, info->sysid);
	else
		ctx_print(ctx, "      started %s\n",
				  time_text(info->start_time, start));
	ctx_print(ctx, "      %" PRIu64 " files in %" PRIu32 " packs\n",
			  info->file_count, info->pack_count);
	if (b->verified_at != 0)
		ctx_print(ctx, "      last verified %s\n",
				  time_text(b->verified_at, start));
	if (info->annotations != NULL)
		json_each(info->annotations, print_annotation, ctx);
}

static void
print_range(Context *ctx, const WalRange *r)
{
	char from[LSN_TEXT_LEN];
	char to[LSN_TEXT_LEN];
	char size[32];
	char last[CLOCK_TEXT_LEN] = "unknown";

	lsn_format(r->start_lsn, from);
	lsn_format(r->end_lsn, to);
	if (r->last_commit != 0)
		time_text(r->last_commit, last);
	ctx_print(ctx,
			  "  timeline %" PRIu32 ": %s to %s, %" PRIu64
			  " segment%s, %s, last commit %s\n",
			  r->timeline, from, to, r->last - r->first + 1,
			  r->first == r->last ? "" : "s", size_text(r->bytes, size), last);
}

static void
print_timeline(Context *ctx, const CatalogTimeline *t)
{
	const TimelineSwitch *parent;
	char lsn[LSN_TEXT_LEN];

	if (t->history.count == 0)
	{
		if (t->timeline > 1)
			ctx_print(ctx, "  timeline %" PRIu32 ": its history is missing\n",
					  t->timeline);
		return;
	}
	parent = &t->history.items[t->history.count - 1];
	lsn_format(parent->lsn, lsn);
	ctx_print(ctx, "  timeline %" PRIu32 " left timeline %" PRIu32 " at %s\n",
			  t->timeline, parent->timeline, lsn);
}

static void
print_window(Context *ctx, const RecoveryWindow *w)
{
	char from[CLOCK_TEXT_LEN];
	char to[CLOCK_TEXT_LEN];
	char lsn[LSN_TEXT_LEN];

	lsn_format(w->to_lsn, lsn);
	ctx_print(ctx, "  timeline %" PRIu32 ": from %s (backup %s) to %s (%s)\n",
			  w->timeline, time_text(w->from_time, from), w->label,
			  time_text(w->to_time, to), lsn);
	if (w->hole)
	{
		char missing[WAL_FILE_NAME_MAX];

		wal_name_format(&w->missing, missing);
		ctx_print(ctx,
				  "      WAL behind that is out of reach: segment %s is "
				  "MISSING\n",
				  missing);
	}
}

/* ---- all of it ---- */

/* What the rules of this repository say of a backup. */
static void
show_retention(Context *ctx, const Decision *d, Json *obj)
{
	char rules[INFO_RULES_LEN];

	json_put(obj, "kept_by", info_rules_json(d->rules));
	json_put_str(obj, "retention", d->reason);
	info_rules_text(d->rules, rules);
	if (d->keep)
		ctx_print(ctx, "      kept by: %s\n", rules);
	else
		ctx_print(ctx, "      to go with the next expire\n");
}

static void
show_backups(Context *ctx, const Catalog *catalog,
			 const RetentionPolicy *policy)
{
	RetentionPlan plan;

	ctx_print(ctx, "\nbackups\n");
	if (catalog->backup_count == 0)
		ctx_print(ctx, "  none\n");
	retention_decide(catalog, policy, clock_now(), &plan);
	/* the decisions about backups come first, in the order of the backups */
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		Json *obj = info_backup_json(&catalog->backups[i]);

		print_backup(ctx, &catalog->backups[i]);
		print_marks(ctx, &catalog->backups[i]);
		show_retention(ctx, &plan.decisions[i], obj);
		ctx_emit(ctx, "backup", obj);
	}
	retention_plan_free(&plan);
}

static void
show_wal(Context *ctx, const WalCatalog *wal)
{
	ctx_print(ctx, "\nWAL of system identifier %" PRIu64 ", PostgreSQL %d\n",
			  wal->home.sysid, wal->home.major);
	for (size_t i = 0; i < wal->range_count; i++)
	{
		print_range(ctx, &wal->ranges[i]);
		ctx_emit(ctx, "wal_range", info_range_json(&wal->ranges[i]));
	}
	for (size_t i = 0; i < wal->timeline_count; i++)
	{
		print_timeline(ctx, &wal->timelines[i]);
		ctx_emit(ctx, "timeline", info_timeline_json(&wal->timelines[i]));
	}
}

/* What is known of each repository, and what was shown so far. */
typedef struct Look
{
	Repo *repo; /* NULL: see why */
	Catalog catalog;
	Error why;
} Look;

typedef struct Shown
{
	size_t backups;
	size_t ranges;
	size_t windows;
} Shown;

static void
say_result(Context *ctx, const Shown *shown)
{
	Json *obj = json_new_object();

	json_put_str(obj, "command", "info");
	json_put_int(obj, "backups", (int64_t) shown->backups);
	json_put_int(obj, "wal_ranges", (int64_t) shown->ranges);
	json_put_int(obj, "recovery_windows", (int64_t) shown->windows);
	ctx_emit(ctx, "result", obj);
}

static bool
show_windows(Context *ctx, Look *look, Shown *shown, Error *err)
{
	RecoveryWindow *windows;
	size_t count;

	if (!catalog_windows(look->repo, &look->catalog, &windows, &count, err))
		return false;
	ctx_print(ctx, "\nrecovery windows\n");
	if (count == 0)
		ctx_print(ctx, "  none: there is no complete backup with its WAL\n");
	for (size_t i = 0; i < count; i++)
	{
		print_window(ctx, &windows[i]);
		ctx_emit(ctx, "recovery_window", info_window_json(&windows[i]));
	}
	free(windows);
	shown->windows += count;
	return true;
}

static void
print_missing(Context *ctx, const Missing *missing)
{
	if (missing->segments + missing->backup_count == 0)
		return;
	ctx_print(ctx,
			  "  LACKS %zu backup%s and %" PRIu64 " WAL segment%s that other "
			  "repositories have: see \"pgdr repair\"\n",
			  missing->backup_count, missing->backup_count == 1 ? "" : "s",
			  missing->segments, missing->segments == 1 ? "" : "s");
}

static bool
show_repository(Context *ctx, size_t member, Look *look, const Catalog *all,
				Shown *shown, Error *err)
{
	const RepoSettings *settings = ctx_member_settings(ctx, member);
	const Catalog *catalog = &look->catalog;
	Json *obj = info_repository_json(look->repo, settings);
	Missing missing;

	print_repository(ctx, look->repo, settings);
	if (all != NULL)
	{
		missing_find(catalog, all, &settings->retention, clock_now(), &missing);
		print_missing(ctx, &missing);
		json_put_int(obj, "missing_backups", (int64_t) missing.backup_count);
		json_put_int(obj, "missing_segments", (int64_t) missing.segments);
		missing_free(&missing);
	}
	ctx_emit(ctx, "repository", obj);
	show_backups(ctx, catalog, &settings->retention);
	shown->backups += catalog->backup_count;
	for (size_t i = 0; i < catalog->wal_count; i++)
	{
		show_wal(ctx, &catalog->wal[i]);
		shown->ranges += catalog->wal[i].range_count;
	}
	return show_windows(ctx, look, shown, err);
}

/* It is there, but nothing can be said of it. */
static void
show_unseen(Context *ctx, size_t member, const Error *why)
{
	const RepoSettings *settings = ctx_member_settings(ctx, member);
	const Problem problem = {.check = "repository",
							 .object = settings->name,
							 .message = why->message,
							 .detail = why->detail,
							 .hint = why->hint};
	Json *obj = info_repository_json(NULL, settings);

	json_put_str(obj, "problem", why->message);
	ctx_emit(ctx, "repository", obj);
	ctx_problem(ctx, &problem);
}

/* All that can be loaded; *seen of them. */
static void
load_all(RepoSet *set, Look *looks, size_t *seen)
{
	*seen = 0;
	repo_set_open_all(set);
	for (size_t i = 0; i < set->count; i++)
	{
		Look *look = &looks[i];

		look->repo = repo_set_open(set, i, &look->why);
		if (look->repo != NULL &&
			!catalog_load(look->repo, true, &look->catalog, &look->why))
			look->repo = NULL;
		*seen += look->repo != NULL;
	}
}

static bool
unite(const Look *looks, size_t count, Catalog *all, Error *err)
{
	const Catalog **parts = mem_zalloc((count + 1) * sizeof(*parts));
	size_t used = 0;
	bool done;

	for (size_t i = 0; i < count; i++)
	{
		if (looks[i].repo != NULL)
			parts[used++] = &looks[i].catalog;
	}
	done = catalog_unite(parts, used, all, err);
	free(parts);
	return done;
}

static bool
show_looks(Context *ctx, RepoSet *set, Look *looks, const Catalog *all,
		   Error *err)
{
	Shown shown = {0};
	bool done = true;

	for (size_t i = 0; done && i < set->count; i++)
	{
		ctx_current(ctx, i);
		ctx_print(ctx, "%s", i > 0 ? "\n" : "");
		if (looks[i].repo != NULL)
			done = show_repository(ctx, i, &looks[i], all, &shown, err);
		else
			show_unseen(ctx, i, &looks[i].why);
	}
	ctx_current(ctx, SIZE_MAX);
	if (done)
		say_result(ctx, &shown);
	return done;
}

static bool
show_all(Context *ctx, Error *err)
{
	RepoSet *set = ctx_repo_set(ctx, err);
	Catalog all = {0};
	Look *looks;
	size_t seen;
	bool done;

	if (set == NULL)
		return false;
	looks = mem_zalloc(set->count * sizeof(Look));
	load_all(set, looks, &seen);
	if (seen == 0)
	{
		error_move(err, &looks[0].why);
		done = false;
	}
	else if (set->count == 1)
		done = show_looks(ctx, set, looks, NULL, err);
	else
		done = unite(looks, set->count, &all, err) &&
			   show_looks(ctx, set, looks, &all, err);
	for (size_t i = 0; i < set->count; i++)
	{
		catalog_free(&looks[i].catalog);
		error_clear(&looks[i].why);
	}
	catalog_free(&all);
	free(looks);
	return done;
}

static bool
show_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	const char *label = ctx_argument(ctx, 0);
	const CatalogBackup *b;
	Shown *shown = arg;
	RetentionPlan plan;
	Catalog catalog;
	Json *obj;

	if (!catalog_load(repo, false, &catalog, err))
		return false;
	b = catalog_find(&catalog, label);
	if (b == NULL)
	{
		error_set(err, ERR_NOT_FOUND, "backup %s does not exist", label);
		error_hint(err, "\"pgdr info\" lists the backups.");
	}
	else
	{
		obj = info_backup_json(b);
		print_backup(ctx, b);
		print_details(ctx, b);
		print_marks(ctx, b);
		retention_decide(&catalog, &ctx_member_settings(ctx, member)->retention,
						 clock_now(), &plan);
		show_retention(ctx, &plan.decisions[b - catalog.backups], obj);
		retention_plan_free(&plan);
		ctx_emit(ctx, "backup", obj);
		shown->backups++;
	}
	catalog_free(&catalog);
	return !error_is_set(err);
}

static bool
run_info(Context *ctx, Error *err)
{
	Shown shown = {0};
	EachRepo each = {.run = show_one, .arg = &shown, .forgive_absence = true};

	ctx_only_writes(ctx); /* identities are not needed */
	if (ctx_argument(ctx, 0) == NULL)
		return show_all(ctx, err);
	if (!ctx_each_repo(ctx, &each, err))
		return false;
	say_result(ctx, &shown);
	return true;
}

const Command cmd_info = {.name = "info",
						  .arguments = "[LABEL]",
						  .summary = "show what the repository holds",
						  .max_args = 1,
						  .run = run_info,
						  .is_query = true};
