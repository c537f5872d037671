"""What the camera sees of a person: the surface that each pixel shows, and its look."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth.camera import Camera
from data_tools.synth.domains import Band
from data_tools.synth.head import Field
from data_tools.synth.person import Person
from data_tools.synth.rasteriser import Fragments
from data_tools.synth.scene import Scene

BACKDROP: Final = 0
SKIN: Final = 1
HAIR: Final = 2
EYE: Final = 3
MOUTH: Final = 4
COVER: Final = 5
GLASSES: Final = 6
CLOTH: Final = 7
LABELS: Final = ("backdrop", "skin", "hair", "eye", "mouth", "cover", "glasses", "cloth")
"""The names of the values above, which are the labels of what a pixel shows."""


class View:
    """What a camera sees of a person in a scene, and the images that the drawing fills.

    The images have the oversampled size.

    Args:
        person: who is seen.
        scene: how the person stands and is lit.
        band: the light in which the person is seen.
        camera: the camera.
        seen: the surface that each pixel shows; surface number 0 is the head.
        surface: the surface of the head in the camera's frame.
    """

    def __init__(
        self,
        person: Person,
        scene: Scene,
        band: Band,
        camera: Camera,
        seen: Fragments,
        surface: Field,
    ) -> None:
        self.person, self.scene, self.band, self.camera = person, scene, band, camera
        self.seen, self.surface = seen, surface
        shape = seen.part.shape
        self.label: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.normal[..., 2] = 1
        self.open = np.ones(shape, np.float32)  # ambient occlusion, 1 is unobstructed
        self.gloss = np.zeros(shape, np.float32)
        self.shine = np.zeros(shape, np.float32)  # the sheen of hair
        self.light = np.zeros((*shape, 3), np.float32)
        self.canonical = np.full((*shape, 2), 99, np.float32)

    def fill(
        self,
        box: tuple[slice, slice],
        part: NDArray[np.bool_],
        label: NDArray[np.integer],
        albedo: Field,
        normal: Field,
        openness: Field | None,
        gloss: Field,
        shine: Field,
    ) -> None:
        """Set the properties of the pixels of ``box`` where ``part`` is true."""
        everywhere = part[..., None]
        np.copyto(self.label[box], label.astype(np.uint8), where=part)
        np.copyto(self.albedo[box], albedo, where=everywhere)
        np.copyto(self.normal[box], normal, where=everywhere)
        if openness is not None:
            np.copyto(self.open[box], openness, where=part)
        np.copyto(self.gloss[box], gloss, where=part)
        np.copyto(self.shine[box], shine, where=part)

    def over(self, backdrop: NDArray[np.float32]) -> Field:
        """The light of the person in front of a backdrop."""
        height, width = self.label.shape
        behind = cv2.resize(backdrop, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.where((self.seen.part >= 0)[..., None], self.light, behind)

    def visible(self, landmarks: Field) -> NDArray[np.bool_]:
        """Whether each of the landmarks (5, 3) of the head is visible, (5,)."""
        place = self.camera.project(self.camera.to_camera(landmarks))
        result = np.zeros(5, bool)
        for k, (x, y, z) in enumerate(place):
            i, j = round(float(y)), round(float(x))
            if 0 <= i < self.label.shape[0] and 0 <= j < self.label.shape[1]:
                free = self.seen.depth[i, j] < z + 0.7
                result[k] = free and self.label[i, j] in (SKIN, EYE, MOUTH, BACKDROP)
        return result


def look_up(field: Field, column: Field, row: Field, outside: float = 0) -> NDArray[np.float32]:
    """A field at fractional coordinates, bilinear: (*shape of ``row``, channels)."""
    field = np.ascontiguousarray(field, np.float32)
    maps = np.asarray(column, np.float32), np.asarray(row, np.float32)
    return np.asarray(
        cv2.remap(field, *maps, cv2.INTER_LINEAR, borderValue=(outside,) * 4), np.float32
    )


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The smallest rectangle around a mask; None if the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
