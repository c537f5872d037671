"""Crops that show the bare minimum of a face: skin lit from one side, and landmarks in any pose."""

from __future__ import annotations

import numpy as np

from mfr.faces.pose import LANDMARKS, Pose, fit_pose
from mfr.geometry import TEMPLATE

FRONTAL = fit_pose(TEMPLATE)


def posed(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Pose:
    return Pose(yaw, pitch, roll, 0.56, np.array([56.0, 51.5]), 1.0, 0.0, 0.0)


def landmarks(pose: Pose) -> np.ndarray:
    return pose.to_camera(LANDMARKS)[:, :2]


def skin(*, left: float = 150, right: float = 150, grey: bool = False, seed: int = 0) -> np.ndarray:
    """A crop of plain skin whose brightness runs from ``left`` to ``right``, a little noisy."""
    level = np.linspace(left, right, 112)[None, :, None] * np.ones((112, 1, 1))
    tone = np.ones(3) if grey else np.array([1.2, 0.95, 0.8])
    noise = np.random.default_rng(seed).normal(0, 1.5, (112, 112, 1))
    return (level * tone + noise).round().clip(1, 255).astype(np.uint8)
