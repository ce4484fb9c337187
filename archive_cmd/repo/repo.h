/*-------------------------------------------------------------------------
 *
 * repo.h
 *	  A repository: its repo.json, its keys, and the names of what is in it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_REPO_H
#define PGDR_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "common/wal_name.h"
#include "storage/storage.h"
#include "stream/age.h"
#include "stream/hash.h"

#define REPO_FORMAT 1
#define REPO_JSON "repo.json"

/*
 * What this host holds.  Read-only once loaded, so that all threads share it.
 * No recipients: the repository is not encrypted.  No identities: this host
 * can write and check, but not read.
 */
typedef struct RepoKeys
{
	AgeRecipients recipients;
	AgeIdentities *identities; /* NULL if none */
	bool has_content_key;
	uint8_t content_key[CONTENT_KEY_LEN];
} RepoKeys;

extern void repo_keys_free(RepoKeys *keys);

typedef struct RepoOptions
{
	StorageOptions storage; /* storage.repo is the repository's name */
	const char *cluster;    /* must equal what repo.json says */
	int compress_level;
	AgeCipher cipher; /* of what is written, if it is encrypted */
	bool compress_long;
	struct ZstdPace *pace; /* whose level changes (stream/zstd_pace.h), or
							* NULL; the caller's */
	const RepoKeys *keys;
} RepoOptions;

typedef struct Repo
{
	Storage *storage;
	RepoOptions options; /* texts and keys stay the caller's */
	bool blind;          /* the store lets us write but not read, so that
						  * id and created are not known */
	char id[33];         /* of repo.json, hex; "" if blind */
	bool encrypted;
	bool root_lacks; /* some recipient of ours cannot open the content key
						* in repo.json: rotated, and not rewrapped */
	int64_t created;
	bool has_content;   /* the content key is known */
	ContentKey content; /* for content_hash_new() */
	uint8_t content_key[CONTENT_KEY_LEN];
	uint8_t mac_key[SHA256_LEN]; /* of the metadata's MAC */
} Repo;

/*
 * Writes repo.json of a new repository (the directory may exist, but must be
 * empty).  ERR_EXISTS if there is one already.  keys must hold the content
 * key, and recipients unless the repository is to be unencrypted.
 */
extern bool repo_create(const RepoOptions *options, Error *err);

/*
 * Writes repo.json where it has been lost, among the objects that are there:
 * with a new id.
 */
extern bool repo_create_again(const RepoOptions *options, Error *err);

/*
 * Opens and checks repo.json: ERR_CONFIG if there is no repository (with a
 * hint to pgdr init), ERR_DAMAGED if it is not intact, ERR_UNSUPPORTED if its
 * format is newer, ERR_MISMATCH if it belongs to another cluster or the
 * content key or the recipients are not its own.  The content key is taken
 * from keys, else opened with an identity, else unknown.
 *
 * A store that does not let us read is opened all the same if keys has the
 * content key: what is written there is what keys and options say.
 */
extern bool repo_open(const RepoOptions *options, Repo **out, Error *err);

/*
 * Writes repo.json anew, with the content key encrypted for these recipients:
 * staged, verified, and then in the place of the one that is there.
 * *changed: were they others before?
 */
extern bool repo_rewrap_root(Repo *repo, const AgeRecipients *recipients,
							 bool *changed, Error *err);
/* The same for these besides those that it is for now. */
extern bool repo_widen_root(Repo *repo, const AgeRecipients *more,
							bool *changed, Error *err);

/* Another connection to the same, for another thread. */
extern bool repo_open_again(const Repo *repo, Repo **out, Error *err);
extern void repo_close(Repo *repo); /* NULL is fine */

/* Which cluster's WAL: the directory wal/<sysid>-<major>. */
typedef struct WalHome
{
	uint64_t sysid;
	int major;
} WalHome;

/* Names in the repository; caller frees. */
extern char *repo_wal_dir(const WalHome *home);
extern char *repo_wal_name(const WalHome *home, const WalName *wal);
extern char *repo_timeline_dir(const WalHome *home, uint32_t timeline);
extern char *repo_backup_dir(const char *label);
extern char *repo_manifest_name(const char *label);
extern char *repo_pack_name(const char *label, uint32_t pack);
extern char *repo_map_name(const char *label, uint32_t pack);
extern char *repo_lease_dir(const char *label);
extern char *repo_mark_dir(const char *label);

/* Is this text a label ("20261121T001829Z", with "-2" ... if taken)? */
extern bool repo_label_ok(const char *label);

/* Each WalHome under wal/; caller frees *out. */
extern bool repo_list_homes(Repo *repo, WalHome **out, size_t *count,
							Error *err);

#endif
