/*-------------------------------------------------------------------------
 *
 * sigv4.c
 *	  Signatures of requests.
 *
 * libcurl's own (CURLOPT_AWS_SIGV4) is not used: it signs the query in the
 * order given and sends no hash of a body that it reads.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "storage/http.h"

#define STAMP_LEN 17 /* "20130524T000000Z" */
#define DATE_LEN 8

const SigV4Scheme sigv4_aws = {.algorithm = "AWS4-HMAC-SHA256",
							   .key_prefix = "AWS4",
							   .terminator = "aws4_request",
							   .header = "x-amz-"};
const SigV4Scheme sigv4_google = {.algorithm = "GOOG4-HMAC-SHA256",
								  .key_prefix = "GOOG4",
								  .terminator = "goog4_request",
								  .header = "x-goog-"};

static void
format_stamp(int64_t now, char out[STAMP_LEN])
{
	time_t seconds = (time_t) (now / USECS_PER_SEC);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(out, STAMP_LEN, "%Y%m%dT%H%M%SZ", &tm);
}

/* ---- the canonical request ---- */

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

typedef struct TextList
{
	char **item;
	size_t count;
	size_t cap;
} TextList;

static void
add_text(TextList *list, char *text)
{
	list->item = mem_grow(list->item, list->count, &list->cap, sizeof(char *));
	list->item[list->count++] = text;
}

static void
sort_texts(TextList *list)
{
	if (list->count > 1)
		qsort(list->item, list->count, sizeof(char *), compare_texts);
}

static void
free_texts(TextList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
}

/*
 * Parameters and headers are ordered by their names.  To sort texts of name
 * and value would be wrong where one name is the start of another
 * ("x-amz-date", "x-amz-date-x"), so what stands between name and value is
 * the lowest of all bytes until they are sorted.
 */
#define NAME_END '\001'
#define NAME_END_TEXT "\001"

static void
add_query(StrBuf *out, const char *query)
{
	TextList list = {0};

	while (*query != '\0')
	{
		size_t len = strcspn(query, "&");
		char *item = mem_strndup(query, len);
		char *equals = strchr(item, '=');

		if (equals != NULL)
			*equals = NAME_END;
		add_text(&list, item);
		query += len + (query[len] == '&');
	}
	sort_texts(&list);
	for (size_t i = 0; i < list.count; i++)
	{
		char *item = list.item[i];
		size_t name_len = strcspn(item, NAME_END_TEXT);

		strbuf_printf(out, "%s%.*s=%s", i > 0 ? "&" : "", (int) name_len, item,
					  item[name_len] != '\0' ? item + name_len + 1 : "");
	}
	free_texts(&list);
}

/* "Name:  some   value" as "name", NAME_END, "some value". */
static char *
canonical_line(const char *line, size_t len)
{
	StrBuf sb = STRBUF_INIT;
	size_t i = 0;

	strbuf_reserve(&sb, len);
	for (; i < len && line[i] != ':'; i++)
		strbuf_putc(&sb, (char) tolower((unsigned char) line[i]));
	strbuf_putc(&sb, NAME_END);
	for (i++; i < len; i++)
	{
		bool blank = line[i] == ' ' || line[i] == '\t';

		if (!blank)
			strbuf_putc(&sb, line[i]);
		else if (sb.data[sb.len - 1] != NAME_END && sb.data[sb.len - 1] != ' ')
			strbuf_putc(&sb, ' ');
	}
	while (sb.data[sb.len - 1] == ' ')
		sb.data[--sb.len] = '\0';
	return strbuf_steal(&sb);
}

/* The Host header and those of lines, in order. */
static TextList
canonical_headers(const SigV4Request *request, const StrBuf *lines)
{
	const char *line = lines->data ? lines->data : "";
	char *host = http_host(request->url);
	TextList list = {0};

	add_text(&list, mem_printf("host" NAME_END_TEXT "%s", host));
	free(host);
	while (*line != '\0')
	{
		size_t len = strcspn(line, "\n");

		if (len > 0)
			add_text(&list, canonical_line(line, len));
		line += len + (line[len] == '\n');
	}
	sort_texts(&list);
	return list;
}

