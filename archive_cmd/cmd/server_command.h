/*-------------------------------------------------------------------------
 *
 * server_command.h
 *	  Commands as the server runs them, and values as its settings want them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SERVER_COMMAND_H
#define PGDR_SERVER_COMMAND_H

#include "cmd/cmd.h"

/*
 * The archive_command that runs this program with that configuration file:
 * words quoted for the shell, "%" doubled for the server; caller frees.
 */
extern char *make_archive_command(const Context *ctx, const char *config_file);

/* In single quotes as postgresql.conf wants it; caller frees. */
extern char *quote_setting(const char *value);

#endif
