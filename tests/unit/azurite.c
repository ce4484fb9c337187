/*-------------------------------------------------------------------------
 *
 * azurite.c
 *	  An Azurite server for unit tests.
 *
 *-------------------------------------------------------------------------
 */
#include "azurite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "age_tools.h"
#include "base/file.h"
#include "service.h"

#define SCRIPT "azurite.sh"

static void
start(const Azurite *a)
{
	char *certificate = a->ca ? file_join(a->ca, "server.crt") : NULL;
	char *key = a->ca ? file_join(a->ca, "server.key") : NULL;

	service_run(SCRIPT, (const char *[SERVICE_ARGUMENTS]){"start", a->dir,
														  certificate, key});
	free(certificate);
	free(key);
}

void
azurite_start(Azurite *a, const char *name, bool tls)
{
	char *port;

	*a = (Azurite){.dir = mem_strdup(scratch(name))};
	if (tls)
	{
		a->ca = mem_strdup(scratch("ca"));
		service_run("certificates.sh",
					(const char *[SERVICE_ARGUMENTS]){a->ca});
	}
	start(a);
	port = service_value(a->dir, "AZURE_PORT");
	a->port = (int) strtol(port, NULL, 10);
	free(port);
	a->endpoint = service_value(a->dir, "AZURE_ENDPOINT");
	a->account = service_value(a->dir, "AZURE_ACCOUNT");
	a->key_file = service_value(a->dir, "AZURE_KEY_FILE");
}

void
azurite_down(const Azurite *a)
{
	service_run(SCRIPT, (const char *[SERVICE_ARGUMENTS]){"stop", a->dir});
}

void
azurite_up(const Azurite *a)
{
	start(a);
}

void
azurite_stop(Azurite *a)
{
	azurite_down(a);
	free(a->dir);
	free(a->ca);
	free(a->endpoint);
	free(a->account);
	free(a->key_file);
}

int
azurite_pid(const Azurite *a)
{
	char *name = file_join(a->dir, "azurite.pid");
	StrBuf text = STRBUF_INIT;
	int pid = get_file(name, &text) ? (int) strtol(text.data, NULL, 10) : 0;

	strbuf_free(&text);
	free(name);
	return pid;
}

void
azurite_container(const Azurite *a, const char *name)
{
	service_run(SCRIPT,
				(const char *[SERVICE_ARGUMENTS]){"container", a->dir, name});
}

char *
azurite_sas(const Azurite *a, const char *container, const char *permissions,
			int seconds)
{
	char *time = mem_printf("%d", seconds);
	char *name = mem_printf("%s-%s.sas", container, permissions);
	char *sas = service_output(
		SCRIPT, (const char *[SERVICE_ARGUMENTS]){"sas", a->dir, container,
												  permissions, time});
	char *path = service_secret(name, sas);

	free(sas);
	free(name);
	free(time);
	return path;
}

/* ---- options ---- */

void
azurite_set(AzuriteOptions *o, const char *key, const char *value)
{
	size_t n = o->options.param_count;

	for (size_t i = 0; i < n; i++)
	{
		if (strcmp(o->param[i].key, key) == 0)
		{
			free((char *) (uintptr_t) o->param[i].key);
			free((char *) (uintptr_t) o->param[i].value);
			o->param[i] = o->param[--n];
			break;
		}
	}
	if (value != NULL)
	{
		o->param = mem_grow(o->param, n, &o->cap, sizeof(StorageParam));
		o->param[n++] = (StorageParam){mem_strdup(key), mem_strdup(value)};
	}
	o->options.param_count = n;
	o->options.params = o->param;
}

void
azurite_options(const Azurite *a, const char *container, int port,
				AzuriteOptions *out)
{
	char *endpoint = port == 0 ? mem_strdup(a->endpoint)
							   : mem_printf("http://127.0.0.1:%d/%s", port,
											a->account);

	*out = (AzuriteOptions){
		.options = {.repo = "az", .type = "azure", .path = ""}};
	azurite_set(out, "account", a->account);
	azurite_set(out, "container", container);
	azurite_set(out, "endpoint", endpoint);
	azurite_set(out, "account-key-file", a->key_file);
	azurite_set(out, "block-size", "1MB");
	azurite_set(out, "connect-timeout", "5s");
	azurite_set(out, "stall-timeout", "10s");
	azurite_set(out, "total-timeout", "60s");
	if (a->ca != NULL)
	{
		char *ca = file_join(a->ca, "ca.crt");

		azurite_set(out, "ca-file", ca);
		free(ca);
	}
	free(endpoint);
}

void
azurite_options_free(AzuriteOptions *o)
{
	for (size_t i = 0; i < o->options.param_count; i++)
	{
		free((char *) (uintptr_t) o->param[i].key);
		free((char *) (uintptr_t) o->param[i].value);
	}
	free(o->param);
	*o = (AzuriteOptions){0};
}
