/*-------------------------------------------------------------------------
 *
 * backup.c
 *	  Takes a base backup of a running cluster straight from its data
 *	  directory.
 *
 * Two threads: one does the work (and starts the workers that copy), the
 * other keeps the lease alive, whatever the work waits for.  The manifest is
 * written last: until then there is no backup, whatever goes wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "job/backup.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "job/backup_check.h"
#include "job/backup_config.h"
#include "job/backup_copy.h"
#include "job/backup_lease.h"
#include "job/backup_standby.h"
#include "job/backup_tail.h"
#include "job/backup_wal.h"
#include "pg/datadir_names.h"
#include "pg/datadir.h"
#include "pg/page.h"
#include "pg/server.h"
#include "repo/lease.h"

#define OWNER_BUFFER 4096

typedef struct Backup
{
	/* fixed */
	RepoSet *set;
	FanoutGroup *fanout; /* NULL: there is one repository */
	Repo *repo;          /* writes to all of them */
	const BackupOptions *options;
	Progress *progress;
	Progress unseen; /* counts when nobody looks */
	PgControl control;
	ServerInfo server_info;
	FileCopySpec spec;
	char *user; /* who owns the data directory */
	char *group;
	char *label;
	char *base; /* label of what it is compared with; NULL: a full backup */

	/* as it goes on */
	Manifest base_manifest;
	size_t base_member; /* that it is read from */
	BaseMaps *base_maps;
	Server *server;
	Server *primary; /* of a standby, NULL: not reached */
	LeaseKeeper keeper;
	WalLimit limit;
	BackupBuild build;
	DataDir dir;
	ConfigCopies configs;
	ServerBackupStart start;
	ServerBackupStop stop;
	WalPart *parts;
	int part_count;
} Backup;

static void
enter_phase(Backup *b, const char *phase)
{
	atomic_store(&b->progress->phase, phase);
}

/* ---- preparations ---- */

/* By name too: numbers of users differ from host to host. */
static bool
find_owner(Backup *b, Error *err)
{
	char buffer[OWNER_BUFFER];
	struct passwd user;
	struct passwd *user_found = NULL;
	struct group group;
	struct group *group_found = NULL;
	struct stat st;

	if (stat(b->options->pgdata, &st) != 0)
		return error_set_errno(err, errno, "could not stat directory \"%s\"",
							   b->options->pgdata);
	if (getpwuid_r(st.st_uid, &user, buffer, sizeof(buffer), &user_found) ==
			0 &&
		user_found != NULL)
		b->user = mem_strdup(user.pw_name);
	if (getgrgid_r(st.st_gid, &group, buffer, sizeof(buffer), &group_found) ==
			0 &&
		group_found != NULL)
		b->group = mem_strdup(group.gr_name);
	b->spec.owner = (TarOwner){st.st_uid, st.st_gid, b->user, b->group};
	return true;
}

static bool
choose_algorithm(Backup *b, Error *err)
{
	const char *wanted = b->options->checksum_algorithm;

	b->spec.algorithm = wanted ? wanted : "CRC32C";
	if (strcmp(b->spec.algorithm, "CRC32C") == 0 ||
		strcmp(b->spec.algorithm, "SHA256") == 0 ||
		strcmp(b->spec.algorithm, "NONE") == 0)
		return true;
	error_set(err, ERR_USAGE, "unknown checksum algorithm \"%s\"", wanted);
	return error_hint(err, "It is CRC32C, SHA256 or NONE.");
}

static bool
check_key(const Backup *b, Error *err)
{
	const Repo *repo = repo_set_any(b->set);

	if (repo == NULL)
		return repo_set_verdict(b->set, err);
	if (repo->has_content)
		return true;
	error_set(err, ERR_KEY, "the content key of the repository is not known");
	return error_hint(err, "Set content-key-file in the configuration.");
}

