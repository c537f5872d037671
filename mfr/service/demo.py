"""A gallery of people who do not exist, to try the service with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.errors import ConfigError
from mfr.gallery import Gallery
from mfr.gallery.records import ModelSource
from mfr.models import DEFAULT
from mfr.recogniser import Recogniser

GROUP: Final = "mfr.demo"
"""The group of entry points that name a function from a number to the photos of some people."""

_ENROLLED: Final = 3


def make_demo(folder: Path) -> tuple[Path, Path]:
    """Enrol drawn people, and leave a photo of each that the gallery has not seen.

    Returns:
        The gallery and the folder of these photos.

    Raises:
        ConfigError: nothing that is installed draws people.
        WriteError: the disk is full or the folder not writable.
    """
    people = _drawing()(_ENROLLED + 1)
    recogniser = Recogniser.load(DEFAULT)
    place, photos = folder / "demo.gallery", folder / "photos"
    photos.mkdir()
    with Gallery.create(place, recogniser) as gallery:
        gallery.remember_model(ModelSource(DEFAULT, None, recogniser.detector.name))
        for name, drawn in people.items():
            gallery.enroll(name, drawn[:_ENROLLED], face="main", any_quality=True, anyway=True)
            gallery.people.change(name, groups=frozenset({"drawn"}), consent="does not exist")
            atomic.write_bytes(photos / f"{name}.png", drawn[_ENROLLED])
    return place, photos


def _drawing() -> Callable[[int], dict[str, list[bytes]]]:
    for point in entry_points(group=GROUP):
        found: Callable[[int], dict[str, list[bytes]]] = point.load()
        return found
    raise ConfigError("Nothing that is installed draws people: install MFR with its data tools.")
