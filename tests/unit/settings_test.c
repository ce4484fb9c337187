/*-------------------------------------------------------------------------
 *
 * settings_test.c
 *	  Tests of cmd/settings: values, defaults, the environment, and what is
 *	  said of mistakes.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/settings.h"
#include "tap.h"
#include "tmpdir.h"

#define RECIPIENT \
	"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

#define MINIMAL                                                       \
	"[global]\ncluster = main\npgdata = /srv/pg\nencryption = none\n" \
	"[repo:local]\npath = /srv/repo\n"

static char *dir;
static char *file;
static Error err;
static Settings s;

static bool
load(const char *text)
{
	Error why = ERROR_INIT;

	if (!file_write_durable(file, text, strlen(text), 0600, true, &why))
	{
		printf("Bail out! %s\n", why.message);
		exit(1);
	}
	error_clear(&err);
	settings_free(&s);
	return settings_load(file, &s, &err);
}

static void
refused(const char *text, const char *part, const char *what)
{
	ok(!load(text) && err.code == ERR_CONFIG &&
		   strstr(err.message, part) != NULL &&
		   strstr(err.message, "pgdr.conf") != NULL,
	   "%s", what);
	if (err.message == NULL || strstr(err.message, part) == NULL)
		printf("# %s\n", err.message ? err.message : "was taken");
}

static void
hinted(const char *text, const char *hint, const char *what)
{
	ok(!load(text) && err.hint != NULL && strstr(err.hint, hint) != NULL, "%s",
	   what);
}

static void
test_defaults(void)
{
	ok(load(MINIMAL), "a minimal file");
	is_str(s.file, file, "its name");
	is_str(s.cluster, "main", "cluster");
	is_str(s.pgdata, "/srv/pg", "pgdata");
	is_str(s.connection, "", "connection");
	is_str(s.spool_path, "/var/spool/pgdr", "spool-path");
	ok(s.process_max >= 1 && s.process_max <= 4, "process-max");
	is_int(s.compress_level, 1, "compress-level");
	ok(s.pace == NULL, "which stays");
	ok(!s.compress_long, "compress-long");
	ok(!s.encrypt, "encryption");
	is_str(s.identity_file, NULL, "identity-file");
	is_int(s.archive_timeout, 60 * USECS_PER_SEC, "archive-timeout");
	is_str(s.manifest_checksums, "CRC32C", "manifest-checksums");
	is_int((int64_t) s.repo_count, 1, "one repository");
	is_str(s.repos[0].name, "local", "its name");
	is_str(s.repos[0].type, "posix", "its type");
	is_str(s.repos[0].path, "/srv/repo", "its path");
	is_int(s.repos[0].retention.keep_full, 0, "its retention");
}

static void
test_adaptive(void)
{
	ok(load("[global]\ncluster = c\npgdata = /p\nencryption = none\n"
			"compress-level = adaptive\n[repo:a]\npath = /a\n"),
	   "an adaptive level");
	ok(s.pace != NULL, "compress-level");
}

static void
test_values(void)
{
	ok(load("[global]\ncluster = my-cluster_1\npgdata = /srv//pg/\n"
			"connection = host=/tmp port=5433\nspool-path = /spool\n"
			"nice = 19\nprocess-max = 64\ncompress-level = -7\n"
			"compress-long = yes\n"
			"recipient = " RECIPIENT "\nrecipient = " RECIPIENT "\n"
			"identity-file = /k/id\npassphrase-file = /k/pass\n"
			"content-key-file = /k/content\narchive-timeout = 2min\n"
			"manifest-checksums = SHA256\nretention-full = 3\n"
			"retention-time = 14d\nretention-yearly = 7\n"
			"retention-wal = 30d\nretention-calendar = full\n"
			"[repo:b]\ntype = posix\npath = /b\nretention-full = 5\n"
			"[repo:a]\npath = /a\n"),
	   "all values");
	is_str(s.pgdata, "/srv/pg", "a path is cleaned");
	is_str(s.connection, "host=/tmp port=5433", "connection");
	is_int(s.process_max, 64, "process-max");
	is_int(s.nice, 19, "nice");
	is_int(s.compress_level, -7, "compress-level");
	ok(s.compress_long, "compress-long");
	ok(s.encrypt, "encryption is on");
	is_int((int64_t) s.recipient_count, 2, "two recipients");
	is_str(s.recipients[1], RECIPIENT, "the second");
	is_str(s.identity_file, "/k/id", "identity-file");
	is_str(s.passphrase_file, "/k/pass", "passphrase-file");
	is_str(s.content_key_file, "/k/content", "content-key-file");
	is_int(s.archive_timeout, 120 * USECS_PER_SEC, "archive-timeout");
	is_str(s.manifest_checksums, "SHA256", "manifest-checksums");
	is_int((int64_t) s.repo_count, 2, "two repositories");
	is_str(s.repos[0].name, "b", "in the order of the file");
	is_int(s.repos[0].retention.keep_full, 5, "its own retention");
	is_int(s.repos[0].retention.keep_time,
		   INT64_C(14) * 24 * 3600 * USECS_PER_SEC, "or the common one");
	is_int(s.repos[1].retention.keep_full, 3, "or all of the common one");
	ok(s.repos[1].retention.keep_period[PERIOD_YEAR] == 7 &&
		   s.repos[1].retention.period_full &&
		   s.repos[1].retention.wal_time == 30 * 86400 * USECS_PER_SEC,
	   "of the calendar and of WAL too");
}

/* A line that is added to the end, in section [repo:local]. */
static void
test_refused(void)
{
	refused("[global]\nclustr = x\n", ":2: unknown key", "an unknown key");
	is_str(err.hint, "Perhaps you meant \"cluster\".", "the nearest one");
	refused(MINIMAL "pathh = /x\n", ":7: unknown key",
			"an unknown key of a repository");
	refused(MINIMAL "[globl]\nx = y\n", "unknown section", "a section");
	is_str(err.hint, "Perhaps you meant [global].", "the nearest one");
	refused(MINIMAL "[repo:a b]\npath = /x\n", "[repo:a b]",
			"a wrong name of a repository");
	refused(MINIMAL "[repo:]\npath = /x\n", "[repo:]", "an empty one");
	refused(MINIMAL "path = /x\n", "twice", "a key given twice");
	refused("[global]\npgdata = /p\n[repo:a]\npath = /a\n",
			"\"cluster\" is missing", "cluster is required");
	refused("[global]\ncluster = a\n[repo:a]\npath = /a\n",
			"\"pgdata\" is missing", "pgdata is required");
	refused("[global]\ncluster = a\npgdata = /p\nencryption = none\n"
			"[repo:a]\ntype = posix\n",
			"\"path\" is missing", "path is required");
	refused("[global]\ncluster = a\npgdata = /p\nencryption = none\n",
			"no repository", "a repository is required");
	refused("[global]\ncluster = a/b\n", "a/b", "a name with a slash");
	refused("[global]\npgdata = pg\n", "\"pg\"", "a relative path");
	refused("[global]\npgdata =\n", "\"\"", "an empty path");
	refused("[global]\nnice = 20\n", "\"20\"", "too nice");
	refused("[global]\nprocess-max = 0\n", "\"0\"", "too small a number");
	refused("[global]\nprocess-max = 65\n", "\"65\"", "too large a number");
	refused("[global]\nprocess-max = 4x\n", "\"4x\"", "no number");
	refused("[global]\ncompress-level = adaptively\n", "\"adaptively\"",
			"a level that is no number");
	refused("[global]\ncompress-long = 1\n", "\"1\"", "long mode by a number");
	refused("[global]\ncompress-level = 23\n", "\"23\"", "a wrong level");
	refused("[global]\nencryption = gpg\n", "\"gpg\"", "other encryption");
	refused("[global]\narchive-timeout = 5m\n", "\"5m\"", "a wrong time");
	refused("[global]\narchive-timeout = 0\n", "\"0\"", "no time at all");
	refused("[global]\nmanifest-checksums = MD5\n", "\"MD5\"", "a checksum");
	refused("[global]\nretention-calendar = none\n", "\"none\"",
			"a wrong choice of backups");
	refused("[global]\nretention-full = -1\n", "\"-1\"", "a wrong retention");
	refused("[global]\nrecipient =\n", "\"\"", "an empty recipient");
	refused(MINIMAL "type = s4\n", "\"s4\"", "another store");
	ok(err.detail != NULL && strstr(err.detail, "posix") != NULL &&
		   strstr(err.detail, "memory") == NULL,
	   "the stores there are");
	refused(MINIMAL "type = memory\n", "\"memory\"", "the store for tests");
	refused("[global]\ncluster = a\npgdata = /p\nrecipient = " RECIPIENT
			"\nencryption = none\n[repo:a]\npath = /a\n",
			"recipient", "a recipient without encryption");
	hinted("[global]\ncluster = a\npgdata = /p\n[repo:a]\npath = /a\n",
		   "key generate", "encryption without a recipient");
	ok(!settings_load("/nonexistent/pgdr.conf", &s, &err), "no file");
}

