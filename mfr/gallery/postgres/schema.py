"""The tables of galleries in a database, and how those of an older format become this one's."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

import psycopg
from psycopg import errors

from mfr.errors import GalleryError
from mfr.gallery.postgres.address import Address

VERSION: Final = 2
"""The format this program writes; ``sql/N.sql`` leads from format N - 1 to N. Version 1 had no
encryption."""

_LOCK: Final = 0x4D465247  # "MFRG": whoever makes or changes the tables holds this advisory lock.


def script(name: str) -> str:
    """The text of ``sql/NAME.sql`` of this package."""
    return resources.files("mfr.gallery.postgres").joinpath("sql", f"{name}.sql").read_text("utf-8")


def version_of(connection: psycopg.Connection[Any]) -> int:
    """The format of the database's tables; 0 where there are none yet."""
    found = connection.execute("SELECT to_regclass('mfr.schema_version')").fetchone()
    if found is None or found[0] is None:
        return 0
    row = connection.execute("SELECT version FROM mfr.schema_version").fetchone()
    return 0 if row is None else int(row[0])


def insist_on_version(connection: psycopg.Connection[Any], address: Address) -> None:
    """Bring the tables, which are there, to this program's format.

    Raises:
        GalleryError: they are of a newer format, or of an older one and another role's.
    """
    version = version_of(connection)
    if version > VERSION:
        raise GalleryError(
            f"{address.text} is of gallery format {version}, this program knows formats up to "
            f"{VERSION}: install the mfr that wrote it."
        )
    if version < VERSION:
        try:
            make(connection, address)
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
            raise GalleryError(
                f"The tables of {address.text} are of format {version}, and you may not bring them "
                f"to format {VERSION}: let their owner run 'mfr gallery list {address.text}' once."
            ) from error


def make(connection: psycopg.Connection[Any], address: Address) -> None:
    """Make the tables where there are none, or bring older ones to this program's format.

    Programs that do this at the same time wait for one another; the others find it done.

    Raises:
        GalleryError: the database's text is not in UTF-8.
        psycopg.errors.InsufficientPrivilege: the role may not.
    """
    # Not a lock of the transaction's: one that is under way does not learn which tables others have
    # made while it waited.
    connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    try:
        with connection.transaction():
            _upgrade(connection, address)
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _upgrade(connection: psycopg.Connection[Any], address: Address) -> None:
    encoding = connection.execute("SHOW server_encoding").fetchone()
    if encoding is None or encoding[0] != "UTF8":
        raise GalleryError(
            f"The database of {address.text} does not keep its text in UTF-8: make one with "
            "'createdb --encoding UTF8 --template template0 NAME'."
        )
    version = version_of(connection)
    for each in range(version + 1, VERSION + 1):
        connection.execute(script(str(each)).encode())
    if version < VERSION:
        connection.execute("DELETE FROM mfr.schema_version")
        connection.execute("INSERT INTO mfr.schema_version VALUES (%s)", (VERSION,))
