/*-------------------------------------------------------------------------
 *
 * actions.c
 *	  The procedures and functions that run pgdr.
 *
 * A long action is a procedure: it ends the transaction it was called in, so
 * that it holds no snapshot, which would keep vacuum from its work for hours.
 *
 *-------------------------------------------------------------------------
 */
#include "dr.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "command.h"
#include "event.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "json.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(dr_sync);
PG_FUNCTION_INFO_V1(dr_create_backup);
PG_FUNCTION_INFO_V1(dr_verify_integrity);
PG_FUNCTION_INFO_V1(dr_check);

/* So many problems are returned; the rest is counted. */
#define PROBLEMS_MAX 1000

/* Of a backup: number and hash of the newest event when it was begun. */
#define AUDIT_ANNOTATION "dr.audit"

/* ---- the frame of an action ---- */

static bool
is_atomic(FunctionCallInfo fcinfo)
{
	return fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		   castNode(CallContext, fcinfo->context)->atomic;
}

/*
 * Ends the caller's transaction, and with it every snapshot.  What the
 * caller gave must have been copied before, into the context that is current
 * at the call: it lives as long as the statement.
 */
static void
begin_action(FunctionCallInfo fcinfo, const char *name)
{
	if (is_atomic(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", name),
				 errdetail("It runs for long, and a transaction would keep "
						   "vacuum from its work all the while."),
				 errhint("CALL it by itself, not after BEGIN, in a function "
						 "or with other statements in one string.")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	SPI_commit();
}

/*
 * Runs the program, between two events: that it began, and, if it fails, why.
 * That it was completed is the caller's to tell.
 */
static Jsonb *
run_action(DrAction *action, const DrCommand *command)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb *result = NULL;

	dr_event_begin(action);
	PG_TRY();
	{
		result = dr_command_run(command);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		SPI_rollback();
		dr_event_fail(action, error);
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}

static Oid
owner_of_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static char *
text_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/*
 * The value of a result column: the member of the same name, but for an
 * interval the one in milliseconds, for "problems" what was collected, and
 * for "ok" whether there were no errors.
 */
static char *
result_value(Jsonb *result, Form_pg_attribute column, char *problems)
{
	const char *name = NameStr(column->attname);
	char *value;

	switch (column->atttypid)
	{
		case JSONBOID:
			return problems;
		case BOOLOID:
			value = dr_json_text(result, "errors");
			return value == NULL ? NULL : strcmp(value, "0") == 0 ? "t" : "f";
		case INTERVALOID:
			value = dr_json_text(result, psprintf("%s_ms", name));
			return value ? psprintf("%s milliseconds", value) : NULL;
		default:
			return dr_json_text(result, name);
	}
}

/* A row of the function's result, from the members of an object. */
static Datum
result_row(FunctionCallInfo fcinfo, Jsonb *result, char *problems)
{
	TupleDesc desc;
	char **values;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values = palloc0(sizeof(char *) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
		values[i] = result_value(result, TupleDescAttr(desc, i), problems);
	return HeapTupleGetDatum(
		BuildTupleFromCStrings(TupleDescGetAttInMetadata(desc), values));
}

/* ---- sync ---- */

Datum
dr_sync(PG_FUNCTION_ARGS)
{
	Oid owner = owner_of_function(fcinfo->flinfo->fn_oid);

	PreventCommandDuringRecovery("dr.sync()");
	begin_action(fcinfo, "dr.sync()");
	dr_mirror_sync(owner);
	SPI_finish();
	PG_RETURN_VOID();
}

/* ---- create_backup ---- */

/* What the configuration has no section for, pgdr refuses. */
static void
check_target(const char *target)
{
	static const char *const known[] = {"cluster", "config", "full_system"};

	for (int i = 0; i < lengthof(known); i++)
	{
		if (strcmp(target, known[i]) == 0)
			return;
	}
	if (strncmp(target, "files:", strlen("files:")) == 0 ||
		strncmp(target, "logical:", strlen("logical:")) == 0)
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown target \"%s\"", target),
					errhint("It is \"cluster\", \"config\", \"files:NAME\", "
							"\"logical:NAME\", or \"full_system\".")));
}

static void
bad_annotations(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("annotations are not valid"),
					errdetail_internal("%s", detail)));
}

static void
put_annotation(StringInfo out, const char *name, const char *value)
{
	if (out->data[out->len - 1] != '[')
		appendStringInfoChar(out, ',');
	escape_json(out, psprintf("%s=%s", name, value));
}

static void
check_annotation(const char *name, const char *value)
{
	if (value == NULL)
		bad_annotations("Each value must be a string, a number or a "
						"boolean.");
	if (name[0] == '\0' || strchr(name, '=') != NULL)
		bad_annotations("A key must not be empty nor hold \"=\".");
	if (strcmp(name, AUDIT_ANNOTATION) == 0)
		bad_annotations("Key \"" AUDIT_ANNOTATION "\" is reserved.");
}

/* {"k": "v"} becomes "k=v". */
static void
put_annotations(StringInfo out, Jsonb *annotations)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue v;

	if (!JB_ROOT_IS_OBJECT(annotations))
		bad_annotations("They must be a JSON object.");
	it = JsonbIteratorInit(&annotations->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		char *name;
		char *value;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(v.val.string.val, v.val.string.len);
		value = dr_json_text(annotations, name);
		check_annotation(name, value);
		put_annotation(out, name, value);
	}
}

