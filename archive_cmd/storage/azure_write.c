/*-------------------------------------------------------------------------
 *
 * azure_write.c
 *	  Writing a blob, so that it is there whole or not at all, and replaces
 *	  nothing.
 *
 * Bytes are gathered until a block is full.  A blob that fits into one is sent
 * at the commit by a single Put Blob; else its blocks are sent as they fill
 * up, the head as a block of its own at the commit, and Put Block List then
 * makes a blob of them.  Names of blocks begin with the writer's id, because
 * all writers of one name share their uncommitted blocks.
 *
 * The server checks each body by its MD5.  What an aborted writer has sent, the
 * server forgets: after a week, or when somebody else commits the name.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/digest.h"

#define FIRST_ROOM ((size_t) 64 * 1024)

/* A blob has at most 50000, one of which may be the head. */
#define BLOCKS_MAX 49999

typedef struct AzureWriter
{
	StorageWriter base;

	/* fixed */
	AzureStorage *az;
	char *name;
	char id[AZURE_ID_LEN + 1];
	size_t head_len;

	/* mutable */
	char *buf;      /* room for the head, then bytes that were not sent */
	size_t cap;     /* without that room */
	size_t len;     /* likewise */
	uint32_t sent;  /* blocks; the head is block 0 */
	uint64_t total; /* bytes, with the head */
	bool phantom;   /* the name was taken, but nothing is there */
} AzureWriter;

static void
dispose(AzureWriter *w)
{
	free(w->buf);
	free(w->name);
	free(w);
}

bool
azure_write_open(Storage *st, const char *name, size_t head_len,
				 StorageWriter **out, Error *err)
{
	uint8_t id[AZURE_ID_BYTES];
	AzureWriter *w;

	if (getrandom(id, sizeof(id), 0) != (ssize_t) sizeof(id))
		return error_set(err, ERR_IO, "could not get random bytes");
	w = mem_zalloc(sizeof(*w));
	w->base.driver = &storage_azure;
	w->az = (AzureStorage *) st;
	w->name = mem_strdup(name);
	hex_encode(id, sizeof(id), w->id);
	w->head_len = head_len;
	w->total = head_len;
	w->buf = mem_alloc(head_len + 1);
	*out = &w->base;
	return true;
}

/* ---- sending ---- */

/* "Content-MD5: ...\n", caller frees; "" on a host that forbids MD5. */
static char *
md5_line(const void *data, size_t len)
{
	uint8_t md5[MD5_LEN];
	char *text;
	char *line;

	if (!md5_once(data, len, md5))
		return mem_strdup("");
	text = base64_encode(md5, sizeof(md5));
	line = mem_printf("Content-MD5: %s\n", text);
	free(text);
	return line;
}

/* The headers of a request that creates the blob; caller frees. */
static char *
create_lines(const AzureWriter *w, const char *md5, const char *more)
{
	const char *tier = w->az->tier;

	return mem_printf("%s%s%sx-ms-meta-pgdrid: %s\n%s%s%s", md5, more,
					  w->base.replaces ? "" : "If-None-Match: *\n", w->id,
					  tier ? "x-ms-access-tier: " : "", tier ? tier : "",
					  tier ? "\n" : "");
}

/*
 * All names of blocks must be of the same length, whoever sent them: 20 bytes
 * here.
 */
static char *
block_name(const AzureWriter *w, uint32_t number)
{
	uint8_t raw[AZURE_ID_BYTES + 4] = {0};

	hex_decode(w->id, raw, AZURE_ID_BYTES);
	for (int i = 0; i < 4; i++)
		raw[AZURE_ID_BYTES + i] = (uint8_t) (number >> (24 - 8 * i));
	return base64_encode(raw, sizeof(raw));
}

static bool
put_block(AzureWriter *w, uint32_t number, const void *data, size_t len,
		  Error *err)
{
	char *name = block_name(w, number);
	char *escaped = http_escape(name, false);
	char *query = mem_printf("comp=block&blockid=%s", escaped);
	char *lines = md5_line(data, len);
	HttpResponse answer;
	AzureCall call = {.az = w->az,
					  .method = "PUT",
					  .url = azure_url(w->az, w->name, query),
					  .needs = AZURE_WRITE,
					  .lines = lines,
					  .body = data,
					  .body_len = len,
					  .success = 201};
	bool done = azure_send(&call, &answer, err);

	http_response_free(&answer);
	free(call.url);
	free(lines);
	free(query);
	free(escaped);
	free(name);
	return done;
}

