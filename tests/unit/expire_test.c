/*-------------------------------------------------------------------------
 *
 * expire_test.c
 *	  Expiry removes what was decided, in an order that is right wherever it
 *	  is interrupted, and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/expire.h"
#include "job/pin.h"
#include "repo/lease.h"
#include "repo/mark.h"
#include "repo/object.h"
#include "repo/stamp.h"
#include "restore_fixture.h"
#include "storage/memory.h"
#include "tap.h"

#define A "20261121T000100Z"
#define B "20261121T000200Z"
#define C "20261121T000300Z"
#define LEFT "20200101T000000Z"

static void
check(bool done, Error *err, const char *what)
{
	ok(done, "%s%s%s", what, err->message ? ": " : "",
	   err->message ? err->message : "");
	error_clear(err);
}

static void
put_raw(Repo *repo, const char *name)
{
	Error err = ERROR_INIT;

	if (!storage_put(repo->storage, name, "x", 1, &err))
		ok(false, "%s is stored: %s", name, err.message);
	error_clear(&err);
}

static void
add_backup(Fixture *f, const char *label, uint64_t segment)
{
	FixBackup b = {.label = label,
				   .timeline = 1,
				   .start_lsn = FIX_LSN(segment, 40),
				   .stop_lsn = FIX_LSN(segment, 300),
				   .stop_time = FIX_TIME(60 * segment)};

	fixture_backup(f, &b);
}

#define WAL_DIR "wal/7000000000000000001-15/00000001/00000000/"

/* Backups in segments 2, 4 and 6 of 1 to 8, and all kinds of other files. */
static void
make_repo(Fixture *f)
{
	Json *content = json_new_object();
	Error err = ERROR_INIT;

	fixture_begin(f, false);
	for (uint64_t n = 1; n <= 8; n++)
		fixture_wal(f, 1, n, NULL, NULL);
	add_backup(f, A, 2);
	add_backup(f, B, 4);
	add_backup(f, C, 6);
	json_put_bool(content, "ok", true);
	check(mark_add(f->repo, A, MARK_VERIFIED, content, &err), &err, "mark");
	json_free(content);
	put_raw(f->repo, "backup/" A "/lease/" A);
	put_raw(f->repo, WAL_DIR "000000010000000000000002.00000028.backup");
	put_raw(f->repo, WAL_DIR "000000010000000000000003.partial");
	put_raw(f->repo, WAL_DIR "000000010000000000000006.00000028.backup");
	fixture_history(f, 2, "1\t0/900000\tx\n");
	put_raw(f->repo, "backup/" LEFT "/data/000001");
	put_raw(f->repo, "backup/" LEFT "/lease/20200101T000000Z");
	put_raw(f->repo, "backup/notes.txt");
}

static bool
note_name(void *arg, const StorageEntry *entry, Error *err)
{
	StrBuf *text = arg;

	(void) err;
	strbuf_puts(text, entry->name);
	strbuf_putc(text, '\n');
	return true;
}

/* The names below a directory, one in a line. */
static char *
names(Repo *repo, const char *dir)
{
	StrBuf text = STRBUF_INIT;
	Error err = ERROR_INIT;

	if (!storage_list(repo->storage, dir, true, note_name, &text, &err))
		ok(false, "%s is listed: %s", dir, err.message);
	error_clear(&err);
	return strbuf_steal(&text);
}

static bool
exists(Repo *repo, const char *name)
{
	Error err = ERROR_INIT;
	bool there = false;

	storage_exists(repo->storage, name, &there, &err);
	error_clear(&err);
	return there;
}

static bool
is_empty(Repo *repo, const char *dir)
{
	char *text = names(repo, dir);
	bool empty = text[0] == '\0';

	free(text);
	return empty;
}

static RetentionPolicy policy;

