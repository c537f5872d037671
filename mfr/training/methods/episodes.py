"""What MFR and MLDG share: tasks made of episodes, which split the source domains."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from itertools import count

from torch import Tensor, nn

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import Episode, EpisodeSampler, IdentityPool
from mfr.losses import (
    cosface,
    domain_alignment,
    hard_pair_attention,
    soft_classification,
    thresholds,
)
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
from mfr.training.methods.classifier import imprinted_rows, imprinting_features
from mfr.training.methods.distillation import StartFeatures, distance
from mfr.training.methods.images import ImageSource, Pairs
from mfr.training.methods.inner_rate import refuse_harmful_rate
from mfr.training.methods.method import Method
from mfr.training.methods.network import FaceNetwork
from mfr.training.normalisation import train_with
from mfr.training.score_unit import COSINE, unit_of_start

EpisodeImages = list[tuple[Pairs, Pairs]]
"""The meta-train and the meta-test images of each episode."""


class EpisodeMethod(Method):
    """A task for each episode: L_S on its meta-train pairs, L_T on its meta-test pairs.

    L_S = L_hp + L_cls + L_da and L_T = L_hp + L_cls (Guo et al., CVPR 2020, Eqs. 4 and 5). The
    roles of the losses, which a run file can fill otherwise: hard_pair, classification, alignment.

    Beside these, where a run asks for them: a margin classifier over all people on both sides (its
    role is margin), and the distance from what the start makes of the unchanged crops.

    Batch normalisation: only the meta-train pass moves running statistics.
    """

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        self.config, self.pool, self.store = config, pool, store
        self.group = group
        self.sampler = EpisodeSampler(
            pool, config.identities, config.seed, config.cross_domain_pairs
        )
        self._images = ImageSource.of(config, store)
        losses = losses_by_role(
            config.method,
            config.losses,
            hard_pair=hard_pair_attention,
            classification=soft_classification,
            alignment=domain_alignment,
            margin=cosface,
        )
        self._hard_pair = losses["hard_pair"]
        self._classification = losses["classification"]
        self._alignment = losses["alignment"]
        self._margin = losses["margin"]
        self._unit = COSINE
        self._start: StartFeatures | None = None

    def attach(self, network: FaceNetwork) -> None:
        """Measure the unit of scores, and add what the run asks for beside the paper's losses.

        Raises:
            TrainingError: the network recognises nobody, or does not stand the inner rate.
        """
        config = self.config
        if config.score_unit == "start":
            self._unit = unit_of_start(network, self.store, self.pool, config.seed)
        if config.distillation:
            self._start = StartFeatures(network)
        if config.margin_weight:
            rows = imprinted_rows(*imprinting_features(network, self.store, self.pool))
            device = next(network.parameters()).device
            network.classifier = nn.Parameter(rows.to(device))
        # What another loss is by chance is not known.
        own = "classification" in config.losses
        if config.score_unit == "start" and config.alpha and not own:
            meta_train, _ = self.prepare(0)[0]
            train_with(network, config.normalisation)
            support = self._objective(network, meta_train, 0, forward_isolated, align=True)
            chance = math.log(len(meta_train.labels))
            refuse_harmful_rate(network, support, config.alpha, chance)

    @abstractmethod
    def episodes(self, step: int) -> Iterable[Episode]:
        """This process's episodes of ``step``: of n processes, process r has r, r + n, ..."""
        ...

    def prepare(self, step: int) -> EpisodeImages:
        """Both sides of this process's episodes."""
        numbers = count(self.group.rank, self.group.size)
        clean = self.config.distillation > 0
        return [
            (
                self._images.pairs(episode.meta_train, step, 2 * i, clean=clean),
                self._images.pairs(episode.meta_test, step, 2 * i + 1, clean=clean),
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
        config, unit = self.config, self._unit
        images = network.images(pairs.crops)
        tau_p, tau_n = (unit.cosine(tau) for tau in thresholds(decays))
        scale = config.scale / unit.length
        alignment_scale = (config.alignment_scale or config.scale) / unit.length**0.5
        margin = {
            "scale": config.margin_scale / unit.length,
            "margin": config.cosface_margin * unit.length,
        }
        labels = pairs.labels.repeat(2).to(images.device)
        # A pair that spans two domains belongs to neither's centre.
        within = (~pairs.across).nonzero().squeeze(1).to(images.device)
        domains = pairs.domains.to(images.device)[within]
        of_start = None if self._start is None else self._start(pairs.clean)

        def objective(params: Params) -> Losses:
            features = forward(network, params, images)
            gallery, probe = features.chunk(2)
            losses: dict[str, Tensor] = {}
            if config.hard_pair_weight:
                hard = self._hard_pair(gallery, probe, tau_p, tau_n)
                losses["hard_pair"] = hard * config.hard_pair_weight / unit.length
            losses["classification"] = self._classification(
                gallery, probe, scale=scale, prototype_gradient=config.prototype_gradient
            )
            if align and len(within):
                losses["alignment"] = self._alignment(
                    gallery[within], probe[within], domains, scale=alignment_scale
                )
            if config.margin_weight:
                losses["margin"] = config.margin_weight * self._margin(
                    features, params["classifier"], labels, **margin
                )
            if of_start is not None:
                losses["distillation"] = (
                    config.distillation / unit.length * distance(features, of_start)
                )
            return losses

        return objective
