"""A searchable copy of the templates in FAISS: exact inner product, kept in a cache file.

This module knows FAISS and nothing of SQL or names. Embeddings are of unit length, so the inner
product is the cosine. The cache may be deleted at any time and is never trusted unless its stamp
and its checksum are right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np

from mfr import atomic

_MAGIC: Final = b"mfr-index-1\n"


class TemplateIndex:
    """Templates by id, searched by cosine."""

    def __init__(self, index: Any, stamp: str) -> None:
        self._index = index
        self.stamp = stamp

    @classmethod
    def build(cls, ids: np.ndarray, embeddings: np.ndarray, stamp: str) -> TemplateIndex:
        """Index ``embeddings`` (N, D) float32 of unit length under ``ids`` (N,) int64."""
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(embeddings.shape[1]))
        index.add_with_ids(np.ascontiguousarray(embeddings, dtype=np.float32), ids)
        return cls(index, stamp)

    @classmethod
    def load(cls, path: str | Path, stamp: str) -> TemplateIndex | None:
        """Read a cache file; None when it is missing, damaged, or of another state than ``stamp``.

        FAISS may crash on damaged bytes, so it sees them only after their checksum was right.
        """
        try:
            with Path(path).open("rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    return None
                header = json.loads(file.readline(4096))
                if header["stamp"] != stamp:
                    return None
                payload = file.read()
            if hashlib.sha256(payload).hexdigest() != header["sha256"]:
                return None
            return cls(faiss.deserialize_index(np.frombuffer(payload, dtype=np.uint8)), stamp)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return None

    def save(self, path: str | Path) -> None:
        """Write the cache file atomically.

        Raises:
            WriteError: the disk is full or the place not writable.
        """
        payload = faiss.serialize_index(self._index).tobytes()
        header = {"stamp": self.stamp, "sha256": hashlib.sha256(payload).hexdigest()}
        atomic.write_bytes(path, _MAGIC + json.dumps(header).encode() + b"\n" + payload)

    def __len__(self) -> int:
        """How many templates there are."""
        return int(self._index.ntotal)

    def best_identities(
        self, embedding: np.ndarray, owners: Mapping[int, str], k: int
    ) -> list[tuple[str, float]]:
        """The ``k`` identities whose best template is nearest to ``embedding`` (D,), exactly.

        An identity scores as its best template. Templates come nearest first, so the first time an
        identity is met is its score; more are fetched until k identities are known and no template
        that ties with the last of them is left out. Ties are ordered by name.

        Args:
            owners: the identity of every template id in the index.
        """
        query = np.ascontiguousarray(embedding, dtype=np.float32)[None]
        fetch = min(2 * k, len(self))
        while fetch:
            scores, ids = (found[0] for found in self._index.search(query, fetch))
            best: dict[str, float] = {}
            for score, template_id in zip(scores.tolist(), ids.tolist(), strict=True):
                best.setdefault(owners[template_id], score)
            ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:k]
            if fetch == len(self) or (len(ranked) == k and scores[-1] < ranked[-1][1]):
                return ranked
            fetch = min(4 * fetch, len(self))
        return []
