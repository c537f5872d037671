"""A pinhole camera at a distance, and the landmarks of a head."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.synth import head
from data_tools.synth.head import Field
from data_tools.synth.scene import Scene
from mfr.geometry import similarity_transform

_PIVOT: Final = np.array([0.0, -2.5, 0.0], np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """The rotation from the head's frame to the camera's, (3, 3), for angles in radians.

    The signs are those of `Scene`.
    """
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return (tilt @ nod @ turn).astype(np.float32)


def landmarks_of(points: Field) -> NDArray[np.float32]:
    """The left eye, right eye, nose tip, left and right mouth corner of a head, (5, 3)."""
    places = [(-head.EYE[0], head.EYE[1]), head.EYE, head.NOSE_TIP]
    places += [(-head.MOUTH_CORNER[0], head.MOUTH_Y), head.MOUTH_CORNER]
    return np.stack([head.position_of(points, *head.grid_coordinates(*at)) for at in places])


class Camera:
    """A pinhole camera at a distance, and the similarity transform from its image plane to pixels.

    Args:
        scene: the pose and the distance of the head.
        landmarks: (5, 3) in the head's frame.
        target: (5, 2) the pixels onto which a similarity transform should map the landmarks, as
            closely as it can.
        oversampling: the number of fine pixels per pixel along each axis.
    """

    def __init__(
        self, scene: Scene, landmarks: Field, target: NDArray[np.float64], oversampling: float
    ) -> None:
        self.distance = scene.distance
        self.turn = rotation(scene.yaw, scene.pitch, scene.roll)
        plane = self._plane(self.to_camera(landmarks))
        self.matrix = similarity_transform(plane, target)
        self.landmarks = plane @ self.matrix[:, :2].T + self.matrix[:, 2]
        fine = self.matrix * oversampling
        fine[:, 2] += (oversampling - 1) / 2
        self.fine = fine.astype(np.float32)
        self.scale = float(np.hypot(*fine[:, 0]))  # fine pixels per centimetre at the head's middle

    def to_camera(self, points: Field) -> Field:
        """Map points from the head's frame to the camera's, whose origin is the head's pivot."""
        return np.asarray((points - _PIVOT) @ self.turn.T)

    def _plane(self, points: Field) -> NDArray[np.float32]:
        near = self.distance / (self.distance - points[..., 2:])
        return np.asarray(points[..., :2] * near * np.array([1, -1], np.float32))

    def project(self, points: Field) -> Field:
        """Map points in the camera's frame to x and y in fine pixels, and z."""
        plane = self._plane(points) @ self.fine[:, :2].T + self.fine[:, 2]
        return np.concatenate([plane, points[..., 2:]], axis=-1)

    def unproject(self, depth: NDArray[np.float32]) -> tuple[Field, Field]:
        """The x and y of every fine pixel in the camera's frame, given its z."""
        inverse = np.linalg.inv(self.fine[:, :2]).astype(np.float32)
        height, width = depth.shape
        px = np.arange(width, dtype=np.float32)[None] - self.fine[0, 2]
        py = np.arange(height, dtype=np.float32)[:, None] - self.fine[1, 2]
        far = (self.distance - depth) / self.distance
        x = (inverse[0, 0] * px + inverse[0, 1] * py) * far
        y = -(inverse[1, 0] * px + inverse[1, 1] * py) * far
        return x, y
