"""Models as users name them: a pretrained model by its name, any other by the path of its file.

Nothing here imports torch before a model is loaded, so that the command line can ask what a name
means at no cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.encoder import Encoder, PretrainedName

PRETRAINED: Final = ("facenet-vggface2", "facenet-casia-webface")
"""Models that are loaded by name; facenet-pytorch downloads their weights on first use."""


def is_pretrained(model: str) -> bool:
    """Whether ``model`` names a pretrained model; a file of that name goes before it."""
    return model in PRETRAINED and not Path(model).exists()


def lasting_name(model: str) -> str:
    """``model`` as it can be found again from another directory: its name or its absolute path."""
    return model if is_pretrained(model) else str(Path(model).absolute())


def load_encoder(model: str, *, backbone: str | None = None, device: str = "cpu") -> Encoder:
    """Load the encoder of a model.

    Args:
        model: the name of a pretrained model, or the path of a model file or of another program's
            checkpoint.
        backbone: the network of a checkpoint; recognised by its tensors if not given.
        device: where to compute.

    Raises:
        ConfigError: a backbone was given for a pretrained model, or the device cannot be used.
        ModelError: as `mfr.encoder.Encoder.load` and `mfr.encoder.Encoder.pretrained`.
    """
    from mfr.encoder import Encoder

    if is_pretrained(model):
        if backbone is not None:
            raise ConfigError(f"'{model}' names its own network: leave --backbone out.")
        return Encoder.pretrained(cast("PretrainedName", model), device=device)
    return Encoder.load(model, backbone=backbone, device=device)
