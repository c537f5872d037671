"""Transactions of a gallery: consistent views, and changes that are repeated when disturbed."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import psycopg

from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.connections import Connections
from mfr.gallery.postgres.errors import DISTURBED, translated

T = TypeVar("T")

_ATTEMPTS: Final = 5
"""How often a change is tried that other transactions disturb."""

_PAUSE: Final = 0.01
"""Seconds before the second attempt, at most; twice as many before each further one."""


class Transactions:
    """Transactions on the database of one gallery. Threads may share them.

    Args:
        address: where the gallery is.
        busy_seconds: how long a writer waits for another one.
    """

    def __init__(self, address: Address, busy_seconds: float) -> None:
        self._address = address
        self._connections = Connections(address, busy_seconds)

    @contextlib.contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection outside a transaction: each statement is one. Errors are ours."""
        with translated(self._address), self._connections.taken() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[psycopg.Connection[Any]]:
        """One consistent view of the database."""
        with self.connected() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield connection
            finally:
                if not connection.closed:
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[psycopg.Connection[Any]]:
        """One transaction: committed on a clean exit, undone on any exception."""
        with self.connected() as connection, connection.transaction():
            yield connection

    def repeated(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Do ``work`` in a transaction, and again where another transaction has disturbed it.

        Raises:
            GalleryBusyError: it was disturbed each time.
        """
        with translated(self._address):
            for attempt in range(_ATTEMPTS - 1):
                try:
                    with self._connections.taken() as connection, connection.transaction():
                        return work(connection)
                except DISTURBED:
                    time.sleep(random.uniform(0, _PAUSE * 2**attempt))
            with self._connections.taken() as connection, connection.transaction():
                return work(connection)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
