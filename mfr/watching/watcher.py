"""Frames to events: faces found, followed, fused and looked up in a gallery."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from mfr.conditions import Calibrations
from mfr.decision import DEFAULT_FMR, basis_for, choose_threshold
from mfr.embedded_face import EmbeddedFace
from mfr.errors import ConfigError
from mfr.gallery.judging import DEFAULT_FPIR, check_fpir
from mfr.gallery.results import Identification
from mfr.watching.events import Event
from mfr.watching.fusing import weight
from mfr.watching.liveness import check
from mfr.watching.source import Frame
from mfr.watching.tracking import Sighting, Track, Tracker

NEAR_FMR: Final = 1e-2
"""The false-match rate whose threshold a face must reach that is where a track was: as it is there,
a larger rate than elsewhere will do."""

GAP: Final = 1.0
"""The seconds after which a face that is not seen has gone."""

LONGEST: Final = 30.0
"""The seconds after which somebody who stays in view is told of, and again."""

MIN_SIGHTINGS: Final = 2
"""On how many frames a face must have been fit to be relied on: chance finds it once."""


class FaceFinder(Protocol):
    """What watching needs of a `mfr.recogniser.Recogniser`."""

    def embed_image_faces(self, image: np.ndarray, name: str) -> Sequence[EmbeddedFace]:
        """The upright faces of (H, W, 3) uint8 RGB."""


class People(Protocol):
    """What watching needs of a `mfr.gallery.Gallery`."""

    @property
    def calibration(self) -> Calibrations | None:
        """What scores mean."""

    def match(
        self,
        embeddings: Sequence[np.ndarray],
        k: int = 5,
        *,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        length: float = 1.0,
    ) -> Identification:
        """Who embeddings (D,) of one person are, if anybody."""


@dataclass(frozen=True)
class Seen:
    """A face of the latest frame.

    Attributes:
        track: the number of its track.
        box: (4,) x0, y0, x1, y1 in pixels.
        found: who the track is, as far as can be told by now.
    """

    track: int
    box: np.ndarray
    found: Identification


class Watcher:
    """Turns frames into events; not for several threads.

    Args:
        recogniser: finds and embeds faces.
        gallery: who is enrolled, at any moment.
        fpir: the share of strangers who may be taken for somebody, over the whole gallery.
        threshold: the cosine to hold scores against, instead of calibrated ones.
        gap: the seconds after which a face that is not seen has gone.
        longest: the seconds after which somebody who stays is told of, and again.
        min_sightings: on how many frames a face must have been fit to be relied on.
        live: whether events tell the time by the clock.
        keep_frames: whether tracks keep the frame on which they are best.
        live_check: whether events tell a head from a picture (`mfr.watching.liveness`).

    Raises:
        ConfigError: a number is out of range.
        ModelError: there is neither a threshold nor a calibration to take one from.
    """

    def __init__(
        self,
        recogniser: FaceFinder,
        gallery: People,
        *,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        gap: float = GAP,
        longest: float = LONGEST,
        min_sightings: int = MIN_SIGHTINGS,
        live: bool = False,
        keep_frames: bool = False,
        live_check: bool = False,
    ) -> None:
        if not gap > 0 or not longest > 0:
            raise ConfigError(f"--gap {gap:g} and --longest {longest:g} are seconds above 0.")
        if min_sightings < 1:
            raise ConfigError(f"--min-frames {min_sightings} is a number of frames: 1 or more.")
        check_fpir(fpir)
        basis = None if threshold is not None else basis_for(gallery.calibration, [])
        lowest = 0.0 if basis is None else basis.lowest_fmr
        same = choose_threshold(basis, max(DEFAULT_FMR, lowest), threshold)
        near = same if basis is None else basis.threshold_at(max(NEAR_FMR, lowest))
        self._fpir, self._threshold = fpir, threshold
        self._recogniser, self._gallery = recogniser, gallery
        self._tracker = Tracker(same, near, gap)
        self._longest, self._min_sightings = longest, min_sightings
        self._keep_frames = keep_frames
        self._live_check = live_check
        self._live = live
        self._began: datetime.datetime | None = None
        self._latest: list[tuple[Track, Sighting]] = []

    def look(self, frame: Frame) -> list[tuple[Event, Sighting]]:
        """The events that the next frame shows to be over, each with its best sighting."""
        if self._began is None:
            self._began = datetime.datetime.now(datetime.timezone.utc)
        faces = self._recogniser.embed_image_faces(frame.pixels, f"frame {frame.number}")
        sightings = [
            Sighting(
                frame.number,
                frame.seconds,
                face.box,
                face.embedding,
                weight(face.quality),
                not face.flaws,
                frame.pixels if self._keep_frames else None,
                face.crop if self._live_check else None,
            )
            for face in faces
        ]
        ended = self._tracker.take_ended(frame.seconds)
        self._latest = list(zip(self._tracker.follow(sightings), sightings, strict=True))
        return self._told([*ended, *self._tracker.take_longer_than(self._longest)])

    def finish(self) -> list[tuple[Event, Sighting]]:
        """The events of all tracks that are still open: nothing more will be seen."""
        return self._told(self._tracker.take_all())

    def in_view(self) -> list[Seen]:
        """The faces of the latest frame, and who they are as far as can be told by now."""
        return [
            Seen(track.number, sighting.box, self._identify(track))
            for track, sighting in self._latest
        ]

    def _told(self, tracks: Sequence[Track]) -> list[tuple[Event, Sighting]]:
        return [
            (self._event(track), track.best)
            for track in sorted(tracks, key=lambda track: track.number)
            if track.good >= self._min_sightings
        ]

    def _event(self, track: Track) -> Event:
        found = self._identify(track)
        nearest = found.candidates[0] if found.candidates else None
        left, top, right, bottom = (round(float(x), 1) for x in track.best.box)
        return Event(
            track=track.number,
            outcome=found.outcome or "nobody",
            identity=found.identity,
            nearest=None if nearest is None else nearest.identity,
            score=None if nearest is None else round(nearest.score, 4),
            threshold=None if found.threshold is None else round(found.threshold, 4),
            fpir=found.fpir,
            start=round(track.start, 3),
            end=round(track.last.seconds, 3),
            started_at=self._by_the_clock(track.start) if self._live else None,
            sightings=track.sightings,
            best_frame=track.best.frame,
            best_time=round(track.best.seconds, 3),
            box=(left, top, right, bottom),
            warnings=found.warnings,
            live=check(track.crops.all()).answer if self._live_check else None,
        )

    def _identify(self, track: Track) -> Identification:
        return self._gallery.match(
            [track.embedding],
            1,
            fpir=self._fpir,
            threshold=self._threshold,
            length=track.length,
        )

    def _by_the_clock(self, seconds: float) -> str | None:
        if self._began is None:
            return None
        moment = self._began + datetime.timedelta(seconds=seconds)
        return moment.isoformat(timespec="milliseconds")
