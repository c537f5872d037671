"""CORAL (Sun and Saenko, ECCV 2016 workshops) as a method from outside.

A margin softmax over the people of all domains, and the mean over pairs of domains of the squared
differences of their features' means and covariances. As in DomainBed (Gulrajani and Lopez-Paz, ICLR
2021) the means are among them; other than there, squares are summed over features and not averaged,
so that a weight of 1 is not DomainBed's.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import torch
from torch import Tensor, nn

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool, PairSampler
from mfr.losses import cosface
from mfr.meta.functional import Losses, Params, Task, forward_updating
from mfr.meta.rule import PlainGradient
from mfr.training.distributed import Processes
from mfr.training.methods.classifier import imprinted_rows, imprinting_features
from mfr.training.methods.images import ImageSource, Pairs
from mfr.training.methods.method import Method
from mfr.training.methods.network import FaceNetwork


def coral(features: Tensor, domains: Tensor) -> Tensor:
    """The mean over pairs of domains of ||C_i - C_j||^2 + ||mu_i - mu_j||^2.

    Args:
        features: (N, d).
        domains: (N,) as any integers, each at least twice.

    Returns:
        A scalar >= 0; 0 with a single domain.
    """
    groups = [features[domains == domain] for domain in torch.unique(domains)]
    gaps = [
        (a.T.cov() - b.T.cov()).square().sum() + (a.mean(0) - b.mean(0)).square().sum()
        for a, b in combinations(groups, 2)
    ]
    return torch.stack(gaps).mean() if gaps else features.sum() * 0


class Coral(Method):
    """CosFace and CORAL on two images of each of 2 B N identities, spread evenly over N domains."""

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        self.config, self.pool, self.store = config, pool, store
        pairs = 2 * config.identities * len(pool.domains)
        self._weight = float(str(config.options.get("weight", 1.0)))
        self._images = ImageSource.of(config, store)
        self._sampler = PairSampler(pool, pairs, config.seed)
        self.images_per_step = self._sampler.images_per_step

    def attach(self, network: FaceNetwork) -> None:
        """An imprinted classifier."""
        rows = imprinted_rows(*imprinting_features(network, self.store, self.pool))
        network.classifier = nn.Parameter(rows.to(next(network.parameters()).device))

    def prepare(self, step: int) -> list[Pairs]:
        """One batch of pairs."""
        return [self._images.pairs(self._sampler.pairs(step), step, 0)]

    def tasks(self, network: FaceNetwork, data: list[Pairs], decays: int) -> Iterable[Task]:
        """One plain task."""
        for pairs in data:
            images = network.images(pairs.crops)
            labels, domains = (x.repeat(2).to(images.device) for x in (pairs.labels, pairs.domains))

            def objective(
                params: Params,
                images: Tensor = images,
                labels: Tensor = labels,
                domains: Tensor = domains,
            ) -> Losses:
                features = forward_updating(network, params, images)
                config = self.config
                margin = {"scale": config.margin_scale, "margin": config.cosface_margin}
                return {
                    "cosface": cosface(features, params["classifier"], labels, **margin),
                    "coral": self._weight * coral(features, domains),
                }

            yield Task(objective)

    def rule(self, decays: int) -> PlainGradient:
        """Plain gradient descent."""
        return PlainGradient()
