/*-------------------------------------------------------------------------
 *
 * block_map_test.c
 *	  Maps of packs: every block is found where it lies, and a map that is
 *	  not right is not taken.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "repo/object.h"
#include "repo/pack.h"
#include "restore_fixture.h"
#include "tap.h"

#define LABEL "20261121T000100Z"
#define ODD_PATH "base/\xff odd"
#define BLOCK MANIFEST_BLOCK
#define LEN (3 * BLOCK + 100)

static const uint8_t content[CONTENT_LEN] = {1, 2, 3};
static uint8_t data[LEN];

static void
check(bool done, Error *err, const char *what)
{
	ok(done, "%s%s%s", what, err->message ? ": " : "",
	   err->message ? err->message : "");
	error_clear(err);
}

static bool
add_file(PackWriter *w, const char *path, size_t len, size_t piece,
		 uint64_t *offset, Error *err)
{
	TarEntry entry = {.path = path, .size = len, .mode = 0600};
	bool done = pack_begin_file(w, &entry, offset, err);

	for (size_t at = 0; done && at < len; at += piece)
		done = pack_write(w, data + at, len - at < piece ? len - at : piece,
						  err);
	return done && pack_end_file(w, content, err);
}

/* Blocks 1 and 2 of a file, and its short last one. */
static bool
add_part(PackWriter *w, uint64_t *offset, Error *err)
{
	const MapRun runs[] = {{BLOCK, 2 * BLOCK}, {9 * BLOCK, 50}};
	PackPart part = {.path = "base/5/16384", .runs = runs, .run_count = 2};
	TarEntry entry = {.path = "changed", .size = 2 * BLOCK + 50, .mode = 0600};

	return pack_begin_part(w, &entry, &part, offset, err) &&
		   pack_write(w, data, 2 * BLOCK, err) &&
		   pack_write(w, data, 50, err) && pack_end_part(w, err);
}

typedef struct Places
{
	uint64_t odd;
	uint64_t part;
	uint64_t last;
} Places;

static void
make_pack(Fixture *f, Places *at)
{
	Error err = ERROR_INIT;
	PackWriter *w = pack_create(f->repo, LABEL, 3, NULL, &err);
	ManifestPack pack = {0};
	uint64_t stored = 0;
	uint64_t none;

	check(w != NULL && add_file(w, ODD_PATH, LEN, 1000, &at->odd, &err) &&
			  add_file(w, "empty", 0, 1, &none, &err) &&
			  add_part(w, &at->part, &err) &&
			  add_file(w, "PG_VERSION", 3, 3, &at->last, &err) &&
			  pack_commit(w, &pack, &stored, &err),
		  &err, "pack with a map");
	free(pack.frames);
}

static bool
same(Fixture *f, const uint64_t *hash, size_t from, size_t len)
{
	return *hash == content_block_hash(&f->repo->content, data + from, len);
}

static void
test_find(Fixture *f, const BlockMap *map, const Places *at)
{
	uint64_t length = 0;
	const uint64_t *hash = block_map_find(map, at->odd, &length);

	ok(hash != NULL && length == LEN && same(f, hash, 0, BLOCK) &&
		   same(f, hash + 2, 2 * BLOCK, BLOCK) &&
		   same(f, hash + 3, 3 * BLOCK, 100),
	   "blocks of a file that was written in odd pieces");
	hash = block_map_find(map, at->odd + 2 * BLOCK, &length);
	ok(hash != NULL && length == BLOCK + 100 && same(f, hash, 2 * BLOCK, BLOCK),
	   "a block in the middle");
	hash = block_map_find(map, at->part + BLOCK, &length);
	ok(hash != NULL && length == BLOCK + 50 && same(f, hash, BLOCK, BLOCK) &&
		   same(f, hash + 1, 0, 50),
	   "blocks of changed runs");
	hash = block_map_find(map, at->last, &length);
	ok(hash != NULL && length == 3 && same(f, hash, 0, 3), "the last one");
	ok(block_map_find(map, at->odd + 1, &length) == NULL &&
		   block_map_find(map, at->odd + 4 * BLOCK, &length) == NULL &&
		   block_map_find(map, at->odd - 512, &length) == NULL &&
		   block_map_find(map, UINT64_MAX, &length) == NULL,
	   "nothing where no block begins");
}

static void
test_files(const BlockMap *map)
{
	const MapEntry *e = map->entries;

	is_int((int64_t) map->entry_count, 3, "an empty file is not in it");
	is_str(e[0].path, ODD_PATH, "a path that is not UTF-8");
	ok(e[0].whole && e[0].length == LEN &&
		   memcmp(e[0].content, content, CONTENT_LEN) == 0,
	   "content hash of a whole file");
	is_str(e[1].path, "base/5/16384", "path of changed runs");
	ok(!e[1].whole && e[1].run_count == 2 && e[1].runs[0].length == 2 * BLOCK &&
		   e[1].runs[1].file_offset == 9 * BLOCK && e[1].runs[1].length == 50,
	   "and where they lie in the file");
}

