/*-------------------------------------------------------------------------
 *
 * verify_object.c
 *	  Looks at each object by itself: is it intact, and what its name says?
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "pg/wal_page.h"
#include "repo/block_map.h"

#define HISTORY_MAX (1024 * 1024)

/* ---- what an object must be ---- */

static const char *
expected_kind(const VerifyItem *item)
{
	switch (item->kind)
	{
		case ITEM_MANIFEST:
			return OBJECT_MANIFEST;
		case ITEM_PACK:
			return OBJECT_PACK;
		case ITEM_MAP:
			return OBJECT_MAP;
		case ITEM_LEASE:
			return OBJECT_LEASE;
		case ITEM_MARK:
			return OBJECT_MARK;
		case ITEM_WAL:
		case ITEM_QUARANTINED:
		case ITEM_STAGED:
		case ITEM_NOTE:
		case ITEM_STRAY:
			break;
	}
	switch (item->wal.kind)
	{
		case WAL_TIMELINE_HISTORY:
			return OBJECT_HISTORY;
		case WAL_BACKUP_HISTORY:
			return OBJECT_BACKUP_HISTORY;
		case WAL_SEGMENT:
		case WAL_PARTIAL:
			break;
	}
	return OBJECT_WAL;
}

/* What the metadata says, with or without the key. */
static bool
check_meta(const Verify *v, const VerifyItem *item, const ObjectMeta *meta,
		   Error *err)
{
	const char *kind = expected_kind(item);

	if (strcmp(meta->kind, kind) != 0)
		return error_set(err, ERR_MISMATCH,
						 "object is of kind \"%s\" instead of \"%s\"",
						 meta->kind, kind);
	if (meta->encrypted != v->repo->encrypted)
		return error_set(err, ERR_MISMATCH,
						 meta->encrypted
							 ? "object is encrypted in a repository that is "
							   "not"
							 : "object is not encrypted in a repository that "
							   "is");
	if (item->kind == ITEM_WAL && item->wal.kind == WAL_SEGMENT)
	{
		const WalCatalog *wal = catalog_wal(&v->catalog, &item->home);

		if (wal != NULL && meta->plain_size != wal->segment_size)
			return error_set(err, ERR_MISMATCH,
							 "segment has %" PRIu64
							 " bytes instead of %" PRIu32,
							 meta->plain_size, wal->segment_size);
	}
	return true;
}

/* ---- deep ---- */

typedef struct Head
{
	uint8_t bytes[WAL_LONG_HEADER_LEN];
	size_t len;
} Head;

static bool
keep_head(void *arg, const void *data, size_t len, Error *err)
{
	Head *head = arg;
	size_t room = sizeof(head->bytes) - head->len;

	if (len > room)
		len = room;
	memcpy(head->bytes + head->len, data, len);
	head->len += len;
	return thread_check_stop(err);
}

static bool
check_page(const Verify *v, const VerifyItem *item, const Head *head,
		   Error *err)
{
	const WalCatalog *wal = catalog_wal(&v->catalog, &item->home);
	WalExpect expect = {.sysid = item->home.sysid,
						.major = item->home.major,
						.segment_size = wal != NULL ? wal->segment_size : 0};
	WalPageHeader page;

	return wal_page_parse(head->bytes, head->len, &page, err) &&
		   wal_page_check(&page, &item->wal, &expect, err);
}

/* What is read without the key must be what is inside. */
static bool
check_history(Repo *repo, const VerifyItem *item, const ObjectMeta *meta,
			  Error *err)
{
	const char *public = json_get_str(meta->extra, "history", NULL);
	StrBuf text = STRBUF_INIT;
	TimelineHistory history = {0};
	bool ok = object_get(repo, item->name, OBJECT_HISTORY, HISTORY_MAX, &text,
						 err) &&
			  timeline_history_parse(item->wal.timeline, text.data, text.len,
									 &history, err);

	if (ok && public != NULL && strcmp(public, text.data) != 0)
		ok = error_set(err, ERR_DAMAGED,
					   "history in the metadata differs from the contents");
	timeline_history_free(&history);
	strbuf_free(&text);
	return ok;
}

static bool
check_map(Repo *repo, const VerifyItem *item, Error *err)
{
	BlockMap map;

	if (!block_map_read(repo, item->backup->backup->info.label, item->pack,
						true, &map, err))
		return false;
	block_map_free(&map);
	return true;
}

static bool
check_deep(const Verify *v, Repo *repo, const VerifyItem *item,
		   ObjectMeta *meta, Error *err)
{
	Head head = {.len = 0};
	Stage *sink = stage_sink(keep_head, &head);
	bool ok = object_read(repo, item->name, sink, meta, err);

	stage_free(sink);
	if (ok && item->kind == ITEM_MAP)
		return check_map(repo, item, err);
	if (!ok || item->kind != ITEM_WAL)
		return ok;
	if (item->wal.kind == WAL_SEGMENT || item->wal.kind == WAL_PARTIAL)
		return check_page(v, item, &head, err);
	if (item->wal.kind == WAL_TIMELINE_HISTORY)
		return check_history(repo, item, meta, err);
	return true;
}

/* ---- all of them ---- */

static bool
check_item(Verify *v, Repo *repo, VerifyItem *item, Error *err)
{
	ObjectMeta meta = {0};
	Error problem = ERROR_INIT;
	bool ok = v->options->deep
				  ? check_deep(v, repo, item, &meta, &problem)
				  : object_check_stored(repo, item->name, &meta, &problem);

	ok = ok && check_meta(v, item, &meta, &problem);
	if (ok)
	{
		item->sound = true;
		memcpy(item->sha256, meta.sha256, SHA256_LEN);
	}
	item->looked_at = true;
	object_meta_free(&meta);
	return ok || verify_take_error(v, repo, item, &problem, err);
}

/* Read together with what they describe, in verify_backup.c. */
static bool
comes_later(const Verify *v, const VerifyItem *item)
{
	/* packs that only backups of others need are looked at by themselves */
	return v->options->deep &&
		   (item->kind == ITEM_MANIFEST ||
			(item->kind == ITEM_PACK && item->backup->selected &&
			 item->pack <= item->backup->backup->info.pack_count));
}

static VerifyItem *
take_item(Verify *v)
{
	VerifyItem *item = NULL;

	pthread_mutex_lock(&v->lock);
	while (v->next < v->item_count && (comes_later(v, &v->items[v->next]) ||
									   !verify_wants(&v->items[v->next])))
		v->next++;
	if (v->next < v->item_count)
		item = &v->items[v->next++];
	pthread_mutex_unlock(&v->lock);
	return item;
}

static bool
work(void *arg, int worker_no, Error *err)
{
	Verify *v = arg;
	Progress *progress = v->options->progress;
	Repo *repo;
	VerifyItem *item;
	bool ok = true;

	(void) worker_no;
	if (!verify_open_again(v, &repo, err))
		return false;
	while (ok && (item = take_item(v)) != NULL)
	{
		ok = thread_check_stop(err) && check_item(v, repo, item, err);
		if (progress != NULL)
		{
			atomic_fetch_add(&progress->done_bytes, item->size);
			atomic_fetch_add(&progress->done_items, 1);
		}
		if (ok)
			verify_note(v, repo, false);
	}
	repo_close(repo);
	return ok;
}

bool
verify_objects(Verify *v, Error *err)
{
	v->next = 0;
	return thread_run(v->options->workers, work, v, err);
}
