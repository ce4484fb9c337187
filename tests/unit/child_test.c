/*-------------------------------------------------------------------------
 *
 * child_test.c
 *	  Other programs: what they write, what they are given, and how they end.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tap.h"

static bool
start(const char *script, bool feed, const char *const *set, Child **out,
	  Error *err)
{
	const char *args[] = {"-c", script, NULL};
	ChildSpec spec = {
		.program = "/bin/sh", .args = args, .set = set, .feed = feed};

	return child_start(&spec, out, err);
}

/* All that a script writes; NULL unless it succeeds. */
static char *
output_of(const char *script, const char *const *set, Error *err)
{
	StrBuf text = STRBUF_INIT;
	char piece[1000];
	size_t got = sizeof(piece);
	Child *c;

	if (!start(script, false, set, &c, err))
		return NULL;
	while (got == sizeof(piece))
	{
		if (!child_read(c, piece, sizeof(piece), &got, err))
			break;
		strbuf_add(&text, piece, got);
	}
	if (child_end(c, err))
		return strbuf_steal(&text);
	strbuf_free(&text);
	return NULL;
}

static void
is_output(const char *script, const char *const *set, const char *expected)
{
	Error err = ERROR_INIT;
	char *text = output_of(script, set, &err);

	is_str(text != NULL ? text : err.message, expected, script);
	error_clear(&err);
	free(text);
}

static void
fails(const char *script, const char *message, const char *detail)
{
	Error err = ERROR_INIT;
	char *text = output_of(script, NULL, &err);

	ok(text == NULL && err.code == ERR_SERVER &&
		   strstr(err.message, message) != NULL,
	   "\"%s\": %s", script, err.message != NULL ? err.message : "no error");
	ok(detail == NULL
		   ? err.detail == NULL
		   : err.detail != NULL && strstr(err.detail, detail) != NULL,
	   "and what it said");
	error_clear(&err);
	free(text);
}

static void
test_output(void)
{
	static const char *const set[] = {"PGDR_T=a b", NULL};
	Error err = ERROR_INIT;
	char *text;

	setenv("PGDR_T", "old", 1);
	setenv("PGDR_U", "kept", 1);
	is_output("printf x", NULL, "x");
	is_output("true", NULL, "");
	is_output("cat", NULL, ""); /* its input is empty */
	is_output("printf %s \"$PGDR_T $PGDR_U\"", set, "a b kept");
	/* more messages than a pipe holds, before all output */
	text = output_of("head -c 300000 /dev/zero | tr '\\0' e >&2; "
					 "head -c 3000000 /dev/zero | tr '\\0' o",
					 NULL, &err);
	ok(text != NULL && strlen(text) == 3000000,
	   "neither output nor messages make the other wait");
	error_clear(&err);
	free(text);
}

static void
test_failures(void)
{
	Error err = ERROR_INIT;
	Child *c;
	const char *args[] = {NULL};
	ChildSpec spec = {.program = "/nonexistent/none", .args = args};

	fails("echo first >&2; echo second >&2; exit 3", "exit status 3", "second");
	fails("exit 1", "exit status 1", NULL);
	fails("kill -9 $$", "signal 9", NULL);
	fails("head -c 300000 /dev/zero | tr '\\0' e >&2; echo end >&2; exit 1",
		  "exit status 1", "end");
	ok(!child_start(&spec, &c, &err) && err.code == ERR_CONFIG,
	   "a program that is not there");
	error_clear(&err);
}

static void
test_input(void)
{
	Error err = ERROR_INIT;
	Child *c;
	char *data = mem_zalloc(1000000);

	ok(start("test $(wc -c) = 1000000", true, NULL, &c, &err) &&
		   child_write(c, data, 1000000, &err) && child_end(c, &err),
	   "all that is written arrives: %s", err.message ? err.message : "");
	error_clear(&err);
	ok(start("echo full >&2; exit 2", true, NULL, &c, &err),
	   "one that reads nothing");
	ok(!child_write(c, data, 1000000, &err) && err.code == ERR_SERVER,
	   "is seen to read no more");
	error_clear(&err);
	ok(!child_end(c, &err) && strstr(err.detail, "full") != NULL,
	   "and says why");
	error_clear(&err);
	free(data);
}

static void
test_kill(void)
{
	Error err = ERROR_INIT;
	int64_t begun = clock_monotonic();
	Child *c;

	ok(start("trap '' TERM; exec sleep 60", false, NULL, &c, &err),
	   "one that does not want to end");
	child_kill(c);
	ok(clock_monotonic() - begun < 30 * USECS_PER_SEC, "ends all the same");
	child_kill(NULL);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_output();
	test_failures();
	test_input();
	test_kill();
	return done_testing();
}
