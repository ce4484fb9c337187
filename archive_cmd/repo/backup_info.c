/*-------------------------------------------------------------------------
 *
 * backup_info.c
 *	  The public part of a manifest, to and from JSON.
 *
 * It comes from a store that may be hostile: every value is checked before
 * it is believed.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/manifest_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/target.h"

void
backup_info_free(BackupInfo *info)
{
	free(info->label);
	free(info->target);
	free(info->parent);
	for (size_t i = 0; i < info->member_count; i++)
		free(info->members[i]);
	free(info->members);
	backup_references_free(info);
	json_free(info->annotations);
	memset(info, 0, sizeof(*info));
}

/* ---- to JSON ---- */

static void
put_lsn(Json *obj, const char *key, uint64_t lsn)
{
	char text[LSN_TEXT_LEN];

	lsn_format(lsn, text);
	json_put_str(obj, key, text);
}

static void
put_time(Json *obj, const char *key, int64_t t)
{
	char text[CLOCK_TEXT_LEN];

	json_put_str(obj, key, clock_format(t, text));
}

static void
put_sizes(Json *obj, const BackupInfo *info)
{
	char hex[SHA256_HEX_LEN + 1];

	json_put_int(obj, "files", (int64_t) info->file_count);
	json_put_int(obj, "plain_bytes", (int64_t) info->plain_bytes);
	json_put_int(obj, "stored_bytes", (int64_t) info->stored_bytes);
	json_put_int(obj, "packs", info->pack_count);
	hex_encode(info->packs_sha256, SHA256_LEN, hex);
	json_put_str(obj, "packs_sha256", hex);
	json_put_int(obj, "damaged_pages", (int64_t) info->damaged_pages);
}

/* Members that only a backup of the cluster has. */
static void
put_cluster(Json *obj, const BackupInfo *info)
{
	char sysid[24];

	/* a string: the number does not fit what most readers of JSON use */
	snprintf(sysid, sizeof(sysid), "%" PRIu64, info->sysid);
	json_put_str(obj, "sysid", sysid);
	json_put_int(obj, "major", info->major);
	json_put_int(obj, "version_num", info->version_num);
	json_put_int(obj, "catalog_version", info->catalog_version);
	json_put_int(obj, "segment_size", info->segment_size);
	json_put_bool(obj, "page_checksums", info->page_checksums);
	json_put_int(obj, "start_timeline", info->start_timeline);
	json_put_int(obj, "timeline", info->timeline);
	put_lsn(obj, "start_lsn", info->start_lsn);
	put_lsn(obj, "stop_lsn", info->stop_lsn);
}

static void
put_members(Json *obj, const BackupInfo *info)
{
	Json *members = json_new_array();

	for (size_t i = 0; i < info->member_count; i++)
		json_append(members, json_new_string(info->members[i]));
	json_put(obj, "members", members);
}

Json *
backup_info_json(const BackupInfo *info)
{
	Json *obj = json_new_object();

	json_put_str(obj, "label", info->label);
	json_put_str(obj, "target", info->target);
	json_put_str(obj, "backup_type",
				 info->type == BACKUP_FULL ? "full" : "incremental");
	if (backup_is_cluster(info))
		put_cluster(obj, info);
	else if (info->version_num != 0)
		json_put_int(obj, "version_num", info->version_num);
	put_time(obj, "start_time", info->start_time);
	put_time(obj, "stop_time", info->stop_time);
	put_sizes(obj, info);
	if (info->archival)
		json_put_bool(obj, "archival", true);
	if (info->parent != NULL)
		json_put_str(obj, "parent", info->parent);
	if (info->member_count > 0)
		put_members(obj, info);
	if (info->reference_count > 0)
		json_put(obj, "references", backup_references_json(info));
	if (info->references_joined)
		json_put_bool(obj, "references_joined", true);
	if (info->annotations != NULL)
		json_put(obj, "annotations", json_dup(info->annotations));
	return obj;
}

