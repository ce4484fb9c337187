/*-------------------------------------------------------------------------
 *
 * stamp.h
 *	  Times as names of objects: "20261121T001829.123456Z".
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_STAMP_H
#define PGDR_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_LEN 32         /* room for one, with the NUL */
#define STAMP_SECONDS_LEN 16 /* of one without a fraction: a label */

/* Returns buf (STAMP_LEN bytes). */
extern char *stamp_format(int64_t t, char *buf);

/*
 * *t of the first len bytes, which must be exactly a stamp, with or without
 * the fraction of six digits.
 */
extern bool stamp_parse(const char *text, size_t len, int64_t *t);

#endif