#define SFTP "[repo:far]\ntype = sftp\npath = /srv/far\n"
#define SERVER "host = h\nuser = u\n"

static void
test_several(void)
{
	RepoOptions options;

	ok(load(MINIMAL "[repo:b]\npath = /b\nrequired = no\n"),
	   "two repositories");
	ok(s.repos[0].required && !s.repos[1].required, "required or not");
	is_int(s.quorum, 0, "no quorum");
	ok(load("[global]\nquorum = 1\ncluster = a\npgdata = /p\n"
			"encryption = none\n[repo:a]\npath = /a\n"
			"[repo:b]\npath = /b\nrequired = yes\n"),
	   "a quorum");
	is_int(s.quorum, 1, "its size");
	ok(!s.repos[0].required && s.repos[1].required,
	   "then only those are required of which it is said");
	refused("[global]\nquorum = 2\ncluster = a\npgdata = /p\n"
			"encryption = none\n[repo:a]\npath = /a\n",
			"quorum", "more than there are");
	refused(MINIMAL "required = maybe\n", "\"maybe\"", "neither yes nor no");

	ok(load(MINIMAL SFTP SERVER "port = 2022\n"), "a store with keys");
	options = settings_repo_options(&s, &s.repos[1], NULL);
	is_str(storage_param(&options.storage, "host"), "h", "its keys");
	is_int(storage_param_int(&options.storage, "port", 22), 2022, "a number");
	refused(MINIMAL SFTP SERVER "prt = 1\n", "\"prt\"", "an unknown one");
	is_str(err.hint, "Perhaps you meant \"port\".", "the nearest one");
	refused(MINIMAL SFTP SERVER "port = x\n", "\"x\"", "a wrong value");
	refused(MINIMAL SFTP SERVER "host = i\n", "twice", "a key given twice");
	refused(MINIMAL SFTP, "\"host\" is missing", "a required one is missing");
	refused(MINIMAL "host = h\n", "\"host\"", "a key of another store");
	setenv("PGDR_REPO_FAR_PORT", "23", 1);
	ok(load(MINIMAL SFTP SERVER), "a key from the environment");
	options = settings_repo_options(&s, &s.repos[1], NULL);
	is_int(storage_param_int(&options.storage, "port", 22), 23, "its value");
	unsetenv("PGDR_REPO_FAR_PORT");
}

