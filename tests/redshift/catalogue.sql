-- What Redshift has in its catalogue and PostgreSQL has not. Run once in a database, as its superuser.
SET allow_system_table_mods = on;
CREATE SCHEMA redshift;
GRANT USAGE ON SCHEMA redshift TO PUBLIC;

CREATE DOMAIN pg_catalog.super AS text;
CREATE DOMAIN pg_catalog.hllsketch AS text;
CREATE DOMAIN pg_catalog.geometry AS text;
CREATE DOMAIN pg_catalog.geography AS text;
CREATE DOMAIN pg_catalog.varbyte AS bytea;

-- What CREATE TABLE and ALTER TABLE said beyond what PostgreSQL knows, and what a test says of a table.
CREATE TABLE redshift.traits (
    relid oid PRIMARY KEY, diststyle text, distkey text, sortstyle text, sortkeys text[] NOT NULL DEFAULT '{}',
    encodings jsonb NOT NULL DEFAULT '{}', backup boolean NOT NULL DEFAULT true, external_location text,
    stats_off numeric(5,2), unsorted numeric(5,2), skew_rows numeric(19,2), deleted_rows bigint NOT NULL DEFAULT 0
);
CREATE TABLE redshift.load_errors (
    userid integer, slice integer, tbl integer, starttime timestamp, session integer, query integer,
    filename character(256), line_number bigint, colname character(127), type character(10),
    col_length character(10), "position" integer, raw_line character(1024), raw_field_value character(1024),
    err_code integer, err_reason character(100)
);
GRANT SELECT ON redshift.traits, redshift.load_errors TO PUBLIC;

CREATE FUNCTION redshift.note_traits(target oid, said jsonb) RETURNS void SECURITY DEFINER LANGUAGE sql AS $$
    INSERT INTO redshift.traits (relid) VALUES (target) ON CONFLICT DO NOTHING;
    UPDATE redshift.traits SET
        diststyle = coalesce(said ->> 'diststyle', diststyle),
        distkey = CASE WHEN said ? 'diststyle' OR said ? 'distkey' THEN said ->> 'distkey' ELSE distkey END,
        sortstyle = coalesce(said ->> 'sortstyle', sortstyle),
        sortkeys = CASE WHEN said ? 'sortkeys'
            THEN ARRAY(SELECT jsonb_array_elements_text(said -> 'sortkeys')) ELSE sortkeys END,
        encodings = encodings || coalesce(said -> 'encodings', '{}'),
        backup = coalesce((said ->> 'backup')::boolean, backup),
        external_location = coalesce(said ->> 'external_location', external_location),
        stats_off = coalesce((said ->> 'stats_off')::numeric, stats_off),
        unsorted = coalesce((said ->> 'unsorted')::numeric, unsorted),
        skew_rows = coalesce((said ->> 'skew_rows')::numeric, skew_rows),
        deleted_rows = coalesce((said ->> 'deleted_rows')::bigint, deleted_rows)
    WHERE relid = target;
$$;
CREATE FUNCTION redshift.inherit_traits(target oid, parent oid) RETURNS void SECURITY DEFINER LANGUAGE sql AS $$
    INSERT INTO redshift.traits (relid, diststyle, distkey, sortstyle, sortkeys, encodings, backup)
    SELECT target, diststyle, distkey, sortstyle, sortkeys, encodings, backup
    FROM redshift.traits WHERE relid = parent ON CONFLICT DO NOTHING;
$$;
CREATE FUNCTION redshift.rename_column(target oid, old text, new text) RETURNS void SECURITY DEFINER LANGUAGE sql AS $$
    UPDATE redshift.traits SET
        distkey = CASE WHEN distkey = old THEN new ELSE distkey END,
        sortkeys = array_replace(sortkeys, old, new),
        encodings = CASE WHEN encodings ? old
            THEN (encodings - old) || jsonb_build_object(new, encodings -> old) ELSE encodings END
    WHERE relid = target;
$$;
CREATE FUNCTION redshift.note_load_error(file text, line bigint, col text, type text, reason text, code integer)
RETURNS void SECURITY DEFINER LANGUAGE sql AS $$
    INSERT INTO redshift.load_errors (starttime, session, query, filename, line_number, colname, type, err_reason, err_code)
    VALUES (now(), pg_backend_pid(), 4711, left(file, 256), line, left(col, 127), left(type, 10), left(reason, 100), code);
