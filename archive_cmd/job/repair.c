/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  Brings to each repository what it lacks, or has damaged, from another
 *	  one that has it intact.
 *
 *-------------------------------------------------------------------------
 */
#include "job/repair_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

bool
repair_is_target(const Repair *r, size_t member)
{
	return r->options->target == NULL ||
		   strcmp(r->options->target, repo_set_name(r->set, member)) == 0;
}

void
repair_action(Repair *r, const RepairAction *action)
{
	r->options->action(r->options->arg, action);
}

void
repair_problem(Repair *r, size_t member, const char *check, const char *object,
			   Error *why)
{
	const Problem problem = {.repository = repo_set_name(r->set, member),
							 .check = check,
							 .object = object,
							 .message = why->message,
							 .detail = why->detail,
							 .hint = why->hint};

	r->out->failed++;
	r->options->problem(r->options->arg, &problem);
	error_clear(why);
}

/* ---- looking ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool
check_suspect(void *arg, Repo *repo, InventoryItem *item, Error *err)
{
	const RepairOptions *o = ((Repair *) arg)->options;

	return bsearch(&item->name, o->suspects, o->suspect_count, sizeof(char *),
				   compare_names) == NULL ||
		   inventory_check_item(repo, item, err);
}

static bool
check_objects(Repair *r, Repo *repo, Inventory *inventory, Error *err)
{
	const InventoryWork work = {.fn = check_suspect,
								.arg = r,
								.workers = r->options->workers,
								.progress = r->options->progress};

	if (r->options->suspects != NULL)
	{
		r->out->checked += r->options->suspect_count;
		return inventory_each(repo, inventory, &work, err);
	}
	r->out->checked += inventory->count;
	return inventory_check(repo, inventory, r->options->workers,
						   r->options->progress, err);
}

static bool
look_at(Repair *r, size_t member, Error *err)
{
	Repo *repo = r->set->members[member].repo;
	Inventory *inventory = &r->inventories[member];

	if (!inventory_load(repo, inventory, err) ||
		!catalog_load(repo, false, &r->catalogs[member], err))
		return false;
	r->looked_at[member] = true;
	if (!repair_is_target(r, member))
		return true;
	return check_objects(r, repo, inventory, err);
}

static void
set_phase(const Repair *r, const char *phase)
{
	if (r->options->progress != NULL)
		atomic_store(&r->options->progress->phase, phase);
}

/* One that does not answer is a problem, and neither target nor source. */
static bool
look_at_all(Repair *r, Error *err)
{
	set_phase(r, "checking");
	for (size_t i = 0; i < r->set->count; i++)
	{
		Error why = ERROR_INIT;

		if (r->set->members[i].repo == NULL)
			continue;
		if (!look_at(r, i, &why))
		{
			if (why.code == ERR_CANCELED)
			{
				error_move(err, &why);
				return false;
			}
			r->looked_at[i] = false;
			repair_problem(r, i, "repository", repo_set_name(r->set, i), &why);
		}
	}
	return true;
}

static bool
unite(Repair *r, Error *err)
{
	const Catalog **parts = mem_zalloc((r->set->count + 1) * sizeof(*parts));
	size_t used = 0;
	bool done;

	for (size_t i = 0; i < r->set->count; i++)
	{
		if (r->looked_at[i])
			parts[used++] = &r->catalogs[i];
	}
	done = catalog_unite(parts, used, &r->all, err);
	free(parts);
	return done;
}

/* ---- doing ---- */

static void
count_done(RepairResult *out, TransferKind kind)
{
	switch (kind)
	{
		case TRANSFER_COPY:
			out->copied++;
			break;
		case TRANSFER_REPLACE:
			out->replaced++;
			break;
		case TRANSFER_QUARANTINE:
			out->quarantined++;
			break;
	}
}

static void
on_transfer(void *arg, const TransferReport *report)
{
	static const char *const names[] = {[TRANSFER_COPY] = "copy",
										[TRANSFER_REPLACE] = "replace",
										[TRANSFER_QUARANTINE] = "quarantine"};
	Repair *r = arg;
	const Transfer *t = report->transfer;
	RepairAction action = {.repository = repo_set_name(r->set, t->target),
						   .action = names[t->kind],
						   .object = t->name,
						   .source = report->source};
	Error why = ERROR_INIT;

	if (report->why == NULL)
	{
		count_done(r->out, t->kind);
		repair_action(r, &action);
		return;
	}
	error_copy(&why, report->why);
	repair_problem(r, t->target,
				   t->kind == TRANSFER_COPY ? "missing" : "damaged", t->name,
				   &why);
}

static void
show_plan(Repair *r)
{
	for (size_t i = 0; i < r->plan.count; i++)
	{
		TransferReport report = {.transfer = r->plan.items[i]};

		on_transfer(r, &report);
	}
}

static bool
run(Repair *r, Error *err)
{
	if (!look_at_all(r, err) || !unite(r, err))
		return false;
	for (size_t i = 0; i < r->set->count; i++)
	{
		if (r->looked_at[i] && repair_is_target(r, i) &&
			!repair_plan(r, i, err))
			return false;
	}
	if (r->options->dry_run)
	{
		show_plan(r);
		return true;
	}
	set_phase(r, "copying");
	return thread_check_stop(err) && transfer_run(&r->plan, err);
}

static void
release(Repair *r)
{
	for (size_t i = 0; i < r->set->count; i++)
	{
		inventory_free(&r->inventories[i]);
		catalog_free(&r->catalogs[i]);
	}
	catalog_free(&r->all);
	transfer_plan_free(&r->plan);
	free(r->inventories);
	free(r->catalogs);
	free(r->looked_at);
}

bool
repair_run(RepoSet *set, const RepairOptions *options, RepairResult *out,
		   Error *err)
{
	Repair r = {.set = set, .options = options, .out = out};
	bool done;

	*out = (RepairResult){0};
	if (set->count < 2)
	{
		error_set(err, ERR_CONFIG, "there is only one repository");
		return error_hint(err, "What is damaged can be brought back from "
							   "another repository alone: add one to the "
							   "configuration.");
	}
	r.inventories = mem_zalloc(set->count * sizeof(Inventory));
	r.catalogs = mem_zalloc(set->count * sizeof(Catalog));
	r.looked_at = mem_zalloc(set->count * sizeof(bool));
	r.plan = (TransferPlan){.set = set,
							.inventories = r.inventories,
							.workers = options->workers,
							.progress = options->progress,
							.report = on_transfer,
							.arg = &r};
	repo_set_open_all(set);
	repair_roots(&r);
	done = run(&r, err);
	release(&r);
	return done;
}