static bool
prepare(Backup *b, Error *err)
{
	const BackupOptions *options = b->options;

	if (!choose_algorithm(b, err) || !check_key(b, err) ||
		!pg_control_read(options->pgdata, &b->control, err) ||
		!find_owner(b, err))
		return false;
	if (!server_connect(options->connection, &b->server, err) ||
		!server_info(b->server, &b->server_info, err))
		return false;
	b->spec.pgdata = options->pgdata;
	b->spec.content = &repo_set_any(b->set)->content;
	b->spec.check_pages = b->control.checksums &&
						  b->control.block_size == PG_PAGE_SIZE;
	b->spec.limit = &b->limit;
	b->spec.build = &b->build;
	b->spec.progress = b->progress;
	b->limit.server = b->server;
	return backup_check_server(options->pgdata, &b->control, &b->server_info,
							   err) &&
		   (!b->server_info.in_recovery ||
			backup_primary_open(options->primary, &b->control, &b->primary,
								err));
}

/* ---- the start ---- */

static void
fill_info(Backup *b)
{
	BackupInfo *info = &b->build.manifest.info;

	info->label = mem_strdup(b->label);
	info->target = mem_strdup("cluster");
	info->type = b->base != NULL ? BACKUP_INCREMENTAL : BACKUP_FULL;
	if (b->base != NULL)
		info->parent = mem_strdup(b->base);
	info->sysid = b->control.sysid;
	info->major = b->control.major;
	info->version_num = (uint32_t) b->server_info.version_num;
	info->segment_size = b->control.segment_size;
	info->catalog_version = b->control.catalog_version;
	info->page_checksums = b->control.checksums;
	info->archival = b->options->archival;
	if (b->options->annotations)
		info->annotations = json_dup(b->options->annotations);
	b->build.manifest.checksum_algorithm = mem_strdup(b->spec.algorithm);
}

static bool
start(Backup *b, Error *err)
{
	BackupInfo *info = &b->build.manifest.info;
	char *name = mem_printf("pgdr %s", b->label);
	bool done;
	uint64_t lsn;

	enter_phase(b, "starting");
	info->start_time = clock_now();
	done = server_backup_start(b->server, name, b->options->fast, &b->start,
							   err);
	free(name);
	if (!done ||
		!backup_check_started(b->options->pgdata, &b->start,
							  b->server_info.in_recovery, err) ||
		!server_current_lsn(b->server, &lsn, err))
		return false;
	info->start_lsn = b->start.start_lsn;
	info->start_timeline = b->start.timeline;
	b->spec.start_lsn = b->start.start_lsn;
	atomic_store(&b->limit.lsn, lsn);
	return true;
}

/*
 * Through the same connections as the backup's own: nothing else uses them
 * now.  The members that fail are out of the backup.
 */
static bool
push_history(Backup *b, Error *err)
{
	RepoSet *set = b->set;
	bool done = backup_push_history(set, b->options->pgdata, &b->control,
									b->start.timeline, err);

	for (size_t i = 0; i < set->count; i++)
	{
		Error why = ERROR_INIT;

		if (!error_is_set(&set->members[i].why))
			continue;
		error_copy(&why, &set->members[i].why);
		if (b->fanout != NULL)
			fanout_group_drop(b->fanout, i, &why);
		error_clear(&why);
	}
	if (!done && b->fanout != NULL && fanout_group_live(b->fanout) > 0)
	{
		error_clear(err);
		return true;
	}
	return done;
}

/* What an earlier restore put there is not of this cluster's making. */
static void
drop_old_configs(DataDir *dir)
{
	size_t kept = 0;

	for (size_t i = 0; i < dir->count; i++)
	{
		if (!backup_config_path(dir->files[i].path))
		{
			dir->files[kept++] = dir->files[i];
			continue;
		}
		dir->total_bytes -= dir->files[i].is_dir ? 0 : dir->files[i].size;
		free(dir->files[i].path);
	}
	dir->count = kept;
}

