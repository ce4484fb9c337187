/*-------------------------------------------------------------------------
 *
 * age_file_test.c
 *	  Identity files and passphrase files; and files exchanged with age and
 *	  age-keygen, both ways.
 *
 *-------------------------------------------------------------------------
 */
#include "tap.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "age_tools.h"
#include "stream/zstd.h"

#define META "{\"object\":\"wal\",\"size\":16777216}          "

typedef struct Asked
{
	int times;
	const char *answer; /* NULL: there is none */
} Asked;

static char *
ask(void *arg, Error *err)
{
	Asked *a = arg;

	a->times++;
	if (a->answer)
		return age_passphrase_from_string(a->answer);
	error_set(err, ERR_CONFIG, "there is nobody to ask");
	return NULL;
}

/* The code of the error, or ERR_NONE; a failure must have one. */
static ErrCode
use_file(const char *path, Asked *a, AgeIdentities *ids)
{
	Error err = ERROR_INIT;
	ErrCode code;

	if (!age_identities_add_file(ids, path, a ? ask : NULL, a, &err) &&
		!error_is_set(&err))
		error_set(&err, ERR_INTERNAL, "failure without an error");
	if (error_is_set(&err) && strstr(err.message, "AGE-SECRET-KEY-1"))
		error_set(&err, ERR_INTERNAL, "the error tells the secret");
	code = err.code;
	error_clear(&err);
	return code;
}

static ErrCode
try_file(const char *path, Asked *a)
{
	AgeIdentities *ids = age_identities_new();
	ErrCode code = use_file(path, a, ids);

	age_identities_free(ids);
	return code;
}

/* ---- identity files ---- */

static void
test_identity_file(void)
{
	AgeRecipient r;
	AgeRecipient found;
	char *text;
	const char *path = scratch("identity.txt");
	AgeIdentities *made = new_identity(&text, &r);
	AgeIdentities *ids = age_identities_new();
	Asked a = {0};

	put_file(path, text, strlen(text));
	is_int(use_file(path, &a, ids), ERR_NONE, "an identity file");
	is_int(a.times, 0, "needs no passphrase");
	age_identity_recipient(ids, 0, &found);
	ok(memcmp(&found, &r, sizeof(r)) == 0, "and gives its key");
	chmod(path, 0640);
	is_int(try_file(path, NULL), ERR_KEY, "not if the group may read it");
	chmod(path, 0604);
	is_int(try_file(path, NULL), ERR_KEY, "nor if others may");
	chmod(path, 0400);
	is_int(try_file(path, NULL), ERR_NONE, "but if only its owner may");
	is_int(try_file(scratch("absent"), NULL), ERR_KEY, "an absent file");
	put_file(scratch("armored"), "-----BEGIN AGE ENCRYPTED FILE-----\nAA\n",
			 39);
	is_int(try_file(scratch("armored"), NULL), ERR_KEY, "an armored file");
	put_file(scratch("short"), "age-encryption.org/v1\n-> X25519 ", 32);
	is_int(try_file(scratch("short"), NULL), ERR_DAMAGED, "half an age file");
	put_file(scratch("none"), "", 0);
	is_int(try_file(scratch("none"), NULL), ERR_KEY, "an empty file");
	age_identities_free(ids);
	age_identities_free(made);
	age_secret_free(text);
}

static void
test_encrypted_identity(void)
{
	AgeRecipient r;
	AgeRecipients to = {0};
	char *text;
	const char *path = scratch("identity.age");
	AgeIdentities *made = new_identity(&text, &r);
	Error err = ERROR_INIT;
	StrBuf file = STRBUF_INIT;
	Asked a = {.answer = "open sesame"};

	ok(age_encrypt_buffer_passphrase("open sesame", 10, text, strlen(text),
									 &file, &err) &&
		   put_file(path, file.data, file.len),
	   "an identity file with a passphrase");
	is_int(try_file(path, &a), ERR_NONE, "is opened");
	is_int(a.times, 1, "by asking once");
	a.answer = "open barley";
	is_int(try_file(path, &a), ERR_KEY, "not by another passphrase");
	a.answer = NULL;
	is_int(try_file(path, &a), ERR_CONFIG, "not without an answer");
	is_int(try_file(path, NULL), ERR_KEY, "not without anybody to ask");
	a.answer = "open sesame";
	file.data[file.len - 1] ^= 1;
	put_file(path, file.data, file.len);
	is_int(try_file(path, &a), ERR_DAMAGED, "not when it is damaged");
	add_recipient(&to, &r);
	strbuf_reset(&file);
	ok(age_encrypt_buffer(&to, text, strlen(text), &file, &err) &&
		   put_file(path, file.data, file.len),
	   "an identity file encrypted to a key");
	is_int(try_file(path, &a), ERR_KEY, "is not opened");
	age_recipients_free(&to);
	age_identities_free(made);
	age_secret_free(text);
	strbuf_free(&file);
}

