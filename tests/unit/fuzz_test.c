/*-------------------------------------------------------------------------
 *
 * fuzz_test.c
 *	  Mutations of objects, repo.json, age files, keys and zstd frames: none
 *	  crashes a reader (under the sanitizers none is read beyond its end
 *	  either), and none is taken for what it is not where a MAC protects it.
 *
 * Keys are new at each run, so the same seed spoils the same places, but not
 * the same bytes.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "repo/object.h"
#include "storage/memory.h"
#include "stream/age.h"
#include "tap.h"

#define CONTENT_MAX (4 * 1024 * 1024)

/* ---- repositories in memory ---- */

/* One is encrypted; a third connection to it knows no key at all. */
typedef struct Fuzzed
{
	const char *path;
	RepoKeys keys;
	RepoOptions options;
	Repo *repo;
	char *name;    /* of the object that is mutated */
	StrBuf stored; /* its bytes */
	StrBuf head;   /* those before the payload, and a few more */
	StrBuf json;   /* repo.json */
} Fuzzed;

static Fuzzed sealed = {.path = "sealed"};
static Fuzzed open_one = {.path = "open"};
static Repo *keyless;
static StrBuf content;

static void
need(bool done, const Error *err, const char *what)
{
	if (done)
		return;
	printf("Bail out! %s: %s\n", what, err->message ? err->message : "?");
	exit(1);
}

static void
make_keys(RepoKeys *keys, bool encrypted)
{
	Error err = ERROR_INIT;
	AgeRecipient recipient;
	char text[AGE_RECIPIENT_TEXT];
	char *secret;

	keys->has_content_key = true;
	memset(keys->content_key, 7, sizeof(keys->content_key));
	if (!encrypted)
		return;
	keys->identities = age_identities_new();
	need(age_identity_generate(&secret, &recipient, &err) &&
			 age_identities_add_text(keys->identities, secret, strlen(secret),
									 &err),
		 &err, "key");
	age_secret_free(secret);
	age_recipient_text(&recipient, text);
	need(age_recipient_add(&keys->recipients, text, &err), &err, "recipient");
}

static void
read_raw(Fuzzed *f, const char *name, StrBuf *out)
{
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(out, CONTENT_MAX);

	need(object_read_raw(f->repo, name, sink, &err), &err, name);
	stage_free(sink);
}

static void
make_repo(Fuzzed *f, bool encrypted)
{
	Error err = ERROR_INIT;
	ObjectSpec spec = {
		.kind = OBJECT_WAL, .extra_room = 64, .frame_size = 40000};
	Json *extra = json_new_object();
	ObjectMeta meta = {0};

	make_keys(&f->keys, encrypted);
	memory_create(f->path);
	f->options = (RepoOptions){
		.storage = {.repo = "r", .type = "memory", .path = f->path},
		.cluster = "main",
		.compress_level = 1,
		.keys = &f->keys};
	need(repo_create(&f->options, &err) &&
			 repo_open(&f->options, &f->repo, &err),
		 &err, "repository");
	f->name = mem_strdup("wal/1-15/00000001/00000000/000000010000000000000001");
	spec.name = f->name;
	json_put_str(extra, "hello", "world");
	need(object_put(f->repo, &spec, content.data, content.len, extra, &err),
		 &err, "object");
	json_free(extra);
	read_raw(f, f->name, &f->stored);
	need(object_stat(f->repo, f->name, &meta, &err), &err, "metadata");
	strbuf_add(&f->head, f->stored.data, meta.head_len + 20);
	object_meta_free(&meta);
	read_raw(f, REPO_JSON, &f->json);
}

static void
make_repos(void)
{
	static RepoKeys none;
	RepoOptions options;
	Error err = ERROR_INIT;

	for (int i = 0; i < 20000; i++)
		strbuf_printf(&content, "%d,", i * 7919 % 10007);
	make_repo(&sealed, true);
	make_repo(&open_one, false);
	none.recipients = sealed.keys.recipients;
	options = sealed.options;
	options.keys = &none;
	need(repo_open(&options, &keyless, &err), &err, "without a key");
}

/* ---- objects ---- */

static bool
same(const StrBuf *sb, const char *data, size_t len)
{
	return sb->len == len && memcmp(sb->data, data, len) == 0;
}

