"""A collection that is there is encrypted, once and for all of it."""

from __future__ import annotations

from typing import Any

import psycopg

from mfr.gallery.encryption_state import insist_on_whole
from mfr.gallery.people import EnrolledPerson
from mfr.gallery.postgres import audit_log, coarse, envelopes, noted_people
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.postgres.templates import whole_rows
from mfr.gallery.records import NewTemplate
from mfr.gallery.rows import PlainRows, Rows
from mfr.gallery.sealed_rows import SealedRows


def encrypt(connection: psycopg.Connection[Any], collection: Collection, master: bytes) -> Rows:
    """Encrypt the rows of everybody, and drop the index that searches in the database go by.

    Args:
        connection: holds the lock of the collection.
        collection: whose rows.
        master: the key to wrap the new data key with.

    Returns:
        How rows lie from now on.

    Raises:
        GalleryDamagedError: a template is damaged.
        psycopg.errors.InsufficientPrivilege: the role does not own the tables.
    """
    plain, sealed = PlainRows(), SealedRows(envelopes.begin(connection, collection.id, master))
    for person in noted_people.everybody(connection, collection, plain):
        templates = list(whole_rows(connection, collection, person.id, plain))
        insist_on_whole(person.identity, [each for _, each in templates], person.templates)
        _seal_templates(connection, collection, person, templates, sealed)
        connection.execute(
            "UPDATE mfr.identities SET name = %s, label = %s WHERE id = %s",
            (
                sealed.key("name", person.identity),
                sealed.label_of(person.id, person.identity),
                person.id,
            ),
        )
        noted_people.describe(
            connection, collection, person.id, person.details, person.changed, sealed
        )
    audit_log.chain_anew(connection, collection, sealed.chain_key)
    coarse.drop(connection, collection)
    return sealed


def _seal_templates(
    connection: psycopg.Connection[Any],
    collection: Collection,
    person: EnrolledPerson,
    templates: list[tuple[int, NewTemplate]],
    sealed: SealedRows,
) -> None:
    with connection.cursor() as cursor:
        values = (
            (number, sealed.template(number, person.id, person.identity, template))
            for number, template in templates
        )
        cursor.executemany(
            "UPDATE mfr.templates SET embedding = %s, sealed = %s, quality = '', source = '', "
            "detector = '', photo_sha256 = %s, checksum = '' "
            "WHERE collection_id = %s AND id = %s",
            [
                (each.embedding, each.quality, each.photo, collection.id, number)
                for number, each in values
            ],
        )
        crops = (
            (number, sealed.crop(number, person.id, person.identity, template))
            for number, template in templates
            if template.crop
        )
        cursor.executemany(
            "UPDATE mfr.crops SET crop = %s, checksum = %s "
            "WHERE collection_id = %s AND template_id = %s",
            [(*each, collection.id, number) for number, each in crops],
        )
