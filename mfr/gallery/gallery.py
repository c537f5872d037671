"""Who is enrolled: photos in, templates kept, probes verified and identified."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from mfr.decision import DEFAULT_FMR, Decision, FaceToTake, choose_threshold, cosine, decide
from mfr.errors import ConfigError, GalleryError, WriteError
from mfr.gallery.comparison import PhotoEncoder
from mfr.gallery.store import (
    IdentitySummary,
    ModelSource,
    NewTemplate,
    Template,
    TemplateStore,
    check_embedding,
)

if TYPE_CHECKING:  # FAISS takes long to import and only searching needs it.
    from mfr.gallery.index import TemplateIndex

NAME_LIMIT: Final = 200
"""The longest name of an identity, in characters."""

INDEX_FILE_NAME: Final = "index.faiss"


@dataclass(frozen=True)
class Match:
    """A candidate of a search.

    Attributes:
        identity: who.
        score: the cosine to this identity's nearest template, -1 to 1.
        match: whether the score reaches the threshold; None when there is none.
    """

    identity: str
    score: float
    match: bool | None


@dataclass(frozen=True)
class Enrolment:
    """What an enrolment did.

    Attributes:
        identity: the name as it is kept (NFC, trimmed).
        added: ids of the new templates, in the order of their photos.
        already: photos this identity had before, or that were given twice; left as they were.
    """

    identity: str
    added: tuple[int, ...]
    already: tuple[str, ...]


Matches: TypeAlias = list[Match]
Summaries: TypeAlias = list[IdentitySummary]
Templates: TypeAlias = list[Template]


class Gallery:
    """A directory of enrolled people. Threads may share one; close it or use it in a ``with``.

    Templates of one model only are kept: scores between models mean nothing. Changes are in the
    SQLite file, safely, when a method returns. The FAISS index beside it is a cache, remade when it
    is missing, damaged or out of date.
    """

    def __init__(self, store: TemplateStore, encoder: PhotoEncoder | None) -> None:
        """Use `open` or `create`."""
        self._store = store
        self._encoder = encoder
        self._index: tuple[TemplateIndex, dict[int, str]] | None = None
        self._index_lock = Lock()

    @classmethod
    def open(
        cls, path: str | Path, encoder: PhotoEncoder | None = None, *, create: bool = False
    ) -> Gallery:
        """Open the gallery in the directory ``path``.

        Args:
            path: the gallery.
            encoder: the model its templates were made with. Without one, everything works that
                needs no photo: list, show, remove, rebuild.
            create: make the gallery if there is none yet.

        Raises:
            GalleryError: there is none, it is damaged, foreign or of a newer format, or its
                templates are of another model than ``encoder``.
        """
        if create and encoder is not None and not _stands(path):
            try:
                return cls.create(path, encoder)
            except GalleryError:
                if not _stands(path):  # else another program was first to make it
                    raise
        store = TemplateStore(path)
        try:
            if encoder is not None and store.model_hash != encoder.model_hash:
                raise GalleryError(
                    f"{path} holds templates of another model ({store.model_hash[:12]}, "
                    f"yours is {encoder.model_hash[:12]}): use the model it was made with, or "
                    "enroll everyone again in a new gallery."
                )
        except BaseException:
            store.close()
            raise
        return cls(store, encoder)

    @classmethod
    def create(cls, path: str | Path, encoder: PhotoEncoder) -> Gallery:
        """Make an empty gallery in the directory ``path``.

        Raises:
            GalleryError: ``path`` exists and is not an empty directory.
            WriteError: the disk is full or the place not writable.
        """
        store = TemplateStore.create(
            path, model_hash=encoder.model_hash, embedding_size=encoder.embedding_size
        )
        return cls(store, encoder)

    def close(self) -> None:
        """Let go of the files."""
        self._store.close()

    def __enter__(self) -> Gallery:
        """The gallery itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def enroll(
        self, identity: str, photos: Sequence[str | Path | bytes], *, face: FaceToTake = "largest"
    ) -> Enrolment:
        """Add a template per photo to ``identity``: all of them or, on any error, none.

        A photo (by its bytes) that the identity has already is reported and left as it is, so the
        same command may be run again. The same photo under two names is allowed.

        Args:
            identity: any name, made NFC and trimmed; up to `NAME_LIMIT` characters, no control
                characters. Made if new.
            photos: paths, or the bytes of image files; at least one.
            face: which face of a photo is meant.

        Raises:
            MfrError: the name or a photo is unusable.
            WriteError: the disk is full or read-only.
        """
        identity_name(identity)
        return self.add(identity, embed_templates(self._photo_encoder(), photos, face=face))

    def add(self, identity: str, templates: Sequence[NewTemplate]) -> Enrolment:
        """Add templates that `embed_templates` made with this gallery's model; else as `enroll`."""
        name = identity_name(identity)
        ids = self._store.add(name, templates)
        return Enrolment(
            name,
            added=tuple(new for new in ids if new is not None),
            already=tuple(
                template.source for template, new in zip(templates, ids, strict=True) if new is None
            ),
        )

    def verify(
        self,
        identity: str,
        photo: str | Path | bytes,
        *,
        fmr: float = DEFAULT_FMR,
        threshold: float | None = None,
        face: FaceToTake = "largest",
    ) -> Decision:
        """Whether ``photo`` shows ``identity``: its score is that of the identity's best template.

        Several templates give a stranger several chances: the false-match rate of the decision is
        that of one comparison, and at most the number of templates times larger for the identity.

        Raises:
            GalleryError: nobody of that name is enrolled.
            ModelError: no threshold given and no calibration in the model to take one from.
            MfrError: the photo is unusable.
        """
        encoder = self._photo_encoder()
        chosen = choose_threshold(encoder.calibration, fmr, threshold)
        templates = self._store.embeddings(identity_name(identity))
        probe = encoder.embed_photo(photo, face=face).embedding
        check_embedding(probe, self._store.embedding_size)
        return decide(cosine(templates, probe), chosen, encoder.calibration)

    def identify(
        self,
        photo: str | Path | bytes,
        k: int = 5,
        *,
        fmr: float = DEFAULT_FMR,
        threshold: float | None = None,
        face: FaceToTake = "largest",
    ) -> Matches:
        """The ``k`` identities nearest to ``photo``, nearest first, by their best templates.

        Fewer come back when fewer are enrolled. Each says whether it reaches the threshold, if
        there is one, given or calibrated for ``fmr``. That rate is of one comparison: among G
        templates a stranger is taken for somebody about G times as often.

        Raises:
            ConfigError: ``k`` is not positive.
            MfrError: the photo is unusable.
        """
        if k < 1:
            raise ConfigError(f"Cannot give {k} candidates: use -k 1 or more.")
        encoder = self._photo_encoder()
        chosen = None
        if threshold is not None or encoder.calibration is not None:
            chosen = choose_threshold(encoder.calibration, fmr, threshold)
        probe = encoder.embed_photo(photo, face=face).embedding
        check_embedding(probe, self._store.embedding_size)
        index, owners = self._current_index()
        found = []
        for name, raw in index.best_identities(probe, owners, k):
            score = float(np.clip(raw, -1, 1))
            found.append(Match(name, score, None if chosen is None else score >= chosen))
        return found

    def show(self, identity: str) -> Templates:
        """The templates of one identity, oldest first.

        Raises:
            GalleryError: nobody of that name is enrolled.
        """
        return self._store.templates(identity_name(identity))

    def remove(self, identity: str, template_id: int | None = None) -> int:
        """Remove an identity, or one of its templates; the last one takes the identity along.

        Returns:
            How many templates went.

        Raises:
            GalleryError: no such identity or template.
        """
        return self._store.remove(identity_name(identity), template_id)

    def rebuild(self) -> int:
        """Check the SQLite file and make the index anew from it.

        Returns:
            How many templates are indexed.

        Raises:
            GalleryError: the file is damaged.
            WriteError: the index cannot be written.
        """
        self._store.check_integrity()
        with self._index_lock:
            index, owners = self._build_index()
            index.save(self._store.directory / INDEX_FILE_NAME)
            self._index = index, owners
            return len(index)

    @property
    def model_hash(self) -> str:
        """Of the model the templates were made with."""
        return self._store.model_hash

    def model_source(self) -> ModelSource | None:
        """Where the model was found when someone last enrolled, if it was said."""
        return self._store.model_source()

    def remember_model(self, source: ModelSource) -> None:
        """Keep where the model was found, as a hint for the next time."""
        self._store.remember_model(source)

    def list(self) -> Summaries:
        """Who is enrolled, by name, with counts and dates."""
        return self._store.identities()

    def _photo_encoder(self) -> PhotoEncoder:
        if self._encoder is None:
            raise GalleryError("This gallery was opened without a model: open it with an encoder.")
        return self._encoder

    def _current_index(self) -> tuple[TemplateIndex, dict[int, str]]:
        from mfr.gallery.index import TemplateIndex

        with self._index_lock:
            if self._index is not None and self._index[0].stamp == self._store.stamp:
                return self._index
            path = self._store.directory / INDEX_FILE_NAME
            stamp, owners = self._store.owners()
            cached = TemplateIndex.load(path, stamp)
            if cached is not None:
                self._index = cached, owners
                return self._index
            self._index = self._build_index()
            # Only a cache: on a read-only disk it is made anew by each process.
            with contextlib.suppress(WriteError):
                self._index[0].save(path)
            return self._index

    def _build_index(self) -> tuple[TemplateIndex, dict[int, str]]:
        from mfr.gallery.index import TemplateIndex

        snapshot = self._store.snapshot()
        index = TemplateIndex.build(snapshot.ids, snapshot.embeddings, snapshot.stamp)
        return index, dict(zip(snapshot.ids.tolist(), snapshot.owners, strict=True))


