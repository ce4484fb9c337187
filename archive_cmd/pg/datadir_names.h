/*-------------------------------------------------------------------------
 *
 * datadir_names.h
 *	  What the names in a data directory mean, for the walk through it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_DATADIR_NAMES_H
#define PGDR_DATADIR_NAMES_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ForkKind
{
	FORK_MAIN,
	FORK_FSM,
	FORK_VM,
	FORK_INIT
} ForkKind;

/* "16384_vm.1", or of a temporary relation "t3_16384" */
typedef struct RelationName
{
	bool is_temporary;
	uint32_t number;
	ForkKind fork;
	uint32_t segment;
} RelationName;

extern bool relation_name_parse(const char *name, RelationName *out);

/* A decimal number of 32 bits above 0, without leading zeros. */
extern bool datadir_parse_oid(const char *text, uint32_t *out);

/*
 * Is it left out of a backup?  depth is 0 in the data directory itself, where
 * more names have a meaning.
 */
extern bool datadir_is_left_out(const char *name, int depth);

/* Of these top-level directories only the contents are left out. */
extern bool datadir_is_emptied(const char *name);

/* Does the path lie in a top-level directory that the server writes? */
extern bool datadir_is_servers(const char *path);

/* "global", "base/<oid>", "pg_tblspc/<oid>/PG_<version>/<oid>" */
extern bool datadir_holds_relations(const char *path);

#endif