static bool
send_block(AzureWriter *w, Error *err)
{
	if (w->sent == BLOCKS_MAX)
	{
		error_set(err, ERR_CONFIG,
				  "object has more than %d blocks of %zu "
				  "bytes",
				  BLOCKS_MAX, w->az->block_size);
		return error_hint(err, "Set block-size higher.");
	}
	if (!put_block(w, w->sent + 1, w->buf + w->head_len, w->len, err))
		return false;
	w->sent++;
	w->len = 0;
	return true;
}

static void
make_room(AzureWriter *w, size_t want)
{
	size_t most = w->az->block_size;
	size_t cap = w->cap > 0 ? w->cap : FIRST_ROOM;

	if (want <= w->cap)
		return;
	while (cap < want)
		cap *= 2;
	w->cap = cap < most ? cap : most;
	w->buf = mem_realloc(w->buf, w->head_len + w->cap);
}

/* A full block is sent only when more follows. */
bool
azure_write(StorageWriter *sw, const void *data, size_t len, Error *err)
{
	AzureWriter *w = (AzureWriter *) sw;
	const char *from = data;

	while (len > 0)
	{
		size_t n = w->az->block_size - w->len;

		if (n == 0)
		{
			if (!send_block(w, err))
				return false;
			continue;
		}
		if (n > len)
			n = len;
		make_room(w, w->len + n);
		memcpy(w->buf + w->head_len + w->len, from, n);
		w->len += n;
		w->total += n;
		from += n;
		len -= n;
	}
	return true;
}

/* ---- the commit ---- */

static bool
not_as_written(const AzureWriter *w, const AzureBlob *found, Error *err)
{
	return error_set(
		err, ERR_IO, "server has an object of %llu bytes instead of %llu",
		(unsigned long long) found->size, (unsigned long long) w->total);
}

/*
 * Nobody can be asked whose object it is.  After a single try it is not ours;
 * else success and failure look alike.
 */
static bool
cannot_tell(AzureWriter *w, int tries, Error *why, Error *err)
{
	if (err->code == ERR_DENIED)
	{
		error_clear(why);
		return false;
	}
	w->phantom = why->code == ERR_NOT_FOUND;
	if (why->code == ERR_DENIED && err->code == ERR_EXISTS && tries == 1)
	{
		error_clear(why);
		return false;
	}
	error_clear(err);
	if (why->code == ERR_NOT_FOUND)
	{
		error_set(err, ERR_IO, "object was removed while it was written");
		err->transient = true;
		error_clear(why);
	}
	else
	{
		error_prefix(why, "could not find out who wrote the object that is "
						  "there now");
		error_move(err, why);
	}
	return false;
}

/*
 * May the object be there?  To who may create, but not write, some servers say
 * only that it is not permitted.
 */
static bool
may_be_taken(const AzureCall *call, const Error *err)
{
	return err->code == ERR_EXISTS ||
		   strcmp(call->code, "InvalidBlockList") == 0 ||
		   (strcmp(call->code, AZURE_NOT_PERMITTED) == 0 &&
			strcmp(call->needs, AZURE_CREATE) == 0);
}

/*
 * After the failure in *err: the name is taken, or our blocks are gone.  By
 * another writer, or by a try of our own whose answer was lost?  True, with
 * *err cleared, if the object is ours.
 */
static bool
judge_failure(AzureWriter *w, const AzureCall *call, int tries, Error *err)
{
	Error why = ERROR_INIT;
	AzureBlob found;

	if (!may_be_taken(call, err))
		return false;
	if (!azure_find(w->az, w->name, &found, &why))
		return cannot_tell(w, tries, &why, err);
	error_clear(err);
	if (strcmp(found.id, w->id) != 0)
		return error_set(err, ERR_EXISTS, "object already exists");
	return found.size == w->total || not_as_written(w, &found, err);
}

