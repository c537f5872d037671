"""A gallery file is encrypted, once and for all of it, and its key is wrapped anew."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Final

from mfr.gallery.encryption_state import insist_on_envelope, insist_on_whole
from mfr.gallery.records import NewTemplate
from mfr.gallery.rows import Rows
from mfr.gallery.sqlite import audit_log, people, rows
from mfr.gallery.sqlite.templates import whole_rows
from mfr.sealing.envelope import new_data_key, unwrapped, wrapped
from mfr.sealing.master_key import master_key
from mfr.sealing.seal import Seal

_ENVELOPE: Final = "envelope"


def seal_of(connection: sqlite3.Connection, directory: Path) -> Seal:
    """The seal of an encrypted gallery, by the master key that the environment names.

    Raises:
        GalleryKeyError: it names none, or another one.
        ConfigError: the key cannot be had, or the package cryptography is not installed.
    """
    return Seal(unwrapped(_envelope(connection), master_key(), directory))


def begin_in_file(path: Path, master: bytes) -> None:
    """`begin`, of the file of a new gallery, which nobody else has open."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN")
        begin(connection, master)
        connection.execute("COMMIT")
    finally:
        connection.close()


def begin(connection: sqlite3.Connection, master: bytes) -> Seal:
    """Say that the file is encrypted from now on, with a new data key."""
    data_key = new_data_key()
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [("encryption", secrets.token_hex(8)), (_ENVELOPE, wrapped(data_key, master))],
    )
    return Seal(data_key)


def encrypt(connection: sqlite3.Connection, master: bytes, version: int, size: int) -> Seal:
    """Encrypt the rows of all people, in a transaction that writes; a damaged template stays so.

    Raises:
        GalleryDamagedError: a template is damaged.
    """
    plain, seal = rows.plain(version), begin(connection, master)
    sealed = rows.sealed(seal)
    for person in people.read(connection, plain):
        templates = list(whole_rows(connection, person.id, size, plain))
        insist_on_whole(person.identity, [each for _, each in templates], person.templates)
        for number, template in templates:
            _seal_template(connection, number, person.id, person.identity, template, sealed.content)
        key, label = (
            sealed.content.key("name", person.identity),
            sealed.content.label_of(person.id, person.identity),
        )
        connection.execute(
            "UPDATE identities SET name = ?, label = ? WHERE id = ?", (key, label, person.id)
        )
        people.describe(connection, person.id, person.details, person.changed, sealed)
    audit_log.chain_anew(connection, seal.chain_key)
    return seal


def change_key(connection: sqlite3.Connection, old: bytes, new: bytes, directory: Path) -> None:
    """Wrap the data key with another master key.

    Raises:
        GalleryError: the gallery is not encrypted, or not with the key ``old``.
    """
    data_key = unwrapped(_envelope(connection), old, directory)
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = ?", (wrapped(data_key, new), _ENVELOPE)
    )


def _envelope(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_ENVELOPE,)).fetchone()
    return insist_on_envelope(None if row is None else str(row[0]))


def _seal_template(
    connection: sqlite3.Connection,
    number: int,
    person: int,
    name: str,
    template: NewTemplate,
    sealed: Rows,
) -> None:
    connection.execute(
        "UPDATE templates SET embedding = ?, quality = ?, source = ?, photo_sha256 = ?, "
        "detector = ?, checksum = ? WHERE id = ?",
        (*sealed.template(number, person, name, template), number),
    )
    if template.crop:
        connection.execute(
            "UPDATE crops SET crop = ?, checksum = ? WHERE template_id = ?",
            (*sealed.crop(number, person, name, template), number),
        )