static bool
has_dir(const Manifest *m, const char *path)
{
	for (size_t i = 0; i < m->dir_count; i++)
	{
		if (strcmp(m->dirs[i].path, path) == 0)
			return true;
	}
	return false;
}

/* Every directory above the copies of configuration files. */
static void
add_config_dirs(Backup *b)
{
	for (size_t i = 0; i < b->configs.count; i++)
	{
		char *path = mem_strdup(b->configs.items[i].file.path);

		for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/'))
		{
			*p = '\0';
			if (!has_dir(&b->build.manifest, path))
				backup_build_add_dir(&b->build, path, 0700);
			*p = '/';
		}
		free(path);
	}
}

static void
note_tablespaces(Backup *b)
{
	Manifest *m = &b->build.manifest;
	size_t count = b->dir.tablespace_count;

	m->tablespaces = mem_zalloc((count + 1) * sizeof(*m->tablespaces));
	m->tablespace_count = count;
	for (size_t i = 0; i < count; i++)
	{
		const DataTablespace *from = &b->dir.tablespaces[i];

		m->tablespaces[i].oid = from->oid;
		if (from->location)
			m->tablespaces[i].location = mem_strdup(from->location);
	}
}

static bool
take_database(void *arg, char *const *values, int ncols, Error *err)
{
	Manifest *m = arg;
	uint32_t oid;

	if (ncols != 2 || values[0] == NULL || values[1] == NULL ||
		!datadir_parse_oid(values[0], &oid))
		return error_set(err, ERR_SERVER,
						 "PostgreSQL returned no list of databases");
	m->databases = mem_realloc(m->databases,
							   (m->database_count + 1) * sizeof(*m->databases));
	m->databases[m->database_count++] = (ManifestDatabase){
		.oid = oid, .name = mem_strdup(values[1])};
	return true;
}

/* Of one that is created meanwhile there are files without a name. */
static bool
note_databases(Backup *b, Error *err)
{
	return server_query(b->server,
						"SELECT oid, datname FROM pg_database ORDER BY oid",
						take_database, &b->build.manifest, err);
}

static bool
scan(Backup *b, Error *err)
{
	size_t files = 0;

	if (!datadir_scan(b->options->pgdata, b->control.major,
					  b->control.catalog_version, &b->dir, err))
		return false;
	drop_old_configs(&b->dir);
	note_tablespaces(b);
	if (!note_databases(b, err) ||
		!backup_config_collect(b->server, &b->server_info, b->options->pgdata,
							   &b->dir, &b->configs, err))
		return false;
	add_config_dirs(b);
	for (size_t i = 0; i < b->dir.count; i++)
	{
		const DataFile *file = &b->dir.files[i];

		if (file->is_dir)
			backup_build_add_dir(&b->build, file->path, file->mode & 07777);
		else
			files++;
	}
	backup_build_sort(&b->build);
	atomic_store(&b->progress->total_bytes, b->dir.total_bytes);
	atomic_store(&b->progress->total_items, files);
	return true;
}

/* ---- the copy ---- */

static bool
copy(Backup *b, Error *err)
{
	BackupCopy job = {.repo = b->repo,
					  .label = b->label,
					  .spec = &b->spec,
					  .dir = &b->dir,
					  .workers = b->options->workers,
					  .base = b->base_maps};

	if (b->base != NULL)
		job.base_repo = b->set->members[b->base_member].repo;
	enter_phase(b, "copying");
	return backup_copy(&job, err);
}

static bool
stop(Backup *b, Error *err)
{
	BackupInfo *info = &b->build.manifest.info;

	enter_phase(b, "stopping");
	if (!server_backup_stop(b->server, &b->stop, err))
		return false;
	info->stop_time = clock_now();
	info->stop_lsn = b->stop.stop_lsn;
	info->timeline = b->stop.timeline;
	return backup_wal_parts(b->options->pgdata, &b->start, &b->stop, &b->parts,
							&b->part_count, err);
}

/*
 * pg_control after every other file, and before the backup ends: it must not
 * be newer than the WAL that the backup asks for.
 */