/* ---- from JSON ---- */

static bool
bad_value(const char *key, Error *err)
{
	return error_set(err, ERR_DAMAGED, "value of \"%s\" is not valid", key);
}

static bool
get_number(const Json *obj, const char *key, uint64_t max, uint64_t *out,
		   Error *err)
{
	int64_t value = 0;

	if (!json_require_int(obj, key, &value, err))
		return false;
	if (value < 0 || (uint64_t) value > max)
		return bad_value(key, err);
	*out = (uint64_t) value;
	return true;
}

static bool
get_u32(const Json *obj, const char *key, uint32_t *out, Error *err)
{
	uint64_t value = 0;

	if (!get_number(obj, key, UINT32_MAX, &value, err))
		return false;
	*out = (uint32_t) value;
	return true;
}

static bool
get_lsn(const Json *obj, const char *key, uint64_t *out, Error *err)
{
	const char *text;

	if (!json_require_str(obj, key, &text, err))
		return false;
	return lsn_parse(text, out) || bad_value(key, err);
}

static bool
get_time(const Json *obj, const char *key, int64_t *out, Error *err)
{
	const char *text;
	Error ignored = ERROR_INIT;

	if (!json_require_str(obj, key, &text, err))
		return false;
	if (clock_parse(text, out, &ignored))
		return true;
	error_clear(&ignored);
	return bad_value(key, err);
}

static bool
get_label(const Json *obj, const char *key, char **out, Error *err)
{
	const char *text;

	if (!json_require_str(obj, key, &text, err))
		return false;
	if (!repo_label_ok(text))
		return bad_value(key, err);
	*out = mem_strdup(text);
	return true;
}

static bool
get_sysid(const Json *obj, uint64_t *out, Error *err)
{
	const char *text;
	char again[24];

	if (!json_require_str(obj, "sysid", &text, err))
		return false;
	*out = strtoull(text, NULL, 10);
	snprintf(again, sizeof(again), "%" PRIu64, *out);
	return strcmp(again, text) == 0 || bad_value("sysid", err);
}

static bool
get_type(const Json *obj, BackupInfo *out, Error *err)
{
	const char *text;

	if (!json_require_str(obj, "backup_type", &text, err))
		return false;
	out->type = strcmp(text, "full") == 0 ? BACKUP_FULL : BACKUP_INCREMENTAL;
	if (out->type != BACKUP_FULL && strcmp(text, "incremental") != 0)
		return bad_value("backup_type", err);
	if (out->type == BACKUP_INCREMENTAL)
		return get_label(obj, "parent", &out->parent, err);
	return json_get(obj, "parent") == NULL || bad_value("parent", err);
}

static bool
get_target(const Json *obj, BackupInfo *out, Error *err)
{
	const char *target;

	if (!json_require_str(obj, "target", &target, err))
		return false;
	if (!target_ok(target))
		return error_set(err, ERR_UNSUPPORTED,
						 "backups of target \"%s\" are not known", target);
	out->target = mem_strdup(target);
	return true;
}

static bool
get_cluster(const Json *obj, BackupInfo *out, Error *err)
{
	uint64_t major = 0;

	if (!get_sysid(obj, &out->sysid, err) ||
		!get_number(obj, "major", 9999, &major, err) ||
		!get_u32(obj, "version_num", &out->version_num, err) ||
		!get_u32(obj, "catalog_version", &out->catalog_version, err) ||
		!get_u32(obj, "segment_size", &out->segment_size, err))
		return false;
	out->major = (int) major;
	out->page_checksums = json_get_bool(obj, "page_checksums", false);
	out->archival = json_get_bool(obj, "archival", false);
	return wal_segment_size_ok(out->segment_size) ||
		   bad_value("segment_size", err);
}

static bool
get_identity(const Json *obj, BackupInfo *out, Error *err)
{
	if (!get_label(obj, "label", &out->label, err) ||
		!get_target(obj, out, err) || !get_type(obj, out, err))
		return false;
	if (backup_is_cluster(out))
		return get_cluster(obj, out, err);
	return json_get(obj, "version_num") == NULL ||
		   get_u32(obj, "version_num", &out->version_num, err);
}

