/*-------------------------------------------------------------------------
 *
 * transfer_test.c
 *	  Copies between repositories: what is put aside, and what is not.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "job/transfer.h"
#include "job_fixture.h"
#include "repo/object.h"
#include "repo/quarantine.h"
#include "tap.h"

#define SEG1 "000000010000000000000001"

static Error err;

typedef struct Two
{
	Fixture f;
	RepoSet set; /* the fixture's, and a second one */
	char *object;
	char *path; /* of the object in the first */
	char *dir;  /* of the second */
	Inventory inventories[2];
} Two;

static void
push_to_both(Two *t)
{
	const JobSegment s = {.timeline = 1,
						  .number = 1,
						  .first_commit = FIX_TIME(10),
						  .last_commit = FIX_TIME(20)};
	PgControl control = job_control();
	WalName name;
	PushResult result;
	char *file = job_segment(t->f.dir, &s);

	ok(push_file(&t->set, file, &control, &result, &err),
	   "a segment in two repositories");
	wal_name_parse(SEG1, &name);
	t->object = repo_wal_name(&(WalHome){.sysid = JOB_SYSID, .major = 15},
							  &name);
	t->path = job_object(&t->f, SEG1);
	free(file);
}

static void
two_begin(Two *t)
{
	RepoOptions options;

	*t = (Two){.object = NULL};
	fixture_begin(&t->f, true);
	t->dir = mem_printf("%s/second", t->f.dir);
	mkdir(t->dir, 0700);
	options = t->f.repo->options;
	options.storage.repo = "second";
	options.storage.path = t->dir;
	ok(repo_create(&options, &err), "a second repository");
	repo_set_borrow(&t->set, t->f.repo);
	repo_set_add(&t->set, &options, true);
	repo_set_open_all(&t->set);
	push_to_both(t);
	for (size_t i = 0; i < 2; i++)
	{
		Repo *repo = t->set.members[i].repo;

		ok(inventory_load(repo, &t->inventories[i], &err) &&
			   inventory_check(repo, &t->inventories[i], 1, NULL, &err),
		   "what is in it");
	}
}

static void
two_end(Two *t)
{
	for (size_t i = 0; i < 2; i++)
		inventory_free(&t->inventories[i]);
	repo_set_free(&t->set);
	free(t->object);
	free(t->path);
	free(t->dir);
	fixture_end(&t->f);
	error_clear(&err);
}

static void
count_failures(void *arg, const TransferReport *report)
{
	*(int *) arg += report->why != NULL;
	if (report->why != NULL)
		printf("# %s\n", report->why->message);
}

/* Replaces the object in the first repository; how many transfers failed. */
static int
replace(Two *t)
{
	int failures = 0;
	TransferPlan plan = {.set = &t->set,
						 .inventories = t->inventories,
						 .workers = 1,
						 .report = count_failures,
						 .arg = &failures};

	transfer_add(&plan, TRANSFER_REPLACE, 0, t->object);
	ok(transfer_run(&plan, &err), "the transfer runs");
	transfer_plan_free(&plan);
	return failures;
}

static bool
note_aside(void *arg, const StorageEntry *entry, Error *unused)
{
	(void) unused;
	*(int *) arg += !entry->is_dir;
	return true;
}

static int
put_aside(Two *t)
{
	int count = 0;

	storage_list(t->f.repo->storage, QUARANTINE_DIR, true, note_aside, &count,
				 &err);
	return count;
}

static bool
is_sound(Two *t)
{
	bool opens = false;

	return object_check_opens(t->f.repo, t->object, &opens, &err) && opens;
}

static void
test_damaged(void)
{
	Two t;

	two_begin(&t);
	job_flip(t.path);
	is_int(replace(&t), 0, "what is damaged is replaced");
	is_int(put_aside(&t), 1, "and put aside");
	ok(is_sound(&t), "then it is sound");
	two_end(&t);
}

/* It was found damaged; meanwhile somebody else has healed it. */
static void
test_healed(void)
{
	struct stat before;
	struct stat after;
	Two t;

	two_begin(&t);
	ok(stat(t.path, &before) == 0, "it lies there");
	is_int(replace(&t), 0, "what is sound after all counts as replaced");
	is_int(put_aside(&t), 0, "but is not put aside");
	ok(stat(t.path, &after) == 0 && before.st_ino == after.st_ino &&
		   is_sound(&t),
	   "it is the same file as before");
	two_end(&t);
}

/* Nobody has a good one: what is there stays, bad as it is. */
static void
test_no_source(void)
{
	Two t;

	two_begin(&t);
	job_flip(t.path);
	inventory_find(&t.inventories[1], t.object)->state = ITEM_DAMAGED;
	is_int(replace(&t), 1, "without a good one nothing is replaced");
	is_int(put_aside(&t), 0, "nor put aside");
	two_end(&t);
}

int
main(void)
{
	test_damaged();
	test_healed();
	test_no_source();
	return done_testing();
}
