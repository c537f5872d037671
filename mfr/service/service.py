"""Everything that the routes of one process share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from mfr.recogniser import Recogniser
from mfr.service.collections import Collections
from mfr.service.cursors import Cursors
from mfr.service.decoding import Decoders
from mfr.service.gathering import Decoder, GatheringRecogniser, take_decoded
from mfr.service.idempotency import Replies
from mfr.service.jobs import Jobs
from mfr.service.keys import Keys
from mfr.service.metrics import Metrics
from mfr.service.settings import Settings
from mfr.service.state_file import StateFile
from mfr.service.throttle import Throttle


class Service:
    """What stands behind the routes. Close it.

    Args:
        settings: how it runs.
        decoder: decodes photos; processes of its own unless given.
        shared: makes a loaded recogniser the one that the routes use, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        decoder: Decoder | None = None,
        shared: Callable[[Recogniser], GatheringRecogniser] | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        with ExitStack() as stack:
            self.state = StateFile(settings.state)
            stack.callback(self.state.close)
            self.keys = Keys(self.state)
            self.throttle = Throttle(self.state, settings.workers, settings.limits.failures)
            self.cursors = Cursors(self.state.secret("cursors"))
            self.replies = Replies(self.state, settings.limits.seconds)
            self._decoder = decoder or stack.enter_context(Decoders())
            self.collections = Collections(settings, shared or self._gathered)
            stack.callback(self.collections.close)
            self.jobs = Jobs(self.state, self.collections)
            stack.callback(self.jobs.close)
            self._stack = stack.pop_all()

    def _gathered(self, loaded: Recogniser) -> GatheringRecogniser:
        reading = Recogniser(loaded.detector, loaded.encoder, read=take_decoded)
        return GatheringRecogniser(reading, self._decoder, self.settings.limits, self.metrics.stage)

    def close(self) -> None:
        """Finish what was accepted, and close everything."""
        self._stack.close()
