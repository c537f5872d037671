"""Templates in a database, read against their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import psycopg

from mfr.errors import GalleryDamagedError
from mfr.gallery import checksums
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.records import DamagedTemplate, EnrolledVectors, NewTemplate, quality_from

_ROWS_AT_ONCE: Final = 4096


def rows_of(connection: psycopg.Connection[Any], identity: int, name: str) -> list[Any]:
    """The templates of one identity, by number and name, as `checksums.decoded` takes them."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT id, embedding, photo_sha256, checksum FROM mfr.templates "
            "WHERE identity_id = %s ORDER BY id",
            (identity,),
        ).fetchall()
    owner = name.encode()
    return [(number, blob, owner, photo.encode(), kept) for number, blob, photo, kept in rows]


def read_vectors(
    connection: psycopg.Connection[Any], collection: Collection, *, after: int
) -> EnrolledVectors:
    """The templates with ids larger than ``after``, a piece at a time to save memory.

    Args:
        connection: in a transaction that has one view of the tables.
        collection: whose templates.
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
    names: dict[int, str] = {}
    seen = 0
    with connection.cursor("templates", binary=True) as rows:
        rows.execute(
            f"SELECT id, embedding, identity_id, photo_sha256, checksum {where} ORDER BY id",
            (collection.id, after),
        )
        while piece := rows.fetchmany(_ROWS_AT_ONCE):
            seen += len(piece)
            if seen > count:
                break
            _learn_names(connection, {row[2] for row in piece}, names)
            whose = [names.get(row[2]) for row in piece]
            found, sound = checksums.decoded(
                [
                    (number, blob, None if name is None else name.encode(), photo.encode(), kept)
                    for (number, blob, _, photo, kept), name in zip(piece, whose, strict=True)
                ],
                collection.embedding_size,
            )
            broken += [
                DamagedTemplate(piece[row][0], whose[row] or "")
                for row in np.flatnonzero(~sound).tolist()
            ]
            start, stop = len(owners), len(owners) + int(sound.sum())
            ids[start:stop] = np.array([row[0] for row in piece], dtype=np.int64)[sound]
            embeddings[start:stop] = found[sound]
            owners += [name for name, fine in zip(whose, sound, strict=True) if fine and name]
    if seen != count:
        raise GalleryDamagedError(
            "The tables of the gallery contradict themselves: run pg_amcheck, and restore the "
            "database from a backup."
        )
    kept = len(owners)
    return EnrolledVectors(ids[:kept], owners, embeddings[:kept], tuple(broken))


def whole(
    connection: psycopg.Connection[Any], collection: Collection, identity: int, name: str
) -> list[NewTemplate]:
    """The sound templates of one identity, with dates and kept crops, oldest first."""
    rows = rows_of(connection, identity, name)
    embeddings, sound = checksums.decoded(rows, collection.embedding_size)
    others = connection.execute(
        "SELECT source, quality, enrolled, detector FROM mfr.templates "
        "WHERE identity_id = %s ORDER BY id",
        (identity,),
    ).fetchall()
    kept = crops_of(connection, collection, identity)
    crops = {number: crop for number, crop, fine in kept if fine}
    return [
        NewTemplate(
            embedding,
            row[3].decode(),
            source,
            quality_from(quality),
            found_by,
            crop=crops.get(row[0], b""),
            enrolled=enrolled,
        )
        for row, embedding, fine, (source, quality, enrolled, found_by) in zip(
            rows, embeddings, sound.tolist(), others, strict=True
        )
        if fine
    ]


def crops_of(
    connection: psycopg.Connection[Any], collection: Collection, identity: int | None
) -> Iterator[tuple[int, bytes, bool]]:
    """The kept crops of one identity or, for None, of all: template, crop, whether it is sound."""
    with connection.cursor("crops", binary=True) as rows:
        rows.itersize = 256
        rows.execute(
            "SELECT template_id, crop, name, photo_sha256, crops.checksum FROM mfr.crops "
            "JOIN mfr.templates ON templates.collection_id = crops.collection_id "
            "AND templates.id = template_id "
            "JOIN mfr.identities ON identities.id = identity_id "
            "WHERE crops.collection_id = %s AND identity_id = coalesce(%s::bigint, identity_id) "
            "ORDER BY template_id",
            (collection.id, identity),
        )
        for number, crop, name, photo, kept in rows:
            seal = checksums.checksum(number, name.encode(), photo.encode(), crop)
            yield number, crop, seal == kept


def _learn_names(
    connection: psycopg.Connection[Any],
    identities: set[int],
    names: dict[int, str],
) -> None:
    """Add the names of identities to ``names``, unless they are there."""
    unknown = list(identities.difference(names))
    if unknown:
        names.update(
            connection.execute(
                "SELECT id, name FROM mfr.identities WHERE id = ANY(%s)", (unknown,)
            ).fetchall()
        )
