"""Many photographs, read a batch at a time: those of a batch are searched and embedded together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from mfr.errors import ImageError
from mfr.faces.large_photo import SearchedPhoto, pixels_held
from mfr.images import Photo, name_of, read_to_search

PhotoReader: TypeAlias = Callable[[Photo, int | None], SearchedPhoto]
"""What reads a photo, as `mfr.images.read_to_search` does, with the same arguments and errors."""

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
    photos: Sequence[Photo], enough: int | None, read: PhotoReader = read_to_search
) -> Iterator[list[tuple[str, SearchedPhoto | ImageError]]]:
    """The photographs' names, and each to search or an error, a batch at a time."""
    batch: list[tuple[str, SearchedPhoto | ImageError]] = []
    pixels = 0
    for photo in photos:
        image = _attempt(photo, enough, read)
        size = 0 if isinstance(image, ImageError) else pixels_held(image)
        if batch and (pixels + size > _PIXELS_AT_ONCE or len(batch) == _PHOTOS_AT_ONCE):
            yield batch
            batch, pixels = [], 0
        batch.append((name_of(photo), image))
        pixels += size
    if batch:
        yield batch


def _attempt(photo: Photo, enough: int | None, read: PhotoReader) -> SearchedPhoto | ImageError:
    try:
        return read(photo, enough)
    except ImageError as error:
        return error
