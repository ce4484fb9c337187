--
-- Who did what, and whether somebody tampered with the record of it
--

SELECT coalesce(max(seq), 0) AS before FROM dr.event \gset
CREATE ROLE regress_dr_operator IN ROLE dr_operator;
SET ROLE regress_dr_operator;
CALL dr.create_backup(annotations => '{"why": "audit"}') \gset
CALL dr.verify_integrity(:'label') \gset
\set VERBOSITY terse
CALL dr.verify_integrity('20000101T000000Z');
CALL dr.create_backup(annotations => '{"dr.audit": "x"}');
\set VERBOSITY default
SELECT seq - :before AS nth, type, severity, role = session_user AS role,
	label = :'label' AS label, action - :before AS action,
	detail->>'sqlstate' AS sqlstate
FROM dr.event WHERE seq > :before ORDER BY seq;

-- the backup has the newest hash at its beginning with it
SELECT annotations - 'dr.audit' AS annotations,
	annotations->>'dr.audit' =
		(SELECT seq || ':' || encode(hash, 'hex') FROM dr.event
		 WHERE seq = :before) AS anchored
FROM dr.get_backup(:'label');

-- the record is whole, and its owner cannot change it by mistake
SELECT * FROM dr.verify_audit();
UPDATE dr.event SET severity = 'info';
RESET ROLE;
UPDATE dr.event SET severity = 'info';
DELETE FROM dr.event;
TRUNCATE dr.event;

-- by intent a superuser can, and that shows
ALTER TABLE dr.event DISABLE TRIGGER ALL;
CREATE FUNCTION tampered(tampering text) RETURNS SETOF record LANGUAGE plpgsql
AS $$
BEGIN
	BEGIN
		EXECUTE tampering;
		CREATE TEMP TABLE found AS SELECT * FROM dr.verify_audit();
		RAISE EXCEPTION 'back' USING DETAIL =
			(SELECT jsonb_agg(f.problem ORDER BY f.seq, f.problem) FROM found f);
	EXCEPTION WHEN raise_exception THEN
		DECLARE
			detail text;
		BEGIN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			RETURN QUERY SELECT regexp_replace(p, '\d{8}T\d{6}Z(-\d+)?', 'LABEL')
				FROM jsonb_array_elements_text(nullif(detail, '')::jsonb) AS p;
		END;
	END;
END
$$;
SELECT * FROM tampered(format('UPDATE dr.event SET role = ''x'' WHERE seq = %s', :before + 2))
	AS (problem text);
SELECT * FROM tampered(format('UPDATE dr.event SET at = at + ''1 us'' WHERE seq = %s', :before + 2))
	AS (problem text);
SELECT * FROM tampered(format('DELETE FROM dr.event WHERE seq = %s', :before + 2))
	AS (problem text);
SELECT * FROM tampered(format('DELETE FROM dr.event WHERE seq > %s', :before + 2))
	AS (problem text);
SELECT * FROM tampered(format('UPDATE dr.event SET seq = -1 WHERE seq = %1$s;
	UPDATE dr.event SET seq = %1$s WHERE seq = %2$s;
	UPDATE dr.event SET seq = %2$s WHERE seq = -1',
	:before + 2, :before + 3)) AS (problem text);
SELECT * FROM tampered('DELETE FROM dr.event_head') AS (problem text);
-- all of it, head included, made anew: what the backups were told is elsewhere
SELECT * FROM tampered('TRUNCATE dr.event, dr.event_head') AS (problem text)
	WHERE problem LIKE '%backup LABEL%' LIMIT 1;
SELECT count(*) > 0 AS found FROM tampered($$
	UPDATE dr.event SET role = 'somebody else';
	DO $do$
	DECLARE
		e dr.event;
		h bytea := '';
	BEGIN
		FOR e IN SELECT * FROM dr.event ORDER BY seq LOOP
			e.previous := h;
			h := dr.event_hash(e);
			UPDATE dr.event SET previous = e.previous, hash = h WHERE seq = e.seq;
		END LOOP;
		UPDATE dr.event_head SET hash = h;
	END
	$do$ $$) AS (problem text) WHERE problem LIKE '%backup LABEL%';
ALTER TABLE dr.event ENABLE TRIGGER ALL;
SELECT * FROM dr.verify_audit();

-- what never ended is ended by whoever acts next
SELECT dr.log_event('backup-started', 'info', NULL, NULL, '{"pid": 1}') IS NOT NULL AS begun;
SELECT dr.close_events();
SELECT dr.close_events();
SELECT type, severity, detail->>'message' AS message FROM dr.event
ORDER BY seq DESC LIMIT 1;

DROP FUNCTION tampered(text);
DROP ROLE regress_dr_operator;
