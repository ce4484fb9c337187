/*-------------------------------------------------------------------------
 *
 * dr.c
 *	  The module: its settings.
 *
 * It may be loaded by any session that calls one of its functions, or by
 * shared_preload_libraries, and does no work until it is called.
 *
 *-------------------------------------------------------------------------
 */
#include "dr.h"

#include "utils/guc.h"

PG_MODULE_MAGIC;

/* The program's own default, so that what works in a shell works here. */
#define DEFAULT_CONFIG_FILE "/etc/pgdr/pgdr.conf"

char *dr_config_file = NULL;

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
	MarkGUCPrefixReserved("dr");
}
