/*-------------------------------------------------------------------------
 *
 * age_test.c
 *	  Keys, headers and stanzas of the age format.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <ctype.h>
#include <stdlib.h>

#include "age_tools.h"

/* ---- keys ---- */

static ErrCode
recipient_code(const char *text)
{
	AgeRecipients list = {0};
	Error err = ERROR_INIT;
	ErrCode code;

	if (!age_recipient_add(&list, text, &err) && !error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "failure without an error");
	code = err.code;
	error_clear(&err);
	age_recipients_free(&list);
	return code;
}

static ErrCode
identity_code(const char *text, char **message)
{
	AgeIdentities *ids = age_identities_new();
	Error err = ERROR_INIT;
	ErrCode code;

	if (!age_identities_add_text(ids, text, strlen(text), &err) &&
		!error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "failure without an error");
	code = err.code;
	if (message)
		*message = err.message ? mem_strdup(err.message) : NULL;
	error_clear(&err);
	age_identities_free(ids);
	return code;
}

static void
upper(char *s)
{
	for (; *s; s++)
		*s = (char) toupper((unsigned char) *s);
}

/* A pair whose public key was computed by age-keygen. */
static const char known_secret[] = "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLA"
								   "Z2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6";
static const char known_public[] =
	"age1w3tyke4gev25vaxxsvcgqu4484rf6ejpmavs57p6yz6lhy2sfs5swrvwyn";

static void
test_recipients(void)
{
	char text[AGE_RECIPIENT_TEXT + 8];
	bool refused = true;

	is_int(recipient_code(known_public), ERR_NONE, "a recipient");
	for (size_t i = 0; i < strlen(known_public); i++)
	{
		snprintf(text, sizeof(text), "%s", known_public);
		text[i] = text[i] == 'q' ? 'p' : 'q';
		refused = refused && recipient_code(text) == ERR_CONFIG;
		snprintf(text, sizeof(text), "%s", known_public);
		if (isalpha((unsigned char) text[i]))
		{
			text[i] = (char) toupper((unsigned char) text[i]);
			refused = refused && recipient_code(text) == ERR_CONFIG;
		}
		text[i] = '\0';
		refused = refused && recipient_code(text) == ERR_CONFIG;
	}
	ok(refused, "any letter wrong, in capitals, or missing is refused");
	snprintf(text, sizeof(text), "%s", known_public);
	upper(text);
	is_int(recipient_code(text), ERR_CONFIG, "all capitals are refused");
	snprintf(text, sizeof(text), "%sq", known_public);
	is_int(recipient_code(text), ERR_CONFIG, "a longer text is refused");
	is_int(recipient_code(known_secret), ERR_CONFIG, "a secret is refused");
	is_int(
		recipient_code(
			"agf1s5s0qzvfxzn4gayt0hwtg0hhtgxm7wsdycup4a8t5j5ca25mfe4qrgwlst"),
		ERR_CONFIG, "another prefix is refused");
	is_int(
		recipient_code(
			"age1s5s0qzvfxzn4gayt0hwtg0hhtgxm7wsdycup4a8t5j5ca25mfe4pkrr9rj"),
		ERR_CONFIG, "padding that is not zero is refused");
	is_int(
		recipient_code(
			"age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya"),
		ERR_CONFIG, "a point of small order is refused");
}

static void
test_secret_not_repeated(void)
{
	AgeRecipients list = {0};
	Error err = ERROR_INIT;
	char *message;

	age_recipient_add(&list, known_secret, &err);
	ok(err.message && !strstr(err.message, "XMWWC") &&
		   !(err.detail && strstr(err.detail, "XMWWC")) && err.hint &&
		   !strstr(err.hint, "XMWWC"),
	   "a secret given as recipient is not repeated, but explained");
	error_clear(&err);
	age_recipients_free(&list);
	is_int(identity_code("# x\nAGE-SECRET-KEY-1XMWWC\n", &message), ERR_KEY,
		   "a short secret is refused");
	ok(strstr(message, "line 2") && !strstr(message, "XMWWC"),
	   "naming the line, not the text");
	free(message);
}