static void
check_passphrase(const char *content, const char *want, const char *name)
{
	Error err = ERROR_INIT;
	char *got;

	put_file(scratch("pass"), content, strlen(content));
	got = age_passphrase_from_file(scratch("pass"), &err);
	is_str(got, want, name);
	if (!want)
		is_int(err.code, ERR_KEY, "for want of a key");
	age_secret_free(got);
	error_clear(&err);
}

static void
test_passphrase_file(void)
{
	Error err = ERROR_INIT;

	check_passphrase("open sesame\n", "open sesame", "a passphrase file");
	check_passphrase("open sesame", "open sesame", "without a line's end");
	check_passphrase(" a b \r\nmore\n", " a b ", "its first line, as it is");
	check_passphrase("\nopen\n", NULL, "an empty first line is refused");
	check_passphrase("", NULL, "an empty file is refused");
	chmod(scratch("pass"), 0644);
	ok(!age_passphrase_from_file(scratch("pass"), &err), "an open one is, too");
	is_int(err.code, ERR_KEY, "for its mode");
	error_clear(&err);
}

/* ---- age-keygen ---- */

static void
test_keygen(AgeIdentities *ids)
{
	const char *path = scratch("keygen.txt");
	char text[AGE_RECIPIENT_TEXT + 1];
	AgeRecipient r;
	StrBuf out = STRBUF_INIT;
	char *ours;
	AgeIdentities *made;

	is_int(run_tool((const char *const[]){"age-keygen", "-o", path, NULL}, NULL,
					NULL),
		   0, "age-keygen makes a key");
	is_int(use_file(path, NULL, ids), ERR_NONE, "that we read");
	is_int(run_tool((const char *const[]){"age-keygen", "-y", path, NULL}, NULL,
					scratch("public")),
		   0, "age-keygen tells its public key");
	age_identity_recipient(ids, 0, &r);
	age_recipient_text(&r, text);
	ok(get_file(scratch("public"), &out) && out.len == strlen(text) + 1 &&
		   memcmp(out.data, text, strlen(text)) == 0,
	   "which is what we computed");

	made = new_identity(&ours, &r);
	age_recipient_text(&r, text);
	put_file(scratch("ours.txt"), ours, strlen(ours));
	is_int(run_tool((const char *const[]){"age-keygen", "-y",
										  scratch("ours.txt"), NULL},
					NULL, scratch("public")),
		   0, "age-keygen reads a key of ours");
	ok(get_file(scratch("public"), &out) && out.len == strlen(text) + 1 &&
		   memcmp(out.data, text, strlen(text)) == 0,
	   "and computes the same public key");
	age_identities_free(made);
	age_secret_free(ours);
	strbuf_free(&out);
}

/* ---- age ---- */

static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 300000};

/* ids is the key in keygen.txt; a stranger's key comes first. */
static void
test_age_reads_ours(const AgeIdentities *ids)
{
	uint8_t *data = mem_alloc(300000);
	AgeRecipients to = {0};
	AgeRecipient r;
	char *text;
	AgeIdentities *stranger = new_identity(&text, &r);
	StrBuf file = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;

	add_recipient(&to, &r);
	age_identity_recipient(ids, 0, &r);
	add_recipient(&to, &r);
	fill_random(data, 300000, 31);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		make_age_file(&to, META, data, sizes[i], &file);
		put_file(scratch("ours.age"), file.data, file.len);
		is_int(run_tool((const char *const[]){"age", "-d", "-i",
											  scratch("keygen.txt"),
											  scratch("ours.age"), NULL},
						NULL, scratch("plain")),
			   0, "age decrypts what we made");
		ok(get_file(scratch("plain"), &got) && same_bytes(&got, data, sizes[i]),
		   "all %zu bytes, in spite of a stanza it does not know", sizes[i]);
	}
	age_recipients_free(&to);
	age_identities_free(stranger);
	age_secret_free(text);
	strbuf_free(&file);
	strbuf_free(&got);
	free(data);
}