static bool
write_tail(Backup *b, BackupTail *tail, Error *err)
{
	if (!backup_tail_begin(tail, b->repo, b->label, &b->spec, err) ||
		!backup_tail_configs(tail, &b->configs, err) ||
		!backup_tail_control(tail, b->control.major, err) || !stop(b, err) ||
		!backup_tail_label(tail, b->stop.backup_label, err))
		return false;
	backup_build_sort(&b->build);
	return backup_tail_manifest(tail, b->parts, b->part_count, err) &&
		   backup_tail_end(tail, err);
}

static bool
copy_tail(Backup *b, Error *err)
{
	BackupTail tail = {0};
	bool done = write_tail(b, &tail, err);

	backup_tail_abort(&tail);
	return done;
}

/* ---- the end ---- */

/*
 * What the group has dropped so far gets its why, so that nobody waits for
 * WAL there; and where the WAL does not come there will be no manifest.
 */
static bool
wait_wal_in_all(Backup *b, const WalWait *wait, Error *err)
{
	RepoSet *set = b->set;
	bool done;

	for (size_t i = 0; b->fanout != NULL && i < set->count; i++)
		fanout_group_take_why(b->fanout, i, &set->members[i].why);
	done = backup_wait_wal_in(set, wait, err);
	for (size_t i = 0; b->fanout != NULL && i < set->count; i++)
	{
		Error why = ERROR_INIT;

		if (!error_is_set(&set->members[i].why) ||
			!fanout_group_is_live(b->fanout, i))
			continue;
		error_copy(&why, &set->members[i].why);
		fanout_group_drop(b->fanout, i, &why);
	}
	return done;
}

static bool
wait_wal(Backup *b, Error *err)
{
	WalWait wait = {.home = {b->control.sysid, b->control.major},
					.pgdata = b->options->pgdata,
					.segment_size = b->control.segment_size,
					.parts = b->parts,
					.count = b->part_count,
					.timeout = b->options->archive_timeout,
					.deadline = clock_monotonic() + b->options->archive_timeout,
					.server = b->server};

	enter_phase(b, "waiting for WAL");
	/* the standby's own archiver has nothing to do with it */
	wait.standby = b->server_info.in_recovery;
	if (wait.standby)
		wait.server = b->primary;
	if (b->primary != NULL)
		backup_primary_switch(b->primary);
	return wait_wal_in_all(b, &wait, err);
}

/*
 * The lease is renewed once more, because what it protects must still be
 * there when the manifest says that it is; and looked at afterwards, because
 * this process may have been suspended in between.
 */
static bool
finish(Backup *b, Error *err)
{
	enter_phase(b, "writing manifest");
	backup_build_sort(&b->build);
	if (b->base != NULL)
		backup_build_adopt(&b->build, &b->base_manifest);
	return thread_check_stop(err) && lease_keeper_renew(&b->keeper, err) &&
		   manifest_write(b->repo, &b->build.manifest, err) &&
		   lease_keeper_confirm(&b->keeper, err);
}

static bool
run_thread(void *arg, int worker_no, Error *err)
{
	Backup *b = arg;
	bool done;

	if (worker_no == 1)
		return lease_keeper_run(&b->keeper, err);
	done = start(b, err) && push_history(b, err) && scan(b, err) &&
		   copy(b, err) && copy_tail(b, err) && wait_wal(b, err) &&
		   finish(b, err);
	lease_keeper_end(&b->keeper);
	return done;
}

static bool
run_with_lease(Backup *b, Error *err)
{
	bool done;

	if (!lease_keeper_open(&b->keeper, b->set, b->fanout, b->label, err))
		return false;
	b->keeper.base = b->base;
	fill_info(b);
	done = thread_run(2, run_thread, b, err);
	lease_keeper_close(&b->keeper);
	return done;
}

/* ---- what it is compared with ---- */

