/*-------------------------------------------------------------------------
 *
 * page_limit.c
 *	  What an incremental backup cannot do without: the pages that changed,
 *	  compressed, and the reading and hashing of all files.
 *
 *		page_limit changed OLD NEW LEVEL
 *			Compares the blocks of the files below NEW with those of the same
 *			name below OLD.  Prints: blocks, changed ones, bytes of the changed
 *			ones in one zstd frame.
 *		page_limit hash THREADS DIRECTORY...
 *			Reads and hashes (XXH3-128) all files below.  Prints: seconds, bytes.
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
#include <zstd.h>

#define BLOCK 8192
#define PIECE ((off_t) 16 * 1024 * 1024)
#define BUFFER (256 * 1024)

typedef struct Piece
{
	const char *path;
	off_t from;
	off_t len;
} Piece;

static Piece *pieces;
static size_t piece_count;
static size_t piece_room;
static atomic_size_t next_piece;
static atomic_ullong hashed;

static void
fail(const char *what)
{
	fprintf(stderr, "page_limit: %s\n", what);
	exit(1);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* Files that no backup has are few and small: all are taken. */
static int
add_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	char *name = kind == FTW_F && S_ISREG(st->st_mode) ? strdup(path) : NULL;

	(void) at;
	for (off_t from = 0; name != NULL && from < st->st_size; from += PIECE)
	{
		off_t rest = st->st_size - from;

		if (piece_count == piece_room)
		{
			piece_room = piece_room * 2 + 1024;
			pieces = realloc(pieces, piece_room * sizeof(Piece));
			if (pieces == NULL)
				fail("out of memory");
		}
		pieces[piece_count++] = (Piece){name, from,
										rest < PIECE ? rest : PIECE};
	}
	return 0;
}

static void
walk(const char *dir)
{
	if (nftw(dir, add_file, 64, FTW_PHYS) != 0)
		fail(dir);
}

static int
open_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail(path);
	return fd;
}

/* ---- hash ---- */

static void
hash_piece(const Piece *p, XXH3_state_t *state, unsigned char *buffer)
{
	int fd = open_file(p->path);
	off_t done = 0;

	XXH3_128bits_reset(state);
	while (done < p->len)
	{
		size_t wanted = p->len - done < BUFFER ? (size_t) (p->len - done)
											   : BUFFER;
		ssize_t got = pread(fd, buffer, wanted, p->from + done);

		if (got <= 0)
			fail(p->path);
		XXH3_128bits_update(state, buffer, (size_t) got);
		done += got;
	}
	(void) XXH3_128bits_digest(state);
	atomic_fetch_add(&hashed, (unsigned long long) done);
	close(fd);
}

static void *
hash_pieces(void *arg)
{
	XXH3_state_t *state = XXH3_createState();
	unsigned char *buffer = malloc(BUFFER);

	if (state == NULL || buffer == NULL)
		fail("out of memory");
	for (;;)
	{
		size_t i = atomic_fetch_add(&next_piece, 1);

		if (i >= piece_count)
			break;
		hash_piece(&pieces[i], state, buffer);
	}
	free(buffer);
	XXH3_freeState(state);
	return arg;
}

static void
hash_all(int threads, char **dirs)
{
	pthread_t *ids = calloc((size_t) threads, sizeof(*ids));
	double start = now();

	if (ids == NULL)
		fail("out of memory");
	for (; *dirs != NULL; dirs++)
		walk(*dirs);
	for (int i = 0; i < threads; i++)
	{
		if (pthread_create(&ids[i], NULL, hash_pieces, NULL) != 0)
			fail("could not create a thread");
	}
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%.6f %llu\n", now() - start, atomic_load(&hashed));
	free(ids);
}

/* ---- changed ---- */

typedef struct Changes
{
	ZSTD_CStream *zstd;
	unsigned char *out;
	unsigned long long blocks;
	unsigned long long changed;
	unsigned long long stored;
} Changes;

static void
compress(Changes *c, const void *data, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t rest;

	do
	{
		ZSTD_outBuffer out = {c->out, BUFFER, 0};

		rest = ZSTD_compressStream2(c->zstd, &out, &in, how);
		if (ZSTD_isError(rest))
			fail(ZSTD_getErrorName(rest));
		c->stored += out.pos;
	} while (in.pos < in.size || (how == ZSTD_e_end && rest > 0));
}

/* A short block counts as one. */
static void
compare_piece(Changes *c, const Piece *p, int fd, int old)
{
	unsigned char a[BLOCK];
	unsigned char b[BLOCK];

	for (off_t done = 0; done < p->len; done += BLOCK)
	{
		ssize_t got = pread(fd, a, BLOCK, p->from + done);
		ssize_t had = old < 0 ? 0 : pread(old, b, BLOCK, p->from + done);

		if (got <= 0 || had < 0)
			fail(p->path);
		c->blocks++;
		if (got == had && memcmp(a, b, (size_t) got) == 0)
			continue;
		c->changed++;
		compress(c, a, (size_t) got, ZSTD_e_continue);
	}
}

static void
find_changes(const char *old_dir, const char *new_dir, int level)
{
	Changes c = {.zstd = ZSTD_createCStream(), .out = malloc(BUFFER)};
	char path[4096];

	if (c.zstd == NULL || c.out == NULL)
		fail("out of memory");
	ZSTD_CCtx_setParameter(c.zstd, ZSTD_c_compressionLevel, level);
	walk(new_dir);
	for (size_t i = 0; i < piece_count; i++)
	{
		int fd = open_file(pieces[i].path);
		int old;

		snprintf(path, sizeof(path), "%s%s", old_dir,
				 pieces[i].path + strlen(new_dir));
		old = open(path, O_RDONLY);
		compare_piece(&c, &pieces[i], fd, old);
		close(fd);
		if (old >= 0)
			close(old);
	}
	compress(&c, NULL, 0, ZSTD_e_end);
	printf("%llu %llu %llu\n", c.blocks, c.changed, c.stored);
	ZSTD_freeCStream(c.zstd);
	free(c.out);
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "changed") == 0)
		find_changes(argv[2], argv[3], (int) strtol(argv[4], NULL, 10));
	else if (argc >= 4 && strcmp(argv[1], "hash") == 0)
		hash_all((int) strtol(argv[2], NULL, 10), argv + 3);
	else
		fail(
			"usage: page_limit changed OLD NEW LEVEL | hash THREADS DIRECTORY...");
	return 0;
}
