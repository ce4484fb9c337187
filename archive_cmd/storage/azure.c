/*-------------------------------------------------------------------------
 *
 * azure.c
 *	  A store in a container of Azure Blob Storage: opening it, reading and
 *	  removing objects.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure.h"

#include <stdlib.h>
#include <string.h>

#define MB ((uint64_t) 1024 * 1024)

/* The server takes blocks of up to 4000 MiB, 50000 of them per blob. */
#define BLOCK_MIN (1 * MB)
#define BLOCK_MAX (4000 * MB)

/* More than a WAL segment of the usual size, so that one is one request. */
#define BLOCK_DEFAULT (20 * MB)

static const StorageKey azure_keys[] = {
	{"account", STORAGE_KEY_TEXT, true, NULL, "name of the storage account"},
	{"container", STORAGE_KEY_TEXT, true, NULL, "name of the container"},
	{"endpoint", STORAGE_KEY_TEXT, false, NULL,
	 "URL of the server (https://ACCOUNT.blob.core.windows.net)"},
	{"account-key-file", STORAGE_KEY_PATH, false, NULL,
	 "file with a key of the account, in base64"},
	{"sas-token-file", STORAGE_KEY_PATH, false, NULL,
	 "file with a shared access signature, instead of a key"},
	{"access-tier", STORAGE_KEY_CHOICE, false, "Hot|Cool|Cold",
	 "tier of new objects (the account's)"},
	{"block-size", STORAGE_KEY_SIZE, false, NULL,
	 "larger objects are sent in blocks of this size (20MB)"},
	RETRY_KEYS,
	LIMIT_KEYS,
	HTTP_KEYS,
	{.key = NULL}};

/* ---- opening ---- */

static bool
check_account(const char *name, Error *err)
{
	size_t len = name ? strlen(name) : 0;

	if (len >= 3 && len <= 24 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == len)
		return true;
	error_set(err, ERR_CONFIG, "invalid name \"%s\" of a storage account",
			  name ? name : "");
	return error_hint(err, "Set account to its name alone, 3 to 24 lower-case "
						   "letters and digits.");
}

static bool
check_container(const char *name, Error *err)
{
	size_t len = name ? strlen(name) : 0;

	if (len >= 3 && len <= 63 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
		name[0] != '-' && name[len - 1] != '-' && strstr(name, "--") == NULL)
		return true;
	error_set(err, ERR_CONFIG, "invalid name \"%s\" of a container",
			  name ? name : "");
	return error_hint(err, "Set container to its name alone, 3 to 63 "
						   "lower-case letters, digits and single hyphens; "
						   "what stands before objects in it is path.");
}

/* "/a/b/" is "a/b/"; nothing stays nothing. */
static bool
set_prefix(AzureStorage *az, const char *path, Error *err)
{
	size_t len;
	bool done;

	path += strspn(path, "/");
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	az->prefix = mem_strndup(path, len);
	done = len == 0 || storage_check_name(az->prefix, err);
	if (!done)
		err->code = ERR_CONFIG;
	free(az->prefix);
	az->prefix = mem_printf("%.*s%s", (int) len, path, len > 0 ? "/" : "");
	return done;
}

static bool
is_loopback(const char *endpoint)
{
	char *host = http_host(endpoint);
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	bool found = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		found = found ||
				(strlen(names[i]) == len && strncmp(host, names[i], len) == 0);
	free(host);
	return found;
}

/* Who reads a SAS on its way has all its rights; a key is never sent. */
static bool
check_endpoint(const AzureStorage *az, const char *endpoint, Error *err)
{
	if (az->auth.sas == NULL || strncmp(endpoint, "https:", 6) == 0 ||
		is_loopback(endpoint))
		return true;
	error_set(err, ERR_CONFIG, "cannot send a SAS without TLS");
	return error_hint(err, "Use an endpoint that begins with https.");
}

static bool
set_url(AzureStorage *az, const StorageOptions *options, Error *err)
{
	const char *given = storage_param(options, "endpoint");
	char *usual = mem_printf("https://%s.blob.core.windows.net",
							 storage_param(options, "account"));
	char *endpoint = NULL;
	bool done = http_parse_endpoint(given ? given : usual, &endpoint);

	if (!done)
	{
		error_set(err, ERR_CONFIG, "invalid endpoint \"%s\"",
				  given ? given : usual);
		error_hint(err, "It must be a URL such as \"%s\".", usual);
	}
	else
	{
		done = check_endpoint(az, endpoint, err);
		az->url = mem_printf("%s/%s", endpoint,
							 storage_param(options, "container"));
	}
	free(endpoint);
	free(usual);
	return done;
}

static bool
set_block_size(AzureStorage *az, const StorageOptions *options, Error *err)
{
	uint64_t size = storage_param_size(options, "block-size", BLOCK_DEFAULT);

	az->block_size = (size_t) size;
	if (size >= BLOCK_MIN && size <= BLOCK_MAX)
		return true;
	return error_set(err, ERR_CONFIG, "block-size must be 1MB to 4000MB");
}

