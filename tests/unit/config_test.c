/*-------------------------------------------------------------------------
 *
 * config_test.c
 *	  Tests of archive_cmd/base/config.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/config.h"
#include "base/file.h"
#include "base/mem.h"

static char path[200];

static bool
read_text(const char *text, Config *cfg, Error *err)
{
	Error why = ERROR_INIT;

	if (!file_write_durable(path, text, strlen(text), 0600, true, &why))
	{
		ok(false, "could not write: %s", why.message);
		error_clear(&why);
	}
	return config_read_file(path, cfg, err);
}

static void
test_values(void)
{
	static const struct
	{
		const char *text;
		const char *value;
	} cases[] = {
		{"[a]\nk = v\n", "v"},
		{"[a]\nk=v", "v"},
		{"\xef\xbb\xbf[a]\r\nk = v \r\n", "v"},
		{"[a] ; about\nk = two words\n", "two words"},
		{"[a]\nk = v ; a comment\n", "v"},
		{"[a]\nk = a;b\n", "a;b"},
		{"[a]\nk = a # b\n", "a # b"},
		{"[a]\nk = #b\n", "#b"},
		{"[a]\nk = ;b\n", ""},
		{"[a]\nk =\n", ""},
		{"[a]\nk = \"q\"\n", "\"q\""},
		{"[a]\nk = host=/tmp port=1\n", "host=/tmp port=1"},
		{"[a]\nk : v\n", "v"},
		{"; c\n# c\n\n[a]\n  k = indented\n", "indented"},
		{"[a]\nk = 1\n[b]\nk = 2\n[a]\nk = 3\n", "3"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Config cfg;
		Error err = ERROR_INIT;

		ok(read_text(cases[i].text, &cfg, &err), "case %zu is read", i);
		is_str(config_get(&cfg, "a", "k"), cases[i].value, "... its value");
		config_free(&cfg);
		error_clear(&err);
	}
}

static void
test_order_and_source(void)
{
	Config cfg;
	Error err = ERROR_INIT;
	char *source = mem_printf("%s:4", path);

	ok(read_text("[a]\nr = 1\n\nr = 2\n[repo:x]\n  s = 3\n  t = 4\n", &cfg,
				 &err),
	   "keys that repeat");
	is_int((int64_t) cfg.count, 4, "... are all kept");
	is_str(cfg.entries[0].value, "1", "... in order");
	is_str(cfg.entries[1].value, "2", "... of the file");
	is_str(cfg.entries[1].source, source, "an entry knows its line");
	is_str(cfg.entries[2].value, "3", "an indented line continues nothing");
	is_str(config_get(&cfg, "repo:x", "t"), "4", "... nor does the next");
	ok(config_get(&cfg, "a", "s") == NULL, "absent in that section");
	config_free(&cfg);
	free(source);
}

static void
test_refused(void)
{
	static const struct
	{
		const char *text;
		int line;
	} cases[] = {
		{"k = v\n", 1},
		{"\n; c\nk = v\n[a]\n", 3},
		{"[a]\nnonsense\n", 2},
		{"[a\nk = v\n", 1},
		{"[]\nk = v\n", 1},
		{"[a] junk\nk = v\n", 1},
		{"[a]\nk = v\n= v\n", 3},
		{"[a]\nk = 1\n  more\n", 3},
		{"[a]\nx = 1\n\nbad\nworse\n", 4},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Config cfg;
		Error err = ERROR_INIT;
		char *where = mem_printf("%s:%d: ", path, cases[i].line);

		ok(!read_text(cases[i].text, &cfg, &err), "case %zu is refused", i);
		is_int(err.code, ERR_CONFIG, "... as configuration");
		ok(err.message && strncmp(err.message, where, strlen(where)) == 0,
		   "... with its line");
		ok(cfg.count == 0 && cfg.entries == NULL, "... nothing is kept");
		free(where);
		error_clear(&err);
	}
}

static void
test_long_line(void)
{
	Config cfg;
	Error err = ERROR_INIT;
	StrBuf text = STRBUF_INIT;

	strbuf_puts(&text, "[a]\n");
	strbuf_printf(&text, "k = %0*d\n", CONFIG_LINE_MAX - 4, 1);
	strbuf_puts(&text, "l = 2\n");
	ok(read_text(text.data, &cfg, &err), "the longest line");
	is_int((int64_t) strlen(config_get(&cfg, "a", "k")), CONFIG_LINE_MAX - 4,
		   "... is whole");
	is_str(config_get(&cfg, "a", "l"), "2", "... and so is the next");
	config_free(&cfg);

	strbuf_reset(&text);
	strbuf_puts(&text, "[a]\n");
	strbuf_printf(&text, "k = %0*d\n", CONFIG_LINE_MAX - 3, 1);
	ok(!read_text(text.data, &cfg, &err), "a byte more");
	ok(err.code == ERR_CONFIG && strstr(err.message, ":2: ") != NULL,
	   "... is refused with its line");
	error_clear(&err);

	strbuf_reset(&text);
	strbuf_printf(&text, "[%0*d]\nk = v\n", 49, 1);
	ok(read_text(text.data, &cfg, &err), "the longest section");
	config_free(&cfg);
	strbuf_reset(&text);
	strbuf_printf(&text, "[%0*d]\nk = v\n", 50, 1);
	ok(!read_text(text.data, &cfg, &err), "a longer section is refused");
	error_clear(&err);
	strbuf_free(&text);
}

static void
test_no_file(void)
{
	Config cfg;
	Error err = ERROR_INIT;

	unlink(path);
	ok(!config_read_file(path, &cfg, &err), "an absent file");
	is_int(err.code, ERR_CONFIG, "... is configuration, not absence");
	error_clear(&err);

	ok(file_write_durable(path, "[a]\nk = \0v\n", 11, 0600, true, &err),
	   "write");
	ok(!config_read_file(path, &cfg, &err), "a file with a NUL");
	is_int(err.code, ERR_CONFIG, "... is refused");
	error_clear(&err);
}

static void
test_environment(void)
{
	static const char *const keys[] = {"path", "some-key", "other"};
	Config cfg;
	Error err = ERROR_INIT;

	ok(read_text("[repo:off-site]\npath = 1\npath = 2\nother = 3\n", &cfg,
				 &err),
	   "a file");
	setenv("PGDR_REPO_OFF_SITE_PATH", "/env", 1);
	setenv("PGDR_REPO_OFF_SITE_SOME_KEY", "", 1);
	config_apply_environment(&cfg, "repo:off-site", keys, 3);
	is_str(config_get(&cfg, "repo:off-site", "path"), "/env",
		   "the environment wins");
	is_str(config_get(&cfg, "repo:off-site", "some-key"), "", "empty is set");
	is_str(config_get(&cfg, "repo:off-site", "other"), "3", "not named");
	is_int((int64_t) cfg.count, 3, "... in place of every one in the file");
	is_str(cfg.entries[1].source, "environment", "its source");

	config_add(&cfg, "repo:off-site", "path", cfg.entries[0].value, "x", true);
	is_str(config_get(&cfg, "repo:off-site", "path"), "3",
		   "a value may come from the configuration itself");
	config_free(&cfg);
	ok(config_get(&cfg, "repo:off-site", "path") == NULL, "freed");
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(path, sizeof(path), "%s/pgdr-config-XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	test_values();
	test_order_and_source();
	test_refused();
	test_long_line();
	test_no_file();
	test_environment();
	unlink(path);
	return done_testing();
}
