/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Reading and writing the few shapes of JSON that pgdr and we exchange.
 *
 *-------------------------------------------------------------------------
 */
#include "json.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

Jsonb *
dr_json_parse(const char *text, int len)
{
	char *ours = pg_any_to_server(text, len, PG_UTF8);
	Datum parsed = DirectFunctionCall1(jsonb_in, CStringGetDatum(ours));
	Jsonb *object = DatumGetJsonbP(parsed);

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("JSON object was expected")));
	return object;
}

char *
dr_json_text(Jsonb *object, const char *key)
{
	JsonbValue value;

	if (getKeyJsonValueFromContainer(&object->root, key, (int) strlen(key),
									 &value) == NULL)
		return NULL;
	switch (value.type)
	{
		case jbvString:
			return pnstrdup(value.val.string.val, value.val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(
				numeric_out, NumericGetDatum(value.val.numeric)));
		case jbvBool:
			return pstrdup(value.val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

static void
put_key(StringInfo out, const char *key)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		appendStringInfoChar(out, ',');
	escape_json(out, key);
	appendStringInfoChar(out, ':');
}

void
dr_json_put_text(StringInfo out, const char *key, const char *value)
{
	put_key(out, key);
	escape_json(out, value);
}

void
dr_json_put_flag(StringInfo out, const char *key)
{
	put_key(out, key);
	appendStringInfoString(out, "true");
}
