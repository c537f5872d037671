-- Roles for galleries in this database, to be made once by an administrator who may make roles,
-- after the first gallery was made: psql DATABASE -f roles.sql
--
--   mfr_reader   identifies, verifies, lists
--   mfr_writer   enrolls and removes too
--   mfr_admin    makes galleries and sees all of them
--
-- Give them to people and programs: GRANT mfr_reader TO door;
-- A reader and a writer see the one collection that their address names. To keep others out of it:
--   UPDATE mfr.collections SET reserved_for = 'front_desk' WHERE name = 'staff';

DO $$
DECLARE role name;
BEGIN
    FOREACH role IN ARRAY ARRAY['mfr_reader', 'mfr_writer', 'mfr_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA mfr FROM PUBLIC;
GRANT USAGE ON SCHEMA mfr TO mfr_reader, mfr_writer, mfr_admin;

GRANT SELECT ON ALL TABLES IN SCHEMA mfr TO mfr_reader, mfr_writer, mfr_admin;

GRANT INSERT, UPDATE, DELETE
    ON mfr.identities, mfr.memberships, mfr.templates, mfr.crops, mfr.notes, mfr.changes, mfr.removals
    TO mfr_writer, mfr_admin;
GRANT USAGE ON SEQUENCE mfr.identities_id_seq TO mfr_writer, mfr_admin;
-- Nobody may change the audit log; readers add to it where decisions are logged.
GRANT INSERT ON mfr.audit TO mfr_reader, mfr_writer, mfr_admin;
GRANT UPDATE (generation, token, last_id, templates, model_source, removed_in)
    ON mfr.collections TO mfr_writer, mfr_admin;

GRANT INSERT, UPDATE, DELETE ON mfr.collections TO mfr_admin;
DROP POLICY IF EXISTS every ON mfr.collections;
CREATE POLICY every ON mfr.collections TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.identities;
CREATE POLICY every ON mfr.identities TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.memberships;
CREATE POLICY every ON mfr.memberships TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.audit;
CREATE POLICY every ON mfr.audit TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.templates;
CREATE POLICY every ON mfr.templates TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.crops;
CREATE POLICY every ON mfr.crops TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.notes;
CREATE POLICY every ON mfr.notes TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.changes;
CREATE POLICY every ON mfr.changes TO mfr_admin USING (true);
DROP POLICY IF EXISTS every ON mfr.removals;
CREATE POLICY every ON mfr.removals TO mfr_admin USING (true);

-- Vacuuming after a removal, which PostgreSQL can grant since version 17.
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        GRANT MAINTAIN ON mfr.identities, mfr.memberships, mfr.templates, mfr.crops
            TO mfr_writer, mfr_admin;
    END IF;
    -- The table of searches in the database, where there are such searches.
    IF to_regclass('mfr.coarse') IS NOT NULL THEN
        PERFORM mfr.grant_coarse();
    END IF;
END $$;
