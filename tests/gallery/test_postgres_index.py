"""Searches that are made in the database: exact scores of candidates that its index finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from mfr import cli
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.postgres import PostgresStore, coarse
from mfr.gallery.postgres.schema import script
from mfr.gallery.store import create_store, open_store
from tests.gallery.postgres_server import running_server

SIZE = 16


def _units(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, SIZE))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = _units(np.random.default_rng(1), 600)
PROBES = _units(np.random.default_rng(2), 20)


def _people(start: int = 0) -> Iterator[tuple[str, list[NewTemplate]]]:
    """Two hundred people of three templates each."""
    for number in range(start, 200):
        rows = range(3 * number, 3 * number + 3)
        yield f"p{number}", [NewTemplate(VECTORS[row], f"photo {row}") for row in rows]


def _expected(k: int, people: range = range(200)) -> list[list[tuple[str, float]]]:
    """By NumPy: each person's best template, the best people first."""
    scores = (PROBES @ VECTORS.T).reshape(len(PROBES), 200, 3).max(axis=2)[:, people]
    orders = np.argsort(-scores, axis=1)[:, :k]
    return [
        [(f"p{people[place]}", float(row[place])) for place in order]
        for row, order in zip(scores, orders, strict=True)
    ]


@pytest.fixture
def database() -> str:
    return running_server().new_database()


@pytest.fixture
def location(database: str) -> str:
    return str(running_server().address(database))


@pytest.fixture
def store(location: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresStore]:
    monkeypatch.setattr(coarse, "WORTH_IT", 300)
    create_store(location, model_hash="feed", embedding_size=SIZE).close()
    made = PostgresStore.open(location)
    made.add_many(_people())
    yield made
    made.close()


def _found(store: PostgresStore, k: int) -> list[list[tuple[str, float]]]:
    index = store.own_index()
    assert index is not None
    return index.best_identities(PROBES, k)


def _assert_same(found: list, expected: list) -> None:
    assert [[name for name, _ in each] for each in found] == [
        [name for name, _ in each] for each in expected
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose([s for _, s in one], [s for _, s in other], atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 150])
def test_the_nearest_people_are_those_of_numpy(store: PostgresStore, k: int) -> None:
    assert store.own_index() is None
    store.make_index()
    store.make_index()  # it is there
    _assert_same(_found(store, k), _expected(k))


def test_the_index_follows(store: PostgresStore, location: str) -> None:
    store.make_index()
    other = open_store(location)
    for number in range(60):
        other.remove(f"p{number}")
    _assert_same(_found(store, 3), _expected(3, range(60, 200)))
    other.add_many(_people())
    _assert_same(_found(store, 3), _expected(3))
    index = store.own_index()
    assert index is not None and len(index) == 600
    for number in range(150):
        other.remove(f"p{number}")
    assert store.own_index() is None  # too few to be worth it
    other.close()


def test_each_collection_has_its_own(store: PostgresStore, database: str) -> None:
    location = running_server().address(database, "guests")
    create_store(location, model_hash="feed", embedding_size=SIZE).close()
    with closing(PostgresStore.open(location)) as guests:
        guests.add_many((f"guest {name}", templates) for name, templates in _people())
        guests.make_index()
        store.make_index()
        _assert_same(_found(store, 4), _expected(4))
        assert all(name.startswith("guest") for each in _found(guests, 4) for name, _ in each)


def test_damaged_templates_are_no_candidates(store: PostgresStore, database: str) -> None:
    store.make_index()
    ((name, _),) = _found(store, 1)[0]
    with running_server().connect(database) as connection:
        connection.execute(
            "UPDATE mfr.templates SET checksum = 'x' WHERE identity_id = "
            "(SELECT id FROM mfr.identities WHERE name = %s)",
            (name,),
        )
    assert name not in [found for found, _ in _found(store, 5)[0]]


def test_a_gallery_searches_in_the_database_and_makes_no_copy(
    store: PostgresStore, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run(["gallery", "index", location]) == 0
    with Gallery.open(location) as gallery:
        with monkeypatch.context() as patch:
            patch.setattr(PostgresStore, "snapshot", None)
            found = gallery.search_many(PROBES, 3)
        _assert_same([[(c.identity, c.score) for c in each] for each in found], _expected(3))
        monkeypatch.setattr(coarse, "WORTH_IT", 10_000)
        again = gallery.search_many(PROBES, 3)  # in memory
        assert [[c.identity for c in each] for each in again] == [
            [c.identity for c in each] for each in found
        ]


def test_readers_search_what_they_may_see(store: PostgresStore, database: str) -> None:
    server = running_server()
    store.make_index()
    server.client("psql", "-v", "ON_ERROR_STOP=1", "-d", database, text=script("roles"))
    with server.connect(database) as connection:
        connection.execute("DROP ROLE IF EXISTS a_door, a_desk")
        connection.execute("CREATE ROLE a_door LOGIN IN ROLE mfr_reader")
        connection.execute("CREATE ROLE a_desk LOGIN IN ROLE mfr_writer")
    reader = PostgresStore.open(server.address(database, user="a_door"))
    writer = PostgresStore.open(server.address(database, user="a_desk"))
    writer.remove("p7")
    writer.add("p7", next(_people(7))[1])
    _assert_same(_found(reader, 2), _expected(2))
    with server.connect(database, "a_door") as connection:
        assert connection.execute("SELECT count(*) FROM mfr.coarse").fetchone() == (0,)
    reader.close()
    writer.close()


def test_a_directory_has_no_such_index(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    create_store(tmp_path / "g", model_hash="feed", embedding_size=SIZE).close()
    assert cli.run(["gallery", "index", str(tmp_path / "g")]) == 2
    assert "no database" in capsys.readouterr().err
