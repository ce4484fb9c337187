/*-------------------------------------------------------------------------
 *
 * expire_reference_test.c
 *	  Backups that share packs are removed in random order, by delete and by
 *	  rules, and now and then the removal is killed: what a backup that is left
 *	  needs is there, and nothing else stays.
 *
 * PGDR_SOAK takes twenty times as many, PGDR_SEED another seed.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/expire.h"
#include "repo/lease.h"
#include "repo/object.h"
#include "storage/memory.h"
#include "tap.h"

#define BACKUPS 10
#define PACKS 4
#define WORLDS 40

/* The model: which backup needs which pack of which. */
typedef struct World
{
	Repo *repo;
	char labels[BACKUPS][24];
	bool needs[BACKUPS][BACKUPS][PACKS];
	int packs[BACKUPS];
	int parent[BACKUPS]; /* -1: full */
} World;

static uint64_t state;

static uint32_t
draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 20) % below;
}

static void
check(bool done, Error *err, const char *what)
{
	if (!done)
		ok(false, "%s: %s", what, err->message);
	error_clear(err);
}

static bool
exists(Repo *repo, const char *name)
{
	Error err = ERROR_INIT;
	bool there = false;

	check(storage_exists(repo->storage, name, &there, &err), &err, name);
	return there;
}

static bool
has_manifest(const World *w, int b)
{
	char *name = repo_manifest_name(w->labels[b]);
	bool there = exists(w->repo, name);

	free(name);
	return there;
}

static void
put_raw(Repo *repo, const char *name)
{
	Error err = ERROR_INIT;

	check(storage_put(repo->storage, name, "x", 1, &err), &err, name);
}

/* ---- a world ---- */

static void
put_packs(const World *w, int b)
{
	for (uint32_t p = 1; p <= (uint32_t) w->packs[b]; p++)
	{
		char *pack = repo_pack_name(w->labels[b], p);
		char *map = repo_map_name(w->labels[b], p);

		put_raw(w->repo, pack);
		put_raw(w->repo, map);
		free(pack);
		free(map);
	}
}

/* Each pack that it needs is a range of its own. */
static void
put_manifest(World *w, int b)
{
	BackupReference references[BACKUPS * PACKS];
	BackupInfo info = {.label = w->labels[b],
					   .target = (char *) "files:app",
					   .type = w->parent[b] < 0 ? BACKUP_FULL
												: BACKUP_INCREMENTAL,
					   .start_time = INT64_C(1795219200000000) + b * 60000000,
					   .stop_time = INT64_C(1795219230000000) + b * 60000000,
					   .pack_count = (uint32_t) w->packs[b],
					   .references = references};
	char *name = repo_manifest_name(w->labels[b]);
	ObjectSpec spec = {
		.name = name, .kind = OBJECT_MANIFEST, .extra_room = 4096};
	Error err = ERROR_INIT;
	Json *extra;

	if (w->parent[b] >= 0)
		info.parent = w->labels[w->parent[b]];
	for (int of = 0; of < b; of++)
	{
		for (uint32_t p = 0; p < PACKS; p++)
		{
			BackupReference *last = &references[info.reference_count - 1];

			if (!w->needs[b][of][p])
				continue;
			if (p > 0 && w->needs[b][of][p - 1])
				last->last = p + 1;
			else
				references[info.reference_count++] = (BackupReference){
					.label = w->labels[of], .first = p + 1, .last = p + 1};
		}
	}
	extra = backup_info_json(&info);
	check(object_put(w->repo, &spec, "x", 1, extra, &err), &err, name);
	json_free(extra);
	free(name);
}

/* Of what its base is made of some was changed since. */
static void
add_backup(World *w, int b)
{
	char stamp[CLOCK_TEXT_LEN];
	int base = b == 0 || draw(4) == 0 ? -1 : (int) draw((uint32_t) b);

	snprintf(
		w->labels[b], sizeof(w->labels[0]), "%s",
		clock_format_label(INT64_C(1795219200000000) + b * 60000000, stamp));
	w->packs[b] = 1 + (int) draw(PACKS);
	w->parent[b] = base;
	for (int of = 0; base >= 0 && of < b; of++)
	{
		for (int p = 0; p < PACKS; p++)
			w->needs[b][of][p] = draw(3) > 0 &&
								 (w->needs[base][of][p] ||
								  (of == base && p < w->packs[of]));
	}
	put_packs(w, b);
	put_manifest(w, b);
}

static void
make_world(World *w)
{
	static const RepoKeys keys = {.has_content_key = true};
	const RepoOptions options = {
		.storage = {.repo = "test", .type = "memory", .path = "reference"},
		.cluster = "main",
		.compress_level = 1,
		.keys = &keys};
	Error err = ERROR_INIT;

	memset(w, 0, sizeof(*w));
	memory_create("reference");
	check(repo_create(&options, &err), &err, "a repository");
	check(repo_open(&options, &w->repo, &err), &err, "is opened");
	for (int b = 0; b < BACKUPS; b++)
		add_backup(w, b);
}

/* ---- the model ---- */

