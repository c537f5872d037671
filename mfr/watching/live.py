"""Pictures of a source that does not wait: only the latest is kept, and what is late is dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from mfr.errors import SourceError


class LatestPictures:
    """Reads pictures in a thread of its own; iterating gives the latest one, each once at most.

    Args:
        read: gives the next picture, or None when there will be no more; may block.
        close: called once nothing more will be read.
        stall: the seconds without a new picture after which the source has stalled.
        name: what the source is called in messages.
    """

    def __init__(
        self,
        read: Callable[[], np.ndarray | None],
        close: Callable[[], None],
        *,
        stall: float,
        name: str,
    ) -> None:
        self._read, self._close = read, close
        self._stall, self._name = stall, name
        self._changed = threading.Condition()
        self._latest: tuple[int, float, np.ndarray] | None = None
        self._ended = False
        self._stopped = False
        # If the source blocks for ever, it must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        """Number, time (`time.monotonic`) and pixels of the latest picture, until there are none.

        Raises:
            SourceError: the source has stalled.
        """
        while True:
            with self._changed:
                there = self._changed.wait_for(
                    lambda: self._latest is not None or self._ended, self._stall
                )
                if not there:
                    raise SourceError(
                        f"{self._name} gave no picture for {self._stall:g} seconds: check the "
                        "camera and the connection."
                    )
                if self._latest is None:
                    return
                latest, self._latest = self._latest, None
            yield latest

    def stop(self) -> None:
        """Read no more; the source is closed as soon as the read under way is over."""
        self._stopped = True
        self._thread.join(timeout=1)

    def _run(self) -> None:
        number = 0
        try:
            while not self._stopped and (pixels := self._read()) is not None:
                with self._changed:
                    self._latest = (number, time.monotonic(), pixels)
                    self._changed.notify()
                number += 1
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
            self._close()
