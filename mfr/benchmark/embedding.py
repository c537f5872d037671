"""Embeddings of a manifest's rows, a chunk of crops at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mfr.data.manifest import Manifest
from mfr.errors import ModelError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

CHUNK = 1024
"""Crops held in memory at a time (37.6 kB each)."""


def embed_rows(encoder: Encoder, manifest: Manifest) -> NDArray[np.float32]:
    """Embeddings (rows, size) of unit length, in row order; every row must have a crop.

    Raises:
        ModelError: the model gives an embedding with NaN or infinity.
        DataError: a crop is missing.
    """
    from mfr.data.loading import load_crops

    parts = []
    for start in range(0, len(manifest), CHUNK):
        part = replace(manifest, table=manifest.table.slice(start, CHUNK))
        embeddings = encoder.embed(load_crops(part))
        broken = ~np.isfinite(embeddings).all(axis=1)
        if broken.any():
            path = part.column("path")[int(np.argmax(broken))]
            raise ModelError(
                f"The model gives no finite embedding for {path}: train it again or use another."
            )
        parts.append(embeddings)
    return np.concatenate(parts) if parts else np.zeros((0, encoder.embedding_size), np.float32)


def described_rows(manifest: Manifest) -> NDArray[np.float64]:
    """What the crops of a manifest look like (`mfr.faces.appearance`), in row order.

    Raises:
        DataError: a crop is missing.
    """
    from mfr.data.loading import load_crops
    from mfr.faces.appearance import SIZE, describe_appearance

    parts = [np.zeros((0, SIZE))]
    for start in range(0, len(manifest), CHUNK):
        part = replace(manifest, table=manifest.table.slice(start, CHUNK))
        parts.append(describe_appearance(load_crops(part)))
    return np.concatenate(parts)


def embed_acquired(
    encoder: Encoder, manifest: Manifest
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Embeddings (rows, size) as `embed_rows` gives, zero for rows without a crop, and who has one.

    Raises:
        ModelError, DataError: as `embed_rows`.
    """
    acquired = np.asarray(pc.is_valid(manifest.table["crop"]))
    embeddings = np.zeros((len(manifest), encoder.embedding_size), np.float32)
    embeddings[acquired] = embed_rows(encoder, manifest.where(cropped=True))
    return embeddings, acquired


def examined(manifest: Manifest) -> Manifest:
    """The rows in whose photos a face has been looked for, found or not; the others are pending."""
    pending = pc.equal(manifest.table["alignment"], "pending")
    return replace(manifest, table=manifest.table.filter(pc.invert(pending)))


def by_path(manifest: Manifest) -> Manifest:
    """The same rows in the order of their paths, so that results cannot depend on row order."""
    return replace(manifest, table=manifest.table.take(pc.sort_indices(manifest.table["path"])))


def take_rows(manifest: Manifest, rows: Sequence[int]) -> Manifest:
    """These rows, in this order."""
    return replace(manifest, table=manifest.table.take(pa.array(rows, pa.int64())))


def numbered(names: list[str]) -> NDArray[np.int32]:
    """Each name's number, from 0 in the order of the sorted distinct names."""
    return np.unique(np.asarray(names, dtype=object), return_inverse=True)[1].astype(np.int32)
