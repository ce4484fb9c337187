--
-- Backups of the instance that this runs on, and what is known of them
--
SELECT current_setting('data_directory') || '/../pgdr' AS base \gset
SELECT setting AS bindir FROM pg_config WHERE name = 'BINDIR' \gset
\setenv BASE :base
\setenv BINDIR :bindir
\setenv DATA :base/../data

\! rm -rf "$BASE" && mkdir -m 700 "$BASE"
\! "$BINDIR/pgdr" --config "$BASE/pgdr.conf" init --pgdata "$DATA" --repo-path "$BASE/repo" --connection "host=$PGHOST port=$PGPORT dbname=postgres" --apply >"$BASE/init.log" 2>&1 || cat "$BASE/init.log"

\set config :base/pgdr.conf
LOAD 'dr';
ALTER SYSTEM SET dr.config_file = :'config';
SELECT pg_reload_conf();
\c -

-- an empty repository
CALL dr.sync();
SELECT name, store, cluster, format, encrypted, synced_at > created_at AS synced
FROM dr.repository;
SELECT count(*) FROM dr.backup;
SELECT count(*) FROM dr.recovery_window;

-- a backup, by somebody who may do no more than that
CREATE ROLE regress_dr_operator IN ROLE dr_operator;
SET ROLE regress_dr_operator;
CALL dr.create_backup(annotations => '{"why": "it''s; -- \"so\"", "n": 1}') \gset b_
SELECT :'b_label' ~ '^[0-9]{8}T[0-9]{6}Z' AS label,
	:b_timeline AS timeline,
	:'b_start_lsn'::pg_lsn < :'b_stop_lsn' AS lsn,
	:'b_start_time'::timestamptz < :'b_stop_time' AS time,
	:b_plain_bytes > :b_stored_bytes AS bytes,
	:b_damaged_pages AS damaged_pages,
	:'b_duration'::interval > '0' AS duration;
SELECT repository, target, type, state, wal_ok, verified_at,
	annotations - 'dr.audit' AS annotations,
	label = :'b_label' AS label,
	sysid = (SELECT system_identifier FROM pg_control_system()) AS sysid,
	version_num = current_setting('server_version_num')::int AS version_num,
	start_lsn = :'b_start_lsn' AND stop_lsn = :'b_stop_lsn' AS lsn,
	plain_bytes = :b_plain_bytes AND stored_bytes = :b_stored_bytes AS bytes,
	file_count > 100 AND pack_count > 0 AS counts
FROM dr.backup;
SELECT (dr.latest_backup()).label = :'b_label' AS latest,
	(dr.get_backup(:'b_label')).state AS state;
SELECT dr.latest_backup('table') IS NULL AS no_other_target;
SELECT label = :'b_label' AS listed FROM dr.backups_by_target('cluster');

-- of something else than the cluster: it has no positions
CALL dr.create_backup(target => 'config') \gset c_
SELECT :c_plain_bytes > 0 AS bytes;
SELECT target, type, state, wal_ok, sysid, start_lsn, members,
	label = :'c_label' AS label
FROM dr.backup WHERE target <> 'cluster';
SELECT (dr.latest_backup()).label = :'b_label' AS cluster,
	(dr.latest_backup('config')).label = :'c_label' AS config;
SELECT label = :'c_label' AS listed FROM dr.backups_by_target('config');
CALL dr.create_backup(target => 'logical:none');

-- the WAL that it needs is there, in one range
SELECT w.timeline, w.segments = (w.end_lsn - w.start_lsn) / w.segment_size
	AS segments,
	w.start_lsn <= b.start_lsn AND b.stop_lsn <= w.end_lsn AS covers,
	w.first_commit <= w.last_commit AS commits, w.bytes > 0 AS bytes,
	pg_walfile_name(w.start_lsn + 1) = w.first_segment
		AND pg_walfile_name(w.end_lsn) = w.last_segment AS names
FROM dr.wal_range w, dr.backup b WHERE b.target = 'cluster';
SELECT timeline, parent_timeline, switch_lsn FROM dr.timeline;
SELECT timeline, reachable, missing_segment, label = :'b_label' AS label,
	from_lsn = :'b_stop_lsn' AS from_lsn, to_lsn >= from_lsn AS to_lsn,
	from_time = :'b_stop_time' AS from_time
FROM dr.recovery_window;

-- the mirror is written by looking, not by hand
INSERT INTO dr.repository (name, store, synced_at, required) VALUES ('x', 'x', now(), true);
RESET ROLE;
DELETE FROM dr.repository;
SELECT count(*) FROM dr.backup;
SET ROLE regress_dr_operator;
CALL dr.sync();
SELECT count(*) FROM dr.backup;
RESET ROLE;

