"""What a service's watches saw: a log of limited length, and those who wait for what comes next."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Final

from mfr.service.watch_file import WatchFile

KEPT_EVENTS: Final = 10_000
"""Events that are kept; older ones go."""

KEPT_PICTURES: Final = 500
"""Pictures that are kept, of the latest events that have one."""

_AT_ONCE: Final = 100


class WatchEvents:
    """The log of events; for several threads.

    An event is a mapping: the fields of `mfr.watching.events.Event`, and its ``number``, from 1 on
    and larger for later events, the ``watch`` and the ``collection``, and ``at``, when it was
    noted, in UTC (ISO 8601). ``picture`` says whether there is one.

    Args:
        file: where it is kept.
        kept: the events kept at most.
        pictures: the pictures kept at most.
    """

    def __init__(
        self, file: WatchFile, *, kept: int = KEPT_EVENTS, pictures: int = KEPT_PICTURES
    ) -> None:
        self._file = file
        self._kept, self._pictures = kept, pictures
        self._grown = threading.Condition()
        self._waiting = True

    def append(
        self, watch: str, collection: str, event: Mapping[str, Any], picture: bytes | None = None
    ) -> dict[str, Any]:
        """Note an event; what is over the limits is dropped. It comes back as it is kept.

        Raises:
            WriteError: the disk is full.
        """
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        noted = {**event, "watch": watch, "collection": collection, "at": at}
        noted.pop("picture", None)
        text = json.dumps(noted, allow_nan=False)
        with self._file.changing() as connection:
            (number,) = connection.execute(
                "INSERT INTO events (watch, event, picture) VALUES (?, ?, ?) RETURNING number",
                (watch, text, picture),
            ).fetchone()
            connection.execute("DELETE FROM events WHERE number <= ?", (number - self._kept,))
            if picture is not None:
                connection.execute(
                    "UPDATE events SET picture = NULL WHERE number IN (SELECT number FROM events "
                    "WHERE picture IS NOT NULL ORDER BY number DESC LIMIT -1 OFFSET ?)",
                    (self._pictures,),
                )
        with self._grown:
            self._grown.notify_all()
        return _read(number, text, picture is not None)

    def forget(self, collection: str, identity: str) -> None:
        """Delete the events that name a person, with their pictures.

        Raises:
            WriteError: the disk is full.
        """
        named = [
            (number,)
            for number, text in self._file.rows("SELECT number, event FROM events")
            if (event := json.loads(text))["collection"] == collection and identity in _names(event)
        ]
        with self._file.changing() as connection:
            connection.executemany("DELETE FROM events WHERE number = ?", named)
        self._file.drop_log()

    def forget_all(self, collection: str) -> None:
        """Delete the events of a collection, with their pictures.

        Raises:
            WriteError: the disk is full.
        """
        with self._file.changing() as connection:
            connection.execute(
                "DELETE FROM events WHERE json_extract(event, '$.collection') = ?", (collection,)
            )
        self._file.drop_log()

    def after(
        self, number: int, limit: int = _AT_ONCE, *, watch: str | None = None
    ) -> list[dict[str, Any]]:
        """The first events later than ``number``, of all watches or one."""
        rows = self._file.rows(
            "SELECT number, event, picture IS NOT NULL FROM events "
            "WHERE number > ? AND (? IS NULL OR watch = ?) ORDER BY number LIMIT ?",
            (number, watch, watch, limit),
        )
        return [_read(*row) for row in rows]

    def picture(self, number: int) -> bytes | None:
        """The picture of an event, a JPEG; None if there is none, or none any more."""
        rows = self._file.rows("SELECT picture FROM events WHERE number = ?", (number,))
        return rows[0][0] if rows else None

    @property
    def latest(self) -> int:
        """The number of the latest event there ever was; 0 before the first."""
        rows = self._file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0][0]) if rows else 0

    def subscribe(self, after: int | None = None, *, watch: str | None = None) -> Subscription:
        """Events as they come.

        Args:
            after: the number of the last event that is known already, such as a browser's
                Last-Event-ID; without it, only new ones are given.
            watch: of this watch only.
        """
        latest = self.latest
        # A number that was never given is another log's.
        return Subscription(self, latest if after is None else min(after, latest), watch)

    def wait_beyond(self, number: int, timeout: float) -> bool:
        """Wait for an event later than ``number``: whether there may be one.

        There is none after ``timeout`` seconds, or once there will be no more.
        """
        with self._grown:
            if self.latest > number:
                return True
            return self._waiting and self._grown.wait(timeout)

    def stop_waiting(self) -> None:
        """Let nobody wait any longer: there will be no more."""
        with self._grown:
            self._waiting = False
            self._grown.notify_all()


class Subscription:
    """Events one after the other, for one thread.

    It holds no events: one who reads slowly finds those that the log still has, and of what the log
    dropped meanwhile nothing.
    """

    def __init__(self, events: WatchEvents, after: int, watch: str | None) -> None:
        self._events, self._watch = events, watch
        self._seen = after
        self._ahead: Iterator[dict[str, Any]] = iter(())

    def next(self, timeout: float) -> dict[str, Any] | None:
        """The next event; None if none comes within ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while True:
            latest = self._events.latest
            event = next(self._ahead, None)
            if event is None:
                self._ahead = iter(self._events.after(self._seen, watch=self._watch))
                event = next(self._ahead, None)
            if event is not None:
                self._seen = event["number"]
                return event
            # Those of other watches need not be looked at again.
            self._seen = max(self._seen, latest)
            if not self._events.wait_beyond(self._seen, max(0.0, end - time.monotonic())):
                return None


def _names(event: Any) -> set[str]:
    """The texts of an event, wherever they stand in it."""
    if isinstance(event, str):
        return {event}
    inner = event.values() if isinstance(event, dict) else event if isinstance(event, list) else ()
    return {name for each in inner for name in _names(each)}


def _read(number: int, text: str, picture: int | bool) -> dict[str, Any]:
    return {"number": number, **json.loads(text), "picture": bool(picture)}