static void
test_identities(void)
{
	char text[200];
	char shown[AGE_RECIPIENT_TEXT];
	AgeRecipient r;
	AgeIdentities *ids = age_identities_new();
	Error err = ERROR_INIT;

	snprintf(text, sizeof(text), "# comment\r\n\r\n%s\r\n\n%s", known_secret,
			 known_secret);
	ok(age_identities_add_text(ids, text, strlen(text), &err),
	   "an identity file with comments, blank lines, and no last line end");
	is_int((int64_t) age_identities_count(ids), 2, "two identities");
	age_identity_recipient(ids, 1, &r);
	age_recipient_text(&r, shown);
	is_str(shown, known_public, "the public key of a known secret");
	for (int i = 0; i < 20; i++)
		age_identities_add_text(ids, known_secret, strlen(known_secret), &err);
	is_int((int64_t) age_identities_count(ids), 22, "many identities");
	age_identity_recipient(ids, 0, &r);
	age_recipient_text(&r, shown);
	is_str(shown, known_public, "the first is still there");
	age_identities_free(ids);
	age_identities_free(NULL);

	is_int(identity_code("", NULL), ERR_KEY, "an empty file is refused");
	is_int(identity_code("# only\n\n", NULL), ERR_KEY, "and only comments");
	is_int(identity_code(known_public, NULL), ERR_KEY, "and a public key");
	snprintf(text, sizeof(text), "%s", known_secret);
	text[20] = (char) tolower((unsigned char) text[20]);
	is_int(identity_code(text, NULL), ERR_KEY, "and mixed case");
	for (char *p = text; *p; p++)
		*p = (char) tolower((unsigned char) *p);
	is_int(identity_code(text, NULL), ERR_KEY, "and lower case");
	snprintf(text, sizeof(text), "%s", known_secret);
	text[40] = text[40] == 'Q' ? 'P' : 'Q';
	is_int(identity_code(text, NULL), ERR_KEY, "and a wrong letter");
}

static void
test_generate(void)
{
	AgeRecipient a;
	AgeRecipient b;
	AgeRecipient found;
	char *text;
	char *other;
	char shown[AGE_RECIPIENT_TEXT];
	AgeIdentities *ids = new_identity(&text, &a);
	AgeIdentities *ids2 = new_identity(&other, &b);

	age_identity_recipient(ids, 0, &found);
	ok(memcmp(&found, &a, sizeof(a)) == 0, "the text holds the new key");
	age_recipient_text(&a, shown);
	ok(strstr(text, shown) != NULL, "and its public key");
	ok(strncmp(text, "# created: 2", 12) == 0, "and when it was made");
	ok(memcmp(&a, &b, sizeof(a)) != 0, "no two are the same");
	age_secret_free(text);
	age_secret_free(other);
	age_identities_free(ids);
	age_identities_free(ids2);
}

/* ---- headers ---- */

static void
test_header_prefixes(const StrBuf *file, size_t header_len)
{
	bool good = true;

	for (size_t len = 0; len < header_len; len++)
	{
		AgeHeader h;
		Error err = ERROR_INIT;
		bool need_more = false;
		/* a copy of exact size lets a sanitizer see a read past its end */
		uint8_t *copy = mem_alloc(len ? len : 1);

		memcpy(copy, file->data, len);
		good = good && !age_header_parse(copy, len, &h, &need_more, &err) &&
			   need_more && !error_is_set(&err);
		free(copy);
	}
	ok(good, "each prefix of a header asks for more");
}

static void
test_extra_stanza(size_t len)
{
	AgeRecipient r;
	char *text;
	AgeIdentities *ids = new_identity(&text, &r);
	AgeRecipients to = {0};
	AgeHeader h;
	AgeFileKey *key;
	Error err = ERROR_INIT;
	bool need_more;
	char *body = mem_alloc(len + 1);
	StrBuf file = STRBUF_INIT;
	const AgeStanza *st;

	memset(body, 'j', len);
	body[len] = '\0';
	add_recipient(&to, &r);
	make_age_file(&to, body, "x", 1, &file);
	ok(age_header_parse((uint8_t *) file.data, file.len, &h, &need_more, &err),
	   "a header with a body of %zu bytes", len);
	st = age_header_find(&h, "pgdr-object");
	ok(st && st->nargs == 0 && st->body_len == len &&
		   (len == 0 || memcmp(st->body, body, len) == 0),
	   "the body is there without a key");
	ok(age_header_find(&h, "X25519") && !age_header_find(&h, "x25519"),
	   "and the recipient");
	key = age_unwrap(&h, (uint8_t *) file.data, ids, &err);
	ok(key != NULL, "its MAC is right");
	if (len == 100)
		test_header_prefixes(&file, h.len);
	age_file_key_free(key);
	age_file_key_free(NULL);
	age_header_free(&h);
	strbuf_free(&file);
	free(body);
	age_recipients_free(&to);
	age_secret_free(text);
	age_identities_free(ids);
}

static void
test_header_rewritten(void)
{
	AgeRecipient r;
	char *text;
	AgeIdentities *ids = new_identity(&text, &r);
	AgeRecipients to = {0};
	Error err = ERROR_INIT;
	AgeWriter *w;
	AgeHeader h;
	AgeFileKey *key;
	bool need_more;
	size_t len;
	uint8_t *first;
	uint8_t *second;

	add_recipient(&to, &r);
	w = age_writer_new(&to, "pgdr-object", 5, &err);
	len = age_writer_header_len(w);
	first = mem_alloc(len);
	second = mem_alloc(len);
	ok(age_writer_header(w, "     ", first, &err) &&
		   age_writer_header(w, "later", second, &err),
	   "a header can be written again");
	ok(memcmp(first, second, len) != 0, "with another body");
	ok(age_header_parse(second, len, &h, &need_more, &err) && h.len == len,
	   "of the length that was told");
	key = age_unwrap(&h, second, ids, &err);
	ok(key != NULL, "and a MAC that is right");
	age_file_key_free(key);
	ok(!age_unwrap(&h, first, ids, &err) && err.code == ERR_DAMAGED,
	   "which is not that of the other");
	error_clear(&err);
	age_header_free(&h);
	free(first);
	free(second);
	age_writer_free(w);
	age_recipients_free(&to);
	age_secret_free(text);
	age_identities_free(ids);
}

