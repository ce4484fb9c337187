/*-------------------------------------------------------------------------
 *
 * push.c
 *	  Puts one WAL file into a repository, as archive_command.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "job/push_lineage.h"
#include "job/push_source.h"
#include "pg/wal_scan.h"
#include "repo/object.h"

/*
 * Frames of this size keep the compressor's memory small for a segment of
 * 1 GB, and let a reader who wants a part of it skip the rest.
 */
#define FRAME ((size_t) 4 << 20)

/*
 * A history as long as this goes into the metadata (JSON takes six bytes for
 * one at worst); of a longer one the content has to be read.
 */
#define HISTORY_IN_META 8192

static uint64_t
segment_lsn(const PushSource *s)
{
	return wal_segment_number(&s->name, s->page.segment_size) *
		   s->page.segment_size;
}

/* ---- what the metadata tells of the file ---- */

static void
put_time(Json *obj, const char *key, int64_t t)
{
	char text[CLOCK_TEXT_LEN];

	if (t != 0)
		json_put_str(obj, key, clock_format(t, text));
}

static Json *
make_extra(const PushSource *s, const PgControl *control,
		   const WalScanResult *scan)
{
	Json *obj = json_new_object();
	char lsn[LSN_TEXT_LEN];
	char *sysid = mem_printf("%" PRIu64, control->sysid);

	json_put_str(obj, "sysid", sysid);
	json_put_int(obj, "major", control->major);
	json_put_int(obj, "timeline", s->name.timeline);
	if (push_source_is_wal(s))
	{
		lsn_format(segment_lsn(s), lsn);
		json_put_int(obj, "segment_size", control->segment_size);
		json_put_str(obj, "lsn", lsn);
		put_time(obj, "first_commit", scan->first_commit);
		put_time(obj, "last_commit", scan->last_commit);
	}
	else if (s->name.kind == WAL_TIMELINE_HISTORY &&
			 s->text.len <= HISTORY_IN_META)
		json_put_str(obj, "history", s->text.data);
	free(sysid);
	return obj;
}

/* Room for the two times, which are known only at the end. */
#define TIMES_ROOM 128

static ObjectSpec
make_spec(const PushSource *s, const PgControl *control, const char *name)
{
	static const WalScanResult none = {0};
	static const char *const kinds[] = {
		[WAL_SEGMENT] = OBJECT_WAL,
		[WAL_PARTIAL] = OBJECT_WAL,
		[WAL_BACKUP_HISTORY] = OBJECT_BACKUP_HISTORY,
		[WAL_TIMELINE_HISTORY] = OBJECT_HISTORY};
	Json *extra = make_extra(s, control, &none);
	char *text = json_dump(extra);
	ObjectSpec spec = {.name = name,
					   .kind = kinds[s->name.kind],
					   .extra_room = strlen(text) + TIMES_ROOM,
					   .frame_size = push_source_is_wal(s) ? FRAME : 0};

	free(text);
	json_free(extra);
	return spec;
}

/* ---- storing it ---- */

typedef struct Sending
{
	ObjectWriter *writer;
	WalScan *scan; /* NULL for what is not WAL */
} Sending;

static bool
send_piece(void *arg, const void *data, size_t len, Error *err)
{
	Sending *sending = arg;

	if (sending->scan != NULL)
		wal_scan_add(sending->scan, data, len);
	return object_write(sending->writer, data, len, err);
}

static bool
store(Repo *repo, PushSource *s, const PgControl *control, const char *name,
	  PushResult *out, Error *err)
{
	ObjectSpec spec = make_spec(s, control, name);
	Sending sending = {.writer = object_create(repo, &spec, err)};
	WalScanResult scan = {0};
	ObjectMeta meta = {0};
	Json *extra;
	bool done;

	if (sending.writer == NULL)
		return false;
	if (push_source_is_wal(s))
		sending.scan = wal_scan_new(segment_lsn(s), s->page.segment_size,
									s->page.block_size, NULL, NULL);
	done = push_source_read(s, send_piece, &sending, err);
	if (sending.scan != NULL)
		wal_scan_finish(sending.scan, &scan);
	wal_scan_free(sending.scan);
	if (!done)
	{
		object_abort(sending.writer);
		return false;
	}
	extra = make_extra(s, control, &scan);
	done = object_commit(sending.writer, extra, &meta, err);
	out->plain_size = meta.plain_size;
	out->stored_size = meta.payload_size + meta.head_len;
	object_meta_free(&meta);
	json_free(extra);
	return done;
}

