"""One gallery among those of a database: the row of `collections` that says what it is."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import errors

from mfr.errors import GalleryDamagedError, GalleryExistsError, GalleryMissingError
from mfr.gallery.postgres import change_log, envelopes, schema
from mfr.gallery.postgres.address import Address
from mfr.gallery.records import ModelSource


@dataclass(frozen=True)
class Collection:
    """What never changes of a gallery.

    Attributes:
        id: its number in the database.
        model_hash: the model of its templates.
        embedding_size: D, the length of their embeddings.
        secret: something random that only its readers know.
    """

    id: int
    model_hash: str
    embedding_size: int
    secret: str


def find(connection: psycopg.Connection[Any], address: Address) -> Collection:
    """The collection that ``address`` names.

    Raises:
        GalleryMissingError: there is none that the role may see.
        GalleryError: the tables are of a newer format.
    """
    if schema.version_of(connection):
        schema.insist_on_version(connection, address)
        row = connection.execute(
            "SELECT id, model_hash, embedding_size, secret FROM mfr.collections WHERE name = %s",
            (address.collection,),
        ).fetchone()
        if row is not None:
            return Collection(*row)
    raise missing(address)


def missing(address: Address) -> GalleryMissingError:
    """The error of a collection that is not there."""
    return GalleryMissingError(
        f"{address.text} is no gallery (its database has no collection '{address.collection}' that "
        f"you may see): check the address, or make one with 'mfr enroll {address.text} NAME PHOTO'."
    )


def create(
    connection: psycopg.Connection[Any],
    address: Address,
    *,
    model_hash: str,
    embedding_size: int,
    master: bytes | None,
) -> None:
    """Make an empty collection, and the tables where there are none yet.

    Args:
        connection: outside a transaction.
        address: where it is to be.
        model_hash: the model of its templates.
        embedding_size: D, the length of their embeddings.
        master: the key to encrypt it with; None for a plain one.

    Raises:
        GalleryExistsError: there is one of that name.
    """
    if schema.version_of(connection) < schema.VERSION:
        schema.make(connection, address)
    schema.insist_on_version(connection, address)
    token = change_log.new_token()
    try:
        with connection.transaction():
            row = connection.execute(
                "INSERT INTO mfr.collections (name, model_hash, embedding_size, secret, token) "
                "VALUES (%s, %s, %s, %s, %s) RETURNING id",
                (address.collection, model_hash, embedding_size, secrets.token_hex(32), token),
            ).fetchone()
            assert row is not None
            change_log.record(connection, row[0], 0, token, last_id=0)
            if master is not None:
                envelopes.begin(connection, row[0], master)
    except errors.UniqueViolation as error:
        raise GalleryExistsError(
            f"{address.text} is there already: choose another collection for the gallery."
        ) from error


def is_there(connection: psycopg.Connection[Any], address: Address) -> bool:
    """Whether the database has the collection, as far as the role may see."""
    if not schema.version_of(connection):
        return False
    row = connection.execute(
        "SELECT FROM mfr.collections WHERE name = %s", (address.collection,)
    ).fetchone()
    return row is not None


def check(connection: psycopg.Connection[Any], address: Address, collection: Collection) -> None:
    """Check what the tables say of a collection against one another.

    Raises:
        GalleryDamagedError: they contradict themselves.
    """
    row = connection.execute(
        "SELECT last_id >= coalesce((SELECT max(id) FROM mfr.templates WHERE collection_id = %(c)s)"
        ", 0) AND EXISTS (SELECT FROM mfr.changes WHERE collection_id = %(c)s "
        "AND generation = collections.generation AND token = collections.token) "
        "AND NOT EXISTS (SELECT FROM mfr.templates LEFT JOIN mfr.identities "
        "ON identities.id = identity_id "
        "WHERE templates.collection_id = %(c)s AND identities.id IS NULL) "
        "FROM mfr.collections WHERE id = %(c)s",
        {"c": collection.id},
    ).fetchone()
    if row is None or not row[0]:
        raise GalleryDamagedError(
            f"The tables of {address.text} contradict themselves: run pg_amcheck, and restore the "
            "database from a backup."
        )


def model_source(
    connection: psycopg.Connection[Any], address: Address, collection: Collection
) -> ModelSource | None:
    """Where the model of a collection was last found.

    Raises:
        GalleryDamagedError: it cannot be read.
    """
    row = connection.execute(
        "SELECT model_source FROM mfr.collections WHERE id = %s", (collection.id,)
    ).fetchone()
    if row is None or row[0] is None:
        return None
    try:
        return ModelSource(**json.loads(row[0]))
    except (ValueError, TypeError) as error:
        raise GalleryDamagedError(
            f"{address.text} says where its model is in a way that cannot be read: restore the "
            "database from a backup."
        ) from error


def remember_model(
    connection: psycopg.Connection[Any], collection: Collection, source: ModelSource
) -> None:
    """Keep where the model of a collection was found."""
    connection.execute(
        "UPDATE mfr.collections SET model_source = %s WHERE id = %s",
        (json.dumps(asdict(source)), collection.id),
    )
