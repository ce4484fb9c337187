/*-------------------------------------------------------------------------
 *
 * restore_plan.c
 *	  Chooses backup and timeline for a recovery target, and proves that the
 *	  WAL up to the target is there.
 *
 * What is proved is what the server will ask for when it recovers.  It stops
 * with a fatal error when WAL ends before the target, so a target that no
 * record reaches is not reachable, however quiet the cluster was.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/restore_judge.h"
#include "job/restore_target.h"
#include "job/restore_wal.h"
#include "repo/target.h"

/* A repository that can be looked at. */
typedef struct Source
{
	size_t member;
	Catalog catalog;
} Source;

typedef struct Planner
{
	/* fixed */
	RepoSet *set;
	const RestoreOptions *options;
	RestoreTarget target;
	Source *sources; /* in the order in which they are read */
	Repo **repos;    /* of these */
	size_t source_count;
	Catalog catalog; /* of all together */

	/* what may be restored, newest first; then of one cluster only */
	const CatalogBackup **candidates;
	size_t count;
	const WalCatalog *wal; /* of that cluster; NULL: none */
	uint32_t timeline;
} Planner;

void
restore_plan_free(RestorePlan *plan)
{
	backup_info_free(&plan->backup);
	free(plan->target);
	free(plan->verdict);
	free(plan->sources);
	memset(plan, 0, sizeof(*plan));
}

static WalHome
home_of(const BackupInfo *b)
{
	return (WalHome){.sysid = b->sysid, .major = b->major};
}

/* ---- which backups may be restored at all ---- */

/* Why a backup is not taken unless it is named; NULL: it is good. */
static const char *
why_not(const CatalogBackup *b)
{
	if (b->state == BACKUP_UNREADABLE)
		return "its manifest is damaged";
	if (b->verified_at != 0 && !b->verified_ok)
		return "its last verification failed";
	if (b->info.damaged_pages > 0)
		return "it holds damaged pages";
	if (!b->wal_ok)
		return "WAL that it needs is missing";
	return NULL;
}

/* The state in which a restore would leave the cluster must not be later. */
static bool
is_before_target(const BackupInfo *b, const RestoreTarget *target)
{
	if (target->type == TARGET_TIME)
		return b->stop_time <= target->time;
	if (target->type == TARGET_LSN)
		return b->stop_lsn <= target->lsn;
	return true;
}

static bool
check_named(const CatalogBackup *b, const char *label, Error *err)
{
	if (b == NULL)
		return error_set(err, ERR_NOT_FOUND, "backup \"%s\" does not exist",
						 label);
	if (b->state == BACKUP_INTERRUPTED)
	{
		error_set(err, ERR_NOT_FOUND, "backup \"%s\" does not exist", label);
		return error_detail(err, "It was interrupted before it was complete.");
	}
	if (b->state == BACKUP_RUNNING)
		return error_set(err, ERR_BUSY, "backup \"%s\" is not complete yet",
						 label);
	if (!backup_is_cluster(&b->info))
		return error_set(err, ERR_USAGE,
						 "backup \"%s\" is one of %s, not of the cluster",
						 label, b->info.target);
	if (b->state == BACKUP_UNREADABLE)
	{
		error_set(err, b->problem.code, "backup \"%s\" cannot be read: %s",
				  label, b->problem.message ? b->problem.message : "damaged");
		if (b->problem.detail != NULL)
			error_detail(err, "%s", b->problem.detail);
		return false;
	}
	return true;
}

static bool
choose_named(Planner *p, const char *label, Error *err)
{
	const CatalogBackup *b = catalog_find(&p->catalog, label);

	if (!check_named(b, label, err))
		return false;
	p->candidates[p->count++] = b;
	if (why_not(b) != NULL)
		log_warning("backup \"%s\" is restored because it is named, but %s",
					label, why_not(b));
	return true;
}

/* The catalog has them by start time, unfinished ones last. */
static void
choose_good(Planner *p)
{
	for (size_t i = p->catalog.backup_count; i > 0; i--)
	{
		const CatalogBackup *b = &p->catalog.backups[i - 1];

		if (b->state != BACKUP_COMPLETE && b->state != BACKUP_UNREADABLE)
			continue;
		if (why_not(b) != NULL && p->count > 0)
			continue;
		if (why_not(b) != NULL)
			log_warning("backup \"%s\" is passed over: %s", b->info.label,
						why_not(b));
		else if (is_before_target(&b->info, &p->target))
			p->candidates[p->count++] = b;
	}
}

/* Of what kind is it that every backup was passed over? */
static ErrCode
why_none(const Planner *p)
{
	ErrCode code = ERR_NOT_FOUND;

	for (size_t i = 0; i < p->catalog.backup_count; i++)
	{
		const CatalogBackup *b = &p->catalog.backups[i];

		if (b->state == BACKUP_UNREADABLE ||
			(b->state == BACKUP_COMPLETE && b->wal_ok))
			return ERR_DAMAGED;
		if (b->state == BACKUP_COMPLETE)
			code = ERR_INCOMPLETE;
	}
	return code;
}

