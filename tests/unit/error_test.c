/*-------------------------------------------------------------------------
 *
 * error_test.c
 *	  Tests of archive_cmd/base/error.h.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

static void
test_first_wins(void)
{
	Error err = ERROR_INIT;

	ok(!error_is_set(&err), "a new error is not set");
	ok(!error_detail(&err, "Nothing."), "detail of no error is dropped");
	ok(err.detail == NULL, "... and leaves nothing");
	ok(!error_prefix(&err, "doing"), "so is a prefix");
	ok(err.message == NULL, "... and leaves nothing");

	ok(!error_set(&err, ERR_DAMAGED, "bad object \"%s\"", "a"),
	   "error_set returns false");
	error_detail(&err, "One %d.", 1);
	error_detail(&err, "Two.");
	error_hint(&err, "Look.");
	error_set(&err, ERR_IO, "could not clean up");
	error_detail(&err, "Of the clean-up.");
	error_hint(&err, "Of the clean-up.");
	is_int(err.code, ERR_DAMAGED, "the first error wins");
	is_str(err.message, "bad object \"a\"", "... with its message");
	is_str(err.detail, "One 1. Two.", "details are added up, its own only");
	is_str(err.hint, "Look.", "... and hints");
	error_prefix(&err, "segment %d", 7);
	is_str(err.message, "segment 7: bad object \"a\"", "prefix");
	error_clear(&err);
	ok(!error_is_set(&err) && err.message == NULL && !err.shadowed, "cleared");
	error_clear(&err);
	ok(!error_is_set(&err), "cleared twice");
}

static void
test_one_line(void)
{
	Error err = ERROR_INIT;

	error_set(&err, ERR_SERVER, "%s", "FATAL:  no\nDETAIL:  really\r\n");
	is_str(err.message, "FATAL:  no DETAIL:  really", "a message is one line");
	error_clear(&err);
}

static void
test_errno(void)
{
	static const struct
	{
		int errnum;
		ErrCode code;
		bool transient;
	} cases[] = {
		{ENOENT, ERR_NOT_FOUND, false}, {ENOSPC, ERR_FULL, false},
		{EDQUOT, ERR_FULL, false},      {EACCES, ERR_DENIED, false},
		{EPERM, ERR_DENIED, false},     {EROFS, ERR_DENIED, false},
		{EEXIST, ERR_EXISTS, false},    {EIO, ERR_IO, false},
		{ENOTDIR, ERR_IO, false},       {ECONNREFUSED, ERR_IO, true},
		{EAGAIN, ERR_IO, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Error err = ERROR_INIT;

		error_set_errno(&err, cases[i].errnum, "could not do");
		is_int(err.code, cases[i].code, strerror(cases[i].errnum));
		is_int(err.transient, cases[i].transient, "... is it transient");
		error_clear(&err);
	}
}

static void
test_errno_text(void)
{
	Error err = ERROR_INIT;

	error_set_errno(&err, ENOENT, "could not open \"%s\"", "x");
	is_str(err.message, "could not open \"x\": No such file or directory",
		   "the system's text is appended");
	error_clear(&err);
}

static void
test_move(void)
{
	Error a = ERROR_INIT;
	Error b = ERROR_INIT;

	error_set(&b, ERR_KEY, "no key");
	error_move(&a, &b);
	is_str(a.message, "no key", "moved");
	ok(!error_is_set(&b), "the source is empty");

	error_set(&b, ERR_IO, "later");
	error_move(&a, &b);
	is_int(a.code, ERR_KEY, "a move does not replace");
	ok(!error_is_set(&b) && b.message == NULL, "... but clears the source");
	error_detail(&a, "Of what was dropped.");
	ok(a.detail == NULL, "... and its detail");
	error_clear(&a);

	error_set(&a, ERR_KEY, "no key");
	error_move(&a, &b);
	error_detail(&a, "Fits.");
	is_str(a.detail, "Fits.", "moving nothing shadows nothing");
	error_clear(&a);
}

static void
test_names(void)
{
	is_str(error_code_name(ERR_NONE), "none", "name of the first");
	is_str(error_code_name(ERR_NOT_FOUND), "not_found", "name of one");
	is_str(error_code_name(ERR_INTERNAL), "internal", "name of the last");
	is_str(error_code_name((ErrCode) 99), "unknown", "name of no code");
	for (int i = 0; i <= ERR_INTERNAL; i++)
		ok(error_code_name((ErrCode) i) != NULL, "code %d has a name", i);
}

int
main(void)
{
	test_first_wins();
	test_one_line();
	test_errno();
	test_errno_text();
	test_move();
	test_names();
	return done_testing();
}
