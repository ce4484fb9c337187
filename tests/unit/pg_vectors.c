/*-------------------------------------------------------------------------
 *
 * pg_vectors.c
 *	  Files that real servers wrote, for the unit tests.
 *
 *-------------------------------------------------------------------------
 */
#include "pg_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/mem.h"

#define VECTOR_MAX (64 * 1024 * 1024)

static void
bail_out(const char *path, const char *why)
{
	printf("Bail out! %s: %s\n", path, why);
	exit(1);
}

/* Tests are run from the top of the tree, or are told where that is. */
static void
slurp(const char *name, const char *suffix, StrBuf *out)
{
	const char *top = getenv("TESTDIR");
	Error err = ERROR_INIT;
	char *path = mem_printf("%s/tests/vectors/pg/%s%s", top != NULL ? top : ".",
							name, suffix);

	if (!file_slurp(path, VECTOR_MAX, out, &err))
		bail_out(path, err.message);
	free(path);
}

uint8_t *
vector_load(const char *name, size_t *len)
{
	StrBuf packed = STRBUF_INIT;
	unsigned long long size;
	uint8_t *data;

	slurp(name, ".zst", &packed);
	size = ZSTD_getFrameContentSize(packed.data, packed.len);
	if (size > VECTOR_MAX)
		bail_out(name, "no size");
	data = mem_alloc((size_t) size);
	*len = ZSTD_decompress(data, (size_t) size, packed.data, packed.len);
	if (*len != size)
		bail_out(name, "cannot be decompressed");
	strbuf_free(&packed);
	return data;
}

char *
vector_text(const char *name)
{
	StrBuf text = STRBUF_INIT;

	slurp(name, "", &text);
	return strbuf_steal(&text);
}
