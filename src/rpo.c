/*-------------------------------------------------------------------------
 *
 * rpo.c
 *	  What the samples say of commits that may be lost, for SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "dr.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "samples.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dr_at_risk);

/* A worker that has not sampled for so many intervals is gone, or stuck. */
#define MISSED_SAMPLES 10

static bool
is_fresh(TimestampTz as_of)
{
	return as_of != 0 &&
		   !TimestampDifferenceExceeds(as_of, GetCurrentTimestamp(),
									   MISSED_SAMPLES * dr_sample_interval);
}

/* (known, since): since is null if nothing is at risk. */
Datum
dr_at_risk(PG_FUNCTION_ARGS)
{
	DrAtRisk risk = DR_RISK_UNKNOWN;
	TimestampTz since = 0;
	TimestampTz as_of = 0;
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (dr_samples_available())
		risk = dr_samples_judge(PG_GETARG_LSN(0), &since, &as_of);
	if (!is_fresh(as_of))
		risk = DR_RISK_UNKNOWN;
	values[0] = BoolGetDatum(risk != DR_RISK_UNKNOWN);
	values[1] = TimestampTzGetDatum(since);
	nulls[1] = risk != DR_RISK_SINCE;
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
