/*-------------------------------------------------------------------------
 *
 * age.h
 *	  The age v1 file format, by libsodium (included by age*.c only):
 *	  X25519 recipients, scrypt passphrases, and extra stanzas of our own.
 *
 * Secrets live in sodium_malloc'ed memory and are wiped at the last use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_AGE_H
#define PGDR_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "stream/stream.h"

#define AGE_CHUNK 65536 /* plaintext bytes of a chunk */
#define AGE_TAG 16      /* bytes added to each chunk */
#define AGE_NONCE 16    /* bytes before the first chunk */
#define AGE_HEADER_MAX (1024 * 1024)

/* Call once before anything else; ERR_INTERNAL if libsodium cannot start. */
extern bool age_init(Error *err);

/* ---- keys ---- */

typedef struct AgeRecipient
{
	uint8_t key[32]; /* X25519 public key */
} AgeRecipient;

typedef struct AgeRecipients
{
	AgeRecipient *items;
	size_t count;
	size_t cap;
} AgeRecipients;

typedef struct AgeIdentities AgeIdentities; /* secret keys, locked memory */

/* "age1..."; ERR_CONFIG if it is not a valid recipient. */
extern bool age_recipient_add(AgeRecipients *list, const char *text,
							  Error *err);
/* Writes "age1..." (63 bytes with the NUL). */
#define AGE_RECIPIENT_TEXT 63
extern void age_recipient_text(const AgeRecipient *r, char *out);
/*
 * The beginning of that, by which people and metadata name a key: enough to
 * tell keys apart, and not to be mistaken for one.
 */
#define AGE_KEY_ID_LEN 16
extern void age_key_id(const AgeRecipient *r, char out[AGE_KEY_ID_LEN + 1]);
extern void age_recipients_free(AgeRecipients *list);

extern AgeIdentities *age_identities_new(void);
extern void age_identities_free(AgeIdentities *ids);
extern size_t age_identities_count(const AgeIdentities *ids);
extern void age_identity_recipient(const AgeIdentities *ids, size_t i,
								   AgeRecipient *out);
/* Of the comment "# created:" before it; microseconds, 0 if there is none. */
extern int64_t age_identity_created(const AgeIdentities *ids, size_t i);

/*
 * Adds the identities of an identity file's text ("AGE-SECRET-KEY-1..." lines,
 * "#" comments, blank lines).  ERR_KEY if a line is neither or there is none.
 * The text of a secret is never part of an error.
 */
extern bool age_identities_add_text(AgeIdentities *ids, const char *text,
									size_t len, Error *err);

/*
 * Adds the identities of a file: plain text as above, or an age file
 * encrypted with a passphrase (binary or armored PEM is told from content;
 * armor is not accepted).  get_passphrase is called only in that case; it
 * returns a NUL-terminated string in memory that the callee wipes and frees
 * with sodium_free, or NULL with *err set.  The file must not be readable by
 * group or others.
 */
typedef char *(*AgePassphraseFn)(void *arg, Error *err);
extern bool age_identities_add_file(AgeIdentities *ids, const char *path,
									AgePassphraseFn fn, void *arg, Error *err);

/*
 * The bytes of that file with more identities behind its own, encrypted with
 * the same passphrase if it is encrypted.  The buffer may hold secrets: wipe
 * it.  *count is how many identities it has then.
 */
extern bool age_identity_file_extend(const char *path, const char *more,
									 AgePassphraseFn fn, void *arg, StrBuf *out,
									 size_t *count, Error *err);

/* A passphrase from a file of mode 0600: its first line, in locked memory. */
extern char *age_passphrase_from_file(const char *path, Error *err);
/* The same from a string, which stays the caller's; NULL: no memory. */
extern char *age_passphrase_from_string(const char *s);

/*
 * Makes a new key; *text is the identity file's text (with "# created" and
 * "# public key" comments) in sodium_malloc'ed memory: age_secret_free().
 */
extern bool age_identity_generate(char **text, AgeRecipient *public_key,
								  Error *err);
extern void age_secret_free(void *secret);

/* ---- headers ---- */

/*
 * What encrypts the payload.  age itself knows the first alone; the other is
 * our own, with a version line of its own (doc/repository-format.md), and
 * stock age refuses it.
 */
typedef enum AgeCipher
{
	AGE_CHACHA20_POLY1305,
	AGE_AES_256_GCM
} AgeCipher;

typedef struct AgeStanza
{
	char *type;  /* first argument */
	char **args; /* the others */
	size_t nargs;
	uint8_t *body;
	size_t body_len;
} AgeStanza;

