/*-------------------------------------------------------------------------
 *
 * s3_list.c
 *	  Listing objects (ListObjectsV2), and uploads that were never completed.
 *
 * A page is read to its end before anybody is told of it: the callback may use
 * the same connection and remove what it is shown.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "storage/xml.h"

/* An object, a common prefix, or an upload. */
typedef struct Item
{
	char *key; /* whole, with the prefix of the store */
	char *etag;
	char *upload_id;
	uint64_t size;
	int64_t time;
	bool is_dir;
} Item;

typedef struct Page
{
	Item *item;
	size_t count;
	size_t cap;
	Item next; /* being read */
	bool truncated;
	char *token;     /* where the next page begins */
	char *id_marker; /* likewise, of uploads */
} Page;

static void
item_free(Item *item)
{
	free(item->key);
	free(item->etag);
	free(item->upload_id);
	*item = (Item){0};
}

static void
page_free(Page *p)
{
	for (size_t i = 0; i < p->count; i++)
		item_free(&p->item[i]);
	item_free(&p->next);
	free(p->item);
	free(p->token);
	free(p->id_marker);
	*p = (Page){0};
}

static void
set_text(char **field, const char *text)
{
	free(*field);
	*field = mem_strdup(text);
}

static bool
bad_page(const char *what, const char *text, Error *err)
{
	error_set(err, ERR_IO, "server's listing has the wrong %s \"%.100s\"", what,
			  text);
	err->transient = true;
	return false;
}

/* Keys come escaped, because XML cannot hold every byte. */
static bool
take_key(Item *item, const char *text, Error *err)
{
	free(item->key);
	item->key = NULL;
	return http_unescape(text, &item->key) || bad_page("key", text, err);
}

static bool
take_time(Item *item, const char *text, Error *err)
{
	Error why = ERROR_INIT;

	if (clock_parse(text, &item->time, &why))
		return true;
	error_clear(&why);
	return bad_page("time", text, err);
}

static bool
take_size(Item *item, const char *text, Error *err)
{
	char *end;

	item->size = strtoull(text, &end, 10);
	return (text[0] >= '0' && text[0] <= '9' && *end == '\0') ||
		   bad_page("size", text, err);
}

static bool
finish_item(Page *p, bool is_dir, Error *err)
{
	if (p->next.key == NULL)
		return bad_page("entry", "", err);
	p->next.is_dir = is_dir;
	p->item = mem_grow(p->item, p->count, &p->cap, sizeof(Item));
	p->item[p->count++] = p->next;
	p->next = (Item){0};
	return true;
}

static bool
take_object(void *arg, const char *path, const char *text, Error *err)
{
	Page *p = arg;
	static const char root[] = "ListBucketResult/";

	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return true;
	path += sizeof(root) - 1;
	if (strcmp(path, "Contents/Key") == 0)
		return take_key(&p->next, text, err);
	if (strcmp(path, "Contents/LastModified") == 0)
		return take_time(&p->next, text, err);
	if (strcmp(path, "Contents/Size") == 0)
		return take_size(&p->next, text, err);
	if (strcmp(path, "Contents/ETag") == 0)
		set_text(&p->next.etag, text);
	else if (strcmp(path, "Contents") == 0)
		return finish_item(p, false, err);
	else if (strcmp(path, "CommonPrefixes/Prefix") == 0)
		return take_key(&p->next, text, err) && finish_item(p, true, err);
	else if (strcmp(path, "IsTruncated") == 0)
		p->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "NextContinuationToken") == 0)
		set_text(&p->token, text);
	return true;
}

static bool
take_upload(void *arg, const char *path, const char *text, Error *err)
{
	Page *p = arg;
	static const char root[] = "ListMultipartUploadsResult/";

	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return true;
	path += sizeof(root) - 1;
	if (strcmp(path, "Upload/Key") == 0)
		return take_key(&p->next, text, err);
	if (strcmp(path, "Upload/Initiated") == 0)
		return take_time(&p->next, text, err);
	if (strcmp(path, "Upload/UploadId") == 0)
		set_text(&p->next.upload_id, text);
	else if (strcmp(path, "Upload") == 0)
		return finish_item(p, false, err);
	else if (strcmp(path, "IsTruncated") == 0)
		p->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "NextKeyMarker") == 0)
	{
		free(p->token);
		p->token = NULL;
		return http_unescape(text, &p->token) || bad_page("marker", text, err);
	}
	else if (strcmp(path, "NextUploadIdMarker") == 0)
		set_text(&p->id_marker, text);
	return true;
}

