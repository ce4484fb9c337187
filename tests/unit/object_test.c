/*-------------------------------------------------------------------------
 *
 * object_test.c
 *	  The object format: round trips, what it says without the key, and every
 *	  kind of damage.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "repo/object.h"
#include "tap.h"

static RepoKeys keys;
static char root[] = "/tmp/object_test.XXXXXX";

static void
make_keys(RepoKeys *out)
{
	Error err = ERROR_INIT;
	AgeRecipient recipient;
	char text[AGE_RECIPIENT_TEXT];
	char *secret;

	memset(out, 0, sizeof(*out));
	out->identities = age_identities_new();
	age_identity_generate(&secret, &recipient, &err);
	age_identities_add_text(out->identities, secret, strlen(secret), &err);
	age_secret_free(secret);
	age_recipient_text(&recipient, text);
	age_recipient_add(&out->recipients, text, &err);
	out->has_content_key = true;
	memset(out->content_key, 7, sizeof(out->content_key));
}

/* An open repository borrows the texts of its options. */
static char *paths[3];
static int path_count;

static Repo *
make_repo(const char *dir, const RepoKeys *with)
{
	Error err = ERROR_INIT;
	char *path = file_join(root, dir);
	RepoOptions options = {
		.storage = {.repo = "r", .type = "posix", .path = path},
		.cluster = "main",
		.compress_level = 1,
		.keys = with};
	Repo *repo = NULL;

	paths[path_count++] = path;
	ok(repo_create(&options, &err) && repo_open(&options, &repo, &err),
	   "repository %s is made and opened%s%s", dir, err.message ? ": " : "",
	   err.message ? err.message : "");
	error_clear(&err);
	return repo;
}

/* Compressible but not trivial. */
static char *
sample(size_t len)
{
	char *data = mem_alloc(len + 1);
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++)
	{
		x = x * 1664525 + 1013904223;
		data[i] = (char) ('a' + ((x >> 24) & 7));
	}
	return data;
}

typedef struct Frames
{
	uint64_t plain[64];
	uint64_t stored[64];
	int count;
	uint64_t plain_end;
	uint64_t stored_end;
} Frames;

static bool
note_frame(void *arg, uint64_t plain_len, uint64_t stored_len, Error *err)
{
	Frames *f = arg;

	(void) err;
	f->plain[f->count] = f->plain_end;
	f->stored[f->count++] = f->stored_end;
	f->plain_end += plain_len;
	f->stored_end += stored_len;
	return true;
}

static bool
put(Repo *repo, const char *name, const char *data, size_t len, Frames *f,
	Error *err)
{
	ObjectSpec spec = {.name = name,
					   .kind = OBJECT_WAL,
					   .extra_room = 64,
					   .frame_size = 100000,
					   .frame_fn = f ? note_frame : NULL,
					   .frame_arg = f};
	Json *extra = json_new_object();
	bool done;

	json_put_str(extra, "hello", "world");
	done = object_put(repo, &spec, data, len, extra, err);
	json_free(extra);
	return done;
}

static void
test_round_trip(Repo *repo)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1000000};
	Error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		char *data = sample(sizes[i]);
		char *name = mem_printf("wal/x/%zu", sizes[i]);
		StrBuf back = STRBUF_INIT;
		ObjectMeta meta = {0};

		ok(put(repo, name, data, sizes[i], NULL, &err), "put %zu bytes",
		   sizes[i]);
		ok(object_get(repo, name, OBJECT_WAL, 2000000, &back, &err) &&
			   back.len == sizes[i] &&
			   (sizes[i] == 0 || memcmp(back.data, data, back.len) == 0),
		   "they come back");
		ok(object_stat(repo, name, &meta, &err) && meta.plain_size == sizes[i],
		   "and the size is in the metadata");
		is_str(json_get_str(meta.extra, "hello", NULL), "world",
			   "and so is what was added");
		ok(!put(repo, name, data, sizes[i], NULL, &err) &&
			   err.code == ERR_EXISTS,
		   "the same name again is refused");
		error_clear(&err);
		object_meta_free(&meta);
		strbuf_free(&back);
		free(name);
		free(data);
	}
}

