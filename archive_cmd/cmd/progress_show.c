/*-------------------------------------------------------------------------
 *
 * progress_show.c
 *	  Shows a command's counters while it works.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/progress_show.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/output.h"

struct ProgressShow
{
	/* fixed */
	pthread_t thread;
	bool running;
	int64_t started;

	/* mutable */
	Progress counters;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */

	/* of the thread alone: where the present phase began */
	const char *phase;
	int64_t phase_started;
	uint64_t phase_bytes;
};

typedef struct Snapshot
{
	const char *phase;
	uint64_t done_bytes;
	uint64_t total_bytes;
	uint64_t done_items;
	uint64_t total_items;
	int64_t now;
} Snapshot;

static Snapshot
take_snapshot(const Progress *p)
{
	return (Snapshot){.phase = atomic_load(&p->phase),
					  .done_bytes = atomic_load(&p->done_bytes),
					  .total_bytes = atomic_load(&p->total_bytes),
					  .done_items = atomic_load(&p->done_items),
					  .total_items = atomic_load(&p->total_items),
					  .now = clock_monotonic()};
}

static void
emit_json(const ProgressShow *show, const Snapshot *s)
{
	Json *obj = json_new_object();

	if (s->phase != NULL)
		json_put_str(obj, "phase", s->phase);
	json_put_int(obj, "done_bytes", (int64_t) s->done_bytes);
	if (s->total_bytes > 0)
		json_put_int(obj, "total_bytes", (int64_t) s->total_bytes);
	json_put_int(obj, "done_items", (int64_t) s->done_items);
	if (s->total_items > 0)
		json_put_int(obj, "total_items", (int64_t) s->total_items);
	json_put_int(obj, "elapsed_ms", (s->now - show->started) / 1000);
	output_json("progress", obj);
}

static void
add_bytes(StrBuf *sb, const Snapshot *s)
{
	char done[32];
	char total[32];

	size_text(s->done_bytes, done);
	if (s->total_bytes == 0)
	{
		strbuf_printf(sb, "  %s", done);
		return;
	}
	size_text(s->total_bytes, total);
	strbuf_printf(
		sb, "  %s of %s (%d%%)", done, total,
		(int) ((double) s->done_bytes * 100 / (double) s->total_bytes));
}

/* Rate and what remains, by the average since the phase began. */
static void
add_rate(StrBuf *sb, const ProgressShow *show, const Snapshot *s)
{
	double seconds = (double) (s->now - show->phase_started) / USECS_PER_SEC;
	double moved = (double) s->done_bytes - (double) show->phase_bytes;
	char rate[32];
	uint64_t left;

	if (seconds < 1 || moved <= 0)
		return;
	size_text((uint64_t) (moved / seconds), rate);
	strbuf_printf(sb, "  %s/s", rate);
	if (s->total_bytes <= s->done_bytes)
		return;
	left = (uint64_t) ((double) (s->total_bytes - s->done_bytes) * seconds /
					   moved);
	strbuf_printf(sb, "  ETA %" PRIu64 ":%02" PRIu64, left / 60, left % 60);
}

static void
show_line(ProgressShow *show, const Snapshot *s)
{
	StrBuf sb = STRBUF_INIT;

	if (s->phase != show->phase)
	{
		show->phase = s->phase;
		show->phase_started = s->now;
		show->phase_bytes = s->done_bytes;
	}
	strbuf_puts(&sb, s->phase != NULL ? s->phase : "working");
	if (s->done_bytes > 0 || s->total_bytes > 0)
		add_bytes(&sb, s);
	if (s->total_items > 0)
		strbuf_printf(&sb, "  %" PRIu64 "/%" PRIu64, s->done_items,
					  s->total_items);
	add_rate(&sb, show, s);
	output_progress_line(sb.data);
	strbuf_free(&sb);
}

static void
show_once(ProgressShow *show)
{
	Snapshot s = take_snapshot(&show->counters);

	if (output_is_json())
		emit_json(show, &s);
	else
		show_line(show, &s);
}

static void *
show_main(void *arg)
{
	ProgressShow *show = arg;
	struct timespec until;

	pthread_mutex_lock(&show->lock);
	while (!show->stop)
	{
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		if (pthread_cond_timedwait(&show->wake, &show->lock, &until) ==
				ETIMEDOUT &&
			!show->stop)
		{
			/* not under the lock: a reader of ours may be slow */
			pthread_mutex_unlock(&show->lock);
			show_once(show);
			pthread_mutex_lock(&show->lock);
		}
	}
	pthread_mutex_unlock(&show->lock);
	return NULL;
}

ProgressShow *
progress_show_start(void)
{
	ProgressShow *show = mem_zalloc(sizeof(ProgressShow));
	pthread_condattr_t attr;

	show->started = clock_monotonic();
	show->phase_started = show->started;
	pthread_mutex_init(&show->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&show->wake, &attr);
	pthread_condattr_destroy(&attr);
	show->running = pthread_create(&show->thread, NULL, show_main, show) == 0;
	return show;
}

Progress *
progress_show_counters(ProgressShow *show)
{
	return &show->counters;
}

void
progress_show_stop(ProgressShow *show)
{
	if (show == NULL)
		return;
	if (show->running)
	{
		pthread_mutex_lock(&show->lock);
		show->stop = true;
		pthread_cond_signal(&show->wake);
		pthread_mutex_unlock(&show->lock);
		pthread_join(show->thread, NULL);
		output_progress_line("");
	}
	pthread_cond_destroy(&show->wake);
	pthread_mutex_destroy(&show->lock);
	free(show);
}
