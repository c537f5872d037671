"""Templates in a gallery file: stored with their checksums, and read against them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from mfr.gallery.records import DamagedTemplate, EnrolledVectors, NewTemplate
from mfr.gallery.sqlite import checksums

_ROWS_AT_ONCE: Final = 8192

_JOINED: Final = (
    # Walked through in the order of the templates. One without an identity is a damaged one.
    "FROM templates LEFT JOIN identities ON identities.id = identity_id"
)


def rows_of(connection: sqlite3.Connection, identity: int, version: int) -> list[Any]:
    """The templates of one identity, by its number, as `checksums.decoded` takes them."""
    return connection.execute(
        f"SELECT {_columns(version)} {_JOINED} WHERE identity_id = ? ORDER BY templates.id",
        (identity,),
    ).fetchall()


def read_vectors(
    connection: sqlite3.Connection, size: int, version: int, *, after: int
) -> EnrolledVectors | None:
    """The templates with ids larger than ``after``, a piece at a time to save memory.

    Args:
        connection: in a transaction.
        size: D, the length of an embedding.
        version: the format of the file.
        after: 0 for all.

    Returns:
        None when the file contradicts itself.
    """
    count = connection.execute("SELECT COUNT(*) FROM templates WHERE id > ?", (after,)).fetchone()[
        0
    ]
    ids = np.empty(count, dtype=np.int64)
    embeddings = np.empty((count, size), dtype=np.float32)
    owners: list[str] = []
    broken: list[DamagedTemplate] = []
    seen = 0
    rows = connection.execute(
        f"SELECT {_columns(version)} {_JOINED} WHERE templates.id > ? ORDER BY templates.id",
        (after,),
    )
    while piece := rows.fetchmany(_ROWS_AT_ONCE):
        seen += len(piece)
        if seen > count:
            return None
        found, sound = checksums.decoded(piece, size)
        names = [b"" if row[2] is None else row[2] for row in piece]
        texts = [name.decode("utf-8", "backslashreplace") for name in names]
        broken += [
            DamagedTemplate(piece[row][0], texts[row]) for row in np.flatnonzero(~sound).tolist()
        ]
        start, stop = len(owners), len(owners) + int(sound.sum())
        ids[start:stop] = np.array([row[0] for row in piece], dtype=np.int64)[sound]
        embeddings[start:stop] = found[sound]
        owners += [text for text, whole in zip(texts, sound.tolist(), strict=True) if whole]
    if seen != count:
        return None
    kept = len(owners)
    return EnrolledVectors(ids[:kept], owners, embeddings[:kept], tuple(broken))


def whole(
    connection: sqlite3.Connection, identity: int, size: int, version: int
) -> list[NewTemplate]:
    """The sound templates of one identity, as `insert` takes them, oldest first."""
    rows = rows_of(connection, identity, version)
    embeddings, sound = checksums.decoded(rows, size)
    detector = "detector" if version >= 2 else "''"
    others = connection.execute(
        f"SELECT source, quality, enrolled, {detector} FROM templates WHERE identity_id = ? "
        "ORDER BY id",
        (identity,),
    ).fetchall()
    crops = {number: crop for number, crop, kept in crops_of(connection, identity, version) if kept}
    return [
        NewTemplate(
            embedding,
            row[3].decode("utf-8", "backslashreplace"),
            source,
            numbers(quality),
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
    connection: sqlite3.Connection, identity: int | None, version: int
) -> Iterator[tuple[int, bytes, bool]]:
    """The kept crops of one identity or, for None, of all: template, crop, whether it is sound."""
    if version < 4:
        return
    whose, values = ("", ()) if identity is None else ("WHERE identity_id = ?", (identity,))
    rows = connection.execute(
        f"SELECT template_id, crop, CAST(name AS BLOB), CAST(photo_sha256 AS BLOB), crops.checksum "
        f"{_JOINED} JOIN crops ON template_id = templates.id {whose} ORDER BY template_id",
        values,
    )
    for number, crop, name, photo, kept in rows:
        sound = isinstance(crop, bytes) and name is not None
        yield number, crop, sound and kept == checksums.checksum(number, name, photo, crop)


def numbers(text: str) -> Any:
    """The quality in a row; that of a damaged one is unknown."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def insert(
    connection: sqlite3.Connection, name: str, templates: Sequence[NewTemplate], now: str
) -> list[int | None]:
    """Insert templates; None in the place of those that the identity already has."""
    if not templates:
        return []
    connection.execute(
        "INSERT OR IGNORE INTO identities (name, enrolled) VALUES (?, ?)", (name, now)
    )
    owner = connection.execute("SELECT id FROM identities WHERE name = ?", (name,)).fetchone()[0]
    used = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'templates'").fetchone()
    number = 1 if used is None else used[0] + 1
    ids: list[int | None] = []
    for template in templates:
        embedding = np.ascontiguousarray(template.embedding, dtype="<f4").tobytes()
        photo = template.photo_sha256
        cursor = connection.execute(
            "INSERT OR IGNORE INTO templates (id, identity_id, embedding, quality, source, "
            "photo_sha256, enrolled, detector, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                owner,
                embedding,
                json.dumps(dict(template.quality), sort_keys=True),
                template.source,
                photo,
                template.enrolled or now,
                template.detector,
                checksums.checksum(number, name.encode(), photo.encode(), embedding),
            ),
        )
        if cursor.rowcount and template.crop:
            seal = checksums.checksum(number, name.encode(), photo.encode(), template.crop)
            connection.execute("INSERT INTO crops VALUES (?, ?, ?)", (number, template.crop, seal))
        ids.append(number if cursor.rowcount else None)
        number += cursor.rowcount
    return ids


def _columns(version: int) -> str:
    kept = "checksum" if version >= 3 else "x''"
    return f"templates.id, embedding, CAST(name AS BLOB), CAST(photo_sha256 AS BLOB), {kept}"
