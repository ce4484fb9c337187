/*-------------------------------------------------------------------------
 *
 * age_vector_test.c
 *	  Reads the files of tests/vectors/age, each of which says what must
 *	  come of it; make.py there describes them.  Where a key is given, the
 *	  age program is asked as well.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <dirent.h>
#include <stdlib.h>

#include "age_tools.h"
#include "stream/hash.h"

#define VECTORS "tests/vectors/age"

typedef struct Vector
{
	const char *name;
	const char *expect;
	const char *payload;
	const char *passphrase;
	bool stricter;     /* than the age program may be */
	StrBuf identities; /* text of an identity file */
	const uint8_t *data;
	size_t len;
	StrBuf file;
} Vector;

static const char *
value_of(char *line, const char *key)
{
	size_t n = strlen(key);

	return strncmp(line, key, n) == 0 && strncmp(line + n, ": ", 2) == 0
			   ? line + n + 2
			   : NULL;
}

static void
take_line(Vector *v, char *line)
{
	const char *value;

	if ((value = value_of(line, "expect")))
		v->expect = value;
	else if ((value = value_of(line, "payload")))
		v->payload = value;
	else if ((value = value_of(line, "passphrase")))
		v->passphrase = value;
	else if ((value = value_of(line, "identity")))
		strbuf_printf(&v->identities, "%s\n", value);
	else if (value_of(line, "stricter"))
		v->stricter = true;
	else if (!value_of(line, "comment"))
		ok(false, "%s: line \"%s\"", v->name, line);
}

static bool
load(const char *name, Vector *v)
{
	char path[300];
	char *line;

	*v = (Vector){.name = name};
	snprintf(path, sizeof(path), VECTORS "/%s", name);
	if (!get_file(path, &v->file))
		return false;
	for (line = v->file.data; *line && *line != '\n';)
	{
		char *end = strchr(line, '\n');

		if (!end)
			return false;
		*end = '\0';
		take_line(v, line);
		line = end + 1;
	}
	v->data = (uint8_t *) line + 1;
	v->len = (size_t) (v->file.data + v->file.len - (line + 1));
	return v->expect != NULL;
}

static void
unload(Vector *v)
{
	strbuf_free(&v->file);
	strbuf_free(&v->identities);
}

static AgeFileKey *
unwrap(const Vector *v, const AgeHeader *h, Error *err)
{
	AgeIdentities *ids;
	AgeFileKey *key = NULL;

	if (v->passphrase)
		return age_unwrap_passphrase(h, v->data, v->passphrase, err);
	ids = age_identities_new();
	if (age_identities_add_text(ids, v->identities.data, v->identities.len,
								err))
		key = age_unwrap(h, v->data, ids, err);
	age_identities_free(ids);
	return key;
}

static const char *
unwrap_failure(const Error *err)
{
	if (err->code == ERR_KEY)
		return "no match";
	if (err->code != ERR_DAMAGED)
		return "another failure";
	return strstr(err->message, "MAC") ? "HMAC failure" : "header failure";
}

/* What came of it, in the words of the files. */
static const char *
outcome(const Vector *v, StrBuf *plain, size_t piece)
{
	AgeHeader h;
	Error err = ERROR_INIT;
	bool need_more;
	const char *result = "success";
	AgeFileKey *key;

	if (!age_header_parse(v->data, v->len, &h, &need_more, &err))
	{
		result = need_more || err.code == ERR_DAMAGED ? "header failure"
													  : "another failure";
		error_clear(&err);
		return result;
	}
	key = unwrap(v, &h, &err);
	if (!key)
		result = unwrap_failure(&err);
	else
	{
		Stage *sink = stage_sink_buffer(plain, SIZE_MAX);
		Stage *age = stage_age_decrypt(key, sink);

		if (!feed(age, v->data + h.len, v->len - h.len, piece, &err))
			result = err.code == ERR_DAMAGED ? "payload failure"
											 : "another failure";
		stage_free(age);
		stage_free(sink);
	}
	age_file_key_free(key);
	age_header_free(&h);
	error_clear(&err);
	return result;
}

static void
check(const Vector *v, size_t piece)
{
	StrBuf plain = STRBUF_INIT;
	uint8_t sum[SHA256_LEN];
	char hex[SHA256_HEX_LEN + 1];

	is_str(outcome(v, &plain, piece), v->expect, v->name);
	if (v->payload)
	{
		sha256_once(plain.data, plain.len, sum);
		hex_encode(sum, sizeof(sum), hex);
		is_str(hex, v->payload, "its plaintext");
	}
	strbuf_free(&plain);
}

/* The age program must agree that the file is good, or that it is not. */
static void
ask_age(const Vector *v)
{
	const char *const argv[] = {
		"age", "-d", "-i", scratch("identity"), scratch("file"), NULL};
	int status;

	put_file(scratch("identity"), v->identities.data, v->identities.len);
	put_file(scratch("file"), v->data, v->len);
	status = run_tool(argv, NULL, NULL);
	is_int(status, strcmp(v->expect, "success") == 0 ? 0 : 1, "age agrees");
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_vector(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && !strchr(entry->d_name, '.');
}

int
main(void)
{
	struct dirent **names;
	Error err = ERROR_INIT;
	int n;

	ok(age_init(&err), "libsodium starts");
	n = scandir(VECTORS, &names, is_vector, by_name);
	ok(n > 100, "there are %d files in " VECTORS, n);
	for (int i = 0; i < n; i++)
	{
		Vector v;

		if (ok(load(names[i]->d_name, &v), "%s is read", names[i]->d_name))
		{
			check(&v, 0);
			/* scrypt takes its time: once is enough */
			if (!v.passphrase)
			{
				check(&v, 1);
				if (!v.stricter)
					ask_age(&v);
			}
		}
		unload(&v);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	scratch_remove();
	return done_testing();
}
