"""Roles with the least of rights, and rows that only those see who may."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from psycopg import errors

from mfr.errors import GalleryMissingError, WriteError
from mfr.gallery import NewTemplate
from mfr.gallery.audit import first_broken
from mfr.gallery.people import Details
from mfr.gallery.postgres.schema import script
from mfr.gallery.store import create_store, occupied, open_store
from tests.gallery.postgres_server import Server, running_server

ONE = NewTemplate(np.array([1, 0, 0], np.float32), "photo")


class Roles(NamedTuple):
    server: Server
    database: str

    def address(self, user: str, collection: str = "staff") -> str:
        return str(self.server.address(self.database, collection, user))

    def rows(self, user: str, query: str, collection: str | None = None) -> object:
        """What a statement gives to someone who talks to the database without this program."""
        with self.server.connect(self.database, user) as connection:
            if collection is not None:
                connection.execute("SELECT set_config('mfr.collection', %s, false)", (collection,))
            found = connection.execute(query.encode()).fetchone()
        return None if found is None else found[0]


@pytest.fixture
def roles() -> Roles:
    """A database of two collections with a person each, and a user of each role."""
    server = running_server()
    found = Roles(server, server.new_database())
    for collection in ("staff", "guests"):
        store = create_store(
            found.address("postgres", collection), model_hash="feed", embedding_size=3
        )
        store.add(f"{collection}-ada", [ONE])
        store.close()
    for _ in range(2):  # it may be run again
        server.client("psql", "-v", "ON_ERROR_STOP=1", "-d", found.database, text=script("roles"))
    with server.connect(found.database) as connection:
        for name in ("reader", "writer", "admin"):
            if not connection.execute(
                "SELECT FROM pg_roles WHERE rolname = %s", (f"a_{name}",)
            ).fetchall():
                connection.execute(f"CREATE ROLE a_{name} LOGIN IN ROLE mfr_{name}".encode())
    return found


def test_a_reader_reads_and_a_writer_writes(roles: Roles) -> None:
    reader = open_store(roles.address("a_reader"))
    writer = open_store(roles.address("a_writer"))
    stamp = reader.stamp
    for change in (
        lambda: reader.add("eve", [ONE]),
        lambda: reader.remove("staff-ada"),
        lambda: reader.put_note("a", "b"),
    ):
        with pytest.raises(WriteError, match="role mfr_writer"):
            change()
    writer.add("bob", [ONE])
    writer.describe("bob", Details("Bob"))
    reader.log("identified", person="bob", facts={})
    assert first_broken(reader.audit(), b"") is None
    writer.put_note("a", "b")
    assert [each.identity for each in reader.identities()] == ["bob", "staff-ada"]
    changes = reader.changes(stamp)
    assert changes is not None and changes.added.owners == ["bob"]
    assert writer.remove("bob") == 1
    version = roles.rows("postgres", "SELECT current_setting('server_version_num')::integer")
    assert isinstance(version, int)
    assert (writer.remarks() == []) is (version >= 170000)  # where a writer may vacuum
    reader.close()
    writer.close()


def test_galleries_are_made_by_administrators(roles: Roles) -> None:
    for user in ("a_reader", "a_writer"):
        with pytest.raises(WriteError, match="mfr_admin"):
            create_store(roles.address(user, "new"), model_hash="feed", embedding_size=3)
    store = create_store(roles.address("a_admin", "new"), model_hash="feed", embedding_size=3)
    store.add("ada", [ONE])
    store.close()


@pytest.mark.parametrize("user", ["a_reader", "a_writer", "a_admin"])
def test_nobody_changes_the_audit_log(roles: Roles, user: str) -> None:
    for change in ("UPDATE mfr.audit SET actor = 'x'", "DELETE FROM mfr.audit"):
        with pytest.raises(errors.InsufficientPrivilege):
            roles.rows(user, change, "staff")


@pytest.mark.parametrize("user", ["a_reader", "a_writer"])
def test_rows_of_other_collections_are_not_seen(roles: Roles, user: str) -> None:
    tables = ("collections", "identities", "templates", "changes")
    for table in tables:
        assert roles.rows(user, f"SELECT count(*) FROM mfr.{table}") == 0
        mine = roles.rows(user, f"SELECT count(*) FROM mfr.{table}", "staff")
        every = roles.rows("postgres", f"SELECT count(*) FROM mfr.{table}")
        assert isinstance(mine, int) and every == 2 * mine > 0
    assert roles.rows(user, "SELECT name FROM mfr.identities", "guests") == "guests-ada"


def test_a_reserved_collection_is_seen_by_its_role_only(roles: Roles) -> None:
    with roles.server.connect(roles.database) as connection:
        connection.execute("DROP ROLE IF EXISTS front_desk, a_guard")
        connection.execute("CREATE ROLE front_desk")
        connection.execute("CREATE ROLE a_guard LOGIN IN ROLE mfr_reader, front_desk")
        connection.execute(
            "UPDATE mfr.collections SET reserved_for = 'front_desk' WHERE name = 'staff'"
        )
    with pytest.raises(GalleryMissingError, match="you may see"):
        open_store(roles.address("a_reader"))
    assert roles.rows("a_reader", "SELECT count(*) FROM mfr.templates", "staff") == 0
    open_store(roles.address("a_reader", "guests")).close()
    guard = open_store(roles.address("a_guard"))
    assert [each.identity for each in guard.identities()] == ["staff-ada"]
    guard.close()
    assert occupied(roles.address("a_admin"))
