"""Cache files written in the background, seldom: a cache that is behind catches up when it is read.

A file is written when there is none that can be used (a removal takes the file away, since what was
removed should not lie about), or when it lacks so many templates that catching up costs more than a
little. It is written at most once in a while, and when the gallery is closed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mfr import atomic, locking
from mfr.errors import WriteError
from mfr.gallery.cache import write_cache
from mfr.gallery.cache_state import cached_stamp, lock_of
from mfr.gallery.index import TemplateIndex
from mfr.gallery.store import Store

_PAUSE: Final = 5.0
"""Seconds between a change and the writing it causes, so that a burst is written once."""

_IDLE_SHARE: Final = 20
"""After a writing, the next one waits so many times as long as that took: it costs 5% at most."""

_LACKING_SHARE: Final = 16
"""A file that lacks more than a sixteenth of the templates is written anew."""

_CLOSING_SECONDS: Final = 60.0
"""How long closing waits for a file that is being written; afterwards it is left unfinished."""


@dataclass(frozen=True)
class _State:
    """An index, and how many templates were added and removed until it came to be."""

    index: TemplateIndex
    added: int
    removed: int


class CacheWriter:
    """Keeps the cache file at ``path`` near an index, without holding up searches.

    The directory of ``path`` holds files of one gallery only. A lock file in it lets one process
    write at a time. Nothing is written that holds templates the store has removed meanwhile.

    Args:
        path: the cache file.
        store: whose index it is.
    """

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._state: _State | None = None
        self._filed: _State | None = None  # what the file holds; None when it is of no use
        self._not_before = 0.0  # on the clock of time.monotonic
        self._closing = False

    def start(self, index: TemplateIndex, *, usable: bool) -> None:
        """Say that ``index`` was just read from the file or, if not ``usable``, made without it."""
        with self._condition:
            self._state = _State(index, 0, 0)
            self._filed = self._state if usable else None
            self._wake(pause=0.0)

    def follow(self, index: TemplateIndex, *, added: int, removed: int) -> None:
        """Say that ``index`` came from the last one by adding and removing so many templates."""
        with self._condition:
            assert self._state is not None, "start comes first"
            self._state = _State(index, self._state.added + added, self._state.removed + removed)
            self._wake(pause=_PAUSE)

    def forget(self) -> None:
        """Let go of the last index; `start` comes next."""
        with self._condition:
            self._state = self._filed = None

    def write_now(self, index: TemplateIndex) -> None:
        """Write the file, whatever is there, before returning.

        Raises:
            WriteError: the disk is full or the location cannot be written.
        """
        try:
            self._write(index, replace=True)
        except WriteError:
            with self._condition:
                self._filed = None
            raise

    def close(self) -> None:
        """Write the file if that is worth its while, and stop."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSING_SECONDS)

    def _wake(self, pause: float) -> None:
        """Start the thread if there is something to write; it ends when there is nothing left."""
        if self._closing or self._thread is not None or not self._worthwhile():
            return
        self._not_before = max(self._not_before, time.monotonic() + pause)
        # A daemon: a program that ends without closing its gallery does not wait for a cache.
        self._thread = threading.Thread(target=self._work, name="gallery cache", daemon=True)
        self._thread.start()

    def _worthwhile(self) -> bool:
        if self._state is None or self._filed is None:
            return self._state is not None
        lacking = self._state.added - self._filed.added
        outdated = self._state.removed != self._filed.removed
        return outdated or _LACKING_SHARE * lacking > len(self._state.index)

    def _work(self) -> None:
        # On Linux a thread has a niceness of its own: this one gives way to searches.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        while (task := self._next()) is not None:
            state, replace = task
            begun = time.monotonic()
            try:
                self._write(state.index, replace=replace)
            except (WriteError, OSError):
                # It is only a cache: the next change is reason enough to try again.
                with self._condition:
                    self._thread = None
                return
            ended = time.monotonic()
            with self._condition:
                self._filed = state
                self._not_before = ended + max(_PAUSE, _IDLE_SHARE * (ended - begun))

    def _next(self) -> tuple[_State, bool] | None:
        """What to write, once it is time, and whether to do so whatever is there."""
        with self._condition:
            while self._worthwhile():
                wait = self._not_before - time.monotonic()
                if wait <= 0 or self._closing:
                    assert self._state is not None
                    return self._state, self._filed is None
                self._condition.wait(wait)
            self._thread = None
            return None

    def _write(self, index: TemplateIndex, *, replace: bool) -> None:
        with locking.waiting_for(lock_of(self._path)):
            # Another process may have written the same while this one waited.
            if not replace and cached_stamp(self._path) == index.stamp:
                return
            if self._holds_removed(index):
                return
            atomic.remove_unfinished(self._path.parent)
            write_cache(self._path, index, self._store.secret)
            # What was removed while it was written must not lie there either.
            if self._holds_removed(index):
                self._path.unlink(missing_ok=True)

    def _holds_removed(self, index: TemplateIndex) -> bool:
        try:
            return self._store.has_removed(index.stamp)
        except (
            Exception
        ):  # closed meanwhile, or damaged: no file is better than one that may hold it
            return True
