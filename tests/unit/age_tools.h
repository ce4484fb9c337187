/*-------------------------------------------------------------------------
 *
 * age_tools.h
 *	  What the tests of the streams share: scratch files, other programs,
 *	  test data, feeding a chain in pieces.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AGE_TOOLS_H
#define PGDR_AGE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/age.h"
#include "stream/stream.h"

/* A scratch directory, made at the first call; scratch_remove() at the end. */
extern const char *scratch_dir(void);
extern void scratch_remove(void);
/* The path of a file there, in one of a few static buffers. */
extern const char *scratch(const char *name);

extern bool put_file(const char *path, const void *data, size_t len);
/* Empties out first. */
extern bool get_file(const char *path, StrBuf *out);

/*
 * Runs a program found on the PATH, its output into out_path (or nowhere),
 * its input from in_path (or nowhere); the exit status, or -1.
 */
extern int run_tool(const char *const argv[], const char *in_path,
					const char *out_path);
/* Its messages go nowhere as well, unless the test wants them. */
extern int run_tool_messages(const char *const argv[], const char *in_path,
							 const char *out_path, const char *err_path);

/*
 * Runs a program on a terminal of its own and types the answer each time it
 * asks a question (a line that stops at ": ").  -1: there are no terminals.
 */
extern int run_on_terminal(const char *const argv[], const char *answer);

/* The same bytes for the same seed: no pattern, or words that compress. */
extern void fill_random(void *data, size_t len, uint64_t seed);
extern void fill_words(void *data, size_t len, uint64_t seed);

/* Writes data in pieces of at most `piece` bytes (0: at once), and finishes. */
extern bool feed(Stage *stage, const void *data, size_t len, size_t piece,
				 Error *err);

extern bool same_bytes(const StrBuf *got, const void *want, size_t len);

/* An identity of our own making; the text is freed by age_secret_free. */
extern AgeIdentities *new_identity(char **text, AgeRecipient *recipient);
extern void add_recipient(AgeRecipients *list, const AgeRecipient *r);

/* A whole age file with an extra stanza (extra may be NULL). */
extern bool make_age_file(const AgeRecipients *to, const char *extra,
						  const void *data, size_t len, StrBuf *out);

#endif