/* Path and query of the URL; an absent path is "/". */
static void
add_target(StrBuf *out, const char *url)
{
	const char *host = strstr(url, "://") + 3;
	const char *path = host + strcspn(host, "/?");
	size_t path_len = strcspn(path, "?");

	if (path_len == 0)
		strbuf_puts(out, "/");
	strbuf_add(out, path, path_len);
	strbuf_putc(out, '\n');
	if (path[path_len] == '?')
		add_query(out, path + path_len + 1);
	strbuf_putc(out, '\n');
}

char *
sigv4_canonical_request(const SigV4Request *request, const StrBuf *lines,
						char **signed_headers)
{
	TextList headers = canonical_headers(request, lines);
	StrBuf names = STRBUF_INIT;
	StrBuf out = STRBUF_INIT;

	strbuf_printf(&out, "%s\n", request->method);
	add_target(&out, request->url);
	for (size_t i = 0; i < headers.count; i++)
	{
		const char *text = headers.item[i];
		int name_len = (int) strcspn(text, NAME_END_TEXT);

		strbuf_printf(&out, "%.*s:%s\n", name_len, text, text + name_len + 1);
		strbuf_printf(&names, "%s%.*s", i > 0 ? ";" : "", name_len, text);
	}
	strbuf_printf(&out, "\n%s\n%s", names.data, request->payload);
	free_texts(&headers);
	*signed_headers = strbuf_steal(&names);
	return strbuf_steal(&out);
}

/* ---- the signature ---- */

static char *
make_scope(const SigV4Key *key, const char *stamp)
{
	return mem_printf("%.*s/%s/%s/%s", DATE_LEN, stamp, key->region,
					  key->service, key->scheme->terminator);
}

char *
sigv4_string_to_sign(const SigV4Key *key, int64_t now,
					 const char *canonical_request)
{
	char stamp[STAMP_LEN];
	uint8_t hash[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];
	char *scope;
	char *text;

	format_stamp(now, stamp);
	scope = make_scope(key, stamp);
	sha256_once(canonical_request, strlen(canonical_request), hash);
	hex_encode(hash, sizeof(hash), hex);
	text = mem_printf("%s\n%s\n%s\n%s", key->scheme->algorithm, stamp, scope,
					  hex);
	free(scope);
	return text;
}

static void
hmac_step(uint8_t key[SHA256_LEN], const char *text)
{
	uint8_t next[SHA256_LEN];

	hmac_sha256(key, SHA256_LEN, text, strlen(text), next);
	memcpy(key, next, SHA256_LEN);
	explicit_bzero(next, sizeof(next));
}

static void
make_signature(const SigV4Key *key, const char *stamp, const char *to_sign,
			   char hex[SHA256_HEX_LEN + 1])
{
	char *secret = mem_printf("%s%s", key->scheme->key_prefix, key->secret_key);
	uint8_t k[SHA256_LEN];

	hmac_sha256((const uint8_t *) secret, strlen(secret), stamp, DATE_LEN, k);
	explicit_bzero(secret, strlen(secret));
	free(secret);
	hmac_step(k, key->region);
	hmac_step(k, key->service);
	hmac_step(k, key->scheme->terminator);
	hmac_step(k, to_sign);
	hex_encode(k, sizeof(k), hex);
	explicit_bzero(k, sizeof(k));
}

void
sigv4_sign(const SigV4Key *key, const SigV4Request *request, StrBuf *lines)
{
	const SigV4Scheme *scheme = key->scheme;
	char stamp[STAMP_LEN];
	char hex[SHA256_HEX_LEN + 1];
	char *names;
	char *canonical;
	char *to_sign;
	char *scope;

	format_stamp(request->now, stamp);
	strbuf_printf(lines, "%sdate: %s\n%scontent-sha256: %s\n", scheme->header,
				  stamp, scheme->header, request->payload);
	if (key->token != NULL)
		strbuf_printf(lines, "%ssecurity-token: %s\n", scheme->header,
					  key->token);
	canonical = sigv4_canonical_request(request, lines, &names);
	to_sign = sigv4_string_to_sign(key, request->now, canonical);
	make_signature(key, stamp, to_sign, hex);
	scope = make_scope(key, stamp);
	strbuf_printf(lines,
				  "Authorization: %s Credential=%s/%s,SignedHeaders=%s,"
				  "Signature=%s\n",
				  scheme->algorithm, key->access_key, scope, names, hex);
	free(scope);
	free(to_sign);
	free(canonical);
	free(names);
}
