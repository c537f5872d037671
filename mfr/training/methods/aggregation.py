"""Aggregation: all source domains as one training set, learned by classifying its people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool, ImageSampler
from mfr.losses import cosface
from mfr.losses.by_role import losses_by_role
from mfr.meta.functional import Losses, Params, Task, forward_updating
from mfr.meta.rule import PlainGradient
from mfr.training.distributed import Processes
from mfr.training.methods.classifier import (
    features_of,
    imprinted_rows,
    imprinting_features,
    random_rows,
)
from mfr.training.methods.images import ImageSource, Labelled
from mfr.training.methods.method import Method
from mfr.training.methods.network import FaceNetwork
from mfr.training.score_unit import COSINE, unit_of_start


class Aggregation(Method):
    """CosFace over the people of all source domains, by single images.

    A step of B identities a side and N domains sees 4 B N images, as many as a step of MFR, so
    that equal numbers of steps are equal numbers of images. Its loss is of all these images
    together, so processes cannot share it. The one role of its losses is classification.
    """

    def __init__(
        self, config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes
    ) -> None:
        self.config, self.pool, self.store = config, pool, store
        self.images_per_step = 4 * config.identities * len(pool.domains)
        self._images = ImageSource.of(config, store)
        self._sampler = ImageSampler(pool, self.images_per_step, config.seed)
        losses = losses_by_role(config.method, config.losses, classification=cosface)
        self._classification = losses["classification"]
        # In logs the loss has its own name.
        self._unit = COSINE
        self._loss_name = getattr(self._classification, "__name__", "classification")

    @abstractmethod
    def first_rows(self, network: FaceNetwork) -> Tensor:
        """The classifier before the first step: (C, d), a row for each class."""
        ...

    def attach(self, network: FaceNetwork) -> None:
        """Measure the unit of scores, and give the network its classifier."""
        if self.config.score_unit == "start":
            self._unit = unit_of_start(network, self.store, self.pool, self.config.seed)
        device = next(network.parameters()).device
        network.classifier = nn.Parameter(self.first_rows(network).to(device))

    def prepare(self, step: int) -> list[Labelled]:
        """One batch of single images."""
        rows, labels = self._sampler.images(step)
        return [Labelled(self._images.crops(rows, step, 0), torch.from_numpy(labels))]

    def tasks(self, network: FaceNetwork, data: list[Labelled], decays: int) -> Iterable[Task]:
        """One plain task."""
        config = self.config
        for batch in data:
            images = network.images(batch.crops)
            labels = batch.labels.to(images.device)

            def objective(
                params: Params, images: Tensor = images, labels: Tensor = labels
            ) -> Losses:
                loss = self._classification(
                    forward_updating(network, params, images),
                    params["classifier"],
                    labels,
                    scale=config.margin_scale / self._unit.length,
                    margin=config.cosface_margin * self._unit.length,
                )
                return {self._loss_name: loss}

            yield Task(objective)

    def rule(self, decays: int) -> PlainGradient:
        """Plain gradient descent."""
        return PlainGradient()


class ImprintedAggregation(Aggregation):
    """Aggregation that starts from a classifier imprinted with each person's mean feature."""

    def first_rows(self, network: FaceNetwork) -> Tensor:
        """Imprinted rows (Qi et al., CVPR 2018)."""
        return imprinted_rows(*imprinting_features(network, self.store, self.pool))


class RandomAggregation(Aggregation):
    """Aggregation that starts from a random classifier."""

    def first_rows(self, network: FaceNetwork) -> Tensor:
        """Rows drawn by the run's seed."""
        _, size = features_of(network, self.store, self.pool.rows[:1]).shape
        return random_rows(self.pool.classes, size, self.config.seed)
