"""People in a gallery file: their numbers and names, and what is noted of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from mfr.errors import GalleryDamagedError
from mfr.gallery.people import Details, EnrolledPerson, external_id_taken
from mfr.gallery.sqlite.rows import FileRows


def find(connection: sqlite3.Connection, name: str, rows: FileRows) -> int | None:
    """The number of the person who is enrolled under ``name``."""
    row = connection.execute(
        "SELECT id FROM identities WHERE name = ?", (rows.content.key("name", name),)
    ).fetchone()
    if row is None and "\\x" in name:  # a damaged name, as it is shown
        every = connection.execute(f"SELECT id, name, {rows.label} FROM identities")
        row = next((each for each in every if rows.content.name_of(*each) == name), None)
    return None if row is None else int(row[0])


def enter(connection: sqlite3.Connection, name: str, now: str, rows: FileRows) -> int:
    """The number of the person called ``name``, who is entered if new and changes now if not."""
    key = rows.content.key("name", name)
    row = connection.execute("SELECT id FROM identities WHERE name = ?", (key,)).fetchone()
    if row is not None:
        touch(connection, row[0], now)
        return int(row[0])
    person = _next_number(connection)
    connection.execute(
        "INSERT INTO identities (id, name, enrolled, label, changed) VALUES (?, ?, ?, ?, ?)",
        (person, key, now, rows.content.label_of(person, name), now),
    )
    return person


def touch(connection: sqlite3.Connection, person: int, now: str) -> None:
    """Note that a person's templates or details changed."""
    connection.execute("UPDATE identities SET changed = ? WHERE id = ?", (now, person))


def is_described(connection: sqlite3.Connection, person: int) -> bool:
    """Whether anything was noted of a person, be it damaged."""
    row = connection.execute("SELECT details FROM identities WHERE id = ?", (person,)).fetchone()
    return bool(row[0])


def describe(
    connection: sqlite3.Connection, person: int, details: Details, now: str, rows: FileRows
) -> None:
    """Put ``details`` in the place of a person's former ones.

    Raises:
        GalleryError: the external id is another person's.
    """
    external = rows.content.key("external id", details.external_id) if details.external_id else ""
    taken = (
        external
        and connection.execute(
            f"SELECT id, name, {rows.label} FROM identities WHERE external_id = ? AND id <> ?",
            (external, person),
        ).fetchone()
    )
    if taken:
        raise external_id_taken(details.external_id, rows.content.name_of(*taken))
    connection.execute(
        "UPDATE identities SET external_id = ?, details = ?, changed = ? WHERE id = ?",
        (external, rows.content.details_for(person, details), now, person),
    )
    connection.execute("DELETE FROM memberships WHERE identity_id = ?", (person,))
    connection.executemany(
        "INSERT INTO memberships VALUES (?, ?)",
        [(rows.content.key("group", group), person) for group in sorted(details.groups)],
    )


def read(
    connection: sqlite3.Connection, rows: FileRows, where: str = "", values: Sequence[Any] = ()
) -> list[EnrolledPerson]:
    """The people of whom ``where`` is true, by name.

    Raises:
        GalleryDamagedError: somebody's details are not what was stored.
    """
    changed, has_details = "''", rows.details != "''"
    if has_details:
        changed = "changed"
    found = connection.execute(
        f"SELECT identities.id, name, {rows.label}, {rows.details}, COUNT(templates.id), "
        f"identities.enrolled, {changed} FROM identities JOIN templates "
        f"ON templates.identity_id = identities.id {where} GROUP BY identities.id",
        values,
    ).fetchall()
    people = []
    for person, key, label, details, templates, created, last in found:
        name = rows.content.name_of(person, key, label)
        try:
            known = rows.content.details_of(person, details)
        except ValueError as error:
            raise GalleryDamagedError(
                f"What is noted of '{name}' is damaged: note it again with 'mfr gallery describe', "
                "or restore the gallery from a backup."
            ) from error
        people.append(EnrolledPerson(person, name, known, templates, created, last or created))
    return sorted(people, key=lambda each: each.identity)


def members(connection: sqlite3.Connection, group: str, rows: FileRows) -> list[str]:
    """The names of the people in a group."""
    found = connection.execute(
        f"SELECT id, name, {rows.label} FROM memberships JOIN identities "
        "ON identities.id = identity_id WHERE group_name = ?",
        (rows.content.key("group", group),),
    )
    return sorted(rows.content.name_of(*each) for each in found.fetchall())


def leave(connection: sqlite3.Connection, person: int) -> None:
    """Remove a person who has no templates left, and keep the number from others."""
    gone = connection.execute(
        "DELETE FROM identities WHERE id = ? "
        "AND NOT EXISTS (SELECT 1 FROM templates WHERE identity_id = identities.id)",
        (person,),
    )
    if gone.rowcount:
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'last_person' AND CAST(value AS INTEGER) < ?",
            (str(person), person),
        )


def _next_number(connection: sqlite3.Connection) -> int:
    """A number that nobody has had: beyond those who are there and who were removed."""
    last = connection.execute(
        "SELECT max((SELECT coalesce(MAX(id), 0) FROM identities), "
        "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_person'))"
    ).fetchone()[0]
    return int(last or 0) + 1
