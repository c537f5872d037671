"""Weights found in the wild: read safely, unwrapped, and fitted strictly to a backbone."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError

from mfr.backbones import backbone_names
from mfr.backbones.unfilled import build_unfilled
from mfr.errors import ModelError
from mfr.model_file import read_model
from mfr.tensor_file import check_finite, read_metadata, read_tensors

WRAPPERS: Final = ("net_state_dict", "state_dict", "model", "backbone")
"""Keys under which checkpoints of other programs keep a network's state dict."""

PREFIXES: Final = ("module.", "backbone.")
"""What DataParallel and wrapping modules put before every name."""

HEADS: Final = ("logits.", "head.", "classifier.")
"""Classifiers that may lie beside a backbone; they are left out. Any other stranger is refused."""

CENTRE: Final = "centre"
"""Name of a centred encoder's mean embedding among the tensors of a model file."""

_REPEATS: Final = 16
"""The largest allowed ratio of what a checkpoint unfolds to and its size; PyTorch's own is 1."""

_SHOWN: Final = 3
_COUNTER: Final = "num_batches_tracked"


def load_foreign_weights(path: str | Path, name: str, **arguments: Any) -> dict[str, torch.Tensor]:
    """Read weights that fit the backbone ``name`` exactly.

    Takes PyTorch checkpoints (``.pth``, ``.pt``, ``.ckpt``, ``.pkl``), plain ``.safetensors`` and
    our own model files of the same backbone. State dicts are found inside `WRAPPERS`, `PREFIXES`
    are cut off and `HEADS` left out; ``num_batches_tracked`` may be absent, as it does not act at
    inference. Everything else must fit. Floating-point weights are returned as float32.

    Args:
        path: the file.
        name: the backbone.
        **arguments: the backbone's own.

    Returns:
        A complete state dict of the backbone, on the CPU.

    Raises:
        ModelError: the file is missing, empty, truncated, holds more than weights, does not fit
            the backbone (saying what is missing, unexpected or of another shape) or has NaN.
    """
    path = Path(path)
    wanted = _wanted(name, arguments)
    found = _read_ours(path, name) if is_model_file(path) else _read_plain(path)
    for key, tensor in wanted.items():
        if key.endswith(_COUNTER):
            found.setdefault(key, torch.zeros((), dtype=tensor.dtype))
    complaints = _misfits(found, wanted)
    if complaints:
        raise ModelError(
            f"{path} does not fit the backbone '{name}': {'; '.join(complaints)}; name the "
            "backbone these weights are of."
        )
    check_finite(path, found)
    weights = {
        key: found[key].float() if found[key].is_floating_point() else found[key] for key in wanted
    }
    check_finite(path, weights)  # a float64 may be too large for a float32
    return weights


def recognise_backbone(path: str | Path) -> str:
    """The backbone whose tensors have the names and shapes of another program's checkpoint.

    Raises:
        ModelError: the file cannot be read, as for `load_foreign_weights`, or no backbone with
            its default arguments has such tensors.
    """
    path = Path(path)
    found = _read_plain(path)
    for name in backbone_names():
        wanted = _wanted(name, {})
        absent = {k: v for k, v in wanted.items() if k.endswith(_COUNTER) and k not in found}
        if not _misfits({**found, **absent}, wanted):
            return name
    raise ModelError(
        f"{path} holds weights of none of the backbones {', '.join(backbone_names())}: name one "
        "with --backbone to see what does not fit."
    )


def is_model_file(path: str | Path) -> bool:
    """Whether ``path`` is a model file of ours, judged by its record alone."""
    try:
        return "mfr" in read_metadata(Path(path))
    except (SafetensorError, OSError):
        return False


def _check_readable(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise ModelError(f"{path} is no file of weights, but a folder, pipe or device: check it.")
    if not path.is_file():
        raise ModelError(
            f"There is no weight file {path}: check the path, or choose a name that 'mfr models' "
            "lists."
        )
    if path.stat().st_size == 0:
        raise ModelError(f"{path} is empty: copy it again from its source.")


def _wanted(name: str, arguments: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return dict(build_unfilled(name, **arguments).state_dict())


def _read_plain(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return _strip(_read_safetensors(path))
    return _strip(_unwrap(path, _read_checkpoint(path)))


def _read_ours(path: Path, name: str) -> dict[str, torch.Tensor]:
    record, tensors = read_model(path)
    if record.backbone != name:
        raise ModelError(
            f"{path} is a model of the backbone '{record.backbone}', not of '{name}': "
            "name that one."
        )
    if record.centred:
        del tensors[CENTRE]  # of the finished encoder, not of the network
    return tensors


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    _check_readable(path)
    try:
        return read_tensors(path)[1]
    except PermissionError as error:
        raise _unreadable(path) from error
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is truncated or not a .safetensors file: copy it again from its source."
        ) from error


def _read_checkpoint(path: Path) -> object:
    _check_readable(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
        # A zip archive, or the bare pickle that PyTorch wrote before 1.6.
        if not start.startswith((b"PK\x03\x04", b"\x80")):
            raise ModelError(f"{path} is not a PyTorch checkpoint: give a file of weights.")
        if zipfile.is_zipfile(path):
            _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; nothing a user could act on
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise _unreadable(path) from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than weights, refused for your safety: save its state_dict alone "
            "with the program that made it."
        ) from error
    except ModelError:
        raise
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        raise ModelError(
            f"{path} is truncated or damaged: copy it again from its source."
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse a zip archive that unfolds to more than its size: PyTorch compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(member.file_size for member in members) > _REPEATS * path.stat().st_size:
        raise ModelError(
            f"{path} unfolds to more than {_REPEATS} times its size, as no genuine checkpoint "
            "does: get it from another source."
        )


def _unreadable(path: Path) -> ModelError:
    return ModelError(f"{path} cannot be read: give yourself permission to read it.")


def _unwrap(path: Path, content: object) -> dict[str, torch.Tensor]:
    while isinstance(content, Mapping):
        if content and all(isinstance(value, torch.Tensor) for value in content.values()):
            return {str(key): value for key, value in content.items()}
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if len(inner) != 1:
            break
        content = inner[0]
    raise ModelError(
        f"{path} holds no state dict that can be told apart (looked under "
        f"{', '.join(WRAPPERS)}): save the network's state_dict alone."
    )


def _strip(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Cut prefixes that all names share, leaving heads out, until nothing more comes off."""
    while True:
        tensors = {key: value for key, value in tensors.items() if not key.startswith(HEADS)}
        shared = [prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in tensors)]
        if not (tensors and shared):
            return dict(tensors)
        tensors = {key.removeprefix(shared[0]): value for key, value in tensors.items()}


def _misfits(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> list[str]:
    """What is missing, unexpected or of another shape, counted and with the first few names."""
    missing = [key for key in wanted if key not in found]
    unexpected = [key for key in found if key not in wanted]
    unlike = [
        f"{key} {tuple(found[key].shape)} for {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in found and not _alike(found[key], tensor)
    ]
    return [
        f"{len(keys)} {kind} ({', '.join(keys[:_SHOWN])}{', ...' if len(keys) > _SHOWN else ''})"
        for kind, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape or type", unlike),
        )
        if keys
    ]


def _alike(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return (
        found.shape == wanted.shape
        and found.layout == torch.strided
        and found.is_floating_point() == wanted.is_floating_point()
    )
