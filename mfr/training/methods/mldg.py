"""MLDG (Li et al., AAAI 2018): one source domain, drawn at random, is the meta-test domain."""

from __future__ import annotations

from collections.abc import Iterable

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import Episode, IdentityPool
from mfr.meta.mldg import MLDG
from mfr.training.distributed import Processes
from mfr.training.methods.episodes import EpisodeMethod


class MLDGMethod(EpisodeMethod):
    """One episode a step, as published: with B identities a side a step sees 4 B images.

    Where a domain has fewer people it is fewer; then a step stands for the mean of all domains'.
    """

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        super().__init__(config, pool, store, group)
        self.images_per_step = round(self.sampler.images_per_step / len(pool.domains))

    def episodes(self, step: int) -> Iterable[Episode]:
        """The step's one episode."""
        return [self.sampler.random_split(step)]

    def rule(self, decays: int) -> MLDG:
        """MLDG at the decayed inner rate."""
        config = self.config
        return MLDG(config.alpha * 0.5**decays, config.query_weight, first_order=config.first_order)
