/*-------------------------------------------------------------------------
 *
 * unpack_dump.c
 *	  Brings a dump back into a database, without writing it to a file.
 *
 *-------------------------------------------------------------------------
 */
#include "job/unpack_dump.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/restore_files.h"
#include "pg/program.h"
#include "repo/object.h"

/* The dump on its way from the packs to pg_restore. */
typedef struct Feed
{
	/* fixed */
	const DumpOptions *options;
	const Manifest *manifest;
	const ManifestFile *file;
	Child *child;
	ContentHash *hash;

	/* of the pack in work */
	const ManifestExtent *next; /* that comes, or is in work */
	const ManifestExtent *end;  /* behind the last of this pack */
	uint64_t position;          /* in its plaintext */
	uint64_t given;             /* bytes of *next */

	/* mutable */
	bool has_held; /* one byte is kept back */
	uint8_t held;
} Feed;

static bool
give(Feed *f, const uint8_t *data, size_t len, Error *err)
{
	content_hash_add(f->hash, data, len);
	if (f->options->progress != NULL)
		atomic_fetch_add(&f->options->progress->done_bytes, len);
	if ((f->has_held && !child_write(f->child, &f->held, 1, err)) ||
		!child_write(f->child, data, len - 1, err))
		return false;
	f->held = data[len - 1];
	f->has_held = true;
	return true;
}

/* A sink for the plaintext of a pack. */
static bool
take(void *arg, const void *data, size_t len, Error *err)
{
	Feed *f = arg;
	const uint8_t *p = data;

	while (len > 0)
	{
		uint64_t begin = f->next < f->end ? f->next->pack_offset + f->given
										  : UINT64_MAX;
		bool inside = f->position >= begin;
		uint64_t want = inside ? f->next->length - f->given
							   : begin - f->position;
		size_t n = want < len ? (size_t) want : len;

		if (inside && f->position > begin)
			return error_set(err, ERR_DAMAGED, "parts of the dump overlap");
		if (inside && !give(f, p, n, err))
			return false;
		if (inside)
			f->given += n;
		if (inside && f->given == f->next->length)
		{
			f->next++;
			f->given = 0;
		}
		f->position += n;
		p += n;
		len -= n;
	}
	return true;
}

static bool
feed_pack(Feed *f, Repo *repo, const ManifestPack *pack, Error *err)
{
	char *name = manifest_pack_name(f->manifest, pack);
	Stage *sink = stage_sink(take, f);
	ObjectMeta meta = {0};
	bool done;

	f->position = 0;
	done = object_read(repo, name, sink, &meta, err);
	if (done && memcmp(meta.sha256, pack->sha256, SHA256_LEN) != 0)
		done = error_set(err, ERR_DAMAGED,
						 "\"%s\" is not the pack that the manifest names",
						 name);
	if (done && f->next < f->end)
		done = error_set(err, ERR_DAMAGED, "\"%s\" ends before the dump does",
						 name);
	if (!done && err->code == ERR_NOT_FOUND)
		err->code = ERR_INCOMPLETE;
	stage_free(sink);
	object_meta_free(&meta);
	free(name);
	return done;
}

/* Runs of one pack are side by side: a dump was written by one writer. */
static bool
feed_all(Feed *f, Repo *repo, Error *err)
{
	const ManifestExtent *all = manifest_extents(f->manifest, f->file);
	const ManifestExtent *last = all + f->file->extent_count;
	uint8_t content[CONTENT_LEN];

	for (f->next = all; f->next < last;)
	{
		uint32_t pack = f->next->pack;

		for (f->end = f->next; f->end < last && f->end->pack == pack;)
			f->end++;
		if (!feed_pack(f, repo, &f->manifest->packs[pack - 1], err))
			return false;
	}
	content_hash_final(f->hash, content);
	if (memcmp(content, f->file->content, CONTENT_LEN) != 0)
		return error_set(err, ERR_DAMAGED,
						 "file \"%s\" is not what was backed up",
						 f->file->path);
	return !f->has_held || child_write(f->child, &f->held, 1, err);
}

/*
 * If pg_restore reads no more, it has said why; else it is ended, and with it
 * its transaction.
 */
static bool
finish(Feed *f, bool fed, Error *why, Error *err)
{
	Error said = ERROR_INIT;

	if (!fed && why->code != ERR_SERVER)
	{
		child_kill(f->child);
		error_move(err, why);
		return false;
	}
	if (child_end(f->child, &said) && fed)
		return true;
	error_move(err, error_is_set(&said) ? &said : why);
	error_clear(&said);
	return false;
}

static bool
restore(Feed *f, Repo *repo, const char *program, Error *err)
{
	PgEnvironment env = {0};
	const char *args[5] = {"--single-transaction", "--no-password", "--dbname"};
	ChildSpec spec = {.program = program, .args = args, .feed = true};
	Error why = ERROR_INIT;
	bool done;

	if (!pg_environment_make(f->options->connection, NULL, &env, err))
		return false;
	/* empty: all is in the environment, the name of the database too */
	args[3] = env.rest;
	spec.set = (const char *const *) env.set;
	done = child_start(&spec, &f->child, err);
	if (done)
	{
		bool fed = feed_all(f, repo, &why);

		done = finish(f, fed, &why, err);
	}
	error_clear(&why);
	pg_environment_free(&env);
	return done;
}

static bool
find_dump(Feed *f, Error *err)
{
	if (f->manifest->file_count != 1)
		return error_set(err, ERR_DAMAGED,
						 "backup \"%s\" has %zu files in place of one dump",
						 f->manifest->info.label, f->manifest->file_count);
	f->file = &f->manifest->files[0];
	if (f->options->progress != NULL)
	{
		atomic_store(&f->options->progress->total_bytes, f->file->size);
		atomic_store(&f->options->progress->phase, "restoring");
	}
	return true;
}

bool
unpack_dump(RepoSet *set, const DumpOptions *options, const RestorePlan *plan,
			Error *err)
{
	Manifest manifest = {0};
	Feed f = {.options = options, .manifest = &manifest};
	Repo *repo = repo_set_open(set, plan->sources[0], err);
	char *program = NULL;
	bool done;

	if (repo == NULL || !restore_read_manifest(set, plan, &manifest, err))
		return false;
	f.hash = content_hash_new(&repo->content);
	done = find_dump(&f, err) &&
		   pg_program_find(options->bin_path, options->program, "pg_restore",
						   &program, err) &&
		   restore(&f, repo, program, err);
	content_hash_free(f.hash);
	free(program);
	manifest_free(&manifest);
	return done;
}
