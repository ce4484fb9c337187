/*-------------------------------------------------------------------------
 *
 * mem.c
 *	  Allocation that does not return NULL, and a growable string.
 *
 *-------------------------------------------------------------------------
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int oom_exit_status = 1;

void
mem_set_exit_status(int status)
{
	oom_exit_status = status;
}

/*
 * _exit, not exit: other threads are running, and handlers of atexit would
 * want memory.
 */
void
mem_give_up(const char *why)
{
	const struct iovec text[] = {
		{.iov_base = "pgdr: ", .iov_len = 6},
		{.iov_base = (char *) (uintptr_t) why, .iov_len = strlen(why)},
		{.iov_base = "\n", .iov_len = 1}};
	ssize_t ignored = writev(STDERR_FILENO, text, 3);

	(void) ignored;
	_exit(oom_exit_status);
}

void
mem_out_of_memory(void)
{
	mem_give_up("out of memory");
}

void *
mem_alloc(size_t size)
{
	void *ptr = malloc(size > 0 ? size : 1);

	if (ptr == NULL)
		mem_out_of_memory();
	return ptr;
}

void *
mem_zalloc(size_t size)
{
	void *ptr = calloc(1, size > 0 ? size : 1);

	if (ptr == NULL)
		mem_out_of_memory();
	return ptr;
}

void *
mem_realloc(void *ptr, size_t size)
{
	ptr = realloc(ptr, size > 0 ? size : 1);
	if (ptr == NULL)
		mem_out_of_memory();
	return ptr;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *
mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_alloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *
mem_vprintf(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		mem_out_of_memory();
	return text;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	return text;
}

void *
mem_grow(void *ptr, size_t count, size_t *cap, size_t elem_size)
{
	size_t want;

	if (count < *cap)
		return ptr;
	if (count > SIZE_MAX / 4 / elem_size)
		mem_out_of_memory();
	want = count < 8 ? 16 : count * 2;
	ptr = mem_realloc(ptr, want * elem_size);
	*cap = want;
	return ptr;
}

void
strbuf_reserve(StrBuf *sb, size_t len)
{
	size_t need;
	size_t want;

	if (len > SIZE_MAX / 4 || sb->len > SIZE_MAX / 4)
		mem_out_of_memory();
	need = sb->len + len + 1;
	if (need <= sb->cap)
		return;
	want = sb->cap * 2 > need ? sb->cap * 2 : need;
	if (want < 32)
		want = 32;
	sb->data = mem_realloc(sb->data, want);
	sb->cap = want;
	sb->data[sb->len] = '\0';
}

void
strbuf_add(StrBuf *sb, const void *data, size_t len)
{
	strbuf_reserve(sb, len);
	if (len > 0)
		memcpy(sb->data + sb->len, data, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

void
strbuf_puts(StrBuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void
strbuf_putc(StrBuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void
strbuf_printf(StrBuf *sb, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = mem_vprintf(fmt, ap);
	va_end(ap);
	strbuf_puts(sb, text);
	free(text);
}

void
strbuf_reset(StrBuf *sb)
{
	sb->len = 0;
	if (sb->data != NULL)
		sb->data[0] = '\0';
}

void
strbuf_free(StrBuf *sb)
{
	free(sb->data);
	*sb = (StrBuf) STRBUF_INIT;
}

char *
strbuf_steal(StrBuf *sb)
{
	char *data;

	strbuf_reserve(sb, 0);
	data = sb->data;
	*sb = (StrBuf) STRBUF_INIT;
	return data;
}
