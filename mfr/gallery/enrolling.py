"""Enrolment by photographs into a gallery that need not be there yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np

from mfr.errors import GalleryMissingError
from mfr.faces.choice import OneFace
from mfr.gallery.crops import keeps_crops, settle_keeping
from mfr.gallery.gallery import Gallery
from mfr.gallery.names import identity_name
from mfr.gallery.own_model import load_recogniser
from mfr.gallery.photos import embed_templates
from mfr.gallery.records import ModelSource
from mfr.gallery.results import Enrolment
from mfr.gallery.screening import insist_on_none, stranger_doubts
from mfr.gallery.store import Location, occupied, open_store
from mfr.images import Photo
from mfr.models import DEFAULT, lasting_name
from mfr.recogniser import Recogniser


def enroll_photos(
    location: Location,
    identity: str,
    photos: Sequence[Photo],
    *,
    model: str | None = None,
    backbone: str | None = None,
    face: OneFace = "only",
    any_quality: bool = False,
    anyway: bool = False,
    keep_crops: bool | None = None,
    detector: str | None = None,
    device: str = "cpu",
) -> Enrolment:
    """Enroll a person by photographs: by all of them or, on any error, by none.

    The gallery is made if there is none yet, once there is something to put into it. It remembers
    where its model lies.

    Args:
        location: the gallery.
        identity: the person's name.
        photos: paths, or the bytes of image files; at least one.
        model: the model; where there is no gallery yet, the default unless it is given.
        backbone: the network of a model that is another program's checkpoint.
        face: which face of a photograph with several; 'only' refuses such photographs.
        any_quality: take poor faces too (`mfr.faces.quality.flaws`).
        anyway: enroll in spite of `Gallery.doubts`.
        keep_crops: keep the crops of photographs from now on, or no longer; None goes on as before.
        detector: what finds faces; a gallery that is there has its own.
        device: where to compute.

    Raises:
        GalleryError: as `Gallery.open`.
        DoubtfulEnrolmentError: something speaks against it, see `Gallery.doubts`.
        MfrError: the name, the model or a photograph cannot be used.
        WriteError: the disk is full or the place not writable.
    """
    name = identity_name(identity)
    recogniser, missing = recogniser_to_enroll(
        location, model, backbone=backbone, detector=detector, device=device
    )
    keep = bool(keep_crops)
    if keep_crops is None and not missing:
        with closing(open_store(location)) as store:
            keep = keeps_crops(store)
    templates = embed_templates(
        recogniser, photos, face=face, any_quality=any_quality, keep_crops=keep
    )
    if missing and not anyway and recogniser.calibration is not None:
        nothing = np.empty((0, recogniser.embedding_size), dtype=np.float32)
        doubts = stranger_doubts(name, templates, nothing, recogniser.calibration)
        insist_on_none([doubt.sentence for doubt in doubts])
    with Gallery.open(location, recogniser, create=True) as gallery:
        if not anyway:
            insist_on_none(gallery.doubts(name, templates))
        done = gallery.add(name, templates)
        if (source := source_to_remember(recogniser, model, backbone, missing=missing)) is not None:
            gallery.remember_model(source)
    with closing(open_store(location)) as store:
        settle_keeping(store, keep)
    return done


def recogniser_to_enroll(
    location: Location,
    model: str | None,
    *,
    backbone: str | None,
    detector: str | None,
    device: str,
) -> tuple[Recogniser, bool]:
    """The recogniser for a gallery that need not be there yet, and whether it is not.

    Args:
        location: the gallery.
        model: the model; of a new gallery, the default if not given.
        backbone: the network of a model that is another program's checkpoint.
        detector: what finds faces; of a new gallery, the default if not given.
        device: where to compute.

    Raises:
        ForeignModelError: the gallery is of another model.
        GalleryError: as `Gallery.open`.
        ModelError: the model cannot be loaded.
    """
    try:
        recogniser = load_recogniser(
            location, model, backbone=backbone, detector=detector, device=device
        )
        # Another model is refused before the photographs are read.
        Gallery.open(location, recogniser).close()
    except GalleryMissingError:
        if occupied(location):  # by something else, so that no gallery can be made there
            raise
        recogniser = Recogniser.load(
            model or DEFAULT, backbone=backbone, detector=detector, device=device
        )
        return recogniser, True
    return recogniser, False


def source_to_remember(
    recogniser: Recogniser, model: str | None, backbone: str | None, *, missing: bool
) -> ModelSource | None:
    """Where `recogniser_to_enroll` found the model, if the gallery does not know it already.

    Args:
        recogniser: that it has loaded.
        model: the model that was given, if any.
        backbone: its network, if that was given.
        missing: whether there was no gallery, so that without a model the default was taken.
    """
    if model is None and not missing:
        return None
    return ModelSource(lasting_name(model or DEFAULT), backbone, recogniser.detector.name)
