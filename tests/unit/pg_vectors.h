/*-------------------------------------------------------------------------
 *
 * pg_vectors.h
 *	  Files that real servers wrote, for the unit tests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PG_VECTORS_H
#define PGDR_PG_VECTORS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The contents of tests/vectors/pg/NAME.zst, or of NAME itself as text; the
 * caller frees.  A file that cannot be read ends the test.
 */
extern uint8_t *vector_load(const char *name, size_t *len);
extern char *vector_text(const char *name);

#endif
