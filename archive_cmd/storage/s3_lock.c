/*-------------------------------------------------------------------------
 *
 * s3_lock.c
 *	  Object Lock: objects that nobody can remove or change before a date.
 *
 * A lock is on one version of an object, and in a bucket with Object Lock all
 * objects have versions: a DELETE that names none adds a marker that hides the
 * object.  So we remove the version, and an object that is hidden was hidden
 * by somebody else.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/s3.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define DAY (INT64_C(24) * 3600 * USECS_PER_SEC)
#define LOCK_DAYS_MAX 36500
#define DATE_LEN strlen("YYYY-MM-DDTHH:MM:SSZ")

bool
s3_lock_configure(S3Storage *s3, const StorageOptions *options, Error *err)
{
	const char *mode = storage_param(options, "object-lock");
	int64_t days = storage_param_int(options, "lock-days", 0);

	if (mode == NULL || mode[0] == '\0')
		return days == 0 || error_set(err, ERR_CONFIG,
									  "lock-days is set, but not object-lock");
	if (days < 1 || days > LOCK_DAYS_MAX)
	{
		error_set(err, ERR_CONFIG,
				  "object-lock is set, but lock-days is not 1 to %d",
				  LOCK_DAYS_MAX);
		return error_hint(err, "Set for how many days objects are to be "
							   "locked.");
	}
	if (s3->checksum == S3_NO_CHECKSUM || s3->conditional == S3_GENERATION)
		return error_set(err, ERR_CONFIG,
						 "object-lock goes neither with checksum = none nor "
						 "with conditional = gcs");
	s3->lock_mode = strcmp(mode, "compliance") == 0 ? "COMPLIANCE"
													: "GOVERNANCE";
	s3->lock_time = days * DAY;
	return true;
}

/* "2026-11-29T18:42:32Z" */
static void
format_date(int64_t t, char text[CLOCK_TEXT_LEN])
{
	clock_format(t, text);
	memcpy(text + strlen("YYYY-MM-DDTHH:MM:SS"), "Z", 2);
}

void
s3_add_lock(StrBuf *lines, const S3Storage *s3)
{
	char until[CLOCK_TEXT_LEN];

	if (s3->lock_mode == NULL)
		return;
	format_date(clock_now() + s3->lock_time, until);
	strbuf_printf(lines,
				  "x-amz-object-lock-mode: %s\n"
				  "x-amz-object-lock-retain-until-date: %s\n",
				  s3->lock_mode, until);
}

void
s3_take_lock(const HttpResponse *answer, S3Object *out)
{
	char *version = http_header(answer, "x-amz-version-id");
	char *until = http_header(answer, "x-amz-object-lock-retain-until-date");
	char *hold = http_header(answer, "x-amz-object-lock-legal-hold");
	Error ignored = ERROR_INIT;

	if (version != NULL && strlen(version) < sizeof(out->version))
		memcpy(out->version, version, strlen(version) + 1);
	/* fractions of a second have up to nine digits, and do not matter */
	if (until != NULL && strlen(until) > DATE_LEN)
		memcpy(until + DATE_LEN - 1, "Z", 2);
	if (until != NULL && !clock_parse(until, &out->locked_until, &ignored))
		out->locked_until = INT64_MAX; /* locked, but until when? */
	out->held = hold != NULL && strcmp(hold, "ON") == 0;
	error_clear(&ignored);
	free(version);
	free(until);
	free(hold);
}

bool
s3_check_unlocked(const S3Object *object, Error *err)
{
	char until[CLOCK_TEXT_LEN];

	if (object->held)
		return error_set(err, ERR_LOCKED, "a legal hold is on the object");
	if (object->locked_until <= clock_now())
		return true;
	if (object->locked_until == INT64_MAX)
		return error_set(err, ERR_LOCKED, "the object is locked");
	return error_set(err, ERR_LOCKED, "the object is locked until %s",
					 clock_format(object->locked_until, until));
}

/* A document about the lock of an object; the server wants its MD5. */
static bool
put_document(S3Storage *s3, const char *name, const char *query,
			 const char *document, Error *err)
{
	S3Request r = {.s3 = s3,
				   .method = "PUT",
				   .name = name,
				   .query = query,
				   .body = document,
				   .body_len = strlen(document)};
	StrBuf lines = STRBUF_INIT;
	uint8_t md5[MD5_LEN];
	HttpResponse answer;
	char *text;
	bool done;

	if (!md5_once(document, strlen(document), md5))
		return error_set(err, ERR_UNSUPPORTED, "there is no MD5 here");
	text = base64_encode(md5, MD5_LEN);
	strbuf_printf(&lines, "Content-Type: application/xml\nContent-MD5: %s\n",
				  text);
	free(text);
	r.lines = lines.data;
	done = s3_send(&r, &answer, err);
	http_response_free(&answer);
	strbuf_free(&lines);
	return done;
}

/* Nothing is done for one that is locked as long already. */
bool
s3_lock(Storage *st, const char *name, int64_t until, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	char date[CLOCK_TEXT_LEN];
	S3Object object;
	char *document;
	bool done;

	if (s3->lock_mode == NULL)
		return error_set(err, ERR_UNSUPPORTED, "object-lock is not set");
	if (!s3_look_up(s3, name, &object, err))
		return false;
	if (object.locked_until >= until)
		return true;
	format_date(until, date);
	document = mem_printf("<Retention xmlns=\"http://s3.amazonaws.com/doc/"
						  "2006-03-01/\"><Mode>%s</Mode>"
						  "<RetainUntilDate>%s</RetainUntilDate></Retention>",
						  s3->lock_mode, date);
	done = put_document(s3, name, "retention", document, err);
	free(document);
	return done;
}

bool
s3_hold(Storage *st, const char *name, bool held, Error *err)
{
	S3Storage *s3 = (S3Storage *) st;
	char *document;
	bool done;

	if (s3->lock_mode == NULL)
		return error_set(err, ERR_UNSUPPORTED, "object-lock is not set");
	document = mem_printf("<LegalHold xmlns=\"http://s3.amazonaws.com/doc/"
						  "2006-03-01/\"><Status>%s</Status></LegalHold>",
						  held ? "ON" : "OFF");
	done = put_document(s3, name, "legal-hold", document, err);
	free(document);
	return done;
}