static bool
all_passed_over(const Planner *p, Error *err)
{
	error_set(err, why_none(p), "there is no backup that can be restored");
	if (p->catalog.backup_count > 0)
		error_hint(err, "\"pgdr verify\" names what is missing or damaged.  A "
						"backup that was passed over can be named with "
						"--backup.");
	return false;
}

static bool
no_candidate(const Planner *p, Error *err)
{
	char buf[CLOCK_TEXT_LEN];
	char lsn[LSN_TEXT_LEN];

	for (size_t i = 0; i < p->catalog.backup_count; i++)
	{
		const CatalogBackup *b = &p->catalog.backups[i];

		if (b->state != BACKUP_COMPLETE || why_not(b) != NULL)
			continue;
		error_set(err, ERR_INCOMPLETE, "no backup ends before the target %s",
				  p->target.text);
		lsn_format(b->info.stop_lsn, lsn);
		return error_detail(err, "The oldest one, \"%s\", ends at %s (%s).",
							b->info.label, clock_format(b->info.stop_time, buf),
							lsn);
	}
	return all_passed_over(p, err);
}

/* Positions of different clusters cannot be compared: keep the newest's. */
static void
keep_one_cluster(Planner *p)
{
	WalHome home = home_of(&p->candidates[0]->info);
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++)
	{
		const BackupInfo *b = &p->candidates[i]->info;

		if (b->sysid == home.sysid && b->major == home.major)
			p->candidates[kept++] = p->candidates[i];
	}
	p->count = kept;
	p->wal = catalog_wal(&p->catalog, &home);
}

/* ---- which timeline ---- */

/* Does the backup's end lie on the path to this timeline? */
static bool
leads_to(const Planner *p, const BackupInfo *b, uint32_t timeline)
{
	const CatalogTimeline *t;

	if (b->timeline == timeline)
		return true;
	t = p->wal ? wal_catalog_timeline(p->wal, timeline) : NULL;
	return t != NULL && t->has_history &&
		   timeline_end(&t->history, b->timeline) >= b->stop_lsn;
}

static bool
any_leads_to(const Planner *p, uint32_t timeline)
{
	for (size_t i = 0; i < p->count; i++)
	{
		if (leads_to(p, &p->candidates[i]->info, timeline))
			return true;
	}
	return false;
}

/*
 * The server's own "latest" probes for the newest history file and fails if
 * the backup is not in it; here the newest that some backup leads to is
 * taken, and named to the server by number.
 */
static void
choose_latest_timeline(Planner *p)
{
	size_t count = p->wal ? p->wal->timeline_count : 0;

	for (size_t i = count; i > 0; i--)
	{
		p->timeline = p->wal->timelines[i - 1].timeline;
		if (any_leads_to(p, p->timeline))
			return;
		log_warning("timeline %" PRIu32 " is newer, but no backup leads to it",
					p->timeline);
	}
	p->timeline = p->candidates[0]->info.timeline;
}

static bool
parse_timeline(const char *text, uint32_t *out, Error *err)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n == 0 || n > UINT32_MAX)
	{
		error_set(err, ERR_USAGE, "invalid target timeline \"%s\"", text);
		return error_hint(err, "It is \"latest\", \"current\", or a number.");
	}
	*out = (uint32_t) n;
	return true;
}

static bool
choose_timeline(Planner *p, Error *err)
{
	const char *asked = p->options->target_timeline;

	if (asked == NULL || strcmp(asked, "latest") == 0)
	{
		choose_latest_timeline(p);
		return true;
	}
	if (strcmp(asked, "current") == 0)
	{
		p->timeline = p->candidates[0]->info.timeline;
		return true;
	}
	if (!parse_timeline(asked, &p->timeline, err))
		return false;
	if (any_leads_to(p, p->timeline))
		return true;
	if (p->wal == NULL || wal_catalog_timeline(p->wal, p->timeline) == NULL)
		return error_set(err, ERR_NOT_FOUND,
						 "timeline %" PRIu32 " is not in the repository",
						 p->timeline);
	return error_set(err, ERR_INCOMPLETE,
					 "no backup leads to timeline %" PRIu32, p->timeline);
}

static void
keep_one_timeline(Planner *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++)
	{
		if (leads_to(p, &p->candidates[i]->info, p->timeline))
			p->candidates[kept++] = p->candidates[i];
	}
	p->count = kept;
}

/* ---- where the backup lies ---- */

/* Two backups of one label are the same if their packs are. */
static bool
has_backup(const Source *source, const BackupInfo *info, bool failed)
{
	const CatalogBackup *b = catalog_find(&source->catalog, info->label);

	return b != NULL && b->state == BACKUP_COMPLETE &&
		   (b->verified_at != 0 && !b->verified_ok) == failed &&
		   memcmp(b->info.packs_sha256, info->packs_sha256, SHA256_LEN) == 0;
}

/* Those where it was found damaged are the last resort. */
static void
find_sources(const Planner *p, RestorePlan *out)
{
	out->sources = mem_zalloc((p->source_count + 1) * sizeof(size_t));
	for (int failed = 0; failed <= 1; failed++)
	{
		for (size_t i = 0; i < p->source_count; i++)
		{
			if (has_backup(&p->sources[i], &out->backup, failed == 1))
				out->sources[out->source_count++] = p->sources[i].member;
		}
	}
}

