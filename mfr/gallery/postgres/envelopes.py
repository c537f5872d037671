"""The data key of an encrypted collection, which the collection's row keeps wrapped."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg

from mfr.gallery.encryption_state import insist_on_envelope
from mfr.sealing.envelope import new_data_key, unwrapped, wrapped
from mfr.sealing.master_key import master_key
from mfr.sealing.seal import Seal


def seal_of(connection: psycopg.Connection[Any], collection: int, where: str) -> Seal:
    """The seal of an encrypted collection, by the master key that the environment names.

    Raises:
        GalleryKeyError: it names none, or another one.
        ConfigError: the key cannot be had, or the package cryptography is not installed.
    """
    return Seal(unwrapped(_envelope(connection, collection), master_key(), where))


def begin(connection: psycopg.Connection[Any], collection: int, master: bytes) -> Seal:
    """Say that a collection is encrypted from now on, with a new data key."""
    data_key = new_data_key()
    connection.execute(
        "UPDATE mfr.collections SET encryption = %s, envelope = %s WHERE id = %s",
        (secrets.token_hex(8), wrapped(data_key, master), collection),
    )
    return Seal(data_key)


def change_key(
    connection: psycopg.Connection[Any], collection: int, old: bytes, new: bytes, where: str
) -> None:
    """Wrap the data key with another master key.

    Raises:
        GalleryError: the collection is not encrypted, or not with the key ``old``.
    """
    data_key = unwrapped(_envelope(connection, collection), old, where)
    connection.execute(
        "UPDATE mfr.collections SET envelope = %s WHERE id = %s",
        (wrapped(data_key, new), collection),
    )


def _envelope(connection: psycopg.Connection[Any], collection: int) -> str:
    row = connection.execute(
        "SELECT envelope FROM mfr.collections WHERE id = %s", (collection,)
    ).fetchone()
    return insist_on_envelope(None if row is None else str(row[0]))
