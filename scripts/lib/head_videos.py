"""Short videos of faces that move, made of photographs and of drawn heads: real ones and pictures.

None was filmed. A photograph stands for a living head where it is wrapped around the generic head
(`mfr.simulation.head`), which turns; it stands for an attack where it stays flat or is bent like a
sheet, and is turned before the camera. Drawn heads (`data_tools.synth`) turn, blink and smile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth.domains import DOMAINS
from data_tools.synth.draws import Draws
from data_tools.synth.photograph import person
from data_tools.synth.render import render
from data_tools.synth.scene import draw_scene
from data_tools.synth.sensor import develop, draw_backdrop
from mfr.faces.align import align_face, cut_face
from mfr.faces.pose import LANDMARKS, fit_pose
from mfr.geometry import TEMPLATE
from mfr.simulation import head
from mfr.simulation.raster import FINE, rasterise

Floats = NDArray[np.float64]

JITTER: Final = 0.8
"""The standard deviation, in pixels of the crop, of a detector's landmarks."""

_SIDE: Final = 112 * FINE
_TARGET: Final = TEMPLATE * FINE + (FINE - 1) / 2
_BLINK: Final = 0.1


def motion(frames: int, degrees: float, rng: np.random.Generator) -> Floats:
    """Yaw, pitch and roll at each frame, (frames, 3) in degrees: a swing to one side and back.

    Args:
        frames: how many.
        degrees: the largest angle from the first frame's.
        rng: draws the direction and the pace.
    """
    direction = rng.normal(size=2) * (1.0, 0.5)
    direction /= np.linalg.norm(direction)
    swing = np.sin(np.linspace(0, rng.uniform(0.5, 1.3) * np.pi, frames))
    swing /= np.abs(swing).max()
    roll = rng.uniform(-5, 5) * np.linspace(0, 1, frames)
    return np.column_stack([degrees * swing[:, None] * direction, roll])


