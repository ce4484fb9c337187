/*-------------------------------------------------------------------------
 *
 * http_text.c
 *	  URLs and header lines.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/http_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		   (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		   c == '~';
}

char *
http_escape(const char *text, bool keep_slash)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_reserve(&sb, strlen(text));
	for (; *text != '\0'; text++)
	{
		if (is_unreserved(*text) || (keep_slash && *text == '/'))
			strbuf_putc(&sb, *text);
		else
			strbuf_printf(&sb, "%%%02X", (unsigned char) *text);
	}
	return strbuf_steal(&sb);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A plus stands for a space here: that is how S3 encodes keys in listings. */
bool
http_unescape(const char *text, char **out)
{
	StrBuf sb = STRBUF_INIT;

	strbuf_reserve(&sb, strlen(text));
	for (; *text != '\0'; text++)
	{
		int high;
		int low;

		if (*text != '%')
		{
			strbuf_putc(&sb, *text == '+' ? ' ' : *text);
			continue;
		}
		high = hex_value(text[1]);
		low = high < 0 ? -1 : hex_value(text[2]);
		if (low < 0 || (high == 0 && low == 0))
		{
			strbuf_free(&sb);
			return false;
		}
		strbuf_putc(&sb, (char) (high << 4 | low));
		text += 2;
	}
	*out = strbuf_steal(&sb);
	return true;
}

/* Length of "http://" or "https://" at the start, or 0. */
static size_t
scheme_length(const char *url)
{
	if (strncmp(url, "https://", 8) == 0)
		return 8;
	return strncmp(url, "http://", 7) == 0 ? 7 : 0;
}

bool
http_parse_endpoint(const char *url, char **out)
{
	size_t start = scheme_length(url);
	size_t host_len = strcspn(url + start, "/");
	size_t len = strlen(url);
	char *copy;

	if (start == 0 || host_len == 0 || url[start] == ':' ||
		strpbrk(url, "@?#\\ \t") != NULL)
		return false;
	while (url[len - 1] == '/')
		len--;
	copy = mem_strndup(url, len);
	for (size_t i = start; i < start + host_len; i++)
		copy[i] = (char) tolower((unsigned char) copy[i]);
	*out = copy;
	return true;
}

char *
http_host(const char *url)
{
	size_t start = scheme_length(url);
	size_t len = strcspn(url + start, "/?");
	const char *usual = start == 8 ? ":443" : ":80";
	size_t usual_len = strlen(usual);

	if (len > usual_len &&
		strncmp(url + start + len - usual_len, usual, usual_len) == 0)
		len -= usual_len;
	return mem_strndup(url + start, len);
}

char *
http_header(const HttpResponse *response, const char *name)
{
	size_t len = strlen(name);
	const char *line = response->headers.data;

	while (line != NULL && *line != '\0')
	{
		size_t line_len = strcspn(line, "\r\n");

		if (line_len > len && line[len] == ':' &&
			strncasecmp(line, name, len) == 0)
		{
			const char *value = line + len + 1;
			const char *end = line + line_len;

			value += strspn(value, " \t");
			while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
				end--;
			return mem_strndup(value, end > value ? (size_t) (end - value) : 0);
		}
		line += line_len;
		line += strspn(line, "\r\n");
	}
	return NULL;
}

int64_t
http_parse_date(const char *text)
{
	Error ignored = ERROR_INIT;
	time_t when = -1;

	if (http_load_curl(&ignored))
		when = curl_getdate(text, NULL);
	error_clear(&ignored);
	return when > 0 ? when * USECS_PER_SEC : 0;
}

/* Seconds, or a date. */
int64_t
http_retry_after(const HttpResponse *answer)
{
	char *text = http_header(answer, "Retry-After");
	int64_t wait = 0;
	char *end;

	if (text == NULL)
		return 0;
	if (isdigit((unsigned char) text[0]))
	{
		long seconds = strtol(text, &end, 10);

		if (*end == '\0' && seconds >= 0 && seconds < 1000000)
			wait = seconds * USECS_PER_SEC;
	}
	else if (http_parse_date(text) > 0)
		wait = http_parse_date(text) - clock_now();
	free(text);
	return wait > 0 ? wait : 0;
}
