/*-------------------------------------------------------------------------
 *
 * azure_list.c
 *	  Listings of an Azure container, page by page.
 *
 * Uncommitted blocks are not shown, because they are not asked for.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure.h"

#include <stdlib.h>
#include <string.h>

#include "storage/xml.h"

/* Per page at most 5000 blobs, names and properties of each about 1.5 kB. */
#define PAGE_MAX ((size_t) 64 * 1024 * 1024)

#define ROOT "EnumerationResults"
#define BLOB ROOT "/Blobs/Blob"

typedef struct Item
{
	char *name; /* in the container */
	bool is_dir;
	AzureBlob blob;
} Item;

typedef struct Page
{
	Item *item;
	size_t count;
	size_t cap;
	char *next; /* marker of the next page, or NULL */

	/* while it is parsed */
	Item current;
	bool alien; /* a directory of a hierarchical namespace */
	bool complete;
} Page;

static void
page_reset(Page *page)
{
	for (size_t i = 0; i < page->count; i++)
		free(page->item[i].name);
	free(page->item);
	free(page->next);
	free(page->current.name);
	*page = (Page){0};
}

/* ---- reading a page ---- */

static void
set_text(char **out, const char *text)
{
	free(*out);
	*out = mem_strdup(text);
}

static bool
end_item(Page *page, bool is_dir, Error *err)
{
	if (page->current.name == NULL)
	{
		error_set(err, ERR_IO, "server listed an object without a name");
		err->transient = true;
		return false;
	}
	page->current.is_dir = is_dir;
	if (page->alien)
		free(page->current.name);
	else
	{
		page->item = mem_grow(page->item, page->count, &page->cap,
							  sizeof(Item));
		page->item[page->count++] = page->current;
	}
	page->current = (Item){0};
	page->alien = false;
	return true;
}

static bool
take_size(Page *page, const char *text, Error *err)
{
	if (azure_parse_size(text, &page->current.blob.size))
		return true;
	error_set(err, ERR_IO, "server listed an object without a length");
	err->transient = true;
	return false;
}

static bool
take_blob_element(Page *page, const char *name, const char *text, Error *err)
{
	AzureBlob *blob = &page->current.blob;

	if (strcmp(name, "/Name") == 0)
		set_text(&page->current.name, text);
	else if (strcmp(name, "/Properties/Content-Length") == 0)
		return take_size(page, text, err);
	else if (strcmp(name, "/Properties/Last-Modified") == 0)
		blob->mtime = http_parse_date(text);
	else if (strcmp(name, "/Properties/ResourceType") == 0)
		page->alien = strcmp(text, "directory") == 0;
	else if (strcmp(name, "/Metadata/pgdrid") == 0 &&
			 strlen(text) == AZURE_ID_LEN)
		memcpy(blob->id, text, AZURE_ID_LEN);
	return true;
}

static bool
take_element(void *arg, const char *path, const char *text, Error *err)
{
	Page *page = arg;
	size_t blob_len = strlen(BLOB);

	if (strcmp(path, BLOB) == 0)
		return end_item(page, false, err);
	if (strncmp(path, BLOB "/", blob_len + 1) == 0)
		return take_blob_element(page, path + blob_len, text, err);
	if (strcmp(path, BLOB "Prefix/Name") == 0)
		set_text(&page->current.name, text);
	else if (strcmp(path, BLOB "Prefix") == 0)
		return end_item(page, true, err);
	else if (strcmp(path, ROOT "/NextMarker") == 0 && text[0] != '\0')
		set_text(&page->next, text);
	else if (strcmp(path, ROOT) == 0)
		page->complete = true;
	return true;
}

/*
 * The whole page is read before anything of it is shown, so that one that was
 * cut off can be asked for again.
 */
static bool
parse_page(void *arg, const HttpResponse *answer, Error *err)
{
	Page *page = arg;

	page_reset(page);
	if (!xml_parse(answer->body.data, answer->body.len, take_element, page,
				   err))
		return false;
	return page->complete ||
		   error_set(err, ERR_IO,
					 "server answered with something that is no "
					 "listing");
}

/* ---- asking for pages ---- */

typedef struct Listing
{
	AzureStorage *az;
	const char *query; /* what to list, escaped */
	Page page;
} Listing;

