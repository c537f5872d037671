"""Templates in a gallery file: stored with their checksums, and read against them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from mfr.gallery.records import (
    CropState,
    DamagedTemplate,
    EnrolledVectors,
    NewTemplate,
    Template,
)
from mfr.gallery.sqlite.rows import FileRows

_ROWS_AT_ONCE: Final = 8192

_JOINED: Final = (
    # Walked through in the order of the templates. One without an identity is a damaged one.
    "FROM templates LEFT JOIN identities ON identities.id = identity_id"
)


def rows_of(connection: sqlite3.Connection, identity: int, rows: FileRows) -> list[Any]:
    """The templates of one identity, by its number, as `Rows.decoded` takes them."""
    return connection.execute(
        f"SELECT {rows.columns} {_JOINED} WHERE identity_id = ? ORDER BY templates.id",
        (identity,),
    ).fetchall()


def read_vectors(
    connection: sqlite3.Connection, size: int, rows: FileRows, *, after: int
) -> EnrolledVectors | None:
    """The templates with ids larger than ``after``, a piece at a time to save memory.

    Args:
        connection: in a transaction.
        size: D, the length of an embedding.
        rows: how they lie in the file.
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
    cursor = connection.execute(
        f"SELECT {rows.columns} {_JOINED} WHERE templates.id > ? ORDER BY templates.id",
        (after,),
    )
    while piece := cursor.fetchmany(_ROWS_AT_ONCE):
        seen += len(piece)
        if seen > count:
            return None
        found, sound, names = rows.content.decoded(piece, size)
        broken += [
            DamagedTemplate(piece[row][0], names[row]) for row in np.flatnonzero(~sound).tolist()
        ]
        start, stop = len(owners), len(owners) + int(sound.sum())
        ids[start:stop] = np.array([row[0] for row in piece], dtype=np.int64)[sound]
        embeddings[start:stop] = found[sound]
        owners += [name for name, whole in zip(names, sound.tolist(), strict=True) if whole]
    if seen != count:
        return None
    kept = len(owners)
    return EnrolledVectors(ids[:kept], owners, embeddings[:kept], tuple(broken))


def shown(
    connection: sqlite3.Connection, identity: int, size: int, rows: FileRows
) -> list[Template]:
    """The templates of one identity without their embeddings, oldest first."""
    sound = rows.content.decoded(rows_of(connection, identity, rows), size).sound.tolist()
    crops: dict[int, CropState] = {
        number: "damaged" if crop is None else "kept"
        for number, crop in crops_of(connection, identity, rows)
    }
    found = []
    for (number, enrolled, *others), fine in zip(
        _others_of(connection, identity, rows), sound, strict=True
    ):
        about = rows.content.described(number, identity, others)
        found.append(
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
        )
    return found


def whole(
    connection: sqlite3.Connection, identity: int, size: int, rows: FileRows
) -> list[NewTemplate]:
    """The sound templates of one identity, as `insert` takes them, oldest first."""
    return [template for _, template in whole_rows(connection, identity, size, rows)]


def whole_rows(
    connection: sqlite3.Connection, identity: int, size: int, rows: FileRows
) -> Iterator[tuple[int, NewTemplate]]:
    """As `whole`, each with its id."""
    embeddings, sound, _ = rows.content.decoded(rows_of(connection, identity, rows), size)
    crops = dict(crops_of(connection, identity, rows))
    for (number, enrolled, *others), embedding, fine in zip(
        _others_of(connection, identity, rows), embeddings, sound.tolist(), strict=True
    ):
        about = rows.content.described(number, identity, others)
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
    connection: sqlite3.Connection, identity: int | None, rows: FileRows
) -> Iterator[tuple[int, bytes | None]]:
    """The kept crops of one identity or, for None, of all, by template; None for a damaged one."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'crops'").fetchone():
        return  # a file of an older format
    whose, values = ("", ()) if identity is None else ("WHERE identity_id = ?", (identity,))
    found = connection.execute(
        "SELECT template_id, identity_id, CAST(name AS BLOB), CAST(photo_sha256 AS BLOB), crop, "
        f"crops.checksum {_JOINED} JOIN crops ON template_id = templates.id {whose} "
        "ORDER BY template_id",
        values,
    )
    for number, person, name, photo, *crop in found:
        yield number, rows.content.crop_of(number, person, name, photo, crop)


def insert(
    connection: sqlite3.Connection,
    person: int,
    name: str,
    templates: Sequence[NewTemplate],
    now: str,
    rows: FileRows,
) -> list[int | None]:
    """Insert templates of a person; None in the place of those that the person already has."""
    used = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'templates'").fetchone()
    number = 1 if used is None else used[0] + 1
    ids: list[int | None] = []
    for template in templates:
        cursor = connection.execute(
            "INSERT OR IGNORE INTO templates (id, identity_id, embedding, quality, source, "
            "photo_sha256, detector, checksum, enrolled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                person,
                *rows.content.template(number, person, name, template),
                template.enrolled or now,
            ),
        )
        if cursor.rowcount and template.crop:
            crop, seal = rows.content.crop(number, person, name, template)
            connection.execute("INSERT INTO crops VALUES (?, ?, ?)", (number, crop, seal))
        ids.append(number if cursor.rowcount else None)
        number += cursor.rowcount
    return ids


def _others_of(connection: sqlite3.Connection, identity: int, rows: FileRows) -> list[Any]:
    """Of each template of one identity: its id, its date, and what `Rows.described` takes."""
    return connection.execute(
        f"SELECT id, enrolled, {rows.about} FROM templates WHERE identity_id = ? ORDER BY id",
        (identity,),
    ).fetchall()
