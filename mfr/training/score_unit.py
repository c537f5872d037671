"""The unit in which losses measure scores: the cosine, or the distance that init's scores span.

Each recogniser has a distribution of scores: one network's non-mated cosines lie around 0 and its
mated ones around 0.5, another's around 0.83 and 0.93. Scales, margins and thresholds chosen for the
first mean nothing for the second. In units of the start, 0 is the mean non-mated score and 1 the
mean mated score of the network that training starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool, PairSampler
from mfr.errors import TrainingError
from mfr.training.methods.classifier import features_of
from mfr.training.methods.network import FaceNetwork

_PAIRS: Final = 512


@dataclass(frozen=True)
class ScoreUnit:
    """Where scores are 0 and 1.

    Attributes:
        zero: the cosine that is 0.
        one: the cosine that is 1, above ``zero``.
    """

    zero: float = 0.0
    one: float = 1.0

    @property
    def length(self) -> float:
        """How much of a cosine the unit is."""
        return self.one - self.zero

    def cosine(self, score: float) -> float:
        """The cosine of a score in this unit: a threshold as the losses take it."""
        return self.zero + score * self.length


COSINE: Final = ScoreUnit()


def unit_of_start(
    network: FaceNetwork, store: CropStore, pool: IdentityPool, seed: int
) -> ScoreUnit:
    """The unit of ``network``, from two images of each of up to 512 people.

    Non-mated scores are of people of one domain, because between domains they are lower.

    Raises:
        TrainingError: mated scores are less than a standard deviation above non-mated ones, so that
            there is no unit.
    """
    pairs = PairSampler(pool, _PAIRS, seed).pairs(0)
    gallery, probe = (features_of(network, store, rows) for rows in (pairs.gallery, pairs.probe))
    scores = gallery @ probe.T
    domains = torch.from_numpy(pairs.domains)
    own = torch.eye(len(scores), dtype=torch.bool)
    strangers = (domains[:, None] == domains) & ~own
    zero, one = float(scores[strangers].mean()), float(scores[own].mean())
    spread = float(scores[strangers].std(correction=0))
    # Of equal spreads that far apart, three in four mated scores are above a random non-mated one.
    if not one > zero + spread:
        raise TrainingError(
            "The weights to start from hardly recognise anybody: their scores are "
            f"{one:.3f} for one person and {zero:.3f} +- {spread:.3f} for two. Start from others "
            "with --init, or train these with --preset paper first."
        )
    return ScoreUnit(zero, one)