static void
make_plan(Repo *repo, uint32_t keep_full, RetentionPlan *plan, Catalog *catalog)
{
	Error err = ERROR_INIT;

	policy = (RetentionPolicy){.keep_full = keep_full};
	check(expire_plan(repo, &policy, catalog, plan, &err), &err, "plan");
}

static void
test_expire(void)
{
	Fixture f;
	Catalog catalog;
	RetentionPlan plan;
	ExpireResult r;
	Error err = ERROR_INIT;

	make_repo(&f);
	make_plan(f.repo, 2, &plan, &catalog);
	check(expire_run(f.repo, &policy, &plan, &r, &err), &err, "expire");
	ok(r.backups == 1 && r.segments == 3 && r.leftovers == 2 && r.bytes > 0,
	   "one backup, three segments and two leftovers are counted");
	ok(is_empty(f.repo, "backup/" A), "nothing is left of the backup");
	ok(is_empty(f.repo, "backup/" LEFT), "nor of the interrupted one");
	ok(exists(f.repo, "backup/" B "/manifest") &&
		   exists(f.repo, "backup/" B "/data/000003"),
	   "the others stay");
	ok(!exists(f.repo, WAL_DIR "000000010000000000000003") &&
		   !exists(f.repo, WAL_DIR "000000010000000000000003.partial") &&
		   !exists(f.repo, WAL_DIR "000000010000000000000002.00000028.backup"),
	   "WAL before them is gone");
	ok(exists(f.repo, WAL_DIR "000000010000000000000004") &&
		   exists(f.repo, WAL_DIR "000000010000000000000006.00000028.backup"),
	   "WAL from them on stays");
	ok(exists(f.repo, "wal/7000000000000000001-15/00000002.history"),
	   "histories stay");
	ok(exists(f.repo, "backup/notes.txt"), "what is not ours stays");
	retention_plan_free(&plan);
	catalog_free(&catalog);

	make_plan(f.repo, 2, &plan, &catalog);
	check(expire_run(f.repo, &policy, &plan, &r, &err), &err, "expire again");
	ok(r.backups == 0 && r.segments == 0 && r.leftovers == 0,
	   "there is nothing more to remove");
	retention_plan_free(&plan);
	catalog_free(&catalog);
	fixture_end(&f);
}

/* What happens between the plan and its execution. */
static void
test_changes(void)
{
	Fixture f;
	Catalog catalog;
	RetentionPlan plan;
	ExpireResult r;
	char *label = NULL;
	char stamp[CLOCK_TEXT_LEN];
	char *lease;
	Error err = ERROR_INIT;

	make_repo(&f);
	make_plan(f.repo, 1, &plan, &catalog);
	/* the interrupted one gets a sign of life; another one begins */
	lease = mem_printf("backup/" LEFT "/lease/%s",
					   clock_format_label(clock_now(), stamp));
	put_raw(f.repo, lease);
	check(lease_take(f.repo, &label, &err), &err, "a backup begins");
	check(expire_run(f.repo, &policy, &plan, &r, &err), &err, "expire");
	ok(r.leftovers == 0 && exists(f.repo, "backup/" LEFT "/data/000001"),
	   "a backup that is alive is not touched");
	ok(r.segments == 0 && exists(f.repo, WAL_DIR "000000010000000000000001"),
	   "WAL stays when a backup has begun");
	ok(r.backups == 2 && !exists(f.repo, "backup/" A "/manifest"),
	   "old backups go");
	free(label);
	free(lease);
	retention_plan_free(&plan);
	catalog_free(&catalog);
	fixture_end(&f);
}

/* A plan that calls a backup interrupted which has finished since. */
static void
test_finished(void)
{
	Fixture f;
	Catalog catalog;
	RetentionPlan plan;
	ExpireResult r;
	Error err = ERROR_INIT;

	make_repo(&f);
	make_plan(f.repo, 3, &plan, &catalog);
	put_raw(f.repo, "backup/" LEFT "/manifest");
	check(expire_run(f.repo, &policy, &plan, &r, &err), &err, "expire");
	ok(exists(f.repo, "backup/" LEFT "/data/000001") && r.leftovers == 0,
	   "a backup with a manifest is no leftover");
	retention_plan_free(&plan);
	catalog_free(&catalog);
	fixture_end(&f);
}

