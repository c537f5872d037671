"""Photos of one person, each enrolled or refused by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mfr.errors import DoubtfulEnrolmentError, MfrError
from mfr.faces.choice import OneFace
from mfr.gallery.crops import keeps_crops
from mfr.gallery.names import identity_name
from mfr.gallery.photos import (
    BulkRecogniser,
    insist_on_a_good_face,
    photo_digest,
    template_of,
)
from mfr.gallery.records import NewTemplate
from mfr.gallery.screening import Doubt, find_doubts
from mfr.gallery.searching import Searching
from mfr.gallery.store import Store

if TYPE_CHECKING:
    from mfr.conditions import Calibrations

INSIST: Final = " It was not enrolled: check the photo and the name, or insist with --anyway."


@dataclass(frozen=True)
class PhotoOutcome:
    """What became of one photo.

    Attributes:
        name: what the photo is called.
        template: the number of its template; None if it was refused.
        already: whether the person had it before.
        refused: why it was not enrolled; None if it was.
        remarks: what makes its template less reliable, a sentence each.
    """

    name: str
    template: int | None
    already: bool = False
    refused: MfrError | None = None
    remarks: tuple[str, ...] = ()


def enroll_each(
    store: Store,
    searching: Searching,
    recogniser: BulkRecogniser,
    calibration: Calibrations | None,
    identity: str,
    photos: Sequence[bytes],
    *,
    face: OneFace,
    any_quality: bool,
    anyway: bool,
) -> list[PhotoOutcome]:
    """Add a template of each photo that can be relied on to ``identity``, in one transaction.

    Args:
        store: the gallery's.
        searching: the gallery's.
        recogniser: the gallery's.
        calibration: what scores mean; without one, only photos are compared, by their bytes.
        identity: the name.
        photos: the bytes of image files.
        face: which face of a photo with several; 'only' refuses such photos.
        any_quality: take poor faces too.
        anyway: enroll in spite of doubts.

    Raises:
        MfrError: the name is unusable.
        WriteError: the disk is full or read-only.
    """
    name = identity_name(identity)
    keep = keeps_crops(store)
    found: list[NewTemplate | MfrError] = []
    for photo, embedded in zip(photos, recogniser.embed_each(photos, face=face), strict=True):
        try:
            if isinstance(embedded, MfrError):
                raise embedded
            insist_on_a_good_face(embedded, face, any_quality=any_quality)
            found.append(
                template_of(embedded, recogniser, photo, photo_digest(photo), keep_crop=keep)
            )
        except MfrError as error:
            found.append(error)
    if not anyway:
        found = _without_doubtful(found, store, searching, name, calibration)
    templates = [each for each in found if isinstance(each, NewTemplate)]
    ids = iter(store.add(name, templates) if templates else ())
    known = {each.photo_sha256: each.id for each in store.templates(name)} if templates else {}
    outcomes = []
    for photo, each in zip(photos, found, strict=True):
        if isinstance(each, MfrError):
            called = getattr(photo, "name", "the image")
            outcomes.append(PhotoOutcome(called, None, refused=each))
        else:
            new = next(ids)
            number = known.get(each.photo_sha256) if new is None else new
            outcomes.append(PhotoOutcome(each.source, number, new is None, remarks=each.remarks))
    return outcomes


def _without_doubtful(
    found: list[NewTemplate | MfrError],
    store: Store,
    searching: Searching,
    name: str,
    calibration: Calibrations | None,
) -> list[NewTemplate | MfrError]:
    """Templates that something speaks against are replaced by what does."""
    templates = [each for each in found if isinstance(each, NewTemplate)]
    doubts = find_doubts(store, searching.current, name, templates, calibration)
    numbers = iter(range(len(templates)))
    return [
        _doubted(doubts, next(numbers), each) if isinstance(each, NewTemplate) else each
        for each in found
    ]


def _doubted(doubts: Sequence[Doubt], number: int, template: NewTemplate) -> NewTemplate | MfrError:
    against = [doubt.sentence for doubt in doubts if doubt.template == number]
    return DoubtfulEnrolmentError(" ".join(against) + INSIST) if against else template
