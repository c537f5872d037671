"""The networks that turn a face into features, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

# Modules, not their functions: a function named as its module would hide it here.
from mfr.backbones import facenet, iresnet, mfr_resnet, mobilefacenet, smallfacenet
from mfr.backbones.cost import count_macs, count_parameters
from mfr.errors import ModelError
from mfr.model_file import CropGeometry

__all__ = [
    "BackboneSpec",
    "backbone_names",
    "backbone_spec",
    "build_backbone",
    "count_macs",
    "count_parameters",
]


@dataclass(frozen=True)
class BackboneSpec:
    """What a backbone takes and gives.

    Attributes:
        name: as the user writes it.
        geometry: how a 112 x 112 crop becomes its input.
        embedding_size: of one view, unless the argument of that name says otherwise.
        flip_fusion: whether an encoder joins the mirrored face's features by default.
    """

    name: str
    geometry: CropGeometry
    embedding_size: int
    flip_fusion: bool = True


_BUILDERS: Final[dict[str, tuple[Callable[..., nn.Module], BackboneSpec]]] = {
    spec.name: (builder, spec)
    for builder, spec in (
        (
            mfr_resnet.mfr_resnet28,
            BackboneSpec("mfr-resnet28", CropGeometry(height=120, width=120), 256),
        ),
        (mobilefacenet.mobilefacenet, BackboneSpec("mobilefacenet", CropGeometry(), 128)),
        (
            mobilefacenet.mobilefacenet_112x96,
            # The template of such networks is ours shifted by 8 pixels to the left.
            BackboneSpec("mobilefacenet-112x96", CropGeometry(width=96, columns=(8, 104)), 128),
        ),
        (iresnet.iresnet18, BackboneSpec("iresnet18", CropGeometry(scale=127.5), 512)),
        (iresnet.iresnet50, BackboneSpec("iresnet50", CropGeometry(scale=127.5), 512)),
        (facenet.facenet, BackboneSpec("facenet", CropGeometry(height=160, width=160), 512)),
        (
            smallfacenet.smallfacenet,
            BackboneSpec("smallfacenet", CropGeometry(height=56, width=56), 128),
        ),
    )
}


def backbone_names() -> list[str]:
    """The backbones there are."""
    return list(_BUILDERS)


def backbone_spec(name: str) -> BackboneSpec:
    """What the backbone ``name`` takes and gives.

    Raises:
        ModelError: there is no such backbone.
    """
    return _find(name)[1]


def build_backbone(name: str, **arguments: Any) -> nn.Module:
    """Build an untrained network: (N, 3, h, w) float -> (N, d) float, not normalised.

    Its initial weights follow ``torch.manual_seed``, which is the caller's to set.

    Args:
        name: one of `backbone_names`.
        **arguments: the builder's own, such as ``embedding_size``.

    Raises:
        ModelError: there is no such backbone, or it does not take these arguments.
    """
    builder, _ = _find(name)
    try:
        return builder(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The backbone '{name}' cannot be built with {arguments or 'its defaults'}: {error}."
        ) from error


def _find(name: str) -> tuple[Callable[..., nn.Module], BackboneSpec]:
    try:
        return _BUILDERS[name]
    except KeyError:
        raise ModelError(
            f"There is no backbone '{name}': choose one of {', '.join(_BUILDERS)}."
        ) from None
