"""Photo to crops: detection, alignment, quality."""

from mfr.faces.align import align_face, similarity_transform
from mfr.faces.cropping import FaceChoice, FaceCrop, FaceCropper
from mfr.faces.detect import Face, FaceDetector
from mfr.faces.quality import Quality, measure_quality

__all__ = [
    "Face",
    "FaceChoice",
    "FaceCrop",
    "FaceCropper",
    "FaceDetector",
    "Quality",
    "align_face",
    "measure_quality",
    "similarity_transform",
]
