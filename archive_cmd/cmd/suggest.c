/*-------------------------------------------------------------------------
 *
 * suggest.c
 *	  The known word that is nearest to a wrong one.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/suggest.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 40

static int
min_of(int a, int b)
{
	return a < b ? a : b;
}

/*
 * Edits (insert, remove, replace, swap of neighbours) that make b of a; a
 * large number for words that are too long.
 */
static int
edit_distance(const char *a, const char *b)
{
	int d[WORD_MAX + 1][WORD_MAX + 1];
	int la = (int) strlen(a);
	int lb = (int) strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (int i = 0; i <= la; i++)
		d[i][0] = i;
	for (int j = 0; j <= lb; j++)
		d[0][j] = j;
	for (int i = 1; i <= la; i++)
	{
		for (int j = 1; j <= lb; j++)
		{
			int cost = a[i - 1] != b[j - 1];

			d[i][j] = min_of(d[i - 1][j - 1] + cost,
							 min_of(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = min_of(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[la][lb];
}

void
suggest_start(Suggest *s, const char *wrong)
{
	s->wrong = wrong;
	s->best = NULL;
	/* a third of the word may be wrong; of a short one, a letter */
	s->distance = (int) strlen(wrong) / 3;
	if (s->distance < 1)
		s->distance = 1;
	if (s->distance > 4)
		s->distance = 4;
}

void
suggest_offer(Suggest *s, const char *known)
{
	size_t len = strlen(s->wrong);
	int distance;

	if (len == 0)
		return;
	if (len >= 3 && strncmp(known, s->wrong, len) == 0)
		distance = 0; /* abbreviated */
	else
		distance = edit_distance(s->wrong, known);
	if (distance <= s->distance && (s->best == NULL || distance < s->distance))
	{
		s->best = known;
		s->distance = distance;
	}
}