/* ---- the plan ---- */

static bool
fill_plan(const Planner *p, const RestoreJudge *judge, RestorePlan *out,
		  Error *err)
{
	if (!backup_info_copy(judge->backup, &out->backup, err))
		return false;
	out->target_type = p->target.type;
	out->target = p->target.text ? mem_strdup(p->target.text) : NULL;
	out->timeline = p->timeline;
	out->reach = judge->reach;
	out->reach_time = judge->reach_time;
	out->reachable = judge->reachable;
	out->verdict = mem_strdup(judge->verdict ? judge->verdict : "reachable");
	out->wal_segments = judge->wal_segments;
	out->branch_lsn = judge->branch_lsn;
	out->file_count = out->backup.file_count;
	out->plain_bytes = out->backup.plain_bytes;
	out->stored_bytes = out->backup.stored_bytes;
	find_sources(p, out);
	return true;
}

static bool
judge_candidates(Planner *p, RestorePlan *out, Error *err)
{
	const BackupInfo **backups = mem_zalloc(p->count * sizeof(*backups));
	const CatalogTimeline *t;
	RestoreJudge judge = {0};
	bool done;

	for (size_t i = 0; i < p->count; i++)
		backups[i] = &p->candidates[i]->info;
	t = p->wal ? wal_catalog_timeline(p->wal, p->timeline) : NULL;
	judge.path = (RestoreWal){.repos = p->repos,
							  .repo_count = p->source_count,
							  .wal = p->wal,
							  .timeline = p->timeline,
							  .history = t && t->has_history ? &t->history
															 : NULL,
							  .segment_size = backups[0]->segment_size};
	judge.target = &p->target;
	judge.backups = backups;
	judge.count = p->count;
	judge.standby = p->options->standby;
	done = restore_judge(&judge, err) && fill_plan(p, &judge, out, err);
	free(judge.verdict);
	free(backups);
	return done;
}

/* ---- the repositories ---- */

static bool
look_at(Planner *p, size_t member, Error *err)
{
	Repo *repo = repo_set_open(p->set, member, err);
	Source *source = &p->sources[p->source_count];

	if (repo == NULL || !catalog_load(repo, false, &source->catalog, err))
		return false;
	source->member = member;
	p->repos[p->source_count++] = repo;
	return true;
}

static bool
load_sources(Planner *p, Error *err)
{
	size_t count = p->set->count;

	p->sources = mem_zalloc((count + 1) * sizeof(Source));
	p->repos = mem_zalloc((count + 1) * sizeof(Repo *));
	for (size_t n = 0; n < count; n++)
	{
		size_t member = repo_set_nth(p->set, n);
		Error why = ERROR_INIT;

		if (!thread_check_stop(err))
			return false;
		if (look_at(p, member, &why))
			continue;
		error_copy(&p->set->members[member].why, &why);
		if (count > 1)
		{
			error_prefix(&why, "repository \"%s\" is passed over",
						 repo_set_name(p->set, member));
			log_error_object(LOG_WARNING, &why);
		}
		error_move(err, &why);
	}
	if (p->source_count == 0)
		return false;
	error_clear(err);
	return true;
}

static bool
load_catalog(Planner *p, Error *err)
{
	const Catalog **parts;
	bool done;

	if (!load_sources(p, err))
		return false;
	parts = mem_zalloc(p->source_count * sizeof(*parts));
	for (size_t i = 0; i < p->source_count; i++)
		parts[i] = &p->sources[i].catalog;
	done = catalog_unite(parts, p->source_count, &p->catalog, err);
	free(parts);
	return done;
}

static bool
make_plan(Planner *p, RestorePlan *out, Error *err)
{
	const char *label = p->options->label;

	if (!load_catalog(p, err))
		return false;
	p->candidates = mem_zalloc((p->catalog.backup_count + 1) *
							   sizeof(*p->candidates));
	if (label != NULL)
	{
		if (!choose_named(p, label, err))
			return false;
	}
	else
	{
		catalog_keep_cluster(&p->catalog);
		choose_good(p);
	}
	if (p->count == 0)
		return no_candidate(p, err);
	keep_one_cluster(p);
	if (!choose_timeline(p, err))
		return false;
	keep_one_timeline(p);
	return thread_check_stop(err) && judge_candidates(p, out, err);
}

bool
restore_plan(RepoSet *set, const RestoreOptions *options, RestorePlan *out,
			 Error *err)
{
	Planner p = {.set = set, .options = options};
	bool done;

	memset(out, 0, sizeof(*out));
	done = restore_target_parse(options, &p.target, err) &&
		   make_plan(&p, out, err);
	if (!done)
		restore_plan_free(out);
	restore_target_free(&p.target);
	catalog_free(&p.catalog);
	for (size_t i = 0; i < p.source_count; i++)
		catalog_free(&p.sources[i].catalog);
	free(p.sources);
	free(p.repos);
	free(p.candidates);
	return done;
}
