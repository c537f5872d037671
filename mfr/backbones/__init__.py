"""The networks that turn a face into features, by name.

To add a backbone: write a module that builds the network and ends in a `BackboneSpec`, and name
that constant in `BACKBONES`. A backbone outside MFR is such a constant too, named by its place,
``package.module:NAME``.
"""

from __future__ import annotations

from typing import Any, Final

from torch import nn

from mfr.backbones.cost import count_macs, count_parameters
from mfr.backbones.spec import BackboneSpec
from mfr.errors import ModelError
from mfr.registry import Registry

__all__ = [
    "BACKBONES",
    "BackboneSpec",
    "backbone_names",
    "backbone_spec",
    "build_backbone",
    "count_macs",
    "count_parameters",
]

BACKBONES: Final[Registry[BackboneSpec]] = Registry(
    "backbone",
    {
        "mfr-resnet28": "mfr.backbones.mfr_resnet:MFR_RESNET28",
        "mobilefacenet": "mfr.backbones.mobilefacenet:MOBILEFACENET",
        "mobilefacenet-112x96": "mfr.backbones.mobilefacenet:MOBILEFACENET_112X96",
        "iresnet18": "mfr.backbones.iresnet:IRESNET18",
        "iresnet50": "mfr.backbones.iresnet:IRESNET50",
        "facenet": "mfr.backbones.facenet:FACENET",
        "dlib-resnet": "mfr.backbones.dlib_resnet:DLIB_RESNET",
        "smallfacenet": "mfr.backbones.smallfacenet:SMALLFACENET",
    },
    ModelError,
)


def backbone_names() -> list[str]:
    """The backbones that ship with MFR."""
    return BACKBONES.names()


def backbone_spec(name: str) -> BackboneSpec:
    """What the backbone ``name`` takes and gives.

    Args:
        name: one of `backbone_names`, or the place of another, ``package.module:NAME``. A place is
            imported, so it must come from the user and never from a file.

    Raises:
        ModelError: there is no such backbone.
    """
    spec = BACKBONES.find_anywhere(name)
    if not isinstance(spec, BackboneSpec):
        raise ModelError(
            f"'{name}' is no backbone: name a mfr.backbones.BackboneSpec, which says how the "
            "network is built and what it takes."
        )
    return spec


def build_backbone(name: str, **arguments: Any) -> nn.Module:
    """Build an untrained network: (N, 3, h, w) float -> (N, d) float, not normalised.

    Its initial weights follow ``torch.manual_seed``, which is the caller's to set.

    Args:
        name: as for `backbone_spec`.
        **arguments: the builder's own, such as ``embedding_size``.

    Raises:
        ModelError: there is no such backbone, or it does not take these arguments.
    """
    try:
        return backbone_spec(name).build(**arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"The backbone '{name}' cannot be built with {arguments or 'its defaults'}: {error}."
        ) from error
