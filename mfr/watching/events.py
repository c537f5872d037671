"""What watching tells: one event for every person who was in view."""

from __future__ import annotations

from dataclasses import dataclass

from mfr.gallery.results import Outcome
from mfr.watching.liveness import Answer


@dataclass(frozen=True)
class Event:
    """Somebody was in view.

    Attributes:
        track: the number of the track, from 1 on.
        outcome: 'match', 'uncertain' or 'nobody', as `mfr.gallery.results.Identification` has it.
        identity: who it was; None unless the outcome is 'match'.
        nearest: the enrolled person who is most like the face; None if nobody is enrolled.
        score: the cosine of that person's nearest template and the fused embedding, -1 to 1.
        threshold: the score from which on it is that person; None if nothing was measured.
        fpir: the share of strangers who are taken for somebody at that threshold, over the whole
            gallery; None without a calibration.
        start: when the face was first seen, in seconds since the first frame.
        end: when it was last seen.
        started_at: when that was by the clock, in UTC, ISO 8601; None for a recording.
        sightings: on how many frames it was seen.
        best_frame: the number of the frame, from 0 on, on which it is best.
        best_time: when that was, in seconds since the first frame.
        box: x0, y0, x1, y1 of the face on that frame, in pixels.
        warnings: what makes the answer less reliable, a sentence each.
        picture: where that frame was drawn, if it was asked for.
        live: 'live' for a head that turns, 'still' for a picture that is moved, 'unknown' where
            neither can be told (`mfr.watching.liveness`); None if it was not asked for.
    """

    track: int
    outcome: Outcome
    identity: str | None
    nearest: str | None
    score: float | None
    threshold: float | None
    fpir: float | None
    start: float
    end: float
    started_at: str | None
    sightings: int
    best_frame: int
    best_time: float
    box: tuple[float, float, float, float]
    warnings: tuple[str, ...] = ()
    picture: str | None = None
    live: Answer | None = None
