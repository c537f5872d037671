"""The detector contract, and detectors by name.

A detector finds the faces of photographs. It is not part of a model, but the crops that a gallery
or a dataset holds depend on it, so both record the name of the detector that made each crop.

To add a detector: write a module with a factory that takes ``device`` and ``min_face_fraction`` as
keywords and returns an object with the two members of `Detector`, and name it in `DETECTORS`. A
detector outside MFR is such a factory too, named by its place, ``package.module:name``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from mfr.errors import ConfigError
from mfr.faces.face import Face
from mfr.registry import Registry

if TYPE_CHECKING:
    import torch

DEFAULT: Final = "mtcnn"
"""The detector that is used unless another is named."""

MIN_FACE_FRACTION: Final = 0.05
"""The smallest face searched for, as a share of the photo's short side, unless told otherwise."""


class Detector(Protocol):
    """What finds faces.

    An implementation owes three things. It takes photographs of any size, several at once, and
    finds in each the same faces whatever photographs come with it: results never depend on the
    batch. It returns landmarks in the order of `mfr.geometry.TEMPLATE`, with distinct eyes, since
    crops are aligned by them. And it may be called from several threads at the same time.

    It may have a number ``sure``, the probability that hardly any face reaches in a photograph that
    lies on its side; where the main face does not reach it, the photograph is searched in all four
    turns (`mfr.faces.turning`).

    It may have a number ``enough``, of pixels of a photograph's short side, if it finds the same
    faces in the same places of a photograph that was reduced to no fewer. Much larger JPEGs are
    then decoded reduced, which takes a fraction of the time (`mfr.faces.large_photo`).
    """

    @property
    def name(self) -> str:
        """The name that is recorded with every crop: that of the registry, or the place."""

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """The faces of each (H, W, 3) uint8 RGB image, largest first; an empty list for none."""


DETECTORS: Final[Registry[Callable[..., Detector]]] = Registry(
    "detector",
    {
        "mtcnn": "mfr.faces.mtcnn.detector:MtcnnDetector",
        "yunet": "mfr.faces.yunet.detector:YunetDetector",
    },
    ConfigError,
)


def build_detector(
    name: str = DEFAULT,
    *,
    device: str | torch.device = "cpu",
    min_face_fraction: float = MIN_FACE_FRACTION,
) -> Detector:
    """Make the detector ``name``.

    Args:
        name: one of ``DETECTORS.names()``, or the place of another, ``package.module:name``.
        device: where it computes.
        min_face_fraction: faces smaller than this share of a photo's short side are not searched
            for.

    Raises:
        ConfigError: there is no such detector.
    """
    factory = DETECTORS.find_anywhere(name)
    return factory(device=device, min_face_fraction=min_face_fraction)
