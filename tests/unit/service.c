/*-------------------------------------------------------------------------
 *
 * service.c
 *	  The scripts of tests/services, which start real servers, for unit tests.
 *
 *-------------------------------------------------------------------------
 */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "age_tools.h"
#include "base/file.h"

static void __attribute__((noreturn)) bail_out(const char *why)
{
	StrBuf log = STRBUF_INIT;

	if (get_file(scratch("services.log"), &log) && log.len > 0)
		fprintf(stderr, "%s", log.data);
	printf("Bail out! %s\n", why);
	exit(1);
}

/* tests/services, which lies beside the directory of this program. */
static char *
path_of(const char *script)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		bail_out("could not find out where this program lies");
	path[n] = '\0';
	for (int i = 0; i < 2; i++)
		*strrchr(path, '/') = '\0';
	return mem_printf("%s/services/%s", path, script);
}

static void
run(const char *script, const char *const arguments[SERVICE_ARGUMENTS],
	const char *output)
{
	char *path = path_of(script);
	char *log = mem_strdup(scratch("services.log"));
	const char *argv[SERVICE_ARGUMENTS + 3] = {"bash", path};
	char *why;

	for (int i = 0; i < SERVICE_ARGUMENTS && arguments[i] != NULL; i++)
		argv[i + 2] = arguments[i];
	if (run_tool_messages(argv, NULL, output, log) != 0)
	{
		why = mem_printf("%s %s failed (run tests/setup.sh as root if "
						 "something is not installed)",
						 script, arguments[0]);
		bail_out(why);
	}
	free(log);
	free(path);
}

void
service_run(const char *script, const char *const arguments[SERVICE_ARGUMENTS])
{
	run(script, arguments, NULL);
}

char *
service_output(const char *script,
			   const char *const arguments[SERVICE_ARGUMENTS])
{
	char *file = mem_strdup(scratch("services.out"));
	StrBuf text = STRBUF_INIT;

	run(script, arguments, file);
	if (!get_file(file, &text))
		bail_out("could not read what a service prints");
	free(file);
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	return strbuf_steal(&text);
}

char *
service_value(const char *dir, const char *name)
{
	char *file = file_join(dir, "env");
	StrBuf env = STRBUF_INIT;
	size_t len = strlen(name);
	char *value;

	if (!get_file(file, &env))
		bail_out("could not read what a service says");
	for (const char *line = env.data; *line != '\0';)
	{
		if (strncmp(line, name, len) == 0 && line[len] == '=')
		{
			line += len + 1;
			value = mem_strndup(line, strcspn(line, "\n"));
			strbuf_free(&env);
			free(file);
			return value;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	bail_out("a service does not say how to reach it");
}

char *
service_secret(const char *name, const char *text)
{
	char *path = mem_strdup(scratch(name));
	Error err = ERROR_INIT;

	if (!file_write_durable(path, text, strlen(text), 0600, true, &err))
		bail_out(err.message);
	return path;
}
