"""YuNet as OpenCV runs it."""

from __future__ import annotations

import os
from threading import local
from typing import Any

import cv2
import numpy as np

from mfr.faces.yunet.faces_found import CANDIDATES, OVERLAP, SCORE
from mfr.faces.yunet.weights import no_yunet


class OpenCvNetwork:
    """Finds faces in one image at a time; several threads may share it.

    Args:
        file: the network's.

    Raises:
        ModelError: it is no YuNet network.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._own = local()
        self._network()  # what is wrong with the file is said at once

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The faces in ``image``, (h, w, 3) uint8 BGR, as `faces_found` gives them."""
        network = self._network()
        network.setInputSize(image.shape[1::-1])
        rows = network.detect(image)[1]
        return np.zeros((0, 15), np.float32) if rows is None else rows

    def _network(self) -> Any:
        """The network of this thread and process, for one serves one at a time."""
        kept = getattr(self._own, "network", None)
        if kept is None or kept[0] != os.getpid():
            # It warns of its own default target at every start.
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
            try:
                made = cv2.FaceDetectorYN.create(
                    self._file, "", (320, 320), SCORE, OVERLAP, CANDIDATES
                )
            except cv2.error as error:
                raise no_yunet(self._file) from error
            kept = self._own.network = (os.getpid(), made)
        return kept[1]
