/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Which backups stay, and why.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/retention_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/target.h"

const char *
retention_rule_name(RetentionRule rule)
{
	static const char *const names[RULE_COUNT] = {
		[RULE_HOLD] = "hold",       [RULE_PIN] = "pin",
		[RULE_DOUBT] = "doubt",     [RULE_RUNNING] = "running",
		[RULE_BASE] = "base",       [RULE_MEMBER] = "member",
		[RULE_PACKS] = "packs",     [RULE_ARCHIVAL] = "archival",
		[RULE_FULL] = "full",       [RULE_LAST] = "last",
		[RULE_TIME] = "time",       [RULE_HOURLY] = "hourly",
		[RULE_DAILY] = "daily",     [RULE_WEEKLY] = "weekly",
		[RULE_MONTHLY] = "monthly", [RULE_YEARLY] = "yearly",
		[RULE_MINIMUM] = "minimum", [RULE_LOCK] = "lock",
		[RULE_NONE] = "none",       [RULE_WAL] = "wal"};

	return names[rule];
}

bool
retention_same_home(const CatalogBackup *b, const WalHome *home)
{
	return b->state == BACKUP_COMPLETE && backup_is_cluster(&b->info) &&
		   b->info.sysid == home->sysid && b->info.major == home->major;
}

bool
retention_in_series(const CatalogBackup *b, const BackupInfo *of)
{
	return b->state == BACKUP_COMPLETE && backup_same_series(&b->info, of);
}

bool
retention_counts(const Fate *fate, const BackupInfo *of)
{
	return retention_in_series(fate->backup, of) &&
		   !fate->backup->info.archival && fate->flaw == NULL;
}

char *
retention_duration(int64_t usecs)
{
	static const struct
	{
		int64_t seconds;
		const char *name;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	int64_t seconds = usecs / USECS_PER_SEC;
	size_t i = 0;

	while (i < 3 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	seconds /= units[i].seconds;
	return mem_printf("%" PRId64 " %s%s", seconds, units[i].name,
					  seconds == 1 ? "" : "s");
}

/* ---- plans ---- */

void
retention_add(RetentionPlan *plan, Decision decision)
{
	/* room doubles whenever the count reaches a power of two */
	if ((plan->decision_count & (plan->decision_count - 1)) == 0)
		plan->decisions = mem_realloc(
			plan->decisions,
			(plan->decision_count == 0 ? 1 : 2 * plan->decision_count) *
				sizeof(Decision));
	plan->decisions[plan->decision_count++] = decision;
}

void
retention_plan_free(RetentionPlan *plan)
{
	for (size_t i = 0; i < plan->decision_count; i++)
	{
		free(plan->decisions[i].object);
		free(plan->decisions[i].reason);
	}
	free(plan->decisions);
	free(plan->cutoffs);
	memset(plan, 0, sizeof(*plan));
}

/* ---- fates ---- */

static void __attribute__((format(printf, 2, 0)))
give_reason(Fate *fate, const char *fmt, va_list ap)
{
	if (fate->decided)
		return;
	fate->decided = true;
	fate->reason = mem_vprintf(fmt, ap);
}

void
retention_keep(Fate *fate, RetentionRule rule, const char *fmt, ...)
{
	va_list ap;

	if (fate->decided && !fate->keep)
	{
		free(fate->reason);
		fate->decided = false;
	}
	va_start(ap, fmt);
	give_reason(fate, fmt, ap);
	va_end(ap);
	fate->keep = true;
	fate->rules |= UINT32_C(1) << rule;
}

void
retention_drop(Fate *fate, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	give_reason(fate, fmt, ap);
	va_end(ap);
}

/* A backup that needs packs of this one, or NULL. */
static const char *
who_needs(const Catalog *catalog, const char *label)
{
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		const CatalogBackup *b = &catalog->backups[i];

		if (b->state == BACKUP_COMPLETE && backup_info_depends(&b->info, label))
			return b->info.label;
	}
	return NULL;
}

/* Those without a manifest, or without a readable one. */
static void
decide_unfinished(const Catalog *catalog, Fate *fate)
{
	const char *other;

	switch (fate->backup->state)
	{
		case BACKUP_COMPLETE:
			break;
		case BACKUP_RUNNING:
			retention_keep(fate, RULE_RUNNING, "It is being written.");
			break;
		case BACKUP_INTERRUPTED:
			other = who_needs(catalog, fate->backup->info.label);
			if (other != NULL)
				retention_keep(fate, RULE_PACKS,
							   "It is no backup any more; packs of it stay "
							   "that backup %s needs.",
							   other);
			else
				retention_drop(fate,
							   "It was interrupted: it has no manifest, and "
							   "its lease has run out.");
			break;
		case BACKUP_UNREADABLE:
			retention_keep(fate, RULE_DOUBT,
						   "Its manifest cannot be read; only \"pgdr delete\" "
						   "removes such a backup.");
			break;
	}
}

/* ---- one series ---- */

static void
drop_others(const Retention *r, const BackupInfo *of)
{
	const Fate *oldest = NULL;

	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];

		if (oldest == NULL && fate->keep &&
			retention_in_series(fate->backup, of))
			oldest = fate;
	}
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		Fate *fate = &r->fates[i];

		if (fate->decided || !retention_in_series(fate->backup, of))
			continue;
		if (oldest != NULL && fate < oldest)
			retention_drop(fate,
						   "It is older than backup %s, the oldest that is to "
						   "stay.",
						   oldest->backup->info.label);
		else if (fate->flaw != NULL)
			retention_drop(fate,
						   "No rule keeps it; it does not count as good, "
						   "because it %s.",
						   fate->flaw);
		else
			retention_drop(fate, "No rule keeps it.");
	}
}

