/*-------------------------------------------------------------------------
 *
 * info_json.c
 *	  The JSON lines of pgdr info.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/info_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

static void
put_time(Json *obj, const char *key, int64_t t)
{
	char text[CLOCK_TEXT_LEN];

	if (t != 0)
		json_put_str(obj, key, clock_format(t, text));
}

static void
put_lsn(Json *obj, const char *key, uint64_t lsn)
{
	char text[LSN_TEXT_LEN];

	lsn_format(lsn, text);
	json_put_str(obj, key, text);
}

static void
put_home(Json *obj, const WalHome *home)
{
	char sysid[24];

	snprintf(sysid, sizeof(sysid), "%" PRIu64, home->sysid);
	json_put_str(obj, "sysid", sysid);
	json_put_int(obj, "major", home->major);
}

static void
put_segment(Json *obj, const char *key, const WalRange *range, uint64_t number)
{
	WalName name;
	char text[WAL_FILE_NAME_MAX];

	wal_segment_name(range->timeline, number, range->segment_size, &name);
	wal_name_format(&name, text);
	json_put_str(obj, key, text);
}

Json *
info_repository_json(const Repo *repo, const RepoSettings *settings)
{
	Json *obj = json_new_object();

	json_put_str(obj, "name", settings->name);
	json_put_str(obj, "store", settings->type);
	if (settings->path != NULL)
		json_put_str(obj, "path", settings->path);
	json_put_bool(obj, "required", settings->required);
	if (repo == NULL)
		return obj;
	json_put_str(obj, "target", repo->options.cluster);
	json_put_str(obj, "id", repo->id);
	json_put_int(obj, "format", REPO_FORMAT);
	json_put_bool(obj, "encrypted", repo->encrypted);
	put_time(obj, "created", repo->created);
	return obj;
}

Json *
info_rules_json(uint32_t rules)
{
	Json *names = json_new_array();

	for (int i = 0; i < RULE_COUNT; i++)
	{
		if ((rules & (UINT32_C(1) << i)) != 0)
			json_append(
				names, json_new_string(retention_rule_name((RetentionRule) i)));
	}
	return names;
}

void
info_rules_text(uint32_t rules, char text[INFO_RULES_LEN])
{
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < RULE_COUNT && len < INFO_RULES_LEN; i++)
	{
		if ((rules & (UINT32_C(1) << i)) != 0)
			len += (size_t) snprintf(text + len, INFO_RULES_LEN - len, "%s%s",
									 len > 0 ? ", " : "",
									 retention_rule_name((RetentionRule) i));
	}
}

static void
put_marks(Json *obj, const CatalogBackup *b)
{
	if (b->held)
		json_put_bool(obj, "held", true);
	if (b->pinned_until != 0)
		json_put_bool(obj, "pinned", true);
	if (b->pinned_until != INT64_MAX)
		put_time(obj, "pinned_until", b->pinned_until);
	if (b->standalone)
		json_put_bool(obj, "standalone", true);
}

Json *
info_backup_json(const CatalogBackup *b)
{
	Json *obj;

	if (b->state == BACKUP_COMPLETE)
		obj = backup_info_json(&b->info);
	else
	{
		obj = json_new_object();
		json_put_str(obj, "label", b->info.label);
	}
	json_put_str(obj, "state", backup_state_name(b->state));
	if (b->state == BACKUP_COMPLETE)
		json_put_bool(obj, "wal_ok", b->wal_ok);
	if (b->verified_at != 0)
	{
		put_time(obj, "verified_at", b->verified_at);
		json_put_bool(obj, "verified_ok", b->verified_ok);
		json_put_bool(obj, "verified_deep", b->verified_deep);
	}
	put_marks(obj, b);
	if (b->state == BACKUP_UNREADABLE)
		json_put_str(obj, "problem", b->problem.message);
	return obj;
}

Json *
info_range_json(const WalRange *range)
{
	Json *obj = json_new_object();

	put_home(obj, &range->home);
	json_put_int(obj, "timeline", range->timeline);
	json_put_int(obj, "segment_size", range->segment_size);
	put_segment(obj, "first_segment", range, range->first);
	put_segment(obj, "last_segment", range, range->last);
	json_put_int(obj, "segments", (int64_t) (range->last - range->first + 1));
	put_lsn(obj, "start_lsn", range->start_lsn);
	put_lsn(obj, "end_lsn", range->end_lsn);
	put_time(obj, "first_commit", range->first_commit);
	put_time(obj, "last_commit", range->last_commit);
	if (range->bytes > 0)
		json_put_int(obj, "stored_bytes", (int64_t) range->bytes);
	return obj;
}

Json *
info_timeline_json(const CatalogTimeline *t)
{
	Json *obj = json_new_object();
	Json *ancestors = json_new_array();

	put_home(obj, &t->home);
	json_put_int(obj, "timeline", t->timeline);
	json_put_bool(obj, "has_history", t->has_history);
	for (size_t i = 0; i < t->history.count; i++)
	{
		Json *ancestor = json_new_object();

		json_put_int(ancestor, "timeline", t->history.items[i].timeline);
		put_lsn(ancestor, "end_lsn", t->history.items[i].lsn);
		json_append(ancestors, ancestor);
	}
	json_put(obj, "ancestors", ancestors);
	return obj;
}

Json *
info_window_json(const RecoveryWindow *w)
{
	Json *obj = json_new_object();

	put_home(obj, &w->home);
	json_put_int(obj, "timeline", w->timeline);
	json_put_str(obj, "label", w->label);
	put_lsn(obj, "from_lsn", w->from_lsn);
	put_time(obj, "from_time", w->from_time);
	put_lsn(obj, "to_lsn", w->to_lsn);
	put_time(obj, "to_time", w->to_time);
	json_put_bool(obj, "hole", w->hole);
	if (w->hole)
	{
		char text[WAL_FILE_NAME_MAX];

		wal_name_format(&w->missing, text);
		json_put_str(obj, "missing_segment", text);
	}
	return obj;
}
