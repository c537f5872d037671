"""The models of a command that takes several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfr.encoder import Encoder


def load_named(
    models: Sequence[str], *, backbone: str | None, device: str = "cpu"
) -> dict[str, Encoder]:
    """The encoders by their short names, in the order in which they were given.

    Args:
        models: files, or names of pretrained models.
        backbone: the network of checkpoints of other programs.
        device: where they compute.
    """
    from mfr.benchmark.origin import names_of
    from mfr.models import load_encoder

    return {
        name: load_encoder(model, backbone=backbone, device=device)
        for name, model in zip(names_of(models), models, strict=True)
    }
