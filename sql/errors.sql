--
-- What is refused, and how
--
LOAD 'dr';

-- no configuration
ALTER SYSTEM SET dr.config_file = '';
SELECT pg_reload_conf();
\c -
CALL dr.sync();
CALL dr.create_backup();
CALL dr.verify_integrity();
SELECT * FROM dr.check();

-- one that is not there
ALTER SYSTEM SET dr.config_file = '/nonexistent/pgdr.conf';
SELECT pg_reload_conf();
\c -
\set VERBOSITY sqlstate
CALL dr.sync();
\set VERBOSITY default
CALL dr.sync();
SELECT * FROM dr.check(archive => false);

-- a long action is no part of a transaction
BEGIN;
CALL dr.sync();
ROLLBACK;
BEGIN;
CALL dr.create_backup();
ROLLBACK;
BEGIN;
CALL dr.verify_integrity();
ROLLBACK;
SELECT 1\; CALL dr.sync();
CREATE FUNCTION call_sync() RETURNS void LANGUAGE plpgsql
AS 'BEGIN CALL dr.sync(); END';
SELECT call_sync();
DROP FUNCTION call_sync();
CREATE PROCEDURE call_sync() LANGUAGE plpgsql SECURITY DEFINER
AS 'BEGIN CALL dr.sync(); END';
CALL call_sync();
DROP PROCEDURE call_sync();

-- arguments
CALL dr.create_backup(target => 'table');
CALL dr.create_backup(target => NULL);
CALL dr.create_backup(type => NULL);
CALL dr.create_backup(label => 'mine');
CALL dr.create_backup(annotations => '["a"]');
CALL dr.create_backup(annotations => '{"a": {"b": 1}}');
CALL dr.create_backup(annotations => '{"a": null}');
CALL dr.create_backup(annotations => '{"a=b": "c"}');
CALL dr.create_backup(annotations => '{"": "c"}');

-- the mirror takes nothing but a listing
SELECT dr.replace_mirror('{}', now());

-- without the rights
CREATE ROLE regress_dr_nobody;
CREATE ROLE regress_dr_viewer IN ROLE dr_viewer;
SET ROLE regress_dr_nobody;
SELECT * FROM dr.backup;
CALL dr.sync();
SELECT dr.rpo();
RESET ROLE;
SET ROLE regress_dr_viewer;
CALL dr.sync();
CALL dr.create_backup();
CALL dr.verify_integrity();
SELECT * FROM dr.check();
DELETE FROM dr.backup;
SELECT dr.replace_mirror('{}', now());
SELECT dr.first_commit('0/0', '0/0');
RESET ROLE;
DROP ROLE regress_dr_nobody, regress_dr_viewer;

ALTER SYSTEM RESET dr.config_file;
SELECT pg_reload_conf();
