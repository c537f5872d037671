"""Which face of a photo was enrolled: told by the measurements that were kept with its template."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Final

from mfr.errors import FaceError
from mfr.gallery.photos import EmbeddedPhoto, MovingRecogniser
from mfr.gallery.records import NewTemplate

_SIZE: Final = math.log(1.1)
"""The largest difference in the logarithm of the distance between the eyes: another detector places
the eyes of the same face a little differently."""

_GREY: Final = 10.0
"""The largest difference in the mean grey of the crop."""


def face_recorded(
    recogniser: MovingRecogniser, path: Path, main: EmbeddedPhoto, template: NewTemplate
) -> EmbeddedPhoto:
    """The face of a photo that a template was made of.

    Args:
        recogniser: embeds the photo's other faces, if there are any.
        path: the photo.
        main: its main face, embedded.
        template: the template, made with another model.

    Raises:
        FaceError: the photo does not show the recorded face, or several that may be it.
    """
    faces = [main] if main.faces == 1 else recogniser.embed_faces(path)
    found = [face for face in faces if _agrees(dataclasses.asdict(face.quality), template)]
    if len(found) == 1:
        return found[0]
    what = "several faces that may be" if found else "no face that is"
    raise FaceError(f"{path} shows {what} the one that was enrolled.")


def _agrees(quality: dict[str, float], template: NewTemplate) -> bool:
    """Whether a face has the recorded size and brightness; what is not recorded is not asked."""
    kept = template.quality
    eyes, before = quality.get("inter_ocular"), kept.get("inter_ocular")
    if eyes and before and abs(math.log(eyes / before)) > _SIZE:
        return False
    grey, was = quality.get("brightness"), kept.get("brightness")
    return grey is None or was is None or abs(grey - was) <= _GREY
