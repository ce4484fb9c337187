/*-------------------------------------------------------------------------
 *
 * event.c
 *	  Rows of dr.event: who did what, when, and how it ended.
 *
 * An action's first row is committed before it runs, so that one that is killed
 * with its session, or the server, has left a trace; whoever acts next adds
 * that it never ended (dr.close_events()).
 *
 *-------------------------------------------------------------------------
 */
#include "event.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/*
 * Runs a query that returns a value, as the owner of the table; its text, or
 * NULL.  An error puts the user back with the transaction.
 */
static char *
call(Oid owner, const char *query, int count, Oid *types, Datum *values,
	 const char *nulls)
{
	Oid user;
	int context;
	char *result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_execute_with_args(query, count, types, values, nulls, false, 1) !=
			SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not record an event");
	result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	SetUserIdAndSecContext(user, context);
	SPI_commit();
	return result;
}

static int64
log_event(const DrAction *action, const char *what, const char *severity,
		  const char *label, const char *detail)
{
	Oid types[] = {TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID};
	char nulls[] = "     ";
	Datum values[] = {
		CStringGetTextDatum(psprintf("%s-%s", action->kind, what)),
		CStringGetTextDatum(severity),
		text_or_null(label, &nulls[2]),
		Int64GetDatum(action->begun),
		CStringGetTextDatum(detail),
	};

	nulls[3] = action->begun == 0 ? 'n' : ' ';
	return pg_strtoint64(call(action->owner,
							  "SELECT dr.log_event($1, $2, $3, $4, $5::jsonb)",
							  lengthof(types), types, values, nulls));
}

char *
dr_event_anchor(const DrAction *action)
{
	if (RecoveryInProgress())
		return NULL;
	return call(action->owner,
				"SELECT (SELECT seq || ':' || encode(hash, 'hex')"
				" FROM dr.event_head)",
				0, NULL, NULL, NULL);
}

void
dr_event_begin(DrAction *action)
{
	action->begun = 0;
	if (RecoveryInProgress())
		return;
	call(action->owner, "SELECT dr.close_events()", 0, NULL, NULL, NULL);
	action->begun = log_event(action, "started", "info", action->label,
							  psprintf("{\"pid\": %d}", MyProcPid));
}

void
dr_event_complete(const DrAction *action, const char *severity,
				  const char *label, Jsonb *detail)
{
	StringInfoData text;

	if (action->begun == 0)
		return;
	initStringInfo(&text);
	JsonbToCString(&text, &detail->root, VARSIZE(detail));
	log_event(action, "completed", severity, label, text.data);
}

static void
put_member(StringInfo out, const char *key, const char *value)
{
	if (value == NULL)
		return;
	if (out->len > 1)
		appendStringInfoString(out, ", ");
	escape_json(out, key);
	appendStringInfoString(out, ": ");
	escape_json(out, value);
}

void
dr_event_fail(const DrAction *action, const ErrorData *error)
{
	StringInfoData text;

	if (action->begun == 0)
		return;
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	put_member(&text, "message", error->message);
	put_member(&text, "detail", error->detail);
	put_member(&text, "hint", error->hint);
	put_member(&text, "sqlstate", unpack_sql_state(error->sqlerrcode));
	appendStringInfoChar(&text, '}');
	log_event(action, "failed", "error", action->label, text.data);
}