static bool
any_open(const RepoSet *set, Error *err)
{
	for (size_t i = 0; i < set->count; i++)
	{
		if (set->members[i].repo != NULL && !error_is_set(&set->members[i].why))
			return true;
	}
	return repo_set_verdict(set, err);
}

static bool
choose_base(Backup *b, Error *err)
{
	BaseChoice choice = {.wish = b->options->base_wish,
						 .label = b->options->base_label,
						 .home = {b->control.sysid, b->control.major}};

	if (choice.wish == BASE_NONE)
		return true;
	if (!backup_base_choose(b->set, &choice, &b->base, err))
		return false;
	if (b->base == NULL)
		log_warning("there is no backup that this one could be compared with; "
					"it becomes a full one");
	return any_open(b->set, err);
}

/*
 * The lease says now that it is referred to.  A repository in which it is
 * going away all the same cannot have this backup.
 */
static bool
open_base(Backup *b, Error *err)
{
	RepoSet *set = b->set;

	if (b->base == NULL)
		return true;
	for (size_t i = 0; i < set->count; i++)
	{
		RepoMember *m = &set->members[i];

		if (m->repo != NULL && !error_is_set(&m->why))
			backup_base_confirm(m->repo, b->base, &m->why);
	}
	if (!any_open(set, err) ||
		!backup_base_read(set, b->base, &b->base_manifest, &b->base_member,
						  err))
		return false;
	b->base_maps = base_maps_new(&b->base_manifest);
	return true;
}

static bool
run(Backup *b, Error *err)
{
	bool done;

	if (!choose_base(b, err) ||
		!lease_take_in_all(b->set, b->base, &b->label, err) ||
		!open_base(b, err))
		return false;
	repo_set_fan_out(b->set, NULL, true, &b->fanout, &b->repo);
	done = run_with_lease(b, err);
	repo_set_fan_in(b->set, b->fanout, b->repo);
	return done;
}

/*
 * That it is complete somewhere is worth knowing, though it is not where it
 * has to be.
 */
static bool
judge(const Backup *b, Error *err)
{
	StrBuf names = STRBUF_INIT;

	if (repo_set_verdict(b->set, err))
	{
		repo_set_warn(b->set, "the backup");
		return true;
	}
	for (size_t i = 0; i < b->set->count; i++)
	{
		if (!error_is_set(&b->set->members[i].why))
			strbuf_printf(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						  repo_set_name(b->set, i));
	}
	error_detail(err, "The backup %s is complete in %s.", b->label, names.data);
	error_hint(err, "\"pgdr repair\" copies it to where it is missing, once "
					"that is possible.");
	strbuf_free(&names);
	return false;
}

static void
give_info(Backup *b, BackupInfo *out)
{
	BackupInfo *info = &b->build.manifest.info;

	*out = *info;
	memset(info, 0, sizeof(*info));
}

static void
release(Backup *b)
{
	/* a session that ends takes an unfinished backup with it */
	server_close(b->server);
	server_close(b->primary);
	server_info_free(&b->server_info);
	server_backup_stop_free(&b->stop);
	datadir_free(&b->dir);
	backup_config_free(&b->configs);
	backup_build_free(&b->build);
	pthread_mutex_destroy(&b->limit.lock);
	base_maps_free(b->base_maps);
	manifest_free(&b->base_manifest);
	free(b->parts);
	free(b->base);
	free(b->label);
	free(b->user);
	free(b->group);
}

bool
backup_take(RepoSet *set, const BackupOptions *options, BackupInfo *out,
			Error *err)
{
	Backup b = {.set = set, .options = options};
	bool done;

	b.progress = options->progress ? options->progress : &b.unseen;
	pthread_mutex_init(&b.limit.lock, NULL);
	backup_build_init(&b.build);
	enter_phase(&b, "starting");
	repo_set_open_all(set);
	done = prepare(&b, err) && run(&b, err) && judge(&b, err);
	if (done)
		give_info(&b, out);
	release(&b);
	return done;
}
