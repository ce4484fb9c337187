/*-------------------------------------------------------------------------
 *
 * expire_needed.c
 *	  Which packs of backups that are gone others still need.
 *
 *-------------------------------------------------------------------------
 */
#include "job/expire_needed.h"

#include <string.h>

#include "base/clock.h"
#include "repo/stamp.h"

/* Clocks of hosts that write backups may differ by less. */
#define LABEL_SKEW (INT64_C(24) * 3600 * USECS_PER_SEC)

/* A backup refers to what was complete when it began, and labels are times. */
static bool
may_refer_to(const char *newer, const char *older)
{
	int64_t n;
	int64_t o;

	return !stamp_parse(newer, STAMP_SECONDS_LEN, &n) ||
		   !stamp_parse(older, STAMP_SECONDS_LEN, &o) || o <= n + LABEL_SKEW;
}

bool
expire_is_needed(const Catalog *left, const char *label, uint32_t pack)
{
	for (size_t i = 0; i < left->backup_count; i++)
	{
		const CatalogBackup *b = &left->backups[i];
		const char *base = b->info.parent;

		switch (b->state)
		{
			case BACKUP_COMPLETE:
				if (backup_info_references(&b->info, label, pack))
					return true;
				break;
			case BACKUP_RUNNING:
				if (base != NULL && strcmp(base, label) == 0)
					return true;
				break;
			case BACKUP_UNREADABLE:
				if (strcmp(b->info.label, label) != 0 &&
					may_refer_to(b->info.label, label))
					return true;
				break;
			case BACKUP_INTERRUPTED:
				break;
		}
	}
	return false;
}
