"""Measurements of every image of a dataset: whether it can be read, and a few numbers about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.checking.embeddings import EmbeddingCache, pixel_digest
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import DataError, ImageError
from mfr.faces.align import resize_whole
from mfr.faces.quality import measure_crop
from mfr.faces.thumbnail import THUMBNAIL, make_thumbnail
from mfr.images import read_image

CHUNK: Final = 512
"""The number of pictures in memory at a time (37.6 kB each)."""

_THREADS: Final = 4

MEASURES: Final = (
    "photo size",  # log2 of its pixels
    "aspect",  # log2 of width divided by height
    "compression",  # log2 of the file's bits per pixel
    "blockiness",  # see `blockiness`
    "red",  # mean, 0-255, as are the next two
    "green",
    "blue",
    "saturation",  # mean of max - min over the channels, 0-255; 0 is grey
    "contrast",  # standard deviation of the grey
    "sharpness",  # log2 of the variance of the Laplacian
    "brightness",  # mean grey
)
"""The measures of a row: the first four of its photo, the others of its picture."""


@dataclass(frozen=True)
class Measured:
    """The measurements of the manifest's N rows; 1.6 kB a row with embeddings of 128 numbers.

    A row's *picture* is its crop or, if it has none, the whole photo resized.

    Attributes:
        photo_problem: for each row, why the photo cannot be read; None if it can.
        crop_problem: for each row, why the crop cannot be read; None if it can, or if the row has
            no crop.
        digests: (N, 16), digests of the photos' pixels; zero if the photo cannot be read.
        thumbnails: (N, 256), grey thumbnails of the pictures with mean 0 and length 1, whose inner
            products are correlations; zero if the picture is uniform or cannot be read.
        measures: (N, len(MEASURES)); NaN if the photo or picture cannot be read.
        embedded: (n,), the rows that have an embedding, ascending: with a model, those that have a
            crop.
        embeddings: (n, D), the embeddings of these rows, float32 and of unit length.
    """

    photo_problem: list[str | None]
    crop_problem: list[str | None]
    digests: NDArray[np.uint8]
    thumbnails: NDArray[np.float32]
    measures: NDArray[np.float32]
    embedded: NDArray[np.int64]
    embeddings: NDArray[np.float32]


@dataclass(frozen=True)
class _Row:
    """The part of `Measured` that belongs to one row, with the row's crop."""

    photo_problem: str | None
    crop_problem: str | None
    digest: bytes
    thumbnail: NDArray[np.float32]
    measures: NDArray[np.float32]
    crop: NDArray[np.uint8] | None


def measure(
    manifest: Manifest,
    cache: EmbeddingCache | None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Read every photo and crop of ``manifest`` once.

    Args:
        manifest: the dataset.
        cache: embeds the crops; without it there are no embeddings.
        on_progress: called with the number of rows done and the total.

    Raises:
        ModelError: an embedding is not finite.
    """
    count = len(manifest)
    photo_problem: list[str | None] = []
    crop_problem: list[str | None] = []
    digests = np.zeros((count, 16), np.uint8)
    thumbnails = np.zeros((count, THUMBNAIL**2), np.float32)
    measures = np.full((count, len(MEASURES)), np.nan, np.float32)
    embedded: list[int] = []
    embeddings: list[NDArray[np.float32]] = []
    on_progress(0, count)
    for rows in _read(manifest):
        start = len(photo_problem)
        cropped = []
        for number, row in enumerate(rows, start):
            photo_problem.append(row.photo_problem)
            crop_problem.append(row.crop_problem)
            digests[number] = np.frombuffer(row.digest, np.uint8)
            thumbnails[number] = row.thumbnail
            measures[number] = row.measures
            if row.crop is not None:
                cropped.append(row.crop)
                embedded.append(number)
        if cache is not None and cropped:
            keys = np.stack([np.frombuffer(pixel_digest(crop), np.uint8) for crop in cropped])
            embeddings.append(cache.embed(keys, np.stack(cropped)))
        on_progress(len(photo_problem), count)
    if not embeddings:
        embedded, embeddings = [], [np.zeros((0, 1), np.float32)]
    return Measured(
        photo_problem,
        crop_problem,
        digests,
        thumbnails,
        measures,
        np.array(embedded, np.int64),
        np.concatenate(embeddings),
    )


def _read(manifest: Manifest) -> Iterator[list[_Row]]:
    """The rows in chunks, read by threads, because decoding releases Python's global lock."""
    crops = [None if crop is None else manifest.root / crop for crop in manifest.column("crop")]
    photos = manifest.photo_paths()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")
    try:
        for start in range(0, len(photos), CHUNK):
            chunk = slice(start, start + CHUNK)
            yield list(pool.map(_read_row, photos[chunk], crops[chunk]))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read_row(photo_path: Path, crop_path: Path | None) -> _Row:
    photo, crop = None, None
    photo_problem, crop_problem = None, None
    try:
        photo = read_image(photo_path)
        size = photo_path.stat().st_size
    except (ImageError, OSError) as error:
        photo_problem = str(error).replace(str(photo_path), "the photo")
    if crop_path is not None:
        try:
            crop = load_crop(crop_path)
        except DataError as error:
            crop_problem = str(error)
    measures = np.full(len(MEASURES), np.nan, np.float32)
    thumbnail = np.zeros(THUMBNAIL**2, np.float32)
    if photo is not None:
        measures[:4] = _measure_photo(photo, size)
    picture = crop if crop is not None or photo is None else resize_whole(photo)
    if picture is not None:
        measures[4:] = _measure_picture(picture)
        thumbnail = make_thumbnail(picture)
    digest = bytes(16) if photo is None else pixel_digest(photo)
    return _Row(photo_problem, crop_problem, digest, thumbnail, measures, crop)


def _measure_photo(photo: NDArray[np.uint8], file_size: int) -> list[float]:
    height, width = photo.shape[:2]
    pixels = height * width
    return [
        np.log2(pixels),
        np.log2(width / height),
        np.log2(8 * file_size / pixels),
        blockiness(photo),
    ]


def _measure_picture(picture: NDArray[np.uint8]) -> list[float]:
    blur, brightness = measure_crop(picture)
    colour = picture.reshape(-1, 3).mean(axis=0)
    saturation = float(np.mean(picture.max(axis=2) - picture.min(axis=2)))
    contrast = float(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).std())
    return [*colour, saturation, contrast, np.log2(blur + 1), brightness]


def blockiness(photo: NDArray[np.uint8]) -> float:
    """The log2 ratio of the grey steps across JPEG's 8-pixel grid to those elsewhere.

    It is 0 for a photo that was never a JPEG or has been scaled since (after Wang, Sheikh and
    Bovik, No-reference perceptual quality assessment of JPEG compressed images, ICIP 2002).

    Args:
        photo: (H, W, 3) uint8. For a photo no wider than 16 pixels, 0 is returned.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.int16)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    if len(steps) < 16:
        return 0.0
    across = np.arange(1, len(steps) + 1) % 8 == 0
    return float(np.log2((steps[across].mean() + 0.1) / (steps[~across].mean() + 0.1)))