class Camera:
    """Frames as a camera gives them, and the crops of them: smaller, with noise, compressed.

    Args:
        rng: draws how good it is, and its noise.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._scale = rng.uniform(0.45, 1.0)  # eyes 32 to 70 pixels apart
        self._noise = rng.uniform(1.0, 4.0)
        self._quality = int(rng.integers(60, 93))

    def crop(self, picture: np.ndarray, landmarks: Floats) -> np.ndarray:
        """The aligned crop, (112, 112, 3) uint8 RGB, of a face as a detector finds it.

        Args:
            picture: (H, W, 3) uint8 RGB.
            landmarks: (5, 2) x, y in its pixels, exact.
        """
        side = round(_SIDE * self._scale)
        scale = side / _SIDE
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        light = 1 + self._rng.normal(0, 0.02)
        seen = small * light + self._rng.normal(0, self._noise, small.shape)
        data = cv2.imencode(
            ".jpg",
            np.clip(seen, 0, 255).astype(np.uint8),
            [cv2.IMWRITE_JPEG_QUALITY, self._quality],
        )[1]
        places = (landmarks + 0.5) * scale - 0.5
        places = places + self._rng.normal(0, JITTER, (5, 2)) * FINE * scale
        return align_face(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), places)


def of_wrapped_photo(
    photo: np.ndarray, landmarks: Floats, angles: Floats, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Crops of a photograph that is wrapped around the generic head, which turns.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) x, y in its pixels.
        angles: (n, 3) what `motion` gives.
        rng: draws the camera.

    Raises:
        FaceError: the landmarks fit no pose of a face.
    """
    chip = cut_face(photo, landmarks, _TARGET, (_SIDE, _SIDE))
    start = fit_pose(TEMPLATE.astype(np.float64))
    azimuth, y = np.meshgrid(np.arange(-92.0, 93, 4), np.arange(-70.0, 121, 4))
    radius = head.face_radius(azimuth, y)
    sheet = head.points_at(azimuth, y, radius)
    before = start.to_camera(sheet)[..., :2] * FINE + (FINE - 1) / 2
    camera = Camera(rng)
    still_x, still_y = np.meshgrid(*(np.arange(_SIDE, dtype=np.float32),) * 2)
    for yaw, pitch, roll in angles:
        turned = replace(
            start, yaw=start.yaw + yaw, pitch=start.pitch + pitch, roll=start.roll + roll
        )
        column, row = rasterise(turned.to_camera(sheet))
        places = cv2.remap(before.astype(np.float32), column, row, cv2.INTER_LINEAR)
        seen = column >= 0
        x, y_map = np.where(seen, places[..., 0], still_x), np.where(seen, places[..., 1], still_y)
        picture = cv2.remap(chip, x, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        marks = turned.to_camera(LANDMARKS)[:, :2] * FINE + (FINE - 1) / 2
        yield camera.crop(picture, marks)


def of_drawn_head(number: int, angles: Floats, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Crops of a drawn head that turns, and blinks now and then.

    Args:
        number: of the person, in a world of seed 0.
        angles: (n, 3) what `motion` gives.
        rng: draws the scene, the blinks and the camera.
    """
    who, domain = person(0, number), DOMAINS["daylight"]
    draws = Draws.of_image(0, number, "video", int(rng.integers(2**31)))
    scene = draw_scene(domain, who.identity, draws)
    backdrop, camera = draw_backdrop(domain, draws), Camera(rng)
    for yaw, pitch, roll in np.radians(angles):
        blink = rng.uniform() < _BLINK
        moment = replace(
            scene,
            yaw=float(yaw),
            pitch=float(pitch),
            roll=float(roll),
            opening=0.05 if blink else scene.opening,
        )
        seen = render(who, moment, domain.band, backdrop, _TARGET, _SIDE, draws)
        yield camera.crop(develop(seen.light, domain, draws), seen.landmarks)


def of_picture(
    photo: np.ndarray,
    landmarks: Floats,
    angles: Floats,
    bend: float,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Crops of a print that is turned before the camera, and bent meanwhile.

    Args:
        photo: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) x, y in its pixels.
        angles: (n, 3) what `motion` gives.
        bend: the most that it is bent around an upright axis, in degrees over its width; 0 for a
            screen.
        rng: draws the camera.
    """
    chip = cut_face(photo, landmarks, _TARGET, (_SIDE, _SIDE))
    camera = Camera(rng)
    distance = rng.uniform(1.5, 5) * _SIDE
    bends = bend * np.sin(np.linspace(0, rng.uniform(0.5, 1.5) * np.pi, len(angles)))
    grid = np.stack(np.meshgrid(*(np.arange(_SIDE, dtype=np.float64),) * 2), axis=-1)
    for turn, bent in zip(angles, bends, strict=True):
        source = grid.copy()
        for _ in range(15):  # the map is near the identity, so this converges
            source += grid - _print_seen(source, turn, bent, distance)
        places = source.astype(np.float32)
        picture = cv2.remap(
            chip, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        yield camera.crop(picture, _print_seen(_TARGET, turn, bent, distance))


def _print_seen(points: Floats, turn: Floats, bent: float, distance: float) -> Floats:
    """Where points (..., 2) of a print of `_SIDE` pixels are seen when it is turned and bent."""
    x, y = np.moveaxis(points - (_SIDE - 1) / 2, -1, 0)
    angle = np.radians(bent) * x / _SIDE
    radius = _SIDE / np.radians(bent) if abs(bent) > 1e-3 else np.inf
    z = np.zeros_like(x)
    if np.isfinite(radius):
        x, z = radius * np.sin(angle), radius * (1 - np.cos(angle))
    yaw, pitch, roll = np.radians(turn)
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), z * np.cos(pitch) + y * np.sin(pitch)
    x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    near = distance / (distance - z)
    return np.stack([x * near, y * near], axis=-1) + (_SIDE - 1) / 2
