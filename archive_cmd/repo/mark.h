/*-------------------------------------------------------------------------
 *
 * mark.h
 *	  Marks of a backup: small objects that are only added.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MARK_H
#define PGDR_MARK_H

#include "base/json.h"
#include "repo/repo.h"

#define MARK_VERIFIED "verified"     /* {"ok":bool,"deep":bool,"problems":n} */
#define MARK_REMOVING "removing"     /* {"label":text}: it is about to go */
#define MARK_PIN "pin"               /* {"pinned":bool,"until":time} */
#define MARK_HOLD "hold"             /* {"held":bool,"reason":text} */
#define MARK_STANDALONE "standalone" /* {"standalone":true} */

/* backup/<label>/mark/<time>-<kind> with the JSON as content. */
extern bool mark_add(Repo *repo, const char *label, const char *kind,
					 const Json *content, Error *err);

/* The same; *name is that of the object, the caller's, and set on success. */
extern bool mark_put(Repo *repo, const char *label, const char *kind,
					 const Json *content, char **name, Error *err);

/*
 * The newest mark of a kind; its content comes from the metadata, so no key
 * is needed.  *found false if there is none.
 */
extern bool mark_latest(Repo *repo, const char *label, const char *kind,
						bool *found, int64_t *time, Json **content, Error *err);

/* The newest of a kind, with the others of one listing. */
typedef struct MarkFound
{
	const char *kind; /* set by the caller */
	char *name;       /* of the object, NULL: there is none */
	int64_t time;
	Json *content; /* NULL if it could not be read: see problem */
	Error problem;
} MarkFound;

/* False only if they cannot be listed; free them in any case. */
extern bool mark_find(Repo *repo, const char *label, MarkFound *marks,
					  size_t count, Error *err);
extern void mark_found_free(MarkFound *marks, size_t count);

#endif