/* ---- interrupted anywhere ---- */

typedef struct Copy
{
	Repo *to;
	Repo *from;
} Copy;

static bool
copy_one(void *arg, const StorageEntry *entry, Error *err)
{
	Copy *copy = arg;
	char *data = NULL;
	size_t len;
	bool done = strcmp(entry->name, REPO_JSON) == 0 ||
				(storage_get(copy->from->storage, entry->name, 1 << 24, &data,
							 &len, err) &&
				 storage_put(copy->to->storage, entry->name, data, len, err));

	free(data);
	return done;
}

/* Every backup that has a manifest must have its packs and WAL. */
static bool
is_sound(Repo *repo)
{
	Catalog c;
	Error err = ERROR_INIT;
	bool sound = true;

	if (!catalog_load(repo, false, &c, &err))
	{
		error_clear(&err);
		return false;
	}
	for (size_t i = 0; i < c.backup_count; i++)
	{
		const CatalogBackup *b = &c.backups[i];

		if (b->state != BACKUP_COMPLETE)
			continue;
		sound = sound && b->wal_ok;
		for (uint32_t n = 1; n <= b->info.pack_count; n++)
		{
			char *name = repo_pack_name(b->info.label, n);

			sound = sound && exists(repo, name);
			free(name);
		}
	}
	catalog_free(&c);
	return sound;
}

/* The nth removal fails, and all later ones: as if killed there. */
static bool
expire_until(Fixture *f, const RepoOptions *options, uint64_t nth,
			 bool *finished)
{
	Catalog catalog;
	RetentionPlan plan;
	ExpireResult r;
	Error err = ERROR_INIT;
	Error lost = {.code = ERR_IO};
	Repo *repo = NULL;
	Copy copy;
	bool sound;

	memory_create("expire");
	if (!repo_create(options, &err) || !repo_open(options, &repo, &err))
		ok(false, "repository in memory: %s", err.message);
	copy = (Copy){repo, f->repo};
	if (!storage_list(f->repo->storage, "", true, copy_one, &copy, &err))
		ok(false, "copy: %s", err.message);
	make_plan(repo, 1, &plan, &catalog);
	lost.message = mem_strdup("killed");
	memory_fail("expire", MEMORY_REMOVE, nth, MEMORY_SINCE, &lost);
	*finished = expire_run(repo, &policy, &plan, &r, &err);
	error_clear(&err);
	memory_heal("expire");
	sound = is_sound(repo) && exists(repo, "backup/" C "/manifest");
	retention_plan_free(&plan);
	catalog_free(&catalog);

	/* the next run does the rest */
	make_plan(repo, 1, &plan, &catalog);
	sound = sound && expire_run(repo, &policy, &plan, &r, &err) &&
			is_sound(repo);
	error_clear(&err);
	retention_plan_free(&plan);
	catalog_free(&catalog);
	/* a fresh lease keeps what is left of A for now */
	sound = sound && is_empty(repo, "backup/" B) &&
			!exists(repo, WAL_DIR "000000010000000000000005") &&
			exists(repo, WAL_DIR "000000010000000000000006");
	repo_close(repo);
	memory_drop("expire");
	error_clear(&lost);
	return sound;
}

static void
test_killed(void)
{
	Fixture f;
	RepoOptions options;
	bool finished = false;
	uint64_t n = 1;

	make_repo(&f);
	options = f.repo->options;
	options.storage = (StorageOptions){
		.repo = "m", .type = "memory", .path = "expire"};
	for (; !finished && n < 100; n++)
		ok(expire_until(&f, &options, n, &finished),
		   "stopped at removal %d: all that is left is whole, and the next "
		   "run goes on",
		   (int) n);
	ok(n > 10, "there were several removals");
	fixture_end(&f);
}