static void
test_writer_refuses(void)
{
	static const char *const types[] = {"",          "X25519",    "scrypt",
										"two words", "line\nend", "\xc3\xa9"};
	AgeRecipients to = {0};
	Error err = ERROR_INIT;

	ok(!age_writer_new(&to, NULL, 0, &err) && err.code == ERR_CONFIG,
	   "no recipients, no file");
	error_clear(&err);
	ok(age_recipient_add(&to, known_public, &err), "a recipient");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		ok(!age_writer_new(&to, types[i], 0, &err) && err.code == ERR_INTERNAL,
		   "extra stanza type %zu is refused", i);
		error_clear(&err);
	}
	ok(!age_writer_new(&to, "big", AGE_HEADER_MAX - 1000, &err) &&
		   err.code == ERR_INTERNAL,
	   "a header that no reader would take is refused");
	error_clear(&err);
	ok(!age_writer_new_passphrase("x", 23, &err) && err.code == ERR_CONFIG,
	   "a work factor that no reader would take is refused");
	error_clear(&err);
	ok(!age_writer_new_passphrase("x", 0, &err) && err.code == ERR_CONFIG,
	   "and none at all");
	error_clear(&err);
	age_recipients_free(&to);
}

/* A header without end must not make a reader collect for ever. */
static void
test_header_bounded(void)
{
	StrBuf sb = STRBUF_INIT;
	AgeHeader h;
	Error err = ERROR_INIT;
	bool need_more;

	strbuf_puts(&sb, "age-encryption.org/v1\n-> ");
	while (sb.len < AGE_HEADER_MAX - 1)
		strbuf_putc(&sb, 'a');
	ok(!age_header_parse((uint8_t *) sb.data, sb.len, &h, &need_more, &err) &&
		   need_more,
	   "a byte below the limit asks for more");
	strbuf_putc(&sb, 'a');
	ok(!age_header_parse((uint8_t *) sb.data, sb.len, &h, &need_more, &err) &&
		   !need_more && err.code == ERR_DAMAGED,
	   "at the limit it is damage");
	error_clear(&err);
	ok(!age_header_parse((const uint8_t *) "agd", 3, &h, &need_more, &err) &&
		   !need_more && err.code == ERR_DAMAGED,
	   "what cannot become a header is damage at once");
	error_clear(&err);
	strbuf_free(&sb);
}

/* ---- passphrases ---- */

static void
test_passphrase(void)
{
	Error err = ERROR_INIT;
	StrBuf file = STRBUF_INIT;
	AgeHeader h;
	AgeFileKey *key;
	AgeIdentities *ids = age_identities_new();
	char *copy;
	bool need_more;

	ok(age_encrypt_buffer_passphrase("correct horse", 10, "text", 4, &file,
									 &err),
	   "a file for a passphrase");
	ok(age_header_parse((uint8_t *) file.data, file.len, &h, &need_more, &err),
	   "has a header");
	key = age_unwrap_passphrase(&h, (uint8_t *) file.data, "correct horse",
								&err);
	ok(key != NULL, "which the passphrase opens");
	age_file_key_free(key);
	ok(!age_unwrap_passphrase(&h, (uint8_t *) file.data, "correct hors", &err),
	   "another does not");
	is_int(err.code, ERR_KEY, "for want of a key");
	error_clear(&err);
	ok(!age_unwrap(&h, (uint8_t *) file.data, ids, &err) && err.code == ERR_KEY,
	   "nor does an identity");
	error_clear(&err);
	age_header_free(&h);
	copy = age_passphrase_from_string("secret");
	is_str(copy, "secret", "a passphrase is copied to locked memory");
	age_secret_free(copy);
	age_identities_free(ids);
	strbuf_free(&file);
}

int
main(void)
{
	static const size_t bodies[] = {0, 1, 47, 48, 49, 95, 96, 97, 100, 4000};
	Error err = ERROR_INIT;

	ok(age_init(&err) && age_init(&err), "libsodium starts, also twice");
	test_recipients();
	test_secret_not_repeated();
	test_identities();
	test_generate();
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		test_extra_stanza(bodies[i]);
	test_header_rewritten();
	test_writer_refuses();
	test_header_bounded();
	test_passphrase();
	return done_testing();
}
