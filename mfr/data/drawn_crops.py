"""Simulated domains as crops on disk, for what reads the crops of a manifest, as the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from mfr.data.manifest import Manifest
from mfr.data.simulated import SimulatedCrops, SimulatedSources, condition_of, provenance
from mfr.png import write_png_unflushed

_CHUNK: Final = 256
_SEED: Final = 0


def with_drawn_crops(sources: SimulatedSources, directory: Path) -> Manifest:
    """The rows of ``sources`` with a crop for the simulated ones too, drawn into ``directory``.

    They are drawn as `mfr data simulate` draws them with seed 0, and say so in the column
    ``source``. Nothing is flushed: ``directory`` is for the while that the crops are read.

    Raises:
        DataError: a real crop is missing or damaged.
        WriteError: the disk is full or the place not writable.
    """
    crops, manifest = SimulatedCrops(sources, memory=0), sources.manifest
    paths, origins = manifest.column("crop"), manifest.column("source")
    real = manifest.column("domain")
    for first in range(sources.real, len(manifest), _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, len(manifest)))
        for row, crop in zip(rows, crops.drawn(rows, _SEED), strict=True):
            path = directory.absolute() / f"{row}.png"
            write_png_unflushed(path, crop)
            number = row - sources.real
            condition = condition_of(sources.domains[sources.conditions[number]])
            paths[row] = str(path)  # the manifest's root does not change an absolute path
            origins[row] = provenance(condition, real[sources.origins[number]], _SEED)
    return manifest.with_columns({"crop": paths, "source": origins})