typedef struct AgeHeader
{
	AgeCipher cipher;
	AgeStanza *stanzas;
	size_t count;
	size_t mac_offset; /* bytes the MAC covers: up to and with "---" */
	uint8_t mac[32];
	size_t len; /* bytes of the whole header */
} AgeHeader;

/*
 * Parses a header at the start of data.  ERR_DAMAGED if the grammar is not
 * met; *need_more = true (and false returned, err unset) if data ends before
 * the header does.
 */
extern bool age_header_parse(const uint8_t *data, size_t len, AgeHeader *out,
							 bool *need_more, Error *err);
extern const AgeStanza *age_header_find(const AgeHeader *h, const char *type);
extern void age_header_free(AgeHeader *h);

/* The file key: 16 bytes in locked memory. */
typedef struct AgeFileKey AgeFileKey;
extern void age_file_key_free(AgeFileKey *key); /* NULL is fine */

/*
 * Finds the file key with an identity and checks the header's MAC (data is
 * the header's bytes).  ERR_KEY: none of the identities is a recipient;
 * ERR_DAMAGED: the MAC or a stanza for us is wrong.  NULL on error.
 */
extern AgeFileKey *age_unwrap(const AgeHeader *h, const uint8_t *data,
							  const AgeIdentities *ids, Error *err);
/* The same for a file encrypted with a passphrase (work factor up to 2^22). */
extern AgeFileKey *age_unwrap_passphrase(const AgeHeader *h,
										 const uint8_t *data,
										 const char *passphrase, Error *err);

/* ---- writing ---- */

typedef struct AgeWriter AgeWriter;

/*
 * A new file for the recipients, with an extra stanza of type extra_type (may
 * be NULL) whose body of extra_len bytes is given at the end.  All recipients
 * can read; their order is kept.
 */
extern AgeWriter *age_writer_new(const AgeRecipients *recipients,
								 const char *extra_type, size_t extra_len,
								 Error *err);
/* The same with AES-256-GCM. */
extern AgeWriter *age_writer_new_aes(const AgeRecipients *recipients,
									 const char *extra_type, size_t extra_len,
									 Error *err);
/*
 * The header alone of a file that is there: the same file key for other
 * recipients, so that the payload stays as it is.  key stays the caller's.
 */
extern AgeWriter *age_writer_rewrap(const AgeFileKey *key,
									const AgeRecipients *recipients,
									const char *extra_type, size_t extra_len,
									Error *err);
/* A file for one passphrase; log_n is the scrypt work factor (18). */
extern AgeWriter *age_writer_new_passphrase(const char *passphrase, int log_n,
											Error *err);
/* Bytes of the header: known from the start. */
extern size_t age_writer_header_len(const AgeWriter *w);
/* Writes the header into out; extra is the body promised above. */
extern bool age_writer_header(AgeWriter *w, const void *extra, uint8_t *out,
							  Error *err);
/* The payload: the nonce, then the chunks.  w must outlive the stage. */
extern Stage *stage_age_encrypt(AgeWriter *w, Stage *next);
extern void age_writer_free(AgeWriter *w);

/* ---- reading ---- */

/*
 * The payload from its first byte (the nonce) to its end.  Plaintext goes on
 * chunk by chunk as it authenticates: publish nothing before finish, which
 * fails if the last chunk was not marked as the last (truncation).  key must
 * outlive the stage.
 */
extern Stage *stage_age_decrypt(const AgeFileKey *key, Stage *next);

/*
 * A part of a payload: nonce is its first 16 bytes; the input begins at chunk
 * first_chunk (payload offset 16 + first_chunk * 65552).  The caller ends the
 * input at a chunk's end, or at the end of the payload.  A range without any
 * chunk is ERR_DAMAGED.
 */
extern Stage *stage_age_decrypt_range(const AgeFileKey *key,
									  const uint8_t nonce[AGE_NONCE],
									  uint64_t first_chunk, Stage *next);

/* A whole small age file in memory, both ways; for keys and passphrases. */
extern bool age_encrypt_buffer(const AgeRecipients *recipients,
							   const void *data, size_t len, StrBuf *out,
							   Error *err);
extern bool age_decrypt_buffer(const AgeIdentities *ids, const void *data,
							   size_t len, StrBuf *out, Error *err);
extern bool age_encrypt_buffer_passphrase(const char *passphrase, int log_n,
										  const void *data, size_t len,
										  StrBuf *out, Error *err);

#endif
