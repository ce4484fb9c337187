/*-------------------------------------------------------------------------
 *
 * mem.h
 *	  Allocation that does not return NULL, and a growable string.
 *
 * Running out of memory for small objects ends the process at once with the
 * status set by mem_set_exit_status() (nothing is acknowledged before it is
 * durable, so stopping anywhere is safe).  Free with free().
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_MEM_H
#define PGDR_MEM_H

#include <stdarg.h>
#include <stddef.h>

extern void mem_set_exit_status(int status);

/*
 * For what cannot go on and cannot fail either: says so ("out of memory") and
 * ends the process at once.
 */
extern void mem_give_up(const char *why) __attribute__((noreturn));

/* What the others do when there is no memory: says so and ends the process. */
extern void mem_out_of_memory(void) __attribute__((noreturn));

extern void *mem_alloc(size_t size);
extern void *mem_zalloc(size_t size);
extern void *mem_realloc(void *ptr, size_t size);
extern char *mem_strdup(const char *s);
extern char *mem_strndup(const char *s, size_t n);
extern char *mem_printf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
extern char *mem_vprintf(const char *fmt, va_list ap)
	__attribute__((format(printf, 1, 0)));

/*
 * Room for one more element in a growing array: returns ptr, moved if need be,
 * and updates *cap.
 */
extern void *mem_grow(void *ptr, size_t count, size_t *cap, size_t elem_size);

/* A growable byte string; data is always NUL-terminated when not NULL. */
typedef struct StrBuf
{
	char *data;
	size_t len;
	size_t cap;
} StrBuf;

#define STRBUF_INIT \
	{               \
		0           \
	}

/* Makes room for len more bytes (and the NUL); data is not NULL after. */
extern void strbuf_reserve(StrBuf *sb, size_t len);
extern void strbuf_add(StrBuf *sb, const void *data, size_t len);
extern void strbuf_puts(StrBuf *sb, const char *s);
extern void strbuf_putc(StrBuf *sb, char c);
extern void strbuf_printf(StrBuf *sb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
extern void strbuf_reset(StrBuf *sb); /* empty, keeps the memory */
extern void strbuf_free(StrBuf *sb);
/* Caller frees, never NULL; sb is empty after. */
extern char *strbuf_steal(StrBuf *sb);

#endif