static void
test_environment(void)
{
	setenv("PGDR_GLOBAL_PROCESS_MAX", "7", 1);
	setenv("PGDR_REPO_LOCAL_PATH", "/elsewhere", 1);
	ok(load(MINIMAL), "values from the environment");
	is_int(s.process_max, 7, "of a section");
	is_str(s.repos[0].path, "/elsewhere", "in place of the file's");
	setenv("PGDR_GLOBAL_PROCESS_MAX", "x", 1);
	ok(!load(MINIMAL) && strstr(err.message, "environment") != NULL,
	   "a wrong one is refused by its source");
	unsetenv("PGDR_GLOBAL_PROCESS_MAX");
	setenv("PGDR_GLOBAL_PROCES_MAX", "7", 1);
	ok(!load(MINIMAL) && strstr(err.message, "PGDR_GLOBAL_PROCES_MAX") != NULL,
	   "one that is misspelt is refused");
	unsetenv("PGDR_GLOBAL_PROCES_MAX");
	setenv("PGDR_REPO_OTHER_PATH", "/x", 1);
	ok(!load(MINIMAL), "one of a repository that is not in the file");
	unsetenv("PGDR_REPO_OTHER_PATH");
	unsetenv("PGDR_REPO_LOCAL_PATH");
	setenv("PGDR_CONFIG", file, 1);
	settings_free(&s);
	error_clear(&err);
	ok(settings_load(NULL, &s, &err), "the file itself by PGDR_CONFIG");
	unsetenv("PGDR_CONFIG");
}

