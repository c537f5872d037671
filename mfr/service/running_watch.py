"""One watch at work, in a thread of its own, which opens its source again where that stalls."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from mfr.drawing import jpeg_bytes
from mfr.errors import MfrError
from mfr.service.watch_events import WatchEvents
from mfr.service.watch_settings import WatchSettings
from mfr.watching import Event, Frames, Watcher, open_frames
from mfr.watching.pictures import draw_best
from mfr.watching.source import STALL
from mfr.watching.tracking import Sighting
from mfr.watching.watcher import FaceFinder, People

State = Literal["opening", "watching", "waiting", "ended", "failed", "stopped"]
"""'waiting' is before another attempt; 'ended' is a recording, and 'failed' a watch that cannot go
on without a change."""

PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""The seconds before each attempt to open a source again; the last one from then on."""

_LOG: Final = logging.getLogger("mfr.service")
_FRAMES_TIMED: Final = 50


def watcher_of(settings: WatchSettings, finder: FaceFinder, people: People, live: bool) -> Watcher:
    """What turns the frames of a watch into events.

    Raises:
        ModelError: there is no calibration to take a threshold from.
    """
    return Watcher(
        finder,
        people,
        fpir=settings.fpir,
        gap=settings.gap,
        longest=settings.longest,
        min_sightings=settings.min_frames,
        live=live,
        keep_frames=settings.keep_best_frame,
        live_check=settings.live_check,
    )


class RunningWatch:
    """A watch at work from now on. Stop it.

    Args:
        settings: what is watched.
        finder: finds faces.
        people: who is enrolled.
        events: where it is noted who was seen.
        over: called when a recording has ended and need not be watched again.
        pauses: as `PAUSES`.
        stall: the seconds without a picture after which a source has stalled.
    """

    def __init__(
        self,
        settings: WatchSettings,
        finder: FaceFinder,
        people: People,
        events: WatchEvents,
        over: Callable[[], None],
        *,
        pauses: Sequence[float] = PAUSES,
        stall: float = STALL,
    ) -> None:
        self._settings, self._finder, self._people = settings, finder, people
        self._events, self._over = events, over
        self._pauses, self._stall = pauses, stall
        self._failures = 0
        self._stop = threading.Event()
        self._looked: deque[float] = deque(maxlen=_FRAMES_TIMED)
        self.state: State = "opening"
        self.frames = 0
        self.error: str | None = None
        self.last_event: dict[str, Any] | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"watch {settings.name}", daemon=True
        )
        self._thread.start()

    @property
    def frames_per_second(self) -> float | None:
        """How many frames a second are looked at; None unless it is watching."""
        times = list(self._looked)
        if self.state != "watching" or len(times) < 2 or times[-1] <= times[0]:
            return None
        return round((len(times) - 1) / (times[-1] - times[0]), 2)

    def stop(self) -> None:
        """End soon; whoever is in view is told of."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait until it has ended, at most for ``timeout`` seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._attempt():
                self.state = "waiting"
                self._stop.wait(self._pauses[min(self._failures, len(self._pauses)) - 1])
            if self._stop.is_set():
                self.state = "stopped"
        except Exception:
            # Whatever it is, it must be seen in the status, and the other watches go on.
            self.state = "failed"
            self.error = "The watch was stopped by an error of the program: see its log."
            _LOG.exception("watch %s", self._settings.name)

    def _attempt(self) -> bool:
        """Watch until the source is over or has stalled; whether that was all."""
        self.state = "opening"
        self._looked.clear()
        try:
            with open_frames(self._settings.source, stall=self._stall) as frames:
                self._watch(frames)
                recording = not frames.live
        except MfrError as error:
            self.error = str(error)
            self._failures += 1
            if self._settings.reconnects:
                return False
            self.state = "failed"
            return True
        if recording and not self._stop.is_set():
            self.state, self.error = "ended", None
            self._over()
        elif not self._stop.is_set():
            self.error = f"{frames.name} has ended: it is opened again."
            self._failures += 1
        return recording or self._stop.is_set()

    def _watch(self, frames: Frames) -> None:
        watcher = watcher_of(self._settings, self._finder, self._people, frames.live)
        try:
            for frame in frames:
                self.state, self.error, self._failures = "watching", None, 0
                for event, best in watcher.look(frame):
                    self._tell(event, best)
                self.frames += 1
                self._looked.append(time.monotonic())
                if self._stop.is_set():
                    break
        finally:
            for event, best in watcher.finish():
                self._tell(event, best)

    def _tell(self, event: Event, best: Sighting) -> None:
        drawn = draw_best(event, best)
        self.last_event = self._events.append(
            self._settings.name,
            self._settings.collection,
            dataclasses.asdict(event),
            None if drawn is None else jpeg_bytes(drawn),
        )
