/*-------------------------------------------------------------------------
 *
 * pack_test.c
 *	  Packs: what is written can be found by the frame table, and unpacked by
 *	  stock tools; nothing is left of one that was not finished.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "age_tools.h"
#include "base/file.h"
#include "repo/object.h"
#include "repo/pack.h"
#include "tap.h"

#define LABEL "20261121T001829Z"
static const uint8_t content[CONTENT_LEN];
#define BIG (3 * PACK_FRAME_SIZE + 12345)

static char *
make_repo(const char *dir, const RepoKeys *keys, Repo **out)
{
	Error err = ERROR_INIT;
	char *path = mem_strdup(scratch(dir));
	RepoOptions options = {
		.storage = {.repo = "r", .type = "posix", .path = path},
		.cluster = "main",
		.compress_level = 1,
		.keys = keys};

	ok(mkdir(path, 0700) == 0 && repo_create(&options, &err) &&
		   repo_open(&options, out, &err),
	   "repository \"%s\"%s%s", dir, err.message ? ": " : "",
	   err.message ? err.message : "");
	error_clear(&err);
	return path;
}

static bool
add(PackWriter *w, const char *path, const void *data, size_t len,
	uint64_t *offset, Error *err)
{
	TarEntry entry = {.path = path, .size = len, .mode = 0600};

	return pack_begin_file(w, &entry, offset, err) &&
		   pack_write(w, data, len / 2, err) &&
		   pack_write(w, (const char *) data + len / 2, len - len / 2, err) &&
		   pack_end_file(w, content, err);
}

/* The frames that hold a range, and the range out of them. */
static bool
fetch(Repo *repo, const ManifestPack *pack, uint64_t offset, uint64_t len,
	  StrBuf *out, Error *err)
{
	char *name = repo_pack_name(LABEL, pack->number);
	ObjectReader *reader = NULL;
	Stage *sink = stage_sink_buffer(out, BIG * 2);
	size_t first = 0;
	size_t after;
	uint64_t end;
	bool done;

	while (first + 1 < pack->frame_count &&
		   pack->frames[first + 1].plain <= offset)
		first++;
	after = first;
	while (after < pack->frame_count &&
		   pack->frames[after].plain < offset + len)
		after++;
	end = after < pack->frame_count ? pack->frames[after].stored
									: pack->zstd_size;
	done = object_open(repo, name, &reader, err) &&
		   object_read_frames(reader, pack->frames[first].stored,
							  end - pack->frames[first].stored, sink, err);
	if (done)
	{
		size_t skip = (size_t) (offset - pack->frames[first].plain);

		memmove(out->data, out->data + skip, (size_t) len);
		out->len = (size_t) len;
	}
	object_reader_close(reader);
	stage_free(sink);
	free(name);
	return done;
}

static void
check_table(const ManifestPack *pack)
{
	bool good = pack->frame_count > 3 && pack->frames[0].plain == 0 &&
				pack->frames[0].stored == 0;

	for (size_t i = 1; i < pack->frame_count; i++)
		good = good && pack->frames[i].plain > pack->frames[i - 1].plain &&
			   pack->frames[i].plain - pack->frames[i - 1].plain <=
				   PACK_FRAME_SIZE &&
			   pack->frames[i].stored > pack->frames[i - 1].stored;
	ok(good && pack->frames[pack->frame_count - 1].plain < pack->plain_size &&
		   pack->frames[pack->frame_count - 1].stored < pack->zstd_size,
	   "%zu frames of at most 1 MiB, in order", pack->frame_count);
}

static void
test_frames(Repo *repo)
{
	Error err = ERROR_INIT;
	TarEntry dir = {.path = "base", .is_dir = true, .mode = 0700};
	PackWriter *w = pack_create(repo, LABEL, 1, NULL, &err);
	ManifestPack pack = {0};
	uint8_t *big = mem_alloc(BIG);
	uint64_t at_small = 0;
	uint64_t at_big = 0;
	uint64_t at_last = 0;
	uint64_t stored = 0;
	StrBuf got = STRBUF_INIT;

	fill_words(big, BIG, 1);
	ok(w && pack_add_dir(w, &dir, &err) &&
		   add(w, "base/small", "hello", 5, &at_small, &err) &&
		   add(w, "base/big", big, BIG, &at_big, &err) &&
		   add(w, "base/last", "world", 5, &at_last, &err),
	   "entries written");
	ok(!pack_is_full(w), "a small pack takes more");
	ok(pack_commit(w, &pack, &stored, &err), "pack committed");
	is_int(pack.number, 1, "its number");
	ok(stored > pack.payload_size && pack.payload_size >= pack.zstd_size &&
		   pack.plain_size % TAR_BLOCK == 0,
	   "sizes");
	check_table(&pack);
	ok(fetch(repo, &pack, at_small, 5, &got, &err) &&
		   same_bytes(&got, "hello", 5),
	   "the first file by its offset");
	strbuf_reset(&got);
	ok(fetch(repo, &pack, at_big, BIG, &got, &err) &&
		   same_bytes(&got, big, BIG),
	   "a file of many frames");
	strbuf_reset(&got);
	ok(fetch(repo, &pack, at_last, 5, &got, &err) &&
		   same_bytes(&got, "world", 5),
	   "the last file");
	is_str(err.message, NULL, "no error");
	strbuf_free(&got);
	free(pack.frames);
	free(big);
}

