"""Templates on their way into a database, some thousand at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import psycopg

from mfr.gallery.checksums import checksum
from mfr.gallery.postgres import coarse
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.postgres.columns import Blobs, Numbers, Texts
from mfr.gallery.records import NewTemplate, check_embeddings

Owned: TypeAlias = tuple[str, NewTemplate]
"""A template and the name of its identity."""

_AT_ONCE: Final = 1024
"""So many are within the memory that PostgreSQL gives a statement unasked, 4 MB."""


class _Numbered(NamedTuple):
    """A template that is new: its number, its identity's number and name, and what is stored."""

    number: int
    owner: int
    name: str
    template: NewTemplate
    embedding: bytes

    def seal(self, content: bytes) -> bytes:
        """The checksum of the embedding or the crop."""
        photo = self.template.photo_sha256
        return checksum(self.number, self.name.encode(), photo.encode(), content)


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
) -> list[int | None]:
    """Store templates; None in the place of those that their identities already have.

    Args:
        connection: holds the lock of the collection.
        collection: whose they become.
        owned: the templates.
        after: the largest id that there has been; the new ones count on from it.
        now: the present time, as `enrolled` is written.
        indexed: whether the collection keeps embeddings in half precision too.

    Raises:
        ForeignModelError: an embedding is not (D,).
        GalleryError: an embedding is not finite and of unit length.
    """
    embeddings = _checked(owned, collection.embedding_size)
    owners, new = _owners(connection, collection, [name for name, _ in owned], now)
    had = _photos_had(connection, owners, new, owned)
    ids: list[int | None] = []
    number = after
    for name, template in owned:
        enrolment = owners[name], template.photo_sha256
        if enrolment in had:
            ids.append(None)
            continue
        had.add(enrolment)
        number += 1
        ids.append(number)
    given = [
        _Numbered(number, owners[name], name, template, embedding.tobytes())
        for number, (name, template), embedding in zip(ids, owned, embeddings, strict=True)
        if number is not None
    ]
    if given:
        _insert_templates(connection, collection, given, now)
        if had_before := {each.owner for each in given} - new:
            connection.execute(
                "UPDATE mfr.identities SET changed = %s WHERE id = ANY(%s)",
                (now, list(had_before)),
            )
        if indexed:
            rows = [row for row, number in enumerate(ids) if number is not None]
            coarse.insert(connection, collection, [each.number for each in given], embeddings[rows])
    cropped = [each for each in given if each.template.crop]
    if cropped:
        _insert_crops(connection, collection, cropped)
    return ids


def _insert_templates(
    connection: psycopg.Connection[Any],
    collection: Collection,
    given: Sequence[_Numbered],
    now: str,
) -> None:
    connection.execute(
        "INSERT INTO mfr.templates (collection_id, id, identity_id, embedding, photo_sha256, "
        "source, quality, enrolled, detector, checksum) SELECT %s, * "
        "FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            collection.id,
            Numbers.of(each.number for each in given),
            Numbers.of(each.owner for each in given),
            Blobs([each.embedding for each in given]),
            Texts.of(each.template.photo_sha256 for each in given),
            Texts.of(each.template.source for each in given),
            Texts.of(json.dumps(dict(each.template.quality), sort_keys=True) for each in given),
            Texts.of(each.template.enrolled or now for each in given),
            Texts.of(each.template.detector for each in given),
            Blobs([each.seal(each.embedding) for each in given]),
        ),
    )


def _insert_crops(
    connection: psycopg.Connection[Any], collection: Collection, cropped: Sequence[_Numbered]
) -> None:
    connection.execute(
        "INSERT INTO mfr.crops (collection_id, template_id, crop, checksum) "
        "SELECT %s, * FROM unnest(%s, %s, %s)",
        (
            collection.id,
            Numbers.of(each.number for each in cropped),
            Blobs([each.template.crop for each in cropped]),
            Blobs([each.seal(each.template.crop) for each in cropped]),
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
    connection: psycopg.Connection[Any], collection: Collection, names: Iterable[str], now: str
) -> tuple[dict[str, int], set[int]]:
    """The numbers of identities by name, and which of them were made just now."""
    unique = list(dict.fromkeys(names))
    made = connection.execute(
        "INSERT INTO mfr.identities (collection_id, name, enrolled, changed) "
        "SELECT %s, name, %s, %s FROM unnest(%s::text[]) AS name "
        "ON CONFLICT DO NOTHING RETURNING name, id",
        (collection.id, now, now, unique),
    ).fetchall()
    owners: dict[str, int] = dict(made)
    new = set(owners.values())
    known = [name for name in unique if name not in owners]
    if known:
        owners.update(
            connection.execute(
                "SELECT name, id FROM mfr.identities WHERE collection_id = %s AND name = ANY(%s)",
                (collection.id, known),
            ).fetchall()
        )
    return owners, new


def _photos_had(
    connection: psycopg.Connection[Any],
    owners: dict[str, int],
    new: set[int],
    owned: Sequence[Owned],
) -> set[tuple[int, str]]:
    """Which of the photos their identities have already: the identity's number and the photo."""
    asked = [
        (owners[name], template.photo_sha256) for name, template in owned if owners[name] not in new
    ]
    if not asked:
        return set()
    found = connection.execute(
        "SELECT identity_id, photo_sha256 FROM mfr.templates WHERE photo_sha256 = ANY(%s)",
        ([photo for _, photo in asked],),
    ).fetchall()
    return set(found)