static bool
is_needed(const World *w, const bool *left, int of, int p)
{
	bool needed = left[of];

	for (int b = of + 1; b < BACKUPS; b++)
		needed |= left[b] && w->needs[b][of][p];
	return needed;
}

/* exact: also, that nothing else is there. */
static bool
is_right(const World *w, bool exact)
{
	bool left[BACKUPS];
	bool right = true;

	for (int b = 0; b < BACKUPS; b++)
		left[b] = has_manifest(w, b);
	for (int of = 0; of < BACKUPS; of++)
	{
		for (int p = 0; p < w->packs[of]; p++)
		{
			char *pack = repo_pack_name(w->labels[of], (uint32_t) p + 1);
			char *map = repo_map_name(w->labels[of], (uint32_t) p + 1);
			bool needed = is_needed(w, left, of, p);
			bool there = exists(w->repo, pack);

			right &= there || !needed;
			right &= exists(w->repo, map) || !needed;
			if (exact)
				right &= needed == there && needed == exists(w->repo, map);
			free(pack);
			free(map);
		}
	}
	return right;
}

/* ---- removal ---- */

static bool
run_expire(Repo *repo, const RetentionPolicy *policy)
{
	RetentionPlan plan;
	ExpireResult result;
	Catalog catalog;
	Error err = ERROR_INIT;
	bool done = expire_plan(repo, policy, &catalog, &plan, &err) &&
				expire_run(repo, policy, &plan, &result, &err);

	/* a mark of one that was killed counts for a while */
	done |= err.code == ERR_BUSY;

	retention_plan_free(&plan);
	catalog_free(&catalog);
	error_clear(&err);
	return done;
}

static bool
remove_some(const World *w)
{
	RetentionPolicy policy = {.keep_last = 1 + draw(BACKUPS),
							  .keep_incremental = draw(3)};
	ExpireResult result;
	Error err = ERROR_INIT;
	int b = (int) draw(BACKUPS);
	bool done;

	if (draw(3) == 0)
		return run_expire(w->repo, &policy);
	if (!has_manifest(w, b))
		return true;
	done = expire_backup(w->repo, w->labels[b], true, &result, &err);
	error_clear(&err);
	return done;
}

static void
kill_at(uint64_t nth)
{
	Error lost = {.code = ERR_IO, .message = mem_strdup("killed")};

	memory_fail("reference", MEMORY_REMOVE, nth, MEMORY_SINCE, &lost);
}

/* Removes until nothing is left; every third step is killed. */
static bool
wear_down(World *w, int *kills)
{
	const RetentionPolicy none = {0};
	bool right = is_right(w, true);

	for (int step = 0; right && step < 2 * BACKUPS; step++)
	{
		bool killed = draw(3) == 0;
		bool done;

		if (killed)
			kill_at(1 + draw(12));
		done = remove_some(w);
		memory_heal("reference");
		*kills += !done;
		right = is_right(w, false) && (done || killed);
		/* what a backup needed that was deleted, expire collects */
		right = right && run_expire(w->repo, &none) && is_right(w, true);
		if (!right)
			printf("# step %d, killed %d, done %d\n", step, killed, done);
	}
	return right;
}

static void
test_random(void)
{
	int worlds = getenv("PGDR_SOAK") ? 20 * WORLDS : WORLDS;
	int kills = 0;
	World *w = mem_zalloc(sizeof(World));

	for (int i = 0; i < worlds; i++)
	{
		uint64_t seed = state;

		make_world(w);
		ok(wear_down(w, &kills),
		   "world %d (seed %" PRIu64 "): only what is needed is left", i, seed);
		repo_close(w->repo);
		memory_drop("reference");
	}
	ok(kills > worlds, "%d removals were killed", kills);
	free(w);
}

/* Nobody knows what a manifest needs that cannot be read. */
static void
test_unreadable(void)
{
	const RetentionPolicy none = {0};
	World *w = mem_zalloc(sizeof(World));
	char *manifest;
	char *pack;
	ExpireResult result;
	Error err = ERROR_INIT;

	make_world(w);
	manifest = repo_manifest_name(w->labels[5]);
	pack = repo_pack_name(w->labels[0], 1);
	check(storage_remove(w->repo->storage, manifest, &err), &err, "damage");
	put_raw(w->repo, manifest);
	for (int b = 0; b < BACKUPS; b++)
	{
		if (b != 5)
			check(expire_backup(w->repo, w->labels[b], true, &result, &err),
				  &err, "delete");
	}
	ok(run_expire(w->repo, &none) && exists(w->repo, pack),
	   "packs stay that a damaged manifest may need");
	check(expire_backup(w->repo, w->labels[5], true, &result, &err), &err,
		  "delete");
	ok(run_expire(w->repo, &none) && !exists(w->repo, pack) &&
		   is_right(w, true),
	   "until that is removed");
	free(manifest);
	free(pack);
	repo_close(w->repo);
	memory_drop("reference");
	free(w);
}

int
main(void)
{
	const char *seed = getenv("PGDR_SEED");

	state = seed != NULL ? strtoull(seed, NULL, 10) : 20261129;
	printf("# seed %" PRIu64 "\n", state);
	test_random();
	test_unreadable();
	return done_testing();
}