/* Authentic as a whole: of its bytes none may be another one. */
static bool
take_object(Fuzzed *f, const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	StrBuf got = STRBUF_INIT;
	ObjectMeta meta = {0};
	bool taken;

	memory_damage(f->path, f->name, data, len);
	taken = object_get(f->repo, f->name, NULL, CONTENT_MAX, &got, &err);
	if (taken && !same(&f->stored, data, len))
		*wrong = "an object with other bytes was read";
	error_clear(&err);
	if (object_stat(f->repo, f->name, &meta, &err) &&
		(meta.plain_size != content.len || strcmp(meta.name, f->name) != 0))
		*wrong = "metadata with another size or name was taken";
	object_meta_free(&meta);
	error_clear(&err);
	if (object_check_stored(f->repo, f->name, &meta, &err) &&
		meta.plain_size != content.len)
		*wrong = "stored bytes passed with other metadata";
	object_meta_free(&meta);
	error_clear(&err);
	strbuf_free(&got);
	return taken;
}

static bool
take_sealed(const char *data, size_t len, const char **wrong)
{
	return take_object(&sealed, data, len, wrong);
}

static bool
take_open(const char *data, size_t len, const char **wrong)
{
	return take_object(&open_one, data, len, wrong);
}

/* The metadata, which a MAC of its own protects. */
static bool
take_meta(Fuzzed *f, const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	ObjectMeta meta = {0};
	bool taken;

	memory_damage(f->path, f->name, data, len);
	taken = object_stat(f->repo, f->name, &meta, &err);
	if (taken && (meta.plain_size != content.len || meta.head_len > len ||
				  strcmp(meta.name, f->name) != 0 ||
				  strcmp(meta.kind, OBJECT_WAL) != 0 ||
				  strcmp(json_get_str(meta.extra, "hello", ""), "world") != 0))
		*wrong = "other metadata was taken";
	object_meta_free(&meta);
	error_clear(&err);
	return taken;
}

static bool
take_head(const char *data, size_t len, const char **wrong)
{
	return take_meta(&sealed, data, len, wrong);
}

static bool
take_open_head(const char *data, size_t len, const char **wrong)
{
	return take_meta(&open_one, data, len, wrong);
}

/* A range of frames is not covered by the SHA-256, but by age and by zstd. */
static bool
take_frames(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	ObjectReader *r = NULL;
	StrBuf got = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&got, CONTENT_MAX);
	bool taken;

	memory_damage(sealed.path, sealed.name, data, len);
	taken = object_open(sealed.repo, sealed.name, &r, &err) &&
			object_read_frames(r, 0, object_reader_meta(r)->zstd_size, sink,
							   &err);
	if (taken && !same(&content, got.data, got.len))
		*wrong = "frames with other content were read";
	object_reader_close(r);
	stage_free(sink);
	strbuf_free(&got);
	error_clear(&err);
	return taken;
}

/* Without any key nothing is authentic; what is read must still be sane. */
static bool
take_keyless(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	ObjectMeta meta = {0};
	bool taken;

	memory_damage(sealed.path, sealed.name, data, len);
	taken = object_stat(keyless, sealed.name, &meta, &err);
	if (taken && (strcmp(meta.name, sealed.name) != 0 || meta.head_len > len))
		*wrong = "metadata that cannot be";
	object_meta_free(&meta);
	error_clear(&err);
	return taken;
}

static bool
take_repo_json(Fuzzed *f, const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	Repo *repo = NULL;
	bool taken;

	memory_damage(f->path, REPO_JSON, data, len);
	taken = repo_open(&f->options, &repo, &err);
	if (taken && (strcmp(repo->id, f->repo->id) != 0 ||
				  repo->encrypted != f->repo->encrypted ||
				  repo->created != f->repo->created))
		*wrong = "a repo.json that says something else";
	repo_close(repo);
	error_clear(&err);
	return taken;
}

static bool
take_sealed_json(const char *data, size_t len, const char **wrong)
{
	return take_repo_json(&sealed, data, len, wrong);
}

static bool
take_open_json(const char *data, size_t len, const char **wrong)
{
	return take_repo_json(&open_one, data, len, wrong);
}

/* ---- age ---- */

static StrBuf age_file;
static StrBuf recipient;
static StrBuf identity;

static bool
take_age_header(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	AgeHeader h = {0};
	bool more = false;
	bool taken = age_header_parse((const uint8_t *) data, len, &h, &more, &err);

	if (taken && (h.len > len || h.mac_offset >= h.len || h.count == 0))
		*wrong = "a header longer than its bytes";
	if (!taken && !more && !error_is_set(&err))
		*wrong = "refused without a reason";
	age_header_free(&h);
	error_clear(&err);
	return taken;
}

static bool
take_age_file(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	StrBuf out = STRBUF_INIT;
	bool taken = age_decrypt_buffer(sealed.keys.identities, data, len, &out,
									&err);

	if (taken && !same(&age_file, data, len))
		*wrong = "an age file with other bytes was decrypted";
	strbuf_free(&out);
	error_clear(&err);
	return taken;
}