/* ---- when the name is taken ---- */

static bool
hash_piece(void *arg, const void *data, size_t len, Error *err)
{
	(void) err;
	content_hash_add(arg, data, len);
	return true;
}

static bool
hash_source(const Repo *repo, PushSource *s, uint8_t hash[CONTENT_LEN],
			Error *err)
{
	ContentHash *h;
	bool done;

	if (!repo->has_content)
	{
		error_set(err, ERR_KEY, "the content key is not known");
		return error_hint(err, "Set content-key-file in the configuration.");
	}
	h = content_hash_new(&repo->content);
	done = push_source_read(s, hash_piece, h, err);
	content_hash_final(h, hash);
	content_hash_free(h);
	return done;
}

static bool
other_content(const char *name, const ObjectMeta *meta, const PushSource *s,
			  Error *err)
{
	error_set(err, ERR_EXISTS, "the repository holds \"%s\" with other content",
			  name);
	error_detail(err,
				 "Its contents have %" PRIu64 " bytes, those of \"%s\" have "
				 "%lld; their content hashes differ.",
				 meta->plain_size, s->path, (long long) s->before.st_size);
	return error_hint(err, "Make sure that no other server archives into this "
						   "repository.  Nothing was overwritten.");
}

/*
 * Another copy is as good as success only if it is intact and will survive a
 * crash: its writer may have died before its last fsync.
 */
static bool
accept_existing(Repo *repo, PushSource *s, const char *name, PushResult *out,
				Error *err)
{
	ObjectMeta meta = {0};
	uint8_t hash[CONTENT_LEN];
	bool done = false;

	if (!object_check_stored(repo, name, &meta, err))
	{
		if (err->code == ERR_DAMAGED || err->code == ERR_MISMATCH)
			error_hint(err, "Move this object out of the repository; the next "
							"attempt stores the file again.");
	}
	else if (hash_source(repo, s, hash, err))
	{
		if (meta.plain_size != (uint64_t) s->before.st_size ||
			memcmp(hash, meta.content, CONTENT_LEN) != 0)
			other_content(name, &meta, s, err);
		else
			done = storage_settle(repo->storage, name, err);
	}
	out->already = done;
	out->plain_size = meta.plain_size;
	out->stored_size = meta.payload_size + meta.head_len;
	object_meta_free(&meta);
	return done;
}

/* Only ERR_EXISTS from the commit is proof against another pusher. */
static bool
store_or_accept(Repo *repo, PushSource *s, const PgControl *control,
				PushResult *out, Error *err)
{
	const WalHome home = {.sysid = control->sysid, .major = control->major};
	char *name = repo_wal_name(&home, &s->name);
	Error why = ERROR_INIT;
	bool exists;
	bool done = false;

	if (storage_exists(repo->storage, name, &exists, err))
	{
		done = !exists && store(repo, s, control, name, out, &why);
		if (!done && (exists || why.code == ERR_EXISTS))
			done = accept_existing(repo, s, name, out, err);
		else
			error_move(err, &why);
	}
	error_clear(&why);
	free(name);
	return done;
}

bool
push_file(Repo *repo, const char *path, const PgControl *control,
		  PushResult *out, Error *err)
{
	const WalHome home = {.sysid = control->sysid, .major = control->major};
	PushSource source;
	bool done;

	*out = (PushResult){.already = false};
	done = push_source_open(path, control, &source, err);
	if (done)
	{
		memcpy(out->name, source.file, sizeof(out->name));
		if (push_source_is_wal(&source))
			done = push_check_lineage(repo, &home, source.name.timeline,
									  segment_lsn(&source), err);
	}
	done = done && store_or_accept(repo, &source, control, out, err);
	push_source_close(&source);
	if (!done)
		error_prefix(err, "could not archive \"%s\"", path);
	return done;
}