static void
test_ranges(Repo *repo)
{
	Error err = ERROR_INIT;
	size_t len = 1000000;
	char *data = sample(len);
	Frames f = {0};
	ObjectReader *r = NULL;
	int right = 0;

	ok(put(repo, "wal/x/frames", data, len, &f, &err), "put in frames");
	is_int(f.count, 10, "ten frames");
	ok(object_open(repo, "wal/x/frames", &r, &err), "opened for ranges");
	is_int((int64_t) object_reader_meta(r)->zstd_size, (int64_t) f.stored_end,
		   "the length of the frames is in the metadata");
	for (int i = 0; i < f.count; i++)
	{
		StrBuf back = STRBUF_INIT;
		Stage *sink = stage_sink_buffer(&back, len);
		uint64_t end = i + 1 < f.count ? f.stored[i + 1] : f.stored_end;

		if (object_read_frames(r, f.stored[i], end - f.stored[i], sink, &err) &&
			back.len == 100000 &&
			memcmp(back.data, data + f.plain[i], back.len) == 0)
			right++;
		stage_free(sink);
		strbuf_free(&back);
	}
	is_int(right, f.count, "each frame comes back alone");
	ok(!object_read_frames(r, f.stored_end, 1, NULL, &err) &&
		   err.code == ERR_DAMAGED,
	   "beyond the end is refused");
	error_clear(&err);
	object_reader_close(r);
	free(data);
}

static char *
stored_path(const char *dir, const char *name)
{
	return mem_printf("%s/%s/%s", root, dir, name);
}

/* Replaces the stored bytes of an object, as a broken disk would. */
static void
overwrite(const char *path, const char *data, size_t len)
{
	Error err = ERROR_INIT;

	file_write_durable(path, data, len, 0600, true, &err);
}

static bool
read_back(Repo *repo, const char *name, Error *err)
{
	StrBuf back = STRBUF_INIT;
	bool done = object_get(repo, name, NULL, 2000000, &back, err);

	strbuf_free(&back);
	return done;
}

static void
test_flips(Repo *repo, const char *dir)
{
	Error err = ERROR_INIT;
	char *data = sample(3000);
	char *path = stored_path(dir, "wal/x/flip");
	StrBuf good = STRBUF_INIT;
	int taken = 0;
	int wrong_code = 0;

	put(repo, "wal/x/flip", data, 3000, NULL, &err);
	file_slurp(path, 1000000, &good, &err);
	ok(read_back(repo, "wal/x/flip", &err), "intact at first");
	for (size_t i = 0; i < good.len; i++)
	{
		good.data[i] ^= 0x10;
		overwrite(path, good.data, good.len);
		if (read_back(repo, "wal/x/flip", &err))
			taken++;
		else if (err.code != ERR_DAMAGED && err.code != ERR_MISMATCH &&
				 err.code != ERR_KEY && err.code != ERR_UNSUPPORTED)
			wrong_code++;
		error_clear(&err);
		good.data[i] ^= 0x10;
	}
	is_int(taken, 0, "no object with a flipped bit is taken for good");
	is_int(wrong_code, 0, "and each is called damaged");
	for (size_t i = 0; i < good.len; i += 7)
	{
		overwrite(path, good.data, i);
		if (read_back(repo, "wal/x/flip", &err))
			taken++;
		error_clear(&err);
	}
	is_int(taken, 0, "no truncated object is taken for good");
	strbuf_putc(&good, 'x');
	overwrite(path, good.data, good.len);
	ok(!read_back(repo, "wal/x/flip", &err), "nor one with a byte appended");
	error_clear(&err);
	strbuf_free(&good);
	free(path);
	free(data);
}

static void
test_swap(Repo *repo, const char *dir)
{
	Error err = ERROR_INIT;
	char *one = stored_path(dir, "wal/x/one");
	char *two = stored_path(dir, "wal/x/two");
	StrBuf bytes = STRBUF_INIT;
	ObjectMeta meta = {0};

	put(repo, "wal/x/one", "11", 2, NULL, &err);
	put(repo, "wal/x/two", "22", 2, NULL, &err);
	file_slurp(one, 100000, &bytes, &err);
	overwrite(two, bytes.data, bytes.len);
	ok(!read_back(repo, "wal/x/two", &err) && err.code == ERR_MISMATCH,
	   "a swapped object is found out");
	error_clear(&err);
	ok(!object_check_stored(repo, "wal/x/two", &meta, &err) &&
		   err.code == ERR_MISMATCH,
	   "also without decoding it");
	error_clear(&err);
	strbuf_free(&bytes);
	free(one);
	free(two);
}