/* Is it a listing at all?  A proxy's page with status 200 is not. */
static bool
check_root(void *request, const HttpResponse *answer, Error *err)
{
	const char *text = answer->body.data ? answer->body.data : "";

	(void) request;
	if (strstr(text, "<ListBucketResult") != NULL ||
		strstr(text, "<ListMultipartUploadsResult") != NULL)
		return true;
	error_set(err, ERR_IO, "server did not answer with a listing");
	err->transient = true;
	return false;
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* A server that repeats itself would be asked for ever. */
static bool
check_next(const Page *p, const char *token, const char *id_marker, Error *err)
{
	if (!p->truncated)
		return true;
	return (p->token != NULL && (!same_text(p->token, token) ||
								 !same_text(p->id_marker, id_marker))) ||
		   bad_page("end", p->token ? p->token : "", err);
}

/* One page into *p, which is emptied first. */
static bool
get_page(S3Storage *s3, const char *query, XmlElementFn take, Page *p,
		 Error *err)
{
	S3Request r = {
		.s3 = s3, .method = "GET", .query = query, .check = check_root};
	HttpResponse answer;
	bool done = s3_send(&r, &answer, err);
	char *token = p->token;
	char *id_marker = p->id_marker;

	p->token = p->id_marker = NULL;
	page_free(p);
	done = done && xml_parse(answer.body.data, answer.body.len, take, p, err) &&
		   check_next(p, token, id_marker, err);
	http_response_free(&answer);
	free(token);
	free(id_marker);
	return done;
}

/* ---- objects ---- */

static char *
objects_query(const S3Storage *s3, const char *dir, bool recursive,
			  const char *token)
{
	StrBuf q = STRBUF_INIT;
	char *prefix = mem_printf("%s%s%s", s3->prefix, dir,
							  dir[0] != '\0' ? "/" : "");

	s3_add_query(&q, "list-type", "2");
	s3_add_query(&q, "encoding-type", "url");
	if (prefix[0] != '\0')
		s3_add_query(&q, "prefix", prefix);
	if (!recursive)
		s3_add_query(&q, "delimiter", "/");
	if (token != NULL)
		s3_add_query(&q, "continuation-token", token);
	free(prefix);
	return strbuf_steal(&q);
}

/*
 * What lies there and is no name of ours (the mark that some tools leave for a
 * directory) is not shown.
 */
static bool
show_item(const S3Storage *s3, Item *item, StorageListFn fn, void *arg,
		  Error *err)
{
	StorageEntry entry = {
		.is_dir = item->is_dir, .size = item->size, .mtime = item->time};
	size_t prefix_len = strlen(s3->prefix);
	size_t len = strlen(item->key);
	Error why = ERROR_INIT;

	if (item->is_dir && len > 0 && item->key[len - 1] == '/')
		item->key[len - 1] = '\0';
	if (strncmp(item->key, s3->prefix, prefix_len) != 0)
		return true;
	entry.name = item->key + prefix_len;
	if (!storage_check_name(entry.name, &why))
	{
		error_clear(&why);
		return true;
	}
	return fn(arg, &entry, err);
}

bool
s3_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
		void *arg, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	Page page = {0};
	bool done;

	do
	{
		char *query = objects_query(s3, prefix, recursive, page.token);

		done = get_page(s3, query, take_object, &page, err);
		free(query);
		for (size_t i = 0; done && i < page.count; i++)
			done = show_item(s3, &page.item[i], fn, arg, err);
	} while (done && page.truncated);
	page_free(&page);
	return done;
}

/* Keys are in order: an object comes before all that begin with its name. */
bool
s3_list_one(S3Storage *s3, const char *name, S3Object *out, Error *err)
{
	StrBuf q = STRBUF_INIT;
	char *key = mem_printf("%s%s", s3->prefix, name);
	Page page = {0};
	bool done;

	s3_add_query(&q, "list-type", "2");
	s3_add_query(&q, "encoding-type", "url");
	s3_add_query(&q, "max-keys", "1");
	s3_add_query(&q, "prefix", key);
	done = get_page(s3, q.data, take_object, &page, err);
	if (done && page.count > 0 && strcmp(page.item[0].key, key) == 0)
	{
		const char *etag = page.item[0].etag ? page.item[0].etag : "";

		etag += etag[0] == '"';
		*out = (S3Object){.size = page.item[0].size,
						  .mtime = page.item[0].time};
		strncpy(out->etag, etag, sizeof(out->etag) - 1);
		out->etag[strcspn(out->etag, "\"")] = '\0';
	}
	else if (done)
		done = error_set(err, ERR_NOT_FOUND, "object is not listed");
	page_free(&page);
	strbuf_free(&q);
	free(key);
	return done;
}

/* ---- uploads ---- */

static bool
abort_upload(S3Storage *s3, const Item *item, uint64_t *removed, Error *err)
{
	StrBuf q = STRBUF_INIT;
	S3Request r = {.s3 = s3, .method = "DELETE"};
	HttpResponse answer;
	bool done;

	s3_add_query(&q, "uploadId", item->upload_id ? item->upload_id : "");
	r.name = item->key + strlen(s3->prefix);
	r.query = q.data;
	done = s3_send(&r, &answer, err);
	if (done)
		++*removed;
	else if (err->code == ERR_INCOMPLETE)
	{
		/* completed or aborted meanwhile */
		error_clear(err);
		done = true;
	}
	http_response_free(&answer);
	strbuf_free(&q);
	return done;
}

static char *
uploads_query(const S3Storage *s3, const Page *last)
{
	StrBuf q = STRBUF_INIT;

	strbuf_puts(&q, "uploads");
	s3_add_query(&q, "encoding-type", "url");
	if (s3->prefix[0] != '\0')
		s3_add_query(&q, "prefix", s3->prefix);
	if (last->token != NULL)
		s3_add_query(&q, "key-marker", last->token);
	if (last->token != NULL && last->id_marker != NULL)
		s3_add_query(&q, "upload-id-marker", last->id_marker);
	return strbuf_steal(&q);
}

bool
s3_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	int64_t before = clock_now() - older_than_usecs;
	Page page = {0};
	bool done;

	do
	{
		char *query = uploads_query(s3, &page);

		done = get_page(s3, query, take_upload, &page, err);
		free(query);
		for (size_t i = 0; done && i < page.count; i++)
		{
			const Item *item = &page.item[i];
			bool ours = strncmp(item->key, s3->prefix, strlen(s3->prefix)) == 0;

			if (ours && (item->time <= before || older_than_usecs == 0))
				done = abort_upload(s3, item, removed, err);
		}
	} while (done && page.truncated);
	page_free(&page);
	return done;
}