/* Without their end: an annotation is to follow. */
static StringInfo
backup_options(FunctionCallInfo fcinfo)
{
	StringInfo out = makeStringInfo();
	char *target = text_argument(fcinfo, 0, "target");

	check_target(target);
	if (!PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a label cannot be chosen"),
						errdetail("Argument \"label\" returns the label that "
								  "the backup got.")));
	appendStringInfoChar(out, '{');
	dr_json_put_text(out, "target", target);
	dr_json_put_text(out, "type", text_argument(fcinfo, 1, "type"));
	appendStringInfoString(out, ",\"annotate\":[");
	if (!PG_ARGISNULL(2))
		put_annotations(out, PG_GETARG_JSONB_P(2));
	return out;
}

/* The backup takes the newest event's hash to where nobody here can change it. */
static const char *
end_options(StringInfo out, const DrAction *action)
{
	char *anchor = dr_event_anchor(action);

	if (anchor != NULL)
		put_annotation(out, AUDIT_ANNOTATION, anchor);
	appendStringInfoString(out, "]}");
	return out->data;
}

static void
name_backup(void *arg)
{
	errcontext("update of the catalog after backup \"%s\" was completed",
			   (const char *) arg);
}

/* The backup is there: an error from here on must not sound otherwise. */
static void
sync_after_backup(const DrAction *action, Jsonb *result)
{
	char *label = dr_json_text(result, "label");
	char *damaged = dr_json_text(result, "damaged_pages");
	bool intact = damaged == NULL || strcmp(damaged, "0") == 0;
	ErrorContextCallback context = {
		.previous = error_context_stack, .callback = name_backup, .arg = label};

	error_context_stack = &context;
	dr_event_complete(action, intact ? "info" : "warning", label, result);
	dr_mirror_sync(action->owner);
	error_context_stack = context.previous;
}

Datum
dr_create_backup(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	DrAction action = {.owner = owner_of_function(fcinfo->flinfo->fn_oid),
					   .kind = "backup"};
	StringInfo options = backup_options(fcinfo);
	DrCommand command = {.name = "backup"};
	Jsonb *result;
	Datum row;

	begin_action(fcinfo, "dr.create_backup()");
	command.options = end_options(options, &action);
	result = run_action(&action, &command);
	sync_after_backup(&action, result);
	MemoryContextSwitchTo(caller);
	row = result_row(fcinfo, result, NULL);
	SPI_finish();
	PG_RETURN_DATUM(row);
}

/* ---- verify_integrity ---- */

typedef struct Problems
{
	StringInfoData json; /* elements of an array */
	int count;
} Problems;

static void
warn_of_problem(Jsonb *item)
{
	char *object = dr_json_text(item, "object");
	char *message = dr_json_text(item, "message");
	char *detail = dr_json_text(item, "detail");
	char *hint = dr_json_text(item, "hint");

	ereport(WARNING,
			(errmsg_internal("%s%s%s", object ? object : "", object ? ": " : "",
							 message ? message : "no message"),
			 detail ? errdetail_internal("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

static void
take_problem(void *arg, const char *type, Jsonb *item)
{
	Problems *problems = arg;

	if (strcmp(type, "problem") != 0 || problems->count >= PROBLEMS_MAX)
		return;
	warn_of_problem(item);
	if (problems->count++ > 0)
		appendStringInfoChar(&problems->json, ',');
	JsonbToCString(&problems->json, &item->root, VARSIZE(item));
}

static char *
verify_options(FunctionCallInfo fcinfo)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
		dr_json_put_flag(&out, "deep");
	if (!PG_ARGISNULL(0))
	{
		if (out.len > 1)
			appendStringInfoChar(&out, ',');
		appendStringInfoString(&out, "\"arguments\":[");
		escape_json(&out, text_argument(fcinfo, 0, "label"));
		appendStringInfoChar(&out, ']');
	}
	appendStringInfoChar(&out, '}');
	return out.data;
}

static const char *
verify_severity(Jsonb *result)
{
	char *errors = dr_json_text(result, "errors");

	return errors != NULL && strcmp(errors, "0") != 0 ? "error" : "info";
}

Datum
dr_verify_integrity(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	DrAction action = {.owner = owner_of_function(fcinfo->flinfo->fn_oid),
					   .kind = "verification"};
	Problems problems = {.count = 0};
	DrCommand command = {.name = "verify",
						 .options = verify_options(fcinfo),
						 .item = take_problem,
						 .arg = &problems};
	Jsonb *result;
	Datum row;

	initStringInfo(&problems.json);
	appendStringInfoChar(&problems.json, '[');
	if (!PG_ARGISNULL(0))
		action.label = text_argument(fcinfo, 0, "label");
	begin_action(fcinfo, "dr.verify_integrity()");
	result = run_action(&action, &command);
	dr_event_complete(&action, verify_severity(result), action.label, result);
	dr_mirror_sync(action.owner);
	appendStringInfoChar(&problems.json, ']');
	MemoryContextSwitchTo(caller);
	row = result_row(fcinfo, result, problems.json.data);
	SPI_finish();
	PG_RETURN_DATUM(row);
}

/* ---- check ---- */

static void
return_problem(void *arg, const char *type, Jsonb *item)
{
	static const char *const members[] = {"severity", "check",  "object",
										  "message",  "detail", "hint"};
	ReturnSetInfo *rsinfo = arg;
	Datum values[lengthof(members)];
	bool nulls[lengthof(members)];

	if (strcmp(type, "problem") != 0)
		return;
	for (int i = 0; i < lengthof(members); i++)
	{
		char *text = dr_json_text(item, members[i]);

		nulls[i] = text == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(text);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
dr_check(PG_FUNCTION_ARGS)
{
	bool archive = PG_ARGISNULL(0) || PG_GETARG_BOOL(0);
	DrCommand command = {.name = "check",
						 .options = archive ? "{}" : "{\"no-archive\":true}",
						 .item = return_problem,
						 .arg = fcinfo->resultinfo};

	InitMaterializedSRF(fcinfo, 0);
	dr_command_run(&command);
	return (Datum) 0;
}
