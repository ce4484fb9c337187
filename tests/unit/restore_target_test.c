/*-------------------------------------------------------------------------
 *
 * restore_target_test.c
 *	  Targets of a recovery: what is one, and what the server is told.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "job/restore_target.h"
#include "tap.h"

static void
accepts(TargetType type, const char *text, const char *normal)
{
	RestoreOptions options = {.target_type = type, .target = text};
	RestoreTarget t;
	Error err = ERROR_INIT;

	ok(restore_target_parse(&options, &t, &err), "%s \"%s\" is a target",
	   restore_target_type_name(type), text ? text : "");
	is_str(t.text, normal, "  normalised");
	restore_target_free(&t);
	error_clear(&err);
}

static void
refuses(TargetType type, const char *text)
{
	RestoreOptions options = {.target_type = type, .target = text};
	RestoreTarget t;
	Error err = ERROR_INIT;

	bool done = restore_target_parse(&options, &t, &err);

	ok(!done && err.code == ERR_USAGE, "%s \"%s\" is none: %s",
	   restore_target_type_name(type), text ? text : "(null)",
	   err.message ? err.message : "");
	restore_target_free(&t);
	error_clear(&err);
}

static void
test_values(void)
{
	accepts(TARGET_LATEST, NULL, NULL);
	accepts(TARGET_IMMEDIATE, NULL, NULL);
	accepts(TARGET_TIME, "2026-11-21 02:18:29.5+02",
			"2026-11-21T00:18:29.500000Z");
	accepts(TARGET_LSN, "16/b374d848", "16/B374D848");
	accepts(TARGET_XID, "00742", "742");
	accepts(TARGET_XID, "4294968038", "4294968038");
	accepts(TARGET_NAME, "before the 'change'", "before the 'change'");
	refuses(TARGET_LATEST, "x");
	refuses(TARGET_IMMEDIATE, "now");
	refuses(TARGET_TIME, NULL);
	refuses(TARGET_TIME, "yesterday");
	refuses(TARGET_LSN, "16");
	refuses(TARGET_LSN, "0/0");
	refuses(TARGET_XID, "");
	refuses(TARGET_XID, "-1");
	refuses(TARGET_XID, "2");
	refuses(TARGET_XID, "12 ");
	refuses(TARGET_XID, "4294967298");
	refuses(TARGET_XID, "99999999999999999999999");
	refuses(TARGET_NAME, "");
	refuses(TARGET_NAME, "1234567890123456789012345678901234567890"
						 "123456789012345678901234");
}

static void
test_action(void)
{
	RestoreOptions options = {.target_action = "stop"};
	RestoreTarget t;
	Error err = ERROR_INIT;

	ok(!restore_target_parse(&options, &t, &err) && err.code == ERR_USAGE,
	   "an unknown action is refused");
	error_clear(&err);
	options.target_action = "pause";
	ok(restore_target_parse(&options, &t, &err), "a known one is not");
	restore_target_free(&t);
}

static void
test_types(void)
{
	TargetType type = TARGET_LATEST;

	for (int i = TARGET_LATEST; i <= TARGET_NAME; i++)
		ok(restore_target_type_parse(restore_target_type_name((TargetType) i),
									 &type) &&
			   (int) type == i,
		   "type %d has a name", i);
	ok(!restore_target_type_parse("Time", &type), "\"Time\" is no type");
}

/* ---- settings ---- */

static void
told(const RestoreOptions *options, uint32_t timeline, const char *expected,
	 const char *name)
{
	RestorePlan plan = {.timeline = timeline, .backup = {.timeline = 1}};
	RestoreTarget t;
	Error err = ERROR_INIT;
	StrBuf sb = STRBUF_INIT;

	ok(restore_target_parse(options, &t, &err), "%s", name);
	restore_target_settings(&sb, options, &t, &plan);
	is_str(sb.data, expected, "  the server is told");
	strbuf_free(&sb);
	restore_target_free(&t);
}

