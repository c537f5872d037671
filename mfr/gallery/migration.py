"""A gallery for another model: everyone enrolled again, from the photos or from kept crops.

The old gallery is only read. What has been moved is in the new one, under the same name and known
by the photo's bytes, so a migration that was stopped goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mfr.errors import FaceError, GalleryError, ImageError
from mfr.gallery.carrying import carry_details, origin_of
from mfr.gallery.crops import crop_pixels, keeps_crops, settle_keeping
from mfr.gallery.own_calibration import settle_calibration
from mfr.gallery.own_model import detector_of
from mfr.gallery.photo_places import PhotoPlaces
from mfr.gallery.photos import EmbeddedPhoto, MovingRecogniser, template_of
from mfr.gallery.records import ModelSource, NewTemplate
from mfr.gallery.same_face import face_recorded
from mfr.gallery.store import Location, create_store, occupied, open_store
from mfr.models import lasting_name
from mfr.recogniser import Recogniser

if TYPE_CHECKING:
    from mfr.gallery.store import Store

_NOTE: Final = "migrated from"
_STORED_AT_ONCE: Final = 64
"""So many templates, of whole people, are stored in one transaction."""

Progress = Callable[[int, int, str], None]
"""Is told how many templates are done, of how many, and what has become of them."""


@dataclass(frozen=True)
class NotMoved:
    """A template that the new gallery lacks.

    Attributes:
        identity: whose it is.
        photo: what its photo was called.
        reason: why it could not be moved, a sentence.
    """

    identity: str
    photo: str
    reason: str


@dataclass(frozen=True)
class Migration:
    """What a migration did.

    Attributes:
        templates: how many templates the old gallery has.
        from_photos: how many were made anew from their photos.
        from_crops: how many were made anew from kept crops.
        already: how many had been moved before.
        not_moved: the others.
        lost: the people of whom no template could be moved.
    """

    templates: int
    from_photos: int
    from_crops: int
    already: int
    not_moved: tuple[NotMoved, ...]
    lost: tuple[str, ...]


def migrate(
    location: Location,
    model: str,
    out: Location,
    *,
    backbone: str | None = None,
    photos: str | Path | None = None,
    device: str = "cpu",
    on_progress: Progress = lambda done, total, note: None,
) -> Migration:
    """Enroll everyone of a gallery in a new one, with another model.

    A template is made from its photo where that still has the same bytes, else from its kept crop.
    Of a photo with several faces, the one that was enrolled is told by its recorded measurements.

    Args:
        location: the gallery; it is not changed.
        model: the other model.
        out: the new gallery, or one that a migration of the same gallery was stopped in.
        backbone: the network of a model that is another program's checkpoint.
        photos: a folder in which to look for photos, by their bytes, that are not where they were.
        device: where to compute.
        on_progress: called as the work goes on.

    Raises:
        GalleryError: there is no such gallery, it is of this model already, or something else is
            at ``out``.
        ModelError: the model cannot be loaded.
        WriteError: the disk is full or the place not writable; what was moved is kept.
    """
    with ExitStack() as stack:
        old = stack.enter_context(closing(open_store(location)))
        finds = detector_of(location, old.model_source())
        recogniser = Recogniser.load(model, backbone=backbone, detector=finds, device=device)
        if recogniser.model_hash == old.model_hash:
            raise GalleryError(
                f"The templates of {location} are of this model already: to copy them, use 'mfr "
                f"gallery backup {location} {out}'."
            )
        new = stack.enter_context(closing(_opened(location, old, out, recogniser)))
        new.remember_model(ModelSource(lasting_name(model), backbone, finds))
        settle_keeping(new, keeps_crops(old))
        work = _Moving(old, new, recogniser, PhotoPlaces(photos))
        work.run(on_progress)
        carry_details(old, new)
        there = {each.identity for each in new.identities()}
        return Migration(
            templates=work.total,
            from_photos=work.from_photos,
            from_crops=work.from_crops,
            already=work.already,
            not_moved=tuple(work.not_moved),
            lost=tuple(each.identity for each in old.identities() if each.identity not in there),
        )


def _opened(location: Location, old: Store, out: Location, recogniser: Recogniser) -> Store:
    """The store of the new gallery, made or gone on with."""
    origin = origin_of(old, location)
    if not occupied(out):
        new = create_store(
            out, model_hash=recogniser.model_hash, embedding_size=recogniser.embedding_size
        )
        new.put_note(_NOTE, origin)
        settle_calibration(new, recogniser.calibration)
        return new
    new = open_store(out)
    if new.note(_NOTE) == origin and new.model_hash == recogniser.model_hash:
        return new
    new.close()
    raise GalleryError(
        f"{out} is there already, and not from a migration of {location} to this model: choose "
        "another place for the new gallery."
    )


@dataclass
class _Item:
    """A template on its way, its photo if that is there, and what the template becomes."""

    identity: str
    template: NewTemplate
    path: Path | None
    reason: str = ""
    moved: NewTemplate | None = None


class _Moving:
    """The work: what it has done so far is in its attributes, named as those of `Migration`."""

    def __init__(
        self, old: Store, new: Store, recogniser: MovingRecogniser, places: PhotoPlaces
    ) -> None:
        self._old = old
        self._new = new
        self._recogniser = recogniser
        self._places = places
        self.total = sum(each.templates for each in old.identities())
        self.from_photos = self.from_crops = self.already = 0
        self.not_moved: list[NotMoved] = []

    def run(self, on_progress: Progress) -> None:
        """Move everyone."""
        waiting: deque[_Item] = deque()
        ready: list[_Item] = []

        def take(item: _Item) -> None:
            if len(ready) >= _STORED_AT_ONCE and ready[-1].identity != item.identity:
                self._store(ready)
                ready.clear()
                on_progress(self._done(), self.total, self._note())
            ready.append(item)

        on_progress(0, self.total, "")
        with closing(self._recogniser.embed_each(self._to_embed(waiting), face="main")) as each:
            for embedded in each:
                while waiting[0].path is None:
                    take(waiting.popleft())
                item = waiting.popleft()
                try:
                    if isinstance(embedded, ImageError | FaceError):
                        raise embedded
                    item.moved = self._from_photo(item, embedded)
                except (ImageError, FaceError) as error:
                    item.reason = str(error)
                take(item)
        for item in waiting:
            take(item)
        self._store(ready)
        on_progress(self.total, self.total, self._note())

    def _to_embed(self, waiting: deque[_Item]) -> Iterator[Path]:
        """The photos that are there; everything that is not moved yet goes into ``waiting``."""
        for person in self._old.identities():
            name = person.identity
            for kept in self._old.templates(name):
                if kept.damaged:
                    reason = f"Template {kept.id} of '{name}' is damaged."
                    self.not_moved.append(NotMoved(name, kept.source, reason))
            for template in self._old.whole_templates(name):
                digest = template.photo_sha256
                if name in self._new.owners_of_photos([digest]).get(digest, ()):
                    self.already += 1
                    continue
                path, reason = self._places.find(template.source, digest)
                waiting.append(_Item(name, template, path, reason))
                if path is not None:
                    yield path

    def _from_photo(self, item: _Item, embedded: EmbeddedPhoto) -> NewTemplate:
        assert item.path is not None
        face = face_recorded(self._recogniser, item.path, embedded, item.template)
        made = template_of(
            face,
            self._recogniser,
            item.path,
            item.template.photo_sha256,
            keep_crop=bool(item.template.crop),
        )
        return replace(made, enrolled=item.template.enrolled)

    def _store(self, items: list[_Item]) -> None:
        """Store those that were moved, and those that kept crops can move."""
        self.from_photos += sum(item.moved is not None for item in items)
        cropped = [item for item in items if item.moved is None and item.template.crop]
        if cropped:
            crops = np.stack([crop_pixels(item.template.crop) for item in cropped])
            for item, embedding in zip(cropped, self._recogniser.embed_crops(crops), strict=True):
                item.moved = replace(item.template, embedding=embedding)
            self.from_crops += len(cropped)
        people: dict[str, list[NewTemplate]] = {}
        for item in items:
            if item.moved is None:
                self.not_moved.append(NotMoved(item.identity, item.template.source, item.reason))
            else:
                people.setdefault(item.identity, []).append(item.moved)
        if people:
            self._new.add_many(people.items())

    def _done(self) -> int:
        return self.already + self.from_photos + self.from_crops + len(self.not_moved)

    def _note(self) -> str:
        return f"{self.from_photos + self.from_crops} moved, {len(self.not_moved)} could not be"
