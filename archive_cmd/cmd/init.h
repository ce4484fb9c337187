/*-------------------------------------------------------------------------
 *
 * init.h
 *	  What the parts of "pgdr init" share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_INIT_H
#define PGDR_INIT_H

#include "cmd/cmd.h"
#include "pg/control.h"

/* What is to be made; texts are owned here. */
typedef struct Init
{
	/* from the options */
	char *config_file;
	char *config_dir;
	char *pgdata;
	char *repo_path;
	char *spool_path; /* or NULL */
	const char *cluster;
	const char *repo_name;
	const char *connection; /* "" by default */
	char *passphrase_file;  /* or NULL */
	bool encrypt;

	/* made or found */
	PgControl control;
	char *identity_file;
	char *content_key_file;
	char recipient[AGE_RECIPIENT_TEXT];
	int64_t key_created;   /* 0: not known */
	bool key_was_there;    /* an identity of an earlier run is used */
	bool repo_was_there;   /* made by an earlier run, with this key */
	bool repo_made;        /* by this run or that one */
	bool config_was_there; /* and says what this run would write */
} Init;

/* Refuses places that would not do; ERR_USAGE, ERR_CONFIG, ERR_EXISTS. */
extern bool init_check_places(const Init *init, Error *err);

/*
 * Key, repository, configuration, in this order: the configuration is what
 * makes the rest used.  Nothing that exists is changed.  What a run that was
 * killed left behind is taken up where it fits, so that the same command
 * again completes it; a run that fails before there is a repository takes its
 * keys back.
 */
extern bool init_make(Init *init, Error *err);

typedef struct InitServer
{
	char *archive_command;
	bool applied;
	bool restart_needed;
} InitServer;

/* Sets what is needed over the connection; changes nothing on failure. */
extern bool init_apply(const Init *init, InitServer *server, Error *err);

#endif
