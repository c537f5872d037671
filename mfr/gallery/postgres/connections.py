"""Connections to one gallery's database, shared by threads, and made anew when they are lost."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from mfr.errors import GalleryBusyError, GalleryError
from mfr.gallery.postgres import columns
from mfr.gallery.postgres.address import Address

MOST: Final = 8
"""How many connections a store holds at most; more threads wait for one another."""

_PATIENCE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Without these, a network that is gone without a word is waited for a quarter of an hour."""


class Connections:
    """At most `MOST` connections, each used by one thread at a time.

    A connection is outside a transaction while nobody has it. One that was lost is thrown away, so
    that the next call makes a new one.
    """

    def __init__(self, address: Address, busy_seconds: float) -> None:
        self._address = address
        self._busy_seconds = busy_seconds
        self._free = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[psycopg.Connection[Any]] = []
        self._closed = False
        self._process = os.getpid()

    @contextlib.contextmanager
    def taken(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection, for the caller alone.

        Raises:
            psycopg.OperationalError: the server cannot be reached.
            GalleryBusyError: other threads have had all of them for too long.
            GalleryError: the store was opened before this process was forked.
        """
        if os.getpid() != self._process:
            # Two processes would talk to the server over one socket.
            raise GalleryError(
                f"{self._address.text} was opened before this process was forked: open the gallery "
                "again in each process."
            )
        if not self._free.acquire(timeout=max(self._busy_seconds, 0)):
            raise GalleryBusyError(
                f"{self._address.text} is used by more than {MOST} threads: wait and try again."
            )
        try:
            connection = self._idle_one() or self._connected()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close those that nobody uses; the others are closed when they are given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        if os.getpid() == self._process:
            for connection in idle:
                connection.close()

    def _idle_one(self) -> psycopg.Connection[Any] | None:
        while True:
            with self._lock:
                if self._closed:
                    raise psycopg.InterfaceError("the store is closed")
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if _is_alive(connection):
                return connection
            connection.close()

    def _give_back(self, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            idle = connection.info.transaction_status is TransactionStatus.IDLE
            if idle and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _connected(self) -> psycopg.Connection[Any]:
        """A new connection, which sees this gallery's rows and waits for no longer than it may."""
        unsaid: dict[str, Any] = {
            name: value for name, value in _PATIENCE.items() if name not in self._address.parameters
        }
        connection = psycopg.connect(
            self._address.server,
            autocommit=True,
            client_encoding="utf8",
            application_name="mfr",
            **unsaid,
        )
        try:
            columns.teach(connection)
            # Who holds a collection's lock sees what was done before; defaults of servers differ.
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            # A server may be set to acknowledge what it has not written; a gallery must not.
            connection.execute(
                "SELECT set_config('mfr.collection', %s, false), "
                "set_config('lock_timeout', %s, false), set_config('search_path', '', false), "
                "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
                "WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
                (self._address.collection, f"{max(1, round(1000 * self._busy_seconds))}ms"),
            )
        except BaseException:
            connection.close()
            raise
        return connection


def _is_alive(connection: psycopg.Connection[Any]) -> bool:
    """Whether an idle connection can be used: a server that goes away says so or hangs up."""
    if connection.closed:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if not waiting.poll(0):
        return True
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
