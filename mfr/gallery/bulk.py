"""Enrolment of many people: photos in batches, resumable, each photo enrolled or refused by itself.

A photo that its person has already is known by its bytes, before anybody looks for a face in it, so
a run that was stopped goes on where it was. The photos of one person are judged together, and those
of some people are stored in one transaction.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mfr.errors import FaceError, ImageError
from mfr.faces.choice import OneFace
from mfr.gallery.bulk_screening import undoubted
from mfr.gallery.crops import keeps_crops, settle_keeping
from mfr.gallery.enrolling import recogniser_to_enroll, source_to_remember
from mfr.gallery.gallery import Gallery
from mfr.gallery.own_calibration import own_calibration
from mfr.gallery.people_list import PersonPhoto, Refusal, list_people
from mfr.gallery.photos import BulkRecogniser, insist_on_a_good_face, photo_digest, template_of
from mfr.gallery.records import NewTemplate
from mfr.gallery.screening import photo_doubt
from mfr.gallery.searching import Searching, cache_path_of
from mfr.gallery.store import Location, open_store
from mfr.images import read_bytes

if TYPE_CHECKING:
    from mfr.gallery.store import Store

_STORED_AT_ONCE: Final = 64
"""So many templates, of whole people, are stored in one transaction: a killed run loses no more."""

Progress = Callable[[int, int, str], None]
"""Is told how many photos are done, of how many, and what has become of them."""


@dataclass(frozen=True)
class BulkEnrolment:
    """What the enrolment of many people did.

    Attributes:
        photos: how many photos were listed.
        people: how many people of the list are enrolled now.
        added: how many photos became new templates.
        already: how many photos their people had before, or were listed twice.
        refused: those that were not enrolled.
        remarks: what makes new templates less reliable, a sentence each.
        keeps_crops: whether the crops of the new templates are kept.
    """

    photos: int
    people: int
    added: int
    already: int
    refused: tuple[Refusal, ...]
    remarks: tuple[str, ...]
    keeps_crops: bool


def enroll_people(
    location: Location,
    source: str | Path,
    *,
    model: str | None = None,
    backbone: str | None = None,
    face: OneFace = "only",
    any_quality: bool = False,
    anyway: bool = False,
    keep_crops: bool | None = None,
    detector: str | None = None,
    device: str = "cpu",
    on_progress: Progress = lambda done, total, note: None,
) -> BulkEnrolment:
    """Enroll the people of a folder or a CSV file; one photo that is refused hinders no other.

    The gallery is made if there is none yet. It remembers where its model lies.

    Args:
        location: the gallery.
        source: a folder with a folder for each person, or a CSV file (`list_people`).
        model: the model; of a new gallery, the default if not given.
        backbone: the network of a model that is another program's checkpoint.
        face: which face of a photo with several; 'only' refuses such photos.
        any_quality: take poor faces too (`mfr.faces.quality.flaws`).
        anyway: enroll in spite of doubts (`mfr.gallery.bulk_screening.undoubted`).
        keep_crops: keep the crops of photos from now on, or no longer; None goes on as before.
        detector: what finds faces; a gallery that is there has its own.
        device: where to compute.
        on_progress: called as the work goes on.

    Raises:
        DataError: the folder or file cannot be read, or lists no photo.
        GalleryError: as `Gallery.open`.
        ModelError: the model cannot be loaded.
        WriteError: the disk is full or the place not writable; what was stored is kept.
    """
    photos, unlisted = list_people(source)
    recogniser, missing = recogniser_to_enroll(
        location, model, backbone=backbone, detector=detector, device=device
    )
    if missing:
        Gallery.create(location, recogniser).close()
    with closing(open_store(location)) as store:
        if (
            remembered := source_to_remember(recogniser, model, backbone, missing=missing)
        ) is not None:
            store.remember_model(remembered)
        if keep_crops is not None:
            settle_keeping(store, keep_crops)
        with closing(Searching(store, cache_path_of(location))) as searching:
            work = _Enrolling(
                store, searching, recogniser, face, any_quality=any_quality, anyway=anyway
            )
            work.refused += unlisted
            work.run(photos, on_progress)
        names = {photo.identity for photo in photos}
        return BulkEnrolment(
            photos=len(photos) + len(unlisted),
            people=sum(each.identity in names for each in store.identities()),
            added=work.added,
            already=work.already,
            refused=tuple(work.refused),
            remarks=tuple(work.remarks),
            keeps_crops=keeps_crops(store),
        )


class _Enrolling:
    """The work: what it has done so far is in its attributes, named as those of `BulkEnrolment`."""

    def __init__(
        self,
        store: Store,
        searching: Searching,
        recogniser: BulkRecogniser,
        face: OneFace,
        *,
        any_quality: bool,
        anyway: bool,
    ) -> None:
        self._store = store
        self._searching = searching
        self._recogniser = recogniser
        self._face: OneFace = face
        self._any_quality = any_quality
        self._anyway = anyway
        self._keep = keeps_crops(store)
        self._calibration = own_calibration(store, recogniser.calibration)
        self._seen: set[tuple[str, str]] = set()
        self._passed = 0  # photos of which no face has to be found
        self.added = self.already = 0
        self.refused: list[Refusal] = []
        self.remarks: list[str] = []

    def run(self, photos: list[PersonPhoto], on_progress: Progress) -> None:
        """Enroll ``photos``, those of one person one after another."""
        waiting: deque[tuple[PersonPhoto, str]] = deque()
        total, ready, found = len(photos), 0, 0
        people: list[tuple[str, list[NewTemplate]]] = []
        on_progress(0, total, "")
        paths = self._to_embed(photos, waiting)
        with closing(self._recogniser.embed_each(paths, face=self._face)) as embedded:
            for each in embedded:
                on_progress(self._passed + found, total, self._note())
                found += 1
                photo, digest = waiting.popleft()
                if not people or people[-1][0] != photo.identity:
                    if ready >= _STORED_AT_ONCE:
                        self._enroll(people)
                        people, ready = [], 0
                    people.append((photo.identity, []))
                try:
                    if isinstance(each, ImageError | FaceError):
                        raise each
                    insist_on_a_good_face(each, self._face, any_quality=self._any_quality)
                    template = template_of(
                        each, self._recogniser, photo.path, digest, keep_crop=self._keep
                    )
                except (ImageError, FaceError) as error:
                    self._refuse(photo, str(error))
                else:
                    people[-1][1].append(template)
                    ready += 1
        self._enroll(people)
        on_progress(total, total, self._note())

    def _to_embed(
        self, photos: list[PersonPhoto], waiting: deque[tuple[PersonPhoto, str]]
    ) -> Iterator[Path]:
        """The photos whose faces have to be found; the others are enrolled or refused already."""
        for photo in photos:
            self._passed += 1
            try:
                digest = photo_digest(read_bytes(photo.path))
            except ImageError as error:
                self._refuse(photo, str(error))
                continue
            owners = self._store.owners_of_photos([digest]).get(digest, [])
            if photo.identity in owners or (photo.identity, digest) in self._seen:
                self.already += 1
                continue
            doubt = photo_doubt(photo.identity, str(photo.path), owners)
            if doubt is not None and not self._anyway:
                self._refuse(photo, doubt)
                continue
            self._passed -= 1
            self._seen.add((photo.identity, digest))
            waiting.append((photo, digest))
            yield photo.path

    def _enroll(self, people: list[tuple[str, list[NewTemplate]]]) -> None:
        """Store what may be stored of these people's templates."""
        given = [(name, templates) for name, templates in people if templates]
        if given and not self._anyway:
            index = self._searching.current
            given, refused = undoubted(self._store, index, given, self._calibration)
            self.refused += refused
        if not given:
            return
        added = self._store.add_many(given)
        templates = list(itertools.chain.from_iterable(each for _, each in given))
        self.added += added
        self.already += len(templates) - added
        self.remarks += [remark for template in templates for remark in template.remarks]

    def _refuse(self, photo: PersonPhoto, reason: str) -> None:
        self.refused.append(Refusal(str(photo.path), photo.identity, reason))

    def _note(self) -> str:
        return f"{self.added} enrolled, {len(self.refused)} refused"
