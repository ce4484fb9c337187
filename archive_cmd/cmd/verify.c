/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  pgdr verify [OPTION]... [LABEL]: is what the repository holds
 *	  intact and complete?
 *
 * problem: severity (error, warning), check, object, message, detail, hint;
 * check is one of
 *	damaged		stored bytes are not what was written
 *	mismatch	intact, but not what belongs under this name
 *	missing		something that a backup or a timeline needs is not there
 *	hole		a segment is missing, and later WAL is there
 *	key			none of the identities opens it
 *	unsupported	written by a newer version
 *	unreadable	the store cannot read it
 *	leftover	of an interrupted backup
 *	stray		a name that is not one of a repository
 *	vanished	removed while it was to be verified
 *	quarantined	a damaged object that repair has put aside
 * result: command, deep, objects, bytes (stored), backups, segments, skipped
 * (verified recently), sample, seed, unsampled, missing, orphans, orphan_bytes,
 * errors, warnings, duration_ms; with --repair repaired and unhealed; and
 * repositories: array of objects with name and the same counts.
 *
 * The exit status is EXIT_PROBLEMS when there are errors.
 *
 *-------------------------------------------------------------------------
 */
#include "cmd/repair.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"

/* A name that repair is to look at. */
typedef struct Suspects
{
	char **names; /* sorted before they are used */
	size_t count;
	size_t cap;
	uint64_t errors;
} Suspects;

typedef struct Run
{
	/* fixed */
	Context *ctx;
	VerifyOptions options;
	int64_t started;

	/* of the repository in hand, and of all */
	Suspects *suspects; /* by member; NULL without --repair */
	Suspects *current;
	VerifyResult sum;
	Json *repositories;
	uint64_t repaired;
	uint64_t unhealed;
} Run;

static void
put_result(Json *obj, const VerifyResult *r)
{
	json_put_int(obj, "objects", (int64_t) r->objects);
	json_put_int(obj, "bytes", (int64_t) r->bytes);
	json_put_int(obj, "backups", (int64_t) r->backups);
	json_put_int(obj, "segments", (int64_t) r->segments);
	json_put_int(obj, "skipped", (int64_t) r->skipped);
	json_put_int(obj, "unsampled", (int64_t) r->unsampled);
	json_put_int(obj, "missing", (int64_t) r->missing);
	json_put_int(obj, "orphans", (int64_t) r->orphans);
	json_put_int(obj, "orphan_bytes", (int64_t) r->orphan_bytes);
	json_put_int(obj, "errors", (int64_t) r->errors);
	json_put_int(obj, "warnings", (int64_t) r->warnings);
}

static void
add_result(VerifyResult *sum, const VerifyResult *r)
{
	sum->objects += r->objects;
	sum->bytes += r->bytes;
	sum->backups += r->backups;
	sum->segments += r->segments;
	sum->skipped += r->skipped;
	sum->unsampled += r->unsampled;
	sum->missing += r->missing;
	sum->orphans += r->orphans;
	sum->orphan_bytes += r->orphan_bytes;
	sum->errors += r->errors;
	sum->warnings += r->warnings;
}

static void
print_result(Context *ctx, const VerifyResult *r, int64_t usecs)
{
	char size[32];

	ctx_print(ctx,
			  "%s %" PRIu64 " objects (%s) in %.1f s: %" PRIu64
			  " backups, %" PRIu64 " WAL segments\n",
			  ctx_flag(ctx, "deep") ? "decoded" : "checked", r->objects,
			  size_text(r->bytes, size), (double) usecs / USECS_PER_SEC,
			  r->backups, r->segments);
	if (r->skipped > 0)
		ctx_print(ctx, "passed over: %" PRIu64 " objects, verified recently\n",
				  r->skipped);
	if (r->unsampled > 0)
		ctx_print(ctx, "passed over: %" PRIu64 " objects, not in the sample\n",
				  r->unsampled);
	if (r->missing > 0)
		ctx_print(ctx, "missing: %" PRIu64 " objects that something needs\n",
				  r->missing);
	if (r->orphans > 0)
		ctx_print(ctx, "orphans: %" PRIu64 " objects (%s) that nothing needs\n",
				  r->orphans, size_text(r->orphan_bytes, size));
	if (r->errors == 0)
		ctx_print(ctx, "no errors, %" PRIu64 " warnings\n", r->warnings);
	else
		ctx_print(ctx, "%" PRIu64 " errors, %" PRIu64 " warnings\n", r->errors,
				  r->warnings);
}

/* ---- one repository ---- */

