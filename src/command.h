/*-------------------------------------------------------------------------
 *
 * command.h
 *	  One run of the program pgdr, spoken with in JSON.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DR_COMMAND_H
#define DR_COMMAND_H

#include "postgres.h"

#include "utils/jsonb.h"

/*
 * One line that is neither log, progress, error nor result.  Called in a
 * memory context that is emptied afterwards.
 */
typedef void (*DrItemFn)(void *arg, const char *type, Jsonb *item);

typedef struct DrCommand
{
	const char *name;    /* "backup" */
	const char *options; /* JSON object: what is not for argv */
	DrItemFn item;
	void *arg;
} DrCommand;

/*
 * Runs it and returns its result line, in the current memory context.  What
 * it logs is reported as NOTICE and WARNING.  Whatever keeps it from its
 * result is raised as an error; problems that it found are not (they are
 * items).
 */
extern Jsonb *dr_command_run(const DrCommand *command);

#endif
