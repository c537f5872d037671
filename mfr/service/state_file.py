"""The file in which the service keeps what is its own: keys, quotas, replies, jobs."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from mfr.service.private_file import PrivateFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
    collections TEXT NOT NULL, rate REAL NOT NULL, quota INTEGER NOT NULL,
    created TEXT NOT NULL, revoked TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS usage (
    key TEXT NOT NULL, day TEXT NOT NULL, photos INTEGER NOT NULL, PRIMARY KEY (key, day)
);
CREATE TABLE IF NOT EXISTS replies (
    caller TEXT NOT NULL, name TEXT NOT NULL, request TEXT NOT NULL, begun REAL NOT NULL,
    status INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL DEFAULT x'', PRIMARY KEY (caller, name)
);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, collection TEXT NOT NULL, caller TEXT NOT NULL, state TEXT NOT NULL,
    choices TEXT NOT NULL, created TEXT NOT NULL, changed TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS job_photos (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL,
    identity TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    face INTEGER, reason TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
);
"""


class StateFile(PrivateFile):
    """``service.sqlite`` in a folder; as `PrivateFile`.

    Args:
        folder: where it lies; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "service.sqlite", _SCHEMA)
        self.folder = folder

    def secret(self, name: str) -> bytes:
        """32 random bytes under ``name``, the same ever after and for all processes."""
        with self.changing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, secrets.token_hex(32))
            )
            found = connection.execute("SELECT value FROM facts WHERE name = ?", (name,))
            return bytes.fromhex(found.fetchone()[0])
