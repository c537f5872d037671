"""One synthetic image with its truth, as a function of (seed, identity, domain, image)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_tools.synth.domains import Domain
from data_tools.synth.draws import Draws
from data_tools.synth.identity import draw_identity
from data_tools.synth.person import Person
from data_tools.synth.render import render
from data_tools.synth.scene import Scene, draw_scene
from data_tools.synth.sensor import develop, draw_backdrop
from mfr.geometry import CROP_SIZE, TEMPLATE

JITTER = 0.8
"""The standard deviation, in crop pixels, of the landmarks that align a crop; it imitates that of a
detector."""


@dataclass(frozen=True)
class Photograph:
    """An image and all that is known about it.

    Attributes:
        image: (size, size, 3) RGB uint8.
        landmarks: (5, 2) exact x, y in pixels: eye centres, nose tip, mouth corners.
        visible: (5,) whether each landmark is visible.
        label: (size, size) uint8, what each pixel shows: an index into `view.LABELS`.
        scene: pose, light, age, expression and what is worn.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    visible: NDArray[np.bool_]
    label: NDArray[np.uint8]
    scene: Scene


def person(seed: int, identity: int) -> Person:
    """Person number ``identity`` of the world ``seed``, to be photographed many times."""
    return Person(draw_identity(seed, identity))


def photograph(
    who: Person, domain: Domain, image: int, *, photo_size: int | None = None
) -> Photograph:
    """Image number ``image`` of a person in a domain.

    Args:
        who: the person.
        domain: the imaging conditions.
        image: the number of the image.
        photo_size: None for an aligned crop of 112 pixels; otherwise the side in pixels of a photo
            in which the face lies near the middle, upright or tilted.
    """
    identity = who.identity
    draws = Draws.of_image(identity.seed, identity.number, domain.name, image)
    scene = draw_scene(domain, identity, draws)
    backdrop = draw_backdrop(domain, draws)
    jitter = JITTER * draws.normals(10).reshape(5, 2)
    if photo_size is None:
        target, size = TEMPLATE + jitter, CROP_SIZE
    else:
        target, size = _in_photo(photo_size, scene.roll, draws), photo_size
    result = render(who, scene, domain.band, backdrop, target, size, draws)
    picture = develop(result.light, domain, draws)
    return Photograph(picture, result.landmarks, result.visible, result.label, scene)


def _in_photo(size: int, roll: float, draws: Draws) -> NDArray[np.float64]:
    """The template's points (5, 2) in a photo, with the face about half as high as the photo."""
    scale = size / 250 * draws.uniform(1.0, 1.6)
    centred = (TEMPLATE - TEMPLATE.mean(axis=0)) * scale
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    middle = size * np.array([0.5 + draws.normal(0.05), 0.52 + draws.normal(0.04)])
    return np.asarray(centred @ turn.T + middle)
