"""Many photographs, read a batch at a time: those of a batch are searched and embedded together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mfr.errors import ImageError
from mfr.faces.large_photo import SearchedPhoto, pixels_held
from mfr.images import Photo, read_to_search

_PIXELS_AT_ONCE: Final = 50_000_000
"""Photos are read in batches of about so many pixels (150 MB) at most, or of one photo."""

_PHOTOS_AT_ONCE: Final = 16
"""Photos in a batch at most."""


def parts(photos: Iterable[Photo]) -> Iterator[list[Photo]]:
    """``photos`` as they come, a batch at a time, unread."""
    source = iter(photos)
    while part := list(itertools.islice(source, _PHOTOS_AT_ONCE)):
        yield part


def batches(
    photos: Sequence[Photo], enough: int | None
) -> Iterator[list[tuple[str, SearchedPhoto | ImageError]]]:
    """The photographs' names, and each to search or an error, a batch at a time."""
    batch: list[tuple[str, SearchedPhoto | ImageError]] = []
    pixels = 0
    for photo in photos:
        image = _read(photo, enough)
        size = 0 if isinstance(image, ImageError) else pixels_held(image)
        if batch and (pixels + size > _PIXELS_AT_ONCE or len(batch) == _PHOTOS_AT_ONCE):
            yield batch
            batch, pixels = [], 0
        batch.append((_name(photo), image))
        pixels += size
    if batch:
        yield batch


def _read(photo: Photo, enough: int | None) -> SearchedPhoto | ImageError:
    try:
        return read_to_search(photo, enough)
    except ImageError as error:
        return error


def _name(photo: Photo) -> str:
    """What to call a photograph in messages."""
    return "the image" if isinstance(photo, bytes) else str(photo)