$$;
CREATE FUNCTION redshift.rows_of(target oid) RETURNS bigint SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE counted bigint;
BEGIN EXECUTE format('SELECT count(*) FROM %s', target::regclass) INTO counted; RETURN counted; END $$;

-- A view without schema binding finds its tables anew whenever it is read.
CREATE FUNCTION redshift.late_rows(query text) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE query; END $$;
CREATE FUNCTION redshift.is_late_binding(view oid) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
                   WHERE r.ev_class = view AND d.refobjid = 'redshift.late_rows(text)'::regprocedure) $$;
CREATE FUNCTION redshift.is_external(relation oid) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM redshift.traits t WHERE t.relid = relation AND external_location IS NOT NULL) $$;
CREATE FUNCTION redshift.type_name(type oid, modifier integer) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE format_type(type, modifier)
        WHEN 'text' THEN 'character varying(65535)' WHEN 'character varying' THEN 'character varying(65535)'
        WHEN 'varbyte' THEN 'binary varying(64000)' WHEN 'numeric' THEN 'numeric(38,0)'
        ELSE format_type(type, modifier) END $$;

-- The catalogue as 8.0 has it: no later columns, no columns of late-binding views, no external tables.
CREATE VIEW redshift.pg_class AS
    SELECT oid, relname, relnamespace, reltype, relowner, relam, relfilenode, reltablespace, relpages, reltuples,
           reltoastrelid, relhasindex, relisshared, relkind, relnatts, relchecks, relhasrules, relacl
    FROM pg_catalog.pg_class WHERE NOT redshift.is_external(oid);
CREATE VIEW redshift.pg_attribute AS
    SELECT attrelid, attname, atttypid, attlen, attnum, attndims, atttypmod, attbyval, attstorage, attalign,
           attnotnull, atthasdef, attisdropped, attislocal, attinhcount
    FROM pg_catalog.pg_attribute WHERE NOT redshift.is_late_binding(attrelid) AND NOT redshift.is_external(attrelid);

CREATE VIEW redshift.columns AS
    SELECT c.oid AS relid, c.relkind, n.nspname, c.relname, a.attname, a.attnum, a.attnotnull, a.atttypid, a.atttypmod,
           redshift.type_name(a.atttypid, a.atttypmod)::varchar AS type,
           regexp_replace(redshift.type_name(a.atttypid, a.atttypmod), '\(.*?\)', '')::varchar AS base,
           pg_get_expr(d.adbin, d.adrelid)::varchar AS column_default, col_description(c.oid, a.attnum)::varchar AS remarks,
           t.distkey, t.sortkeys, t.sortstyle, t.encodings, t.external_location,
           information_schema._pg_char_max_length(a.atttypid, a.atttypmod) AS length,
           information_schema._pg_numeric_precision(a.atttypid, a.atttypmod) AS precision,
           information_schema._pg_numeric_scale(a.atttypid, a.atttypmod) AS scale
    FROM pg_catalog.pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    LEFT JOIN redshift.traits t ON t.relid = c.oid
    WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'redshift', 'pg_toast')
      AND has_schema_privilege(n.oid, 'USAGE')
      AND has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, REFERENCES');

CREATE VIEW pg_catalog.svv_table_info AS
    SELECT current_database()::text AS database, n.nspname::text AS schema, c.oid AS table_id, c.relname::text AS "table",
           (CASE WHEN t.encodings IS NULL OR t.encodings = '{}' THEN 'Y, AUTO(ENCODE)' ELSE 'Y' END)::text AS encoded,
           CASE coalesce(t.diststyle, 'AUTO') WHEN 'KEY' THEN 'KEY(' || t.distkey || ')' WHEN 'AUTO' THEN 'AUTO(EVEN)'
                ELSE t.diststyle END AS diststyle,
           CASE WHEN t.sortstyle = 'INTERLEAVED' THEN 'INTERLEAVED'
                WHEN cardinality(t.sortkeys) > 0 THEN t.sortkeys[1]
                WHEN coalesce(t.sortstyle, 'AUTO') = 'AUTO' THEN 'AUTO(SORTKEY)' END AS sortkey1,
           (SELECT coalesce(max(length), 0) FROM redshift.columns k WHERE k.relid = c.oid AND k.base = 'character varying')::integer
               AS max_varchar,
           (CASE WHEN cardinality(t.sortkeys) > 0 THEN coalesce(t.encodings ->> t.sortkeys[1], 'none') END)::character(32)
               AS sortkey1_enc,
           coalesce(cardinality(t.sortkeys), 0)::integer AS sortkey_num,
           (pg_relation_size(c.oid) / 1048576 + 1)::bigint AS size, 0.01::numeric(10,4) AS pct_used, 0::bigint AS empty,
           t.unsorted::numeric(5,2) AS unsorted, coalesce(t.stats_off, 0)::numeric(5,2) AS stats_off,
           (counted.rows + coalesce(t.deleted_rows, 0))::numeric(38,0) AS tbl_rows,
           1.00::numeric(19,2) AS skew_sortkey1, t.skew_rows::numeric(19,2) AS skew_rows,
           counted.rows::numeric(38,0) AS estimated_visible_rows, NULL::text AS risk_event,
           NULL::numeric(12,2) AS vacuum_sort_benefit, now()::timestamp AS create_time
    FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN redshift.traits t ON t.relid = c.oid
    CROSS JOIN LATERAL (SELECT CASE WHEN c.relkind = 'r' THEN redshift.rows_of(c.oid) ELSE 0 END AS rows) counted
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'redshift', 'pg_toast')
      AND t.external_location IS NULL AND counted.rows + coalesce(t.deleted_rows, 0) > 0;

