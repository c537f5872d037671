"""What a watch is: its source, whom it looks for, and what becomes of what it sees."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from mfr.gallery.judging import DEFAULT_FPIR
from mfr.service.webhooks import Webhook
from mfr.watching.source import shown_source
from mfr.watching.watcher import GAP, LONGEST, MIN_SIGHTINGS

_LIVE: Final = re.compile(r"[0-9]+$|[a-z][a-z0-9+.\-]*://", re.IGNORECASE)


class WebhookSettings(BaseModel):
    """Where events are sent, and the secret that signs them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(repr=False, max_length=2000)
    secret: str = Field(repr=False, min_length=16, max_length=200)


class WatchSettings(BaseModel):
    """A watch. The source and the webhook may hold passwords: show `shown` only.

    Attributes:
        name: by which it is known.
        collection: the gallery of the people who are looked for.
        source: a video file, the number of a camera, or an address (rtsp://, http://, ...).
        fpir: the share of strangers who may be taken for somebody, over the whole gallery.
        gap: the seconds after which a face that is not seen has gone.
        longest: the seconds after which somebody who stays is told of, and again.
        min_frames: on how many frames a face must be good to be told of.
        keep_best_frame: whether events have pictures.
        webhook: where events are sent, if anywhere.
        live_check: whether events tell a head from a picture (`mfr.watching.liveness`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    collection: str
    source: str = Field(repr=False, min_length=1, max_length=2000)
    fpir: float = Field(DEFAULT_FPIR, gt=0, le=1)
    gap: float = Field(GAP, gt=0, le=3600)
    longest: float = Field(LONGEST, gt=0, le=86400)
    min_frames: int = Field(MIN_SIGHTINGS, ge=1, le=1000)
    keep_best_frame: bool = False
    webhook: WebhookSettings | None = None
    live_check: bool = False

    @property
    def reconnects(self) -> bool:
        """Whether the source may come back: it is a camera or an address."""
        return _LIVE.match(self.source) is not None

    def hook(self, *, private: bool) -> Webhook | None:
        """What sends the events; ``private`` as `mfr.service.webhooks.Webhook` has it."""
        if self.webhook is None:
            return None
        return Webhook(self.webhook.url, self.webhook.secret, private)

    def shown(self) -> dict[str, Any]:
        """The settings as they may be shown, with no password or secret."""
        hook = self.hook(private=False)
        open_to_all = self.model_dump(exclude={"source", "webhook"})
        return {
            **open_to_all,
            "source": shown_source(self.source),
            "webhook": None if hook is None else hook.shown,
        }
