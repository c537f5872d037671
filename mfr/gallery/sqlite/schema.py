"""The tables of a gallery file, and how a file of an older format becomes one of this format."""

from __future__ import annotations

import os
import secrets
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from mfr.gallery.checksums import checksum
from mfr.gallery.sqlite import audit_log, change_log, erasure

VERSION: Final = 5
"""The format this program writes. Version 1 had no detectors and no record of changes, version 2 no
checksums, no index of photos and no secret, version 3 no crops, version 4 no details of people, no
audit log and no encryption."""

WITH_MARKS: Final = 3
"""The first format whose files say that they are in use, and what remains to be erased."""

APPLICATION_ID: Final = 0x4D465247  # "MFRG" in the file's header tells our files from others.

_PHOTO_INDEX: Final = "CREATE INDEX templates_by_photo ON templates (photo_sha256)"

_CROPS: Final = """
    CREATE TABLE crops (
        template_id INTEGER PRIMARY KEY REFERENCES templates (id) ON DELETE CASCADE,
        crop BLOB NOT NULL,
        checksum BLOB NOT NULL
    )
    """
# A table of its own: templates are read often and all of them, crops seldom and one by one.

_DETAILS: Final = (
    "ALTER TABLE identities ADD COLUMN label BLOB NOT NULL DEFAULT x''",
    "ALTER TABLE identities ADD COLUMN external_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE identities ADD COLUMN details TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE identities ADD COLUMN changed TEXT NOT NULL DEFAULT ''",
    "CREATE UNIQUE INDEX people_by_external_id ON identities (external_id) WHERE external_id <> ''",
    """
    CREATE TABLE memberships (
        group_name TEXT NOT NULL,
        identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
        PRIMARY KEY (group_name, identity_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX memberships_by_person ON memberships (identity_id)",
    "INSERT INTO meta VALUES ('last_person', (SELECT coalesce(MAX(id), 0) FROM identities))",
    audit_log.TABLE,
)

_TABLES: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """
    CREATE TABLE identities (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        enrolled TEXT NOT NULL
    )
    """,
    # AUTOINCREMENT: the id of a removed template is never given to another.
    """
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
    )
    """,
    _PHOTO_INDEX,
    _CROPS,
    *_DETAILS,
)


def write_empty(path: Path, *, model_hash: str, embedding_size: int) -> None:
    """Make the file of an empty gallery, for its maker's eyes only.

    Raises:
        OSError: the place is taken or cannot be written.
        sqlite3.Error: the disk is full, or fails.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for table in _TABLES:
            connection.execute(table)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("model_hash", model_hash),
                ("embedding_size", str(embedding_size)),
                ("created", now()),
                ("stamp", f"0-{secrets.token_hex(8)}"),
                ("secret", secrets.token_hex(32)),
            ],
        )
        change_log.begin(connection)
    finally:
        connection.close()


def format_version(connection: sqlite3.Connection) -> int:
    """The format of an open gallery file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def encryption_of(connection: sqlite3.Connection) -> str:
    """The number of a gallery file's encryption, which it got when it was encrypted; or empty."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'encryption'").fetchone()
    return "" if row is None else str(row[0])


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a file of an older version to this version, within the caller's transaction.

    Nothing happens when another process has done it. Of version 1, the record of changes begins at
    the present state. A checksum is made of what a template is now: what was damaged before cannot
    be told.
    """
    version = format_version(connection)
    if version < 2:
        connection.execute("ALTER TABLE templates ADD COLUMN detector TEXT NOT NULL DEFAULT ''")
        change_log.begin(connection)
    if version < 3:
        connection.execute("ALTER TABLE templates ADD COLUMN checksum BLOB NOT NULL DEFAULT x''")
        _give_checksums(connection)
        connection.execute(_PHOTO_INDEX)
        connection.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_hex(32),))
        erasure.mark(connection)  # what programs of those formats removed may still lie there
    if version < 4:
        connection.execute(_CROPS)
    if version < 5:
        for statement in _DETAILS:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def now() -> str:
    """The present time as the file records it: UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _give_checksums(connection: sqlite3.Connection) -> None:
    """Give a checksum to all templates that have none, within the caller's transaction."""
    connection.create_function("template_checksum", 4, checksum, deterministic=True)
    connection.execute(
        "UPDATE templates SET checksum = template_checksum(id, "
        "(SELECT CAST(name AS BLOB) FROM identities WHERE identities.id = identity_id), "
        "CAST(photo_sha256 AS BLOB), CAST(embedding AS BLOB)) "
        "WHERE checksum = x'' AND identity_id IN (SELECT id FROM identities)"
    )
