/*-------------------------------------------------------------------------
 *
 * azure_sign.c
 *	  The headers of a request to Azure Blob Storage, and its signature with
 *	  the account's key.
 *
 * The rules are those of Microsoft's "Authorize with Shared Key".
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure_auth.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"

/* The oldest that knows all that we use (tier Cold). */
#define API_VERSION "2021-12-02"

/* ---- names with values, in order ---- */

typedef struct Pair
{
	char *name; /* lower case */
	char *value;
} Pair;

typedef struct PairList
{
	Pair *item;
	size_t count;
	size_t cap;
} PairList;

/* The list takes both over. */
static void
add_pair(PairList *list, char *name, char *value)
{
	for (char *p = name; *p != '\0'; p++)
		*p = (char) tolower((unsigned char) *p);
	list->item = mem_grow(list->item, list->count, &list->cap, sizeof(Pair));
	list->item[list->count++] = (Pair){.name = name, .value = value};
}

static int
compare_pairs(const void *a, const void *b)
{
	const Pair *x = a;
	const Pair *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->value, y->value);
}

static void
sort_pairs(PairList *list)
{
	if (list->count > 1)
		qsort(list->item, list->count, sizeof(Pair), compare_pairs);
}

static void
free_pairs(PairList *list)
{
	for (size_t i = 0; i < list->count; i++)
	{
		free(list->item[i].name);
		free(list->item[i].value);
	}
	free(list->item);
}

static const char *
find_pair(const PairList *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
	{
		if (strcmp(list->item[i].name, name) == 0)
			return list->item[i].value;
	}
	return "";
}

/* ---- what is signed ---- */

static PairList
parse_headers(const StrBuf *lines)
{
	const char *line = lines->data ? lines->data : "";
	PairList list = {0};

	while (*line != '\0')
	{
		size_t len = strcspn(line, "\n");
		size_t name_len = strcspn(line, ":\n");

		if (name_len < len)
		{
			const char *value = line + name_len + 1;
			size_t blank = strspn(value, " ");

			add_pair(&list, mem_strndup(line, name_len),
					 mem_strndup(value + blank, len - name_len - 1 - blank));
		}
		line += len + (line[len] == '\n');
	}
	sort_pairs(&list);
	return list;
}

/* Decoded: that is how parameters are signed. */
static char *
decode(const char *text, size_t len)
{
	char *raw = mem_strndup(text, len);
	char *decoded;

	if (!http_unescape(raw, &decoded))
		return raw; /* not made by us; the server will say no */
	free(raw);
	return decoded;
}

static PairList
parse_query(const char *query)
{
	PairList list = {0};

	while (*query != '\0')
	{
		size_t len = strcspn(query, "&");
		size_t name_len = strcspn(query, "=&");
		size_t value_at = name_len + (name_len < len);

		add_pair(&list, decode(query, name_len),
				 decode(query + value_at, len - value_at));
		query += len + (query[len] == '&');
	}
	sort_pairs(&list);
	return list;
}

/* The standard headers by their places; what is not sent is an empty line. */
static void
add_standard_headers(StrBuf *out, const HttpRequest *request,
					 const PairList *headers)
{
	static const char *const before[] = {"content-encoding",
										 "content-language"};
	static const char *const after[] = {
		"content-md5",         "content-type", "date",
		"if-modified-since",   "if-match",     "if-none-match",
		"if-unmodified-since", "range"};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		strbuf_printf(out, "%s\n", find_pair(headers, before[i]));
	if (request->body_len > 0)
		strbuf_printf(out, "%zu", request->body_len);
	strbuf_putc(out, '\n');
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
		strbuf_printf(out, "%s\n", find_pair(headers, after[i]));
}

static void
add_own_headers(StrBuf *out, const PairList *headers)
{
	for (size_t i = 0; i < headers->count; i++)
	{
		const Pair *p = &headers->item[i];

		if (strncmp(p->name, "x-ms-", 5) == 0)
			strbuf_printf(out, "%s:%s\n", p->name, p->value);
	}
}

/* The account, the path as it is sent, and each parameter with its values. */
static void
add_resource(StrBuf *out, const char *account, const char *url)
{
	const char *host = strstr(url, "://") + 3;
	const char *path = host + strcspn(host, "/?");
	size_t path_len = strcspn(path, "?");
	PairList query = parse_query(path + path_len + (path[path_len] == '?'));
	const char *last = "";

	strbuf_printf(out, "/%s%.*s", account, (int) path_len, path);
	if (path_len == 0)
		strbuf_putc(out, '/');
	for (size_t i = 0; i < query.count; i++)
	{
		const Pair *p = &query.item[i];

		if (strcmp(p->name, last) == 0)
			strbuf_printf(out, ",%s", p->value);
		else
			strbuf_printf(out, "\n%s:%s", p->name, p->value);
		last = p->name;
	}
	free_pairs(&query);
}

char *
azure_string_to_sign(const char *account, const HttpRequest *request,
					 const StrBuf *lines)
{
	PairList headers = parse_headers(lines);
	StrBuf out = STRBUF_INIT;

	strbuf_printf(&out, "%s\n", request->method);
	add_standard_headers(&out, request, &headers);
	add_own_headers(&out, &headers);
	add_resource(&out, account, request->url);
	free_pairs(&headers);
	return strbuf_steal(&out);
}

/* ---- headers ---- */

/* Not by strftime(), whose names of days and months follow the locale. */
void
azure_format_date(int64_t t, char out[AZURE_DATE_LEN])
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
									   "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr",
										 "May", "Jun", "Jul", "Aug",
										 "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t) (t / USECS_PER_SEC);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(out, AZURE_DATE_LEN, "%s, %02d %s %04d %02d:%02d:%02d GMT",
			 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
			 (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
azure_authorize(const AzureAuth *auth, const HttpRequest *request, int64_t now,
				StrBuf *lines)
{
	char date[AZURE_DATE_LEN];
	uint8_t signature[SHA256_LEN];
	char *to_sign;
	char *text;

	azure_format_date(now, date);
	strbuf_printf(lines, "x-ms-date: %s\nx-ms-version: " API_VERSION "\n",
				  date);
	if (auth->key == NULL)
		return;
	to_sign = azure_string_to_sign(auth->account, request, lines);
	hmac_sha256(auth->key, auth->key_len, to_sign, strlen(to_sign), signature);
	text = base64_encode(signature, sizeof(signature));
	strbuf_printf(lines, "Authorization: SharedKey %s:%s\n", auth->account,
				  text);
	free(text);
	free(to_sign);
}