static void
azure_close(Storage *st)
{
	AzureStorage *az = (AzureStorage *) st;

	http_close(az->http);
	azure_auth_free(&az->auth);
	free(az->url);
	free(az->prefix);
	free(az->tier);
	free(az->base.where);
	free(az);
}

static bool
configure(AzureStorage *az, const StorageOptions *options, Error *err)
{
	const char *account = storage_param(options, "account");
	const char *container = storage_param(options, "container");
	const char *tier = storage_param(options, "access-tier");

	if (!check_account(account, err) || !check_container(container, err) ||
		!set_prefix(az, options->path ? options->path : "", err))
		return false;
	az->tier = tier ? mem_strdup(tier) : NULL;
	az->base.where = mem_printf("azure://%s/%s/%s", account, container,
								az->prefix);
	if (!set_block_size(az, options, err) ||
		!azure_auth_load(options, &az->auth, err))
		return false;
	az->no_read = azure_sas_forbids(&az->auth, 'r');
	return set_url(az, options, err) && http_open(options, &az->http, err);
}

/*
 * No request is made: what a store is for decides what may be asked.  Nor is a
 * container made, whose policies are for its owner to decide.
 */
static bool
azure_open(const StorageOptions *options, Storage **out, Error *err)
{
	AzureStorage *az = mem_zalloc(sizeof(*az));

	az->base.driver = &storage_azure;
	if (!configure(az, options, err))
	{
		azure_close(&az->base);
		return false;
	}
	*out = &az->base;
	return true;
}

/* ---- looking up, reading ---- */

static bool
azure_stat(Storage *st, const char *name, uint64_t *size, int64_t *mtime,
		   Error *err)
{
	AzureBlob blob;

	if (!azure_find((AzureStorage *) st, name, &blob, err))
		return false;
	*size = blob.size;
	*mtime = blob.mtime;
	return true;
}

typedef struct AzureReader
{
	StorageReader base;
	AzureCall call;
	HttpStream *stream; /* NULL: there is nothing to read */
} AzureReader;

static void
azure_read_close(StorageReader *sr)
{
	AzureReader *r = (AzureReader *) sr;

	if (r == NULL)
		return;
	http_stream_close(r->stream);
	free(r->call.url);
	free(r);
}

static bool
azure_read_open(Storage *st, const char *name, uint64_t offset, uint64_t length,
				StorageReader **out, Error *err)
{
	AzureStorage *az = (AzureStorage *) st;
	AzureReader *r = mem_zalloc(sizeof(*r));
	AzureBlob blob;
	bool done;

	r->base.driver = &storage_azure;
	r->call = (AzureCall){.az = az,
						  .method = "GET",
						  .url = azure_url(az, name, ""),
						  .needs = AZURE_READ,
						  .success = 200};
	/* no range can ask for no bytes, nor for what no object has */
	if (length == 0 || offset > INT64_MAX)
		done = azure_find(az, name, &blob, err);
	else
	{
		if (length > (uint64_t) INT64_MAX - offset)
			length = STORAGE_TO_END;
		done = azure_stream(&r->call, offset, length, &r->stream, err);
	}
	if (!done)
	{
		azure_read_close(&r->base);
		return false;
	}
	*out = &r->base;
	return true;
}

static bool
azure_read(StorageReader *sr, void *buf, size_t cap, size_t *got, Error *err)
{
	AzureReader *r = (AzureReader *) sr;

	*got = 0;
	return r->stream == NULL || http_stream_read(r->stream, buf, cap, got, err);
}

/* ---- removing ---- */

/* Gone after a repetition: the answer to the first try was lost. */
static bool
azure_remove(Storage *st, const char *name, Error *err)
{
	AzureStorage *az = (AzureStorage *) st;
	Error cause = ERROR_INIT;
	HttpResponse answer;
	AzureCall call = {.az = az,
					  .method = "DELETE",
					  .url = azure_url(az, name, ""),
					  .needs = AZURE_DELETE,
					  .success = 202};
	bool done = azure_send(&call, &answer, &cause);

	if (!done && cause.code == ERR_NOT_FOUND && answer.tries > 1)
	{
		error_clear(&cause);
		done = true;
	}
	http_response_free(&answer);
	free(call.url);
	error_move(err, &cause);
	return done;
}

/* Uncommitted blocks show nowhere, and the server forgets them in a week. */
static bool
azure_sweep(Storage *st, int64_t older_than_usecs, uint64_t *removed,
			Error *err)
{
	(void) st;
	(void) older_than_usecs;
	(void) removed;
	(void) err;
	return true;
}

const StorageDriver storage_azure = {
	.type = "azure",
	.keys = azure_keys,
	.open = azure_open,
	.close = azure_close,
	.list = azure_list,
	.stat = azure_stat,
	.read_open = azure_read_open,
	.read = azure_read,
	.read_close = azure_read_close,
	.write_open = azure_write_open,
	.write = azure_write,
	.commit = azure_commit,
	.abort = azure_abort,
	.remove = azure_remove,
	.settle = NULL, /* what is visible is durable */
	.sweep = azure_sweep};
