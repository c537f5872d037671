"""Photo to crops: detection, alignment, quality."""

from mfr.faces.align import align_face, cut_face
from mfr.faces.cropping import FaceChoice, FaceCrop, FaceCropper
from mfr.faces.detector import DETECTORS, Detector, build_detector
from mfr.faces.face import Face
from mfr.faces.quality import Quality, measure_quality

__all__ = [
    "DETECTORS",
    "Detector",
    "Face",
    "FaceChoice",
    "FaceCrop",
    "FaceCropper",
    "Quality",
    "align_face",
    "build_detector",
    "cut_face",
    "measure_quality",
]
