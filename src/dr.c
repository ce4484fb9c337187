/*-------------------------------------------------------------------------
 *
 * dr.c
 *	  The module: its settings.
 *
 * It may be loaded by any session that calls one of its functions, and then does
 * no work until it is called; loaded by shared_preload_libraries it has a
 * background worker as well, which samples how far the WAL has come.
 *
 *-------------------------------------------------------------------------
 */
#include "dr.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "worker.h"

PG_MODULE_MAGIC;

/* The program's own default, so that what works in a shell works here. */
#define DEFAULT_CONFIG_FILE "/etc/pgdr/pgdr.conf"

char *dr_config_file = NULL;
int dr_sample_interval = 1000;

extern PGDLLEXPORT void _PG_init(void);

static bool
check_config_file(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || (*newval)[0] == '\0' || is_absolute_path(*newval))
		return true;
	GUC_check_errdetail("The path of the configuration file must be "
						"absolute.");
	return false;
}

void
_PG_init(void)
{
	DefineCustomStringVariable(
		"dr.config_file",
		"Sets the configuration file that the program pgdr reads when it is "
		"run from SQL.",
		NULL, &dr_config_file, DEFAULT_CONFIG_FILE, PGC_SIGHUP,
		GUC_SUPERUSER_ONLY, check_config_file, NULL, NULL);
	DefineCustomIntVariable(
		"dr.sample_interval",
		"Sets the time between two samples of how far the WAL has come.",
		"It bounds how exact the RPO is.  Samples are taken only if dr is in "
		"shared_preload_libraries.",
		&dr_sample_interval, 1000, 100, 60000, PGC_SIGHUP, GUC_UNIT_MS, NULL,
		NULL, NULL);
	MarkGUCPrefixReserved("dr");
	if (process_shared_preload_libraries_in_progress)
		dr_worker_register();
}
