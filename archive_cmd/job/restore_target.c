/*-------------------------------------------------------------------------
 *
 * restore_target.c
 *	  Where a recovery is to end: what the user asked for, checked, and the
 *	  server's settings that say the same.
 *
 *-------------------------------------------------------------------------
 */
#include "job/restore_target.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* Longest name of a restore point (MAXFNAMELEN of the server, less the NUL). */
#define POINT_NAME_MAX 63

/* Transaction IDs below are the server's own. */
#define FIRST_NORMAL_XID 3

static const char *const type_names[] = {
	[TARGET_LATEST] = "latest", [TARGET_IMMEDIATE] = "immediate",
	[TARGET_TIME] = "time",     [TARGET_LSN] = "lsn",
	[TARGET_XID] = "xid",       [TARGET_NAME] = "name",
};

const char *
restore_target_type_name(TargetType type)
{
	return type_names[type];
}

bool
restore_target_type_parse(const char *text, TargetType *out)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
	{
		if (strcmp(text, type_names[i]) == 0)
		{
			*out = (TargetType) i;
			return true;
		}
	}
	return false;
}

/* ---- what the user wrote ---- */

static bool
parse_time(const char *text, RestoreTarget *out, Error *err)
{
	char buf[CLOCK_TEXT_LEN];

	if (!clock_parse(text, &out->time, err))
		return false;
	out->text = mem_strdup(clock_format(out->time, buf));
	return true;
}

static bool
parse_lsn(const char *text, RestoreTarget *out, Error *err)
{
	char buf[LSN_TEXT_LEN];

	if (!lsn_parse(text, &out->lsn) || out->lsn == 0)
		return error_set(err, ERR_USAGE, "invalid WAL position \"%s\"", text);
	lsn_format(out->lsn, buf);
	out->text = mem_strdup(buf);
	return true;
}

/*
 * The server takes 64-bit IDs, as pg_current_xact_id() gives them, and looks
 * at the lower half only: so do we.
 */
static bool
parse_xid(const char *text, RestoreTarget *out, Error *err)
{
	uint64_t xid = 0;
	bool good = *text != '\0';

	for (const char *p = text; good && *p != '\0'; p++)
		good = *p >= '0' && *p <= '9' &&
			   !__builtin_mul_overflow(xid, UINT64_C(10), &xid) &&
			   !__builtin_add_overflow(xid, (uint64_t) (*p - '0'), &xid);
	out->xid = (uint32_t) xid;
	if (!good || out->xid < FIRST_NORMAL_XID)
		return error_set(err, ERR_USAGE, "invalid transaction ID \"%s\"", text);
	out->text = mem_printf("%" PRIu64, xid);
	return true;
}

static bool
parse_name(const char *text, RestoreTarget *out, Error *err)
{
	size_t len = strlen(text);

	if (len == 0 || len > POINT_NAME_MAX)
		return error_set(err, ERR_USAGE,
						 "name of a restore point must have 1 to %d bytes",
						 POINT_NAME_MAX);
	out->text = mem_strdup(text);
	return true;
}

static bool
check_action(const char *action, Error *err)
{
	if (action == NULL || strcmp(action, "promote") == 0 ||
		strcmp(action, "pause") == 0 || strcmp(action, "shutdown") == 0)
		return true;
	error_set(err, ERR_USAGE, "invalid target action \"%s\"", action);
	return error_hint(err, "It is one of promote, pause, shutdown.");
}

bool
restore_target_parse(const RestoreOptions *options, RestoreTarget *out,
					 Error *err)
{
	TargetType type = options->target_type;
	bool wants_value = type != TARGET_LATEST && type != TARGET_IMMEDIATE;
	const char *name = restore_target_type_name(type);

	memset(out, 0, sizeof(*out));
	out->type = type;
	out->inclusive = options->target_inclusive;
	if (!check_action(options->target_action, err))
		return false;
	if (wants_value && options->target == NULL)
		return error_set(err, ERR_USAGE,
						 "a target of type \"%s\" needs a value", name);
	if (!wants_value && options->target != NULL)
		return error_set(err, ERR_USAGE, "a target of type \"%s\" has no value",
						 name);
	switch (type)
	{
		case TARGET_TIME:
			return parse_time(options->target, out, err);
		case TARGET_LSN:
			return parse_lsn(options->target, out, err);
		case TARGET_XID:
			return parse_xid(options->target, out, err);
		case TARGET_NAME:
			return parse_name(options->target, out, err);
		case TARGET_LATEST:
		case TARGET_IMMEDIATE:
			break;
	}
	return true;
}

void
restore_target_free(RestoreTarget *target)
{
	free(target->text);
	memset(target, 0, sizeof(*target));
}

bool
restore_target_matches(const RestoreTarget *target, const WalEvent *event)
{
	if (event->kind == WAL_EVENT_RESTORE_POINT)
		return target->type == TARGET_NAME && event->name != NULL &&
			   strcmp(event->name, target->text) == 0;
	return target->type == TARGET_XID && event->xid == target->xid;
}

/* ---- the server's settings ---- */

/*
 * In postgresql.conf a quote is doubled, a backslash escapes, and a string
 * does not go over the end of the line.
 */