/* ---- one backup ---- */

static void
test_delete(void)
{
	Fixture f;
	ExpireResult r;
	char *running = NULL;
	Error err = ERROR_INIT;

	make_repo(&f);
	check(expire_backup(f.repo, B, false, &r, &err), &err, "one of three");
	ok(r.backups == 1 && is_empty(f.repo, "backup/" B) &&
		   exists(f.repo, "backup/" A "/manifest"),
	   "it alone is removed");
	ok(exists(f.repo, WAL_DIR "000000010000000000000004"), "WAL stays");
	ok(!expire_backup(f.repo, B, true, &r, &err) && err.code == ERR_NOT_FOUND,
	   "once only: %s", err.message);
	error_clear(&err);
	ok(!expire_backup(f.repo, "../wal", true, &r, &err) &&
		   err.code == ERR_USAGE,
	   "not a label: %s", err.message);
	error_clear(&err);
	check(lease_take(f.repo, &running, &err), &err, "a backup begins");
	ok(!expire_backup(f.repo, running, true, &r, &err) && err.code == ERR_BUSY,
	   "not one that is running: %s", err.message);
	error_clear(&err);
	check(expire_backup(f.repo, LEFT, false, &r, &err), &err, "leftovers");
	ok(r.leftovers == 2 && is_empty(f.repo, "backup/" LEFT), "are removed");
	check(expire_backup(f.repo, A, false, &r, &err), &err, "one of two");
	ok(!expire_backup(f.repo, C, false, &r, &err) && err.code == ERR_MISMATCH,
	   "not the last one: %s", err.message);
	error_clear(&err);
	ok(exists(f.repo, "backup/" C "/manifest"), "it is there");
	check(expire_backup(f.repo, C, true, &r, &err), &err, "unless forced");
	ok(is_empty(f.repo, "backup/" C), "it is gone");
	free(running);
	fixture_end(&f);
}

/* A damaged manifest is removed only when asked for. */
static void
test_delete_unreadable(void)
{
	Fixture f;
	ExpireResult r;
	Error err = ERROR_INIT;

	make_repo(&f);
	fixture_remove(&f, "backup/" B "/manifest");
	put_raw(f.repo, "backup/" B "/manifest");
	check(expire_backup(f.repo, B, false, &r, &err), &err,
		  "one with a damaged manifest");
	ok(is_empty(f.repo, "backup/" B), "is removed");
	fixture_end(&f);
}

/* A mark of that age, as another host would leave it. */
static void
put_removing(Repo *repo, const char *label, int64_t age)
{
	char stamp[STAMP_LEN];
	char *name = mem_printf("backup/%s/mark/%s-" MARK_REMOVING, label,
							stamp_format(clock_now() - age, stamp));
	Json *content = json_new_object();
	ObjectSpec spec = {.name = name, .kind = OBJECT_MARK, .extra_room = 64};
	Error err = ERROR_INIT;

	json_put_str(content, "label", label);
	check(object_put(repo, &spec, "x", 1, content, &err), &err,
		  "another host's mark");
	json_free(content);
	free(name);
}

