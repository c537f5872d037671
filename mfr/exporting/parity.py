"""How far the embeddings of an exported file are from those of the model it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.embedding import by_path, take_rows
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.encoder import BATCH_SIZE, Encoder
from mfr.errors import DataError
from mfr.exported.exported_model import ExportedModel
from mfr.geometry import CROP_SIZE
from mfr.runtimes import build_runtime

Embed: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Crops (N, 112, 112, 3) -> embeddings (N, D)."""

RANDOM_CROPS: Final = 64
REAL_CROPS: Final = 256


@dataclass(frozen=True)
class Parity:
    """Two programs' embeddings of the same crops.

    Attributes:
        crops: how many there were.
        lowest_cosine: of the two embeddings of a crop.
        largest_difference: between the same number of the two.
    """

    crops: int
    lowest_cosine: float
    largest_difference: float


def parity(exact: Embed, other: Embed, crops: NDArray[np.uint8]) -> Parity:
    """Compare ``other`` with ``exact`` on ``crops``, one or more."""
    one, two = (embed(crops).astype(np.float64) for embed in (exact, other))
    cosines = np.einsum("nd,nd->n", one, two) / np.linalg.norm(one, axis=1)
    cosines /= np.linalg.norm(two, axis=1)
    return Parity(len(crops), float(cosines.min()), float(np.abs(one - two).max()))


def random_crops(seed: int) -> NDArray[np.uint8]:
    """Noise in the form of crops, (`RANDOM_CROPS`, 112, 112, 3)."""
    drawn = np.random.default_rng(seed).integers(0, 256, (RANDOM_CROPS, CROP_SIZE, CROP_SIZE, 3))
    return drawn.astype(np.uint8)


def embedding_with(exported: ExportedModel) -> Embed:
    """What embeds crops with an exported model, by the first runtime here that reads it.

    Raises:
        ConfigError: none is installed.
        ModelError: it cannot run the graph; or later, an embedding is not finite.
    """
    runtime = exported.graph.usual_runtime()
    if exported.notes.output == "features":
        return Encoder.from_exported(exported, runtime=runtime, precision="float32").embed
    size = exported.record.geometry.size
    computing = build_runtime(runtime, exported.graph, size=size)

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [
            computing.features(crops[start : start + BATCH_SIZE])
            for start in range(0, len(crops), BATCH_SIZE)
        ]
        return np.concatenate(parts)

    return embed


def dataset_crops(dataset: Path) -> NDArray[np.uint8]:
    """Crops of a dataset, `REAL_CROPS` at most, evenly from the first path to the last.

    Raises:
        DataError: there is no such dataset, it has no crops, or one cannot be read.
    """
    rows = by_path(Manifest.read(dataset).where(cropped=True))
    if not len(rows):
        raise DataError(f"{dataset} has no crops: run 'mfr data align {dataset}' first.")
    return evenly(rows, REAL_CROPS)


def evenly(rows: Manifest, most: int) -> NDArray[np.uint8]:
    """Crops of ``most`` rows at most, one or more, evenly from the first to the last."""
    chosen = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)
    return load_crops(take_rows(rows, chosen.tolist()))
