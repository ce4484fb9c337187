/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  The sinks at the end of a chain of stages.
 *
 *-------------------------------------------------------------------------
 */
#include "stream/stream.h"

#include <stdlib.h>

#include "base/file.h"

/* What a sink of any kind does at the end of the input: nothing. */
static bool
sink_finish(Stage *stage, Error *err)
{
	(void) stage;
	(void) err;
	return true;
}

/* ---- a function ---- */

typedef struct FnSink
{
	Stage base;
	StageSinkFn fn;
	void *arg;
} FnSink;

static bool
fn_write(Stage *stage, const void *data, size_t len, Error *err)
{
	FnSink *s = (FnSink *) stage;

	return s->fn(s->arg, data, len, err);
}

static void
fn_free(Stage *stage)
{
	free(stage);
}

static const StageOps fn_ops = {fn_write, sink_finish, fn_free};

Stage *
stage_sink(StageSinkFn fn, void *arg)
{
	FnSink *s = mem_zalloc(sizeof(FnSink));

	s->base.ops = &fn_ops;
	s->fn = fn;
	s->arg = arg;
	return &s->base;
}

/* ---- memory ---- */

typedef struct BufferSink
{
	Stage base;
	StrBuf *out;
	size_t max;
} BufferSink;

static bool
buffer_write(Stage *stage, const void *data, size_t len, Error *err)
{
	BufferSink *s = (BufferSink *) stage;

	/* out may have been filled by others: look at it, not at a count */
	if (s->out->len > s->max || len > s->max - s->out->len)
		return error_set(err, ERR_DAMAGED,
						 "content is larger than the limit of %zu bytes",
						 s->max);
	strbuf_add(s->out, data, len);
	return true;
}

static void
buffer_free(Stage *stage)
{
	free(stage);
}

static const StageOps buffer_ops = {buffer_write, sink_finish, buffer_free};

Stage *
stage_sink_buffer(StrBuf *out, size_t max)
{
	BufferSink *s = mem_zalloc(sizeof(BufferSink));

	s->base.ops = &buffer_ops;
	s->out = out;
	s->max = max;
	return &s->base;
}

/* ---- a file descriptor ---- */

typedef struct FdSink
{
	Stage base;
	int fd;
	char *path;
} FdSink;

static bool
fd_write(Stage *stage, const void *data, size_t len, Error *err)
{
	FdSink *s = (FdSink *) stage;

	return file_write_all(s->fd, data, len, s->path, err);
}

static void
fd_free(Stage *stage)
{
	FdSink *s = (FdSink *) stage;

	free(s->path);
	free(s);
}

static const StageOps fd_ops = {fd_write, sink_finish, fd_free};

Stage *
stage_sink_fd(int fd, const char *path)
{
	FdSink *s = mem_zalloc(sizeof(FdSink));

	s->base.ops = &fd_ops;
	s->fd = fd;
	s->path = mem_strdup(path);
	return &s->base;
}
