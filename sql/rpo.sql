--
-- What would be lost
--

-- a new backup, after the hole that was made before
CALL dr.create_backup() \gset

-- until everything is archived
CREATE PROCEDURE archive_all() LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM pg_switch_wal();
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN (SELECT rpo = '0' FROM dr.rpo());
		PERFORM pg_stat_clear_snapshot();
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
CALL archive_all();

-- nothing is to be lost: also when WAL is written that holds no commit
SELECT rpo, bytes, oldest_commit, exact, source, reason FROM dr.rpo();
CHECKPOINT;
SELECT safe_lsn <= current_lsn AS lsn, rpo, bytes FROM dr.rpo();

-- a commit is, from then on
SELECT clock_timestamp() AS before \gset
CREATE TABLE precious AS SELECT 1 AS a;
SELECT oldest_commit AS first, rpo AS rpo1 FROM dr.rpo() \gset
SELECT :'first'::timestamptz > :'before' AS after,
	rpo > :'rpo1' AND rpo > '0' AS grows,
	rpo = as_of - oldest_commit AS is_age,
	bytes = current_lsn - safe_lsn AND bytes > 0 AS bytes, reason
FROM dr.rpo();

-- the oldest one counts
INSERT INTO precious VALUES (2);
SELECT oldest_commit = :'first' AS still FROM dr.rpo();

-- a transaction that has not committed cannot be lost, nor one that rolled back
CALL archive_all();
BEGIN;
INSERT INTO precious VALUES (3);
SELECT rpo, bytes FROM dr.rpo();
ROLLBACK;
SELECT rpo, bytes FROM dr.rpo();

-- the archive is out of order: what waits is counted, segments and all
SELECT current_setting('archive_command') AS command \gset
ALTER SYSTEM SET archive_command = 'false';
SELECT pg_reload_conf();
DO $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN (SELECT count(*) > 0 FROM pg_stat_archiver
				   WHERE last_failed_time > last_archived_time);
		PERFORM pg_stat_clear_snapshot();
		IF i % 10 = 1 THEN
			PERFORM pg_switch_wal();
			CHECKPOINT;
		END IF;
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
INSERT INTO precious VALUES (4);
SELECT pg_switch_wal() IS NOT NULL AS switched;
INSERT INTO precious VALUES (5);
SELECT rpo > '0' AS rpo, bytes > 16 * 1024 * 1024 AS bytes,
	current_lsn - safe_lsn > 16 * 1024 * 1024 AS behind, reason
FROM dr.rpo();
-- no evidence is not zero
SELECT pg_stat_reset_shared('archiver');
DO $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN (SELECT reason IS NOT NULL FROM dr.rpo());
		PERFORM pg_stat_clear_snapshot();
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
SELECT rpo, bytes, reason FROM dr.rpo();

-- when it is mended, nothing is to be lost again
ALTER SYSTEM SET archive_command = :'command';
SELECT pg_reload_conf();
CALL archive_all();
SELECT rpo, bytes, reason FROM dr.rpo();

DROP TABLE precious;
DROP PROCEDURE archive_all();
