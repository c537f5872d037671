"""A gallery is encrypted, or gets another key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from mfr.errors import ConfigError, GalleryError
from mfr.gallery.cache_state import erase_cache
from mfr.gallery.searching import cache_path_of
from mfr.gallery.store import BUSY_SECONDS, Location, open_store
from mfr.sealing.master_key import master_key, read_key


@runtime_checkable
class EncryptableStore(Protocol):
    """A store whose contents can be sealed with a key."""

    def encrypt(self, master: bytes) -> None:
        """Seal everything with a new data key, which the master key wraps; the stamp is new.

        Raises:
            GalleryError: the store is encrypted already.
            GalleryDamagedError: a template is damaged; nothing is changed.
        """

    def change_key(self, old: bytes, new: bytes) -> None:
        """Wrap the data key with another master key, which nothing else is rewritten for.

        Raises:
            GalleryError: the store is not encrypted, or not with the key ``old``.
        """


def encrypt(location: Location) -> None:
    """Encrypt a gallery, with the key that the environment names; nothing plain is left of it.

    What others have it open for is refused from then on, until they open it again with the key.

    Raises:
        ConfigError: no key is named.
        GalleryError: the gallery is encrypted already, or its kind of store cannot be.
        GalleryDamagedError: a template is damaged; nothing is changed.
        WriteError: the disk is full or the place not writable; nothing is changed.
    """
    master = _named_key()
    with _opened(location) as store:
        store.encrypt(master)
    cache = cache_path_of(location)
    if cache is not None:
        erase_cache(cache, seconds=BUSY_SECONDS)


def change_key(location: Location, new_key: Path) -> None:
    """Let an encrypted gallery be opened with the key in a file, instead of the one now named.

    Raises:
        ConfigError: no key is named, or the file holds none.
        GalleryError: the gallery is not encrypted, or its kind of store cannot be.
        WriteError: the disk is full or the place not writable; nothing is changed.
    """
    old, new = _named_key(), read_key(new_key)
    with _opened(location) as store:
        store.change_key(old, new)


def _named_key() -> bytes:
    master = master_key()
    if master is None:
        raise ConfigError(
            "No key is named: make one with 'mfr gallery new-key FILE' and say 'mfr --key-file "
            "FILE gallery ...'."
        )
    return master


@contextmanager
def _opened(location: Location) -> Iterator[EncryptableStore]:
    with closing(open_store(location)) as store:
        if not isinstance(store, EncryptableStore):
            raise GalleryError(f"{location} is of a kind of gallery that cannot be encrypted.")
        yield store
