"""``mfr watch`` as a service: watches that are added and removed, and go on after a restart."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mfr.errors import MfrError, WatchExistsError, WatchMissingError, WriteError
from mfr.service import running_watch, webhook_delivery
from mfr.service.running_watch import RunningWatch, State, watcher_of
from mfr.service.watch_events import KEPT_EVENTS, KEPT_PICTURES, WatchEvents
from mfr.service.watch_file import WatchFile
from mfr.service.watch_settings import WatchSettings, WebhookSettings
from mfr.service.webhook_delivery import WebhookDelivery
from mfr.watching.source import STALL
from mfr.watching.watcher import FaceFinder, People

__all__ = ["WatchEvents", "WatchSettings", "WatchStatus", "Watches", "WebhookSettings"]

Opened: TypeAlias = Callable[[str], tuple[FaceFinder, People]]
"""What finds faces for a collection, and who is enrolled there; raises an MfrError if there is no
such collection."""


@dataclass(frozen=True)
class WatchStatus:
    """How a watch is; nothing in it is secret.

    Attributes:
        settings: as `WatchSettings.shown` has them.
        state: what it does.
        frames: how many frames it has looked at since the service was started.
        frames_per_second: of late; None unless it is watching.
        error: what is wrong, a sentence.
        last_event: its latest event since the service was started.
        sent: events that its webhook has taken since then.
        given_up: events that its webhook did not take.
        webhook_error: what was wrong with the last attempt, a sentence.
    """

    settings: dict[str, Any]
    state: State
    frames: int
    frames_per_second: float | None
    error: str | None
    last_event: dict[str, Any] | None
    sent: int
    given_up: int
    webhook_error: str | None


@dataclass
class _Watch:
    settings: WatchSettings
    running: RunningWatch | None = None
    delivery: WebhookDelivery | None = None
    state: State = "ended"
    error: str | None = None


class Watches:
    """The watches of a service, and what they see. For several threads; close it.

    Args:
        folder: where settings and events are kept, in a file that only its owner can read.
        opened: opens a collection.
        private_webhooks: whether events may be sent to this machine and to private networks.
        kept_events: how many events are kept.
        kept_pictures: how many pictures are kept.
        pauses: before a source is opened again, as `mfr.service.running_watch.PAUSES`.
        webhook_pauses: before an event is sent again, as `mfr.service.webhook_delivery.PAUSES`.
        stall: the seconds without a picture after which a source has stalled.

    Raises:
        ConfigError: another process has these watches.
        WriteError: the folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        opened: Opened,
        *,
        private_webhooks: bool = False,
        kept_events: int = KEPT_EVENTS,
        kept_pictures: int = KEPT_PICTURES,
        pauses: Sequence[float] = running_watch.PAUSES,
        webhook_pauses: Sequence[float] = webhook_delivery.PAUSES,
        stall: float = STALL,
    ) -> None:
        self._opened, self._private = opened, private_webhooks
        self._pauses, self._webhook_pauses, self._stall = pauses, webhook_pauses, stall
        self._lock = threading.Lock()
        self._file = WatchFile(folder)
        self.events = WatchEvents(self._file, kept=kept_events, pictures=kept_pictures)
        self._watches: dict[str, _Watch] = {}
        for text, over, delivered in self._file.rows(
            "SELECT settings, over, delivered FROM watches ORDER BY name"
        ):
            settings = WatchSettings.model_validate_json(text)
            watch = _Watch(settings)
            self._watches[settings.name] = watch
            self._deliver(watch, delivered)
            if not over:
                self._start_again(watch)

    def add(self, settings: WatchSettings) -> WatchStatus:
        """Begin to watch; it is begun again after a restart.

        Raises:
            WatchExistsError: there is another of that name.
            ConfigError: the webhook is not allowed.
            MfrError: the collection cannot be used.
        """
        hook = settings.hook(private=self._private)
        if hook is not None:
            hook.check()
        finder, people = self._opened(settings.collection)
        watcher_of(settings, finder, people, live=True)  # refuses what cannot be watched with
        with self._lock:
            delivered = self.events.latest
            with self._file.changing() as connection:
                try:
                    connection.execute(
                        "INSERT INTO watches (name, settings, delivered) VALUES (?, ?, ?)",
                        (settings.name, settings.model_dump_json(), delivered),
                    )
                except sqlite3.IntegrityError as error:
                    raise WatchExistsError(
                        f"There is a watch {settings.name} already: remove it, or choose another "
                        "name."
                    ) from error
            watch = self._watches[settings.name] = _Watch(settings)
            self._deliver(watch, delivered)
            self._start(watch, finder, people)
        return _status(watch)

    def list(self) -> list[WatchStatus]:
        """All watches, by name."""
        with self._lock:
            return [_status(watch) for _, watch in sorted(self._watches.items())]

    def get(self, name: str) -> WatchStatus:
        """One watch.

        Raises:
            WatchMissingError: there is none of that name.
        """
        with self._lock:
            return _status(self._found(name))

    def remove(self, name: str) -> None:
        """Stop a watch and forget it; its events stay in the log.

        Raises:
            WatchMissingError: there is none of that name.
        """
        with self._lock:
            watch = self._found(name)
            with self._file.changing() as connection:
                connection.execute("DELETE FROM watches WHERE name = ?", (name,))
            del self._watches[name]
            _stop(watch)

    def close(self) -> None:
        """Stop all watches; whoever is in view is told of. They begin again with the next start."""
        with self._lock:
            watches, self._watches = list(self._watches.values()), {}
        for watch in watches:
            if watch.running is not None:
                watch.running.stop()
        for watch in watches:
            if watch.running is not None:
                watch.running.join(self._stall + 1)
            if watch.delivery is not None:
                watch.delivery.stop()
        self.events.stop_waiting()
        for watch in watches:
            if watch.delivery is not None:
                watch.delivery.join(1)
        self._file.close()

    def _found(self, name: str) -> _Watch:
        if name not in self._watches:
            raise WatchMissingError(f"There is no watch {name}: list the watches there are.")
        return self._watches[name]

    def _start_again(self, watch: _Watch) -> None:
        try:
            finder, people = self._opened(watch.settings.collection)
        except MfrError as error:
            watch.state, watch.error = "failed", str(error)
            return
        self._start(watch, finder, people)

    def _start(self, watch: _Watch, finder: FaceFinder, people: People) -> None:
        name = watch.settings.name
        watch.running = RunningWatch(
            watch.settings,
            finder,
            people,
            self.events,
            lambda: self._note("over", 1, name),
            pauses=self._pauses,
            stall=self._stall,
        )

    def _deliver(self, watch: _Watch, delivered: int) -> None:
        name = watch.settings.name
        hook = watch.settings.hook(private=self._private)
        if hook is not None:
            watch.delivery = WebhookDelivery(
                hook,
                name,
                self.events,
                delivered,
                lambda number: self._note("delivered", number, name),
                pauses=self._webhook_pauses,
            )

    def _note(self, column: str, value: int, name: str) -> None:
        # If it cannot be noted, it is done once more after a restart.
        with suppress(WriteError), self._file.changing() as connection:
            # Of another watch that had the name before, a number is smaller.
            connection.execute(
                f"UPDATE watches SET {column} = ? WHERE name = ? AND {column} < ?",
                (value, name, value),
            )


def _stop(watch: _Watch) -> None:
    for each in (watch.running, watch.delivery):
        if each is not None:
            each.stop()


def _status(watch: _Watch) -> WatchStatus:
    running, delivery = watch.running, watch.delivery
    return WatchStatus(
        settings=watch.settings.shown(),
        state=watch.state if running is None else running.state,
        frames=0 if running is None else running.frames,
        frames_per_second=None if running is None else running.frames_per_second,
        error=watch.error if running is None else running.error,
        last_event=None if running is None else running.last_event,
        sent=0 if delivery is None else delivery.sent,
        given_up=0 if delivery is None else delivery.given_up,
        webhook_error=None if delivery is None else delivery.error,
    )