/* What repair can do something about, besides what is not there at all. */
static bool
is_suspect(const Problem *problem)
{
	return !problem->warning && (strcmp(problem->check, "damaged") == 0 ||
								 strcmp(problem->check, "mismatch") == 0 ||
								 strcmp(problem->check, "unreadable") == 0);
}

static void
take_problem(void *arg, const Problem *problem)
{
	Run *run = arg;
	Suspects *s = run->current;

	ctx_problem(run->ctx, problem);
	if (s == NULL)
		return;
	s->errors += !problem->warning;
	if (!is_suspect(problem))
		return;
	s->names = mem_grow(s->names, s->count, &s->cap, sizeof(char *));
	s->names[s->count++] = mem_strdup(problem->object);
}

static bool
verify_one(Context *ctx, size_t member, Repo *repo, void *arg, Error *err)
{
	Run *run = arg;
	int64_t start = clock_monotonic();
	VerifyResult result;
	Json *obj;
	bool done;

	run->current = run->suspects != NULL ? &run->suspects[member] : NULL;
	run->options.progress = ctx_progress_start(ctx);
	done = verify_run(repo, &run->options, &result, err);
	ctx_progress_stop(ctx);
	if (!done)
		return false;
	print_result(ctx, &result, clock_monotonic() - start);
	add_result(&run->sum, &result);
	obj = json_new_object();
	json_put_str(obj, "name", ctx_member_settings(ctx, member)->name);
	put_result(obj, &result);
	json_append(run->repositories, obj);
	return true;
}

/* ---- repair ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool
repair_one(Run *run, RepoSet *set, size_t member, Error *err)
{
	Suspects *s = &run->suspects[member];
	char *none[] = {NULL};
	RepairOptions options = {.target = repo_set_name(set, member),
							 .suspects = s->count > 0 ? s->names : none,
							 .suspect_count = s->count};
	RepairResult result;

	if (s->count > 1)
		qsort(s->names, s->count, sizeof(char *), compare_names);
	if (!repair_do(run->ctx, set, &options, &result, err))
		return false;
	run->repaired += result.copied + result.replaced + result.quarantined;
	run->unhealed += result.failed;
	return true;
}

/*
 * Then it is verified again: by what was noted on the way that takes no longer
 * than what was wrong.  What is left decides the status.
 */
static bool
repair_all(Run *run, Error *err)
{
	RepoSet *set = ctx_all_repos(run->ctx, err);
	EachRepo each = {.run = verify_one, .arg = run, .forgive_absence = true};
	bool any = false;

	for (size_t i = 0; set != NULL && i < set->count; i++)
	{
		if (run->suspects[i].errors == 0)
			continue;
		any = true;
		if (!repair_one(run, set, i, err))
			return false;
	}
	if (!any || run->repaired == 0)
		return true;
	if (run->options.mark)
		run->options.since = clock_monotonic() - run->started + USECS_PER_SEC;
	ctx_exit_with(run->ctx, EXIT_DONE);
	ctx_print(run->ctx,
			  "repaired: %" PRIu64 " objects; what was wrong is "
			  "verified again\n",
			  run->repaired);
	json_free(run->repositories);
	run->repositories = json_new_array();
	run->sum = (VerifyResult){0};
	return ctx_each_repo(run->ctx, &each, err);
}

/* ---- options ---- */

static bool
take_since(Context *ctx, VerifyOptions *o, Error *err)
{
	const char *text = ctx_option(ctx, "since");

	return text == NULL || clock_parse_duration(text, &o->since, err);
}

/* "5%"; the seed is chosen if none is given, and told in any case. */
static bool
take_sample(Context *ctx, VerifyOptions *o, Error *err)
{
	const char *text = ctx_option(ctx, "sample");
	int64_t seed;
	char *end;
	double percent;

	if (text == NULL)
		return ctx_option(ctx, "seed") == NULL ||
			   error_set(err, ERR_USAGE, "--seed needs --sample");
	percent = strtod(text, &end);
	if (end == text || (*end != '\0' && strcmp(end, "%") != 0) ||
		!(percent > 0 && percent <= 100))
	{
		error_set(err, ERR_USAGE, "invalid value \"%s\" for --sample", text);
		return error_detail(err, "It must be a part in percent: \"5%%\".");
	}
	if (getrandom(&o->seed, sizeof(o->seed), 0) != sizeof(o->seed))
		return error_set(err, ERR_INTERNAL, "could not get random bytes");
	o->seed &= INT32_MAX;
	seed = (int64_t) o->seed;
	if (!ctx_option_int(ctx, "seed", 0, INT32_MAX, &seed, err))
		return false;
	o->seed = (uint64_t) seed;
	o->sample = percent / 100;
	ctx_print(ctx, "a sample of %g %%, with --seed %" PRIu64 "\n", percent,
			  o->seed);
	return true;
}

