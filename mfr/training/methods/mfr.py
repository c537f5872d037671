"""MFR (Guo et al., CVPR 2020): every source domain is the meta-test domain once in a step."""

from __future__ import annotations

from collections.abc import Iterable

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import Episode, IdentityPool
from mfr.meta.mfr import MFR
from mfr.training.distributed import Processes
from mfr.training.methods.episodes import EpisodeMethod


class MFRMethod(EpisodeMethod):
    """N episodes a step for N source domains, which up to N processes can share.

    With B identities a side, a step sees 4 B N images, or fewer where a domain has fewer people.
    """

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        super().__init__(config, pool, store, group)
        self.tasks_per_step = len(pool.domains)
        self.images_per_step = self.sampler.images_per_step

    def episodes(self, step: int) -> Iterable[Episode]:
        """This process's share of the step's N episodes."""
        return self.sampler.meta_batch(step, rank=self.group.rank, world_size=self.group.size)

    def rule(self, decays: int) -> MFR:
        """MFR at the decayed inner rate."""
        config = self.config
        return MFR(config.alpha * 0.5**decays, config.gamma, first_order=config.first_order)
