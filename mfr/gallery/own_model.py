"""The model of a gallery: the one that is given, or the one the gallery remembers."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mfr.errors import (
    GalleryBusyError,
    GalleryDamagedError,
    GalleryError,
    MfrError,
    ModelError,
    WriteError,
)
from mfr.faces import detector as detectors
from mfr.gallery.gallery import Gallery
from mfr.gallery.own_calibration import has_settled, settle_calibration
from mfr.gallery.records import ModelSource
from mfr.gallery.store import open_store
from mfr.models import DEFAULT, is_pretrained, lasting_name
from mfr.recogniser import Recogniser
from mfr.registry import is_place

if TYPE_CHECKING:
    from mfr.conditions import Calibrations


def load_recogniser(
    location: str | Path,
    model: str | None = None,
    *,
    backbone: str | None = None,
    detector: str | None = None,
    device: str = "cpu",
) -> Recogniser:
    """Load the recogniser for a gallery.

    Args:
        location: the gallery, which must be there.
        model: the model, if it is not where the gallery remembers it; then it is remembered.
        backbone: the network of a model that is another program's checkpoint; remembered too.
        detector: what finds faces, which is the gallery's own or refused.
        device: where to compute.

    Raises:
        GalleryError: there is no such gallery, it does not know where its model is, or its faces
            were found by another detector.
        ModelError: the model cannot be loaded.
        ConfigError: the device cannot be used.
    """
    with Gallery.open(location) as gallery:
        source, model_hash = gallery.model_source(), gallery.model_hash
    finds = detector_of(location, source, detector)
    if model is not None:
        recogniser = Recogniser.load(model, backbone=backbone, detector=finds, device=device)
        _remember(location, recogniser, model, backbone)
        return recogniser
    if source is None:
        # Made from Python or from a table, it does not say; the default model is always there.
        recogniser = Recogniser.load(DEFAULT, detector=finds, device=device)
        if model_hash != recogniser.model_hash:
            raise GalleryError(f"{location} does not say where its model is: pass --model MODEL.")
        _remember(location, recogniser, DEFAULT, None)
        return recogniser
    if not _is_there(source):
        raise GalleryError(
            f"The model of {location} was {source.model} and is not there any more: pass "
            "--model MODEL."
        )
    if backbone is None and source.backbone is not None and is_place(source.backbone):
        raise GalleryError(
            f"The model of {location} uses a backbone outside MFR, whose code is not run unless "
            f"you name it: if you trust it, pass --backbone {source.backbone}."
        )
    recogniser = Recogniser.load(
        source.model, backbone=backbone or source.backbone, detector=finds, device=device
    )
    _remember(location, recogniser, source.model, source.backbone)
    return recogniser


def remembered_detector(source: ModelSource | None) -> str:
    """The detector that a gallery remembers; the default if it remembers none."""
    return detectors.DEFAULT if source is None else source.detector


def detector_of(location: str | Path, source: ModelSource | None, named: str | None = None) -> str:
    """The detector of a gallery: templates of two detectors are less alike than those of one.

    Args:
        location: the gallery.
        source: what it remembers.
        named: the detector that the user names.

    Raises:
        GalleryError: the user names another one, or does not name one outside MFR.
    """
    own = remembered_detector(source)
    if named not in (None, own):
        raise GalleryError(
            f"The faces of {location} were found by the detector '{own}', and those that '{named}' "
            "finds are aligned differently: leave --detector out, or make a new gallery."
        )
    if named is None and is_place(own):
        raise GalleryError(
            f"The faces of {location} were found by a detector outside MFR, whose code is not run "
            f"unless you name it: if you trust it, pass --detector {own}."
        )
    return own


def change_calibration(
    location: str | Path, model: str, *, backbone: str | None = None
) -> tuple[Calibrations | None, Calibrations]:
    """Let a gallery decide by the calibration of ``model``, a model file with its own weights.

    Args:
        location: the gallery.
        model: the model file.
        backbone: its network, where the file needs it to be named.

    Returns:
        The calibration before, None if there was none or it is damaged, and the new one.

    Raises:
        ForeignModelError: the model has other weights.
        ModelError: the model cannot be loaded or has no calibration.
        GalleryError: as `Gallery.open`.
    """
    recogniser = Recogniser.load(model, backbone=backbone, device="cpu")
    with Gallery.open(location, recogniser) as gallery:
        new = recogniser.calibration
        if new is None:
            raise ModelError(
                f"{model} has no calibration: run 'mfr calibrate' and use the model it writes."
            )
        before: Calibrations | None = None
        with suppress(GalleryDamagedError):
            before = gallery.calibration
        gallery.calibrate(new)
    return before, new


def _remember(
    location: str | Path, recogniser: Recogniser, model: str, backbone: str | None
) -> None:
    """Keep what using the model has shown, where the gallery can be written.

    A model that has moved is remembered where it was found. And a gallery of an older format, which
    has not settled on a calibration, gets that of the model it remembers: the one that has decided
    so far, whichever model is given now.
    """
    with suppress(GalleryBusyError, WriteError), closing(open_store(location)) as store:
        if store.model_hash != recogniser.model_hash:
            return
        source = store.model_source()
        if not has_settled(store):
            before = None if source is None else _calibration_of(source, store.model_hash)
            settle_calibration(store, before or recogniser.calibration)
        if source is None or not _is_there(source):
            finds = recogniser.detector.name
            store.remember_model(ModelSource(lasting_name(model), backbone, finds))


def _calibration_of(source: ModelSource, model_hash: str) -> Calibrations | None:
    """That of a remembered model, if it can be loaded without running anybody's code."""
    if not _is_there(source) or (source.backbone is not None and is_place(source.backbone)):
        return None
    try:
        known = Recogniser.load(source.model, backbone=source.backbone, device="cpu")
    except MfrError:
        return None
    return known.calibration if known.model_hash == model_hash else None


def _is_there(source: ModelSource) -> bool:
    return is_pretrained(source.model) or Path(source.model).is_file()
