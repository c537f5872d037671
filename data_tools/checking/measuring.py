"""One look at every file of a dataset: can it be read, what is in it, in a few numbers an image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.checking.embeddings import EmbeddingCache
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import DataError, ImageError
from mfr.faces.align import resize_whole
from mfr.faces.quality import measure_crop
from mfr.geometry import CROP_SIZE
from mfr.images import read_image

CHUNK: Final = 512
"""Pictures held in memory at a time (37.6 kB each)."""

THUMBNAIL: Final = 16
"""Side of the thumbnails that near-duplicates are compared by."""

_THREADS: Final = 4

MEASURES: Final = (
    "photo size",  # log2 of its pixels
    "aspect",  # log2 of width by height
    "compression",  # log2 of the file's bits a pixel
    "blockiness",  # see `blockiness`
    "red",  # mean, 0-255, as are the next two
    "green",
    "blue",
    "saturation",  # mean of max - min over the channels, 0-255; 0 is grey
    "contrast",  # standard deviation of the grey
    "sharpness",  # log2 of the variance of the Laplacian
    "brightness",  # mean grey
)
"""What is measured of a row, the first four of its photo, the others of its picture."""


@dataclass(frozen=True)
class Measured:
    """What was seen, a row of the manifest each; 1.6 kB with embeddings of 128 numbers.

    A row's *picture* is its crop, or where it has none the photo resized whole.

    Attributes:
        photo_problem: why the photo cannot be read; None where it can.
        crop_problem: why the crop cannot be read; None where it can, or there is none.
        digests: (N, 16) of the photo's pixels; zero where it cannot be read.
        thumbnails: (N, 256) of the picture, grey, mean 0, length 1; zero where it is uniform or
            cannot be read. Inner products are correlations.
        measures: (N, len(MEASURES)); NaN where the picture or photo cannot be read.
        embedded: (n,) the rows that have an embedding, ascending: those with a crop, if there is a
            model.
        embeddings: (n, D) float32, unit length.
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
    """One row's part of `Measured`, with its picture and the digest of that."""

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
        on_progress: called with the rows done and to do.

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
            keys = np.stack([np.frombuffer(_digest(crop), np.uint8) for crop in cropped])
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
    """The rows in chunks, by threads: decoding lets go of Python's lock."""
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
    digest = bytes(16) if photo is None else _digest(photo)
    return _Row(photo_problem, crop_problem, digest, thumbnail, measures, crop)


def _digest(pixels: NDArray[np.uint8]) -> bytes:
    shape = np.array(pixels.shape, np.int64).tobytes()
    return hashlib.blake2b(shape + pixels.tobytes(), digest_size=16).digest()


def make_thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The grey of a picture (112, 112, 3) in 16 x 16 means: mean 0, length 1, or 0 if uniform."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    step = CROP_SIZE // THUMBNAIL
    small = grey.reshape(THUMBNAIL, step, THUMBNAIL, step).mean(axis=(1, 3)).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    # Below one grey level of spread there is nothing to compare but noise.
    return small / length if length > THUMBNAIL else np.zeros_like(small)


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
    """How much larger grey steps are across the 8-pixel grid of JPEG than elsewhere, as a log2.

    0 for a photo that was never a JPEG or was scaled since (after Wang, Sheikh and Bovik,
    No-reference perceptual quality assessment of JPEG compressed images, ICIP 2002).

    Args:
        photo: (H, W, 3) uint8; 0 is returned where it is no wider than 16 pixels.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.int16)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    if len(steps) < 16:
        return 0.0
    across = np.arange(1, len(steps) + 1) % 8 == 0
    return float(np.log2((steps[across].mean() + 0.1) / (steps[~across].mean() + 0.1)))
