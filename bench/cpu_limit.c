/*-------------------------------------------------------------------------
 *
 * cpu_limit.c
 *	  What the machine can do at best of the CPU work that archiving or
 *	  backing up a file takes, without reading, writing, or anything else:
 *	  hash of the content (XXH3-128), zstd, encryption (ChaCha20-Poly1305 in
 *	  chunks of 64 kB, as age does it), and SHA-256 of what is stored.
 *
 *		cpu_limit THREADS LEVEL ROUNDS FILE...
 *
 * The files are read into memory first.  Each round, the threads share them
 * out in pieces of 16 MB.  Prints a line for each round:
 *
 *		seconds bytes stored
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
#include <zstd.h>

#define AGE_CHUNK 65536
#define FRAME (1024 * 1024)
#define PIECE (16 * 1024 * 1024)

typedef struct Piece
{
	unsigned char *data;
	size_t len;
} Piece;

static Piece *pieces;
static size_t piece_count;
static atomic_size_t next_piece;
static atomic_ullong stored;
static int level;

static void
fail(const char *what)
{
	fprintf(stderr, "cpu_limit: %s\n", what);
	exit(1);
}

/* Adds a file, cut in pieces; returns its length. */
static size_t
load(const char *path)
{
	FILE *in = fopen(path, "rb");
	unsigned char *data;
	struct stat st;
	size_t len;

	if (in == NULL || fstat(fileno(in), &st) != 0)
		fail(path);
	len = (size_t) st.st_size;
	data = malloc(len + 1);
	pieces = realloc(pieces, (piece_count + len / PIECE + 1) * sizeof(Piece));
	if (data == NULL || pieces == NULL || fread(data, 1, len, in) != len)
		fail(path);
	fclose(in);
	for (size_t at = 0; at < len; at += PIECE)
	{
		pieces[piece_count].data = data + at;
		pieces[piece_count++].len = len - at < PIECE ? len - at : PIECE;
	}
	return len;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* Encrypts in place, chunk after chunk; returns the length with the tags. */
static size_t
seal(unsigned char *out, const unsigned char *in, size_t len)
{
	static const unsigned char key[crypto_aead_chacha20poly1305_IETF_KEYBYTES];
	unsigned char nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};
	size_t total = 0;

	for (size_t at = 0; at < len; at += AGE_CHUNK)
	{
		size_t part = len - at < AGE_CHUNK ? len - at : AGE_CHUNK;
		unsigned long long sealed;

		sodium_increment(nonce, sizeof(nonce));
		crypto_aead_chacha20poly1305_ietf_encrypt(
			out + total, &sealed, in + at, part, NULL, 0, NULL, nonce, key);
		total += sealed;
	}
	return total;
}

/* Level 1 as pgdr has it (stream/zstd.c): the same work, and no less. */
static ZSTD_CCtx *
new_compressor(void)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	if (level == 1)
	{
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_minMatch, 5);
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, 12);
	}
	return zstd;
}

static size_t
compress_piece(ZSTD_CCtx *zstd, unsigned char *out, size_t room,
			   const Piece *piece)
{
	size_t total = 0;

	for (size_t at = 0; at < piece->len; at += FRAME)
	{
		size_t part = piece->len - at < FRAME ? piece->len - at : FRAME;
		size_t len = ZSTD_compress2(zstd, out + total, room - total,
									piece->data + at, part);

		if (ZSTD_isError(len))
			fail(ZSTD_getErrorName(len));
		total += len;
	}
	return total;
}

static size_t
room_for(size_t len)
{
	return (len / FRAME + 1) * ZSTD_compressBound(FRAME);
}

static void *
work(void *arg)
{
	ZSTD_CCtx *zstd = new_compressor();
	XXH3_state_t *hash = XXH3_createState();
	unsigned char secret[192] = {1};
	unsigned char *packed = NULL;
	unsigned char *sealed = NULL;
	size_t room = 0;

	for (;;)
	{
		size_t i = atomic_fetch_add(&next_piece, 1);
		unsigned char digest[EVP_MAX_MD_SIZE];
		size_t len;

		if (i >= piece_count)
			break;
		if (room_for(pieces[i].len) > room)
		{
			room = room_for(pieces[i].len);
			packed = realloc(packed, room);
			sealed = realloc(sealed, room + room / 64 + AGE_CHUNK);
			if (packed == NULL || sealed == NULL)
				fail("out of memory");
		}
		XXH3_128bits_reset_withSecret(hash, secret, sizeof(secret));
		XXH3_128bits_update(hash, pieces[i].data, pieces[i].len);
		XXH3_128bits_digest(hash);
		len = compress_piece(zstd, packed, room, &pieces[i]);
		len = seal(sealed, packed, len);
		EVP_Digest(sealed, len, digest, NULL, EVP_sha256(), NULL);
		atomic_fetch_add(&stored, len);
	}
	free(packed);
	free(sealed);
	XXH3_freeState(hash);
	ZSTD_freeCCtx(zstd);
	return arg;
}

static void
one_round(int threads, size_t bytes)
{
	pthread_t *ids = calloc((size_t) threads, sizeof(*ids));
	double start = now();

	if (ids == NULL)
		fail("out of memory");
	atomic_store(&next_piece, 0);
	atomic_store(&stored, 0);
	for (int i = 0; i < threads; i++)
	{
		if (pthread_create(&ids[i], NULL, work, NULL) != 0)
			fail("could not create a thread");
	}
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%.6f %zu %llu\n", now() - start, bytes, atomic_load(&stored));
	free(ids);
}

int
main(int argc, char **argv)
{
	size_t bytes = 0;

	if (argc < 5 || sodium_init() < 0)
		fail("usage: cpu_limit THREADS LEVEL ROUNDS FILE...");
	level = (int) strtol(argv[2], NULL, 10);
	for (int i = 4; i < argc; i++)
		bytes += load(argv[i]);
	for (long round = strtol(argv[3], NULL, 10); round > 0; round--)
		one_round((int) strtol(argv[1], NULL, 10), bytes);
	return 0;
}
