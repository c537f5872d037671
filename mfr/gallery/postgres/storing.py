"""Templates on their way into a database, some thousand at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import psycopg

from mfr.gallery.postgres import coarse
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.postgres.columns import Blobs, Numbers, Texts
from mfr.gallery.records import NewTemplate, check_embeddings
from mfr.gallery.rows import Rows

Owned: TypeAlias = tuple[str, NewTemplate]
"""A template and the name of its identity."""

_AT_ONCE: Final = 1024
"""So many are within the memory that PostgreSQL gives a statement unasked, 4 MB."""


class _Numbered(NamedTuple):
    """A template that is new: its number, its identity's number and name, and itself."""

    number: int
    owner: int
    name: str
    template: NewTemplate


def pieces(people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> Iterator[list[Owned]]:
    """The templates of many identities, as many at a time as are stored at once."""
    each = ((name, template) for name, templates in people for template in templates)
    while piece := list(itertools.islice(each, _AT_ONCE)):
        yield piece


def insert(
    connection: psycopg.Connection[Any],
    collection: Collection,
    owned: Sequence[Owned],
    *,
    after: int,
    now: str,
    indexed: bool,
    rows: Rows,
) -> list[int | None]:
    """Store templates; None in the place of those that their identities already have.

    Args:
        connection: holds the lock of the collection.
        collection: whose they become.
        owned: the templates.
        after: the largest id that there has been; the new ones count on from it.
        now: the present time, as `enrolled` is written.
        indexed: whether the collection keeps embeddings in half precision too.
        rows: how they lie in the tables.

    Raises:
        ForeignModelError: an embedding is not (D,).
        GalleryError: an embedding is not finite and of unit length.
    """
    embeddings = _checked(owned, collection.embedding_size)
    owners, new = _owners(connection, collection, [name for name, _ in owned], now, rows)
    enrolments = [
        (owners[name], rows.key("photo", template.photo_sha256)) for name, template in owned
    ]
    had = _had(connection, [each for each in enrolments if each[0] not in new])
    ids: list[int | None] = []
    number = after
    for enrolment in enrolments:
        if enrolment in had:
            ids.append(None)
            continue
        had.add(enrolment)
        number += 1
        ids.append(number)
    given = [
        _Numbered(number, owners[name], name, template)
        for number, (name, template) in zip(ids, owned, strict=True)
        if number is not None
    ]
    if given:
        _insert_templates(connection, collection, given, now, rows)
        if had_before := {each.owner for each in given} - new:
            connection.execute(
                "UPDATE mfr.identities SET changed = %s WHERE id = ANY(%s)",
                (now, list(had_before)),
            )
        if indexed:
            places = [place for place, number in enumerate(ids) if number is not None]
            numbers = [each.number for each in given]
            coarse.insert(connection, collection, numbers, embeddings[places])
    cropped = [each for each in given if each.template.crop]
    if cropped:
        _insert_crops(connection, collection, cropped, rows)
    return ids


def _insert_templates(
    connection: psycopg.Connection[Any],
    collection: Collection,
    given: Sequence[_Numbered],
    now: str,
    rows: Rows,
) -> None:
    values = [rows.template(*each) for each in given]
    connection.execute(
        "INSERT INTO mfr.templates (collection_id, id, identity_id, embedding, photo_sha256, "
        "source, quality, sealed, enrolled, detector, checksum) SELECT %s, * "
        "FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            collection.id,
            Numbers.of(each.number for each in given),
            Numbers.of(each.owner for each in given),
            Blobs([each.embedding for each in values]),
            Texts.of(each.photo for each in values),
            Texts.of(each.source for each in values),
            Texts.of(each.quality if isinstance(each.quality, str) else "" for each in values),
            Blobs([each.quality if isinstance(each.quality, bytes) else b"" for each in values]),
            Texts.of(each.template.enrolled or now for each in given),
            Texts.of(each.detector for each in values),
            Blobs([each.checksum for each in values]),
        ),
    )


def _insert_crops(
    connection: psycopg.Connection[Any],
    collection: Collection,
    cropped: Sequence[_Numbered],
    rows: Rows,
) -> None:
    crops = [rows.crop(*each) for each in cropped]
    connection.execute(
        "INSERT INTO mfr.crops (collection_id, template_id, crop, checksum) "
        "SELECT %s, * FROM unnest(%s, %s, %s)",
        (
            collection.id,
            Numbers.of(each.number for each in cropped),
            Blobs([crop for crop, _ in crops]),
            Blobs([checksum for _, checksum in crops]),
        ),
    )


def _checked(owned: Sequence[Owned], size: int) -> np.ndarray:
    """The embeddings (n, D), little-endian. Raises as `check_embeddings`."""
    for _, template in owned:
        if np.shape(template.embedding) != (size,):
            check_embeddings(np.asarray(template.embedding)[None], size)
    embeddings = np.array([template.embedding for _, template in owned])
    return check_embeddings(embeddings, size).astype("<f4", copy=False)


def _owners(
    connection: psycopg.Connection[Any],
    collection: Collection,
    names: Iterable[str],
    now: str,
    rows: Rows,
) -> tuple[dict[str, int], set[int]]:
    """The numbers of identities by name, and which of them were made just now."""
    keys = {name: rows.key("name", name) for name in names}
    found = connection.execute(
        "SELECT name, id FROM mfr.identities WHERE collection_id = %s AND name = ANY(%s)",
        (collection.id, list(keys.values())),
    ).fetchall()
    known: dict[str, int] = dict(found)
    owners = {name: known[key] for name, key in keys.items() if key in known}
    unknown = [name for name in keys if name not in owners]
    if not unknown:
        return owners, set()
    # Taken beforehand, because what is sealed is bound to them.
    numbers = connection.execute(
        "SELECT nextval('mfr.identities_id_seq') FROM generate_series(1, %s)", (len(unknown),)
    ).fetchall()
    new = {name: number for name, (number,) in zip(unknown, numbers, strict=True)}
    connection.execute(
        "INSERT INTO mfr.identities (collection_id, id, name, label, enrolled, changed) "
        "OVERRIDING SYSTEM VALUE SELECT %s, id, name, label, %s, %s "
        "FROM unnest(%s, %s, %s) AS new (id, name, label)",
        (
            collection.id,
            now,
            now,
            Numbers.of(new.values()),
            Texts.of(keys[name] for name in new),
            Blobs([rows.label_of(number, name) for name, number in new.items()]),
        ),
    )
    return {**owners, **new}, set(new.values())


def _had(
    connection: psycopg.Connection[Any], enrolments: Sequence[tuple[int, str]]
) -> set[tuple[int, str]]:
    """Which of the photos their identities have already: the identity's number and the photo."""
    if not enrolments:
        return set()
    found = connection.execute(
        "SELECT identity_id, photo_sha256 FROM mfr.templates WHERE photo_sha256 = ANY(%s)",
        ([photo for _, photo in enrolments],),
    ).fetchall()
    return set(found)
