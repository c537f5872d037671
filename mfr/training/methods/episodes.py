"""What MFR and MLDG share: tasks made of episodes, which split the source domains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from itertools import count

from torch import Tensor, nn

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import Episode, EpisodeSampler, IdentityPool
from mfr.losses import domain_alignment, hard_pair_attention, soft_classification, thresholds
from mfr.losses.by_role import losses_by_role
from mfr.meta.functional import (
    Losses,
    Objective,
    Params,
    Task,
    forward_isolated,
    forward_updating,
)
from mfr.training.distributed import Processes
from mfr.training.methods.images import ImageSource, Pairs
from mfr.training.methods.method import Method
from mfr.training.methods.network import FaceNetwork

EpisodeImages = list[tuple[Pairs, Pairs]]
"""The meta-train and the meta-test images of each episode."""


class EpisodeMethod(Method):
    """A task for each episode: L_S on its meta-train pairs, L_T on its meta-test pairs.

    L_S = L_hp + L_cls + L_da and L_T = L_hp + L_cls (Guo et al., CVPR 2020, Eqs. 4 and 5). The
    roles of the losses, which a run file can fill otherwise: hard_pair, classification, alignment.

    Batch normalisation: only the meta-train pass moves running statistics.
    """

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        self.config = config
        self.group = group
        self.sampler = EpisodeSampler(pool, config.identities, config.seed)
        self._images = ImageSource.of(config, store)
        losses = losses_by_role(
            config.method,
            config.losses,
            hard_pair=hard_pair_attention,
            classification=soft_classification,
            alignment=domain_alignment,
        )
        self._hard_pair = losses["hard_pair"]
        self._classification = losses["classification"]
        self._alignment = losses["alignment"]

    @abstractmethod
    def episodes(self, step: int) -> Iterable[Episode]:
        """This process's episodes of ``step``: of n processes, process r has r, r + n, ..."""
        ...

    def prepare(self, step: int) -> EpisodeImages:
        """Both sides of this process's episodes."""
        numbers = count(self.group.rank, self.group.size)
        return [
            (
                self._images.pairs(episode.meta_train, step, 2 * i),
                self._images.pairs(episode.meta_test, step, 2 * i + 1),
            )
            for i, episode in zip(numbers, self.episodes(step), strict=False)
        ]

    def tasks(self, network: FaceNetwork, data: EpisodeImages, decays: int) -> Iterable[Task]:
        """A task for each episode."""
        for meta_train, meta_test in data:
            yield Task(
                support=self._objective(network, meta_train, decays, forward_updating, align=True),
                query=self._objective(network, meta_test, decays, forward_isolated, align=False),
            )

    def _objective(
        self,
        network: FaceNetwork,
        pairs: Pairs,
        decays: int,
        forward: Callable[[nn.Module, Params, Tensor], Tensor],
        *,
        align: bool,
    ) -> Objective:
        config = self.config
        images = network.images(pairs.crops)
        tau_p, tau_n = thresholds(decays)

        def objective(params: Params) -> Losses:
            gallery, probe = forward(network, params, images).chunk(2)
            losses = {
                "hard_pair": self._hard_pair(gallery, probe, tau_p, tau_n),
                "classification": self._classification(
                    gallery, probe, scale=config.scale, prototype_gradient=config.prototype_gradient
                ),
            }
            if align:
                domains = pairs.domains.to(gallery.device)
                losses["alignment"] = self._alignment(gallery, probe, domains, scale=config.scale)
            return losses

        return objective