static bool
take_rate(Context *ctx, VerifyOptions *o, Error *err)
{
	static const StorageKey form = {.key = "rate", .kind = STORAGE_KEY_SIZE};
	const char *text = ctx_option(ctx, "rate");
	const StorageParam param = {.key = "rate", .value = text};
	const StorageOptions options = {.params = &param, .param_count = 1};

	if (text == NULL)
		return true;
	if (storage_key_accepts(&form, text))
		o->rate = storage_param_size(&options, "rate", 0);
	if (o->rate > 0)
		return true;
	error_set(err, ERR_USAGE, "invalid value \"%s\" for --rate", text);
	return error_detail(err, "It must be bytes per second: \"50MB\".");
}

static bool
take_options(Run *run, Error *err)
{
	Context *ctx = run->ctx;
	VerifyOptions *o = &run->options;
	RepoSet *set;

	*o = (VerifyOptions){.label = ctx_argument(ctx, 0),
						 .deep = ctx_flag(ctx, "deep"),
						 .mark = !ctx_flag(ctx, "no-mark"),
						 .problem = take_problem,
						 .problem_arg = run};
	if (!take_since(ctx, o, err) || !take_sample(ctx, o, err) ||
		!take_rate(ctx, o, err) || ctx_settings(ctx, err) == NULL)
		return false;
	o->workers = ctx_settings(ctx, err)->process_max;
	if (!ctx_flag(ctx, "repair"))
		return true;
	if (ctx_option(ctx, "repo") != NULL)
		return error_set(err, ERR_USAGE,
						 "--repair takes from all repositories, so --repo "
						 "cannot be given");
	set = ctx_all_repos(ctx, err);
	if (set != NULL)
		run->suspects = mem_zalloc(set->count * sizeof(Suspects));
	return set != NULL;
}

/* ---- the whole ---- */

static void
say_result(Run *run)
{
	Json *obj = json_new_object();

	json_put_str(obj, "command", "verify");
	json_put_bool(obj, "deep", run->options.deep);
	if (run->options.sample > 0)
	{
		json_put_real(obj, "sample", run->options.sample);
		json_put_int(obj, "seed", (int64_t) run->options.seed);
	}
	put_result(obj, &run->sum);
	if (run->suspects != NULL)
	{
		json_put_int(obj, "repaired", (int64_t) run->repaired);
		json_put_int(obj, "unhealed", (int64_t) run->unhealed);
	}
	json_put_int(obj, "duration_ms", (clock_monotonic() - run->started) / 1000);
	json_put(obj, "repositories", run->repositories);
	run->repositories = NULL;
	ctx_emit(run->ctx, "result", obj);
}

static void
run_free(Run *run)
{
	size_t members = run->suspects != NULL
						 ? ctx_all_repos(run->ctx, NULL)->count
						 : 0;

	for (size_t i = 0; i < members; i++)
	{
		for (size_t k = 0; k < run->suspects[i].count; k++)
			free(run->suspects[i].names[k]);
		free(run->suspects[i].names);
	}
	free(run->suspects);
	json_free(run->repositories);
}

static bool
run_verify(Context *ctx, Error *err)
{
	Run run = {.ctx = ctx, .started = clock_monotonic()};
	EachRepo each = {.run = verify_one, .arg = &run, .forgive_absence = true};
	bool done;

	if (!ctx_flag(ctx, "deep"))
		ctx_only_writes(ctx); /* the key can stay where it is */
	run.repositories = json_new_array();
	done = take_options(&run, err) && ctx_each_repo(ctx, &each, err) &&
		   (run.suspects == NULL || repair_all(&run, err));
	if (done)
		say_result(&run);
	run_free(&run);
	return done;
}

static const OptionSpec options_table[] = {
	{"deep", OPTION_FLAG, NULL,
	 "decrypt and decode everything, compare every file"},
	{"since", OPTION_TEXT, "DURATION",
	 "pass over what was verified within that time"},
	{"sample", OPTION_TEXT, "PERCENT", "only a part of packs and WAL"},
	{"seed", OPTION_INT, "N", "which part: what --sample has told"},
	{"rate", OPTION_TEXT, "SIZE", "read so many bytes per second at most"},
	{"repair", OPTION_FLAG, NULL, "heal what is wrong from another repository"},
	{"no-mark", OPTION_FLAG, NULL, "do not record the result"},
	{NULL, OPTION_FLAG, NULL, NULL}};

const Command cmd_verify = {.name = "verify",
							.arguments = "[LABEL]",
							.summary = "prove that what is stored is intact",
							.max_args = 1,
							.options = options_table,
							.run = run_verify,
							.is_query = true,
							.is_nice = true};
