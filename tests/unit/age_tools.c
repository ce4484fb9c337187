/*-------------------------------------------------------------------------
 *
 * age_tools.c
 *	  See age_tools.h.
 *
 *-------------------------------------------------------------------------
 */
#include "age_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define TERMINAL_SECONDS 120

static char scratch_path[256];

/* ---- files ---- */

const char *
scratch_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (scratch_path[0] == '\0')
	{
		snprintf(scratch_path, sizeof(scratch_path), "%s/age-test-XXXXXX",
				 tmp ? tmp : "/tmp");
		if (!mkdtemp(scratch_path))
			abort();
	}
	return scratch_path;
}

void
scratch_remove(void)
{
	const char *argv[] = {"rm", "-rf", scratch_path, NULL};

	if (scratch_path[0] != '\0')
		run_tool(argv, NULL, NULL);
	scratch_path[0] = '\0';
}

const char *
scratch(const char *name)
{
	static char paths[8][512];
	static int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_dir(), name);
	return path;
}

bool
put_file(const char *path, const void *data, size_t len)
{
	Error err = ERROR_INIT;
	bool good = file_write_durable(path, data, len, 0600, true, &err);

	if (!good)
		printf("# %s\n", err.message);
	error_clear(&err);
	return good;
}

bool
get_file(const char *path, StrBuf *out)
{
	Error err = ERROR_INIT;
	bool good = file_slurp(path, SIZE_MAX / 4, out, &err);

	if (!good)
		printf("# %s\n", err.message);
	error_clear(&err);
	return good;
}

/* ---- programs ---- */

/* In the child: fd becomes path, or /dev/null. */
static void
redirect(int fd, const char *path)
{
	int flags = fd == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC;
	int opened = open(path ? path : "/dev/null", flags, 0600);

	if (opened < 0 || dup2(opened, fd) < 0)
		_exit(126);
}

static void
exec_tool(const char *const argv[])
{
	char *copy[32];
	size_t n = 0;

	while (argv[n] && n < 31)
	{
		copy[n] = mem_strdup(argv[n]);
		n++;
	}
	copy[n] = NULL;
	execvp(copy[0], copy);
	_exit(127);
}

static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
	{
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
run_tool_messages(const char *const argv[], const char *in_path,
				  const char *out_path, const char *err_path)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
	{
		redirect(0, in_path);
		redirect(1, out_path);
		redirect(2, err_path);
		exec_tool(argv);
	}
	return pid < 0 ? -1 : wait_for(pid);
}

int
run_tool(const char *const argv[], const char *in_path, const char *out_path)
{
	return run_tool_messages(argv, in_path, out_path, NULL);
}

/* Has the program just asked something? */
static bool
is_question(const char *text, ssize_t len)
{
	return len >= 2 && memcmp(text + len - 2, ": ", 2) == 0;
}

/* Answers questions until the terminal is closed; false if it takes long. */
static bool
talk(int fd, const char *answer)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[1024];
	ssize_t n;

	for (;;)
	{
		if (poll(&p, 1, TERMINAL_SECONDS * 1000) <= 0)
			return false;
		n = read(fd, text, sizeof(text));
		if (n <= 0)
			return true; /* EIO: the other side is closed */
		if (is_question(text, n) &&
			(write(fd, answer, strlen(answer)) < 0 || write(fd, "\n", 1) < 0))
			return false;
	}
}

int
run_on_terminal(const char *const argv[], const char *answer)
{
	int fd;
	pid_t pid;

	fflush(stdout);
	pid = forkpty(&fd, NULL, NULL, NULL);
	if (pid < 0)
		return -1;
	if (pid == 0)
		exec_tool(argv);
	if (!talk(fd, answer))
		kill(pid, SIGKILL);
	close(fd);
	return wait_for(pid);
}

/* ---- data ---- */

static uint64_t
next_random(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void
fill_random(void *data, size_t len, uint64_t seed)
{
	uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t) next_random(&seed);
}

void
fill_words(void *data, size_t len, uint64_t seed)
{
	static const char *words[] = {"account ", "balance ", "teller ",
								  "branch ",  "history ", "\n"};
	uint8_t *p = data;

	for (size_t i = 0; i < len;)
	{
		const char *word = words[next_random(&seed) % 6];

		for (; *word && i < len; i++)
			p[i] = (uint8_t) *word++;
	}
}

bool
feed(Stage *stage, const void *data, size_t len, size_t piece, Error *err)
{
	const uint8_t *p = data;

	while (len > 0)
	{
		size_t n = piece > 0 && piece < len ? piece : len;

		if (!stage_write(stage, p, n, err))
			return false;
		p += n;
		len -= n;
	}
	return stage_finish(stage, err);
}

bool
same_bytes(const StrBuf *got, const void *want, size_t len)
{
	return got->len == len && (len == 0 || memcmp(got->data, want, len) == 0);
}

/* ---- age ---- */

AgeIdentities *
new_identity(char **text, AgeRecipient *recipient)
{
	AgeIdentities *ids = age_identities_new();
	Error err = ERROR_INIT;

	if (!age_identity_generate(text, recipient, &err) ||
		!age_identities_add_text(ids, *text, strlen(*text), &err))
	{
		printf("# %s\n", err.message);
		abort();
	}
	return ids;
}

void
add_recipient(AgeRecipients *list, const AgeRecipient *r)
{
	char text[AGE_RECIPIENT_TEXT];
	Error err = ERROR_INIT;

	age_recipient_text(r, text);
	if (!age_recipient_add(list, text, &err))
		abort();
}

bool
make_age_file(const AgeRecipients *to, const char *extra, const void *data,
			  size_t len, StrBuf *out)
{
	Error err = ERROR_INIT;
	AgeWriter *w = age_writer_new(to, extra ? "pgdr-object" : NULL,
								  extra ? strlen(extra) : 0, &err);
	Stage *sink = stage_sink_buffer(out, SIZE_MAX);
	Stage *age = w ? stage_age_encrypt(w, sink) : NULL;
	uint8_t *header = w ? mem_alloc(age_writer_header_len(w)) : NULL;
	bool good;

	strbuf_reset(out);
	good = w && age_writer_header(w, extra, header, &err);
	if (good)
	{
		strbuf_add(out, header, age_writer_header_len(w));
		good = feed(age, data, len, 0, &err);
	}
	if (!good)
		printf("# %s\n", err.message);
	free(header);
	stage_free(age);
	stage_free(sink);
	age_writer_free(w);
	error_clear(&err);
	return good;
}
