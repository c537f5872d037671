"""An index that follows its store: by the difference where the store can tell, else made anew."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from mfr.gallery.cache import read_cache
from mfr.gallery.cache_writer import CacheWriter
from mfr.gallery.index import TemplateIndex
from mfr.gallery.methods import SearchMethod
from mfr.gallery.store import Store


class IndexFollower:
    """The index of a store's present templates. Threads may share one.

    Args:
        store: the truth.
        cache_path: where the index is kept for the next process, in a directory of the gallery's
            own; None keeps it nowhere.
        method: how the index is searched.
    """

    def __init__(self, store: Store, cache_path: Path | None, method: SearchMethod) -> None:
        self._store = store
        self._method = method
        self._cache_path = cache_path
        self._writer = None if cache_path is None else CacheWriter(cache_path, store)
        self._index: TemplateIndex | None = None
        self._lock = Lock()

    def current(self) -> TemplateIndex:
        """The index of the state the store is in now.

        Raises:
            GalleryError: the store cannot be read.
        """
        index = self._index
        if index is not None and index.stamp == self._store.stamp:
            return index
        with self._lock:
            index = self._from_cache() if self._index is None else self._caught_up(self._index)
            self._index = self._from_store() if index is None else index
            return self._index

    def rebuild(self) -> TemplateIndex:
        """Make the index anew from the store, and its cache file.

        Searches that come meanwhile wait: the templates are never in memory twice for it.

        Raises:
            GalleryError: the store cannot be read.
            WriteError: the cache file cannot be written.
        """
        with self._lock:
            self._index = None
            if self._writer is not None:
                self._writer.forget()
            index = self._index = self._built()
            if self._writer is not None:
                self._writer.start(index, usable=True)  # as it will be
        if self._writer is not None:
            self._writer.write_now(index)
        return index

    def close(self) -> None:
        """Finish with the cache file."""
        if self._writer is not None:
            self._writer.close()

    def _from_cache(self) -> TemplateIndex | None:
        index = (
            None if self._cache_path is None else read_cache(self._cache_path, self._store.secret)
        )
        if index is None or index.size != self._store.embedding_size:
            return None
        assert self._writer is not None
        filed = index.searched(self._method)
        # A file without the codes of its templates would have them made by every process.
        self._writer.start(filed, usable=index.coding is not None or filed.coding is None)
        return self._caught_up(filed)

    def _caught_up(self, index: TemplateIndex) -> TemplateIndex | None:
        """``index`` brought to the store's present state; None when the store cannot tell how."""
        changes = self._store.changes(index.stamp)
        if changes is None or changes.stamp == index.stamp:
            return None if changes is None else index
        changed = index.changed(changes)
        if self._writer is not None:
            added, removed = len(changes.added), len(changes.removed)
            self._writer.follow(changed, added=added, removed=removed)
        return changed

    def _built(self) -> TemplateIndex:
        return TemplateIndex.build(self._store.snapshot()).searched(self._method)

    def _from_store(self) -> TemplateIndex:
        index = self._built()
        if self._writer is not None:
            self._writer.start(index, usable=False)
        return index
