"""The thread that sends a watch's events on; it reads them from the log: nothing waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from mfr.errors import MfrError, WriteError
from mfr.service.watch_events import WatchEvents
from mfr.service.webhooks import Webhook

PAUSES: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""The seconds before each further attempt to send an event; after the last it is given up."""

_LOOK: Final = 0.5


class WebhookDelivery:
    """Sends events in their order from now on; one that fails holds those after it back. Stop it.

    Args:
        webhook: where to.
        watch: whose events.
        events: the log.
        delivered: the number of the last event that was sent.
        done: is told the number of each event that was sent or given up.
        pauses: as `PAUSES`.
    """

    def __init__(
        self,
        webhook: Webhook,
        watch: str,
        events: WatchEvents,
        delivered: int,
        done: Callable[[int], None],
        *,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._webhook, self._done, self._pauses = webhook, done, pauses
        self._subscription = events.subscribe(delivered, watch=watch)
        self._stop = threading.Event()
        self.sent = self.given_up = 0
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"webhook {watch}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what has not been sent yet can be by another."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        """Wait until it has ended, at most for ``timeout`` seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        with suppress(WriteError):  # the log was closed
            while not self._stop.is_set():
                event = self._subscription.next(_LOOK)
                if event is not None and self._sent(event):
                    self._done(event["number"])

    def _sent(self, event: Mapping[str, Any]) -> bool:
        """Send an event or give it up; False if this was stopped before."""
        for pause in (0.0, *self._pauses):
            if self._stop.wait(pause):
                return False
            try:
                self._webhook.send(event)
            except MfrError as error:
                self.error = str(error)
            else:
                self.sent, self.error = self.sent + 1, None
                return True
        self.given_up += 1
        return True