static bool
send_creation(AzureWriter *w, AzureCall *call, Error *err)
{
	Error cause = ERROR_INIT;
	HttpResponse answer;
	bool done = azure_send(call, &answer, &cause) ||
				judge_failure(w, call, answer.tries, &cause);

	http_response_free(&answer);
	error_move(err, &cause);
	return done;
}

static bool
put_blob(AzureWriter *w, Error *err)
{
	size_t len = w->head_len + w->len;
	char *md5 = md5_line(w->buf, len);
	char *lines = create_lines(w, md5,
							   "x-ms-blob-type: BlockBlob\n"
							   "Content-Type: application/octet-stream\n");
	AzureCall call = {.az = w->az,
					  .method = "PUT",
					  .url = azure_url(w->az, w->name, ""),
					  .needs = AZURE_CREATE,
					  .lines = lines,
					  .body = w->buf,
					  .body_len = len,
					  .success = 201};
	bool done = send_creation(w, &call, err);

	free(call.url);
	free(lines);
	free(md5);
	return done;
}

static char *
block_list(const AzureWriter *w)
{
	StrBuf xml = STRBUF_INIT;

	strbuf_puts(&xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (uint32_t i = w->head_len > 0 ? 0 : 1; i <= w->sent; i++)
	{
		char *name = block_name(w, i);

		strbuf_printf(&xml, "<Latest>%s</Latest>", name);
		free(name);
	}
	strbuf_puts(&xml, "</BlockList>");
	return strbuf_steal(&xml);
}

static bool
put_block_list(AzureWriter *w, Error *err)
{
	char *body = block_list(w);
	char *md5 = md5_line(body, strlen(body));
	char *lines = create_lines(
		w, md5, "x-ms-blob-content-type: application/octet-stream\n");
	AzureCall call = {.az = w->az,
					  .method = "PUT",
					  .url = azure_url(w->az, w->name, "comp=blocklist"),
					  .needs = AZURE_WRITE,
					  .lines = lines,
					  .body = body,
					  .body_len = strlen(body),
					  .success = 201};
	bool done = send_creation(w, &call, err);

	free(call.url);
	free(lines);
	free(md5);
	free(body);
	return done;
}

/*
 * Each block was checked when it came in; that the list made the whole of
 * them is looked at, by who may.
 */
static bool
confirm(AzureWriter *w, Error *err)
{
	Error cause = ERROR_INIT;
	AzureBlob found;

	if (azure_find(w->az, w->name, &found, &cause))
		return (found.size == w->total && strcmp(found.id, w->id) == 0) ||
			   not_as_written(w, &found, err);
	if (cause.code == ERR_DENIED)
	{
		error_clear(&cause);
		return true;
	}
	if (cause.code == ERR_NOT_FOUND)
	{
		error_clear(&cause);
		return error_set(err, ERR_IO, "object is gone after its commit");
	}
	error_move(err, &cause);
	return false;
}

static bool
commit_blocks(AzureWriter *w, Error *err)
{
	return (w->len == 0 || send_block(w, err)) &&
		   (w->head_len == 0 || put_block(w, 0, w->buf, w->head_len, err)) &&
		   put_block_list(w, err) && confirm(w, err);
}

/*
 * Some servers (Azurite) take a name for taken when another writer has sent
 * blocks that nobody committed; a list of blocks gets past that.
 */
static bool
commit_whole(AzureWriter *w, Error *err)
{
	Error cause = ERROR_INIT;
	bool done = put_blob(w, &cause);

	if (!done && w->phantom)
	{
		error_clear(&cause);
		done = commit_blocks(w, &cause);
	}
	error_move(err, &cause);
	return done;
}

bool
azure_commit(StorageWriter *sw, const void *head, Error *err)
{
	AzureWriter *w = (AzureWriter *) sw;
	bool done;

	if (w->head_len > 0)
		memcpy(w->buf, head, w->head_len);
	done = w->sent == 0 ? commit_whole(w, err) : commit_blocks(w, err);
	dispose(w);
	return done;
}

/* Blocks that nobody commits cannot be removed, only forgotten. */
void
azure_abort(StorageWriter *sw)
{
	if (sw != NULL)
		dispose((AzureWriter *) sw);
}