CREATE VIEW pg_catalog.pg_table_def AS
    SELECT nspname AS schemaname, relname AS tablename, attname AS "column", type::character(128) AS type,
           coalesce(encodings ->> attname, 'none')::character(32) AS encoding, coalesce(attname = distkey, false) AS distkey,
           coalesce(CASE WHEN sortstyle = 'INTERLEAVED' AND array_position(sortkeys, attname::text) % 2 = 0 THEN -1 ELSE 1 END
                    * array_position(sortkeys, attname::text), 0)::integer AS sortkey, attnotnull AS "notnull"
    FROM redshift.columns
    WHERE relkind = 'r' AND external_location IS NULL AND nspname = ANY (current_schemas(false));

CREATE VIEW pg_catalog.svv_columns AS
    SELECT current_database()::varchar(128) AS table_catalog, nspname::varchar(128) AS table_schema,
           relname::varchar(128) AS table_name, attname::varchar(128) AS column_name, attnum::integer AS ordinal_position,
           column_default, (CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END)::varchar AS is_nullable, base AS data_type,
           length AS character_maximum_length, precision AS numeric_precision, NULL::integer AS numeric_precision_radix,
           scale AS numeric_scale, NULL::integer AS datetime_precision, NULL::varchar AS interval_type,
           NULL::varchar AS interval_precision, NULL::varchar AS character_set_catalog, NULL::varchar AS domain_name, remarks
    FROM redshift.columns;
CREATE VIEW pg_catalog.svv_all_columns AS
    SELECT current_database()::varchar(128) AS database_name, nspname::varchar(128) AS schema_name,
           relname::varchar(128) AS table_name, attname::varchar(128) AS column_name, attnum::integer AS ordinal_position,
           column_default, (CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END)::varchar AS is_nullable, base AS data_type,
           length AS character_maximum_length, precision AS numeric_precision, scale AS numeric_scale, remarks
    FROM redshift.columns;
CREATE VIEW pg_catalog.svv_redshift_columns AS
    SELECT current_database()::varchar(128) AS database_name, nspname::varchar(128) AS schema_name,
           relname::varchar(128) AS table_name, attname::varchar(128) AS column_name, attnum::integer AS ordinal_position,
           type AS data_type, column_default, (CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END)::varchar AS is_nullable,
           coalesce(encodings ->> attname, '')::varchar(128) AS encoding, coalesce(attname = distkey, false) AS distkey,
           coalesce(array_position(sortkeys, attname::text), 0)::integer AS sortkey, NULL::varchar AS column_acl, remarks
    FROM redshift.columns WHERE external_location IS NULL;
CREATE VIEW pg_catalog.svv_external_columns AS
    SELECT current_database()::text AS redshift_database_name, nspname::text AS schemaname, relname::text AS tablename,
           attname::text AS columnname, type::text AS external_type, attnum::integer AS columnnum, 0 AS part_key,
           (CASE WHEN attnotnull THEN 'false' ELSE 'true' END)::text AS is_nullable
    FROM redshift.columns WHERE external_location IS NOT NULL;
