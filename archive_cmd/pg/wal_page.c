/*-------------------------------------------------------------------------
 *
 * wal_page.c
 *	  The header of a WAL segment's first page.
 *
 * Bytes of the long header, in the machine's byte order:
 *
 *	  0  magic (16 bits)		  8  position of the page	  24  system ID
 *	  2  flags (16 bits)		 16  length that remains of	  32  segment size
 *	  4  timeline					 the record before it	  36  page size
 *
 *-------------------------------------------------------------------------
 */
#include "pg/wal_page.h"

#include <inttypes.h>
#include <string.h>

#define FLAG_LONG_HEADER 0x0002
#define FLAGS_KNOWN 0x000F

static const struct
{
	uint16_t magic;
	int major;
} known_magic[] = {{0xD110, 15}, {0xD113, 16}, {0xD116, 17}, {0xD118, 18}};

int
wal_magic_major(uint16_t magic)
{
	for (size_t i = 0; i < sizeof(known_magic) / sizeof(known_magic[0]); i++)
	{
		if (known_magic[i].magic == magic)
			return known_magic[i].major;
	}
	return 0;
}

static bool
block_size_ok(uint32_t size)
{
	return size >= 1024 && size <= 65536 && (size & (size - 1)) == 0;
}

static bool
not_wal(Error *err, const char *why)
{
	error_set(err, ERR_DAMAGED, "file does not begin as a WAL segment");
	return error_detail(err, "%s", why);
}

bool
wal_page_parse(const void *data, size_t len, WalPageHeader *out, Error *err)
{
	const uint8_t *p = data;
	WalPageHeader h = {0};
	uint16_t magic;

	if (len < WAL_LONG_HEADER_LEN)
		return not_wal(err, "It is too short for a page header.");
	memcpy(&magic, p, 2);
	memcpy(&h.info, p + 2, 2);
	memcpy(&h.timeline, p + 4, 4);
	memcpy(&h.page_lsn, p + 8, 8);
	memcpy(&h.sysid, p + 24, 8);
	memcpy(&h.segment_size, p + 32, 4);
	memcpy(&h.block_size, p + 36, 4);
	h.major = wal_magic_major(magic);
	if (h.major == 0)
	{
		not_wal(err, "It has not the magic number of a known version.");
		return error_detail(err, "The number is %04X.", magic);
	}
	if ((h.info & FLAG_LONG_HEADER) == 0 || (h.info & ~FLAGS_KNOWN) != 0)
		return not_wal(err, "Its flags are not those of a first page.");
	if (!wal_segment_size_ok(h.segment_size) || !block_size_ok(h.block_size))
		return not_wal(err, "Its segment size or block size is not legal.");
	if (h.page_lsn % h.segment_size != 0)
		return not_wal(err, "Its position is not the start of a segment.");
	if (h.timeline == 0)
		return not_wal(err, "Its timeline is 0.");
	*out = h;
	return true;
}

static bool
check_cluster(const WalPageHeader *page, const char *file,
			  const WalExpect *expect, Error *err)
{
	if (expect->sysid != 0 && page->sysid != expect->sysid)
	{
		error_set(err, ERR_MISMATCH,
				  "WAL file \"%s\" belongs to another cluster", file);
		return error_detail(err,
							"Its system identifier is %" PRIu64
							", that of this cluster is %" PRIu64 ".",
							page->sysid, expect->sysid);
	}
	if (expect->major != 0 && page->major != expect->major)
	{
		error_set(err, ERR_MISMATCH,
				  "WAL file \"%s\" is of another PostgreSQL version", file);
		return error_detail(err, "It is of version %d, the cluster of %d.",
							page->major, expect->major);
	}
	if (expect->segment_size != 0 && page->segment_size != expect->segment_size)
	{
		error_set(err, ERR_MISMATCH,
				  "WAL file \"%s\" is of another segment size", file);
		return error_detail(err,
							"Its segment size is %" PRIu32
							" bytes, that of the cluster %" PRIu32 ".",
							page->segment_size, expect->segment_size);
	}
	return true;
}

static bool
check_position(const WalPageHeader *page, const WalName *name, const char *file,
			   Error *err)
{
	char is[LSN_TEXT_LEN];
	char should[LSN_TEXT_LEN];
	uint64_t lsn;

	if (!wal_name_fits(name, page->segment_size))
	{
		error_set(err, ERR_MISMATCH, "WAL file \"%s\" cannot have that name",
				  file);
		return error_detail(err,
							"No file has it with the segment size of %" PRIu32
							" bytes that is in it.",
							page->segment_size);
	}
	lsn = wal_segment_number(name, page->segment_size) * page->segment_size;
	if (page->page_lsn == lsn)
		return true;
	lsn_format(page->page_lsn, is);
	lsn_format(lsn, should);
	error_set(err, ERR_MISMATCH, "WAL file \"%s\" holds another segment", file);
	return error_detail(err, "It begins at %s, its name says %s.", is, should);
}

bool
wal_page_check(const WalPageHeader *page, const WalName *name,
			   const WalExpect *expect, Error *err)
{
	char file[WAL_FILE_NAME_MAX];

	wal_name_format(name, file);
	if (name->kind != WAL_SEGMENT && name->kind != WAL_PARTIAL)
		return error_set(err, ERR_INTERNAL, "\"%s\" is not a WAL segment",
						 file);
	if (!check_cluster(page, file, expect, err) ||
		!check_position(page, name, file, err))
		return false;
	if (page->timeline <= name->timeline)
		return true;
	error_set(err, ERR_MISMATCH, "WAL file \"%s\" is of another timeline",
			  file);
	return error_detail(err,
						"Its first page is of timeline %" PRIu32
						", its name says %" PRIu32 ".",
						page->timeline, name->timeline);
}
