"""Databases of older formats: brought to this one whole or not at all, whoever is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import GalleryError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.audit import first_broken
from mfr.gallery.people import Details
from mfr.gallery.postgres import PostgresStore, schema
from mfr.sealing.master_key import KEY_VARIABLE
from tests.gallery.fake_recogniser import FakeRecogniser
from tests.gallery.postgres_server import Server, running_server

FORMAT_1 = Path(__file__).with_name("postgres_format_1.sql")
KEY = "a1" * 32


@pytest.fixture
def server() -> Server:
    return running_server()


@pytest.fixture
def first(server: Server) -> str:
    return _first(server)


def _first(server: Server) -> str:
    """A new database of format 1."""
    database = server.new_database()
    server.client("psql", "-v", "ON_ERROR_STOP=1", "-d", database, text=FORMAT_1.read_text())
    return database


def _format(server: Server, database: str) -> tuple[int, int]:
    """What the tables say, and how many of the columns of format 2 there are."""
    with server.connect(database) as connection:
        (version,) = connection.execute("SELECT version FROM mfr.schema_version").fetchone() or (0,)
        (columns,) = connection.execute(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = ANY(ARRAY["
            "'mfr.collections', 'mfr.identities', 'mfr.templates']::regclass[]) "
            "AND attname IN ('encryption', 'envelope', 'label', 'sealed')"
        ).fetchone() or (0,)
    return int(version), int(columns)


def _check(location: str) -> None:
    """Everything is there that was in the database of format 1."""
    with closing(PostgresStore.open(location)) as store:
        people = [(each.identity, each.templates) for each in store.identities()]
        assert people == [("ada", 2), ("bob", 1)]
        assert [each.crop for each in store.whole_templates("ada")] == [b"crop of ada", b""]
        assert store.templates("ada")[0].quality == {"blur": 2.5}
        bob = Details("Bob", "7", {"desk": 4}, "signed", frozenset({"staff"}))
        assert store.person("bob").details == bob and store.members("staff") == ["bob"]
        assert first_broken(store.audit(), store.chain_key) is None and len(store.audit()) == 5
        changes = store.changes("2-9196863646c69711")  # before eve came and went
        assert changes is not None and len(changes.added) == 0 and len(changes.removed) == 0
        assert len(store.snapshot().templates) == 3
        assert not store.is_encrypted and store.note("keep") == "yes"
        store.check_integrity()


def test_a_database_of_format_1_keeps_everything_and_can_be_encrypted(
    server: Server, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = str(server.address(first))
    assert _format(server, first) == (1, 0)
    _check(location)
    assert _format(server, first) == (2, 5)
    with closing(PostgresStore.open(location)) as store:
        store.add("eve", [NewTemplate(np.array([1, 0, 0], np.float32), "photo9")])
        assert store.snapshot().templates.ids.tolist() == [1, 2, 3, 5]
        assert store.person("eve").id == 4  # that of one who is gone is not given again
        store.remove("eve")
        monkeypatch.setenv(KEY_VARIABLE, KEY)
        store.encrypt(bytes.fromhex(KEY))
    with Gallery.open(location, FakeRecogniser()) as gallery:
        assert gallery.search(np.array([0, 0, 1], np.float32))[0].identity == "bob"
        assert gallery.people.find("7").identity == "bob"


def test_programs_may_upgrade_at_once(server: Server, first: str) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with closing(PostgresStore.open(server.address(first))) as store:
                store.add(name, [NewTemplate(np.array([1, 0, 0], np.float32), name)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with closing(PostgresStore.open(server.address(first))) as store:
        assert len(store.identities()) == 6


_HANG_IN_MID_UPGRADE = """
import sys, time
from psycopg import Connection
from mfr.gallery.store import open_store
execute = Connection.execute
def hang(self, query, *others, **more):
    if "DELETE FROM mfr.schema_version" in str(query):
        print("changed", flush=True)
        time.sleep(600)
    return execute(self, query, *others, **more)
Connection.execute = hang
open_store(sys.argv[1])
"""


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    """A server of its own: one with many databases takes long to come back when it was killed."""
    small = Server(running_server().programs)
    yield small
    small.remove()


@pytest.mark.parametrize("killed", ["program", "server"])
def test_an_upgrade_that_is_killed_leaves_the_old_tables(small_server: Server, killed: str) -> None:
    server, first = small_server, _first(small_server)
    location = str(server.address(first))
    program = subprocess.Popen(
        [sys.executable, "-c", _HANG_IN_MID_UPGRADE, location],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert program.stdout is not None and program.stdout.readline() == "changed\n"
    if killed == "server":
        server.stop("immediate")
        server.start()
        assert _format(server, first) == (1, 0)
    program.kill()
    program.communicate()
    _check(location)
    assert _format(server, first) == (2, 5)


def test_an_upgrade_that_fails_leaves_the_old_tables(
    server: Server, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$"
    script = schema.script
    with monkeypatch.context() as patch:
        patch.setattr(schema, "script", lambda name: script(name) + full)
        with pytest.raises(Exception, match="No space left"):
            PostgresStore.open(server.address(first))
    assert _format(server, first) == (1, 0)
    _check(str(server.address(first)))


def test_who_may_not_upgrade_is_told_who_may(server: Server, first: str) -> None:
    server.client("psql", "-v", "ON_ERROR_STOP=1", "-d", first, text=schema.script("roles"))
    with server.connect(first) as connection:
        connection.execute("DROP ROLE IF EXISTS a_clerk")
        connection.execute("CREATE ROLE a_clerk LOGIN IN ROLE mfr_writer")
        connection.execute("REVOKE USAGE ON SEQUENCE mfr.identities_id_seq FROM mfr_writer")
    clerk = str(server.address(first, user="a_clerk"))
    with pytest.raises(GalleryError, match="let their owner run 'mfr gallery list"):
        PostgresStore.open(clerk)
    _check(str(server.address(first)))
    with closing(PostgresStore.open(clerk)) as store:  # whose roles were given what they need
        assert store.add("eve", [NewTemplate(np.array([1, 0, 0], np.float32), "e")]) == [5]
