"""How often somebody may ask: token buckets, and a quota of photos a day.

Each process has buckets of its own and gives its share of the rate; the quota is counted for all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Final

from mfr.service.keys import Caller
from mfr.service.problems import ServiceError
from mfr.service.state_file import StateFile

_MOST: Final = 10_000
"""Buckets; beyond, full ones are forgotten, which changes nothing."""


class Buckets:
    """A bucket of tokens for each name: it fills at a rate, and each request takes one.

    Args:
        clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._levels: dict[str, tuple[float, float, float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, name: str, rate: float, most: float, *, take: float = 1.0) -> float:
        """Take a token if there is one.

        Args:
            name: whose bucket.
            rate: tokens a second.
            most: tokens of a full bucket.
            take: how many to take; 0 only looks.

        Returns:
            0 if there was one, else the seconds until there will be.
        """
        now = self._clock()
        with self._lock:
            level, at, *_ = self._levels.get(name, (most, now))
            level = min(most, level + rate * (now - at))
            enough = level >= max(take, 1.0)
            self._levels[name] = (level - take if enough else level, now, rate, most)
            if len(self._levels) > _MOST:
                self._levels = {
                    each: (had, then, fills, full)
                    for each, (had, then, fills, full) in self._levels.items()
                    if had + fills * (now - then) < full
                }
        return 0.0 if enough else (max(take, 1.0) - level) / rate


class Throttle:
    """Holds callers to the rates and quotas of their keys.

    Args:
        state: counts the photos of a day.
        workers: how many processes share a rate.
        failures: wrong keys a minute from one address.
    """

    def __init__(self, state: StateFile, workers: int, failures: int) -> None:
        self._state = state
        self._workers = workers
        self._failures = failures
        self._requests, self._wrong = Buckets(), Buckets()

    def admit(self, caller: Caller) -> None:
        """Count a request.

        Raises:
            ServiceError: the caller asks too often.
        """
        if not caller.rate:
            return
        rate = caller.rate / self._workers
        if wait := self._requests.wait(caller.id, rate, max(1.0, 2 * rate)):
            raise _too_often(f"This key may ask {caller.rate:g} times a second: wait.", wait)

    def insist_on_few_failures(self, address: str, *, failed: bool) -> None:
        """Count a wrong key of ``address``, or see how many there were.

        Raises:
            ServiceError: there were too many within a minute.
        """
        rate = self._failures / 60 / self._workers
        most = max(1.0, self._failures / self._workers)
        if wait := self._wrong.wait(address, rate, most, take=1.0 if failed else 0.0):
            raise _too_often("Too many wrong keys came from this address: wait.", wait)

    def count_photos(self, caller: Caller, photos: int) -> None:
        """Count photos towards the quota of today (UTC).

        Raises:
            ServiceError: the quota is used up.
        """
        if not caller.quota:
            return
        now = datetime.now(timezone.utc)
        today = now.date().isoformat()
        with self._state.changing() as connection:
            row = connection.execute(
                "SELECT photos FROM usage WHERE key = ? AND day = ?", (caller.id, today)
            ).fetchone()
            used = row[0] if row else 0
            if used + photos <= caller.quota:
                connection.execute(
                    "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT (key, day) "
                    "DO UPDATE SET photos = photos + excluded.photos",
                    (caller.id, today, photos),
                )
                return
        left = 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
        raise _too_often(
            f"This key may send {caller.quota} photos a day and has sent {used}: go on tomorrow, "
            "or ask for a higher quota.",
            left,
        )


def _too_often(sentence: str, seconds: float) -> ServiceError:
    return ServiceError(429, "too-many-requests", sentence, {"Retry-After": str(int(seconds) + 1)})
