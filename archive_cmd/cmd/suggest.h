/*-------------------------------------------------------------------------
 *
 * suggest.h
 *	  "Perhaps you meant ...": the known word that is nearest to a wrong one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SUGGEST_H
#define PGDR_SUGGEST_H

typedef struct Suggest
{
	const char *wrong;
	const char *best; /* NULL while none is near enough */
	int distance;
} Suggest;

extern void suggest_start(Suggest *s, const char *wrong);
/* known must live as long as s->best is used. */
extern void suggest_offer(Suggest *s, const char *known);

#endif
