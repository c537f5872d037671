"""Everything that the routes of one process share."""

from __future__ import annotations

from contextlib import ExitStack

from mfr.service.collections import Collections
from mfr.service.cursors import Cursors
from mfr.service.decoding import Decoders
from mfr.service.idempotency import Replies
from mfr.service.jobs import Jobs
from mfr.service.keys import Keys
from mfr.service.metrics import Metrics
from mfr.service.problems import ServiceError
from mfr.service.recognisers import Recognisers
from mfr.service.settings import Settings
from mfr.service.state_file import StateFile
from mfr.service.throttle import Throttle
from mfr.service.watches import Watches
from mfr.watching.watcher import FaceFinder, People


class Service:
    """What stands behind the routes. Close it.

    Args:
        settings: how it runs.
        recognisers: its recognisers; its own unless they are given.
    """

    def __init__(self, settings: Settings, recognisers: Recognisers | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        with ExitStack() as stack:
            self.state = StateFile(settings.state)
            stack.callback(self.state.close)
            self.keys = Keys(self.state)
            self.throttle = Throttle(self.state, settings.workers, settings.limits.failures)
            self.cursors = Cursors(self.state.secret("cursors"))
            self.replies = Replies(self.state, settings.limits.seconds)
            if recognisers is None:
                decoders = stack.enter_context(Decoders())
                recognisers = Recognisers(settings, decoders, self.metrics.stage)
            self.recognisers = recognisers
            stack.callback(recognisers.close)
            self.collections = Collections(settings, recognisers)
            stack.callback(self.collections.close)
            self.jobs = Jobs(self.state, self.collections)
            stack.callback(self.jobs.close)
            self._watches: Watches | None = None
            if settings.workers == 1:
                self._watches = Watches(
                    settings.state / "watches",
                    self._watched,
                    private_webhooks=settings.private_webhooks,
                )
                stack.callback(self._watches.close)
            self._stack = stack.pop_all()

    def open_all(self) -> None:
        """Open all collections and load their models, so that the first request need not wait.

        Raises:
            MfrError: one cannot be opened.
        """
        for name in self.collections.names():
            self.collections.get(name)

    def watching(self) -> Watches:
        """The watches.

        Raises:
            ServiceError: the service has several processes, of which none can have them alone.
        """
        if self._watches is None:
            raise ServiceError(
                409,
                "no-watches",
                "A service of several processes watches nothing: run another one for that, with "
                "--workers 1 and a --state of its own.",
            )
        return self._watches

    def _watched(self, collection: str) -> tuple[FaceFinder, People]:
        found = self.collections.get(collection)
        return found.recogniser, found.gallery

    def forget(self, collection: str, identity: str) -> None:
        """Delete what the service itself has of a person who was erased from a gallery.

        Raises:
            WriteError: the disk is full.
        """
        self.jobs.forget(collection, identity)
        self.replies.forget(identity)
        self.state.drop_log()
        if self._watches is not None:
            self._watches.events.forget(collection, identity)

    def forget_all(self, collection: str) -> None:
        """Delete what the service itself has of a collection that was removed.

        Raises:
            WriteError: the disk is full.
        """
        self.jobs.forget_all(collection)
        self.replies.forget_all()
        self.state.drop_log()
        if self._watches is not None:
            self._watches.events.forget_all(collection)

    def close(self) -> None:
        """Finish what was accepted, and close everything."""
        self._stack.close()
