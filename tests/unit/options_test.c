/*-------------------------------------------------------------------------
 *
 * options_test.c
 *	  Tests of cmd/options and cmd/suggest.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <unistd.h>

#include "cmd/options.h"
#include "cmd/suggest.h"
#include "tap.h"

static const OptionSpec own[] = {{"label", OPTION_TEXT, "TEXT", "a text"},
								 {"dry-run", OPTION_FLAG, NULL, "a flag"},
								 {"keep", OPTION_INT, "N", "a number"},
								 {"map", OPTION_LIST, "OLD=NEW", "a list"},
								 {NULL, OPTION_FLAG, NULL, NULL}};

static Error err;
static OptionSet set;

static bool
parse(char **argv)
{
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	error_clear(&err);
	options_free(&set);
	set.own = own;
	return options_parse(&set, argc, argv, &err);
}

#define PARSE(...) parse((char *[]){__VA_ARGS__, NULL})

/* The words are refused as wrong usage, and this is part of what is said. */
static void
refused(bool parsed, const char *part, const char *what)
{
	ok(!parsed && err.code == ERR_USAGE && err.message != NULL &&
		   (strstr(err.message, part) != NULL ||
			(err.hint != NULL && strstr(err.hint, part) != NULL)),
	   "%s", what);
}

static void
test_words(void)
{
	ok(PARSE("--label", "a", "x", "--dry-run", "--keep=-3", "y"),
	   "options and arguments in any order");
	is_str(options_value(&set, "label", 0), "a", "a value as a word");
	is_str(options_value(&set, "keep", 0), "-3", "a value behind =");
	is_str(options_value(&set, "dry-run", 0), "", "a flag");
	is_str(options_value(&set, "map", 0), NULL, "one that is not given");
	is_int((int64_t) set.argument_count, 2, "two arguments");
	is_str(set.arguments[0], "x", "the first");
	is_str(set.arguments[1], "y", "the second");

	ok(PARSE("--map=a=b", "--map", "c=d"), "a list");
	is_str(options_value(&set, "map", 0), "a=b", "its first value");
	is_str(options_value(&set, "map", 1), "c=d", "its second");
	is_str(options_value(&set, "map", 2), NULL, "and no more");

	ok(PARSE("--label=", "--", "--dry-run", "-x"), "-- ends options");
	is_str(options_value(&set, "label", 0), "", "an empty value is one");
	is_str(options_value(&set, "dry-run", 0), NULL, "a word behind --");
	is_int((int64_t) set.argument_count, 2, "is an argument");

	ok(PARSE("-"), "a dash alone is an argument");
	ok(PARSE("--config", "f", "--output=json", "-h"), "global options");
	is_str(options_value(&set, "config", 0), "f", "config");
	is_str(options_value(&set, "help", 0), "", "-h is --help");
}

static void
test_refused(void)
{
	refused(PARSE("--lable=x"), "--label", "the nearest option is offered");
	refused(PARSE("--dry"), "--dry-run", "for an abbreviation as well");
	refused(PARSE("--zzzzzz"), "unknown", "an option like no other");
	ok(err.hint == NULL, "has no hint");
	refused(PARSE("-n"), "-n", "an unknown short option");
	refused(PARSE("--label"), "needs a value", "a value that is missing");
	refused(PARSE("--dry-run=yes"), "takes no value", "a value too many");
	refused(PARSE("--label=a", "--label=b"), "twice", "an option twice");
	refused(PARSE("--keep=3x"), "integer", "no integer");
	refused(PARSE("--keep="), "integer", "an empty integer");
	refused(PARSE("--keep= 3"), "integer", "a space is no digit");
	refused(PARSE("--keep=99999999999999999999"), "integer", "one too large");
	refused(PARSE("--=x"), "unknown", "an option without a name");
}

static void
test_globals(void)
{
	char *argv[] = {"--config=f", "--repo", "r", "backup", "--label=x", NULL};
	int used = 0;

	error_clear(&err);
	options_free(&set);
	ok(options_parse_globals(&set, 5, argv, &used, &err),
	   "global options before the command");
	is_int(used, 3, "end at the command");
	is_str(options_value(&set, "repo", 0), "r", "and have their values");
	argv[0] = "--label=x";
	options_free(&set);
	refused(options_parse_globals(&set, 5, argv, &used, &err), "come after it",
			"an option of the command comes after it");
}

