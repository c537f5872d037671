"""Triplets: all source domains as one training set, learned by comparing two images of each."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool, PairSampler
from mfr.losses import triplet
from mfr.losses.by_role import losses_by_role
from mfr.meta.functional import Losses, Params, Task, forward_updating
from mfr.meta.rule import PlainGradient
from mfr.training.distributed import Processes
from mfr.training.methods.images import ImageSource, Pairs
from mfr.training.methods.method import Method
from mfr.training.methods.network import FaceNetwork


class TripletMethod(Method):
    """The triplet loss on two images of each of 2 B N identities.

    That is 4 B N images, as many as a step of MFR with B identities a side and N domains, if there
    are people enough. The loss
    is of all of them together, so processes cannot share it. Its one role is triplet.
    """

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        self.config = config
        pairs = 2 * config.identities * len(pool.domains)
        self._images = ImageSource.of(config, store)
        self._sampler = PairSampler(pool, pairs, config.seed)
        self.images_per_step = self._sampler.images_per_step
        self._triplet = losses_by_role(config.method, config.losses, triplet=triplet)["triplet"]

    def prepare(self, step: int) -> list[Pairs]:
        """One batch of pairs."""
        return [self._images.pairs(self._sampler.pairs(step), step, 0)]

    def tasks(self, network: FaceNetwork, data: list[Pairs], decays: int) -> Iterable[Task]:
        """One plain task."""
        for pairs in data:
            images = network.images(pairs.crops)

            def objective(params: Params, images: Tensor = images) -> Losses:
                gallery, probe = forward_updating(network, params, images).chunk(2)
                margin = self.config.triplet_margin
                return {"triplet": self._triplet(gallery, probe, margin=margin)}

            yield Task(objective)

    def rule(self, decays: int) -> PlainGradient:
        """Plain gradient descent."""
        return PlainGradient()
