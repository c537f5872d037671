"""The collections of a service: a gallery each, under a name, opened once a process.

Some are named when the service is started. Others are made over the API and lie in the service's
own folder, where every process of it finds them.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mfr import locking
from mfr.errors import ConfigError, GalleryExistsError, GalleryMissingError
from mfr.gallery import Gallery
from mfr.gallery.records import ModelSource
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.models import lasting_name
from mfr.service.gathering import GatheringRecogniser
from mfr.service.problems import ServiceError
from mfr.service.recognisers import Recognisers
from mfr.service.settings import Settings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SUFFIX: Final = ".gallery"
_REMOVED: Final = ".removed"


@dataclass(frozen=True)
class Collection:
    """An open gallery.

    Attributes:
        name: in addresses.
        gallery: who is enrolled.
        recogniser: the gallery's.
        changing: the lock file of changes that first look.
        file: which file it was, by device and inode; None if it is not one of the service's own.
    """

    name: str
    gallery: Gallery
    recogniser: GatheringRecogniser
    changing: Path
    file: tuple[int, int] | None


class Collections:
    """All of them. Threads may share it.

    Args:
        settings: names some, and says where the others lie.
        recognisers: theirs.
    """

    def __init__(self, settings: Settings, recognisers: Recognisers) -> None:
        for name in settings.collections:
            check_name(name)
        self._settings = settings
        self._recognisers = recognisers
        self._folder = settings.state / "collections"
        self._open: dict[str, Collection] = {}
        self._lock = threading.RLock()
        for half in self._folder.glob(f".*{_REMOVED}"):  # whoever removed it was killed
            shutil.rmtree(half, ignore_errors=True)

    def names(self) -> list[str]:
        """Their names, in order."""
        made = (path.stem for path in self._folder.glob(f"*{_SUFFIX}"))
        return sorted({*self._settings.collections, *(each for each in made if _NAME.match(each))})

    def get(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            GalleryMissingError: there is none.
            GalleryError: its gallery cannot be opened.
            ModelError: its model cannot be loaded.
        """
        with self._lock:
            location = self._location(name)
            found = self._open.get(name)
            if found is not None and found.file != _file_at(location):
                # Another process has removed it and made one of the same name.
                self._open.pop(name).gallery.close()
                found = None
            if found is None:
                found = self._open[name] = self._opened(name, location)
            return found

    def create(self, name: str) -> Collection:
        """Make an empty collection in the service's folder, with the service's model.

        Raises:
            GalleryExistsError: there is one of this name.
            ConfigError: the name cannot be one.
            WriteError: the disk is full or the folder not writable.
        """
        check_name(name)
        with self._lock:
            if name in self.names():
                raise GalleryExistsError(
                    f"There is a collection '{name}' already: choose another name."
                )
            recogniser = self._recognisers.own()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with Gallery.create(self._made_at(name), recogniser) as gallery:
                finds = recogniser.detector.name
                gallery.remember_model(
                    ModelSource(lasting_name(self._recognisers.model), None, finds)
                )
            return self.get(name)

    def delete(self, name: str) -> None:
        """Remove a collection that was made over the API, with everybody in it.

        Raises:
            GalleryMissingError: there is none of this name.
            ServiceError: it was named when the service was started, so that its owner removes it.
        """
        with self._lock:
            self._location(name)
            if name in self._settings.collections:
                raise ServiceError(
                    409,
                    "not-of-this-service",
                    f"The service was started with '{name}': remove its gallery where it lies.",
                )
            if (found := self._open.pop(name, None)) is not None:
                found.gallery.close()
            # Others must not find half of it.
            gone = self._folder / f".{name}.{secrets.token_hex(4)}{_REMOVED}"
            self._made_at(name).rename(gone)
            shutil.rmtree(gone)

    def close(self) -> None:
        """Close all galleries."""
        with self._lock:
            for each in self._open.values():
                each.gallery.close()
            self._open.clear()

    def default_recogniser(self) -> GatheringRecogniser:
        """That of the first collection, else the service's own: for what needs no gallery."""
        names = self.names()
        return self.get(names[0]).recogniser if names else self._recognisers.own()

    def _location(self, name: str) -> str | Path:
        if name in self._settings.collections:
            return self._settings.collections[name]
        if _NAME.fullmatch(name) and self._made_at(name).is_dir():
            return self._made_at(name)
        if (found := self._open.pop(name, None)) is not None:
            found.gallery.close()  # another process has removed it
        raise GalleryMissingError(f"There is no collection '{name}': list them, or make it.")

    def _made_at(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _opened(self, name: str, location: str | Path) -> Collection:
        recogniser = self._recognisers.of_gallery(location)
        changing = self._settings.state / "locks" / name
        file = _file_at(location)
        with locking.waiting_for(changing):
            gallery = Gallery.open(location, recogniser)
        return Collection(name, gallery, recogniser, changing, file)


def _file_at(location: str | Path) -> tuple[int, int] | None:
    """Which file a gallery is, if it was made over the API; an open one's is not used again."""
    if isinstance(location, str):
        return None
    try:
        found = (location / FILE_NAME).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def check_name(name: str) -> None:
    """Refuse what cannot stand in an address.

    Raises:
        ConfigError: the name has other characters, or too many.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"A collection cannot be called '{name}': use up to 64 of a-z, 0-9, - and _, the first "
            "a letter or digit."
        )
