"""Ctrl-C that takes effect at the end of a step, so that the saved state is complete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the user has asked to stop.

    Attributes:
        asked: true from the first Ctrl-C or SIGTERM on.
    """

    asked = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Record the first Ctrl-C (or SIGTERM) in the yielded object; a second one stops at once.

    Python delivers signals to the main thread alone: in any other thread nothing is deferred.
    """
    interruption = Interruption()

    def note(number: int, frame: FrameType | None) -> None:
        if interruption.asked:
            raise KeyboardInterrupt
        interruption.asked = True

    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield interruption
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