CREATE VIEW pg_catalog.svv_external_tables AS
    SELECT DISTINCT current_database()::text AS redshift_database_name, nspname::text AS schemaname,
           relname::text AS tablename, 'TABLE'::text AS tabletype, external_location::text AS location,
           'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat'::text AS input_format,
           'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat'::text AS output_format,
           'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'::text AS serialization_lib,
           ''::text AS serde_parameters, 0 AS compressed, ''::text AS parameters
    FROM redshift.columns WHERE external_location IS NOT NULL;
CREATE VIEW pg_catalog.svv_tables AS
    SELECT DISTINCT current_database()::varchar(128) AS table_catalog, nspname::varchar(128) AS table_schema,
           relname::varchar(128) AS table_name, (CASE WHEN external_location IS NOT NULL THEN 'EXTERNAL TABLE'
           WHEN relkind = 'r' THEN 'BASE TABLE' ELSE 'VIEW' END)::varchar AS table_type, obj_description(relid)::varchar AS remarks
    FROM redshift.columns;
CREATE VIEW pg_catalog.svv_all_tables AS
    SELECT table_catalog AS database_name, table_schema AS schema_name, table_name, NULL::varchar AS table_acl,
           (CASE table_type WHEN 'BASE TABLE' THEN 'TABLE' ELSE table_type END)::varchar AS table_type, remarks
    FROM pg_catalog.svv_tables;
CREATE VIEW pg_catalog.svv_redshift_tables AS
    SELECT database_name, schema_name, table_name, table_type, table_acl, remarks
    FROM pg_catalog.svv_all_tables WHERE table_type <> 'EXTERNAL TABLE';
CREATE VIEW pg_catalog.pg_class_info AS
    SELECT c.oid AS reloid, c.relname, c.relnamespace, c.relowner, c.relkind,
           (CASE coalesce(t.diststyle, 'AUTO') WHEN 'EVEN' THEN 0 WHEN 'KEY' THEN 1 WHEN 'ALL' THEN 8 ELSE 11 END)::smallint
               AS reldiststyle,
           (CASE coalesce(t.diststyle, 'AUTO') WHEN 'EVEN' THEN 0 WHEN 'KEY' THEN 1 WHEN 'ALL' THEN 8 ELSE 11 END)::smallint
               AS releffectivediststyle, now()::timestamp AS relcreationtime
    FROM pg_catalog.pg_class c LEFT JOIN redshift.traits t ON t.relid = c.oid;
CREATE VIEW pg_catalog.svv_relation_privileges AS
    SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name, lower(a.privilege_type)::text AS privilege_type,
           a.grantee::integer AS identity_id, (CASE WHEN a.grantee = 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END)::text
               AS identity_name,
           (CASE WHEN a.grantee = 0 THEN 'public' WHEN r.rolcanlogin THEN 'user' ELSE 'group' END)::text AS identity_type,
           a.is_grantable AS admin_option
    FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'redshift', 'pg_toast')
      AND a.privilege_type NOT IN ('MAINTAIN');
CREATE VIEW pg_catalog.svv_column_privileges AS
    SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name, k.attname::text AS column_name,
           lower(a.privilege_type)::text AS privilege_type, a.grantee::integer AS identity_id,
           (CASE WHEN a.grantee = 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END)::text AS identity_name,
           (CASE WHEN a.grantee = 0 THEN 'public' WHEN r.rolcanlogin THEN 'user' ELSE 'group' END)::text AS identity_type
    FROM pg_catalog.pg_attribute k JOIN pg_catalog.pg_class c ON c.oid = k.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(k.attacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'redshift', 'pg_toast');
CREATE VIEW pg_catalog.stl_load_errors AS SELECT * FROM redshift.load_errors;
CREATE VIEW pg_catalog.sys_load_error_detail AS
    SELECT userid AS user_id, query::bigint AS query_id, filename AS file_name, line_number, colname AS column_name,
           type AS column_type, col_length AS column_length, "position", err_code AS error_code, err_reason AS error_message,
           starttime AS start_time
    FROM redshift.load_errors;

CREATE FUNCTION pg_catalog.pg_get_late_binding_view_cols() RETURNS SETOF record STABLE LANGUAGE sql AS $$
    SELECT nspname, relname, attname, type, attnum::integer FROM redshift.columns
    WHERE relkind = 'v' AND redshift.is_late_binding(relid) ORDER BY 1, 2, 5 $$;
