/*-------------------------------------------------------------------------
 *
 * verify_internal.h
 *	  What the verify_*.c files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_VERIFY_INTERNAL_H
#define PGDR_VERIFY_INTERNAL_H

#include <pthread.h>

#include "job/verify.h"
#include "repo/object.h"
#include "storage/limit.h"

#define PROOF_LEN 16

typedef enum ItemKind
{
	ITEM_WAL, /* any file of wal/ */
	ITEM_MANIFEST,
	ITEM_PACK,
	ITEM_MAP,
	ITEM_LEASE,
	ITEM_MARK,
	ITEM_QUARANTINED,
	ITEM_NOTE,   /* of what was verified when */
	ITEM_STAGED, /* left by a rewrap that was killed, or in its hands */
	ITEM_STRAY   /* no name of ours */
} ItemKind;

/* A backup of the catalog that is looked at. */
typedef struct VerifyBackup
{
	const CatalogBackup *backup;
	bool selected;   /* complete, and asked for */
	uint64_t errors; /* that concern it; under the lock */
} VerifyBackup;

/* An object of the repository. */
typedef struct VerifyItem
{
	char *name;
	ItemKind kind;
	uint64_t size; /* stored, 0 where the store does not tell */
	WalHome home;  /* of ITEM_WAL */
	WalName wal;
	VerifyBackup *backup;       /* of the others; NULL if not in the catalog */
	uint32_t pack;              /* number of ITEM_PACK, or of its map */
	bool looked_at;             /* by itself */
	bool sound;                 /* it was looked at and is what it should be */
	bool known;                 /* a mark says so: it is passed over */
	bool unsampled;             /* it is passed over by chance */
	bool noted;                 /* a mark of this run says so */
	uint8_t sha256[SHA256_LEN]; /* of its payload, if sound */
} VerifyItem;

/* When the next note of what was verified is due. */
typedef struct VerifyNotes
{
	bool off;        /* not wanted, or they cannot be written */
	bool busy;       /* somebody is writing one */
	int64_t next_at; /* monotonic */
	int64_t wait;    /* after that, until the next */
} VerifyNotes;

/* What files were found to be right, by content and place. */
typedef struct VerifyProofs
{
	uint8_t (*slots)[PROOF_LEN]; /* zeros: free */
	size_t used;
	size_t cap; /* a power of two */
} VerifyProofs;

typedef struct Verify
{
	/* fixed while workers run */
	Repo *repo;
	const VerifyOptions *options;
	Catalog catalog;
	VerifyBackup *backups; /* as those of the catalog */
	VerifyItem *items;     /* sorted by name */
	size_t item_count;
	size_t item_cap;

	Limit *limit; /* of reading, or NULL */

	/* under the lock */
	pthread_mutex_t lock;
	size_t next; /* item, or pack, for a worker to take */
	VerifyResult *out;
	VerifyNotes notes;
	VerifyProofs proofs;
} Verify;

/* Counts and reports; backup (or NULL) is the one that it concerns. */
extern void verify_report(Verify *v, const Problem *problem,
						  VerifyBackup *backup);

/*
 * An error about an object becomes a problem; true if it is that.  Otherwise
 * (the store does not answer, a stop was asked for) *problem moves to *err.
 */
extern bool verify_take_error(Verify *v, Repo *repo, const VerifyItem *item,
							  Error *problem, Error *err);

/* verify_list.c: the objects to look at, and the names that are not ours. */
extern bool verify_list(Verify *v, Error *err);

/* The backups that need this WAL file to become consistent. */
extern bool verify_backup_needs(const VerifyBackup *backup,
								const VerifyItem *item, uint32_t segment_size);

/* Is it to be read in this run? */
static inline bool
verify_wants(const VerifyItem *item)
{
	return !item->known && !item->unsampled;
}

/* Another connection, for a worker; it keeps to the rate. */
extern bool verify_open_again(const Verify *v, Repo **out, Error *err);

/* verify_choice.c: which items are passed over. */
extern bool verify_choose(Verify *v, Error *err);

/*
 * verify_notes.c: notes in the repository of what was verified when.
 * verify_note() writes one if it is due (or there is more to be written at
 * all, with last); what it says of items is read again by the other.
 */
extern void verify_note(Verify *v, Repo *repo, bool last);
extern bool verify_read_notes(Verify *v, Error *err);

/* verify_object.c: each object by itself. */
extern bool verify_objects(Verify *v, Error *err);

/* verify_backup.c: each backup as a whole, and, if deep, its files. */
extern bool verify_backups(Verify *v, Error *err);

/* verify_pack.c: the packs of one backup against its manifest. */
typedef struct VerifyPacks
{
	VerifyBackup *backup;
	const Manifest *manifest;
	VerifyItem *items; /* sorted by number; some may be missing */
	size_t count;
} VerifyPacks;
extern bool verify_packs(Verify *v, const VerifyPacks *packs, Error *err);

/* verify_files.c: what lies elsewhere than whole in a pack of its own. */
extern bool verify_files(Verify *v, VerifyBackup *backup,
						 const Manifest *manifest, Error *err);
extern bool verify_lies_here(const Manifest *manifest,
							 const ManifestFile *file);

/*
 * verify_proofs.c: what was proved of a file holds for all backups that have
 * the same pieces of it, so that each is read once.
 */
extern void verify_prove(Verify *v, const Manifest *manifest,
						 const ManifestFile *file);
extern bool verify_is_proved(Verify *v, const Manifest *manifest,
							 const ManifestFile *file);

/* Was this object looked at by itself, and found not to be right? */
extern bool verify_was_reported(const Verify *v, const char *name);

/* Does a backup that is looked at need this pack of another one? */
extern bool verify_is_referenced(const Verify *v, const VerifyItem *item);

/* verify_wal.c: is the WAL complete? */
extern bool verify_wal(Verify *v, Error *err);

#endif
