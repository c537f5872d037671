"""Writers and readers of one collection, and processes, connections and servers that die."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import errors

from mfr.errors import GalleryBusyError, GalleryDamagedError, GalleryError, GalleryUnreachableError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.postgres import PostgresStore, connections
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.transactions import Transactions
from mfr.gallery.store import create_store, open_store
from tests.gallery.postgres_server import Server, running_server

MANY = 5000  # more than are stored at once


def template(number: int) -> NewTemplate:
    vector = np.array([1, number, 1], dtype=np.float64)
    return NewTemplate((vector / np.linalg.norm(vector)).astype(np.float32), f"photo {number}")


@pytest.fixture
def server() -> Server:
    return running_server()


@pytest.fixture
def database(server: Server) -> str:
    return server.new_database()


@pytest.fixture
def location(server: Server, database: str) -> str:
    found = str(server.address(database))
    create_store(found, model_hash="feed", embedding_size=3).close()
    return found


@pytest.fixture
def store(location: str) -> Iterator[PostgresStore]:
    opened = PostgresStore.open(location)
    yield opened
    opened.close()


_CHILD = """
import itertools, sys, time
from mfr.gallery.store import open_store
from tests.gallery.test_postgres_failures import MANY, template
store = open_store(sys.argv[1])
"""

_ENROL = """
for number in range(int(sys.argv[3])):
    assert store.add(f"{sys.argv[2]}{number}", [template(number)]) != [None]
    print(number, flush=True)
"""

_HANG_IN_MID_TRANSACTION = """
def people():
    for number in range(MANY):
        yield f"p{number}", [template(number)]
    print("stored", flush=True)
    time.sleep(600)