static bool
get_page(Listing *l, const char *marker, Error *err)
{
	char *escaped = marker ? http_escape(marker, false) : NULL;
	char *query = mem_printf("restype=container&comp=list&%s%s%s", l->query,
							 escaped ? "&marker=" : "", escaped ? escaped : "");
	HttpResponse answer;
	AzureCall call = {.az = l->az,
					  .method = "GET",
					  .url = azure_url(l->az, NULL, query),
					  .needs = AZURE_LIST,
					  .success = 200,
					  .max_response = PAGE_MAX,
					  .parse = parse_page,
					  .arg = &l->page};
	bool done = azure_send(&call, &answer, err);

	http_response_free(&answer);
	free(call.url);
	free(query);
	free(escaped);
	return done;
}

/*
 * The first page, or the one after that in *l.  A page may be empty and yet
 * not the last.  *more is false after the last.
 */
static bool
next_page(Listing *l, bool first, bool *more, Error *err)
{
	char *marker = l->page.next;
	bool done;

	l->page.next = NULL;
	*more = first || marker != NULL;
	done = !*more || get_page(l, marker, err);
	/* a server that repeats itself would be asked for ever */
	if (done && marker != NULL && l->page.next != NULL &&
		strcmp(marker, l->page.next) == 0)
		done = error_set(err, ERR_IO, "server repeats a page of its listing");
	free(marker);
	return done;
}

/* ---- listing ---- */

typedef struct ListCall
{
	Listing listing;
	StorageListFn fn;
	void *arg;
} ListCall;

/* What others put into the container under names that are none is not ours. */
static bool
show_item(ListCall *call, const Item *item, Error *err)
{
	const char *prefix = call->listing.az->prefix;
	size_t prefix_len = strlen(prefix);
	size_t len = strlen(item->name);
	Error ignored = ERROR_INIT;
	StorageEntry entry = {.is_dir = item->is_dir,
						  .size = item->blob.size,
						  .mtime = item->blob.mtime};
	char *name;
	bool done = true;

	if (len < prefix_len || strncmp(item->name, prefix, prefix_len) != 0)
		return error_set(err, ERR_IO, "server listed what was not asked for");
	if (item->is_dir && len > prefix_len && item->name[len - 1] == '/')
		len--;
	name = mem_strndup(item->name + prefix_len, len - prefix_len);
	entry.name = name;
	if (storage_check_name(name, &ignored))
		done = call->fn(call->arg, &entry, err);
	error_clear(&ignored);
	free(name);
	return done;
}

static bool
list_pages(ListCall *call, Error *err)
{
	Listing *l = &call->listing;
	bool more = true;

	for (bool first = true; next_page(l, first, &more, err) && more;
		 first = false)
	{
		for (size_t i = 0; i < l->page.count; i++)
		{
			if (!show_item(call, &l->page.item[i], err))
				return false;
		}
	}
	return !more;
}

bool
azure_list(Storage *st, const char *prefix, bool recursive, StorageListFn fn,
		   void *arg, Error *err)
{
	AzureStorage *az = (AzureStorage *) st;
	char *full = mem_printf("%s%s%s", az->prefix, prefix,
							prefix[0] != '\0' ? "/" : "");
	char *escaped = http_escape(full, false);
	char *query = mem_printf("prefix=%s%s", escaped,
							 recursive ? "" : "&delimiter=%2F");
	ListCall call = {
		.listing = {.az = az, .query = query}, .fn = fn, .arg = arg};
	bool done = list_pages(&call, err);

	page_reset(&call.listing.page);
	free(query);
	free(escaped);
	free(full);
	return done;
}

/* ---- looking up by a listing ---- */

/*
 * The name itself comes before all others that begin with it, so the first
 * blob is the one, or there is none.
 */
static bool
first_item(Listing *l, const char *full, AzureBlob *out, Error *err)
{
	bool more = true;

	for (bool first = true; next_page(l, first, &more, err); first = false)
	{
		const Item *item = l->page.item;

		if (more && l->page.count == 0)
			continue;
		if (!more || strcmp(item->name, full) != 0)
			return error_set(err, ERR_NOT_FOUND, "object does not exist");
		*out = item->blob;
		return true;
	}
	return false;
}

bool
azure_find_listed(AzureStorage *az, const char *name, AzureBlob *out,
				  Error *err)
{
	char *full = mem_printf("%s%s", az->prefix, name);
	char *escaped = http_escape(full, false);
	char *query = mem_printf("prefix=%s&maxresults=1&include=metadata",
							 escaped);
	Listing listing = {.az = az, .query = query};
	bool done = first_item(&listing, full, out, err);

	page_reset(&listing.page);
	free(query);
	free(escaped);
	free(full);
	return done;
}