void
restore_setting(StrBuf *out, const char *name, const char *value)
{
	strbuf_printf(out, "%s = '", name);
	for (const char *p = value; *p != '\0'; p++)
	{
		if (*p == '\n')
			strbuf_puts(out, "\\n");
		else if (*p == '\r')
			strbuf_puts(out, "\\r");
		else
		{
			if (*p == '\'' || *p == '\\')
				strbuf_putc(out, *p);
			strbuf_putc(out, *p);
		}
	}
	strbuf_puts(out, "'\n");
}

/* "2026-11-21 00:18:29.123456+00": no time zone's name, no setting matters. */
static void
time_setting(StrBuf *out, int64_t time)
{
	char buf[CLOCK_TEXT_LEN];
	char *value;
	char *sep;

	clock_format(time, buf);
	sep = strchr(buf, 'T');
	if (sep != NULL)
		*sep = ' ';
	value = mem_printf("%.*s+00", (int) strcspn(buf, "Z"), buf);
	restore_setting(out, "recovery_target_time", value);
	free(value);
}

/*
 * A number wherever it can be: it keeps the server on the timeline the plan
 * has proved, also when a newer one turns up meanwhile.  But timelines above 1
 * need their history file to be named by number, "current" does not; and a
 * standby must follow the primary to timelines to come.
 */
static void
timeline_setting(StrBuf *out, const RestoreOptions *options,
				 const RestorePlan *plan)
{
	const char *asked = options->target_timeline;
	char number[16];

	if (options->standby && (asked == NULL || strcmp(asked, "latest") == 0))
	{
		restore_setting(out, "recovery_target_timeline", "latest");
		return;
	}
	if (plan->timeline == plan->backup.timeline)
	{
		restore_setting(out, "recovery_target_timeline", "current");
		return;
	}
	snprintf(number, sizeof(number), "%" PRIu32, plan->timeline);
	restore_setting(out, "recovery_target_timeline", number);
}

static void
value_setting(StrBuf *out, const RestoreTarget *target)
{
	switch (target->type)
	{
		case TARGET_IMMEDIATE:
			restore_setting(out, "recovery_target", "immediate");
			break;
		case TARGET_TIME:
			time_setting(out, target->time);
			break;
		case TARGET_LSN:
			restore_setting(out, "recovery_target_lsn", target->text);
			break;
		case TARGET_XID:
			restore_setting(out, "recovery_target_xid", target->text);
			break;
		case TARGET_NAME:
			restore_setting(out, "recovery_target_name", target->text);
			break;
		case TARGET_LATEST:
			break;
	}
}

/*
 * Of "latest" on a timeline without WAL: see RestorePlan.  Exclusive, because
 * the record that begins there is the first that the timeline does not share.
 */
static void
branch_setting(StrBuf *out, const RestorePlan *plan)
{
	char lsn[LSN_TEXT_LEN];

	lsn_format(plan->branch_lsn, lsn);
	restore_setting(out, "recovery_target_lsn", lsn);
	restore_setting(out, "recovery_target_inclusive", "false");
}

void
restore_target_settings(StrBuf *out, const RestoreOptions *options,
						const RestoreTarget *target, const RestorePlan *plan)
{
	const char *action = options->target_action;
	TargetType type = target->type;
	bool branch = type == TARGET_LATEST && plan->branch_lsn != 0 &&
				  !options->standby;

	if (options->restore_command != NULL)
		restore_setting(out, "restore_command", options->restore_command);
	/* behind whatever the file says of it: the last one counts */
	if (options->archive_off)
		restore_setting(out, "archive_mode", "off");
	timeline_setting(out, options, plan);
	if (branch)
		branch_setting(out, plan);
	else if (type == TARGET_LATEST)
		return;
	value_setting(out, target);
	/* which would ask for the segments behind the target, and get no answer */
	if (plan->reach.hole)
		restore_setting(out, "recovery_prefetch", "off");
	if (type == TARGET_TIME || type == TARGET_LSN || type == TARGET_XID)
		restore_setting(out, "recovery_target_inclusive",
						target->inclusive ? "true" : "false");
	/* the server's own default would be to pause */
	restore_setting(out, "recovery_target_action",
					action != NULL ? action : "promote");
}

/* One of names that a line of a configuration file sets, or NULL. */
static const char *
setting_of_line(const char *line, size_t len, const char *const *names,
				size_t count)
{
	size_t name_len = 0;

	while (len > 0 && isspace((unsigned char) *line))
	{
		line++;
		len--;
	}
	while (name_len < len &&
		   (isalnum((unsigned char) line[name_len]) || line[name_len] == '_'))
		name_len++;
	for (size_t i = 0; i < count; i++)
	{
		if (strlen(names[i]) == name_len &&
			strncasecmp(line, names[i], name_len) == 0)
			return names[i];
	}
	return NULL;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *
restore_setting_target(const char *line, size_t len)
{
	static const char *const names[] = {
		"recovery_target", "recovery_target_lsn", "recovery_target_name",
		"recovery_target_time", "recovery_target_xid"};

	return setting_of_line(line, len, names, COUNT(names));
}

bool
restore_setting_is_ours(const char *line, size_t len)
{
	static const char *const names[] = {
		"restore_command",        "archive_cleanup_command",
		"recovery_end_command",   "recovery_target",
		"recovery_target_action", "recovery_target_inclusive",
		"recovery_target_lsn",    "recovery_target_name",
		"recovery_target_time",   "recovery_target_timeline",
		"recovery_target_xid",    "recovery_prefetch"};

	return setting_of_line(line, len, names, COUNT(names)) != NULL;
}
