"""The generic head: its landmarks lie on it, and a cloth lies over it."""

from __future__ import annotations

import numpy as np

from mfr.faces.pose import LANDMARKS
from mfr.simulation.head import face_radius, points_at, taut_radius


def test_the_head_holds_its_own_landmarks_and_a_cloth_lies_over_it():
    x, y, z = LANDMARKS[2:].T
    azimuth = np.degrees(np.arctan2(x, z + 60))
    np.testing.assert_allclose(face_radius(azimuth, y), np.hypot(x, z + 60), atol=3)
    azimuth, y = np.meshgrid(np.linspace(-80, 80, 41), np.linspace(0, 124, 32))
    face, taut = face_radius(azimuth, y), taut_radius(azimuth, y)
    np.testing.assert_allclose(face, face[:, ::-1])
    assert (taut >= face - 1e-9).all()
    # Beside the nose a stretched cloth bridges a hollow; on its tip it lies on the skin.
    places = np.array([16.0, 0.0]), np.array([36.0, 36.0])
    gap = taut_radius(*places) - face_radius(*places)
    assert gap[0] > 5 and gap[1] < 2
    np.testing.assert_allclose(points_at(np.array(90.0), np.array(5.0), 70.0), [70, 5, -60])
