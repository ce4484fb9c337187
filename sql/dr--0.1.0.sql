/* dr--0.1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dr" to load this file. \quit

-- Whoever owns the schema could put something of theirs among what is made
-- here.
DO $$
BEGIN
	IF (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'dr')
		<> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
	THEN
		RAISE EXCEPTION 'schema "dr" exists and belongs to another role'
			USING HINT = 'Rename or drop it first.';
	END IF;
END
$$;

COMMENT ON SCHEMA dr IS 'disaster recovery: backups, WAL archive, recovery';

-- Roles -----------------------------------------------------------------------
--
-- They are of the whole cluster, and so may be there already.  They are left
-- behind when the extension is dropped.

DO $$
DECLARE
	role_name text;
BEGIN
	FOREACH role_name IN ARRAY ARRAY['dr_viewer', 'dr_operator', 'dr_admin']
	LOOP
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles
					   WHERE rolname = role_name)
		THEN
			EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
		END IF;
	END LOOP;
END
$$;

GRANT dr_viewer TO dr_operator;
GRANT dr_operator TO dr_admin;

COMMENT ON ROLE dr_viewer IS 'may see what the extension dr knows';
COMMENT ON ROLE dr_operator IS 'dr_viewer, and may back up, verify and check';
COMMENT ON ROLE dr_admin IS 'dr_operator, and may delete and change policy';

-- The mirror ------------------------------------------------------------------
--
-- What the repository held when it was last looked at.  Only
-- dr.replace_mirror() writes here.

CREATE TABLE dr.repository (
	name text PRIMARY KEY,
	store text NOT NULL,
	path text,
	cluster text,
	id text,
	format integer,
	encrypted boolean,
	created_at timestamptz,
	synced_at timestamptz,
	required boolean NOT NULL,
	missing_backups bigint,
	missing_segments bigint,
	problem text
);

COMMENT ON TABLE dr.repository IS 'repositories, as of their last dr.sync()';
COMMENT ON COLUMN dr.repository.name IS 'its name in the configuration of pgdr';
COMMENT ON COLUMN dr.repository.store IS 'what it lies on, such as posix';
COMMENT ON COLUMN dr.repository.path IS 'where it lies';
COMMENT ON COLUMN dr.repository.cluster IS 'name of the cluster that it is for';
COMMENT ON COLUMN dr.repository.id IS 'identifier that it was created with';
COMMENT ON COLUMN dr.repository.format IS 'version of its format';
COMMENT ON COLUMN dr.repository.encrypted IS 'are its objects encrypted?';
COMMENT ON COLUMN dr.repository.created_at IS 'when it was created';
COMMENT ON COLUMN dr.repository.synced_at IS 'when it was last looked at; null if it never could be';
COMMENT ON COLUMN dr.repository.required IS 'is nothing archived or backed up unless it is in this one?';
COMMENT ON COLUMN dr.repository.missing_backups IS 'backups that another repository has and this one should; null if there is no other';
COMMENT ON COLUMN dr.repository.missing_segments IS 'WAL segments, likewise';
COMMENT ON COLUMN dr.repository.problem IS 'why it could not be looked at the last time; the other tables have what was seen before';

CREATE TABLE dr.backup (
	repository text NOT NULL REFERENCES dr.repository ON DELETE CASCADE,
	label text NOT NULL,
	target text,
	type text,
	state text NOT NULL,
	sysid numeric(20,0),
	major integer,
	version_num integer,
	start_timeline integer,
	timeline integer,
	start_lsn pg_lsn,
	stop_lsn pg_lsn,
	start_time timestamptz,
	stop_time timestamptz,
	plain_bytes bigint,
	stored_bytes bigint,
	file_count bigint,
	pack_count integer,
	page_checksums boolean,
	damaged_pages bigint,
	wal_ok boolean,
	verified_at timestamptz,
	verified_ok boolean,
	verified_deep boolean,
	parent text,
	members text[],
	annotations jsonb,
	problem text,
	PRIMARY KEY (repository, label)
);

COMMENT ON TABLE dr.backup IS 'backups, as of the last dr.sync()';
COMMENT ON COLUMN dr.backup.repository IS 'repository that it is in';
COMMENT ON COLUMN dr.backup.label IS 'its name in the repository';
COMMENT ON COLUMN dr.backup.target IS 'what was backed up: cluster, config, files:NAME, logical:NAME, or full_system';
COMMENT ON COLUMN dr.backup.type IS 'full or incremental';
COMMENT ON COLUMN dr.backup.state IS 'complete, running, interrupted (not finished and of no use) or unreadable';
COMMENT ON COLUMN dr.backup.sysid IS 'system identifier of the cluster; like major, timelines and positions null for another target';
COMMENT ON COLUMN dr.backup.major IS 'major version of the server';
COMMENT ON COLUMN dr.backup.version_num IS 'version of the server, as server_version_num';
COMMENT ON COLUMN dr.backup.start_timeline IS 'timeline on which it started';
COMMENT ON COLUMN dr.backup.timeline IS 'timeline on which it stopped';
COMMENT ON COLUMN dr.backup.start_lsn IS 'position from which WAL is needed to restore it';
COMMENT ON COLUMN dr.backup.stop_lsn IS 'position up to which WAL is needed to restore it';
COMMENT ON COLUMN dr.backup.start_time IS 'when it started';
COMMENT ON COLUMN dr.backup.stop_time IS 'when it stopped: the earliest time to recover to';
COMMENT ON COLUMN dr.backup.plain_bytes IS 'size of the files';
COMMENT ON COLUMN dr.backup.stored_bytes IS 'size in the repository';
COMMENT ON COLUMN dr.backup.file_count IS 'number of files';
COMMENT ON COLUMN dr.backup.pack_count IS 'number of packs that hold the files';
COMMENT ON COLUMN dr.backup.page_checksums IS 'were page checksums enabled, and so verified?';
COMMENT ON COLUMN dr.backup.damaged_pages IS 'pages whose checksum was wrong already in the cluster';
COMMENT ON COLUMN dr.backup.wal_ok IS 'is the WAL from start_lsn to stop_lsn in the repository?';
COMMENT ON COLUMN dr.backup.verified_at IS 'when it was last verified';
COMMENT ON COLUMN dr.backup.verified_ok IS 'was it intact then?';
COMMENT ON COLUMN dr.backup.verified_deep IS 'was it decrypted and decoded then?';
COMMENT ON COLUMN dr.backup.parent IS 'backup that an incremental one is based on';
COMMENT ON COLUMN dr.backup.members IS 'labels of the backups that one of full_system is made of';
COMMENT ON COLUMN dr.backup.annotations IS 'what was noted with it';
COMMENT ON COLUMN dr.backup.problem IS 'why it is unreadable';

CREATE TABLE dr.wal_range (
	repository text NOT NULL REFERENCES dr.repository ON DELETE CASCADE,
	sysid numeric(20,0) NOT NULL,
	major integer NOT NULL,
	timeline integer NOT NULL,
	segment_size bigint NOT NULL,
	first_segment text NOT NULL,
	last_segment text NOT NULL,
	start_lsn pg_lsn NOT NULL,
	end_lsn pg_lsn NOT NULL,
	segments bigint NOT NULL,
	bytes bigint,
	first_commit timestamptz,
	last_commit timestamptz,
	PRIMARY KEY (repository, sysid, major, timeline, start_lsn)
);

COMMENT ON TABLE dr.wal_range IS 'WAL without a gap, as of the last dr.sync(): where one row of a timeline ends and the next begins, segments are missing';
COMMENT ON COLUMN dr.wal_range.repository IS 'repository that it is in';
COMMENT ON COLUMN dr.wal_range.sysid IS 'system identifier of the cluster';
COMMENT ON COLUMN dr.wal_range.major IS 'major version of the server';
COMMENT ON COLUMN dr.wal_range.timeline IS 'its timeline';
COMMENT ON COLUMN dr.wal_range.segment_size IS 'size of a segment in bytes';
COMMENT ON COLUMN dr.wal_range.first_segment IS 'name of the first segment';
COMMENT ON COLUMN dr.wal_range.last_segment IS 'name of the last segment';
COMMENT ON COLUMN dr.wal_range.start_lsn IS 'position of the first byte';
COMMENT ON COLUMN dr.wal_range.end_lsn IS 'position behind the last byte';
COMMENT ON COLUMN dr.wal_range.segments IS 'number of segments';
COMMENT ON COLUMN dr.wal_range.bytes IS 'size in the repository; null if the store does not tell';
COMMENT ON COLUMN dr.wal_range.first_commit IS 'time of the first commit in it; null if none was found';
COMMENT ON COLUMN dr.wal_range.last_commit IS 'time of the last commit in it; null if none was found';

CREATE TABLE dr.timeline (
	repository text NOT NULL REFERENCES dr.repository ON DELETE CASCADE,
	sysid numeric(20,0) NOT NULL,
	major integer NOT NULL,
	timeline integer NOT NULL,
	parent_timeline integer,
	switch_lsn pg_lsn,
	has_history boolean NOT NULL,
	PRIMARY KEY (repository, sysid, major, timeline)
);

COMMENT ON TABLE dr.timeline IS 'timelines with WAL or a history file, as of the last dr.sync()';
COMMENT ON COLUMN dr.timeline.repository IS 'repository that it is in';
COMMENT ON COLUMN dr.timeline.sysid IS 'system identifier of the cluster';
COMMENT ON COLUMN dr.timeline.major IS 'major version of the server';
COMMENT ON COLUMN dr.timeline.timeline IS 'its number';
COMMENT ON COLUMN dr.timeline.parent_timeline IS 'timeline that it left; null for the first one, or if its history is not known';
COMMENT ON COLUMN dr.timeline.switch_lsn IS 'position at which it left that';
COMMENT ON COLUMN dr.timeline.has_history IS 'is its history file in the repository?';

CREATE TABLE dr.recovery_window (
	repository text NOT NULL REFERENCES dr.repository ON DELETE CASCADE,
	sysid numeric(20,0) NOT NULL,
	major integer NOT NULL,
	timeline integer NOT NULL,
	label text NOT NULL,
	from_lsn pg_lsn NOT NULL,
	from_time timestamptz,
	to_lsn pg_lsn NOT NULL,
	to_time timestamptz,
	reachable boolean NOT NULL,
	missing_segment text,
	PRIMARY KEY (repository, sysid, major, timeline, from_lsn)
);

COMMENT ON TABLE dr.recovery_window IS 'from when to when can be recovered, as of the last dr.sync()';
COMMENT ON COLUMN dr.recovery_window.repository IS 'repository that it is in';
COMMENT ON COLUMN dr.recovery_window.sysid IS 'system identifier of the cluster';
COMMENT ON COLUMN dr.recovery_window.major IS 'major version of the server';
COMMENT ON COLUMN dr.recovery_window.timeline IS 'timeline that is recovered along';
COMMENT ON COLUMN dr.recovery_window.label IS 'first backup in the window';
COMMENT ON COLUMN dr.recovery_window.from_lsn IS 'earliest position to recover to: where that backup stopped';
COMMENT ON COLUMN dr.recovery_window.from_time IS 'earliest time to recover to';
COMMENT ON COLUMN dr.recovery_window.to_lsn IS 'position behind the last WAL that can be had';
COMMENT ON COLUMN dr.recovery_window.to_time IS 'time of the last commit that can be had; null if it is not known';
COMMENT ON COLUMN dr.recovery_window.reachable IS 'can all WAL be reached that the timeline has behind from_lsn? If not, it lies behind a hole';
COMMENT ON COLUMN dr.recovery_window.missing_segment IS 'first segment of that hole';

-- Writes the mirror -----------------------------------------------------------

CREATE FUNCTION dr.replace_mirror(items jsonb[], listed_at timestamptz)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM unnest(items) AS u(item)
				   WHERE item->>'type' = 'repository')
	THEN
		RAISE EXCEPTION 'listing does not name a repository'
			USING ERRCODE = 'protocol_violation';
	END IF;

	-- What somebody else looked at later is not undone, unless the clock has
	-- been set back since.
	LOCK TABLE dr.repository IN SHARE ROW EXCLUSIVE MODE;
	IF EXISTS (SELECT FROM dr.repository
			   WHERE synced_at > listed_at AND synced_at <= clock_timestamp())
	THEN
		RETURN;
	END IF;

	-- Of one that could not be looked at, what was seen before stays.
	DELETE FROM dr.repository AS old
		WHERE NOT EXISTS (SELECT FROM unnest(items) AS u(item)
						  WHERE item->>'type' = 'repository'
							AND item->>'name' = old.name
							AND item ? 'problem');

	INSERT INTO dr.repository
		SELECT r.name, r.store, r.path, r.target, r.id, r.format,
			   r.encrypted, r.created,
			   CASE WHEN r.problem IS NULL THEN listed_at END,
			   r.required, r.missing_backups, r.missing_segments, r.problem
		FROM unnest(items) AS u(item),
			 jsonb_to_record(item) AS r(name text, store text, path text,
				target text, id text, format integer, encrypted boolean,
				created timestamptz, required boolean, missing_backups bigint,
				missing_segments bigint, problem text)
		WHERE item->>'type' = 'repository'
		ON CONFLICT (name) DO UPDATE
			SET required = excluded.required, problem = excluded.problem;

	INSERT INTO dr.backup
		SELECT r.repository, r.label, r.target, r.backup_type, r.state,
			   r.sysid, r.major, r.version_num, r.start_timeline, r.timeline,
			   r.start_lsn, r.stop_lsn, r.start_time, r.stop_time,
			   r.plain_bytes, r.stored_bytes, r.files, r.packs,
			   r.page_checksums, r.damaged_pages, r.wal_ok,
			   r.verified_at, r.verified_ok, r.verified_deep,
			   r.parent, r.members, r.annotations, r.problem
		FROM unnest(items) AS u(item),
			 jsonb_to_record(item) AS r(repository text, label text, target text,
				backup_type text, state text, sysid numeric, major integer,
				version_num integer, start_timeline integer, timeline integer,
				start_lsn pg_lsn, stop_lsn pg_lsn, start_time timestamptz,
				stop_time timestamptz, plain_bytes bigint, stored_bytes bigint,
				files bigint, packs integer, page_checksums boolean,
				damaged_pages bigint, wal_ok boolean, verified_at timestamptz,
				verified_ok boolean, verified_deep boolean, parent text,
				members text[], annotations jsonb, problem text)
		WHERE item->>'type' = 'backup';

	INSERT INTO dr.wal_range
		SELECT r.repository, r.sysid, r.major, r.timeline, r.segment_size,
			   r.first_segment, r.last_segment, r.start_lsn, r.end_lsn,
			   r.segments, r.stored_bytes, r.first_commit, r.last_commit
		FROM unnest(items) AS u(item),
			 jsonb_to_record(item) AS r(repository text, sysid numeric, major integer,
				timeline integer, segment_size bigint, first_segment text,
				last_segment text, start_lsn pg_lsn, end_lsn pg_lsn,
				segments bigint, stored_bytes bigint,
				first_commit timestamptz, last_commit timestamptz)
		WHERE item->>'type' = 'wal_range';

	INSERT INTO dr.timeline
		SELECT r.repository, r.sysid, r.major, r.timeline,
			   (r.ancestors->-1->>'timeline')::integer,
			   (r.ancestors->-1->>'end_lsn')::pg_lsn,
			   r.has_history
		FROM unnest(items) AS u(item),
			 jsonb_to_record(item) AS r(repository text, sysid numeric, major integer,
				timeline integer, ancestors jsonb, has_history boolean)
		WHERE item->>'type' = 'timeline';

	INSERT INTO dr.recovery_window
		SELECT r.repository, r.sysid, r.major, r.timeline, r.label,
			   r.from_lsn, r.from_time, r.to_lsn, r.to_time, NOT r.hole,
			   r.missing_segment
		FROM unnest(items) AS u(item),
			 jsonb_to_record(item) AS r(repository text, sysid numeric, major integer,
				timeline integer, label text, from_lsn pg_lsn,
				from_time timestamptz, to_lsn pg_lsn, to_time timestamptz,
				hole boolean, missing_segment text)
		WHERE item->>'type' = 'recovery_window';
END
$$;

COMMENT ON FUNCTION dr.replace_mirror(jsonb[], timestamptz) IS 'internal: replaces the mirror with the lines of "pgdr info"';

-- Events ----------------------------------------------------------------------
--
-- Only dr.log_event() writes here.  Each row holds the hash of the one before
-- it, so that none can be changed, removed, added between or put elsewhere
-- without all that follow being made anew; and backups take the newest hash
-- with them to where this server cannot change it.

CREATE TABLE dr.event (
	seq bigint PRIMARY KEY,
	at timestamptz NOT NULL,
	type text NOT NULL,
	severity text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
	role text NOT NULL,
	label text,
	action bigint,
	detail jsonb NOT NULL,
	previous bytea NOT NULL,
	hash bytea NOT NULL
);

COMMENT ON TABLE dr.event IS 'what was done and what happened; only ever added to';
COMMENT ON COLUMN dr.event.seq IS 'its number, from 1 without gaps';
COMMENT ON COLUMN dr.event.at IS 'when it happened, by this host''s clock';
COMMENT ON COLUMN dr.event.type IS 'what happened, such as backup-started';
COMMENT ON COLUMN dr.event.severity IS 'info, warning or error';
COMMENT ON COLUMN dr.event.role IS 'who had logged in to the session';
COMMENT ON COLUMN dr.event.label IS 'backup that it is about';
COMMENT ON COLUMN dr.event.action IS 'seq of the event with which the action began that this one ends';
COMMENT ON COLUMN dr.event.detail IS 'result of the action, or message, detail, hint and sqlstate of its error';
COMMENT ON COLUMN dr.event.previous IS 'hash of the event before it; empty for the first one';
COMMENT ON COLUMN dr.event.hash IS 'SHA-256 over all other columns';

CREATE INDEX event_action ON dr.event (action) WHERE action IS NOT NULL;

CREATE TABLE dr.event_head (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	seq bigint NOT NULL,
	hash bytea NOT NULL
);

COMMENT ON TABLE dr.event_head IS 'the newest event: removing the last ones shows';
COMMENT ON COLUMN dr.event_head.one IS 'there is but one row';
COMMENT ON COLUMN dr.event_head.seq IS 'its number';
COMMENT ON COLUMN dr.event_head.hash IS 'its hash';

-- The mirror is made anew, history is not.
SELECT pg_catalog.pg_extension_config_dump('dr.event', '');
SELECT pg_catalog.pg_extension_config_dump('dr.event_head', '');

CREATE FUNCTION dr.refuse_change()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'events cannot be changed or removed'
		USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

COMMENT ON FUNCTION dr.refuse_change() IS 'internal: keeps events as they are';

CREATE TRIGGER no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON dr.event
	FOR EACH STATEMENT EXECUTE FUNCTION dr.refuse_change();

CREATE FUNCTION dr.event_hash(e dr.event)
RETURNS bytea
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT sha256(convert_to(jsonb_build_array(e.seq, extract(epoch FROM e.at),
		e.type, e.severity, e.role, e.label, e.action, e.detail,
		encode(e.previous, 'hex'))::text, 'UTF8'))
$$;

COMMENT ON FUNCTION dr.event_hash(dr.event) IS 'internal: what the column hash of this row should be';

CREATE FUNCTION dr.log_event(
	type text,
	severity text,
	label text,
	action bigint,
	detail jsonb)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	e dr.event;
BEGIN
	-- one writer at a time; who reads does not wait
	LOCK TABLE dr.event IN SHARE ROW EXCLUSIVE MODE;
	SELECT last.seq + 1, last.hash INTO e.seq, e.previous
		FROM dr.event AS last
		ORDER BY last.seq DESC
		LIMIT 1;
	e.seq := coalesce(e.seq, 1);
	e.previous := coalesce(e.previous, ''::bytea);
	e.at := clock_timestamp();
	e.type := log_event.type;
	e.severity := log_event.severity;
	e.role := session_user;
	e.label := log_event.label;
	e.action := log_event.action;
	e.detail := coalesce(log_event.detail, '{}');
	e.hash := dr.event_hash(e);
	INSERT INTO dr.event VALUES (e.*);
	INSERT INTO dr.event_head (seq, hash) VALUES (e.seq, e.hash)
		ON CONFLICT (one) DO UPDATE
			SET seq = excluded.seq, hash = excluded.hash;
	PERFORM pg_notify('dr', json_build_object('seq', e.seq, 'type', e.type,
		'severity', e.severity, 'label', e.label)::text);
	RETURN e.seq;
END
$$;

COMMENT ON FUNCTION dr.log_event(text, text, text, bigint, jsonb) IS 'internal: adds an event, tells the channel dr, returns its number';

CREATE FUNCTION dr.close_events()
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	begun dr.event;
	closed bigint := 0;
BEGIN
	LOCK TABLE dr.event IN SHARE ROW EXCLUSIVE MODE;
	-- What began in a session that is there no more, or in one that began
	-- later and has got its number.
	FOR begun IN
		SELECT b.* FROM dr.event b
		WHERE b.type LIKE '%-started'
			AND NOT EXISTS (SELECT FROM dr.event ended
							WHERE ended.action = b.seq)
			AND NOT EXISTS (SELECT FROM pg_stat_activity a
							WHERE a.pid = (b.detail->>'pid')::integer
								AND a.backend_start <= b.at)
		ORDER BY b.seq
	LOOP
		PERFORM dr.log_event(replace(begun.type, '-started', '-failed'),
			'error', begun.label, begun.seq,
			'{"message": "the session ended before the action did"}');
		closed := closed + 1;
	END LOOP;
	RETURN closed;
END
$$;

COMMENT ON FUNCTION dr.close_events() IS 'internal: adds the end of actions whose session is gone, returns how many';

CREATE FUNCTION dr.verify_audit(
	OUT seq bigint,
	OUT problem text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	WITH chain AS (
		SELECT e.seq, e.hash, e.previous,
			   dr.event_hash(e) AS expected,
			   lag(e.seq, 1, 0::bigint) OVER w AS before,
			   lag(e.hash, 1, ''::bytea) OVER w AS before_hash
		FROM dr.event e
		WINDOW w AS (ORDER BY e.seq)
	), anchor AS (
		SELECT b.label, split_part(b.annotations->>'dr.audit', ':', 1) AS seq,
			   split_part(b.annotations->>'dr.audit', ':', 2) AS hash
		FROM dr.backup b
		WHERE b.sysid = (SELECT system_identifier FROM pg_control_system())
			AND b.annotations->>'dr.audit' ~ '^[0-9]{1,18}:[0-9a-f]{64}$'
			-- not of a time that a recovery has undone
			AND NOT EXISTS (SELECT FROM dr.timeline t
							WHERE t.repository = b.repository
								AND t.sysid = b.sysid
								AND t.parent_timeline = b.timeline
								AND t.switch_lsn < b.stop_lsn)
		GROUP BY 1, 2, 3
	)
	SELECT c.seq, 'it was changed' FROM chain c WHERE c.hash <> c.expected
	UNION ALL
	SELECT c.seq, format('%s before it are missing', c.seq - c.before - 1)
	FROM chain c WHERE c.seq <> c.before + 1
	UNION ALL
	SELECT c.seq, 'it does not follow the one before it'
	FROM chain c WHERE c.seq = c.before + 1 AND c.previous <> c.before_hash
	UNION ALL
	SELECT h.seq, 'it was the newest, and is not any more'
	FROM dr.event_head h
	WHERE NOT EXISTS (SELECT FROM dr.event e
					  WHERE e.seq = h.seq AND e.hash = h.hash
						AND e.seq = (SELECT max(m.seq) FROM dr.event m))
	UNION ALL
	SELECT max(e.seq), 'what the newest one was is not known any more'
	FROM dr.event e
	HAVING count(*) > 0 AND NOT EXISTS (SELECT FROM dr.event_head)
	UNION ALL
	SELECT a.seq::bigint, format('it is not the one that backup %s has a hash of', a.label)
	FROM anchor a
	WHERE NOT EXISTS (SELECT FROM dr.event e
					  WHERE e.seq = a.seq::bigint
						AND encode(e.hash, 'hex') = a.hash)
	ORDER BY 1, 2
$$;

COMMENT ON FUNCTION dr.verify_audit() IS 'events that were changed, removed or added by another way than they should be; no row is the best answer';

-- Actions ---------------------------------------------------------------------

CREATE PROCEDURE dr.sync()
LANGUAGE C
AS 'MODULE_PATHNAME', 'dr_sync';

COMMENT ON PROCEDURE dr.sync() IS 'looks at the repositories and brings the tables up to date';

CREATE PROCEDURE dr.create_backup(
	target text DEFAULT 'cluster',
	type text DEFAULT 'full',
	annotations jsonb DEFAULT NULL,
	INOUT label text DEFAULT NULL,
	INOUT timeline integer DEFAULT NULL,
	INOUT start_lsn pg_lsn DEFAULT NULL,
	INOUT stop_lsn pg_lsn DEFAULT NULL,
	INOUT start_time timestamptz DEFAULT NULL,
	INOUT stop_time timestamptz DEFAULT NULL,
	INOUT plain_bytes bigint DEFAULT NULL,
	INOUT stored_bytes bigint DEFAULT NULL,
	INOUT damaged_pages bigint DEFAULT NULL,
	INOUT duration interval DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'dr_create_backup';

COMMENT ON PROCEDURE dr.create_backup(text, text, jsonb, text, integer, pg_lsn, pg_lsn, timestamptz, timestamptz, bigint, bigint, bigint, interval) IS 'takes a backup, and returns when it and the WAL that it needs are in the repository';

CREATE PROCEDURE dr.verify_integrity(
	label text DEFAULT NULL,
	deep boolean DEFAULT false,
	INOUT ok boolean DEFAULT NULL,
	INOUT objects bigint DEFAULT NULL,
	INOUT bytes bigint DEFAULT NULL,
	INOUT backups bigint DEFAULT NULL,
	INOUT segments bigint DEFAULT NULL,
	INOUT errors bigint DEFAULT NULL,
	INOUT warnings bigint DEFAULT NULL,
	INOUT problems jsonb DEFAULT NULL,
	INOUT duration interval DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'dr_verify_integrity';

COMMENT ON PROCEDURE dr.verify_integrity(text, boolean, boolean, bigint, bigint, bigint, bigint, bigint, bigint, jsonb, interval) IS 'proves that one backup, or everything in the repository, is intact and complete';

CREATE FUNCTION dr.check(
	archive boolean DEFAULT true,
	OUT severity text,
	OUT check_name text,
	OUT object text,
	OUT message text,
	OUT detail text,
	OUT hint text)
RETURNS SETOF record
LANGUAGE C
AS 'MODULE_PATHNAME', 'dr_check';

COMMENT ON FUNCTION dr.check(boolean) IS 'what would keep this cluster from being archived, backed up and recovered; no row if nothing would';

-- Views of the mirror ---------------------------------------------------------

CREATE FUNCTION dr.backups_by_target(target text DEFAULT 'cluster')
RETURNS SETOF dr.backup
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.*
	FROM dr.backup b
	WHERE b.target = backups_by_target.target
		AND (b.sysid = (SELECT system_identifier FROM pg_control_system())
			OR b.target <> 'cluster')
	ORDER BY b.start_time DESC, b.label DESC;
END;

COMMENT ON FUNCTION dr.backups_by_target(text) IS 'backups of a target, the newest first; of the cluster only those of this one';

CREATE FUNCTION dr.latest_backup(target text DEFAULT 'cluster')
RETURNS dr.backup
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.*
	FROM dr.backup b
	WHERE b.target = latest_backup.target
		AND (b.sysid = (SELECT system_identifier FROM pg_control_system())
			OR b.target <> 'cluster')
		AND b.state = 'complete'
		AND b.wal_ok
		AND b.verified_ok IS NOT FALSE
	ORDER BY b.stop_time DESC, b.label DESC
	LIMIT 1;
END;

COMMENT ON FUNCTION dr.latest_backup(text) IS 'newest backup of a target that is complete, has its WAL, and was not found damaged; null if there is none';

CREATE FUNCTION dr.get_backup(label text)
RETURNS dr.backup
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT b.*
	FROM dr.backup b
	WHERE b.label = get_backup.label
	ORDER BY b.repository
	LIMIT 1;
END;

COMMENT ON FUNCTION dr.get_backup(text) IS 'the backup of that label; null if there is none';

-- RPO -------------------------------------------------------------------------

CREATE FUNCTION dr.first_commit(
	from_lsn pg_lsn,
	to_lsn pg_lsn,
	OUT commit_time timestamptz,
	OUT end_lsn pg_lsn)
LANGUAGE C STRICT VOLATILE
AS 'MODULE_PATHNAME', 'dr_first_commit';

COMMENT ON FUNCTION dr.first_commit(pg_lsn, pg_lsn) IS 'internal: time of the first commit that ends between two positions of the local WAL, null if there is none up to end_lsn';

CREATE FUNCTION dr.archived(
	OUT safe_lsn pg_lsn,
	OUT current_lsn pg_lsn)
LANGUAGE C STRICT VOLATILE
AS 'MODULE_PATHNAME', 'dr_archived';

COMMENT ON FUNCTION dr.archived() IS 'internal: end of the WAL before which nothing waits for the archiver, and of the WAL that is on disk';

CREATE FUNCTION dr.at_risk(
	safe_lsn pg_lsn,
	OUT known boolean,
	OUT since timestamptz)
LANGUAGE C STRICT VOLATILE
AS 'MODULE_PATHNAME', 'dr_at_risk';

COMMENT ON FUNCTION dr.at_risk(pg_lsn) IS 'internal: a time at most one sampling step before the oldest commit behind a position, null if there is none; known is false if the samples do not tell';

CREATE FUNCTION dr.recoverable(
	repository text,
	OUT to_lsn pg_lsn,
	OUT reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	cluster_sysid constant numeric :=
		(SELECT system_identifier FROM pg_control_system());
	-- that of the control file may be older than a promotion
	current_timeline constant bigint :=
		('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))
			::bit(32)::bigint;
	found_window dr.recovery_window;
BEGIN
	SELECT * INTO found_window
		FROM dr.recovery_window w
		WHERE w.sysid = cluster_sysid
			AND w.repository = coalesce(recoverable.repository, w.repository)
			AND w.timeline <= current_timeline
		ORDER BY w.timeline DESC, w.from_lsn DESC, w.to_lsn DESC
		LIMIT 1;
	IF NOT FOUND THEN
		reason := 'no backup to recover from is known';
	ELSIF found_window.missing_segment IS NOT NULL THEN
		reason := format('segment %s is missing in the repository, and no '
						 'backup is known since', found_window.missing_segment);
	ELSIF found_window.timeline < current_timeline THEN
		-- What a standby replayed may never have been archived by anybody.
		reason := format('the repository was not looked at since timeline %s '
						 'has WAL in it', current_timeline);
	ELSE
		to_lsn := found_window.to_lsn;
	END IF;
END
$$;

COMMENT ON FUNCTION dr.recoverable(text) IS 'internal: up to where this cluster could be recovered from a repository, or any if null, as of the last dr.sync(); or why it is not known';

CREATE FUNCTION dr.rpo(
	OUT rpo interval,
	OUT bytes bigint,
	OUT oldest_commit timestamptz,
	OUT safe_lsn pg_lsn,
	OUT current_lsn pg_lsn,
	OUT as_of timestamptz,
	OUT source text,
	OUT exact boolean,
	OUT step interval,
	OUT reason text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	risk record;
	scan record;
BEGIN
	as_of := clock_timestamp();
	source := 'archiver';
	exact := false;

	-- Without these there is no evidence, and that is not an RPO of zero.
	IF pg_is_in_recovery() THEN
		reason := 'the server is in recovery';
		RETURN;
	ELSIF current_setting('archive_mode') = 'off' THEN
		reason := 'archive_mode is off';
		RETURN;
	ELSIF (SELECT last_archived_wal IS NULL FROM pg_stat_archiver) THEN
		reason := 'nothing was archived since the statistics were reset';
		RETURN;
	END IF;

	SELECT a.safe_lsn, a.current_lsn INTO safe_lsn, current_lsn
		FROM dr.archived() a;
	reason := (SELECT r.reason FROM dr.recoverable(NULL) r);
	IF reason IS NOT NULL THEN
		RETURN;
	END IF;

	SELECT * INTO risk FROM dr.at_risk(safe_lsn);
	IF risk.known THEN
		source := 'samples';
		exact := true;
		step := current_setting('dr.sample_interval')::interval;
		oldest_commit := risk.since;
	ELSE
		SELECT * INTO scan FROM dr.first_commit(safe_lsn, current_lsn);
		oldest_commit := scan.commit_time;
		IF oldest_commit IS NULL AND scan.end_lsn < current_lsn THEN
			reason := format('no commit was found from %s to %s, where the '
							 'search was ended', safe_lsn, scan.end_lsn);
			RETURN;
		END IF;
	END IF;
	IF oldest_commit IS NULL THEN
		rpo := interval '0';
		bytes := 0;
	ELSE
		rpo := greatest(as_of - oldest_commit, interval '0');
		bytes := greatest(current_lsn - safe_lsn, 0);
	END IF;
END
$$;

COMMENT ON FUNCTION dr.rpo() IS 'what would be lost if this host were lost now; null, with the reason, if it cannot be known';

CREATE FUNCTION dr.rpo_by_repository(
	OUT repository text,
	OUT required boolean,
	OUT rpo interval,
	OUT bytes bigint,
	OUT oldest_commit timestamptz,
	OUT safe_lsn pg_lsn,
	OUT synced_at timestamptz,
	OUT reason text)
RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	now_at constant timestamptz := clock_timestamp();
	risk record;
BEGIN
	FOR repository, required, synced_at IN
		SELECT r.name, r.required, r.synced_at FROM dr.repository r
		ORDER BY r.name
	LOOP
		rpo := NULL;
		bytes := NULL;
		oldest_commit := NULL;
		safe_lsn := NULL;
		reason := NULL;
		IF pg_is_in_recovery() THEN
			reason := 'the server is in recovery';
		ELSE
			SELECT r.to_lsn, r.reason INTO safe_lsn, reason
				FROM dr.recoverable(repository) r;
		END IF;
		IF reason IS NULL THEN
			SELECT * INTO risk FROM dr.at_risk(safe_lsn);
			IF NOT risk.known THEN
				reason := 'no samples reach back to what it holds';
			ELSIF risk.since IS NULL THEN
				rpo := interval '0';
				bytes := 0;
			ELSE
				oldest_commit := risk.since;
				rpo := greatest(now_at - oldest_commit, interval '0');
				bytes := greatest(pg_current_wal_flush_lsn() - safe_lsn, 0);
			END IF;
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;

COMMENT ON FUNCTION dr.rpo_by_repository() IS 'what would be lost if only one repository were left, by what it held at the last dr.sync(): never less than that';

CREATE FUNCTION dr.read_rpo_history(
	OUT hour timestamptz,
	OUT samples integer,
	OUT unknown integer,
	OUT min interval,
	OUT avg interval,
	OUT max interval,
	OUT p50 interval,
	OUT p95 interval,
	OUT p99 interval,
	OUT max_bytes bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE
AS 'MODULE_PATHNAME', 'dr_rpo_history';

COMMENT ON FUNCTION dr.read_rpo_history() IS 'internal: what dr.rpo_history shows';

CREATE VIEW dr.rpo_history AS SELECT * FROM dr.read_rpo_history();

COMMENT ON VIEW dr.rpo_history IS 'age of the oldest commit that was not archived, for each hour of at most a year; taken every ten seconds';
COMMENT ON COLUMN dr.rpo_history.hour IS 'when it began; an hour in which the server was started has a row for each run';
COMMENT ON COLUMN dr.rpo_history.samples IS 'how often it was known';
COMMENT ON COLUMN dr.rpo_history.unknown IS 'how often it was not: archive_mode was off, or no sample reached back';
COMMENT ON COLUMN dr.rpo_history.min IS 'smallest value';
COMMENT ON COLUMN dr.rpo_history.avg IS 'mean';
COMMENT ON COLUMN dr.rpo_history.max IS 'largest value';
COMMENT ON COLUMN dr.rpo_history.p50 IS 'median';
COMMENT ON COLUMN dr.rpo_history.p95 IS '95 % of the values are not larger';
COMMENT ON COLUMN dr.rpo_history.p99 IS '99 % of the values are not larger';
COMMENT ON COLUMN dr.rpo_history.max_bytes IS 'most WAL that was not archived, in bytes';

-- Privileges ------------------------------------------------------------------

REVOKE ALL ON ALL ROUTINES IN SCHEMA dr FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA dr FROM PUBLIC;
REVOKE ALL ON SCHEMA dr FROM PUBLIC;

GRANT USAGE ON SCHEMA dr TO dr_viewer;
GRANT SELECT ON ALL TABLES IN SCHEMA dr TO dr_viewer;
GRANT EXECUTE ON FUNCTION
	dr.backups_by_target(text),
	dr.latest_backup(text),
	dr.get_backup(text),
	dr.rpo(),
	dr.rpo_by_repository(),
	dr.read_rpo_history(),
	dr.verify_audit()
TO dr_viewer;

GRANT EXECUTE ON PROCEDURE
	dr.sync(),
	dr.create_backup(text, text, jsonb, text, integer, pg_lsn, pg_lsn, timestamptz, timestamptz, bigint, bigint, bigint, interval),
	dr.verify_integrity(text, boolean, boolean, bigint, bigint, bigint, bigint, bigint, bigint, jsonb, interval)
TO dr_operator;
GRANT EXECUTE ON FUNCTION dr.check(boolean) TO dr_operator;