/* What a host without identity, and one without any key, can do. */
static void
test_without_identity(Repo *repo)
{
	Error err = ERROR_INIT;
	RepoKeys some = keys;
	RepoOptions options = repo->options;
	Repo *writer = NULL;
	ObjectMeta meta = {0};

	some.identities = NULL;
	options.keys = &some;
	ok(repo_open(&options, &writer, &err), "opened with recipients only");
	ok(put(writer, "wal/x/blind", "abc", 3, NULL, &err), "it can write");
	ok(object_check_stored(writer, "wal/x/blind", &meta, &err),
	   "it can check what is stored");
	ok(!read_back(writer, "wal/x/blind", &err) && err.code == ERR_KEY,
	   "it cannot read");
	error_clear(&err);
	ok(read_back(repo, "wal/x/blind", &err), "the holder of the key can");
	object_meta_free(&meta);
	repo_close(writer);

	some = keys;
	some.has_content_key = false;
	ok(repo_open(&options, &writer, &err) &&
		   read_back(writer, "wal/x/blind", &err),
	   "repository and identity suffice");
	repo_close(writer);

	some.has_content_key = true;
	some.content_key[0] ^= 1;
	writer = NULL;
	ok(!repo_open(&options, &writer, &err) && err.code == ERR_MISMATCH,
	   "another content key is refused");
	error_clear(&err);
}

/* Somebody who has the recipients but not the content key cannot forge. */
static void
test_forged(Repo *repo, const char *dir)
{
	Error err = ERROR_INIT;
	RepoKeys other = keys;
	Repo *forger;
	char *from = stored_path("forger", "wal/x/forged");
	char *to = stored_path(dir, "wal/x/forged");
	StrBuf bytes = STRBUF_INIT;

	other.content_key[0] ^= 1;
	forger = make_repo("forger", &other);
	put(forger, "wal/x/forged", "abc", 3, NULL, &err);
	file_slurp(from, 100000, &bytes, &err);
	overwrite(to, bytes.data, bytes.len);
	ok(!read_back(repo, "wal/x/forged", &err) && err.code == ERR_DAMAGED,
	   "a forged object is refused");
	error_clear(&err);
	repo_close(forger);
	strbuf_free(&bytes);
	free(from);
	free(to);
}

static void
test_downgrade(Repo *repo, const char *dir, Repo *plain)
{
	Error err = ERROR_INIT;
	char *from = stored_path("plain", "wal/x/down");
	char *to = stored_path(dir, "wal/x/down");
	StrBuf bytes = STRBUF_INIT;

	put(plain, "wal/x/down", "abc", 3, NULL, &err);
	file_slurp(from, 100000, &bytes, &err);
	overwrite(to, bytes.data, bytes.len);
	ok(!read_back(repo, "wal/x/down", &err) && err.code == ERR_DAMAGED,
	   "an unencrypted object in an encrypted repository is refused");
	error_clear(&err);
	strbuf_free(&bytes);
	free(from);
	free(to);
}

static void
test_repo_json(const Repo *repo, const char *dir)
{
	Error err = ERROR_INIT;
	char *path = stored_path(dir, REPO_JSON);
	StrBuf good = STRBUF_INIT;
	Repo *again = NULL;
	int taken = 0;

	file_slurp(path, 100000, &good, &err);
	for (size_t i = 0; i < good.len; i++)
	{
		good.data[i] ^= 1;
		overwrite(path, good.data, good.len);
		/* white space for white space is the same document */
		if (repo_open(&repo->options, &again, &err))
		{
			taken += good.data[i] > ' ';
			repo_close(again);
		}
		error_clear(&err);
		good.data[i] ^= 1;
	}
	is_int(taken, 0, "every flip in repo.json is found");
	overwrite(path, "", 0);
	ok(!repo_open(&repo->options, &again, &err) && err.code == ERR_DAMAGED,
	   "an empty repo.json is damage");
	error_clear(&err);
	unlink(path);
	ok(!repo_open(&repo->options, &again, &err) && err.code == ERR_CONFIG,
	   "a missing one is no repository, not absence of an object");
	error_clear(&err);
	overwrite(path, good.data, good.len);
	strbuf_free(&good);
	free(path);
}

int
main(void)
{
	Error err = ERROR_INIT;
	RepoKeys none = {.has_content_key = true};
	Repo *repo;
	Repo *plain;

	if (!mkdtemp(root) || !age_init(&err))
		return 1;
	make_keys(&keys);
	repo = make_repo("crypt", &keys);
	plain = make_repo("plain", &none);
	test_round_trip(repo);
	test_round_trip(plain);
	test_ranges(repo);
	test_ranges(plain);
	test_flips(repo, "crypt");
	test_flips(plain, "plain");
	test_swap(repo, "crypt");
	test_swap(plain, "plain");
	test_without_identity(repo);
	test_forged(repo, "crypt");
	test_downgrade(repo, "crypt", plain);
	test_repo_json(repo, "crypt");
	repo_close(repo);
	repo_close(plain);
	repo_keys_free(&keys);
	for (int i = 0; i < path_count; i++)
		free(paths[i]);
	return done_testing();
}
