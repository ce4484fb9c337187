/*-------------------------------------------------------------------------
 *
 * many_segments.c
 *	  Fills a repository with many WAL segments, as small as they can be, for
 *	  tests of what a command costs when there are many.
 *
 *		many_segments CONFIG SYSID MAJOR FIRST COUNT
 *
 * Segments of 1 MB of zeros with consecutive numbers on timeline 1, in the
 * first repository of the configuration.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cmd/settings.h"
#include "repo/object.h"

#define SEGMENT (1024 * 1024)
#define WRITERS 4

typedef struct Job
{
	/* fixed */
	Repo *repo;
	WalHome home;
	uint64_t end;
	const uint8_t *zeros;

	/* mutable */
	pthread_mutex_t lock;
	uint64_t next; /* under lock */
} Job;

static bool
put_segment(Repo *repo, const Job *job, uint64_t number, Error *err)
{
	Json *extra = json_new_object();
	char text[40];
	WalName name;
	ObjectSpec spec = {.kind = OBJECT_WAL, .extra_room = 300};
	char *object;
	bool done;

	wal_segment_name(1, number, SEGMENT, &name);
	object = repo_wal_name(&job->home, &name);
	spec.name = object;
	snprintf(text, sizeof(text), "%" PRIu64, job->home.sysid);
	json_put_str(extra, "sysid", text);
	json_put_int(extra, "major", job->home.major);
	json_put_int(extra, "timeline", 1);
	json_put_int(extra, "segment_size", SEGMENT);
	snprintf(text, sizeof(text), "%X/%X",
			 (unsigned int) (number * SEGMENT >> 32),
			 (unsigned int) (number * SEGMENT));
	json_put_str(extra, "lsn", text);
	json_put_str(extra, "first_commit", "2026-01-01T00:00:00.000000Z");
	json_put_str(extra, "last_commit", "2026-01-01T00:00:01.000000Z");
	done = object_put(repo, &spec, job->zeros, SEGMENT, extra, err);
	json_free(extra);
	free(object);
	return done;
}

static bool
run_writer(void *arg, int worker_no, Error *err)
{
	Job *job = arg;
	Repo *repo;
	bool done = repo_open_again(job->repo, &repo, err);

	(void) worker_no;
	if (!done)
		return false;
	while (done)
	{
		uint64_t number;

		pthread_mutex_lock(&job->lock);
		number = job->next++;
		pthread_mutex_unlock(&job->lock);
		if (number >= job->end)
			break;
		done = put_segment(repo, job, number, err);
	}
	repo_close(repo);
	return done;
}

static bool
fill(char **argv, Error *err)
{
	Settings settings;
	RepoKeys keys = {0};
	RepoOptions options;
	Job job = {.home = {.sysid = strtoull(argv[2], NULL, 10),
						.major = (int) strtol(argv[3], NULL, 10)},
			   .next = strtoull(argv[4], NULL, 10),
			   .zeros = mem_zalloc(SEGMENT),
			   .lock = PTHREAD_MUTEX_INITIALIZER};
	bool done;

	job.end = job.next + strtoull(argv[5], NULL, 10);
	if (!settings_load(argv[1], &settings, err) ||
		!settings_load_write_keys(&settings, &keys, err))
		return false;
	options = settings_repo_options(&settings, &settings.repos[0], &keys);
	done = repo_open(&options, &job.repo, err) &&
		   thread_run(WRITERS, run_writer, &job, err);
	repo_close(job.repo);
	repo_keys_free(&keys);
	settings_free(&settings);
	free((void *) job.zeros);
	return done;
}

int
main(int argc, char **argv)
{
	Error err = ERROR_INIT;

	if (argc != 6)
	{
		fprintf(stderr,
				"usage: many_segments CONFIG SYSID MAJOR FIRST COUNT\n");
		return 2;
	}
	if (fill(argv, &err))
		return 0;
	fprintf(stderr, "many_segments: %s\n", err.message);
	return 1;
}
