"""FaceNet with the weights that facenet-pytorch downloads."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mfr.errors import ModelError
from mfr.pretrained.model import PretrainedModel

if TYPE_CHECKING:
    import torch

_SOURCE: Final = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"


def _folder() -> Path:
    """Where facenet-pytorch keeps weights, so that the two share one copy."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "checkpoints"


def _find(file: str) -> Path | None:
    path = _folder() / file
    return path if path.is_file() else None


def _fetch(file: str) -> Path:
    # The library's own loader is not used, as it leaves ``weights_only`` to PyTorch's default.
    from facenet_pytorch.models.utils.download import download_url_to_file

    path = _folder() / file
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            download_url_to_file(_SOURCE + file, str(path), progress=False)
        except OSError as error:  # URLError and its kin among them
            raise ModelError(
                f"The weights could not be downloaded: get {_SOURCE}{file} on another "
                f"computer and put it into {path.parent}."
            ) from error
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    from mfr.backbones.weights import load_foreign_weights

    return load_foreign_weights(path, "facenet")


def _model(name: str, trained_on: str, file: str) -> PretrainedModel:
    return PretrainedModel(
        name=name,
        backbone="facenet",
        licence="MIT; its data is for research",
        trained_on=trained_on,
        megabytes=111.9,
        find=partial(_find, file),
        fetch=partial(_fetch, file),
        read=_read,
        how_to_get=f"downloaded on first use, or put {_SOURCE}{file} into {_folder()}",
    )


VGGFACE2: Final = _model("facenet-vggface2", "VGGFace2", "20180402-114759-vggface2.pt")
CASIA_WEBFACE: Final = _model(
    "facenet-casia-webface", "CASIA-WebFace", "20180408-102900-casia-webface.pt"
)
