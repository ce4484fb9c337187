/*-------------------------------------------------------------------------
 *
 * mem_test.c
 *	  Tests of archive_cmd/base/mem.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

static void
test_copies(void)
{
	char *s = mem_strdup("");
	char *n = mem_strndup("abcdef", 3);
	char *whole = mem_strndup("ab", 10);
	char *p = mem_printf("%s-%d", "x", 42);
	unsigned char *z = mem_zalloc(100);
	bool zero = true;

	is_str(s, "", "an empty string");
	is_str(n, "abc", "the head of a string");
	is_str(whole, "ab", "a string shorter than the limit");
	is_str(p, "x-42", "formatted");
	for (int i = 0; i < 100; i++)
		zero = zero && z[i] == 0;
	ok(zero, "mem_zalloc zeroes");
	free(s);
	free(n);
	free(whole);
	free(p);
	free(z);
	free(mem_alloc(0));
	z = mem_realloc(NULL, 0);
	ok(z != NULL, "nothing is not NULL");
	free(z);
}

static void
test_grow(void)
{
	uint32_t *a = NULL;
	size_t cap = 0;
	bool good = true;

	for (uint32_t i = 0; i < 10000; i++)
	{
		a = mem_grow(a, i, &cap, sizeof(*a));
		a[i] = i;
	}
	for (uint32_t i = 0; i < 10000; i++)
		good = good && a[i] == i;
	ok(good, "a growing array keeps its content");
	ok(cap >= 10000 && cap < 40000, "... in proportion");
	free(a);
}

static void
test_strbuf(void)
{
	StrBuf sb = STRBUF_INIT;
	char *s;

	strbuf_puts(&sb, "ab");
	strbuf_putc(&sb, 'c');
	strbuf_add(&sb, "d\0e", 3);
	strbuf_printf(&sb, "%05d", 12);
	is_int((int64_t) sb.len, 11, "length counts every byte");
	ok(memcmp(sb.data, "abcd\0e00012", 12) == 0, "content, NUL-terminated");
	strbuf_add(&sb, NULL, 0);
	is_int((int64_t) sb.len, 11, "adding nothing");

	strbuf_reset(&sb);
	is_int((int64_t) sb.len, 0, "reset");
	is_str(sb.data, "", "... is the empty string");
	for (int i = 0; i < 5000; i++)
		strbuf_puts(&sb, "0123456789");
	is_int((int64_t) sb.len, 50000, "growth");
	is_int((int64_t) strlen(sb.data), 50000, "... terminated");

	s = strbuf_steal(&sb);
	is_int((int64_t) strlen(s), 50000, "stolen");
	ok(sb.data == NULL && sb.len == 0 && sb.cap == 0, "... leaves it empty");
	free(s);
	s = strbuf_steal(&sb);
	is_str(s, "", "an empty one gives the empty string");
	free(s);
	strbuf_reset(&sb);
	strbuf_free(&sb);
	ok(sb.data == NULL, "freed");
}

static void
test_reserve(void)
{
	StrBuf sb = STRBUF_INIT;
	const char *before;

	strbuf_reserve(&sb, 1000);
	is_str(sb.data, "", "reserved room is the empty string");
	before = sb.data;
	for (int i = 0; i < 1000; i++)
		strbuf_putc(&sb, 'x');
	ok(sb.data == before, "reserved room is not moved");
	strbuf_free(&sb);
}

/* A request that overflows ends a child with the status that was set. */
static void
test_out_of_memory(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
	{
		size_t cap = 0;

		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		mem_set_exit_status(77);
		free(mem_grow(NULL, SIZE_MAX / 8, &cap, 64));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status), "out of memory is an exit");
	is_int(WEXITSTATUS(status), 77, "... with the status set");
}

int
main(void)
{
	test_copies();
	test_grow();
	test_strbuf();
	test_reserve();
	test_out_of_memory();
	return done_testing();
}