/* Two hosts, of which each removes one of the last two good backups. */
static void
test_two_hosts(void)
{
	ExpireResult out;
	Error err = ERROR_INIT;
	Catalog catalog;
	RetentionPlan plan;
	Fixture f;
	char *marks;

	make_repo(&f);
	check(expire_backup(f.repo, A, false, &out, &err), &err, "a backup goes");
	put_removing(f.repo, B, USECS_PER_SEC);
	ok(!expire_backup(f.repo, C, false, &out, &err) && err.code == ERR_BUSY,
	   "what stays when another one is being removed: nothing");
	error_clear(&err);
	ok(exists(f.repo, "backup/" C "/manifest"), "so it stays");
	marks = names(f.repo, "backup/" C "/mark");
	is_str(marks, "", "and is not marked any more");
	free(marks);
	check(expire_backup(f.repo, C, true, &out, &err), &err, "force is force");
	fixture_end(&f);

	make_repo(&f);
	make_plan(f.repo, 1, &plan, &catalog);
	put_removing(f.repo, C, USECS_PER_SEC);
	ok(!expire_run(f.repo, &policy, &plan, &out, &err) && err.code == ERR_BUSY,
	   "expire removes nothing while what it keeps is being removed");
	error_clear(&err);
	ok(exists(f.repo, "backup/" A "/manifest") &&
		   exists(f.repo, "backup/" B "/manifest"),
	   "nothing at all");
	retention_plan_free(&plan);
	catalog_free(&catalog);
	fixture_end(&f);

	make_repo(&f);
	make_plan(f.repo, 1, &plan, &catalog);
	put_removing(f.repo, C, INT64_C(3600) * USECS_PER_SEC);
	check(expire_run(f.repo, &policy, &plan, &out, &err), &err,
		  "the mark of one that was killed does not count for ever");
	ok(exists(f.repo, "backup/" C "/manifest") &&
		   !exists(f.repo, "backup/" B "/manifest"),
	   "and what was to go is gone");
	retention_plan_free(&plan);
	catalog_free(&catalog);
	fixture_end(&f);
}

/* ---- pins and holds ---- */

static void
put_mark(Repo *repo, const char *label, PinAction action)
{
	const PinSpec spec = {.action = action};
	Error err = ERROR_INIT;

	check(pin_backup(repo, label, &spec, &err), &err, "a mark");
}

static void
test_pins(void)
{
	ExpireResult out;
	Error err = ERROR_INIT;
	Catalog catalog;
	RetentionPlan plan;
	PinSpec pin = {.action = PIN_SET};
	Fixture f;
	char *marks;

	/* between the plan and its execution somebody pins one of them */
	make_repo(&f);
	make_plan(f.repo, 1, &plan, &catalog);
	put_mark(f.repo, A, PIN_SET);
	check(expire_run(f.repo, &policy, &plan, &out, &err), &err, "expire");
	ok(out.backups == 1 && out.segments == 0 &&
		   exists(f.repo, "backup/" A "/manifest") &&
		   !exists(f.repo, "backup/" B "/manifest"),
	   "what was pinned meanwhile stays, and all WAL for now");
	marks = names(f.repo, "backup/" A "/mark");
	ok(strstr(marks, MARK_REMOVING) == NULL, "nobody removes it any more: %s",
	   marks);
	free(marks);
	retention_plan_free(&plan);
	catalog_free(&catalog);

	ok(!expire_backup(f.repo, A, false, &out, &err) && err.code == ERR_MISMATCH,
	   "what is pinned is not deleted");
	error_clear(&err);
	put_mark(f.repo, A, HOLD_SET);
	ok(!expire_backup(f.repo, A, true, &out, &err) && err.code == ERR_MISMATCH,
	   "what is held is not, though it is forced");
	error_clear(&err);
	put_mark(f.repo, A, HOLD_LIFT);
	put_mark(f.repo, A, PIN_LIFT);
	check(expire_backup(f.repo, A, false, &out, &err), &err,
		  "what is neither any more is");
	put_removing(f.repo, C, USECS_PER_SEC);
	ok(!pin_backup(f.repo, C, &pin, &err) && err.code == ERR_BUSY,
	   "a pin says so if the backup is just being removed");
	error_clear(&err);
	ok(!pin_backup(f.repo, A, &pin, &err) && err.code == ERR_NOT_FOUND,
	   "what is gone cannot be pinned");
	error_clear(&err);
	fixture_end(&f);
}

int
main(void)
{
	test_expire();
	test_changes();
	test_finished();
	test_killed();
	test_delete();
	test_delete_unreadable();
	test_two_hosts();
	test_pins();
	return done_testing();
}
