/*-------------------------------------------------------------------------
 *
 * stream_test.c
 *	  The sinks, and failures that travel up a chain.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "age_tools.h"
#include "stream/hash.h"
#include "stream/zstd.h"

typedef struct Counter
{
	size_t calls;
	size_t bytes;
	size_t fail_at; /* refuse what goes beyond; 0: never */
} Counter;

static bool
count(void *arg, const void *data, size_t len, Error *err)
{
	Counter *c = arg;

	(void) data;
	c->calls++;
	c->bytes += len;
	if (c->fail_at && c->bytes > c->fail_at)
		return error_set(err, ERR_FULL, "the counter is full");
	return true;
}

static void
test_function_sink(void)
{
	Error err = ERROR_INIT;
	Counter c = {0};
	Stage *sink = stage_sink(count, &c);

	ok(feed(sink, "abcdef", 6, 4, &err), "a function sink takes all");
	is_int((int64_t) c.calls, 2, "in the pieces that were written");
	is_int((int64_t) c.bytes, 6, "and all bytes");
	stage_free(sink);
	stage_free(NULL);
}

static void
test_buffer_sink(void)
{
	Error err = ERROR_INIT;
	StrBuf out = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&out, 6);

	ok(feed(sink, "abcdef", 6, 5, &err), "a buffer takes up to its limit");
	ok(same_bytes(&out, "abcdef", 6), "and keeps it");
	ok(stage_write(sink, "", 0, &err), "and nothing more than nothing");
	ok(!stage_write(sink, "g", 1, &err), "but not a byte beyond");
	is_int(err.code, ERR_DAMAGED, "which is damage");
	ok(same_bytes(&out, "abcdef", 6), "and changes nothing");
	error_clear(&err);
	stage_free(sink);
	strbuf_free(&out);
}

static void
test_fd_sink(void)
{
	Error err = ERROR_INIT;
	StrBuf got = STRBUF_INIT;
	const char *path = scratch("fd");
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	Stage *sink = stage_sink_fd(fd, path);

	ok(feed(sink, "some bytes", 10, 3, &err), "a descriptor takes bytes");
	ok(get_file(path, &got) && same_bytes(&got, "some bytes", 10),
	   "and they are in the file");
	stage_free(sink);
	close(fd);
	strbuf_free(&got);

	fd = open("/dev/full", O_WRONLY);
	sink = stage_sink_fd(fd, "/dev/full");
	ok(!stage_write(sink, "x", 1, &err), "a full device fails");
	is_int(err.code, ERR_FULL, "with the code of no room");
	ok(strstr(err.message, "/dev/full") != NULL, "naming the file");
	error_clear(&err);
	stage_free(sink);
	close(fd);
}

/* Everything at once, and the last stage refuses in the middle. */
static void
test_failure_travels_up(void)
{
	const size_t len = 1000000;
	uint8_t *data = mem_alloc(len);
	Error err = ERROR_INIT;
	Counter c = {.fail_at = 200000};
	AgeRecipients to = {0};
	AgeRecipient r;
	char *text;
	AgeIdentities *ids = new_identity(&text, &r);
	Sha256 *hash = sha256_new();
	AgeWriter *w;
	Stage *sink = stage_sink(count, &c);
	Stage *sha = stage_sha256(hash, NULL, sink);
	Stage *age;
	Stage *zstd;

	add_recipient(&to, &r);
	fill_random(data, len, 1);
	w = age_writer_new(&to, NULL, 0, &err);
	age = stage_age_encrypt(w, sha);
	zstd = stage_zstd_compress(1, 100000, NULL, NULL, age, &err);
	ok(!feed(zstd, data, len, 4096, &err), "a failing sink fails the chain");
	is_int(err.code, ERR_FULL, "with the sink's error");
	is_str(err.message, "the counter is full", "and its message");
	ok(c.bytes < 400000, "at once: %zu bytes had arrived", c.bytes);
	stage_free(zstd);
	stage_free(age);
	stage_free(sha);
	stage_free(sink);
	age_writer_free(w);
	sha256_free(hash);
	age_identities_free(ids);
	age_secret_free(text);
	age_recipients_free(&to);
	error_clear(&err);
	free(data);
}

int
main(void)
{
	Error err = ERROR_INIT;

	ok(age_init(&err), "libsodium starts");
	test_function_sink();
	test_buffer_sink();
	test_fd_sink();
	test_failure_travels_up();
	scratch_remove();
	return done_testing();
}
