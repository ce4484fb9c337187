/*-------------------------------------------------------------------------
 *
 * rpo_history.c
 *	  What the RPO was: a summary of each hour, for a year.
 *
 * It is kept in shared memory and in a file, not in a table: a row is a commit,
 * and would make an idle server one that has something to lose.
 *
 *-------------------------------------------------------------------------
 */
#include "rpo_history.h"

#include <math.h>
#include <unistd.h>

#include "compat.h"
#include "dr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dr_rpo_history);

/* Beside the server's own statistics, which are in backups, too. */
#define HISTORY_FILE "pg_stat/dr_rpo_history"
#define HISTORY_MAGIC 0x44525248 /* and the version of the format */
#define HISTORY_VERSION 1

#define MAX_HOURS (366 * 24)
/* More values of one hour are thinned out; see add_value(). */
#define MAX_VALUES 4096

/* Microseconds are the unit of all times. */
typedef struct HourSummary
{
	TimestampTz start;
	int32 samples; /* of which the RPO was known */
	int32 unknown;
	int64 min;
	int64 max;
	int64 avg;
	int64 p50;
	int64 p95;
	int64 p99;
	uint64 max_bytes;
} HourSummary;

typedef struct HistoryHeader
{
	uint32 magic;
	uint32 version;
	uint32 count;
	pg_crc32c crc; /* of the summaries that follow */
} HistoryHeader;

typedef struct DrHistory
{
	LWLock *lock; /* of all that follows */
	int first;    /* of a ring of hours */
	int count;
	HourSummary hours[MAX_HOURS];

	/* the hour that is not over; start 0: none was begun */
	HourSummary current; /* without percentiles */
	double sum;
	int value_count;
	int value_stride; /* each so manieth value is kept */
	int64 values[MAX_VALUES];
} DrHistory;

static DrHistory *history = NULL;

Size
dr_history_size(void)
{
	return sizeof(DrHistory);
}

void
dr_history_init(void *memory, bool found)
{
	history = memory;
	if (found)
		return;
	memset(history, 0, sizeof(*history));
	history->lock = &GetNamedLWLockTranche("dr")->lock;
}

/* ---- one hour ---- */

static int
compare_values(const void *a, const void *b)
{
	int64 x = *(const int64 *) a;
	int64 y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/* By the nearest rank, of sorted values. */
static int64
percentile(const int64 *values, int count, double part)
{
	int rank = (int) ceil(part * count);

	return values[Max(rank, 1) - 1];
}

static HourSummary
summarise(void)
{
	HourSummary hour = history->current;

	if (history->value_count > 0)
	{
		int n = history->value_count;
		int64 *sorted = palloc(n * sizeof(*sorted));

		memcpy(sorted, history->values, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), compare_values);
		hour.p50 = percentile(sorted, n, 0.50);
		hour.p95 = percentile(sorted, n, 0.95);
		hour.p99 = percentile(sorted, n, 0.99);
		hour.avg = (int64) (history->sum / hour.samples);
		pfree(sorted);
	}
	return hour;
}

static void
push_hour(const HourSummary *hour)
{
	if (history->count == MAX_HOURS)
	{
		history->first = (history->first + 1) % MAX_HOURS;
		history->count--;
	}
	history->hours[(history->first + history->count++) % MAX_HOURS] = *hour;
}

static void
begin_hour(TimestampTz start)
{
	HourSummary past;

	if (history->current.start != 0)
	{
		past = summarise();
		push_hour(&past);
	}
	memset(&history->current, 0, sizeof(history->current));
	history->current.start = start;
	history->sum = 0;
	history->value_count = 0;
	history->value_stride = 1;
}

/* Full, every second value goes, and from then on every second one comes. */
static void
add_value(int64 value)
{
	if (history->current.samples % history->value_stride != 0)
		return;
	if (history->value_count == MAX_VALUES)
	{
		for (int i = 0; i < MAX_VALUES / 2; i++)
			history->values[i] = history->values[2 * i];
		history->value_count = MAX_VALUES / 2;
		history->value_stride *= 2;
	}
	history->values[history->value_count++] = value;
}

void
dr_history_add(TimestampTz now, bool unknown, int64 rpo_usecs, uint64 bytes)
{
	TimestampTz start = now - now % USECS_PER_HOUR;
	HourSummary *hour = &history->current;

	LWLockAcquire(history->lock, LW_EXCLUSIVE);
	/* a clock that was set back goes on in the hour that was begun */
	if (start > hour->start)
		begin_hour(start);
	if (unknown)
		hour->unknown++;
	else
	{
		add_value(rpo_usecs);
		hour->min = hour->samples == 0 ? rpo_usecs : Min(hour->min, rpo_usecs);
		hour->max = Max(hour->max, rpo_usecs);
		hour->max_bytes = Max(hour->max_bytes, bytes);
		hour->samples++;
		history->sum += (double) rpo_usecs;
	}
	LWLockRelease(history->lock);
}

