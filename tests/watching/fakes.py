"""A recogniser whose faces are coloured squares, and a gallery of colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mfr.conditions import Calibrations
from mfr.embedded_face import EmbeddedFace
from mfr.faces.quality import Quality
from mfr.gallery.results import Identification, Match
from mfr.watching.source import Frame
from tests.gallery.fake_recogniser import CALIBRATION

COLOURS = {"ada": (250, 0, 0), "bob": (0, 250, 0), "eve": (0, 0, 250)}


def frame(number: int, squares: Mapping[str, int], *, rate: float = 10) -> Frame:
    """A frame with a square of 60 pixels for each name, which begins at the column given."""
    pixels = np.full((240, 320, 3), 128, np.uint8)
    for name, left in squares.items():
        pixels[90:150, left : left + 60] = COLOURS[name]
    return Frame(number, number / rate, pixels)


class SquareFinder:
    """Finds the coloured squares of an image; the embedding is the colour.

    Args:
        blurs: the sharpness of the faces on each frame, in order; 100 beyond.
    """

    calibration = CALIBRATION

    def __init__(self, blurs: Sequence[float] = ()) -> None:
        self._blurs = list(blurs)

    def embed_image_faces(self, image: np.ndarray, name: str) -> list[EmbeddedFace]:
        blur = self._blurs.pop(0) if self._blurs else 100.0
        found = []
        for colour in COLOURS.values():
            near = np.abs(image.astype(int) - colour).max(axis=2) < 100
            if near.sum() > 500:
                rows, columns = np.nonzero(near)
                box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                found.append(
                    EmbeddedFace(
                        np.array(colour, np.float32) / 250,
                        np.zeros((112, 112, 3), np.uint8),
                        box.astype(np.float32),
                        Quality(1.0, 35.0, blur, 120.0),
                        name,
                        "squares",
                    )
                )
        return found


class ColourGallery:
    """Who is enrolled, by colour."""

    calibration: Calibrations | None = CALIBRATION

    def __init__(self, *names: str) -> None:
        self.names = names

    def match(
        self,
        embeddings: Sequence[np.ndarray],
        k: int = 5,
        *,
        fpir: float = 0.01,
        threshold: float | None = None,
        length: float = 1.0,
    ) -> Identification:
        """A match from 0.9 on, uncertain from 0.5 on, unless there is a threshold."""
        sure, unsure = (0.9, 0.5) if threshold is None else (threshold, threshold)
        (embedding,) = embeddings
        scores = {
            name: float(np.array(COLOURS[name]) @ embedding / 250) * length for name in self.names
        }
        ranked = sorted(scores.items(), key=lambda each: -each[1])[:k]
        matches = tuple(Match(name, score, score >= sure) for name, score in ranked)
        outcome = "nobody"
        if matches and matches[0].score >= unsure:
            outcome = "match" if matches[0].match else "uncertain"
        identity = matches[0].identity if outcome == "match" else None
        return Identification(outcome, identity, matches, sure, unsure, fpir, None)

    def __enter__(self) -> ColourGallery:
        return self

    def __exit__(self, *_: object) -> None:
        pass
