/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *	  Mutations of valid inputs, the same for the same seed.
 *
 *-------------------------------------------------------------------------
 */
#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

/* splitmix64: any seed is a good one */
static uint64_t
next_random(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
fuzz_below(uint64_t n)
{
	return n > 0 ? next_random() % n : 0;
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- one mutation ---- */

/* Replaces so many bytes at a place by others. */
static void
splice(StrBuf *sb, size_t at, size_t gone, const void *data, size_t len)
{
	StrBuf tail = STRBUF_INIT;

	strbuf_add(&tail, sb->data + at + gone, sb->len - at - gone);
	sb->len = at;
	strbuf_add(sb, data, len);
	strbuf_add(sb, tail.data, tail.len);
	strbuf_free(&tail);
}

/* What parsers stumble over. */
static const char *const tokens[] = {
	"0",
	"-1",
	"1",
	"2147483648",
	"4294967295",
	"4294967296",
	"9223372036854775807",
	"9223372036854775808",
	"18446744073709551615",
	"1e9",
	"0.5",
	"00",
	"+1",
	" ",
	"\n",
	"\r\n",
	"\t",
	"\"",
	"\\",
	"\\u0000",
	"/",
	"..",
	"../",
	"//",
	".",
	"\xff",
	"\xc3\x28",
	"null",
	"true",
	"{}",
	"[]",
	"{",
	"}",
	"[",
	"]",
	",",
	":",
	"=",
	";",
	"#",
	"-> ",
	"---",
	"FFFFFFFF/0",
	"%",
	"''",
	"age1",
	"\x80",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

static const uint8_t odd_bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe};

static void
put_integer(StrBuf *sb, size_t at)
{
	static const uint64_t values[] = {0,
									  1,
									  UINT64_MAX,
									  UINT64_C(1) << 31,
									  UINT64_C(1) << 32,
									  INT64_MAX,
									  UINT32_MAX - 7,
									  8192};
	uint64_t value = values[fuzz_below(sizeof(values) / sizeof(values[0]))];
	size_t size = (size_t) 1 << (1 + fuzz_below(3));

	if (size > sb->len - at)
		size = sb->len - at;
	memcpy(sb->data + at, &value, size);
}

static void
put_token(StrBuf *sb, size_t at)
{
	const char *token = tokens[fuzz_below(sizeof(tokens) / sizeof(tokens[0]))];
	size_t gone = fuzz_below(8);

	if (gone > sb->len - at)
		gone = sb->len - at;
	splice(sb, at, gone, token, strlen(token));
}

/* A piece of it again, somewhere else. */
static void
copy_piece(StrBuf *sb, size_t at)
{
	size_t from = fuzz_below(sb->len);
	size_t len = fuzz_below(sb->len - from < 200 ? sb->len - from : 200);
	char *piece = mem_alloc(len + 1);

	memcpy(piece, sb->data + from, len);
	splice(sb, at, 0, piece, len);
	free(piece);
}

static void
mutate_once(StrBuf *sb, bool is_text)
{
	size_t at = fuzz_below(sb->len);
	size_t len;

	if (sb->len == 0)
	{
		strbuf_putc(sb, (char) fuzz_below(256));
		return;
	}
	switch (fuzz_below(is_text ? 10 : 8))
	{
		case 0:
		case 1:
			sb->data[at] = (char) (sb->data[at] ^ (1 << fuzz_below(8)));
			break;
		case 2:
			sb->data[at] = (char) fuzz_below(256);
			break;
		case 3:
			sb->data[at] = (char) odd_bytes[fuzz_below(sizeof(odd_bytes))];
			break;
		case 4:
			put_integer(sb, at);
			break;
		case 5:
			len = fuzz_below(sb->len - at < 64 ? sb->len - at : 64);
			splice(sb, at, len, "", 0);
			break;
		case 6:
			copy_piece(sb, at);
			break;
		case 7:
			sb->len = at;
			break;
		default:
			put_token(sb, at);
			break;
	}
}

/* ---- a target ---- */

typedef struct Count
{
	uint64_t rounds;
	uint64_t accepted;
	uint64_t wrong;
	uint64_t first_wrong; /* round */
	const char *why;
} Count;

static void
try_one(const FuzzTarget *t, uint64_t round, Count *count)
{
	StrBuf input = STRBUF_INIT;
	const char *wrong = NULL;
	char *exact;

	strbuf_add(&input, t->sample->data, t->sample->len);
	for (uint64_t n = 1 + fuzz_below(4); n > 0; n--)
		mutate_once(&input, t->is_text);
	/* exactly as long as it says, so that a read beyond its end shows */
	exact = mem_alloc(input.len > 0 ? input.len : 1);
	if (input.len > 0)
		memcpy(exact, input.data, input.len);
	count->accepted += t->fn(exact, input.len, &wrong);
	if (wrong != NULL && count->wrong++ == 0)
	{
		count->first_wrong = round;
		count->why = wrong;
	}
	free(exact);
	strbuf_free(&input);
}

static uint64_t
seed_of(const char *name)
{
	uint64_t seed = number_from("PGDR_SEED", 1);

	for (const char *p = name; *p != '\0'; p++)
		seed = seed * UINT64_C(1099511628211) + (uint8_t) *p;
	return seed;
}

static char *
count_text(const FuzzTarget *t, const Count *count)
{
	if (count->wrong == 0)
		return mem_printf("%s: %" PRIu64 " mutations, %" PRIu64
						  " taken, none wrongly",
						  t->name, count->rounds, count->accepted);
	return mem_printf("%s: %" PRIu64 " mutations, %" PRIu64
					  " taken wrongly, first in round %" PRIu64
					  " of PGDR_SEED=%" PRIu64 ": %s",
					  t->name, count->rounds, count->wrong, count->first_wrong,
					  number_from("PGDR_SEED", 1), count->why);
}

static void
print_seed(void)
{
	static bool printed;

	if (!printed)
		printf("# seed %" PRIu64 " (PGDR_SEED sets another)\n",
			   number_from("PGDR_SEED", 1));
	printed = true;
}

bool
fuzz_run(const FuzzTarget *t, char **text)
{
	Count count = {.rounds = number_from("PGDR_FUZZ_ROUNDS",
										 getenv("PGDR_SOAK") ? 200000 : 3000)};
	const char *wrong = NULL;
	uint64_t seed = seed_of(t->name);

	print_seed();
	state = seed;
	if (!t->fn(t->sample->data, t->sample->len, &wrong) || wrong != NULL)
	{
		*text = mem_printf("%s: the sample itself: %s", t->name,
						   wrong ? wrong : "refused");
		return false;
	}
	if (t->cost > 1)
		count.rounds /= t->cost;
	for (uint64_t i = 0; i < count.rounds; i++)
	{
		state = seed + i;
		try_one(t, i, &count);
	}
	*text = count_text(t, &count);
	return count.wrong == 0;
}
