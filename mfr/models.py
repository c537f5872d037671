"""Models as users name them: a pretrained model by its name, any other by the path of its file.

Nothing here imports torch before a model is loaded, so that the command line can ask what a name
means at no cost.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from mfr.errors import ConfigError
from mfr.pretrained import DEFAULT, PRETRAINED

__all__ = [
    "DEFAULT",
    "PRETRAINED",
    "is_pretrained",
    "lasting_name",
    "load_encoder",
    "shipped_calibration",
]

if TYPE_CHECKING:
    from mfr.conditions import Calibrations
    from mfr.encoder import Encoder
    from mfr.pretrained import PretrainedModel
    from mfr.runtimes.precision import Precision


def is_pretrained(model: str) -> bool:
    """Whether ``model`` names a pretrained model; a file of that name goes before it."""
    return model in PRETRAINED.names() and not Path(model).exists()


def lasting_name(model: str) -> str:
    """``model`` as it can be found again from another directory: its name or its absolute path."""
    return model if is_pretrained(model) else str(Path(model).absolute())


def load_encoder(
    model: str = DEFAULT,
    *,
    backbone: str | None = None,
    runtime: str | None = None,
    precision: Precision | None = None,
    device: str = "cpu",
) -> Encoder:
    """Load the encoder of a model.

    Args:
        model: the name of a pretrained model, or the path of a model file or of another program's
            checkpoint.
        backbone: the network of a checkpoint; recognised by its tensors if not given.
        runtime: what computes, by name; if not given, what `mfr.runtimes.choice.chosen` says.
        precision: of the arithmetic, float32 or bfloat16; likewise.
        device: where to compute.

    Raises:
        ConfigError: a backbone was given for a pretrained model, or there is no such runtime,
            precision or device here.
        ModelError: the file cannot be used, as `mfr.encoder.Encoder.load` says, or the weights of a
            pretrained model cannot be had.
    """
    from mfr.encoder import Encoder

    if not is_pretrained(model):
        return Encoder.load(
            model, backbone=backbone, runtime=runtime, precision=precision, device=device
        )
    known = PRETRAINED.find(model)
    if backbone not in (None, known.backbone):
        raise ConfigError(f"'{model}' names its own network: leave --backbone out.")
    path = known.fetch()
    return Encoder.from_weights(
        known.read(path),
        known.backbone,
        calibration=shipped_calibration(known),
        recipe={"weights": path.name},
        data={"name": known.trained_on},
        runtime=runtime,
        precision=precision,
        device=device,
    )


def shipped_calibration(model: PretrainedModel) -> Calibrations | None:
    """What the scores of a pretrained model mean; None if that was not measured."""
    if model.calibration is None:
        return None
    from mfr.conditions import Calibrations

    text = files("mfr.pretrained").joinpath(model.calibration).read_text("utf-8")
    return Calibrations.model_validate_json(text)
