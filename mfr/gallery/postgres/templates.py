"""Templates in a database, read against their checksums or opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg

from mfr.errors import GalleryDamagedError
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.records import (
    CropState,
    DamagedTemplate,
    EnrolledVectors,
    NewTemplate,
    Template,
)
from mfr.gallery.rows import About, Rows

_ROWS_AT_ONCE: Final = 1024
"""So many are within the memory that PostgreSQL gives a statement unasked, 4 MB; more would go
through temporary files, for which a full disk has no space."""

_Name: TypeAlias = tuple[bytes, bytes]
"""What stands for a person's name, and the label."""

_NOBODY: Final[tuple[None, bytes]] = (None, b"")


def rows_of(connection: psycopg.Connection[Any], identity: int) -> list[Any]:
    """The templates of one identity, by its number, as `Rows.decoded` takes them."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT templates.id, embedding, name, photo_sha256, checksum, identity_id, label "
            "FROM mfr.templates JOIN mfr.identities ON identities.id = identity_id "
            "WHERE identity_id = %s ORDER BY templates.id",
            (identity,),
        ).fetchall()
    return [
        (number, blob, key.encode(), photo.encode(), *rest)
        for number, blob, key, photo, *rest in rows
    ]


def read_vectors(
    connection: psycopg.Connection[Any], collection: Collection, rows: Rows, *, after: int
) -> EnrolledVectors:
    """The templates with ids larger than ``after``, a piece at a time to save memory.

    Args:
        connection: in a transaction that has one view of the tables.
        collection: whose templates.
        rows: how they lie in the table.
        after: 0 for all.

    Raises:
        GalleryDamagedError: the tables contradict themselves.
    """
    where = "FROM mfr.templates WHERE collection_id = %s AND id > %s"
    counted = connection.execute(f"SELECT count(*) {where}", (collection.id, after)).fetchone()
    count = 0 if counted is None else int(counted[0])
    ids = np.empty(count, dtype=np.int64)
    embeddings = np.empty((count, collection.embedding_size), dtype=np.float32)
    owners: list[str] = []
    broken: list[DamagedTemplate] = []
    names: dict[int, _Name] = {}
    seen = 0
    # Along the key: without statistics PostgreSQL may sort all embeddings, through such files too.
    connection.execute("SET LOCAL enable_sort = off")
    with connection.cursor("templates", binary=True) as cursor:
        cursor.execute(
            f"SELECT id, embedding, identity_id, photo_sha256, checksum {where} ORDER BY id",
            (collection.id, after),
        )
        while piece := cursor.fetchmany(_ROWS_AT_ONCE):
            seen += len(piece)
            if seen > count:
                break
            _learn_names(connection, {row[2] for row in piece}, names)
            found, sound, whose = rows.decoded(
                [
                    (number, blob, key, photo.encode(), kept, owner, label)
                    for number, blob, owner, photo, kept in piece
                    for key, label in (names.get(owner, _NOBODY),)
                ],
                collection.embedding_size,
            )
            broken += [
                DamagedTemplate(piece[row][0], whose[row])
                for row in np.flatnonzero(~sound).tolist()
            ]
            start, stop = len(owners), len(owners) + int(sound.sum())
            ids[start:stop] = np.array([row[0] for row in piece], dtype=np.int64)[sound]
            embeddings[start:stop] = found[sound]
            owners += [name for name, fine in zip(whose, sound.tolist(), strict=True) if fine]
    if seen != count:
        raise GalleryDamagedError(
            "The tables of the gallery contradict themselves: run pg_amcheck, and restore the "
            "database from a backup."
        )
    kept = len(owners)
    return EnrolledVectors(ids[:kept], owners, embeddings[:kept], tuple(broken))


def shown(
    connection: psycopg.Connection[Any], collection: Collection, identity: int, rows: Rows
) -> list[Template]:
    """The templates of one identity without their embeddings, oldest first."""
    stored = rows_of(connection, identity)
    sound = rows.decoded(stored, collection.embedding_size).sound.tolist()
    crops: dict[int, CropState] = {
        number: "damaged" if crop is None else "kept"
        for number, crop in crops_of(connection, collection, identity, rows)
    }
    return [
        Template(
            number,
            about.source,
            about.photo_sha256,
            enrolled,
            about.quality,
            about.detector,
            damaged=not fine,
            crop=crops.get(number, "none"),
        )
        for (number, enrolled, about), fine in zip(
            _others_of(connection, identity, rows), sound, strict=True
        )
    ]


def whole_rows(
    connection: psycopg.Connection[Any], collection: Collection, identity: int, rows: Rows
) -> Iterator[tuple[int, NewTemplate]]:
    """The sound templates of one identity, each with its id, date and kept crop, oldest first."""
    stored = rows_of(connection, identity)
    embeddings, sound, _ = rows.decoded(stored, collection.embedding_size)
    crops = dict(crops_of(connection, collection, identity, rows))
    for (number, enrolled, about), embedding, fine in zip(
        _others_of(connection, identity, rows), embeddings, sound.tolist(), strict=True
    ):
        if fine:
            yield (
                number,
                NewTemplate(
                    embedding,
                    about.photo_sha256,
                    about.source,
                    about.quality,
                    about.detector,
                    crop=crops.get(number) or b"",
                    enrolled=enrolled,
                ),
            )


def crops_of(
    connection: psycopg.Connection[Any], collection: Collection, identity: int | None, rows: Rows
) -> Iterator[tuple[int, bytes | None]]:
    """The kept crops of one identity or, for None, of all, by template; None for a damaged one."""
    with connection.cursor("crops", binary=True) as cursor:
        cursor.itersize = 256
        cursor.execute(
            "SELECT template_id, identity_id, name, photo_sha256, crop, crops.checksum "
            "FROM mfr.crops JOIN mfr.templates ON templates.collection_id = crops.collection_id "
            "AND templates.id = template_id "
            "JOIN mfr.identities ON identities.id = identity_id "
            "WHERE crops.collection_id = %s AND identity_id = coalesce(%s::bigint, identity_id) "
            "ORDER BY template_id",
            (collection.id, identity),
        )
        for number, person, key, photo, *crop in cursor:
            yield number, rows.crop_of(number, person, key.encode(), photo.encode(), crop)


def _others_of(
    connection: psycopg.Connection[Any], identity: int, rows: Rows
) -> list[tuple[int, str, About]]:
    """Of each template of one identity: its id, its date, and what is known of it."""
    found = connection.execute(
        "SELECT id, enrolled, source, photo_sha256, quality, detector, sealed FROM mfr.templates "
        "WHERE identity_id = %s ORDER BY id",
        (identity,),
    ).fetchall()
    return [
        (number, at, rows.described(number, identity, (source, photo, sealed or quality, detector)))
        for number, at, source, photo, quality, detector, sealed in found
    ]


def _learn_names(
    connection: psycopg.Connection[Any],
    identities: set[int],
    names: dict[int, _Name],
) -> None:
    """Add the names of identities to ``names``, unless they are there."""
    unknown = list(identities.difference(names))
    if unknown:
        found = connection.execute(
            "SELECT id, name, label FROM mfr.identities WHERE id = ANY(%s)", (unknown,)
        )
        names.update((number, (key.encode(), label)) for number, key, label in found.fetchall())
