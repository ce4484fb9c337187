/*-------------------------------------------------------------------------
 *
 * config.c
 *	  The INI file and the environment, as sections of keys.
 *
 * inih calls a reader for each line.  Ours counts lines (the packaged library
 * is built to tell its handler no line number) and refuses what inih would
 * take in silence: a line cut at its buffer's size, a section name cut at
 * 49 bytes, text after a section's bracket.
 *
 *-------------------------------------------------------------------------
 */
#include "base/config.h"

#include <ctype.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define CONFIG_FILE_MAX ((size_t) 1 << 20)

/* inih holds section and key in arrays of 50 bytes, and cuts what is longer. */
#define NAME_LEN_MAX 49

typedef struct Reader
{
	const char *path;
	const char *next; /* rest of the text */
	int line;
	Config *cfg;
	Error *err;
} Reader;

static bool
line_error(Reader *r, const char *what)
{
	return error_set(r->err, ERR_CONFIG, "%s:%d: %s", r->path, r->line, what);
}

/* "[name]", then nothing but a comment. */
static bool
check_section_line(Reader *r, const char *line)
{
	size_t len = strcspn(line, "]");
	const char *rest;

	if (line[len] == '\0')
		return line_error(r, "section without closing bracket");
	if (len < 2 || len - 1 > NAME_LEN_MAX)
		return line_error(r, "section name is empty or too long");
	rest = line + len + 1;
	rest += strspn(rest, " \t\r\n");
	if (*rest != '\0' && strchr(";#", *rest) == NULL)
		return line_error(r, "text after the section");
	return true;
}

static bool
check_line(Reader *r, const char *line, size_t len, size_t limit)
{
	if (len > limit)
	{
		line_error(r, "line too long");
		return error_hint(r->err, "A line can have %zu bytes.", limit);
	}
	if (line[0] == '[')
		return check_section_line(r, line);
	return true;
}

/* An ini_reader, like fgets().  Returns NULL at the end and on an error. */
static char *
read_line(char *buf, int size, void *stream)
{
	Reader *r = stream;
	size_t room = (size_t) size < CONFIG_LINE_MAX + 3 ? (size_t) size
													  : CONFIG_LINE_MAX + 3;
	size_t len;

	if (*r->next == '\0' || error_is_set(r->err))
		return NULL;
	r->line++;
	len = strcspn(r->next, "\n");
	/* inih would take an indented line for more of the value above */
	while (len > 0 && isspace((unsigned char) *r->next))
	{
		r->next++;
		len--;
	}
	if (len > room - 3)
	{
		check_line(r, "", len, room - 3);
		return NULL;
	}
	memcpy(buf, r->next, len);
	buf[len] = '\n';
	buf[len + 1] = '\0';
	r->next += len;
	if (*r->next == '\n')
		r->next++;
	return check_line(r, buf, len, room - 3) ? buf : NULL;
}

/* An ini_handler; 0 makes inih report the line as bad. */
static int
take_entry(void *user, const char *section, const char *key, const char *value)
{
	Reader *r = user;
	char *source;

	if (section[0] == '\0')
		return line_error(r, "text before the first section");
	if (key[0] == '\0')
		return line_error(r, "key is empty");
	source = mem_printf("%s:%d", r->path, r->line);
	config_add(r->cfg, section, key, value, source, false);
	free(source);
	return 1;
}

static bool
parse_text(const char *path, const char *text, Config *out, Error *err)
{
	Reader r = {.path = path, .next = text, .cfg = out, .err = err};
	int bad_line;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* byte order mark */
		r.next += 3;
	bad_line = ini_parse_stream(read_line, &r, take_entry, &r);

	if (error_is_set(err))
		return false;
	if (bad_line > 0)
		return error_set(err, ERR_CONFIG,
						 "%s:%d: expected \"key = value\" or \"[section]\"",
						 path, bad_line);
	if (bad_line < 0)
		return error_set(err, ERR_CONFIG, "could not parse file \"%s\"", path);
	return true;
}

/*
 * Absent and too large are matters of configuration here: ERR_NOT_FOUND has a
 * meaning of its own for those who ask for an object of the repository.
 */
bool
config_read_file(const char *path, Config *out, Error *err)
{
	StrBuf text = STRBUF_INIT;
	Error why = ERROR_INIT;
	bool done = false;

	*out = (Config){0};
	if (!file_slurp(path, CONFIG_FILE_MAX, &text, &why))
	{
		if (why.code == ERR_NOT_FOUND || why.code == ERR_DAMAGED)
			why.code = ERR_CONFIG;
		error_move(err, &why);
	}
	else if (strlen(text.data) != text.len)
		error_set(err, ERR_CONFIG, "file \"%s\" is not text", path);
	else
		done = parse_text(path, text.data, out, err);
	if (!done)
		config_free(out);
	strbuf_free(&text);
	return done;
}

static void
free_entry(ConfigEntry *entry)
{
	free(entry->section);
	free(entry->key);
	free(entry->value);
	free(entry->source);
}

static bool
is_entry(const ConfigEntry *entry, const char *section, const char *key)
{
	return strcmp(entry->section, section) == 0 && strcmp(entry->key, key) == 0;
}

static void
remove_entries(Config *cfg, const char *section, const char *key)
{
	size_t kept = 0;

	for (size_t i = 0; i < cfg->count; i++)
	{
		if (is_entry(&cfg->entries[i], section, key))
			free_entry(&cfg->entries[i]);
		else
			cfg->entries[kept++] = cfg->entries[i];
	}
	cfg->count = kept;
}

void
config_add(Config *cfg, const char *section, const char *key, const char *value,
		   const char *source, bool replace)
{
	/* copied first: the texts may be those of an entry that goes */
	ConfigEntry entry = {.section = mem_strdup(section),
						 .key = mem_strdup(key),
						 .value = mem_strdup(value),
						 .source = mem_strdup(source)};

	if (replace)
		remove_entries(cfg, entry.section, entry.key);
	cfg->entries = mem_grow(cfg->entries, cfg->count, &cfg->cap,
							sizeof(ConfigEntry));
	cfg->entries[cfg->count++] = entry;
}

static char *
variable_name(const char *section, const char *key)
{
	char *name = mem_printf("PGDR_%s_%s", section, key);

	for (char *p = name; *p != '\0'; p++)
		*p = isalnum((unsigned char) *p) ? (char) toupper((unsigned char) *p)
										 : '_';
	return name;
}

void
config_apply_environment(Config *cfg, const char *section,
						 const char *const *keys, size_t nkeys)
{
	for (size_t i = 0; i < nkeys; i++)
	{
		char *name = variable_name(section, keys[i]);
		const char *value = getenv(name);

		if (value != NULL)
			config_add(cfg, section, keys[i], value, "environment", true);
		free(name);
	}
}

const char *
config_get(const Config *cfg, const char *section, const char *key)
{
	for (size_t i = cfg->count; i > 0; i--)
	{
		if (is_entry(&cfg->entries[i - 1], section, key))
			return cfg->entries[i - 1].value;
	}
	return NULL;
}

void
config_free(Config *cfg)
{
	for (size_t i = 0; i < cfg->count; i++)
		free_entry(&cfg->entries[i]);
	free(cfg->entries);
	*cfg = (Config){0};
}
