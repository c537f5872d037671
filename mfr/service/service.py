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
from mfr.service.recognisers import Recognisers
from mfr.service.settings import Settings
from mfr.service.state_file import StateFile
from mfr.service.throttle import Throttle


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
            self._stack = stack.pop_all()

    def open_all(self) -> None:
        """Open all collections and load their models, so that the first request need not wait.

        Raises:
            MfrError: one cannot be opened.
        """
        for name in self.collections.names():
            self.collections.get(name)

    def close(self) -> None:
        """Finish what was accepted, and close everything."""
        self._stack.close()
