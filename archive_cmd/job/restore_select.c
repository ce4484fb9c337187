/*-------------------------------------------------------------------------
 *
 * restore_select.c
 *	  Which databases a restore brings back with their contents.
 *
 * The others have files of the right size, because recovery writes pages into
 * them; but none that a session could work with: it is refused when it reads
 * pg_filenode.map, and DROP DATABASE needs none of it.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_select.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/datadir_names.h"

/* Below this are those that initdb makes, but for what has been upgraded. */
#define FIRST_NORMAL_OID 16384

static const char *const system_names[] = {"template0", "template1",
										   "postgres"};

static bool
is_system(const ManifestDatabase *d)
{
	for (size_t i = 0; i < sizeof(system_names) / sizeof(system_names[0]); i++)
	{
		if (strcmp(d->name, system_names[i]) == 0)
			return true;
	}
	return false;
}

static void
add_oid(RestoreSelect *s, uint32_t oid)
{
	s->oids = mem_realloc(s->oids, (s->count + 1) * sizeof(*s->oids));
	s->oids[s->count++] = oid;
}

/* By its name, or by the OID, which no name can hide. */
static bool
find(const Manifest *m, const char *given, uint32_t *oid)
{
	uint32_t number = 0;
	bool is_number = datadir_parse_oid(given, &number);

	for (size_t i = 0; i < m->database_count; i++)
	{
		*oid = m->databases[i].oid;
		if (strcmp(m->databases[i].name, given) == 0)
			return true;
	}
	*oid = number;
	for (size_t i = 0; is_number && i < m->database_count; i++)
	{
		if (m->databases[i].oid == number)
			return true;
	}
	return is_number && m->database_count == 0;
}

static bool
not_there(const Manifest *m, const char *given, Error *err)
{
	StrBuf names = STRBUF_INIT;

	error_set(err, ERR_USAGE, "backup %s has no database \"%s\"", m->info.label,
			  given);
	for (size_t i = 0; i < m->database_count; i++)
		strbuf_printf(&names, "%s%s", i > 0 ? ", " : "", m->databases[i].name);
	if (m->database_count > 0)
		error_hint(err, "It has %s.", names.data);
	else
		error_hint(err, "It does not tell the names of its databases; give "
						"the OID instead.");
	strbuf_free(&names);
	return false;
}

bool
restore_select_init(const Manifest *m, const RestoreOptions *options,
					RestoreSelect *out, Error *err)
{
	*out = (RestoreSelect){0};
	if (options->database_count == 0)
		return true;
	for (size_t i = 0; i < options->database_count; i++)
	{
		uint32_t oid;

		if (!find(m, options->databases[i], &oid))
			return not_there(m, options->databases[i], err);
		add_oid(out, oid);
	}
	for (size_t i = 0; i < m->database_count; i++)
	{
		if (is_system(&m->databases[i]))
			add_oid(out, m->databases[i].oid);
	}
	return true;
}

void
restore_select_free(RestoreSelect *s)
{
	free(s->oids);
	*s = (RestoreSelect){0};
}

/* The OID at the start of text; 0: none.  *rest is what follows its slash. */
static uint32_t
take_oid(const char *text, const char **rest)
{
	char number[16];
	size_t len = strcspn(text, "/");
	uint32_t oid;

	if (text[len] != '/' || len >= sizeof(number))
		return 0;
	memcpy(number, text, len);
	number[len] = '\0';
	*rest = text + len + 1;
	return datadir_parse_oid(number, &oid) ? oid : 0;
}

/* Whose database is it?  0: of none. */
static uint32_t
database_of(const char *path, const char **name)
{
	const char *rest;

	if (strncmp(path, "base/", 5) == 0)
		return take_oid(path + 5, name);
	if (strncmp(path, "pg_tblspc/", 10) != 0 || take_oid(path + 10, &rest) == 0)
		return 0;
	rest = strchr(rest, '/'); /* behind the version's directory */
	return rest != NULL ? take_oid(rest + 1, name) : 0;
}

bool
restore_select_zeros(const RestoreSelect *s, const char *path)
{
	const char *name = "";
	uint32_t oid = s->count > 0 ? database_of(path, &name) : 0;

	if (oid < FIRST_NORMAL_OID || strcmp(name, "PG_VERSION") == 0)
		return false;
	for (size_t i = 0; i < s->count; i++)
	{
		if (s->oids[i] == oid)
			return false;
	}
	return true;
}
