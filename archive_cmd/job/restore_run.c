/*-------------------------------------------------------------------------
 *
 * restore_run.c
 *	  Restores a backup by a plan.
 *
 * The order is what makes it safe to be stopped anywhere: the marker first;
 * then the old pg_control goes, then everything else that was there; then
 * everything new is written and made durable; then pg_control gets its name;
 * last the marker goes.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "job/restore_files.h"
#include "job/restore_places.h"
#include "job/restore_target.h"

#define AUTO_CONF "postgresql.auto.conf"
#define CONF_MAX ((size_t) 64 * 1024 * 1024)

typedef struct Run
{
	RepoSet *set;
	const RestoreOptions *options;
	const RestorePlan *plan;
	RestoreTarget target;
	Manifest manifest;
	RestorePlaces places;
	RestoreSelect select;
} Run;

static void
set_phase(const Run *r, const char *phase)
{
	if (r->options->progress)
		atomic_store(&r->options->progress->phase, phase);
}

/* ---- recovery settings ---- */

/* Copies the lines that stay. */
static void
keep_lines(const StrBuf *old, StrBuf *out)
{
	const char *p = old->data;
	const char *end = p + old->len;

	while (p < end)
	{
		const char *stop = memchr(p, '\n', (size_t) (end - p));
		size_t len = (size_t) ((stop ? stop : end) - p);

		if (!restore_setting_is_ours(p, len))
		{
			strbuf_add(out, p, len);
			strbuf_putc(out, '\n');
		}
		p += len + (stop != NULL);
	}
}

/*
 * The server refuses two targets of different kinds, and would end at one of
 * its own although the latest is wanted.  An empty value takes a target back,
 * but must come before the one that counts.
 */
static void
overrule_settings(const Run *r, StrBuf *out)
{
	char *path = file_join(r->places.items[0].path, "postgresql.conf");
	StrBuf text = STRBUF_INIT;
	Error ignored = ERROR_INIT;
	const char *p;

	if (file_slurp(path, CONF_MAX, &text, &ignored) && text.len > 0)
	{
		for (p = text.data; p != NULL && *p != '\0';)
		{
			size_t len = strcspn(p, "\n");
			const char *target = restore_setting_target(p, len);

			if (target != NULL)
				restore_setting(out, target, "");
			if (restore_setting_is_ours(p, len))
				log_warning("\"%s\" has a recovery setting of its own%s: %.*s",
							path, target ? ", which is overruled" : "",
							(int) len, p);
			p += len + (p[len] == '\n');
		}
	}
	error_clear(&ignored);
	strbuf_free(&text);
	free(path);
}

static bool
write_settings(const Run *r, Error *err)
{
	char *path = file_join(r->places.items[0].path, AUTO_CONF);
	const ManifestFile *file = restore_find_file(&r->manifest, AUTO_CONF);
	mode_t mode = file ? (mode_t) (file->mode & 0777) : 0600;
	StrBuf old = STRBUF_INIT;
	StrBuf text = STRBUF_INIT;
	char now[CLOCK_TEXT_LEN];
	bool done = true;

	if (file != NULL)
		done = file_slurp(path, CONF_MAX, &old, err);
	if (done && old.len > 0)
		keep_lines(&old, &text);
	if (done)
	{
		strbuf_printf(&text, "# added at %s by pgdr restore of backup %s\n",
					  clock_format(clock_now(), now), r->manifest.info.label);
		overrule_settings(r, &text);
		restore_target_settings(&text, r->options, &r->target, r->plan);
		done = file_write_durable(path, text.data, text.len, mode, true, err);
	}
	strbuf_free(&old);
	strbuf_free(&text);
	free(path);
	return done;
}

static bool
write_signal(const Run *r, Error *err)
{
	char *path = file_join(r->places.items[0].path, r->options->standby
														? "standby.signal"
														: "recovery.signal");
	bool done = file_write_durable(path, "", 0, 0600, true, err);

	free(path);
	return done;
}

/* ---- all ---- */

bool
restore_check_plan(const RestorePlan *plan, bool skip_wal_check, Error *err)
{
	if (plan->reachable || skip_wal_check)
		return true;
	error_set(err, ERR_INCOMPLETE, "target of the recovery cannot be reached");
	error_detail(err, "%s", plan->verdict);
	return error_hint(err, "With --skip-wal-check the backup is restored all "
						   "the same.");
}

bool
restore_read_manifest(RepoSet *set, const RestorePlan *plan, Manifest *out,
					  Error *err)
{
	for (size_t i = 0; i < plan->source_count; i++)
	{
		Error why = ERROR_INIT;
		Repo *repo = repo_set_open(set, plan->sources[i], &why);

		if (repo != NULL && manifest_read(repo, plan->backup.label, out, &why))
		{
			error_clear(err);
			return true;
		}
		if (i + 1 < plan->source_count && why.code != ERR_CANCELED)
			log_error_object(LOG_WARNING, &why);
		error_move(err, &why);
	}
	return false;
}

static bool
prepare(Run *r, Error *err)
{
	Progress *progress = r->options->progress;
	uint64_t bytes = 0;

	if (!restore_target_parse(r->options, &r->target, err) ||
		!restore_check_plan(r->plan, r->options->skip_wal_check, err) ||
		!restore_read_manifest(r->set, r->plan, &r->manifest, err))
		return false;
	for (size_t i = 0; i < r->manifest.file_count; i++)
		bytes += r->manifest.files[i].size;
	if (progress)
	{
		atomic_store(&progress->total_bytes, bytes);
		atomic_store(&progress->total_items, r->manifest.file_count);
	}
	return restore_select_init(&r->manifest, r->options, &r->select, err) &&
		   restore_places_resolve(r->set, r->options, &r->manifest, &r->places,
								  err);
}

static bool
run(Run *r, Error *err)
{
	RestoreInput in = {r->set, r->plan, &r->select};

	set_phase(r, "reading the manifest");
	if (!prepare(r, err))
		return false;
	if (geteuid() == 0)
		log_warning("restoring as root: a server will not start before the "
					"files are given to its user");
	set_phase(r, "preparing directories");
	if (!restore_places_claim(&r->places, err) ||
		!restore_make_dirs(&r->places, err))
		return false;
	set_phase(r, "restoring files");
	if (!restore_write_files(&in, &r->places, err) || !write_settings(r, err) ||
		!write_signal(r, err))
		return false;
	set_phase(r, "syncing");
	return restore_places_sync(&r->places, err) &&
		   restore_publish(&r->places, err) &&
		   restore_places_release(&r->places, err);
}

bool
restore_run(RepoSet *set, const RestoreOptions *options,
			const RestorePlan *plan, Error *err)
{
	Run r = {.set = set, .options = options, .plan = plan};
	bool done = run(&r, err);

	restore_select_free(&r.select);
	restore_places_free(&r.places);
	manifest_free(&r.manifest);
	restore_target_free(&r.target);
	return done;
}
