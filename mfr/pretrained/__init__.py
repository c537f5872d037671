"""Models that are used by a name: what is known of them, where their weights are.

To add one: write a module that ends in a `PretrainedModel`, and name that constant in `PRETRAINED`.
"""

from __future__ import annotations

from typing import Final

from mfr.errors import ModelError
from mfr.pretrained.model import PretrainedModel
from mfr.registry import Registry

__all__ = ["DEFAULT", "PRETRAINED", "PretrainedModel"]

DEFAULT: Final = "dlib-resnet"
"""The model that is used unless another is named. Its weights are installed with MFR."""

PRETRAINED: Final[Registry[PretrainedModel]] = Registry(
    "pretrained model",
    {
        "dlib-resnet": "mfr.pretrained.dlib_resnet:DLIB_RESNET",
        "drawn-faces": "mfr.pretrained.drawn_faces:DRAWN_FACES",
        "facenet-vggface2": "mfr.pretrained.facenet:VGGFACE2",
        "facenet-casia-webface": "mfr.pretrained.facenet:CASIA_WEBFACE",
    },
    ModelError,
)