static void
test_settings(void)
{
	RestoreOptions o = {.target_inclusive = true,
						.restore_command = "'/opt/it''s' \"%f\"\\"};

	told(&o, 1,
		 "restore_command = '''/opt/it''''s'' \"%f\"\\\\'\n"
		 "recovery_target_timeline = 'current'\n",
		 "latest, quoted");
	o.restore_command = "a\nb";
	o.standby = true;
	told(&o, 1,
		 "restore_command = 'a\\nb'\n"
		 "recovery_target_timeline = 'latest'\n",
		 "a standby follows");
	o.archive_off = true;
	told(&o, 1,
		 "restore_command = 'a\\nb'\n"
		 "archive_mode = 'off'\n"
		 "recovery_target_timeline = 'latest'\n",
		 "a copy does not archive");
	o = (RestoreOptions){.target_type = TARGET_TIME,
						 .target = "2026-11-21T00:18:29.000001Z"};
	told(&o, 3,
		 "recovery_target_timeline = '3'\n"
		 "recovery_target_time = '2026-11-21 00:18:29.000001+00'\n"
		 "recovery_target_inclusive = 'false'\n"
		 "recovery_target_action = 'promote'\n",
		 "exclusive time on timeline 3");
	o = (RestoreOptions){
		.target_type = TARGET_NAME, .target = "it's", .target_action = "pause"};
	told(&o, 1,
		 "recovery_target_timeline = 'current'\n"
		 "recovery_target_name = 'it''s'\n"
		 "recovery_target_action = 'pause'\n",
		 "a name, then pause");
	o = (RestoreOptions){.target_type = TARGET_IMMEDIATE};
	told(&o, 1,
		 "recovery_target_timeline = 'current'\n"
		 "recovery_target = 'immediate'\n"
		 "recovery_target_action = 'promote'\n",
		 "immediate");
	o = (RestoreOptions){
		.target_type = TARGET_XID, .target = "777", .target_inclusive = true};
	told(&o, 1,
		 "recovery_target_timeline = 'current'\n"
		 "recovery_target_xid = '777'\n"
		 "recovery_target_inclusive = 'true'\n"
		 "recovery_target_action = 'promote'\n",
		 "a transaction");
}

static void
test_branch(void)
{
	RestoreOptions o = {.target_action = "shutdown"};
	RestorePlan plan = {
		.timeline = 2, .backup = {.timeline = 1}, .branch_lsn = 0x3000028};
	RestoreTarget t;
	Error err = ERROR_INIT;
	StrBuf sb = STRBUF_INIT;

	ok(restore_target_parse(&o, &t, &err), "latest on a timeline without WAL");
	restore_target_settings(&sb, &o, &t, &plan);
	is_str(sb.data,
		   "recovery_target_timeline = '2'\n"
		   "recovery_target_lsn = '0/3000028'\n"
		   "recovery_target_inclusive = 'false'\n"
		   "recovery_target_action = 'shutdown'\n",
		   "  the server is stopped where it begins");
	strbuf_free(&sb);
	restore_target_free(&t);
}

static bool
ours(const char *line)
{
	return restore_setting_is_ours(line, strlen(line));
}

static void
test_lines(void)
{
	ok(ours("restore_command = 'x'") && ours("  Recovery_Target_Time='x'") &&
		   ours("recovery_target 'immediate'") &&
		   ours("recovery_end_command=") && ours("recovery_prefetch = off"),
	   "recovery settings are known in every spelling");
	ok(!ours("# restore_command = 'x'") && !ours("") && !ours("work_mem = 1") &&
		   !ours("recovery_init_sync_method = x") &&
		   !ours("restore_command2 = 1") &&
		   !ours("recovery_min_apply_delay = 1") && !ours("x.restore_command"),
	   "and nothing else");
	ok(restore_setting_target("recovery_target_action = 'pause'", 32) == NULL,
	   "an action is no target");
	is_str(restore_setting_target(" RECOVERY_target_name 'x'", 25),
		   "recovery_target_name", "a name is one");
}

int
main(void)
{
	test_values();
	test_action();
	test_types();
	test_settings();
	test_branch();
	test_lines();
	return done_testing();
}
