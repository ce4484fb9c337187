/*-------------------------------------------------------------------------
 *
 * backup_references.c
 *	  Which packs of other backups a backup needs, in ranges.
 *
 * They are in the public part of the manifest, so that expiry needs no key.
 * There the room is limited, so ranges that lie close to each other are joined
 * when there are too many: then packs are kept a while that nobody needs.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/manifest_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* About 13 bytes each, and 30 for each label, of OBJECT_META_MAX. */
#define RANGES_MAX 1200

static void
add_range(BackupInfo *info, const char *label, uint32_t first, uint32_t last)
{
	size_t n = info->reference_count;

	/* room doubles whenever the count reaches a power of two */
	if ((n & (n - 1)) == 0)
		info->references = mem_realloc(
			info->references, (n == 0 ? 1 : 2 * n) * sizeof(BackupReference));
	info->references[info->reference_count++] = (BackupReference){
		.label = mem_strdup(label), .first = first, .last = last};
}

void
backup_references_free(BackupInfo *info)
{
	for (size_t i = 0; i < info->reference_count; i++)
		free(info->references[i].label);
	free(info->references);
	info->references = NULL;
	info->reference_count = 0;
	info->references_joined = false;
}

/* ---- asked for ---- */

bool
backup_info_references(const BackupInfo *info, const char *label, uint32_t pack)
{
	size_t low = 0;
	size_t high = info->reference_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;
		const BackupReference *r = &info->references[mid];
		int order = strcmp(r->label, label);

		if (order == 0 && r->first <= pack && pack <= r->last)
			return true;
		if (order < 0 || (order == 0 && r->last < pack))
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

bool
backup_info_depends(const BackupInfo *info, const char *label)
{
	for (size_t i = 0; i < info->reference_count; i++)
	{
		if (strcmp(info->references[i].label, label) == 0)
			return true;
	}
	return false;
}

/* ---- found ---- */

static uint32_t
gap_behind(const BackupInfo *info, size_t i)
{
	const BackupReference *r = &info->references[i];

	if (strcmp(r[0].label, r[1].label) != 0)
		return UINT32_MAX;
	return r[1].first - r[0].last;
}

static int
compare_gaps(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a;
	uint32_t y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* The widest gap that must be closed. */
static uint32_t
gap_limit(const BackupInfo *info)
{
	size_t count = info->reference_count - 1;
	uint32_t *gaps = mem_alloc(count * sizeof(uint32_t));
	uint32_t limit;

	for (size_t i = 0; i < count; i++)
		gaps[i] = gap_behind(info, i);
	qsort(gaps, count, sizeof(uint32_t), compare_gaps);
	limit = gaps[info->reference_count - RANGES_MAX - 1];
	free(gaps);
	return limit;
}

static void
join_ranges(BackupInfo *info)
{
	uint32_t limit = gap_limit(info);
	size_t kept = 0;

	for (size_t i = 1; i < info->reference_count; i++)
	{
		BackupReference *last = &info->references[kept];
		BackupReference *r = &info->references[i];

		if (strcmp(last->label, r->label) == 0 &&
			r->first - last->last <= limit)
		{
			last->last = r->last;
			free(r->label);
		}
		else
			info->references[++kept] = *r;
	}
	info->reference_count = kept + 1;
	info->references_joined = true;
}

void
manifest_find_references(Manifest *m)
{
	BackupInfo *info = &m->info;

	backup_references_free(info);
	for (size_t i = info->pack_count; i < m->pack_count; i++)
	{
		const ManifestPack *p = &m->packs[i];
		BackupReference *last =
			info->reference_count > 0
				? &info->references[info->reference_count - 1]
				: NULL;

		/* out of order, which manifest_check() says */
		if (p->backup == NULL)
			continue;
		if (last != NULL && strcmp(last->label, p->backup) == 0 &&
			p->number == last->last + 1)
			last->last = p->number;
		else
			add_range(info, p->backup, p->number, p->number);
	}
	if (info->reference_count > RANGES_MAX)
		join_ranges(info);
}

/* ---- JSON: {label: [[first, last], ...], ...} ---- */

Json *
backup_references_json(const BackupInfo *info)
{
	Json *all = json_new_object();
	Json *ranges = NULL;

	for (size_t i = 0; i < info->reference_count; i++)
	{
		const BackupReference *r = &info->references[i];
		bool ends = i + 1 == info->reference_count ||
					strcmp(r->label, info->references[i + 1].label) != 0;
		Json *range = json_new_array();

		json_append(range, json_new_int(r->first));
		json_append(range, json_new_int(r->last));
		if (ranges == NULL)
			ranges = json_new_array();
		json_append(ranges, range);
		if (ends)
		{
			json_put(all, r->label, ranges);
			ranges = NULL;
		}
	}
	return all;
}

typedef struct Parsing
{
	BackupInfo *info;
	bool bad;
} Parsing;

/* Sorted and without touching, so that there is one way to write them. */
static bool
parse_range(BackupInfo *info, const char *label, const Json *range)
{
	const BackupReference *last =
		info->reference_count > 0 ? &info->references[info->reference_count - 1]
								  : NULL;
	int64_t from = json_int(json_array_at(range, 0), 0);
	int64_t to = json_int(json_array_at(range, 1), 0);
	int order = last != NULL ? strcmp(last->label, label) : -1;

	if (json_array_len(range) != 2 || from < 1 || to < from ||
		to > UINT32_MAX || order > 0 ||
		(order == 0 && from <= (int64_t) last->last + 1))
		return false;
	add_range(info, label, (uint32_t) from, (uint32_t) to);
	return true;
}

static void
parse_label(void *arg, const char *label, const Json *ranges)
{
	Parsing *p = arg;
	size_t count = json_array_len(ranges);

	if (!repo_label_ok(label) || strcmp(label, p->info->label) == 0 ||
		count == 0)
		p->bad = true;
	for (size_t i = 0; !p->bad && i < count; i++)
		p->bad = !parse_range(p->info, label, json_array_at(ranges, i));
}

bool
backup_references_parse(const Json *public, BackupInfo *out, Error *err)
{
	const Json *all = json_get(public, "references");
	Parsing p = {.info = out, .bad = !json_is_object(all)};

	if (all == NULL)
		return true;
	if (!p.bad)
		json_each(all, parse_label, &p);
	out->references_joined = json_get_bool(public, "references_joined", false);
	return !p.bad ||
		   error_set(err, ERR_DAMAGED, "value of \"references\" is not valid");
}
