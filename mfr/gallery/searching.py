"""The index of an open gallery: made when it is first searched, and its file beside the store."""

from __future__ import annotations

import warnings
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from mfr.errors import ConfigError, GalleryDamagedError, GalleryWarning
from mfr.gallery.cache_state import erase_cache, sweep_cache
from mfr.gallery.methods import SearchMethod, own_method, search_method
from mfr.gallery.records import DamagedTemplate, check_embeddings
from mfr.gallery.results import Candidate
from mfr.gallery.store import BUSY_SECONDS, Location, Store, directory_of

if TYPE_CHECKING:
    from mfr.gallery.following import IndexFollower
    from mfr.gallery.index import TemplateIndex

INDEX_FILE_NAME: Final = "index.faiss"


class Searching:
    """An index that follows a store from the first search on. Threads may share one.

    Args:
        store: the truth.
        cache_path: where the index is kept for the next process; None keeps it nowhere. That of an
            encrypted store is never kept, as its file could be read.
        method: how it is searched; None for the gallery's own way.

    Raises:
        ConfigError: there is no such method.
    """

    def __init__(
        self, store: Store, cache_path: Path | None, method: SearchMethod | None = None
    ) -> None:
        self._store = store
        self._method = None if method is None else search_method(method)
        self._cache_path = None if store.is_encrypted else cache_path
        self._follower: IndexFollower | None = None
        self._lock = Lock()
        self._damaged: tuple[DamagedTemplate, ...] = ()
        for sentence in store.remarks():
            warnings.warn(sentence, GalleryWarning, stacklevel=4)
        if cache_path is not None:
            sweep_cache(cache_path, store)

    def current(self) -> TemplateIndex:
        """The index of the store's present state. Errors as `IndexFollower.current`.

        Templates that are newly found to be damaged are told by a `GalleryWarning`.
        """
        index = self._followed().current()
        if index.damaged != self._damaged:
            for each in index.damaged:
                if each not in self._damaged:
                    warnings.warn(each.sentence(), GalleryWarning, stacklevel=4)
            self._damaged = index.damaged
        return index

    def nearest(
        self, embeddings: np.ndarray, k: int, among: frozenset[str] | None = None
    ) -> list[list[Candidate]]:
        """The ``k`` identities nearest to each embedding (n, D), in order: n lists.

        Only those ``among`` are searched, unless it is None.

        Raises:
            ConfigError: ``k`` is not positive.
            GalleryError: an embedding is of another size, not finite or not of unit length.
        """
        check_count(k)
        probes = check_embeddings(embeddings, self._store.embedding_size)
        return [
            [Candidate(name, float(np.clip(score, -1, 1))) for name, score in each]
            for each in self.current().best_identities(probes, k, among)
        ]

    def rebuild(self) -> TemplateIndex:
        """The index made anew, with its file.

        Raises:
            GalleryDamagedError: templates are damaged; the index of the others has been made.
            WriteError: as `IndexFollower.rebuild`.
        """
        index = self._followed().rebuild()
        self._damaged = index.damaged
        if index.damaged:
            raise GalleryDamagedError(" ".join(each.sentence() for each in index.damaged))
        return index

    def forget_removed(self) -> None:
        """Take the file away, as it may hold what was just removed."""
        if self._cache_path is not None:
            erase_cache(self._cache_path, seconds=BUSY_SECONDS)

    def close(self) -> None:
        """Finish the index's file where that is worth its while."""
        if self._follower is not None:
            self._follower.close()

    def _followed(self) -> IndexFollower:
        # FAISS takes long to import and only searching needs it.
        from mfr.gallery.following import IndexFollower

        with self._lock:
            if self._follower is None:
                method = own_method(self._store) if self._method is None else self._method
                self._follower = IndexFollower(self._store, self._cache_path, method)
            return self._follower


def check_count(k: int) -> None:
    """Refuse a number of candidates that is not positive.

    Raises:
        ConfigError: it is not.
    """
    if k < 1:
        raise ConfigError(f"Cannot give {k} candidates: use -k 1 or more.")


def cache_path_of(location: Location) -> Path | None:
    """Where the index of the gallery at ``location`` is kept: in its directory, if it has one."""
    directory = directory_of(location)
    return None if directory is None else directory / INDEX_FILE_NAME


def best_scores(templates: np.ndarray, probes: np.ndarray) -> np.ndarray:
    """The largest cosine between each probe (n, D) and the templates (t, D): (n,) float32."""
    return np.clip((templates @ probes.T).max(axis=0), -1, 1)


def damage_of(store: Store, identity: str) -> list[str]:
    """Which templates of ``identity`` are damaged, a sentence each."""
    return [
        DamagedTemplate(each.id, identity).sentence()
        for each in store.templates(identity)
        if each.damaged
    ]
