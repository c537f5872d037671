-- Encrypted collections. Columns with a constant default are added without rewriting a table.

ALTER TABLE mfr.collections
    ADD COLUMN encryption text NOT NULL DEFAULT '',  -- its number, which it got when it was encrypted
    ADD COLUMN envelope text NOT NULL DEFAULT '';    -- the data key, wrapped by the master key

-- In an encrypted collection name, external_id, group_name and photo_sha256 hold tokens, by which
-- rows are found; details, source, quality and detector are empty, and what they would hold is
-- sealed, as embeddings and crops are.
ALTER TABLE mfr.identities
    ADD COLUMN label bytea NOT NULL DEFAULT '',      -- the name
    ADD COLUMN sealed bytea NOT NULL DEFAULT '';     -- the details
ALTER TABLE mfr.templates
    ADD COLUMN sealed bytea NOT NULL DEFAULT '';     -- all but the embedding
ALTER TABLE mfr.templates ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- A name is sealed with the number of its person, which a program therefore takes beforehand. What
-- roles.sql does, for databases whose roles were made before.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'mfr_writer') THEN
        GRANT USAGE ON SEQUENCE mfr.identities_id_seq TO mfr_writer, mfr_admin;
    END IF;
END $$;
