"""Validation during training: verification of held-out people of each source domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder

FMR: Final = 0.01
"""The false match rate at which validation reports TAR; a few hundred people resolve it."""


class Validator:
    """Verifies held-out people, whose crops it keeps in memory from one validation to the next.

    Domains that have no mated or no non-mated pair of held-out images are left out.

    Args:
        people: the rows with crops of the held-out people.
    """

    def __init__(self, people: Manifest) -> None:
        from mfr.data.loading import load_crops

        self._crops: dict[str, NDArray[np.uint8]] = {}
        self._mated: dict[str, NDArray[np.bool_]] = {}
        for domain in people.domains:
            rows = people.where(domains=[domain])
            persons = np.unique(rows.column("person"), return_inverse=True)[1]
            first, second = np.triu_indices(len(persons), 1)
            mated = persons[first] == persons[second]
            if mated.any() and not mated.all():
                self._crops[domain] = load_crops(rows)
                self._mated[domain] = mated

    def __call__(self, encoder: Encoder) -> Mapping[str, float]:
        """``DOMAIN/tar`` at an FMR of 1% and ``DOMAIN/auc``, over all pairs of its images."""
        figures = {}
        for domain, crops in self._crops.items():
            embeddings = encoder.embed(crops)
            similarity = (embeddings @ embeddings.T)[np.triu_indices(len(crops), 1)]
            mated = self._mated[domain]
            scores = Scores.of(similarity[mated], similarity[~mated])
            figures[f"{domain}/tar"] = float(operating_points(scores, [FMR]).tar[0])
            figures[f"{domain}/auc"] = auc(scores)
        return figures