/* ---- keys ---- */

static char *
write_secret(const char *name, const char *text, mode_t mode)
{
	char *path = file_join(dir, name);
	Error why = ERROR_INIT;

	ok(file_write_durable(path, text, strlen(text), mode, true, &why), "%s",
	   name);
	chmod(path, mode);
	return path;
}

static bool
load_keys(Settings *from, RepoKeys *keys)
{
	error_clear(&err);
	return settings_load_keys(from, keys, &err);
}

#define HEX16 "00112233445566778899aabbccddeeff"

static void
test_keys(void)
{
	char *identity;
	char *content = write_secret("content", HEX16 HEX16 "\n", 0600);
	char *secret = NULL;
	AgeRecipient recipient;
	char text[AGE_RECIPIENT_TEXT];
	char *recipients[1] = {text};
	Settings from = {.file = "pgdr.conf",
					 .encrypt = true,
					 .recipients = recipients,
					 .recipient_count = 1,
					 .content_key_file = content};
	RepoKeys keys;

	ok(age_init(&err) && age_identity_generate(&secret, &recipient, &err),
	   "a key");
	age_recipient_text(&recipient, text);
	identity = write_secret("identity", secret, 0600);
	age_secret_free(secret);

	ok(load_keys(&from, &keys), "keys of a host that only writes");
	is_int((int64_t) keys.recipients.count, 1, "a recipient");
	ok(keys.identities == NULL, "no identity");
	ok(keys.has_content_key && keys.content_key[1] == 0x11 &&
		   keys.content_key[31] == 0xff,
	   "the content key");
	repo_keys_free(&keys);

	from.identity_file = identity;
	ok(load_keys(&from, &keys), "keys of a host that reads");
	is_int((int64_t) age_identities_count(keys.identities), 1, "an identity");
	repo_keys_free(&keys);

	chmod(identity, 0640);
	ok(!load_keys(&from, &keys) && err.code == ERR_KEY,
	   "an identity that others can read is refused");
	ok(settings_load_write_keys(&from, &keys, &err),
	   "to write it is not needed");
	repo_keys_free(&keys);
	unlink(identity);
	ok(!load_keys(&from, &keys) && err.code == ERR_KEY,
	   "a missing identity is a missing key");
	from.identity_file = NULL;

	chmod(content, 0644);
	ok(!load_keys(&from, &keys) && err.code == ERR_KEY,
	   "a content key that others can read is refused");
	free(content);
	content = write_secret("content", HEX16 "\n", 0600);
	from.content_key_file = content;
	ok(!load_keys(&from, &keys) && err.code == ERR_KEY, "half a content key");
	ok(err.message != NULL && strstr(err.message, HEX16) == NULL,
	   "the message does not tell it");
	from.content_key_file = NULL;
	recipients[0] = "age1notakey";
	ok(!load_keys(&from, &keys) && err.code == ERR_CONFIG,
	   "a wrong recipient is refused");
	free(content);
	free(identity);
}

int
main(void)
{
	dir = tmpdir_make("settings");
	file = file_join(dir, "pgdr.conf");
	test_defaults();
	test_adaptive();
	test_values();
	test_refused();
	test_several();
	test_environment();
	test_keys();
	settings_free(&s);
	error_clear(&err);
	tmpdir_remove(dir);
	free(file);
	free(dir);
	return done_testing();
}
