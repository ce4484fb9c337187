/*-------------------------------------------------------------------------
 *
 * verify_choice.c
 *	  Which objects are passed over: those that were verified recently enough,
 *	  and by chance.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

/* FNV-1a, and a finish that spreads it: near names are not chosen alike. */
static double
chance_of(uint64_t seed, const char *name)
{
	uint64_t x = UINT64_C(0xcbf29ce484222325) ^ seed;

	for (; *name != '\0'; name++)
		x = (x ^ (unsigned char) *name) * UINT64_C(0x100000001b3);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (double) (x >> 11) / (double) (UINT64_C(1) << 53);
}

/* Manifests and histories are few, and much depends on each. */
static bool
is_mass(const VerifyItem *item)
{
	return item->kind == ITEM_PACK ||
		   (item->kind == ITEM_WAL && item->wal.kind != WAL_TIMELINE_HISTORY);
}

bool
verify_choose(Verify *v, Error *err)
{
	const VerifyOptions *o = v->options;

	if (o->since > 0 && !verify_read_notes(v, err))
		return false;
	for (size_t i = 0; o->sample > 0 && i < v->item_count; i++)
	{
		VerifyItem *item = &v->items[i];

		item->unsampled = is_mass(item) &&
						  chance_of(o->seed, item->name) >= o->sample;
	}
	return true;
}
