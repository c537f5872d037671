"""The model of a gallery: the one that is given, or the one the gallery remembers."""

from __future__ import annotations

from pathlib import Path

from mfr.errors import GalleryError
from mfr.gallery.gallery import Gallery
from mfr.models import is_pretrained
from mfr.recogniser import Recogniser
from mfr.registry import is_place


def load_recogniser(
    location: str | Path,
    model: str | None = None,
    *,
    backbone: str | None = None,
    device: str = "cpu",
) -> Recogniser:
    """Load the recogniser for a gallery.

    Args:
        location: the gallery, which must be there.
        model: the model, if it is not where it was when someone last enrolled.
        backbone: the network of a model that is another program's checkpoint; remembered too.
        device: where to compute.

    Raises:
        GalleryError: there is no such gallery, or it does not know where its model is.
        ModelError: the model cannot be loaded.
        ConfigError: the device cannot be used.
    """
    with Gallery.open(location) as gallery:
        source = gallery.model_source()
    if model is not None:
        return Recogniser.load(model, backbone=backbone, device=device)
    if source is None:
        raise GalleryError(f"{location} does not say where its model is: pass --model MODEL.")
    if not is_pretrained(source.model) and not Path(source.model).is_file():
        raise GalleryError(
            f"The model of {location} was {source.model} and is not there any more: pass "
            "--model MODEL."
        )
    if backbone is None and source.backbone is not None and is_place(source.backbone):
        raise GalleryError(
            f"The model of {location} uses a backbone outside MFR, whose code is not run unless "
            f"you name it: if you trust it, pass --backbone {source.backbone}."
        )
    return Recogniser.load(source.model, backbone=backbone or source.backbone, device=device)
