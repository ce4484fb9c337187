/*-------------------------------------------------------------------------
 *
 * rewrap_test.c
 *	  An object gets another head for other recipients: the payload stays, the
 *	  old identity does not open it any more, and who is reading goes on.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/rewrap.h"

#include <stdlib.h>

#include "base/file.h"
#include "tap.h"
#include "tmpdir.h"

#define NAME "wal/1-15/x"
#define FRAME 100000

static char secret[3][512];
static char public[3][AGE_RECIPIENT_TEXT];

static void
make_identities(void)
{
	Error err = ERROR_INIT;

	for (int i = 0; i < 3; i++)
	{
		AgeRecipient key;
		char *text;

		if (!age_identity_generate(&text, &key, &err))
			abort();
		snprintf(secret[i], sizeof(secret[i]), "%s", text);
		age_secret_free(text);
		age_recipient_text(&key, public[i]);
	}
}

/* Texts of digits: which recipients, which identities. */
static RepoKeys
keys_of(const char *to, const char *own)
{
	Error err = ERROR_INIT;
	RepoKeys keys = {.has_content_key = true};

	for (; *to != '\0'; to++)
		age_recipient_add(&keys.recipients, public[*to - '0'], &err);
	keys.identities = age_identities_new();
	for (; *own != '\0'; own++)
		age_identities_add_text(keys.identities, secret[*own - '0'],
								strlen(secret[*own - '0']), &err);
	memset(keys.content_key, 7, sizeof(keys.content_key));
	return keys;
}

static Repo *
open_with(const char *path, const RepoKeys *keys)
{
	RepoOptions options = {
		.storage = {.repo = "r", .type = "posix", .path = path},
		.cluster = "main",
		.compress_level = 1,
		.keys = keys};
	Error err = ERROR_INIT;
	Repo *repo = NULL;

	if (!repo_open(&options, &repo, &err))
	{
		printf("# %s\n", err.message);
		error_clear(&err);
	}
	return repo;
}

static void
create(const char *path, const RepoKeys *keys)
{
	RepoOptions options = {
		.storage = {.repo = "r", .type = "posix", .path = path},
		.cluster = "main",
		.keys = keys};
	Error err = ERROR_INIT;

	ok(repo_create(&options, &err), "a repository");
	error_clear(&err);
}

static char *
sample(size_t len)
{
	char *data = mem_alloc(len);
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++)
	{
		x = x * 1664525 + 1013904223;
		data[i] = (char) ('a' + (x >> 28));
	}
	return data;
}

static uint64_t stored[8];
static int frames;

static bool
note_frame(void *arg, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	(void) arg;
	(void) plain_len;
	(void) err;
	stored[frames + 1] = stored[frames] + stored_len;
	frames++;
	return true;
}

static void
put(Repo *repo, const char *data, size_t len)
{
	ObjectSpec spec = {.name = NAME,
					   .kind = OBJECT_WAL,
					   .extra_room = 64,
					   .frame_size = FRAME,
					   .frame_fn = note_frame};
	Json *extra = json_new_object();
	Error err = ERROR_INIT;

	json_put_str(extra, "hello", "world");
	ok(object_put(repo, &spec, data, len, extra, &err), "an object");
	json_free(extra);
	error_clear(&err);
}

static ErrCode
get(Repo *repo, const char *data, size_t len)
{
	StrBuf back = STRBUF_INIT;
	Error err = ERROR_INIT;
	ErrCode code = ERR_NONE;

	if (!object_get(repo, NAME, OBJECT_WAL, len, &back, &err))
		code = err.code;
	else if (back.len != len || memcmp(back.data, data, len) != 0)
		code = ERR_DAMAGED;
	strbuf_free(&back);
	error_clear(&err);
	return code;
}

static bool
frame_is(ObjectReader *r, int n, const char *data)
{
	StrBuf back = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&back, FRAME);
	Error err = ERROR_INIT;
	bool same = object_read_frames(r, stored[n], stored[n + 1] - stored[n],
								   sink, &err) &&
				back.len == FRAME &&
				memcmp(back.data, data + (size_t) n * FRAME, FRAME) == 0;

	if (!same)
		printf("# %s\n", err.message ? err.message : "other bytes");
	stage_free(sink);
	strbuf_free(&back);
	error_clear(&err);
	return same;
}

