/*-------------------------------------------------------------------------
 *
 * age_keyfile.c
 *	  Secrets that come from files: identity files, plain or encrypted with
 *	  a passphrase, and passphrases.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/age_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define IDENTITY_FILE_MAX (64 * 1024)
#define PASSPHRASE_FILE_MAX 4096
#define EXTEND_LOG_N 18 /* work factor of scrypt, as age takes */

#define ARMOR_BEGIN "-----BEGIN AGE ENCRYPTED FILE-----"

/* A piece of text in locked memory. */
typedef struct Secret
{
	char *data;
	size_t len;
	size_t cap;
} Secret;

/*
 * Reads a file into locked memory, with a NUL behind it.  The ordinary memory
 * it passes through is wiped.
 */
static bool
secret_slurp(const char *path, size_t max, Secret *out, Error *err)
{
	StrBuf sb = STRBUF_INIT;
	bool good = file_slurp_secret(path, max, &sb, err);

	if (good)
	{
		out->data = age_secret_alloc(sb.len + 1, err);
		good = out->data != NULL;
	}
	if (good)
	{
		if (sb.len > 0)
			memcpy(out->data, sb.data, sb.len);
		out->data[sb.len] = '\0';
		out->len = sb.len;
	}
	if (sb.data)
		sodium_memzero(sb.data, sb.cap);
	strbuf_free(&sb);
	return good;
}

static bool
has_prefix(const Secret *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s->len >= n && memcmp(s->data, prefix, n) == 0;
}

static bool
secret_add(void *arg, const void *data, size_t len, Error *err)
{
	Secret *s = arg;

	/* plaintext is never longer than its age file, whose size cap is then */
	if (len > s->cap - s->len)
		return error_set(err, ERR_INTERNAL, "plaintext exceeds its buffer");
	memcpy(s->data + s->len, data, len);
	s->len += len;
	return true;
}

/* Decrypts the payload that follows the header in file. */
static bool
secret_decrypt(const Secret *file, size_t header_len, const AgeFileKey *key,
			   Secret *out, Error *err)
{
	Stage *sink = stage_sink(secret_add, out);
	Stage *age = stage_age_decrypt(key, sink);
	bool good;

	out->cap = file->len;
	out->data = age_secret_alloc(out->cap, err);
	good = out->data != NULL &&
		   stage_write(age, file->data + header_len, file->len - header_len,
					   err) &&
		   stage_finish(age, err);
	stage_free(age);
	stage_free(sink);
	return good;
}

static AgeFileKey *
ask_and_unwrap(const AgeHeader *h, const Secret *file, AgePassphraseFn fn,
			   void *arg, Error *err)
{
	AgeFileKey *key;
	char *passphrase;

	if (!age_header_find(h, AGE_TYPE_SCRYPT))
	{
		error_set(err, ERR_KEY, "identity file is encrypted to a key");
		error_hint(err, "Decrypt it with \"age -d\", or encrypt it with a "
						"passphrase (\"age -p\").");
		return NULL;
	}
	if (!fn)
	{
		error_set(err, ERR_KEY, "identity file needs a passphrase");
		return NULL;
	}
	passphrase = fn(arg, err);
	if (!passphrase)
	{
		error_set(err, ERR_KEY, "no passphrase for the identity file");
		return NULL;
	}
	key = age_unwrap_passphrase(h, (const uint8_t *) file->data, passphrase,
								err);
	age_secret_free(passphrase);
	return key;
}

static bool
add_encrypted(AgeIdentities *ids, const Secret *file, AgePassphraseFn fn,
			  void *arg, Error *err)
{
	AgeHeader h = {0};
	Secret plain = {0};
	AgeFileKey *key = NULL;
	bool need_more = false;
	bool good = false;

	if (!age_header_parse((const uint8_t *) file->data, file->len, &h,
						  &need_more, err))
	{
		if (need_more)
			error_set(err, ERR_DAMAGED, "age file ends inside its header");
		return false;
	}
	key = ask_and_unwrap(&h, file, fn, arg, err);
	good = key && secret_decrypt(file, h.len, key, &plain, err) &&
		   age_identities_add_text(ids, plain.data, plain.len, err);
	age_secret_free(plain.data);
	age_file_key_free(key);
	age_header_free(&h);
	return good;
}

