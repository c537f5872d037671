"""What a method learns from at each step: MFR, and the baselines its paper compares with.

A method draws a step's images (in background processes: `prepare` takes only the step's number),
turns them into tasks, and names the rule that makes gradients of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from mfr.backbones.input import network_input
from mfr.config import RunConfig
from mfr.data.augment import Augmenter
from mfr.data.loading import CropStore
from mfr.data.random_bits import RandomBits
from mfr.data.sampling import (
    Episode,
    EpisodeSampler,
    IdentityPool,
    ImageSampler,
    PairBatch,
    PairSampler,
)
from mfr.errors import TrainingError
from mfr.geometry import CropGeometry
from mfr.losses import (
    cosface,
    domain_alignment,
    hard_pair_attention,
    soft_classification,
    thresholds,
    triplet,
)
from mfr.meta.functional import (
    Losses,
    Objective,
    Params,
    Task,
    forward_isolated,
    forward_updating,
)
from mfr.meta.mfr import MFR
from mfr.meta.mldg import MLDG
from mfr.meta.rule import PlainGradient, Rule
from mfr.training.distributed import ALONE, Processes

# Keeps augmentation's random streams apart from the samplers'.
_AUGMENT: Final = 100


class FaceNetwork(nn.Module):
    """A backbone whose features have unit length, with a classifier where the method has one.

    Attributes:
        backbone: (N, 3, h, w) -> (N, d).
        geometry: how crops enter it.
        classifier: (C, d) rows, one a class, or None.
    """

    def __init__(self, backbone: nn.Module, geometry: CropGeometry) -> None:
        super().__init__()
        self.backbone = backbone
        self.geometry = geometry
        self.classifier: nn.Parameter | None = None

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, h, w) network input -> (N, d) unit features."""
        return normalize(self.backbone(images))

    def images(self, crops: Tensor) -> Tensor:
        """(N, 112, 112, 3) uint8 crops -> network input on the network's device."""
        device = next(self.parameters()).device
        return network_input(crops.to(device, non_blocking=True), self.geometry)


class Pairs(NamedTuple):
    """Images of a `PairBatch`: the B gallery crops, then the B probe crops."""

    crops: Tensor  # (2B, 112, 112, 3) uint8
    domains: Tensor  # (B,)


class Labelled(NamedTuple):
    """Images with their classes."""

    crops: Tensor  # (N, 112, 112, 3) uint8
    labels: Tensor  # (N,)


StepData = list[tuple[Pairs, Pairs]] | list[Pairs] | list[Labelled]


class Method(Protocol):
    """A way to train."""

    images_per_step: int

    def prepare(self, step: int) -> StepData:
        """The images of ``step``, augmented."""
        ...

    def tasks(self, network: FaceNetwork, data: StepData, decays: int) -> Iterable[Task]:
        """The tasks of a step after ``decays`` halvings of the learning rates."""
        ...

    def rule(self, decays: int) -> Rule:
        """The rule that makes gradients after ``decays`` halvings of the learning rates."""
        ...


@dataclass(frozen=True)
class ImageSource:
    """Augmented crops by row."""

    store: CropStore
    augmenter: Augmenter
    seed: int

    def crops(self, rows: NDArray[np.int64], step: int, part: int) -> Tensor:
        """(n, 112, 112, 3) uint8, changed by what (seed, step, part) draws."""
        seed = RandomBits(self.seed, step, part, _AUGMENT).seed()
        return torch.from_numpy(self.augmenter(self.store[rows], seed))

    def pairs(self, batch: PairBatch, step: int, part: int) -> Pairs:
        """The images of ``batch``."""
        rows = np.concatenate([batch.gallery, batch.probe])
        return Pairs(self.crops(rows, step, part), torch.from_numpy(batch.domains))


class EpisodeMethod:
    """Methods that split the source domains: MFR (all splits a step) and MLDG (one at random).

    Args:
        images: where crops come from.
        episodes: step -> this process's share of its episodes.
        images_per_step: what a full step draws.
        rule: inner rate after the decays -> rule.
        config: of the run.
        group: the processes that share the episodes; process r of n has the r-th, the r+n-th, ...
    """

    def __init__(
        self,
        images: ImageSource,
        episodes: Callable[[int], Iterable[Episode]],
        images_per_step: int,
        rule: Callable[[float], Rule],
        config: RunConfig,
        group: Processes,
    ) -> None:
        self._images, self._episodes, self._rule, self._config = images, episodes, rule, config
        self.images_per_step = images_per_step
        self._group = group

    def prepare(self, step: int) -> StepData:
        """Both sides of this process's episodes."""
        numbers = count(self._group.rank, self._group.size)
        return [
            (
                self._images.pairs(episode.meta_train, step, 2 * i),
                self._images.pairs(episode.meta_test, step, 2 * i + 1),
            )
            for i, episode in zip(numbers, self._episodes(step), strict=False)
        ]

    def tasks(self, network: FaceNetwork, data: StepData, decays: int) -> Iterable[Task]:
        """An episode a task: L_S = L_hp + L_cls + L_da, L_T = L_hp + L_cls (Eqs. 4 and 5).

        Only the meta-train pass moves running statistics.
        """
        for meta_train, meta_test in data:
            assert isinstance(meta_train, Pairs) and isinstance(meta_test, Pairs)
            yield Task(
                support=self._objective(network, meta_train, decays, forward_updating, align=True),
                query=self._objective(network, meta_test, decays, forward_isolated, align=False),
            )

    def rule(self, decays: int) -> Rule:
        """The method's rule at the decayed inner rate."""
        return self._rule(self._config.alpha * 0.5**decays)

    def _objective(
        self,
        network: FaceNetwork,
        pairs: Pairs,
        decays: int,
        forward: Callable[[nn.Module, Params, Tensor], Tensor],
        *,
        align: bool,
    ) -> Objective:
        config = self._config
        images = network.images(pairs.crops)
        tau_p, tau_n = thresholds(decays)

        def objective(params: Params) -> Losses:
            gallery, probe = forward(network, params, images).chunk(2)
            losses = {
                "hard_pair": hard_pair_attention(gallery, probe, tau_p, tau_n),
                "classification": soft_classification(
                    gallery, probe, scale=config.scale, prototype_gradient=config.prototype_gradient
                ),
            }
            if align:
                domains = pairs.domains.to(gallery.device)
                losses["alignment"] = domain_alignment(gallery, probe, domains, scale=config.scale)
            return losses

        return objective