/* Rewraps with these keys; what it says of whether it had to. */
static int
rewrap(const char *path, const char *to, const char *own)
{
	RepoKeys keys = keys_of(to, own);
	Repo *repo = open_with(path, &keys);
	Error err = ERROR_INIT;
	bool changed = false;
	int said = rewrap_object(repo, NAME, &changed, &err) ? changed : -1;

	if (said < 0)
		printf("# %s\n", err.message);
	error_clear(&err);
	repo_close(repo);
	repo_keys_free(&keys);
	return said;
}

/* With the one identity alone. */
static ErrCode
read_as(const char *path, const char *own, const char *data, size_t len)
{
	RepoKeys keys = keys_of("0", own);
	Repo *repo = open_with(path, &keys);
	ErrCode code = get(repo, data, len);

	repo_close(repo);
	repo_keys_free(&keys);
	return code;
}

static void
check_meta(Repo *repo, const ObjectMeta *before)
{
	ObjectMeta after;
	Error err = ERROR_INIT;

	ok(object_stat(repo, NAME, &after, &err), "its metadata");
	ok(memcmp(before->sha256, after.sha256, SHA256_LEN) == 0 &&
		   before->payload_size == after.payload_size &&
		   memcmp(before->content, after.content, CONTENT_LEN) == 0,
	   "the payload is the same");
	is_str(json_get_str(after.extra, "hello", NULL), "world",
		   "what the kind adds is, too");
	is_int((int64_t) json_array_len(after.keys), 2, "it names two keys");
	object_meta_free(&after);
	error_clear(&err);
}

static void
test_root(const char *path)
{
	RepoKeys keys = keys_of("0", "0");
	RepoKeys both = keys_of("12", "0");
	RepoKeys later = keys_of("1", "1");
	Repo *repo = open_with(path, &keys);
	Error err = ERROR_INIT;
	bool changed;

	later.has_content_key = false;
	ok(!repo->root_lacks, "repo.json names its recipient");
	repo_close(repo);
	repo = open_with(path, &later);
	ok(repo == NULL, "another identity does not open the content key");
	repo = open_with(path, &both);
	ok(repo->root_lacks, "it lacks new recipients");
	ok(repo_widen_root(repo, &both.recipients, &changed, &err) && changed,
	   "they are added");
	ok(repo_widen_root(repo, &both.recipients, &changed, &err) && !changed,
	   "once is enough");
	repo_close(repo);
	repo = open_with(path, &later);
	ok(repo != NULL && repo->has_content, "one of them opens the content key");
	ok(repo_rewrap_root(repo, &later.recipients, &changed, &err) && changed,
	   "and makes it its own");
	repo_close(repo);
	keys.has_content_key = false;
	ok(open_with(path, &keys) == NULL, "the old identity is out");
	error_clear(&err);
	repo_keys_free(&keys);
	repo_keys_free(&both);
	repo_keys_free(&later);
}

int
main(void)
{
	Error err = ERROR_INIT;
	char *path = tmpdir_make("rewrap");
	size_t len = 3 * FRAME;
	char *data = sample(len);
	RepoKeys keys;
	Repo *repo;
	ObjectReader *reader;
	ObjectMeta before;

	if (!age_init(&err))
		return 1;
	make_identities();
	keys = keys_of("0", "012");
	create(path, &keys);
	repo = open_with(path, &keys);
	put(repo, data, len);
	ok(object_stat(repo, NAME, &before, &err), "its metadata");
	ok(object_open(repo, NAME, &reader, &err), "somebody reads ranges of it");
	ok(frame_is(reader, 0, data), "the first frame");

	is_int(rewrap(path, "0", "0"), 0, "for its own recipient it may stay");
	is_int(rewrap(path, "12", "1"), -1, "who does not open it cannot");
	is_int(rewrap(path, "12", "0"), 1, "for two others it is rewrapped");
	is_int(rewrap(path, "21", "1"), 0, "which is done once, in any order");
	is_int(read_as(path, "0", data, len), ERR_KEY, "the old identity is out");
	is_int(read_as(path, "1", data, len), ERR_NONE, "the first of the new");
	is_int(read_as(path, "2", data, len), ERR_NONE, "the second of the new");
	check_meta(repo, &before);
	ok(frame_is(reader, 1, data) && frame_is(reader, 2, data),
	   "the reader of ranges goes on, though the head has another length");
	object_reader_close(reader);
	object_meta_free(&before);
	test_root(path);
	repo_close(repo);
	repo_keys_free(&keys);
	error_clear(&err);
	free(data);
	tmpdir_remove(path);
	free(path);
	return done_testing();
}
