"""A face of a photograph, embedded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mfr.faces.quality import Quality, flaws


@dataclass(frozen=True)
class EmbeddedFace:
    """A face of a photograph, embedded.

    Attributes:
        embedding: (D,) float32, unit length.
        crop: (112, 112, 3) uint8 RGB, what the encoder was given.
        box: (4,) float32 x0, y0, x1, y1 in pixels of the photograph.
        quality: how good the face is.
        name: what the photograph is called in messages.
        detector: the name of the detector that found the face.
        faces: how many faces the photograph shows.
        doubtful: whether another face of the photograph may be meant as well: one that is large and
            central too.
        turn: by how many degrees clockwise the photograph has to be turned to be upright.
        unlike: whether the face looks like nothing that the model was measured on.
    """

    embedding: np.ndarray
    crop: np.ndarray
    box: np.ndarray
    quality: Quality
    name: str
    detector: str
    faces: int = 1
    doubtful: bool = False
    turn: int = 0
    unlike: bool = False

    @property
    def flaws(self) -> tuple[str, ...]:
        """Why the face is too poor to be relied on, a clause each."""
        return tuple(flaws(self.quality))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know before relying on the embedding, a sentence each."""
        found = [f"The face in {self.name} is poor: {flaw}." for flaw in self.flaws]
        if self.turn:
            found.append(
                f"{self.name} does not stand upright: it was turned by {self.turn} degrees "
                "clockwise."
            )
        if self.doubtful:
            found.append(
                f"{self.name} has {self.faces} faces and it is not clear which one is meant: crop "
                "it to one, or choose with --face."
            )
        return tuple(found)
