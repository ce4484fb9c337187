/*-------------------------------------------------------------------------
 *
 * verify_proofs.c
 *	  What was proved of files: that these pieces, in these places, make that
 *	  content.
 *
 * Most files of an incremental backup are the same pieces as in the one before;
 * only those that have changed in between are read.
 *
 *-------------------------------------------------------------------------
 */
#include "job/verify_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Stands for a content in a place, whoever's manifest says so. */
static void
proof_of(const Manifest *m, const ManifestFile *file, uint8_t out[PROOF_LEN])
{
	const ManifestExtent *e = manifest_extents(m, file);
	Sha256 *h = sha256_new();
	uint8_t hash[SHA256_LEN];

	sha256_add(h, file->content, CONTENT_LEN);
	for (uint32_t i = 0; i < file->extent_count; i++)
	{
		const ManifestPack *pack = &m->packs[e[i].pack - 1];
		const char *label = pack->backup != NULL ? pack->backup : m->info.label;
		uint64_t place[3] = {pack->number, e[i].pack_offset, e[i].length};

		sha256_add(h, label, strlen(label) + 1);
		sha256_add(h, place, sizeof(place));
	}
	sha256_final(h, hash);
	sha256_free(h);
	memcpy(out, hash, PROOF_LEN);
	out[0] |= 1; /* never zero, which is a free slot */
}

static size_t
slot_of(const VerifyProofs *p, const uint8_t proof[PROOF_LEN])
{
	static const uint8_t nothing[PROOF_LEN];
	size_t at;

	memcpy(&at, proof + sizeof(at), sizeof(at));
	at &= p->cap - 1;
	while (memcmp(p->slots[at], nothing, PROOF_LEN) != 0 &&
		   memcmp(p->slots[at], proof, PROOF_LEN) != 0)
		at = (at + 1) & (p->cap - 1);
	return at;
}

static void
grow(VerifyProofs *p)
{
	VerifyProofs more = {.cap = p->cap > 0 ? 2 * p->cap : 1024};

	more.slots = mem_zalloc(more.cap * PROOF_LEN);
	for (size_t i = 0; i < p->cap; i++)
	{
		if ((p->slots[i][0] & 1) == 0)
			continue;
		memcpy(more.slots[slot_of(&more, p->slots[i])], p->slots[i], PROOF_LEN);
		more.used++;
	}
	free(p->slots);
	*p = more;
}

/* Without incremental backups nobody asks. */
static bool
is_wanted(const Verify *v)
{
	for (size_t i = 0; i < v->catalog.backup_count; i++)
	{
		if (v->backups[i].selected &&
			v->catalog.backups[i].info.reference_count > 0)
			return true;
	}
	return false;
}

void
verify_prove(Verify *v, const Manifest *manifest, const ManifestFile *file)
{
	VerifyProofs *p = &v->proofs;
	uint8_t proof[PROOF_LEN];

	if (!is_wanted(v))
		return;
	proof_of(manifest, file, proof);
	pthread_mutex_lock(&v->lock);
	if (2 * p->used >= p->cap)
		grow(p);
	p->used += (p->slots[slot_of(p, proof)][0] & 1) == 0;
	memcpy(p->slots[slot_of(p, proof)], proof, PROOF_LEN);
	pthread_mutex_unlock(&v->lock);
}

bool
verify_is_proved(Verify *v, const Manifest *manifest, const ManifestFile *file)
{
	VerifyProofs *p = &v->proofs;
	uint8_t proof[PROOF_LEN];
	bool proved;

	proof_of(manifest, file, proof);
	pthread_mutex_lock(&v->lock);
	proved = p->cap > 0 && (p->slots[slot_of(p, proof)][0] & 1) != 0;
	pthread_mutex_unlock(&v->lock);
	return proved;
}