store.add_many(people())
"""


def _child(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD + code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.slow
def test_processes_write_one_collection_together(location: str, store: PostgresStore) -> None:
    children = [_child(_ENROL, location, name, "30") for name in "xyz"]
    for child in children:
        child.communicate()
        assert child.returncode == 0
    ids = store.snapshot().templates.ids.tolist()
    assert ids == list(range(1, 91))
    assert store.stamp.startswith("90-")


def test_a_killed_writer_leaves_nothing_and_holds_up_nobody(
    location: str, store: PostgresStore
) -> None:
    store.add("ada", [template(0)])
    child = _child(_HANG_IN_MID_TRANSACTION, location)
    assert child.stdout is not None and child.stdout.readline() == "stored\n"
    # While it writes, others read; another writer waits, and not for ever.
    assert [each.identity for each in store.identities()] == ["ada"]
    impatient = open_store(location, busy_seconds=0.05)
    with pytest.raises(GalleryBusyError, match="written by another"):
        impatient.add("eve", [template(1)])
    child.kill()
    child.communicate()
    store.add("bob", [template(1)])
    assert [each.identity for each in store.identities()] == ["ada", "bob"]
    store.check_integrity()
    impatient.close()


@pytest.mark.slow
def test_a_server_that_stops_under_load_loses_nothing_acknowledged(
    location: str, server: Server, store: PostgresStore
) -> None:
    acknowledged: list[str] = []
    failures: list[BaseException] = []

    def enrol() -> None:
        try:
            for number in range(10**6):
                store.add(f"p{number}", [template(number), template(number + 1)])
                acknowledged.append(f"p{number}")
        except BaseException as error:
            failures.append(error)

    for _ in range(3):
        before = len(acknowledged)
        thread = threading.Thread(target=enrol)
        thread.start()
        while len(acknowledged) < before + 20 and thread.is_alive():
            time.sleep(0.001)
        server.stop("immediate")
        thread.join()
        assert isinstance(failures[-1], GalleryUnreachableError), failures[-1]
        with pytest.raises(GalleryUnreachableError):
            store.add("late", [template(0)])
        server.start()
        counts = {each.identity: each.templates for each in store.identities()}
        assert set(acknowledged) <= set(counts) and set(counts.values()) == {2}
        # At most the one that was under way is there without having been said.
        assert len(counts) <= len(set(acknowledged)) + 1
        store.check_integrity()


def test_a_connection_that_was_lost_meanwhile_is_made_anew(
    store: PostgresStore, server: Server, database: str
) -> None:
    store.add("ada", [template(0)])
    _disconnect(server, database)
    store.add("bob", [template(1)])
    server.stop("fast")
    server.start()
    assert len(store.identities()) == 2


def test_a_connection_that_is_lost_in_mid_change_leaves_nothing(
    store: PostgresStore, server: Server, database: str
) -> None:
    def people() -> Iterator[tuple[str, list[NewTemplate]]]:
        for number in range(MANY):
            yield f"p{number}", [template(number)]
        _disconnect(server, database)
        yield "last", [template(0)]

    with pytest.raises(GalleryUnreachableError, match="whole or not at all"):
        store.add_many(people())
    assert store.identities() == []
    assert store.add("ada", [template(0)]) == [1]


def test_a_reader_keeps_its_view_while_others_write(
    store: PostgresStore, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mfr.gallery.postgres import templates

    store.add_many((f"p{number}", [template(number)]) for number in range(20))
    other = open_store(location)
    learn = templates._learn_names

    def learn_while_others_write(*arguments: object) -> None:
        if other.note("done") is None:
            other.put_note("done", "yes")
            other.remove("p3")
            other.add("late", [template(99)])
        learn(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(templates, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(templates, "_learn_names", learn_while_others_write)
    snapshot = store.snapshot()
    assert snapshot.templates.owners == [f"p{number}" for number in range(20)]
    changes = store.changes(snapshot.stamp)
    assert changes is not None
    assert (changes.removed.tolist(), changes.added.owners) == ([4], ["late"])
    other.close()


def test_a_change_that_is_disturbed_is_made_again(location: str) -> None:
    transactions = Transactions(Address.of(location), 1.0)
    for disturbances, code in ((2, "40001"), (4, "40P01")):
        left = [code] * disturbances

        def work(connection: psycopg.Connection, left: list[str] = left) -> str:
            connection.execute(
                "INSERT INTO mfr.notes SELECT id, now()::text, '' FROM mfr.collections"
            )
            if left:
                raise_it = f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{left.pop()}'; END $$"
                connection.execute(raise_it.encode())
            return "done"

        assert transactions.repeated(work) == "done"

    def always(connection: psycopg.Connection) -> None:
        raise errors.SerializationFailure

    with pytest.raises(GalleryBusyError):
        transactions.repeated(always)
    with transactions.connected() as connection:
        assert connection.execute("SELECT count(*) FROM mfr.notes").fetchone() == (2,)
    transactions.close()


def test_a_server_with_other_defaults_changes_no_promise(
    server: Server, database: str, location: str
) -> None:
    with server.connect(database) as connection:
        for default in (
            "default_transaction_isolation = 'serializable'",
            "synchronous_commit = off",
        ):
            connection.execute(f"ALTER DATABASE {database} SET {default}".encode())
    stores = [PostgresStore.open(location) for _ in range(4)]
    with Transactions(Address.of(location), 1.0).connected() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(15):
                stores[number].add(f"{number}-{step}", [template(step)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and len(stores[0].identities()) == 60
    for each in stores:
        each.close()


def test_more_threads_than_connections_take_turns(store: PostgresStore) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(5):
                store.add(f"{name}{number}", [template(number)])
                store.snapshot()
        except BaseException as error:
            failures.append(error)

    names = [f"t{number}-" for number in range(3 * connections.MOST)]
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and len(store.identities()) == 5 * len(names)


def test_a_forked_process_is_told_to_open_its_own(store: PostgresStore) -> None:
    child = os.fork()
    if child == 0:
        try:
            assert store.stamp
        except GalleryError as error:
            os._exit(0 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert store.identities() == []


def test_damaged_templates_are_named_and_left_out(
    store: PostgresStore, server: Server, database: str
) -> None:
    store.add("ada", [template(0), NewTemplate(template(7).embedding, "a", crop=b"crop")])
    store.add("bob", [template(1)])
    with server.connect(database) as connection:
        for damage in (
            "templates SET embedding = set_byte(embedding, 5, get_byte(embedding, 5) # 1) "
            "WHERE id = 1",
            "templates SET identity_id = (SELECT id FROM mfr.identities WHERE name = 'ada') "
            "WHERE id = 3",  # bob's photo is ada's now
            "crops SET crop = 'crap'",
        ):
            connection.execute(f"UPDATE mfr.{damage}".encode())
    snapshot = store.snapshot().templates
    assert snapshot.owners == ["ada"] and snapshot.ids.tolist() == [2]
    assert [(each.id, each.identity) for each in snapshot.damaged] == [(1, "ada"), (3, "ada")]
    assert [each.damaged for each in store.templates("ada")] == [True, False, True]
    assert store.templates("ada")[1].crop == "damaged"
    assert [each.crop for each in store.whole_templates("ada")] == [b""]
    with pytest.warns(UserWarning, match="crop that is kept of template 2"):
        store.check_integrity()
    with pytest.warns(UserWarning, match="Template [13] of 'ada'"), Gallery(store) as open_:
        assert [each.identity for each in open_.search(template(7).embedding)] == ["ada"]
        with (
            pytest.raises(GalleryDamagedError),
            pytest.warns(UserWarning, match="crop that is kept"),
        ):
            open_.rebuild()


def test_a_removal_that_an_old_view_hinders_is_finished_later(
    store: PostgresStore, location: str, server: Server, database: str
) -> None:
    store.add("ada", [template(0)])
    store.add("bob", [template(1)])
    store.remove("bob")
    assert store.remarks() == []
    with server.connect(database) as old, old.transaction():
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        store.remove("ada")
        (remark,) = store.remarks()
        assert "may still lie in its tables" in remark
        store.check_integrity()
        assert len(store.remarks()) == 1
    open_store(location).close()
    assert store.remarks() == []
    with server.connect(database) as connection:
        dead = "SELECT pg_stat_get_dead_tuples('mfr.templates'::regclass)"
        assert connection.execute(dead).fetchone() == (0,)


def _disconnect(server: Server, database: str) -> None:
    """End everybody's connections to a database, as an administrator may."""
    with server.connect(database) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