class AggregationMethod:
    """All source domains as one training set: CosFace over all their identities."""

    def __init__(self, images: ImageSource, sampler: ImageSampler, config: RunConfig) -> None:
        self._images, self._sampler, self._config = images, sampler, config
        self.images_per_step = sampler.size

    def prepare(self, step: int) -> StepData:
        """One batch of single images."""
        rows, labels = self._sampler.images(step)
        return [Labelled(self._images.crops(rows, step, 0), torch.from_numpy(labels))]

    def tasks(self, network: FaceNetwork, data: StepData, decays: int) -> Iterable[Task]:
        """One plain task, by the network's classifier."""
        for batch in data:
            assert isinstance(batch, Labelled)
            images = network.images(batch.crops)
            labels = batch.labels.to(images.device)

            def objective(
                params: Params, images: Tensor = images, labels: Tensor = labels
            ) -> Losses:
                features = forward_updating(network, params, images)
                rows = params["classifier"]
                loss = cosface(
                    features,
                    rows,
                    labels,
                    scale=self._config.scale,
                    margin=self._config.cosface_margin,
                )
                return {"cosface": loss}

            yield Task(objective)

    def rule(self, decays: int) -> Rule:
        """Plain gradient descent."""
        return PlainGradient()


class TripletMethod:
    """All source domains as one training set: triplets of two images of each identity."""

    def __init__(self, images: ImageSource, sampler: PairSampler, config: RunConfig) -> None:
        self._images, self._sampler, self._config = images, sampler, config
        self.images_per_step = 2 * sampler.size

    def prepare(self, step: int) -> StepData:
        """One batch of pairs."""
        return [self._images.pairs(self._sampler.pairs(step), step, 0)]

    def tasks(self, network: FaceNetwork, data: StepData, decays: int) -> Iterable[Task]:
        """One plain task."""
        for pairs in data:
            assert isinstance(pairs, Pairs)
            images = network.images(pairs.crops)

            def objective(params: Params, images: Tensor = images) -> Losses:
                gallery, probe = forward_updating(network, params, images).chunk(2)
                return {"triplet": triplet(gallery, probe, margin=self._config.triplet_margin)}

            yield Task(objective)

    def rule(self, decays: int) -> Rule:
        """Plain gradient descent."""
        return PlainGradient()


def build_method(
    config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes = ALONE
) -> Method:
    """The method ``config`` names, as this process of ``group`` has its share in it.

    With B identities a side and N domains, a step of MFR sees 4 B N images; aggregation and
    triplet see as many, so that equal steps are equal numbers of images. MLDG, as published,
    takes one split a step and so sees 4 B.

    Raises:
        DataError: too few domains or people for it.
        TrainingError: more processes than a step has tasks. MFR has N, the others one, whose loss
            is of all its images together and so cannot be shared.
    """
    tasks = len(pool.domains) if config.method == "mfr" else 1
    if group.size > tasks:
        raise TrainingError(
            f"{group.size} processes cannot share the {tasks} task(s) that a step of "
            f"{config.method} has here: start at most {tasks} with --nproc-per-node."
        )
    images = ImageSource(store, Augmenter(config.augment), config.seed)
    per_step = 4 * config.identities * len(pool.domains)
    match config.method:
        case "mfr":
            sampler = EpisodeSampler(pool, config.identities, config.seed)
            mfr = partial(MFR, gamma=config.gamma, first_order=config.first_order)
            share = partial(sampler.meta_batch, rank=group.rank, world_size=group.size)
            return EpisodeMethod(images, share, per_step, mfr, config, group)
        case "mldg":
            sampler = EpisodeSampler(pool, config.identities, config.seed)
            mldg = partial(MLDG, query_weight=config.query_weight, first_order=config.first_order)
            one_split = _one_split(sampler)
            return EpisodeMethod(images, one_split, 4 * config.identities, mldg, config, group)
        case "agg" | "agg-rnd":
            return AggregationMethod(images, ImageSampler(pool, per_step, config.seed), config)
        case "triplet":
            pairs = PairSampler(pool, per_step // 2, config.seed)
            return TripletMethod(images, pairs, config)


def _one_split(sampler: EpisodeSampler) -> Callable[[int], list[Episode]]:
    return lambda step: [sampler.random_split(step)]
