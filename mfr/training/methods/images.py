"""The images of a step: augmented crops, in pairs or with their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfr.config import RunConfig
from mfr.data.augment import Augmentation, make_augmentation
from mfr.data.loading import CropStore
from mfr.data.sampling import PairBatch
from mfr.random_bits import RandomBits

# Keeps augmentation's random streams apart from the samplers'.
_AUGMENT: Final = 100


class Pairs(NamedTuple):
    """Images of a `PairBatch`: the B gallery crops, then the B probe crops."""

    crops: Tensor  # (2B, 112, 112, 3) uint8
    domains: Tensor  # (B,)
    labels: Tensor  # (B,)
    across: Tensor  # (B,) bool
    clean: Tensor  # as crops, before any change; (0, 112, 112, 3) where nobody asks for them


class Labelled(NamedTuple):
    """Images with their classes."""

    crops: Tensor  # (N, 112, 112, 3) uint8
    labels: Tensor  # (N,)


@dataclass(frozen=True)
class ImageSource:
    """Augmented crops by row.

    Attributes:
        store: the crops.
        augmentation: changes them.
        seed: of the run.
    """

    store: CropStore
    augmentation: Augmentation
    seed: int

    @classmethod
    def of(cls, config: RunConfig, store: CropStore) -> ImageSource:
        """The crops of ``store``, augmented as ``config`` says.

        Raises:
            ConfigError: the augmentation cannot be found or used.
        """
        augmentation = make_augmentation(config.augmentation, config.augment)
        return cls(store, augmentation, config.seed)

    def crops(self, rows: NDArray[np.int64], step: int, part: int) -> Tensor:
        """(n, 112, 112, 3) uint8: the crops of ``rows``, changed at random.

        Args:
            rows: (n,) rows of the store.
            step: number of the step.
            part: number of this draw within the step; with the run's seed and the step it decides
                what is drawn.
        """
        seed = RandomBits(self.seed, step, part, _AUGMENT).seed()
        return torch.from_numpy(self.augmentation(self.store.drawn(rows, seed), seed))

    def pairs(self, batch: PairBatch, step: int, part: int, *, clean: bool = False) -> Pairs:
        """The images of ``batch``; ``step`` and ``part`` as in `crops`.

        Args:
            clean: whether the unchanged crops are wanted too.
        """
        rows = np.concatenate([batch.gallery, batch.probe])
        return Pairs(
            self.crops(rows, step, part),
            torch.from_numpy(batch.domains),
            torch.from_numpy(batch.labels),
            torch.from_numpy(batch.across),
            torch.from_numpy(self.store.undrawn(rows if clean else rows[:0])),
        )
