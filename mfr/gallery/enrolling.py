"""Enrolment by photographs into a gallery that need not be there yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mfr.errors import GalleryMissingError
from mfr.faces.choice import OneFace
from mfr.gallery.gallery import Gallery
from mfr.gallery.names import identity_name
from mfr.gallery.own_model import load_recogniser
from mfr.gallery.photos import embed_templates
from mfr.gallery.records import ModelSource
from mfr.gallery.results import Enrolment
from mfr.gallery.screening import insist_on_none, stranger_doubts
from mfr.gallery.store import Location
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
        any_quality: take faces too that are too small, dark, bright or blurred.
        anyway: enroll in spite of `Gallery.doubts`.
        device: where to compute.

    Raises:
        GalleryError: as `Gallery.open`.
        DoubtfulEnrolmentError: something speaks against it, see `Gallery.doubts`.
        MfrError: the name, the model or a photograph cannot be used.
        WriteError: the disk is full or the place not writable.
    """
    name = identity_name(identity)
    missing = False
    try:
        recogniser = load_recogniser(location, model, backbone=backbone, device=device)
        # Another model is refused before the photographs are read.
        Gallery.open(location, recogniser).close()
    except GalleryMissingError:
        missing, model = True, model or DEFAULT
        recogniser = Recogniser.load(model, backbone=backbone, device=device)
    templates = embed_templates(recogniser, photos, face=face, any_quality=any_quality)
    if missing and not anyway and recogniser.calibration is not None:
        nothing = np.empty((0, recogniser.embedding_size), dtype=np.float32)
        insist_on_none(stranger_doubts(name, templates, nothing, recogniser.calibration))
    with Gallery.open(location, recogniser, create=True) as gallery:
        if not anyway:
            insist_on_none(gallery.doubts(name, templates))
        done = gallery.add(name, templates)
        if model is not None:
            gallery.remember_model(ModelSource(lasting_name(model), backbone))
    return done
