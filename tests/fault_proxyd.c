/*-------------------------------------------------------------------------
 *
 * fault_proxyd.c
 *	  The TCP proxy with faults (unit/fault_proxy.h) as a program, for tests
 *	  that are scripts.
 *
 *		fault_proxyd TARGET_PORT
 *
 * Prints the port it listens at.  Each line of input sets faults ("cut_up=1000
 * reset=1 times=2"; an empty line: none), or asks: "faults", "requests".  Each
 * is answered by a line with a number.  It ends with its input.
 *
 *-------------------------------------------------------------------------
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_proxy.h"

typedef struct Field
{
	const char *name;
	size_t offset;
	enum
	{
		FIELD_INT64,
		FIELD_INT,
		FIELD_BOOL
	} kind;
} Field;

#define INT64_FIELD(name)                          \
	{                                              \
#name, offsetof(Faults, name), FIELD_INT64 \
	}

static const Field fields[] = {
	INT64_FIELD(cut_up),
	INT64_FIELD(cut_down),
	INT64_FIELD(stall_up),
	INT64_FIELD(stall_down),
	INT64_FIELD(flip_up),
	INT64_FIELD(flip_down),
	{"reset", offsetof(Faults, reset), FIELD_BOOL},
	{"refuse", offsetof(Faults, refuse), FIELD_BOOL},
	{"busy_percent", offsetof(Faults, busy_percent), FIELD_INT},
	{"count", offsetof(Faults, count), FIELD_BOOL},
	{"skip", offsetof(Faults, skip), FIELD_INT},
	{"times", offsetof(Faults, times), FIELD_INT},
};

static bool
set_field(Faults *faults, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
	{
		void *place = (char *) faults + fields[i].offset;
		long long n = strtoll(value, NULL, 10);

		if (strcmp(fields[i].name, name) != 0)
			continue;
		if (fields[i].kind == FIELD_INT64)
			*(int64_t *) place = n;
		else if (fields[i].kind == FIELD_INT)
			*(int *) place = (int) n;
		else
			*(bool *) place = n != 0;
		return true;
	}
	return false;
}

/* Takes the line apart; false if it is no list of faults. */
static bool
parse(char *line, Faults *faults)
{
	char *rest = line;
	char *word;

	while ((word = strsep(&rest, " \n")) != NULL)
	{
		char *value = strchr(word, '=');

		if (word[0] == '\0')
			continue;
		if (value == NULL)
			return false;
		*value++ = '\0';
		if (!set_field(faults, word, value))
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	FaultProxy *proxy;
	char line[1000];

	if (argc != 2)
	{
		fprintf(stderr, "usage: fault_proxyd TARGET_PORT\n");
		return 2;
	}
	proxy = fault_proxy_start((int) strtol(argv[1], NULL, 10));
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%d\n", fault_proxy_port(proxy));
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		Faults faults = {.times = 0};

		if (strcmp(line, "faults\n") == 0)
			printf("%d\n", fault_proxy_count(proxy));
		else if (strcmp(line, "requests\n") == 0)
			printf("%d\n", fault_proxy_requests(proxy));
		else if (parse(line, &faults))
		{
			fault_proxy_set(proxy, &faults);
			printf("0\n");
		}
		else
			printf("-1\n");
	}
	fault_proxy_stop(proxy);
	return 0;
}
