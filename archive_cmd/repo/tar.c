/*-------------------------------------------------------------------------
 *
 * tar.c
 *	  Headers of a tar stream: POSIX ustar, with pax records where a name, a
 *	  size or a time does not fit.
 *
 * A pax header costs two blocks, so it is written only where it is needed:
 * almost every file of a data directory does without.  Fractions of a second
 * of a file's time are in the manifest, not here.
 *
 *-------------------------------------------------------------------------
 */
#include "repo/tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"

/* What a field of n octal digits and a NUL can hold. */
#define OCTAL_MAX(n) ((UINT64_C(1) << (3 * (n))) - 1)
#define SIZE_MAX_OCTAL OCTAL_MAX(11)
#define ID_MAX_OCTAL OCTAL_MAX(7)

typedef struct UstarHeader
{
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char chksum[8];
	char typeflag;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char devmajor[8];
	char devminor[8];
	char prefix[155];
	char unused[12];
} UstarHeader;

_Static_assert(sizeof(UstarHeader) == TAR_BLOCK, "a tar header is one block");

static void
put_octal(char *field, size_t len, uint64_t value)
{
	field[len - 1] = '\0';
	for (size_t i = len - 1; i > 0; i--)
	{
		field[i - 1] = (char) ('0' + (value & 7));
		value >>= 3;
	}
}

/* Fields of a header need no NUL when they are full. */
static void
put_text(char *field, size_t len, const char *text, size_t text_len)
{
	memcpy(field, text, text_len < len ? text_len : len);
}

/*
 * Where to cut a path that is too long for the name field: *cut bytes go into
 * the prefix, the slash after them is implied.  False if there is no such
 * place.
 */
static bool
split_path(const char *path, size_t len, size_t *cut)
{
	UstarHeader *h = NULL;

	*cut = 0;
	if (len <= sizeof(h->name))
		return true;
	for (size_t i = len - sizeof(h->name) - 1; i < len - 1; i++)
	{
		if (i > sizeof(h->prefix))
			return false;
		if (i > 0 && path[i] == '/')
		{
			*cut = i;
			return true;
		}
	}
	return false;
}

static bool
is_ascii(const char *s)
{
	for (; *s; s++)
	{
		if ((unsigned char) *s >= 0x80)
			return false;
	}
	return true;
}

/* A record counts its own length, the digits of that number included. */
static void
add_record(StrBuf *out, const char *key, const char *value, size_t value_len)
{
	size_t body = 1 + strlen(key) + 1 + value_len + 1;
	size_t total = body + 1;
	char number[24];

	for (;;)
	{
		int digits = snprintf(number, sizeof(number), "%zu", total);

		if (body + (size_t) digits == total)
			break;
		total = body + (size_t) digits;
	}
	strbuf_printf(out, "%s %s=", number, key);
	strbuf_add(out, value, value_len);
	strbuf_putc(out, '\n');
}

static void
add_number(StrBuf *out, const char *key, int64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64, value);

	add_record(out, key, text, (size_t) len);
}

static int64_t
whole_seconds(int64_t usecs)
{
	int64_t secs = usecs / USECS_PER_SEC;

	return usecs % USECS_PER_SEC < 0 ? secs - 1 : secs;
}

static bool
seconds_fit(int64_t secs)
{
	return secs >= 0 && (uint64_t) secs <= SIZE_MAX_OCTAL;
}

/*
 * A path of other than ASCII is UTF-8 by pax's rules.  Bytes that are not go
 * into the ustar fields as they are, which every tar hands on unchanged; only
 * when too long for these a record has to carry them.
 */
static void
add_path_record(StrBuf *records, const char *name, size_t len)
{
	size_t cut;
	bool fits = split_path(name, len, &cut);
	bool utf8 = json_is_utf8(name);

	if (fits && (!utf8 || is_ascii(name)))
		return;
	if (!utf8)
		add_record(records, "hdrcharset", "BINARY", 6);
	add_record(records, "path", name, len);
}

static bool
link_fits(const char *link)
{
	UstarHeader *h = NULL;

	return strlen(link) <= sizeof(h->linkname) &&
		   (!json_is_utf8(link) || is_ascii(link));
}

static void
add_link_record(StrBuf *records, const char *link)
{
	if (link_fits(link))
		return;
	if (!json_is_utf8(link))
		add_record(records, "hdrcharset", "BINARY", 6);
	add_record(records, "linkpath", link, strlen(link));
}

