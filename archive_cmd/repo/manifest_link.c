/*-------------------------------------------------------------------------
 *
 * manifest_link.c
 *	  Lines of a manifest that only backups of files have: who owns what, and
 *	  links.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/manifest_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool
bad(const char *key, Error *err)
{
	return error_set(err, ERR_DAMAGED, "value of \"%s\" is not valid", key);
}

/* ---- owners ---- */

Json *
manifest_owner_json(const ManifestOwner *o)
{
	Json *obj = json_new_object();
	Json *item = json_new_object();

	json_put_int(item, "uid", o->uid);
	json_put_int(item, "gid", o->gid);
	if (o->user != NULL)
		json_put_str(item, "user", o->user);
	if (o->group != NULL)
		json_put_str(item, "group", o->group);
	json_put(obj, "ids", item);
	return obj;
}

static bool
get_id(const Json *item, const char *key, uint32_t *out, Error *err)
{
	int64_t value = 0;

	if (!json_require_int(item, key, &value, err))
		return false;
	*out = (uint32_t) value;
	return (value >= 0 && value <= UINT32_MAX) || bad(key, err);
}

bool
manifest_owner_parse(const Json *obj, ManifestOwner *out, Error *err)
{
	const Json *item = json_get(obj, "ids");
	const char *user = json_get_str(item, "user", NULL);
	const char *group = json_get_str(item, "group", NULL);

	*out = (ManifestOwner){0};
	if (!get_id(item, "uid", &out->uid, err) ||
		!get_id(item, "gid", &out->gid, err))
		return false;
	out->user = user != NULL ? mem_strdup(user) : NULL;
	out->group = group != NULL ? mem_strdup(group) : NULL;
	return true;
}

void
manifest_put_owner(Json *obj, uint32_t owner)
{
	if (owner != 0)
		json_put_int(obj, "owner", owner);
}

bool
manifest_get_owner(const Manifest *m, const Json *obj, uint32_t *out,
				   Error *err)
{
	*out = 0;
	if (json_get(obj, "owner") == NULL)
		return true;
	return get_id(obj, "owner", out, err) &&
		   ((*out > 0 && *out <= m->owner_count) || bad("owner", err));
}

/* ---- links ---- */

/* What it says may be any bytes, and no path of ours. */
static void
put_text(Json *obj, const char *key, const char *text)
{
	size_t len = strlen(text);
	char *hex;

	if (json_is_utf8(text))
	{
		json_put_str(obj, key, text);
		return;
	}
	hex = mem_alloc(2 * len + 1);
	hex_encode((const uint8_t *) text, len, hex);
	json_put_str(obj, "to_hex", hex);
	free(hex);
}

static bool
get_text(const Json *obj, const char *key, char **out, Error *err)
{
	const char *hex = json_get_str(obj, "to_hex", NULL);
	const char *text;
	size_t len;

	if (hex == NULL)
	{
		if (!json_require_str(obj, key, &text, err))
			return false;
		*out = mem_strdup(text);
		return true;
	}
	len = strlen(hex) / 2;
	*out = mem_zalloc(len + 1);
	if (hex_decode(hex, (uint8_t *) *out, len) && strlen(*out) == len)
		return true;
	free(*out);
	*out = NULL;
	return bad("to_hex", err);
}

Json *
manifest_link_json(const ManifestLink *l)
{
	Json *obj = json_new_object();

	manifest_put_path(obj, "link", l->path);
	put_text(obj, "to", l->to);
	if (l->hard)
		json_put_bool(obj, "hard", true);
	json_put_int(obj, "mtime", l->mtime);
	manifest_put_owner(obj, l->owner);
	return obj;
}

bool
manifest_link_parse(const Manifest *m, const Json *obj, ManifestLink *out,
					Error *err)
{
	*out = (ManifestLink){.hard = json_get_bool(obj, "hard", false)};
	if (json_require_int(obj, "mtime", &out->mtime, err) &&
		manifest_get_owner(m, obj, &out->owner, err) &&
		get_text(obj, "to", &out->to, err) &&
		manifest_get_path(obj, "link", &out->path, err))
		return true;
	free(out->to);
	return false;
}

/* ---- is it consistent? ---- */

static const ManifestFile *
find_file(const Manifest *m, const char *path)
{
	size_t low = 0;
	size_t high = m->file_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;
		int order = strcmp(m->files[mid].path, path);

		if (order == 0)
			return &m->files[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool
is_dir(const Manifest *m, const char *path)
{
	size_t low = 0;
	size_t high = m->dir_count;

	while (low < high)
	{
		size_t mid = low + (high - low) / 2;
		int order = strcmp(m->dirs[mid].path, path);

		if (order == 0)
			return true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static bool
check_owners(const Manifest *m, Error *err)
{
	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (m->dirs[i].owner > m->owner_count)
			return bad("owner", err);
	}
	for (size_t i = 0; i < m->file_count; i++)
	{
		if (m->files[i].owner > m->owner_count)
			return bad("owner", err);
	}
	return true;
}

bool
manifest_check_links(const Manifest *m, Error *err)
{
	for (size_t i = 0; i < m->link_count; i++)
	{
		const ManifestLink *l = &m->links[i];

		if (!manifest_check_path(l->path, i > 0 ? m->links[i - 1].path : NULL,
								 err))
			return false;
		if (find_file(m, l->path) != NULL || is_dir(m, l->path))
			return error_set(err, ERR_DAMAGED,
							 "\"%s\" is both a link and something else",
							 l->path);
		if (l->to[0] == '\0' || l->owner > m->owner_count ||
			(l->hard && find_file(m, l->to) == NULL))
			return error_set(err, ERR_DAMAGED, "link \"%s\" is not valid",
							 l->path);
	}
	return check_owners(m, err);
}

void
manifest_free_links(Manifest *m)
{
	for (size_t i = 0; i < m->owner_count; i++)
	{
		free(m->owners[i].user);
		free(m->owners[i].group);
	}
	for (size_t i = 0; i < m->link_count; i++)
	{
		free(m->links[i].path);
		free(m->links[i].to);
	}
	free(m->owners);
	free(m->links);
}
