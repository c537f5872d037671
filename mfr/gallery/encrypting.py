"""A gallery in a directory is encrypted, or gets another key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mfr.errors import ConfigError, GalleryError
from mfr.gallery.cache_state import erase_cache
from mfr.gallery.searching import cache_path_of
from mfr.gallery.sqlite import SqliteStore
from mfr.gallery.store import BUSY_SECONDS, Location, directory_of
from mfr.sealing.master_key import master_key, read_key


def encrypt(location: Location) -> None:
    """Encrypt a gallery, with the key that the environment names; nothing plain is left of it.

    What others have it open for is refused from then on, until they open it again with the key.

    Raises:
        ConfigError: no key is named.
        GalleryError: the gallery is encrypted already, or is no directory.
        GalleryDamagedError: a template is damaged; nothing is changed.
        WriteError: the disk is full or the place not writable; nothing is changed.
    """
    master = _named_key()
    with closing(_opened(location)) as store:
        store.encrypt(master)
    cache = cache_path_of(location)
    if cache is not None:
        erase_cache(cache, seconds=BUSY_SECONDS)


def change_key(location: Location, new_key: Path) -> None:
    """Let an encrypted gallery be opened with the key in a file, instead of the one now named.

    Raises:
        ConfigError: no key is named, or the file holds none.
        GalleryError: the gallery is not encrypted, or is no directory.
        WriteError: the disk is full or the place not writable; nothing is changed.
    """
    old, new = _named_key(), read_key(new_key)
    with closing(_opened(location)) as store:
        store.change_key(old, new)


def _named_key() -> bytes:
    master = master_key()
    if master is None:
        raise ConfigError(
            "No key is named: make one with 'mfr gallery new-key FILE' and say 'mfr --key-file "
            "FILE gallery ...'."
        )
    return master


def _opened(location: Location) -> SqliteStore:
    directory = directory_of(location)
    if directory is None:
        raise GalleryError(f"{location} is no directory: only those can be encrypted so far.")
    return SqliteStore.open(directory)
