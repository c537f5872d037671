"""Every kind of store, as the conformance tests meet it. A new kind adds a class and a line."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import Store, create_store, open_store
from mfr.sealing.master_key import KEY_VARIABLE
from tests.gallery.memory_store import MemoryStore, Shelf
from tests.gallery.postgres_server import running_server

MODEL_HASH = "feedfacefeedface"
SIZE = 3


class Place(Protocol):
    """A place where one store of `MODEL_HASH` and `SIZE` can be made."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is empty and may be used."""

    def create(self) -> Store:
        """Make the store."""

    def open(self) -> Store:
        """Open the store once more, as another process would."""

    def back_up(self) -> None:
        """Keep a copy of the store as it is, as its database's own tools would."""

    def restore(self) -> None:
        """Put the copy in the store's place; nothing has it open."""


class SqlitePlace:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "g"

    def create(self) -> Store:
        return create_store(self.path, model_hash=MODEL_HASH, embedding_size=SIZE)

    def open(self) -> Store:
        return open_store(self.path)

    def back_up(self) -> None:
        source = sqlite3.connect(self.path / FILE_NAME)
        copy = sqlite3.connect(self.path.with_name("backup"))
        source.backup(copy)
        source.close()
        copy.close()

    def restore(self) -> None:
        (self.path / FILE_NAME).write_bytes(self.path.with_name("backup").read_bytes())


@cache
def _database() -> str:
    return running_server().new_database()


class PostgresPlace:
    numbers = itertools.count()

    def __init__(self, directory: Path) -> None:
        self.server = running_server()
        self.location = self.server.address(_database(), f"place {next(self.numbers)}")
        self.dump = directory / "dump"

    def create(self) -> Store:
        return create_store(self.location, model_hash=MODEL_HASH, embedding_size=SIZE)

    def open(self) -> Store:
        return open_store(self.location)

    def back_up(self) -> None:
        self.server.client("pg_dump", "-Fc", "-f", str(self.dump), _database())

    def restore(self) -> None:
        self.server.client("pg_restore", "--clean", "-d", _database(), str(self.dump))


KEY = "5a" * 32


@contextmanager
def named_key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEY_VARIABLE, KEY)
        yield


class EncryptedSqlitePlace(SqlitePlace):
    def create(self) -> Store:
        with named_key():
            return super().create()

    def open(self) -> Store:
        with named_key():
            return super().open()


class EncryptedPostgresPlace(PostgresPlace):
    def create(self) -> Store:
        with named_key():
            return super().create()

    def open(self) -> Store:
        with named_key():
            return super().open()


class MemoryPlace:
    def __init__(self, directory: Path) -> None:
        self.shelf = self.copy = Shelf(MODEL_HASH, SIZE)

    def create(self) -> Store:
        return MemoryStore(self.shelf)

    def open(self) -> Store:
        return MemoryStore(self.shelf)

    def back_up(self) -> None:
        self.copy = self.shelf.copy()

    def restore(self) -> None:
        self.shelf = self.copy.copy()


PLACES: dict[str, type[Place]] = {
    "sqlite": SqlitePlace,
    "sqlite, encrypted": EncryptedSqlitePlace,
    "postgresql": PostgresPlace,
    "postgresql, encrypted": EncryptedPostgresPlace,
    "memory": MemoryPlace,
}
