-- What searches in the database go by: embeddings in half precision, of the collections whose
-- searches do. The embeddings of mfr.templates remain the truth, by which candidates are ranked.

CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;

CREATE TABLE IF NOT EXISTS mfr.coarse (
    collection_id bigint NOT NULL,
    template_id bigint NOT NULL,
    vector public.halfvec NOT NULL,
    PRIMARY KEY (collection_id, template_id),
    FOREIGN KEY (collection_id, template_id) REFERENCES mfr.templates ON DELETE CASCADE
);
ALTER TABLE mfr.coarse ALTER COLUMN vector SET STORAGE PLAIN;

ALTER TABLE mfr.coarse ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS chosen ON mfr.coarse;
CREATE POLICY chosen ON mfr.coarse USING (collection_id = (SELECT mfr.chosen_collection()));

-- What roles.sql does for the other tables, whichever of the two scripts is run first.
CREATE OR REPLACE FUNCTION mfr.grant_coarse() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    GRANT SELECT ON mfr.coarse TO mfr_reader, mfr_writer, mfr_admin;
    GRANT INSERT, UPDATE, DELETE ON mfr.coarse TO mfr_writer, mfr_admin;
    IF current_setting('server_version_num')::integer >= 170000 THEN
        GRANT MAINTAIN ON mfr.coarse TO mfr_writer, mfr_admin;
    END IF;
    DROP POLICY IF EXISTS every ON mfr.coarse;
    CREATE POLICY every ON mfr.coarse TO mfr_admin USING (true);
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'mfr_reader') THEN
        PERFORM mfr.grant_coarse();
    END IF;
END $$;
