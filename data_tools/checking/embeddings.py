"""A cache of embeddings beside the dataset, so that a second check embeds only new crops."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfr import atomic
from mfr.encoder import Encoder


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