/* A copy of all, the hour that is not over last; in palloc'd memory. */
static HourSummary *
copy_hours(int *count)
{
	HourSummary *hours = palloc((MAX_HOURS + 1) * sizeof(*hours));

	LWLockAcquire(history->lock, LW_SHARED);
	for (int i = 0; i < history->count; i++)
		hours[i] = history->hours[(history->first + i) % MAX_HOURS];
	*count = history->count;
	if (history->current.start != 0)
		hours[(*count)++] = summarise();
	LWLockRelease(history->lock);
	return hours;
}

/* ---- the file ---- */

static pg_crc32c
checksum(const HourSummary *hours, uint32 count)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, hours, count * sizeof(*hours));
	FIN_CRC32C(crc);
	return crc;
}

/* It is of statistics only: what goes wrong is said, and passed over. */
void
dr_history_save(void)
{
	HistoryHeader header = {HISTORY_MAGIC, HISTORY_VERSION, 0, 0};
	HourSummary *hours;
	FILE *file;
	int count;

	hours = copy_hours(&count);
	header.count = (uint32) count;
	header.crc = checksum(hours, header.count);
	file = AllocateFile(HISTORY_FILE ".tmp", PG_BINARY_W);
	if (file == NULL)
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not open file \"%s\": %m",
							 HISTORY_FILE ".tmp")));
	else if (fwrite(&header, sizeof(header), 1, file) != 1 ||
			 fwrite(hours, sizeof(*hours), header.count, file) != header.count)
	{
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not write file \"%s\": %m",
							 HISTORY_FILE ".tmp")));
		FreeFile(file);
	}
	else if (FreeFile(file) != 0)
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not close file \"%s\": %m",
							 HISTORY_FILE ".tmp")));
	else
		durable_rename(HISTORY_FILE ".tmp", HISTORY_FILE, LOG);
	pfree(hours);
}

static bool
read_hours(FILE *file, HourSummary *hours, uint32 *count)
{
	HistoryHeader header;

	if (fread(&header, sizeof(header), 1, file) != 1 ||
		header.magic != HISTORY_MAGIC || header.version != HISTORY_VERSION ||
		header.count > MAX_HOURS + 1 ||
		fread(hours, sizeof(*hours), header.count, file) != header.count ||
		!EQ_CRC32C(header.crc, checksum(hours, header.count)))
		return false;
	*count = header.count;
	return true;
}

void
dr_history_load(void)
{
	HourSummary *hours = palloc((MAX_HOURS + 1) * sizeof(*hours));
	FILE *file = AllocateFile(HISTORY_FILE, PG_BINARY_R);
	uint32 count = 0;

	if (file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not open file \"%s\": %m", HISTORY_FILE)));
	}
	else
	{
		if (!read_hours(file, hours, &count))
			ereport(LOG, (errmsg("file \"%s\" is damaged; the history of the "
								 "RPO begins anew",
								 HISTORY_FILE)));
		FreeFile(file);
	}
	LWLockAcquire(history->lock, LW_EXCLUSIVE);
	/* a worker that is started again finds what there is */
	if (history->count == 0 && history->current.start == 0)
	{
		for (uint32 i = 0; i < count; i++)
			push_hour(&hours[i]);
	}
	LWLockRelease(history->lock);
	pfree(hours);
}

/* ---- SQL ---- */

static Datum
interval_of(int64 usecs)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = usecs;
	return IntervalPGetDatum(interval);
}

static void
put_hour(ReturnSetInfo *result, const HourSummary *hour)
{
	bool known = hour->samples > 0;
	Datum values[] = {TimestampTzGetDatum(hour->start),
					  Int32GetDatum(hour->samples),
					  Int32GetDatum(hour->unknown),
					  interval_of(hour->min),
					  interval_of(hour->avg),
					  interval_of(hour->max),
					  interval_of(hour->p50),
					  interval_of(hour->p95),
					  interval_of(hour->p99),
					  Int64GetDatum((int64) hour->max_bytes)};
	bool nulls[] = {false,  false,  false,  !known, !known,
					!known, !known, !known, !known, !known};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
dr_rpo_history(PG_FUNCTION_ARGS)
{
	HourSummary *hours;
	int count;

	InitMaterializedSRF(fcinfo, 0);
	if (history == NULL)
		return (Datum) 0;
	hours = copy_hours(&count);
	for (int i = 0; i < count; i++)
		put_hour((ReturnSetInfo *) fcinfo->resultinfo, &hours[i]);
	pfree(hours);
	return (Datum) 0;
}
