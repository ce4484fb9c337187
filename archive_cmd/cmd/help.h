/*-------------------------------------------------------------------------
 *
 * help.h
 *	  Help, printed from the tables of commands and options.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_HELP_H
#define PGDR_HELP_H

#include "cmd/cmd.h"

/* table ends with NULL; for --help alone. */
extern void help_program(const Command *const *table);
extern void help_command(const Command *command);

/* The command of that name, or NULL. */
extern const Command *find_command(const Command *const *table,
								   const char *name);

/* The command that the name was probably meant to be, or NULL. */
extern const Command *nearest_command(const Command *const *table,
									  const char *name);

#endif