static bool
json(const char *text)
{
	error_clear(&err);
	options_free(&set);
	set.own = own;
	return options_parse_json(&set, text, strlen(text), &err);
}

static void
test_json(void)
{
	ok(json("{\"label\":\"--dry-run\",\"dry-run\":true,\"keep\":7,"
			"\"map\":[\"a=b\",\"c=d\"],\"arguments\":[\"--x\",\"y\"]}"),
	   "an object");
	is_str(options_value(&set, "label", 0), "--dry-run",
		   "a value is never an option");
	is_str(options_value(&set, "dry-run", 0), "", "a flag");
	is_str(options_value(&set, "keep", 0), "7", "a number");
	is_str(options_value(&set, "map", 1), "c=d", "a list");
	is_str(set.arguments[0], "--x", "an argument is never an option");
	ok(json("{\"dry-run\":false,\"label\":null,\"map\":\"a=b\"}"),
	   "what is not given");
	is_str(options_value(&set, "dry-run", 0), NULL, "a flag that is false");
	is_str(options_value(&set, "label", 0), NULL, "null");
	is_str(options_value(&set, "map", 0), "a=b", "a list of one");
	ok(json("{}"), "nothing");

	refused(json("{\"lable\":\"x\"}"), "--label", "an unknown member");
	refused(json("{\"dry-run\":\"yes\"}"), "true or false", "a text flag");
	refused(json("{\"label\":[\"a\"]}"), "single", "an array for a text");
	refused(json("{\"label\":1.5}"), "string", "a real number");
	refused(json("{\"keep\":\"x\"}"), "integer", "a text for a number");
	refused(json("{\"arguments\":\"x\"}"), "array", "arguments in no array");
	refused(json("{\"arguments\":[1]}"), "strings", "a number as argument");
	refused(json("{\"stdin-options\":true}"), "cannot come", "itself");
	refused(json("[]"), "object", "no object");
	refused(json(""), "object", "nothing at all");
	refused(json("{\"label\":\"a\"} x"), "object", "something behind it");
	refused(json("{\"label\":\"a\",\"label\":\"b\"}"), "object",
			"a member twice");
}

static void
test_fd(void)
{
	int fds[2];

	ok(pipe(fds) == 0 && write(fds[1], "{\"keep\":1}", 10) == 10, "a pipe");
	close(fds[1]);
	error_clear(&err);
	options_free(&set);
	set.own = own;
	ok(options_parse_fd(&set, fds[0], &err), "options come from it");
	is_str(options_value(&set, "keep", 0), "1", "with their values");
	close(fds[0]);
}

static void
test_int(void)
{
	int64_t v = 0;

	error_clear(&err);
	ok(options_int("keep", "64", 1, 64, &v, &err), "the largest");
	is_int(v, 64, "is taken");
	refused(options_int("keep", "65", 1, 64, &v, &err), "65", "one more");
	error_clear(&err);
	refused(options_int("keep", "0", 1, 64, &v, &err), "0", "one less");
}

static const char *
nearest(const char *wrong)
{
	Suggest s;

	suggest_start(&s, wrong);
	suggest_offer(&s, "backup");
	suggest_offer(&s, "restore");
	suggest_offer(&s, "archive-get");
	suggest_offer(&s, "archive-push");
	return s.best;
}

static void
test_suggest(void)
{
	is_str(nearest("bakup"), "backup", "a letter is missing");
	is_str(nearest("bcakup"), "backup", "two are swapped");
	is_str(nearest("restroe"), "restore", "the same");
	is_str(nearest("archive-pull"), "archive-push", "nearest of two");
	is_str(nearest("rest"), "restore", "an abbreviation");
	is_str(nearest("vacuum"), NULL, "something else");
	is_str(nearest(""), NULL, "nothing");
	is_str(nearest("a-word-that-is-longer-than-any-command-there-will-be"),
		   NULL, "something long");
}

int
main(void)
{
	test_words();
	test_refused();
	test_globals();
	test_json();
	test_fd();
	test_int();
	test_suggest();
	options_free(&set);
	error_clear(&err);
	return done_testing();
}