def identity_name(name: str) -> str:
    """The name as it is kept: NFC, without white space around it.

    Raises:
        GalleryError: blank, longer than `NAME_LIMIT`, or with control characters.
    """
    kept = unicodedata.normalize("NFC", name).strip()
    if not kept:
        raise GalleryError("The name of an identity is blank: give it a name.")
    if len(kept) > NAME_LIMIT:
        raise GalleryError(
            f"The name '{kept[:20]}...' has {len(kept)} characters: use at most {NAME_LIMIT}."
        )
    # Controls, half characters (bytes that were no UTF-8), line and paragraph separators.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in kept):
        raise GalleryError(
            f"The name {kept.encode('unicode_escape').decode()} has characters that cannot be "
            "shown: use letters, digits, spaces and signs."
        )
    return kept


def embed_templates(
    encoder: PhotoEncoder, photos: Sequence[str | Path | bytes], *, face: FaceToTake = "largest"
) -> list[NewTemplate]:
    """A template per photo, not stored anywhere yet.

    Raises:
        MfrError: there are no photos, or one is unusable.
    """
    if isinstance(photos, str | bytes | Path) or not photos:
        raise ConfigError("Give a list of photos, at least one.")
    return [_template(encoder, photo, face) for photo in photos]


def _template(encoder: PhotoEncoder, photo: str | Path | bytes, face: FaceToTake) -> NewTemplate:
    embedded = encoder.embed_photo(photo, face=face)
    check_embedding(embedded.embedding, encoder.embedding_size)
    quality = dataclasses.asdict(embedded.quality)
    return NewTemplate(
        embedded.embedding,
        _digest(photo),
        _storable(embedded.name),
        {name: float(value) for name, value in quality.items()},
    )


def _stands(path: str | Path) -> bool:
    """Whether something other than an empty place is at ``path``."""
    path = Path(path)
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def _digest(photo: str | Path | bytes) -> str:
    """SHA-256 of the photo's bytes; read after it was decoded, so its size is within limits."""
    if isinstance(photo, bytes):
        return hashlib.sha256(photo).hexdigest()
    return hashlib.sha256(Path(photo).read_bytes()).hexdigest()


def _storable(name: str) -> str:
    """A file name as text that any file can hold: bytes that were no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
