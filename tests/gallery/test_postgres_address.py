"""Addresses of galleries in databases, and what is said when there is nothing behind them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from mfr.errors import (
    ConfigError,
    GalleryError,
    GalleryExistsError,
    GalleryMissingError,
    GalleryUnreachableError,
)
from mfr.gallery.postgres.address import Address
from mfr.gallery.store import create_store, directory_of, occupied, open_store
from tests.gallery.postgres_server import running_server


def test_an_address_is_taken_apart() -> None:
    address = Address.of("postgresql://ada@db.example:5433/faces?collection=front%20desk&sslmode=x")
    assert address.server == "postgresql://ada@db.example:5433/faces?sslmode=x"
    assert (address.collection, address.parameters) == ("front desk", {"sslmode"})
    local = Address.of("postgresql:///faces?host=/run/a%20b")
    assert local.server == "postgresql:///faces?host=%2Frun%2Fa%20b"
    assert local.collection == "default"
    assert directory_of(local.text) is None


@pytest.mark.parametrize(
    "secret", ["ada:hunter2@db/f", "db/f?password=hunter2", "a:hunter2@db/f?x"]
)
def test_a_password_is_not_taken_from_an_address(secret: str) -> None:
    with pytest.raises(GalleryError, match=r"pgpass|no address") as refused:
        open_store(f"postgresql://{secret}")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "rest", ["db/f?collection=", "db/f?collection", "db/f?x&y", "db/f?collection=a%00b", "[db/f"]
)
def test_an_address_that_cannot_be_read_is_told(rest: str) -> None:
    with pytest.raises(GalleryError, match="no address of a gallery"):
        open_store(f"postgresql://{rest}")


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    location = f"postgresql://ada@/faces?host={tmp_path}"
    for use in (
        open_store,
        occupied,
        lambda place: create_store(place, model_hash="feed", embedding_size=3),
    ):
        with pytest.raises(GalleryUnreachableError, match="cannot be reached"):
            use(location)


def test_what_is_missing_in_a_server_is_told() -> None:
    server = running_server()
    with pytest.raises(GalleryUnreachableError, match='database "nowhere" does not exist'):
        open_store(server.address("nowhere"))
    database = server.new_database()
    for _ in range(2):  # without tables, then with those of another collection
        with pytest.raises(GalleryMissingError, match="no collection 'staff'"):
            open_store(server.address(database))
        assert not occupied(server.address(database))
        create_store(server.address(database, "x"), model_hash="feed", embedding_size=3).close()
        assert occupied(server.address(database, "x"))
        with pytest.raises(GalleryMissingError):
            open_store(server.address(database))
        with server.connect(database) as connection:
            connection.execute("DELETE FROM mfr.collections")


def test_galleries_that_are_made_at_the_same_time_are_all_made() -> None:
    server = running_server()
    database = server.new_database()

    def make(number: int) -> str:
        location = server.address(database, f"c{number}")
        with closing(create_store(location, model_hash="feed", embedding_size=3)) as store:
            return store.model_hash

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(make, range(6))) == ["feed"] * 6
    with server.connect(database) as connection:
        assert connection.execute("SELECT version FROM mfr.schema_version").fetchall() == [(2,)]


def test_what_is_there_is_not_made_again() -> None:
    location = running_server().address(running_server().new_database())
    create_store(location, model_hash="feed", embedding_size=3).close()
    with pytest.raises(GalleryExistsError, match="another collection"):
        create_store(location, model_hash="beef", embedding_size=3)
    store = open_store(location)
    assert store.model_hash == "feed"
    store.close()


def test_a_newer_format_is_told() -> None:
    server = running_server()
    database = server.new_database()
    create_store(server.address(database), model_hash="feed", embedding_size=3).close()
    with server.connect(database) as connection:
        connection.execute("UPDATE mfr.schema_version SET version = 99")
    with pytest.raises(GalleryError, match="format 99"):
        open_store(server.address(database))
    with pytest.raises(GalleryError, match="format 99"):
        create_store(server.address(database, "x"), model_hash="feed", embedding_size=3)


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from mfr import extras

    for module in [name for name in sys.modules if name.startswith("mfr.gallery.postgres")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(extras, "import_module", _lacking)
    with pytest.raises(ConfigError, match=r"psycopg is not installed: install mfr\[postgres\]"):
        open_store("postgresql://db/faces")


def _lacking(name: str) -> None:
    raise ImportError(name)
