--
-- What CREATE EXTENSION makes, who may use it, and that it says what it is
--

-- a schema that is another's is not ours to fill
CREATE ROLE regress_dr_other;
CREATE SCHEMA dr AUTHORIZATION regress_dr_other;
\set SHOW_CONTEXT never
CREATE EXTENSION dr;
\set SHOW_CONTEXT errors
DROP SCHEMA dr;
DROP ROLE regress_dr_other;

CREATE EXTENSION dr;

-- members
SELECT pg_catalog.pg_describe_object(classid, objid, objsubid) AS member
FROM pg_catalog.pg_depend
WHERE refclassid = 'pg_catalog.pg_extension'::regclass
	AND refobjid = (SELECT oid FROM pg_catalog.pg_extension
					WHERE extname = 'dr')
	AND deptype = 'e'
	AND classid <> 'pg_catalog.pg_type'::regclass
ORDER BY pg_catalog.pg_describe_object(classid, objid, objsubid) COLLATE "C";

-- everything has a comment
SELECT 'schema' AS without_comment, 'dr' AS name
WHERE obj_description('dr'::regnamespace, 'pg_namespace') IS NULL
UNION ALL
SELECT 'relation', oid::regclass::text
FROM pg_class
WHERE relnamespace = 'dr'::regnamespace AND relkind IN ('r', 'v', 'm')
	AND obj_description(oid, 'pg_class') IS NULL
UNION ALL
SELECT 'column', attrelid::regclass || '.' || attname
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'dr'::regnamespace AND relkind IN ('r', 'v', 'm')
	AND attnum > 0 AND NOT attisdropped
	AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT 'routine', oid::regprocedure::text
FROM pg_proc
WHERE pronamespace = 'dr'::regnamespace
	AND obj_description(oid, 'pg_proc') IS NULL
UNION ALL
SELECT 'role', rolname
FROM pg_roles
WHERE rolname LIKE 'dr\_%' AND shobj_description(oid, 'pg_authid') IS NULL;

-- nothing is granted to PUBLIC; no list means the default, which may be
SELECT 'schema' AS public_may, 'dr' AS name
FROM pg_namespace,
	 aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
WHERE nspname = 'dr' AND grantee = 0
UNION ALL
SELECT 'relation', oid::regclass::text
FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
WHERE relnamespace = 'dr'::regnamespace AND relkind IN ('r', 'v', 'm')
	AND grantee = 0
UNION ALL
SELECT 'routine', pg_proc.oid::regprocedure::text
FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner)))
WHERE pronamespace = 'dr'::regnamespace AND grantee = 0;

-- who may call what
SELECT p.proname AS routine,
	has_function_privilege('dr_viewer', p.oid, 'EXECUTE') AS viewer,
	has_function_privilege('dr_operator', p.oid, 'EXECUTE') AS operator,
	has_function_privilege('dr_admin', p.oid, 'EXECUTE') AS admin
FROM pg_proc p
WHERE p.pronamespace = 'dr'::regnamespace
ORDER BY p.proname COLLATE "C";

-- who may see and write what
SELECT c.relname AS relation,
	has_table_privilege('dr_viewer', c.oid, 'SELECT') AS viewer_sees,
	has_table_privilege('dr_viewer', c.oid,
						'INSERT, UPDATE, DELETE, TRUNCATE') AS viewer_writes,
	has_table_privilege('dr_admin', c.oid,
						'INSERT, UPDATE, DELETE, TRUNCATE') AS admin_writes
FROM pg_class c
WHERE c.relnamespace = 'dr'::regnamespace AND c.relkind IN ('r', 'v', 'm')
ORDER BY c.relname COLLATE "C";

SELECT rolname, rolcanlogin, rolsuper,
	pg_has_role(rolname, 'dr_viewer', 'MEMBER') AS is_viewer,
	pg_has_role(rolname, 'dr_operator', 'MEMBER') AS is_operator,
	pg_has_role(rolname, 'dr_admin', 'MEMBER') AS is_admin
FROM pg_roles
WHERE rolname IN ('dr_viewer', 'dr_operator', 'dr_admin')
ORDER BY rolname COLLATE "C";

-- a function that runs with its owner's rights has a search path of its own
SELECT oid::regprocedure AS insecure
FROM pg_proc
WHERE pronamespace = 'dr'::regnamespace AND prosecdef
	AND NOT coalesce(proconfig, '{}') @>
		ARRAY['search_path=pg_catalog, pg_temp'];

-- settings
LOAD 'dr';
SELECT name, context, vartype, boot_val
FROM pg_settings WHERE name LIKE 'dr.%' ORDER BY name;
SET dr.config_file = '/elsewhere';
ALTER SYSTEM SET dr.config_file = 'relative/pgdr.conf';
SET dr.no_such_setting = 1;
CREATE ROLE regress_dr_viewer IN ROLE dr_viewer;
SET ROLE regress_dr_viewer;
\set VERBOSITY sqlstate
SHOW dr.config_file;
\set VERBOSITY default
RESET ROLE;

-- an empty catalog is empty, not an error
SET ROLE regress_dr_viewer;
SELECT count(*) FROM dr.backup;
SELECT dr.latest_backup() IS NULL AS none;
SELECT dr.get_backup('20000101T000000Z') IS NULL AS none;
SELECT count(*) FROM dr.backups_by_target();
SELECT rpo, bytes, exact, reason FROM dr.rpo();
RESET ROLE;
DROP ROLE regress_dr_viewer;

-- can be dropped, and made again although its roles are there
DROP EXTENSION dr;
SELECT count(*) FROM pg_class WHERE relnamespace = 'dr'::regnamespace;
CREATE EXTENSION dr;
