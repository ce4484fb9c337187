/*-------------------------------------------------------------------------
 *
 * target_backup.c
 *	  The frame of every backup that is not one of the cluster: label, lease,
 *	  packs, manifest; and who has it in the end.
 *
 * As with the cluster the manifest is written last, and one thread keeps the
 * lease alive while another does the work.
 *
 *-------------------------------------------------------------------------
 */
#include "job/target_backup.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "job/backup_lease.h"

struct TargetBackup
{
	/* fixed */
	RepoSet *set;
	FanoutGroup *fanout; /* NULL: there is one repository */
	Repo *repo;          /* writes to all of them */
	const TargetOptions *options;
	TargetFillFn fill;
	void *arg;
	Progress *progress;
	Progress unseen; /* counts when nobody looks */
	char *label;

	/* as it goes on */
	LeaseKeeper keeper;
	BackupBuild build;
};

const TargetOptions *
target_backup_options(const TargetBackup *b)
{
	return b->options;
}

Progress *
target_backup_progress(TargetBackup *b)
{
	return b->progress;
}

BackupBuild *
target_backup_build(TargetBackup *b)
{
	return &b->build;
}

const Repo *
target_backup_repo(const TargetBackup *b)
{
	return b->repo;
}

BackupInfo *
target_backup_info(TargetBackup *b)
{
	return &b->build.manifest.info;
}

bool
target_backup_drop_failed(TargetBackup *b, Error *err)
{
	for (size_t i = 0; b->fanout != NULL && i < b->set->count; i++)
	{
		Error why = ERROR_INIT;

		if (!error_is_set(&b->set->members[i].why) ||
			!fanout_group_is_live(b->fanout, i))
			continue;
		error_copy(&why, &b->set->members[i].why);
		fanout_group_drop(b->fanout, i, &why);
		error_clear(&why);
	}
	return b->fanout == NULL || fanout_group_live(b->fanout) > 0 ||
		   repo_set_verdict(b->set, err);
}

static void
fill_info(TargetBackup *b)
{
	BackupInfo *info = &b->build.manifest.info;

	info->label = mem_strdup(b->label);
	info->target = mem_strdup(b->options->target);
	info->type = BACKUP_FULL;
	info->start_time = clock_now();
	if (b->options->annotations != NULL)
		info->annotations = json_dup(b->options->annotations);
	b->build.manifest.checksum_algorithm = mem_strdup("NONE");
}

/* See finish() of backup.c. */
static bool
finish(TargetBackup *b, Error *err)
{
	atomic_store(&b->progress->phase, "writing manifest");
	b->build.manifest.info.stop_time = clock_now();
	backup_build_sort(&b->build);
	return thread_check_stop(err) && lease_keeper_renew(&b->keeper, err) &&
		   manifest_write(b->repo, &b->build.manifest, err) &&
		   lease_keeper_confirm(&b->keeper, err);
}

static bool
run_thread(void *arg, int worker_no, Error *err)
{
	TargetBackup *b = arg;
	bool done;

	if (worker_no == 1)
		return lease_keeper_run(&b->keeper, err);
	done = b->fill(b, b->arg, err) && finish(b, err);
	lease_keeper_end(&b->keeper);
	return done;
}

static bool
run_with_lease(TargetBackup *b, Error *err)
{
	bool done;

	if (!lease_keeper_open(&b->keeper, b->set, b->fanout, b->label, err))
		return false;
	fill_info(b);
	done = thread_run(2, run_thread, b, err);
	lease_keeper_close(&b->keeper);
	return done;
}

static bool
run(TargetBackup *b, Error *err)
{
	bool done;

	if (!lease_take_in_all(b->set, NULL, &b->label, err))
		return false;
	repo_set_fan_out(b->set, NULL, true, &b->fanout, &b->repo);
	done = run_with_lease(b, err);
	repo_set_fan_in(b->set, b->fanout, b->repo);
	return done;
}

static bool
check_key(const RepoSet *set, Error *err)
{
	const Repo *repo = repo_set_any(set);

	if (repo == NULL)
		return repo_set_verdict(set, err);
	if (repo->has_content)
		return true;
	error_set(err, ERR_KEY, "the content key of the repository is not known");
	return error_hint(err, "Set content-key-file in the configuration.");
}

/* That it is complete somewhere is worth knowing. */
static bool
judge(const TargetBackup *b, Error *err)
{
	StrBuf names = STRBUF_INIT;

	if (repo_set_verdict(b->set, err))
	{
		repo_set_warn(b->set, "the backup");
		return true;
	}
	for (size_t i = 0; i < b->set->count; i++)
	{
		if (!error_is_set(&b->set->members[i].why))
			strbuf_printf(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						  repo_set_name(b->set, i));
	}
	if (names.len > 0)
		error_detail(err, "The backup %s is complete in %s.", b->label,
					 names.data);
	strbuf_free(&names);
	return false;
}

bool
target_backup_take(RepoSet *set, const TargetOptions *options,
				   TargetFillFn fill, void *arg, BackupInfo *out, Error *err)
{
	TargetBackup b = {.set = set, .options = options, .fill = fill, .arg = arg};
	bool done;

	b.progress = options->progress != NULL ? options->progress : &b.unseen;
	atomic_store(&b.progress->phase, "starting");
	backup_build_init(&b.build);
	repo_set_open_all(set);
	done = check_key(set, err) && run(&b, err) && judge(&b, err);
	if (done)
	{
		*out = b.build.manifest.info;
		memset(&b.build.manifest.info, 0, sizeof(b.build.manifest.info));
	}
	backup_build_free(&b.build);
	free(b.label);
	return done;
}