bool
age_identities_add_file(AgeIdentities *ids, const char *path,
						AgePassphraseFn fn, void *arg, Error *err)
{
	Secret file = {0};
	bool good;

	if (!secret_slurp(path, IDENTITY_FILE_MAX, &file, err))
		return false;
	if (has_prefix(&file, AGE_VERSION_LINE))
		good = add_encrypted(ids, &file, fn, arg, err);
	else if (has_prefix(&file, ARMOR_BEGIN))
	{
		good = error_set(err, ERR_KEY, "identity file is armored");
		error_hint(err, "Encrypt the identity file without \"--armor\".");
	}
	else
		good = age_identities_add_text(ids, file.data, file.len, err);
	age_secret_free(file.data);
	if (!good)
		error_prefix(err, "could not use identity file \"%s\"", path);
	return good;
}

/* ---- one more identity ---- */

static bool
join_texts(const Secret *text, const char *more, Secret *out, Error *err)
{
	bool ends = text->len == 0 || text->data[text->len - 1] == '\n';

	out->cap = text->len + strlen(more) + 1;
	out->data = age_secret_alloc(out->cap, err);
	if (!out->data)
		return false;
	return secret_add(out, text->data, text->len, err) &&
		   (ends || secret_add(out, "\n", 1, err)) &&
		   secret_add(out, more, strlen(more), err);
}

static bool
count_identities(const Secret *text, size_t *count, Error *err)
{
	AgeIdentities *ids = age_identities_new();
	bool good = age_identities_add_text(ids, text->data, text->len, err);

	*count = age_identities_count(ids);
	age_identities_free(ids);
	return good;
}

static bool
extend_plain(const Secret *file, const char *more, StrBuf *out, size_t *count,
			 Error *err)
{
	Secret joined = {0};
	bool good = join_texts(file, more, &joined, err) &&
				count_identities(&joined, count, err);

	if (good)
	{
		strbuf_reserve(out, joined.len + 1);
		strbuf_add(out, joined.data, joined.len);
	}
	age_secret_free(joined.data);
	return good;
}

/* Opened and closed with one passphrase, asked for once. */
static bool
extend_with(const Secret *file, const char *more, const char *passphrase,
			StrBuf *out, size_t *count, Error *err)
{
	AgeHeader h = {0};
	Secret plain = {0};
	Secret joined = {0};
	AgeFileKey *key = NULL;
	bool need_more = false;
	bool good = age_header_parse((const uint8_t *) file->data, file->len, &h,
								 &need_more, err);

	if (!good)
		return need_more ? error_set(err, ERR_DAMAGED,
									 "age file ends inside its header")
						 : false;
	key = age_unwrap_passphrase(&h, (const uint8_t *) file->data, passphrase,
								err);
	good = key && secret_decrypt(file, h.len, key, &plain, err) &&
		   join_texts(&plain, more, &joined, err) &&
		   count_identities(&joined, count, err) &&
		   age_encrypt_buffer_passphrase(passphrase, EXTEND_LOG_N, joined.data,
										 joined.len, out, err);
	age_secret_free(plain.data);
	age_secret_free(joined.data);
	age_file_key_free(key);
	age_header_free(&h);
	return good;
}

bool
age_identity_file_extend(const char *path, const char *more, AgePassphraseFn fn,
						 void *arg, StrBuf *out, size_t *count, Error *err)
{
	Secret file = {0};
	char *passphrase = NULL;
	bool good = secret_slurp(path, IDENTITY_FILE_MAX, &file, err);

	if (good && has_prefix(&file, AGE_VERSION_LINE))
	{
		passphrase = fn(arg, err);
		good = passphrase != NULL &&
			   extend_with(&file, more, passphrase, out, count, err);
	}
	else if (good)
		good = extend_plain(&file, more, out, count, err);
	age_secret_free(passphrase);
	age_secret_free(file.data);
	if (!good)
		error_prefix(err, "could not use identity file \"%s\"", path);
	return good;
}

char *
age_passphrase_from_file(const char *path, Error *err)
{
	Secret file = {0};

	if (!secret_slurp(path, PASSPHRASE_FILE_MAX, &file, err))
		return NULL;
	file.data[strcspn(file.data, "\r\n")] = '\0';
	if (file.data[0] != '\0')
		return file.data;
	age_secret_free(file.data);
	error_set(err, ERR_KEY, "passphrase file \"%s\" has an empty first line",
			  path);
	return NULL;
}

char *
age_passphrase_from_string(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = sodium_malloc(size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}
