"""Faces followed from frame to frame, by where they are and by whom they show.

Each frame's faces are assigned to the tracks in view so that the sum over all pairs is largest
(Kuhn, The Hungarian method for the assignment problem, Naval Research Logistics Quarterly 2, 1955).
A face continues a track if its embedding is like the track's, wherever it is; or if their boxes
overlap and the embedding is not unlike it. So a cut to another scene begins a new track although
the next face stands in the same place, and two people who pass each other keep theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from mfr.watching.fusing import FusedEmbedding
from mfr.watching.kept_crops import KeptCrops

MIN_OVERLAP: Final = 0.3
"""The least intersection over union at which two boxes are in the same place; that of SORT (Bewley
et al., Simple online and realtime tracking, ICIP 2016)."""


@dataclass(frozen=True)
class Sighting:
    """A face on a frame.

    Attributes:
        frame: the number of the frame.
        seconds: when that was.
        box: (4,) x0, y0, x1, y1 in pixels.
        embedding: (D,) float32, unit length.
        weight: what it counts for, see `mfr.watching.fusing.weight`.
        good: whether it is fit to be relied on.
        pixels: (H, W, 3) the frame, if its picture may be wanted.
        crop: (112, 112, 3) uint8 RGB, if it is to be told whether the face is alive.
    """

    frame: int
    seconds: float
    box: np.ndarray
    embedding: np.ndarray
    weight: float
    good: bool = True
    pixels: np.ndarray | None = None
    crop: np.ndarray | None = None


class Track:
    """One face over the frames on which it was seen.

    Attributes:
        number: from 1 on, in the order in which tracks began.
        best: the sighting of the largest weight, the earliest of several.
        last: the latest sighting.
        start: when it was first seen, in seconds.
        sightings: on how many frames it was seen.
        good: on how many of them it was fit to be relied on.
        crops: some of the sightings that were.
    """

    def __init__(self, number: int, first: Sighting) -> None:
        self.number = number
        self.start = first.seconds
        self.best = self.last = first
        self.sightings = self.good = 0
        self._fused = FusedEmbedding()
        self.crops = KeptCrops()
        self.add(first)

    def add(self, sighting: Sighting) -> None:
        """Continue the track."""
        self._fused.add(sighting.embedding, sighting.weight)
        self.sightings += 1
        self.good += sighting.good
        if sighting.good and sighting.crop is not None:
            self.crops.add(sighting.crop)
        self.last = sighting
        if sighting.weight > self.best.weight:
            self.best = sighting

    @property
    def embedding(self) -> np.ndarray:
        """(D,) float32, unit length: the direction of all sightings' mean."""
        return self._fused.value

    @property
    def length(self) -> float:
        """The length of that mean, 0 to 1."""
        return self._fused.length


class Tracker:
    """Follows faces.

    Args:
        threshold: the cosine from which on two faces are one person, wherever they are.
        near: the cosine from which on they are if their boxes overlap; at most ``threshold``.
        gap: the seconds after which a face that is not seen has gone.
    """

    def __init__(self, threshold: float, near: float, gap: float) -> None:
        self._threshold = threshold
        self._near = min(near, threshold)
        self._gap = gap
        self._tracks: list[Track] = []
        self._begun = 0

    def follow(self, sightings: Sequence[Sighting]) -> list[Track]:
        """The tracks, old and new, that the faces of the next frame belong to."""
        tracks = self._tracks
        values = np.zeros((len(tracks), len(sightings)))
        for row, track in enumerate(tracks):
            for column, sighting in enumerate(sightings):
                values[row, column] = self._value(track, sighting)
        found: dict[int, Track] = {}
        for row, column in zip(*linear_sum_assignment(values, maximize=True), strict=True):
            if values[row, column] > 0:
                tracks[row].add(sightings[column])
                found[int(column)] = tracks[row]
        for column, sighting in enumerate(sightings):
            if column not in found:
                self._begun += 1
                found[column] = Track(self._begun, sighting)
                tracks.append(found[column])
        return [found[column] for column in range(len(sightings))]

    def take_ended(self, seconds: float) -> list[Track]:
        """The tracks that were last seen more than the gap before ``seconds``; they are over."""
        return self._take([t for t in self._tracks if seconds - t.last.seconds > self._gap])

    def take_longer_than(self, longest: float) -> list[Track]:
        """The tracks that have lasted longer; if the face is still there, a new one begins."""
        return self._take([t for t in self._tracks if t.last.seconds - t.start > longest])

    def take_all(self) -> list[Track]:
        """All tracks: the video is over."""
        return self._take(list(self._tracks))

    def _take(self, over: list[Track]) -> list[Track]:
        self._tracks = [track for track in self._tracks if track not in over]
        return over

    def _value(self, track: Track, sighting: Sighting) -> float:
        """How well a face continues a track; 0 if it does not."""
        likeness = max(
            float(track.embedding @ sighting.embedding),
            float(track.last.embedding @ sighting.embedding),
        )
        overlap = intersection_over_union(track.last.box, sighting.box)
        least = self._near if overlap >= MIN_OVERLAP else self._threshold
        # Above 0 for any pair that may be one, however large the threshold.
        return 2 + likeness + overlap if likeness >= least else 0.0


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> float:
    """The area that two boxes (4,) share, over the area that they cover together; 0 to 1."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return shared / (areas - shared) if areas > shared else 0.0
