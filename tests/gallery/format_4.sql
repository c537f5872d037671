-- A gallery as the program of format 4 wrote it: ada with two templates and a crop, bob with one;
-- eve was removed.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 0x4D465247;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE changes (
        generation INTEGER PRIMARY KEY,
        token TEXT NOT NULL,
        last_id INTEGER NOT NULL
    );
INSERT INTO "changes" VALUES(0,'9991770a3138051a',0);
INSERT INTO "changes" VALUES(1,'629f7805913f8690',2);
INSERT INTO "changes" VALUES(2,'27499eb4fa4cb5c9',3);
INSERT INTO "changes" VALUES(3,'4b01992d4c17c931',4);
INSERT INTO "changes" VALUES(4,'a9cb64af84b6e47f',4);
CREATE TABLE crops (
        template_id INTEGER PRIMARY KEY REFERENCES templates (id) ON DELETE CASCADE,
        crop BLOB NOT NULL,
        checksum BLOB NOT NULL
    );
INSERT INTO "crops" VALUES(1,X'63726F70206F6620616461',X'31EF117DDB1A8E9C725F3AA627BA825E22809269588B96179249F44F8A6C8286');
CREATE TABLE identities (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        enrolled TEXT NOT NULL
    );
INSERT INTO "identities" VALUES(1,'ada','2026-11-27T08:44:49+00:00');
INSERT INTO "identities" VALUES(2,'bob','2026-11-27T08:44:49+00:00');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('model_hash','0123456789abcdef');
INSERT INTO "meta" VALUES('embedding_size','3');
INSERT INTO "meta" VALUES('created','2026-11-27T08:44:49+00:00');
INSERT INTO "meta" VALUES('stamp','4-a9cb64af84b6e47f');
INSERT INTO "meta" VALUES('secret','c7f1fac377edaed32abae0fd8978c8f23ceac501544279797564d60207526930');
INSERT INTO "meta" VALUES('note calibration','cb90feac537961cc40cdad9265a59fc85318641607fe65986bcdb16ff0fde2f9 {"measured": [{"condition": "", "against": "", "thresholds": [0.9, 0.5, 0.1], "fmrs": [0.001, 0.01, 0.1], "fmr_intervals": null, "comparisons": 1000, "people": 50, "fnmrs": null, "mated": 0, "source": "toy"}], "regions": null, "looks": null, "provenance": ""}');
CREATE TABLE removals (template_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
INSERT INTO "removals" VALUES(4,4);
CREATE TABLE templates (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
        embedding BLOB NOT NULL,
        quality TEXT NOT NULL,
        source TEXT NOT NULL,
        photo_sha256 TEXT NOT NULL,
        enrolled TEXT NOT NULL,
        detector TEXT NOT NULL DEFAULT '',
        checksum BLOB NOT NULL DEFAULT x'',
        UNIQUE (identity_id, photo_sha256)
    );
INSERT INTO "templates" VALUES(1,1,X'0000803F0000000000000000','{"blur": 2.5}','ada.jpg','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-27T08:44:49+00:00','mtcnn',X'EDA5E51A3A6F99C94CF56EA1A82947E1FF3CE04CE17488A0B6F5EDE6AB248D61');
INSERT INTO "templates" VALUES(2,1,X'000000000000803F00000000','{}','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','2026-11-27T08:44:49+00:00','',X'1A515BDD36A6EECBA773EDB83D68869594C2EBEC88827EEB652F8912B7615DE9');
INSERT INTO "templates" VALUES(3,2,X'00000000000000000000803F','{}','','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','2026-11-27T08:44:49+00:00','',X'EB08E511DBA95AE4BCD9B93F76B9BF827B32578E375D235AEE3CB8C16F81FE7C');
CREATE INDEX templates_by_photo ON templates (photo_sha256);
CREATE INDEX removals_by_generation ON removals (generation);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('templates',4);
COMMIT;
