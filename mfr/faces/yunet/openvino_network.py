"""YuNet as OpenVINO runs it, in less than half of OpenCV's time."""

from __future__ import annotations

import os

import cv2
import numpy as np

from mfr.extras import WITH_TORCH
from mfr.faces.yunet.faces_found import OUTPUTS, STRIDES, faces_found
from mfr.faces.yunet.opencv_network import OpenCvNetwork
from mfr.faces.yunet.weights import no_yunet
from mfr.runtimes.compiled import Compiled
from mfr.runtimes.openvino_core import openvino_core
from mfr.runtimes.openvino_graph import OpenVinoGraph


class OpenVinoNetwork:
    """Finds faces in one image at a time; several threads may share it.

    Args:
        file: the network's.

    Raises:
        ConfigError: OpenVINO is not installed.
        ModelError: it is no YuNet network.
    """

    def __init__(self, file: str) -> None:
        core = openvino_core(instead=WITH_TORCH)
        try:
            model = core.read_model(file)
            self._names = [output.get_any_name() for output in model.outputs]
        except RuntimeError:
            self._names = []
        if set(self._names) != OUTPUTS:
            raise no_yunet(file)
        self._graph = OpenVinoGraph(lambda: model)
        self._process = os.getpid()
        self._in_forked = Compiled(lambda _: OpenCvNetwork(file))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The faces in ``image``, (h, w, 3) uint8 BGR, as `faces_found` gives them."""
        # In a forked process OpenVINO crashes.
        if os.getpid() != self._process:
            return self._in_forked()(image)
        height, width = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in image.shape[:2])
        missing = (0, height - image.shape[0], 0, width - image.shape[1])
        whole = cv2.copyMakeBorder(image, *missing, cv2.BORDER_CONSTANT)
        outputs = self._graph([cv2.dnn.blobFromImage(whole)])
        return faces_found(dict(zip(self._names, outputs, strict=True)), (width, height))