static void
collect_records(StrBuf *records, const TarEntry *entry, const char *name,
				size_t len)
{
	int64_t secs = whole_seconds(entry->mtime);

	add_path_record(records, name, len);
	if (entry->link != NULL)
		add_link_record(records, entry->link);
	if (entry->size > SIZE_MAX_OCTAL)
		add_number(records, "size", (int64_t) entry->size);
	if (!seconds_fit(secs))
		add_number(records, "mtime", secs);
	if (entry->owner && entry->owner->uid > ID_MAX_OCTAL)
		add_number(records, "uid", entry->owner->uid);
	if (entry->owner && entry->owner->gid > ID_MAX_OCTAL)
		add_number(records, "gid", entry->owner->gid);
}

/* The sum is taken with its own field as blanks. */
static void
put_checksum(UstarHeader *h)
{
	const unsigned char *bytes = (const unsigned char *) h;
	unsigned int sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	put_octal(h->chksum, 7, sum);
}

static void
put_name(UstarHeader *h, const char *name, size_t len)
{
	size_t cut;

	if (split_path(name, len, &cut) && cut > 0)
	{
		put_text(h->prefix, sizeof(h->prefix), name, cut);
		name += cut + 1;
		len -= cut + 1;
	}
	put_text(h->name, sizeof(h->name), name, len);
}

static void
put_owner(UstarHeader *h, const TarOwner *owner)
{
	static const TarOwner root = {0};

	if (owner == NULL)
		owner = &root;
	put_octal(h->uid, sizeof(h->uid),
			  owner->uid > ID_MAX_OCTAL ? 0 : owner->uid);
	put_octal(h->gid, sizeof(h->gid),
			  owner->gid > ID_MAX_OCTAL ? 0 : owner->gid);
	if (owner->user && strlen(owner->user) < sizeof(h->uname))
		put_text(h->uname, sizeof(h->uname), owner->user, strlen(owner->user));
	if (owner->group && strlen(owner->group) < sizeof(h->gname))
		put_text(h->gname, sizeof(h->gname), owner->group,
				 strlen(owner->group));
}

static void
add_block(StrBuf *out, const TarEntry *entry, char type, const char *name,
		  size_t len)
{
	UstarHeader h;
	int64_t secs = whole_seconds(entry->mtime);

	memset(&h, 0, sizeof(h));
	put_name(&h, name, len);
	put_octal(h.mode, sizeof(h.mode), entry->mode & 07777);
	put_owner(&h, entry->owner);
	put_octal(h.size, sizeof(h.size),
			  entry->size > SIZE_MAX_OCTAL ? 0 : entry->size);
	put_octal(h.mtime, sizeof(h.mtime),
			  seconds_fit(secs) ? (uint64_t) secs : 0);
	h.typeflag = type;
	if (entry->link != NULL && type != 'x')
		put_text(h.linkname, sizeof(h.linkname), entry->link,
				 strlen(entry->link));
	put_text(h.magic, sizeof(h.magic), "ustar", 6);
	put_text(h.version, sizeof(h.version), "00", 2);
	put_octal(h.devmajor, sizeof(h.devmajor), 0);
	put_octal(h.devminor, sizeof(h.devminor), 0);
	put_checksum(&h);
	strbuf_add(out, &h, sizeof(h));
}

static void
add_pax_header(StrBuf *out, const TarEntry *entry, const StrBuf *records)
{
	static const char zeros[TAR_BLOCK];
	static const char name[] = "PaxHeaders/pgdr";
	TarEntry pax = *entry;

	pax.size = records->len;
	pax.mode = 0600;
	add_block(out, &pax, 'x', name, sizeof(name) - 1);
	strbuf_add(out, records->data, records->len);
	strbuf_add(out, zeros, tar_padding(records->len));
}

static char
type_of(const TarEntry *entry)
{
	if (entry->link != NULL)
		return entry->is_hard ? '1' : '2';
	return entry->is_dir ? '5' : '0';
}

void
tar_header(StrBuf *out, const TarEntry *entry)
{
	StrBuf records = STRBUF_INIT;
	char *name = mem_printf("%s%s", entry->path, entry->is_dir ? "/" : "");
	size_t len = strlen(name);

	collect_records(&records, entry, name, len);
	if (records.len > 0)
		add_pax_header(out, entry, &records);
	add_block(out, entry, type_of(entry), name, len);
	strbuf_free(&records);
	free(name);
}