static void
test_round_trip(bool encrypted)
{
	Fixture f;
	Places at = {0};
	BlockMap map;
	ObjectMeta meta = {0};
	Error err = ERROR_INIT;

	fixture_begin(&f, encrypted);
	make_pack(&f, &at);
	check(block_map_read(f.repo, LABEL, 3, true, &map, &err), &err, "read");
	test_find(&f, &map, &at);
	test_files(&map);
	check(object_stat(f.repo, "backup/" LABEL "/data/000003", &meta, &err),
		  &err, "its pack");
	ok(memcmp(map.sha256, meta.sha256, SHA256_LEN) == 0,
	   "it says of which pack it is");
	object_meta_free(&meta);
	block_map_free(&map);
	check(block_map_read(f.repo, LABEL, 3, false, &map, &err), &err,
		  "read without files");
	test_find(&f, &map, &at);
	ok(map.entries[0].path == NULL && map.entries[1].runs == NULL,
	   "then it takes less memory");
	block_map_free(&map);
	ok(!block_map_read(f.repo, LABEL, 4, false, &map, &err) &&
		   err.code == ERR_NOT_FOUND,
	   "a map that is not there");
	error_clear(&err);
	fixture_end(&f);
}

/* ---- what must not be read ---- */

#define ZEROS "00000000000000000000000000000000"
#define HEAD(entries, blocks)                                 \
	"{\"map\":1,\"pack\":1,\"payload_sha256\":\"" ZEROS ZEROS \
	"\",\"block_size\":8192,\"entries\":" entries ",\"blocks\":" blocks "}\n"
#define FILE_LINE(offset, length)                              \
	"{\"file\":\"a\",\"offset\":" offset ",\"length\":" length \
	",\"hash\":\"" ZEROS "\"}\n"
#define RUNS_LINE(length, runs)                                           \
	"{\"file\":\"a\",\"offset\":0,\"length\":" length ",\"runs\":\"" runs \
	"\"}\n"

static const struct
{
	const char *name;
	const char *text;
	ErrCode code;
} texts[] = {
	{"one block", HEAD("1", "1") FILE_LINE("0", "5") "12345678", ERR_NONE},
	{"no entry", HEAD("0", "0"), ERR_NONE},
	{"nothing", "", ERR_DAMAGED},
	{"a line cut off", "{\"map\":1", ERR_DAMAGED},
	{"no JSON", "map\n", ERR_DAMAGED},
	{"a newer version", "{\"map\":2}\n", ERR_UNSUPPORTED},
	{"another block size",
	 "{\"map\":1,\"pack\":1,\"block_size\":4096,\"entries\":0,\"blocks\":0}\n",
	 ERR_UNSUPPORTED},
	{"fewer hashes", HEAD("1", "1") FILE_LINE("0", "5") "1234567", ERR_DAMAGED},
	{"more hashes", HEAD("1", "1") FILE_LINE("0", "5") "1234567812345678",
	 ERR_DAMAGED},
	{"fewer entries", HEAD("2", "1") FILE_LINE("0", "5") "12345678",
	 ERR_DAMAGED},
	{"fewer blocks than were announced",
	 HEAD("1", "2") FILE_LINE("0", "5") "1234567812345678", ERR_DAMAGED},
	{"an entry of more blocks than were announced",
	 HEAD("1", "1") FILE_LINE("0", "8193") "1234567812345678", ERR_DAMAGED},
	{"a length that wraps around",
	 HEAD("1", "1") FILE_LINE("0", "9223372036854775807") "12345678",
	 ERR_DAMAGED},
	{"an empty entry", HEAD("1", "0") FILE_LINE("0", "0"), ERR_DAMAGED},
	{"a negative offset", HEAD("1", "1") FILE_LINE("-1", "5") "12345678",
	 ERR_DAMAGED},
	{"entries that overlap",
	 HEAD("2", "2") FILE_LINE("0", "5") FILE_LINE("4", "5") "1234567812345678",
	 ERR_DAMAGED},
	{"runs that are the entry",
	 HEAD("1", "1") RUNS_LINE("5", "8192:5") "12345678", ERR_NONE},
	{"runs that are less", HEAD("1", "1") RUNS_LINE("5", "8192:4") "12345678",
	 ERR_DAMAGED},
	{"runs that are more", HEAD("1", "1") RUNS_LINE("5", "8192:6") "12345678",
	 ERR_DAMAGED},
	{"a run inside a block", HEAD("1", "1") RUNS_LINE("5", "1:5") "12345678",
	 ERR_DAMAGED},
	{"runs out of order",
	 HEAD("1", "2") RUNS_LINE("8197", "16384:8192,0:5") "1234567812345678",
	 ERR_DAMAGED},
	{"a run that ends inside a block",
	 HEAD("1", "2") RUNS_LINE("8197", "0:5,8192:8192") "1234567812345678",
	 ERR_DAMAGED},
	{"neither hash nor runs",
	 HEAD("1", "1") "{\"file\":\"a\",\"offset\":0,\"length\":5}\n12345678",
	 ERR_DAMAGED},
};

static void
test_not_read(void)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		char *name = repo_map_name(LABEL, 1);
		ObjectSpec spec = {.name = name, .kind = OBJECT_MAP};
		Error err = ERROR_INIT;
		BlockMap map;
		Fixture f;
		bool done;

		fixture_begin(&f, false);
		if (!object_put(f.repo, &spec, texts[i].text, strlen(texts[i].text),
						NULL, &err))
			ok(false, "%s", err.message);
		done = block_map_read(f.repo, LABEL, 1, true, &map, &err);
		ok(done == (texts[i].code == ERR_NONE) && err.code == texts[i].code,
		   "map with %s: %s", texts[i].name,
		   err.message ? err.message : "read");
		if (done)
			block_map_free(&map);
		error_clear(&err);
		fixture_end(&f);
		free(name);
	}
}

int
main(void)
{
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t) (i * i >> 7);
	test_round_trip(false);
	test_round_trip(true);
	test_not_read();
	return done_testing();
}
