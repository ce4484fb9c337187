/*-------------------------------------------------------------------------
 *
 * expire_plan.c
 *	  What is to be removed from a repository.
 *
 *-------------------------------------------------------------------------
 */
#include "job/expire.h"

#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "repo/wal_catalog.h"

/* The way through segments that may go, from the oldest. */
typedef struct AgeSearch
{
	Repo *repo;
	const WalCatalog *wal;
	int64_t since;
	uint64_t last_old; /* the last that is known to be older than that */
	bool found_young;
} AgeSearch;

static bool
look_at_segment(AgeSearch *s, uint32_t timeline, uint64_t number, Error *err)
{
	int64_t t = 0;

	if (!thread_check_stop(err) ||
		!wal_segment_time(s->repo, s->wal, timeline, number, true, &t, err))
		return false;
	s->found_young = t >= s->since;
	if (t != 0 && t < s->since)
		s->last_old = number;
	return true;
}

static bool
look_at_cutoff(AgeSearch *s, const WalCutoff *c, Error *err)
{
	for (size_t i = 0; i < s->wal->range_count; i++)
	{
		const WalRange *r = &s->wal->ranges[i];

		if (r->timeline != c->timeline)
			continue;
		for (uint64_t n = r->first; n <= r->last && !s->found_young; n++)
		{
			if (n < c->from_segment || n >= c->before_segment)
				continue;
			if (!look_at_segment(s, c->timeline, n, err))
				return false;
		}
	}
	return true;
}

/* WAL without a commit is as young as what comes behind it. */
static bool
find_young(Repo *repo, const RetentionPlan *plan, const WalCatalog *wal,
		   CatalogTimeline *t, int64_t since, Error *err)
{
	AgeSearch s = {.repo = repo, .wal = wal, .since = since};

	for (size_t i = 0; i < plan->cutoff_count && !s.found_young; i++)
	{
		const WalCutoff *c = &plan->cutoffs[i];

		if (c->home.sysid == wal->home.sysid &&
			c->home.major == wal->home.major && c->timeline == t->timeline &&
			!look_at_cutoff(&s, c, err))
			return false;
	}
	t->young_from = s.last_old + 1;
	return true;
}

static bool
find_all_young(Repo *repo, const RetentionPlan *plan, Catalog *catalog,
			   int64_t since, Error *err)
{
	for (size_t i = 0; i < catalog->wal_count; i++)
	{
		WalCatalog *wal = &catalog->wal[i];

		for (size_t k = 0; k < wal->timeline_count; k++)
		{
			if (!find_young(repo, plan, wal, &wal->timelines[k], since, err))
				return false;
		}
	}
	return true;
}

bool
expire_decide(Repo *repo, const RetentionPolicy *policy, Catalog *catalog,
			  RetentionPlan *plan, Error *err)
{
	int64_t now = clock_now();

	retention_decide(catalog, policy, now, plan);
	if (policy->wal_time == 0 || plan->cutoff_count == 0)
		return true;
	if (!find_all_young(repo, plan, catalog, now - policy->wal_time, err))
		return false;
	retention_plan_free(plan);
	retention_decide(catalog, policy, now, plan);
	return true;
}

bool
expire_plan(Repo *repo, const RetentionPolicy *policy, Catalog *catalog,
			RetentionPlan *plan, Error *err)
{
	memset(plan, 0, sizeof(*plan));
	return catalog_load(repo, false, catalog, err) &&
		   expire_decide(repo, policy, catalog, plan, err);
}
