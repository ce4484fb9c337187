/*-------------------------------------------------------------------------
 *
 * sftp_server.c
 *	  A real OpenSSH server for the tests of the sftp driver: starts
 *	  tests/services/sshd.sh in a process group of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "sftp_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define START_TIME (20 * USECS_PER_SEC)

static struct sockaddr_in
loopback_address(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
								.sin_port = htons((uint16_t) port),
								.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
free_port(void)
{
	struct sockaddr_in address = loopback_address(0);
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &len) != 0)
	{
		perror("could not find a free port");
		exit(1);
	}
	close(fd);
	return ntohs(address.sin_port);
}

static bool
answers(int port)
{
	struct sockaddr_in address = loopback_address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char banner[4];
	bool good = connect(fd, (struct sockaddr *) &address, sizeof(address)) ==
					0 &&
				recv(fd, banner, sizeof(banner), MSG_WAITALL) == sizeof(banner);

	close(fd);
	return good;
}

/* The script lies beside the directory of this program. */
static char *
script_path(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *tests = getenv("TESTDIR");

	if (tests != NULL)
		return mem_printf("%s/tests/services/sshd.sh", tests);
	self[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < 2 && strrchr(self, '/') != NULL; i++)
		*strrchr(self, '/') = '\0';
	return mem_printf("%s/services/sshd.sh", self);
}

static void
run_script(const SftpServer *s, const char *action)
{
	char *script = script_path();
	char *port = mem_printf("%d", s->port);

	if (s->sftp != NULL)
		setenv("SSHD_SFTP", s->sftp, 1);
	if (s->host_keys != NULL)
		setenv("SSHD_HOST_KEYS", s->host_keys, 1);
	if (s->options != NULL)
		setenv("SSHD_OPTIONS", s->options, 1);
	if (s->small_disk != NULL)
	{
		/* A mount of its own, then back to the user that we are. */
		char *command = mem_printf(
			"mount -t tmpfs -o size=%s,mode=0777 tmpfs '%s' && "
			"{ [ -z '%s' ] || mount -o remount,%s tmpfs '%s'; } && "
			"exec unshare --user --map-user=%d --map-group=%d "
			"'%s' %s '%s' %s",
			s->small_disk, s->root, s->mount_option ? s->mount_option : "",
			s->mount_option ? s->mount_option : "", s->root, (int) getuid(),
			(int) getgid(), script, action, s->dir, port);

		execlp("unshare", "unshare", "--user", "--map-root-user", "--mount",
			   "sh", "-c", command, (char *) NULL);
	}
	else
		execl(script, script, action, s->dir, port, (char *) NULL);
	perror(script);
	_exit(127);
}

void
sftp_server_init(SftpServer *s, const char *dir)
{
	int status = 0;
	pid_t pid;

	*s = (SftpServer){.port = free_port()};
	s->dir = mem_strdup(dir);
	s->root = file_join(dir, "root");
	pid = fork();
	if (pid == 0)
		run_script(s, "setup");
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
	{
		printf("Bail out! could not set up an SSH server\n");
		exit(1);
	}
	if (mkdir(s->root, 0700) != 0 && errno != EEXIST)
		perror(s->root);
}

bool
sftp_server_start(SftpServer *s)
{
	int64_t until = clock_monotonic() + START_TIME;

	s->pid = fork();
	if (s->pid == 0)
	{
		setsid();
		run_script(s, "run");
	}
	while (!answers(s->port))
	{
		if (clock_monotonic() > until ||
			waitpid(s->pid, NULL, WNOHANG) == s->pid)
		{
			sftp_server_stop(s);
			return false;
		}
		usleep(20000);
	}
	return true;
}

void
sftp_server_signal(const SftpServer *s, int signo)
{
	if (s->pid > 0)
		kill(-s->pid, signo);
}

void
sftp_server_stop(SftpServer *s)
{
	if (s->pid <= 0)
		return;
	sftp_server_signal(s, SIGCONT);
	sftp_server_signal(s, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void
sftp_server_free(SftpServer *s)
{
	sftp_server_stop(s);
	free(s->dir);
	free(s->root);
}

char *
sftp_server_file(const SftpServer *s, const char *name)
{
	char *path = file_join(s->dir, name);
	StrBuf text = STRBUF_INIT;
	Error err = ERROR_INIT;

	if (!file_slurp(path, 65536, &text, &err))
	{
		printf("# %s\n", err.message);
		error_clear(&err);
	}
	free(path);
	if (text.data == NULL)
		return mem_strdup("");
	text.data[strcspn(text.data, "\n")] = '\0';
	return strbuf_steal(&text);
}

void
sftp_target_set(SftpTarget *t, const char *key, const char *value)
{
	size_t i = 0;

	while (i < t->options.param_count && strcmp(t->params[i].key, key) != 0)
		i++;
	free(t->texts[i]);
	t->texts[i] = value != NULL ? mem_strdup(value) : NULL;
	t->params[i] = (StorageParam){.key = key, .value = t->texts[i]};
	if (i == t->options.param_count)
		t->options.param_count++;
	if (value == NULL)
	{
		size_t last = --t->options.param_count;

		t->params[i] = t->params[last];
		t->texts[i] = t->texts[last];
		t->texts[last] = NULL;
	}
}

void
sftp_target_init(SftpTarget *t, const SftpServer *s, const char *name)
{
	struct passwd *me = getpwuid(getuid());
	char *port = mem_printf("%d", s->port);
	char *key = file_join(s->dir, "id_ed25519");
	char *pin = sftp_server_file(s, "fingerprint");

	*t = (SftpTarget){.path = file_join(s->root, name)};
	t->options = (StorageOptions){.repo = name,
								  .type = "sftp",
								  .path = t->path,
								  .create = true,
								  .params = t->params};
	sftp_target_set(t, "host", "127.0.0.1");
	sftp_target_set(t, "port", port);
	sftp_target_set(t, "user", me != NULL ? me->pw_name : "postgres");
	sftp_target_set(t, "private-key-file", key);
	sftp_target_set(t, "host-key-sha256", pin);
	sftp_target_set(t, "connect-timeout", "5s");
	sftp_target_set(t, "stall-timeout", "5s");
	sftp_target_set(t, "total-timeout", "60s");
	free(port);
	free(key);
	free(pin);
}

void
sftp_target_free(SftpTarget *t)
{
	for (size_t i = 0; i < SFTP_PARAMS_MAX; i++)
		free(t->texts[i]);
	free(t->path);
}
