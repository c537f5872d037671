-- Galleries in a database: one collection each, all of them in the schema mfr.

CREATE SCHEMA IF NOT EXISTS mfr;

CREATE TABLE mfr.schema_version (version integer NOT NULL);

-- A row a gallery. Who changes a gallery holds the lock of its row until the end of the transaction,
-- so template ids rise in the order in which changes become visible.
CREATE TABLE mfr.collections (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    model_hash text NOT NULL,
    embedding_size integer NOT NULL CHECK (embedding_size > 0),
    secret text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    generation bigint NOT NULL DEFAULT 0,
    token text NOT NULL,
    last_id bigint NOT NULL DEFAULT 0,
    templates bigint NOT NULL DEFAULT 0,
    indexed boolean NOT NULL DEFAULT false,  -- whether mfr.coarse has its embeddings too
    model_source text,
    removed_in xid8,          -- the last removal whose rows have not been vacuumed yet
    reserved_for name         -- only members of this role see the collection; NULL for all roles
) WITH (fillfactor = 50);     -- room for the row's next versions, which every change makes

-- Of each table's indexes only one begins with the collection. With two, and statistics that do not
-- know a collection yet that was filled a moment ago, PostgreSQL may look a single row up by reading
-- all of the collection.
CREATE TABLE mfr.identities (
    collection_id bigint NOT NULL REFERENCES mfr.collections ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    enrolled text NOT NULL,
    changed text NOT NULL,
    external_id text COLLATE "C" NOT NULL DEFAULT '',
    details text NOT NULL DEFAULT '',  -- JSON
    UNIQUE (collection_id, name)
);
CREATE UNIQUE INDEX identities_by_external_id ON mfr.identities (external_id, collection_id)
    WHERE external_id <> '';

CREATE TABLE mfr.memberships (
    collection_id bigint NOT NULL,
    identity_id bigint NOT NULL REFERENCES mfr.identities ON DELETE CASCADE,
    group_name text COLLATE "C" NOT NULL,
    PRIMARY KEY (identity_id, group_name)
);
CREATE INDEX memberships_by_group ON mfr.memberships (group_name, collection_id);

-- Who did what: entries are only ever added, each chained to the last.
CREATE TABLE mfr.audit (
    collection_id bigint NOT NULL REFERENCES mfr.collections ON DELETE CASCADE,
    number bigint NOT NULL,
    at text NOT NULL,
    actor text NOT NULL,
    event text NOT NULL,
    person bigint,
    facts text NOT NULL,
    link text NOT NULL,
    PRIMARY KEY (collection_id, number)
);

CREATE TABLE mfr.templates (
    collection_id bigint NOT NULL,
    id bigint NOT NULL,
    identity_id bigint NOT NULL REFERENCES mfr.identities ON DELETE CASCADE,
    embedding bytea NOT NULL,         -- float32, little-endian
    photo_sha256 text COLLATE "C" NOT NULL,
    source text NOT NULL,
    quality text NOT NULL,            -- JSON; jsonb would change numbers
    enrolled text COLLATE "C" NOT NULL,
    detector text NOT NULL,
    checksum bytea NOT NULL,
    PRIMARY KEY (collection_id, id),
    UNIQUE (photo_sha256, identity_id)
) WITH (toast_tuple_target = 8160);
CREATE INDEX templates_by_identity ON mfr.templates (identity_id);
-- Embeddings cannot be compressed; in the row itself they are read without a second look-up.
ALTER TABLE mfr.templates ALTER COLUMN embedding SET STORAGE EXTERNAL;

-- A table of its own: templates are read often and all of them, crops seldom and one by one.
CREATE TABLE mfr.crops (
    collection_id bigint NOT NULL,
    template_id bigint NOT NULL,
    crop bytea NOT NULL,
    checksum bytea NOT NULL,
    PRIMARY KEY (collection_id, template_id),
    FOREIGN KEY (collection_id, template_id) REFERENCES mfr.templates ON DELETE CASCADE
);
ALTER TABLE mfr.crops ALTER COLUMN crop SET STORAGE EXTERNAL;

CREATE TABLE mfr.notes (
    collection_id bigint NOT NULL REFERENCES mfr.collections ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (collection_id, name)
);

-- The stamp of each state, and the largest id there had been: templates with larger ones are new.
CREATE TABLE mfr.changes (
    collection_id bigint NOT NULL REFERENCES mfr.collections ON DELETE CASCADE,
    generation bigint NOT NULL,
    token text NOT NULL,
    last_id bigint NOT NULL,
    PRIMARY KEY (collection_id, generation)
);

CREATE TABLE mfr.removals (
    collection_id bigint NOT NULL REFERENCES mfr.collections ON DELETE CASCADE,
    generation bigint NOT NULL,
    template_id bigint NOT NULL,
    PRIMARY KEY (collection_id, generation, template_id)
);

-- Isolation. Who does not own the tables sees one collection, the one that the session's setting
-- mfr.collection names, and only if it is reserved for nobody or for a role of theirs. The function
-- runs as its owner, because the policies ask it about the table that they protect.
CREATE FUNCTION mfr.chosen_collection() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT id FROM mfr.collections
    WHERE name = current_setting('mfr.collection', true)
      AND (reserved_for IS NULL OR pg_has_role(session_user, reserved_for, 'MEMBER'))
$$;

ALTER TABLE mfr.collections ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.crops ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.removals ENABLE ROW LEVEL SECURITY;
-- (SELECT ...) is evaluated once a statement, not once a row.
CREATE POLICY chosen ON mfr.collections USING (id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.identities USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.memberships USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.audit USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.templates USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.crops USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.notes USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.changes USING (collection_id = (SELECT mfr.chosen_collection()));
CREATE POLICY chosen ON mfr.removals USING (collection_id = (SELECT mfr.chosen_collection()));
