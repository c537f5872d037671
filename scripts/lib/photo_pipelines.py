"""From photographs to the embeddings of all their faces: MFR's pipelines and others'."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image

from mfr.backbones import build_backbone
from mfr.errors import ImageError
from mfr.faces import cut_face
from mfr.faces.detector import MIN_FACE_FRACTION
from mfr.faces.mtcnn.detector import MtcnnDetector
from mfr.faces.yunet.detector import YunetDetector
from mfr.geometry import TEMPLATE
from mfr.recogniser import Recogniser
from mfr.runtimes import build_runtime
from mfr.runtimes.choice import PRECISION_VARIABLE, RUNTIME_VARIABLE
from mfr.runtimes.precision import EXACT
from scripts.lib.pipeline_rounds import Pipeline

_BATCH: Final = 16


def recogniser(detector: str, runtime: str, precision: str = EXACT) -> Recogniser:
    """MFR's, with the default model."""
    os.environ |= {RUNTIME_VARIABLE: runtime, PRECISION_VARIABLE: precision}
    made = Recogniser.default(detector=detector)
    return Recogniser(MtcnnDetector(runtime=runtime), made.encoder) if detector == "mtcnn" else made


def mfr_pipeline(detector: str, runtime: str, precision: str = EXACT) -> Pipeline:
    """MFR as its commands use it: photographs in batches, several batches at once."""
    made = recogniser(detector, runtime, precision)

    def run(photos: Sequence[Path]) -> int:
        each = made.embed_faces_each(photos)
        return sum(0 if isinstance(faces, ImageError) else len(faces) for faces in each)

    return run


def facenet_pytorch() -> Pipeline:
    """facenet-pytorch's MTCNN and InceptionResnetV1, in batches, as its README uses them.

    The network has random weights, as its own would have to be downloaded; its time is the same.
    """
    resnet = InceptionResnetV1(pretrained=None, classify=False).eval()
    detectors: dict[int, MTCNN] = {}

    @torch.inference_mode()
    def run(photos: Sequence[Path]) -> int:
        found = 0
        for start in range(0, len(photos), _BATCH):
            images = [Image.open(path).convert("RGB") for path in photos[start : start + _BATCH]]
            smallest = max(20, round(MIN_FACE_FRACTION * min(images[0].size)))
            if smallest not in detectors:
                detectors[smallest] = MTCNN(keep_all=True, min_face_size=smallest)
            crops = [each for each in detectors[smallest](images) if each is not None]
            if crops:
                found += len(resnet(torch.cat(crops)))
        return found

    return run


def yunet_and_onnxruntime() -> Pipeline:
    """What is light elsewhere: OpenCV's YuNet and ArcFace's iresnet50 by ONNX Runtime.

    The network has random weights, so only its time counts. It is the shape of InsightFace's
    pipelines and of deepface's with the backend yunet, without their Python around it.
    """
    detector = YunetDetector()
    network = build_backbone("iresnet50").eval().requires_grad_(False)
    runtime = build_runtime("onnxruntime", network, size=(112, 112))

    def run(photos: Sequence[Path]) -> int:
        found = 0
        for path in photos:
            image = np.array(Image.open(path).convert("RGB"))
            (faces,) = detector.detect([image])
            if faces:
                crops = [cut_face(image, face.landmarks, TEMPLATE, (112, 112)) for face in faces]
                pixels = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
                found += len(runtime.features((pixels - 127.5) / 128))
        return found

    return run


PIPELINES: Final[dict[str, Callable[[], Pipeline]]] = {
    "facenet-pytorch, MTCNN and InceptionResnetV1": facenet_pytorch,
    "OpenCV's YuNet, iresnet50 by ONNX Runtime": yunet_and_onnxruntime,
    "MFR, mtcnn, PyTorch": lambda: mfr_pipeline("mtcnn", "torch"),
    "MFR, mtcnn, OpenVINO": lambda: mfr_pipeline("mtcnn", "openvino"),
    "MFR, mtcnn, OpenVINO, bfloat16": lambda: mfr_pipeline("mtcnn", "openvino", "bfloat16"),
    "MFR, yunet, OpenVINO": lambda: mfr_pipeline("yunet", "openvino"),
    "MFR, yunet, OpenVINO, bfloat16": lambda: mfr_pipeline("yunet", "openvino", "bfloat16"),
}
"""By name, how each is made; facenet-pytorch's is what the others are compared with."""