static void
decide_series(const Retention *r, const BackupInfo *of)
{
	retention_apply_rules(r, of);
	retention_apply_calendar(r, of);
	retention_apply_floor(r, of);
	drop_others(r, of);
}

/* A group that stays keeps what it is made of. */
static void
keep_members(const Retention *r)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const BackupInfo *group = &r->fates[i].backup->info;

		for (size_t k = 0; r->fates[i].keep && group->member_count > 0 &&
						   k < r->catalog->backup_count;
			 k++)
		{
			Fate *fate = &r->fates[k];

			if (fate->backup->state == BACKUP_COMPLETE &&
				backup_has_member(group, fate->backup->info.label))
				retention_keep(fate, RULE_MEMBER, "Backup %s depends on it.",
							   group->label);
		}
	}
}

static void
report_fates(const Retention *r)
{
	for (size_t i = 0; i < r->catalog->backup_count; i++)
	{
		const Fate *fate = &r->fates[i];
		const CatalogBackup *b = fate->backup;

		retention_add(
			r->plan,
			(Decision){.object = mem_printf("backup %s", b->info.label),
					   .label = b->info.label,
					   .keep = fate->keep,
					   .leftover = b->state == BACKUP_INTERRUPTED,
					   .standalone = fate->standalone &&
									 !catalog_stands_alone(b),
					   .rules = fate->rules,
					   .reason = fate->reason});
	}
}

void
retention_decide(const Catalog *catalog, const RetentionPolicy *policy,
				 int64_t now, RetentionPlan *out)
{
	Retention r = {
		.catalog = catalog,
		.policy = policy,
		.now = now,
		.fates = mem_zalloc((catalog->backup_count + 1) * sizeof(Fate)),
		.plan = out};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		r.fates[i].backup = &catalog->backups[i];
		r.fates[i].flaw = retention_flaw(catalog, &catalog->backups[i]);
		decide_unfinished(catalog, &r.fates[i]);
	}
	/* each series when its first backup comes up */
	for (size_t i = 0; i < catalog->backup_count; i++)
	{
		if (!r.fates[i].decided)
			decide_series(&r, &catalog->backups[i].info);
	}
	keep_members(&r);
	retention_find_standalone(&r);
	report_fates(&r);
	retention_decide_wal(&r);
	free(r.fates);
}
