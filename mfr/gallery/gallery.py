"""Who is enrolled: photos in, templates kept, probes verified and identified."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from mfr.errors import GalleryError, GalleryExistsError
from mfr.gallery.crops import keeps_crops, settle_keeping
from mfr.gallery.enrolling_each import PhotoOutcome, enroll_each
from mfr.gallery.gallery_searches import GallerySearches
from mfr.gallery.methods import SearchMethod
from mfr.gallery.names import identity_name, spelled_name
from mfr.gallery.own_calibration import (
    own_calibration,
    settle_calibration,
)
from mfr.gallery.own_scores import MOST, OwnScores, own_scores
from mfr.gallery.photos import BulkRecogniser, PhotoRecogniser, embed_templates
from mfr.gallery.records import (
    IdentitySummary,
    ModelSource,
    NewTemplate,
    Template,
)
from mfr.gallery.results import Candidate, Enrolment
from mfr.gallery.screening import find_doubts, insist_on_none
from mfr.gallery.searching import cache_path_of
from mfr.gallery.store import Location, create_store, occupied, open_store_of

if TYPE_CHECKING:
    from mfr.conditions import Calibrations
    from mfr.faces.choice import OneFace
    from mfr.images import Photo

# `Gallery.list` hides the built-in.
Candidates: TypeAlias = list[Candidate]
CandidateLists: TypeAlias = list[list[Candidate]]
Outcomes: TypeAlias = list[PhotoOutcome]
Sentences: TypeAlias = list[str]
Summaries: TypeAlias = list[IdentitySummary]
Templates: TypeAlias = list[Template]


class Gallery(GallerySearches):
    """Enrolled people. Threads may share one; close it or use it in a ``with``.

    Templates of one model only are kept. Changes are safely in the store when a method returns; the
    search index is a copy that follows it. What a user should know of the gallery's state, such as
    a damaged template, is told by a `GalleryWarning`.

    Args:
        store: the truth about who is enrolled.
        recogniser: makes embeddings of photos.
        cache_path: the cache file of the index, in a directory that holds files of this gallery
            only; None keeps the index in memory.
        search: how it is searched (`mfr.gallery.methods`); None for the gallery's own way.

    Attributes:
        people: what is noted of people, and their groups.
        audit_log: what happened in the gallery.
    """

    @classmethod
    def open(
        cls,
        location: Location,
        recogniser: PhotoRecogniser | None = None,
        *,
        create: bool = False,
        search: SearchMethod | None = None,
    ) -> Gallery:
        """Open the gallery at ``location``.

        Args:
            location: the path of its directory, or its address.
            recogniser: with the model its templates were made with. Without one, everything works
                that needs no photo: search, score, list, show, remove, rebuild.
            create: make the gallery if there is none yet, which takes a recogniser.
            search: 'exact', 'two-stage' or 'auto', for now; else as `mfr gallery search` settled.

        Raises:
            GalleryMissingError: there is none.
            ForeignModelError: its templates are of another model than the recogniser's.
            GalleryError: it is damaged, is not a gallery, or is of a newer format.
        """
        if create and recogniser is not None and not occupied(location):
            with suppress(GalleryExistsError):  # another program was first to make it
                cls.create(location, recogniser).close()
        model_hash = None if recogniser is None else recogniser.model_hash
        store = open_store_of(location, model_hash)
        return cls(store, recogniser, cache_path=cache_path_of(location), search=search)

    @classmethod
    def create(cls, location: Location, recogniser: PhotoRecogniser) -> Gallery:
        """Make an empty gallery at ``location``, with the calibration of the recogniser's model.

        Raises:
            GalleryExistsError: something is there, other than an empty directory.
            WriteError: the disk is full or the location cannot be written.
        """
        store = create_store(
            location, model_hash=recogniser.model_hash, embedding_size=recogniser.embedding_size
        )
        settle_calibration(store, recogniser.calibration)
        return cls(store, recogniser, cache_path=cache_path_of(location))

    def close(self) -> None:
        """Finish the index's file where that is worth its while, and close the store."""
        self._searching.close()
        self._store.close()

    def __enter__(self) -> Gallery:
        """The gallery itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def enroll(
        self,
        identity: str,
        photos: Sequence[Photo],
        *,
        face: OneFace = "only",
        any_quality: bool = False,
        anyway: bool = False,
        keep_crops: bool | None = None,
    ) -> Enrolment:
        """Add a template of each photo to ``identity``: all of them or, on any error, none.

        A photo (by its bytes) that the identity has already is reported and left as it is.

        Args:
            identity: any name, made NFC and trimmed; up to `NAME_LIMIT` characters that can be
                seen. A new name makes a new identity.
            photos: paths, or the bytes of image files; at least one.
            face: which face of a photo with several; 'only' refuses such photos.
            any_quality: take poor faces too (`mfr.faces.quality.flaws`).
            anyway: enroll in spite of `doubts`.
            keep_crops: keep the crops of photos from now on, or no longer; None goes on as before.

        Raises:
            DoubtfulEnrolmentError: something speaks against it, see `doubts`.
            MfrError: the name or a photo is unusable.
            WriteError: the disk is full or read-only.
        """
        name = identity_name(identity)
        recogniser = self._photo_recogniser()
        keep = keeps_crops(self._store) if keep_crops is None else keep_crops
        templates = embed_templates(
            recogniser, photos, face=face, any_quality=any_quality, keep_crops=keep
        )
        if not anyway:
            insist_on_none(self.doubts(name, templates))
        settle_keeping(self._store, keep)
        return self.add(name, templates)

    def enroll_each(
        self,
        identity: str,
        photos: Sequence[bytes],
        *,
        face: OneFace = "only",
        any_quality: bool = False,
        anyway: bool = False,
    ) -> Outcomes:
        """As `enroll`, but a photo that is refused hinders no other: what became of each.

        Raises:
            MfrError: the name is unusable.
            WriteError: the disk is full or read-only.
        """
        recogniser = self._photo_recogniser()
        if not isinstance(recogniser, BulkRecogniser):
            raise GalleryError("The recogniser takes no list of photos: enroll them one by one.")
        return enroll_each(
            self._store,
            self._searching,
            recogniser,
            self.calibration,
            identity,
            photos,
            face=face,
            any_quality=any_quality,
            anyway=anyway,
        )

    def doubts(self, identity: str, templates: Sequence[NewTemplate]) -> Sentences:
        """What speaks against adding ``templates`` to ``identity``, a sentence each.

        A photo or, if the model is calibrated, a person is enrolled under another name; or a photo
        is unlike the others of the identity.
        """
        name, index = identity_name(identity), self._searching.current
        doubts = find_doubts(self._store, index, name, templates, self.calibration)
        return [doubt.sentence for doubt in doubts]

    def add(self, identity: str, templates: Sequence[NewTemplate]) -> Enrolment:
        """Add templates that `embed_templates` made with this gallery's model; else as `enroll`."""
        name = identity_name(identity)
        return Enrolment.of(name, templates, self._store.add(name, templates))

    def add_many(self, people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> int:
        """As `add`, for the templates of many identities, in one transaction.

        Returns how many templates are new.
        """
        return self._store.add_many(
            (identity_name(identity), templates) for identity, templates in people
        )

    def show(self, identity: str) -> Templates:
        """The templates of one identity, oldest first.

        Raises:
            NotEnrolledError: nobody of that name is enrolled.
        """
        return self._store.templates(spelled_name(identity))

    def remove(self, identity: str, template_id: int | None = None) -> int:
        """Remove an identity, or one of its templates; the last one takes the identity along.

        Returns how many templates were removed.

        Raises:
            NotEnrolledError: there is no such identity or template.
        """
        removed = self._store.remove(spelled_name(identity), template_id)
        self._searching.forget_removed()
        return removed

    def counts(self) -> tuple[int, int]:
        """How many people are enrolled, and how many templates."""
        return self._store.counts()

    def own_scores(self, most: int = MOST) -> OwnScores:
        """How alike the templates of ``most`` people are: of one person, and of two."""
        return own_scores(self._store, most)

    def rebuild(self) -> int:
        """Check the store, and make the index and its file anew from it.

        Returns how many templates are indexed.

        Raises:
            GalleryDamagedError: the store is damaged. Where only single templates are, the index of
                the others is made first.
            WriteError: the index cannot be written.
        """
        self._store.check_integrity()
        return len(self._searching.rebuild())

    @property
    def model_hash(self) -> str:
        """The hash of the model the templates were made with."""
        return self._store.model_hash

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding."""
        return self._store.embedding_size

    @property
    def calibration(self) -> Calibrations | None:
        """What decisions are made by: the calibration of the model the gallery was made with.

        Only `calibrate` changes it. A gallery of an older format, which has none of its own, goes
        by the recogniser's model.

        Raises:
            GalleryDamagedError: it is not what was stored.
        """
        model = None if self._recogniser is None else self._recogniser.calibration
        return own_calibration(self._store, model)

    def calibrate(self, calibration: Calibrations | None) -> None:
        """Decide by ``calibration``, of the gallery's model, from now on."""
        settle_calibration(self._store, calibration)

    def model_source(self) -> ModelSource | None:
        """Where the model was last found, if it was said."""
        return self._store.model_source()

    def remember_model(self, source: ModelSource) -> None:
        """Keep where the model was found, as a hint for the next time."""
        self._store.remember_model(source)

    def list(self) -> Summaries:
        """Who is enrolled, by name, with counts and dates."""
        return self._store.identities()
