/*-------------------------------------------------------------------------
 *
 * tmpdir.h
 *	  A scratch directory for a unit test.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_TMPDIR_H
#define PGDR_TMPDIR_H

/* A new directory below $TMPDIR, or the end of the process; caller frees. */
extern char *tmpdir_make(const char *prefix);
/* Removes it with all that is in it. */
extern void tmpdir_remove(const char *path);

#endif
