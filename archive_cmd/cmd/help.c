/*-------------------------------------------------------------------------
 *
 * help.c
 *	  Help, printed from the tables of commands and options.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/options.h"
#include "cmd/suggest.h"

#define COLUMN 26

static void
help_options(const char *title, const OptionSpec *table)
{
	printf("\n%s\n", title);
	for (; table->name != NULL; table++)
	{
		char *left = table->metavar == NULL
						 ? mem_printf("--%s", table->name)
						 : mem_printf("--%s %s", table->name, table->metavar);

		/* what is too long for its column gets a line of its own */
		if (strlen(left) >= COLUMN)
			printf("  %s\n  %-*s%s", left, COLUMN, "", table->help);
		else
			printf("  %-*s%s", COLUMN, left, table->help);
		printf("%s\n", table->kind == OPTION_LIST ? " (may repeat)" : "");
		free(left);
	}
}

void
help_program(const Command *const *table)
{
	puts("pgdr backs up and recovers PostgreSQL clusters.\n\n"
		 "Usage:\n"
		 "  pgdr [OPTION]... COMMAND [OPTION]... [ARGUMENT]...\n\n"
		 "Commands:");
	for (; *table != NULL; table++)
		printf("  %-*s%s\n", COLUMN, (*table)->name, (*table)->summary);
	help_options("General options:", global_options);
	puts("\n\"pgdr help COMMAND\" tells more of a command.");
}

void
help_command(const Command *command)
{
	printf("pgdr %s: %s\n\nUsage:\n  pgdr %s%s%s%s\n", command->name,
		   command->summary, command->name,
		   command->options != NULL ? " [OPTION]..." : "",
		   command->arguments[0] != '\0' ? " " : "", command->arguments);
	if (command->options != NULL)
		help_options("Options:", command->options);
	help_options("General options:", global_options);
}

const Command *
find_command(const Command *const *table, const char *name)
{
	for (; *table != NULL; table++)
	{
		if (strcmp((*table)->name, name) == 0)
			return *table;
	}
	return NULL;
}

const Command *
nearest_command(const Command *const *table, const char *name)
{
	Suggest s;

	suggest_start(&s, name);
	for (const Command *const *p = table; *p != NULL; p++)
		suggest_offer(&s, (*p)->name);
	return s.best != NULL ? find_command(table, s.best) : NULL;
}
