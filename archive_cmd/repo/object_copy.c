/*-------------------------------------------------------------------------
 *
 * object_copy.c
 *	  Copies objects as they are stored, from one repository to another.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/object_internal.h"

#include <stdlib.h>

#include "base/thread.h"

#define COPY_BUFFER (256 * 1024)

typedef struct Copy
{
	StorageReader *reader;
	StorageWriter *writer;
	ObjectHead head;
	StrBuf rest;
	Sha256 *sha256;
	uint64_t size;
	bool *from_source; /* whose fault a failure is */
} Copy;

static bool
put(Copy *c, const void *data, size_t len, Error *err)
{
	sha256_add(c->sha256, data, len);
	c->size += len;
	*c->from_source = storage_write(c->writer, data, len, err);
	return *c->from_source;
}

static bool
pump(Copy *c, Error *err)
{
	char *block = mem_alloc(COPY_BUFFER);
	bool done = c->rest.len == 0 || put(c, c->rest.data, c->rest.len, err);
	size_t got;

	while (done)
	{
		done = thread_check_stop(err) &&
			   storage_read(c->reader, block, COPY_BUFFER, &got, err);
		if (!done || got == 0)
			break;
		done = put(c, block, got, err);
	}
	free(block);
	return done;
}

/* The head is given last, when all behind it has been found right. */
static bool
copy(Copy *c, Repo *from, Repo *to, const char *name, Error *err)
{
	StorageWriter *writer;

	if (!storage_read_open(from->storage, name, 0, STORAGE_TO_END, &c->reader,
						   err) ||
		!object_head_read(from, name, c->reader, &c->head, &c->rest, err))
		return false;
	*c->from_source = storage_write_open(
		to->storage, name, c->head.meta.head_len, &c->writer, err);
	if (!*c->from_source || !pump(c, err))
		return false;
	if (!object_check_payload(&c->head.meta, c->sha256, c->size, err))
		return object_error(from, name, err);
	writer = c->writer;
	c->writer = NULL;
	*c->from_source = false;
	return storage_commit(writer, c->head.bytes.data, err);
}

bool
object_copy(Repo *from, Repo *to, const char *name, bool *from_source,
			Error *err)
{
	Copy c = {.sha256 = sha256_new(), .from_source = from_source};
	bool done;

	*from_source = true;
	done = copy(&c, from, to, name, err);
	storage_abort(c.writer);
	storage_read_close(c.reader);
	object_head_free(&c.head);
	strbuf_free(&c.rest);
	sha256_free(c.sha256);
	return done;
}