static bool
take_recipient(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	AgeRecipients list = {0};
	char *text = mem_strndup(data, len);
	bool taken = age_recipient_add(&list, text, &err);

	if (taken && strcmp(text, recipient.data) != 0)
		*wrong = "another recipient";
	free(text);
	age_recipients_free(&list);
	error_clear(&err);
	return taken;
}

static bool
take_identity(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	AgeIdentities *ids = age_identities_new();
	bool taken = age_identities_add_text(ids, data, len, &err);
	AgeRecipient r;
	char text[AGE_RECIPIENT_TEXT];

	for (size_t i = 0; taken && i < age_identities_count(ids); i++)
	{
		age_identity_recipient(ids, i, &r);
		age_recipient_text(&r, text);
		if (strcmp(text, recipient.data) != 0)
			*wrong = "the identity of another recipient";
	}
	if (taken && age_identities_count(ids) == 0)
		*wrong = "no identity";
	age_identities_free(ids);
	error_clear(&err);
	return taken;
}

static void
make_age(void)
{
	Error err = ERROR_INIT;
	AgeRecipient r;
	char text[AGE_RECIPIENT_TEXT];
	char *secret;

	need(age_encrypt_buffer(&sealed.keys.recipients, content.data, 70000,
							&age_file, &err),
		 &err, "age file");
	need(age_identity_generate(&secret, &r, &err), &err, "identity");
	strbuf_puts(&identity, secret);
	age_secret_free(secret);
	age_recipient_text(&r, text);
	strbuf_puts(&recipient, text);
}

/* ---- zstd ---- */

static StrBuf frames;

static void
make_frames(void)
{
	Error err = ERROR_INIT;
	Stage *sink = stage_sink_buffer(&frames, CONTENT_MAX);
	Stage *zstd = stage_zstd_compress(1, 30000, NULL, NULL, sink, &err);

	need(zstd != NULL && stage_write(zstd, content.data, content.len, &err) &&
			 stage_finish(zstd, &err),
		 &err, "frames");
	stage_free(zstd);
	stage_free(sink);
}

/* In pieces of any size.  What is taken can be less: whole frames are gone. */
static bool
take_zstd(const char *data, size_t len, const char **wrong)
{
	Error err = ERROR_INIT;
	StrBuf out = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&out, CONTENT_MAX);
	Stage *zstd = stage_zstd_decompress(sink, &err);
	bool taken = zstd != NULL;

	for (size_t at = 0; taken && at < len;)
	{
		size_t n = 1 + fuzz_below(len - at);

		taken = stage_write(zstd, data + at, n, &err);
		at += n;
	}
	taken = taken && stage_finish(zstd, &err);
	if (!taken && !error_is_set(&err))
		*wrong = "refused without a reason";
	stage_free(zstd);
	stage_free(sink);
	strbuf_free(&out);
	error_clear(&err);
	return taken;
}

/* ---- all ---- */

static const FuzzTarget targets[] = {
	{"object, encrypted", &sealed.stored, false, 2, take_sealed},
	{"object, not encrypted", &open_one.stored, false, 2, take_open},
	{"frames of an object", &sealed.stored, false, 2, take_frames},
	{"head of an object", &sealed.head, true, 0, take_head},
	{"head, not encrypted", &open_one.head, true, 0, take_open_head},
	{"object without a key", &sealed.head, true, 0, take_keyless},
	{"repo.json, encrypted", &sealed.json, true, 2, take_sealed_json},
	{"repo.json, not encrypted", &open_one.json, true, 0, take_open_json},
	{"age header", &sealed.head, true, 0, take_age_header},
	{"age file", &age_file, false, 2, take_age_file},
	{"recipient", &recipient, true, 0, take_recipient},
	{"identity", &identity, true, 0, take_identity},
	{"zstd frames", &frames, false, 2, take_zstd},
};

static void
free_all(void)
{
	StrBuf *all[] = {&content, &age_file, &recipient, &identity, &frames};
	Fuzzed *repos[] = {&sealed, &open_one};

	repo_close(keyless);
	for (size_t i = 0; i < sizeof(repos) / sizeof(repos[0]); i++)
	{
		repo_close(repos[i]->repo);
		memory_drop(repos[i]->path);
		repo_keys_free(&repos[i]->keys);
		strbuf_free(&repos[i]->stored);
		strbuf_free(&repos[i]->head);
		strbuf_free(&repos[i]->json);
		free(repos[i]->name);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		strbuf_free(all[i]);
}

int
main(void)
{
	Error err = ERROR_INIT;

	need(age_init(&err), &err, "libsodium");
	make_repos();
	make_age();
	make_frames();
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
	{
		char *text;
		bool good = fuzz_run(&targets[i], &text);

		ok(good, "%s", text);
		free(text);
	}
	free_all();
	return done_testing();
}
