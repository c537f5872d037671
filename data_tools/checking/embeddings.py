"""A cache of embeddings beside the dataset, so that a second check embeds only new crops."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr import atomic
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder

FOLDER: Final = "check"
"""The folder beside the manifest for a check's report and for embeddings, which are used again."""

_CHUNK: Final = 512  # crops in memory at a time, 37.6 kB each


class EmbeddingCache:
    """The embeddings by one model, each under a digest of the crop's pixels.

    A crop that changes has another digest, so nothing in the file can be out of date. Deleting the
    file costs only time.
    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self._encoder = encoder
        self._path = folder / f"embeddings-{encoder.model_hash[:16]}.npz"
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self._fresh = False
        try:
            with np.load(self._path, allow_pickle=False) as file:
                digests, embeddings = file["digests"], file["embeddings"]
            if embeddings.shape == (len(digests), encoder.embedding_size):
                keys = (digest.tobytes() for digest in digests)
                self._known = dict(zip(keys, embeddings, strict=True))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass  # there is no cache yet, or it is damaged: it will be made again

    def embed(self, digests: NDArray[np.uint8], crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The embeddings (n, D) of ``crops`` (n, 112, 112, 3), whose ``digests`` are (n, 16).

        Raises:
            ModelError: an embedding is not finite or is zero.
        """
        keys = [digest.tobytes() for digest in digests]
        new = [i for i, key in enumerate(keys) if key not in self._known]
        if new:
            self._known.update(
                zip((keys[i] for i in new), self._encoder.embed(crops[new]), strict=True)
            )
            self._fresh = True
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        """Write the cache atomically, if there are new embeddings.

        Raises:
            WriteError: the disk is full or not writable.
        """
        if not self._fresh:
            return
        digests = np.frombuffer(b"".join(self._known), np.uint8).reshape(len(self._known), -1)
        with atomic.replacing(self._path) as temporary:
            np.savez(temporary, digests=digests, embeddings=np.stack([*self._known.values()]))
        self._fresh = False


def pixel_digest(pixels: NDArray[np.uint8]) -> bytes:
    """A digest, 16 bytes, of an image's pixels and shape."""
    shape = np.array(pixels.shape, np.int64).tobytes()
    return hashlib.blake2b(shape + pixels.tobytes(), digest_size=16).digest()


def embed_crops(
    manifest: Manifest,
    cache: EmbeddingCache,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """The embeddings (rows, D) of the crops of ``manifest``, each of whose rows has one.

    Raises:
        DataError: a crop is missing or damaged.
        ModelError: an embedding is not finite or is zero.
    """
    parts = []
    for start in range(0, len(manifest), _CHUNK):
        on_progress(start, len(manifest))
        crops = load_crops(replace(manifest, table=manifest.table.slice(start, _CHUNK)))
        digests = np.stack([np.frombuffer(pixel_digest(crop), np.uint8) for crop in crops])
        parts.append(cache.embed(digests, crops))
    on_progress(len(manifest), len(manifest))
    return np.concatenate(parts)
