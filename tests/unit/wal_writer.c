/*-------------------------------------------------------------------------
 *
 * wal_writer.c
 *	  Writes WAL as a server would, for the unit tests.
 *
 *-------------------------------------------------------------------------
 */
#include "wal_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"

void
wal_writer_init(WalWriter *w, uint64_t start, int segments)
{
	*w = (WalWriter){.size = (size_t) segments * WAL_TEST_SEGMENT,
					 .start = start,
					 .lsn = start,
					 .timeline = 1,
					 .magic = 0xD110};
	w->data = mem_zalloc(w->size);
}

void
wal_writer_free(WalWriter *w)
{
	free(w->data);
}

static uint8_t *
at_lsn(const WalWriter *w)
{
	return w->data + (w->lsn - w->start);
}

static void
put_page_header(WalWriter *w, uint16_t flags, uint32_t left)
{
	uint8_t *p = at_lsn(w);
	uint64_t sysid = 42;
	uint32_t sizes[2] = {WAL_TEST_SEGMENT, WAL_TEST_BLOCK};

	memcpy(p + 4, &w->timeline, 4);
	memcpy(p + 8, &w->lsn, 8);
	memcpy(p + 16, &left, 4);
	w->lsn += 24;
	if ((w->lsn - 24) % WAL_TEST_SEGMENT == 0)
	{
		flags |= 2;
		memcpy(p + 24, &sysid, 8);
		memcpy(p + 32, sizes, 8);
		w->lsn += 16;
	}
	memcpy(p, &w->magic, 2);
	memcpy(p + 2, &flags, 2);
}

static void
begin_page(WalWriter *w)
{
	if (w->lsn % WAL_TEST_BLOCK == 0)
		put_page_header(w, 0, 0);
}

static void
put_bytes(WalWriter *w, const uint8_t *bytes, size_t len)
{
	begin_page(w);
	for (size_t i = 0; i < len; i++)
	{
		if (w->lsn % WAL_TEST_BLOCK == 0)
			put_page_header(w, 1, (uint32_t) (len - i));
		*at_lsn(w) = bytes[i];
		w->lsn++;
	}
	w->lsn += (8 - w->lsn % 8) % 8;
}

uint64_t
wal_writer_add(WalWriter *w, const WalTestRecord *record)
{
	uint32_t total = (uint32_t) (24 + record->len);
	uint8_t *bytes = mem_zalloc(total);
	uint32_t crc;

	memcpy(bytes, &total, 4);
	memcpy(bytes + 4, &record->xid, 4);
	memcpy(bytes + 8, &w->prev, 8);
	bytes[16] = record->info;
	bytes[17] = record->rmgr;
	if (record->len > 0)
		memcpy(bytes + 24, record->body, record->len);
	crc = crc32c(crc32c(0, bytes + 24, record->len), bytes, 20);
	memcpy(bytes + 20, &crc, 4);
	begin_page(w);
	w->prev = w->lsn;
	put_bytes(w, bytes, total);
	free(bytes);
	return w->prev;
}

void
wal_writer_next_page(WalWriter *w, uint16_t flags)
{
	w->lsn += (WAL_TEST_BLOCK - w->lsn % WAL_TEST_BLOCK) % WAL_TEST_BLOCK;
	put_page_header(w, flags, 0);
}

void
wal_writer_next_segment(WalWriter *w)
{
	w->lsn += WAL_TEST_SEGMENT - 1;
	w->lsn -= w->lsn % WAL_TEST_SEGMENT;
}

void
wal_body_main(StrBuf *body, const void *data, size_t len)
{
	uint32_t len32 = (uint32_t) len;

	if (len < 256)
	{
		strbuf_putc(body, (char) 255);
		strbuf_putc(body, (char) len);
	}
	else
	{
		strbuf_putc(body, (char) 254);
		strbuf_add(body, &len32, 4);
	}
	strbuf_add(body, data, len);
}

uint64_t
wal_writer_xact(WalWriter *w, uint8_t info, uint32_t xid, int64_t time)
{
	StrBuf body = STRBUF_INIT;
	WalTestRecord record = {.rmgr = 1, .info = info, .xid = xid};
	uint64_t lsn;

	time -= CLOCK_PG_EPOCH;
	wal_body_main(&body, &time, 8);
	record.body = body.data;
	record.len = body.len;
	lsn = wal_writer_add(w, &record);
	strbuf_free(&body);
	return lsn;
}

uint64_t
wal_writer_filler(WalWriter *w, size_t len)
{
	WalTestRecord record = {.rmgr = 10, .len = len};
	uint8_t *body = mem_alloc(len);
	uint64_t lsn;

	memset(body, 0x5A, len);
	record.body = body;
	lsn = wal_writer_add(w, &record);
	free(body);
	return lsn;
}