/* Only a group has members, and each of them once. */
static bool
get_members(const Json *obj, BackupInfo *out, Error *err)
{
	const Json *v = json_get(obj, "members");
	size_t count = json_array_len(v);
	bool is_group = strcmp(out->target, TARGET_FULL_SYSTEM) == 0;

	if (is_group != (count > 0) || (v != NULL && !json_is_array(v)))
		return bad_value("members", err);
	out->members = mem_zalloc((count + 1) * sizeof(char *));
	for (size_t i = 0; i < count; i++)
	{
		const char *label = json_str(json_array_at(v, i));

		if (label == NULL || !repo_label_ok(label) ||
			strcmp(label, out->label) == 0 || backup_has_member(out, label))
			return bad_value("members", err);
		out->members[out->member_count++] = mem_strdup(label);
	}
	return true;
}

static bool
get_positions(const Json *obj, BackupInfo *out, Error *err)
{
	if (!get_u32(obj, "start_timeline", &out->start_timeline, err) ||
		!get_u32(obj, "timeline", &out->timeline, err) ||
		!get_lsn(obj, "start_lsn", &out->start_lsn, err) ||
		!get_lsn(obj, "stop_lsn", &out->stop_lsn, err))
		return false;
	if (out->start_timeline == 0 || out->timeline < out->start_timeline)
		return bad_value("timeline", err);
	return out->stop_lsn > out->start_lsn || bad_value("stop_lsn", err);
}

static bool
get_span(const Json *obj, BackupInfo *out, Error *err)
{
	return get_time(obj, "start_time", &out->start_time, err) &&
		   get_time(obj, "stop_time", &out->stop_time, err) &&
		   (!backup_is_cluster(out) || get_positions(obj, out, err));
}

static bool
get_sizes(const Json *obj, BackupInfo *out, Error *err)
{
	const char *hex;

	if (!get_number(obj, "files", INT64_MAX, &out->file_count, err) ||
		!get_number(obj, "plain_bytes", INT64_MAX, &out->plain_bytes, err) ||
		!get_number(obj, "stored_bytes", INT64_MAX, &out->stored_bytes, err) ||
		!get_u32(obj, "packs", &out->pack_count, err) ||
		!json_require_str(obj, "packs_sha256", &hex, err) ||
		!get_number(obj, "damaged_pages", INT64_MAX, &out->damaged_pages, err))
		return false;
	return hex_decode(hex, out->packs_sha256, SHA256_LEN) ||
		   bad_value("packs_sha256", err);
}

static void
check_annotation(void *arg, const char *key, const Json *v)
{
	(void) key;
	if (!json_is_string(v))
		*(bool *) arg = false;
}

static bool
get_annotations(const Json *obj, BackupInfo *out, Error *err)
{
	const Json *v = json_get(obj, "annotations");
	bool strings = true;

	if (v == NULL)
		return true;
	if (!json_is_object(v))
		return bad_value("annotations", err);
	json_each(v, check_annotation, &strings);
	if (!strings)
		return bad_value("annotations", err);
	out->annotations = json_dup(v);
	return true;
}

bool
backup_info_parse(const Json *obj, BackupInfo *out, Error *err)
{
	memset(out, 0, sizeof(*out));
	if (get_identity(obj, out, err) && get_span(obj, out, err) &&
		get_sizes(obj, out, err) && get_members(obj, out, err) &&
		backup_references_parse(obj, out, err) &&
		get_annotations(obj, out, err))
		return true;
	backup_info_free(out);
	return false;
}

bool
backup_info_copy(const BackupInfo *from, BackupInfo *to, Error *err)
{
	Json *json = backup_info_json(from);
	bool done = backup_info_parse(json, to, err);

	json_free(json);
	return done;
}
