-- A database as the program of format 1 left it (pg_dump --inserts): the collection staff, where ada has
-- two templates and a crop, and bob has one and details; eve was removed.
SET check_function_bodies = false;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA mfr;
CREATE FUNCTION mfr.chosen_collection() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT id FROM mfr.collections
    WHERE name = current_setting('mfr.collection', true)
      AND (reserved_for IS NULL OR pg_has_role(session_user, reserved_for, 'MEMBER'))
$$;
CREATE TABLE mfr.audit (
    collection_id bigint NOT NULL,
    number bigint NOT NULL,
    at text NOT NULL,
    actor text NOT NULL,
    event text NOT NULL,
    person bigint,
    facts text NOT NULL,
    link text NOT NULL
);
CREATE TABLE mfr.changes (
    collection_id bigint NOT NULL,
    generation bigint NOT NULL,
    token text NOT NULL,
    last_id bigint NOT NULL
);
CREATE TABLE mfr.collections (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    model_hash text NOT NULL,
    embedding_size integer NOT NULL,
    secret text NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    token text NOT NULL,
    last_id bigint DEFAULT 0 NOT NULL,
    templates bigint DEFAULT 0 NOT NULL,
    indexed boolean DEFAULT false NOT NULL,
    model_source text,
    removed_in xid8,
    reserved_for name,
    CONSTRAINT collections_embedding_size_check CHECK ((embedding_size > 0))
)
WITH (fillfactor='50');
ALTER TABLE mfr.collections ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mfr.collections_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE mfr.crops (
    collection_id bigint NOT NULL,
    template_id bigint NOT NULL,
    crop bytea NOT NULL,
    checksum bytea NOT NULL
);
ALTER TABLE ONLY mfr.crops ALTER COLUMN crop SET STORAGE EXTERNAL;
CREATE TABLE mfr.identities (
    collection_id bigint NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    enrolled text NOT NULL,
    changed text NOT NULL,
    external_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    details text DEFAULT ''::text NOT NULL
);
ALTER TABLE mfr.identities ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mfr.identities_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE mfr.memberships (
    collection_id bigint NOT NULL,
    identity_id bigint NOT NULL,
    group_name text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE mfr.notes (
    collection_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    text text NOT NULL
);
CREATE TABLE mfr.removals (
    collection_id bigint NOT NULL,
    generation bigint NOT NULL,
    template_id bigint NOT NULL
);
CREATE TABLE mfr.schema_version (
    version integer NOT NULL
);
CREATE TABLE mfr.templates (
    collection_id bigint NOT NULL,
    id bigint NOT NULL,
    identity_id bigint NOT NULL,
    embedding bytea NOT NULL,
    photo_sha256 text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL,
    quality text NOT NULL,
    enrolled text NOT NULL COLLATE pg_catalog."C",
    detector text NOT NULL,
    checksum bytea NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY mfr.templates ALTER COLUMN embedding SET STORAGE EXTERNAL;
INSERT INTO mfr.audit VALUES (1, 1, '2026-11-27T11:00:00+00:00', 'desk', 'enrolled', 1, '{"templates": [1, 2]}', 'e7a089fbb22c32e323ab28752e3e9f2862a49235ea1a6e131774283e761051e8');
INSERT INTO mfr.audit VALUES (1, 2, '2026-11-27T11:00:00+00:00', 'desk', 'enrolled', 2, '{"templates": [3]}', '86ba7e2ecc08b10349d4b8377b56163e938559f40e2cfa8479acb05b6bb4b55a');
INSERT INTO mfr.audit VALUES (1, 3, '2026-11-27T11:00:00+00:00', 'desk', 'described', 2, '{}', '17139cc1c1fc8b698d08c0c67cf2751b5fd52dc8f90f4bf12a90f986647674b4');
INSERT INTO mfr.audit VALUES (1, 4, '2026-11-27T11:00:00+00:00', 'desk', 'enrolled', 3, '{"templates": [4]}', 'e52a9695d9eb6fe356891629b920be6965358aff364f18be15efc14334195739');
INSERT INTO mfr.audit VALUES (1, 5, '2026-11-27T11:00:00+00:00', 'desk', 'removed', 3, '{"templates": [4]}', '38b4d9523530d3ff4af3f8967ede540e6788c47090cf9090013802a745f97c7b');
INSERT INTO mfr.changes VALUES (1, 0, 'e6e5b9c86b3a261d', 0);
INSERT INTO mfr.changes VALUES (1, 1, '295b2ef07f1dc8df', 2);
INSERT INTO mfr.changes VALUES (1, 2, '9196863646c69711', 3);
INSERT INTO mfr.changes VALUES (1, 3, 'b05963e3e2567cf5', 3);
INSERT INTO mfr.changes VALUES (1, 4, '395efef15fb2f329', 4);
INSERT INTO mfr.changes VALUES (1, 5, '4675d2e5470a719b', 4);
INSERT INTO mfr.collections OVERRIDING SYSTEM VALUE VALUES (1, 'staff', '0123456789abcdef', 3, '2232f39d3c7579a831c48cdb72bad6c8bd4a5e1982cb6a0753bfdebc2357e266', '2026-11-27 11:00:00.12721+00', 5, '4675d2e5470a719b', 4, 3, false, NULL, NULL, NULL);
INSERT INTO mfr.crops VALUES (1, 1, '\x63726f70206f6620616461', '\xc4a8747923925acf96eac25773f65c908406bcd4640b9f9364f1f099f1fe37f3');
INSERT INTO mfr.identities OVERRIDING SYSTEM VALUE VALUES (1, 1, 'ada', '2026-11-27T11:00:00+00:00', '2026-11-27T11:00:00+00:00', '', '');
INSERT INTO mfr.identities OVERRIDING SYSTEM VALUE VALUES (1, 2, 'bob', '2026-11-27T11:00:00+00:00', '2026-11-27T11:00:00+00:00', '7', '{"consent": "signed", "display_name": "Bob", "external_id": "7", "groups": ["staff"], "metadata": {"desk": 4}}');
INSERT INTO mfr.memberships VALUES (1, 2, 'staff');
INSERT INTO mfr.notes VALUES (1, 'keep', 'yes');
INSERT INTO mfr.removals VALUES (1, 5, 4);
INSERT INTO mfr.schema_version VALUES (1);
INSERT INTO mfr.templates VALUES (1, 1, 1, '\x0000803f0000000000000000', 'photo1', 'a.jpg', '{"blur": 2.5}', '2026-11-27T11:00:00+00:00', 'toy-detector', '\x9ce1eaface0bc167af923c3e838543b8f95159a52bfb1d8cd6924339a2944797');
INSERT INTO mfr.templates VALUES (1, 2, 1, '\x000000000000803f00000000', 'photo2', '', '{}', '2026-11-27T11:00:00+00:00', '', '\x13ccb9ba094327ddf9194d79e2bb8ea64245365ac9855d907da9dab13bcb27fe');
INSERT INTO mfr.templates VALUES (1, 3, 2, '\x00000000000000000000803f', 'photo3', 'b.jpg', '{}', '2026-11-27T11:00:00+00:00', '', '\xedf2c14a1834800891e81a162908895879d12ec1e99e0ac79325c6f9cbf6afe4');
SELECT pg_catalog.setval('mfr.collections_id_seq', 1, true);
SELECT pg_catalog.setval('mfr.identities_id_seq', 3, true);
ALTER TABLE ONLY mfr.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (collection_id, number);
ALTER TABLE ONLY mfr.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (collection_id, generation);
ALTER TABLE ONLY mfr.collections
    ADD CONSTRAINT collections_name_key UNIQUE (name);
ALTER TABLE ONLY mfr.collections
    ADD CONSTRAINT collections_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mfr.crops
    ADD CONSTRAINT crops_pkey PRIMARY KEY (collection_id, template_id);
ALTER TABLE ONLY mfr.identities
    ADD CONSTRAINT identities_collection_id_name_key UNIQUE (collection_id, name);
ALTER TABLE ONLY mfr.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (id);
ALTER TABLE ONLY mfr.memberships
    ADD CONSTRAINT memberships_pkey PRIMARY KEY (identity_id, group_name);
ALTER TABLE ONLY mfr.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (collection_id, name);
ALTER TABLE ONLY mfr.removals
    ADD CONSTRAINT removals_pkey PRIMARY KEY (collection_id, generation, template_id);
ALTER TABLE ONLY mfr.templates
    ADD CONSTRAINT templates_photo_sha256_identity_id_key UNIQUE (photo_sha256, identity_id);
ALTER TABLE ONLY mfr.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (collection_id, id);
CREATE UNIQUE INDEX identities_by_external_id ON mfr.identities USING btree (external_id, collection_id) WHERE (external_id <> ''::text);
CREATE INDEX memberships_by_group ON mfr.memberships USING btree (group_name, collection_id);
CREATE INDEX templates_by_identity ON mfr.templates USING btree (identity_id);
ALTER TABLE ONLY mfr.audit
    ADD CONSTRAINT audit_collection_id_fkey FOREIGN KEY (collection_id) REFERENCES mfr.collections(id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.changes
    ADD CONSTRAINT changes_collection_id_fkey FOREIGN KEY (collection_id) REFERENCES mfr.collections(id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.crops
    ADD CONSTRAINT crops_collection_id_template_id_fkey FOREIGN KEY (collection_id, template_id) REFERENCES mfr.templates(collection_id, id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.identities
    ADD CONSTRAINT identities_collection_id_fkey FOREIGN KEY (collection_id) REFERENCES mfr.collections(id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.memberships
    ADD CONSTRAINT memberships_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES mfr.identities(id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.notes
    ADD CONSTRAINT notes_collection_id_fkey FOREIGN KEY (collection_id) REFERENCES mfr.collections(id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.removals
    ADD CONSTRAINT removals_collection_id_fkey FOREIGN KEY (collection_id) REFERENCES mfr.collections(id) ON DELETE CASCADE;
ALTER TABLE ONLY mfr.templates
    ADD CONSTRAINT templates_identity_id_fkey FOREIGN KEY (identity_id) REFERENCES mfr.identities(id) ON DELETE CASCADE;
ALTER TABLE mfr.audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY chosen ON mfr.audit USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.changes USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.collections USING ((id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.crops USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.identities USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.memberships USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.notes USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.removals USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
CREATE POLICY chosen ON mfr.templates USING ((collection_id = ( SELECT mfr.chosen_collection() AS chosen_collection)));
ALTER TABLE mfr.collections ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.crops ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.removals ENABLE ROW LEVEL SECURITY;
ALTER TABLE mfr.templates ENABLE ROW LEVEL SECURITY;
