"""Templates in a gallery file: stored with their checksums, and read against them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
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
                now,
                template.detector,
                checksums.checksum(number, name.encode(), photo.encode(), embedding),
            ),
        )
        ids.append(number if cursor.rowcount else None)
        number += cursor.rowcount
    return ids


def _columns(version: int) -> str:
    kept = "checksum" if version >= 3 else "x''"
    return f"templates.id, embedding, CAST(name AS BLOB), CAST(photo_sha256 AS BLOB), {kept}"
