"""The pose, in its crop, of the face in a row of a manifest; whether one can be drawn on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mfr.errors import FaceError
from mfr.faces.pose import Pose, fit_pose
from mfr.geometry import TEMPLATE, similarity_transform

MAX_YAW: Final = 50.0
"""The largest yaw in degrees; beyond it the outline of the generic head is too uncertain."""

MAX_RESIDUAL: Final = 4.0
"""The largest root mean square distance, in crop pixels, of landmarks from the posed head."""

MIN_PROBABILITY: Final = 0.9
"""The lowest probability of a detection; below it the detected region may not be a face."""


def pose_in_crop(row: Mapping[str, Any]) -> Pose:
    """The pose, in its crop, of the face in a row of the manifest.

    Raises:
        FaceError: the row has no landmarks or a doubtful detection, or its landmarks fit no face or
            only an extreme pose. The message is the reason under which skipped rows are counted.
    """
    landmarks = landmarks_in_crop(row)
    if landmarks is None:
        raise FaceError("no landmarks")
    if row["probability"] is not None and row["probability"] < MIN_PROBABILITY:
        raise FaceError("doubtful detection")
    try:
        pose = fit_pose(landmarks)
    except FaceError as error:
        raise FaceError("landmarks fit no face") from error
    if pose.residual > MAX_RESIDUAL or not 0.5 < pose.length < 1.6:
        raise FaceError("landmarks fit no face")
    if abs(pose.yaw) > MAX_YAW:
        raise FaceError("turned too far")
    return pose


def landmarks_in_crop(row: Mapping[str, Any]) -> np.ndarray | None:
    """The landmarks (5, 2) of a row of the manifest, in pixels of its crop; None if it has none.

    Landmarks of a detected face are in pixels of the photo and are moved by the similarity
    transform that made the crop. A given crop is its own photo.
    """
    if row["landmarks"] is None:
        return None
    landmarks = np.array(row["landmarks"], np.float64).reshape(5, 2)
    if row["path"] == row["crop"]:
        return landmarks
    try:
        moved = similarity_transform(landmarks, TEMPLATE)
    except FaceError:
        return np.full((5, 2), np.nan)
    return np.asarray(landmarks @ moved[:, :2].T + moved[:, 2])
