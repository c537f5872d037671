"""Rendering of a person in a scene to linear light, by deferred shading.

The rasteriser gives, for each pixel, the surface it shows and the place on the grid of the surface;
normals, pigment and relief are looked up there. The light is a key light and ambient light. The key
light has attached shadows (wrapped around, and furthest in red, as light scatters in skin) and cast
shadows (from a shadow map of the head and its attachments). The ambient light from above and below
is dimmed in hollows (ambient occlusion from the concavity of the surface). Skin has Blinn-Phong
highlights and hair has Kajiya-Kay highlights. Eyeballs are spheres behind the opening of the lids,
and the inside of the mouth lies between the lips; both are drawn per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth import attachments, head
from data_tools.synth.attachments import Attachment
from data_tools.synth.camera import Camera, landmarks_of
from data_tools.synth.domains import Band
from data_tools.synth.draws import Draws
from data_tools.synth.eyes import draw_eyes
from data_tools.synth.head import Field
from data_tools.synth.head_surface import draw_head
from data_tools.synth.identity import Identity, head_shape
from data_tools.synth.person import Person
from data_tools.synth.rasteriser import rasterise
from data_tools.synth.scene import Scene
from data_tools.synth.shading import shade
from data_tools.synth.view import View
from data_tools.synth.worn import draw_attachment, draw_glasses

_OVERSAMPLING: Final = 1.5


@dataclass(frozen=True)
class Render:
    """The linear light in each pixel, and the truth.

    Attributes:
        light: (H, W, 3) float32; 1 is white in full light.
        label: (H, W) uint8, an index into `view.LABELS`.
        landmarks: (5, 2) x, y in pixels: eyes, nose tip, mouth corners.
        visible: (5,) whether the surface on which the landmark lies is visible there.
    """

    light: NDArray[np.float32]
    label: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    visible: NDArray[np.bool_]


def render(
    person: Person,
    scene: Scene,
    band: Band,
    backdrop: NDArray[np.float32],
    target: NDArray[np.float64],
    size: int,
    draws: Draws,
) -> Render:
    """Render a person in a scene.

    Args:
        person: the person.
        scene: the pose, light and clothing.
        band: the band of light in which the person is seen.
        backdrop: (h, w, 3) linear RGB, enlarged to the image.
        target: (5, 2) the pixels onto which the landmarks should fall.
        size: the side of the image in pixels.
        draws: the draws for the things that are worn.
    """
    identity = person.identity
    bare = head_shape(identity, scene.age) + head.expression_modes()(scene.expression)
    worn = _attachments(bare, identity, scene, band, draws)
    camera = Camera(scene, landmarks_of(bare), target, _OVERSAMPLING)
    thick = person.appearance.thickness * scene.mussed
    surface = camera.to_camera(bare + head.normals(bare) * thick[..., None])
    opaque = [camera.to_camera(a.points) for a in worn if a.kind != "glasses"]
    fine = round(size * _OVERSAMPLING)
    seen = rasterise(
        [camera.project(p) for p in (surface, *opaque)],
        fine,
        fine,
        two_sided=[False] + [True] * len(opaque),
    )
    view = View(person, scene, band, camera, seen, surface)
    draw_head(view)
    for number, (attachment, points) in enumerate(
        zip([a for a in worn if a.kind != "glasses"], opaque, strict=True), start=1
    ):
        draw_attachment(view, number, attachment, points)
    shade(view, [surface[: head.CLOTH_ROW], *opaque])
    draw_eyes(view, bare)
    image = view.over(backdrop)
    spectacles = [a for a in worn if a.kind == "glasses"]
    if spectacles:
        draw_glasses(view, spectacles, image)
    light = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    label = np.asarray(
        cv2.resize(view.label, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8
    )
    return Render(light, label, camera.landmarks, view.visible(landmarks_of(bare)))


def _attachments(
    bare: Field, identity: Identity, scene: Scene, band: Band, draws: Draws
) -> list[Attachment]:
    worn = attachments.ears(bare, identity) + attachments.long_hair(bare, identity)
    wearing = scene.wearing
    if wearing == "scarf":
        worn += attachments.scarf(bare, draws)
    elif wearing in ("glasses", "sunglasses"):
        worn += attachments.glasses(bare, draws, wearing == "sunglasses")
    elif wearing is not None:
        worn += attachments.mask(bare, wearing, draws, band != "visible")
    return worn