-- nothing is wrong
SELECT * FROM dr.check() WHERE severity = 'error';
CALL dr.verify_integrity(:'b_label') \gset v_
SELECT :'v_ok' AS ok, :v_backups AS backups, :v_errors AS errors,
	:v_objects > 3 AS objects, :'v_problems' AS problems;
CALL dr.verify_integrity(deep => true) \gset v_
SELECT :'v_ok' AS ok, :v_errors AS errors;
SELECT verified_ok, verified_deep, verified_at > stop_time AS verified
FROM dr.backup;

-- from a block of code; what is done is committed, whatever comes later
DO $$
DECLARE
	b dr.backup;
	duration interval;
BEGIN
	CALL dr.create_backup(label => b.label, timeline => b.timeline,
		start_lsn => b.start_lsn, stop_lsn => b.stop_lsn,
		start_time => b.start_time, stop_time => b.stop_time,
		plain_bytes => b.plain_bytes, stored_bytes => b.stored_bytes,
		damaged_pages => b.damaged_pages, duration => duration);
	RAISE NOTICE 'is the latest: %', b.label = (dr.latest_backup()).label;
	RAISE EXCEPTION 'failed later';
END
$$;
SELECT count(*) FROM dr.backup WHERE state = 'complete';

-- of what changed since
CALL dr.create_backup(type => 'incremental') \gset i_
SELECT type, parent <> label AS parent, stored_bytes < plain_bytes / 10 AS small
FROM dr.get_backup(:'i_label');
SELECT (dr.latest_backup()).label = :'i_label' AS latest;

-- what the program refuses
CALL dr.create_backup(type => 'weekly');
CALL dr.create_backup(type => 'full; --deep');
CALL dr.verify_integrity('20000101T000000Z');
CALL dr.verify_integrity('--deep');
CALL dr.verify_integrity('../../etc');

-- a hole in the WAL: segments after it, but no way to them
CREATE TABLE filler AS SELECT 1 AS a;
SELECT pg_walfile_name(pg_switch_wal()) AS s1 \gset
INSERT INTO filler VALUES (2);
SELECT pg_walfile_name(pg_switch_wal()) AS s2 \gset
INSERT INTO filler VALUES (3);
SELECT pg_walfile_name(pg_switch_wal()) AS s3 \gset
DO $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_ls_archive_statusdir()
							  WHERE name LIKE '%.ready');
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
\setenv SEGMENT :s2
\! find "$BASE/repo/wal" -name "$SEGMENT" -exec rm -f {} +
CALL dr.sync();
SELECT last_segment = :'s1' AS ends_before,
	first_segment = :'s3' AS begins_after
FROM dr.wal_range ORDER BY start_lsn;
SELECT reachable, missing_segment = :'s2' AS missing
FROM dr.recovery_window ORDER BY from_lsn;
SELECT rpo, bytes, replace(reason, :'s2', 'S') AS reason FROM dr.rpo();
SET client_min_messages = error;
CALL dr.verify_integrity() \gset v_
RESET client_min_messages;
SELECT :'v_ok' AS ok, :v_errors > 0 AS errors;
SELECT DISTINCT p->>'severity' AS severity, p->>'check' AS check_name
FROM jsonb_array_elements(:'v_problems') AS p;

-- a damaged backup is not the latest
SELECT label AS newest FROM dr.backup WHERE target = 'cluster' ORDER BY stop_time DESC LIMIT 1 \gset
SELECT (dr.latest_backup()).label = :'newest' AS latest;
\setenv LABEL :newest
\! for f in "$BASE"/repo/backup/"$LABEL"/data/*; do chmod u+w "$f"; printf XXXX | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") / 2)) conv=notrunc 2>/dev/null; done
SET client_min_messages = error;
CALL dr.verify_integrity(:'newest') \gset v_
RESET client_min_messages;
SELECT :'v_ok' AS ok, :v_errors > 0 AS errors;
SELECT (dr.latest_backup()).label = (SELECT label FROM dr.backup
	WHERE target = 'cluster' ORDER BY stop_time DESC OFFSET 1 LIMIT 1) AS latest;

-- without its repository
\! mv "$BASE/repo" "$BASE/gone"
\set VERBOSITY sqlstate
CALL dr.sync();
\set VERBOSITY default
\! mv "$BASE/gone" "$BASE/repo"
SELECT count(*) > 0 AS still_there FROM dr.backup;

DROP TABLE filler;
DROP ROLE regress_dr_operator;