/* zstd and tar alone, on a repository that is not encrypted. */
static void
test_stock_tools(Repo *repo, const char *root)
{
	Error err = ERROR_INIT;
	PackWriter *w = pack_create(repo, LABEL, 2, NULL, &err);
	ManifestPack pack = {0};
	uint64_t stored;
	uint64_t offset;
	char *name = repo_pack_name(LABEL, 2);
	char *object = file_join(root, name);
	char *tar = mem_strdup(scratch("pack.tar"));
	char *dir = mem_strdup(scratch("unpacked"));
	const char *const unzstd[] = {"zstd", "-dc", object, NULL};
	const char *const untar[] = {"tar", "-xf", tar, "-C", dir, NULL};
	char *file = file_join(dir, "a/b");
	StrBuf got = STRBUF_INIT;

	ok(w && add(w, "a/b", "content", 7, &offset, &err) &&
		   pack_commit(w, &pack, &stored, &err) && mkdir(dir, 0700) == 0,
	   "pack of one file");
	is_int(run_tool(unzstd, NULL, tar), 0, "zstd decodes it");
	is_int(run_tool(untar, NULL, NULL), 0, "tar unpacks that");
	ok(get_file(file, &got) && same_bytes(&got, "content", 7),
	   "and the file is there");
	strbuf_free(&got);
	free(pack.frames);
	free(file);
	free(dir);
	free(tar);
	free(object);
	free(name);
}

static bool
exists(Repo *repo, uint32_t number)
{
	Error err = ERROR_INIT;
	char *name = repo_pack_name(LABEL, number);
	bool there = true;

	storage_exists(repo->storage, name, &there, &err);
	error_clear(&err);
	free(name);
	return there;
}

static void
test_refusals(Repo *repo)
{
	Error err = ERROR_INIT;
	TarEntry entry = {.path = "f", .size = 10};
	PackWriter *w = pack_create(repo, LABEL, 3, NULL, &err);
	ManifestPack pack;
	uint64_t n;

	ok(pack_begin_file(w, &entry, &n, &err), "a file of ten bytes");
	ok(!pack_write(w, "12345678901", 11, &err) && err.code == ERR_INTERNAL,
	   "takes no eleven");
	error_clear(&err);
	ok(!pack_end_file(w, content, &err) && err.code == ERR_INTERNAL,
	   "nor none");
	error_clear(&err);
	ok(!pack_begin_file(w, &entry, &n, &err) && err.code == ERR_INTERNAL,
	   "no other begins meanwhile");
	error_clear(&err);
	ok(!pack_commit(w, &pack, &n, &err) && err.code == ERR_INTERNAL,
	   "and the pack does not end");
	error_clear(&err);
	ok(!exists(repo, 3), "nothing is left of it");
}

static void
test_abort(Repo *repo)
{
	Error err = ERROR_INIT;
	PackWriter *w = pack_create(repo, LABEL, 4, NULL, &err);
	uint64_t n;

	ok(w && add(w, "f", "x", 1, &n, &err), "a pack is begun");
	pack_abort(w);
	pack_abort(NULL);
	ok(!exists(repo, 4), "and aborted without a trace");
}

static void
test_taken(Repo *repo)
{
	Error err = ERROR_INIT;
	PackWriter *w = pack_create(repo, LABEL, 2, NULL, &err);
	ManifestPack pack;
	uint64_t n;

	if (w != NULL)
		ok(!pack_commit(w, &pack, &n, &err) && err.code == ERR_EXISTS,
		   "a number is given once");
	else
		is_int(err.code, ERR_EXISTS, "a number is given once");
	error_clear(&err);
}

int
main(void)
{
	Error err = ERROR_INIT;
	RepoKeys open_keys = {.has_content_key = true};
	RepoKeys keys = {.has_content_key = true};
	char *secret;
	AgeRecipient recipient;
	char *path;
	Repo *repo = NULL;

	age_init(&err);
	path = make_repo("plain", &open_keys, &repo);
	test_frames(repo);
	test_stock_tools(repo, path);
	test_refusals(repo);
	test_abort(repo);
	test_taken(repo);
	repo_close(repo);
	free(path);

	keys.identities = new_identity(&secret, &recipient);
	add_recipient(&keys.recipients, &recipient);
	path = make_repo("encrypted", &keys, &repo);
	test_frames(repo);
	repo_close(repo);
	repo_keys_free(&keys);
	age_secret_free(secret);
	free(path);
	scratch_remove();
	return done_testing();
}
