/*-------------------------------------------------------------------------
 *
 * context.h
 *	  One run of one command: what main.c makes and cmd.h lets commands use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CONTEXT_H
#define PGDR_CONTEXT_H

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/progress_show.h"

struct Context
{
	/* fixed once parsed */
	const Command *command;
	char *program; /* absolute path of this executable */
	OptionSet options;

	/* mutable */
	int status; /* of a command that succeeds */
	bool write_only;
	bool settings_loaded;
	bool keys_loaded;
	Settings settings;
	RepoKeys keys;
	bool set_made;
	RepoSet set;
	const char *current; /* repository that is being worked on, or NULL */
	ProgressShow *progress;
};

extern void context_init(Context *ctx);
extern void context_free(Context *ctx);

/* The common mapping of errors to exit statuses. */
extern int error_exit_status(const Error *err);

#endif