static void
test_we_read_theirs(const AgeIdentities *ids)
{
	uint8_t *data = mem_alloc(300000);
	char first[AGE_RECIPIENT_TEXT];
	char second[AGE_RECIPIENT_TEXT];
	AgeRecipient r;
	char *text;
	AgeIdentities *other = new_identity(&text, &r);
	Error err = ERROR_INIT;
	StrBuf file = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;

	age_recipient_text(&r, first);
	age_identity_recipient(ids, 0, &r);
	age_recipient_text(&r, second);
	fill_random(data, 300000, 32);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		const char *const argv[] = {"age", "-r", first, "-r", second, NULL};

		put_file(scratch("plain"), data, sizes[i]);
		is_int(run_tool(argv, scratch("plain"), scratch("theirs.age")), 0,
			   "age encrypts to two");
		get_file(scratch("theirs.age"), &file);
		strbuf_reset(&got);
		ok(age_decrypt_buffer(ids, file.data, file.len, &got, &err) &&
			   same_bytes(&got, data, sizes[i]),
		   "one reads all %zu bytes", sizes[i]);
		strbuf_reset(&got);
		ok(age_decrypt_buffer(other, file.data, file.len, &got, &err) &&
			   same_bytes(&got, data, sizes[i]),
		   "the other, too");
	}
	age_identities_free(other);
	age_secret_free(text);
	strbuf_free(&file);
	strbuf_free(&got);
	free(data);
}

/* An object as it will be: zstd inside age, through the whole chain. */
static void
test_chain(const AgeIdentities *ids)
{
	const size_t len = 2500000;
	uint8_t *data = mem_alloc(len);
	AgeRecipients to = {0};
	AgeRecipient r;
	Error err = ERROR_INIT;
	StrBuf file = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;
	Stage *sink = stage_sink_buffer(&file, SIZE_MAX);
	AgeWriter *w;
	Stage *age;
	Stage *zstd;
	uint8_t *header;

	age_identity_recipient(ids, 0, &r);
	add_recipient(&to, &r);
	fill_words(data, len, 33);
	w = age_writer_new(&to, "pgdr-object", strlen(META), &err);
	header = mem_alloc(age_writer_header_len(w));
	ok(age_writer_header(w, META, header, &err), "the header");
	strbuf_add(&file, header, age_writer_header_len(w));
	age = stage_age_encrypt(w, sink);
	zstd = stage_zstd_compress(1, 1024 * 1024, NULL, NULL, age, &err);
	ok(feed(zstd, data, len, 8192, &err), "zstd inside age");
	put_file(scratch("object"), file.data, file.len);
	is_int(
		run_tool((const char *const[]){"age", "-d", "-i", scratch("keygen.txt"),
									   scratch("object"), NULL},
				 NULL, scratch("object.zst")),
		0, "age -d");
	is_int(run_tool((const char *const[]){"zstd", "-dcq", scratch("object.zst"),
										  NULL},
					NULL, scratch("plain")),
		   0, "zstd -d");
	ok(get_file(scratch("plain"), &got) && same_bytes(&got, data, len),
	   "give the content byte for byte");
	stage_free(zstd);
	stage_free(age);
	stage_free(sink);
	age_writer_free(w);
	age_recipients_free(&to);
	strbuf_free(&file);
	strbuf_free(&got);
	free(header);
	free(data);
}

/* ---- passphrases with age, which wants a terminal ---- */

/* False if this machine has no terminals to give. */
static bool
test_their_passphrase(void)
{
	const char *const argv[] = {
		"age", "-p", "-o", scratch("locked.age"), scratch("ours.txt"), NULL};
	int status = run_on_terminal(argv, "open sesame");
	Asked a = {.answer = "open sesame"};

	if (status == -1)
		return false;
	is_int(status, 0, "age -p encrypts an identity file");
	chmod(scratch("locked.age"), 0600);
	is_int(try_file(scratch("locked.age"), &a), ERR_NONE, "which we open");
	a.answer = "open barley";
	is_int(try_file(scratch("locked.age"), &a), ERR_KEY,
		   "but not with another passphrase");
	return true;
}

static void
test_our_passphrase(void)
{
	const char *const argv[] = {
		"age", "-d", "-o", scratch("opened"), scratch("locked.age"), NULL};
	Error err = ERROR_INIT;
	StrBuf file = STRBUF_INIT;
	StrBuf got = STRBUF_INIT;

	age_encrypt_buffer_passphrase("open sesame", 12, "a text", 6, &file, &err);
	put_file(scratch("locked.age"), file.data, file.len);
	is_int(run_on_terminal(argv, "open sesame"), 0,
		   "age decrypts what we encrypted with a passphrase");
	ok(get_file(scratch("opened"), &got) && same_bytes(&got, "a text", 6),
	   "byte for byte");
	strbuf_free(&file);
	strbuf_free(&got);
}

int
main(void)
{
	Error err = ERROR_INIT;
	AgeIdentities *ids;

	ok(age_init(&err), "libsodium starts");
	test_identity_file();
	test_encrypted_identity();
	test_passphrase_file();
	ids = age_identities_new();
	test_keygen(ids);
	test_age_reads_ours(ids);
	test_we_read_theirs(ids);
	test_chain(ids);
	if (test_their_passphrase())
		test_our_passphrase();
	else
		printf("# no pseudo-terminals here: age -p is not tried, only the "
			   "file it once made (tests/vectors/age)\n");
	age_identities_free(ids);
	scratch_remove();
	return done_testing();
}