CREATE FUNCTION redshift.version() RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.77467'::text $$;
CREATE FUNCTION redshift.setting(name text) RETURNS bigint STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('redshift.' || name, true), ''), '-1')::bigint $$;
CREATE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT redshift.setting('copy_count') $$;
CREATE FUNCTION pg_catalog.pg_last_unload_count() RETURNS bigint STABLE LANGUAGE sql AS $$ SELECT redshift.setting('unload_count') $$;
CREATE FUNCTION pg_catalog.pg_last_copy_id() RETURNS integer STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN redshift.setting('copy_count') < 0 THEN -1 ELSE 4711 END $$;
CREATE FUNCTION pg_catalog.pg_last_query_id() RETURNS integer STABLE LANGUAGE sql AS $$ SELECT 4711 $$;

CREATE FUNCTION pg_catalog.getdate() RETURNS timestamp STABLE LANGUAGE sql AS $$ SELECT now()::timestamp(0) $$;
CREATE FUNCTION pg_catalog.len(text) RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT length($1) $$;
CREATE FUNCTION pg_catalog.nvl(anycompatible, anycompatible) RETURNS anycompatible IMMUTABLE LANGUAGE sql AS $$ SELECT coalesce($1, $2) $$;
CREATE FUNCTION pg_catalog.json_parse(text) RETURNS super IMMUTABLE LANGUAGE sql AS $$ SELECT ($1::jsonb)::text::super $$;
CREATE FUNCTION pg_catalog.json_serialize(super) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1::text $$;
CREATE FUNCTION pg_catalog.strtol(text, integer) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE total numeric := 0;
BEGIN
    FOR i IN 1 .. length($1) LOOP
        total := total * $2 + position(substr(lower($1), i, 1) IN '0123456789abcdefghijklmnopqrstuvwxyz') - 1;
    END LOOP;
    RETURN total::bigint;
END $$;
-- FNV-1a of 64 bits over the bytes; numbers are hashed by their text here, which is not Redshift's value.
CREATE FUNCTION pg_catalog.fnv_hash(value anyelement, seed bigint DEFAULT -3750763034362895579) RETURNS bigint
IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
    bytes bytea := convert_to(value::text, 'UTF8');
    hash numeric := CASE WHEN seed < 0 THEN seed + 18446744073709551616 ELSE seed END;
BEGIN
    FOR i IN 0 .. length(bytes) - 1 LOOP
        hash := mod(hash, 18446744073709551616);
        hash := mod((hash - mod(hash, 256) + (mod(hash, 256)::integer # get_byte(bytes, i))) * 1099511628211, 18446744073709551616);
    END LOOP;
    RETURN CASE WHEN hash >= 9223372036854775808 THEN hash - 18446744073709551616 ELSE hash END;
END $$;
CREATE FUNCTION pg_catalog.farmfingerprint64(text) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$ SELECT hashtextextended($1, 64) $$;
CREATE FUNCTION pg_catalog.checksum(anyelement) RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT abs(hashtext($1::text)) $$;
CREATE FUNCTION pg_catalog.sha2(text, integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT encode(CASE $2 WHEN 224 THEN sha224($1::bytea) WHEN 384 THEN sha384($1::bytea) WHEN 512 THEN sha512($1::bytea)
                  ELSE sha256($1::bytea) END, 'hex') $$;
CREATE AGGREGATE pg_catalog.listagg (text, text) (SFUNC = string_agg_transfn, STYPE = internal, FINALFUNC = string_agg_finalfn);
GRANT SELECT ON ALL TABLES IN SCHEMA redshift TO PUBLIC;
GRANT SELECT ON pg_catalog.svv_table_info, pg_catalog.pg_table_def, pg_catalog.svv_columns, pg_catalog.svv_all_columns,
    pg_catalog.svv_redshift_columns, pg_catalog.svv_external_columns, pg_catalog.svv_external_tables, pg_catalog.svv_tables,
    pg_catalog.svv_all_tables, pg_catalog.svv_redshift_tables, pg_catalog.pg_class_info, pg_catalog.svv_relation_privileges,
    pg_catalog.svv_column_privileges,
    pg_catalog.stl_load_errors, pg_catalog.sys_load_error_detail TO PUBLIC;

-- Booleans are cast to no text ("Type compatibility and conversion").
CREATE FUNCTION redshift.no_text_of(boolean) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'cannot cast type boolean to character varying' USING ERRCODE = 'cannot_coerce';
END
$$;
UPDATE pg_catalog.pg_cast SET castfunc = 'redshift.no_text_of(boolean)'::regprocedure
WHERE castsource = 'boolean'::regtype AND casttarget IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);
