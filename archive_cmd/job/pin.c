/*-------------------------------------------------------------------------
 *
 * pin.c
 *	  Keeps a backup from expiring.
 *
 *-------------------------------------------------------------------------
 */
#include "job/pin.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/expire_claim.h"
#include "repo/mark.h"

static bool
add_mark(Repo *repo, const char *label, const PinSpec *spec, Error *err)
{
	bool is_hold = spec->action == HOLD_SET || spec->action == HOLD_LIFT;
	bool is_set = spec->action == PIN_SET || spec->action == HOLD_SET;
	Json *content = json_new_object();
	char until[CLOCK_TEXT_LEN];
	bool done;

	json_put_bool(content, is_hold ? "held" : "pinned", is_set);
	if (spec->until != 0)
		json_put_str(content, "until", clock_format(spec->until, until));
	if (spec->reason != NULL)
		json_put_str(content, "reason", spec->reason);
	done = mark_add(repo, label, is_hold ? MARK_HOLD : MARK_PIN, content, err);
	json_free(content);
	return done;
}

static bool
check_there(Repo *repo, const char *label, Error *err)
{
	char *manifest = repo_manifest_name(label);
	bool there;
	bool done = storage_exists(repo->storage, manifest, &there, err);

	free(manifest);
	if (!done || there)
		return done;
	error_set(err, ERR_NOT_FOUND, "backup %s does not exist", label);
	return error_hint(err, "\"pgdr info\" lists the backups.");
}

/*
 * Whoever removes a backup says so first and looks for marks then; we look
 * when our mark is there.
 */
static bool
check_stays(Repo *repo, const char *label, Error *err)
{
	Json *content = NULL;
	int64_t marked_at;
	bool marked;

	if (!mark_latest(repo, label, MARK_REMOVING, &marked, &marked_at, &content,
					 err))
		return false;
	json_free(content);
	if (!marked || marked_at <= clock_now() - CLAIM_VALID_USECS)
		return check_there(repo, label, err);
	error_set(err, ERR_BUSY, "backup %s is being removed", label);
	return error_hint(err, "Look with \"pgdr info\" in a few minutes whether "
						   "it is still there.");
}

bool
pin_backup(Repo *repo, const char *label, const PinSpec *spec, Error *err)
{
	bool is_set = spec->action == PIN_SET || spec->action == HOLD_SET;

	if (!repo_label_ok(label))
		return error_set(err, ERR_USAGE, "\"%s\" is not the label of a backup",
						 label);
	return check_there(repo, label, err) && add_mark(repo, label, spec, err) &&
		   (!is_set || check_stays(repo, label, err));
}
