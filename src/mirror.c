/*-------------------------------------------------------------------------
 *
 * mirror.c
 *	  Brings the tables up to what the repository holds.
 *
 * What the lines mean is left to the SQL function dr.replace_mirror(): here
 * they are only collected and handed over.
 *
 *-------------------------------------------------------------------------
 */
#include "dr.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "command.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct Items
{
	ArrayBuildState *array;
	MemoryContext context;
} Items;

static void
take_item(void *arg, const char *type, Jsonb *item)
{
	Items *items = arg;

	items->array = accumArrayResult(items->array, JsonbPGetDatum(item), false,
									JSONBOID, items->context);
}

static void
replace_mirror(Datum items, TimestampTz listed_at)
{
	Oid types[] = {JSONBARRAYOID, TIMESTAMPTZOID};
	Datum values[] = {items, TimestampTzGetDatum(listed_at)};

	if (SPI_execute_with_args("SELECT dr.replace_mirror($1, $2)", 2, types,
							  values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not replace the mirror");
}

/*
 * The tables are their owner's, and a caller may be an operator.  SECURITY
 * DEFINER is not for procedures that commit.  An error puts the user back
 * with the transaction.
 */
static void
replace_mirror_as(Oid owner, Datum items, TimestampTz listed_at)
{
	Oid user;
	int context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
	replace_mirror(items, listed_at);
	SetUserIdAndSecContext(user, context);
}

void
dr_mirror_sync(Oid owner)
{
	Items items = {.context = CurrentMemoryContext};
	DrCommand command = {
		.name = "info", .options = "{}", .item = take_item, .arg = &items};
	TimestampTz listed_at = GetCurrentTimestamp();
	Datum array;

	if (RecoveryInProgress())
	{
		ereport(NOTICE, (errmsg("catalog is not updated: the server is in "
								"recovery"),
						 errhint("CALL dr.sync() on the primary.")));
		return;
	}
	dr_command_run(&command);
	if (items.array == NULL)
		array = PointerGetDatum(construct_empty_array(JSONBOID));
	else
		array = makeArrayResult(items.array, CurrentMemoryContext);
	replace_mirror_as(owner, array, listed_at);
	SPI_commit();
}
